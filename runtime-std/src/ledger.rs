//! Our calls, from their start until somebody has taken their outcome.

use core::mem;
use std::collections::HashMap;

use posthaste_core::{CallId, Outcome};

/// The calls that somebody will ask about, each at the place of its index.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
    /// Outcomes of calls whose place was given to another call before somebody asked: those that left nothing in the endpoint.
    displaced: HashMap<CallId, Outcome>,
    open_count: usize,
    untaken_count: usize,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    call: Option<CallId>,
    outcome: Option<Outcome>,
    /// What was heard of the handler and not asked for yet.
    progress: Option<u64>,
}

impl Ledger {
    /// Takes note of a call that somebody will ask about.
    pub(crate) fn follow(&mut self, call: CallId) {
        let index = call.index();
        if self.entries.len() <= index {
            self.grow(index + 1);
        }
        let before = mem::replace(&mut self.entries[index], Entry { call: Some(call), ..Entry::default() });
        if let Entry { call: Some(call), outcome: Some(outcome), .. } = before {
            self.displace(call, outcome);
        }
        self.open_count += 1;
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        self.entries.resize(len, Entry::default());
    }

    #[cold]
    fn displace(&mut self, call: CallId, outcome: Outcome) {
        self.displaced.insert(call, outcome);
    }

    /// Keeps the outcome of a call until it is asked for; false if nobody will ask.
    pub(crate) fn end(&mut self, call: CallId, outcome: Outcome) -> bool {
        let Some(entry) = self.entry_mut(call) else { return false };
        // A call whose end is unknown may end again, by the answer that was on its way.
        if entry.outcome.replace(outcome).is_none() {
            self.open_count -= 1;
            self.untaken_count += 1;
        }
        true
    }

    /// Keeps how far the handler of a call is, until it is asked for.
    pub(crate) fn tell_progress(&mut self, call: CallId, progress: u64) {
        if let Some(entry) = self.entry_mut(call) {
            entry.progress = Some(progress);
        }
    }

    /// Takes how far the handler of a call is, if something was heard of it.
    pub(crate) fn take_progress(&mut self, call: CallId) -> Option<u64> {
        self.entry_mut(call)?.progress.take()
    }

    /// Takes the outcome of a call that has ended, and follows it no longer, unless the outcome is unknown: a definite one may come
    /// late.
    pub(crate) fn take(&mut self, call: CallId) -> Option<Outcome> {
        let Some(entry) = self.entry_mut(call) else { return self.take_displaced(call) };
        let outcome = entry.outcome.take()?;
        if matches!(outcome, Outcome::Unknown(_)) {
            self.open_count += 1;
        } else {
            entry.call = None;
        }
        self.untaken_count -= 1;
        Some(outcome)
    }

    #[cold]
    fn take_displaced(&mut self, call: CallId) -> Option<Outcome> {
        let outcome = self.displaced.remove(&call)?;
        self.untaken_count -= 1;
        Some(outcome)
    }

    /// Follows a call that has not ended no longer; false if nobody asked about it.
    pub(crate) fn unfollow(&mut self, call: CallId) -> bool {
        let Some(entry) = self.entry_mut(call) else { return false };
        entry.call = None;
        self.open_count -= 1;
        true
    }

    /// Says whether a followed call has ended.
    pub(crate) fn has_ended(&self, call: CallId) -> bool {
        let entry = self.entries.get(call.index()).filter(|entry| entry.call == Some(call));
        entry.map_or_else(|| self.displaced.contains_key(&call), |entry| entry.outcome.is_some())
    }

    /// Returns how many followed calls have not ended.
    pub(crate) const fn open_count(&self) -> usize {
        self.open_count
    }

    /// Returns how many calls ended whose outcome nobody took yet.
    pub(crate) const fn untaken_count(&self) -> usize {
        self.untaken_count
    }

    fn entry_mut(&mut self, call: CallId) -> Option<&mut Entry> {
        self.entries.get_mut(call.index()).filter(|entry| entry.call == Some(call))
    }
}
