//! The end of an installation.

use super::bed::{Bed, kernel};
use crate::support::servers::kubernetes::{Credentials, Version};
use crate::tool::btfleet;
use btfleet::artifact::{Object, Owner};

#[test]
fn cleanup_removes_our_keys_and_references_and_nothing_else() {
    let bed = Bed::new(Version::Newest);
    let kernel = kernel("alpha");
    bed.publish(&kernel);
    let other: Owner = "another-cluster".parse().unwrap();
    bed.poison(&Object::Ref(kernel.digest, other.clone()), b"");
    // More than a page of them.
    for n in 0..60 {
        bed.node_with(&format!("n{n:02}"), &kernel);
    }
    bed.node("bare");
    let theirs = serde_json::json!({"metadata": {"annotations": {"example.com/note": "keep"},
        "labels": {"example.com/pool": "blue"}}});
    let merge = crate::support::servers::api::MERGE;
    bed.admin
        .patch("/api/v1/nodes/n07", merge, &theirs)
        .success();
    let token = bed.plane.token("btfleet", "btfleet-cleanup", None);
    let kubeconfig = bed.plane.kubeconfig(&Credentials::Token(&token));
    let run = |flags: &[&str]| {
        let mut command = btfleet(bed.dir.path());
        command
            .arg("cleanup")
            .args(flags)
            .env("KUBECONFIG", &kubeconfig);
        let out = command.output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        (
            out.status.success(),
            String::from_utf8_lossy(&out.stdout).into_owned(),
            said,
        )
    };
    // It says what it lacks before it removes anything.
    let (done, _, said) = run(&[]);
    assert!(!done && said.contains("--keep-refs"), "{said}");
    let (done, printed, said) = run(&[&bed.store_flags[0]]);
    assert!(done, "{said}");
    assert!(
        printed.contains("from 60 nodes") && printed.contains("1 references"),
        "{printed}"
    );
    let nodes = bed.admin.get("/api/v1/nodes").success();
    for node in nodes["items"].as_array().unwrap() {
        let text =
            node["metadata"]["annotations"].to_string() + &node["metadata"]["labels"].to_string();
        assert!(!text.contains("btfleet.dev/"), "{node}");
    }
    let n07 = bed.admin.get("/api/v1/nodes/n07").success();
    assert_eq!(n07["metadata"]["annotations"]["example.com/note"], "keep");
    assert_eq!(n07["metadata"]["labels"]["example.com/pool"], "blue");
    assert!(!bed.has(&Object::Ref(kernel.digest, bed.id())));
    assert!(bed.has(&Object::Ref(kernel.digest, other)));
    assert!(bed.has(&Object::Btf(kernel.digest)));
    // Once more finds nothing to do.
    let (done, printed, said) = run(&["--keep-refs"]);
    assert!(done && printed.contains("from 0 nodes"), "{printed}{said}");
}
