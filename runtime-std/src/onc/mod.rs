//! ONC RPC with blocking calls, for peers that already exist (feature `onc`).
//!
//! ```
//! use posthaste_std::onc::{Client, ClientConfig, Incoming, Target, Refusal, Request, Server, ServerOptions, Transport};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let echo = |call: &Incoming<'_>, results: &mut Vec<u8>| match call.target.procedure {
//!     0 => Ok(()),
//!     1 => Ok(results.extend_from_slice(call.arguments)),
//!     _ => Err(Refusal::NoSuchProcedure),
//! };
//! let server = Server::serve("127.0.0.1:0", ServerOptions::default(), echo)?;
//!
//! for transport in [Transport::Udp, Transport::Tcp] {
//!     let client = Client::connect(server.local_addr(), transport, ClientConfig::default())?;
//!     let target = Target { program: 0x2000_0001, version: 1, procedure: 1 };
//!     assert_eq!(client.call(&Request::new(target, b"four"))?, b"four");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Client`] is what a generated client calls with, and [`Rpc`] makes a generated server what a [`Server`] serves.
//!
//! The sockets are plain ones: datagrams may be longer than the path carries whole, as those of NFS are, and the operating system
//! cuts them.

mod client;
mod server;

pub use client::Client;
pub use posthaste_onc::client::{Arguments, ClientConfig, Failure, NotSent, Request, Retransmission, Unknown};
pub use posthaste_onc::message::{AuthStatus, AuthSys, Claim, Credential, Refusal, Target};
pub use posthaste_onc::portmap;
pub use posthaste_onc::server::{Incoming, Rpc, ServerConfig, Service, Transport};
pub use server::{Server, ServerOptions};

/// Octets of the longest datagram, and more than the longest that there is.
const DATAGRAM_BUFFER_LEN: usize = 1 << 16;

/// Octets that are read from a connection at once; our choice.
const STREAM_BUFFER_LEN: usize = 1 << 14;
