//! The side that answers.

use alloc::sync::Arc;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use async_io::Timer;
use futures_lite::future;
use posthaste_core::endpoint::Counters;
use posthaste_udp::Report;

use crate::error::{BindError, ReceiveError};
use crate::helper;
use crate::incoming::Incoming;
use crate::message::{Received, receive};
use crate::node::Node;
use crate::options::Options;
use crate::serve::Serving;
use crate::stream::{StreamReader, accept_stream};
use crate::waiters::Waiter;

/// An endpoint that answers calls of any number of peers, and may call them, too. Dropping it closes all conversations.
#[derive(Debug)]
pub struct Server {
    node: Arc<Node>,
}

impl Server {
    /// Makes a server in plain mode on `addr`; port 0 picks a free one. For loopback and closed networks.
    ///
    /// Until it is served, or asked for anything else, what arrives waits in the socket, and no call is refused for want of a
    /// handler.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind_insecure(addr: SocketAddr, options: impl Into<Options>) -> Result<Self, BindError> {
        Ok(Self { node: helper::open(addr, options.into())? })
    }

    /// As [`bind_insecure`](Self::bind_insecure), with `socket_count` sockets on one port, 1 to 256: as many cores as are to be used.
    ///
    /// Each is a server of its own, to be served by a task of its own on a thread of its own, and all limits apply to each. A peer
    /// stays with one of them, whatever its address. All have to be served: one that is not leaves its peers without an answer.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind_group_insecure(
        addr: SocketAddr,
        socket_count: usize,
        options: impl Into<Options>,
    ) -> Result<Vec<Self>, BindError> {
        let nodes = helper::open_group(addr, socket_count, options.into())?;
        Ok(nodes.into_iter().map(|node| Self { node }).collect())
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
        future::or(Draining { node: &self.node, waiter: None }, late).await;
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

/// Ready when all that peers have asked for is done.
struct Draining<'a> {
    node: &'a Arc<Node>,
    waiter: Option<Waiter>,
}

impl Future for Draining<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let polled = self.node.poll(&mut self.waiter, cx, |state, waiter| {
            if state.endpoint.is_drained() {
                return Poll::Ready(());
            }
            if !state.drainers.contains(&waiter.key) {
                state.drainers.push(waiter.key);
            }
            Poll::Pending
        });
        // Where the socket came to its end, nothing is left to wait for.
        polled.map(|_| ())
    }
}

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            self.node.leave(&waiter, |state, _| state.drainers.retain(|drainer| *drainer != waiter.key));
        }
    }
}
