//! The timer of an endpoint, where the operating system has one that a loop can wait for as for a socket.

use std::os::fd::RawFd;

use posthaste_core::Instant;

#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug)]
pub(crate) struct Alarm(Option<posthaste_udp::Alarm>);

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Alarm {
    /// Makes one that does not ring; never, where there are no more file descriptors.
    pub(crate) fn new() -> Self {
        Self(posthaste_udp::Alarm::new().ok())
    }

    /// Sees that it rings at an instant after `now`, if not before; false if it cannot.
    pub(crate) fn ring(&mut self, now: Instant, at: Instant) -> bool {
        self.0.as_mut().is_some_and(|alarm| alarm.set(now, at).is_ok())
    }

    pub(crate) fn fd(&self) -> Option<RawFd> {
        use std::os::fd::{AsFd, AsRawFd};

        self.0.as_ref().map(|alarm| alarm.as_fd().as_raw_fd())
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[derive(Debug)]
pub(crate) struct Alarm;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Alarm {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn ring(&mut self, _: Instant, _: Instant) -> bool {
        false
    }

    pub(crate) fn fd(&self) -> Option<RawFd> {
        None
    }
}
