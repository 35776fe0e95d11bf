//! What the SDK says, as one line that names the cause and the setting to change.

use super::place::Place;
use super::watch::{self, WebPage};
use crate::store::Error;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use std::error::Error as StdError;
use std::io;
use std::time::Duration;

/// What was tried, for messages.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub place: &'a Place,
    pub endpoint: Option<&'a str>,
    /// `read`, `look at`, `write`, `remove`, `list`
    pub verb: &'static str,
    /// Below the place; empty for the whole of it.
    pub key: &'a str,
}

/// What is known of a failure, whatever the call was.
pub(super) struct Failure<'a> {
    pub status: Option<u16>,
    pub code: &'a str,
}

pub(super) fn failure<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Failure<'_> {
    let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
    Failure {
        status: error.raw_response().map(|r| r.status().as_u16()),
        code: meta.and_then(|m| m.code()).unwrap_or_default(),
    }
}

impl Attempt<'_> {
    fn what(&self) -> String {
        match self.key {
            "" => format!("{} {}", self.verb, self.place.text),
            key => format!("{} {}/{key}", self.verb, self.place.text),
        }
    }

    fn server(&self) -> String {
        match self.endpoint {
            Some(endpoint) => endpoint.to_owned(),
            None => "AWS".into(),
        }
    }

    /// Worth another try later.
    pub fn away(&self, problem: impl Into<String>, retry_after: Option<Duration>) -> Error {
        Error::Away {
            what: self.what(),
            problem: problem.into(),
            retry_after,
        }
    }

    /// Not worth it before something changes.
    pub fn refused(&self, problem: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Refused {
            what: self.what(),
            problem: problem.into(),
            hint: hint.into(),
        }
    }

    /// An error of ours from the SDK's.
    pub fn failed<E>(&self, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        if let Some(found) = self.before_the_server(error) {
            return found;
        }
        match error {
            SdkError::ServiceError(context) => {
                let meta = context.err().meta();
                self.answered(context.raw(), meta.code(), meta.message())
            }
            SdkError::ResponseError(context) => self.answered(context.raw(), None, None),
            SdkError::TimeoutError(_) => self.too_slow(),
            other => self.away(
                format!(
                    "the connection to {} broke ({}); is it the right --s3-endpoint, and https:// where the \
                     server wants TLS?",
                    self.server(),
                    deepest(other)
                ),
                None,
            ),
        }
    }

    pub fn too_slow(&self) -> Error {
        let server = self.server();
        self.away(
            format!(
                "{server} did not answer in time; is it the right --s3-endpoint, and can it be reached from here?"
            ),
            None,
        )
    }

    /// Credentials, names, connections, TLS: what fails before S3 could say anything.
    fn before_the_server(&self, error: &(dyn StdError + 'static)) -> Option<Error> {
        let server = self.server();
        for cause in causes(error) {
            if let Some(page) = cause.downcast_ref::<WebPage>() {
                return Some(self.refused(
                    format!("{server} answers with {page}, as no S3 server does"),
                    "Set --s3-endpoint to the server's S3 API: another port or host than its web page has.",
                ));
            }
            if let Some(e) = cause.downcast_ref::<CredentialsError>() {
                return Some(self.no_credentials(e));
            }
            if let Some(e) = cause.downcast_ref::<rustls::Error>() {
                return Some(self.tls(e));
            }
            if cause.to_string().starts_with("dns error") {
                return Some(self.away(
                    format!(
                        "the name of {server} cannot be resolved ({}); see --s3-endpoint, and \
                         --s3-path-style where only the server itself has a name, or the cluster's DNS",
                        deepest(cause)
                    ),
                    None,
                ));
            }
            let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
            if io == Some(io::ErrorKind::ConnectionRefused) {
                return Some(self.away(
                    format!(
                        "{server} refuses connections; is it running, and is --s3-endpoint right?"
                    ),
                    None,
                ));
            }
        }
        None
    }

    fn no_credentials(&self, error: &CredentialsError) -> Error {
        let hint = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_SHARED_CREDENTIALS_FILE and \
                    AWS_PROFILE, or give the service account a role (IRSA, EKS Pod Identity).";
        match error {
            CredentialsError::CredentialsNotLoaded(_) => {
                self.refused("there are no credentials", hint)
            }
            CredentialsError::InvalidConfiguration(_) => self.refused(
                format!(
                    "the credentials' configuration is wrong: {}",
                    deepest(error)
                ),
                hint,
            ),
            _ => self.away(
                format!("credentials could not be had: {}", deepest(error)),
                None,
            ),
        }
    }

    fn tls(&self, error: &rustls::Error) -> Error {
        use rustls::CertificateError as Bad;
        let server = self.server();
        let hint = match error {
            rustls::Error::InvalidCertificate(bad) => match bad {
                Bad::UnknownIssuer => {
                    "Its certificate authority is not trusted here: give it with --s3-ca-file (or SSL_CERT_FILE)."
                }
                Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                    "The certificate is for another name: set --s3-endpoint to that name, or --s3-path-style if \
                     it only lacks the bucket's."
                }
                Bad::Expired
                | Bad::ExpiredContext { .. }
                | Bad::NotValidYet
                | Bad::NotValidYetContext { .. } => {
                    "Renew the server's certificate; or is this machine's clock wrong?"
                }
                _ => "The server's certificate cannot be used; see --s3-ca-file.",
            },
            rustls::Error::InvalidMessage(_) => {
                "That is no TLS: is --s3-endpoint's server one of http://?"
            }
            _ => "See --s3-endpoint and --s3-ca-file.",
        };
        self.refused(format!("TLS with {server} failed: {error}"), hint)
    }

    /// What an answer means: S3's code where there is one (a HEAD has none), its status otherwise.
    fn answered(&self, answer: &HttpResponse, code: Option<&str>, message: Option<&str>) -> Error {
        let status = answer.status().as_u16();
        let server = self.server();
        let bucket = &self.place.bucket;
        let said = said(status, code, message);
        let problem = format!("{server} says {said}");
        let after = watch::retry_after(answer);
        let region = answer.headers().get("x-amz-bucket-region");
        match (code.unwrap_or_default(), status) {
            ("NoSuchBucket", _) => self.refused(
                format!("there is no bucket {bucket} ({said})"),
                "Create it, or change the name in --store s3://BUCKET, or --s3-endpoint if it lies elsewhere.",
            ),
            // The second is s3s', the third versitygw's.
            ("InvalidAccessKeyId" | "NotSignedUp" | "XAdminUserNotFound", _) => self.refused(
                problem,
                "The access key is not known there: change AWS_ACCESS_KEY_ID or the profile, or --s3-endpoint.",
            ),
            ("SignatureDoesNotMatch", _) => self.refused(
                problem,
                "The secret key does not belong to the access key: change AWS_SECRET_ACCESS_KEY or the profile.",
            ),
            ("ExpiredToken" | "TokenRefreshRequired", _) => self.refused(
                problem,
                "The credentials have run out: renew the session token.",
            ),
            ("RequestTimeTooSkewed" | "RequestExpired", _) => self.refused(
                problem,
                "This machine's clock and the server's differ too much: set this machine's (NTP).",
            ),
            ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _)
            | (_, 301 | 307) => self.refused(
                problem,
                match region {
                    Some(region) => format!("The bucket is in another region: --s3-region {region}."),
                    None => "The bucket is in another region, or behind another endpoint: set --s3-region or \
                             --s3-endpoint."
                        .to_owned(),
                },
            ),
            ("SlowDown" | "ServiceUnavailable" | "Throttling" | "ThrottlingException" | "RequestLimitExceeded"
            | "TooManyRequests" | "InternalError" | "RequestTimeout" | "OperationAborted", _)
            | (_, 429 | 408 | 500 | 502..=599) => self.away(problem, after),
            (_, 401 | 403) => Error::Denied {
                what: self.what(),
                problem,
                hint: self.permission(),
            },
            (_, 200..=299) => self.refused(
                format!("{server} gives an answer that is not S3's (status {status})"),
                "Is --s3-endpoint an S3 API?",
            ),
            ("", 400) => self.refused(
                problem,
                "Is --s3-endpoint an S3 API, and https:// where the server wants TLS?",
            ),
            (_, 501) => self.refused(problem, "The server does not know this request of S3's."),
            _ => self.refused(problem, "See --s3-endpoint, --s3-region and --s3-path-style."),
        }
    }

    fn permission(&self) -> String {
        let needed = match self.verb {
            "look at" | "read" => {
                return "The credentials lack s3:GetObject; or the object is absent and they lack s3:ListBucket on \
                        the bucket, without which S3 answers 403 for what is not there."
                    .into();
            }
            "list" => "s3:ListBucket on the bucket",
            "remove" => "s3:DeleteObject",
            _ => {
                "s3:PutObject (and the key's kms:GenerateDataKey where the bucket is encrypted with KMS)"
            }
        };
        format!("The credentials lack {needed}; `btfleet store doctor` tries each permission.")
    }
}

/// Status, code and message, short and on one line.
fn said(status: u16, code: Option<&str>, message: Option<&str>) -> String {
    let mut text = status.to_string();
    for part in [code, message].into_iter().flatten() {
        text.push(' ');
        text.push_str(part);
    }
    short(&text)
}

/// An error and all its causes; inside an `io::Error` too, whose `source` skips what it wraps.
pub(super) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match inner {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
    .take(32)
}

/// The last of the causes, which says the most.
pub(super) fn deepest(error: &(dyn StdError + 'static)) -> String {
    short(
        &causes(error)
            .last()
            .map(ToString::to_string)
            .unwrap_or_default(),
    )
}

fn short(text: &str) -> String {
    const LONGEST: usize = 200;
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &one_line[..at]),
        None => one_line.trim_end_matches('.').to_owned(),
    }
}
