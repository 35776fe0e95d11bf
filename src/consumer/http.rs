//! A client for `btfleet serve`: one request a connection, every size and every wait bounded.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the server may stay silent: it may have to read the store first.
const SILENCE: Duration = Duration::from_secs(60);

/// Where a server is.
#[derive(Clone)]
pub struct Address {
    url: String,
    host: String,
    port: u16,
    /// What comes before `/v1`.
    path: String,
    tls: Option<TlsConnector>,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.url).finish()
    }
}

/// A server's URL, or what it is to be trusted by, cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {problem}")]
pub struct AddressError {
    what: String,
    problem: String,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    /// The content coding is zstd.
    pub is_zstd: bool,
    pub body: Bytes,
}

impl Address {
    /// From `http://HOST[:PORT][/PATH]` or `https://…`. `ca_file` is a PEM file of authorities to trust beside
    /// the system's.
    ///
    /// # Errors
    /// Another scheme, no host, a file without certificates.
    pub fn new(url: &str, ca_file: Option<&Path>) -> Result<Address, AddressError> {
        let refuse = |problem: &str| AddressError {
            what: format!("server {url:?}"),
            problem: problem.to_owned(),
        };
        let uri: http::Uri = url.parse().map_err(|_| refuse("it is not a URL"))?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refuse("http://HOST:PORT or https://HOST:PORT is expected")),
        };
        if uri.query().is_some() || uri.authority().is_some_and(|a| a.as_str().contains('@')) {
            return Err(refuse("neither a query nor a password may be in it"));
        }
        let host = uri.host().filter(|h| !h.is_empty());
        let host = host.ok_or_else(|| refuse("it names no host"))?;
        Ok(Address {
            url: url.trim_end_matches('/').to_owned(),
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            path: uri.path().trim_end_matches('/').to_owned(),
            tls: match is_tls {
                true => Some(connector(ca_file)?),
                false => None,
            },
        })
    }

    /// The URL as it was given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks for a path, and takes a body of at most `limit` bytes, compressed if the server likes. The error
    /// says what happened on the way.
    pub(super) async fn get(&self, path: &str, limit: u64) -> Result<Answer, String> {
        let at = (self.host.as_str(), self.port);
        let socket = match timeout(CONNECT, TcpStream::connect(at)).await {
            Err(_) => return Err(format!("no connection within {} s", CONNECT.as_secs())),
            Ok(socket) => socket.map_err(|e| e.to_string())?,
        };
        match &self.tls {
            None => self.ask(socket, path, limit).await,
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone()).map_err(|e| e.to_string())?;
                let socket = match timeout(CONNECT, tls.connect(name, socket)).await {
                    Err(_) => return Err("the TLS handshake does not end".to_owned()),
                    Ok(socket) => socket.map_err(|e| format!("TLS: {e}"))?,
                };
                self.ask(socket, path, limit).await
            }
        }
    }

    async fn ask(
        &self,
        socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        path: &str,
        limit: u64,
    ) -> Result<Answer, String> {
        let client = hyper::client::conn::http1::Builder::new()
            .max_buf_size(64 << 10)
            .handshake(TokioIo::new(socket));
        let (mut send, connection) = client.await.map_err(|e| chain(&e))?;
        let host = match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        };
        let request = http::Request::get(format!("{}{path}", self.path))
            .header("host", host)
            .header("user-agent", concat!("btfleet/", env!("CARGO_PKG_VERSION")))
            .header("accept-encoding", "zstd")
            .body(Empty::<Bytes>::new())
            .map_err(|e| e.to_string())?;
        let answer = async {
            let silent = |_| format!("nothing for {} s", SILENCE.as_secs());
            let sent = timeout(SILENCE, send.send_request(request)).await;
            let answer = sent.map_err(silent)?.map_err(|e| chain(&e))?;
            let status = answer.status().as_u16();
            let coding = answer.headers().get("content-encoding");
            let is_zstd = coding.is_some_and(|value| value == "zstd");
            let mut stream = answer.into_body();
            let mut body = Vec::new();
            while let Some(frame) = timeout(SILENCE, stream.frame()).await.map_err(silent)? {
                let frame = frame.map_err(|e| chain(&e))?;
                let piece = frame.data_ref().map_or(&[][..], |data| data);
                if (body.len() + piece.len()) as u64 > limit {
                    return Err(format!("it sends more than {limit} bytes"));
                }
                body.extend_from_slice(piece);
            }
            let body = body.into();
            Ok(Answer {
                status,
                is_zstd,
                body,
            })
        };
        // The connection lives as long as somebody drives it, and no longer than the answer.
        tokio::select! {
            biased;
            answer = answer => answer,
            ended = async { let ended = connection.await; std::future::pending::<()>().await; ended } => {
                Err(format!("the connection ended: {ended:?}"))
            }
        }
    }
}

fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, AddressError> {
    let refuse = |what: String, problem: String| AddressError { what, problem };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let named = |problem: String| {
            refuse(
                format!("certificate authorities in {}", path.display()),
                problem,
            )
        };
        let pem = std::fs::read(path).map_err(|e| named(e.to_string()))?;
        let mut all = CertificateDer::pem_slice_iter(&pem).peekable();
        if all.peek().is_none() {
            return Err(named("there is no PEM certificate in it".to_owned()));
        }
        for certificate in all {
            let certificate = certificate.map_err(|e| named(e.to_string()))?;
            roots.add(certificate).map_err(|e| named(e.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| refuse("TLS".to_owned(), e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        text = format!("{text}: {e}");
        cause = e.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_url_of_a_server_and_nothing_else() {
        for (url, host, port, path) in [
            ("http://btfleet.btfleet", "btfleet.btfleet", 80, ""),
            ("http://127.0.0.1:8080/", "127.0.0.1", 8080, ""),
            ("http://[::1]:8080/a/b/", "::1", 8080, "/a/b"),
            ("https://h", "h", 443, ""),
        ] {
            let address = Address::new(url, None).unwrap();
            let got = (address.host.as_str(), address.port, address.path.as_str());
            assert_eq!(got, (host, port, path), "{url}");
            assert_eq!(address.tls.is_some(), url.starts_with("https"));
        }
        for url in [
            "btfleet:8080",
            "ftp://h",
            "http://",
            "http://h?x",
            "http://u:p@h",
            "http://h\n",
        ] {
            assert!(Address::new(url, None).is_err(), "{url:?}");
        }
    }
}
