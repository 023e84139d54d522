//! Messages of unknown length, as objects to read from and write to.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;
use std::io::{self, Read, Write};

use posthaste_core::StreamId;
use posthaste_core::endpoint::{Delivery, SendError, StreamError, Streamed};

use crate::error::{ReceiveError, Vain};
use crate::message::{PRIORITY, Received};
use crate::node::Node;
use crate::peer::Peer;
use crate::state::State;
use crate::waiters::Interest;

/// Streams.
impl Peer {
    /// Opens a message of unknown length, to be written as it is produced.
    ///
    /// # Errors
    /// [`SendError`]; [`SendError::TooLarge`] for a delivery that is not reliable.
    pub fn open_stream(&self, delivery: Delivery) -> Result<StreamWriter, SendError> {
        let (_, stream) = self.wait_for_room(|state, now| {
            let id = self.id(state, now)?;
            state.endpoint.open_stream(now, id, delivery, PRIORITY)
        })?;
        Ok(StreamWriter::new(Arc::clone(&self.node), stream))
    }

    /// Waits for a stream that the other side opens.
    ///
    /// # Errors
    /// [`ReceiveError::TimedOut`] if none came within `timeout`.
    pub fn accept_stream(&self, timeout: Option<Duration>) -> Result<StreamReader, ReceiveError> {
        accept_stream(&self.node, timeout)
    }
}

/// The writing end of a stream. [`StreamWriter::finish`] ends it; dropped before, it is given up.
pub struct StreamWriter {
    node: Arc<Node>,
    stream: StreamId,
    is_finished: bool,
}

impl StreamWriter {
    pub(crate) const fn new(node: Arc<Node>, stream: StreamId) -> Self {
        Self { node, stream, is_finished: false }
    }

    /// Ends the stream: the reader learns that this was all.
    ///
    /// # Errors
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) if the reader gave it up.
    pub fn finish(mut self) -> io::Result<()> {
        self.is_finished = true;
        let stream = self.stream;
        self.node.command(|state, now| state.endpoint.finish(now, stream)).map_err(broken)
    }
}

impl Write for StreamWriter {
    /// Waits until there is room for at least one octet.
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if octets.is_empty() {
            return Ok(0);
        }
        let stream = self.stream;
        let written = self.node.wait(Interest::Stream(stream), None, |state, now| {
            match state.endpoint.write(now, stream, octets) {
                Ok(0) => None,
                result => Some(result),
            }
        });
        written.map_err(closed)?.map_err(broken)
    }

    /// Does nothing: what was written is under way.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        if !self.is_finished {
            let stream = self.stream;
            // A stream that is over needs no giving up.
            let _ = self.node.command(|state, now| state.endpoint.abandon(now, stream));
        }
    }
}

impl fmt::Debug for StreamWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamWriter").field(&self.stream).finish()
    }
}

/// The reading end of a stream. Dropped before its end, it is given up.
pub struct StreamReader {
    received: Received,
    stream: StreamId,
    read_timeout: Option<Duration>,
    is_over: bool,
}

impl StreamReader {
    pub(crate) const fn new(received: Received, stream: StreamId) -> Self {
        Self { received, stream, read_timeout: None, is_over: false }
    }

    /// Sets how long a read waits at most; `None`, as at first, is without end.
    ///
    /// A writer that has nothing to write and one that is gone look the same from here.
    pub const fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    /// Returns who writes, and on which channel.
    #[must_use]
    pub const fn source(&self) -> &Received {
        &self.received
    }
}

impl Read for StreamReader {
    /// Waits until there is at least one octet, or the end.
    ///
    /// # Errors
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) if the writer gave the stream up or is gone,
    /// [`TimedOut`](io::ErrorKind::TimedOut) if nothing came in the time that was set; it may be read on then.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.is_over || out.is_empty() {
            return Ok(0);
        }
        let stream = self.stream;
        let node = &self.received.peer.node;
        let until = node.deadline_after(self.read_timeout);
        let read =
            node.wait(Interest::Stream(stream), until, |state, now| match state.endpoint.read(now, stream, out) {
                Ok(Streamed::Pending) => None,
                result => Some(result),
            });
        match read.map_err(closed)? {
            Ok(Streamed::Octets(len)) => Ok(len),
            Ok(Streamed::End | Streamed::Pending) => {
                self.is_over = true;
                Ok(0)
            }
            Err(error) => {
                self.is_over = true;
                Err(broken(error))
            }
        }
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        if !self.is_over {
            let stream = self.stream;
            // A stream that is over needs no giving up.
            let _ = self.received.peer.node.command(|state, now| state.endpoint.abandon(now, stream));
        }
    }
}

impl fmt::Debug for StreamReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamReader").field(&self.stream).finish()
    }
}

pub(crate) fn accept_stream(node: &Arc<Node>, timeout: Option<Duration>) -> Result<StreamReader, ReceiveError> {
    let until = node.deadline_after(timeout);
    Ok(node.wait(Interest::Arrival, until, |state, _| take_stream(node, state))?)
}

/// Takes the stream that has waited longest, if there is one.
pub(crate) fn take_stream(node: &Arc<Node>, state: &mut State) -> Option<StreamReader> {
    let (peer, stream, channel) = state.streams.pop_front()?;
    Some(StreamReader::new(Received { peer: Peer::known(Arc::clone(node), peer), channel }, stream))
}

fn broken(error: StreamError) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}

fn closed(vain: Vain) -> io::Error {
    match vain {
        Vain::TimedOut => io::ErrorKind::TimedOut.into(),
        Vain::Closed => io::ErrorKind::NotConnected.into(),
    }
}
