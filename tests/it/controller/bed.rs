//! API servers with everything installed, which a test has for itself while it runs; Nodes as agents would leave
//! them; controllers as processes, and within the test.

use super::proxy::Proxy;
use crate::agent::bed::{installed, wait_until};
use crate::support::servers::api::{Api, MERGE, runtime};
use crate::support::servers::kubernetes::{ControlPlane, Credentials, Version};
use crate::support::servers::port;
use crate::support::servers::process::Process;
use crate::tool::small_kernel;
use btfleet::artifact::{BtfDigest, Key, Object, Owner};
use btfleet::cluster::Keys;
use btfleet::cluster::node::{KernelSaid, Said, Status};
use btfleet::store::{Contents, FsStore, Kernel, Manner, Store, publish_and_look};
use futures::TryStreamExt;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

pub const BOOT: &str = "0b0e2a9c-1111-4222-8333-444455556666";
pub const RELEASE: &str = "6.1.0-9+deb12";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/btfleet/leases/btfleet-controller";
pub const HEADERS: &str = "/apis/btfleet.dev/v1alpha1/kernelheaders";

/// The one API server of this version, and the right to it: its Nodes and KernelHeaders are one test's at a time.
fn plane(version: Version) -> (&'static ControlPlane, MutexGuard<'static, ()>) {
    static OLDEST: (OnceLock<ControlPlane>, Mutex<()>) = (OnceLock::new(), Mutex::new(()));
    static NEWEST: (OnceLock<ControlPlane>, Mutex<()>) = (OnceLock::new(), Mutex::new(()));
    let (cell, one) = match version {
        Version::Oldest => &OLDEST,
        Version::Newest => &NEWEST,
    };
    // A test that failed leaves nothing that the next does not clear away.
    let one = one.lock().unwrap_or_else(|e| e.into_inner());
    let plane = cell.get_or_init(|| {
        let plane = installed(version);
        let crd = Command::new(env!("CARGO_BIN_EXE_btfleet"))
            .arg("crd")
            .output()
            .unwrap();
        plane.admin().apply(&String::from_utf8(crd.stdout).unwrap());
        wait_until("KernelHeaders are served", || {
            plane.admin().get(HEADERS).status == 200
        });
        plane
    });
    (plane, one)
}

pub struct Bed {
    pub plane: &'static ControlPlane,
    pub admin: Api,
    pub dir: tempfile::TempDir,
    pub store: Arc<dyn Store>,
    kubeconfig: PathBuf,
    pub proxy: Option<Proxy>,
    _one: MutexGuard<'static, ()>,
}

impl Bed {
    /// An empty cluster, and an empty store.
    pub fn new(version: Version) -> Bed {
        let (plane, one) = plane(version);
        let admin = plane.admin();
        for kind in ["/api/v1/nodes", HEADERS] {
            admin
                .delete(&format!("{kind}?gracePeriodSeconds=0"))
                .success();
            wait_until("all are gone", || {
                admin.get(kind).success()["items"]
                    .as_array()
                    .unwrap()
                    .is_empty()
            });
        }
        admin.delete(LEASE);
        admin.delete("/apis/events.k8s.io/v1/namespaces/default/events");
        let token = plane.token("btfleet", "btfleet-controller", None);
        let dir = tempfile::tempdir().unwrap();
        let store = FsStore::open(dir.path().join("store").to_str().unwrap()).unwrap();
        Bed {
            plane,
            admin,
            store: Arc::new(store),
            kubeconfig: plane.kubeconfig(&Credentials::Token(&token)),
            proxy: None,
            dir,
            _one: one,
        }
    }

    /// Controllers' requests go through a proxy from now on.
    pub fn through_a_proxy(mut self) -> Bed {
        let token = self.plane.token("btfleet", "btfleet-controller", None);
        let proxy = Proxy::new(&self.plane.with_token(&token));
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": proxy.url()}}],
            "users": [{"name": "controller", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "controller"}}],
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

