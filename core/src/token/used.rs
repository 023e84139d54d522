//! Which tokens have opened their session already.

use core::error::Error;
use core::fmt;
use core::time::Duration;

use super::{Token, TokenKeys, TokenKind};
use crate::storage::{Index, Store};
use crate::time::Instant;

/// Remembers which tokens were used, so that each opens one session and no more.
///
/// Keeps the session of each token from its use for as long as one of its kind lives, by when it has expired whenever it was
/// made. As all of a kind are kept equally long, they leave in the order in which they came, in a ring. A full ring refuses:
/// a record that had to leave early would let a token in twice (semantics, "a ticket accepted twice").
pub struct UsedTickets<'s> {
    records: Store<'s, UsedTicket>,
    index: Index<'s>,
    /// Retry tokens, in the first half of the records. They expire soon: tickets must not keep new clients out.
    retries: Ring,
    /// Tickets, in the second half.
    tickets: Ring,
}

/// Records in the order in which they expire.
struct Ring {
    /// Where its part of the records begins, and how many they are.
    start: usize,
    len: usize,
    /// Place of the oldest record in that part.
    first: usize,
    count: usize,
    timeout: Duration,
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
    /// Makes an empty memory for the tokens that `keys` make; one half of `records` is for each [`TokenKind`].
    ///
    /// `buckets` and `nexts` are the memory of an [`Index`] over `records`.
    ///
    /// # Panics
    /// If `records` and `nexts` differ in length.
    #[must_use]
    pub fn new(
        records: Store<'s, UsedTicket>,
        buckets: Store<'s, u32>,
        nexts: Store<'s, u32>,
        keys: &TokenKeys,
    ) -> Self {
        let index = Index::new(buckets, nexts);
        assert_eq!(index.capacity() as usize, records.len(), "the index covers the records");
        let half = records.len() / 2;
        let ring = |start, kind| Ring { start, len: half, first: 0, count: 0, timeout: keys.timeout(kind) };
        Self { records, index, retries: ring(0, TokenKind::Retry), tickets: ring(half, TokenKind::Ticket) }
    }

    /// Remembers the use of a token.
    ///
    /// # Errors
    /// [`TicketRefused`] if it was used before, or there is no room until an older one of its kind is forgotten.
    pub fn insert(&mut self, now: Instant, token: &Token) -> Result<(), TicketRefused> {
        let Self { records, index, retries, tickets } = self;
        retries.forget_expired(now, records, index);
        tickets.forget_expired(now, records, index);
        if index.find(token.session, |place| records[place as usize].session == token.session).is_some() {
            return Err(TicketRefused::Used);
        }
        let ring = match token.kind {
            TokenKind::Retry => retries,
            TokenKind::Ticket => tickets,
        };
        let place = ring.push().ok_or(TicketRefused::Full)?;
        records[place] = UsedTicket { session: token.session, until: now.saturating_add(ring.timeout) };
        // The server drew the session's id: it serves as its own hash, and nobody can choose collisions.
        index.insert(token.session, place as u32);
        Ok(())
    }
}

impl Ring {
    /// Takes the place behind the newest record, if one is left.
    fn push(&mut self) -> Option<usize> {
        if self.count == self.len {
            return None;
        }
        let place = self.start + (self.first + self.count) % self.len;
        self.count += 1;
        Some(place)
    }

    fn forget_expired(&mut self, now: Instant, records: &[UsedTicket], index: &mut Index<'_>) {
        while self.count > 0 {
            let place = self.start + self.first;
            if records[place].until > now {
                return;
            }
            index.remove(records[place].session, place as u32);
            self.first = (self.first + 1) % self.len;
            self.count -= 1;
        }
    }
}

/// Why a token that is authentic and alive opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketRefused {
    /// It has opened its session already.
    Used,
    /// Too many of its kind were used within the life of one.
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
        with_room_for(4, |insert| {
            assert_eq!(insert(0, TokenKind::Retry, 7), Ok(()));
            assert_eq!(insert(0, TokenKind::Retry, 7), Err(TicketRefused::Used));
            assert_eq!(insert(9, TokenKind::Retry, 7), Err(TicketRefused::Used));
            assert_eq!(insert(10, TokenKind::Retry, 7), Ok(()), "no such token can be alive");
        });
    }

    #[test]
    fn a_full_memory_refuses_and_forgets_nothing_early() {
        with_room_for(3, |insert| {
            for (second, session) in [(0, 1), (1, 2), (2, 3)] {
                assert_eq!(insert(second, TokenKind::Retry, session), Ok(()));
            }
            assert_eq!(insert(9, TokenKind::Retry, 4), Err(TicketRefused::Full));
            assert_eq!(insert(9, TokenKind::Retry, 1), Err(TicketRefused::Used));
            assert_eq!(insert(10, TokenKind::Retry, 4), Ok(()), "the oldest has expired");
            assert_eq!(insert(10, TokenKind::Retry, 5), Err(TicketRefused::Full));
            assert_eq!(insert(11, TokenKind::Retry, 3), Err(TicketRefused::Used));
        });
    }

    #[test]
    fn tickets_that_live_long_leave_room_for_retries() {
        with_room_for(2, |insert| {
            assert_eq!(insert(0, TokenKind::Ticket, 1), Ok(()));
            assert_eq!(insert(0, TokenKind::Ticket, 2), Ok(()));
            assert_eq!(insert(0, TokenKind::Ticket, 3), Err(TicketRefused::Full));
            for turn in 0..20 {
                assert_eq!(insert(turn * 10, TokenKind::Retry, 10 + 2 * turn), Ok(()));
                assert_eq!(insert(turn * 10, TokenKind::Retry, 11 + 2 * turn), Ok(()));
                assert_eq!(insert(turn * 10, TokenKind::Retry, 1), Err(TicketRefused::Used));
            }
        });
    }

    #[test]
    fn a_memory_without_room_refuses_all() {
        with_room_for(0, |insert| assert_eq!(insert(0, TokenKind::Retry, 1), Err(TicketRefused::Full)));
    }

    #[test]
    fn sessions_in_one_bucket_are_told_apart() {
        with_room_for(5, |insert| {
            // The index has 8 buckets.
            for turn in 0..1000_u64 {
                assert_eq!(insert(turn * 2, TokenKind::Retry, turn * 8), Ok(()));
                let before = turn.saturating_sub(4) * 8;
                assert_eq!(insert(turn * 2, TokenKind::Retry, before), Err(TicketRefused::Used));
            }
        });
    }

    /// Runs a test with room for so many tokens of each kind; retry tokens live for 10 s, tickets for 600 s.
    fn with_room_for(
        count: usize,
        test: impl FnOnce(&mut dyn FnMut(u64, TokenKind, u64) -> Result<(), TicketRefused>),
    ) {
        let keys = TokenKeys::new(&[0; 16], 0, Duration::from_secs(600));
        let (mut records, mut buckets) = (vec![UsedTicket::default(); 2 * count], vec![0; 8]);
        let mut nexts = vec![0; 2 * count];
        let mut used =
            UsedTickets::new(Store::lent(&mut records), Store::lent(&mut buckets), Store::lent(&mut nexts), &keys);
        test(&mut |second, kind, session| {
            let now = Instant::from_nanos(second * 1_000_000_000);
            used.insert(now, &Token { kind, issued_at: now, session })
        });
    }
}
