//! The state of a node in the hands of one task.

use core::ops::{Deref, DerefMut};
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::state::State;

/// The state of a node, for as long as nobody else has it.
///
/// Wakers are the application's code, which may do whatever it likes with the node: run the task at once, or drop it, where its
/// executor is gone, and the futures of ours in it. So they are woken, and dropped, when the state is given back.
pub(crate) struct Locked<'n> {
    mutex: &'n Mutex<State>,
    /// There until the drop.
    guard: Option<MutexGuard<'n, State>>,
}

impl<'n> Locked<'n> {
    pub(crate) fn new(mutex: &'n Mutex<State>) -> Self {
        Self { mutex, guard: Some(lock(mutex)) }
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
        if let Some(state) = self.guard.take()
            && state.waiters.has_released()
        {
            finish(self.mutex, state);
        }
    }
}

/// Gives the state back, and then wakes and drops what was released.
#[cold]
fn finish<'n>(mutex: &'n Mutex<State>, mut state: MutexGuard<'n, State>) {
    loop {
        let released = state.waiters.take_released();
        let has_more = state.waiters.has_released();
        drop(state);
        for waker in released.into_iter().flatten() {
            // One that panics is no reason not to wake the others, and none to end the helper of all endpoints.
            let _ = catch_unwind(AssertUnwindSafe(|| waker.finish()));
        }
        if !has_more {
            return;
        }
        state = lock(mutex);
    }
}

fn lock(mutex: &Mutex<State>) -> MutexGuard<'_, State> {
    // A panic under the lock is a bug of ours in one call; the endpoint looks after its own invariants.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const HELD: &str = "the state is held until the drop";
