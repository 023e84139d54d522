//! What the reactor rings for the one future that drives.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;
use std::sync::{Mutex, PoisonError};

/// Wakes the driver when the socket or a deadline is ready, and tells the others that it did.
///
/// A future that is polled after the bell has rung, and before the driver is, goes to the socket itself: the driver may be one
/// that is kept without being polled, as beside a loop over a stream of futures.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    has_rung: AtomicBool,
    driver: Mutex<Option<Waker>>,
}

impl Bell {
    /// Has the bell ring for `driver`, which goes to sleep.
    pub(crate) fn hang(&self, driver: &Waker) {
        let mut place = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *place {
            Some(known) => known.clone_from(driver),
            None => *place = Some(driver.clone()),
        }
    }

    /// Notes that somebody looks at the socket and the deadlines; says whether it has rung since the last time.
    pub(crate) fn silence(&self) -> bool {
        // Most turns follow another one: what nobody wrote is cheaper to read than to write.
        self.has_rung() && self.has_rung.swap(false, Ordering::AcqRel)
    }

    /// Says whether it has rung and nobody has looked since.
    pub(crate) fn has_rung(&self) -> bool {
        self.has_rung.load(Ordering::Acquire)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Not under the lock: an executor may run the task at once.
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}
