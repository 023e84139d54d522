//! The side that answers.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::net::ToSocketAddrs;

use posthaste_core::Instant;
use posthaste_udp::Clock;

use crate::error::ReceiveError;
use crate::handler::Handler;
use crate::message::{Received, take_message};
use crate::node::{Node, Threads, wait_at_any};
use crate::octets::Octets;
use crate::options::Options;
use crate::serve;
use crate::stream::{StreamReader, take_stream};
use crate::waiters::Interest;

/// A server that answers calls on threads of its own. When it goes, they end, and its conversations are closed.
pub struct Server {
    /// For each socket of the port; the first one is always there.
    nodes: Vec<Threads>,
}

impl Server {
    /// Serves in plain mode: whoever is on the path can read and forge what is said.
    ///
    /// `address` is where to listen; port 0 picks a free one, and the unspecified IPv6 address takes IPv4 peers too. Of
    /// several addresses, the first that can be had is taken.
    ///
    /// # Errors
    /// What the operating system says of the last address, or
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for options that are out of range.
    pub fn serve_insecure(
        address: impl ToSocketAddrs,
        options: impl Into<Options>,
        handler: impl Handler,
    ) -> io::Result<Self> {
        let options = options.into();
        let handler = Arc::new(handler);
        let mut last = io::ErrorKind::NotFound.into();
        for address in address.to_socket_addrs()? {
            match serve::open_group(address, &options, &handler) {
                Ok(nodes) => return Ok(Self { nodes }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Returns the address that the server listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.node().socket.local_addr()
    }

    /// Returns what the operating system granted to a socket; to each of several alike.
    #[must_use]
    pub fn socket_report(&self) -> posthaste_udp::Report {
        self.node().socket.report()
    }

    /// Returns what went through each socket since it was opened.
    pub fn socket_counters(&self) -> impl Iterator<Item = posthaste_udp::Counters> {
        self.nodes().map(|node| node.socket.counters())
    }

    /// Waits for a message of any peer and writes it over `octets`.
    ///
    /// # Errors
    /// [`ReceiveError::TimedOut`] if none came within `timeout`.
    pub fn receive_into(&self, octets: &mut Vec<u8>, timeout: Option<Duration>) -> Result<Received, ReceiveError> {
        self.receive(octets, timeout)
    }

    /// As [`Server::receive_into`], but takes the octets whole: without a copy if they are as many as
    /// [`Config::own_body_len_min`](posthaste_core::Config::own_body_len_min).
    ///
    /// # Errors
    /// As [`Server::receive_into`].
    #[cfg(feature = "bytes")]
    pub fn receive_bytes(&self, timeout: Option<Duration>) -> Result<(Received, bytes::Bytes), ReceiveError> {
        let mut octets = bytes::Bytes::new();
        let received = self.receive(&mut octets, timeout)?;
        Ok((received, octets))
    }

    fn receive(&self, octets: &mut impl Octets, timeout: Option<Duration>) -> Result<Received, ReceiveError> {
        Ok(wait_at_any(self.nodes(), Interest::Arrival, timeout, |node, state, now| {
            take_message(node, state, now, octets)
        })?)
    }

    /// Waits for a stream that a peer opens.
    ///
    /// # Errors
    /// [`ReceiveError::TimedOut`] if none came within `timeout`.
    pub fn accept_stream(&self, timeout: Option<Duration>) -> Result<StreamReader, ReceiveError> {
        Ok(wait_at_any(self.nodes(), Interest::Arrival, timeout, |node, state, _| take_stream(node, state))?)
    }

    /// Refuses calls that arrive from here on, waits until those under way are answered and all that was sent is acknowledged,
    /// at most `timeout`, and closes the server.
    ///
    /// Calls that wait for a worker still run. Threads that receive from the server are told that it is closed.
    pub fn shut_down(&self, timeout: Duration) {
        for node in self.nodes() {
            node.command(|state, now| state.endpoint.drain(now));
        }
        let started_at = Clock::start();
        for node in self.nodes() {
            let passed = started_at.now().saturating_since(Instant::ORIGIN);
            let until = node.deadline_after(Some(timeout.saturating_sub(passed)));
            // Who does not answer in time is left behind.
            let _ = node.wait(Interest::Drained, until, |state, _| state.is_drained().then_some(()));
        }
        self.nodes().for_each(|node| node.close());
    }

    /// Returns the node of the first socket.
    pub(crate) fn node(&self) -> &Arc<Node> {
        self.nodes[0].node()
    }

    fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> + Clone {
        self.nodes.iter().map(Threads::node)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.local_addr()).finish()
    }
}
