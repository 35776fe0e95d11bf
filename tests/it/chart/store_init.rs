//! `btfleet store init` on real servers: with the account that the chart gives it, and versitygw started as the chart
//! starts it.

use crate::agent::bed::{plane, wait_until};
use crate::support::servers::folder::Folder;
use crate::support::servers::kubernetes::{Credentials, Version};
use crate::support::servers::process::Process;
use crate::support::servers::{port, tool};
use crate::tool::{btfleet, file, small_kernel, text};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const SECRETS: &str = "/api/v1/namespaces/btfleet/secrets";
const STORE: &str = "s3://btfleet/fleet";

/// RBAC names the Secrets: they are one test's at a time.
static TURN: Mutex<()> = Mutex::new(());

/// The Secrets' names are free, and the server is not there yet.
struct Bed {
    _turn: MutexGuard<'static, ()>,
    dir: tempfile::TempDir,
    folder: Folder,
    address: SocketAddr,
    server: Option<Process>,
}

impl Bed {
    fn new() -> Bed {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let admin = plane(Version::Newest).admin();
        for name in ["root", "agent", "controller", "server"] {
            admin.delete(&format!("{SECRETS}/btfleet-store-{name}"));
        }
        Bed {
            _turn: turn,
            dir: tempfile::tempdir().unwrap(),
            folder: Folder::new("store-init"),
            address: port::free(),
            server: None,
        }
    }

