//! A control plane: etcd and kube-apiserver, authorizing as a real cluster does. No controllers and no kubelet:
//! a test that needs a service account, a node or a pod makes it.

use super::api::Api;
use super::certs::{Authority, Identity};
use super::folder::Folder;
use super::process::Process;
use super::{port, tool};
use rcgen::KeyPair;
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The Kubernetes versions that are tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// 1.34, the oldest that we support.
    Oldest,
    /// 1.37
    Newest,
}

impl Version {
    pub const ALL: [Version; 2] = [Version::Oldest, Version::Newest];

    pub fn minor(self) -> &'static str {
        match self {
            Version::Oldest => "1.34",
            Version::Newest => "1.37",
        }
    }
}

/// Who asks.
pub enum Credentials<'a> {
    Certificate(&'a Identity),
    Token(&'a str),
}

pub struct ControlPlane {
    // Dropped in this order: the API server would be a while about it if etcd went first.
    api_server: Process,
    etcd: Process,
    etcd_address: SocketAddr,
    address: SocketAddr,
    authority: Authority,
    admin_kubeconfig: PathBuf,
    admin: OnceLock<Api>,
    kubeconfigs: AtomicU32,
    folder: Folder,
}

/// The one that this run's tests share, started when first asked for. Keep to namespaces and names of your own
/// there; who stops servers or changes what holds for the whole cluster starts one of their own.
pub fn shared(version: Version) -> &'static ControlPlane {
    static OLDEST: OnceLock<ControlPlane> = OnceLock::new();
    static NEWEST: OnceLock<ControlPlane> = OnceLock::new();
    let cell = match version {
        Version::Oldest => &OLDEST,
        Version::Newest => &NEWEST,
    };
    cell.get_or_init(|| ControlPlane::start(version))
}

// A busy machine with two cores may need most of this.
const LIMIT: Duration = Duration::from_secs(120);

impl ControlPlane {
    /// A new one, ready and empty.
    pub fn start(version: Version) -> Self {
        let api_server_program = tool(&format!("kube-apiserver-{}", version.minor()));
        let folder = Folder::new(&format!("kubernetes-{}", version.minor()));
        let (etcd, etcd_address) = start_etcd(&folder);
        let authority = Authority::new("btfleet test cluster");
        let server = authority.server();
        folder.write("ca.pem", authority.pem());
        folder.write("server.pem", &server.cert);
        folder.write("server-key.pem", &server.key);
        let accounts = KeyPair::generate().unwrap();
        folder.write("accounts.pem", &accounts.public_key_pem());
        folder.write("accounts-key.pem", &accounts.serialize_pem());
        let admin = authority.user("admin", Some("system:masters"));
        let mut tries = 0;
        loop {
            let address = port::free();
            let admin_kubeconfig =
                write_kubeconfig(&folder, address, "admin", &Credentials::Certificate(&admin));
            let process = Process::new(
                &api_server_program,
                api_server_args(&folder, address, etcd_address),
                folder.path().join("kube-apiserver.log"),
            );
            let started = process.start(LIMIT, || is_ready(address, &admin_kubeconfig));
            match started {
                Ok(()) => {
                    return ControlPlane {
                        api_server: process,
                        etcd,
                        etcd_address,
                        address,
                        authority,
                        admin_kubeconfig,
                        admin: OnceLock::new(),
                        kubeconfigs: AtomicU32::new(0),
                        folder,
                    };
                }
                // Somebody else took the port.
                Err(e) if tries < 2 && e.contains("address already in use") => tries += 1,
                Err(e) => panic!("{e}"),
            }
        }
    }

    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Where the API server listens; for `make scale`, which puts a relay before it.
    #[allow(dead_code)]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Of group system:masters.
    pub fn admin(&self) -> Api {
        let admin = self.admin.get_or_init(|| Api::new(&self.admin_kubeconfig));
        admin.clone()
    }

