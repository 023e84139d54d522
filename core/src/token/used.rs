//! Which tokens have opened their session already.

use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::storage::{Index, Store};
use crate::time::Instant;

/// Remembers which tokens were used, so that each opens one session and no more.
///
/// Keeps the session of each token from its use for as long as a token lives, by when it has expired whenever it was made.
/// As all are kept equally long, they leave in the order in which they came, in a ring. A full ring refuses: a
/// record that had to leave early would let a token in twice (semantics, "a ticket accepted twice").
pub struct UsedTickets<'s> {
    ring: Store<'s, UsedTicket>,
    /// Index of the oldest record.
    first: usize,
    count: usize,
    index: Index<'s>,
    token_timeout: Duration,
}

/// Memory for one used token.
#[derive(Clone, Copy, Debug, Default)]
pub struct UsedTicket {
    session: u64,
    until: Instant,
}

impl UsedTicket {
    /// Memory in which nothing is.
    pub const EMPTY: Self = Self { session: 0, until: Instant::ORIGIN };
}

impl<'s> UsedTickets<'s> {
    /// Makes an empty memory for tokens that live for `token_timeout`; `ring` says how many.
    ///
    /// `buckets` and `nexts` are the memory of an [`Index`] over `ring`.
    ///
    /// # Panics
    /// If `ring` and `nexts` differ in length.
    #[must_use]
    pub fn new(
        ring: Store<'s, UsedTicket>,
        buckets: Store<'s, u32>,
        nexts: Store<'s, u32>,
        token_timeout: Duration,
    ) -> Self {
        let index = Index::new(buckets, nexts);
        assert_eq!(index.capacity() as usize, ring.len(), "the index covers the ring");
        Self { ring, first: 0, count: 0, index, token_timeout }
    }

    /// Remembers the use of the token that opens `session`.
    ///
    /// # Errors
    /// [`TicketRefused`] if it was used before, or there is no room until an older one is forgotten.
    pub fn insert(&mut self, now: Instant, session: u64) -> Result<(), TicketRefused> {
        self.forget_expired(now);
        if self.index.find(session, |index| self.ring[index as usize].session == session).is_some() {
            return Err(TicketRefused::Used);
        }
        if self.count == self.ring.len() {
            return Err(TicketRefused::Full);
        }
        let place = (self.first + self.count) % self.ring.len();
        self.ring[place] = UsedTicket { session, until: now.saturating_add(self.token_timeout) };
        // The server drew the session's id: it serves as its own hash, and nobody can choose collisions.
        self.index.insert(session, place as u32);
        self.count += 1;
        Ok(())
    }

    fn forget_expired(&mut self, now: Instant) {
        while self.count > 0 && self.ring[self.first].until <= now {
            self.index.remove(self.ring[self.first].session, self.first as u32);
            self.first = (self.first + 1) % self.ring.len();
            self.count -= 1;
        }
    }
}

/// Why a token that is authentic and alive opens nothing. Both are answered as if there were no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketRefused {
    /// It has opened its session already.
    Used,
    /// Too many tokens were used within the life of one.
    Full,
}

impl fmt::Display for TicketRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Used => "token was used before",
            Self::Full => "no room to remember the use of a token",
        })
    }
}

impl Error for TicketRefused {}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_token_is_used_once_while_it_lives() {
        with_room_for(4, |used| {
            assert_eq!(used.insert(at(0), 7), Ok(()));
            assert_eq!(used.insert(at(0), 7), Err(TicketRefused::Used));
            assert_eq!(used.insert(at(9), 7), Err(TicketRefused::Used));
            assert_eq!(used.insert(at(10), 7), Ok(()), "no such token can be alive");
        });
    }

    #[test]
    fn a_full_memory_refuses_and_forgets_nothing_early() {
        with_room_for(3, |used| {
            for (second, session) in [(0, 1), (1, 2), (2, 3)] {
                assert_eq!(used.insert(at(second), session), Ok(()));
            }
            assert_eq!(used.insert(at(9), 4), Err(TicketRefused::Full));
            assert_eq!(used.insert(at(9), 1), Err(TicketRefused::Used));
            assert_eq!(used.insert(at(10), 4), Ok(()), "the oldest has expired");
            assert_eq!(used.insert(at(10), 5), Err(TicketRefused::Full));
            assert_eq!(used.insert(at(11), 3), Err(TicketRefused::Used));
        });
    }

    #[test]
    fn a_memory_without_room_refuses_all() {
        with_room_for(0, |used| assert_eq!(used.insert(at(0), 1), Err(TicketRefused::Full)));
    }

    #[test]
    fn sessions_in_one_bucket_are_told_apart() {
        with_room_for(5, |used| {
            // The index has 8 buckets.
            for turn in 0..1000_u64 {
                assert_eq!(used.insert(at(turn * 2), turn * 8), Ok(()));
                assert_eq!(used.insert(at(turn * 2), turn.saturating_sub(4) * 8), Err(TicketRefused::Used));
            }
        });
    }

    fn with_room_for(count: usize, test: impl FnOnce(&mut UsedTickets<'_>)) {
        let (mut ring, mut buckets, mut nexts) = (vec![UsedTicket::default(); count], vec![0; 8], vec![0; count]);
        let timeout = Duration::from_secs(10);
        test(&mut UsedTickets::new(
            Store::lent(&mut ring),
            Store::lent(&mut buckets),
            Store::lent(&mut nexts),
            timeout,
        ));
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }
}
