//! ONC RPC in a readiness loop, for peers that already exist (feature `onc`).
//!
//! ```
//! use mio::{Events, Poll, Token, Interest};
//! use posthaste_mio::onc::{Client, ClientConfig, Incoming, Refusal, Request, Server, ServerOptions, Target, Transport};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let echo = |call: &Incoming<'_>, results: &mut Vec<u8>| match call.target.procedure {
//!     0 => Ok(()),
//!     1 => Ok(results.extend_from_slice(call.arguments)),
//!     _ => Err(Refusal::NoSuchProcedure),
//! };
//! let (mut poll, mut ready) = (Poll::new()?, Events::with_capacity(16));
//! let mut server = Server::bind("127.0.0.1:0".parse()?, ServerOptions::default())?;
//! let mut client = Client::connect(server.local_addr(), Transport::Tcp, ClientConfig::default())?;
//! poll.registry().register(&mut client, Token(0), Client::INTERESTS)?;
//! // Each of its sockets has a token of its own.
//! server.register(poll.registry(), Token(1))?;
//!
//! let target = Target { program: 0x2000_0001, version: 1, procedure: 1 };
//! client.call(&Request::new(target, b"four"))?;
//! let results = loop {
//!     client.transmit();
//!     let timeout = [server.next_timeout(), client.next_timeout()].into_iter().flatten().min();
//!     poll.poll(&mut ready, timeout)?;
//!     for event in &ready {
//!         if event.token() == Token(0) {
//!             client.handle_event(event);
//!         } else {
//!             server.handle_event(event);
//!         }
//!     }
//!     server.process(&echo);
//!     client.process();
//!     if let Some((_, outcome)) = client.poll_outcome() {
//!         break outcome?;
//!     }
//! };
//! assert_eq!(results, b"four");
//! # Ok(())
//! # }
//! ```
//!
//! Sleeps are whole milliseconds, rounded up, as those of the crate are.
//!
//! The sockets are plain ones: datagrams may be longer than the path carries whole, as those of NFS are, and the operating system
//! cuts them.

mod client;
mod server;

use core::time::Duration;

pub use client::Client;
use posthaste_core::Instant;
pub use posthaste_onc::client::{
    Arguments, CallId, ClientConfig, Failure, NotSent, Outcome, Request, Retransmission, Unknown,
};
pub use posthaste_onc::message::{AuthStatus, AuthSys, Claim, Credential, Refusal, Target};
pub use posthaste_onc::portmap;
pub use posthaste_onc::server::{Incoming, Rpc, ServerConfig, Service, Transport};
pub use server::{Server, ServerOptions};

/// Returns how long the loop may sleep before `deadline`.
fn timeout(now: Instant, deadline: Option<Instant>) -> Option<Duration> {
    let left = deadline?.saturating_since(now);
    // `Poll` sleeps whole milliseconds; rounded down, the last one would be a busy loop.
    Some(Duration::from_millis(u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)))
}

/// Octets of the longest datagram, and more than the longest that there is.
const DATAGRAM_BUFFER_LEN: usize = 1 << 16;

/// Octets that are read from a connection at once; our choice.
const STREAM_BUFFER_LEN: usize = 1 << 14;
