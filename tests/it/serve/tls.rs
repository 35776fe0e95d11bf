//! TLS from files, and new files while it runs.

use super::bed::Serving;
use super::http::small;
use crate::agent::bed::wait_until;
use crate::support::servers::certs::Authority;
use std::path::Path;
use std::process::Command;

/// Whether curl, trusting this authority alone, gets an answer.
fn trusts(server: &Serving, ca: &Path) -> bool {
    let out = Command::new("curl")
        .args(["--silent", "--fail", "--cacert"])
        .arg(ca)
        .arg(format!("https://{}/livez", server.address))
        .output()
        .unwrap();
    out.stdout == b"ok\n"
}

#[test]
fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = small(&dir);
    let path = |name: &str| dir.path().join(name);
    let authorities = ["old", "new"].map(|name| {
        let authority = Authority::new(name);
        std::fs::write(path(name), authority.pem()).unwrap();
        authority
    });
    let put = |authority: &Authority| {
        let identity = authority.server();
        std::fs::write(path("tls.crt"), identity.cert).unwrap();
        std::fs::write(path("tls.key"), identity.key).unwrap();
    };
    put(&authorities[0]);
    let (cert, key) = (path("tls.crt"), path("tls.key"));
    let flags = [
        "--tls-cert",
        cert.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
        "--tls-reload-every",
        "0.2",
    ];
    let server = Serving::of_folder(&store, &flags);
    assert!(trusts(&server, &path("old")) && !trusts(&server, &path("new")));
    std::fs::write(&key, "no key").unwrap();
    wait_until("it says that the key is broken", || {
        server.log().contains("the certificate stays as it was")
    });
    assert!(trusts(&server, &path("old")));
    put(&authorities[1]);
    wait_until("the new one is taken", || trusts(&server, &path("new")));
    assert!(!trusts(&server, &path("old")));
    // Who speaks no TLS gets nothing, and harms nobody.
    let plain = Command::new("curl")
        .args(["--silent", &format!("http://{}/livez", server.address)])
        .output()
        .unwrap();
    assert!(!plain.status.success());
    assert!(trusts(&server, &path("new")));
}
