//! The same work through any adapter, over the sockets of the loopback.

use core::net::{Ipv4Addr, SocketAddr};

use posthaste_conformance::service::{ECHO, PROGRAM};
use posthaste_conformance::{Client, Server};
use posthaste_core::Config;
use posthaste_core::endpoint::{Delivery, Request};

/// A client and a server of one adapter, each on a thread of its own.
pub struct Ends<C, S> {
    client: C,
    _server: S,
}

impl<C: Client, S: Server> Ends<C, S> {
    /// Starts both, and opens a conversation between them.
    ///
    /// # Panics
    /// If that does not work.
    #[must_use]
    pub fn start() -> Self {
        let server = S::start(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0), Config::lan());
        let client = C::connect(server.local_addr(), Config::lan());
        let mut ends = Self { client, _server: server };
        ends.echo(&[]);
        ends
    }

    /// Makes a call and waits for its reply.
    ///
    /// # Panics
    /// If it is not answered with its own octets.
    pub fn echo(&mut self, octets: &[u8]) {
        let reply = self.client.call(Request::new(PROGRAM, 1, ECHO, octets)).expect("the server answers");
        assert_eq!(reply.len(), octets.len());
    }

    /// Makes calls that are under way at a time, and waits for all replies.
    ///
    /// # Panics
    /// If one is not answered with its own octets.
    pub fn echo_all(&mut self, calls: &[Vec<u8>]) {
        for (reply, octets) in self.client.call_all(ECHO, calls).iter().zip(calls) {
            assert_eq!(reply.as_ref(), Ok(octets));
        }
    }

    /// Sends messages on a channel, and waits until all are acknowledged.
    ///
    /// # Panics
    /// If they do not arrive.
    pub fn send_all(&mut self, messages: &[Vec<u8>]) {
        for octets in messages {
            self.client.send(Delivery::Ordered { channel: 0 }, octets);
        }
        self.client.flush();
    }
}
