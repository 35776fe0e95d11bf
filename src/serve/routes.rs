//! The routes: from a question to bytes that were checked, or to a problem that is said.

use super::blob::{Blobs, Coding, What};
use super::browse;
use super::catalog::Catalog;
use super::check::{self, Checks, MAX_OBJECT, SENDING};
use super::fleet::Fleet;
use super::list::{Known, Lists, Shown};
use super::metrics::Metrics;
use super::openapi;
use super::respond::{json, plain, send};
use super::types::Types;
use crate::artifact::{Arch, BtfDigest, Generator, KernelId, Release};
use crate::cluster::node::may_be_written;
use crate::consumer::wire::{Kind, NodeKernel, Problem};
use axum::Router;
use axum::body::Body;
use axum::body::HttpBody as _;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::http::HeaderMap;
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::time::Instant;

/// The most types that one header is narrowed to.
pub(super) const MAX_TYPES: usize = 64;
/// The longest name of a type: the kernel allows 511 bytes, and uses a tenth of that.
pub(super) const MAX_TYPE_NAME: usize = 128;

/// What a route has at hand.
#[derive(Debug)]
pub(super) struct App {
    pub fleet: Option<Arc<Fleet>>,
    pub known: Known,
    pub types: Types,
    pub checks: Checks,
    pub blobs: Arc<Blobs>,
    pub catalog: Catalog,
    pub lists: Lists,
    pub metrics: Metrics,
}

pub(super) type Shared = State<Arc<App>>;
pub(super) type Name = Result<Path<String>, PathRejection>;

/// All routes but health's.
pub(super) fn routes(app: Arc<App>) -> Router {
    let node = "/v1/nodes/{node}";
    let kernel = "/v1/kernels/{kernel}";
    Router::new()
        .merge(browse::routes())
        .route("/openapi.json", get(description))
        .route(&format!("{node}/manifest"), get(node_manifest))
        .route(&format!("{node}/vmlinux.h"), get(node_header))
        .route(&format!("{node}/vmlinux.btf"), get(node_btf))
        .route("/v1/kernels", get(kernels))
        .route(
            "/v1/check",
            post(check_object).fallback(async || {
                let problem = Problem::new(Kind::Method, "an object is sent here by POST");
                ([(header::ALLOW, "POST")], problem)
            }),
        )
        .route(&format!("{kernel}/manifest"), get(kernel_manifest))
        .route(&format!("{kernel}/vmlinux.h"), get(kernel_header))
        .route(&format!("{kernel}/vmlinux.btf"), get(kernel_btf))
        .fallback(async || Problem::new(Kind::NoRoute, "see /openapi.json for what there is"))
        .method_not_allowed_fallback(async || {
            let problem = Problem::new(Kind::Method, "only GET and HEAD are known here");
            ([(header::ALLOW, "GET, HEAD")], problem)
        })
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(app.clone(), measured))
        .with_state(app)
}

/// Counts what was asked and answered.
async fn measured(State(app): Shared, request: Request, next: Next) -> Response {
    let (began, route) = (Instant::now(), label(request.uri().path()));
    let response = next.run(request).await;
    let body = response.body().size_hint().exact().unwrap_or(0);
    let code = response.status().as_u16();
    app.metrics.answered(route, code, began.elapsed(), body);
    response
}

/// A route's name: no name of a node or a kernel is in a metric.
fn label(path: &str) -> &'static str {
    let mut parts = path.split('/').skip(1);
    let first = [parts.next(), parts.next()];
    let leaf = parts.nth(1);
    match (first, leaf) {
        ([Some(""), None], _) => "/",
        ([Some("assets"), Some(_)], None) => "/assets",
        ([Some("nodes"), None], _) => "/nodes",
        ([Some("kernels"), None], _) => "/kernels",
        ([Some("kernels"), Some(_)], None) => "/kernels/{kernel}",
        ([Some("kernels"), Some(_)], Some(_)) => "/kernels/{kernel}/types",
        ([Some("types"), _], _) => "/types",
        ([Some("openapi.json"), None], _) => "/openapi.json",
        ([Some("v1"), Some("check")], None) => "/v1/check",
        ([Some("check"), None], _) => "/check",
        ([Some("v1"), Some("kernels")], None) => "/v1/kernels",
        ([Some("v1"), Some("kernels")], Some("vmlinux.h")) => "/v1/kernels/{kernel}/vmlinux.h",
        ([Some("v1"), Some("kernels")], Some("vmlinux.btf")) => "/v1/kernels/{kernel}/vmlinux.btf",
        ([Some("v1"), Some("kernels")], Some("manifest")) => "/v1/kernels/{kernel}/manifest",
        ([Some("v1"), Some("nodes")], Some("vmlinux.h")) => "/v1/nodes/{node}/vmlinux.h",
        ([Some("v1"), Some("nodes")], Some("vmlinux.btf")) => "/v1/nodes/{node}/vmlinux.btf",
        ([Some("v1"), Some("nodes")], Some("manifest")) => "/v1/nodes/{node}/manifest",
        _ => "other",
    }
}

