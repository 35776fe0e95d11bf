//! API servers with everything installed, which a test has for itself while it runs; Nodes as agents would leave
//! them; controllers as processes, and within the test.

use crate::agent::bed::{Host, installed, wait_until};
use crate::support::servers::api::{Api, MERGE, runtime};
use crate::support::servers::kubernetes::{ControlPlane, Credentials, Version};
use crate::support::servers::manifests;
use crate::support::servers::port;
use crate::support::servers::process::Process;
use crate::support::servers::proxy::Proxy;
use crate::support::servers::s3::{ACCESS_KEY, REGION, S3Server, SECRET_KEY};
use crate::support::stores::{new_place, options};
use crate::tool::{file, small_kernel};
use btfleet::artifact::{BtfDigest, Key, Object, Owner};
use btfleet::cluster::Keys;
use btfleet::cluster::node::{KernelSaid, Said, Status};
use btfleet::store::{Contents, FsStore, Kernel, Manner, Store, open, publish_and_look};
use futures::TryStreamExt;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const BOOT: &str = "0b0e2a9c-1111-4222-8333-444455556666";
pub const RELEASE: &str = "6.1.0-9+deb12";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/btfleet/leases/btfleet-controller";
pub const HEADERS: &str = "/apis/btfleet.dev/v1alpha1/kernelheaders";
const PODS: &str = "/api/v1/namespaces/btfleet/pods";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";

/// API servers that no test has now: their Nodes and KernelHeaders are one test's at a time.
static IDLE: Mutex<Vec<(Version, &'static ControlPlane)>> = Mutex::new(Vec::new());

/// One that is idle, or a new one: there are as many as tests run at a time.
fn plane(version: Version) -> &'static ControlPlane {
    let idle = {
        let mut idle = IDLE.lock().unwrap();
        let found = idle.iter().position(|(v, _)| *v == version);
        found.map(|at| idle.remove(at).1)
    };
    idle.unwrap_or_else(|| {
        let plane = Box::leak(Box::new(installed(version)));
        plane.admin().apply(&manifests::kernel_header());
        wait_until("KernelHeaders are served", || {
            plane.admin().get(HEADERS).status == 200
        });
        plane
    })
}

pub struct Bed {
    version: Version,
    pub plane: &'static ControlPlane,
    pub admin: Api,
    pub dir: tempfile::TempDir,
    pub store: Arc<dyn Store>,
    /// What a process is told of the store: flags and variables.
    pub store_flags: Vec<String>,
    pub env: Vec<(String, String)>,
    kubeconfig: PathBuf,
    pub proxy: Option<Proxy>,
}

impl Drop for Bed {
    fn drop(&mut self) {
        // A test that failed may leave servers dead.
        if !std::thread::panicking() {
            IDLE.lock().unwrap().push((self.version, self.plane));
        }
    }
}

impl Bed {
    /// An empty cluster, and an empty store.
    pub fn new(version: Version) -> Bed {
        let plane = plane(version);
        let admin = plane.admin();
        let kinds = ["/api/v1/nodes", HEADERS, PODS, EVENTS];
        for kind in kinds {
            admin
                .delete(&format!("{kind}?gracePeriodSeconds=0"))
                .success();
        }
        for kind in kinds {
            let count = || admin.get(kind).success()["items"].as_array().unwrap().len();
            wait_until("all are gone", || count() == 0);
        }
        let token = plane.token("btfleet", "btfleet-controller", None);
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("store").display().to_string();
        let bed = Bed {
            version,
            plane,
            admin,
            store: Arc::new(FsStore::open(&folder).unwrap()),
            store_flags: vec![format!("--store=file://{folder}")],
            env: vec![],
            kubeconfig: plane.kubeconfig(&Credentials::Token(&token)),
            proxy: None,
            dir,
        };
        bed.free_the_lease();
        bed
    }

    /// The store is in a real object storage.
    pub fn in_object_storage(mut self, server: &S3Server) -> Bed {
        let (place, url) = (new_place(), server.url());
        self.store_flags = vec![
            format!("--store={place}"),
            format!("--s3-endpoint={url}"),
            format!("--s3-region={REGION}"),
        ];
        let variables = [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ];
        self.env = variables.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let options = options(&url);
        let store = open(&place, &options);
        self.store = runtime().block_on(store).unwrap();
        self
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
            // Nobody else is at work.
            Manner::Agent {
                patience: Duration::ZERO,
                seed: 1,
            },
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
        let all = self.admin.get(EVENTS).success();
        let items = all["items"].as_array().unwrap().iter();
        items
            .filter(|e| e["regarding"]["name"] == name)
            .cloned()
            .collect()
    }

    pub fn has_event(&self, name: &str, reason: &str) -> bool {
        self.events(name).iter().any(|e| e["reason"] == reason)
    }

    /// The next controller need not wait for one that was killed.
    pub fn free_the_lease(&self) {
        self.admin.delete(LEASE);
    }

    /// Somebody writes this on the Lease.
    pub fn edit_the_lease(&self, spec: Value) {
        let patch = json!({ "spec": spec });
        self.admin.patch(LEASE, MERGE, &patch).success();
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
        self.remove_key(object.key().as_str());
    }

    pub fn remove_key(&self, key: &str) {
        let key = Key::new(key).unwrap();
        let removed = runtime().block_on(async { self.store.delete(&key).await });
        removed.unwrap();
    }

    /// A node whose agent can be run, with a kernel of this name, over this bed's store.
    pub fn host(&self, node: &str, kernel: &str) -> Host<'static> {
        let mut host = Host::new_on(self.plane, node);
        file(host.dir.path(), "vmlinux", &small_kernel(kernel));
        host.store.clone_from(&self.store_flags);
        host.env.clone_from(&self.env);
        host
    }

    /// A controller's connection, through the proxy if there is one.
    pub fn client(&self) -> kube::Client {
        Api::new(&self.kubeconfig).client()
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
        ];
        args.extend(self.env.iter().map(|(k, v)| format!("{k}={v}")));
        args.extend([
            env!("CARGO_BIN_EXE_btfleet").to_owned(),
            "controller".to_owned(),
            format!("--listen={address}"),
            "--namespace=btfleet".to_owned(),
            format!("--identity={name}"),
        ]);
        args.extend(self.store_flags.iter().cloned());
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
