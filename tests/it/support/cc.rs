//! Running compilers, and `bpftool`. A tool that is missing fails the test and names its Debian package.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The clangs that headers are promised to compile with.
pub const CLANGS: [&str; 3] = ["clang-14", "clang-16", "clang-19"];

/// A folder of its own below cargo's target folder, removed when dropped.
pub fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("it-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("the target folder is writable")
}

/// Runs a tool in `dir` and returns what it did, whatever its exit code.
pub fn run(program: &str, args: &[&str], dir: &Path) -> Output {
    let found = locate(program).unwrap_or_else(|| {
        panic!(
            "`{program}` is not installed, and this test needs it: apt-get install {}",
            package(program)
        )
    });
    Command::new(&found)
        .args(args)
        .current_dir(dir)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}", found.display()))
}

/// Runs a tool that has to succeed.
pub fn must(program: &str, args: &[&str], dir: &Path) -> Vec<u8> {
    let out = run(program, args, dir);
    assert!(
        out.status.success(),
        "{program} {args:?}: {}\n{}",
        out.status,
        text(&out.stderr)
    );
    out.stdout
}

/// A file that a Debian package brings, or a failed test.
pub fn need_file(path: &str, package: &str) {
    assert!(
        Path::new(path).exists(),
        "{path} is missing, and this test needs it: apt-get install {package}"
    );
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The first lines of what a compiler said: enough to see what is wrong.
pub fn head(text: &str, lines: usize) -> String {
    text.lines().take(lines).collect::<Vec<_>>().join("\n")
}

/// The Debian package of a tool.
fn package(program: &str) -> &str {
    match program {
        "gcc-12" => "gcc-12",
        other => other,
    }
}

/// `PATH`, and the `sbin` folders where Debian keeps `bpftool` but which a user's `PATH` lacks.
fn locate(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// `-target` for BTF of this byte order.
pub fn bpf_target(big_endian: bool) -> &'static str {
    if big_endian { "bpfeb" } else { "bpf" }
}

/// What bpftool prints for a BTF: the header that ours is measured against.
pub fn bpftool_header(btf: &[u8], base: Option<&[u8]>) -> String {
    let dir = scratch();
    std::fs::write(dir.path().join("kernel.btf"), btf).unwrap();
    let mut args = vec!["btf", "dump", "file", "kernel.btf", "format", "c"];
    if let Some(base) = base {
        std::fs::write(dir.path().join("base.btf"), base).unwrap();
        args.splice(0..0, ["-B", "base.btf"]);
    }
    text(&must("bpftool", &args, dir.path()))
}

/// Does `job` for each item, on as many threads as there are processors; results in the items' order.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], job: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism()
        .map_or(2, |n| n.get())
        .min(items.len().max(1));
    let next = std::sync::atomic::AtomicUsize::new(0);
    let done = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    let result = job(item);
                    done.lock().unwrap().push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
