//! The clock that the core does not have.

use std::time;

use posthaste_core::Instant;

/// Translates between the system's monotonic clock and the core's instants.
#[derive(Clone, Copy, Debug)]
pub struct Clock(time::Instant);

impl Clock {
    /// Makes a clock that shows [`Instant::ORIGIN`] at this moment.
    #[must_use]
    pub fn start() -> Self {
        Self(time::Instant::now())
    }

    /// Returns the time.
    #[must_use]
    pub fn now(self) -> Instant {
        Instant::ORIGIN.saturating_add(self.0.elapsed())
    }

    /// Returns what the system's clock shows at `instant`; `None` beyond what it can show.
    #[must_use]
    pub fn to_std(self, instant: Instant) -> Option<time::Instant> {
        self.0.checked_add(instant.saturating_since(Instant::ORIGIN))
    }
}
