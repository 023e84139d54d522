//! Posthaste with blocking calls: a socket, a clock and a loop around the core.
//!
//! ```
//! use posthaste_std::{Answer, Client, Config, Incoming, Server};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let greet = |call: &Incoming<'_>, reply: &mut Vec<u8>| {
//!     reply.extend_from_slice(b"hello, ");
//!     reply.extend_from_slice(call.arguments());
//!     Answer::Ok
//! };
//! let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), greet)?;
//!
//! let client = Client::connect_insecure(server.local_addr(), Config::lan())?;
//! let reply = client.call(1, 1, 1, b"world")?;
//! assert_eq!(reply, b"hello, world");
//! # Ok(())
//! # }
//! ```
//!
//! A call that has the client for itself is driven by the thread that makes it: one system call to send, one to sleep and
//! receive. Where several threads call at once, one of them drives for all. One thread keeps many calls under way with
//! [`Peer::start`] and [`Pending::wait`].
#![forbid(unsafe_code)]

extern crate alloc;

mod client;
mod clock;
mod error;
mod handler;
mod node;
mod options;
mod peer;
mod pending;
mod server;
mod state;
mod stream;

pub use client::Client;
pub use error::{Attempt, CallError, ConnectError, FlushError, ReceiveError};
pub use handler::{Execution, Handler, Incoming, Inline};
pub use options::Options;
pub use peer::{Peer, Received};
pub use pending::{Canceller, Pending, Unresolved, wait_any};
pub use posthaste_core::endpoint::{Answer, Body, Delivery, Message, Reply, Request, SendError, Streams};
pub use posthaste_core::wire::{self, Semantics};
pub use posthaste_core::{Config, NotExecuted, Unknown};
pub use server::Server;
pub use stream::{StreamReader, StreamWriter};
