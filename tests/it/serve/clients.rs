//! What a client can cost: connections, heads, slowness.

use super::bed::{Serving, answer};
use super::http::small;
use crate::agent::bed::wait_until;
use crate::support::fixtures::{X86_64, fixture};
use crate::tool::{file, succeed};
use btfleet::artifact::BtfDigest;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Reads until the other side ends it; how long that took, and what came.
fn to_the_end(stream: &mut TcpStream) -> (Duration, Vec<u8>) {
    let (began, mut all) = (Instant::now(), Vec::new());
    // A reset is an end too.
    let _ = stream.read_to_end(&mut all);
    (began.elapsed(), all)
}

#[test]
fn who_says_nothing_or_half_of_it_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = small(&dir);
    let server = Serving::of_folder(&store, &["--idle-timeout", "1"]);
    let request = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    for said in [
        "",
        "GET /livez HT",
        "GET /livez HTTP/1.1\r\nHost: x\r\n",
        request,
    ] {
        let mut stream = server.connect();
        stream.write_all(said.as_bytes()).unwrap();
        let (took, came) = to_the_end(&mut stream);
        let limits = Duration::from_millis(900)..Duration::from_secs(10);
        assert!(limits.contains(&took), "{said:?}: {took:?}");
        // Who asked got an answer, and was cut off in the silence after it.
        assert_eq!(
            came.starts_with(b"HTTP/1.1 200"),
            said == request,
            "{said:?}"
        );
    }
    // A head that comes drop by drop is not waited for longer than one that does not come.
    let mut stream = server.connect();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) && stream.write_all(b"G").is_ok() {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    wait_until("all are counted", || {
        server.metric("btfleet_serve_connections_cut_total{reason=\"idle\"}") >= 3.0
    });
}

#[test]
fn who_does_not_read_is_cut_off_and_its_blob_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let btf = fixture(X86_64).btf;
    file(dir.path(), "k.btf", &btf);
    succeed(dir.path(), ["publish", "k.btf"]);
    let flags = ["--stall-timeout", "1"];
    let server = Serving::of_folder(&dir.path().join("btfleet-store"), &flags);
    let path = format!("/v1/kernels/{}/vmlinux.btf", BtfDigest::of(&btf));
    assert_eq!(server.get(&path).body.len(), btf.len());
    let mut streams: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    for stream in &mut streams {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
    }
    wait_until("they are cut off", || {
        server.metric("btfleet_serve_connections_cut_total{reason=\"stall\"}") >= 20.0
    });
    for stream in &mut streams {
        assert!(to_the_end(stream).1.len() < btf.len());
    }
    assert_eq!(server.get(&path).body.len(), btf.len());
}

#[test]
fn who_has_nothing_more_to_say_gets_its_answer_whole() {
    let dir = tempfile::tempdir().unwrap();
    let btf = fixture(X86_64).btf;
    file(dir.path(), "k.btf", &btf);
    succeed(dir.path(), ["publish", "k.btf"]);
    let server = Serving::of_folder(&dir.path().join("btfleet-store"), &[]);
    let path = format!("/v1/kernels/{}/vmlinux.btf", BtfDigest::of(&btf));
    let mut stream = server.connect();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(answer(&to_the_end(&mut stream).1).body == btf);
}

#[test]
fn memory_that_making_a_header_took_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let btf = fixture(X86_64).btf;
    file(dir.path(), "k.btf", &btf);
    succeed(dir.path(), ["publish", "k.btf"]);
    let server = Serving::of_folder(&dir.path().join("btfleet-store"), &[]);
    let path = format!("/v1/kernels/{}/vmlinux.h", BtfDigest::of(&btf));
    for coding in ["identity", "zstd"] {
        let got = server.with(&path, &[("Accept-Encoding", coding)]);
        assert_eq!(got.status, 200);
    }
    let held = || {
        let held = server.metric("btfleet_serve_held_bytes");
        (held > btf.len() as f64).then_some(held as u64 >> 10)
    };
    wait_until("what is held is counted", || held().is_some());
    let own = || {
        let pid = server.process.pid().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB").parse::<u64>();
        kib.unwrap()
    };
    let (own, held) = (own(), held().unwrap());
    println!("{own} KiB, of which blobs {held}");
    // Blobs, and what the program itself has; kept, it would be 6 MiB more.
    assert!(own < held + (4 << 10), "{own} KiB, of which blobs {held}");
}

