//! Looks at every request and answer as it passes: counts, the server's clock, answers that S3 never gives.
//! Takes away what requests need not carry.

use super::client::PATIENCE;
use crate::store::S3Counts;
use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::user_agent::UserAgentInterceptor;
use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextRef,
    BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef, InterceptorContext,
};
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_smithy_runtime_api::client::interceptors::disable_interceptor;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::client::retries::classifiers::RetryClassifierPriority;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

const USER_AGENT: &str = concat!("btfleet/", env!("CARGO_PKG_VERSION"));

/// Watches what a client sends and gets. Clones are one.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    counts: Arc<S3Counts>,
    /// Seconds that the server's clock is ahead; `i64::MIN` where it did not say.
    ahead: Arc<AtomicI64>,
    server: Arc<Mutex<Option<String>>>,
}

impl Watch {
    pub fn new(counts: Arc<S3Counts>) -> Watch {
        Watch {
            counts,
            ahead: Arc::new(AtomicI64::new(i64::MIN)),
            server: Arc::default(),
        }
    }

    /// How many seconds the server's clock is ahead of ours, as its last answer tells.
    pub fn clock_ahead(&self) -> Option<i64> {
        Some(self.ahead.load(Ordering::Relaxed)).filter(|s| *s != i64::MIN)
    }

    /// What the server calls itself.
    pub fn server(&self) -> Option<String> {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.clone()
    }
}

/// The answer is a web page. S3 gives no such thing, and our objects are none.
#[derive(Debug, thiserror::Error)]
#[error("a web page (HTML, status {status})")]
pub(super) struct WebPage {
    pub status: u16,
}

fn web_page(answer: &HttpResponse) -> Option<WebPage> {
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type")?;
    // From 500 on it is a proxy's excuse for a server that is away.
    (kind.starts_with("text/html") && status < 500 && status != 429).then_some(WebPage { status })
}

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "btfleet"
    }

    /// The SDK says on every request, in 400 bytes of headers, what it is made of. Of a node whose kernel is
    /// known that is a third of all that it sends.
    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        const WHY: &str = "bytes";
        let state = config.interceptor_state();
        state.store_put(disable_interceptor::<UserAgentInterceptor>(WHY));
        state.store_put(disable_interceptor::<InvocationIdInterceptor>(WHY));
        state.store_put(disable_interceptor::<RequestInfoInterceptor>(WHY));
        Ok(())
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        headers.insert("user-agent", USER_AGENT);
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let attempt = config.load::<RequestAttempts>();
        self.counts.count(attempt.is_some_and(|n| n.attempts() > 1));
        Ok(())
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        if let Some(date) = answer.headers().get("date")
            && let Ok(date) = DateTime::from_str(date, DateTimeFormat::HttpDate)
        {
            let now = DateTime::from(SystemTime::now()).secs();
            let ahead = date.secs().saturating_sub(now);
            self.ahead.store(ahead, Ordering::Relaxed);
        }
        let server = answer.headers().get("server").map(str::to_owned);
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
        web_page(answer).map_or(Ok(()), |page| Err(page.into()))
    }
}

/// Obeys `Retry-After` on 429 and 503: a short one is waited for, a long one is the caller's. And asks no
/// second time for a web page.
#[derive(Debug)]
pub(super) struct RetryAfter;

impl ClassifyRetry for RetryAfter {
    fn name(&self) -> &'static str {
        "Retry-After"
    }

    /// After all others: what the server says about it counts more.
    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }

    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(answer) = context.response() else {
            return RetryAction::NoActionIndicated;
        };
        if web_page(answer).is_some() {
            return RetryAction::RetryForbidden;
        }
        match (answer.status().as_u16(), retry_after(answer)) {
            (429 | 503, Some(wait)) if wait <= PATIENCE => {
                let kind = aws_smithy_types::retry::ErrorKind::ThrottlingError;
                RetryAction::retryable_error_with_explicit_delay(kind, wait)
            }
            (429 | 503, Some(_)) => RetryAction::RetryForbidden,
            (429, None) => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }
}

/// How long the server asks to be left alone, in seconds or until a date.
pub(super) fn retry_after(answer: &HttpResponse) -> Option<Duration> {
    let text = answer.headers().get("retry-after")?.trim();
    // A server out of its mind does not silence us for days.
    let limit = |seconds: u64| Duration::from_secs(seconds.min(3600));
    if let Ok(seconds) = text.parse() {
        return Some(limit(seconds));
    }
    let date = DateTime::from_str(text, DateTimeFormat::HttpDate).ok()?;
    let wait = date.secs() - DateTime::from(SystemTime::now()).secs();
    Some(limit(u64::try_from(wait).unwrap_or(0)))
}
