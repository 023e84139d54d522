//! The state of a node in the hands of one thread.

use core::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use crate::state::State;

/// The state of a node, as long as no other thread has it.
///
/// Threads that are woken meanwhile are unparked when it is given back: earlier, each would run only to find it taken, and sleep
/// again.
pub(crate) struct Locked<'n> {
    mutex: &'n Mutex<State>,
    /// There, but for work without it, until the drop.
    guard: Option<MutexGuard<'n, State>>,
}

impl<'n> Locked<'n> {
    pub(crate) fn new(mutex: &'n Mutex<State>) -> Self {
        Self { mutex, guard: Some(lock(mutex)) }
    }

    /// Returns `None` if another thread has the state.
    pub(crate) fn try_new(mutex: &'n Mutex<State>) -> Option<Self> {
        let guard = match mutex.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(Self { mutex, guard: Some(guard) })
    }
}

impl Locked<'_> {
    /// Does some work for which other threads may have the state.
    pub(crate) fn unlocked<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.give_back();
        let result = work();
        self.guard = Some(lock(self.mutex));
        result
    }

    fn give_back(&mut self) {
        if let Some(state) = self.guard.take()
            && state.waiters.has_parked()
        {
            unpark(self.mutex, state);
        }
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.guard.as_ref().expect(HELD)
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.guard.as_mut().expect(HELD)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Gives the state back, and unparks those who were woken.
#[cold]
fn unpark<'n>(mutex: &'n Mutex<State>, mut state: MutexGuard<'n, State>) {
    loop {
        let parked = state.waiters.take_parked();
        let has_more = state.waiters.has_parked();
        drop(state);
        for thread in parked.into_iter().flatten() {
            thread.unpark();
        }
        if !has_more {
            return;
        }
        state = lock(mutex);
    }
}

fn lock(mutex: &Mutex<State>) -> MutexGuard<'_, State> {
    // A panic under the lock is our own mistake, and the endpoint's contract does not depend on who made it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const HELD: &str = "the state is held until the drop";
