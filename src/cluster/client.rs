//! The client of the API server.

use kube::{Client, Config};
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
    let mut config = Config::infer()
        .await
        .map_err(|e| Error::Config(Box::new(e)))?;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(READ);
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

/// Sorts an error by what can be done about it.
pub fn answer(error: &kube::Error) -> Answer {
    match error {
        kube::Error::Api(status) => match status.code {
            404 => Answer::Absent,
            409 => Answer::Conflict,
            410 => Answer::Expired,
            401 | 403 => Answer::Forbidden,
            400 | 422 => Answer::Invalid,
            408 | 429 | 500..=599 => Answer::Away,
            _ => Answer::Other,
        },
        kube::Error::HyperError(_)
        | kube::Error::Service(_)
        | kube::Error::ReadEvents(_)
        | kube::Error::Auth(_) => Answer::Away,
        _ => Answer::Other,
    }
}
