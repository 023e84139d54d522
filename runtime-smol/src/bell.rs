//! What the reactor rings for the one future that drives.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::waiters::hang;

/// Wakes the driver when the socket or a deadline is ready, and tells the others that it did.
///
/// A future that is polled after the bell has rung, and before the driver is, goes to the socket itself: the driver may be one
/// that is kept without being polled, as beside a loop over a stream of futures.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    has_rung: AtomicBool,
    driver: Mutex<Option<Waker>>,
    /// Told as well if it would sleep for long: the driver may be late.
    helper: Mutex<Option<Waker>>,
}

impl Bell {
    /// Has the bell ring for `driver`, which goes to sleep; returns the one for which it would have rung.
    pub(crate) fn hang(&self, driver: &Waker) -> Option<Waker> {
        hang(&mut lock(&self.driver), driver)
    }

    /// Has the helper told when the bell rings the next time.
    pub(crate) fn tell(&self, helper: &Waker) {
        // There is one, which is ours.
        *lock(&self.helper) = Some(helper.clone());
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
        // Not under the lock: an executor may run the task at once.
        let woken = [lock(&self.helper).take(), lock(&self.driver).take()];
        woken.into_iter().flatten().for_each(Waker::wake);
    }
}

fn lock(place: &Mutex<Option<Waker>>) -> MutexGuard<'_, Option<Waker>> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}
