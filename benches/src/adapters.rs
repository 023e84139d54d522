//! Any adapter at the work of [`Ends`], over the sockets of the loopback.

use core::net::{Ipv4Addr, SocketAddr};

use posthaste_conformance::service::{ECHO, PROGRAM};
use posthaste_conformance::{Client, Server};
use posthaste_core::Config;
use posthaste_core::endpoint::Request;

use crate::ends::Ends;

/// A client and a server of one adapter.
pub struct Adapter<C, S> {
    client: C,
    _server: S,
    /// The arguments of the calls, kept from one time to the next.
    calls: Vec<Vec<u8>>,
}

impl<C: Client, S: Server> Adapter<C, S> {
    /// Starts both, and opens a conversation between them.
    ///
    /// # Panics
    /// If that does not work.
    #[must_use]
    pub fn start() -> Self {
        let server = S::start(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0), Config::lan());
        let client = C::connect(server.local_addr(), Config::lan());
        let mut adapter = Self { client, _server: server, calls: Vec::new() };
        adapter.echo(0, 1);
        adapter
    }
}

impl<C: Client, S: Server> Ends for Adapter<C, S> {
    fn echo(&mut self, len: usize, count: usize) {
        if self.calls.len() != count || self.calls.iter().any(|octets| octets.len() != len) {
            self.calls = vec![vec![7; len]; count];
        }
        if let [octets] = self.calls.as_slice() {
            let reply = self.client.call(Request::new(PROGRAM, 1, ECHO, octets)).expect("the server answers");
            assert_eq!(reply.len(), len);
        } else {
            for reply in self.client.call_all(ECHO, &self.calls) {
                assert_eq!(reply.expect("the server answers").len(), len);
            }
        }
    }
}
