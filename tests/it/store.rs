//! A store under use and under fault: publish, verify, kernels, get.

use crate::tool::{btfleet, file, large_kernel, run, small_kernel, snapshot, succeed, text};
use btfleet::artifact::{BtfDigest, HeaderDigest};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

const PUBLISH: [&str; 6] = ["publish", "k.btf", "--arch", "amd64", "--release", "6.1-x"];

/// A folder with one published kernel; its BTF.
fn published() -> (tempfile::TempDir, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let btf = small_kernel("task");
    file(dir.path(), "k.btf", &btf);
    succeed(dir.path(), PUBLISH);
    (dir, btf)
}

/// The objects of a store, temporary files too.
fn objects(folder: &Path) -> Vec<PathBuf> {
    let store = folder.join("btfleet-store");
    let files = snapshot(&store).into_iter().map(|(path, ..)| path);
    let files = files.filter(|path| path.is_file());
    files
        .map(|path| path.strip_prefix(&store).unwrap().to_owned())
        .collect()
}

/// The one object whose key begins like this.
fn object(folder: &Path, begins: &str) -> PathBuf {
    let mut found = objects(folder);
    found.retain(|path| path.starts_with(begins));
    assert_eq!(found.len(), 1, "{begins}: {found:?}");
    folder.join("btfleet-store").join(&found[0])
}

fn faults(folder: &Path) -> Vec<(String, String)> {
    let out = run(folder, ["verify", "-o", "json"]);
    let json: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| {
        panic!("{e}: {}", text(&out.stderr));
    });
    let faults = json["faults"].as_array().unwrap();
    assert_eq!(
        out.status.code(),
        Some(i32::from(!faults.is_empty())),
        "{json}"
    );
    let word = |v: &Value| v.as_str().unwrap().to_owned();
    faults
        .iter()
        .map(|f| (word(&f["key"]), word(&f["fault"])))
        .collect()
}

#[test]
fn the_first_run_writes_five_objects_and_the_second_nothing() {
    let (dir, btf) = published();
    let header = succeed(dir.path(), ["dump", "k.btf"]);
    let (b, h) = (
        BtfDigest::of(&btf).hex(),
        HeaderDigest::of(header.as_bytes()).hex(),
    );
    let want = [
        format!("btf/sha256/{b}.btf.zst"),
        format!("headers/sha256/{h}.h.zst"),
        format!("index/amd64/6.1-x/{b}"),
        format!("kernels/sha256/{b}/v1.json"),
        format!("refs/{b}/pin-local"),
    ];
    assert_eq!(objects(dir.path()), want.map(PathBuf::from));
    let before = snapshot(dir.path());
    let said = succeed(dir.path(), PUBLISH);
    assert!(
        said.contains("already published, nothing written"),
        "{said}"
    );
    // Folders too: not even a temporary file came and went.
    assert_eq!(snapshot(dir.path()), before);
    assert_eq!(faults(dir.path()), []);

    // Another name and another pin are one object each.
    let said = succeed(
        dir.path(),
        [
            "publish",
            "k.btf",
            "--arch",
            "x86_64",
            "--release",
            "6.1+b~1",
            "--pin",
            "mine",
        ],
    );
    assert_eq!(said.matches("  wrote ").count(), 2, "{said}");
    assert!(
        said.contains(&format!("index/amd64/6.1%2Bb%7E1/{b}")),
        "{said}"
    );
    assert!(said.contains(&format!("refs/{b}/pin-mine")), "{said}");
    assert_eq!(faults(dir.path()), []);
}

#[test]
fn the_running_kernel_is_published_under_its_own_name() {
    let dir = tempfile::tempdir().unwrap();
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        // Then the promise is another one.
        let said = text(&run(dir.path(), ["publish"]).stderr);
        assert!(said.contains("CONFIG_DEBUG_INFO_BTF=y"), "{said}");
        return;
    }
    let start = Instant::now();
    let said = succeed(dir.path(), ["publish"]);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert!(said.contains(release.trim()), "{said}");
    let got = succeed(dir.path(), ["get", release.trim()]);
    assert_eq!(got, succeed(dir.path(), ["dump"]));
    assert_eq!(faults(dir.path()), []);
}

