//! Loopback ports for servers that must be told theirs.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

// Below the range that Linux takes outgoing ports from, so that none of those can sit on a server's port while
// the server is down.
const FIRST: u16 = 10_000;
const COUNT: u16 = 22_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// An address that nobody listened on a moment ago, and that this process gives out once. Another process can
/// still be quicker: whoever starts a server tries again.
pub fn free() -> SocketAddr {
    // Test binaries that run at once begin at different places.
    let start = u16::try_from(std::process::id().wrapping_mul(251) % u32::from(COUNT)).unwrap();
    (0..COUNT)
        .map(|_| (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT)
        .map(|n| SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + n)))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("every port from 10000 to 31999 is taken")
}
