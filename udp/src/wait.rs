//! Waits for a file descriptor, as finely as the operating system can.

use core::time::Duration;
use std::io;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    Ready,
    /// The time is up, or a signal came.
    NotReady,
}

/// Sleeps until `fd` is readable or has an error, at most `timeout`; without one, until then.
pub(crate) fn readable(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<Wake> {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    match poll(&mut fds, timeout) {
        Ok(0) | Err(Errno::EINTR) => Ok(Wake::NotReady),
        Ok(_) => Ok(Wake::Ready),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<i32, Errno> {
    nix::poll::ppoll(fds, timeout.map(Into::into), None)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<i32, Errno> {
    use nix::poll::PollTimeout;

    // Rounded up: rounded down, the last millisecond before a deadline would be a busy loop.
    let timeout = timeout.map_or(PollTimeout::NONE, |timeout| {
        let millis = timeout.as_nanos().div_ceil(1_000_000);
        PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
    });
    nix::poll::poll(fds, timeout)
}
