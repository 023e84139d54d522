//! What whoever receives for all has in its hands.

use core::hint;
use std::io;

use posthaste_core::Instant;
use posthaste_udp::{BusyPoller, Clock, Datagram, RecvBatch, Socket};

/// Buffers for what arrives, and the experience of those who waited for it.
pub(crate) struct Wheel {
    batch: RecvBatch,
    poller: BusyPoller,
}

/// How long to wait, and for what.
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    pub(crate) now: Instant,
    pub(crate) until: Option<Instant>,
    /// Whether several messages or calls are under way.
    pub(crate) has_several: bool,
}

impl Wheel {
    pub(crate) fn new(buffer_count: usize, socket: &Socket) -> Self {
        Self { batch: RecvBatch::new(buffer_count), poller: socket.busy_poller() }
    }

    /// Receives until something has arrived or the time is up: looks again while that is worth it, and sleeps then. Returns the count
    /// of datagrams.
    pub(crate) fn wait(&mut self, socket: &Socket, clock: Clock, wait: Wait) -> io::Result<usize> {
        let mut now = wait.now;
        while self.poller.looks(now, wait.has_several) && wait.until.is_none_or(|until| now < until) {
            match self.look(socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => hint::spin_loop(),
                result => return result,
            }
            now = clock.now();
        }
        socket.recv_timeout(&mut self.batch, wait.until.map(|until| until.saturating_since(now)))
    }

    /// Receives what waits; returns the count of datagrams.
    pub(crate) fn look(&mut self, socket: &Socket) -> io::Result<usize> {
        socket.recv(&mut self.batch)
    }

    /// Takes the next datagram of those that were received last, at `now`.
    pub(crate) fn next_datagram(&mut self, now: Instant) -> Option<Datagram<'_>> {
        let datagram = self.batch.next_datagram();
        if datagram.is_some() {
            self.poller.end(now);
        }
        datagram
    }
}
