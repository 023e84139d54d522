//! The threads that sleep until something is there, and what each of them waits for.

use std::thread::{self, Thread};

use posthaste_core::{CallId, PeerId, StreamId};

/// What a sleeping thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// The end of one call.
    Call(CallId),
    /// The end of any call.
    AnyCall,
    /// News of a peer.
    Peer(PeerId),
    /// More to read, or room to write.
    Stream(StreamId),
    /// A message or stream that arrives.
    Arrival,
    /// Room for something to be sent.
    Room,
    /// The end of all that peers have asked for.
    Drained,
}

/// The threads of a node that wait while another one drives.
pub(crate) struct Waiters(Vec<Waiter>);

struct Waiter {
    thread: Thread,
    interest: Interest,
    is_woken: bool,
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(WAITER_COUNT))
    }

    /// Puts the current thread among those who wait.
    pub(crate) fn register(&mut self, interest: Interest) {
        self.0.push(Waiter { thread: thread::current(), interest, is_woken: false });
    }

    /// Takes the current thread from among those who wait.
    pub(crate) fn unregister(&mut self) {
        let current = thread::current().id();
        if let Some(index) = self.0.iter().position(|waiter| waiter.thread.id() == current) {
            self.0.swap_remove(index);
        }
    }

    pub(crate) fn wake(&mut self, interest: Interest) {
        self.wake_where(|waited_for| waited_for == interest);
    }

    /// Wakes whoever waits for a stream: with a session end its streams, and with a call those beside it, and no event tells
    /// which those were.
    pub(crate) fn wake_streams(&mut self) {
        self.wake_where(|waited_for| matches!(waited_for, Interest::Stream(_)));
    }

    pub(crate) fn wake_all(&mut self) {
        self.wake_where(|_| true);
    }

    /// Wakes one that sleeps, whatever it waits for.
    pub(crate) fn wake_one(&mut self) {
        if let Some(waiter) = self.0.iter_mut().find(|waiter| !waiter.is_woken) {
            waiter.wake();
        }
    }

    fn wake_where(&mut self, is_meant: impl Fn(Interest) -> bool) {
        for waiter in self.0.iter_mut().filter(|waiter| is_meant(waiter.interest)) {
            waiter.wake();
        }
    }
}

impl Waiter {
    fn wake(&mut self) {
        if !self.is_woken {
            self.is_woken = true;
            self.thread.unpark();
        }
    }
}

/// Threads that wait at a time before their list has to grow; our choice. Reserved, because even a lone caller waits beside
/// the helper thread once in many thousand calls.
const WAITER_COUNT: usize = 16;
