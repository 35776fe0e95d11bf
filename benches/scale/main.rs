//! The controller on a cluster of very many Nodes: `make scale`. A real API server and etcd on loopback, plain Node
//! objects as large as real ones, 12 kernels, then a rollout that moves all of them to a 13th. Prints a table.

mod measure;
mod nodes;
#[allow(dead_code)]
#[path = "../../tests/it/support/servers/mod.rs"]
mod servers;

use btfleet::artifact::BtfDigest;
use btfleet::store::{Contents, FsStore, Kernel, Manner, publish_and_look};
use measure::{Relay, Sampler, api_requests, controller_requests};
use nodes::Fleet;
use serde_json::Value;
use servers::api::runtime;
use servers::kubernetes::{ControlPlane, Credentials, Version};
use servers::port;
use servers::process::Process;
use std::path::Path;
use std::time::{Duration, Instant};

const KERNELS: usize = 12;

fn main() {
    // `cargo bench` and `cargo test` pass flags of their own.
    let nodes: usize = std::env::var("SCALE_NODES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5000);
    let bin = std::env::var("BTFLEET").unwrap_or_else(|_| env!("CARGO_BIN_EXE_btfleet").to_owned());
    eprintln!("{nodes} nodes; controller: {bin}");
    let plane = ControlPlane::start(Version::Newest);
    install(&plane, &bin);
    let dir = tempfile::tempdir().unwrap();
    let kernels: Vec<Kernel> = (0..=KERNELS).map(kernel).collect();
    publish(&dir.path().join("store"), &kernels);
    let fleet = Fleet::new(plane.admin().client(), nodes);
    let began = Instant::now();
    let size = fleet.create(&kernels[..KERNELS]);
    eprintln!(
        "Nodes of {size} bytes made in {:.0} s",
        began.elapsed().as_secs_f64()
    );

    let relay = Relay::start(plane.address());
    let token = plane.token("btfleet", "btfleet-controller", None);
    let kubeconfig = plane.kubeconfig(&Credentials::Token(&token));
    let text = std::fs::read_to_string(&kubeconfig).unwrap();
    let text = text.replace(&plane.address().to_string(), &relay.address().to_string());
    let kubeconfig = dir.path().join("relayed.kubeconfig");
    std::fs::write(&kubeconfig, text).unwrap();
    let listen = port::free();
    let args = [
        format!("KUBECONFIG={}", kubeconfig.display()),
        bin,
        "controller".to_owned(),
        format!("--store=file://{}", dir.path().join("store").display()),
        format!("--listen={listen}"),
        "--namespace=btfleet".to_owned(),
    ];
    let controller = Process::new(Path::new("env"), args, dir.path().join("controller.log"));
    let began = Instant::now();
    let listens = || std::net::TcpStream::connect(listen).is_ok();
    controller.start(Duration::from_secs(60), listens).unwrap();
    let sampler = Sampler::start(controller.pid().unwrap());

    println!("\n| {nodes} nodes, {KERNELS} kernels | |\n|---|--:|");
    let row = |what: &str, value: String| println!("| {what} | {value} |");
    let first: Vec<(BtfDigest, i64)> = kernels[..KERNELS]
        .iter()
        .enumerate()
        .map(|(n, kernel)| (kernel.digest, fleet.share(n)))
        .collect();
    wait_until_right(&plane, &first);
    let settled = began.elapsed();
    row("a Node object", format!("{:.1} KB", size as f64 / 1000.0));
    row("inventory right after the start", secs(settled));
    row("— bytes from the API server", mb(relay.received()));
    row("— CPU time of the controller", secs(sampler.cpu()));
    row("— RSS peak", mib(sampler.peak()));
    std::thread::sleep(Duration::from_secs(20));
    row("RSS 20 s later", mib(sampler.rss()));

    let (bytes, cpu) = (relay.received(), sampler.cpu());
    let writes = controller_requests(listen);
    let began = Instant::now();
    fleet.roll_out(&kernels[KERNELS]);
    let patched = began.elapsed();
    let last = Instant::now();
    let mut after: Vec<(BtfDigest, i64)> = first.iter().map(|(k, _)| (*k, 0)).collect();
    after.push((kernels[KERNELS].digest, i64::try_from(nodes).unwrap()));
    wait_until_right(&plane, &after);
    let took = last.elapsed();
    row("rollout: all Nodes patched in", secs(patched));
    row("— inventory right after the last patch", secs(took));
    row("— bytes from the API server", mb(relay.received() - bytes));
    row("— CPU time of the controller", secs(sampler.cpu() - cpu));
    let now = controller_requests(listen);
    let statuses = |of: &[(String, f64)]| {
        let puts = of
            .iter()
            .filter(|(what, _)| what.starts_with("update kernelheaders/status"));
        puts.map(|(_, n)| n).sum::<f64>()
    };
    let written = statuses(&now) - statuses(&writes);
    let windows = (began.elapsed().as_secs_f64() / 5.0).ceil() + 1.0;
    let most = windows * (KERNELS + 1) as f64;
    row(
        "— status writes",
        format!("{written:.0} (at most {most:.0} allowed)"),
    );
    row("— RSS peak, of the whole run", mib(sampler.peak()));
    std::thread::sleep(Duration::from_secs(30));
    row("RSS 30 s later", mib(sampler.rss()));
    println!("\n| requests of the controller | |\n|---|--:|");
    for (what, count) in controller_requests(listen) {
        row(&what, format!("{count:.0}"));
    }
    for (what, count) in api_requests(&plane) {
        row(&what, format!("{count:.0}"));
    }

    let rss = sampler.rss() as f64 / 1024.0;
    let peak = sampler.peak() as f64 / 1024.0;
    let bars = match nodes {
        ..=5000 => vec![
            ("settles under 64 MiB", rss < 64.0),
            ("peaks under 1.3 times 64 MiB", peak < 1.3 * 64.0),
        ],
        _ => vec![("peaks under 200 MiB", peak < 200.0)],
    };
    let common = [
        (
            "right within 10 s of the last change",
            took < Duration::from_secs(10),
        ),
        (
            "a status write per KernelHeader per 5 s at most",
            written <= most,
        ),
    ];
    println!("\n| bar | holds |\n|---|---|");
    let mut failed = false;
    for (what, holds) in bars.into_iter().chain(common) {
        row(what, (if holds { "yes" } else { "**no**" }).to_owned());
        failed |= !holds;
    }
    std::process::exit(i32::from(failed));
}

fn secs(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn mb(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

fn kernel(number: usize) -> Kernel {
    let blob = nodes::btf(number);
    Kernel::new(blob.into()).unwrap()
}

fn publish(folder: &Path, kernels: &[Kernel]) {
    let store = FsStore::open(folder.to_str().unwrap()).unwrap();
    let owner = "scale".parse().unwrap();
    for kernel in kernels {
        let done = publish_and_look(
            &store,
            Contents::Kernel(kernel),
            &owner,
            &[],
            Manner::agent(1),
        );
        runtime().block_on(done).unwrap();
    }
}

fn install(plane: &ControlPlane, bin: &str) {
    let admin = plane.admin();
    let namespace = serde_json::json!({"metadata": {"name": "btfleet"}});
    admin.post("/api/v1/namespaces", &namespace).success();
    admin.apply(&servers::manifests::accounts());
    admin.apply(&servers::manifests::policies());
    let crd = std::process::Command::new(bin).arg("crd").output().unwrap();
    admin.apply(&String::from_utf8(crd.stdout).unwrap());
    let served = || admin.get("/apis/btfleet.dev/v1alpha1/kernelheaders").status == 200;
    while !served() {
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn wait_until_right(plane: &ControlPlane, expected: &[(BtfDigest, i64)]) {
    let began = Instant::now();
    loop {
        let all = plane
            .admin()
            .get("/apis/btfleet.dev/v1alpha1/kernelheaders")
            .success();
        let items = all["items"].as_array().unwrap();
        let count = |kernel: &BtfDigest| {
            let name = Value::from(kernel.kernel_id().to_string());
            let found = items.iter().find(|kh| kh["metadata"]["name"] == name)?;
            found["status"]["nodes"].as_i64()
        };
        if expected.iter().all(|(kernel, n)| count(kernel) == Some(*n)) {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(900),
            "never right: {all}"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}
