//! Compilers, run over headers.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a header is for: it decides the compiler's target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub big: bool,
    pub wide: bool,
}

impl Target {
    pub const BPF: Target = Target {
        big: false,
        wide: true,
    };

    /// Of a raw BTF's own byte order.
    pub fn of(btf: &[u8]) -> Target {
        Target {
            big: btf.starts_with(&[0xeb, 0x9f]),
            wide: true,
        }
    }

    /// The triple on which the layout is the kernel's own.
    pub fn triple(self) -> &'static str {
        match (self.wide, self.big) {
            (true, false) => "bpf",
            (true, true) => "bpfeb",
            (false, false) => "armv7a-linux-gnueabihf",
            (false, true) => "armebv7a-linux-gnueabihf",
        }
    }
}

/// The compiler that tests run, `clang-19` unless `BTFLEET_CLANG` names another.
pub fn clang() -> String {
    std::env::var("BTFLEET_CLANG").unwrap_or_else(|_| "clang-19".to_string())
}

/// Compiles the headers, in this order, and then `code`; every warning counts as an error.
pub fn check(target: Target, headers: &[&Path], code: &str) -> Result<(), String> {
    check_with(
        target,
        &["-Wall", "-Wextra", "-Werror", "-std=gnu11"],
        headers,
        code,
    )
}

pub fn check_with(
    target: Target,
    flags: &[&str],
    headers: &[&Path],
    code: &str,
) -> Result<(), String> {
    check_on(target.triple(), flags, headers, code)
}

/// The same for any of clang's targets.
pub fn check_on(triple: &str, flags: &[&str], headers: &[&Path], code: &str) -> Result<(), String> {
    // A header over which the compiler broods for a minute is no better than one that it refuses.
    let mut child = Command::new("timeout")
        .args(["60", &clang()])
        .args([
            "-target",
            triple,
            "-fsyntax-only",
            "-ferror-limit=4",
            "-x",
            "c",
        ])
        .args(flags)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| {
            format!(
                "{}: {e} (install it, or name another in BTFLEET_CLANG)",
                clang()
            )
        })?;
    let mut unit = String::new();
    for header in headers {
        unit += &format!("#include \"{}\"\n", header.display());
    }
    unit += code;
    // A compiler that dies early closes its end: its own message is the one to show.
    let _ = child
        .stdin
        .take()
        .expect("it was piped")
        .write_all(unit.as_bytes());
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    if output.status.success() && output.stderr.is_empty() {
        return Ok(());
    }
    let text = match output.status.code() {
        Some(124) => "it took more than a minute".to_string(),
        Some(127) => format!(
            "there is no {}: install it, or name another in BTFLEET_CLANG",
            clang()
        ),
        _ => String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    Err(format!(
        "{}: {}",
        output.status,
        text.chars().take(1500).collect::<String>()
    ))
}
