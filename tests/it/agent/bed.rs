//! Real API servers with the shipped RBAC and policies, and hosts whose agents run as processes with the
//! tokens that pods on those nodes get.

use crate::support::servers::api::MERGE;
use crate::support::servers::kubernetes::{ControlPlane, Credentials, Version};
use crate::support::servers::manifests;
use crate::support::servers::port;
use crate::support::servers::process::Process;
use crate::support::servers::proxy::Proxy;
use crate::support::servers::s3::{ACCESS_KEY, BUCKET, REGION, S3Server, SECRET_KEY};
use crate::tool::{btfleet, file, small_kernel, snapshot};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub const BOOT: &str = "0b0e2a9c-1111-4222-8333-444455556666";
pub const BEFORE: &str = "99999999-1111-4222-8333-444455556666";
pub const RELEASE: &str = "6.1.0-9+deb12~rc1_x";

/// The API server of this version that the agents' tests share, with everything installed.
pub fn plane(version: Version) -> &'static ControlPlane {
    static OLDEST: OnceLock<ControlPlane> = OnceLock::new();
    static NEWEST: OnceLock<ControlPlane> = OnceLock::new();
    let cell = match version {
        Version::Oldest => &OLDEST,
        Version::Newest => &NEWEST,
    };
    cell.get_or_init(|| installed(version))
}

/// One of its own, with everything installed.
pub fn installed(version: Version) -> ControlPlane {
    let plane = ControlPlane::start(version);
    let admin = plane.admin();
    let namespace = json!({"metadata": {"name": "btfleet"}});
    admin.post("/api/v1/namespaces", &namespace).success();
    admin.apply(&manifests::accounts());
    admin.apply(&manifests::policies());
    // The API server learns of RBAC and policies from its watches.
    let token = Host::new_on(&plane, "probe").token.clone();
    let agent = plane.with_token(&token);
    let ours = json!({"metadata": {"annotations": {"btfleet.dev/status": "NoBTF"}}});
    wait_until("RBAC and policies took effect", || {
        let path = "/api/v1/nodes/probe?dryRun=All&fieldManager=x";
        let answer = agent.patch(path, MERGE, &ours);
        answer.status == 403 && answer.message().contains("fieldManager")
    });
    plane
}

#[track_caller]
pub fn wait_until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(90), "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A node, its kernel and its agent's pod.
pub struct Host<'p> {
    pub name: String,
    pub plane: &'p ControlPlane,
    pub dir: tempfile::TempDir,
    pub token: String,
    /// Which API server its agent asks: the real one, or the proxy.
    kubeconfig: PathBuf,
    pub proxy: Option<Proxy>,
    /// What its agent is told of the store: flags and variables.
    pub store: Vec<String>,
    pub env: Vec<(String, String)>,
}

