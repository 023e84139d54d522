//! Acknowledgements that come in bursts (draft-ietf-ccwg-bbr-06 §5.5.9).

use crate::delivery_rate::{Rate, Sample, Ticks, saturated};
use crate::time::Instant;

/// How much more is acknowledged at once than the bandwidth explains: as much more has to be in flight.
#[derive(Clone, Debug)]
pub(super) struct Aggregation {
    /// When the present interval began, and the octets acknowledged since.
    since: Instant,
    delivered: u32,
    /// The most octets beyond what was expected: of this half of the window of rounds, and of the one before.
    extra: [u32; 2],
    round_count: u8,
}

impl Aggregation {
    pub(super) const NONE: Self = Self { since: Instant::ORIGIN, delivered: 0, extra: [0; 2], round_count: 0 };

    /// Lets an interval begin, after a pause.
    pub(super) const fn restart(&mut self, now: Instant) {
        self.since = now;
    }

    /// Takes a sample of a path that delivers `bw` and may hold `window` octets.
    pub(super) fn note(&mut self, now: Instant, sample: &Sample, bw: Rate, window: u32, is_full_bw_reached: bool) {
        let mut expected = saturated(bw.octets(Ticks::between(self.since, now)));
        if self.delivered <= expected {
            self.delivered = 0;
            self.since = now;
            expected = 0;
        }
        self.delivered = self.delivered.saturating_add(sample.newly_acked);
        let extra = self.delivered.saturating_sub(expected).min(window);
        if sample.is_round_start {
            self.round_count = self.round_count.saturating_add(1);
            // Two halves of a window of ten rounds, or of one round in the start.
            if self.round_count >= if is_full_bw_reached { ROUND_COUNT / 2 } else { 1 } {
                self.extra = [0, self.extra[0]];
                self.round_count = 0;
            }
        }
        self.extra[0] = self.extra[0].max(extra);
    }

    /// Returns the most octets of the last rounds.
    pub(super) fn extra(&self) -> u32 {
        self.extra[0].max(self.extra[1])
    }
}

/// The window, in rounds (§2).
const ROUND_COUNT: u8 = 10;
