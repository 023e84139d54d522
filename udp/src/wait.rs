//! Waits for file descriptors, as finely as the operating system can.

use core::time::Duration;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    Ready,
    /// The time is up, or a signal came.
    NotReady,
}

/// Ends the sleep of a thread that waits for a socket, from another thread.
///
/// As a file descriptor it is readable while it is raised.
#[derive(Debug)]
pub struct Interrupt {
    raised: UnixStream,
    raiser: UnixStream,
}

impl Interrupt {
    /// Makes one that is not raised.
    ///
    /// # Errors
    /// The operating system has no more file descriptors; it takes two.
    pub fn new() -> io::Result<Self> {
        let (raised, raiser) = UnixStream::pair()?;
        raised.set_nonblocking(true)?;
        raiser.set_nonblocking(true)?;
        Ok(Self { raised, raiser })
    }

    /// Ends the sleep that is under way, or else the next one before it begins. Raised again before that, it is raised once.
    pub fn raise(&self) {
        // Where there is no room for another octet, it is raised.
        let _ = (&self.raiser).write(&[0]);
    }

    pub(crate) fn lower(&self) {
        while matches!((&self.raised).read(&mut [0; 64]), Ok(count) if count > 0) {}
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.raised.as_fd()
    }
}

/// Sleeps until `fd` is readable or has an error, at most `timeout`; without one, until then.
pub(crate) fn readable(fd: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<Wake> {
    any_ready(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout)
}

/// As [`readable`], or until `interrupt` is raised, which lowers it.
pub(crate) fn readable_or_raised(
    fd: BorrowedFd<'_>,
    interrupt: &Interrupt,
    timeout: Option<Duration>,
) -> io::Result<Wake> {
    let raised = PollFd::new(interrupt.as_fd(), PollFlags::POLLIN);
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN), raised];
    let wake = any_ready(&mut fds, timeout)?;
    if fds[1].any() == Some(true) {
        interrupt.lower();
    }
    Ok(wake)
}

fn any_ready(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<Wake> {
    match poll(fds, timeout) {
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
