//! A way to an API server on which requests are counted and answers go wrong.

use crate::support::servers::api::Api;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes through.
    Through,
    /// It gets this status, and `Retry-After` where that is not 0.
    Status(u16, u64),
    /// It is never answered.
    Hang,
    /// It goes through, and is never answered.
    LostReply,
    /// It goes to a server in the cluster, as the API server's own proxy sends it on: what follows `/proxy`.
    ToServer(SocketAddr),
}

type Plan = Box<dyn FnMut(&str) -> Fate + Send>;

#[derive(Default)]
struct State {
    /// `PATCH /api/v1/nodes/a`, in order.
    asked: Vec<String>,
    plan: Option<Plan>,
}

pub struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    // Ends with it.
    _runtime: Runtime,
}

impl Proxy {
    /// Asks as somebody.
    pub fn new(who: Api) -> Proxy {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = state.clone();
        let app = Router::new().fallback(move |request: Request| {
            let (who, state) = (who.clone(), shared.clone());
            async move { answer(who, &state, request).await }
        });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, app).await });
        Proxy {
            address,
            state,
            _runtime: runtime,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on this happens to requests; they are counted from none again.
    pub fn plan(&self, plan: impl FnMut(&str) -> Fate + Send + 'static) {
        let mut state = self.state.lock().unwrap();
        state.asked.clear();
        state.plan = Some(Box::new(plan));
    }

    /// All go through again; they are counted from none.
    pub fn heal(&self) {
        *self.state.lock().unwrap() = State::default();
    }

    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }
}

async fn answer(who: Api, state: &Mutex<State>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let asked = format!("{} {}", head.method, head.uri.path());
    let fate = {
        let mut state = state.lock().unwrap();
        state.asked.push(asked.clone());
        state
            .plan
            .as_mut()
            .map_or(Fate::Through, |plan| plan(&asked))
    };
    match fate {
        Fate::Through | Fate::LostReply => {}
        Fate::Hang => std::future::pending().await,
        Fate::ToServer(address) => return to_server(address, head.uri.path()).await,
        Fate::Status(code, after) => {
            let status = StatusCode::from_u16(code).unwrap();
            let mut response = (status, format!("as the test says: {code}")).into_response();
            if after > 0 {
                let value = after.to_string().parse().unwrap();
                response.headers_mut().insert("retry-after", value);
            }
            return response;
        }
    }
    let body = to_bytes(body, 1 << 20).await.unwrap().to_vec();
    let kind = head.headers.get("content-type");
    let kind = kind
        .map_or("application/json", |v| v.to_str().unwrap())
        .to_owned();
    let path = head.uri.path_and_query().unwrap().to_string();
    let method = head.method.to_string();
    let sent = tokio::task::spawn_blocking(move || who.try_send(&method, &path, &kind, body));
    let sent = sent.await.unwrap();
    if fate == Fate::LostReply {
        std::future::pending::<()>().await;
    }
    match sent {
        Ok(answer) => Response::builder()
            .status(answer.status)
            .header("content-type", "application/json")
            .body(Body::from(answer.body.to_string()))
            .unwrap(),
        Err(e) => (StatusCode::BAD_GATEWAY, e.to_string()).into_response(),
    }
}

/// Sends a request on as the API server's proxy of Services does.
pub async fn to_server(address: SocketAddr, path: &str) -> Response {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (_, path) = path.split_once("/proxy").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    let end = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse::<u16>().unwrap();
    let body = Body::from(all.split_off(end + 4));
    Response::builder().status(status).body(body).unwrap()
}
