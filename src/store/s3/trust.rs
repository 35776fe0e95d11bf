//! Whom TLS trusts.

use super::S3Options;
use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::path::Path;

/// Which way requests go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// Through the proxy that `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name, if they name one.
    Proxied,
    /// Past any proxy: to what only this machine can ask, its instance metadata.
    Direct,
}

/// One client for all that go the same way: the system's certificate authorities (`SSL_CERT_FILE`, or where
/// distributions keep them) and those of `--s3-ca-file`. Plain HTTP goes through it as well.
pub(super) fn http_client(options: &S3Options, way: Way) -> Result<SharedHttpClient, String> {
    // An empty system store must not be asked for: the client takes that for a mistake.
    let system = rustls_native_certs::load_native_certs().certs;
    let usable = RootCertStore::empty().add_parsable_certificates(system).0;
    let mut trust = TrustStore::empty().with_native_roots(usable > 0);
    if let Some(path) = &options.ca_file {
        trust.add_pem_certificate(authorities(path)?);
    }
    let context = TlsContext::builder().with_trust_store(trust).build();
    let context = context.map_err(|e| format!("TLS cannot be set up: {e}"))?;
    let proxy = match way {
        Way::Proxied => ProxyConfig::from_env(),
        Way::Direct => ProxyConfig::disabled(),
    };
    let client = aws_smithy_http_client::Builder::new();
    Ok(client.build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder();
        connector.set_connector_settings(settings.cloned());
        connector.set_proxy_config(Some(proxy.clone()));
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        let connector = connector.tls_provider(Provider::Rustls(CryptoMode::Ring));
        connector.tls_context(context.clone()).build()
    }))
}

/// The file, if every certificate in it can be used: the client panics over others, and much later.
fn authorities(path: &Path) -> Result<Vec<u8>, String> {
    let named = |problem: &str| format!("--s3-ca-file {}: {problem}", path.display());
    let pem = fs::read(path).map_err(|e| named(&e.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate
            .map_err(|e| e.to_string())
            .and_then(|c| roots.add(c).map_err(|e| e.to_string()));
        added.map_err(|e| named(&format!("not a certificate: {e}")))?;
    }
    match roots.is_empty() {
        true => Err(named("there is no PEM certificate in it")),
        false => Ok(pem),
    }
}