async fn description() -> Response {
    json("application/json", &openapi::document())
}

// Nodes.

impl App {
    /// A list for everybody who asks at this time.
    pub(super) async fn list(&self, shown: Shown) -> Result<Bytes, Problem> {
        let listed = match &shown {
            Shown::Kernels(Some(arch), Some(release)) => self.catalog.named(arch, release).await,
            _ => self.catalog.all().await,
        };
        self.lists.get(shown, listed, self.known.clone()).await
    }

    fn node(&self, name: Name) -> Result<NodeKernel, Problem> {
        let name = segment(name)?;
        match &self.fleet {
            Some(fleet) => fleet.kernel(&name),
            None => Err(Problem::new(
                Kind::NoCluster,
                "this server reads a store alone and knows no nodes: ask for /v1/kernels",
            )),
        }
    }
}

pub(super) fn segment(name: Name) -> Result<String, Problem> {
    name.map(|Path(name)| name)
        .map_err(|e| Problem::new(Kind::Question, e.body_text()))
}

async fn node_manifest(State(app): Shared, name: Name) -> Result<Response, Problem> {
    Ok(json("application/json", &app.node(name)?))
}

async fn node_header(
    State(app): Shared,
    name: Name,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let node = app.node(name)?;
    let types = types(query.as_deref())?;
    // Only our own generator's header can be made here.
    let own = (node.generator == Generator::OWN).then_some(node.btf_digest);
    let what = match types.is_empty() {
        true => What::Header(node.header_digest),
        false => What::Minimal(node.btf_digest, types),
    };
    send(&app, &what, own, &headers, REVALIDATE).await
}

async fn node_btf(State(app): Shared, name: Name, headers: HeaderMap) -> Result<Response, Problem> {
    let what = What::Btf(app.node(name)?.btf_digest);
    send(&app, &what, None, &headers, REVALIDATE).await
}

// Kernels.

async fn kernels(State(app): Shared, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let (mut arch, mut release): (Option<Arch>, Option<Release>) = (None, None);
    let question = |e: &dyn std::fmt::Display| Problem::new(Kind::Question, e.to_string());
    for (name, value) in pairs(query.as_deref()) {
        match name.as_str() {
            "arch" => arch = Some(value.parse().map_err(|e| question(&e))?),
            "release" if may_be_written(&value) && !value.starts_with('.') => {
                release = Some(value.parse().map_err(|e| question(&e))?);
            }
            "release" => return Err(question(&"no kernel prints such a release")),
            _ => return Err(question(&"only arch and release may be asked for")),
        }
    }
    let json = app.list(Shown::Kernels(arch, release)).await?;
    Ok(plain("application/json", "no-cache", json))
}

impl App {
    /// The kernel that a path names.
    pub(super) async fn kernel(&self, name: Name) -> Result<BtfDigest, Problem> {
        let name = segment(name)?;
        if let Ok(btf) = name.parse::<BtfDigest>() {
            return Ok(btf);
        }
        let Ok(id) = name.parse::<KernelId>() else {
            return Err(Problem::new(
                Kind::Question,
                "a kernel is named by sha256: and the 64 digits of its BTF's digest, or by its id, the first 32 of them",
            ));
        };
        let mut found = self
            .fleet
            .as_ref()
            .map_or_else(BTreeSet::new, |f| f.of_id(&id));
        if found.is_empty() {
            found = self.catalog.of_id(&id).await?;
        }
        let mut all = found.iter();
        match (all.next(), all.next()) {
            (Some(btf), None) => Ok(*btf),
            (None, _) => Err(unknown(&id)),
            (Some(_), Some(_)) => Err(Problem::new(
                Kind::AmbiguousKernel,
                format!(
                    "{} kernels begin with {id}: name one by its whole digest",
                    found.len()
                ),
            )),
        }
    }
}

fn unknown(name: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        Kind::UnknownKernel,
        format!("there is no kernel {name} here"),
    )
}

