//! What examples/ shows is built, and run as far as that changes nothing in this machine's kernel.

use crate::agent::bed::Host;
use crate::clients::{assert_tidy, go};
use crate::serve::cluster::serving;
use crate::support::cc::{must, run, text};
use crate::support::fixtures::{X86_64, fixture};
use crate::support::servers::api::APPLY;
use crate::support::servers::kubernetes::Version;
use crate::tool::{btfleet, file, small_kernel};
use serde_json::{Value, json};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(path)
}

fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Kernel 6.18's files as `btfleet fetch` leaves them, and the example's program built against them.
fn built() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    // Others look into it: see `powerless`.
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let btf = file(dir.path(), "own.btf", &fixture(X86_64).btf);
    let fetched = btfleet(dir.path())
        .args(["fetch", "--output", "btf", "--source", "own", "--btf"])
        .arg(&btf)
        .output()
        .unwrap();
    assert!(fetched.status.success(), "{}", text(&fetched.stderr));
    let yaml = objects();
    let command = &container(&yaml[1], "compile")["command"];
    let words: Vec<&str> = command
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    // As the DaemonSet's init container does it, with this folder for its volumes.
    file(dir.path(), "probe.bpf.c", source(&yaml[0]).as_bytes());
    let here = |word: &&str| {
        word.replace("/btf", arg(&dir.path().join("btf")))
            .replace("/source", arg(dir.path()))
            .replace("/object", arg(dir.path()))
    };
    let words: Vec<String> = words[1..].iter().map(here).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    must("clang-16", &words, dir.path());
    let object = dir.path().join("probe.bpf.o");
    (dir, object)
}

fn objects() -> Vec<Value> {
    let yaml = std::fs::read_to_string(example("daemonset/daemonset.yaml")).unwrap();
    serde_saphyr::from_multiple(&yaml).unwrap()
}

fn source(config_map: &Value) -> &str {
    config_map["data"]["probe.bpf.c"].as_str().unwrap()
}

fn container<'a>(daemonset: &'a Value, name: &str) -> &'a Value {
    let all = &daemonset["spec"]["template"]["spec"]["initContainers"];
    let mut all = all.as_array().unwrap().iter();
    all.find(|c| c["name"] == name).unwrap()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The same command with no right to load anything: what an example does up to there, it does.
