//! `btfleet diff`: what it finds, what it leaves alone, and how it ends.

use crate::support::hostile;
use crate::tool::{Tiny, compile_bpf, file, run, small_kernel, succeed, text};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The difference of two C sources, as JSON; the exit code must agree with it.
fn diff(folder: &Path, a: &str, b: &str) -> Value {
    compile_bpf(folder, "a", a);
    compile_bpf(folder, "b", b);
    let out = run(folder, ["diff", "a.o", "b.o", "--format", "json"]);
    let json: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| {
        panic!("{e}: {}", text(&out.stderr));
    });
    let differ = json["differ"] == true;
    assert_eq!(out.status.code(), Some(i32::from(differ)), "{json}");
    json
}

fn named<'j>(json: &'j Value, name: &str) -> &'j Value {
    let types = json["types"].as_array().unwrap();
    types
        .iter()
        .find(|t| t["name"] == name)
        .unwrap_or_else(|| panic!("nothing of {name}: {json}"))
}

/// Members as `name: bits at, bits long → bits at, bits long`.
fn members(ty: &Value) -> Vec<String> {
    let place = |p: &Value| match p {
        Value::Null => "-".to_owned(),
        p => {
            let field = if p["bitField"] == true { "b" } else { "" };
            format!("{}+{}{field}", p["bitOffset"], p["bitSize"])
        }
    };
    let all = ty["members"].as_array().into_iter().flatten();
    all.map(|m| {
        format!(
            "{} {} {}",
            m["name"].as_str().unwrap(),
            place(&m["from"]),
            place(&m["to"])
        )
    })
    .collect()
}

#[test]
fn members_that_appeared_vanished_moved_or_changed_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let json = diff(
        dir.path(),
        "struct s { int stays; int gone; long moves; short grows; int f : 3, g : 2; } s;",
        "struct s { int stays; char *new; long moves; int grows; int f : 4, g : 2; } s;",
    );
    let s = named(&json, "s");
    assert_eq!(s["change"], "changed");
    assert_eq!(s["size"], serde_json::json!({"from": 24, "to": 32}));
    assert_eq!(
        members(s),
        [
            "gone 32+32 -",
            "new - 64+64",
            "moves 64+64 128+64",
            "grows 128+16 192+32",
            "f 144+3b 224+4b",
            "g 147+2b 228+2b",
        ],
        "{s}"
    );
}

#[test]
fn what_is_inside_unnamed_records_is_told_by_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let json = diff(
        dir.path(),
        "struct s { union { int a; struct { char x, y; }; }; struct { int p; } q, r[2]; } s;",
        "struct s { union { int a; struct { char x, z; }; }; struct { int p; } q; struct { long p; } r[2]; } s;",
    );
    assert_eq!(
        members(named(&json, "s")),
        ["y 8+8 -", "z - 8+8", "r 64+64 64+128", "r[].p 64+32 64+64"],
        "{json}"
    );
}

