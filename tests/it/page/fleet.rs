//! The views of a small fleet: what they show, and that they are used with keys, without a script and without eyes.

use super::browser::{Browser, ENTER, TAB};
use super::{EVIL, Fleet, judge};
use crate::support::fixtures::fixture;
use crate::tool::{compile_bpf, file, succeed};
use serde_json::json;

#[test]
fn the_fleet_is_seen_searched_and_browsed() {
    let mut fleet = Fleet::start();
    let browser = Browser::start();
    first_page(&fleet, &browser);
    tables(&fleet, &browser);
    kernel(&fleet, &browser);
    types(&fleet, &browser);
    an_object_is_checked(&fleet, &browser);
    keys(&fleet, &browser);
    dark(&fleet, &browser);
    without_a_script(&fleet, &browser);
    fleet.somebody_odd_joins();
    hostile_names_are_text(&fleet, &browser);
    api_server_away(&fleet, &browser);
}

fn first_page(fleet: &Fleet, browser: &Browser) {
    browser.open(&fleet.url("/"));
    assert_eq!(browser.title(), "The fleet – btfleet");
    let text = browser.text("main");
    for words in [
        "3\nReady",
        "1\nStale",
        "1\nNoBTF",
        "1\nNotReported",
        "2 distinct kernels, 2 of them in use",
        "1 node · Stale: what it says is of an earlier boot",
        "Sharing saved ",
    ] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    judge(browser, "overview");
    // From what is wrong to the nodes with which it is.
    browser.follow("1 node · Stale: what it says is of an earlier boot");
    let rows = browser.text("#results tbody");
    assert!(rows.starts_with("rebooted Stale"), "{rows}");
}

fn tables(fleet: &Fleet, browser: &Browser) {
    browser.open(&fleet.url("/nodes"));
    // Those that are not Ready come first.
    let first = browser.text("#results tbody tr");
    assert!(!first.contains("Ready"), "{first}");
    judge(browser, "nodes");
    // The table follows what is typed, the address too: the view can be shared.
    browser.run("window.same = true");
    browser.write("#q", "worker-2");
    browser.wait("one row", || {
        browser.text("#results").starts_with("1 of 6 nodes")
    });
    assert!(
        browser.url().ends_with("/nodes?q=worker-2"),
        "{}",
        browser.url()
    );
    browser.open(&browser.url());
    assert!(browser.text("#results tbody").starts_with("worker-2 Ready"));
    // Sorted without a new page.
    browser.open(&fleet.url("/nodes"));
    browser.run("window.same = true");
    browser.click("thead th:nth-child(1) a");
    browser.wait("sorted", || browser.url().ends_with("?sort=name"));
    assert!(browser.text("#results tbody").starts_with("bare "));
    browser.click("thead th:nth-child(1) a");
    browser.wait("sorted the other way", || {
        browser.url().ends_with("?sort=-name")
    });
    assert!(browser.text("#results tbody").starts_with("worker-3"));
    assert_eq!(browser.run("return window.same"), json!(true));

    browser.open(&fleet.url("/kernels"));
    assert!(browser.text("#results tbody").contains("amd64/6.18.0"));
    judge(browser, "kernels");
}

fn kernel(fleet: &Fleet, browser: &Browser) {
    browser.open(&fleet.url("/kernels"));
    browser.go("#results tbody a");
    assert_eq!(browser.title(), "Kernel amd64/6.18.0 – btfleet");
    let text = browser.text("main");
    for words in [
        "2 nodes: worker-1, worker-2",
        "DigestsMatch",
        "What verifications found",
        "What verifications found",
        "kubectl btfleet get",
    ] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    judge(browser, "kernel");
    // What is downloaded is what the page says.
    let script = |file: &str| {
        format!(
            "return fetch([...document.querySelectorAll('main a')].find(a => a.textContent == '{file}').href)
               .then(r => r.arrayBuffer()).then(b => crypto.subtle.digest('SHA-256', b))
               .then(d => [...new Uint8Array(d)].map(b => b.toString(16).padStart(2, '0')).join(''))"
        )
    };
    for file in ["vmlinux.h", "vmlinux.btf"] {
        let digest = browser.run(&script(file));
        let digest = format!("sha256:{}", digest.as_str().unwrap());
        assert!(text.contains(&digest), "{file}: {digest} in {text}");
    }
}

