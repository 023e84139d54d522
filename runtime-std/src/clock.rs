//! The clock that the core does not have.

use std::time;

use posthaste_core::Instant;
use posthaste_core::time::nanos;

/// Translates between the system's monotonic clock and the core's instants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(time::Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(time::Instant::now())
    }

    pub(crate) fn now(self) -> Instant {
        Instant::from_nanos(nanos(self.0.elapsed()))
    }

    /// Returns what the system's clock shows at `instant`.
    pub(crate) fn to_std(self, instant: Instant) -> Option<time::Instant> {
        self.0.checked_add(instant.saturating_since(Instant::ORIGIN))
    }
}
