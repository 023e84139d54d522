//! Sockets that share one port.
//!
//! The operating system brings each datagram to the socket that it names, where it can be taught to. What comes to another one all
//! the same, as on systems that cannot, is passed on within the process.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use std::io;
use std::net::UdpSocket;
use std::sync::{Mutex, MutexGuard, PoisonError};

use posthaste_core::wire::Steering;
use posthaste_core::wire::steering::Instruction;
use quinn_udp::RecvMeta;

use crate::report::{OffReason, Offload};
use crate::wait::Interrupt;

/// One socket's place in its group.
#[derive(Clone)]
pub(crate) struct Member {
    index: usize,
    group: Arc<Group>,
}

struct Group {
    socket_of: fn(&[u8]) -> Option<u8>,
    inboxes: Box<[Inbox]>,
}

/// What other sockets have passed on to one, and what tells of it.
struct Inbox {
    waiting: Mutex<Waiting>,
    interrupt: Interrupt,
}

#[derive(Default)]
struct Waiting {
    datagrams: VecDeque<(RecvMeta, Box<[u8]>)>,
    len: usize,
    /// Whether the interrupt was raised for them.
    is_raised: bool,
}

impl Member {
    /// Makes the members of a group of `count` sockets, in the order of their indices.
    pub(crate) fn group(count: usize, steering: &Steering) -> io::Result<Vec<Self>> {
        let inboxes = (0..count).map(|_| Inbox::new()).collect::<io::Result<_>>()?;
        let group = Arc::new(Group { socket_of: steering.socket_of, inboxes });
        Ok((0..count).map(|index| Self { index, group: Arc::clone(&group) }).collect())
    }

    /// Passes a datagram on to the socket that it names; false if it stays here.
    pub(crate) fn pass_on(&self, meta: RecvMeta, payload: &[u8]) -> bool {
        let named = (self.group.socket_of)(payload).map(usize::from).filter(|named| *named != self.index);
        let Some(inbox) = named.and_then(|named| self.group.inboxes.get(named)) else { return false };
        inbox.put(meta, payload);
        true
    }

    /// Hands what was passed on to this socket, at most `count_max` datagrams, to `keep`, and returns their count.
    pub(crate) fn take(&self, count_max: usize, mut keep: impl FnMut(RecvMeta, &[u8])) -> usize {
        let inbox = self.inbox();
        let mut waiting = inbox.lock();
        let count = count_max.min(waiting.datagrams.len());
        let Waiting { datagrams, len, is_raised } = &mut *waiting;
        for (meta, payload) in datagrams.drain(..count) {
            *len -= payload.len();
            keep(meta, &payload);
        }
        if !datagrams.is_empty() {
            // Whoever was woken may have lowered it.
            inbox.interrupt.raise();
        } else if *is_raised {
            inbox.interrupt.lower();
            *is_raised = false;
        }
        count
    }

    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.inbox().interrupt
    }

    fn inbox(&self) -> &Inbox {
        &self.group.inboxes[self.index]
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.index, self.group.inboxes.len())
    }
}

impl Inbox {
    fn new() -> io::Result<Self> {
        Ok(Self { waiting: Mutex::default(), interrupt: Interrupt::new()? })
    }

    fn put(&self, meta: RecvMeta, payload: &[u8]) {
        let mut waiting = self.lock();
        if waiting.len + payload.len() > INBOX_LEN_MAX || waiting.datagrams.len() == INBOX_COUNT_MAX {
            // As a socket does whose buffer is full.
            return;
        }
        waiting.len += payload.len();
        waiting.datagrams.push_back((meta, payload.into()));
        if !core::mem::replace(&mut waiting.is_raised, true) {
            self.interrupt.raise();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Teaches the operating system to bring the datagrams of a group to the sockets that they name.
#[cfg(target_os = "linux")]
pub(crate) fn steer(one_of_them: &UdpSocket, program: &[Instruction]) -> Offload {
    use nix::libc::{sock_filter, sock_fprog};
    use nix::sys::socket::{setsockopt, sockopt};

    let mut filter: Vec<sock_filter> = program
        .iter()
        .map(|it| sock_filter { code: it.code, jt: it.skip_if, jf: it.skip_else, k: it.operand })
        .collect();
    // The kernel copies the program and writes nothing.
    let program = sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    match setsockopt(one_of_them, sockopt::AttachReusePortCbpf, &program) {
        Ok(()) => Offload::On,
        Err(errno) => Offload::Off(OffReason::Failed { errno: errno as i32 }),
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn steer(_one_of_them: &UdpSocket, _program: &[Instruction]) -> Offload {
    Offload::Off(OffReason::Unsupported)
}

/// What may wait in one inbox: our choice, a small socket buffer. One datagram of any length always fits into an empty one.
const INBOX_LEN_MAX: usize = 1 << 18;
const INBOX_COUNT_MAX: usize = 1024;