#[test]
fn a_publisher_killed_at_any_moment_leaves_nothing_half_done() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "k.btf", &large_kernel(40_000));
    let start = Instant::now();
    succeed(dir.path(), PUBLISH);
    let whole = start.elapsed();
    let store = dir.path().join("btfleet-store");
    let mut cut_short = 0;
    for n in 0..30u32 {
        fs::remove_dir_all(&store).unwrap();
        let mut child = btfleet(dir.path())
            .args(PUBLISH)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Spread over the whole run, in an order without a pattern.
        std::thread::sleep(whole * (n * 17 % 30) / 30);
        child.kill().unwrap();
        child.wait().unwrap();
        // Whatever is visible is right: what verify misses is only what is not there yet.
        if objects(dir.path())
            .iter()
            .any(|p| !p.to_string_lossy().contains('~'))
        {
            for (key, fault) in faults(dir.path()) {
                cut_short += 1;
                assert!(fault.contains("cut short"), "{key}: {fault}");
            }
        }
        succeed(dir.path(), PUBLISH);
        assert_eq!(faults(dir.path()), []);
    }
    assert!(cut_short > 0, "no run was cut short");
}

#[test]
fn leftovers_of_killed_publishers_are_never_shown_and_go_when_old() {
    let (dir, _) = published();
    let folder = object(dir.path(), "btf").parent().unwrap().to_owned();
    let temp = file(&folder, "~btfleet-Xy12", b"half");
    assert_eq!(faults(dir.path()), []);
    succeed(dir.path(), PUBLISH);
    assert!(temp.exists(), "it may be another publisher's, at work");
    let old = SystemTime::now() - Duration::from_secs(2 * 3600);
    fs::File::open(&temp).unwrap().set_modified(old).unwrap();
    succeed(dir.path(), PUBLISH);
    assert!(!temp.exists());
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let input = file(dir.path(), "k.btf", &large_kernel(40_000));
    let small = dir.path().join("small");
    fs::create_dir(&small).unwrap();
    let mount = |args: &[&str]| Command::new("mount").args(args).arg(&small).status();
    let mounted = mount(&["-t", "tmpfs", "-o", "size=100k", "tmpfs"]).is_ok_and(|s| s.success());
    let out = if mounted {
        run(&small, ["publish", input.to_str().unwrap()])
    } else {
        // Without the right to mount: a limit on the size of files, whose signal is ignored.
        let mut sh = Command::new("sh");
        sh.args([
            "-c",
            "trap '' XFSZ; ulimit -f 100; exec \"$0\" publish \"$1\"",
        ])
        .arg(env!("CARGO_BIN_EXE_btfleet"))
        .arg(&input)
        .current_dir(&small);
        sh.output().unwrap()
    };
    let left = objects(&small);
    if mounted {
        assert!(
            Command::new("umount")
                .arg(&small)
                .status()
                .unwrap()
                .success()
        );
    }
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let known = said.contains("No space left") || said.contains("File too large");
    assert!(
        known && said.contains("nothing was left half written"),
        "{said}"
    );
    // The reference came first, and fits; of the blobs there is not even a temporary file.
    let blobs: Vec<_> = left.iter().filter(|p| !p.starts_with("refs")).collect();
    assert!(blobs.len() <= 1, "{left:?}");
    assert!(
        left.iter().all(|p| !p.to_string_lossy().contains('~')),
        "{left:?}"
    );
}

