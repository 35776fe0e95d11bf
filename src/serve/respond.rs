//! How an answer is sent: JSON, a problem, or a blob as HTTP has it.

use super::answer::{self, Accepts, Range};
use super::blob::{Blob, Coding, What};
use super::routes::App;
use crate::artifact::BtfDigest;
use crate::consumer::wire::{Kind, Problem};
use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status);
        let mut response = json("application/problem+json", &self);
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let after = Kind::of(&self.kind).and_then(Kind::retry_after);
        if let Some(seconds) = after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

pub(super) fn json(kind: &'static str, value: &impl serde::Serialize) -> Response {
    // Strings, numbers and lists of them: nothing that JSON cannot express.
    let mut text = serde_json::to_vec_pretty(value).expect("an answer is always JSON");
    text.push(b'\n');
    plain(kind, "no-cache", text.into())
}

pub(super) fn plain(kind: &'static str, cache: &'static str, bytes: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, cache),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, Body::from(bytes)).into_response()
}

/// Sends a blob as HTTP has it: the coding that the client likes best, a range of it, or the word that it has
/// it already.
pub(super) async fn send(
    app: &App,
    what: &What,
    btf: Option<BtfDigest>,
    headers: &HeaderMap,
    cache: &'static str,
) -> Result<Response, Problem> {
    let get = async |coding| {
        let got = app.blobs.get(what, coding, btf).await;
        got.map_err(|e| (*e).clone())
    };
    // Who has it already is told so without a look at the store, where its digest is known.
    let digest = match what {
        What::Btf(digest) => *digest.as_bytes(),
        What::Header(digest) => *digest.as_bytes(),
        What::Made(_) | What::Minimal(..) => get(Coding::Identity).await?.identity,
    };
    let accepts = Accepts::of(headers);
    let Some(mut coding) = accepts.best() else {
        let why = "identity, gzip and zstd are what there is";
        return Err(Problem::new(Kind::Coding, why));
    };
    if accepts.identity() && answer::has_range(headers) {
        let plain = answer::etag(&digest, Coding::Identity);
        let meant = answer::names(headers, header::IF_RANGE, &plain, false);
        if meant.unwrap_or(true) {
            coding = Coding::Identity;
        }
    }
    let tag = answer::etag(&digest, coding);
    if answer::names(headers, header::IF_MATCH, &tag, false) == Some(false) {
        return Err(Problem::new(
            Kind::Precondition,
            format!("its ETag is {tag}"),
        ));
    }
    if answer::names(headers, header::IF_NONE_MATCH, &tag, true) == Some(true) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        describe(&mut response, &tag, &digest, cache);
        return Ok(response);
    }
    let blob = get(coding).await?;
    let mut response = body(what, &blob, coding, headers, &tag)?;
    describe(&mut response, &tag, &digest, cache);
    let sent = format!("sha-256=:{}:", STANDARD.encode(blob.sent));
    set(&mut response, HeaderName::from_static("repr-digest"), sent);
    Ok(response)
}

/// The whole, or the range that was asked for.
fn body(
    what: &What,
    blob: &Blob,
    coding: Coding,
    headers: &HeaderMap,
    tag: &str,
) -> Result<Response, Problem> {
    let len = blob.bytes.len();
    let range = match coding {
        Coding::Identity => answer::range(headers, tag, len),
        _ => Range::Whole,
    };
    let (status, bytes) = match range {
        Range::Whole => (StatusCode::OK, blob.bytes.clone()),
        Range::Part(from, to) => (StatusCode::PARTIAL_CONTENT, blob.bytes.slice(from..to)),
        Range::Outside => {
            let mut response =
                Problem::new(Kind::Range, format!("there are {len} bytes")).into_response();
            set(
                &mut response,
                header::CONTENT_RANGE,
                format!("bytes */{len}"),
            );
            return Ok(response);
        }
    };
    let mut response = (status, Body::from(bytes)).into_response();
    if let Range::Part(from, to) = range {
        let part = format!("bytes {from}-{}/{len}", to.saturating_sub(1));
        set(&mut response, header::CONTENT_RANGE, part);
    }
    let kind = match what {
        What::Btf(_) => "application/octet-stream",
        _ => "text/x-c; charset=utf-8",
    };
    set(&mut response, header::CONTENT_TYPE, kind.to_owned());
    set(
        &mut response,
        header::X_CONTENT_TYPE_OPTIONS,
        "nosniff".to_owned(),
    );
    match coding.word() {
        Some(word) => set(&mut response, header::CONTENT_ENCODING, word.to_owned()),
        None => set(&mut response, header::ACCEPT_RANGES, "bytes".to_owned()),
    }
    Ok(response)
}

/// What is said of a blob, sent or not.
fn describe(response: &mut Response, tag: &str, digest: &[u8; 32], cache: &'static str) {
    let identity = answer::etag(digest, Coding::Identity).replace('"', "");
    // A problem is not the blob, and must not be kept in its place.
    if response.status() != StatusCode::RANGE_NOT_SATISFIABLE {
        set(response, header::ETAG, tag.to_owned());
        set(response, header::CACHE_CONTROL, cache.to_owned());
    }
    set(response, header::VARY, "Accept-Encoding".to_owned());
    set(
        response,
        HeaderName::from_static("btfleet-digest"),
        identity,
    );
}

fn set(response: &mut Response, name: HeaderName, value: String) {
    // Digits, letters and punctuation of our own.
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}
