//! The side that calls.

use alloc::sync::Arc;
use core::future::Future;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::ops::Deref;

use posthaste_core::config::Accept;
use posthaste_core::endpoint::Counters;
use posthaste_udp::Report;

use crate::error::{BindError, ReceiveError};
use crate::helper;
use crate::incoming::Incoming;
use crate::message::{Received, receive};
use crate::options::Options;
use crate::peer::{Peer, Target};
use crate::serve::Serving;
use crate::stream::{StreamReader, accept_stream};

/// A client of one server. Its calls and messages are those of the [`Peer`] that the server is to it.
///
/// Dropping it closes the conversation; what was not flushed may be lost.
#[derive(Debug)]
pub struct Client {
    server: Peer,
}

impl Client {
    /// Makes a client in plain mode: whoever is on the path can read and forge datagrams. For loopback and closed networks.
    ///
    /// Nothing is sent before the first call or message.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn connect_insecure(server: SocketAddr, options: impl Into<Options>) -> Result<Self, BindError> {
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let mut options = options.into();
        options.config.accept = Accept::Nobody;
        let node = helper::open(SocketAddr::new(any, 0), options)?;
        if server.port() == 0 || server.ip().is_unspecified() {
            return Err(BindError::Address);
        }
        Ok(Self { server: Peer::new(node, Target::Address(server)) })
    }

    /// Takes the next message of the server.
    ///
    /// # Errors
    /// [`ReceiveError`].
    pub async fn receive(&self) -> Result<Received, ReceiveError> {
        receive(&self.server.node).await
    }

    /// Takes the next stream of the server.
    ///
    /// # Errors
    /// [`ReceiveError`].
    pub async fn accept_stream(&self) -> Result<StreamReader, ReceiveError> {
        accept_stream(&self.server.node).await
    }

    /// Answers calls of the server; as [`Server::serve`](crate::Server::serve). Without it they are refused.
    pub fn serve<H, F>(&self, handler_count_max: usize, handler: H) -> Serving<H, F>
    where
        H: Fn(Incoming) -> F,
        F: Future<Output = ()>,
    {
        Serving::new(Arc::clone(&self.server.node), handler_count_max, handler)
    }

    /// Returns what the protocol has counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        *self.server.node.lock().endpoint.counters()
    }

    /// Returns what the operating system granted.
    #[must_use]
    pub fn socket_report(&self) -> Report {
        self.server.node.socket().report()
    }
}

impl Deref for Client {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        &self.server
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.server.node.close();
    }
}