#[test]
fn types_enumerators_typedefs_and_kfuncs_are_compared() {
    let dir = tempfile::tempdir().unwrap();
    let kfunc = |ty: &str| {
        format!(
            "extern int acquire({ty}) __attribute__((section(\".ksyms\"))) __attribute__((btf_decl_tag(\"bpf_kfunc\")));
             extern int plain({ty});
             int f(void) {{ return acquire(0) + plain(0); }}\n"
        )
    };
    let json = diff(
        dir.path(),
        &format!(
            "typedef int num; num n; enum e {{ A, B, C }} e; enum {{ FIRST = 1, LAST = 2 }} u;
             struct old {{ int x; }} o; {}",
            kfunc("int")
        ),
        &format!(
            "typedef long num; num n; enum e {{ A, B = 7, D = -1 }} e; enum {{ FIRST = 1, LAST = 3 }} u;
             union new_one {{ int x; }} o; {}",
            kfunc("long")
        ),
    );
    assert_eq!(named(&json, "old")["change"], "vanished");
    assert_eq!(named(&json, "new_one")["change"], "appeared");
    assert_eq!(named(&json, "new_one")["class"], "union");
    assert_eq!(
        named(&json, "num")["type"],
        serde_json::json!({"from": "int", "to": "long"})
    );
    assert_eq!(
        named(&json, "num")["size"],
        serde_json::json!({"from": 4, "to": 8})
    );
    let e = named(&json, "e");
    assert_eq!(e["signed"], serde_json::json!({"from": false, "to": true}));
    let want = serde_json::json!([
        {"name": "B", "from": 1, "to": 7},
        {"name": "C", "from": 2, "to": null},
        {"name": "D", "from": null, "to": -1},
    ]);
    assert_eq!(e["enumerators"], want);
    let types = json["types"].as_array().unwrap();
    let constants = types.iter().find(|t| t["class"] == "constants").unwrap();
    let want = serde_json::json!([{"name": "LAST", "from": 2, "to": 3}]);
    assert_eq!(constants["enumerators"], want);
    let acquire = named(&json, "acquire");
    assert_eq!(acquire["prototype"]["from"], "int acquire(int)");
    assert_eq!(acquire["prototype"]["to"], "int acquire(long)");
    assert!(!types.iter().any(|t| t["name"] == "plain"), "{json}");
}

#[test]
fn a_record_whose_part_grew_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let json = diff(
        dir.path(),
        "struct in { int x; }; struct out { struct in in; struct in *far; } o;",
        "struct in { int x, y; }; struct out { struct in in; struct in *far; } o;",
    );
    assert_eq!(members(named(&json, "out")), ["in 0+32 0+64"], "{json}");
    assert_eq!(members(named(&json, "in")), ["y - 32+32"]);
}

#[test]
fn order_ids_and_the_names_of_parameters_make_no_difference() {
    let dir = tempfile::tempdir().unwrap();
    let json = diff(
        dir.path(),
        "struct a { int x; void (*f)(int one); } a; struct b { struct a *a; enum { Q } q; } b;",
        "struct a; struct b { struct a *a; enum { Q } q; } b; struct a { int x; void (*f)(int uno); } a;",
    );
    assert_eq!(json["differ"], false, "{json}");
}

#[test]
fn equal_twins_are_paired_before_different_ones() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = |records: &[&[&str]]| {
        let mut tiny = Tiny::kernel();
        for members in records {
            tiny.record("twin", members);
        }
        tiny.bytes()
    };
    file(dir.path(), "a", &kernel(&[&["x"], &["x", "y"], &["x"]]));
    file(dir.path(), "b", &kernel(&[&["x", "z"], &["x"]]));
    let out = run(dir.path(), ["diff", "./a", "./b", "--format", "json"]);
    let json: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json["same"], 1, "{json}");
    assert_eq!(json["types"].as_array().unwrap().len(), 1, "{json}");
    assert_eq!(members(named(&json, "twin")), ["y 32+32 -", "z - 32+32"]);
}

#[test]
fn modules_are_compared_over_a_base_each() {
    let dir = tempfile::tempdir().unwrap();
    for (name, record, member) in [
        ("a", "only_a", "old"),
        ("b", "a_name_longer_than_all_strings_of_the_module", "new"),
    ] {
        let mut base = Tiny::kernel();
        base.record(record, &["x"]);
        file(dir.path(), &format!("{name}.btf"), &base.bytes());
        let mut module = Tiny::module(&base);
        module.record("mine", &["same", member]);
        file(dir.path(), &format!("{name}-mod"), &module.bytes());
    }
    let bases = ["--base", "a.btf", "--base", "b.btf"];
    let args = ["diff", "a-mod", "b-mod", "--format", "json"];
    let out = run(dir.path(), args.iter().chain(&bases));
    let json: Value = serde_json::from_slice(&out.stdout).unwrap();
    // What the bases have is not theirs.
    assert_eq!(json["types"].as_array().unwrap().len(), 1, "{json}");
    assert_eq!(
        members(named(&json, "mine")),
        ["old 32+32 -", "new - 32+32"]
    );
    let out = run(dir.path(), args.iter().chain(&bases[..2]));
    assert_eq!(
        out.status.code(),
        Some(2),
        "b's module does not go on from a's base"
    );
}

