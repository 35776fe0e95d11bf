//! A small S3 server with faults: what it does with each request is the test's to say. It checks no signatures.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One request, as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What becomes of a request.
pub enum Answer {
    /// A status, headers and a body.
    Plain(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Bytes as they are, and the connection's end.
    Raw(Vec<u8>),
    /// These bytes, and then silence, while the client waits.
    Stall(Vec<u8>),
    /// As S3 would.
    Good,
}

impl Answer {
    /// An error as S3 writes it.
    pub fn error(status: u16, code: &str) -> Answer {
        let body = format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>about {code}</Message></Error>"
        );
        let kind = ("Content-Type", "application/xml".to_owned());
        Answer::Plain(status, vec![kind], body.into_bytes())
    }

    pub fn with(self, name: &'static str, value: &str) -> Answer {
        match self {
            Answer::Plain(status, mut headers, body) => {
                headers.push((name, value.to_owned()));
                Answer::Plain(status, headers, body)
            }
            other => other,
        }
    }
}

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

pub struct FaultyS3 {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    objects: Objects,
    stop: Arc<AtomicBool>,
}

impl FaultyS3 {
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let objects = Objects::default();
        let stop = Arc::new(AtomicBool::new(false));
        let answer = Arc::new(answer);
        let (log, stored, stopped) = (requests.clone(), objects.clone(), stop.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (log, stored, answer) = (log.clone(), stored.clone(), answer.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &log, &stored, &*answer));
            }
        });
        FaultyS3 {
            address,
            requests,
            objects,
            stop,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How many requests of a method there were.
    pub fn count(&self, method: &str) -> usize {
        self.requests()
            .iter()
            .filter(|r| r.method == method)
            .count()
    }

    /// The objects by path: `/BUCKET/KEY`.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.objects.lock().unwrap().clone()
    }
}

impl Drop for FaultyS3 {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It waits for a connection: here is one.
        let _ = TcpStream::connect(self.address);
    }
}

/// One connection: requests until either side ends it.
fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Request>>,
    objects: &Objects,
    answer: &(dyn Fn(&Request) -> Answer + Send + Sync),
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        log.lock().unwrap().push(request.clone());
        let answer = match answer(&request) {
            Answer::Good => good(&request, objects),
            other => other,
        };
        match answer {
            Answer::Plain(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} -\r\n");
                for (name, value) in &headers {
                    head += &format!("{name}: {value}\r\n");
                }
                if !headers.iter().any(|(name, _)| *name == "Content-Length") {
                    head += &format!("Content-Length: {}\r\n", body.len());
                }
                head += "\r\n";
                let body = if request.method == "HEAD" {
                    &[][..]
                } else {
                    &body
                };
                if stream.write_all(&[head.as_bytes(), body].concat()).is_err() {
                    return;
                }
            }
            Answer::Raw(bytes) => {
                let _ = stream.write_all(&bytes);
                return;
            }
            Answer::Stall(bytes) => {
                let _ = stream.write_all(&bytes);
                std::thread::sleep(Duration::from_secs(20));
                return;
            }
            Answer::Good => unreachable!("it was replaced above"),
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
            None => break,
        }
    }
    let length = headers
        .get("content-length")
        .map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        path,
        headers,
        body,
    })
}

/// S3's behaviour, as far as the tests need it: objects, and no conditions.
fn good(request: &Request, objects: &Objects) -> Answer {
    let mut objects = objects.lock().unwrap();
    let path = request.path.split('?').next().unwrap().to_owned();
    let plain = |status, body| Answer::Plain(status, Vec::new(), body);
    match request.method.as_str() {
        "PUT" => {
            objects.insert(path, request.body.clone());
            plain(200, Vec::new()).with("ETag", "\"x\"")
        }
        "DELETE" => {
            objects.remove(&path);
            plain(204, Vec::new())
        }
        "GET" | "HEAD" => match objects.get(&path) {
            Some(body) => plain(200, body.clone()),
            None => Answer::error(404, "NoSuchKey"),
        },
        other => panic!("{other}: not foreseen"),
    }
}
