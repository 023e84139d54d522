//! Calls that are under way, by xid.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use posthaste_core::Instant;

use super::{CallId, NotSent, Outcome};

/// The calls of a client; `T` is what its transport keeps of each.
#[derive(Debug)]
pub(super) struct Calls<T> {
    count_max: usize,
    next_xid: u32,
    open: BTreeMap<u32, Open<T>>,
    /// For each open call, when it is next to be looked at.
    timers: BTreeSet<(Instant, u32)>,
    ended: VecDeque<(CallId, Outcome)>,
}

/// A call without an outcome.
#[derive(Debug)]
pub(super) struct Open<T> {
    pub(super) deadline: Instant,
    timer: Instant,
    pub(super) state: T,
}

impl<T> Calls<T> {
    /// Makes an empty table. Xids go up from `first_xid`: if it is drawn, nobody can foresee them who has seen none, and none
    /// comes back while a server may still remember it.
    pub(super) const fn new(count_max: usize, first_xid: u32) -> Self {
        Self { count_max, next_xid: first_xid, open: BTreeMap::new(), timers: BTreeSet::new(), ended: VecDeque::new() }
    }

    /// Returns the xid for the next call, which changes nothing.
    ///
    /// # Errors
    /// If there is no room for one.
    pub(super) fn vacant_xid(&self) -> Result<u32, NotSent> {
        if self.open.len() + self.ended.len() >= self.count_max {
            return Err(NotSent::Full);
        }
        let mut xid = self.next_xid;
        // A call may stay open while 2^32 others come and go.
        while self.open.contains_key(&xid) {
            xid = xid.wrapping_add(1);
        }
        Ok(xid)
    }

    /// Adds a call, to be looked at no later than its deadline.
    pub(super) fn insert(&mut self, xid: u32, deadline: Instant, state: T) -> CallId {
        self.next_xid = xid.wrapping_add(1);
        self.open.insert(xid, Open { deadline, timer: deadline, state });
        self.timers.insert((deadline, xid));
        CallId(xid)
    }

    /// Looks at a call at `at`, or at its deadline if that is earlier.
    pub(super) fn set_timer(&mut self, xid: u32, at: Instant) {
        if let Some(call) = self.open.get_mut(&xid) {
            self.timers.remove(&(call.timer, xid));
            call.timer = at.min(call.deadline);
            self.timers.insert((call.timer, xid));
        }
    }

    /// Returns a call whose timer has run out.
    pub(super) fn next_due(&self, now: Instant) -> Option<u32> {
        self.timers.first().filter(|(at, _)| *at <= now).map(|(_, xid)| *xid)
    }

    pub(super) fn get(&self, xid: u32) -> Option<&Open<T>> {
        self.open.get(&xid)
    }

    pub(super) fn get_mut(&mut self, xid: u32) -> Option<&mut Open<T>> {
        self.open.get_mut(&xid)
    }

    /// Ends a call, and keeps its outcome until it is asked for.
    pub(super) fn end(&mut self, xid: u32, outcome: Outcome) {
        if self.remove(xid) {
            self.ended.push_back((CallId(xid), outcome));
        }
    }

    /// Ends all calls; `outcome` says how.
    pub(super) fn end_all(&mut self, mut outcome: impl FnMut(&T) -> Outcome) {
        while let Some((xid, call)) = self.open.pop_first() {
            self.ended.push_back((CallId(xid), outcome(&call.state)));
        }
        self.timers.clear();
    }

    /// Forgets a call and its outcome.
    pub(super) fn cancel(&mut self, id: CallId) {
        if !self.remove(id.0) {
            self.ended.retain(|(ended, _)| *ended != id);
        }
    }

    pub(super) fn poll_outcome(&mut self) -> Option<(CallId, Outcome)> {
        self.ended.pop_front()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    fn remove(&mut self, xid: u32) -> bool {
        let Some(call) = self.open.remove(&xid) else { return false };
        self.timers.remove(&(call.timer, xid));
        true
    }
}
