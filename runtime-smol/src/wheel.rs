//! Who waits for the socket and for deadlines on behalf of all.

use posthaste_core::Instant;

use crate::waiters::Key;

/// Who drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    Waiter(Key),
    Helper,
}

/// The place of the driver, and what it sleeps for.
#[derive(Debug, Default)]
pub(crate) struct Wheel {
    driver: Option<Driver>,
    /// `None` while the driver is awake.
    sleep: Option<Sleep>,
}

/// The word of a future that it will be polled again in a moment, and then send what all have asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promise {
    /// `None`: whoever has started calls and will wait for their ends.
    pub(crate) by: Option<Key>,
    /// When the helper keeps it.
    pub(crate) until: Instant,
}

/// What wakes the driver, beside a datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sleep {
    pub(crate) until: Option<Instant>,
    pub(crate) awaits_writable: bool,
}

impl Wheel {
    /// Gives the wheel to a future, to the helper, or to nobody; whoever has it is awake.
    pub(crate) const fn give(&mut self, driver: Option<Driver>) {
        self.driver = driver;
        self.sleep = None;
    }

    /// Notes that the driver goes to sleep.
    pub(crate) const fn sleep(&mut self, sleep: Sleep) {
        self.sleep = Some(sleep);
    }

    /// Says whether a driver is there and awake: it looks at everything before it sleeps.
    pub(crate) const fn is_with_somebody_awake(&self) -> bool {
        self.driver.is_some() && self.sleep.is_none()
    }

    /// Says whether a future drives and sleeps.
    pub(crate) fn is_asleep_with(&self, key: Key) -> bool {
        self.driver == Some(Driver::Waiter(key)) && self.sleep.is_some()
    }

    pub(crate) const fn driver(&self) -> Option<Driver> {
        self.driver
    }

    /// Says whether another future drives; from the helper any future takes over.
    pub(crate) fn is_with_other(&self, key: Key) -> bool {
        matches!(self.driver, Some(Driver::Waiter(driver)) if driver != key)
    }

    /// Says whether a driver that sleeps looks after the deadline in time, and after the socket if that is full: it may have gone
    /// to sleep before there was a reason.
    pub(crate) fn covers(&self, deadline: Option<Instant>, is_send_blocked: bool) -> bool {
        self.sleep.is_some_and(|sleep| {
            let is_early = deadline.is_none_or(|deadline| sleep.until.is_some_and(|until| until <= deadline));
            is_early && (sleep.awaits_writable || !is_send_blocked)
        })
    }
}
