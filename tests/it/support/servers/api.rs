//! Requests to an API server as somebody: raw enough to send any patch with any field manager, and to see the
//! refusal as it came.

use http::Request;
use kube::client::Body;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use std::path::Path;
use std::sync::OnceLock;
use tokio::runtime::Runtime;

pub const MERGE: &str = "application/merge-patch+json";
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub const JSON_PATCH: &str = "application/json-patch+json";
pub const APPLY: &str = "application/apply-patch+yaml";
pub const JSON: &str = "application/json";

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// The body, of an answer that had to be a success.
    #[track_caller]
    pub fn success(self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        self.body
    }

    /// A refusal's message.
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

/// Somebody's connection to an API server.
#[derive(Clone)]
pub struct Api {
    client: kube::Client,
}

impl Api {
    /// With a kubeconfig's current context.
    pub fn new(kubeconfig: &Path) -> Self {
        let client = runtime().block_on(async {
            let file = Kubeconfig::read_from(kubeconfig).unwrap();
            let options = KubeConfigOptions::default();
            let mut config = Config::from_custom_kubeconfig(file, &options)
                .await
                .unwrap();
            config.default_retry = false; // a 429 or 503 is to be seen
            kube::Client::try_from(config).unwrap()
        });
        Api { client }
    }

    /// For tests that speak kube's own language; within `runtime()`.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, JSON, Vec::new())
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, JSON, body.to_string().into_bytes())
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, JSON, Vec::new())
    }

    /// `kind` is one of the content types above; the field manager is part of the path's query.
    pub fn patch(&self, path: &str, kind: &str, body: &Value) -> Answer {
        self.send("PATCH", path, kind, body.to_string().into_bytes())
    }

    pub fn send(&self, method: &str, path: &str, content_type: &str, body: Vec<u8>) -> Answer {
        let sent = self.try_send(method, path, content_type, body);
        sent.unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    /// An error means that no answer came.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Answer, kube::Error> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .header("accept", JSON)
            .body(Body::from(body))
            .unwrap();
        runtime().block_on(async {
            let response = self.client.send(request).await?;
            let status = response.status().as_u16();
            let bytes = response.into_body().collect_bytes().await?;
            let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
            let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
            Ok(Answer { status, body })
        })
    }

    /// Applies every object of a YAML text, as `kubectl apply --server-side` would.
    pub fn apply(&self, yaml: &str) {
        let objects: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
        for object in &objects {
            let path = format!("{}?fieldManager=test&force=true", path(object));
            let answer = self.patch(&path, APPLY, object);
            assert!(
                (200..300).contains(&answer.status),
                "{path}: {}",
                answer.message()
            );
        }
    }
}

/// Where an object of the kinds that we ship lies.
pub fn path(object: &Value) -> String {
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let version = word(&object["apiVersion"]);
    let root = if version.contains('/') { "apis" } else { "api" };
    let plural = match object["kind"].as_str().unwrap() {
        kind if kind.ends_with('y') => format!("{}ies", &kind[..kind.len() - 1].to_lowercase()),
        kind => format!("{}s", kind.to_lowercase()),
    };
    let name = word(&object["metadata"]["name"]);
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("/{root}/{version}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("/{root}/{version}/{plural}/{name}"),
    }
}

/// One for all tests: a client's connections live on the runtime that they began on.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    })
}
