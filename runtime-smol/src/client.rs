//! The handles: a client with one server, a server with many clients.

use alloc::sync::Arc;
use core::future::Future;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::ops::Deref;
use core::time::Duration;

use async_io::Timer;
use futures_lite::future;
use posthaste_core::config::Accept;
use posthaste_core::endpoint::Counters;
use posthaste_udp::Report;

use crate::error::{BindError, ReceiveError};
use crate::message::{Received, Taking};
use crate::node::Node;
use crate::options::Options;
use crate::peer::{Peer, Target};
use crate::serve::{Draining, Incoming, Serving};
use crate::stream::StreamReader;

/// A client of one server. Its calls and messages are those of the [`Peer`] that the server is to it.
///
/// Dropping it closes the conversation; what was not flushed may be lost.
#[derive(Debug)]
pub struct Client {
    server: Peer,
}

/// An endpoint that answers calls of any number of peers, and may call them, too. Dropping it closes all conversations.
#[derive(Debug)]
pub struct Server {
    node: Arc<Node>,
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
        let node = Node::bind(SocketAddr::new(any, 0), options)?;
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
        receive(self.server.node()).await
    }

    /// Takes the next stream of the server.
    ///
    /// # Errors
    /// [`ReceiveError`].
    pub async fn accept_stream(&self) -> Result<StreamReader, ReceiveError> {
        accept_stream(self.server.node()).await
    }

    /// Answers calls of the server; as [`Server::serve`]. Without it they are refused.
    pub fn serve<H, F>(&self, handler_count_max: usize, handler: H) -> Serving<H, F>
    where
        H: Fn(Incoming) -> F,
        F: Future<Output = ()>,
    {
        Serving::new(Arc::clone(self.server.node()), handler_count_max, handler)
    }

    /// Returns what the protocol has counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        *self.server.node().lock().endpoint.counters()
    }

    /// Returns what the operating system granted.
    #[must_use]
    pub fn socket_report(&self) -> Report {
        self.server.node().socket().report()
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
        self.server.node().close();
    }
}

impl Server {
    /// Makes a server in plain mode on `addr`; port 0 picks a free one. For loopback and closed networks.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind_insecure(addr: SocketAddr, options: impl Into<Options>) -> Result<Self, BindError> {
        Ok(Self { node: Node::bind(addr, options.into())? })
    }

    /// Returns the address that the socket is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.node.socket().local_addr()
    }

    /// Answers calls: runs `handler` for each, at most `handler_count_max` at a time; those that are too many wait.
    ///
    /// Handlers run in the task that polls this future, side by side and not in parallel: what computes for long is spawned by the
    /// handler. A handler that panics leaves its caller with an unknown outcome, and the server goes on. There is one such future
    /// at a time: a later one takes the place of the earlier.
    pub fn serve<H, F>(&self, handler_count_max: usize, handler: H) -> Serving<H, F>
    where
        H: Fn(Incoming) -> F,
        F: Future<Output = ()>,
    {
        Serving::new(Arc::clone(&self.node), handler_count_max, handler)
    }

    /// Takes the next message of any peer.
    ///
    /// # Errors
    /// [`ReceiveError`].
    pub async fn receive(&self) -> Result<Received, ReceiveError> {
        receive(&self.node).await
    }

    /// Takes the next stream of any peer.
    ///
    /// # Errors
    /// [`ReceiveError`].
    pub async fn accept_stream(&self) -> Result<StreamReader, ReceiveError> {
        accept_stream(&self.node).await
    }

    /// Begins no handler any more: peers are told, and calls that arrive are refused; those under way go on.
    pub fn drain(&self) {
        self.node.command(|state, now| state.endpoint.drain(now));
    }

    /// Refuses calls that arrive from here on, waits until those under way are answered and all that was sent is acknowledged,
    /// at most `timeout`, and closes the conversations.
    ///
    /// Handlers go on for as long as [`Server::serve`] is polled beside this.
    pub async fn shut_down(&self, timeout: Duration) {
        self.drain();
        let late = async {
            Timer::after(timeout).await;
        };
        future::or(Draining::new(&self.node), late).await;
        self.node.close();
    }

    /// Returns what the protocol has counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        *self.node.lock().endpoint.counters()
    }

    /// Returns what the operating system granted.
    #[must_use]
    pub fn socket_report(&self) -> Report {
        self.node.socket().report()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.node.close();
    }
}

async fn receive(node: &Arc<Node>) -> Result<Received, ReceiveError> {
    let arrived = Taking::new(node, |state| &mut state.messages).await?;
    Ok(Received::new(Arc::clone(node), arrived))
}

async fn accept_stream(node: &Arc<Node>) -> Result<StreamReader, ReceiveError> {
    let arrived = Taking::new(node, |state| &mut state.incoming_streams).await?;
    Ok(StreamReader::new(Arc::clone(node), arrived.id, Some(arrived.peer), arrived.channel))
}
