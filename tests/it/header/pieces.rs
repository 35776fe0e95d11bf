//! A large header, written in pieces by several threads.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use super::*;
use crate::support::btfgen::SIGNED;
use btfleet::btf::Btf;
use btfleet::dump::{Hands, Job, Writing};

/// Enough records for several pieces; each `odd`th has this member too.
fn many(odd: usize, name: &str) -> Vec<u8> {
    let mut g = Graph::new();
    let int = g.int("int", 4, SIGNED);
    for n in 0..4000 {
        let all = [("a", int, 0), ("b", int, 32), (name, int, 64)];
        let members = match n % odd {
            0 => &all[..],
            _ => &all[..2],
        };
        g.record(&format!("r{n:04}"), 12, members);
    }
    encode(&g, &Form::default())
}

/// Does no job: whoever offers one does it.
struct Idle;

impl Hands<'_> for Idle {
    fn offer(&self, _: Job<'_>) {}
}

/// Jobs that were offered, to be done by another thread.
#[derive(Default)]
struct Offered<'b>(Mutex<Vec<Job<'b>>>);

impl<'b> Hands<'b> for Offered<'b> {
    fn offer(&self, job: Job<'b>) {
        self.0.lock().unwrap().push(job);
    }
}

type Taker<'t> = Box<dyn FnMut(&[u8]) + Send + 't>;

/// The header as so many threads write it to two who take it, and how many parts it came in.
fn by(threads: usize, blob: &[u8]) -> Result<(String, usize), String> {
    let btf = Btf::parse(blob).unwrap();
    let (mut text, mut parts, mut copy) = (Vec::new(), 0, Vec::new());
    let take = |part: &[u8]| {
        text.extend_from_slice(part);
        parts += 1;
    };
    let copy_too = |part: &[u8]| copy.extend_from_slice(part);
    let takers: Vec<Taker<'_>> = vec![Box::new(take), Box::new(copy_too)];
    let writing = Writing::new(&btf, takers, &Idle).map_err(|e| e.to_string())?;
    thread::scope(|s| {
        for _ in 1..threads {
            s.spawn(|| writing.help());
        }
        writing.help();
    });
    let _ = writing.finish().map_err(|e| e.to_string())?;
    assert!(copy == text, "{threads} threads");
    Ok((String::from_utf8(text).unwrap(), parts))
}

#[test]
fn a_header_is_the_same_however_many_threads_write_it() {
    let blob = many(7, "c");
    let whole = String::from_utf8(header(&blob, None).unwrap()).unwrap();
    for threads in [1, 2, 5] {
        let (text, parts) = by(threads, &blob).unwrap();
        assert!(parts > 3, "{parts} parts are no test");
        assert!(text == whole, "{threads} threads");
    }
}

#[test]
fn a_header_is_the_same_with_the_help_of_another_thread() {
    let blob = many(7, "c");
    let whole = String::from_utf8(header(&blob, None).unwrap()).unwrap();
    let btf = Btf::parse(&blob).unwrap();
    let (text, slowly) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let offered = Offered::default();
    let ended = Mutex::new(false);
    let done = thread::scope(|s| {
        let helper = s.spawn(|| {
            let mut done = 0;
            loop {
                let last = *ended.lock().unwrap();
                let job = offered.0.lock().unwrap().pop();
                match job {
                    Some(job) => {
                        job();
                        done += 1;
                    }
                    None if last => return done,
                    None => thread::yield_now(),
                }
            }
        });
        let take = |part: &[u8]| text.lock().unwrap().extend_from_slice(part);
        let slow = |part: &[u8]| {
            // Meanwhile pieces are written that wait for it, more than are left waiting.
            thread::sleep(Duration::from_millis(5));
            slowly.lock().unwrap().extend_from_slice(part);
        };
        let takers: Vec<Taker<'_>> = vec![Box::new(slow), Box::new(take)];
        let writing = Writing::new(&btf, takers, &offered).unwrap();
        let _ = writing.write(&offered).unwrap();
        *ended.lock().unwrap() = true;
        helper.join().unwrap()
    });
    assert_eq!(done, 2, "the names, and pieces of the text");
    assert!(*text.lock().unwrap() == whole.as_bytes());
    assert!(*slowly.lock().unwrap() == whole.as_bytes());
}

#[test]
fn a_macro_is_defined_once_where_it_is_first_needed() {
    let (text, parts) = by(2, &many(500, "bool")).unwrap();
    assert!(parts > 3, "{parts} parts are no test");
    let defined: Vec<_> = text
        .match_indices("#define __btfleet__c23_bool bool\n")
        .collect();
    let used = text.find("\tint __btfleet__c23_bool;\n").unwrap();
    assert_eq!(defined.len(), 1, "{text}");
    assert!(defined[0].0 < used);
    assert_eq!(text.matches("\tint __btfleet__c23_bool;\n").count(), 8);
}

#[test]
fn of_several_errors_the_first_of_the_text_is_told_whoever_finds_one_first() {
    let blob = many(1300, "a");
    for threads in [1, 2, 5] {
        let error = by(threads, &blob).unwrap_err();
        assert!(
            error.contains("struct r0000 has two members called a"),
            "{error}"
        );
    }
}
