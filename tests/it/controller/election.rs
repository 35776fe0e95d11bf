//! Two controllers, one Lease.

use super::bed::{Bed, Controller, kernel, runs};
use crate::agent::bed::wait_until;
use crate::support::servers::kubernetes::Version;
use crate::support::servers::proxy::Fate;
use std::time::{Duration, Instant};

fn leads(controller: &Controller) -> bool {
    controller.metric("btfleet_controller_leader") == Some(1.0)
}

#[test]
fn a_leader_that_ends_hands_over_at_once_and_within_two_seconds() {
    let bed = Bed::new(Version::Newest);
    let first = bed.controller("one", &[]);
    wait_until("one leads", || leads(&first));
    let second = bed.controller("two", &[]);
    assert!(!leads(&second));
    let took = first.end();
    assert!(took < Duration::from_secs(2), "{took:?}");
    let began = Instant::now();
    wait_until("two leads", || bed.holder() == "two");
    assert!(began.elapsed() < Duration::from_secs(8));
    assert!(second.end() < Duration::from_secs(2));
    assert_eq!(bed.holder(), "");
}

#[test]
fn a_leader_that_is_paused_loses_the_lease_and_knows_it_when_it_wakes() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    let first = bed.controller("one", &[]);
    wait_until("one leads", || leads(&first));
    let second = bed.controller("two", &[]);
    first.signal("STOP");
    let began = Instant::now();
    wait_until("two leads", || bed.holder() == "two");
    let took = began.elapsed();
    // Not before the Lease ran out, and not long after.
    assert!(took > Duration::from_secs(10), "{took:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    bed.node_with("a", &kernel);
    bed.wait_for_nodes(&kernel.digest, 1);
    let version = bed.kh(&kernel.digest)["metadata"]["resourceVersion"].clone();
    first.signal("CONT");
    wait_until("one knows", || !leads(&first));
    assert!(
        first.log().contains("not leading any more"),
        "{}",
        first.log()
    );
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(bed.holder(), "two");
    assert!(leads(&second) && !leads(&first));
    // What the first had in hand did not overwrite the second's.
    let after = bed.kh(&kernel.digest);
    assert_eq!(after["status"]["nodes"], 1);
    assert!(
        after["metadata"]["resourceVersion"] == version || after["status"]["conditions"].is_array()
    );
    // It stands again.
    second.end();
    wait_until("one leads again", || bed.holder() == "one" && leads(&first));
    bed.node_with("b", &kernel);
    bed.wait_for_nodes(&kernel.digest, 2);
}

#[test]
fn a_leader_that_cannot_renew_stops_leading_before_another_begins() {
    let bed = Bed::new(Version::Newest).through_a_proxy();
    let first = bed.controller("one", &[]);
    wait_until("one leads", || leads(&first));
    bed.proxy().plan(|asked| match asked.contains("/leases/") {
        true => Fate::Status(503, 0),
        false => Fate::Through,
    });
    let began = Instant::now();
    wait_until("one gives up", || !leads(&first));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert!(runs(first.process.pid().unwrap()));
    bed.proxy().heal();
    wait_until("one leads again", || leads(&first));
}

#[test]
fn a_lost_answer_to_a_renewal_costs_no_term() {
    let bed = Bed::new(Version::Newest).through_a_proxy();
    let first = bed.controller("one", &[]);
    wait_until("one leads", || leads(&first));
    let terms = bed.lease()["spec"]["leaseTransitions"].clone();
    let mut lost = 0;
    bed.proxy().plan(move |asked| {
        if asked.starts_with("PUT") && asked.contains("/leases/") && lost < 1 {
            lost += 1;
            return Fate::LostReply;
        }
        Fate::Through
    });
    let renewed = || bed.lease()["spec"]["renewTime"].clone();
    // The one whose answer is lost, and two after it.
    for _ in 0..3 {
        let before = renewed();
        wait_until("it is renewed", || renewed() != before);
    }
    assert!(leads(&first), "{}", first.log());
    assert_eq!(bed.lease()["spec"]["leaseTransitions"], terms);
    assert_eq!(bed.holder(), "one");
}

#[test]
fn a_leader_whose_lease_somebody_took_stops_leading_and_does_not_take_it_back() {
    let bed = Bed::new(Version::Newest);
    let first = bed.controller("one", &[]);
    wait_until("one leads", || leads(&first));
    bed.edit_the_lease(serde_json::json!({"holderIdentity": "thief"}));
    let began = Instant::now();
    wait_until("one knows", || !leads(&first));
    assert!(began.elapsed() < Duration::from_secs(5));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(bed.holder(), "thief");
    assert!(runs(first.process.pid().unwrap()));
}

#[test]
fn sigterm_ends_it_within_two_seconds_at_any_moment() {
    let bed = Bed::new(Version::Newest).through_a_proxy();
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    bed.node_with("a", &kernel);
    let hangs = ["/leases", "/kernelheaders", "/nodes", "nothing"];
    for hang in hangs {
        for pause in [0, 50, 700] {
            bed.free_the_lease();
            bed.proxy().plan(move |asked| match asked.contains(hang) {
                true => Fate::Hang,
                false => Fate::Through,
            });
            let controller = bed.start("one", &[]);
            std::thread::sleep(Duration::from_millis(pause));
            let took = controller.end();
            assert!(took < Duration::from_secs(2), "{hang} {pause}: {took:?}");
        }
    }
}
