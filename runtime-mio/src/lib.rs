//! Posthaste in a readiness loop: an [`Endpoint`] is an event source of the caller's own [`mio::Poll`], beside any other.
//!
//! The loop follows the contract of the core: input, then events, then output, then sleep.
//!
//! ```
//! use mio::{Events, Poll, Token, Interest};
//! use posthaste_mio::{Answer, Config, Endpoint, Event, Outcome, Request, SocketOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = SocketOptions::default();
//! let mut server = Endpoint::bind_insecure("127.0.0.1:0".parse()?, Config::lan(), &options)?;
//! let mut client = Endpoint::bind_insecure("127.0.0.1:0".parse()?, Config::lan(), &options)?;
//! let (mut poll, mut ready) = (Poll::new()?, Events::with_capacity(16));
//! poll.registry().register(&mut server, Token(0), Interest::READABLE)?;
//! poll.registry().register(&mut client, Token(1), Interest::READABLE)?;
//!
//! let peer = client.peer(server.local_addr())?;
//! client.call(peer, Request::new(1, 1, 7, b"hello"))?;
//! client.transmit()?;
//! let reply = 'turns: loop {
//!     // The endpoint that must act first says how long the loop may sleep.
//!     let timeout = [server.next_timeout(), client.next_timeout()].into_iter().flatten().min();
//!     match poll.poll(&mut ready, timeout) {
//!         // A signal has ended the sleep, as of a program that was stopped and goes on.
//!         Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
//!         result => result?,
//!     }
//!     for event in &ready {
//!         let endpoint = if event.token() == Token(0) { &mut server } else { &mut client };
//!         endpoint.handle_event(event);
//!     }
//!
//!     server.process()?;
//!     while let Some(event) = server.poll_event() {
//!         if let Event::CallReceived { call } = event {
//!             server.begin(call)?;
//!             let echo = server.incoming_call(call)?.arguments.to_vec();
//!             server.reply(call, Answer::Ok, &echo, &[])?;
//!         }
//!     }
//!     server.transmit()?;
//!
//!     client.process()?;
//!     while let Some(event) = client.poll_event() {
//!         if let Event::CallEnded { outcome: Outcome::Ok(reply), .. } = event {
//!             let octets = client.payload(reply)?.to_vec();
//!             client.release(reply)?;
//!             break 'turns octets;
//!         }
//!     }
//!     client.transmit()?;
//! };
//! assert_eq!(reply, b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! # What a turn costs
//!
//! A datagram in and one out are two system calls (receive, send) beside the `poll` of the loop. Where several calls are under way,
//! [`Endpoint::next_timeout`] keeps the loop awake for as long as that pays, at most 150 µs at a time ([`BusyPoll`]). Nothing is
//! allocated after `bind`, but with the feature `bytes` memory for long messages that arrive.
//!
//! On Linux and Android the endpoint has a timer of its own, which is registered with its socket: `Poll` tells of it as of a datagram,
//! and [`Endpoint::next_timeout`] is `None` while it is set. So whatever is due acts in time, and a sleep sets no timer and takes none
//! back: measured, 15 % of the processor time of a lone call. It is set anew when a deadline comes nearer, and when it has rung for one
//! that has moved on, every few milliseconds in a row of calls.
//!
//! Elsewhere, and where there are no more file descriptors, the loop sleeps whole milliseconds, as `mio` does. They are rounded up,
//! since rounded down the last millisecond before a deadline would be a busy loop: whatever is due acts up to 1 ms late. That adds up to
//! 1 ms to a retransmission or a delayed acknowledgement and nothing to a call that goes well. Pacing allows for it: a turn may send
//! what 1 ms at the pacing rate carries.
//!
//! # `Bytes`
//!
//! With the feature `bytes`, a message, request or reply (`Endpoint::reply_body`) whose octets are `Body::Shared` is not copied: the
//! endpoint reads the `Bytes` in place until all of it is acknowledged.
//!
//! What arrives can be looked at where it lies, or taken as `Bytes` by `Endpoint::take_payload` and
//! `Endpoint::take_arguments`. What has at least `Config::own_body_len_min` octets (16 KiB) was put together in
//! memory of its own, and is handed over as it lies: that memory is the one thing that is allocated for it, and from then on it is the
//! application's. What is shorter is copied once, out of the endpoint's memory.
//!
//! # Generated stubs
//!
//! With the feature `rpc`, `Endpoint::call_procedure` and `Endpoint::take_result` call what a generated stub describes, and
//! `Endpoint::answer` has a generated server answer.
#![forbid(unsafe_code)]

mod commands;
mod endpoint;
#[cfg(feature = "onc")]
pub mod onc;
#[cfg(feature = "rpc")]
mod rpc;

#[cfg(feature = "bytes")]
pub use bytes::Bytes;
pub use endpoint::Endpoint;
pub use posthaste_core::endpoint::{
    Answer, Body, CallError, Counters, Delivery, Encode, Event, IncomingCall, Message, OpenError, Reply, ReplyError,
    Request, SendError, StreamError, Streamed, Streams,
};
pub use posthaste_core::wire::{self, Semantics};
pub use posthaste_core::{
    CallId, Config, ConfigError, IncomingCallId, Instant, MessageId, NotExecuted, Outcome, PeerId, SendId, StaleId,
    StreamId, Unknown,
};
pub use posthaste_udp::{BindError, BusyPoll, Options as SocketOptions, Report};
#[cfg(feature = "rpc")]
pub use rpc::Unresolved;
