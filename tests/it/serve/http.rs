//! HTTP's rules, on real answers.

use super::bed::{Answer, Serving};
use crate::support::fixtures::{X86_64, fixture};
use crate::tool::{file, small_kernel, succeed, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use btfleet::artifact::{BtfDigest, HeaderDigest};
use std::io::Read;
use std::path::PathBuf;

/// A store with a small kernel in it, and the kernel.
pub fn small(dir: &tempfile::TempDir) -> (PathBuf, BtfDigest) {
    let btf = small_kernel("served");
    file(dir.path(), "small.btf", &btf);
    let name = ["--arch=amd64", "--release=6.1.0+x"];
    succeed(dir.path(), ["publish", "small.btf"].iter().chain(&name));
    (dir.path().join("btfleet-store"), BtfDigest::of(&btf))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    *BtfDigest::of(bytes).as_bytes()
}

fn decoded(answer: &Answer) -> Vec<u8> {
    match answer.header("content-encoding") {
        "" => answer.body.clone(),
        "zstd" => zstd::decode_all(&answer.body[..]).unwrap(),
        "gzip" => {
            let mut plain = Vec::new();
            let mut from = flate2::read::GzDecoder::new(&answer.body[..]);
            from.read_to_end(&mut plain).unwrap();
            plain
        }
        other => panic!("{other}"),
    }
}

#[test]
fn every_coding_carries_the_same_bytes_and_each_has_its_own_tag() {
    let dir = tempfile::tempdir().unwrap();
    let btf = fixture(X86_64).btf;
    file(dir.path(), "k.btf", &btf);
    succeed(dir.path(), ["publish", "k.btf"]);
    let digest = BtfDigest::of(&btf);
    let header = succeed(dir.path(), ["dump", "k.btf"]).into_bytes();
    let server = Serving::of_folder(&dir.path().join("btfleet-store"), &[]);
    for (leaf, plain, kind) in [
        ("vmlinux.h", &header, "text/x-c; charset=utf-8"),
        ("vmlinux.btf", &btf, "application/octet-stream"),
    ] {
        let path = format!("/v1/kernels/{digest}/{leaf}");
        let mut tags = Vec::new();
        for coding in ["", "zstd", "gzip"] {
            let accept = [("Accept-Encoding", coding)];
            let got = server.with(&path, &accept);
            assert_eq!((got.status, got.header("content-type")), (200, kind));
            assert_eq!(got.header("content-encoding"), coding);
            assert!(&decoded(&got) == plain, "{path} {coding}");
            assert_eq!(got.header("vary"), "Accept-Encoding");
            assert_eq!(got.header("x-content-type-options"), "nosniff");
            assert_eq!(got.header("content-length"), got.body.len().to_string());
            let identity = HeaderDigest::of(plain).to_string();
            assert_eq!(got.header("btfleet-digest"), identity);
            let sent = format!("sha-256=:{}:", STANDARD.encode(sha256(&got.body)));
            assert_eq!(got.header("repr-digest"), sent);
            let plus = if coding.is_empty() { "" } else { "+" };
            let tag = format!("\"{identity}{plus}{coding}\"");
            assert_eq!(got.header("etag"), tag);
            tags.push(tag.clone());
            // HEAD: the same but for the body and the clock.
            let mut head = server.ask("HEAD", &path, &accept);
            assert!(head.body.is_empty());
            head.body = got.body.clone();
            head.headers
                .insert("date".to_owned(), got.header("date").to_owned());
            assert_eq!(head.headers, got.headers);
        }
        // Who has it in this coding, and only then, is told so.
        for (has, tag) in ["", "zstd", "gzip"].iter().zip(&tags) {
            for asked in ["", "zstd", "gzip"] {
                let headers = [("Accept-Encoding", asked), ("If-None-Match", tag)];
                let got = server.with(&path, &headers);
                let want = if *has == asked { 304 } else { 200 };
                assert_eq!(got.status, want, "{has:?} {asked:?}");
                if want == 304 {
                    assert_eq!((got.header("etag"), got.body.len()), (tag.as_str(), 0));
                    assert_eq!(got.header("vary"), "Accept-Encoding");
                }
            }
        }
    }
}

#[test]
fn ranges_are_of_the_plain_bytes_and_conditions_hold() {
    let dir = tempfile::tempdir().unwrap();
    let (store, digest) = small(&dir);
    let btf = small_kernel("served");
    let server = Serving::of_folder(&store, &[]);
    let path = format!("/v1/kernels/{digest}/vmlinux.btf");
    let tag = format!("\"{digest}\"");
    let zstd = format!("\"{digest}+zstd\"");
    let len = btf.len();
    let range = |headers: &[(&str, &str)]| server.with(&path, headers);
    for (asked, part) in [
        ("bytes=3-9", 3..10),
        ("bytes=-5", len - 5..len),
        ("bytes=7-", 7..len),
    ] {
        let got = range(&[("Range", asked), ("Accept-Encoding", "zstd, gzip")]);
        assert_eq!(
            (got.status, &got.body[..]),
            (206, &btf[part.clone()]),
            "{asked}"
        );
        let said = format!("bytes {}-{}/{len}", part.start, part.end - 1);
        assert_eq!(got.header("content-range"), said);
        assert_eq!(got.header("etag"), tag);
    }
    // A download that began with other bytes begins again.
    let got = range(&[
        ("Range", "bytes=3-9"),
        ("If-Range", &zstd),
        ("Accept-Encoding", "zstd"),
    ]);
    assert_eq!((got.status, got.header("etag")), (200, zstd.as_str()));
    let got = range(&[
        ("Range", "bytes=3-9"),
        ("If-Range", &tag),
        ("Accept-Encoding", "zstd"),
    ]);
    assert_eq!((got.status, got.body.len()), (206, 7));
    let got = range(&[("Range", &format!("bytes={len}-"))]);
    assert_eq!(got.problem(), "range");
    assert_eq!(got.header("content-range"), format!("bytes */{len}"));
    assert_eq!(range(&[("If-Match", "\"x\"")]).problem(), "precondition");
    assert_eq!(range(&[("If-Match", &tag)]).status, 200);
    assert_eq!(
        range(&[("Accept-Encoding", "identity;q=0, br")]).problem(),
        "coding"
    );
}

#[test]
fn what_cannot_be_answered_is_a_problem_of_its_own_kind() {
    let dir = tempfile::tempdir().unwrap();
    let (store, digest) = small(&dir);
    // Somebody made a second kernel whose digest begins alike.
    let id = digest.kernel_id().to_string();
    let twin = format!("btf/sha256/{}{}.btf.zst", id, "0".repeat(32));
    let server = Serving::of_folder(&store, &[]);
    for (path, status, kind) in [
        ("/nope".to_owned(), 404, "no-route"),
        ("/v1/nodes".to_owned(), 404, "no-route"),
        ("/v1/nodes/a/manifest".to_owned(), 404, "no-cluster"),
        (
            format!("/v1/kernels/{}/manifest", "0".repeat(32)),
            404,
            "unknown-kernel",
        ),
        (
            format!("/v1/kernels/sha256:{}/vmlinux.btf", "0".repeat(64)),
            404,
            "unknown-kernel",
        ),
        (
            "/v1/kernels/..%2f..%2fetc/manifest".to_owned(),
            400,
            "question",
        ),
        ("/v1/kernels/%ff/manifest".to_owned(), 400, "question"),
        (
            format!("/v1/kernels/{id}/vmlinux.h?type=nosuch"),
            404,
            "unknown-type",
        ),
        (format!("/v1/kernels/{id}/vmlinux.h?typ=a"), 400, "question"),
        (
            format!("/v1/kernels/{id}/vmlinux.h?type=%00"),
            400,
            "question",
        ),
        ("/v1/kernels?arch=vax".to_owned(), 400, "question"),
        ("/v1/kernels?release=..".to_owned(), 400, "question"),
        ("/v1/kernels?x=1".to_owned(), 400, "question"),
    ] {
        let got = server.get(&path);
        assert_eq!(
            (got.status, got.problem().as_str()),
            (status, kind),
            "{path}"
        );
        assert!(!text(&got.body).contains("%ff"));
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let got = server.ask(method, "/v1/kernels", &[]);
        assert_eq!(
            (got.problem().as_str(), got.header("allow")),
            ("method", "GET, HEAD")
        );
    }
    std::fs::write(store.join(twin), b"").unwrap();
    let server = Serving::of_folder(&store, &[]);
    let got = server.get(&format!("/v1/kernels/{id}/vmlinux.h"));
    assert_eq!(
        (got.status, got.problem().as_str()),
        (409, "ambiguous-kernel")
    );
    assert_eq!(
        server
            .get(&format!("/v1/kernels/{digest}/vmlinux.h"))
            .status,
        200
    );
}

#[test]
fn kernels_are_listed_by_the_names_that_they_bear() {
    let dir = tempfile::tempdir().unwrap();
    let (store, digest) = small(&dir);
    file(dir.path(), "other.btf", &small_kernel("other"));
    let evil = "<script>alert(1)</script>";
    let names = ["--arch=arm64".to_owned(), format!("--release={evil}")];
    succeed(
        dir.path(),
        ["publish".to_owned(), "other.btf".to_owned()]
            .iter()
            .chain(&names),
    );
    let server = Serving::of_folder(&store, &[]);
    let ids = |query: &str| {
        let list = server.get(&format!("/v1/kernels{query}")).json();
        assert_eq!(list["truncated"], false);
        list["kernels"].as_array().unwrap().len()
    };
    assert_eq!(ids(""), 2);
    assert_eq!(ids("?arch=amd64"), 1);
    assert_eq!(ids("?arch=x86_64&release=6.1.0%2Bx"), 1);
    assert_eq!(ids("?release=6.1.0%2Bx"), 1);
    assert_eq!(ids("?arch=arm64&release=6.1.0%2Bx"), 0);
    let list = server.get("/v1/kernels?arch=amd64").json();
    assert_eq!(list["kernels"][0]["btfDigest"], digest.to_string());
    assert_eq!(list["kernels"][0]["names"][0]["release"], "6.1.0+x");
    let page = server.get("/");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'")
    );
    let html = text(&page.body);
    assert!(html.contains("2 distinct kernels"), "{html}");
    let html = text(&server.get("/kernels").body);
    assert!(html.contains(&digest.kernel_id().to_string()), "{html}");
    assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
    assert!(!html.contains("<script>"), "{html}");
}

#[test]
fn types_asked_for_give_the_smallest_header_as_dump_does() {
    let dir = tempfile::tempdir().unwrap();
    let btf = fixture(X86_64).btf;
    file(dir.path(), "k.btf", &btf);
    succeed(dir.path(), ["publish", "k.btf"]);
    let want = succeed(
        dir.path(),
        ["dump", "k.btf", "--type", "task_struct", "sock"],
    );
    let server = Serving::of_folder(&dir.path().join("btfleet-store"), &[]);
    let path = format!("/v1/kernels/{}/vmlinux.h", BtfDigest::of(&btf));
    let got = server.get(&format!("{path}?type=task_struct&type=sock"));
    assert!(text(&got.body) == want, "{}", got.status);
    let tag = format!("\"{}\"", HeaderDigest::of(want.as_bytes()));
    assert_eq!(got.header("etag"), tag);
    // In any order it is the same.
    let again = format!("{path}?type=sock&type=task_struct&type=sock");
    assert_eq!(server.with(&again, &[("If-None-Match", &tag)]).status, 304);
    assert!(want.len() < server.get(&path).body.len() / 2);
}
