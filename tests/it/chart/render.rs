//! What helm makes of the chart.

use crate::support::chart::{helm_template, objects, pod, render};
use serde_json::Value;

/// Values that between them touch every template.
pub const MATRIX: [&[&str]; 8] = [
    &[],
    &["--set=store.bundled.persistence=false"],
    &[
        "--set=store.bundled.existingClaim=mine,cleanup.keepRefs=true,store.bundled.existingSecrets.root=mine",
    ],
    &[
        "--set=store.url=s3://bucket/prefix,store.endpoint=https://s3.example:9000,store.region=eu-north-1",
        "--set=store.pathStyle=false,store.existingSecret=s3,ca.configMap=authorities,clusterId=here",
        "--set=proxy.https=http://proxy.example:3128,proxy.noProxy=.example",
    ],
    &[
        "--set=store.url=s3://bucket,admissionPolicies.enabled=false,networkPolicy.enabled=false",
        "--set=crd.install=false,cleanup.enabled=false,controller.replicas=1,server.replicas=1",
        "--set=agent.serviceAccount.annotations.eks\\.amazonaws\\.com/role-arn=arn:aws:iam::1:role/agent",
    ],
    &[
        "--set=server.tls.secret=tls,server.service.type=LoadBalancer,server.service.annotations.a=b",
        "--set=metrics.serviceMonitor.enabled=true",
        "--set=imagePullSecrets[0].name=pull,imageRegistry=registry.example/mirror,image.digest=sha256:\
         00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        "--set=agent.priorityClassName=system-node-critical,controller.priorityClassName=system-cluster-critical",
    ],
    &[
        "--set=metrics.serviceMonitor.enabled=true,metrics.rules.enabled=true,metrics.dashboard.enabled=true",
        "--set=commonLabels.team=kernel,podAnnotations.note=x,agent.podLabels.pool=a",
    ],
    &[
        "--set=agent.extraEnv[0].name=BTFLEET_BTF,agent.extraEnv[0].value=/btf/vmlinux",
        "--set=agent.extraVolumes[0].name=btf,agent.extraVolumes[0].emptyDir.medium=Memory",
        "--set=agent.extraVolumeMounts[0].name=btf,agent.extraVolumeMounts[0].mountPath=/btf",
        "--set=fullnameOverride=kernels,store.bundled.setup=again,networkPolicy.metricsFrom[0].podSelector.matchLabels.a=b",
        "--set=server.nodeSelector.a=b,server.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]\
         .topologyKey=a",
    ],
];

#[test]
fn the_same_values_render_to_the_same_bytes_and_to_no_secret() {
    for flags in MATRIX {
        let once = render("btfleet", "btfleet", flags);
        assert_eq!(once, render("btfleet", "btfleet", flags), "{flags:?}");
        for object in objects(&once) {
            assert_ne!(object["kind"], "Secret", "{flags:?}");
        }
    }
}

#[test]
fn every_object_is_named_after_the_release_and_lies_in_its_namespace() {
    for object in objects(&render("fleet2", "kernels", MATRIX[6])) {
        let (kind, name) = (
            &object["kind"],
            object["metadata"]["name"].as_str().unwrap(),
        );
        let namespace = object["metadata"]["namespace"].as_str();
        if kind != "CustomResourceDefinition" {
            assert!(name.starts_with("fleet2-btfleet"), "{kind} {name}");
        }
        // Events about Nodes are in default.
        let events = name == "fleet2-btfleet-events";
        let expected = if events { "default" } else { "kernels" };
        assert!(
            namespace.is_none_or(|n| n == expected),
            "{kind} {name}: {namespace:?}"
        );
        let text = object
            .to_string()
            .replace("\"btfleet-0.1.0\"", "the chart's");
        assert!(!text.contains("\"btfleet-"), "{text}");
    }
}

#[test]
fn no_pod_may_write_its_root_or_sees_the_hosts_files_and_only_those_that_ask_have_a_token() {
    for flags in MATRIX {
        let rendered = objects(&render("btfleet", "btfleet", flags));
        let mut pods = 0;
        for object in &rendered {
            let Some(pod) = pod(object) else { continue };
            pods += 1;
            let spec = &pod["spec"];
            let name = &object["metadata"]["name"];
            for volume in spec["volumes"].as_array().into_iter().flatten() {
                assert!(volume.get("hostPath").is_none(), "{name}: {volume}");
            }
            for container in spec["containers"].as_array().unwrap() {
                assert_eq!(
                    container["securityContext"]["readOnlyRootFilesystem"], true,
                    "{name}"
                );
                assert!(
                    container["resources"]["requests"]["memory"].is_string(),
                    "{name}"
                );
                assert!(
                    container["resources"]["limits"]["memory"].is_string(),
                    "{name}"
                );
            }
            // The store alone asks nobody, unless somebody beside it sets it up.
            let beside = spec["containers"].as_array().unwrap().len() > 1;
            let asks = !name.as_str().unwrap().ends_with("-store") || beside;
            assert_eq!(spec["automountServiceAccountToken"], asks, "{name}");
        }
        assert!(pods >= 3, "{flags:?}: {pods} pods");
    }
}

