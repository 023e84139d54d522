//! One conversation: its ids, numbers, acknowledgements and keys, from a hello to its end.

use core::time::Duration;

use crate::ack::AckState;
use crate::aliases::Aliases;
use crate::crypto::KeyPhase;
use crate::ecn::EcnPath;
use crate::loss::LossDetector;
use crate::random::Random;
use crate::sent::InFlight;
use crate::storage::List;
use crate::time::Instant;
use crate::wire::{ConversationId, Phase, ResetToken};

/// The part of a peer's state that ends with a conversation (protocol §1.3).
///
/// What each datagram touches comes last (see [`Peer`](crate::peer::Peer)).
#[derive(Debug)]
#[repr(C)]
pub struct Conversation {
    /// What the aliases stand for that we defined.
    pub aliases_out: Aliases,
    /// What the aliases stand for that the peer defined.
    pub aliases_in: Aliases,
    /// Whether ECN marks pass; the peer counts them by conversation.
    pub ecn: EcnPath,
    /// When the keys are updated; a conversation in the clear has none, and a protected one has them when it is secured.
    pub keys: Option<KeyPhase>,
    /// What has been received, and what to acknowledge.
    pub ack: AckState,
    /// The id that we chose: datagrams to us bear it.
    pub local: ConversationId,
    /// The id that the peer chose: datagrams to it bear it.
    pub remote: ConversationId,
    /// The number of the next datagram.
    pub next_number: u64,
    /// The number that is to be skipped next.
    skip: u64,
    /// Numbers that were skipped, the latest ones.
    skipped: [u64; SKIPPED_COUNT],
    /// What was sent, by number.
    pub sent: List<InFlight>,
    /// Ack-eliciting datagrams in flight.
    pub eliciting_count: u32,
    /// The largest number that the peer acknowledged.
    pub largest_acked: Option<u64>,
    /// When to take a datagram for lost.
    pub loss: LossDetector,
    /// When the next datagram counts as lost by time alone.
    pub loss_at: Option<Instant>,
    /// When the last ack-eliciting datagram was sent.
    pub eliciting_sent_at: Instant,
    /// Probes that are to be sent now, whatever the window says.
    pub probes_due: u32,
    /// What a reset for the peer's id bears, if the peer told.
    pub reset_token: Option<ResetToken>,
}

impl Conversation {
    /// Makes a conversation in which nothing was sent.
    pub fn new(local: ConversationId, remote: ConversationId, ack_delay: Duration, random: &mut Random) -> Self {
        Self {
            local,
            remote,
            reset_token: None,
            next_number: 0,
            skip: 1 + random.below(SKIP_DISTANCE_MIN),
            skipped: [u64::MAX; SKIPPED_COUNT],
            ack: AckState::new(ack_delay),
            sent: List::new(),
            largest_acked: None,
            ecn: EcnPath::new(),
            loss: LossDetector::new(),
            loss_at: None,
            eliciting_sent_at: Instant::ORIGIN,
            eliciting_count: 0,
            probes_due: 0,
            keys: None,
            aliases_out: Aliases::NONE,
            aliases_in: Aliases::NONE,
        }
    }

    /// Takes note that an acknowledgement up to `largest` is on its way.
    pub fn on_ack_sent(&mut self, largest: u64) {
        self.ack.on_ack_sent();
        if let Some(keys) = &mut self.keys {
            keys.on_ack_sent(largest);
        }
    }

    /// Returns the phase of the keys that the next datagram is sealed with.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.keys.as_ref().map_or(Phase::Zero, KeyPhase::phase)
    }

    /// Takes the number of the next datagram, skipping one at unpredictable places, so that a peer that acknowledges what it
    /// never received is found out (protocol §3.2.5; RFC 9000 §21.4).
    pub fn take_number(&mut self, random: &mut Random) -> u64 {
        if self.next_number == self.skip {
            self.skipped.rotate_right(1);
            self.skipped[0] = self.skip;
            self.next_number += 1;
            // The distance grows with the numbers, up to one skip in every 512 to 1024.
            let span = self.next_number.next_power_of_two().clamp(SKIP_DISTANCE_MIN, SKIP_DISTANCE_MAX);
            self.skip = self.next_number + span / 2 + random.below(span / 2) + 1;
        }
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// Takes back the number that was taken last: nothing was sent under it.
    pub const fn return_number(&mut self, number: u64) {
        self.next_number = number;
    }

    /// Says whether a number was never given to a datagram, as far as it is remembered.
    #[must_use]
    pub fn was_skipped(&self, low: u64, high: u64) -> bool {
        self.skipped.iter().any(|skipped| (low..=high).contains(skipped))
    }
}

/// How many skipped numbers are remembered: a liar meets one of the latest. A number we chose.
const SKIPPED_COUNT: usize = 4;
const SKIP_DISTANCE_MIN: u64 = 16;
const SKIP_DISTANCE_MAX: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(random: &mut Random) -> Conversation {
        Conversation::new(ConversationId([1; 8]), ConversationId([2; 8]), Duration::ZERO, random)
    }

    #[test]
    fn a_number_is_skipped_at_least_once_in_1024_and_remembered() {
        let mut random = Random::new([7; 32]);
        let mut conversation = conversation(&mut random);
        let mut last_skip = 0;
        let mut expected = 0;
        for _ in 0..100_000 {
            let number = conversation.take_number(&mut random);
            if number != expected {
                assert_eq!(number, expected + 1);
                assert!(conversation.was_skipped(expected, expected));
                assert!(expected - last_skip <= 1025, "no skip from {last_skip} to {expected}");
                last_skip = expected;
            }
            expected = number + 1;
        }
        assert!(last_skip > 98_000);
    }
}
