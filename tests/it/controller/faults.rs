//! Answers that go wrong, on every write.

use super::bed::{Bed, kernel};
use super::inside::Inside;
use crate::agent::bed::wait_until;
use crate::support::servers::kubernetes::Version;
use crate::support::servers::proxy::Fate;
use btfleet::controller::collect::Mode;
use btfleet::store::Kernel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(86_400);

/// What a controller writes: method, and what the path ends in or has in it.
const WRITES: [(&str, &str); 4] = [
    ("POST", "/kernelheaders"),
    ("PUT", "/status"),
    ("POST", "/events"),
    ("PUT", "/leases/"),
];

#[test]
fn whatever_is_answered_to_any_write_the_inventory_is_right_in_the_end_and_events_are_told() {
    let bed = Bed::new(Version::Newest).through_a_proxy();
    let inside = Inside::start(&bed, 20, Mode::Off, LONG);
    wait_until("it leads", || bed.holder() == "inside");
    let terms = bed.lease()["spec"]["leaseTransitions"].clone();
    for code in [409, 422, 429, 503] {
        let kernel = kernel(&format!("task{code}"));
        bed.publish(&kernel);
        let spoilt: Arc<Mutex<Vec<&str>>> = Arc::default();
        let seen = spoilt.clone();
        // The first of each.
        bed.proxy().plan(move |asked| {
            let is =
                |(method, path): &&(&str, &str)| asked.starts_with(method) && asked.contains(path);
            let mut seen = seen.lock().unwrap();
            match WRITES.iter().find(is) {
                Some((_, path)) if !seen.contains(path) => {
                    seen.push(path);
                    Fate::Status(code, 1)
                }
                _ => Fate::Through,
            }
        });
        let (good, liar) = (format!("good{code}"), format!("liar{code}"));
        bed.node_with(&good, &kernel);
        let lie = Kernel::raw(code.to_string().into_bytes().into());
        bed.node_with(&liar, &lie);
        bed.wait_for_nodes(&kernel.digest, 1);
        bed.wait_until_verified(&kernel.digest);
        wait_until("each went wrong once", || {
            spoilt.lock().unwrap().len() == WRITES.len()
        });
        // What is refused for good is not sent again at once.
        if [429, 503].contains(&code) {
            wait_until("it is told", || bed.has_event(&liar, "Unverified"));
        }
        bed.delete_node(&liar);
    }
    assert_eq!(bed.lease()["spec"]["leaseTransitions"], terms);
    inside.end();
}

#[test]
fn a_status_that_is_refused_for_good_is_not_hammered() {
    let bed = Bed::new(Version::Newest).through_a_proxy();
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    // A minute is six seconds.
    let inside = Inside::start(&bed, 10, Mode::Off, LONG);
    bed.proxy().plan(|asked| match asked.ends_with("/status") {
        true => Fate::Status(422, 0),
        false => Fate::Through,
    });
    bed.node_with("a", &kernel);
    wait_until("its KernelHeader is there", || {
        !bed.kh(&kernel.digest).is_null()
    });
    std::thread::sleep(Duration::from_secs(4));
    let asked = bed.proxy().asked();
    let tries = asked.iter().filter(|a| a.ends_with("/status")).count();
    assert_eq!(tries, 1);
    bed.proxy().heal();
    bed.wait_for_nodes(&kernel.digest, 1);
    inside.end();
}

#[test]
fn retry_after_is_obeyed() {
    let bed = Bed::new(Version::Newest).through_a_proxy();
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    bed.proxy().plan(
        |asked| match asked.starts_with("POST") && asked.contains("kernelheaders") {
            true => Fate::Status(429, 4),
            false => Fate::Through,
        },
    );
    bed.node_with("a", &kernel);
    let controller = bed.controller("one", &[]);
    let tries = || {
        let asked = bed.proxy().asked();
        let creates = asked.iter().filter(|a| a.starts_with("POST /apis/btfleet"));
        creates.count()
    };
    wait_until("it tries", || tries() == 1);
    // By its own pauses alone, of 1 and 2 s, there would be three.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(tries(), 2);
    bed.proxy().heal();
    bed.wait_until_verified(&kernel.digest);
    drop(controller);
}

#[test]
fn a_lost_answer_to_a_create_makes_no_second_one() {
    let bed = Bed::new(Version::Newest).through_a_proxy();
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    let controller = bed.controller("one", &[]);
    let mut lost = 0;
    bed.proxy().plan(move |asked| {
        if asked.starts_with("POST /apis/btfleet") && lost == 0 {
            lost += 1;
            return Fate::LostReply;
        }
        Fate::Through
    });
    bed.node_with("a", &kernel);
    wait_until("it is there", || !bed.kh(&kernel.digest).is_null());
    bed.wait_until_verified(&kernel.digest);
    bed.wait_for_nodes(&kernel.digest, 1);
    drop(controller);
}
