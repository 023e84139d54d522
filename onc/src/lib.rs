//! ONC RPC (RFC 5531), as Sun's `rpcgen` and its kin speak it, for peers that already exist: over UDP with retransmission and a
//! memory of what was answered, over TCP with record marking, and with a portmapper.
//!
//! Everything is a state machine: octets and the time go in, octets and outcomes come out; sockets, clocks and threads belong
//! to the adapters, each of which has a module `onc`. Memory is allocated, and bounded by [`ClientConfig`] and
//! [`ServerConfig`].
//!
//! ```
//! use posthaste_core::Instant;
//! use posthaste_onc::client::{ClientConfig, DatagramClient, Request};
//! use posthaste_onc::message::Target;
//! use posthaste_onc::server::{Arrival, DatagramServer, ServerConfig};
//!
//! let mut client = DatagramClient::new(ClientConfig::default(), [1; 32]);
//! let mut server = DatagramServer::new(&ServerConfig::default(), [2; 32]);
//! let (here, there) = ("127.0.0.1:700".parse().unwrap(), "127.0.0.1:111".parse().unwrap());
//! let now = Instant::ORIGIN;
//!
//! let target = Target { program: 100_000, version: 2, procedure: 0 };
//! let id = client.call(now, there, &Request::new(target, &[])).unwrap();
//! let call = client.poll_transmit(now).unwrap().datagram.to_vec();
//! let Ok(Arrival::Call(incoming, _)) = server.handle_datagram(now, here, &call) else { panic!("it is a call") };
//! let reply = server.reply(now, incoming, Ok(&[])).unwrap();
//! client.handle_datagram(now, there, reply).unwrap();
//! assert_eq!(client.poll_outcome(), Some((id, Ok(vec![]))));
//! ```
//!
//! # What is promised
//!
//! Less than by the native protocol, because a client of ONC RPC has no way to say that it has a reply, nor a server that it
//! has started anew (RFC 5531 §5). A call over UDP is sent again until it is answered; a server that remembers it executes it
//! once, and one that has forgotten it executes it again. [`Retransmission::Never`](client::Retransmission::Never) is executed
//! at most once. Over TCP nothing is sent again.
//!
//! Nothing here is secret or proven. `AUTH_SYS` is what the caller says of itself, and whoever is on the path can read and
//! change everything.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod client;
pub mod message;
pub mod portmap;
pub mod record;
pub mod server;

mod outgoing;

pub use client::{ClientConfig, DatagramClient, StreamClient};
pub use server::{Connection, DatagramServer, ServerConfig, Service};
