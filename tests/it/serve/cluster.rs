//! Nodes' kernels, from real API servers with the server's own account.

use super::bed::{Answer, Serving};
use crate::agent::bed::{BEFORE, BOOT, Host, RELEASE, wait_until};
use crate::support::servers::kubernetes::{Credentials, Version};
use crate::tool::{small_kernel, text};
use btfleet::artifact::{BtfDigest, Generator, HeaderDigest, Object};
use serde_json::json;

/// A server over this host's store and cluster, with the account that the manifests give it.
pub fn serving(host: &Host) -> Serving {
    let token = host.plane.token("btfleet", "btfleet-server", None);
    let kubeconfig = host.plane.kubeconfig(&Credentials::Token(&token));
    let store = format!("--store=file://{}", host.store_folder().display());
    let kubeconfig = kubeconfig.display().to_string();
    let server = Serving::start(&[&store], &[("KUBECONFIG", &kubeconfig)]);
    server.wait_ready();
    server
}

fn node(server: &Serving, host: &Host, leaf: &str) -> Answer {
    server.get(&format!("/v1/nodes/{}/{leaf}", host.name))
}

#[test]
fn a_nodes_kernel_is_told_as_soon_and_only_as_long_as_it_is_the_running_one() {
    for version in Version::ALL {
        let host = Host::new(version, "pulled");
        let server = serving(&host);
        let problem = || {
            let all = ["manifest", "vmlinux.h", "vmlinux.btf"].map(|leaf| {
                let got = node(&server, &host, leaf);
                if got.status == 200 {
                    "ready".to_owned()
                } else {
                    got.problem()
                }
            });
            // The news may come between two of the three questions.
            match all.iter().all(|one| *one == all[0]) {
                true => all[0].clone(),
                false => format!("{all:?}"),
            }
        };
        let becomes = |want: &str| wait_until(want, || problem() == want);
        becomes("not-reported");
        host.succeed();
        becomes("ready");
        let digest = BtfDigest::of(&small_kernel("pulled"));
        let said = node(&server, &host, "manifest").json();
        assert_eq!(said["btfDigest"], digest.to_string());
        assert_eq!(
            said["headerDigest"],
            host.annotation("header-digest").unwrap()
        );
        assert_eq!(
            (&said["bootId"], &said["kernelRelease"]),
            (&json!(BOOT), &json!(RELEASE))
        );
        assert_eq!(
            node(&server, &host, "vmlinux.btf").body,
            small_kernel("pulled")
        );
        let header = node(&server, &host, "vmlinux.h");
        assert_eq!(header.header("btfleet-digest"), said["headerDigest"]);
        assert_eq!(
            HeaderDigest::of(&header.body).to_string(),
            header.header("btfleet-digest")
        );
        // Lists are as old as a second.
        wait_until("it is listed", || {
            let listed = server.get("/v1/kernels").json();
            let mut kernels = listed["kernels"].as_array().unwrap().iter();
            kernels.any(|k| k["btfDigest"] == digest.to_string() && k["nodes"] == 1)
        });
        let shows = |text_of: &str| {
            wait_until(text_of, || text(&server.get("/").body).contains(text_of));
        };
        shows("<td>pulled<td>Ready");

        host.kubelet_says(BEFORE, RELEASE);
        becomes("stale");
        assert_eq!(node(&server, &host, "manifest").json()["bootId"], BEFORE);
        host.kubelet_says(BOOT, RELEASE);
        becomes("ready");
        host.edit(json!({"annotations": {"btfleet.dev/btf-digest": "sha256:0"}}));
        becomes("not-reported");
        host.succeed();
        becomes("ready");
        std::fs::remove_file(host.dir.path().join("vmlinux")).unwrap();
        host.succeed();
        becomes("no-btf");
        host.edit(json!({"annotations": {"btfleet.dev/status": "Error: <b>&"}}));
        becomes("node-error");
        shows("&lt;b&gt;&amp;");
        host.delete_node();
        becomes("unknown-node");
    }
}

#[test]
fn a_header_that_the_store_lost_is_made_anew_and_one_that_never_fits_is_not_sent() {
    let host = Host::new(Version::Newest, "lost");
    host.succeed();
    let server = serving(&host);
    let header: HeaderDigest = host.annotation("header-digest").unwrap().parse().unwrap();
    let blob = host
        .store_folder()
        .join(Object::Header(header).key().as_str());
    std::fs::remove_file(&blob).unwrap();
    let got = node(&server, &host, "vmlinux.h");
    assert_eq!((got.status, HeaderDigest::of(&got.body)), (200, header));
    // A Node that names another header for this BTF and our generator is not believed.
    let lie = HeaderDigest::of(b"lie").to_string();
    host.edit(json!({"annotations": {"btfleet.dev/header-digest": lie}}));
    wait_until("the lie is seen", || {
        node(&server, &host, "manifest").json()["headerDigest"] == lie
    });
    assert_eq!(node(&server, &host, "vmlinux.h").problem(), "damaged");
    // Another generator's header cannot be made here.
    host.edit(json!({"annotations": {"btfleet.dev/generator": "7"}}));
    wait_until("the generator is seen", || {
        node(&server, &host, "manifest").json()["generator"] == 7
    });
    wait_until("it is missing", || {
        node(&server, &host, "vmlinux.h").problem() == "missing"
    });
    assert_ne!(Generator::OWN.number(), 7);
}
