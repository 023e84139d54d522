//! The clock of one node: what it reads when the world's clock reads something else.

use core::time::Duration;

use posthaste_core::Instant;

/// Maps the world's time to a node's: an offset that may jump, and a drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// World time and node time at the last change.
    world_base: Instant,
    node_base: Instant,
    /// Nanoseconds of the node for a million of the world.
    rate: u64,
}

impl Clock {
    /// A clock that reads the world's time.
    pub const TRUE: Self = Self { world_base: Instant::ORIGIN, node_base: Instant::ORIGIN, rate: MILLION };

    /// Returns what the node reads at `world` time.
    #[must_use]
    pub fn read(&self, world: Instant) -> Instant {
        let elapsed = world.saturating_since(self.world_base).as_nanos();
        self.node_base.saturating_add(duration(elapsed * u128::from(self.rate) / u128::from(MILLION)))
    }

    /// Returns the earliest world time at which the node reads `node` or later.
    #[must_use]
    pub fn world_at(&self, node: Instant) -> Instant {
        let ahead = node.saturating_since(self.node_base).as_nanos();
        // Rounded up: at a time rounded down, the node would find its deadline still ahead.
        self.world_base.saturating_add(duration((ahead * u128::from(MILLION)).div_ceil(u128::from(self.rate))))
    }

    /// Sets the clock forward by `jump` at `world` time.
    pub fn jump_ahead(&mut self, world: Instant, jump: Duration) {
        self.node_base = self.read(world).saturating_add(jump);
        self.world_base = world;
    }

    /// Sets the clock back by `jump` at `world` time, at most to its origin.
    pub fn jump_back(&mut self, world: Instant, jump: Duration) {
        self.node_base = self.read(world).saturating_sub(jump);
        self.world_base = world;
    }

    /// Makes the clock run `ppm` parts per million fast (or slow, if negative) from `world` time on.
    ///
    /// # Panics
    /// If the clock would stand still or run backwards: `ppm` is above -1 000 000.
    pub fn set_drift(&mut self, world: Instant, ppm: i32) {
        self.node_base = self.read(world);
        self.world_base = world;
        self.rate = MILLION.checked_add_signed(i64::from(ppm)).filter(|rate| *rate > 0).expect("a clock runs forward");
    }
}

fn duration(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

const MILLION: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_at_the_world_time_it_maps_to_and_not_before() {
        for ppm in [-100_000, -333, 0, 1, 100_000] {
            let mut clock = Clock::TRUE;
            clock.set_drift(Instant::from_nanos(1_000), ppm);
            clock.jump_ahead(Instant::from_nanos(5_000), Duration::from_nanos(77));
            for nanos in 6_000..7_000 {
                let deadline = Instant::from_nanos(nanos);
                let world = clock.world_at(deadline);
                assert!(clock.read(world) >= deadline);
                assert!(clock.read(world.saturating_sub(Duration::from_nanos(1))) < deadline);
            }
        }
    }

    #[test]
    fn a_jump_moves_the_reading_at_once() {
        let at = Instant::from_nanos(1_000);
        let mut clock = Clock::TRUE;
        clock.jump_back(at, Duration::from_nanos(300));
        assert_eq!(clock.read(at), Instant::from_nanos(700));
        clock.jump_ahead(at, Duration::from_nanos(400));
        assert_eq!(clock.read(at), Instant::from_nanos(1_100));
    }
}
