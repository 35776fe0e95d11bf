//! TLS from files, which are read again when they change: cert-manager and kubelets replace them.

use super::metrics::Metrics;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Where certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate and those that lead to an authority: PEM.
    pub cert: PathBuf,
    /// Its private key: PEM.
    pub key: PathBuf,
}

/// They cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("TLS from {path:?}: {problem}")]
pub struct TlsError {
    path: PathBuf,
    problem: String,
}

/// The files' bytes.
type Bytes = (Vec<u8>, Vec<u8>);

impl Files {
    fn read(&self) -> Result<Bytes, TlsError> {
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|e| TlsError {
                path: path.clone(),
                problem: e.to_string(),
            })
        };
        Ok((read(&self.cert)?, read(&self.key)?))
    }

    fn config(&self, (cert, key): &Bytes) -> Result<Arc<ServerConfig>, TlsError> {
        let failed = |path: &PathBuf, problem: String| TlsError {
            path: path.clone(),
            problem,
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert).collect();
        let chain = chain.map_err(|e| failed(&self.cert, e.to_string()))?;
        if chain.is_empty() {
            let none = "there is no PEM certificate in it".to_owned();
            return Err(failed(&self.cert, none));
        }
        let key = PrivateKeyDer::from_pem_slice(key);
        let key = key.map_err(|e| failed(&self.key, e.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(&self.cert, e.to_string()))?
            .with_no_client_auth()
            // It also sees whether the two belong together.
            .with_single_cert(chain, key)
            .map_err(|e| failed(&self.cert, e.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// What they say now, and a task that goes on looking this often and takes what has changed. Files that
    /// cannot be used are said and left: connections go on with what was there before.
    ///
    /// # Errors
    /// They cannot be used now.
    pub fn load(
        self,
        every: Duration,
        metrics: Metrics,
    ) -> Result<(watch::Receiver<Arc<ServerConfig>>, impl Future<Output = ()>), TlsError> {
        let mut known = self.read()?;
        let (tell, told) = watch::channel(self.config(&known)?);
        let look = async move {
            loop {
                tokio::time::sleep(every).await;
                let now = match self.read() {
                    Ok(now) if now == known => continue,
                    now => now,
                };
                let taken = now.and_then(|now| {
                    let config = self.config(&now);
                    // Said once, however long it stays so.
                    known = now;
                    config
                });
                metrics.tls_reload(taken.is_ok());
                match taken {
                    Ok(config) => {
                        tracing::info!("a new certificate was taken");
                        tell.send_replace(config);
                    }
                    Err(e) => tracing::warn!(error = %e, "the certificate stays as it was"),
                }
            }
        };
        Ok((told, look))
    }
}
