//! Posthaste for async code on `async-io`: a [`Client`] and a [`Server`] for any executor that smol's reactor wakes.
//!
//! ```
//! use posthaste_smol::{Client, Config, Request, Server};
//! use smol::future;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! smol::block_on(async {
//!     let server = Server::bind_insecure("127.0.0.1:0".parse()?, Config::lan())?;
//!     let client = Client::connect_insecure(server.local_addr(), Config::lan())?;
//!
//!     let serving = server.serve(16, |call| async move {
//!         let arguments = call.to_vec();
//!         // Fails if the caller is gone; nothing is to be done about that.
//!         let _ = call.reply(&arguments);
//!     });
//!     let calling = async {
//!         let reply = client.call(Request::new(1, 1, 7, b"hello")).await?;
//!         assert_eq!(reply.to_vec(), b"hello");
//!         Ok(())
//!     };
//!     future::or(calling, async { Err(serving.await.into()) }).await
//! })
//! # }
//! ```
//!
//! # Who does the work
//!
//! No task owns the endpoint. Whichever of its futures is polled drives it: sends what is ready, takes in what arrived, wakes
//! the other futures. So a lone call on a thread that blocks on it passes to no other thread. A call future must
//! be polled or dropped, as any future. If the one that drives is kept without being polled, as beside the body of a loop over
//! a stream of futures, the next that is polled takes its place; if none is, the helper does within 40 ms. The helper is a task
//! on a thread that all endpoints of the process share; it acts on deadlines, as those of delayed acknowledgements, while no
//! future is there.
//!
//! What sleeps is the thread of the executor, in the reactor that it shares with all other tasks. Where several calls are under
//! way, the future that drives asks to be polled again instead, at most for 150 µs at a time and for as long as that pays
//! ([`BusyPoll`]): tasks beside it have their turn in between.
//!
//! # Allocations
//!
//! In the steady state a call allocates nothing here, but with the feature `bytes` memory for what arrives and is long. `async-io`
//! allocates: a list of wakers and a node of its tree of timers each time its reactor wakes, once a round trip at each side.
//!
//! # How it is built
//!
//! As the blocking adapter: a module knows only what stands below it, and a call goes down to the socket and back.
//! - what is asked and answered: `client`, `server`; `serve`, `incoming`; `call`, `pipeline`, `stream`, `message`, `outcome`,
//!   `payload`; `peer`;
//! - who does it: `node`, where whichever future is polled drives, and `helper`, the task that does while none is;
//! - what the futures share under one lock, `locked`: `state`, with `waiters`, `arrivals` and `wheel` (who drives);
//! - what wakes who drives: `bell` and `alarm`.
//!
//! # `Bytes`
//!
//! With the feature `bytes`, a message, request or reply (`Incoming::answer`) whose octets are `Body::Shared` is not copied: the
//! endpoint reads the `Bytes` in place until all of it is acknowledged.
//!
//! What arrives can be looked at where it lies, or taken as `Bytes` by `Reply::into_bytes`, `Received::into_bytes` and
//! `Incoming::take_arguments`. What has at least `Config::own_body_len_min` octets (16 KiB) was put together in
//! memory of its own, and is handed over as it lies: that memory is the one thing that is allocated for it, and from then on it is the
//! application's. What is shorter is copied once, out of the endpoint's memory.
//!
//! # Generated stubs
//!
//! With the feature `rpc`, a [`Client`] or [`Peer`] is what a generated async client calls with, and `Server::serve_rpc` has a
//! generated server answer.
#![forbid(unsafe_code)]

extern crate alloc;

mod alarm;
mod arrivals;
mod bell;
mod call;
mod client;
mod error;
mod helper;
mod incoming;
mod locked;
mod message;
mod node;
#[cfg(feature = "onc")]
pub mod onc;
mod options;
mod outcome;
mod payload;
mod peer;
mod pipeline;
#[cfg(feature = "rpc")]
mod rpc;
mod serve;
mod server;
mod state;
mod stream;
mod waiters;
mod wheel;

#[cfg(feature = "bytes")]
pub use bytes::Bytes;
pub use call::{Calling, Pending, Starting};
pub use client::Client;
pub use error::{BindError, FlushError, ReceiveError, SentError};
pub use incoming::Incoming;
pub use message::{Flushing, Received, Sending, Sent};
pub use options::Options;
pub use outcome::{CallError, Reply, Unresolved};
pub use peer::Peer;
pub use pipeline::Pipeline;
pub use posthaste_core::endpoint::{
    Answer, Body, Counters, Delivery, Encode, Message, Reply as ReplyWanted, ReplyError, Request, SendError, Streams,
};
pub use posthaste_core::wire::{self, Semantics};
pub use posthaste_core::{Config, ConfigError, NotExecuted, Unknown};
pub use posthaste_udp::{BusyPoll, Options as SocketOptions, Report};
pub use serve::Serving;
pub use server::Server;
pub use stream::{StreamReader, StreamWriter};
