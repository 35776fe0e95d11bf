//! For programs that compile, load or check eBPF: the header and the BTF of the kernel that they run on, or a
//! clear no. Never a stale byte, never one that was not checked.
//!
//! [`rules`] decides, without I/O, which header fits; [`fetch()`] asks and gets; [`Fetched::write`] puts the
//! files where libbpf (`btf_custom_path`), aya or a compiler find them. `btfleet fetch` is a shell around them.
//!
//! ```no_run
//! use btfleet::consumer::{Address, From, Match, Server, Settings, fetch};
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server(Address::new("http://btfleet.btfleet", None)?);
//! let settings = Settings {
//!     node: std::env::var("NODE_NAME").ok(),
//!     from: From::Auto,
//!     by: Match::Digest,
//!     timeout: std::time::Duration::from_secs(60),
//! };
//! let host = btfleet::agent::Source {
//!     btf: "/sys/kernel/btf/vmlinux".into(),
//!     proc: "/proc".into(),
//! };
//! let second = std::time::Duration::from_secs(1);
//! let pause = btfleet::ops::Backoff::new(second, 10 * second, 0);
//! let fetched = fetch(&settings, &host, Some(&server), pause, |line| eprintln!("{line}")).await?;
//! fetched.write("/run/btf".as_ref())?; // vmlinux.h, vmlinux.btf, manifest.json
//! # Ok(())
//! # }
//! ```

mod fetch;
mod http;
mod origin;
mod place;
pub mod rules;
pub mod wire;

pub use fetch::{Error, Fetched, From, Matched, Record, Settings, fetch};
pub use http::{Address, AddressError};
pub use origin::{Kept, Origin, Server, Trouble, word_of};
pub use place::PlaceError;
pub use rules::Match;
