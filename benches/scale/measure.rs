//! What the controller uses: memory and CPU from /proc, bytes through a relay, requests from metrics.

use crate::servers::api::runtime;
use crate::servers::kubernetes::ControlPlane;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::TcpListener;

/// Passes TCP on, and counts what comes back.
pub struct Relay {
    address: SocketAddr,
    received: Arc<AtomicU64>,
}

impl Relay {
    pub fn start(to: SocketAddr) -> Relay {
        let received: Arc<AtomicU64> = Arc::default();
        let listener = runtime()
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let counted = received.clone();
        runtime().spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                let counted = counted.clone();
                tokio::spawn(async move {
                    let Ok(there) = tokio::net::TcpStream::connect(to).await else {
                        return;
                    };
                    let (mut ask, mut answer) = from.into_split();
                    let (mut back, mut forth) = there.into_split();
                    let down = async {
                        let mut buffer = vec![0; 64 << 10];
                        while let Ok(n @ 1..) = back.read(&mut buffer).await {
                            counted.fetch_add(n as u64, Ordering::Relaxed);
                            if answer.write_all(&buffer[..n]).await.is_err() {
                                break;
                            }
                        }
                    };
                    tokio::select! {
                        () = down => {}
                        _ = copy(&mut ask, &mut forth) => {}
                    }
                });
            }
        });
        Relay { address, received }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// A process' memory and CPU time.
pub struct Sampler {
    pid: u32,
}

impl Sampler {
    pub fn start(pid: u32) -> Sampler {
        Sampler { pid }
    }

    /// In KiB.
    pub fn rss(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// Of its whole life, in KiB: the kernel's own high-water mark.
    pub fn peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        let after = stat.rsplit(')').next().unwrap();
        let fields: Vec<&str> = after.split_whitespace().collect();
        // utime and stime, of 100 ticks a second each.
        let ticks: u64 = fields[11..=12]
            .iter()
            .map(|f| f.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 10)
    }
}

/// What the controller says that it asked, beside watches and its Lease.
pub fn controller_requests(listen: SocketAddr) -> Vec<(String, f64)> {
    let mut stream = TcpStream::connect(listen).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    sums(
        &text,
        "btfleet_controller_api_requests_total{",
        &["verb", "resource"],
    )
}

/// Watches of Nodes, and what was asked about Leases, as the API server counts them.
pub fn api_requests(plane: &ControlPlane) -> Vec<(String, f64)> {
    let page = plane.admin().get("/metrics");
    let text = page.body.as_str().unwrap_or_default();
    let all = sums(text, "apiserver_request_total{", &["verb", "resource"]);
    all.into_iter()
        .filter(|(what, _)| {
            matches!(
                what.as_str(),
                "WATCH nodes" | "WATCH kernelheaders" | "UPDATE leases"
            )
        })
        .map(|(what, n)| (format!("{what} (of all clients)"), n))
        .collect()
}

fn sums(text: &str, metric: &str, labels: &[&str]) -> Vec<(String, f64)> {
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with(metric)) {
        let Some((head, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let label = |name: &&str| {
            let begin = format!("{name}=\"");
            let from = head
                .match_indices(&begin)
                .find(|(at, _)| matches!(head.as_bytes()[at - 1], b'{' | b','))?;
            head[from.0 + begin.len()..].split('"').next()
        };
        let words: Vec<&str> = labels.iter().filter_map(label).collect();
        *sums.entry(words.join(" ")).or_default() += value.parse::<f64>().unwrap_or(0.0);
    }
    sums.into_iter().collect()
}
