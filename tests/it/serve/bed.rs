//! A server as a process, and a client that shows every byte of its answers.

use crate::agent::bed::wait_until;
use crate::support::servers::port;
use crate::support::servers::process::Process;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub struct Serving {
    pub process: Process,
    pub address: SocketAddr,
    log: PathBuf,
    _dir: tempfile::TempDir,
}

/// An answer, its headers' names in lower case.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn json(&self) -> serde_json::Value {
        let said = || String::from_utf8_lossy(&self.body).into_owned();
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", said()))
    }

    /// The last word of a problem's type, of what is a problem in every respect.
    #[track_caller]
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let json = self.json();
        assert_eq!(json["status"], self.status);
        assert!(!json["detail"].as_str().unwrap().is_empty());
        assert_eq!(self.header("retry-after").is_empty(), self.status != 503);
        assert_eq!(self.header("etag"), "");
        let kind = json["type"].as_str().unwrap();
        kind.strip_prefix("tag:btfleet.dev,2026:problem/")
            .unwrap()
            .to_owned()
    }
}

impl Serving {
    /// A store alone.
    pub fn of_folder(folder: &Path, flags: &[&str]) -> Serving {
        let store = format!("--store=file://{}", folder.display());
        let mut all = vec![store.as_str()];
        all.extend(flags);
        Serving::start(&all, &[])
    }

    /// With these flags and variables; waits until it listens.
    pub fn start(flags: &[&str], env: &[(&str, &str)]) -> Serving {
        let dir = tempfile::tempdir().unwrap();
        let address = port::free();
        let log = dir.path().join("serve.log");
        let mut args = vec!["-u".to_owned(), "KUBECONFIG".to_owned()];
        args.extend(["-u", "KUBERNETES_SERVICE_HOST"].map(str::to_owned));
        args.push(format!("HOME={}", dir.path().display()));
        args.extend(env.iter().map(|(name, value)| format!("{name}={value}")));
        args.push(env!("CARGO_BIN_EXE_btfleet").to_owned());
        args.extend(["serve", "--listen", &address.to_string()].map(str::to_owned));
        args.extend(flags.iter().map(|&flag| flag.to_owned()));
        let process = Process::new(Path::new("env"), args, log.clone());
        let listens = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok();
        let started = process.start(Duration::from_secs(30), listens);
        started.unwrap_or_else(|e| panic!("{e}"));
        Serving {
            process,
            address,
            log,
            _dir: dir,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        let limit = Some(Duration::from_secs(30));
        stream.set_read_timeout(limit).unwrap();
        stream
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }

    pub fn with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers)
    }

    /// One request on a connection of its own.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut stream = self.connect();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        answer(&all)
    }

    /// The value of a metric, by its name and labels as they are written; 0 if there is none.
    pub fn metric(&self, name: &str) -> f64 {
        let page = String::from_utf8(self.get("/metrics").body).unwrap();
        let mut lines = page.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    pub fn wait_ready(&self) {
        wait_until("the server is ready", || self.get("/readyz").status == 200);
    }

    pub fn signal(&self, name: &str) {
        let pid = self.process.pid().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }
}

pub fn answer(all: &[u8]) -> Answer {
    let end = all.windows(4).position(|w| w == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(all)));
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    Answer {
        status: status.parse().unwrap(),
        headers: headers.collect(),
        body: all[end + 4..].to_vec(),
    }
}
