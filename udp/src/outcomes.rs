//! Outcomes of calls that are taken out of an endpoint together.

use posthaste_core::{CallId, Endpoint, Instant, MessageId, Outcome, StaleId};

/// Outcomes of calls in the order in which they were taken, with the octets of their replies: whoever has many calls under way takes
/// all that have ended at once, and looks at them without the endpoint.
///
/// Keeps its memory for the next outcomes, until it is dropped.
#[derive(Debug, Default)]
pub struct OutcomeBatch {
    entries: Vec<Entry>,
    /// How many of them were told.
    told_count: usize,
    /// The octets of all replies, one after the other.
    octets: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    call: CallId,
    outcome: Outcome,
    /// Where the octets of its reply end.
    octets_end: usize,
}

impl OutcomeBatch {
    /// Forgets all, and makes room for `count` outcomes.
    pub fn begin(&mut self, count: usize) {
        self.entries.clear();
        self.entries.reserve(count);
        self.octets.clear();
        self.told_count = 0;
    }

    /// Copies the octets of a reply here, for the outcome that is added next, and lets go of it.
    ///
    /// # Errors
    /// [`StaleId`] if it was released.
    #[inline]
    pub fn take(&mut self, endpoint: &mut Endpoint<'_>, now: Instant, reply: MessageId) -> Result<(), StaleId> {
        self.octets.extend_from_slice(endpoint.payload(reply)?);
        endpoint.release(now, reply)
    }

    /// Adds an outcome.
    #[inline]
    pub fn push(&mut self, call: CallId, outcome: Outcome) {
        self.entries.push(Entry { call, outcome, octets_end: self.octets.len() });
    }

    /// Says whether there are enough octets for one go: more would leave the cache before they are looked at.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.octets.len() >= OCTETS_LEN
    }

    /// Returns how many outcomes are left to tell.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len() - self.told_count
    }

    /// Says whether none is left to tell.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells the next outcome, with what was copied for it.
    #[inline]
    pub fn next_outcome(&mut self) -> Option<(CallId, Outcome, &[u8])> {
        let begin = self.told_count.checked_sub(1).map_or(0, |last| self.entries[last].octets_end);
        let entry = self.entries.get(self.told_count)?;
        self.told_count += 1;
        Some((entry.call, entry.outcome, &self.octets[begin..entry.octets_end]))
    }
}

/// Our choice: the replies of one long datagram.
const OCTETS_LEN: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use posthaste_core::endpoint::{Remote, Request};
    use posthaste_core::{Config, Storage};

    use super::*;

    #[test]
    fn outcomes_are_told_once_and_in_their_order() {
        let config = Config::lan();
        let storage = Storage::owned(&config);
        let mut endpoint = Endpoint::new_insecure(config, storage, [1; 32], Instant::ORIGIN).unwrap();
        let remote = Remote { address: "127.0.0.1:9".parse().unwrap(), identity: &[] };
        let peer = endpoint.peer(Instant::ORIGIN, &remote).unwrap();
        let calls = [1, 2].map(|it| endpoint.call(Instant::ORIGIN, peer, Request::new(1, 1, it, b"")).unwrap());
        let mut batch = OutcomeBatch::default();
        for outcome in [Outcome::Delivered, Outcome::ReplyLost] {
            batch.begin(2);
            for call in calls {
                batch.push(call, outcome);
            }
            assert_eq!(batch.len(), 2);
            assert_eq!(batch.next_outcome(), Some((calls[0], outcome, &[][..])));
            assert!(!batch.is_empty());
            assert_eq!(batch.next_outcome(), Some((calls[1], outcome, &[][..])));
            assert!(batch.is_empty());
            assert_eq!(batch.next_outcome(), None);
        }
    }
}
