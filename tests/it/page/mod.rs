//! The inventory's pages in a real Chromium, over a real API server, agents, a controller and real kernels' BTF.

mod browser;
mod fleet;
mod large;
mod search;
mod troubles;

use self::browser::Browser;
use crate::agent::bed::{BEFORE, BOOT, Host, installed, wait_until};
use crate::serve::bed::Serving;
use crate::support::fixtures::fixture;
use crate::support::servers::kubernetes::{ControlPlane, Version};
use crate::support::servers::manifests;
use crate::support::servers::port;
use crate::support::servers::process::Process;
use crate::support::servers::s3::{ACCESS_KEY, S3Server, SECRET_KEY, Scheme};
use crate::tool::{Tiny, file};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A release that does what it can to be more than text.
const EVIL: &str = "<img src=x onerror=document.title='hacked'>";

/// Where pictures are put, for docs/ (`make screenshots`).
fn pictures() -> PathBuf {
    let folder = std::env::var_os("BTFLEET_SCREENSHOTS").map(PathBuf::from);
    let folder =
        folder.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Judges the page as it is now: axe finds nothing serious, the page complained of nothing. Takes its picture.
#[track_caller]
fn judge(browser: &Browser, name: &str) {
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{name}: {complaints:?}");
    let axe = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/axe.sh")).output();
    let axe = String::from_utf8(axe.unwrap().stdout).unwrap();
    let script = std::fs::read_to_string(axe.trim()).unwrap();
    browser.run(&script);
    let found = browser.run(
        "return axe.run().then(r => r.violations.map(v => [v.impact, v.id, v.help, v.nodes.map(n => n.html)]))",
    );
    let serious = |v: &&Value| ["serious", "critical"].contains(&v[0].as_str().unwrap_or(""));
    let found: Vec<&Value> = found.as_array().unwrap().iter().filter(serious).collect();
    assert!(found.is_empty(), "{name}: {found:#?}");
    let picture = browser.picture();
    assert!(picture.starts_with(b"\x89PNG"));
    std::fs::write(pictures().join(format!("{name}.png")), picture).unwrap();
}

/// A cluster of six nodes with two real kernels, in an object storage.
struct Fleet {
    plane: &'static ControlPlane,
    server: Serving,
    _controller: Process,
    hosts: Vec<Host<'static>>,
    s3: S3Server,
    _dir: tempfile::TempDir,
}

/// The node runs its kernel under this release, and its agent says so.
fn boot(host: &Host, release: &str) {
    let says = host.dir.path().join("proc/sys/kernel/osrelease");
    std::fs::write(says, format!("{release}\n")).unwrap();
    host.kubelet_says(BOOT, release);
    host.succeed();
}

impl Fleet {
    fn start() -> Fleet {
        // Lives as long as the tests do.
        let plane: &'static ControlPlane = Box::leak(Box::new(installed(Version::Newest)));
        let dir = tempfile::tempdir().unwrap();
        let s3 = S3Server::start(Scheme::Http);
        let admin = plane.admin();
        admin.apply(&manifests::kernel_header());
        admin.delete("/api/v1/nodes/probe").success();

        let real = |name: &str| fixture(name).btf;
        let kernels = [
            ("worker-1", "6.18.0", real("x86_64-6.18")),
            ("worker-2", "6.18.0", real("x86_64-6.18")),
            (
                "worker-3",
                "7.2.13+deb14-amd64",
                real("amd64-7.2.13+deb14-amd64"),
            ),
            ("rebooted", "6.18.0", real("x86_64-6.18")),
        ];
        let mut hosts = Vec::new();
        for (name, release, btf) in kernels {
            let mut host = Host::new_on(plane, name);
            host.publish_to(&s3);
            file(host.dir.path(), "vmlinux", &btf);
            boot(&host, release);
            hosts.push(host);
        }
        hosts.last().unwrap().kubelet_says(BEFORE, "6.18.0");
        let mut bare = Host::new_on(plane, "bare");
        bare.publish_to(&s3);
        std::fs::remove_file(bare.dir.path().join("vmlinux")).unwrap();
        bare.succeed();
        hosts.push(Host::new_on(plane, "silent"));

        let kubeconfig = plane.admin_kubeconfig().display().to_string();
        let env = [
            ("KUBECONFIG", kubeconfig.as_str()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ];
        let store: Vec<&str> = bare.store.iter().map(String::as_str).collect();
        let listen = port::free();
        let log = dir.path().join("controller.log");
        let mut args: Vec<String> = env.iter().map(|(k, v)| format!("{k}={v}")).collect();
        args.push(env!("CARGO_BIN_EXE_btfleet").to_owned());
        args.extend(["controller", "--namespace=btfleet"].map(str::to_owned));
        args.push(format!("--listen={listen}"));
        args.extend(bare.store.iter().cloned());
        let controller = Process::new(Path::new("env"), args, log);
        let listens = || std::net::TcpStream::connect(listen).is_ok();
        controller.start(Duration::from_secs(30), listens).unwrap();
        let server = Serving::start(&store, &env);
        server.wait_ready();
        wait_until("every kernel is verified", || {
            let page = server.get("/kernels?verified=yes").body;
            String::from_utf8_lossy(&page).contains("2 kernels")
        });
        hosts.push(bare);
        Fleet {
            plane,
            server,
            _controller: controller,
            hosts,
            s3,
            _dir: dir,
        }
    }

    /// A node joins whose release and kernel do what they can to be more than text.
    fn somebody_odd_joins(&mut self) {
        let mut tiny = Tiny::kernel();
        tiny.record("<script>alert(1)</script>", &["\"><b>x</b>"]);
        let mut odd = Host::new_on(self.plane, "odd");
        odd.publish_to(&self.s3);
        file(odd.dir.path(), "vmlinux", &tiny.bytes());
        boot(&odd, EVIL);
        self.hosts.push(odd);
        wait_until("it is seen", || {
            let page = self.server.get("/nodes?q=odd&status=Ready").body;
            String::from_utf8_lossy(&page).contains("1 of 7 nodes")
        });
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url())
    }
}
