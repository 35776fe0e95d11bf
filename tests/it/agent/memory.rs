//! What an agent holds, on a whole kernel's BTF.

use super::bed::{Host, wait_until};
use crate::support::fixtures::fixture;
use crate::support::servers::kubernetes::Version;
use crate::tool::file;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A line of /proc/PID/status, in KiB; `None` once the process is gone.
fn kib(pid: u32, line: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix(line))?;
    line.trim_start_matches(':')
        .trim()
        .strip_suffix(" kB")?
        .parse()
        .ok()
}

#[test]
fn at_rest_it_holds_less_than_8_mib_and_at_its_peak_less_than_32() {
    let host = Host::new(Version::Newest, "memory");
    file(host.dir.path(), "vmlinux", &fixture("x86_64-6.18").btf);
    let agent = host.start_with(&[]);
    let pid = agent.process.pid().unwrap();
    let peak = Arc::new(AtomicU64::new(0));
    let most = peak.clone();
    let sampler = std::thread::spawn(move || {
        while let Some(now) = kib(pid, "RssAnon") {
            most.fetch_max(now, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    wait_until("Ready", || host.status() == "Ready");
    std::thread::sleep(Duration::from_secs(2));
    let (anon, rss) = (kib(pid, "RssAnon").unwrap(), kib(pid, "VmRSS").unwrap());
    let most = kib(pid, "VmHWM").unwrap();
    drop(agent);
    sampler.join().unwrap();
    let peak = peak.load(Ordering::Relaxed);
    println!(
        "anonymous: {anon} KiB at rest, {peak} KiB at its peak; RSS {rss} KiB, at most {most} KiB"
    );
    assert!(anon < 8 << 10, "{anon} KiB at rest");
    assert!(peak < 32 << 10, "{peak} KiB at its peak");
}
