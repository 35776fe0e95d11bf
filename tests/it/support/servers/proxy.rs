//! A way to an API server on which requests are counted, answers go wrong and watches are cut.

use super::api::{Api, runtime};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes through.
    Through,
    /// It gets this status, and `Retry-After` where that is not 0.
    Status(u16, u64),
    /// It is never answered.
    Hang,
    /// It goes through, and its answer ends in the middle.
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
    cut: watch::Sender<()>,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// Asks as somebody.
    pub fn new(who: &Api) -> Proxy {
        let state: Arc<Mutex<State>> = Arc::default();
        let (cut, _) = watch::channel(());
        let (shared, client, cutter) = (state.clone(), who.client(), cut.clone());
        let app = Router::new().fallback(move |request: Request| {
            let (client, state, cut) = (client.clone(), shared.clone(), cutter.subscribe());
            async move { answer(client, &state, cut, request).await }
        });
        let listener = runtime()
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let serving = runtime().spawn(async move { axum::serve(listener, app).await.unwrap() });
        Proxy {
            address,
            state,
            cut,
            serving,
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

    /// Every answer that is under way ends in the middle.
    pub fn cut(&self) {
        self.cut.send_replace(());
    }

    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    client: kube::Client,
    state: &Mutex<State>,
    mut cut: watch::Receiver<()>,
    request: Request,
) -> Response {
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
    let mut sent = axum::http::Request::builder()
        .method(head.method)
        .uri(head.uri.path_and_query().unwrap().to_string());
    for name in ["content-type", "accept"] {
        if let Some(value) = head.headers.get(name) {
            sent = sent.header(name, value);
        }
    }
    let sent = sent.body(kube::client::Body::from(body)).unwrap();
    let answer = match client.send(sent).await {
        Ok(answer) => answer,
        Err(e) => return (StatusCode::BAD_GATEWAY, e.to_string()).into_response(),
    };
    let (head, body) = answer.into_parts();
    if fate == Fate::LostReply {
        let broken =
            futures::stream::once(async { Err::<Vec<u8>, _>(std::io::Error::other("cut")) });
        return Response::new(Body::from_stream(broken));
    }
    let until = async move {
        let _ = cut.changed().await;
    };
    let body = Body::new(body)
        .into_data_stream()
        .take_until(Box::pin(until));
    let mut response = Response::new(Body::from_stream(body));
    *response.status_mut() = head.status;
    for name in ["content-type", "retry-after"] {
        if let Some(value) = head.headers.get(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// Sends a request on as the API server's proxy of Services does.
async fn to_server(address: SocketAddr, path: &str) -> Response {
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
