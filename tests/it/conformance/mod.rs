//! One suite that every store passes: what a store promises, and what is published and read over it, also when
//! calls fail, answers are lost, publishers die and objects vanish.

mod beds;
mod contract;
mod faults;
mod invariants;
mod kernels;
mod publishing;
mod reading;
mod requests;
mod wire;

use beds::Bed;

/// A module for each store, a test for each case: `conformance::folder::contract::…`.
macro_rules! suite {
    ($($subject:ident { $($case:ident)* })*) => {
        suite!(@store memory, $($subject { $($case)* })*);
        suite!(@store folder, $($subject { $($case)* })*);
        suite!(@store versitygw, $($subject { $($case)* })*);
        suite!(@store s3s, $($subject { $($case)* })*);
    };
    (@store $store:ident, $($subject:ident { $($case:ident)* })*) => {
        mod $store {
            $(mod $subject {
                $(#[test]
                fn $case() {
                    super::super::beds::run(
                        super::super::beds::$store,
                        super::super::$subject::$case,
                    );
                })*
            })*
        }
    };
}

suite! {
    contract {
        an_object_is_read_as_it_was_written
        a_limit_is_kept_to_the_byte
        large_objects_come_back_whole
        a_listing_of_more_than_a_page_is_whole_and_in_order
        a_folder_is_not_its_neighbours
        keys_are_listed_back_as_written
        of_sixteen_writers_at_once_one_creates
        a_write_that_nobody_waits_for_is_whole_or_absent
    }
    publishing {
        a_new_kernel_is_whole_and_a_second_run_writes_nothing
        two_kernels_share_a_header
        btf_that_cannot_be_read_is_stored_as_it_is
        a_person_repairs_what_an_agent_leaves
        a_manifest_that_disagrees_is_left_by_agents_and_told
        a_kernel_of_another_cluster_needs_no_bytes
        two_hundred_publishers_send_each_blob_once
        when_the_first_publisher_dies_a_few_take_over
    }
    faults {
        a_crash_between_any_two_steps_is_healed_by_the_next_run
        a_lost_reply_to_any_call_does_no_harm
        errors_and_time_outs_are_outlasted
        stale_listings_do_not_touch_publishing
        what_vanishes_while_publishing_is_put_back
        a_store_that_loses_what_it_is_given_is_told
        a_look_asks_for_the_reference_and_for_nothing_before_it_is_seen
    }
    invariants {
        invariant_1_a_manifest_exists_only_if_both_blobs_do
        invariant_3_what_a_reference_names_is_whole_whoever_dies
        invariant_4_no_reader_hands_on_a_byte_it_has_not_checked
        invariant_5_one_blob_per_digest_however_many_publish
        invariant_6_a_look_at_what_is_there_writes_nothing
        invariant_7_a_store_wiped_in_any_part_is_whole_after_one_run
    }
    reading {
        a_mismatch_names_key_expected_and_found
        a_bomb_costs_neither_memory_nor_time
        a_manifest_can_only_lower_what_is_read
    }
    requests {
        requests_and_bytes_stay_within_their_limits
    }
}
