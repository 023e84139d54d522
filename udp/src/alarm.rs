//! A timer that is waited for as a socket is.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use posthaste_core::Instant;

/// A timer of a readiness loop: as a file descriptor it becomes readable when it rings.
///
/// It is for deadlines that move with every datagram. A time-out of `epoll_wait` is set and taken back with each sleep, and that lies
/// on the way of what has arrived; this is set when a deadline comes nearer, or after it has rung for one that has moved on.
#[derive(Debug)]
pub struct Alarm {
    timer: Timer,
    rings_at: Option<Instant>,
}

impl Alarm {
    /// Makes one that does not ring.
    ///
    /// # Errors
    /// The operating system has no more file descriptors, or no such timer: only Linux and Android have.
    pub fn new() -> io::Result<Self> {
        Ok(Self { timer: Timer::new()?, rings_at: None })
    }

    /// Sees that it rings at an instant after `now`, if not before.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set(&mut self, now: Instant, at: Instant) -> io::Result<()> {
        if self.rings_at.is_some_and(|rings_at| now < rings_at && rings_at <= at) {
            return Ok(());
        }
        self.timer.set(at.saturating_since(now))?;
        self.rings_at = Some(at);
        Ok(())
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
use self::timerfd::Timer;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod timerfd {
    use core::time::Duration;
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd};

    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

    #[derive(Debug)]
    pub(super) struct Timer(TimerFd);

    impl Timer {
        pub(super) fn new() -> io::Result<Self> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            Ok(Self(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?))
        }

        /// Has it ring once, after a time that is not zero, and no more for what it was set to before.
        pub(super) fn set(&self, after: Duration) -> io::Result<()> {
            let after = Expiration::OneShot(TimeSpec::from_duration(after));
            Ok(self.0.set(after, TimerSetTimeFlags::empty())?)
        }
    }

    impl AsFd for Timer {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
use self::none::Timer;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod none {
    use core::convert::Infallible;
    use core::time::Duration;
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd};

    #[derive(Debug)]
    pub(super) struct Timer(Infallible);

    impl Timer {
        pub(super) fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn set(&self, _: Duration) -> io::Result<()> {
            match self.0 {}
        }
    }

    impl AsFd for Timer {
        fn as_fd(&self) -> BorrowedFd<'_> {
            match self.0 {}
        }
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::wait::{Wake, readable};

    #[test]
    fn it_rings_once_and_at_the_earliest_instant_that_it_was_set_to() {
        let [early, late] = [Duration::from_millis(1), Duration::from_secs(100)];
        let at = |time| Instant::ORIGIN.saturating_add(time);
        for instants in [[early, late], [late, early]] {
            let mut alarm = Alarm::new().unwrap();
            assert_eq!(readable(alarm.as_fd(), Some(Duration::ZERO)).unwrap(), Wake::NotReady);
            for instant in instants {
                alarm.set(Instant::ORIGIN, at(instant)).unwrap();
            }
            assert_eq!(readable(alarm.as_fd(), None).unwrap(), Wake::Ready);
            alarm.set(at(early), at(late)).unwrap();
            assert_eq!(readable(alarm.as_fd(), Some(Duration::ZERO)).unwrap(), Wake::NotReady);
        }
    }
}
