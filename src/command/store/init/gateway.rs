//! versitygw, as its root user: its own calls for users, S3's for bucket and policy. Each call sends one request, once.

use super::keys::Keys;
use anyhow::{Context, Result, bail};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(20);
/// The longest answer: a list of users.
const LONGEST: usize = 1 << 20;

/// The server, asked as one user.
pub struct Gateway {
    endpoint: String,
    authority: String,
    region: String,
    keys: Keys,
}

/// What it said.
pub struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The code of an error as S3 writes it: `NoSuchBucket`.
    fn code(&self) -> &str {
        let rest = self.body.split("<Code>").nth(1).unwrap_or_default();
        rest.split("</Code>").next().unwrap_or_default()
    }

    pub fn problem(&self) -> String {
        let said: String = self.body.trim().chars().take(300).collect();
        match self.code() {
            "" => format!("status {} {said}", self.status),
            code => format!("status {}, {code}", self.status),
        }
    }

    fn ok(self) -> Result<Answer> {
        match self.is_ok() {
            true => Ok(self),
            false => bail!("{}", self.problem()),
        }
    }
}

impl Gateway {
    pub fn new(endpoint: &str, region: &str, keys: Keys) -> Result<Gateway> {
        let authority = endpoint
            .trim_end_matches('/')
            .strip_prefix("http://")
            .filter(|a| a.contains(':') && !a.contains('/'));
        let Some(authority) = authority else {
            bail!("--s3-endpoint {endpoint}: http://HOST:PORT is expected, the bundled store's");
        };
        Ok(Gateway {
            endpoint: endpoint.to_owned(),
            authority: authority.to_owned(),
            region: region.to_owned(),
            keys,
        })
    }

    /// The same server, asked as somebody else.
    pub fn as_user(&self, keys: Keys) -> Gateway {
        Gateway {
            endpoint: self.endpoint.clone(),
            authority: self.authority.clone(),
            region: self.region.clone(),
            keys,
        }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Makes a user, or gives one that is there these keys: whether it was made.
    pub async fn add_user(&self, user: &Keys) -> Result<bool> {
        let Keys { access, secret } = user;
        let account = format!(
            "<Account><Access>{access}</Access><Secret>{secret}</Secret><Role>user</Role></Account>"
        );
        let made = self.send("PATCH", "/create-user", &account).await?;
        if made.code() != "XAdminUserExists" {
            return made.ok().map(|_| true);
        }
        let props = format!("<MutableProps><Secret>{secret}</Secret></MutableProps>");
        let path = format!("/update-user?access={access}");
        self.send("PATCH", &path, &props).await?.ok().map(|_| false)
    }

    pub async fn users(&self) -> Result<String> {
        let listed = self.send("PATCH", "/list-users", "").await?.ok()?;
        Ok(listed.body)
    }

    pub async fn remove_user(&self, access: &str) -> Result<()> {
        let path = format!("/delete-user?access={access}");
        self.send("PATCH", &path, "").await?.ok().map(drop)
    }

    /// Whether it was made.
    pub async fn add_bucket(&self, bucket: &str) -> Result<bool> {
        let made = self.send("PUT", &format!("/{bucket}"), "").await?;
        match made.code() {
            "BucketAlreadyOwnedByYou" | "BucketAlreadyExists" => Ok(false),
            _ => made.ok().map(|_| true),
        }
    }

    pub async fn put_policy(&self, bucket: &str, policy: &Value) -> Result<()> {
        let path = format!("/{bucket}?policy=");
        self.send("PUT", &path, &policy.to_string())
            .await?
            .ok()
            .map(drop)
    }

    /// Tries to list.
    pub async fn list(&self, bucket: &str, prefix: &str) -> Result<()> {
        let path = format!("/{bucket}?list-type=2&max-keys=1&prefix={prefix}");
        self.send("GET", &path, "").await?.ok().map(drop)
    }

    /// Signs and sends a request.
    ///
    /// An `Err` is no answer at all.
    pub async fn send(&self, method: &str, path: &str, body: &str) -> Result<Answer> {
        let url = format!("http://{}{path}", self.authority);
        let mut request = http::Request::builder()
            .method(method)
            .uri(&url)
            .header("host", &self.authority)
            .header("content-length", body.len())
            .body(Full::new(bytes::Bytes::copy_from_slice(body.as_bytes())))?;
        let identity = Credentials::new(
            &self.keys.access,
            &self.keys.secret,
            None,
            None,
            "the Secret",
        );
        let identity = identity.into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()?
            .into();
        let host = [("host", self.authority.as_str())];
        let signable = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new(method, &url, host.into_iter(), signable)?;
        let (signed, _) = sign(signable, &params)?.into_parts();
        signed.apply_to_request_http1x(&mut request);
        // A server is sent the path alone; the host is in its header.
        *request.uri_mut() = path.parse()?;
        let answered = timeout(REQUEST, self.exchange(request)).await;
        answered.with_context(|| format!("no answer within {} s", REQUEST.as_secs()))?
    }

    async fn exchange(&self, request: http::Request<Full<bytes::Bytes>>) -> Result<Answer> {
        let socket = TcpStream::connect(&self.authority).await?;
        let connection = hyper::client::conn::http1::handshake(TokioIo::new(socket));
        let (mut sender, connection) = connection.await?;
        let exchange = async {
            let answer = sender.send_request(request).await?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), LONGEST).collect().await;
            let Ok(body) = body else {
                bail!("the answer was cut short, or is longer than {LONGEST} bytes");
            };
            let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            Ok(Answer { status, body })
        };
        // The connection lives as long as somebody drives it.
        tokio::select! {
            biased;
            answer = exchange => answer,
            ended = async { let ended = connection.await; std::future::pending::<()>().await; ended } => {
                bail!("the connection ended: {ended:?}")
            }
        }
    }
}
