//! Whom TLS trusts.

use super::S3Options;
use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::path::Path;

/// One client for all: the system's certificate authorities (`SSL_CERT_FILE`, or where distributions keep
/// them) and those of `--s3-ca-file`. Plain HTTP goes through it as well.
pub(super) fn http_client(options: &S3Options) -> Result<SharedHttpClient, String> {
    // An empty system store must not be asked for: the client takes that for a mistake.
    let system = rustls_native_certs::load_native_certs().certs;
    let usable = RootCertStore::empty().add_parsable_certificates(system).0;
    let mut trust = TrustStore::empty().with_native_roots(usable > 0);
    if let Some(path) = &options.ca_file {
        trust.add_pem_certificate(authorities(path)?);
    }
    let context = TlsContext::builder().with_trust_store(trust).build();
    let context = context.map_err(|e| format!("TLS cannot be set up: {e}"))?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build_https())
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
