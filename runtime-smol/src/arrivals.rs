//! What has arrived and waits for somebody to take it.

use alloc::collections::VecDeque;

use posthaste_core::PeerId;

use crate::waiters::{Key, Waiters};

/// Messages or streams that nobody has taken yet, and futures that wait for one.
#[derive(Debug)]
pub(crate) struct Arrivals<T> {
    arrived: VecDeque<Arrived<T>>,
    receivers: VecDeque<Key>,
}

/// A message or stream that arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived<T> {
    pub(crate) peer: PeerId,
    pub(crate) channel: Option<u64>,
    pub(crate) id: T,
}

impl<T> Arrivals<T> {
    pub(crate) const fn new() -> Self {
        Self { arrived: VecDeque::new(), receivers: VecDeque::new() }
    }

    /// Keeps what has arrived, and wakes one who waits for it.
    pub(crate) fn add(&mut self, waiters: &mut Waiters, arrived: Arrived<T>) {
        self.arrived.push_back(arrived);
        if let Some(receiver) = self.next_receiver() {
            waiters.wake(receiver);
        }
    }

    /// Takes what has waited longest, or has a future woken when something comes.
    pub(crate) fn take(&mut self, key: Key) -> Option<Arrived<T>> {
        let arrived = self.arrived.pop_front();
        if arrived.is_none() && !self.receivers.contains(&key) {
            self.receivers.push_back(key);
        }
        arrived
    }

    /// Forgets what nobody can take any more.
    pub(crate) fn retain(&mut self, is_kept: impl FnMut(&Arrived<T>) -> bool) {
        self.arrived.retain(is_kept);
    }

    /// Forgets a future, and returns whom to wake: that one may have been woken for what it does not take.
    pub(crate) fn leave(&mut self, key: Key) -> Option<Key> {
        self.receivers.retain(|receiver| *receiver != key);
        self.next_receiver()
    }

    /// Returns whom to wake if there is something to take.
    fn next_receiver(&mut self) -> Option<Key> {
        if self.arrived.is_empty() { None } else { self.receivers.pop_front() }
    }
}
