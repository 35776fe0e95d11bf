//! `btfleet fetch`, as an init container runs it: every case that it must tell apart, by its exit code and by what
//! is in the folder afterwards.

mod cases;
mod liars;
mod releases;

use crate::agent::bed::Host;
use crate::tool::{btfleet, text};
use std::path::PathBuf;
use std::process::{Command, Output};

/// An init container on a host.
pub struct Pod {
    pub host: Host<'static>,
    out: tempfile::TempDir,
}

impl Pod {
    pub fn new(host: Host<'static>) -> Pod {
        let out = tempfile::tempdir().unwrap();
        Pod { host, out }
    }

    /// The folder it fetches into.
    pub fn folder(&self) -> PathBuf {
        self.out.path().join("btf")
    }

    /// `btfleet fetch`, which sees the host's kernel; `is_seen` says whether its BTF too.
    pub fn command(&self, is_seen: bool, flags: &[&str]) -> Command {
        let path = |name: &str| self.host.dir.path().join(name);
        let mut command = btfleet(self.out.path());
        command.arg("fetch").arg("--output").arg(self.folder());
        command.arg("--proc").arg(path("proc"));
        let btf = if is_seen { "vmlinux" } else { "hidden" };
        command.arg("--btf").arg(path(btf));
        command.env("NODE_NAME", &self.host.name);
        command.args(flags);
        command
    }

    /// Runs it; gives its exit code and what it said.
    pub fn fetch(&self, is_seen: bool, flags: &[&str]) -> (i32, String) {
        told(self.command(is_seen, flags).output().unwrap())
    }

    /// One of the files; `None` if it is not there.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder().join(name)).ok()
    }

    pub fn manifest(&self) -> serde_json::Value {
        serde_json::from_slice(&self.read("manifest.json").unwrap()).unwrap()
    }

    /// All three are there, and are this kernel's.
    #[track_caller]
    pub fn assert_has(&self, btf: &[u8], matched: &str) {
        assert_eq!(self.read("vmlinux.btf").as_deref(), Some(btf));
        let parsed = btfleet::btf::Btf::parse(btf).unwrap();
        let header = btfleet::dump::header(&parsed).unwrap();
        assert_eq!(self.read("vmlinux.h"), Some(header));
        assert_eq!(self.manifest()["matched"], matched);
    }

    /// Nothing is there, and nothing that only looks so.
    #[track_caller]
    pub fn assert_empty(&self) {
        let there = std::fs::read_dir(self.folder()).into_iter().flatten();
        let there: Vec<_> = there.map(|e| e.unwrap().file_name()).collect();
        assert!(there.is_empty(), "{there:?}");
    }
}

pub fn told(out: Output) -> (i32, String) {
    (out.status.code().unwrap(), text(&out.stderr))
}
