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
//! [`Peer::start`] and [`Pending::wait`], or by a [`Pipeline`].
//!
//! Most of the time of a lone call on one machine goes into waking the two threads that sleep. Who has a core to spare for each
//! lets them look at the socket for a while first: [`BusyPoll::UpTo`]. Where several calls are under way, they do so anyway, for as
//! long as it pays.
//!
//! # How it is built
//!
//! A module knows only what stands below it; a call goes down to the socket, and its reply the same way back:
//! - what is asked and answered: `client`, `server`; `serve`, `handler`; `call`, `pipeline`, `stream`, `message`, `outcome`,
//!   `octets`; `peer`;
//! - who does it: `node`, where whoever waits drives, and `helper`, the thread that does while nobody waits;
//! - what the threads share under one lock, `locked`: `state`, with `ledger` (calls made), `service` (calls to answer), `waiters`, and
//!   the `wheel` that whoever receives takes.
//!
//! # `Bytes`
//!
//! With the feature `bytes`, a message or request whose octets are `Body::Shared` is not copied, nor a reply that a handler gives by
//! `Incoming::reply_bytes`: the endpoint reads the `Bytes` in place until all of it is acknowledged.
//!
//! What arrives is taken as `Bytes` by `Peer::call_bytes`, `Pending::wait_bytes` and `Peer::receive_bytes`, and the arguments of a call
//! are shared by `Incoming::arguments_bytes`. What has at least `Config::own_body_len_min` octets (16 KiB) was put together in
//! memory of its own, and is handed over as it lies: that memory is the one thing that is allocated for it, and from then on it is the
//! application's. What is shorter is copied once, out of the endpoint's memory.
//!
//! # Generated stubs
//!
//! With the feature `rpc`, a [`Client`] or [`Peer`] is what a generated client calls with, and `Rpc` makes a generated
//! server what a [`Server`] serves.
#![forbid(unsafe_code)]

extern crate alloc;

mod call;
mod client;
mod desk;
mod error;
mod handler;
mod helper;
mod ledger;
mod locked;
mod message;
mod node;
mod octets;
#[cfg(feature = "onc")]
pub mod onc;
mod options;
mod outcome;
mod peer;
mod pipeline;
#[cfg(feature = "rpc")]
mod rpc;
mod serve;
mod server;
mod service;
mod state;
mod stream;
mod waiters;
mod wheel;

#[cfg(feature = "bytes")]
pub use bytes::Bytes;
pub use call::{Canceller, Pending, wait_any};
pub use client::Client;
pub use error::{Attempt, ConnectError, FlushError, ReceiveError};
pub use handler::{Handler, Incoming, Inline};
pub use message::Received;
pub use options::Options;
pub use outcome::{CallError, Unresolved};
pub use peer::Peer;
pub use pipeline::Pipeline;
pub use posthaste_core::endpoint::{Answer, Body, Delivery, Encode, Message, Reply, Request, SendError, Streams};
pub use posthaste_core::wire::{self, Semantics};
pub use posthaste_core::{Config, NotExecuted, Unknown};
pub use posthaste_udp::{BusyPoll, Options as SocketOptions};
#[cfg(feature = "rpc")]
pub use rpc::Rpc;
pub use server::Server;
pub use service::Execution;
pub use stream::{StreamReader, StreamWriter};
