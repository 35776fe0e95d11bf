use super::*;
use crate::artifact::{Generator, HeaderDigest};
use crate::cluster::node::{KernelSaid, Metadata, NodeInfo, NodeStatus, Said, Status};
use proptest::prelude::*;

const BOOT: &str = "0b0e2a9c-1111-4222-8333-444455556666";

fn digest(kernel: u64) -> BtfDigest {
    BtfDigest::of(&kernel.to_le_bytes())
}

/// A digest that no BTF has, with the id of another.
fn same_id(of: &BtfDigest) -> BtfDigest {
    let hex = of.hex();
    let last = if hex.ends_with('0') { "1" } else { "0" };
    BtfDigest::from_hex(&format!("{}{last}", &hex[..63])).unwrap()
}

fn node(name: &str, kernel: Option<BtfDigest>, release: &str) -> Node {
    let said = kernel.map(|btf| Said {
        status: Status::Ready,
        kernel: Some(KernelSaid {
            btf,
            header: Some((HeaderDigest::of(b"h"), Generator::OWN)),
        }),
        release: Some(release.to_owned()),
        boot_id: Some(BOOT.to_owned()),
    });
    let keys = said.map(|said| said.keys()).unwrap_or_default();
    Node {
        metadata: Metadata {
            name: name.to_owned(),
            uid: "u".to_owned(),
            resource_version: "1".to_owned(),
            deletion_timestamp: None,
            annotations: keys.annotations,
            labels: keys.labels,
        },
        status: NodeStatus {
            node_info: NodeInfo {
                boot_id: BOOT.to_owned(),
                kernel_version: release.to_owned(),
                architecture: "amd64".to_owned(),
            },
        },
    }
}

fn object(kernel: &BtfDigest) -> KernelHeader {
    let mut object = KernelHeader::of(kernel);
    object.metadata.uid = Some("u".to_owned());
    object.metadata.resource_version = Some("1".to_owned());
    object
}

/// One that knows its KernelHeaders, and so far no Node.
fn inventory(known: &[BtfDigest]) -> Inventory {
    let mut inventory = Inventory::default();
    inventory.object(Change::Listing);
    for kernel in known {
        inventory.object(Change::Is(object(kernel)));
    }
    inventory.object(Change::Listed);
    inventory
}

fn put(inventory: &mut Inventory, node: Node, now: Instant) {
    inventory.node(Change::Is(node), now);
}

#[test]
fn nodes_are_counted_under_the_kernel_that_they_name_and_by_state() {
    let now = Instant::now();
    let (a, b) = (digest(1), digest(2));
    let mut inventory = inventory(&[a, b]);
    for n in 0..12 {
        let release = if n < 2 { "6.1-odd" } else { "6.1" };
        put(
            &mut inventory,
            node(&format!("n{n:02}"), Some(a), release),
            now,
        );
    }
    let mut stale = node("stale", Some(a), "6.1");
    stale.status.node_info.boot_id = "another".to_owned();
    put(&mut inventory, stale, now);
    put(&mut inventory, node("new", None, ""), now);
    let survey = inventory.survey();
    let count = &survey.kernels[&a];
    assert_eq!((count.runs, count.named), (12, 13));
    assert_eq!(count.names.len(), 10);
    assert_eq!(count.names[0], "n00");
    assert_eq!(count.releases, ["6.1", "6.1-odd"]);
    assert_eq!(count.arch.as_deref(), Some("amd64"));
    assert_eq!(survey.kernels[&b], Count::default());
    let states: Vec<(&str, usize)> = survey.states.into_iter().filter(|s| s.1 > 0).collect();
    assert_eq!(states, [("NotReported", 1), ("Ready", 12), ("Stale", 1)]);
}

#[test]
fn a_list_never_grows_with_the_cluster_and_frequent_releases_win() {
    let now = Instant::now();
    let a = digest(1);
    let mut inventory = inventory(&[a]);
    for n in 0..200 {
        // Half of the nodes say the truth, the others something else each.
        let release = if n % 2 == 0 {
            "6.1".to_owned()
        } else {
            format!("0-{n}")
        };
        put(
            &mut inventory,
            node(&format!("n{n}"), Some(a), &release),
            now,
        );
    }
    let survey = inventory.survey();
    let count = &survey.kernels[&a];
    assert_eq!((count.names.len(), count.releases.len()), (10, 10));
    assert!(count.releases.contains(&"6.1".to_owned()));
}