    /// This cluster's id.
    pub fn id(&self) -> Owner {
        let namespace = self.admin.get("/api/v1/namespaces/kube-system").success();
        namespace["metadata"]["uid"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Publishes a kernel as an agent of this cluster would.
    pub fn publish(&self, kernel: &Kernel) {
        let names = [("amd64".parse().unwrap(), RELEASE.parse().unwrap())];
        let me = self.id();
        let published = publish_and_look(
            &*self.store,
            Contents::Kernel(kernel),
            &me,
            &names,
            Manner::agent(1),
        );
        runtime().block_on(published).unwrap();
    }

    /// A Node as its kubelet makes it.
    pub fn node(&self, name: &str) {
        let node = json!({"metadata": {"name": name}});
        self.admin.post("/api/v1/nodes", &node).success();
        let status = json!({"status": {"nodeInfo": {
            "architecture": "amd64", "bootID": BOOT, "kernelVersion": RELEASE,
            "containerRuntimeVersion": "containerd://2.1", "kubeProxyVersion": "",
            "kubeletVersion": "v1.34.4", "machineID": "m", "operatingSystem": "linux",
            "osImage": "Linux", "systemUUID": "u",
        }}});
        let path = format!("/api/v1/nodes/{name}/status");
        self.admin.patch(&path, MERGE, &status).success();
    }

    /// A Node that says that it runs this kernel.
    pub fn node_with(&self, name: &str, kernel: &Kernel) {
        self.node(name);
        self.say(name, &keys(kernel));
    }

    /// Its agent writes this on the Node.
    pub fn say(&self, name: &str, keys: &Keys) {
        let patch = json!({"metadata": {"annotations": keys.annotations, "labels": keys.labels}});
        let path = format!("/api/v1/nodes/{name}");
        self.admin.patch(&path, MERGE, &patch).success();
    }

    pub fn delete_node(&self, name: &str) {
        self.admin
            .delete(&format!("/api/v1/nodes/{name}"))
            .success();
    }

    /// A kernel's KernelHeader; null if there is none.
    pub fn kh(&self, kernel: &BtfDigest) -> Value {
        let answer = self.admin.get(&format!("{HEADERS}/{}", kernel.kernel_id()));
        match answer.status {
            404 => Value::Null,
            _ => answer.success(),
        }
    }

    /// How often each KernelHeader was written, so far as its version tells.
    pub fn versions(&self) -> Vec<(String, String)> {
        let all = self.admin.get(HEADERS).success();
        let word = |v: &Value| v.as_str().unwrap().to_owned();
        let items = all["items"].as_array().unwrap().iter();
        items
            .map(|kh| {
                (
                    word(&kh["metadata"]["name"]),
                    word(&kh["metadata"]["resourceVersion"]),
                )
            })
            .collect()
    }

    /// How a condition stands, and why.
    pub fn condition(&self, kernel: &BtfDigest, kind: &str) -> (String, String) {
        let kh = self.kh(kernel);
        let conditions = kh["status"]["conditions"].as_array().cloned();
        let found = conditions.unwrap_or_default().into_iter();
        let found = found.into_iter().find(|c| c["type"] == kind);
        let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        found.map_or_else(Default::default, |c| {
            (word(&c["status"]), word(&c["reason"]))
        })
    }

    #[track_caller]
    pub fn wait_for_nodes(&self, kernel: &BtfDigest, nodes: i64) {
        wait_until(&format!("{nodes} nodes run {}", kernel.kernel_id()), || {
            self.kh(kernel)["status"]["nodes"] == nodes
        });
    }

    #[track_caller]
    pub fn wait_until_verified(&self, kernel: &BtfDigest) {
        wait_until(&format!("{} is verified", kernel.kernel_id()), || {
            self.condition(kernel, "Verified").0 == "True"
                && self.condition(kernel, "Stored").0 == "True"
        });
    }

    /// Reasons of Events about an object of this name.
    pub fn events(&self, name: &str) -> Vec<Value> {
        let path = "/apis/events.k8s.io/v1/namespaces/default/events";
        let all = self.admin.get(path).success();
        let items = all["items"].as_array().unwrap().iter();
        items
            .filter(|e| e["regarding"]["name"] == name)
            .cloned()
            .collect()
    }

    pub fn has_event(&self, name: &str, reason: &str) -> bool {
        self.events(name).iter().any(|e| e["reason"] == reason)
    }

    pub fn lease(&self) -> Value {
        self.admin.get(LEASE).body
    }

    pub fn holder(&self) -> String {
        let lease = self.lease();
        lease["spec"]["holderIdentity"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The keys in the store.
    pub fn keys(&self) -> Vec<String> {
        let list = async {
            let entries: Vec<_> = self.store.list(None).try_collect().await.unwrap();
            entries
        };
        let entries = runtime().block_on(list);
        entries.into_iter().map(|e| e.key.to_string()).collect()
    }

    pub fn has(&self, object: &Object) -> bool {
        let head = runtime().block_on(async { self.store.head(&object.key()).await });
        head.unwrap().is_some()
    }

    pub fn get(&self, key: &Key) -> Vec<u8> {
        let got = runtime().block_on(async { self.store.get(key, 1 << 30).await });
        got.unwrap().unwrap().to_vec()
    }

    /// Somebody who has the store's credentials writes this.
    pub fn poison(&self, object: &Object, bytes: &[u8]) {
        let body = bytes.to_vec().into();
        let put = runtime().block_on(async { self.store.put(&object.key(), body).await });
        put.unwrap();
    }

    pub fn remove(&self, object: &Object) {
        let removed = runtime().block_on(async { self.store.delete(&object.key()).await });
        removed.unwrap();
    }

    pub fn store_flag(&self) -> String {
        format!("--store=file://{}", self.dir.path().join("store").display())
    }

    /// A controller, as a process; ready when this returns.
    pub fn controller(&self, name: &str, flags: &[&str]) -> Controller {
        let controller = self.start(name, flags);
        wait_until("the controller is ready", || {
            controller
                .page("/readyz")
                .is_some_and(|(code, _)| code == 200)
        });
        controller
    }

    /// A controller, as a process that listens.
    pub fn start(&self, name: &str, flags: &[&str]) -> Controller {
        let address = port::free();
        let mut args = vec![
            format!("KUBECONFIG={}", self.kubeconfig.display()),
            "RUST_BACKTRACE=1".to_owned(),
            env!("CARGO_BIN_EXE_btfleet").to_owned(),
            "controller".to_owned(),
            self.store_flag(),
            format!("--listen={address}"),
            "--namespace=btfleet".to_owned(),
            format!("--identity={name}"),
        ];
        args.extend(flags.iter().map(|&flag| flag.to_owned()));
        let log = self.dir.path().join(format!("{name}.log"));
        let process = Process::new(Path::new("env"), args, log.clone());
        let controller = Controller {
            process,
            address,
            log,
        };
        let listens = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok();
        let started = controller.process.start(Duration::from_secs(60), listens);
        started.unwrap_or_else(|e| panic!("{e}"));
        controller
    }

    /// `kubectl annotate kh …`
    pub fn annotate(&self, kernel: &BtfDigest, annotations: Value) {
        let body = json!({"metadata": {"annotations": annotations}});
        let path = format!("{HEADERS}/{}", kernel.kernel_id());
        self.admin.patch(&path, MERGE, &body).success();
    }
}

/// What an agent whose node runs this kernel writes.
pub fn keys(kernel: &Kernel) -> Keys {
    let manifest = kernel.made.as_ref().map(|made| &made.manifest);
    let said = Said {
        status: Status::Ready,
        kernel: Some(KernelSaid {
            btf: kernel.digest,
            header: manifest.map(|m| (m.header_digest, m.generator)),
        }),
        release: Some(RELEASE.to_owned()),
        boot_id: Some(BOOT.to_owned()),
    };
    said.keys()
}

pub fn kernel(name: &str) -> Kernel {
    Kernel::new(small_kernel(name).into()).unwrap()
}

/// A running controller.
pub struct Controller {
    pub process: Process,
    address: SocketAddr,
    log: PathBuf,
}

impl Controller {
    /// Status and body of a page; none if there is no answer.
    pub fn page(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// The value of a metric, by its name and labels as they are written.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let page = self.page("/metrics")?.1;
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.parse().ok()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.process.pid().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Asks it to end; how long it took.
    pub fn end(&self) -> Duration {
        let pid = self.process.pid().unwrap();
        let began = Instant::now();
        self.signal("TERM");
        wait_until("it ends", || !runs(pid));
        began.elapsed()
    }
}

/// A zombie has ended; only its parent has not looked yet.
pub fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|s| !s.rsplit(')').next().unwrap().starts_with(" Z"))
}
