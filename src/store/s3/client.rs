//! The SDK's client, set up: one HTTP client for S3 and for credentials, limits, retries.

use super::credentials::Credentials;
use super::place::Place;
use super::trust::Way;
use super::watch::{RetryAfter, Watch};
use super::{Error, S3Options, trust};
use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::region::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{IdentityCache, RequestChecksumCalculation, ResponseChecksumValidation};
use std::env;
use std::time::Duration;

/// What an S3 store needs to send requests.
pub(super) struct Connection {
    pub client: Client,
    pub credentials: Credentials,
    pub watch: Watch,
    /// The server's URL, if it is not AWS' own for the region.
    pub endpoint: Option<String>,
}

pub(super) async fn connect(place: &Place, options: &S3Options) -> Result<Connection, Error> {
    let refuse = |problem: String| {
        let place = place.text.clone();
        Error::Place { place, problem }
    };
    let http = trust::http_client(options, Way::Proxied).map_err(refuse)?;
    let direct = trust::http_client(options, Way::Direct).map_err(refuse)?;
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(options.connect_timeout)
        .read_timeout(options.read_timeout)
        .operation_attempt_timeout(options.read_timeout)
        .operation_timeout(options.call_timeout)
        .build();
    let retries = RetryConfig::standard().with_max_attempts(options.attempts.max(1));
    let credentials = Credentials::new(http.clone(), direct.clone(), options);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(retries)
        .credentials_provider(credentials.clone())
        .identity_cache(
            IdentityCache::lazy()
                .buffer_time(Credentials::margin(options))
                .build(),
        )
        // Bodies are read against time limits of our own.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // Many servers refuse the checksums that newer SDKs add. Ours are in the keys.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    let endpoint = match &options.endpoint {
        Some(endpoint) => {
            check_endpoint(endpoint).map_err(refuse)?;
            loader = loader.endpoint_url(endpoint);
            Some(endpoint.clone())
        }
        None => ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
            .iter()
            .find_map(|name| env::var(name).ok().filter(|url| !url.is_empty())),
    };
    let found = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new());
    let region = match (&options.region, &endpoint) {
        (Some(region), _) => RegionProviderChain::first_try(Region::new(region.clone())),
        // Servers other than AWS have some region or none; most take this one. Instance metadata is somewhere
        // to wait for where there is none.
        (None, Some(_)) => found.or_else(Region::new("us-east-1")),
        // The SDK would ask it too, but by way of the proxy.
        (None, None) => {
            let direct = ProviderConfig::without_region().with_http_client(direct);
            found.or_else(ImdsRegionProvider::builder().configure(&direct).build())
        }
    };
    loader = loader.region(region);
    let shared = loader.load().await;
    if shared.region().is_none() {
        return Err(refuse(
            "the bucket's region is not known; set --s3-region, AWS_REGION or a profile's region \
             (or --s3-endpoint, if the server is not AWS)"
                .into(),
        ));
    }
    credentials.set_region(shared.region().cloned());
    let watch = Watch::new(options.counts.clone());
    let path_style = options.path_style.unwrap_or(endpoint.is_some());
    let config = aws_sdk_s3::config::Builder::from(&shared)
        .force_path_style(path_style)
        .interceptor(watch.clone())
        .retry_classifier(RetryAfter)
        .build();
    Ok(Connection {
        client: Client::from_conf(config),
        credentials,
        watch,
        endpoint,
    })
}

/// The SDK would only say "failed to construct request".
fn check_endpoint(url: &str) -> Result<(), String> {
    let host = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-:[]/_".contains(&b);
    match host {
        Some(host) if !host.is_empty() && !host.starts_with('/') && host.bytes().all(plain) => {
            Ok(())
        }
        _ => Err(format!(
            "--s3-endpoint {url:?} is no URL of a server; write http://HOST:PORT or https://HOST"
        )),
    }
}

/// How long a server may ask to be left alone for us to wait for it within a call.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
