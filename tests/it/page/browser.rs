//! Chromium, driven as W3C's WebDriver has it.

use crate::serve::bed::answer;
use crate::support::servers::port;
use crate::support::servers::process::Process;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// The name under which WebDriver hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
pub const ENTER: &str = "\u{e007}";
pub const TAB: &str = "\u{e004}";

/// A browser with one window.
pub struct Browser {
    address: SocketAddr,
    session: String,
    _driver: Process,
    _dir: tempfile::TempDir,
}

impl Browser {
    pub fn start() -> Browser {
        let dir = tempfile::tempdir().unwrap();
        let address = port::free();
        let args = [format!("--port={}", address.port())];
        let log = dir.path().join("driver.log");
        let driver = Process::new(Path::new("chromedriver"), args, log);
        let listens = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok();
        let started = driver.start(Duration::from_secs(60), listens);
        started.unwrap_or_else(|e| panic!("{e}"));
        let mut browser = Browser {
            address,
            session: String::new(),
            _driver: driver,
            _dir: dir,
        };
        let profile = browser._dir.path().join("profile");
        let session = browser.ask(
            "POST",
            "/session",
            &json!({"capabilities": {"alwaysMatch": {
                "goog:loggingPrefs": {"browser": "ALL"},
                "goog:chromeOptions": {"args": [
                    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                    "--window-size=1200,900", "--no-first-run", "--disable-background-networking",
                    "--disable-component-update", "--disable-sync",
                    format!("--user-data-dir={}", profile.display()),
                ]},
            }}}),
        );
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        browser
    }

    /// One request; gives what WebDriver calls the value.
    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, value) = self.try_ask(method, path, body);
        assert_eq!(status, 200, "{method} {path}: {value}");
        value
    }

    fn try_ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let limit = Some(Duration::from_secs(120));
        stream.set_read_timeout(limit).unwrap();
        let body = match method {
            "POST" => body.to_string(),
            _ => String::new(),
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let got = answer(&whole(&mut stream));
        (got.status, got.json()["value"].clone())
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}/{path}", self.session), body)
    }

    #[track_caller]
    fn read(&self, path: &str) -> Value {
        let path = format!("/session/{}/{path}", self.session);
        self.ask("GET", &path, &Value::Null)
    }

    /// Goes to a page and waits until it is there.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    pub fn url(&self) -> String {
        self.read("url").as_str().unwrap().to_owned()
    }

    pub fn title(&self) -> String {
        self.read("title").as_str().unwrap().to_owned()
    }

    /// The first element that a CSS selector finds.
    #[track_caller]
    fn find(&self, selector: &str) -> String {
        let by = json!({"using": "css selector", "value": selector});
        self.post("element", &by)[ELEMENT]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[track_caller]
    pub fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.post(&format!("element/{element}/click"), &json!({}));
    }

    /// Clicks on what leads to another page, and waits until that is there.
    #[track_caller]
    pub fn go(&self, selector: &str) {
        self.leave("css selector", selector);
    }

    /// Follows the link with this text, likewise.
    #[track_caller]
    pub fn follow(&self, text: &str) {
        self.leave("link text", text);
    }

    #[track_caller]
    fn leave(&self, using: &str, value: &str) {
        let page = self.find("html");
        let found = self.post("element", &json!({"using": using, "value": value}));
        let element = found[ELEMENT].as_str().unwrap();
        self.post(&format!("element/{element}/click"), &json!({}));
        let path = format!("/session/{}/element", self.session);
        let old = format!("{path}/{page}/name");
        let last = json!({"using": "css selector", "value": "footer"});
        let is_there = || {
            self.try_ask("GET", &old, &Value::Null).0 == 404
                && self.try_ask("POST", &path, &last).0 == 200
        };
        self.wait(&format!("another page behind {value:?}"), is_there);
    }

    /// Types into an element.
    #[track_caller]
    pub fn write(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.post(
            &format!("element/{element}/value"),
            &json!({ "text": text }),
        );
    }

    /// Presses keys, wherever the focus is.
    #[track_caller]
    pub fn press(&self, keys: &str) {
        let pressed: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})))
            .collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": pressed});
        self.post("actions", &json!({ "actions": [keyboard] }));
    }

    /// What is to be read in an element. If the page puts another in its place meanwhile, that is read.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        loop {
            let element = self.find(selector);
            let path = format!("/session/{}/element/{element}/text", self.session);
            match self.try_ask("GET", &path, &Value::Null) {
                (200, text) => return text.as_str().unwrap().to_owned(),
                (404, why) if why["error"] == "stale element reference" => {}
                (status, why) => panic!("{selector}: {status} {why}"),
            }
        }
    }

    /// Runs a script in the page; what it returns, promises awaited.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({"script": script, "args": []}))
    }

    /// Chromium's own protocol, for what WebDriver has no word for.
    #[track_caller]
    pub fn devtools(&self, command: &str, params: Value) -> Value {
        self.post(
            "goog/cdp/execute",
            &json!({"cmd": command, "params": params}),
        )
    }

    /// What the page complained of since this was asked last.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.post("se/log", &json!({"type": "browser"}));
        let lines = log.as_array().unwrap().iter();
        lines.map(|line| line["message"].to_string()).collect()
    }

    /// A picture of the page, as PNG.
    pub fn picture(&self) -> Vec<u8> {
        let picture = self.read("screenshot");
        STANDARD.decode(picture.as_str().unwrap()).unwrap()
    }

    #[track_caller]
    pub fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let began = Instant::now();
        while !done() {
            let body = || self.text("body");
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "never: {what}: {}",
                body()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// An answer: the driver does not close the connection behind it.
fn whole(stream: &mut TcpStream) -> Vec<u8> {
    let (mut all, mut piece) = (Vec::new(), [0; 16 << 10]);
    loop {
        let head = all.windows(4).position(|w| w == b"\r\n\r\n");
        let length = head.and_then(|end| {
            let head = String::from_utf8_lossy(&all[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|l| l.strip_prefix("content-length:"));
            Some(end + 4 + length?.trim().parse::<usize>().ok()?)
        });
        if length.is_some_and(|length| all.len() >= length) {
            return all;
        }
        match stream.read(&mut piece) {
            Ok(n) if n > 0 => all.extend_from_slice(&piece[..n]),
            ended => panic!("the driver hung up: {ended:?}"),
        }
    }
}

impl Drop for Browser {
    /// Killed with its driver alone, the browser would live on.
    fn drop(&mut self) {
        let (session, host) = (&self.session, self.address);
        let request = format!("DELETE /session/{session} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
            let _ = stream.write_all(request.as_bytes());
            // Answered when the browser is gone.
            let _ = stream.read(&mut [0; 4096]);
        }
    }
}
