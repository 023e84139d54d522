//! When the keys of the data epoch are updated, and which of them a datagram belongs to.

use core::error::Error;
use core::fmt;
use core::time::Duration;

use super::{Generation, Limits};
use crate::time::Instant;
use crate::wire::Phase;

/// Decides which generation of keys a received datagram has, when this side begins an update, and when the other side may.
///
/// It touches no key: the caller asks before it seals or opens, and tells what came of it.
///
/// ```text
///  ┌──────────► settled ───────────────────────────────┐
///  │               │ half the limit sealed, and the    │ a datagram opened by the next keys, after this
///  │               ▼ current keys are confirmed        │ side acknowledged one of the current
///  │            updated: waits for the other side      │
///  │               │ a datagram opened by the          │
///  │               ▼ current keys                      │
///  └─────────── followed ◄─────────────────────────────┘
///   three probe timeouts
/// ```
///
/// In *updated* and *followed* the previous keys still open late datagrams; once *settled* they do not. One bit of phase is
/// enough, because an update needs an acknowledgement of the one before, and because the numbers of a generation are higher
/// than those of all earlier ones (RFC 9001 §6).
#[derive(Clone, Debug)]
pub struct KeyPhase {
    limits: Limits,
    /// That of what this side seals.
    phase: Phase,
    /// Datagrams sealed by the current keys.
    seals: u64,
    /// Datagrams that did not open, by whatever keys.
    failed_opens: u64,
    /// The first number that was sealed by the current keys.
    sealed_from: Option<u64>,
    /// A datagram sealed by the current keys was acknowledged: the other side has them.
    confirmed: bool,
    /// This side acknowledged a datagram opened by the current keys, so that the other side may update.
    update_allowed: bool,
    /// The lowest and the highest number opened by the current keys.
    opened: Option<(u64, u64)>,
    /// The highest number opened by the previous keys.
    opened_before: Option<u64>,
    /// Until then the previous keys open late datagrams; then they are gone, and this side may update.
    settled_at: Instant,
}

