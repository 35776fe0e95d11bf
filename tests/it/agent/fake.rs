//! An API server in memory, and an agent on a paused clock.

use crate::support::stores::{Faulty, MemoryStore};
use crate::tool::small_kernel;
use async_trait::async_trait;
use btfleet::agent::{Cluster, Metrics, Parts, Settings, Source, Trouble, run};
use btfleet::artifact::{Owner, Release};
use btfleet::cluster::client::{Answer, Refusal};
use btfleet::cluster::event::Sending;
use btfleet::cluster::node::Metadata;
use btfleet::cluster::{Keys, Node, State};
use btfleet::ops::{Probe, Pulse};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

pub const BOOT: &str = "0b0e2a9c-1111-4222-8333-444455556666";
pub const BEFORE: &str = "99999999-1111-4222-8333-444455556666";
pub const RELEASE: &str = "6.1+x";
pub const MINUTE: Duration = Duration::from_secs(60);

/// What the API server answers to a request of this kind (get, patch, id, event), by its number from 0.
type Plan = Box<dyn FnMut(&str, u64) -> Option<(u16, Option<u64>)> + Send>;

/// The patch takes effect, and its answer is lost.
pub const LOST_REPLY: u16 = 1;

pub struct Server {
    pub node: Node,
    /// When what was asked.
    pub asked: Vec<(Instant, &'static str)>,
    pub events: Vec<Sending>,
    plan: Option<Plan>,
}

#[derive(Clone)]
pub struct Fake(Arc<Mutex<Server>>);

impl Fake {
    pub fn new(boot: &str) -> Fake {
        let mut node = Node {
            metadata: Metadata {
                name: "a".to_owned(),
                uid: "uid-1".to_owned(),
                ..Metadata::default()
            },
            ..Node::default()
        };
        node.status.node_info.boot_id = boot.to_owned();
        node.status.node_info.kernel_version = RELEASE.to_owned();
        Fake(Arc::new(Mutex::new(Server {
            node,
            asked: vec![],
            events: vec![],
            plan: None,
        })))
    }

    pub fn lock(&self) -> MutexGuard<'_, Server> {
        self.0.lock().unwrap()
    }

    /// From now on it answers so.
    pub fn plan(&self, plan: impl FnMut(&str, u64) -> Option<(u16, Option<u64>)> + Send + 'static) {
        self.lock().plan = Some(Box::new(plan));
    }

    pub fn heal(&self) {
        self.lock().plan = None;
    }

    pub fn state(&self) -> State {
        self.lock().node.state()
    }

    pub fn status(&self) -> String {
        let status = self.lock().node.metadata.annotations.status.clone();
        status.unwrap_or_default()
    }

    /// How often this was asked.
    pub fn count(&self, kind: &str) -> usize {
        self.lock().asked.iter().filter(|(_, k)| *k == kind).count()
    }

    pub fn say(&self, keys: Keys) {
        let mut server = self.lock();
        server.node.metadata.annotations = keys.annotations;
        server.node.metadata.labels = keys.labels;
    }

    fn answer(&self, kind: &'static str) -> Result<(), Refusal> {
        let mut server = self.lock();
        let number = server.asked.len() as u64;
        server.asked.push((Instant::now(), kind));
        let Some((code, after)) = server.plan.as_mut().and_then(|plan| plan(kind, number)) else {
            return Ok(());
        };
        Err(Refusal {
            what: kind.to_owned(),
            answer: match code {
                404 => Answer::Absent,
                409 => Answer::Conflict,
                403 => Answer::Forbidden,
                422 => Answer::Invalid,
                _ => Answer::Away,
            },
            code: (code > 0).then_some(code),
            retry_after: after.map(Duration::from_secs),
            problem: format!("{code}"),
        })
    }
}

#[async_trait]
impl Cluster for Fake {
    async fn id(&self) -> Result<Owner, Refusal> {
        self.answer("id")?;
        Ok("cluster-1".parse().unwrap())
    }

    async fn node(&self) -> Result<Node, Refusal> {
        self.answer("get")?;
        Ok(self.lock().node.clone())
    }

