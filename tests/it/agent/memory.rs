//! What an agent costs, on a whole kernel's BTF, with an S3 server. With the binary that ships:
//! `BTFLEET=… cargo test --test it agent::memory -- --nocapture`.

use super::bed::{Host, wait_until};
use crate::support::fixtures::fixture;
use crate::support::servers::kubernetes::Version;
use crate::support::servers::s3::{S3Server, Scheme};
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

/// Processor time of a process so far, in ms; Linux tells it in steps of 10.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The second field, in parentheses, can hold spaces; utime and stime are the 14th and 15th.
    let rest = stat.rsplit(')').next().unwrap();
    let ticks = rest.split_whitespace().skip(11).take(2);
    ticks.map(|t| t.parse::<f64>().unwrap() * 10.0).sum()
}

#[test]
fn at_rest_it_holds_less_than_8_mib_and_at_its_peak_less_than_32() {
    let server = S3Server::start(Scheme::Https);
    let mut host = Host::new(Version::Newest, "memory");
    host.publish_to(&server);
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
    let spent = cpu(pid);
    drop(agent);
    sampler.join().unwrap();
    let peak = peak.load(Ordering::Relaxed);
    println!(
        "anonymous: {anon} KiB at rest, {peak} KiB at its peak; RSS {rss} KiB, at most {most} KiB; {spent} ms of processor time to start and publish"
    );
    assert!(anon < 8 << 10, "{anon} KiB at rest");
    assert!(peak < 32 << 10, "{peak} KiB at its peak");

    let agent = host.start_with(&["--look-every", "0.1", "--resync-every", "0.1"]);
    let pid = agent.process.pid().unwrap();
    let looks = || {
        let metrics = agent.page("/metrics").1;
        let line = "btfleet_agent_store_looks_total{result=\"whole\"} ";
        let count = metrics.lines().find_map(|l| l.strip_prefix(line));
        count.unwrap().parse::<f64>().unwrap()
    };
    wait_until("it looks", || looks() > 3.0);
    let (before, spent) = (looks(), cpu(pid));
    wait_until("100 looks", || looks() > before + 100.0);
    let each = (cpu(pid) - spent) / (looks() - before);
    println!("{each:.1} ms of processor time for a look at Node and store");
    assert!(each < 30.0, "{each} ms");
}
