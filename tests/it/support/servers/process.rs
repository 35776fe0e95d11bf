//! One server process: started, waited for, killed, started again; gone when its parent is.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, mpsc};
use std::time::{Duration, Instant};

/// A server that can be stopped and started with the same arguments.
pub struct Process {
    program: PathBuf,
    args: Vec<OsString>,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Not started yet. What it prints is appended to `log`.
    pub fn new<A: Into<OsString>>(
        program: &Path,
        args: impl IntoIterator<Item = A>,
        log: PathBuf,
    ) -> Self {
        Process {
            program: program.to_owned(),
            args: args.into_iter().map(Into::into).collect(),
            log,
            child: Mutex::new(None),
        }
    }

    /// Starts it and waits until `ready`. The error is what to show: how it ended, and its last words.
    pub fn start(&self, limit: Duration, ready: impl Fn() -> bool) -> Result<(), String> {
        {
            let mut child = self.child();
            assert!(child.is_none(), "{} runs already", self.program.display());
            *child = Some(self.spawn().map_err(|e| format!("setpriv: {e}"))?);
        }
        let began = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                self.kill();
                return Err(self.last_words(&format!("ended at once ({status})")));
            }
            if ready() {
                return Ok(());
            }
            if began.elapsed() > limit {
                self.kill();
                return Err(self.last_words(&format!("was not ready after {limit:?}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// `kill -9`, and waits for its end. Nothing happens if it does not run.
    pub fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// The end of its log.
    pub fn last_words(&self, what: &str) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(40)..].join("\n");
        format!("{} {what}. Its log ends:\n{tail}", self.program.display())
    }

    fn ended(&self) -> Option<ExitStatus> {
        self.child().as_mut()?.try_wait().ok()?
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn spawn(&self) -> io::Result<Child> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.program)
            .args(&self.args)
            // What it leaves behind goes with the folder of its log.
            .env("TMPDIR", self.log.parent().unwrap_or(Path::new("/tmp")))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .current_dir("/")
            // Ctrl-C goes to the terminal's process group, which is not to be this one's.
            .process_group(0);
        spawn_from_a_lasting_thread(command)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.last_words("is stopped"));
        }
        self.kill();
    }
}

/// The signal of PR_SET_PDEATHSIG comes when the *thread* that forked ends, and a test's thread ends with the test
/// while the server may be shared with others. This one ends with the process.
fn spawn_from_a_lasting_thread(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in inbox {
                let _ = reply.send(command.spawn());
            }
        });
        orders
    });
    let (reply, child) = mpsc::channel();
    spawner.send((command, reply)).expect("the spawner lives");
    child.recv().expect("the spawner answers")
}
