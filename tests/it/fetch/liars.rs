//! Servers, stores and Nodes that say what is not so.

use super::Pod;
use crate::agent::bed::{BOOT, Host, wait_until};
use crate::serve::cluster::serving;
use crate::support::servers::faulty_s3::{Answer, FaultyS3 as Fake};
use crate::support::servers::kubernetes::Version;
use crate::tool::{file, small_kernel, succeed};
use btfleet::artifact::{BtfDigest, HeaderDigest, Object};
use serde_json::{Value, json};

const SHORT: [&str; 2] = ["--timeout", "1"];

fn said(btf: &[u8], header: HeaderDigest) -> Value {
    let digest = BtfDigest::of(btf);
    json!({"node": "x", "bootId": BOOT, "kernelRelease": "6.1", "arch": "amd64",
        "kernelId": digest.kernel_id().to_string(), "btfDigest": digest,
        "headerDigest": header, "generator": 1})
}

fn header_of(btf: &[u8]) -> Vec<u8> {
    let btf = btfleet::btf::Btf::parse(btf).unwrap();
    btfleet::dump::header(&btf).unwrap()
}

/// A server that answers these three; anything else is 404.
fn server(manifest: Vec<u8>, btf: Vec<u8>, header: Vec<u8>) -> Fake {
    Fake::start(move |request| {
        let body = match request.path.rsplit('/').next() {
            Some("manifest") => manifest.clone(),
            Some("vmlinux.btf") => btf.clone(),
            Some("vmlinux.h") => header.clone(),
            _ => return Answer::Plain(404, vec![], vec![]),
        };
        Answer::Plain(200, vec![], body)
    })
}

#[test]
fn a_server_that_lies_about_bytes_headers_or_everything_gives_nothing() {
    let pod = Pod::new(Host::new(Version::Newest, "lied-to"));
    let (btf, other) = (small_kernel("true"), small_kernel("false"));
    let header = header_of(&btf);
    let truth = said(&btf, HeaderDigest::of(&header))
        .to_string()
        .into_bytes();
    let lie = said(&btf, HeaderDigest::of(b"lie"))
        .to_string()
        .into_bytes();
    let later = {
        let mut said = said(&btf, HeaderDigest::of(b"later"));
        said["generator"] = json!(7);
        said.to_string().into_bytes()
    };
    let cases = [
        // First the truth, lest this proves nothing.
        (truth.clone(), btf.clone(), header.clone(), 0, ""),
        (
            truth.clone(),
            other.clone(),
            header.clone(),
            7,
            "its contents are wrong",
        ),
        (
            truth,
            btf[..btf.len() - 1].to_vec(),
            header.clone(),
            7,
            "its contents are wrong",
        ),
        (lie, btf.clone(), b"lie".to_vec(), 7, "and it is sha256:"),
        (
            later,
            btf.clone(),
            b"lie".to_vec(),
            7,
            "its contents are wrong",
        ),
        (
            b"<html>".to_vec(),
            btf,
            header,
            6,
            "not what btfleet serve says",
        ),
    ];
    for (manifest, btf, header, want, why) in cases {
        let server = server(manifest, btf, header);
        let (code, said) = pod.fetch(false, &[&["--server", &server.url()], &SHORT[..]].concat());
        assert!(code == want && said.contains(why), "{code} {said}");
        match want {
            0 => std::fs::remove_dir_all(pod.folder()).unwrap(),
            _ => pod.assert_empty(),
        }
    }
}

#[test]
fn a_server_that_never_ends_or_never_answers_costs_little() {
    let pod = Pod::new(Host::new(Version::Newest, "stalled"));
    let stall =
        Fake::start(|_| Answer::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_vec()));
    let began = std::time::Instant::now();
    let (code, said) = pod.fetch(false, &[&["--server", &stall.url()], &SHORT[..]].concat());
    assert_eq!(code, 6, "{said}");
    assert!(began.elapsed() < std::time::Duration::from_secs(15));
    // Its own BTF does not wait for it longer than a moment.
    let (code, said) = pod.fetch(true, &["--server", &stall.url()]);
    assert_eq!(code, 0, "{said}");
    std::fs::remove_dir_all(pod.folder()).unwrap();
    let btf = small_kernel("x");
    let manifest = said_ready(&btf);
    let flood = Fake::start(move |request| match request.path.ends_with("manifest") {
        true => Answer::Plain(200, vec![], manifest.clone()),
        false => Answer::Plain(200, vec![], vec![0; 70 << 20]),
    });
    let (code, said) = pod.fetch(false, &[&["--server", &flood.url()], &SHORT[..]].concat());
    assert!(code == 6 && said.contains("more than"), "{code} {said}");
    pod.assert_empty();
}

