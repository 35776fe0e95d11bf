//! Answers that go wrong, on every write.

use super::bed::{Bed, kernel};
use crate::agent::bed::wait_until;
use crate::agent::proxy::Fate;
use crate::support::servers::kubernetes::Version;
use std::time::{Duration, Instant};

#[test]
fn whatever_is_answered_to_a_write_the_inventory_is_right_in_the_end() {
    let bed = Bed::new(Version::Newest).through_a_proxy();
    let controller = bed.controller("one", &[]);
    for (n, code) in [409, 429, 503, 500].into_iter().enumerate() {
        let kernel = kernel(&format!("task{code}"));
        bed.publish(&kernel);
        let mut wrong = 0;
        // The first two writes of KernelHeaders, and of their statuses.
        bed.proxy().plan(move |asked| {
            let is_write = !asked.starts_with("GET") && asked.contains("kernelheaders");
            if is_write && wrong < 3 {
                wrong += 1;
                return Fate::Status(code, 1);
            }
            Fate::Through
        });
        bed.node_with(&format!("n{n}"), &kernel);
        bed.wait_for_nodes(&kernel.digest, 1);
        bed.wait_until_verified(&kernel.digest);
    }
    assert!(super::bed::runs(controller.process.pid().unwrap()));
}

#[test]
fn a_write_that_is_refused_for_good_is_not_hammered() {
    let bed = Bed::new(Version::Newest).through_a_proxy();
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    let controller = bed.controller("one", &[]);
    bed.proxy().plan(|asked| match asked.ends_with("/status") {
        true => Fate::Status(422, 0),
        false => Fate::Through,
    });
    bed.node_with("a", &kernel);
    wait_until("its KernelHeader is there", || {
        !bed.kh(&kernel.digest).is_null()
    });
    std::thread::sleep(Duration::from_secs(12));
    let asked = bed.proxy().asked();
    let tries = asked.iter().filter(|a| a.ends_with("/status")).count();
    assert!((1..=2).contains(&tries), "{tries}");
    bed.proxy().heal();
    let began = Instant::now();
    bed.wait_for_nodes(&kernel.digest, 1);
    assert!(began.elapsed() < Duration::from_secs(70));
    drop(controller);
}

#[test]
fn retry_after_is_obeyed() {
    let bed = Bed::new(Version::Newest).through_a_proxy();
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    let controller = bed.controller("one", &[]);
    bed.proxy().plan(
        |asked| match asked.starts_with("POST") && asked.contains("kernelheaders") {
            true => Fate::Status(429, 8),
            false => Fate::Through,
        },
    );
    bed.node_with("a", &kernel);
    std::thread::sleep(Duration::from_secs(12));
    let asked = bed.proxy().asked();
    let tries = asked
        .iter()
        .filter(|a| a.starts_with("POST /apis/btfleet"))
        .count();
    assert!((1..=2).contains(&tries), "{tries}");
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