#[test]
fn many_publishers_of_one_kernel_leave_one_object_each() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "k.btf", &large_kernel(5_000));
    let publishers: Vec<_> = (0..20)
        .map(|_| {
            let mut command = btfleet(dir.path());
            command
                .args(PUBLISH)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let mut wrote = 0;
    for publisher in publishers {
        let out = publisher.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", text(&out.stderr));
        wrote += text(&out.stdout).matches("  wrote ").count();
    }
    assert_eq!(objects(dir.path()).len(), 5);
    assert_eq!(wrote, 5, "each object was written once");
    assert_eq!(faults(dir.path()), []);
}

#[test]
fn whatever_was_tampered_with_is_found_under_its_key_and_repaired_by_publishing_again() {
    type Tamper = fn(&Path);
    let cases: [(&str, Tamper, &str, &str); 14] = [
        (
            "a flipped byte in the BTF",
            |d| flip(&object(d, "btf")),
            "btf/",
            "",
        ),
        (
            "a flipped byte in the header",
            |d| flip(&object(d, "headers")),
            "headers/",
            "",
        ),
        ("a BTF cut short", |d| cut(&object(d, "btf")), "btf/", ""),
        (
            "an empty header",
            |d| fs::write(object(d, "headers"), b"").unwrap(),
            "headers/",
            "",
        ),
        (
            "another kernel's BTF",
            |d| other(&object(d, "btf"), b"other"),
            "btf/",
            "expected sha256:",
        ),
        (
            "another header",
            |d| other(&object(d, "headers"), b"int evil;"),
            "headers/",
            "expected sha256:",
        ),
        (
            "a bomb",
            |d| other(&object(d, "btf"), &vec![0; 300 << 20]),
            "btf/",
            "more than 268435456 bytes",
        ),
        (
            "a manifest of another size",
            |d| edit(&object(d, "kernels"), "\"btfSize\": ", "\"btfSize\": 1"),
            "kernels/",
            "bytes",
        ),
        (
            "a manifest of another byte order",
            |d| edit(&object(d, "kernels"), "little", "big"),
            "kernels/",
            "the BTF is little-endian",
        ),
        (
            "a manifest of another kernel",
            |d| {
                edit(
                    &object(d, "kernels"),
                    "\"btfDigest\": \"sha256:",
                    "\"btfDigest\": \"sha256:0",
                )
            },
            "kernels/",
            "",
        ),
        (
            "a manifest that is not JSON",
            |d| fs::write(object(d, "kernels"), b"{").unwrap(),
            "kernels/",
            "not readable",
        ),
        (
            "an index entry that is not empty",
            |d| fs::write(object(d, "index"), b"x").unwrap(),
            "index/",
            "should be empty",
        ),
        (
            "a header that is gone",
            |d| fs::remove_file(object(d, "headers")).unwrap(),
            "kernels/",
            "not in the store",
        ),
        (
            "a manifest that is gone",
            |d| fs::remove_file(object(d, "kernels")).unwrap(),
            "btf/",
            "no manifest",
        ),
    ];
    for (what, tamper, key, phrase) in cases {
        let (dir, _) = published();
        tamper(dir.path());
        let found = faults(dir.path());
        let told = found
            .iter()
            .any(|(k, f)| k.starts_with(key) && f.contains(phrase));
        assert!(told, "{what}: {found:?}");
        succeed(dir.path(), PUBLISH);
        assert_eq!(faults(dir.path()), [], "{what}, after publishing again");
    }
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() - 5]).unwrap();
}

fn other(path: &Path, contents: &[u8]) {
    fs::write(path, btfleet::artifact::compress(contents).unwrap()).unwrap();
}

