//! What a socket error means: wait, one datagram less, or the end of the socket.

use core::fmt;
use std::io;

use nix::errno::Errno;

/// Why the operating system did not take or give a datagram.
///
/// Each is to the protocol what a loss in the network is; the socket goes on. [`Counters`](crate::Counters) tells
/// how often each came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// Nobody listens at the peer's port, or it went away.
    Refused,
    /// No way leads to the peer, or its network or ours is down.
    Unreachable,
    /// The datagram is longer than the path or the interface takes; fragmentation is forbidden.
    TooBig,
    /// The operating system has no memory for the datagram.
    NoBuffers,
    /// A firewall or a policy of this host forbids it.
    Forbidden,
    /// The source address is not this host's, or the destination cannot be one (port 0, missing scope).
    BadAddress,
    /// None of the above.
    Other,
}

impl Loss {
    /// Every cause, in the order in which [`Counters`](crate::Counters) keeps them.
    pub const ALL: [Self; 7] = [
        Self::Refused,
        Self::Unreachable,
        Self::TooBig,
        Self::NoBuffers,
        Self::Forbidden,
        Self::BadAddress,
        Self::Other,
    ];
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused by the peer's host",
            Self::Unreachable => "unreachable",
            Self::TooBig => "too big for the path",
            Self::NoBuffers => "no buffers",
            Self::Forbidden => "forbidden by this host",
            Self::BadAddress => "impossible address",
            Self::Other => "other error",
        })
    }
}

/// The direction of the system call that failed: the same number does not mean the same in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Send,
    Recv,
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The same call again, at once.
    Again,
    /// The same call again when the socket is ready.
    Wait,
    /// Count a lost datagram and go on.
    Lost(Loss),
    /// The socket is of no more use.
    Fatal,
}

/// Judges an error by its number.
///
/// What the network can cause must never be fatal, so whatever is not known is a loss. `EINVAL` on sending is one
/// too: a datagram that claims to come from port 0 makes every answer to it fail so.
pub(crate) fn judge(direction: Direction, error: &io::Error) -> Verdict {
    let Some(number) = error.raw_os_error() else {
        return Verdict::Lost(Loss::Other);
    };
    if error.kind() == io::ErrorKind::WouldBlock {
        return Verdict::Wait;
    }
    if error.kind() == io::ErrorKind::Interrupted {
        return Verdict::Again;
    }
    for (errno, loss) in LOSSES {
        if number == errno as i32 {
            return Verdict::Lost(loss);
        }
    }
    if number == Errno::EINVAL as i32 && direction == Direction::Send {
        return Verdict::Lost(Loss::BadAddress);
    }
    if FATAL.iter().any(|&errno| number == errno as i32) {
        return Verdict::Fatal;
    }
    Verdict::Lost(Loss::Other)
}

/// Whether a driver may say so to a send that it would have to cut into segments: `EIO` without checksum offload,
/// `EINVAL` on some kernels and drivers (Linux, `udp_send_skb`).
pub(crate) fn may_refuse_segmentation(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|number| number == Errno::EIO as i32 || number == Errno::EINVAL as i32)
}

const LOSSES: [(Errno, Loss); 18] = [
    (Errno::ECONNREFUSED, Loss::Refused),
    (Errno::ECONNRESET, Loss::Refused),
    (Errno::EHOSTUNREACH, Loss::Unreachable),
    (Errno::EHOSTDOWN, Loss::Unreachable),
    (Errno::ENETUNREACH, Loss::Unreachable),
    (Errno::ENETDOWN, Loss::Unreachable),
    (Errno::ENETRESET, Loss::Unreachable),
    (Errno::ENODEV, Loss::Unreachable),
    (Errno::ENOPROTOOPT, Loss::Unreachable),
    (Errno::ETIMEDOUT, Loss::Unreachable),
    (Errno::EMSGSIZE, Loss::TooBig),
    (Errno::ENOBUFS, Loss::NoBuffers),
    (Errno::ENOMEM, Loss::NoBuffers),
    (Errno::EPERM, Loss::Forbidden),
    (Errno::EACCES, Loss::Forbidden),
    (Errno::EADDRNOTAVAIL, Loss::BadAddress),
    (Errno::EAFNOSUPPORT, Loss::BadAddress),
    (Errno::EDESTADDRREQ, Loss::BadAddress),
];

/// Only our own mistakes give these.
const FATAL: [Errno; 5] = [Errno::EBADF, Errno::ENOTSOCK, Errno::EINVAL, Errno::EFAULT, Errno::EOPNOTSUPP];

#[cfg(test)]
mod tests {
    use super::*;

    fn judge_number(direction: Direction, errno: Errno) -> Verdict {
        judge(direction, &io::Error::from_raw_os_error(errno as i32))
    }

    #[test]
    fn what_the_network_can_cause_is_a_loss() {
        for direction in [Direction::Send, Direction::Recv] {
            for (errno, loss) in LOSSES {
                assert_eq!(judge_number(direction, errno), Verdict::Lost(loss), "{errno}");
            }
            assert_eq!(judge_number(direction, Errno::EIO), Verdict::Lost(Loss::Other));
        }
        assert_eq!(judge_number(Direction::Send, Errno::EINVAL), Verdict::Lost(Loss::BadAddress));
    }

    #[test]
    fn only_a_socket_that_is_none_is_fatal() {
        for direction in [Direction::Send, Direction::Recv] {
            assert_eq!(judge_number(direction, Errno::EBADF), Verdict::Fatal);
            assert_eq!(judge_number(direction, Errno::ENOTSOCK), Verdict::Fatal);
        }
        assert_eq!(judge_number(Direction::Recv, Errno::EINVAL), Verdict::Fatal);
    }

    #[test]
    fn a_full_socket_waits_and_a_signal_retries() {
        assert_eq!(judge_number(Direction::Send, Errno::EAGAIN), Verdict::Wait);
        assert_eq!(judge_number(Direction::Recv, Errno::EINTR), Verdict::Again);
    }
}
