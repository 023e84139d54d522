//! What the tests of the loop share.

use core::time::Duration;
use std::io;

use mio::{Events, Poll};

/// Sleeps as [`Poll::poll`] does; false if a signal has ended the sleep, as of a program that was stopped and goes on (signal(7)).
pub(crate) fn sleep(poll: &mut Poll, ready: &mut Events, timeout: Option<Duration>) -> bool {
    match poll.poll(ready, timeout) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
        result => {
            result.unwrap();
            true
        }
    }
}
