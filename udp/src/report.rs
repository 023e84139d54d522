//! The self-check: what the operating system granted, and what it did since.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::io;

use crate::error::Loss;

/// What a socket was granted: the answer to "why is it slower here?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The receive buffer.
    pub recv_buffer: Buffer,
    /// The send buffer.
    pub send_buffer: Buffer,
    /// Many datagrams in one send, cut apart by the kernel or the network card.
    pub gso: Offload,
    /// Many datagrams in one receive, joined by the kernel or the network card.
    pub gro: Offload,
    /// The ECN codepoint of arriving datagrams is told. Setting it on leaving ones needs no option.
    pub ecn: Offload,
    /// Routers may not fragment; without it, path MTU probes tell nothing.
    pub dont_fragment: Offload,
    /// The operating system brings each datagram to the socket of the port that it names. Without it, those that came to
    /// another one make a detour. Not asked for where the socket has its port for itself.
    pub steering: Offload,
    /// How long a receive call sleeps with [`Waiting::InRecv`](crate::Waiting::InRecv), rounded to the kernel's tick;
    /// zero otherwise.
    pub recv_sleep: Duration,
}

/// A socket buffer's length, asked and granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Octets asked for; see [`Options`](crate::Options).
    pub asked_len: usize,
    /// Octets of payload that the operating system granted.
    ///
    /// Linux charges its own bookkeeping to the buffer and doubles what was asked to make up for it (socket(7),
    /// `SO_RCVBUF`); the doubling is taken out. What fits depends on the datagrams, because memory is charged in
    /// blocks: 0.87 to 2 times this length in datagrams of 1000 octets or more, and twice it when they were joined on
    /// the way, but far less in small ones, each of which is charged as 416 octets at least (measured on Linux 6.18).
    pub granted_len: usize,
}

/// Whether something is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// In use.
    On,
    /// Not in use.
    Off(OffReason),
}

/// Why an offload is not in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OffReason {
    /// [`Options`](crate::Options) says so.
    NotAsked,
    /// The operating system does not have it.
    Unsupported,
    /// It failed in use; the same datagrams went without it.
    Failed {
        /// The operating system's number for the error.
        errno: i32,
    },
}

impl Offload {
    pub(crate) fn if_supported(supported: bool) -> Self {
        if supported { Self::On } else { Self::Off(OffReason::Unsupported) }
    }
}

impl fmt::Display for Offload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On => f.write_str("on"),
            Self::Off(OffReason::NotAsked) => f.write_str("off (not asked for)"),
            Self::Off(OffReason::Unsupported) => f.write_str("off (not supported)"),
            Self::Off(OffReason::Failed { errno }) => {
                write!(f, "off ({})", io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

impl fmt::Display for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets of {} asked", self.granted_len, self.asked_len)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "receive buffer  {}", self.recv_buffer)?;
        writeln!(f, "send buffer     {}", self.send_buffer)?;
        writeln!(f, "gso             {}", self.gso)?;
        writeln!(f, "gro             {}", self.gro)?;
        writeln!(f, "ecn             {}", self.ecn)?;
        writeln!(f, "don't fragment  {}", self.dont_fragment)?;
        writeln!(f, "steering        {}", self.steering)?;
        write!(f, "receive sleep   {:?}", self.recv_sleep)
    }
}

/// What went through a socket since it was opened.
///
/// `datagrams / calls` is what the batches are worth. Counts of one moment, not all of the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams that the operating system took.
    pub sent_count: u64,
    /// System calls that took at least one datagram.
    pub send_call_count: u64,
    /// Datagrams that the operating system gave.
    pub received_count: u64,
    /// System calls that gave at least one datagram.
    pub recv_call_count: u64,
    /// Datagrams lost to socket errors, in the order of [`Loss::ALL`].
    pub lost_counts: [u64; Loss::ALL.len()],
}

impl Counters {
    /// Returns the count of datagrams lost for `cause`.
    #[must_use]
    pub fn lost_count(&self, cause: Loss) -> u64 {
        self.lost_counts[cause as usize]
    }
}

/// The counters of a socket that several threads may use.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    sent: AtomicU64,
    send_calls: AtomicU64,
    received: AtomicU64,
    recv_calls: AtomicU64,
    lost: [AtomicU64; Loss::ALL.len()],
}

impl Tally {
    pub(crate) fn sent(&self, datagram_count: usize) {
        self.send_calls.fetch_add(1, Ordering::Relaxed);
        self.sent.fetch_add(datagram_count as u64, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, datagram_count: usize) {
        self.recv_calls.fetch_add(1, Ordering::Relaxed);
        self.received.fetch_add(datagram_count as u64, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self, cause: Loss, datagram_count: usize) {
        self.lost[cause as usize].fetch_add(datagram_count as u64, Ordering::Relaxed);
    }

    pub(crate) fn counters(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            sent_count: read(&self.sent),
            send_call_count: read(&self.send_calls),
            received_count: read(&self.received),
            recv_call_count: read(&self.recv_calls),
            lost_counts: core::array::from_fn(|index| read(&self.lost[index])),
        }
    }
}
