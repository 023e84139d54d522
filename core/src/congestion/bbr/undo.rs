//! What BBR knew before losses that may prove false (draft-ietf-ccwg-bbr-06 §5.5.11).

use super::state::State;
use crate::delivery_rate::Rate;
use crate::time::Instant;

/// What is restored if the losses of an episode all prove false.
#[derive(Clone, Copy, Debug)]
pub(super) struct Undo {
    pub(super) bw_shortterm: Rate,
    pub(super) inflight_shortterm: u32,
    pub(super) inflight_longterm: u32,
    /// When the episode and the one before began: what left before belongs to them.
    pub(super) start: Option<Instant>,
    pub(super) previous_start: Option<Instant>,
    /// Losses that were not shown to be false; zero if there is nothing to restore.
    pub(super) lost_count: u16,
    /// The state that a loss ended.
    pub(super) state: Option<State>,
}

impl Undo {
    pub(super) const NOTHING: Self = Self {
        bw_shortterm: Rate::ZERO,
        inflight_shortterm: 0,
        inflight_longterm: 0,
        start: None,
        previous_start: None,
        lost_count: 0,
        state: None,
    };

    /// Takes note that a datagram thought lost, which left at `sent_at`, arrived; says whether that was the last of the episode.
    pub(super) fn on_spurious(&mut self, sent_at: Instant) -> bool {
        // Losses of an earlier episode say nothing about the last one.
        let is_of_episode =
            self.start.is_some_and(|start| sent_at <= start) && self.previous_start.is_none_or(|start| sent_at > start);
        if !is_of_episode || self.lost_count == 0 {
            return false;
        }
        self.lost_count -= 1;
        self.lost_count == 0
    }
}
