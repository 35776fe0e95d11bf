//! An S3 server: versitygw over a folder of its own.

use super::certs::Authority;
use super::folder::Folder;
use super::process::Process;
use super::{port, tool};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// The root user's keys, of every server here.
pub const ACCESS_KEY: &str = "btfleet-test";
pub const SECRET_KEY: &str = "btfleet-test-secret";
pub const REGION: &str = "us-east-1";
/// A bucket that is there from the start.
pub const BUCKET: &str = "btfleet";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    Http,
    Https,
}

pub struct S3Server {
    process: Process,
    address: SocketAddr,
    authority: Option<Authority>,
    folder: Folder,
}

impl S3Server {
    /// A new one, with its empty bucket.
    pub fn start(scheme: Scheme) -> Self {
        let program = tool("versitygw");
        let folder = Folder::new("s3");
        std::fs::create_dir_all(folder.path().join("data").join(BUCKET)).unwrap();
        // Metadata beside the objects: not every temporary folder keeps extended attributes.
        std::fs::create_dir(folder.path().join("meta")).unwrap();
        std::fs::create_dir(folder.path().join("users")).unwrap();
        let mut tls = Vec::new();
        let authority = (scheme == Scheme::Https).then(|| {
            let authority = Authority::new("btfleet test S3");
            let server = authority.server();
            tls.push(format!(
                "--cert={}",
                folder.write("cert.pem", &server.cert).display()
            ));
            tls.push(format!(
                "--key={}",
                folder.write("key.pem", &server.key).display()
            ));
            folder.write("ca.pem", authority.pem());
            authority
        });
        let mut tries = 0;
        loop {
            let address = port::free();
            let mut args = vec![
                format!("--access={ACCESS_KEY}"),
                format!("--secret={SECRET_KEY}"),
                format!("--region={REGION}"),
                format!("--port={address}"),
                "--keep-alive".to_owned(),
                format!("--iam-dir={}", folder.path().join("users").display()),
            ];
            args.extend(tls.iter().cloned());
            args.extend([
                "posix".to_owned(),
                format!("--sidecar={}", folder.path().join("meta").display()),
                folder.path().join("data").display().to_string(),
            ]);
            let process = Process::new(&program, args, folder.path().join("versitygw.log"));
            match process.start(LIMIT, || listens(address)) {
                Ok(()) => {
                    return S3Server {
                        process,
                        address,
                        authority,
                        folder,
                    };
                }
                Err(e) if tries == 2 => panic!("{e}"),
                Err(_) => tries += 1, // somebody else took the port
            }
        }
    }

    /// `http://127.0.0.1:…` or `https://…`.
    pub fn url(&self) -> String {
        let s = if self.authority.is_some() { "s" } else { "" };
        format!("http{s}://{}", self.address)
    }

    /// The file with the certificate that an https client must trust.
    pub fn ca_file(&self) -> Option<PathBuf> {
        self.authority.as_ref()?;
        Some(self.folder.path().join("ca.pem"))
    }

    /// Where the bucket's objects lie as files, to look at and to spoil.
    pub fn bucket_folder(&self) -> PathBuf {
        self.folder.path().join("data").join(BUCKET)
    }

    /// Takes away all objects under a prefix, and what the server keeps about them beside.
    pub fn wipe(&self, prefix: &str) {
        for kept in ["data", "meta"] {
            let folder = self.folder.path().join(kept).join(BUCKET).join(prefix);
            if folder.exists() {
                std::fs::remove_dir_all(folder).unwrap();
            }
        }
    }

    /// A user who may do nothing yet; a policy of the bucket says what.
    pub fn add_user(&self, access: &str, secret: &str) {
        let mut command = std::process::Command::new(tool("versitygw"));
        command.args(["admin", "--endpoint-url", &self.url(), "--region", REGION]);
        command.args(["--access", ACCESS_KEY, "--secret", SECRET_KEY]);
        command.args([
            "create-user",
            "--role=user",
            "--access",
            access,
            "--secret",
            secret,
        ]);
        let out = command.output().unwrap();
        assert!(out.status.success(), "{out:?}");
    }

    /// `kill -9`. What was stored stays.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// At the same address, over the same objects.
    pub fn start_again(&self) {
        let started = self.process.start(LIMIT, || listens(self.address));
        started.unwrap_or_else(|e| panic!("{e}"));
    }

    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }
}

const LIMIT: Duration = Duration::from_secs(30);

fn listens(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}
