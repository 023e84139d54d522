//! Streams, as octets are read and written by async code.

use alloc::sync::Arc;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;

use futures_io::{AsyncRead, AsyncWrite};
use posthaste_core::endpoint::{Delivery, SendError, StreamError, Streamed};
use posthaste_core::{Instant, PeerId, StreamId};

use crate::error::ReceiveError;
use crate::message::Taking;
use crate::node::Node;
use crate::peer::{Peer, Target};
use crate::state::State;
use crate::waiters::Waiter;

/// Streams.
impl Peer {
    /// Opens a message of unknown length, to be written as it is produced.
    ///
    /// # Errors
    /// [`SendError`]; [`SendError::TooLarge`] for a delivery that is not reliable, [`SendError::Full`] if there is no room.
    pub fn open_stream(&self, delivery: Delivery) -> Result<StreamWriter, SendError> {
        let (_, stream) = self.node.command(|state, now| {
            let peer = self.target.find(state, now)?;
            state.endpoint.open_stream(now, peer, delivery, PRIORITY)
        })?;
        Ok(StreamWriter::new(Arc::clone(&self.node), stream))
    }
}

/// A stream that is written. `close` ends it; dropped before, it is abandoned.
pub struct StreamWriter {
    end: End,
}

/// A stream that is read. Dropped before its end, it is abandoned.
pub struct StreamReader {
    end: End,
    peer: Option<PeerId>,
    channel: Option<u64>,
}

/// This side's end of a stream.
struct End {
    node: Arc<Node>,
    stream: StreamId,
    waiter: Waiter,
    is_over: bool,
}

impl StreamWriter {
    pub(crate) fn new(node: Arc<Node>, stream: StreamId) -> Self {
        Self { end: End::new(node, stream) }
    }
}

impl StreamReader {
    pub(crate) fn new(node: Arc<Node>, stream: StreamId, peer: Option<PeerId>, channel: Option<u64>) -> Self {
        Self { end: End::new(node, stream), peer, channel }
    }

    /// Returns the sender of a stream that is a message; that of a call's stream is known from the call.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        self.peer.map(|peer| Peer::new(Arc::clone(&self.end.node), Target::Known(peer)))
    }

    /// Returns the channel, if it came in order on one.
    #[must_use]
    pub const fn channel(&self) -> Option<u64> {
        self.channel
    }
}

impl AsyncWrite for StreamWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.end.poll(cx, |state, stream, now| match state.endpoint.write(now, stream, octets)? {
            0 if !octets.is_empty() => Ok(Poll::Pending),
            len => Ok(Poll::Ready(len)),
        })
    }

    /// Written octets need no flush: they are sent as they come.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.end.is_over {
            return Poll::Ready(Ok(()));
        }
        let polled = self.end.poll(cx, |state, stream, now| state.endpoint.finish(now, stream).map(Poll::Ready));
        self.end.is_over |= polled.is_ready();
        polled
    }
}

impl AsyncRead for StreamReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.end.is_over || out.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let polled = self.end.poll(cx, |state, stream, now| match state.endpoint.read(now, stream, out)? {
            Streamed::Octets(len) => Ok(Poll::Ready(len)),
            Streamed::Pending => Ok(Poll::Pending),
            Streamed::End => Ok(Poll::Ready(0)),
        });
        self.end.is_over |= matches!(polled, Poll::Ready(Ok(0) | Err(_)));
        polled
    }
}

impl End {
    fn new(node: Arc<Node>, stream: StreamId) -> Self {
        let mut state = node.lock();
        let waiter = Waiter::new(&mut state.waiters);
        state.streams.insert(stream, waiter.key);
        drop(state);
        Self { node, stream, waiter, is_over: false }
    }

    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut step: impl FnMut(&mut State, StreamId, Instant) -> Result<Poll<T>, StreamError>,
    ) -> Poll<io::Result<T>> {
        let (stream, node) = (self.stream, &self.node);
        let polled = node.poll_for(&mut node.lock(), &mut self.waiter, cx, |state, _| {
            let now = node.read_clock(state);
            match step(state, stream, now) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(value)) => {
                    state.settle(node.socket(), now);
                    Poll::Ready(Ok(value))
                }
                Err(error) => Poll::Ready(Err(error)),
            }
        });
        polled.map(|result| match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(StreamError::Abandoned)) => Err(io::ErrorKind::ConnectionReset.into()),
            Ok(Err(_)) => Err(io::ErrorKind::ConnectionAborted.into()),
            Err(_) => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.node.leave(&self.waiter, |state, now| {
            state.streams.remove(&self.stream);
            if !self.is_over {
                // Stale if its session is gone.
                let _ = state.endpoint.abandon(now, self.stream);
            }
        });
    }
}

impl fmt::Debug for StreamWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamWriter").field(&self.end.stream).finish()
    }
}

impl fmt::Debug for StreamReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamReader").field(&self.end.stream).finish()
    }
}

/// Takes the next stream of any peer.
pub(crate) async fn accept_stream(node: &Arc<Node>) -> Result<StreamReader, ReceiveError> {
    let arrived = Taking::new(node, |state| &mut state.incoming_streams).await?;
    Ok(StreamReader::new(Arc::clone(node), arrived.id, Some(arrived.peer), arrived.channel))
}

/// In the middle; a stream is none that others wait for.
const PRIORITY: u8 = 1;