#[test]
fn what_an_unreadable_status_names_is_named_all_the_same() {
    let now = Instant::now();
    let a = digest(1);
    let mut inventory = inventory(&[a]);
    let mut edited = node("n", Some(a), "6.1");
    edited.metadata.annotations.status = Some("by hand".to_owned());
    put(&mut inventory, edited, now);
    assert!(inventory.named().contains(&a));
    assert_eq!(inventory.survey().kernels[&a].runs, 0);
}

#[test]
fn heartbeats_change_nothing() {
    let now = Instant::now();
    let a = digest(1);
    let mut inventory = inventory(&[a]);
    put(&mut inventory, node("n", Some(a), "6.1"), now);
    let changes = inventory.changes();
    let mut beat = node("n", Some(a), "6.1");
    beat.metadata.resource_version = "99".to_owned();
    put(&mut inventory, beat, now);
    assert_eq!(inventory.changes(), changes);
}

#[test]
fn a_node_introduces_three_digests_an_hour_and_no_more() {
    let start = Instant::now();
    let mut inventory = inventory(&[]);
    for second in 0..1000 {
        let now = start + Duration::from_secs(second);
        put(
            &mut inventory,
            node("bad", Some(digest(second)), "6.1"),
            now,
        );
        // One claim at a time is held, and after the third no new one.
        assert!(inventory.claims().len() <= 1);
    }
    let told = inventory.notices();
    assert_eq!(told.len(), 1000 - INTRODUCTIONS);
    assert!(matches!(&told[0], Notice::TooMany { node, .. } if node == "bad"));
    assert_eq!(inventory.claims(), []);
    // The last one is looked at when the hour is over, though its Node does not change.
    inventory.readmit(start + Duration::from_secs(1000));
    assert_eq!(inventory.claims(), []);
    inventory.readmit(start + WINDOW + Duration::from_secs(1));
    assert_eq!(inventory.claims(), [digest(999)]);
    assert_eq!(inventory.notices(), []);
}

#[test]
fn telling_a_refused_digest_again_is_no_news() {
    let now = Instant::now();
    let mut inventory = inventory(&[]);
    for n in 0..4 {
        put(&mut inventory, node("bad", Some(digest(n)), "6.1"), now);
    }
    assert_eq!(inventory.notices().len(), 1);
    for _ in 0..100 {
        put(&mut inventory, node("bad", Some(digest(3)), "6.1"), now);
    }
    assert_eq!(inventory.notices(), []);
}

#[test]
fn kernels_that_are_known_or_that_others_name_are_no_introduction() {
    let now = Instant::now();
    let known: Vec<BtfDigest> = (0..10).map(digest).collect();
    let mut inventory = inventory(&known);
    for kernel in &known {
        put(&mut inventory, node("n", Some(*kernel), "6.1"), now);
    }
    for n in 10..20 {
        put(
            &mut inventory,
            node(&format!("other{n}"), Some(digest(n)), "6.1"),
            now,
        );
        put(&mut inventory, node("n", Some(digest(n)), "6.1"), now);
    }
    assert_eq!(inventory.notices(), []);
}

#[test]
fn the_same_id_with_another_digest_is_refused_if_the_kernel_is_known() {
    let now = Instant::now();
    let real = digest(1);
    let fake = same_id(&real);
    assert_eq!(real.kernel_id(), fake.kernel_id());
    let mut inventory = inventory(&[real]);
    put(&mut inventory, node("bad", Some(fake), "6.1"), now);
    let told = inventory.notices();
    assert!(
        matches!(&told[..], [Notice::SameId { known, .. }] if *known == real),
        "{told:?}"
    );
    assert_eq!(inventory.claims(), []);
    assert!(!inventory.survey().kernels.contains_key(&fake));
}