/// Of a kernel that only a path names, what is missing was perhaps never there.
pub(super) fn never(btf: &BtfDigest, problem: Problem) -> Problem {
    match problem.kind == Kind::Missing.to_string() {
        true => unknown(btf),
        false => problem,
    }
}

async fn kernel_manifest(State(app): Shared, name: Name) -> Result<Response, Problem> {
    let btf = app.kernel(name).await?;
    let made = app
        .blobs
        .get(&What::Made(btf), Coding::Identity, None)
        .await;
    let made = made.map_err(|e| never(&btf, (*e).clone()))?;
    Ok(json("application/json", &made.manifest))
}

async fn kernel_header(
    State(app): Shared,
    name: Name,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let types = types(query.as_deref())?;
    let btf = app.kernel(name).await?;
    // What a store's manifest says of a header is anybody's word: it is made of the BTF.
    let what = match types.is_empty() {
        true => What::Made(btf),
        false => What::Minimal(btf, types),
    };
    let sent = send(&app, &what, None, &headers, REVALIDATE).await;
    sent.map_err(|e| never(&btf, e))
}

async fn kernel_btf(
    State(app): Shared,
    name: Name,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let btf = app.kernel(name).await?;
    let sent = send(&app, &What::Btf(btf), None, &headers, REVALIDATE).await;
    sent.map_err(|e| never(&btf, e))
}

/// An object, held against the kernels that are known here: the answer is that of `btfleet check -o json`.
async fn check_object(
    State(app): Shared,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let (mut selected, mut name) = (Vec::new(), "object".to_owned());
    for (key, value) in pairs(query.as_deref()) {
        match key.as_str() {
            "program" => selected.push(value),
            "name" => name = value,
            _ => {
                let why = "only program and name may be asked for";
                return Err(Problem::new(Kind::Question, why));
            }
        }
    }
    let sent = tokio::time::timeout(SENDING, axum::body::to_bytes(body, MAX_OBJECT)).await;
    let object = match sent {
        Ok(Ok(object)) => object,
        Ok(Err(_)) => return Err(check::too_large()),
        Err(_) => return Err(check::late()),
    };
    let kernels = app.seen().await.kernels;
    let report = app.checks.check(object, &name, selected, kernels).await?;
    Ok(json("application/json", &report))
}

// What both have.

/// Another boot, another generator, another answer.
const REVALIDATE: &str = "no-cache";

pub(super) fn pairs(query: Option<&str>) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned()
}

/// The types that a header is narrowed to: sorted, each once.
fn types(query: Option<&str>) -> Result<Vec<String>, Problem> {
    let question = |why: String| Err(Problem::new(Kind::Question, why));
    let mut types = BTreeSet::new();
    for (name, value) in pairs(query) {
        if name != "type" {
            return question("only type may be asked for".to_owned());
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "_ ".contains(c);
        if value.is_empty() || value.len() > MAX_TYPE_NAME || !value.chars().all(plain) {
            return question(format!(
                "a type's name has 1 to {MAX_TYPE_NAME} letters, digits and underscores, perhaps struct, union or enum before it"
            ));
        }
        types.insert(value);
        if types.len() > MAX_TYPES {
            return question(format!(
                "at most {MAX_TYPES} types may be asked for at once"
            ));
        }
    }
    Ok(types.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_names_routes_and_never_what_a_client_sends() {
        for (path, want) in [
            ("/", "/"),
            ("/openapi.json", "/openapi.json"),
            ("/v1/kernels", "/v1/kernels"),
            ("/v1/kernels/x/vmlinux.h", "/v1/kernels/{kernel}/vmlinux.h"),
            ("/v1/nodes/x/manifest", "/v1/nodes/{node}/manifest"),
            ("/v1/nodes/x/other", "other"),
            ("/x/y/z", "other"),
            ("//", "other"),
        ] {
            assert_eq!(label(path), want, "{path}");
        }
    }

    #[test]
    fn types_are_a_set_of_few_and_plain_names() {
        let got = types(Some("type=b&type=struct+a&type=b")).unwrap();
        assert_eq!(got, ["b", "struct a"]);
        assert!(types(None).unwrap().is_empty());
        let many: Vec<String> = (0..=MAX_TYPES).map(|n| format!("type=t{n}")).collect();
        for query in ["type=", "types=a", "type=a%00", "type=a;b", &many.join("&")] {
            assert!(types(Some(query)).is_err(), "{query}");
        }
        assert!(types(Some(&format!("type={}", "x".repeat(MAX_TYPE_NAME + 1)))).is_err());
    }
}