    fn command(&self, flags: &[&str]) -> Command {
        let plane = plane(Version::Newest);
        let token = plane.token("btfleet", "btfleet-store-init", None);
        let mut command = btfleet(self.dir.path());
        command
            .args(["store", "init", "--namespace=btfleet", "--store", STORE])
            .arg(format!("--s3-endpoint=http://{}", self.address))
            .args(flags)
            .env("KUBECONFIG", plane.kubeconfig(&Credentials::Token(&token)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn init(&self) -> String {
        let out = self.command(&[]).output().unwrap();
        assert!(out.status.success(), "{}", text(&out.stderr));
        text(&out.stdout)
    }

    fn secret(&self, name: &str) -> Value {
        let at = format!("{SECRETS}/btfleet-store-{name}");
        plane(Version::Newest).admin().get(&at).body
    }

    fn value(&self, name: &str, key: &str) -> Option<String> {
        let secret = self.secret(name);
        let bytes = BASE64_STANDARD.decode(secret["data"][key].as_str()?);
        Some(String::from_utf8(bytes.unwrap()).unwrap())
    }

    /// As charts/btfleet/templates/store.yaml has it, with the keys of the Secret.
    fn start_server(&mut self) {
        wait_until("there is a Secret for the server", || {
            self.value("root", "secretKey").is_some()
        });
        let path = |name: &str| {
            let path = self.folder.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            path.display().to_string()
        };
        let root = |key: &str| self.value("root", key).unwrap();
        let args = [
            format!("--access={}", root("accessKey")),
            format!("--secret={}", root("secretKey")),
            format!("--port={}", self.address),
            "--region=us-east-1".to_owned(),
            "--health=/healthz".to_owned(),
            "--keep-alive".to_owned(),
            format!("--iam-dir={}", path("users")),
            "posix".to_owned(),
            format!("--sidecar={}", path("meta")),
            path("objects"),
        ];
        let log = self.folder.path().join("log");
        let server = Process::new(&tool("versitygw"), args, log);
        let listens = || TcpStream::connect(self.address).is_ok();
        server.start(Duration::from_secs(30), listens).unwrap();
        self.server = Some(server);
    }

    /// A command with the keys that a Secret holds now.
    fn with_keys_of(&self, role: &str, args: &[&str]) -> Output {
        let keys = self.value(role, "credentials").unwrap();
        let keys = file(self.dir.path(), role, keys.as_bytes());
        self.with_keys(&keys, args)
    }

    fn with_keys(&self, keys: &Path, args: &[&str]) -> Output {
        btfleet(self.dir.path())
            .args(args)
            .args(["--store", STORE])
            .arg(format!("--s3-endpoint=http://{}", self.address))
            .env("AWS_SHARED_CREDENTIALS_FILE", keys)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .output()
            .unwrap()
    }

    /// Which roles' work a role's keys are good for.
    fn may(&self, role: &str) -> Vec<String> {
        let out = self.with_keys_of(role, &["store", "doctor", "-o", "json"]);
        let told: Value = serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|e| panic!("{role}: {e}: {}", text(&out.stderr)));
        let roles = told["roles"].as_array().unwrap();
        let well = roles.iter().filter(|r| r["ok"] == true);
        well.map(|r| r["role"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn from_nothing_it_makes_secrets_waits_for_the_server_and_gives_each_role_what_it_needs() {
    let mut bed = Bed::new();
    let running = bed.command(&[]).spawn().unwrap();
    wait_until("all Secrets are made", || {
        bed.value("server", "credentials").is_some()
    });
    std::thread::sleep(Duration::from_secs(1));
    bed.start_server();
    let out = running.wait_with_output().unwrap();
    let (said, waited) = (text(&out.stdout), text(&out.stderr));
    assert!(out.status.success(), "{said}{waited}");
    for step in [
        "Secret btfleet-store-root: made",
        "Secret btfleet-store-server: made",
        "user btfleet-agent-",
        "bucket btfleet: made",
        "all three users' keys work",
    ] {
        assert!(said.contains(step), "{step}: {said}");
    }
    assert!(waited.contains("waiting for http://"), "{waited}");
    assert_eq!(bed.may("agent"), ["agent", "reader"]);
    assert_eq!(bed.may("controller"), ["agent", "controller", "reader"]);
    assert_eq!(bed.may("server"), ["reader"]);
    // No key is a line of its log.
    for role in ["agent", "controller", "server"] {
        let keys = bed.value(role, "credentials").unwrap();
        let secret = keys.lines().last().unwrap().split(" = ").nth(1).unwrap();
        assert!(secret.len() == 40 && !said.contains(secret));
    }

    // Again: nothing is made, nothing is changed.
    let before: Vec<Value> = ["root", "agent", "controller", "server"]
        .map(|name| bed.secret(name))
        .into();
    let said = bed.init();
    assert!(!said.contains(": made"), "{said}");
    let after: Vec<Value> = ["root", "agent", "controller", "server"]
        .map(|name| bed.secret(name))
        .into();
    assert_eq!(before, after);

    // A server that is killed and started over its volume knows all of it.
    bed.server.take().unwrap().kill();
    bed.start_server();
    assert_eq!(bed.may("agent"), ["agent", "reader"]);
}

#[test]
fn a_secret_that_was_removed_is_made_anew_and_the_old_keys_end() {
    let mut bed = Bed::new();
    let running = bed.command(&[]).spawn().unwrap();
    bed.start_server();
    assert!(running.wait_with_output().unwrap().status.success());
    file(bed.dir.path(), "k.btf", &small_kernel("rotated"));
    let publish = ["publish", "k.btf"];
    let old = bed.value("agent", "credentials").unwrap();
    assert!(bed.with_keys_of("agent", &publish).status.success());
    plane(Version::Newest)
        .admin()
        .delete(&format!("{SECRETS}/btfleet-store-agent"))
        .success();
    let said = bed.init();
    assert!(said.contains("Secret btfleet-store-agent: made"), "{said}");
    assert!(said.contains(": removed, no Secret names it"), "{said}");
    assert!(bed.with_keys_of("agent", &publish).status.success());
    assert_eq!(bed.may("controller"), ["agent", "controller", "reader"]);
    let old = file(bed.dir.path(), "old", old.as_bytes());
    let refused = bed.with_keys(&old, &publish);
    assert!(!refused.status.success(), "the old keys work still");
}

#[test]
fn beside_a_server_that_forgot_everything_it_sets_all_up_again() {
    let mut bed = Bed::new();
    let running = bed.command(&["--every=0.5"]).spawn().unwrap();
    bed.start_server();
    wait_until("it is set up", || {
        bed.value("server", "credentials").is_some() && bed.may_list()
    });
    bed.server.take().unwrap().kill();
    for name in ["users", "meta", "objects"] {
        std::fs::remove_dir_all(bed.folder.path().join(name)).unwrap();
    }
    bed.start_server();
    wait_until("it is set up again", || bed.may_list());
    end(running);
}

impl Bed {
    fn may_list(&self) -> bool {
        let out = self.with_keys_of("server", &["kernels"]);
        out.status.success()
    }
}

#[test]
fn a_secret_that_is_there_and_cannot_be_used_is_named_and_left_as_it_is() {
    let bed = Bed::new();
    let mine =
        json!({"metadata": {"name": "btfleet-store-agent"}, "stringData": {"credentials": "mine"}});
    let admin = plane(Version::Newest).admin();
    let made = admin.post(SECRETS, &mine).success();
    let out = bed.command(&[]).output().unwrap();
    let said = text(&out.stderr);
    assert!(!out.status.success());
    assert!(
        said.contains("btfleet-store-agent") && said.contains("no AWS credentials file"),
        "{said}"
    );
    assert_eq!(bed.secret("agent"), made);
}

#[test]
fn a_secret_of_another_name_is_not_its_to_read() {
    let bed = Bed::new();
    let out = bed.command(&["--root-secret=somebodys"]).output().unwrap();
    let said = text(&out.stderr);
    assert!(
        !out.status.success() && said.contains("Secret somebodys cannot be read"),
        "{said}"
    );
}

#[test]
fn a_server_that_never_comes_is_an_error_that_says_so() {
    let bed = Bed::new();
    let out = bed.command(&["--timeout=1"]).output().unwrap();
    let said = text(&out.stderr);
    assert!(
        !out.status.success() && said.contains("was not ready within 1 s"),
        "{said}"
    );
}