#[test]
fn who_claims_an_id_first_does_not_keep_the_real_kernel_out() {
    let now = Instant::now();
    let real = digest(1);
    let fake = same_id(&real);
    let mut inventory = inventory(&[]);
    put(&mut inventory, node("bad", Some(fake), "6.1"), now);
    put(&mut inventory, node("good", Some(real), "6.1"), now);
    let mut claims = inventory.claims();
    claims.sort();
    let mut both = vec![real, fake];
    both.sort();
    assert_eq!(claims, both);
    // The real one is verified, and has the id from now on.
    inventory.wrote(object(&real));
    assert_eq!(inventory.claims(), []);
    assert_eq!(inventory.survey().kernels[&real].runs, 1);
}

#[test]
fn a_kernel_header_that_was_removed_by_hand_is_claimed_again() {
    let now = Instant::now();
    let a = digest(1);
    let mut inventory = inventory(&[a]);
    put(&mut inventory, node("n", Some(a), "6.1"), now);
    // What is told late, of an object before this one, removes nothing.
    let mut old = object(&a);
    old.metadata.uid = Some("older".to_owned());
    inventory.object(Change::Gone(old));
    assert_eq!(inventory.claims(), []);
    inventory.object(Change::Gone(object(&a)));
    assert_eq!(inventory.claims(), [a]);
}

#[test]
fn nothing_is_decided_before_both_listings_have_ended() {
    let mut inventory = Inventory::default();
    assert!(!inventory.is_whole());
    inventory.object(Change::Listing);
    inventory.object(Change::Listed);
    assert!(!inventory.is_whole());
    inventory.node(Change::Listing, Instant::now());
    inventory.node(Change::Listed, Instant::now());
    assert!(inventory.is_whole());
}

#[test]
fn words_that_nobody_says_any_more_are_forgotten() {
    let now = Instant::now();
    let a = digest(1);
    let mut inventory = inventory(&[a]);
    for n in 0..10 * WORDS {
        put(&mut inventory, node("bad", Some(a), &format!("r{n}")), now);
    }
    assert!(inventory.words.len() <= WORDS + 1);
}

#[test]
fn a_record_is_small() {
    assert!(std::mem::size_of::<Record>() <= 96);
}

/// What can happen to a small cluster.
#[derive(Debug, Clone)]
enum Event {
    Is(u8, Option<u8>),
    Gone(u8),
    /// The watch was cut: meanwhile these happened, and all is listed anew.
    Relist(Vec<(u8, Option<u8>)>),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let says = || (0u8..8, proptest::option::of(0u8..3));
    let event = prop_oneof![
        4 => says().prop_map(|(n, k)| Event::Is(n, k)),
        2 => (0u8..8).prop_map(Event::Gone),
        1 => proptest::collection::vec(says(), 0..6).prop_map(Event::Relist),
    ];
    proptest::collection::vec(event, 0..40)
}

proptest! {
    #[test]
    fn however_it_was_told_the_inventory_is_what_a_fresh_listing_gives(events in events()) {
        let now = Instant::now();
        let known: Vec<BtfDigest> = (0..3).map(digest).collect();
        let said = |n: u8, k: Option<u8>| {
            node(&format!("n{n}"), k.map(|k| digest(k.into())), "6.1")
        };
        let mut told = inventory(&known);
        told.node(Change::Listing, now);
        told.node(Change::Listed, now);
        let mut truth: BTreeMap<u8, Option<u8>> = BTreeMap::new();
        for event in events {
            match event {
                Event::Is(n, k) => {
                    truth.insert(n, k);
                    told.node(Change::Is(said(n, k)), now);
                }
                Event::Gone(n) => {
                    truth.remove(&n);
                    told.node(Change::Gone(said(n, None)), now);
                }
                Event::Relist(all) => {
                    truth = all.into_iter().collect();
                    told.node(Change::Listing, now);
                    for (n, k) in &truth {
                        told.node(Change::Is(said(*n, *k)), now);
                    }
                    told.node(Change::Listed, now);
                }
            }
        }
        let mut fresh = inventory(&known);
        fresh.node(Change::Listing, now);
        for (n, k) in &truth {
            fresh.node(Change::Is(said(*n, *k)), now);
        }
        fresh.node(Change::Listed, now);
        prop_assert_eq!(told.survey(), fresh.survey());
        prop_assert_eq!(told.named(), fresh.named());
        prop_assert_eq!(told.len(), truth.len());
    }
}
