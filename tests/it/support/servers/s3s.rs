//! A second S3 server, by other people than the first: s3s-fs, in this process.

use super::folder::Folder;
use super::s3::{ACCESS_KEY, BUCKET, SECRET_KEY};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use std::net::SocketAddr;
use std::sync::mpsc;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub struct S3s {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
    _folder: Folder,
}

impl S3s {
    /// A new one, with its empty bucket, on a thread of its own: a test's clock may stand still.
    pub fn start() -> Self {
        let folder = Folder::new("s3s");
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let files = s3s_fs::FileSystem::new(folder.path()).unwrap();
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let (stop, mut stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                loop {
                    let socket = tokio::select! {
                        socket = listener.accept() => socket.unwrap().0,
                        _ = &mut stopped => return,
                    };
                    let service = service.clone();
                    tokio::spawn(async move {
                        let server = auto::Builder::new(TokioExecutor::new());
                        let socket = TokioIo::new(socket);
                        // A client that goes away is no concern of the server's.
                        let _ = server.serve_connection(socket, service).await;
                    });
                }
            });
        });
        S3s {
            address: told.recv().unwrap(),
            _stop: stop,
            _folder: folder,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
