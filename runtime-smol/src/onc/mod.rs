//! ONC RPC to be awaited, for peers that already exist (feature `onc`).
//!
//! ```
//! use posthaste_smol::onc::{Client, ClientConfig, Incoming, Refusal, Request, Server, ServerOptions, Target, Transport};
//! use smol::future;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let echo = |call: &Incoming<'_>, results: &mut Vec<u8>| match call.target.procedure {
//!     0 => Ok(()),
//!     1 => Ok(results.extend_from_slice(call.arguments)),
//!     _ => Err(Refusal::NoSuchProcedure),
//! };
//! smol::block_on(async {
//!     let server = Server::bind("127.0.0.1:0".parse()?, ServerOptions::default())?;
//!     let calling = async {
//!         for transport in [Transport::Udp, Transport::Tcp] {
//!             let client = Client::connect(server.local_addr(), transport, ClientConfig::default()).await?;
//!             let target = Target { program: 0x2000_0001, version: 1, procedure: 1 };
//!             assert_eq!(client.call(&Request::new(target, b"four")).await?, b"four");
//!         }
//!         Ok(())
//!     };
//!     future::or(calling, async { match server.serve(&echo).await {} }).await
//! })
//! # }
//! ```
//!
//! A [`Client`] is what a generated async client calls with, and [`AsyncRpc`] (or [`Rpc`], where handlers return at once) makes a
//! generated server what a [`Server`] serves.
//!
//! The sockets are plain ones: datagrams may be longer than the path carries whole, as those of NFS are, and the operating system
//! cuts them.

mod client;
mod line;
mod server;

pub use client::Client;
pub use posthaste_onc::client::{Arguments, ClientConfig, Failure, NotSent, Request, Retransmission, Unknown};
pub use posthaste_onc::message::{AuthStatus, AuthSys, Claim, Credential, Refusal, Target};
pub use posthaste_onc::portmap;
pub use posthaste_onc::server::{AsyncRpc, AsyncService, Incoming, Rpc, ServerConfig, Service, Transport};
pub use server::{Server, ServerOptions};

/// Octets of the longest datagram, and more than the longest that there is.
const DATAGRAM_BUFFER_LEN: usize = 1 << 16;

/// Octets that are read from a connection at once; our choice.
const STREAM_BUFFER_LEN: usize = 1 << 14;
