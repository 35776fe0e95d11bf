//! What docs/correctness.md promises of a header, a test for each claim, on BTF made small.
//!
//! Whole kernels are in `roundtrip`, `canonical` and `golden`; what means harm is in `hostile`.

mod dialects;
mod input;
mod layout;
mod names;
mod pieces;
mod text;
mod twins;

use std::fs;

use crate::support::btfgen::Graph;
use crate::support::btfwrite::{Form, encode, write};
use crate::support::cc::{self, CLANGS};
use crate::support::dump::header;
use crate::support::header::Header;
use crate::support::roundtrip::{Trip, check};

const STANDARDS: [&str; 3] = ["-std=gnu11", "-std=gnu17", "-std=gnu2x"];

/// A compiler and its arguments.
type Way = Vec<&'static str>;

/// Every compiler and standard that a header is promised to compile with.
fn every_way() -> Vec<Way> {
    let bpf = CLANGS.map(|clang| vec![clang, "-target", "bpf"]);
    let native = CLANGS.map(|clang| vec![clang, "-target", "x86_64-linux-gnu"]);
    let compilers = bpf.into_iter().chain(native).chain([vec!["gcc-12"]]);
    compilers
        .flat_map(|compiler| STANDARDS.map(|std| [&compiler[..], &[std]].concat()))
        .collect()
}

fn bpf() -> Vec<Way> {
    vec![vec!["clang-19", "-target", "bpf", "-std=gnu11"]]
}

/// Compiles the headers, in this order, and then `code`, in each of these ways; a warning is an error.
fn accepted(ways: &[Way], headers: &[&str], code: &str) -> Result<(), String> {
    let dir = cc::scratch();
    let mut unit = String::new();
    for (i, text) in headers.iter().enumerate() {
        fs::write(dir.path().join(format!("{i}.h")), text).unwrap();
        unit += &format!("#include \"{i}.h\"\n");
    }
    fs::write(dir.path().join("use.c"), unit + code + "\n").unwrap();
    let said = cc::in_parallel(ways, |way| {
        let strict = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only", "use.c"];
        let out = cc::run(way[0], &[&way[1..], &strict].concat(), dir.path());
        let why = || cc::head(&cc::text(&out.stderr), 8);
        (!out.status.success()).then(|| format!("{}:\n{}", way.join(" "), why()))
    });
    let said: Vec<String> = said.into_iter().flatten().collect();
    match said.is_empty() {
        true => Ok(()),
        false => Err(format!("{}\n{}", said.join("\n"), headers.join("\n"))),
    }
}

fn must_compile(ways: &[Way], headers: &[&str], code: &str) {
    accepted(ways, headers, code).unwrap_or_else(|e| panic!("{e}"));
}

/// The header of a graph, in little-endian BTF.
fn printed(g: &Graph) -> String {
    let text = header(&encode(g, &Form::default()), None).unwrap_or_else(|e| panic!("{e}"));
    String::from_utf8(text).unwrap()
}

/// The one line that a graph without a header ends in.
fn refused(g: &Graph) -> String {
    header(&encode(g, &Form::default()), None).expect_err("it has no header")
}

/// The headers of a base and of a module over it.
fn printed_split(base: &Graph, own: &Graph) -> (String, String) {
    let (base, own) = encode_split(base, own);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        text(header(&base, None).unwrap_or_else(|e| panic!("{e}"))),
        text(header(&own, Some(&base)).unwrap_or_else(|e| panic!("{e}"))),
    )
}

fn encode_split(base: &Graph, own: &Graph) -> (Vec<u8>, Vec<u8>) {
    let base = write(base, &Form::default(), b"");
    let strings = base.bytes[base.strings.clone()].to_vec();
    (base.bytes, write(own, &Form::default(), &strings).bytes)
}

/// Compiles the header in every way, and once to BTF in which every definition is the graph's; gives the text.
fn comes_back(g: &Graph) -> String {
    let text = printed(g);
    must_compile(&every_way(), &[&text], "");
    let bytes = encode(g, &Form::default());
    let report = check(&Trip {
        kernel: &bytes,
        base: None,
        header: &Header::new(text.clone(), None),
        clang: "clang-19",
        target: None,
    })
    .unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert!(report.is_perfect(), "{report}\n{text}");
    text
}

/// How often `word` stands in the text by itself.
fn count(text: &str, word: &str) -> usize {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|found| *found == word)
        .count()
}

/// The text between `start` and the next `end`, both included.
fn part<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let at = text
        .find(start)
        .unwrap_or_else(|| panic!("no {start:?} in\n{text}"));
    let length = text[at..]
        .find(end)
        .unwrap_or_else(|| panic!("no {end:?} in\n{text}"));
    &text[at..at + length + end.len()]
}
