//! Ctrl-C: once to end in good order, twice to end at once.

use alloc::sync::Arc;
use core::time::Duration;
use std::process;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use posthaste_std::{CallError, Canceller, Pending};

use crate::failure::{Code, Failure};

/// What the process was asked by signals, and what waits for them.
#[derive(Clone)]
pub(crate) struct Interrupts(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_raised: bool,
    /// The call that is given up at the first interrupt.
    call: Option<Canceller>,
}

impl Interrupts {
    /// Begins to listen to the signals that ask the process to end. The second one ends it with `last`.
    ///
    /// # Errors
    /// [`Code::Local`] if the operating system does not let us.
    pub(crate) fn listen(last: Code) -> Result<Self, Failure> {
        let interrupts = Self(Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() }));
        let handled = interrupts.clone();
        ctrlc::set_handler(move || {
            if handled.is_raised() {
                Failure::new(last, "interrupted twice").report();
                process::exit(last as i32);
            }
            handled.raise();
        })
        .map_err(|error| Failure::new(Code::Local, format_args!("cannot wait for signals: {error}")))?;
        Ok(interrupts)
    }

    /// Does what a signal does.
    pub(crate) fn raise(&self) {
        let mut state = self.lock();
        state.is_raised = true;
        let call = state.call.take();
        drop(state);
        self.0.changed.notify_all();
        if let Some(call) = call {
            call.cancel();
        }
    }

    /// Says whether there was a signal.
    pub(crate) fn is_raised(&self) -> bool {
        self.lock().is_raised
    }

    /// Waits for a signal.
    pub(crate) fn wait(&self) {
        let waited = self.0.changed.wait_while(self.lock(), |state| !state.is_raised);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits for `time`, or for a signal.
    pub(crate) fn wait_timeout(&self, time: Duration) {
        let waited = self.0.changed.wait_timeout_while(self.lock(), time, |state| !state.is_raised);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits for the outcome of a call, which is cancelled at a signal; writes its reply over `reply`.
    ///
    /// # Errors
    /// Each outcome but "ok".
    pub(crate) fn conclude(&self, call: Pending, reply: &mut Vec<u8>) -> Result<(), CallError> {
        let mut state = self.lock();
        if state.is_raised {
            call.cancel();
        } else {
            state.call = Some(call.canceller());
        }
        drop(state);
        call.wait_into(reply)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