    async fn patch(&self, uid: &str, keys: &Keys) -> Result<Node, Refusal> {
        let lost = match self.answer("patch") {
            Err(e) if e.code == Some(LOST_REPLY) => Some(e),
            answer => answer.map(|()| None)?,
        };
        if self.lock().node.metadata.uid != uid {
            return Err(Refusal {
                what: "patch".to_owned(),
                answer: Answer::Conflict,
                code: Some(409),
                retry_after: None,
                problem: "another uid".to_owned(),
            });
        }
        self.say(keys.clone());
        match lost {
            Some(e) => Err(e),
            None => Ok(self.lock().node.clone()),
        }
    }

    async fn event(&self, event: &Sending) -> Result<(), Refusal> {
        self.answer("event")?;
        self.lock().events.push(event.clone());
        Ok(())
    }
}

/// A host, its Node and a store, for agents to come and go.
pub struct Bed {
    pub dir: tempfile::TempDir,
    pub server: Fake,
    pub store: Arc<Faulty>,
    pub metrics: Metrics,
    pub ready: Probe,
    pub live: Pulse,
}

impl Bed {
    /// The Node's `nodeInfo` is of this boot.
    pub fn new() -> Bed {
        let dir = tempfile::tempdir().unwrap();
        let random = dir.path().join("sys/kernel/random");
        std::fs::create_dir_all(&random).unwrap();
        std::fs::write(random.join("boot_id"), format!("{BOOT}\n")).unwrap();
        let release = dir.path().join("sys/kernel/osrelease");
        std::fs::write(release, format!("{RELEASE}\n")).unwrap();
        let bed = Bed {
            dir,
            server: Fake::new(BOOT),
            store: Arc::new(Faulty::new(Arc::new(MemoryStore::default()))),
            metrics: Metrics::new().unwrap(),
            ready: Probe::failing("new"),
            live: Pulse::new(MINUTE),
        };
        bed.btf(&small_kernel("task"));
        bed
    }

    pub fn btf(&self, blob: &[u8]) {
        std::fs::write(self.dir.path().join("vmlinux"), blob).unwrap();
    }

    /// An agent of this host, not started.
    pub async fn agent(&self, once: bool) -> Result<State, Trouble> {
        let settings = Settings {
            node: "a".to_owned(),
            cluster_id: None,
            arch: Some("amd64".parse().unwrap()),
            spread: Duration::from_secs(30),
            look_every: 10 * MINUTE,
            resync_every: 60 * MINUTE,
            once,
        };
        let parts = Parts {
            source: Source {
                btf: self.dir.path().join("vmlinux"),
                proc: self.dir.path().to_owned(),
            },
            store: self.store.clone(),
            cluster: self.server.clone(),
            metrics: self.metrics.clone(),
            ready: self.ready.clone(),
            live: self.live.clone(),
        };
        run(&settings, parts).await
    }

    /// Lets an agent run for some time of the clock, beside what the test does.
    pub async fn beside<T>(&self, test: impl Future<Output = T>) -> T {
        tokio::select! {
            ended = self.agent(false) => panic!("the agent ended: {ended:?}"),
            done = test => done,
        }
    }

    /// Lets an agent run for some time of the clock.
    pub async fn run_for(&self, time: Duration) {
        self.beside(tokio::time::sleep(time)).await;
    }

    /// Runs it once, to its end.
    pub async fn once(&self) -> Result<State, Trouble> {
        self.agent(true).await
    }

    /// Everything in the store.
    pub async fn objects(&self) -> Vec<String> {
        use btfleet::store::Store;
        use futures::stream::TryStreamExt;
        let listed: Vec<_> = self.store.list(None).try_collect().await.unwrap();
        listed.into_iter().map(|e| e.key.to_string()).collect()
    }

    /// Invariant 2: what a Node that is Ready names is in the store.
    pub async fn assert_ready_means_stored(&self) {
        let State::Ready { btf, header, .. } = self.server.state() else {
            return;
        };
        let objects = self.objects().await;
        for part in [
            format!("btf/sha256/{}.btf.zst", btf.hex()),
            format!("headers/sha256/{}.h.zst", header.hex()),
            format!("kernels/sha256/{}/v1.json", btf.hex()),
            format!("refs/{}/cluster-1", btf.hex()),
        ] {
            assert!(objects.contains(&part), "{part}: {objects:?}");
        }
    }
}

/// What an agent wrote, as a key has it.
pub fn index_of(release: &str) -> String {
    let release: Release = release.parse().unwrap();
    format!("index/amd64/{}/", release.encoded())
}
