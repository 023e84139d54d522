//! A socket that a poller watches for as long as it lives.

use alloc::sync::Arc;
use core::ops::Deref;
use std::io;
use std::net::UdpSocket;

use polling::{Event, PollMode, Poller};

/// A UDP socket whose arrivals wake `poller` with the event key `key`.
pub(super) struct WatchedSocket {
    socket: UdpSocket,
    poller: Arc<Poller>,
}

impl WatchedSocket {
    /// Makes `socket` non-blocking and has it watched until it is dropped.
    pub(super) fn new(socket: UdpSocket, poller: &Arc<Poller>, key: usize) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        // SAFETY: a watched source must be deleted from the poller before it is closed. Both are owned here, the socket
        // is lent out by reference only, and `drop` deletes it before the fields go.
        unsafe { poller.add_with_mode(&socket, Event::readable(key), PollMode::Level)? };
        Ok(Self { socket, poller: Arc::clone(poller) })
    }
}

impl Drop for WatchedSocket {
    fn drop(&mut self) {
        self.poller.delete(&self.socket).expect("the socket was added and is still open");
    }
}

impl Deref for WatchedSocket {
    type Target = UdpSocket;

    fn deref(&self) -> &UdpSocket {
        &self.socket
    }
}
