//! Opens and tunes a UDP socket, and moves datagrams through it in batches. It knows no protocol.
//!
//! One place for what every adapter needs: segmentation offload both ways (GSO and GRO), ECN codepoints, the
//! local address of each datagram, buffer sizes asked for and read back, fragmentation forbidden, and socket
//! errors told apart from the end of the socket. A [`Socket`] is driven by whoever owns the loop: it is a file
//! descriptor to wait for, [`Socket::send`] and [`Socket::recv`].
//!
//! And what every adapter does with the endpoint that is behind a socket: [`bind_insecure`] opens both, [`Socket::send_all`] sends
//! what the endpoint has, a [`Clock`] is what the core does not have, and an [`OutcomeBatch`] is what many calls have come to.
//!
//! ```
//! use posthaste_core::ecn::Ecn;
//! use posthaste_udp::{Options, RecvBatch, SendBatch, Socket, Waiting};
//!
//! # fn main() -> std::io::Result<()> {
//! let options = Options { waiting: Waiting::InRecv, ..Options::default() };
//! let server = Socket::bind("127.0.0.1:0".parse().unwrap(), &options)?;
//! let client = Socket::bind("127.0.0.1:0".parse().unwrap(), &options)?;
//!
//! // Neighbours of equal length to one address leave in one system call.
//! let mut outgoing = SendBatch::new(1200);
//! for text in [b"hello", b"again"] {
//!     let slot = outgoing.slot().expect("an empty batch has room");
//!     slot[..5].copy_from_slice(text);
//!     outgoing.commit(5, server.local_addr(), None, Ecn::Ect0);
//! }
//! client.send(&mut outgoing)?;
//!
//! let mut incoming = RecvBatch::new(1);
//! let mut texts = Vec::new();
//! while texts.len() < 2 {
//!     server.recv_timeout(&mut incoming, None)?;
//!     while let Some(datagram) = incoming.next_datagram() {
//!         assert_eq!(datagram.from, client.local_addr());
//!         texts.push(datagram.payload.to_vec());
//!     }
//! }
//! assert_eq!(texts, [b"hello", b"again"]);
//! # Ok(())
//! # }
//! ```
//!
//! Nothing is allocated after the socket and its batches were made. Addresses come and go in one form: an
//! IPv4 peer of a dual-stack socket is an IPv4 address.
//!
//! Unix only. GSO, GRO and waits finer than a millisecond exist on Linux and Android.
#![forbid(unsafe_code)]

extern crate alloc;

mod address;
mod alarm;
mod beside;
mod busy_poll;
mod clock;
mod endpoint;
mod error;
mod group;
mod outcomes;
mod recv;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod recv_one;
mod report;
mod send;
mod socket;
mod wait;

pub use alarm::Alarm;
pub use beside::bind_with_listener;
pub use busy_poll::{BusyPoll, BusyPoller};
pub use clock::Clock;
pub use endpoint::{BindError, bind_group_insecure, bind_insecure, draw_seed};
pub use error::Loss;
pub use outcomes::OutcomeBatch;
pub use recv::{Datagram, RecvBatch};
pub use report::{Buffer, Counters, OffReason, Offload, Report};
pub use send::SendBatch;
pub use socket::{Options, PortUse, Socket, TryOffload, Waiting};
pub use wait::Interrupt;
