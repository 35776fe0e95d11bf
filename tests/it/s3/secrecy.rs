//! No secret in an error, in Debug output or in a log.

use super::{key, s3, wait, with};
use crate::support::servers::faulty_s3::{Answer, FaultyS3};
use btfleet::store::Store;
use bytes::Bytes;
use std::io;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

const SECRET: &str = "SecretSecretSecretSecretSecretSecretSecr";
const TOKEN: &str = "TokenTokenTokenTokenTokenTokenTokenToken";

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Log;

    fn make_writer(&self) -> Log {
        self.clone()
    }
}

#[test]
fn no_secret_is_in_an_error_in_debug_output_or_in_a_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let file = s3::keys_file("AKIAEXAMPLE", SECRET);
    let mut text = std::fs::read_to_string(&file).unwrap();
    text += &format!("aws_session_token = {TOKEN}\n");
    std::fs::write(&file, text).unwrap();
    let servers = [
        FaultyS3::start(|_| Answer::Good),
        FaultyS3::start(|_| Answer::error(403, "SignatureDoesNotMatch")),
        FaultyS3::start(|_| Answer::error(400, "ExpiredToken")),
        FaultyS3::start(|_| Answer::Raw(b"HTTP/1.1 nonsense".to_vec())),
    ];
    let mut said = String::new();
    tracing::subscriber::with_default(subscriber, || {
        for server in &servers {
            let mut options = s3::options(&server.url());
            options.credentials_file = Some(file.clone());
            options.attempts = 2;
            said += &format!("{options:?}");
            wait(async {
                let store = with(options).await;
                let k = key("a");
                let body = Bytes::from("one");
                let results = [
                    format!("{:?}", store.put(&k, body.clone()).await),
                    format!("{:?}", store.put_if_absent(&k, body).await),
                    format!("{:?}", store.head(&k).await),
                    match store.get(&k, 9).await {
                        Ok(got) => format!("{got:?}"),
                        Err(e) => format!("{e} {e:?}"),
                    },
                ];
                said += &results.concat();
                said += &format!("{store:?} {store:#?}");
            });
        }
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    // The log is the SDK's own, with all it has to tell.
    assert!(
        log.contains("TRACE") && log.len() > 100_000,
        "{}",
        log.len()
    );
    // The requests did carry them.
    let request = &servers[0].requests()[0];
    assert_eq!(request.header("x-amz-security-token"), Some(TOKEN));
    for (what, text) in [("said", &said), ("logged", &log)] {
        for secret in [SECRET, TOKEN] {
            let at = text.find(secret);
            let near = at.map(|at| &text[at.saturating_sub(300)..at]);
            assert_eq!(at, None, "{what}, after {near:?}");
        }
    }
}
