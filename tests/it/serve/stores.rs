//! What a store does, and what readers see of it.

use super::bed::Serving;
use super::http::small;
use crate::agent::bed::wait_until;
use crate::support::servers::s3::{ACCESS_KEY, BUCKET, REGION, S3Server, SECRET_KEY, Scheme};
use crate::tool::{btfleet, file, small_kernel, succeed};
use btfleet::artifact::{BtfDigest, Object};

const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
    ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
];

#[test]
fn bytes_that_are_not_what_their_name_says_are_never_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (store, digest) = small(&dir);
    let server = Serving::of_folder(&store, &[]);
    let blob = store.join(Object::Btf(digest).key().as_str());
    let good = std::fs::read(&blob).unwrap();
    let wrong = zstd::encode_all(&small_kernel("another")[..], 3).unwrap();
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(0), 1 << 30), 3).unwrap();
    let spoils: [(&[u8], &str); 4] = [
        (&wrong, "damaged"),
        (b"no zstd at all", "damaged"),
        (&good[..good.len() - 1], "damaged"),
        (&bomb, "too-large"),
    ];
    for (bytes, kind) in spoils {
        std::fs::write(&blob, bytes).unwrap();
        for leaf in ["vmlinux.btf", "vmlinux.h", "manifest"] {
            let path = format!("/v1/kernels/{digest}/{leaf}");
            wait_until(kind, || {
                let got = server.get(&path);
                assert!(got.status >= 500, "{leaf}: {got:?}");
                got.problem() == kind
            });
        }
    }
    // Mended, it is there again at once.
    std::fs::write(&blob, &good).unwrap();
    let path = format!("/v1/kernels/{digest}/vmlinux.btf");
    wait_until("it is sent again", || server.get(&path).status == 200);
    assert_eq!(server.get(&path).body, small_kernel("served"));
}

#[test]
fn a_manifest_that_lies_changes_nothing_of_what_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (store, digest) = small(&dir);
    let header = succeed(dir.path(), ["dump", "small.btf"]);
    file(dir.path(), "lie.btf", &small_kernel("lie"));
    succeed(dir.path(), ["publish", "lie.btf"]);
    let lie = std::fs::read_dir(store.join("kernels/sha256")).unwrap();
    for manifest in lie.map(|folder| folder.unwrap().path().join("v1.json")) {
        let said = std::fs::read_to_string(&manifest).unwrap();
        let other = BtfDigest::of(b"nothing").to_string();
        let header = serde_json::from_str::<serde_json::Value>(&said).unwrap();
        let header = header["headerDigest"].as_str().unwrap().to_owned();
        std::fs::write(&manifest, said.replace(&header, &other)).unwrap();
    }
    let server = Serving::of_folder(&store, &[]);
    let got = server.get(&format!("/v1/kernels/{digest}/vmlinux.h"));
    assert_eq!(got.body, header.as_bytes());
    let said = server.get(&format!("/v1/kernels/{digest}/manifest")).json();
    assert_eq!(said["headerDigest"], got.header("btfleet-digest"));
}

#[test]
fn many_readers_at_once_cost_one_read_of_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (store, digest) = small(&dir);
    let server = Serving::of_folder(&store, &[]);
    let path = format!("/v1/kernels/{digest}/vmlinux.h");
    std::thread::scope(|s| {
        for n in 0..100 {
            let (server, path) = (&server, &path);
            let coding = ["", "zstd", "gzip"][n % 3];
            s.spawn(move || {
                let got = server.with(path, &[("Accept-Encoding", coding)]);
                assert_eq!(got.status, 200);
            });
        }
    });
    let reads = |object: &str, result: &str| {
        server.metric(&format!(
            "btfleet_serve_store_reads_total{{object=\"{object}\",result=\"{result}\"}}"
        ))
    };
    assert_eq!((reads("btf", "ok"), reads("btf", "failed")), (1.0, 0.0));
    assert_eq!(reads("list", "ok"), 0.0);
}

#[test]
fn an_object_storage_that_goes_away_is_said_and_what_was_read_is_still_sent() {
    let s3 = S3Server::start(Scheme::Http);
    let dir = tempfile::tempdir().unwrap();
    let flags = [
        format!("--store=s3://{BUCKET}/pull"),
        format!("--s3-endpoint={}", s3.url()),
        format!("--s3-region={REGION}"),
    ];
    let digests = ["one", "two"].map(|name| {
        let btf = small_kernel(name);
        let path = file(dir.path(), name, &btf);
        let mut publish = btfleet(dir.path());
        publish.arg("publish").arg(path).args(&flags).envs(KEYS);
        assert!(publish.output().unwrap().status.success());
        BtfDigest::of(&btf)
    });
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let server = Serving::start(&flags, &KEYS);
    let btf = |n: usize| server.get(&format!("/v1/kernels/{}/vmlinux.btf", digests[n]));
    assert_eq!(btf(0).body, small_kernel("one"));
    s3.kill();
    assert_eq!(btf(0).body, small_kernel("one"));
    let got = btf(1);
    assert_eq!((got.status, got.problem().as_str()), (503, "store-away"));
    s3.start_again();
    wait_until("the other is read", || btf(1).status == 200);
    assert_eq!(btf(1).body, small_kernel("two"));
}
