//! One suite for every adapter: each as client against each as server, over real sockets.
//!
//! [`Server`] and [`Client`] are what a scenario needs of an adapter, in blocking form; [`scenarios`] holds the scenarios and
//! [`service`] what every server does.
#![forbid(unsafe_code)]

extern crate alloc;

pub mod blocking;
pub mod random;
pub mod readiness;
pub mod relay;
pub mod scenarios;
pub mod service;
pub mod smol_driven;

use core::net::SocketAddr;

use posthaste_core::endpoint::{Delivery, Request, SendError};
use posthaste_core::{Config, NotExecuted, Unknown};

/// A running server with the procedures of [`service`]. Dropping it stops it.
pub trait Server: Send {
    /// Starts on `addr`, which has port 0.
    fn start(addr: SocketAddr, config: Config) -> Self;

    /// Returns where it listens.
    fn local_addr(&self) -> SocketAddr;

    /// Answers what is under way, waits until the answers have arrived, and stops.
    fn shut_down(self);
}

/// A client that answers calls of its server with their own arguments.
pub trait Client {
    /// A call that goes on while others are made.
    type Pending;

    /// Makes a client of the server at `server`.
    fn connect(server: SocketAddr, config: Config) -> Self;

    /// Makes a call and waits for its reply.
    fn call(&mut self, request: Request<'_>) -> Result<Vec<u8>, Failure>;

    /// Makes a call with each of `arguments`, keeps as many in flight as the adapter takes, and returns the replies in their order.
    fn call_all(&mut self, procedure: u32, arguments: &[Vec<u8>]) -> Vec<Result<Vec<u8>, Failure>>;

    /// Begins a call without arguments.
    fn start_call(&mut self, procedure: u32) -> Self::Pending;

    /// Waits for a call that was begun.
    fn wait(&mut self, call: Self::Pending) -> Result<Vec<u8>, Failure>;

    /// Gives up a call that was begun.
    fn cancel(&mut self, call: Self::Pending);

    /// Sends a message, and waits for room if there is none.
    fn send(&mut self, delivery: Delivery, octets: &[u8]);

    /// Waits until everything is acknowledged.
    fn flush(&mut self);

    /// Writes octets to a stream while reading them back from the stream that the server opens in return.
    fn echo_stream(&mut self, octets: &[u8]) -> Vec<u8>;

    /// Makes a call with streams, without arguments, and writes octets to the one while reading from the other. Returns the reply,
    /// and what came down if it came to its end.
    fn stream_call(&mut self, procedure: u32, octets: &[u8]) -> (Result<Vec<u8>, Failure>, Option<Vec<u8>>);
}

/// What became of a call without a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The handler answered with these octets as an error.
    Application(Vec<u8>),
    /// It was not executed.
    NotExecuted(NotExecuted),
    /// It was executed, and the reply is gone.
    ReplyLost,
    /// Nobody knows.
    Unknown(Unknown),
    /// It was not accepted.
    Refused(SendError),
}