fn powerless(command: &mut Command) -> Output {
    let mut all = Command::new("setpriv");
    all.args(["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]);
    if is_root() {
        all.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    }
    all.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        all.env(name, value.unwrap());
    }
    all.output().unwrap()
}

#[test]
fn the_daemonset_is_what_an_api_server_takes_and_its_commands_work() {
    let host = Host::new(Version::Newest, "example-daemonset");
    let admin = host.plane.admin();
    let yaml = objects();
    for object in &yaml {
        let kind = object["kind"].as_str().unwrap();
        let (root, plural) = match kind {
            "ConfigMap" => ("api/v1", "configmaps"),
            "DaemonSet" => ("apis/apps/v1", "daemonsets"),
            other => panic!("{other}"),
        };
        let name = object["metadata"]["name"].as_str().unwrap();
        let path = format!(
            "/{root}/namespaces/default/{plural}/{name}?dryRun=All&fieldManager=test&fieldValidation=Strict"
        );
        let taken = admin.patch(&path, APPLY, object).success();
        assert_eq!(taken["kind"], kind);
        // A misspelt field would be refused.
        let mut wrong = object.clone();
        wrong["metadata"]["nane"] = json!("x");
        assert!(admin.patch(&path, APPLY, &wrong).status >= 400);
    }
    // One text, in the ConfigMap and for the other examples.
    let program = std::fs::read_to_string(example("probe.bpf.c")).unwrap();
    assert_eq!(source(&yaml[0]), program);

    // Its command, with a folder and a server of the test's.
    host.succeed();
    let server = serving(&host);
    let fetch = container(&yaml[1], "fetch");
    assert_eq!(
        fetch["env"][0]["valueFrom"]["fieldRef"]["fieldPath"],
        "spec.nodeName"
    );
    let words = fetch["command"].as_array().unwrap().iter();
    let words: Vec<String> = words
        .skip(1)
        .map(|word| {
            let word = word.as_str().unwrap();
            let word = word.replace("http://btfleet.btfleet", &server.url());
            word.replace("/btf", arg(&host.dir.path().join("btf")))
        })
        .collect();
    let out = btfleet(host.dir.path())
        .args(words)
        .env(fetch["env"][0]["name"].as_str().unwrap(), &host.name)
        .env("BTFLEET_PROC", host.dir.path().join("proc"))
        .env("BTFLEET_BTF", host.dir.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let fetched = std::fs::read(host.dir.path().join("btf/vmlinux.btf")).unwrap();
    assert_eq!(fetched, small_kernel(&host.name));
}

#[test]
fn the_libbpf_example_builds_and_loads_as_far_as_it_may() {
    let (dir, object) = built();
    let source = example("libbpf/load.c");
    let flags = ["-Wall", "-Wextra", "-Werror", "-o", "load"];
    let args = [&flags[..], &[arg(&source), "-lbpf"]].concat();
    must("cc", &args, dir.path());
    let load = dir.path().join("load");
    let out = Command::new(&load).output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    let mut command = Command::new(&load);
    command.arg(&object).arg(dir.path().join("btf/vmlinux.btf"));
    denied(&powerless(&mut command));
}

/// It ended because it may not load, and not before.
#[track_caller]
fn denied(out: &Output) {
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    let said = said.to_lowercase();
    assert!(
        said.contains("operation not permitted") || said.contains("permission denied"),
        "{said}"
    );
}

#[test]
fn the_cilium_ebpf_example_builds_and_takes_the_types_that_are_fetched() {
    let (dir, object) = built();
    let load = dir.path().join("load");
    let module = "examples/cilium-ebpf";
    assert_tidy(module);
    let out = go(module, &["go", "build", "-o", arg(&load), "."]).output();
    let out = out.unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let btf = dir.path().join("btf/vmlinux.btf");
    let ask = |btf: &Path| {
        let mut command = Command::new(&load);
        command.arg("-object").arg(&object).arg("-btf").arg(btf);
        // Nobody is there to be asked, and nobody is needed.
        powerless(command.arg("-server").arg("http://127.0.0.1:1"))
    };
    let out = ask(&btf);
    denied(&out);
    let id = btfleet::artifact::BtfDigest::of(&fixture(X86_64).btf).kernel_id();
    let said = text(&out.stderr);
    assert!(said.contains(&format!("kernel {id}, by kernel")), "{said}");
    // What is no BTF does not get as far.
    let said = text(&ask(&dir.path().join("probe.bpf.c")).stderr);
    assert!(said.contains("is no BTF"), "{said}");
}

#[test]
fn the_aya_example_builds_and_reads_the_types_that_are_fetched() {
    let (dir, object) = built();
    let manifest = example("aya/Cargo.toml");
    // Kept between runs, like what else cargo builds for the tests.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("example-aya");
    let out = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--manifest-path"])
        .arg(&manifest)
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    // Its folder may be closed to others than its owner.
    let load = dir.path().join("load");
    std::fs::copy(target.join("debug/load"), &load).unwrap();
    let ask = |btf: &Path| powerless(Command::new(&load).arg(&object).arg(btf));
    // Where it may not load it finds out in different ways, but not before it has read the types.
    let out = ask(&dir.path().join("btf/vmlinux.btf"));
    let said = text(&out.stderr);
    assert!(
        !out.status.success() && !said.contains("InvalidHeader"),
        "{said}"
    );
    let said = text(&ask(&dir.path().join("probe.bpf.c")).stderr);
    assert!(said.contains("InvalidHeader"), "{said}");
}

#[test]
fn the_bpftrace_example_finds_its_fields_in_the_btf_that_it_is_given() {
    let (dir, _) = built();
    let script = example("bpftrace/exec.sh");
    let help = run("bpftrace", &["--help"], dir.path());
    let help = text(&help.stdout) + &text(&help.stderr);
    // Newer ones want to be told what to show with -d.
    let dry = if help.contains("--dry-run") {
        "--dry-run"
    } else {
        "-d"
    };
    let ask = |btf: &Path| {
        let root = is_root();
        // It wants to be root even where it loads nothing.
        let program = if root { "env" } else { "unshare" };
        let flags: &[&str] = if root { &[] } else { &["--map-root-user"] };
        let args = [flags, &[arg(&script), arg(btf), dry]].concat();
        run(program, &args, dir.path())
    };
    let out = ask(&dir.path().join("btf/vmlinux.btf"));
    assert!(out.status.success(), "{}", text(&out.stderr));
    let tiny = file(dir.path(), "tiny.btf", &small_kernel("no_task_struct"));
    let out = ask(&tiny);
    assert!(!out.status.success(), "{}", text(&out.stdout));
}
