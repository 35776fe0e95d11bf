//! Other programs: how long they run, how much memory they hold, on which CPUs.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// A program, its arguments, and the file that takes its standard output.
pub struct Program<'a> {
    pub argv: Vec<OsString>,
    pub stdout: Option<&'a Path>,
}

/// From before the process exists until it is gone.
pub fn time(program: &Program<'_>) -> Result<Duration> {
    let mut command = command(program)?;
    let began = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("{:?}", program.argv))?;
    let status = child.wait()?;
    let took = began.elapsed();
    ensure!(status.success(), "{:?} ended with {status}", program.argv);
    Ok(took)
}

/// What the program says on standard error.
pub fn stderr(program: &Program<'_>) -> Result<String> {
    let out = command(program)?.stderr(Stdio::piped()).output()?;
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    ensure!(
        out.status.success(),
        "{:?} ended with {}: {text}",
        program.argv,
        out.status
    );
    Ok(text)
}

/// The most memory that the program held, in KiB.
///
/// Linux counts a process's memory before `exec` as its own, so a child of this program, which is
/// large, would look as large. Hence another run of this program, which is small, starts it: see
/// [`report_peak`].
pub fn peak_kib(program: &Program<'_>) -> Result<u64> {
    let mut argv = vec![std::env::current_exe()?.into_os_string(), "peak-rss".into()];
    argv.extend(program.argv.iter().cloned());
    let text = stderr(&Program {
        argv,
        stdout: program.stdout,
    })?;
    let line = text.lines().last().unwrap_or_default();
    let Some(kib) = line.strip_prefix("peak-rss-kib ") else {
        bail!("no peak in: {text}");
    };
    Ok(kib.parse()?)
}

/// The other end of [`peak_kib`]: runs the program and says its peak on standard error.
pub fn report_peak(argv: Vec<OsString>) -> Result<()> {
    let child = command_of(&argv)?.stderr(Stdio::null()).spawn()?;
    let pid = libc::pid_t::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: all-zero bytes are a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the type that wait4 fills in.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    ensure!(waited == pid, "wait4: {}", std::io::Error::last_os_error());
    ensure!(status == 0, "{argv:?} ended with wait status {status}");
    eprintln!("peak-rss-kib {}", usage.ru_maxrss);
    Ok(())
}

/// Confines this thread, and what it starts from here on, to these CPUs.
pub fn confine(cpus: &[usize]) -> Result<()> {
    // SAFETY: all-zero bytes are an empty set, and CPU_SET keeps inside it by its own check.
    let code = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        for &cpu in cpus {
            libc::CPU_SET(cpu, &mut set);
        }
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    ensure!(
        code == 0,
        "sched_setaffinity {cpus:?}: {}",
        std::io::Error::last_os_error()
    );
    Ok(())
}

/// The CPUs that this thread may run on.
pub fn allowed_cpus() -> Result<Vec<usize>> {
    // SAFETY: as in `confine`; the kernel writes no more than the size it is told.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        let code = libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set);
        ensure!(
            code == 0,
            "sched_getaffinity: {}",
            std::io::Error::last_os_error()
        );
        let most = usize::try_from(libc::CPU_SETSIZE)?;
        Ok((0..most)
            .filter(|&cpu| libc::CPU_ISSET(cpu, &set))
            .collect())
    }
}

fn command(program: &Program<'_>) -> Result<Command> {
    let mut command = command_of(&program.argv)?;
    if let Some(path) = program.stdout {
        command.stdout(File::create(path)?);
    }
    Ok(command)
}

fn command_of(argv: &[OsString]) -> Result<Command> {
    let (name, arguments) = argv.split_first().context("no program named")?;
    let mut command = Command::new(name);
    // Digests and notes go to standard error; here nobody reads them.
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    Ok(command)
}
