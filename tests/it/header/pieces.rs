//! A large header, written in pieces by several threads.

use std::thread;

use super::*;
use crate::support::btfgen::SIGNED;
use btfleet::btf::Btf;
use btfleet::dump::Writing;

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

/// The header as so many threads write it, and how many parts it came in.
fn by(threads: usize, blob: &[u8]) -> Result<(String, usize), String> {
    let btf = Btf::parse(blob).unwrap();
    let (mut text, mut parts) = (Vec::new(), 0);
    let take = |part: &[u8]| {
        text.extend_from_slice(part);
        parts += 1;
    };
    let writing = Writing::new(&btf, take, &|| ()).map_err(|e| e.to_string())?;
    thread::scope(|s| {
        for _ in 1..threads {
            s.spawn(|| writing.help());
        }
        writing.help();
    });
    let _ = writing.finish().map_err(|e| e.to_string())?;
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