fn types(fleet: &Fleet, browser: &Browser) {
    browser.open(&fleet.url("/types"));
    browser.write("#q", "task_str");
    browser.wait("the search follows", || {
        browser.text("#results").contains("struct task_struct\n")
            || browser.text("#results").contains("struct task_struct ")
    });
    judge(browser, "types");
    browser.follow("struct task_struct");
    let text = browser.text("table.code");
    for words in [
        "struct thread_info thread_info;",
        "/* cache line 1 */",
        "pid_t pid;",
    ] {
        assert!(text.contains(words), "{words:?}");
    }
    judge(browser, "type");
    // From a member to its type, and where that is used.
    browser.follow("struct thread_info");
    assert_eq!(browser.title(), "struct thread_info – btfleet");
    browser.follow("struct task_struct");

    browser.run("document.querySelector('#with').selectedIndex = 1");
    browser.go("form.search button");
    assert!(browser.url().contains("?with="), "{}", browser.url());
    let text = browser.text("main");
    assert!(
        text.contains("lines differ") && text.contains("left only"),
        "{text}"
    );
    judge(browser, "side-by-side");
    browser.follow("across all kernels");
    let text = browser.text("main");
    assert!(text.contains("2 versions of it"), "{text}");
    judge(browser, "across");
    // A search over a whole kernel, warm, as the page sees it.
    let slowest = browser.run(
        "const base = new URL('../../types', location.href).href;
         const ask = async q => { const t = performance.now(); await (await fetch(base + '?q=' + q)).text(); return performance.now() - t };
         return (async () => { await ask('x'); const all = []; for (const q of ['a', 'task', 'sk_b', 'bpf_', 'z', '__']) all.push(await ask(q)); return Math.min(...all) })()",
    );
    println!("a warm search, in the browser: {slowest} ms at best");
}

fn hostile_names_are_text(fleet: &Fleet, browser: &Browser) {
    browser.open(&fleet.url("/nodes?q=odd"));
    assert!(browser.text("#results tbody").contains(EVIL));
    for path in ["/nodes", "/kernels", "/"] {
        browser.open(&fleet.url(path));
        assert!(!browser.title().contains("hacked"));
        assert_eq!(
            browser.run("return document.querySelectorAll('img, main script').length"),
            json!(0)
        );
    }
    let ids = fleet.server.get("/v1/kernels").json();
    for kernel in ids["kernels"].as_array().unwrap() {
        let path = format!(
            "/kernels/{}/types?q=%3Cscript",
            kernel["kernelId"].as_str().unwrap()
        );
        browser.open(&fleet.url(&path));
        if browser.text("#results").contains("1 type ") {
            browser.follow("struct <script>alert(1)</script>");
            assert!(
                browser
                    .text("table.code")
                    .contains("struct <script>alert(1)</script> {")
            );
            assert!(
                browser.text("table.code").contains("int \"><b>x</b>;")
                    || browser.text("table.code").contains("\"><b>x</b>")
            );
            assert_eq!(
                browser.run("return document.querySelectorAll('main script, td b').length"),
                json!(0)
            );
            return;
        }
    }
    panic!("no kernel has the type");
}

fn keys(fleet: &Fleet, browser: &Browser) {
    browser.open(&fleet.url("/types"));
    // The first stop skips what every page begins with.
    browser.press(TAB);
    assert_eq!(
        browser.run("return document.activeElement.textContent"),
        json!("Skip to the content")
    );
    browser.press("/");
    assert_eq!(browser.run("return document.activeElement.id"), json!("q"));
    browser.press("list_head");
    browser.wait("found", || {
        browser.text("#results").contains("struct list_head")
    });
    browser.press(ENTER);
    browser.wait("asked for", || browser.url().contains("q=list_head"));
    // On to the first of what was found: field, kernels, button, the kernel's link, and the type's.
    browser.run("document.querySelector('#results th a').focus()");
    browser.press(ENTER);
    browser.wait("opened", || browser.title().starts_with("struct list_head"));
}

