//! The pages' routes.

use super::blob::{Coding, What};
use super::check::{MAX_OBJECT, SENDING, late, too_large};
use super::list::{Seen, Shown};
use super::page::model::{KernelRow, NodeRow};
use super::page::table::Query;
use super::page::{self, Across, Browse, Detail, ICON, Kernel, POLICY, SCRIPT, STYLE};
use super::respond::plain;
use super::routes::{App, Name, Shared, never, pairs};
use super::types::Found;
use crate::artifact::BtfDigest;
use crate::cluster::State as NodeState;
use crate::consumer::wire::{Kind, Problem};
use crate::relo::diff::Class;
use axum::Router;
use axum::extract::multipart::MultipartRejection;
use axum::extract::rejection::PathRejection;
use axum::extract::{Multipart, Path, RawQuery, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most nodes that a kernel's page names.
const NODES: usize = 10;
/// The most kernels that a page offers for comparing, and that a type is looked for in.
const KERNELS: usize = 500;

/// All of them.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(home))
        .route("/nodes", get(nodes))
        .route("/kernels", get(kernels))
        .route("/kernels/{kernel}", get(kernel))
        .route("/kernels/{kernel}/types", get(types_of))
        .route("/kernels/{kernel}/types/{class}/{name}", get(type_of))
        .route("/types", get(types))
        .route("/check", get(check).post(checked))
        .route("/types/{class}/{name}", get(everywhere))
        .route("/assets/style.css", get(style))
        .route("/assets/script.js", get(script))
        .route("/assets/icon.svg", get(icon))
}

async fn style(headers: HeaderMap) -> Response {
    asset("text/css; charset=utf-8", STYLE, &headers)
}

async fn script(headers: HeaderMap) -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT, &headers)
}

async fn icon(headers: HeaderMap) -> Response {
    asset("image/svg+xml", ICON, &headers)
}

/// A file of ours: it changes with the version alone.
fn asset(kind: &'static str, text: &'static str, headers: &HeaderMap) -> Response {
    let tag = concat!("\"", env!("CARGO_PKG_VERSION"), "\"");
    let mut response = match super::answer::names(headers, header::IF_NONE_MATCH, tag, true) {
        Some(true) => StatusCode::NOT_MODIFIED.into_response(),
        _ => plain(kind, "no-cache", Bytes::from_static(text.as_bytes())),
    };
    let tag = HeaderValue::from_static(tag);
    response.headers_mut().insert(header::ETAG, tag);
    response
}

fn html(text: Bytes) -> Response {
    let mut response = plain("text/html; charset=utf-8", "no-cache", text);
    let headers = response.headers_mut();
    let policy = HeaderValue::from_static(POLICY);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    let nobody = HeaderValue::from_static("no-referrer");
    headers.insert(header::REFERRER_POLICY, nobody);
    response
}

