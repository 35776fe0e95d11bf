//! A store to run commands on: a folder, or a prefix at a real S3 server.

use crate::support::servers::s3::{ACCESS_KEY, REGION, SECRET_KEY};
use crate::support::stores::{keys_file, new_place, versitygw};
use crate::tool::{btfleet, text};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder to work in, and a store.
pub struct Site {
    dir: tempfile::TempDir,
    /// As `--store` takes it.
    pub store: String,
    env: Vec<(&'static str, String)>,
}

impl Site {
    pub fn folder() -> Site {
        Site {
            dir: tempfile::tempdir().unwrap(),
            store: "store".to_owned(),
            env: vec![],
        }
    }

    pub fn s3() -> Site {
        let keys: PathBuf = keys_file(ACCESS_KEY, SECRET_KEY);
        Site {
            dir: tempfile::tempdir().unwrap(),
            store: new_place(),
            env: vec![
                ("BTFLEET_S3_ENDPOINT", versitygw().url()),
                ("BTFLEET_S3_REGION", REGION.to_owned()),
                ("AWS_SHARED_CREDENTIALS_FILE", keys.display().to_string()),
            ],
        }
    }

    /// Both kinds, one after the other.
    pub fn each(test: impl Fn(&Site)) {
        test(&Site::folder());
        test(&Site::s3());
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The binary, to be run on this store unless `--store` says another.
    pub fn command(&self) -> Command {
        let mut command = btfleet(self.path());
        command.env("BTFLEET_STORE", &self.store);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.command().args(args).output().unwrap()
    }

    /// Expects success; gives what was printed.
    pub fn succeed<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        let out = self.run(args);
        assert!(out.status.success(), "{}", text(&out.stderr));
        text(&out.stdout)
    }

    /// Expects exit code 1; gives what was said on stderr.
    pub fn fail<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        let out = self.run(args);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{}{said}", text(&out.stdout));
        said
    }

    pub fn json<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Value {
        serde_json::from_str(&self.succeed(args)).unwrap()
    }
}
