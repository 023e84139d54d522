//! A timer that costs little where deadlines move.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::time;

use async_io::Timer;

/// A timer that is set again only when it would ring too late: each setting costs a system call, and deadlines mostly move
/// away.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: Timer,
    set_to: Option<time::Instant>,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self { timer: Timer::never(), set_to: None }
    }

    /// Ready when the deadline has passed, or earlier: the caller looks at the clock.
    pub(crate) fn poll_until(&mut self, deadline: Option<time::Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        if self.set_to.is_none_or(|set_to| deadline < set_to) {
            self.timer.set_at(deadline);
            self.set_to = Some(deadline);
        }
        let rings = Pin::new(&mut self.timer).poll(cx);
        if rings.is_ready() {
            self.set_to = None;
        }
        rings.map(drop)
    }
}