#[test]
fn heads_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = small(&dir);
    let server = Serving::of_folder(&store, &[]);
    let long = "x".repeat(20_000);
    let many: Vec<(String, String)> = (0..100).map(|n| (format!("h{n}"), String::new())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(server.with("/livez", &[("x", &long)]).status, 431);
    assert_eq!(server.with("/livez", &many).status, 431);
    let got = server.get(&format!("/v1/kernels?release={long}"));
    assert!(matches!(got.status, 414 | 431), "{}", got.status);
    // A body is not waited for, however long it is said to be.
    let mut stream = server.connect();
    let head = "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let (took, came) = to_the_end(&mut stream);
    assert_eq!(answer(&came).status, 200);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn no_more_connections_than_allowed_are_open_and_who_comes_then_waits() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = small(&dir);
    let flags = ["--max-connections", "2", "--idle-timeout", "20"];
    let server = Serving::of_folder(&store, &flags);
    let open: Vec<TcpStream> = (0..2).map(|_| server.connect()).collect();
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    let third = std::thread::scope(|s| {
        let third = s.spawn(|| server.get("/livez").status);
        std::thread::sleep(Duration::from_secs(1));
        assert!(!third.is_finished());
        drop(open);
        third.join().unwrap()
    });
    assert_eq!(third, 200);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn at_the_end_a_request_that_is_under_way_is_answered_whole() {
    let dir = tempfile::tempdir().unwrap();
    let btf = fixture(X86_64).btf;
    file(dir.path(), "k.btf", &btf);
    succeed(dir.path(), ["publish", "k.btf"]);
    let server = Serving::of_folder(&dir.path().join("btfleet-store"), &[]);
    let mut stream = server.connect();
    let path = format!("/v1/kernels/{}/vmlinux.btf", BtfDigest::of(&btf));
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut first = [0; 1000];
    stream.read_exact(&mut first).unwrap();
    server.signal("TERM");
    wait_until("it listens no more", || {
        TcpStream::connect(server.address).is_err()
    });
    let rest = to_the_end(&mut stream).1;
    let all = [&first[..], &rest].concat();
    assert!(answer(&all).body == btf);
    wait_until("it ends", || server.log().contains("SIGTERM: ending"));
}

#[test]
fn memory_stays_bounded_whatever_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let btf = fixture(X86_64).btf;
    file(dir.path(), "k.btf", &btf);
    succeed(dir.path(), ["publish", "k.btf"]);
    let store = dir.path().join("btfleet-store");
    let server = Serving::of_folder(&store, &["--cache", "32"]);
    let path = format!("/v1/kernels/{}/vmlinux.h", BtfDigest::of(&btf));
    // Every set of types is another header; each in three codings.
    let types = [
        "task_struct",
        "sock",
        "file",
        "inode",
        "sk_buff",
        "net",
        "mm_struct",
        "cred",
    ];
    std::thread::scope(|s| {
        for thread in 0..4 {
            let (server, path) = (&server, &path);
            s.spawn(move || {
                for n in (thread..120usize).step_by(4) {
                    let asked = (0..8).filter(|bit| (n + 1) >> bit & 1 == 1);
                    let asked: Vec<String> = asked.map(|i| format!("type={}", types[i])).collect();
                    let coding = [("Accept-Encoding", ["", "zstd", "gzip"][n % 3])];
                    let got = server.with(&format!("{path}?{}", asked.join("&")), &coding);
                    assert!(matches!(got.status, 200 | 503), "{}", got.status);
                }
            });
        }
    });
    let held = server.metric("btfleet_serve_held_bytes") / f64::from(1 << 20);
    assert!(held < 33.0, "{held} MiB held");
    let pid = server.process.pid().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    let peak: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!("{held} MiB held, {} MiB at the peak", peak >> 10);
    assert!(peak < 256 << 10, "{peak} KiB");
}