fn said_ready(btf: &[u8]) -> Vec<u8> {
    said(btf, HeaderDigest::of(&header_of(btf)))
        .to_string()
        .into_bytes()
}

#[test]
fn a_node_or_a_store_that_contradicts_the_kernel_itself_is_a_mismatch() {
    let pod = Pod::new(Host::new(Version::Newest, "contradicted"));
    pod.host.succeed();
    let server = serving(&pod.host);
    let url = server.url();
    let fetch = || pod.fetch(true, &["--server", &url]);
    assert_eq!(fetch().0, 0);
    std::fs::remove_dir_all(pod.folder()).unwrap();
    let lie = HeaderDigest::of(b"lie").to_string();
    for key in ["header-digest", "btf-digest"] {
        let good = pod.host.annotation(key).unwrap();
        let edit = |value: &str| {
            let name = format!("btfleet.dev/{key}");
            pod.host.edit(json!({"annotations": {name: value}}));
            wait_until("the server sees it", || {
                let said = server.get("/v1/nodes/contradicted/manifest").json();
                let field = key.replace("-d", "D");
                said[&field] == value
            });
        };
        edit(&lie);
        let (code, said) = fetch();
        assert!(code == 7 && said.contains(&lie), "{code} {said}");
        pod.assert_empty();
        edit(&good);
    }
    // And a store's manifest, where a store is asked.
    let digest = BtfDigest::of(&small_kernel("contradicted"));
    let store = pod.host.store_folder();
    let manifest = Object::Manifest(digest, btfleet::artifact::Generator::OWN);
    let path = store.join(manifest.key().as_str());
    let good = std::fs::read_to_string(&path).unwrap();
    let header = pod.host.annotation("header-digest").unwrap();
    let flags = ["--store", store.to_str().unwrap()];
    assert_eq!(pod.fetch(true, &flags).0, 0);
    std::fs::remove_dir_all(pod.folder()).unwrap();
    std::fs::write(&path, good.replace(&header, &lie)).unwrap();
    let (code, said) = pod.fetch(true, &flags);
    assert!(code == 7 && said.contains(&lie), "{code} {said}");
    pod.assert_empty();
}

#[test]
fn a_store_with_other_bytes_under_a_name_gives_nothing() {
    let dir = tempfile::tempdir().unwrap();
    file(dir.path(), "k.btf", &small_kernel("spoiled"));
    succeed(
        dir.path(),
        [
            "publish",
            "k.btf",
            "--arch=amd64",
            "--release=6.1.0-9+deb12~rc1_x",
        ],
    );
    let store = dir.path().join("btfleet-store");
    let pod = Pod::new(Host::new(Version::Newest, "spoiled"));
    let flags = [
        "--store",
        store.to_str().unwrap(),
        "--match=release",
        "--timeout=1",
        "--node-name=",
    ];
    // Nobody is asked about a Node that is not named.
    let fetch = || pod.fetch(false, &flags);
    assert_eq!(fetch().0, 3);
    std::fs::remove_dir_all(pod.folder()).unwrap();
    let blob = Object::Btf(BtfDigest::of(&small_kernel("spoiled"))).key();
    let other = zstd::encode_all(&small_kernel("other")[..], 3).unwrap();
    std::fs::write(store.join(blob.as_str()), other).unwrap();
    let (code, said) = fetch();
    assert!(
        code == 7 && said.contains("its contents are wrong"),
        "{code} {said}"
    );
    pod.assert_empty();
}