#[test]
fn text_is_grouped_and_ends_in_a_summary() {
    let dir = tempfile::tempdir().unwrap();
    compile_bpf(
        dir.path(),
        "a",
        "struct s { int a; long b; } s; struct old { int x; } o;",
    );
    compile_bpf(
        dir.path(),
        "b",
        "struct s { int a, c; long b; const char *d; } s; struct new { int x; } o;",
    );
    let out = run(dir.path(), ["diff", "a.o", "b.o"]);
    assert_eq!(
        text(&out.stdout),
        "appeared:\n  + struct new (4 bytes)\n\nvanished:\n  - struct old (4 bytes)\n\nchanged:\n  \
         struct s: size 16 → 24\n    + c: int, at 4, 4 bytes\n    + d: const char *, at 16, 8 bytes\n\n\
         1 appeared, 1 vanished, 1 changed, 0 the same\n"
    );
    let only = succeed(dir.path(), ["diff", "a.o", "a.o", "--type", "struct s"]);
    assert_eq!(only, "no difference in 1 type\n");
}

#[test]
fn trouble_is_told_apart_from_a_difference() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "a", &small_kernel("a"));
    file(dir.path(), "b", &small_kernel("b"));
    for (args, code) in [
        (&["diff", "a", "a"][..], 0),
        (&["diff", "a", "b"], 1),
        (&["diff", "a", "missing"], 2),
        (&["diff", "a"], 2),
        (&["diff", "a", "b", "--type", "nosuch"], 2),
        (&["diff", "a", "b", "--type", "a"], 1),
        (&["diff", "a", "b", "--store", "s3://x"], 2),
    ] {
        let out = run(dir.path(), args);
        assert_eq!(
            out.status.code(),
            Some(code),
            "{args:?}: {}",
            text(&out.stderr)
        );
    }
}