fn edit(path: &Path, from: &str, to: &str) {
    let json = fs::read_to_string(path).unwrap();
    assert!(json.contains(from), "{json}");
    fs::write(path, json.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_manifest_that_names_a_wrong_header_is_found_and_get_hands_on_nothing() {
    let (dir, _) = published();
    file(dir.path(), "other.btf", &small_kernel("other"));
    succeed(dir.path(), ["publish", "other.btf"]);
    // Every blob is what its name says; only the manifest lies.
    let header = |name: &str| {
        let text = succeed(dir.path(), ["dump", name]);
        (HeaderDigest::of(text.as_bytes()).to_string(), text.len())
    };
    let ((own, size), (wrong, wrong_size)) = (header("k.btf"), header("other.btf"));
    let manifests = objects(dir.path())
        .into_iter()
        .filter(|p| p.starts_with("kernels"));
    for path in manifests.map(|p| dir.path().join("btfleet-store").join(p)) {
        let json = fs::read_to_string(&path).unwrap();
        let json = json.replace(&own, &wrong);
        let json = json.replace(
            &format!("\"headerSize\": {size}"),
            &format!("\"headerSize\": {wrong_size}"),
        );
        fs::write(path, json).unwrap();
    }
    let found = faults(dir.path());
    assert!(
        found
            .iter()
            .any(|(k, f)| k.starts_with("kernels/") && f.contains("made from the BTF")),
        "{found:?}"
    );
    let out = run(dir.path(), ["get", "6.1-x", "-o", "v.h"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(!dir.path().join("v.h").exists());
    assert!(text(&out.stderr).contains("publishing the kernel again repairs it"));
    succeed(dir.path(), PUBLISH);
    succeed(dir.path(), ["get", "6.1-x"]);
}

#[test]
fn names_that_lead_nowhere_are_faults() {
    let (dir, _) = published();
    let store = dir.path().join("btfleet-store");
    let absent = BtfDigest::of(b"absent").hex();
    let strange = [
        format!("refs/{absent}/pin-local"),
        format!("index/amd64/9.9/{absent}"),
        "btf/sha256/README".to_owned(),
        "headers/stray".to_owned(),
    ];
    for key in &strange {
        fs::create_dir_all(store.join(key).parent().unwrap()).unwrap();
        fs::write(store.join(key), b"").unwrap();
    }
    // What is none of our folders is none of our business.
    fs::write(store.join("README.md"), b"").unwrap();
    let mut keys: Vec<String> = faults(dir.path()).into_iter().map(|(key, _)| key).collect();
    keys.sort();
    let mut want = strange.to_vec();
    want.sort();
    assert_eq!(keys, want);
}

#[test]
fn get_checks_before_a_byte_is_written() {
    for what in ["--header", "--btf"] {
        for tamper in [
            flip as fn(&Path),
            cut,
            |p| other(p, b"evil"),
            |p| fs::write(p, b"").unwrap(),
        ] {
            let (dir, _) = published();
            let folder = if what == "--btf" { "btf" } else { "headers" };
            tamper(&object(dir.path(), folder));
            let out = run(dir.path(), ["get", "6.1-x", what]);
            assert_eq!(out.status.code(), Some(1), "{what}");
            assert!(out.stdout.is_empty(), "{what}");
            assert!(
                text(&out.stderr).contains(&format!("{folder}/sha256/")),
                "{}",
                text(&out.stderr)
            );
            let out = run(dir.path(), ["get", "6.1-x", what, "-o", "v.h"]);
            assert_eq!(out.status.code(), Some(1), "{what}");
            assert!(!dir.path().join("v.h").exists(), "{what}");
        }
    }
}

#[test]
fn a_kernel_is_found_by_every_name_that_fits_it_alone() {
    let (dir, btf) = published();
    let header = succeed(dir.path(), ["dump", "k.btf"]);
    let digest = BtfDigest::of(&btf);
    let (id, hex) = (digest.kernel_id().to_string(), digest.hex());
    for name in [
        "6.1-x",
        "release/amd64/6.1-x",
        "release/x86_64/6.1-x",
        &digest.to_string(),
        &HeaderDigest::of(header.as_bytes()).to_string(),
        &id,
        &id[..8],
        &hex,
    ] {
        let out = run(dir.path(), ["get", name]);
        assert_eq!(text(&out.stdout), header, "{name}: {}", text(&out.stderr));
        let said = text(&out.stderr);
        assert!(
            said.lines()
                .next()
                .unwrap()
                .contains("store ./btfleet-store"),
            "{said}"
        );
    }
    let got = btfleet(dir.path())
        .args(["get", &id, "--btf"])
        .output()
        .unwrap();
    assert_eq!(got.stdout, btf);
    let manifest = succeed(dir.path(), ["get", &id, "--manifest"]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["btfDigest"], digest.to_string());
    assert_eq!(manifest["headerSize"], header.len());

    file(dir.path(), "other.btf", &small_kernel("other"));
    let args = [
        "publish",
        "other.btf",
        "--arch",
        "amd64",
        "--release",
        "6.1-x",
    ];
    succeed(dir.path(), args);
    for (name, phrase) in [
        ("6.1-x", "fits 2 kernels"),
        ("release/amd64/6.1-x", "fits 2 kernels"),
        ("release/arm64/6.1-x", "no kernel"),
        ("release/6.1-x", "release/ARCH/RELEASE"),
        ("release/vax/6.1-x", "known arch"),
        ("nosuch", "no kernel"),
        (&id[..7], "no kernel"),
        ("sha256:abc", "64 lower-case"),
        ("node/worker-1", "cluster"),
    ] {
        let out = run(dir.path(), ["get", name]);
        assert_eq!(out.status.code(), Some(1), "{name}");
        assert!(
            text(&out.stderr).contains(phrase),
            "{name}: {}",
            text(&out.stderr)
        );
    }
    let out = run(dir.path(), ["get", "x", "--store", "elsewhere"]);
    assert!(text(&out.stderr).contains("there is nothing in the store elsewhere"));
}

#[test]
fn a_missing_header_is_made_from_the_btf() {
    let (dir, _) = published();
    let header = succeed(dir.path(), ["dump", "k.btf"]);
    fs::remove_file(object(dir.path(), "headers")).unwrap();
    assert_eq!(succeed(dir.path(), ["get", "6.1-x"]), header);
    fs::remove_file(object(dir.path(), "kernels")).unwrap();
    assert_eq!(succeed(dir.path(), ["get", "6.1-x"]), header);
    let out = run(dir.path(), ["get", "6.1-x", "--generator", "77"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("generator 77"));
}

#[test]
fn a_bad_input_among_many_keeps_none_of_the_others() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "a.btf", &small_kernel("a"));
    file(dir.path(), "bad", b"no BTF at all");
    file(dir.path(), "b.btf", &small_kernel("b"));
    let out = run(dir.path(), ["publish", "a.btf", "bad", "missing", "b.btf"]);
    assert_eq!(out.status.code(), Some(1));
    let said = text(&out.stderr);
    assert!(said.contains("bad was not published: not BTF"), "{said}");
    assert!(said.contains("2 of 4 inputs were not published"), "{said}");
    assert_eq!(faults(dir.path()), []);
    let ids = succeed(dir.path(), ["kernels", "-o", "name"]);
    assert_eq!(ids.lines().count(), 2);
}

#[test]
fn mix_ups_are_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "k.btf", &small_kernel("k"));
    crate::tool::compile_bpf(dir.path(), "prog", "struct s { int a; } s;");
    for (args, phrase) in [
        (
            &["publish", "k.btf", "--arch", "s390x"][..],
            "no s390x machine",
        ),
        (&["publish", "k.btf", "--arch", "arm"], "no arm machine"),
        (&["publish", "k.btf", "--arch", "vax"], "known arch"),
        (&["publish", "k.btf", "--release", ".."], "kernel release"),
        (&["publish", "k.btf", "--pin", "a/b"], "pin name"),
        (
            &["publish", "k.btf", "k.btf", "--release", "6.1"],
            "one kernel",
        ),
        (&["publish", "prog.o"], "not a kernel"),
        (
            &["publish", "k.btf", "--store", "gs://bucket/x"],
            "s3://BUCKET/PREFIX",
        ),
        (&["publish", "k.btf", "--store", "k.btf"], "not a folder"),
        (&["publish", "k.btf", "--store", ""], "no folder is named"),
    ] {
        let out = run(dir.path(), args);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{args:?}");
        assert!(said.contains(phrase), "{args:?}: {said}");
        assert_eq!(objects(dir.path()), [] as [PathBuf; 0], "{args:?}");
    }
}

#[test]
fn kernels_are_listed_for_people_and_programs() {
    let (dir, btf) = published();
    let id = BtfDigest::of(&btf).kernel_id().to_string();
    assert_eq!(
        succeed(dir.path(), ["kernels", "-o", "name"]),
        format!("{id}\n")
    );
    let table = succeed(dir.path(), ["kernels"]);
    let row = table.lines().nth(1).unwrap();
    for word in [
        &id[..12],
        "amd64",
        "6.1-x",
        "pin-local",
        &btf.len().to_string(),
    ] {
        assert!(row.contains(word), "{word}: {table}");
    }
    let json: Value =
        serde_json::from_str(&succeed(dir.path(), ["kernels", "-o", "json"])).unwrap();
    let kernel = &json["kernels"][0];
    assert_eq!(kernel["kernelId"], id);
    assert_eq!(kernel["releases"][0], "6.1-x");
    assert_eq!(kernel["generators"][0], 1);
    assert_eq!(kernel["byteOrder"], "little");
    // A manifest that cannot be read hides no kernel.
    fs::write(object(dir.path(), "kernels"), b"{").unwrap();
    assert_eq!(
        succeed(dir.path(), ["kernels", "-o", "name"]),
        format!("{id}\n")
    );
    assert_eq!(
        succeed(dir.path(), ["kernels", "-o", "name", "--store", "none"]),
        ""
    );
}

#[test]
fn the_environment_gives_what_flags_do_not() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "k.btf", &small_kernel("k"));
    let said = btfleet(dir.path())
        .args(["publish", "k.btf"])
        .env("BTFLEET_STORE", "file://there")
        .env("BTFLEET_ARCH", "arm64")
        .env("BTFLEET_RELEASE", "6.6")
        .env("BTFLEET_PIN", "env")
        .output()
        .unwrap();
    let said = text(&said.stdout);
    assert!(
        said.contains("index/arm64/6.6/") && said.contains("/pin-env"),
        "{said}"
    );
    assert!(said.contains("--store there"), "{said}");
    succeed(dir.path(), ["verify", "--store", "there"]);
}
