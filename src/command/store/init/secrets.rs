//! The Secrets that hold the keys: made if absent, never changed.

use super::keys::{Keys, Role};
use anyhow::{Context, Result, bail};
use btfleet::cluster::client::{Answer, ask};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{GetParams, PostParams};
use kube::core::Request;
use rustls::crypto::ring;
use serde_json::{Value, json};

/// What a Secret holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `accessKey` and `secretKey`, for the server itself.
    Root,
    /// `credentials`, a file for AWS' tools.
    Of(Role),
}

/// The Secret's keys, and whether it was made just now.
pub async fn ensure(
    client: &Client,
    namespace: &str,
    name: &str,
    kind: Kind,
) -> Result<(Keys, bool)> {
    if let Some(keys) = get(client, namespace, name, kind).await? {
        return Ok((keys, false));
    }
    let whose = match kind {
        Kind::Root => "root",
        Kind::Of(role) => role.word(),
    };
    let keys = Keys::new(whose, chance()?);
    let body = serde_json::to_vec(&object(name, kind, &keys))?;
    let request = secrets(namespace).create(&PostParams::default(), body);
    match ask::<Secret>(client, request).await {
        Ok(_) => Ok((keys, true)),
        // Somebody made it meanwhile.
        Err(e) if e.answer == Answer::Conflict => match get(client, namespace, name, kind).await? {
            Some(keys) => Ok((keys, false)),
            None => bail!("Secret {name}: it was there, and is not any more"),
        },
        Err(e) => Err(e).with_context(|| format!("Secret {name} is absent and cannot be made")),
    }
}

async fn get(client: &Client, namespace: &str, name: &str, kind: Kind) -> Result<Option<Keys>> {
    let request = secrets(namespace).get(name, &GetParams::default());
    match ask::<Secret>(client, request).await {
        Ok(secret) => read(&secret, kind)
            .with_context(|| format!("Secret {name} is there, and is not as it should be"))
            .map(Some),
        Err(e) if e.answer == Answer::Absent => Ok(None),
        Err(e) => Err(e).with_context(|| format!("Secret {name} cannot be read")),
    }
}

fn secrets(namespace: &str) -> Request {
    Request::new(format!("/api/v1/namespaces/{namespace}/secrets"))
}

/// 192 bits from the system.
fn chance() -> Result<[u8; 24]> {
    let mut bytes = [0; 24];
    let random = ring::default_provider().secure_random;
    match random.fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => bail!("the system gives no random numbers"),
    }
}

fn object(name: &str, kind: Kind, keys: &Keys) -> Value {
    let data = match kind {
        Kind::Root => json!({"accessKey": keys.access, "secretKey": keys.secret}),
        Kind::Of(_) => json!({"credentials": keys.to_file()}),
    };
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "btfleet"}},
        "stringData": data,
    })
}

fn read(secret: &Secret, kind: Kind) -> Result<Keys> {
    let value = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key));
        let bytes = bytes.with_context(|| format!("it has no key {key}"))?;
        let text = String::from_utf8(bytes.0.clone());
        text.with_context(|| format!("its {key} is not text"))
    };
    let keys = match kind {
        Kind::Root => Keys {
            access: value("accessKey")?.trim().to_owned(),
            secret: value("secretKey")?.trim().to_owned(),
        },
        Kind::Of(_) => Keys::from_file(&value("credentials")?).context(
            "its credentials are no AWS credentials file of one profile \
             (aws_access_key_id = …, aws_secret_access_key = …)",
        )?,
    };
    // They go into XML as they are, and no server takes others.
    let plain = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"<>&\"'".contains(&b))
    };
    match plain(&keys.access) && plain(&keys.secret) {
        true => Ok(keys),
        false => {
            bail!("a key in it is empty, or has characters other than letters, digits and +/=._-")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    /// As the API server stores what is sent as text.
    fn stored(data: &[(&str, &str)]) -> Secret {
        let pair = |(k, v): &(&str, &str)| ((*k).to_owned(), ByteString(v.as_bytes().to_vec()));
        Secret {
            data: Some(data.iter().map(pair).collect()),
            ..Secret::default()
        }
    }

    #[test]
    fn a_secret_that_cannot_be_used_is_refused_with_the_reason() {
        for (kind, data, reason) in [
            (Kind::Root, vec![("accessKey", "a")], "no key secretKey"),
            (
                Kind::Root,
                vec![("accessKey", "a"), ("secretKey", "")],
                "is empty",
            ),
            (
                Kind::Root,
                vec![("accessKey", "a"), ("secretKey", "</Secret>")],
                "other than",
            ),
            (Kind::Of(Role::Agent), vec![], "no key credentials"),
            (
                Kind::Of(Role::Agent),
                vec![("credentials", "a:b")],
                "no AWS credentials file",
            ),
        ] {
            let Err(e) = read(&stored(&data), kind) else {
                panic!("{data:?}");
            };
            assert!(e.to_string().contains(reason), "{e}");
        }
        let good = stored(&[("accessKey", "a"), ("secretKey", "b\n")]);
        assert!(read(&good, Kind::Root).is_ok());
    }
}