/// A page, or its problem as a page. `up` leads to the root.
fn answered(up: &str, page: Result<String, Problem>) -> Response {
    let problem = match page {
        Ok(page) => return html(page.into()),
        Err(problem) => problem,
    };
    let mut response = html(page::problem(up, &problem).into());
    let status = StatusCode::from_u16(problem.status);
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

async fn list(app: &App, shown: Shown) -> Response {
    match app.list(shown).await {
        Ok(page) => html(page),
        Err(problem) => answered("", Err(problem)),
    }
}

async fn home(State(app): Shared) -> Response {
    list(&app, Shown::Overview).await
}

async fn nodes(State(app): Shared, RawQuery(query): RawQuery) -> Response {
    let query = Query::parse(query.as_deref(), &NodeRow::COLUMNS);
    list(&app, Shown::NodeTable(query)).await
}

async fn kernels(State(app): Shared, RawQuery(query): RawQuery) -> Response {
    let query = Query::parse(query.as_deref(), &KernelRow::COLUMNS);
    list(&app, Shown::KernelTable(query)).await
}

impl App {
    pub(super) async fn seen(&self) -> Seen {
        let (known, listed) = (self.known.clone(), self.catalog.all().await);
        // Thousands of nodes, and nobody should wait for the thread.
        let seen = tokio::task::spawn_blocking(move || known.seen(listed)).await;
        seen.expect("putting together what is known does not panic")
    }
}

/// What people call a kernel.
fn called(row: &KernelRow) -> Kernel {
    let id = row.id.to_string();
    let name = row.names.iter().next().unwrap_or(&id).clone();
    Kernel { id, name }
}

fn called_all(rows: &[KernelRow]) -> Vec<Kernel> {
    rows.iter().take(KERNELS).map(called).collect()
}

/// A kernel by its digest; one that only a path names has no more than that.
fn of(rows: &[KernelRow], btf: BtfDigest) -> KernelRow {
    let known = rows.iter().find(|row| row.btf == btf).cloned();
    known.unwrap_or_else(|| KernelRow {
        id: btf.kernel_id(),
        btf,
        names: Default::default(),
        nodes: None,
        said: None,
    })
}

async fn kernel(State(app): Shared, name: Name) -> Response {
    answered("../", kernel_page(&app, name).await)
}

async fn kernel_page(app: &App, name: Name) -> Result<String, Problem> {
    let btf = app.kernel(name).await?;
    let seen = app.seen().await;
    let mut troubles = seen.troubles;
    let made = What::Made(btf);
    let manifest = match app.blobs.get(&made, Coding::Identity, None).await {
        Ok(blob) => blob.manifest.clone(),
        Err(problem) if seen.kernels.iter().any(|row| row.btf == btf) => {
            troubles.push(problem.detail.clone());
            None
        }
        Err(problem) => return Err(never(&btf, (*problem).clone())),
    };
    let runs = |state: &NodeState| matches!(state, NodeState::Ready { btf: b, .. } if *b == btf);
    let nodes = seen.nodes.unwrap_or_default();
    let nodes = nodes.into_iter().filter(|(_, r)| runs(&r.state));
    let others = called_all(&seen.kernels).into_iter();
    let others = others.filter(|k| k.id != btf.kernel_id().to_string());
    Ok(page::kernel(&Detail {
        row: of(&seen.kernels, btf),
        manifest,
        nodes: nodes.take(NODES).map(|(name, _)| name).collect(),
        others: others.map(|k| (k.id, k.name)).collect(),
        troubles,
    }))
}

async fn check(State(app): Shared) -> Response {
    let seen = app.seen().await;
    html(page::check(seen.kernels.len(), &seen.troubles, None).into())
}

/// A form with an object file.
async fn checked(State(app): Shared, form: Result<Multipart, MultipartRejection>) -> Response {
    let seen = app.seen().await;
    let (known, troubles) = (seen.kernels.len(), seen.troubles);
    let answer = async {
        let sent = tokio::time::timeout(SENDING, object(form)).await;
        let (name, object) = sent.map_err(|_| late())??;
        let report = app
            .checks
            .check(object, &name, Vec::new(), seen.kernels)
            .await?;
        Ok::<_, Problem>((name, report))
    };
    match answer.await {
        Ok((name, report)) => {
            let found = Some((name.as_str(), Ok(&report)));
            html(page::check(known, &troubles, found).into())
        }
        Err(problem) => {
            let found = Some(("It was not checked", Err(&problem)));
            let mut response = html(page::check(known, &troubles, found).into());
            let status = StatusCode::from_u16(problem.status);
            *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            response
        }
    }
}

/// The file of a form, and its name.
async fn object(form: Result<Multipart, MultipartRejection>) -> Result<(String, Bytes), Problem> {
    let wrong = |e: &dyn std::fmt::Display| Problem::new(Kind::Question, e.to_string());
    let mut form = form.map_err(|e| wrong(&e.body_text()))?;
    while let Some(mut field) = form.next_field().await.map_err(|e| wrong(&e.body_text()))? {
        if field.name() != Some("object") {
            continue;
        }
        let name = field
            .file_name()
            .unwrap_or("object")
            .chars()
            .take(255)
            .collect();
        let mut object = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(|e| wrong(&e.body_text()))? {
            if object.len() + chunk.len() > MAX_OBJECT {
                return Err(too_large());
            }
            object.extend_from_slice(&chunk);
        }
        return Ok((name, object.into()));
    }
    Err(wrong(&"the form has no file"))
}

/// What is asked of the type browser.
#[derive(Debug, Default)]
struct Ask {
    q: String,
    kernel: Option<String>,
    with: Option<String>,
}

impl Ask {
    fn parse(query: Option<&str>) -> Ask {
        let mut ask = Ask::default();
        for (name, value) in pairs(query) {
            let value: String = value.trim().chars().take(200).collect();
            match name.as_str() {
                "q" => ask.q = value,
                "kernel" => ask.kernel = Some(value).filter(|v| !v.is_empty()),
                "with" => ask.with = Some(value).filter(|v| !v.is_empty()),
                _ => {}
            }
        }
        ask
    }

    /// The class that stands before the name, if one does, and the name.
    fn wanted(&self) -> (Option<Class>, &str) {
        let (class, name) = Class::split(&self.q);
        (class, name.trim())
    }
}

async fn types(State(app): Shared, RawQuery(query): RawQuery) -> Response {
    let ask = Ask::parse(query.as_deref());
    let name = ask.kernel.clone();
    answered(
        "",
        found_page(&app, "", name.map(|k| Ok(Path(k))), &ask).await,
    )
}

async fn types_of(State(app): Shared, name: Name, RawQuery(query): RawQuery) -> Response {
    let ask = Ask::parse(query.as_deref());
    // A type to compare is asked for by its whole name.
    if let ((Some(class), name), Some(with)) = (ask.wanted(), &ask.with) {
        let (name, with) = (page::segment(name), page::segment(with));
        return Redirect::to(&format!("types/{class}/{name}?with={with}")).into_response();
    }
    answered("../../", found_page(&app, "../../", Some(name), &ask).await)
}

async fn found_page(app: &App, up: &str, name: Option<Name>, ask: &Ask) -> Result<String, Problem> {
    let seen = app.seen().await;
    let all = called_all(&seen.kernels);
    let btf = match (name, seen.kernels.first()) {
        (Some(name), _) => app.kernel(name).await?,
        (None, Some(first)) => first.btf,
        (None, None) => {
            let none = Found::default();
            return Ok(page::found(
                up,
                &all,
                None,
                &ask.q,
                None,
                &none,
                &seen.troubles,
            ));
        }
    };
    let kernel = called(&of(&seen.kernels, btf));
    let (class, name) = ask.wanted();
    let mut found = app.types.search(btf, name).await?;
    if let Some(class) = class {
        found.types.retain(|ty| ty.class == class);
        found.all = found.types.len();
    }
    let with = ask.with.as_deref();
    Ok(page::found(
        up,
        &all,
        Some(&kernel),
        &ask.q,
        with,
        &found,
        &seen.troubles,
    ))
}

type Place = Result<Path<(String, String, String)>, PathRejection>;

async fn type_of(State(app): Shared, place: Place, RawQuery(query): RawQuery) -> Response {
    let ask = Ask::parse(query.as_deref());
    answered("../../../../", type_page(&app, place, &ask).await)
}

async fn type_page(app: &App, place: Place, ask: &Ask) -> Result<String, Problem> {
    let Path((kernel, class, name)) =
        place.map_err(|e| Problem::new(Kind::Question, e.body_text()))?;
    let class = class_of(&class)?;
    let btf = app.kernel(Ok(Path(kernel))).await?;
    let seen = app.seen().await;
    let with = match &ask.with {
        None => None,
        Some(other) => {
            let other = app.kernel(Ok(Path(other.clone()))).await?;
            let shown = app.types.show(other, class, &name).await?;
            Some((called(&of(&seen.kernels, other)), shown))
        }
    };
    let shown = app.types.show(btf, class, &name).await?;
    if shown.is_none() && with.is_none() {
        let detail = format!("kernel {} has no {class} {name:?}", btf.kernel_id());
        return Err(Problem::new(Kind::UnknownType, detail));
    }
    let kernel = called(&of(&seen.kernels, btf));
    let others = called_all(&seen.kernels).into_iter();
    Ok(page::browse(&Browse {
        others: others.filter(|k| k.id != kernel.id).collect(),
        kernel,
        class,
        name,
        shown,
        with,
    }))
}

async fn everywhere(
    State(app): Shared,
    place: Result<Path<(String, String)>, PathRejection>,
) -> Response {
    let page = async {
        let Path((class, name)) = place.map_err(|e| Problem::new(Kind::Question, e.body_text()))?;
        across_page(&app, class_of(&class)?, name).await
    };
    answered("../../", page.await)
}

async fn across_page(app: &App, class: Class, name: String) -> Result<String, Problem> {
    let seen = app.seen().await;
    let rows: BTreeMap<BtfDigest, &KernelRow> = seen
        .kernels
        .iter()
        .take(KERNELS)
        .map(|row| (row.btf, row))
        .collect();
    let all: Vec<BtfDigest> = rows.keys().copied().collect();
    let (found, failed) = app.types.across(&all, class, &name).await;
    let sum = |kernels: &[BtfDigest]| {
        let counts = kernels
            .iter()
            .filter_map(|k| rows.get(k))
            .map(|row| row.nodes);
        counts.sum::<Option<usize>>()
    };
    let names = |kernels: &[BtfDigest]| {
        let mut rows: Vec<&&KernelRow> = kernels.iter().filter_map(|k| rows.get(k)).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.nodes));
        rows.into_iter().map(|row| called(row)).collect::<Vec<_>>()
    };
    let mut versions = Vec::new();
    let mut without = (Vec::new(), None);
    for (version, kernels) in &found {
        let of = (names(kernels), sum(kernels));
        match version {
            Some(_) => versions.push(of),
            None => without = of,
        }
    }
    versions.sort_by_key(|(kernels, nodes)| std::cmp::Reverse((*nodes, kernels.len())));
    let failed = failed
        .into_iter()
        .filter_map(|(kernel, problem)| Some((called(rows.get(&kernel)?), problem.detail)));
    Ok(page::across(&Across {
        class,
        name,
        versions,
        without,
        failed: failed.collect(),
    }))
}

fn class_of(word: &str) -> Result<Class, Problem> {
    let all = [
        Class::Struct,
        Class::Union,
        Class::Enum,
        Class::Typedef,
        Class::Kfunc,
    ];
    let found = all.into_iter().find(|class| class.to_string() == word);
    found.ok_or_else(|| {
        Problem::new(
            Kind::NoRoute,
            format!("{word:?} is none of struct, union, enum, typedef, kfunc"),
        )
    })
}
