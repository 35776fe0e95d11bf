//! A temporary folder that goes with the test binary even when nothing of it is dropped (a `static`, `kill -9`).

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

pub struct Folder {
    path: PathBuf,
    janitor: Child,
    // Closed by the kernel at the latest: then the janitor begins.
    alive: Option<ChildStdin>,
}

// The servers that write there are being killed at the same moment; a file of theirs can appear while it removes.
const JANITOR: &str = r#"cat >/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" 2>/dev/null && exit; sleep 0.2; done"#;

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = tempfile::Builder::new()
            .prefix(&format!("btfleet-{name}-"))
            .tempdir()
            .unwrap()
            .keep();
        let mut janitor = Command::new("sh")
            .args(["-c", JANITOR, "janitor"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            // Ctrl-C goes to the terminal's process group, which is not to be this one's.
            .process_group(0)
            .spawn()
            .expect("sh");
        let alive = janitor.stdin.take();
        Folder {
            path,
            janitor,
            alive,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.alive.take());
        let _ = self.janitor.wait();
    }
}
