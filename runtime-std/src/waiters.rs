//! The threads that sleep until something is there, and what each of them waits for.

use std::thread::{self, Thread, ThreadId};

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
pub(crate) struct Waiters {
    entries: Vec<Waiter>,
    /// Those that were woken and have not risen yet.
    woken_count: usize,
    /// Those of them that are to be unparked when the lock is given back.
    parked_count: usize,
}

struct Waiter {
    id: ThreadId,
    /// `None` once it was unparked.
    thread: Option<Thread>,
    interest: Interest,
    is_woken: bool,
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::with_capacity(WAITER_COUNT), woken_count: 0, parked_count: 0 }
    }

    /// Puts the current thread among those who wait.
    pub(crate) fn register(&mut self, interest: Interest) {
        let thread = thread::current();
        self.entries.push(Waiter { id: thread.id(), thread: Some(thread), interest, is_woken: false });
    }

    /// Takes the current thread, which has risen, from among those who wait.
    pub(crate) fn unregister(&mut self) {
        let current = thread::current().id();
        if let Some(index) = self.entries.iter().position(|waiter| waiter.id == current) {
            let waiter = self.entries.swap_remove(index);
            self.woken_count -= usize::from(waiter.is_woken);
            self.parked_count -= usize::from(waiter.is_woken && waiter.thread.is_some());
        }
    }

    /// Returns how many were woken and have not risen yet: each will have the lock in a moment.
    pub(crate) const fn woken_count(&self) -> usize {
        self.woken_count
    }

    pub(crate) fn wake(&mut self, interest: Interest) {
        self.wake_where(|waited_for| waited_for == interest);
    }

    /// Wakes whoever waits for the end of a call, or for what comes with it.
    pub(crate) fn wake_for_end(&mut self, call: CallId) {
        self.wake_where(|waited_for| {
            waited_for == Interest::Call(call) || matches!(waited_for, Interest::AnyCall | Interest::Room)
        });
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
        if let Some(index) = self.entries.iter().position(|waiter| !waiter.is_woken) {
            self.wake_at(index);
        }
    }

    /// Takes some of the threads that were woken and are to be unparked; all of them, unless they are many.
    pub(crate) fn take_parked(&mut self) -> [Option<Thread>; UNPARKED_COUNT_MAX] {
        let mut parked = self.entries.iter_mut().filter(|waiter| waiter.is_woken).filter_map(|it| it.thread.take());
        let taken = core::array::from_fn(|_| parked.next());
        self.parked_count -= taken.iter().flatten().count();
        taken
    }

    /// Says whether somebody is still to be unparked.
    pub(crate) const fn has_parked(&self) -> bool {
        self.parked_count > 0
    }

    fn wake_where(&mut self, is_meant: impl Fn(Interest) -> bool) {
        if self.woken_count == self.entries.len() {
            return;
        }
        for index in 0..self.entries.len() {
            if is_meant(self.entries[index].interest) {
                self.wake_at(index);
            }
        }
    }

    fn wake_at(&mut self, index: usize) {
        if !core::mem::replace(&mut self.entries[index].is_woken, true) {
            self.woken_count += 1;
            self.parked_count += 1;
        }
    }
}

/// Threads that are unparked between two holds of the lock at most; our choice: as many as calls that leave together.
const UNPARKED_COUNT_MAX: usize = 16;

/// Threads that wait at a time before their list has to grow; our choice. Reserved, because even a lone caller waits beside
/// the helper thread once in many thousand calls.
const WAITER_COUNT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_woken_is_unparked_once_and_counts_until_it_has_risen() {
        let mut waiters = Waiters::new();
        waiters.register(Interest::Room);
        waiters.wake(Interest::Arrival);
        assert_eq!((waiters.woken_count(), waiters.has_parked()), (0, false));
        waiters.wake(Interest::Room);
        waiters.wake_all();
        assert_eq!(waiters.woken_count(), 1);
        let parked = waiters.take_parked().into_iter().flatten();
        assert_eq!(parked.map(|thread| thread.id()).collect::<Vec<_>>(), [thread::current().id()]);
        assert!(!waiters.has_parked());
        waiters.unregister();
        assert_eq!(waiters.woken_count(), 0);
    }

    #[test]
    fn whoever_rises_by_itself_needs_no_unparking() {
        let mut waiters = Waiters::new();
        waiters.register(Interest::Drained);
        waiters.wake_one();
        waiters.unregister();
        assert!(!waiters.has_parked());
        assert_eq!(waiters.woken_count(), 0);
    }
}