#[test]
fn a_word_that_is_a_file_and_a_kernel_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "k.btf", &small_kernel("k"));
    let args = ["publish", "k.btf", "--arch", "amd64", "--release", "6.1-x"];
    succeed(dir.path(), args);
    file(dir.path(), "6.1-x", &small_kernel("other"));
    let out = run(dir.path(), ["diff", "6.1-x", "k.btf"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(
        text(&out.stderr).contains("a file and a kernel"),
        "{}",
        text(&out.stderr)
    );
    assert_eq!(
        run(dir.path(), ["diff", "./6.1-x", "k.btf"]).status.code(),
        Some(1)
    );
    succeed(dir.path(), ["diff", "release/amd64/6.1-x", "k.btf"]);
}

#[test]
fn hostile_types_end_soon_and_in_little_output() {
    let dir = tempfile::tempdir().unwrap();
    // Unnamed unions that double at each level, opened up to where it is enough; they differ at the bottom.
    let doubling = |bottom: &str| {
        let mut tiny = Tiny::kernel();
        let mut below = tiny.record("", &[bottom]);
        for _ in 0..40 {
            below = tiny.pair("", below);
        }
        tiny.pair("top", below);
        tiny.bytes()
    };
    file(dir.path(), "double-a", &doubling("x"));
    file(dir.path(), "double-b", &doubling("y"));
    let many = |name: &str| {
        let mut tiny = Tiny::kernel();
        for n in 0..60_000 {
            tiny.record("twin", &[&format!("{name}{n}")]);
        }
        tiny.bytes()
    };
    file(dir.path(), "many-a", &many("x"));
    file(dir.path(), "many-b", &many("y"));
    let deep = |size: u32| {
        let mut tiny = Tiny::kernel();
        let mut below = tiny.int("bottom", size);
        for _ in 0..100_000 {
            below = tiny.pair("", below);
        }
        tiny.pair("top", below);
        tiny.bytes()
    };
    file(dir.path(), "deep-a", &deep(4));
    file(dir.path(), "deep-b", &deep(8));
    // Members whose names are all one string, the longest there can be, from another byte on.
    let long = |size: u32| {
        let mut tiny = Tiny::kernel();
        let first = tiny.string(&"n".repeat(2_000));
        for n in 0..30 {
            tiny.record_of(first + n, (0..60).map(|m| first + 30 * m + n), size);
        }
        tiny.bytes()
    };
    file(dir.path(), "long-a", &long(240));
    file(dir.path(), "long-b", &long(244));
    // A path of 30,000 names, of which every one moved.
    let path = |before: u32| {
        let mut tiny = Tiny::kernel();
        let m = tiny.string("m");
        let below = (0..30_000).fold(2, |below, _| tiny.nested("", 0, m, below));
        tiny.nested("top", before, m, below);
        tiny.bytes()
    };
    file(dir.path(), "path-a", &path(0));
    file(dir.path(), "path-b", &path(4));
    // A union that lies in itself, twice: its id is the third.
    let within = |member: u32| {
        let mut tiny = Tiny::kernel();
        tiny.pair("top", member);
        tiny.bytes()
    };
    file(dir.path(), "within-a", &within(3));
    file(dir.path(), "within-b", &within(2));
    // A record of many members, many times in another one.
    let wide = |last: &str| {
        let mut tiny = Tiny::kernel();
        let names: Vec<String> = (0..3000).map(|n| format!("m{n}")).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.push(last);
        let below = tiny.record("", &names);
        tiny.alike("top", below, 30_000);
        tiny.bytes()
    };
    file(dir.path(), "wide-a", &wide("x"));
    file(dir.path(), "wide-b", &wide("y"));
    for (name, most) in [
        ("double", 100 << 10),
        ("many", 20 << 20),
        ("deep", 20 << 20),
        ("long", 20 << 20),
        ("path", 20 << 20),
        ("within", 100 << 10),
        ("wide", 20 << 20),
    ] {
        let start = Instant::now();
        let out = run(
            dir.path(),
            ["diff", &format!("{name}-a"), &format!("{name}-b")],
        );
        assert_eq!(out.status.code(), Some(1), "{name}: {}", text(&out.stderr));
        let took = start.elapsed();
        assert!(took < Duration::from_secs(10), "{name} took {took:?}");
        assert!(
            out.stdout.len() < most,
            "{name}: {} bytes",
            out.stdout.len()
        );
        println!("{name}: {took:?}, {} bytes", out.stdout.len());
    }
}

#[test]
fn hostile_kernels_cost_diff_and_json_little() {
    let cases = hostile::all();
    let (left, right) = cases.split_at(cases.len() / 2);
    let failures = std::thread::scope(|s| {
        let other = s.spawn(|| costly(right));
        let mut failures = costly(left);
        failures.extend(other.join().unwrap());
        failures
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The cases that do not end as they must: soon, in little memory, with at most one line on stderr.
fn costly(cases: &[hostile::Case]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "good", &small_kernel("good"));
    let mut failures = Vec::new();
    for case in cases {
        file(dir.path(), "in", &case.input);
        let mut base = "";
        if let Some(bytes) = &case.base {
            file(dir.path(), "base", bytes);
            base = "--base base";
        }
        // One shell for all three. The limits hold for the header too, but for one on what is printed.
        let script = format!(
            "ulimit -d 262144 -s 512; ulimit -f 100000; ulimit -S -t 2
            for args in {}; do \"$0\" $args {base} >out 2>err; echo \"$? $(wc -l <err) $args\"; done",
            r#"'diff ./in ./in' 'diff ./in ./good' 'dump ./in --format json'"#
        );
        let mut bash = Command::new("bash");
        bash.args(["-c", &script, env!("CARGO_BIN_EXE_btfleet")]);
        let out = bash.current_dir(dir.path()).output().unwrap();
        let ended = text(&out.stdout);
        // Exit code and lines on stderr, then the command.
        let well = |line: &&str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            matches!(words[..2], ["0" | "1" | "2", "0" | "1"])
        };
        assert_eq!(ended.lines().count(), 3, "{}: {ended}", case.name);
        let ill = ended.lines().filter(|line| !well(line));
        failures.extend(ill.map(|line| format!("{}: {line}", case.name)));
    }
    failures
}