#[test]
fn the_set_up_is_another_job_when_its_pod_is_another() {
    let job = |flags: &[&str]| {
        let all = objects(&render("btfleet", "btfleet", flags));
        let is_job = |o: &&Value| {
            let name = o["metadata"]["name"].as_str().unwrap();
            o["kind"] == "Job" && name.starts_with("btfleet-store-init-")
        };
        let found = all.iter().find(is_job).unwrap();
        found["metadata"]["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(job(&[]), job(&["--set=server.replicas=3"]));
    assert_ne!(job(&[]), job(&["--set=image.tag=next"]));
    assert_ne!(job(&[]), job(&["--set=store.bundled.setup=again"]));
}

#[test]
fn wrong_values_are_refused_by_name() {
    for (flag, at, why) in [
        ("--set=agnet.lookEvery=5", "agnet", "not allowed"),
        (
            "--set=store.bundled.persistance=false",
            "persistance",
            "not allowed",
        ),
        (
            "--set=store.url=http://bucket",
            "/store/url",
            "does not match",
        ),
        (
            "--set=controller.collect=yes",
            "/controller/collect",
            "must be one of",
        ),
        (
            "--set=controller.retention=30",
            "/controller/retention",
            "got number",
        ),
        (
            "--set=controller.replicas=0",
            "/controller/replicas",
            "minimum",
        ),
        ("--set=server.cache=8", "/server/cache", "minimum"),
        ("--set=log.level=loud", "/log/level", "must be one of"),
        (
            "--set=agent.maxUnavailable=120%",
            "/agent/maxUnavailable",
            "does not match",
        ),
        (
            "--set-string=crd.keep=false",
            "/crd/keep",
            "got string, want boolean",
        ),
        (
            "--set=networkPolicy.apiServerPorts[0]=99999",
            "/networkPolicy/apiServerPorts/0",
            "maximum",
        ),
        ("--set=image.digest=abc", "/image/digest", "does not match"),
    ] {
        let out = helm_template("btfleet", "btfleet", &[flag]);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success(), "{flag} was taken");
        assert!(said.contains(at) && said.contains(why), "{flag}: {said}");
    }
}

#[test]
fn a_part_of_its_own_secret_has_no_other_and_an_identity_needs_none() {
    let secrets = |flags: &[&str], part: &str| {
        let all = objects(&render("btfleet", "btfleet", flags));
        let found = all.iter().find(|o| {
            o["metadata"]["name"] == format!("btfleet-{part}").as_str() && pod(o).is_some()
        });
        let volumes = &pod(found.unwrap()).unwrap()["spec"]["volumes"];
        let volumes = volumes.as_array().into_iter().flatten();
        let names = volumes.filter_map(|v| v["secret"]["secretName"].as_str());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    for part in ["agent", "controller", "server"] {
        assert_eq!(secrets(&[], part), [format!("btfleet-store-{part}")]);
        assert_eq!(
            secrets(&["--set=store.url=s3://b/p,store.existingSecret=all"], part),
            ["all"]
        );
        let own =
            format!("--set=store.url=s3://b/p,store.existingSecret=all,{part}.existingSecret=own");
        assert_eq!(secrets(&[&own], part), ["own"]);
        assert!(secrets(&["--set=store.url=s3://b/p"], part).is_empty());
    }
}

/// What `helm install` prints, by the real template.
#[test]
fn the_notes_say_that_the_bundled_store_is_for_trying_out_and_what_an_empty_dir_loses() {
    let notes = |flags: &[&str]| {
        let home = tempfile::tempdir().unwrap();
        let out = std::process::Command::new(crate::support::servers::tool("helm"))
            .args(["install", "btfleet"])
            .arg(crate::support::chart::folder())
            .args(["--namespace", "btfleet", "--dry-run=client"])
            .args(flags)
            .env("HOME", home.path())
            .output()
            .unwrap();
        let said = String::from_utf8(out.stdout).unwrap();
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        said.split("NOTES:").nth(1).unwrap_or_default().to_owned()
    };
    let first = notes(&[]);
    assert!(
        first.contains("FOR TRYING OUT") && !first.contains("emptyDir"),
        "{first}"
    );
    assert!(first.contains("--set store.url=s3://"), "{first}");
    let empty = notes(&["--set=store.bundled.persistence=false"]);
    assert!(empty.contains("It is an emptyDir"), "{empty}");
    let own = notes(&["--set=store.url=s3://b/p"]);
    assert!(
        !own.contains("TRYING OUT") && own.contains("kubectl get kh"),
        "{own}"
    );
}

/// The object of this kind and name.
#[track_caller]
fn one(flags: &[&str], kind: &str, name: &str) -> Value {
    let all = objects(&render("btfleet", "btfleet", flags));
    let found = all
        .into_iter()
        .find(|o| o["kind"] == kind && o["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("{flags:?}: no {kind} {name}"))
}

#[test]
fn what_goes_at_the_end_is_what_the_values_say() {
    let args = |flags: &[&str]| {
        let job = one(flags, "Job", "btfleet-cleanup");
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        let env = container["env"].as_array().map_or(0, Vec::len);
        (container["args"].to_string(), env > 0)
    };
    let volume = |flags: &[&str]| {
        let claim = one(flags, "PersistentVolumeClaim", "btfleet-store");
        claim["metadata"]["annotations"]["helm.sh/resource-policy"].clone()
    };
    // The bundled store goes, its Secrets with it: nothing in it needs to be removed.
    let (said, has_store) = args(&[]);
    assert!(said.contains("--daemonset=btfleet-agent") && said.contains("--keep-refs"));
    assert!(said.contains("--secret=btfleet-store-root") && !has_store);
    assert_eq!(volume(&[]), Value::Null);
    let keep = ["--set=cleanup.keepRefs=true"];
    let (said, has_store) = args(&keep);
    assert!(said.contains("--keep-refs") && !said.contains("--secret") && !has_store);
    assert_eq!(volume(&keep), "keep");
    // A bucket stays, without this cluster's references.
    let (said, has_store) = args(&["--set=store.url=s3://b/p,store.existingSecret=s"]);
    assert!(!said.contains("--keep-refs") && !said.contains("--secret") && has_store);
    let (said, _) = args(&["--set=store.url=s3://b/p,cleanup.keepRefs=true"]);
    assert!(said.contains("--keep-refs") && !said.contains("--secret"));
    let keeps = |flags: &[&str]| {
        let crd = one(
            flags,
            "CustomResourceDefinition",
            "kernelheaders.btfleet.dev",
        );
        crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    };
    assert!(keeps(&[]) && !keeps(&["--set=crd.keep=false"]));
}

#[test]
fn each_part_may_reach_the_store_and_the_proxy_that_the_values_name() {
    let url = "store.url=s3://b/p,store.endpoint=https://s3.example:9000,proxy.https=http://p:3128";
    for part in ["agent", "controller", "server", "cleanup"] {
        let policy = one(
            &[&format!("--set={url}")],
            "NetworkPolicy",
            &format!("btfleet-{part}"),
        );
        let egress = policy["spec"]["egress"].to_string();
        for port in ["443", "6443", "53", "80", "9000", "3128"] {
            assert!(
                egress.contains(&format!("\"port\":{port},"))
                    || egress.contains(&format!("\"port\":{port}}}")),
                "{part}: {port}: {egress}"
            );
        }
        let bundled = one(&[], "NetworkPolicy", &format!("btfleet-{part}"));
        assert!(!bundled["spec"]["egress"].to_string().contains("9000"));
    }
    // The bundled one is for its own pods alone.
    let store = one(&[], "NetworkPolicy", "btfleet-store");
    let from = &store["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"];
    assert_eq!(from["app.kubernetes.io/instance"], "btfleet");
    assert_eq!(store["spec"]["egress"], Value::Null);
}

/// A misspelt variable would be ignored by the program, and a misspelt flag be seen on a node only.
#[test]
fn every_variable_and_flag_that_a_container_is_given_is_one_of_its_command() {
    let mut seen = 0;
    for flags in MATRIX {
        for object in objects(&render("btfleet", "btfleet", flags)) {
            let containers = pod(&object).map(|pod| pod["spec"]["containers"].clone());
            let containers = containers.unwrap_or_default();
            for container in containers.as_array().into_iter().flatten() {
                if container["image"].as_str().unwrap().contains("versitygw") {
                    continue;
                }
                let args = container["args"].as_array().unwrap();
                let args: Vec<&str> = args.iter().map(|a| a.as_str().unwrap()).collect();
                let words = args.iter().take_while(|a| !a.starts_with('-'));
                let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_btfleet"));
                let help = command.args(words).arg("--help").output().unwrap();
                assert!(help.status.success(), "{args:?}");
                let help = String::from_utf8(help.stdout).unwrap();
                for flag in args.iter().filter(|a| a.starts_with("--")) {
                    let flag = flag.split('=').next().unwrap();
                    assert!(
                        help.contains(&format!("{flag} ")) || help.contains(&format!("{flag}\n")),
                        "{args:?}: {flag}"
                    );
                }
                for variable in container["env"].as_array().into_iter().flatten() {
                    let name = variable["name"].as_str().unwrap();
                    if name.starts_with("BTFLEET_") {
                        assert!(help.contains(&format!("[env: {name}=")), "{args:?}: {name}");
                        seen += 1;
                    }
                }
            }
        }
    }
    assert!(seen > 100, "{seen}");
}
