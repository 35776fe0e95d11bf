//! Kernels without BTF: none, one or two imported ones that bear their arch and release.

use super::Pod;
use crate::agent::bed::{Host, RELEASE, wait_until};
use crate::serve::cluster::serving;
use crate::support::kernels;
use crate::support::servers::kubernetes::Version;
use crate::tool::{file, small_kernel, succeed};

/// Imports a kernel under the host's release.
fn import(pod: &Pod, name: &str, btf: &[u8]) {
    let dir = pod.host.dir.path();
    let path = file(dir, &format!("{name}.btf"), btf);
    let store = pod.host.store_folder();
    let args = [
        "import",
        path.to_str().unwrap(),
        "--store",
        store.to_str().unwrap(),
    ];
    let named = format!("--release={RELEASE}");
    succeed(
        dir,
        args.iter().copied().chain(["--arch=amd64", named.as_str()]),
    );
}

#[test]
fn a_kernel_without_btf_gets_the_one_that_was_imported_for_it_or_a_clear_no() {
    for version in Version::ALL {
        let pod = Pod::new(Host::new(version, "nobtf-pulled"));
        std::fs::remove_file(pod.host.dir.path().join("vmlinux")).unwrap();
        pod.host.succeed();
        std::fs::create_dir_all(pod.host.store_folder()).unwrap();
        let server = serving(&pod.host);
        let url = server.url();
        let store = pod.host.store_folder().display().to_string();
        let by_server = ["--server", &url, "--match", "release", "--timeout", "30"];
        let by_store = ["--store", &store, "--match", "release", "--node-name", ""];
        // The server's listings are good for a while: it is asked once it knows.
        let sees = |count: usize| {
            let path = format!(
                "/v1/kernels?arch=amd64&release={}",
                RELEASE.replace('+', "%2B")
            );
            wait_until("the server sees it", || {
                server.get(&path).json()["kernels"]
                    .as_array()
                    .unwrap()
                    .len()
                    == count
            });
        };
        let ways = [&by_server[..], &by_store[..]];
        for way in ways {
            let (code, said) = pod.fetch(false, way);
            assert!(
                code == 4 && said.contains("btfleet import"),
                "{code} {said}"
            );
        }
        import(&pod, "one", &small_kernel("one"));
        sees(1);
        for way in ways {
            let (code, said) = pod.fetch(false, way);
            assert_eq!(code, 3, "{said}");
            assert!(said.contains("NOT proven"), "{said}");
            pod.assert_has(&small_kernel("one"), "release");
            std::fs::remove_dir_all(pod.folder()).unwrap();
        }
        // Nobody asked for a guess.
        let (code, said) = pod.fetch(false, &["--server", &url]);
        assert!(
            code == 4 && said.contains("--match release"),
            "{code} {said}"
        );
        import(&pod, "two", &small_kernel("two"));
        sees(2);
        for way in ways {
            let (code, said) = pod.fetch(false, way);
            assert!(code == 4 && said.contains("2 kernels"), "{code} {said}");
        }
        // A release that no store can have: the server refuses to look, and that is no reason to wait.
        let release = pod.host.dir.path().join("proc/sys/kernel/osrelease");
        std::fs::write(release, ".5-odd\n").unwrap();
        for way in ways {
            let (code, said) = pod.fetch(false, way);
            assert_eq!(code, 4, "{said}");
        }
        pod.assert_empty();
    }
}

#[test]
fn another_machines_kernel_under_this_release_is_not_taken() {
    let pod = Pod::new(Host::new(Version::Newest, "other-machine"));
    let store = pod.host.store_folder().display().to_string();
    import(&pod, "one", &small_kernel("one"));
    // Its index entry now leads to a big-endian kernel: only somebody who writes to the store can do that.
    let big = kernels::all()
        .into_iter()
        .find(|k| k.name.starts_with("s390x"))
        .unwrap();
    let big = big.btf();
    let path = file(pod.host.dir.path(), "big.btf", &big);
    let args = ["publish", path.to_str().unwrap(), "--store", &store];
    succeed(pod.host.dir.path(), args);
    let index = pod.host.store_folder().join("index/amd64");
    let release = std::fs::read_dir(index)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let entry = std::fs::read_dir(&release)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::rename(
        entry,
        release.join(btfleet::artifact::BtfDigest::of(&big).hex()),
    )
    .unwrap();
    let flags = ["--store", &store, "--match", "release", "--node-name", ""];
    let (code, said) = pod.fetch(false, &flags);
    assert!(
        code == 7 && said.contains("no amd64 machine runs"),
        "{code} {said}"
    );
    pod.assert_empty();
}
