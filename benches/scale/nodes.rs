//! Plain Node objects, as large as real ones.

use btfleet::cluster::node::{KernelSaid, Said, Status};
use btfleet::store::Kernel;
use futures::{StreamExt, stream};
use http::Request;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::time::Duration;

use crate::servers::api::runtime;

const BOOT: &str = "0b0e2a9c-1111-4222-8333-444455556666";
/// So many requests are under way.
const AT_ONCE: usize = 24;

pub struct Fleet {
    client: Client,
    nodes: usize,
}

impl Fleet {
    pub fn new(client: Client, nodes: usize) -> Fleet {
        Fleet { client, nodes }
    }

    /// How many of them run kernel number `n` of the first twelve.
    pub fn share(&self, n: usize) -> i64 {
        let nodes = (0..self.nodes).filter(|node| node % crate::KERNELS == n);
        i64::try_from(nodes.count()).unwrap()
    }

    /// Makes them all; the size of one, as the API server gives it.
    pub fn create(&self, kernels: &[Kernel]) -> usize {
        let sizes = stream::iter(0..self.nodes).map(|n| {
            let node = node(n, &kernels[n % kernels.len()]);
            self.send(
                "POST",
                "/api/v1/nodes?fieldManager=kubelet".to_owned(),
                node,
            )
        });
        let sizes: Vec<usize> = runtime().block_on(sizes.buffer_unordered(AT_ONCE).collect());
        sizes.iter().sum::<usize>() / sizes.len()
    }

    /// Each one's agent says the new kernel.
    pub fn roll_out(&self, kernel: &Kernel) {
        let keys = said(kernel).keys();
        let patch = json!({"metadata": {"annotations": keys.annotations, "labels": keys.labels}});
        let patches = stream::iter(0..self.nodes).map(|n| {
            let path = format!("/api/v1/nodes/{}?fieldManager=btfleet-agent", name(n));
            self.send("PATCH", path, patch.clone())
        });
        runtime().block_on(patches.buffer_unordered(AT_ONCE).for_each(async |_| ()));
    }

    async fn send(&self, method: &str, path: String, body: Value) -> usize {
        let kind = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        // A busy machine's etcd may time out: an agent would wait and ask again, and so is done here.
        for _ in 0..60 {
            let request = Request::builder()
                .method(method)
                .uri(&path)
                .header("content-type", kind)
                .body(Body::from(body.to_string().into_bytes()))
                .unwrap();
            let answer = self.client.send(request).await.unwrap();
            let status = answer.status();
            let bytes = answer.into_body().collect_bytes().await.unwrap();
            // 409: what timed out was done all the same.
            if status.is_success() || status == 409 {
                return bytes.len();
            }
            assert!(status.is_server_error(), "{method} {path}: {bytes:?}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("{method} {path}: never answered");
    }
}

fn name(n: usize) -> String {
    format!(
        "ip-10-{}-{}-{}.eu-central-1.compute.internal",
        n / 65536,
        n / 256 % 256,
        n % 256
    )
}

fn said(kernel: &Kernel) -> Said {
    let manifest = kernel.made.as_ref().map(|made| &made.manifest);
    Said {
        status: Status::Ready,
        kernel: Some(KernelSaid {
            btf: kernel.digest,
            header: manifest.map(|m| (m.header_digest, m.generator)),
        }),
        release: Some(format!("6.12.{}-amd64", kernel.digest.as_bytes()[0])),
        boot_id: Some(BOOT.to_owned()),
    }
}

/// With the 50 images of a busy node: the bulk of its size.
fn node(n: usize, kernel: &Kernel) -> Value {
    let keys = said(kernel).keys();
    let mut node = json!({
        "metadata": {"name": name(n), "annotations": keys.annotations, "labels": keys.labels},
        "spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"], "providerID": format!("aws:///eu/i-{n:017x}")},
    });
    for label in 0..20 {
        node["metadata"]["labels"][format!("example.com/label-{label}")] = json!("some-value");
    }
    let now = "2026-01-01T00:00:00Z";
    let conditions: Vec<Value> = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"]
        .map(|kind| {
            json!({"type": kind, "status": if kind == "Ready" { "True" } else { "False" },
                "lastHeartbeatTime": now, "lastTransitionTime": now,
                "reason": "KubeletHasSufficientMemory", "message": "kubelet has sufficient memory available"})
        })
        .into();
    let images: Vec<Value> = (0..45)
        .map(|i| {
            let names = [format!("@sha256:{i:064}"), format!(":v1.{i}.0")]
                .map(|tail| format!("registry.example.com/platform/team/service-{i}{tail}"));
            json!({"names": names, "sizeBytes": 100_000_000 + i})
        })
        .collect();
    node["status"] = json!({
        "conditions": conditions,
        "images": images,
        "capacity": {"cpu": "64", "memory": "256Gi", "pods": "250", "ephemeral-storage": "500Gi"},
        "allocatable": {"cpu": "63", "memory": "250Gi", "pods": "250", "ephemeral-storage": "450Gi"},
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": name(n)}],
        "nodeInfo": {
            "architecture": "amd64", "bootID": BOOT, "kernelVersion": "6.12.9-amd64",
            "containerRuntimeVersion": "containerd://2.1", "kubeProxyVersion": "",
            "kubeletVersion": "v1.37.2", "machineID": "m", "operatingSystem": "linux",
            "osImage": "Linux", "systemUUID": "u",
        },
    });
    node
}

/// The committed kernel 6.18's BTF, with another name for one of its structs: as large as a real one, and no other
/// number's.
pub fn btf(number: usize) -> Vec<u8> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/x86_64-6.18.btf.zst"
    );
    let packed = std::fs::read(path).unwrap();
    let mut btf = zstd::decode_all(&packed[..]).unwrap();
    let name = b"\0task_struct\0";
    let at = btf.windows(name.len()).position(|w| w == name).unwrap();
    let end = at + name.len() - 1;
    btf[end - 2..end].copy_from_slice(format!("{number:02}").as_bytes());
    btf
}
