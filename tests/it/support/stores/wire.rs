//! A wire whose bytes are counted: every byte to and from a server, headers and all.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
struct Bytes {
    up: AtomicU64,
    down: AtomicU64,
}

/// Hands on what comes to its address, and counts it.
pub struct Wire {
    address: SocketAddr,
    bytes: Arc<Bytes>,
}

impl Wire {
    /// To the server at this URL (`http://HOST:PORT`).
    pub fn to(url: &str) -> Wire {
        let server = url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let bytes = Arc::new(Bytes::default());
        let count = bytes.clone();
        // Ends with the test binary; each connection's threads end with the connection.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
                let (back, forth) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (up, down) = (count.clone(), count.clone());
                std::thread::spawn(move || copy(client, forth, &up.up));
                std::thread::spawn(move || copy(server, back, &down.down));
            }
        });
        Wire { address, bytes }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Bytes sent up and come down since this was last asked.
    pub fn take(&self) -> (u64, u64) {
        let take = |n: &AtomicU64| n.swap(0, Ordering::SeqCst);
        (take(&self.bytes.up), take(&self.bytes.down))
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        count.fetch_add(n as u64, Ordering::SeqCst);
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