impl<'p> Host<'p> {
    /// On the shared API server of this version. The name must be the test's own.
    pub fn new(version: Version, name: &str) -> Host<'static> {
        Host::new_on(plane(version), name)
    }

    /// The Node is there, and its kubelet has spoken.
    pub fn new_on(plane: &'p ControlPlane, name: &str) -> Host<'p> {
        let dir = tempfile::tempdir().unwrap();
        let random = dir.path().join("proc/sys/kernel/random");
        std::fs::create_dir_all(&random).unwrap();
        std::fs::write(random.join("boot_id"), format!("{BOOT}\n")).unwrap();
        let release = dir.path().join("proc/sys/kernel/osrelease");
        std::fs::write(release, format!("{RELEASE}\n")).unwrap();
        file(dir.path(), "vmlinux", &small_kernel(name));
        let pod = json!({
            "metadata": {"name": format!("agent-{name}"), "labels": {
                "app.kubernetes.io/name": "btfleet", "app.kubernetes.io/component": "agent"}},
            "spec": {"serviceAccountName": "btfleet-agent", "nodeName": name,
                "containers": [{"name": "agent", "image": "btfleet"}]},
        });
        let store = format!("file://{}", dir.path().join("store").display());
        let mut host = Host {
            name: name.to_owned(),
            plane,
            token: String::new(),
            kubeconfig: PathBuf::new(),
            proxy: None,
            store: vec!["--store".to_owned(), store],
            env: vec![],
            dir,
        };
        host.make_node(BOOT);
        let pods = "/api/v1/namespaces/btfleet/pods";
        let pod = plane.admin().post(pods, &pod).success();
        let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": format!("agent-{name}"),
            "uid": pod["metadata"]["uid"]});
        host.token = plane.token("btfleet", "btfleet-agent", Some(bound));
        host.kubeconfig = plane.kubeconfig(&Credentials::Token(&host.token));
        host
    }

    /// From now on its agent's requests go through a proxy of its own.
    pub fn through_a_proxy(mut self) -> Self {
        let proxy = Proxy::new(&self.plane.with_token(&self.token));
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": proxy.url()}}],
            "users": [{"name": "agent", "user": {"token": self.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "agent"}}],
        });
        let path = self.dir.path().join("proxied.kubeconfig");
        std::fs::write(&path, config.to_string()).unwrap();
        self.kubeconfig = path;
        self.proxy = Some(proxy);
        self
    }

    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().unwrap()
    }

    /// A new Node under its name, as its kubelet makes it.
    pub fn make_node(&self, boot: &str) {
        let node = json!({"metadata": {"name": self.name,
            "labels": {"example.com/pool": "blue"}, "annotations": {"example.com/note": "keep"}}});
        let admin = self.plane.admin();
        admin
            .post("/api/v1/nodes?fieldManager=kubelet", &node)
            .success();
        self.kubelet_says(boot, RELEASE);
    }

    pub fn delete_node(&self) {
        let path = format!("/api/v1/nodes/{}", self.name);
        self.plane.admin().delete(&path).success();
    }

    pub fn kubelet_says(&self, boot: &str, release: &str) {
        let status = json!({"status": {"nodeInfo": {
            "architecture": "amd64", "bootID": boot, "kernelVersion": release,
            "containerRuntimeVersion": "containerd://2.1", "kubeProxyVersion": "",
            "kubeletVersion": "v1.34.4", "machineID": "m", "operatingSystem": "linux",
            "osImage": "Linux", "systemUUID": "u",
        }}});
        let path = format!("/api/v1/nodes/{}/status?fieldManager=kubelet", self.name);
        self.plane.admin().patch(&path, MERGE, &status).success();
    }

    pub fn node(&self) -> Value {
        let path = format!("/api/v1/nodes/{}", self.name);
        self.plane.admin().get(&path).success()
    }

    /// Somebody edits our keys by hand.
    pub fn edit(&self, metadata: Value) {
        let path = format!("/api/v1/nodes/{}", self.name);
        let patch = json!({ "metadata": metadata });
        self.plane.admin().patch(&path, MERGE, &patch).success();
    }

    pub fn annotation(&self, key: &str) -> Option<String> {
        let node = self.node();
        let value = &node["metadata"]["annotations"][format!("btfleet.dev/{key}")];
        value.as_str().map(str::to_owned)
    }

    pub fn status(&self) -> String {
        self.annotation("status").unwrap_or_default()
    }

    /// The reasons of the Events about its Node, sorted.
    pub fn events(&self) -> Vec<Value> {
        let path = "/apis/events.k8s.io/v1/namespaces/default/events";
        let all = self.plane.admin().get(path).success();
        let items = all["items"].as_array().unwrap().iter();
        let own = items.filter(|e| e["regarding"]["name"] == *self.name);
        own.cloned().collect()
    }

    pub fn has_event(&self, reason: &str) -> bool {
        self.events().iter().any(|e| e["reason"] == reason)
    }

    /// Its agent publishes there, as the server's root.
    pub fn publish_to(&mut self, server: &S3Server) {
        let ca = server.ca_file().map(|ca| ca.display().to_string());
        let flags = [
            ("--store", Some(format!("s3://{BUCKET}/fleet"))),
            ("--s3-endpoint", Some(server.url())),
            ("--s3-region", Some(REGION.to_owned())),
            ("--s3-ca-file", ca),
        ];
        let given = flags
            .into_iter()
            .filter_map(|(flag, value)| Some([flag.to_owned(), value?]));
        self.store = given.flatten().collect();
        let keys = [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ];
        self.env = keys
            .map(|(name, key)| (name.to_owned(), key.to_owned()))
            .to_vec();
    }

    pub fn store_folder(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// The objects in its store's folder.
    pub fn objects(&self) -> Vec<String> {
        objects_in(&self.store_folder())
    }

    fn args(&self, node: &str) -> Vec<String> {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let mut args = vec![
            "agent".to_owned(),
            "--node-name".to_owned(),
            node.to_owned(),
        ];
        args.extend(["--btf".to_owned(), path("vmlinux")]);
        args.extend(["--proc".to_owned(), path("proc")]);
        args.extend(self.store.iter().cloned());
        args
    }

    pub fn command(&self) -> Command {
        self.command_for(&self.name)
    }

    /// Its agent, told that it runs on this node.
    pub fn command_for(&self, node: &str) -> Command {
        let mut command = btfleet(self.dir.path());
        command.args(self.args(node));
        command.env("KUBECONFIG", &self.kubeconfig);
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        command
    }

    /// Runs its agent once, to the end.
    pub fn once(&self) -> Output {
        self.command().arg("--once").output().unwrap()
    }

    #[track_caller]
    pub fn succeed(&self) {
        let out = self.once();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{}: {said}", out.status);
    }

    /// Starts its agent, which looks often, and waits until it answers.
    pub fn start(&self) -> Agent {
        self.start_with(&["--look-every", "0.4", "--resync-every", "0.8"])
    }

    /// Starts its agent with these flags, and waits until it answers.
    pub fn start_with(&self, flags: &[&str]) -> Agent {
        let address = port::free();
        let mut args = vec![format!("KUBECONFIG={}", self.kubeconfig.display())];
        args.extend(self.env.iter().map(|(k, v)| format!("{k}={v}")));
        // For figures of the binary that ships.
        let binary = std::env::var("BTFLEET");
        args.push(binary.unwrap_or_else(|_| env!("CARGO_BIN_EXE_btfleet").to_owned()));
        args.extend(self.args(&self.name));
        args.extend(["--listen".to_owned(), address.to_string()]);
        args.extend(["--spread", "0"].map(str::to_owned));
        args.extend(flags.iter().map(|&flag| flag.to_owned()));
        let log = self.dir.path().join("agent.log");
        let process = Process::new(Path::new("env"), args, log.clone());
        let started = process.start(Duration::from_secs(30), || listens(address));
        started.unwrap_or_else(|e| panic!("{e}"));
        Agent {
            process,
            address,
            log,
        }
    }

    /// Invariant 2: what a Node that is Ready names is in the store.
    pub fn assert_ready_means_stored(&self) {
        let node = self.node();
        assert_stored(&node, &self.objects());
    }
}

