//! Nothing there yet, and a store that does not answer.

use super::browser::Browser;
use super::judge;
use crate::agent::bed::installed;
use crate::serve::bed::Serving;
use crate::support::servers::kubernetes::Version;
use crate::support::servers::s3::{ACCESS_KEY, BUCKET, REGION, S3Server, SECRET_KEY, Scheme};

#[test]
fn a_page_says_that_nothing_is_there_yet_and_that_the_store_is_away() {
    let browser = Browser::start();
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::of_folder(folder.path(), &[]);
    let says = |server: &Serving, path: &str, words: &str| {
        browser.open(&format!("{}{path}", server.url()));
        let text = browser.text("main");
        assert!(text.contains(words), "{path}: {words:?} in {text}");
    };
    says(&server, "/", "No kernel is published yet.");
    judge(&browser, "empty");
    says(&server, "/kernels", "No kernel is published yet.");
    says(&server, "/types", "there is nothing to look up");
    says(
        &server,
        "/kernels/00000000000000000000000000000000",
        "there is no kernel",
    );
    says(&server, "/kernels/x", "a kernel is named by");
    assert_eq!(
        server
            .get("/kernels/00000000000000000000000000000000")
            .status,
        404
    );
    assert_eq!(server.get("/types/struct").status, 404);
    assert_eq!(server.get("/assets/nothing").status, 404);

    // That those pages are problems is what the browser complains of.
    browser.complaints();

    let away = S3Server::start(Scheme::Http);
    let (store, url) = (format!("--store=s3://{BUCKET}/fleet"), away.url());
    let server = Serving::start(
        &[&store, "--s3-endpoint", &url, "--s3-region", REGION],
        &[
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ],
    );
    away.kill();
    says(&server, "/", "The store cannot be listed now:");
    judge(&browser, "store-away");
}

#[test]
fn a_cluster_without_nodes_is_said_to_have_none_yet() {
    let plane = installed(Version::Newest);
    plane.admin().delete("/api/v1/nodes/probe").success();
    let folder = tempfile::tempdir().unwrap();
    let store = format!("--store=file://{}", folder.path().display());
    let kubeconfig = plane.admin_kubeconfig().display().to_string();
    let server = Serving::start(&[&store], &[("KUBECONFIG", &kubeconfig)]);
    server.wait_ready();
    let browser = Browser::start();
    for path in ["/", "/nodes"] {
        browser.open(&format!("{}{path}", server.url()));
        let text = browser.text("main");
        assert!(text.contains("The cluster has no nodes yet"), "{text}");
        // Nor has it the CRD: the controller's word is missing, and that is said.
        assert!(
            text.contains("What the controller says of the kernels is not known"),
            "{text}"
        );
    }
    judge(&browser, "no-nodes");
}
