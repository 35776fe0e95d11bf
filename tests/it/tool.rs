//! What the tests of commands share: running the binary, and small kernels to run it on.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The binary under test, in a folder of the test's own, with none of our variables set.
pub fn btfleet(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_btfleet"));
    command.current_dir(folder);
    for name in ["STORE", "ARCH", "RELEASE", "PIN"] {
        command.env_remove(format!("BTFLEET_{name}"));
    }
    // No test reads a cluster that its developer happens to have.
    for name in ["KUBECONFIG", "KUBERNETES_SERVICE_HOST"] {
        command.env_remove(name);
    }
    command.env("HOME", folder);
    command.stdin(Stdio::null());
    command
}

/// Runs it with these arguments.
pub fn run<A: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = A>) -> Output {
    btfleet(folder).args(args).output().unwrap()
}

/// Runs it and expects success; gives what it printed.
pub fn succeed<A: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = A>) -> String {
    let out = run(folder, args);
    assert!(
        out.status.success(),
        "{}: {}",
        out.status,
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes BTF by hand: enough for kernels of a few types, or of very many.
pub struct Tiny {
    next: u32,
    strings_from: u32,
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Tiny {
    /// Alone; type id 1 is `long`, type id 2 `int`.
    pub fn kernel() -> Tiny {
        let mut tiny = Tiny {
            next: 1,
            strings_from: 0,
            types: vec![],
            strings: vec![0],
        };
        tiny.int("long", 8);
        tiny.int("int", 4);
        tiny
    }

    /// A module over a base of that many types and bytes of strings.
    pub fn module(base: &Tiny) -> Tiny {
        Tiny {
            next: base.next,
            strings_from: base.strings.len() as u32,
            types: vec![],
            strings: vec![],
        }
    }

    fn words(&mut self, words: &[u32]) {
        self.types
            .extend(words.iter().flat_map(|w| w.to_le_bytes()));
    }

    pub fn string(&mut self, text: &str) -> u32 {
        let at = self.strings_from + self.strings.len() as u32;
        self.strings.extend(text.bytes().chain([0]));
        at
    }

    pub fn int(&mut self, name: &str, size: u32) -> u32 {
        let name = self.string(name);
        self.words(&[name, 1 << 24, size, (1 << 24) | (size * 8)]);
        self.next += 1;
        self.next - 1
    }

    /// `struct name { int first; int second; … };`
    pub fn record(&mut self, name: &str, members: &[&str]) -> u32 {
        let name = if name.is_empty() {
            0
        } else {
            self.string(name)
        };
        let vlen = members.len() as u32;
        self.words(&[name, (4 << 24) | vlen, vlen * 4]);
        for (n, member) in (0..).zip(members) {
            let member = self.string(member);
            self.words(&[member, 2, n * 32]);
        }
        self.next += 1;
        self.next - 1
    }

    /// A struct of `int`s of this size, its names given by where they are.
    pub fn record_of(&mut self, name: u32, members: impl ExactSizeIterator<Item = u32>, size: u32) {
        self.words(&[name, (4 << 24) | members.len() as u32, size]);
        for (n, member) in (0..).zip(members) {
            self.words(&[member, 2, n * 32]);
        }
        self.next += 1;
    }

    /// `struct { T name; };`, itself without a name but for the outermost.
    pub fn nested(&mut self, outer: &str, before: u32, name: u32, member: u32) -> u32 {
        let outer = if outer.is_empty() {
            0
        } else {
            self.string(outer)
        };
        self.words(&[outer, (4 << 24) | 1, before + 4, name, member, before * 8]);
        self.next += 1;
        self.next - 1
    }

    /// `union name { T; T; };`, its members without a name.
    pub fn pair(&mut self, name: &str, member: u32) -> u32 {
        self.alike(name, member, 2)
    }

    /// `union name { T; T; … };`, likewise.
    pub fn alike(&mut self, name: &str, member: u32, count: u32) -> u32 {
        let name = if name.is_empty() {
            0
        } else {
            self.string(name)
        };
        self.words(&[name, (5 << 24) | count, 4]);
        for _ in 0..count {
            self.words(&[0, member, 0]);
        }
        self.next += 1;
        self.next - 1
    }

    pub fn bytes(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut out = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types, types, strings] {
            out.extend(word.to_le_bytes());
        }
        out.extend_from_slice(&self.types);
        out.extend_from_slice(&self.strings);
        out
    }
}

/// A kernel of one struct of this name: kernels of different names differ.
pub fn small_kernel(name: &str) -> Vec<u8> {
    let mut tiny = Tiny::kernel();
    tiny.record(name, &["one", "two"]);
    tiny.bytes()
}

/// A kernel of this many structs, with names that do not compress away.
pub fn large_kernel(structs: u32) -> Vec<u8> {
    let mut tiny = Tiny::kernel();
    for n in 0..structs {
        let odd = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        tiny.record(&format!("s{odd:x}"), &["one", "two"]);
    }
    tiny.bytes()
}

/// Writes a file and gives its path.
pub fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Every file below a folder with its size and time of change, by name.
pub fn snapshot(folder: &Path) -> Vec<(PathBuf, u64, std::time::SystemTime)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            if meta.is_dir() {
                folders.push(entry.path());
            }
            found.push((entry.path(), meta.len(), meta.modified().unwrap()));
        }
    }
    found.sort();
    found
}

/// Compiles C with clang for the BPF target and gives the object: an ELF file with BTF in it.
pub fn compile_bpf(folder: &Path, name: &str, source: &str) -> PathBuf {
    let c = file(folder, &format!("{name}.c"), source.as_bytes());
    let o = folder.join(format!("{name}.o"));
    let clangs = ["clang", "clang-19", "clang-16", "clang-14"];
    let works = |clang: &&&str| Command::new(clang).arg("--version").output().is_ok();
    let clang = clangs.iter().find(works).expect("clang is not installed");
    let out = Command::new(clang)
        .args(["-target", "bpf", "-g", "-O1", "-c"])
        .arg(&c)
        .arg("-o")
        .arg(&o)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    o
}
