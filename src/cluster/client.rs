//! The client of the API server.

use crate::artifact::Owner;
use kube::api::GetParams;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::{Client, Config};
use serde::de::DeserializeOwned;
use std::path::Path;
use std::time::Duration;

/// How long the API server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may stay silent. Watches are given bookmarks every minute, so they are not.
const READ: Duration = Duration::from_secs(90);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither a kubeconfig nor a pod's account is there.
    #[error(
        "no cluster is known here: {0}. Set KUBECONFIG or use --kubeconfig, or run in a pod with a service account"
    )]
    Config(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is there cannot be used.
    #[error("the cluster's settings cannot be used: {0}")]
    Client(#[from] kube::Error),
}

/// A client from `$KUBECONFIG`, `~/.kube/config`, or the pod's account.
///
/// # Errors
/// None of these is there, or what is there cannot be used.
pub async fn client() -> Result<Client, Error> {
    client_of(None, None).await
}

/// A client from a kubeconfig and a context of it; otherwise as [`client`] finds them.
///
/// # Errors
/// Nothing is there, or what is there cannot be used.
pub async fn client_of(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Client, Error> {
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| Error::Config(e);
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let mut config = match (kubeconfig, context) {
        (Some(path), _) => {
            let file = Kubeconfig::read_from(path).map_err(|e| failed(Box::new(e)))?;
            let config = Config::from_custom_kubeconfig(file, &options).await;
            config.map_err(|e| failed(Box::new(e)))?
        }
        (None, Some(_)) => {
            let config = Config::from_kubeconfig(&options).await;
            config.map_err(|e| failed(Box::new(e)))?
        }
        (None, None) => Config::infer().await.map_err(|e| failed(Box::new(e)))?,
    };
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(READ);
    config.reset_reader_on_write = true;
    // Whoever asks waits by itself: it knows for how long, says so, and can be told to end meanwhile.
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// What an API server said, so far as a caller decides by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 404.
    Absent,
    /// 409: somebody else was faster, or it is another object.
    Conflict,
    /// 410, or an expired resource version: list anew.
    Expired,
    /// 401 or 403.
    Forbidden,
    /// 422: it will be refused again.
    Invalid,
    /// Out of reach, overloaded, 5xx: worth trying again.
    Away,
    /// Anything else.
    Other,
}

impl Answer {
    fn of(code: u16) -> Answer {
        match code {
            404 => Answer::Absent,
            409 => Answer::Conflict,
            410 => Answer::Expired,
            401 | 403 => Answer::Forbidden,
            400 | 422 => Answer::Invalid,
            408 | 429 | 500..=599 => Answer::Away,
            _ => Answer::Other,
        }
    }
}

/// Sorts an error by what can be done about it.
pub fn answer(error: &kube::Error) -> Answer {
    match error {
        kube::Error::Api(status) => Answer::of(status.code),
        kube::Error::HyperError(_)
        | kube::Error::Service(_)
        | kube::Error::ReadEvents(_)
        | kube::Error::Auth(_) => Answer::Away,
        _ => Answer::Other,
    }
}

/// A request that brought nothing that can be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}: {problem}")]
pub struct Refusal {
    /// Method and path.
    pub what: String,
    /// What can be done about it.
    pub answer: Answer,
    /// The HTTP status; `None` if there was no answer.
    pub code: Option<u16>,
    /// How long the API server asks to be left alone.
    pub retry_after: Option<Duration>,
    /// What the API server, or the way to it, said.
    pub problem: String,
}

/// How long one request may take, from the connection to the answer's last byte.
const REQUEST: Duration = Duration::from_secs(30);
/// The longest that `Retry-After` is believed.
const LONGEST: Duration = Duration::from_secs(600);

/// Sends one request, once, and decodes the answer. Unlike kube's own calls it tells how long an API
/// server wants to be left alone.
///
/// # Errors
/// No answer came within 30 s, or none of 200 to 299, or not one of this type.
pub async fn ask<T: DeserializeOwned>(
    client: &Client,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<T, Refusal> {
    let request = request.map_err(|e| Refusal {
        what: "a request".to_owned(),
        answer: Answer::Invalid,
        code: None,
        retry_after: None,
        problem: e.to_string(),
    })?;
    let what = format!("{} {}", request.method(), request.uri().path());
    let refusal = |answer, problem: String| Refusal {
        what: what.clone(),
        answer,
        code: None,
        retry_after: None,
        problem,
    };
    let sent = async {
        let response = client.send(request.map(Body::from)).await?;
        let (head, body) = response.into_parts();
        Ok::<_, kube::Error>((head, body.collect_bytes().await?))
    };
    let (head, body) = match tokio::time::timeout(REQUEST, sent).await {
        Err(_) => {
            let problem = format!("no answer within {} s", REQUEST.as_secs());
            return Err(refusal(Answer::Away, problem));
        }
        Ok(Err(e)) => return Err(refusal(answer(&e), chain(&e))),
        Ok(Ok(got)) => got,
    };
    if head.status.is_success() {
        return serde_json::from_slice(&body).map_err(|e| {
            let problem = format!("the answer is not what was asked for: {e}");
            refusal(Answer::Other, problem)
        });
    }
    let after = head.headers.get("retry-after");
    let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
    Err(Refusal {
        code: Some(head.status.as_u16()),
        retry_after: after.map(|s| Duration::from_secs(s).min(LONGEST)),
        ..refusal(
            Answer::of(head.status.as_u16()),
            said(head.status.as_u16(), &body),
        )
    })
}

/// The cluster's id: the uid of the namespace kube-system. Sends one request; its answer goes through `counted`. What a
/// namespace without a uid comes to is the caller's to say: `uid` gives the uid of what was decoded.
///
/// # Errors
/// The API server's, or the uid cannot be a cluster's id.
pub async fn cluster_id<N: DeserializeOwned>(
    client: &Client,
    counted: impl FnOnce(Result<N, Refusal>) -> Result<N, Refusal>,
    uid: impl FnOnce(N) -> String,
) -> Result<Owner, Refusal> {
    let request = Request::new("/api/v1/namespaces").get("kube-system", &GetParams::default());
    let namespace = counted(ask(client, request).await)?;
    uid(namespace).parse().map_err(|e| Refusal {
        what: "GET /api/v1/namespaces/kube-system".to_owned(),
        answer: Answer::Other,
        code: None,
        retry_after: None,
        problem: format!("its uid cannot be used: {e}; give --cluster-id"),
    })
}

/// What an API server's answer says, in one line of bounded length.
fn said(code: u16, body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Status {
        message: String,
    }
    let text = match serde_json::from_slice::<Status>(body) {
        Ok(status) => status.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let text: String = text.trim().chars().take(500).collect();
    format!("{code} {}", text.replace(char::is_control, " "))
}

/// An error with its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let more = e.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = e.source();
    }
    text
}