impl KeyPhase {
    /// Makes the state of keys that were never updated or used.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            phase: Phase::Zero,
            seals: 0,
            failed_opens: 0,
            sealed_from: None,
            confirmed: false,
            update_allowed: false,
            opened: None,
            opened_before: None,
            settled_at: Instant::ORIGIN,
        }
    }

    /// Counts a datagram that is about to be sealed, and tells whether the keys are updated first.
    ///
    /// The caller then reads [`phase`](Self::phase) for the header. `number` is the datagram's, greater than all before it.
    ///
    /// # Errors
    /// [`LimitReached`]: the keys [may seal nothing more](Self::is_worn_out), and cannot be replaced yet.
    pub fn begin_seal(&mut self, now: Instant, number: u64) -> Result<KeyUpdate, LimitReached> {
        let mut update = KeyUpdate::NotDue;
        // Half the limit leaves as many datagrams again for the time until the other side follows (protocol §9.6).
        if self.seals >= self.limits.seals / 2 && self.confirmed && now >= self.settled_at {
            self.advance();
            update = KeyUpdate::Due;
        }
        if self.seals >= self.limits.seals {
            return Err(LimitReached);
        }
        self.seals += 1;
        self.sealed_from.get_or_insert(number);
        Ok(update)
    }

    /// Says whether the keys may seal nothing more, and cannot be replaced yet.
    #[must_use]
    pub fn is_worn_out(&self, now: Instant) -> bool {
        self.seals >= self.limits.seals && !(self.confirmed && now >= self.settled_at)
    }

    /// Notes that an acknowledgement up to `largest` is on its way to the other side.
    pub fn on_ack_sent(&mut self, largest: u64) {
        self.update_allowed |= self.opened.is_some_and(|(lowest, _)| lowest <= largest);
    }

    /// Notes an acknowledgement up to `largest`, in a datagram that was opened by keys of `generation`.
    ///
    /// # Errors
    /// [`KeyUpdateError`] if the other side acknowledges by older keys what was sealed by newer (RFC 9001 §6.2).
    pub fn on_ack_received(&mut self, generation: Generation, largest: u64) -> Result<(), KeyUpdateError> {
        if self.sealed_from.is_some_and(|first| first <= largest) {
            if generation == Generation::Previous {
                return Err(KeyUpdateError);
            }
            self.confirmed = true;
        }
        Ok(())
    }

    /// Notes a datagram that opened. If `generation` is [`Generation::Next`] the other side has updated its keys: the
    /// caller updates those of [`Crypto`](super::Crypto) before it seals anything more (RFC 9001 §6.2).
    ///
    /// `pto` is the probe timeout of this moment.
    ///
    /// # Errors
    /// [`KeyUpdateError`] if the other side updated before it could know that this side has the keys, or went back to older
    /// ones (RFC 9001 §6.2, §6.4).
    pub fn on_opened(
        &mut self,
        now: Instant,
        pto: Duration,
        generation: Generation,
        number: u64,
    ) -> Result<(), KeyUpdateError> {
        let (lowest, highest) = self.opened.unwrap_or((u64::MAX, 0));
        match generation {
            Generation::Previous => {
                if number > lowest {
                    return Err(KeyUpdateError);
                }
                self.opened_before = self.opened_before.max(Some(number));
                return Ok(());
            }
            Generation::Current => {
                if self.opened_before > Some(number) {
                    return Err(KeyUpdateError);
                }
            }
            Generation::Next => {
                if !self.update_allowed || number < highest {
                    return Err(KeyUpdateError);
                }
                self.advance();
            }
        }
        self.opened = match self.opened {
            Some((lowest, highest)) => Some((lowest.min(number), highest.max(number))),
            None => {
                self.settled_at = now.saturating_add(pto.saturating_mul(3));
                Some((number, number))
            }
        };
        Ok(())
    }

    /// Counts a datagram that did not open.
    ///
    /// # Errors
    /// [`LimitReached`] if the keys must not be tried again: the caller closes (RFC 9001 §6.6).
    pub fn on_failed_open(&mut self) -> Result<(), LimitReached> {
        self.failed_opens = self.failed_opens.saturating_add(1);
        if self.failed_opens < self.limits.failed_opens { Ok(()) } else { Err(LimitReached) }
    }

    /// Returns the phase of what this side seals.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Tells by which keys to open a received datagram, from its phase and its whole number.
    ///
    /// There is always something to try: that no keys fit must not show by the time it takes (RFC 9001 §9.5).
    #[must_use]
    pub fn generation(&self, now: Instant, phase: Phase, number: u64) -> Generation {
        if phase == self.phase {
            return Generation::Current;
        }
        match self.opened {
            // The other side cannot be further than this side is: it has not even followed.
            None => Generation::Previous,
            Some((lowest, _)) if number < lowest && now < self.settled_at => Generation::Previous,
            Some(_) => Generation::Next,
        }
    }

    fn advance(&mut self) {
        self.opened_before = self.opened.take().map(|(_, highest)| highest);
        self.phase = self.phase.other();
        self.seals = 0;
        self.sealed_from = None;
        self.confirmed = false;
        self.update_allowed = false;
    }
}

/// Whether the keys are updated before the next datagram is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum KeyUpdate {
    /// The keys stay.
    NotDue,
    /// The caller updates them first.
    Due,
}

/// Says that keys were used as often as they may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached;

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keys reached the limit of their use")
    }
}

impl Error for LimitReached {}

/// Says that the other side updated its keys against the rules: a violation, `crypto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUpdateError;

impl fmt::Display for KeyUpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("peer updated its keys against the rules")
    }
}

