//! `make bench-serve`: 1,000 pods fetch a header at once after a rollout, five times each, from `btfleet serve` and from
//! nginx with the same bytes in a file, taking turns. Run by hack/bench-serve.sh, which starts both.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

const PODS: usize = 1000;
const EACH: usize = 5;

/// Who is measured.
struct Server {
    name: &'static str,
    address: SocketAddr,
    /// Paths of the header, plain and as zstd.
    paths: [String; 2],
    pids: Vec<u32>,
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run hack/bench-serve.sh"))
}

fn main() {
    // Under `cargo test --benches` there is nobody to measure.
    if std::env::var_os("SERVE_ADDRESS").is_none() {
        println!("run hack/bench-serve.sh");
        return;
    }
    let address = |name: &str| variable(name).parse().unwrap();
    let kernel = format!("/v1/kernels/{}/vmlinux.h", variable("SERVE_KERNEL"));
    let pids = |name: &str| {
        let all = variable(name);
        all.split_whitespace().map(|p| p.parse().unwrap()).collect()
    };
    let servers = [
        Server {
            name: "btfleet serve",
            address: address("SERVE_ADDRESS"),
            paths: [kernel.clone(), kernel],
            pids: pids("SERVE_PIDS"),
        },
        Server {
            name: "nginx",
            address: address("NGINX_ADDRESS"),
            paths: ["/vmlinux.h".to_owned(), "/vmlinux.h.zst".to_owned()],
            pids: pids("NGINX_PIDS"),
        },
    ];
    let rounds: usize = variable("SERVE_ROUNDS").parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!(
        "| {PODS} pods, {} requests, {rounds} rounds | p50 ms | p99 ms | all done s | MB/s | memory MiB |",
        PODS * EACH
    );
    println!("|---|--:|--:|--:|--:|--:|");
    for (n, coding) in ["identity", "zstd"].into_iter().enumerate() {
        let mut all: Vec<(Vec<Duration>, Vec<Duration>, usize)> =
            vec![Default::default(); servers.len()];
        // The first round after the start pays for the store; it counts only where there is no other.
        for round in 0..=rounds {
            for (server, (times, walls, bytes)) in servers.iter().zip(&mut all) {
                let (took, wall, got) = runtime.block_on(storm(server, &server.paths[n], coding));
                if round > 0 || rounds == 0 {
                    times.extend(took);
                    walls.push(wall);
                    *bytes = got;
                }
            }
        }
        for (server, (mut times, mut walls, bytes)) in servers.iter().zip(all) {
            times.sort();
            walls.sort();
            let at =
                |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
            let wall = walls[walls.len() / 2].as_secs_f64();
            let memory: f64 = server.pids.iter().map(|&pid| peak(pid)).sum();
            println!(
                "| {}, {coding} | {:.1} | {:.1} | {wall:.2} | {:.0} | {memory:.1} |",
                server.name,
                at(0.5),
                at(0.99),
                bytes as f64 / 1e6 / wall,
            );
        }
    }
}

/// A process' largest memory so far, in MiB.
fn peak(pid: u32) -> f64 {
    let status = std::fs::read_to_string(PathBuf::from(format!("/proc/{pid}/status"))).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<f64>()
        .unwrap()
        / 1024.0
}

/// All pods at once; the time of each request, of all of them, and the bytes of their bodies.
async fn storm(server: &Server, path: &str, coding: &str) -> (Vec<Duration>, Duration, usize) {
    let start = Arc::new(Barrier::new(PODS + 1));
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {coding}\r\n\r\n");
    let pods: Vec<_> = (0..PODS)
        .map(|_| {
            let (start, request, address) = (start.clone(), request.clone(), server.address);
            tokio::spawn(async move {
                start.wait().await;
                let mut began = Instant::now();
                let mut socket = TcpStream::connect(address).await.unwrap();
                let mut room = vec![0; 64 << 10];
                let (mut times, mut bytes) = (Vec::new(), 0);
                for _ in 0..EACH {
                    socket.write_all(request.as_bytes()).await.unwrap();
                    bytes += answer(&mut socket, &mut room).await;
                    times.push(began.elapsed());
                    began = Instant::now();
                }
                (times, bytes)
            })
        })
        .collect();
    start.wait().await;
    let began = Instant::now();
    let (mut times, mut bytes) = (Vec::new(), 0);
    for pod in pods {
        let (took, got) = pod.await.unwrap();
        times.extend(took);
        bytes += got;
    }
    (times, began.elapsed(), bytes)
}

/// Reads one answer; the bytes of its body.
async fn answer(socket: &mut TcpStream, room: &mut [u8]) -> usize {
    let mut have = 0;
    let end = loop {
        let n = socket.read(&mut room[have..]).await.unwrap();
        assert!(n > 0, "the server hung up");
        have += n;
        if let Some(end) = room[..have].windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = std::str::from_utf8(&room[..end])
        .unwrap()
        .to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let length = head.split("content-length:").nth(1).unwrap();
    let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
    let mut left = length - (have - end);
    while left > 0 {
        let n = socket.read(room).await.unwrap();
        assert!(n > 0 && n <= left, "the server hung up");
        left -= n;
    }
    length
}
