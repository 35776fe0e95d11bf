//! An agent that is killed at any moment leaves nothing wrong, and the next one completes it.

use super::bed::Host;
use crate::support::servers::kubernetes::Version;
use crate::tool::{file, large_kernel};
use std::time::Duration;

#[test]
fn killed_at_random_moments_it_never_lies_and_the_next_run_completes_it() {
    let host = Host::new(Version::Oldest, "killed");
    // Large enough that a kill can come while it works.
    file(host.dir.path(), "vmlinux", &large_kernel(20_000));
    // How long a whole run takes here and now.
    let began = std::time::Instant::now();
    host.succeed();
    let whole = began.elapsed();
    let good = host.objects();
    for n in 0..8u32 {
        host.edit(serde_json::json!({"annotations": null, "labels": null}));
        let _ = std::fs::remove_dir_all(host.store_folder());
        let mut child = host.command().arg("--once").spawn().unwrap();
        std::thread::sleep(whole.mul_f64(f64::from(n) / 7.0) + Duration::from_millis(1));
        child.kill().unwrap();
        child.wait().unwrap();
        host.assert_ready_means_stored();
        // Invariant 1: a manifest only with both blobs.
        let objects = host.objects();
        if objects.iter().any(|key| key.starts_with("kernels/")) {
            let blobs = ["btf/", "headers/"].map(|b| objects.iter().any(|key| key.starts_with(b)));
            assert_eq!(blobs, [true, true], "{objects:?}");
        }
        host.succeed();
        assert_eq!(host.status(), "Ready");
        assert_eq!(host.objects(), good);
    }
}