impl Error for KeyUpdateError {}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn an_update_waits_for_half_the_limit_an_acknowledgement_and_three_probe_timeouts() {
        let mut keys = KeyPhase::new(limits(64));
        keys.on_opened(at(0), PTO, Generation::Current, 0).unwrap();
        for number in 0..32 {
            assert_eq!(keys.begin_seal(at(10), number), Ok(KeyUpdate::NotDue));
        }
        assert_eq!(keys.begin_seal(at(10), 32), Ok(KeyUpdate::NotDue), "nothing is acknowledged");
        keys.on_ack_received(Generation::Current, 5).unwrap();
        assert_eq!(keys.begin_seal(at(2), 33), Ok(KeyUpdate::NotDue), "three probe timeouts are not over");
        assert_eq!(keys.begin_seal(at(3), 34), Ok(KeyUpdate::Due));
        assert_eq!(keys.phase(), Phase::One);
    }

    #[test]
    fn keys_that_cannot_be_replaced_seal_up_to_their_limit() {
        let mut keys = KeyPhase::new(limits(16));
        assert!((0..16).all(|number| keys.begin_seal(at(0), number) == Ok(KeyUpdate::NotDue)));
        assert_eq!(keys.begin_seal(at(0), 16), Err(LimitReached));
        keys.on_opened(at(0), PTO, Generation::Current, 0).unwrap();
        keys.on_ack_received(Generation::Current, 15).unwrap();
        assert_eq!(keys.begin_seal(at(3), 16), Ok(KeyUpdate::Due), "the held back datagram goes by new keys");
    }

    #[test]
    fn failed_opens_count_over_all_generations() {
        let mut keys = KeyPhase::new(limits(64));
        for _ in 0..8 {
            keys.on_failed_open().unwrap();
        }
        follow(&mut keys, 0);
        for _ in 8..15 {
            keys.on_failed_open().unwrap();
        }
        assert_eq!(keys.on_failed_open(), Err(LimitReached));
    }

    #[test]
    fn late_datagrams_open_by_the_previous_keys_until_three_probe_timeouts() {
        let mut keys = KeyPhase::new(limits(64));
        follow(&mut keys, 10);
        assert_eq!(keys.phase(), Phase::One);
        assert_eq!(keys.generation(at(2), Phase::Zero, 9), Generation::Previous);
        assert_eq!(keys.generation(at(2), Phase::One, 9), Generation::Current);
        assert_eq!(keys.generation(at(2), Phase::Zero, 12), Generation::Next);
        assert_eq!(keys.generation(at(3), Phase::Zero, 9), Generation::Next, "the previous keys are gone");
    }

    #[test]
    fn who_updated_first_reads_the_previous_keys_until_the_other_follows() {
        let mut keys = KeyPhase::new(limits(2));
        keys.on_opened(at(0), PTO, Generation::Current, 7).unwrap();
        assert_eq!(keys.begin_seal(at(0), 0), Ok(KeyUpdate::NotDue));
        keys.on_ack_received(Generation::Current, 0).unwrap();
        assert_eq!(keys.begin_seal(at(9), 1), Ok(KeyUpdate::Due));
        assert_eq!(keys.generation(at(99), Phase::Zero, 8), Generation::Previous);
        keys.on_opened(at(99), PTO, Generation::Previous, 8).unwrap();
        assert_eq!(keys.on_ack_received(Generation::Previous, 1), Err(KeyUpdateError), "it had the new keys");
        assert_eq!(keys.on_opened(at(99), PTO, Generation::Current, 6), Err(KeyUpdateError), "8 had older keys than 6");
        keys.on_opened(at(99), PTO, Generation::Current, 9).unwrap();
    }

    #[test]
    fn an_update_before_our_acknowledgement_is_a_violation() {
        let mut keys = KeyPhase::new(limits(64));
        keys.on_opened(at(0), PTO, Generation::Current, 0).unwrap();
        assert_eq!(keys.on_opened(at(0), PTO, Generation::Next, 1), Err(KeyUpdateError));
        follow(&mut keys, 1);
        assert_eq!(keys.on_opened(at(9), PTO, Generation::Next, 9), Err(KeyUpdateError), "the second one is early");
        keys.on_ack_sent(0);
        assert_eq!(keys.on_opened(at(9), PTO, Generation::Next, 9), Err(KeyUpdateError), "0 had the keys before");
        keys.on_ack_sent(2);
        keys.on_opened(at(9), PTO, Generation::Next, 9).unwrap();
    }

    #[test]
    fn older_keys_on_a_higher_number_are_a_violation() {
        let mut keys = KeyPhase::new(limits(64));
        follow(&mut keys, 10);
        assert_eq!(keys.on_opened(at(0), PTO, Generation::Previous, 12), Err(KeyUpdateError));
        keys.on_ack_sent(11);
        assert_eq!(keys.on_opened(at(0), PTO, Generation::Next, 9), Err(KeyUpdateError));
    }

    #[test]
    fn ten_thousand_updates_under_loss_and_reordering_lose_no_datagram_that_arrives() {
        for seals in [64, 16] {
            let mut draw = Draw(seals);
            let mut ends = [End::new(seals), End::new(seals)];
            let mut flying: Vec<(u64, usize, Datagram)> = Vec::new();
            let mut tick = 0;
            while ends[0].generation < 10_000 {
                tick += 1;
                for (from, end) in ends.iter_mut().enumerate() {
                    // Each end sends every second tick on average, loses a tenth, and delays by less than a probe timeout.
                    if draw.below(2) == 0
                        && let Some(datagram) = end.send(tick)
                        && draw.below(10) > 0
                    {
                        flying.push((tick + 1 + draw.below(PTO_TICKS - 1), 1 - from, datagram));
                    }
                }
                for (_, to, datagram) in flying.extract_if(.., |(due, ..)| *due <= tick) {
                    ends[to].receive(tick, &datagram);
                }
            }
            assert!(ends[1].generation.abs_diff(ends[0].generation) <= 1);
        }
    }

    /// One end of a conversation with keys that are numbers: a datagram opens if the generation is the one it was sealed by.
    struct End {
        keys: KeyPhase,
        generation: u64,
        number: u64,
        largest_received: Option<u64>,
    }

    struct Datagram {
        phase: Phase,
        number: u64,
        ack: Option<u64>,
        generation: u64,
    }

    impl End {
        fn new(seals: u64) -> Self {
            Self { keys: KeyPhase::new(limits(seals)), generation: 0, number: 0, largest_received: None }
        }

        fn send(&mut self, tick: u64) -> Option<Datagram> {
            match self.keys.begin_seal(ticks(tick), self.number) {
                Ok(KeyUpdate::NotDue) => {}
                Ok(KeyUpdate::Due) => self.generation += 1,
                Err(LimitReached) => return None,
            }
            if let Some(largest) = self.largest_received {
                self.keys.on_ack_sent(largest);
            }
            let number = self.number;
            self.number += 1;
            Some(Datagram { phase: self.keys.phase(), number, ack: self.largest_received, generation: self.generation })
        }

        fn receive(&mut self, tick: u64, datagram: &Datagram) {
            let now = ticks(tick);
            let generation = self.keys.generation(now, datagram.phase, datagram.number);
            let expected = match generation {
                Generation::Previous => self.generation - 1,
                Generation::Current => self.generation,
                Generation::Next => self.generation + 1,
            };
            assert_eq!(datagram.generation, expected, "datagram {} opens", datagram.number);
            self.keys.on_opened(now, PTO, generation, datagram.number).unwrap();
            if generation == Generation::Next {
                self.generation += 1;
            }
            if let Some(largest) = datagram.ack {
                self.keys.on_ack_received(generation, largest).unwrap();
            }
            self.largest_received = self.largest_received.max(Some(datagram.number));
        }
    }

    /// A small generator: what it draws only has to vary.
    struct Draw(u64);

    impl Draw {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }
    }

    /// Takes the other side's update at `number` + 1, after an acknowledged datagram `number`.
    fn follow(keys: &mut KeyPhase, number: u64) {
        keys.on_opened(at(0), PTO, Generation::Current, number).unwrap();
        keys.on_ack_sent(number);
        keys.on_opened(at(0), PTO, Generation::Next, number + 1).unwrap();
    }

    fn limits(seals: u64) -> Limits {
        Limits { seals, failed_opens: 16 }
    }

    fn at(probe_timeouts: u32) -> Instant {
        Instant::ORIGIN.saturating_add(PTO * probe_timeouts)
    }

    fn ticks(count: u64) -> Instant {
        Instant::from_nanos(count * (PTO.as_nanos() as u64 / PTO_TICKS))
    }

    const PTO: Duration = Duration::from_millis(100);
    const PTO_TICKS: u64 = 5;
}
