//! `btfleet mirror`, from a folder to a store of each kind and back.

use crate::site::Site;
use crate::tool::{file, large_kernel, small_kernel, text};
use btfleet::artifact::BtfDigest;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// Publishes that many kernels into the folder `source`, and lets a cluster use them.
fn source(site: &Site, kernels: usize) -> Vec<BtfDigest> {
    (0..kernels)
        .map(|n| {
            let btf = small_kernel(&format!("k{n}"));
            let name = format!("k{n}.btf");
            file(site.path(), &name, &btf);
            let release = format!("6.{n}+x");
            let args = ["publish", &name, "--arch", "amd64", "--release", &release];
            site.succeed(args.into_iter().chain(["--store", "source"]));
            let digest = BtfDigest::of(&btf);
            let refs = site.path().join("source/refs").join(digest.hex());
            fs::write(refs.join("another-cluster"), b"").unwrap();
            digest
        })
        .collect()
}

/// The one object of the source whose key begins so and holds this.
fn object(folder: &Path, begins: &str, holds: &str) -> PathBuf {
    let mut found: Vec<PathBuf> = fs::read_dir(folder.join("source").join(begins))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(holds))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn a_copy_is_whole_is_pinned_and_leaves_other_clusters_references() {
    Site::each(|site| {
        let kernels = source(site, 3);
        let said = site.succeed(["mirror", "source", &site.store, "--pin", "air-gapped"]);
        assert_eq!(said.matches(": copied").count(), 3, "{said}");
        assert!(said.contains("3 kernels: 3 copied"), "{said}");
        site.succeed(["verify"]);
        let refs = site.json(["store", "refs", "-o", "json"]);
        let owners = refs["owners"].as_array().unwrap();
        assert_eq!(owners.len(), 1, "{refs}");
        assert_eq!(owners[0]["owner"], "pin-air-gapped");
        assert_eq!(owners[0]["refs"].as_array().unwrap().len(), 3);
        for (n, digest) in kernels.iter().enumerate() {
            let name = format!("release/amd64/6.{n}+x");
            let header = site.succeed(["dump", &format!("k{n}.btf")]);
            assert_eq!(site.succeed(["get", &name]), header);
            assert_eq!(site.succeed(["get", &digest.to_string()]), header);
        }
        let said = site.succeed(["mirror", "source", &site.store, "--pin", "air-gapped"]);
        assert!(
            said.contains("3 kernels: 0 copied (0 bytes), 0 faults"),
            "{said}"
        );
        // And back, into a folder that has nothing.
        site.succeed(["mirror", &site.store, "back"]);
        site.succeed(["verify", "--store", "back"]);
    });
}

#[test]
fn only_the_kernels_that_are_named_are_copied() {
    Site::each(|site| {
        let kernels = source(site, 3);
        let id = kernels[2].kernel_id().to_string();
        site.succeed(["mirror", "source", &site.store, "release/amd64/6.0+x", &id]);
        let ids = site.succeed(["kernels", "-o", "name"]);
        assert_eq!(ids.lines().count(), 2, "{ids}");
        assert!(!ids.contains(&kernels[1].kernel_id().to_string()), "{ids}");
        site.succeed(["verify"]);
        let said = site.fail(["mirror", "source", &site.store, "no-such-kernel"]);
        assert!(said.contains("no kernel"), "{said}");
        let said = site.fail(["mirror", "nothing-there", &site.store]);
        assert!(
            said.contains("there are no kernels in the store nothing-there"),
            "{said}"
        );
        let said = site.fail(["mirror", "source", "source"]);
        assert!(said.contains("both the source and the target"), "{said}");
    });
}

#[test]
fn what_is_wrong_in_the_source_is_told_and_not_copied_and_the_rest_is() {
    Site::each(|site| {
        let kernels = source(site, 3);
        let bad = object(site.path(), "btf/sha256", &kernels[1].hex());
        let mut bytes = fs::read(&bad).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        fs::write(&bad, bytes).unwrap();
        let out = site.run(["mirror", "source", &site.store]);
        let (told, said) = (text(&out.stdout), text(&out.stderr));
        assert_eq!(out.status.code(), Some(1), "{told}{said}");
        assert!(told.contains("3 kernels: 2 copied"), "{told}");
        let key = format!("btf/sha256/{}.btf.zst", kernels[1].hex());
        assert!(
            said.contains(&key) && said.contains("in the store source"),
            "{said}"
        );
        let ids = site.succeed(["kernels", "-o", "name"]);
        // Its reference came first; of the kernel itself nothing wrong is there.
        let wrong = site.run(["get", &kernels[1].to_string(), "--btf"]);
        assert!(!wrong.status.success() && wrong.stdout.is_empty(), "{ids}");
        for good in [0, 2] {
            site.succeed(["get", &kernels[good].to_string()]);
        }
        // Once the source is repaired, the same command ends well.
        site.succeed(["publish", "k1.btf", "--store", "source"]);
        site.succeed(["mirror", "source", &site.store]);
        site.succeed(["verify"]);
    });
}

#[test]
fn a_copy_that_was_killed_goes_on_where_it_was() {
    Site::each(|site| {
        let mut publish = vec!["publish".to_owned(), "--store=source".to_owned()];
        for n in 0..6 {
            let name = format!("large{n}.btf");
            file(site.path(), &name, &large_kernel(3000 + n));
            publish.push(name);
        }
        site.succeed(&publish);
        let mirror = ["mirror", "source", &site.store];
        let mut cut_short = 0;
        for n in 0..12u64 {
            let mut command = site.command();
            let mut child = command.args(mirror).stdout(Stdio::null()).spawn().unwrap();
            // On a quick machine a whole copy takes 15 ms.
            std::thread::sleep(Duration::from_millis(3 + 4 * n));
            child.kill().unwrap();
            cut_short += u32::from(!child.wait().unwrap().success());
        }
        assert!(cut_short > 0, "no run was cut short");
        let said = site.succeed(mirror);
        assert!(said.contains("6 kernels: "), "{said}");
        site.succeed(["verify"]);
    });
}

#[test]
fn another_manifest_in_the_target_is_left_and_told() {
    Site::each(|site| {
        let kernels = source(site, 1);
        site.succeed(["mirror", "source", &site.store]);
        let json = site.succeed(["get", &kernels[0].to_string(), "--manifest"]);
        // The source is the one that lies.
        let path = site
            .path()
            .join("source/kernels/sha256")
            .join(kernels[0].hex());
        let lie = json.replace("little", "big");
        fs::write(path.join("v1.json"), &lie).unwrap();
        let said = site.fail(["mirror", "source", &site.store]);
        assert!(said.contains("has another one, which was left"), "{said}");
        assert_eq!(
            site.succeed(["get", &kernels[0].to_string(), "--manifest"]),
            json
        );
        site.succeed(["verify"]);
    });
}
