//! Keys, and what each role may do with them; pure.

use anyhow::{Result, bail};
use serde_json::{Value, json};

/// Who uses the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Agent,
    Controller,
    Server,
}

pub const ROLES: [Role; 3] = [Role::Agent, Role::Controller, Role::Server];

/// Users that begin so are ours to remove.
const OURS: &str = "btfleet-";

impl Role {
    pub fn word(self) -> &'static str {
        match self {
            Role::Agent => "agent",
            Role::Controller => "controller",
            Role::Server => "server",
        }
    }

    fn actions(self) -> &'static [&'static str] {
        match self {
            Role::Agent => &["s3:GetObject", "s3:PutObject"],
            Role::Controller => &["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            Role::Server => &["s3:GetObject"],
        }
    }
}

/// An access key and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub access: String,
    pub secret: String,
}

impl Keys {
    /// From 24 bytes of chance. The name says whose they are; its last digits make each generation's another, so that
    /// old keys end when new ones are set up.
    pub fn new(whose: &str, chance: [u8; 24]) -> Keys {
        let hex: String = chance.iter().map(|b| format!("{b:02x}")).collect();
        let (name, secret) = hex.split_at(8);
        Keys {
            access: format!("{OURS}{whose}-{name}"),
            secret: secret.to_owned(),
        }
    }

    /// As a file that AWS' tools read.
    pub fn to_file(&self) -> String {
        format!(
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            self.access, self.secret
        )
    }

    /// From such a file: its profile `default`, or its only one.
    pub fn from_file(text: &str) -> Option<Keys> {
        let value = |name: &str| {
            let mut found = text.lines().filter_map(|line| {
                let (key, value) = line.split_once('=')?;
                (key.trim() == name).then(|| value.trim().to_owned())
            });
            let first = found.next().filter(|value| !value.is_empty())?;
            found.next().is_none().then_some(first)
        };
        Some(Keys {
            access: value("aws_access_key_id")?,
            secret: value("aws_secret_access_key")?,
        })
    }
}

/// Bucket and prefix of `s3://BUCKET/PREFIX`.
pub fn place(store: &str) -> Result<(String, String)> {
    let rest = store.strip_prefix("s3://").map(|r| r.trim_matches('/'));
    match rest.and_then(|rest| rest.split_once('/')) {
        Some((bucket, prefix)) if !bucket.is_empty() && !prefix.is_empty() => {
            Ok((bucket.to_owned(), prefix.to_owned()))
        }
        _ => bail!("--store {store}: s3://BUCKET/PREFIX is expected"),
    }
}

/// The bucket's policy: each user the actions of its role below the prefix, and the list of it.
pub fn bucket_policy(bucket: &str, prefix: &str, people: &[(Role, Keys)]) -> Value {
    let allow = |user: &str, action: Value, resource: String| json!({"Effect": "Allow", "Principal": {"AWS": [user]}, "Action": action, "Resource": resource});
    let of = |(role, keys): &(Role, Keys)| {
        let objects = format!("arn:aws:s3:::{bucket}/{prefix}/*");
        let whole = format!("arn:aws:s3:::{bucket}");
        [
            allow(&keys.access, json!(role.actions()), objects),
            allow(&keys.access, json!(["s3:ListBucket"]), whole),
        ]
    };
    let statements: Vec<Value> = people.iter().flat_map(of).collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// The users that `store init` once made, of a list of users as the server gives it.
pub fn users_of_ours(list: &str) -> Vec<String> {
    let accounts = list.split("<Access>").skip(1);
    let names = accounts.filter_map(|rest| rest.split_once("</Access>"));
    let names = names.map(|(name, _)| name.to_owned());
    names
        .filter(|name| ROLES.iter().any(|role| is_of(*role, name)))
        .collect()
}

fn is_of(role: Role, name: &str) -> bool {
    let rest = name.strip_prefix(OURS);
    let rest = rest.and_then(|r| r.strip_prefix(role.word()));
    let digits = rest.and_then(|r| r.strip_prefix('-'));
    digits.is_some_and(|d| d.len() == 8 && d.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_the_file_that_holds_them() {
        let keys = Keys::new("agent", [0xab; 24]);
        assert_eq!(keys.access, "btfleet-agent-abababab");
        assert_eq!(keys.secret.len(), 40);
        let read = Keys::from_file(&keys.to_file()).unwrap();
        assert!(read == keys);
        for bad in [
            "",
            "[default]\naws_access_key_id = a\n",
            "aws_access_key_id=a\naws_secret_access_key=\n",
            // Whose of them?
            "[a]\naws_access_key_id=a\naws_secret_access_key=b\n[b]\naws_access_key_id=c\naws_secret_access_key=d\n",
        ] {
            assert!(Keys::from_file(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn only_users_that_were_made_here_are_ours_to_remove() {
        let list = "<R><Accounts><Access>btfleet-agent-00ff00ff</Access><Secret>x</Secret></Accounts>\
            <Accounts><Access>btfleet-root-00ff00ff</Access></Accounts>\
            <Accounts><Access>btfleet-agent-somebody</Access></Accounts>\
            <Accounts><Access>alice</Access></Accounts>\
            <Accounts><Access>btfleet-server-12345678</Access></Accounts></R>";
        let ours = ["btfleet-agent-00ff00ff", "btfleet-server-12345678"];
        assert_eq!(users_of_ours(list), ours);
    }

    #[test]
    fn a_store_that_is_set_up_has_a_bucket_and_a_prefix() {
        assert_eq!(
            place("s3://b/p/q/").unwrap(),
            ("b".to_owned(), "p/q".to_owned())
        );
        for bad in ["s3://b", "s3:///p", "file://x/y", "s3://b/"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