/// Invariant 2, of a Node that was read before the objects were listed.
pub fn assert_stored(node: &Value, objects: &[String]) {
    let said = &node["metadata"]["annotations"];
    let word = |key: &str| said[format!("btfleet.dev/{key}")].as_str();
    if word("status") != Some("Ready") {
        return;
    }
    let hex = |key: &str| word(key).unwrap().replace("sha256:", "");
    let (btf, header) = (hex("btf-digest"), hex("header-digest"));
    for begins in [
        format!("btf/sha256/{btf}."),
        format!("headers/sha256/{header}."),
        format!("kernels/sha256/{btf}/"),
        format!("refs/{btf}/"),
    ] {
        let there = objects.iter().any(|key| key.starts_with(&begins));
        assert!(there, "{begins}: {objects:?}");
    }
}

pub fn objects_in(folder: &Path) -> Vec<String> {
    let files = snapshot(folder).into_iter().map(|(path, ..)| path);
    let files = files.filter(|path| path.is_file());
    let names = files.map(|path| path.strip_prefix(folder).unwrap().display().to_string());
    // A writer that was killed leaves a temporary file, which is no object.
    names.filter(|name| !name.contains('~')).collect()
}

fn listens(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}

/// A running agent.
pub struct Agent {
    pub process: Process,
    address: SocketAddr,
    log: PathBuf,
}

impl Agent {
    /// Status and body of a page.
    pub fn page(&self, path: &str) -> (u16, String) {
        use std::io::{Read, Write};
        let mut stream = TcpStream::connect(self.address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        (code, body.to_owned())
    }

    /// The value of a metric, by its name and labels as they are written.
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.page("/metrics").1;
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} in {page}"))
            .parse()
            .unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.process.pid().unwrap().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap();
        assert!(sent.success());
    }
}
