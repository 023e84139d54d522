//! The side that calls.

use alloc::sync::Arc;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::ops::Deref;
use core::time::Duration;
use std::io;
use std::net::ToSocketAddrs;

use posthaste_core::config::Accept;
use posthaste_core::endpoint::Remote;

use crate::error::{Attempt, ConnectError, Vain};
use crate::handler::Handler;
use crate::node::Threads;
use crate::options::Options;
use crate::peer::Peer;
use crate::waiters::Interest;
use crate::{helper, serve};

/// A connection to one server; what can be asked of it stands at [`Peer`].
///
/// Cheap to clone, and to be shared by many threads. When the last clone goes, the conversation is closed.
#[derive(Clone)]
pub struct Client {
    peer: Peer,
    _threads: Arc<Threads>,
}

impl Client {
    /// Connects to a server in plain mode: whoever is on the path can read and forge what is said.
    ///
    /// Each address that `server` leads to is tried, one after the other, until one answers.
    ///
    /// # Errors
    /// [`ConnectError`], which names each address that was tried.
    pub fn connect_insecure(server: impl ToSocketAddrs, options: impl Into<Options>) -> Result<Self, ConnectError> {
        Self::connect(server, options.into(), helper::open)
    }

    /// As [`Client::connect_insecure`], for a client that answers calls of the server.
    ///
    /// Its helper thread sleeps in the socket, so a call costs a hand-over more.
    ///
    /// # Errors
    /// As [`Client::connect_insecure`].
    pub fn connect_insecure_with(
        server: impl ToSocketAddrs,
        options: impl Into<Options>,
        handler: impl Handler,
    ) -> Result<Self, ConnectError> {
        let handler = Arc::new(handler);
        Self::connect(server, options.into(), |address, options| serve::open(address, options, &handler))
    }

    /// Returns what the operating system granted to the socket.
    #[must_use]
    pub fn socket_report(&self) -> posthaste_udp::Report {
        self.peer.node.socket.report()
    }

    /// Returns what went through the socket since it was opened.
    #[must_use]
    pub fn socket_counters(&self) -> posthaste_udp::Counters {
        self.peer.node.socket.counters()
    }

    fn connect(
        server: impl ToSocketAddrs,
        mut options: Options,
        open: impl Fn(SocketAddr, &Options) -> io::Result<Threads>,
    ) -> Result<Self, ConnectError> {
        options.config.accept = Accept::Nobody;
        let mut attempts = Vec::new();
        for address in server.to_socket_addrs().map_err(ConnectError::Name)? {
            let any: IpAddr =
                if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            let opened = open(SocketAddr::new(any, 0), &options);
            match opened.and_then(|threads| Self::reach(threads, address, options.connect_timeout)) {
                Ok(client) => return Ok(client),
                Err(error) => attempts.push(Attempt { address, error }),
            }
        }
        if attempts.is_empty() {
            return Err(ConnectError::Name(io::ErrorKind::NotFound.into()));
        }
        Err(ConnectError::Unreachable(attempts))
    }

    /// Connects to one address, and waits until it answers.
    fn reach(threads: Threads, address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let node = threads.node();
        let remote = Remote { address, identity: &[] };
        let id = node.command(|state, now| {
            let id = state.endpoint.peer(now, &remote).map_err(io::Error::other)?;
            state.endpoint.connect(now, id).map_err(io::Error::other)?;
            Ok::<_, io::Error>(id)
        })?;
        let until = node.deadline_after(Some(timeout));
        let news = node.wait(Interest::Peer(id), until, |state, _| {
            let news = *state.news_of(id);
            (news.is_connected || news.is_closed).then_some(news)
        });
        match news {
            Ok(news) if news.is_connected => {
                Ok(Self { peer: Peer::at(Arc::clone(node), address), _threads: Arc::new(threads) })
            }
            Ok(_) | Err(Vain::TimedOut) => Err(io::ErrorKind::TimedOut.into()),
            Err(Vain::Closed) => Err(io::Error::other("the socket failed")),
        }
    }
}

impl Deref for Client {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        &self.peer
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.peer).finish()
    }
}
