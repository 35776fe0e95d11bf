//! `btfleet import`: BTFHub's archives, plain files, and what pretends to be either.

use crate::site::Site;
use crate::tool::{file, large_kernel, small_kernel, text};
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// An archive as BTFHub makes them.
fn archive(member: &str, btf: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(btf.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, member, btf).unwrap();
    xz(&tar.into_inner().unwrap()[..])
}

fn xz(mut bytes: impl Read) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut to = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    io::copy(&mut bytes, &mut to).unwrap();
    to.finish().unwrap()
}

fn hub(folder: &Path, place: &str, bytes: &[u8]) {
    let path = folder.join(place);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_folder_as_btfhub_has_it_is_imported_and_pinned() {
    Site::each(|site| {
        let kernels = [
            (
                "ubuntu/18.04/x86_64/4.15.0-20-generic",
                "amd64",
                "4.15.0-20-generic",
            ),
            ("debian/10/arm64/4.19.0+deb~1", "arm64", "4.19.0+deb~1"),
        ];
        for (place, _, release) in kernels {
            let bytes = archive(&format!("{release}.btf"), &small_kernel(release));
            hub(site.path(), &format!("hub/{place}.btf.tar.xz"), &bytes);
        }
        hub(
            site.path(),
            "hub/plain/s/arm64/6.9.btf",
            &small_kernel("plain"),
        );
        hub(site.path(), "hub/README.md", b"no kernel");
        let said = site.succeed(["import", "hub", "--pin", "hub"]);
        assert!(
            said.contains("3 files: 3 imported, 0 already there, 0 failed"),
            "{said}"
        );
        assert!(
            said.contains("kept in") && said.contains("pin-hub"),
            "{said}"
        );
        for (_, arch, release) in kernels {
            file(site.path(), "k.btf", &small_kernel(release));
            let header = site.succeed(["dump", "k.btf"]);
            assert_eq!(
                site.succeed(["get", &format!("release/{arch}/{release}")]),
                header
            );
        }
        site.succeed(["get", "release/arm64/6.9"]);
        // What two kernels of the store differ in is its types' names.
        let differ = site.run(["diff", "4.15.0-20-generic", "release/arm64/6.9"]);
        assert_eq!(differ.status.code(), Some(1), "{}", text(&differ.stderr));
        assert!(
            text(&differ.stdout).contains("plain"),
            "{}",
            text(&differ.stdout)
        );
        site.succeed(["verify"]);
        let said = site.succeed(["import", "hub", "--pin", "hub"]);
        assert!(
            said.contains("3 files: 0 imported, 3 already there"),
            "{said}"
        );
    });
}

#[test]
fn a_file_anywhere_else_needs_to_be_told() {
    let site = Site::folder();
    file(site.path(), "some.btf", &small_kernel("some"));
    let said = site.fail(["import", "some.btf"]);
    assert!(said.contains("--arch and --release tell"), "{said}");
    let said = site.fail(["import", "some.btf", "--arch", "s390x", "--release", "6.1"]);
    assert!(said.contains("no s390x machine"), "{said}");
    site.succeed(["import", "some.btf", "--arch", "x86_64", "--release", "6.1"]);
    site.succeed(["get", "release/amd64/6.1"]);
    hub(site.path(), "hub/arm64/6.2.btf", &small_kernel("arm"));
    let said = site.fail(["import", "hub", "--arch", "amd64"]);
    assert!(
        said.contains("by its name its arch is arm64, and --arch says amd64"),
        "{said}"
    );
    let said = site.fail(["import", "hub", "some.btf", "--release", "6.1"]);
    assert!(said.contains("there are 2 files"), "{said}");
    fs::create_dir(site.path().join("empty")).unwrap();
    let said = site.fail(["import", "empty"]);
    assert!(said.contains("holds no file"), "{said}");
}

#[test]
fn archives_that_are_not_what_they_say_are_refused_in_one_line_each() {
    let site = Site::folder();
    let btf = small_kernel("k");
    let two = {
        let mut tar = tar::Builder::new(Vec::new());
        for name in ["a.btf", "b.btf"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(btf.len() as u64);
            tar.append_data(&mut header, name, &btf[..]).unwrap();
        }
        xz(&tar.into_inner().unwrap()[..])
    };
    let member = |kind: tar::EntryType, name: &str, size: u64| {
        let mut header = tar::Header::new_gnu();
        // Not through the builder, which would refuse.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    use tar::EntryType::{Link, Regular, Symlink};
    let whole = archive("k.btf", &btf);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("text", b"not xz".to_vec(), "not a .tar.xz"),
        ("empty", vec![], "not a .tar.xz"),
        (
            "cut short",
            whole[..whole.len() / 2].to_vec(),
            "not a .tar.xz",
        ),
        ("no tar", xz(&b"no tar at all"[..]), "not a .tar.xz"),
        ("an empty tar", xz(&[0; 1024][..]), "holds no file"),
        ("two files", two, "more than one file"),
        (
            "a way out",
            xz(&member(Regular, "../k.btf", 0)[..]),
            "no name of a .btf file",
        ),
        (
            "a way to the root",
            xz(&member(Regular, "/k.btf", 0)[..]),
            "no name of a .btf file",
        ),
        (
            "another name",
            archive("vmlinux", &btf),
            "no name of a .btf file",
        ),
        (
            "a symbolic link",
            xz(&member(Symlink, "k.btf", 0)[..]),
            "not a file",
        ),
        (
            "a hard link",
            xz(&member(Link, "k.btf", 0)[..]),
            "not a file",
        ),
        (
            "a huge size",
            xz(&member(Regular, "k.btf", 1 << 40)[..]),
            "more than 268435456",
        ),
        (
            "a size that is not there",
            xz(&member(Regular, "k.btf", 5000)[..]),
            "not a .tar.xz",
        ),
        ("no BTF", archive("k.btf", b"no BTF"), "not BTF"),
        (
            "a bomb",
            xz(member(Regular, "k.btf", 1 << 29).chain(io::repeat(0).take(1 << 29))),
            "more than 268435456",
        ),
        (
            "names without end",
            xz(io::repeat(b'x').take(1 << 29)),
            "not a .tar.xz",
        ),
    ];
    for (what, bytes, phrase) in &cases {
        hub(site.path(), "hub/amd64/6.1.btf.tar.xz", bytes);
        let start = Instant::now();
        // A gigabyte of addresses is plenty for what is right.
        let mut sh = Command::new("sh");
        sh.args([
            "-c",
            "ulimit -v 1000000; exec \"$0\" import hub --store store",
        ]);
        sh.arg(env!("CARGO_BIN_EXE_btfleet"))
            .current_dir(site.path());
        let out = sh.output().unwrap();
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{what}: {said}");
        assert_eq!(said.lines().count(), 1, "{what}: {said}");
        assert!(
            said.contains("6.1.btf.tar.xz was not imported"),
            "{what}: {said}"
        );
        assert!(said.contains(phrase), "{what}: {said}");
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{what}: {:?}",
            start.elapsed()
        );
        assert!(!site.path().join("store/btf").exists(), "{what}");
    }
    assert_eq!(cases.len(), 16);
}

#[test]
fn one_bad_archive_keeps_none_of_the_others() {
    Site::each(|site| {
        hub(
            site.path(),
            "hub/d/1/x86_64/6.1.btf.tar.xz",
            &archive("6.1.btf", &large_kernel(2000)),
        );
        hub(site.path(), "hub/d/1/x86_64/6.2.btf.tar.xz", b"bad");
        hub(
            site.path(),
            "hub/d/1/x86_64/6.3.btf.tar.xz",
            &archive("./6.3.btf", &small_kernel("c")),
        );
        let out = site.run(["import", "hub"]);
        assert_eq!(out.status.code(), Some(1));
        let told = text(&out.stdout);
        assert!(
            told.contains("3 files: 2 imported, 0 already there, 1 failed"),
            "{told}"
        );
        io::stdout().write_all(told.as_bytes()).unwrap();
        site.succeed(["verify"]);
    });
}