fn dark(fleet: &Fleet, browser: &Browser) {
    let scheme = |value: &str| {
        browser.devtools(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": value}]}),
        );
    };
    scheme("dark");
    for (path, name) in [
        ("/", "overview-dark"),
        ("/nodes", "nodes-dark"),
        ("/types?q=task_struct", "types-dark"),
    ] {
        browser.open(&fleet.url(path));
        judge(browser, name);
    }
    scheme("light");
}

fn without_a_script(fleet: &Fleet, browser: &Browser) {
    let off = |value: bool| {
        browser.devtools(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": value}),
        );
    };
    off(true);
    browser.open(&fleet.url("/nodes"));
    browser.write("#q", "worker-3");
    browser.go("form.search button");
    assert!(browser.url().contains("q=worker-3"), "{}", browser.url());
    assert!(browser.text("#results tbody").starts_with("worker-3"));
    browser.go("thead th:nth-child(2) a");
    assert!(browser.url().contains("sort=status"), "{}", browser.url());
    off(false);
}

fn api_server_away(fleet: &Fleet, browser: &Browser) {
    fleet.plane.kill_api_server();
    browser.wait("it is said", || {
        browser.open(&fleet.url("/"));
        browser
            .text("main")
            .contains("The API server has been out of reach for")
    });
    // The last that is known is still there.
    assert!(browser.text("main").contains("4\nReady"));
    judge(browser, "api-server-away");
    fleet.plane.start_api_server();
}

const PROGRAM: &str = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
char LICENSE[] SEC("license") = "GPL";
struct task_struct___gone { long nobody; } __attribute__((preserve_access_index));
SEC("raw_tp/x") int good(void *c) { return BPF_CORE_READ((struct task_struct *)c, pid); }
SEC("raw_tp/x") int bad(void *c) { return BPF_CORE_READ((struct task_struct___gone *)c, nobody); }
"#;

fn an_object_is_checked(fleet: &Fleet, browser: &Browser) {
    let dir = tempfile::tempdir().unwrap();
    let kernel = file(dir.path(), "k.btf", &fixture("x86_64-6.18").btf);
    let header = dir.path().join("vmlinux.h");
    let args = [
        "dump",
        kernel.to_str().unwrap(),
        "-o",
        header.to_str().unwrap(),
    ];
    succeed(dir.path(), args);
    let object = compile_bpf(dir.path(), "probe.bpf", PROGRAM);

    browser.open(&fleet.url("/check"));
    browser.write("#object", object.to_str().unwrap());
    browser.click("form#check button");
    browser.wait("the table", || {
        browser.text("#results").contains("2 fails, 2 resolves")
    });
    let text = browser.text("#results");
    for words in [
        "task_struct has no nobody",
        "probe.bpf.c:8",
        "7.2.13+deb14-amd64",
    ] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    judge(browser, "check");
    // Without a script the form does the same.
    let off = |value: bool| {
        let params = json!({ "value": value });
        browser.devtools("Emulation.setScriptExecutionDisabled", params);
    };
    off(true);
    browser.open(&fleet.url("/check"));
    browser.write("#object", object.to_str().unwrap());
    browser.go("form#check button");
    assert_eq!(browser.text("#results"), text);
    off(false);
    // Dropped, as from a folder's window.
    browser.open(&fleet.url("/check"));
    browser.run(
        "const files = new DataTransfer(); files.items.add(new File(['no object'], 'note.txt'));
         document.getElementById('check').dispatchEvent(new DragEvent('drop', {dataTransfer: files, bubbles: true, cancelable: true}))",
    );
    browser.wait("a clear no", || {
        browser.text("#results").contains("no eBPF object")
    });
    // That is a 422, of which browsers complain.
    browser.complaints();
}