    /// Of group system:masters.
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.admin_kubeconfig
    }

    /// A new kubeconfig file.
    pub fn kubeconfig(&self, who: &Credentials) -> PathBuf {
        let n = self.kubeconfigs.fetch_add(1, Ordering::Relaxed);
        write_kubeconfig(&self.folder, self.address, &format!("user{n}"), who)
    }

    /// Somebody who proves it with a certificate.
    pub fn user(&self, name: &str, group: Option<&str>) -> Api {
        let identity = self.authority.user(name, group);
        Api::new(&self.kubeconfig(&Credentials::Certificate(&identity)))
    }

    /// A node's kubelet.
    pub fn kubelet(&self, node: &str) -> Api {
        self.user(&format!("system:node:{node}"), Some("system:nodes"))
    }

    /// A service account's token, as the TokenRequest API gives it: bound to a pod or a node where `bound` says so
    /// (`{"kind":"Pod","apiVersion":"v1","name":…,"uid":…}`).
    pub fn token(&self, namespace: &str, account: &str, bound: Option<Value>) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let mut spec = json!({"expirationSeconds": 3600});
        if let Some(object) = bound {
            spec["boundObjectRef"] = object;
        }
        let request =
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
        let answer = self.admin().post(&path, &request).success();
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    pub fn with_token(&self, token: &str) -> Api {
        Api::new(&self.kubeconfig(&Credentials::Token(token)))
    }

    /// `kill -9` of the API server; etcd goes on.
    pub fn kill_api_server(&self) {
        self.api_server.kill();
    }

    /// At the same address, over the same etcd.
    pub fn start_api_server(&self) {
        let ready = || is_ready(self.address, &self.admin_kubeconfig);
        let started = self.api_server.start(LIMIT, ready);
        started.unwrap_or_else(|e| panic!("{e}"));
    }

    /// Takes away every revision of etcd but the last. An API server that runs still knows the latest changes
    /// (its watch cache); one that starts after this answers 410 Gone to whoever asks for an older one.
    pub fn compact_etcd(&self) {
        let now = self.etcd("range", &json!({"key": "AA=="}));
        let revision = &now["header"]["revision"];
        self.etcd(
            "compaction",
            &json!({"revision": revision, "physical": true}),
        );
    }

    /// A call of etcd's HTTP gateway.
    fn etcd(&self, call: &str, body: &Value) -> Value {
        let out = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--data"])
            .arg(body.to_string())
            .arg(format!("http://{}/v3/kv/{call}", self.etcd_address))
            .output()
            .expect("curl");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "etcd {call}: {said}");
        serde_json::from_slice(&out.stdout).unwrap()
    }

    /// etcd's and the API server's.
    pub fn pids(&self) -> Vec<u32> {
        [self.etcd.pid(), self.api_server.pid()]
            .into_iter()
            .flatten()
            .collect()
    }
}

fn start_etcd(folder: &Folder) -> (Process, SocketAddr) {
    let program = tool("etcd");
    let mut tries = 0;
    loop {
        let address = port::free();
        let args = [
            format!("--data-dir={}", folder.path().join("etcd").display()),
            format!("--listen-client-urls=http://{address}"),
            format!("--advertise-client-urls=http://{address}"),
            "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
            "--unsafe-no-fsync".to_owned(),
            // For `make scale`: 50,000 Nodes, each written twice.
            "--quota-backend-bytes=8000000000".to_owned(),
            "--log-level=warn".to_owned(),
        ];
        let process = Process::new(&program, args, folder.path().join("etcd.log"));
        match process.start(LIMIT, || listens(address)) {
            Ok(()) => return (process, address),
            Err(e) if tries < 2 && e.contains("address already in use") => tries += 1,
            Err(e) => panic!("{e}"),
        }
    }
}

fn api_server_args(folder: &Folder, address: SocketAddr, etcd: SocketAddr) -> Vec<String> {
    let file = |flag: &str, name: &str| format!("--{flag}={}", folder.path().join(name).display());
    let mut args = vec![
        file("client-ca-file", "ca.pem"),
        file("tls-cert-file", "server.pem"),
        file("tls-private-key-file", "server-key.pem"),
        file("service-account-key-file", "accounts.pem"),
        file("service-account-signing-key-file", "accounts-key.pem"),
        file("cert-dir", "certs"),
        format!("--etcd-servers=http://{etcd}"),
        format!("--bind-address={}", address.ip()),
        format!("--secure-port={}", address.port()),
    ];
    args.extend(
        [
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            // What a real cluster has, and kubeadm sets.
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--service-cluster-ip-range=10.96.0.0/16",
            // Its own Endpoints would name a loopback address, which is refused, again and again.
            "--endpoint-reconciler-type=none",
            "--profiling=false",
        ]
        .map(str::to_owned),
    );
    args
}

fn is_ready(address: SocketAddr, kubeconfig: &Path) -> bool {
    // Its first connection can be a refusal that a client's back-off would make slow.
    listens(address) && {
        let answer = Api::new(kubeconfig).try_send("GET", "/readyz", super::api::JSON, Vec::new());
        answer.is_ok_and(|a| a.status == 200)
    }
}

fn listens(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}

fn write_kubeconfig(folder: &Folder, server: SocketAddr, name: &str, who: &Credentials) -> PathBuf {
    let user = match who {
        Credentials::Token(token) => json!({ "token": token }),
        Credentials::Certificate(identity) => json!({
            "client-certificate": folder.write(&format!("{name}.pem"), &identity.cert),
            "client-key": folder.write(&format!("{name}-key.pem"), &identity.key),
        }),
    };
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {
            "server": format!("https://{server}"),
            "certificate-authority": folder.path().join("ca.pem"),
        }}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
        "current-context": "test",
    });
    // JSON is YAML too.
    folder.write(&format!("{name}.kubeconfig"), &config.to_string())
}
