//! Watching a kind of objects, one object in memory at a time.
//!
//! kube-runtime's reflector keeps whole objects, and a second set of them while it lists anew. Here what
//! decodes an object keeps what it needs, and a new listing is told object by object, so that the
//! listener's own records can be marked and swept in place.

use super::client::{Answer, answer};
use crate::ops::Backoff;
use futures::StreamExt;
use kube::Client;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Request;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::pin::pin;

/// Objects a page, where the API server does not stream a listing: one page is all that is held.
const PAGE: u32 = 50;
/// How long one watch lasts before it is renewed from where it was, in seconds. Kubernetes allows 295.
const LASTS: u32 = 290;
/// The annotation of the bookmark that ends a streamed listing (KEP-3157).
const LISTED: &str = "k8s.io/initial-events-end";

/// An object that can be watched.
pub trait Watched: DeserializeOwned + Clone + Send + 'static {
    /// `metadata.resourceVersion`.
    fn resource_version(&self) -> &str;
}

/// What a watch tells, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<K> {
    /// Everything there is will be told anew, until [`Change::Listed`].
    Listing,
    /// It is there, and looks like this.
    Is(K),
    /// It is gone, and looked like this.
    Gone(K),
    /// Whatever was not told since [`Change::Listing`] is not there.
    Listed,
    /// The API server did not answer as it should; the watch goes on after a pause.
    Trouble(String),
}

/// Where a watch stands.
enum At {
    /// Nothing is known.
    Nowhere,
    /// Everything until this resource version was told.
    Version(String),
}

/// Watches all objects of a kind, such as `/api/v1/nodes`, for ever: drop it to end it. Its first word is
/// [`Change::Listing`]. A watch that was cut goes on where it was, or lists anew where the API server no
/// longer knows that far back.
pub async fn watch<K: Watched>(
    client: &Client,
    path: &str,
    pause: Backoff,
    tell: impl FnMut(Change<K>),
) {
    watch_some(client, path, None, pause, tell).await;
}

/// Likewise, but only objects with these labels (a selector as kubectl takes it): one that loses them is
/// told as gone.
pub async fn watch_some<K: Watched>(
    client: &Client,
    path: &str,
    labels: Option<&str>,
    mut pause: Backoff,
    mut tell: impl FnMut(Change<K>),
) {
    let request = Request::new(path);
    let params = WatchParams {
        label_selector: labels.map(str::to_owned),
        ..WatchParams::default().timeout(LASTS)
    };
    let list = ListParams {
        label_selector: labels.map(str::to_owned),
        ..ListParams::default()
    };
    let mut at = At::Nowhere;
    // Learned from its answer: API servers that do not stream listings say so.
    let mut streams = true;
    loop {
        let done = match (&at, streams) {
            (At::Version(version), _) => {
                let version = version.clone();
                events(client, &request, &params, &version, &mut at, &mut tell).await
            }
            (At::Nowhere, true) => {
                tell(Change::Listing);
                let params = params.clone().initial_events();
                events(client, &request, &params, "", &mut at, &mut tell).await
            }
            (At::Nowhere, false) => {
                tell(Change::Listing);
                pages(client, &request, list.clone(), &mut at, &mut tell).await
            }
        };
        let Err(e) = done else {
            pause.reset();
            continue;
        };
        match answer(&e) {
            // Not an error: what is known is too old to go on from.
            Answer::Expired => at = At::Nowhere,
            Answer::Invalid if streams && matches!(at, At::Nowhere) => {
                streams = false;
                continue;
            }
            _ => tell(Change::Trouble(e.to_string())),
        }
        tokio::time::sleep(pause.next()).await;
    }
}

/// One watch request, until the API server ends it.
async fn events<K: Watched>(
    client: &Client,
    request: &Request,
    params: &WatchParams,
    from: &str,
    at: &mut At,
    tell: &mut impl FnMut(Change<K>),
) -> kube::Result<()> {
    let http = request
        .watch(params, from)
        .map_err(kube::Error::BuildRequest)?;
    let mut events = pin!(client.request_events::<K>(http).await?);
    while let Some(event) = events.next().await {
        // Before a streamed listing has ended its versions are in no order: a cut means listing anew.
        let mut go_on_from = |version: &str| {
            if let At::Version(known) = at {
                version.clone_into(known);
            }
        };
        match event? {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                go_on_from(object.resource_version());
                tell(Change::Is(object));
            }
            WatchEvent::Deleted(object) => {
                go_on_from(object.resource_version());
                tell(Change::Gone(object));
            }
            WatchEvent::Bookmark(mark) => {
                go_on_from(&mark.metadata.resource_version);
                let ends = mark.metadata.annotations.get(LISTED);
                if ends.is_some_and(|v| v == "true") && matches!(at, At::Nowhere) {
                    *at = At::Version(mark.metadata.resource_version);
                    tell(Change::Listed);
                }
            }
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Page<K> {
    metadata: PageMeta,
    #[serde(default = "Vec::new")]
    items: Vec<K>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMeta {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    more: Option<String>,
}

/// A listing in pages.
async fn pages<K: Watched>(
    client: &Client,
    request: &Request,
    list: ListParams,
    at: &mut At,
    tell: &mut impl FnMut(Change<K>),
) -> kube::Result<()> {
    let version = each(client, request, list, |k| tell(Change::Is(k))).await?;
    *at = At::Version(version);
    tell(Change::Listed);
    Ok(())
}

/// Lists all objects of a kind as they are now (a quorum read, not a cache's), a page at a time. Gives the
/// version that the listing is of.
///
/// # Errors
/// The API server's; `each` may have been called for some objects then.
pub async fn each<K: DeserializeOwned>(
    client: &Client,
    request: &Request,
    params: ListParams,
    mut each: impl FnMut(K),
) -> kube::Result<String> {
    let mut params = params.limit(PAGE);
    loop {
        let http = request.list(&params).map_err(kube::Error::BuildRequest)?;
        let page: Page<K> = client.request(http).await?;
        page.items.into_iter().for_each(&mut each);
        match page.metadata.more.filter(|more| !more.is_empty()) {
            Some(more) => params.continue_token = Some(more),
            None => return Ok(page.metadata.resource_version),
        }
    }
}

impl Watched for super::Node {
    fn resource_version(&self) -> &str {
        &self.metadata.resource_version
    }
}

impl Watched for super::KernelHeader {
    fn resource_version(&self) -> &str {
        self.metadata
            .resource_version
            .as_deref()
            .unwrap_or_default()
    }
}
