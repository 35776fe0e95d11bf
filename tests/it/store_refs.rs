//! `btfleet store refs`, `forget`, `pin`, `unpin`.

use crate::site::Site;
use crate::support::stores::{options, versitygw};
use crate::tool::{file, small_kernel, text};
use btfleet::artifact::{BtfDigest, Generator, Object, Owner};
use btfleet::store::{S3Options, Store, open};
use futures::stream::TryStreamExt;
use std::fs;
use std::time::{Duration, SystemTime};

/// Publishes a kernel; gives its digest.
fn published(site: &Site, name: &str) -> BtfDigest {
    let btf = small_kernel(name);
    file(site.path(), &format!("{name}.btf"), &btf);
    site.succeed([
        "publish",
        &format!("{name}.btf"),
        "--arch",
        "amd64",
        "--release",
        name,
    ]);
    BtfDigest::of(&btf)
}

/// Lets a cluster use a kernel.
fn used(site: &Site, kernel: &BtfDigest, cluster: &str) {
    let key = Object::Ref(*kernel, cluster.parse().unwrap()).key();
    wait(async {
        let store = site.open().await;
        store.put(&key, Default::default()).await.unwrap();
    });
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

fn owners(site: &Site) -> Vec<String> {
    let refs = site.json(["store", "refs", "-o", "json"]);
    let owners = refs["owners"].as_array().unwrap();
    let name = |o: &serde_json::Value| {
        format!(
            "{} {}",
            o["owner"].as_str().unwrap(),
            o["refs"].as_array().unwrap().len()
        )
    };
    owners.iter().map(name).collect()
}

#[test]
fn references_are_listed_by_owner_with_their_ages() {
    Site::each(|site| {
        let (a, b) = (published(site, "a"), published(site, "b"));
        for kernel in [&a, &b] {
            used(site, kernel, "cluster-1");
        }
        used(site, &b, "cluster-2");
        assert_eq!(owners(site), ["cluster-1 2", "cluster-2 1", "pin-local 2"]);
        let table = site.succeed(["store", "refs"]);
        assert_eq!(table.lines().count(), 6, "{table}");
        let id = b.kernel_id().to_string();
        let row = table.lines().find(|l| l.starts_with("cluster-2")).unwrap();
        assert!(row.contains(&id[..12]) && row.ends_with("s ago"), "{table}");
        let said = text(&site.run(["store", "refs"]).stderr);
        assert!(!said.contains("gone for good"), "{said}");
    });
}

#[test]
fn a_cluster_whose_references_are_old_is_pointed_out() {
    let site = Site::folder();
    let kernel = published(&site, "a");
    used(&site, &kernel, "dead");
    used(&site, &kernel, "alive");
    let refs = site.path().join("store/refs").join(kernel.hex());
    for (owner, days) in [("dead", 91), ("alive", 6), ("pin-local", 400)] {
        let then = SystemTime::now() - Duration::from_secs(86_400 * days);
        fs::File::open(refs.join(owner))
            .unwrap()
            .set_modified(then)
            .unwrap();
    }
    let out = site.run(["store", "refs"]);
    let (told, said) = (text(&out.stdout), text(&out.stderr));
    assert!(
        said.contains("cluster dead: 1 of its 1 references"),
        "{said}"
    );
    assert!(said.contains("btfleet store forget dead"), "{said}");
    assert!(
        !said.contains("alive") && !said.contains("pin-local"),
        "{said}"
    );
    assert!(
        told.contains("91 days ago  old") && told.contains("400 days ago\n"),
        "{told}"
    );
}

#[test]
fn a_cluster_is_forgotten_only_when_told_so_twice() {
    Site::each(|site| {
        let (a, b) = (published(site, "a"), published(site, "b"));
        site.succeed(["store", "unpin", "b"]);
        used(site, &a, "gone");
        used(site, &b, "gone");
        used(site, &b, "other");
        let said = site.fail(["store", "forget", "gone"]);
        assert!(
            said.contains("cluster gone, 2 kernels, 0 of them used by nobody else"),
            "{said}"
        );
        assert!(said.contains("--yes") && said.contains("written"), "{said}");
        assert_eq!(owners(site), ["gone 2", "other 1", "pin-local 1"]);
        let told = site.succeed(["store", "forget", "gone", "--yes"]);
        assert!(
            told.starts_with("forgotten: cluster gone, 2 kernels"),
            "{told}"
        );
        assert_eq!(owners(site), ["other 1", "pin-local 1"]);
        // Nothing else went with it.
        site.succeed(["verify"]);
        let said = site.fail(["store", "forget", "gone", "--yes"]);
        assert!(said.contains("no cluster gone"), "{said}");
        let said = site.fail(["store", "forget", "pin-local", "--yes"]);
        assert!(said.contains("is a pin"), "{said}");
    });
}

#[test]
fn what_a_cluster_had_set_aside_when_it_went_is_put_back_for_the_others() {
    Site::each(|site| {
        let a = published(site, "a");
        site.succeed(["store", "unpin", "a"]);
        used(site, &a, "other");
        // Its controller was killed after it had removed the manifest, and before it saw the other's reference.
        let gone: Owner = "gone".parse().unwrap();
        let manifest = Object::Manifest(a, Generator::OWN);
        let reference = Object::Ref(a, gone.clone());
        wait(async {
            let store = site.open().await;
            let body = store.get(&manifest.key(), 1 << 16).await.unwrap().unwrap();
            store.put(&manifest.aside(&gone).key(), body).await.unwrap();
            let mark = reference.aside(&gone).key();
            store.put(&mark, Default::default()).await.unwrap();
            store.delete(&manifest.key()).await.unwrap();
        });
        let told = site.succeed(["store", "forget", "gone", "--yes"]);
        assert!(
            told.starts_with("forgotten: cluster gone, 0 kernels"),
            "{told}"
        );
        assert_eq!(owners(site), ["other 1"]);
        let left = wait(async {
            let store = site.open().await;
            let aside = Object::all_aside();
            store
                .list(Some(&aside))
                .try_collect::<Vec<_>>()
                .await
                .unwrap()
        });
        assert_eq!(left, []);
        site.succeed(["verify"]);
        site.fail(["store", "forget", "gone", "--yes"]);
    });
}

#[test]
fn a_kernel_is_pinned_and_unpinned_by_any_of_its_names() {
    Site::each(|site| {
        let a = published(site, "a");
        let told = site.succeed(["store", "pin", "release/amd64/a", "--pin", "keep"]);
        assert!(told.contains("pinned as pin-keep"), "{told}");
        let told = site.succeed(["store", "pin", &a.to_string(), "--pin", "keep"]);
        assert!(told.contains("was pinned as pin-keep"), "{told}");
        assert_eq!(owners(site), ["pin-keep 1", "pin-local 1"]);
        let told = site.succeed(["store", "unpin", "a"]);
        assert!(told.contains("1 other reference is left"), "{told}");
        let told = site.succeed(["store", "unpin", "a", "--pin", "keep"]);
        assert!(told.contains("nobody uses it any more"), "{told}");
        assert_eq!(owners(site), [] as [&str; 0]);
        let said = site.fail(["store", "unpin", "a"]);
        assert!(said.contains("is not pinned as pin-local"), "{said}");
        let said = site.fail(["store", "pin", "a", "no-such"]);
        assert!(said.contains("no kernel"), "{said}");
        assert_eq!(
            owners(site),
            [] as [&str; 0],
            "all names are understood first"
        );
    });
}

impl Site {
    async fn open(&self) -> std::sync::Arc<dyn Store> {
        match self.store.starts_with("s3://") {
            true => open(&self.store, &options(&versitygw().url())).await,
            false => {
                let place = self.path().join(&self.store);
                open(place.to_str().unwrap(), &S3Options::default()).await
            }
        }
        .unwrap()
    }
}
