//! What reading refuses, and what that costs.

use super::Bed;
use super::kernels::{cluster, manifest, put, small};
use btfleet::artifact::{BtfDigest, MAX_BLOB, Object};
use btfleet::store::{Manner, ReadError, read};
use bytes::Bytes;
use std::io::Read;
use std::time::{Duration, Instant};

pub async fn a_mismatch_names_key_expected_and_found(bed: &Bed) {
    let (kernel, other) = (small("task"), b"something else");
    put(&*bed.plain, &kernel, &cluster("c1"), Manner::Thorough)
        .await
        .unwrap();
    let key = Object::Btf(kernel.digest).key();
    let bytes = btfleet::artifact::compress(other).unwrap();
    bed.plain.put(&key, bytes.into()).await.unwrap();
    let e = read::btf(&*bed.plain, &kernel.digest, None)
        .await
        .unwrap_err();
    let (expected, found) = (kernel.digest, BtfDigest::of(other));
    assert_eq!(
        e.to_string(),
        format!("{key}: its contents are wrong: expected {expected}, found {found}")
    );
    assert!(e.is_transient(), "somebody may repair it");
    let e = read::btf(&*bed.plain, &found, None).await.unwrap_err();
    assert!(
        e.is_missing() && e.to_string().contains(&found.hex()),
        "{e}"
    );
}

/// Most memory that this process ever had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kib = line.split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() << 10
}

pub async fn a_bomb_costs_neither_memory_nor_time(bed: &Bed) {
    // Zeros without end, and without a word of how many: 4 GiB, in about 130 KB.
    let silent = zstd::stream::encode_all(std::io::repeat(0).take(4 << 30), 1).unwrap();
    // One that says at once how much it holds.
    let honest = {
        let mut to = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        to.set_pledged_src_size(Some(1 << 30)).unwrap();
        std::io::copy(&mut std::io::repeat(0).take(1 << 30), &mut to).unwrap();
        to.finish().unwrap()
    };
    let digest = BtfDigest::of(b"asked for");
    let key = Object::Btf(digest).key();
    for (what, bomb, size, limit) in [
        ("silent", &silent, None, Duration::from_secs(20)),
        ("silent", &silent, Some(5_000_000), Duration::from_secs(2)),
        ("honest", &honest, None, Duration::from_secs(1)),
    ] {
        bed.plain
            .put(&key, Bytes::from(bomb.clone()))
            .await
            .unwrap();
        let (before, start) = (peak(), Instant::now());
        let e = read::btf(&*bed.plain, &digest, size).await.unwrap_err();
        let (took, more) = (start.elapsed(), peak().saturating_sub(before));
        println!(
            "{what} bomb of {} bytes, limit {size:?}: {took:?}, {more} bytes more",
            bomb.len()
        );
        let most = size.unwrap_or(MAX_BLOB);
        let told = e.to_string();
        assert!(
            told.contains(&format!("it holds more than {most} bytes")),
            "{told}"
        );
        assert!(took < limit, "{what}: {took:?}");
        // Others' tests run in the same process; 256 MiB would be seen all the same.
        assert!(more < 100 << 20, "{what}: {more} bytes");
    }
}

pub async fn a_manifest_can_only_lower_what_is_read(bed: &Bed) {
    let kernel = small("task");
    put(&*bed.plain, &kernel, &cluster("c1"), Manner::Thorough)
        .await
        .unwrap();
    let m = manifest(&kernel);
    for size in [Some(m.btf_size), None, Some(u64::MAX)] {
        let btf = read::btf(&*bed.plain, &kernel.digest, size).await;
        assert!(btf.unwrap() == kernel.btf, "{size:?}");
    }
    for size in [0, 1, m.btf_size - 1] {
        let e = read::btf(&*bed.plain, &kernel.digest, Some(size)).await;
        assert!(matches!(e, Err(ReadError::Blob { .. })), "{size}");
    }
}
