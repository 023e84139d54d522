//! Time as the core sees it: a number that the caller hands in.

use core::num::NonZeroU64;
use core::time::Duration;

/// Nanoseconds since an origin the caller picks. Arithmetic saturates.
///
/// 2^64 ns are 584 years, so saturation is reached only by a caller's mistake, and then the clock
/// stands still and nothing wraps.
///
/// `Option<Instant>` takes 8 octets, too: a peer's slot holds many deadlines that are mostly not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(
    /// One more than the nanoseconds, so that zero is left for `None`.
    NonZeroU64,
);

impl Instant {
    /// The origin of the caller's clock.
    pub const ORIGIN: Self = Self(NonZeroU64::MIN);

    /// Makes an instant from nanoseconds since the origin, at most 2^64 - 2.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// Returns the nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0.get() - 1
    }

    /// Returns the time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }

    /// Returns the instant `duration` later.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        self.saturating_add_nanos(nanos(duration))
    }

    /// Returns the instant so many nanoseconds later.
    pub(crate) const fn saturating_add_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Returns the instant `duration` earlier, at the earliest the origin.
    #[must_use]
    pub const fn saturating_sub(self, duration: Duration) -> Self {
        Self::from_nanos(self.as_nanos().saturating_sub(nanos(duration)))
    }
}

/// Returns the earliest of some instants, of which any may be absent; `None` if all are.
#[must_use]
pub fn earliest<const N: usize>(instants: [Option<Instant>; N]) -> Option<Instant> {
    // One less than it is kept as, an absent one is later than all others.
    let nanos = instants.into_iter().fold(u64::MAX, |least, at| at.map_or(u64::MAX, Instant::as_nanos).min(least));
    (nanos < u64::MAX).then(|| Instant::from_nanos(nanos))
}

impl Default for Instant {
    /// [`Instant::ORIGIN`].
    fn default() -> Self {
        Self::ORIGIN
    }
}

pub(crate) const NANOS_PER_MILLI: u64 = 1_000_000;

/// Returns a duration in whole nanoseconds, at most `u64::MAX`.
#[must_use]
pub const fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_instant_takes_no_room_of_its_own() {
        assert_eq!(size_of::<Option<Instant>>(), 8);
        for nanos in [0, 1, u64::MAX - 1] {
            assert_eq!(Instant::from_nanos(nanos).as_nanos(), nanos);
        }
    }

    #[test]
    fn the_earliest_is_that_of_those_that_are_there() {
        let at = |nanos| Some(Instant::from_nanos(nanos));
        assert_eq!(earliest([]), None);
        assert_eq!(earliest([None, None]), None);
        assert_eq!(earliest([None, at(7), at(3), None, at(5)]), at(3));
        assert_eq!(earliest([at(0), None]), Some(Instant::ORIGIN));
        assert_eq!(earliest([None, at(u64::MAX - 1)]), at(u64::MAX - 1));
    }

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let late = Instant::from_nanos(u64::MAX);
        assert_eq!(late.saturating_add(Duration::from_secs(1)), late);
        assert_eq!(Instant::ORIGIN.saturating_sub(Duration::MAX), Instant::ORIGIN);
        assert_eq!(Instant::ORIGIN.saturating_since(late), Duration::ZERO);
        assert_eq!(nanos(Duration::MAX), u64::MAX);
    }
}
