//! The clock that the core does not have.

use std::time;

use posthaste_core::Instant;

/// Translates between the system's monotonic clock and the endpoint's instants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(time::Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(time::Instant::now())
    }

    pub(crate) fn now(self) -> Instant {
        Instant::ORIGIN.saturating_add(self.0.elapsed())
    }

    /// Returns what the system's clock shows at `instant`.
    pub(crate) fn to_std(self, instant: Instant) -> time::Instant {
        self.0 + instant.saturating_since(Instant::ORIGIN)
    }
}
