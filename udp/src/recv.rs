//! Datagrams that arrived: received many a system call, taken one at a time.

use core::array;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::ops::Range;
use std::io::{self, IoSliceMut};

use posthaste_core::ecn::Ecn;
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta};

use crate::address::canonical;
use crate::error::{Direction, Verdict, judge};
use crate::group::Member;
use crate::report::Tally;

/// Buffers for arriving datagrams, and the datagrams of the last receive.
///
/// Each buffer takes one datagram of any length, or up to 64 KiB of datagrams from one peer that the kernel joined
/// (GRO). Allocated once, by `new`; pages that no datagram reached cost no memory on most systems.
pub struct RecvBatch {
    buffers: Box<[u8]>,
    metas: Box<[RecvMeta]>,
    /// How many buffers the last receive filled.
    filled_count: usize,
    /// The next datagram: which buffer, and where in it.
    buffer_index: usize,
    offset: usize,
    /// The socket that they came to, if it shares its port.
    member: Option<Member>,
    /// Whether they were passed on by another socket.
    is_passed_on: bool,
}

/// A datagram that arrived.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram<'b> {
    /// The peer it came from.
    pub from: SocketAddr,
    /// The local address it was sent to, where the operating system tells.
    pub to: Option<IpAddr>,
    /// Its ECN codepoint; not ECN-capable where the operating system does not tell.
    pub ecn: Ecn,
    /// Its octets, to be opened in place. Empty datagrams arrive too.
    pub payload: &'b mut [u8],
}

impl RecvBatch {
    /// The most buffers that one receive can fill.
    pub const BUFFER_COUNT_MAX: usize = BATCH_SIZE;

    /// Makes `buffer_count` buffers of 64 KiB.
    ///
    /// One is enough for a socket that is [waited for in the receive call](crate::Waiting::InRecv), which fills no
    /// more. Others fill as many as have something to take: 4 to 32 is a good choice where many peers send.
    ///
    /// # Panics
    /// If `buffer_count` is 0 or above [`BUFFER_COUNT_MAX`](Self::BUFFER_COUNT_MAX).
    #[must_use]
    pub fn new(buffer_count: usize) -> Self {
        assert!((1..=Self::BUFFER_COUNT_MAX).contains(&buffer_count), "{buffer_count} receive buffers");
        Self {
            buffers: vec![0; BUFFER_LEN * buffer_count].into(),
            metas: vec![RecvMeta::default(); buffer_count].into(),
            filled_count: 0,
            buffer_index: 0,
            offset: 0,
            member: None,
            is_passed_on: false,
        }
    }

    /// Says whether the last receive filled every buffer, or did not look at the socket: then more may wait. Otherwise nothing did,
    /// when it ended.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.filled_count == self.metas.len() || self.is_passed_on
    }

    /// Forgets what was not taken. What is received next is for `member`, if its socket shares a port.
    pub(crate) fn begin(&mut self, member: Option<&Member>) {
        self.clear();
        self.member = member.cloned();
    }

    fn clear(&mut self) {
        self.filled_count = 0;
        self.buffer_index = 0;
        self.offset = 0;
        self.is_passed_on = false;
    }

    /// Takes the next datagram of the last receive, in order of arrival.
    ///
    /// What is for another socket of the same port goes there.
    pub fn next_datagram(&mut self) -> Option<Datagram<'_>> {
        let (meta, place) = loop {
            let (index, place) = self.next_place()?;
            let meta = &self.metas[index];
            let is_elsewhere =
                self.member.as_ref().is_some_and(|member| member.pass_on(*meta, &self.buffers[place.clone()]));
            if !is_elsewhere {
                break (meta, place);
            }
        };
        Some(Datagram {
            from: canonical(meta.addr),
            to: meta.dst_ip.map(|ip| ip.to_canonical()),
            ecn: match meta.ecn {
                None => Ecn::NotEct,
                Some(EcnCodepoint::Ect0) => Ecn::Ect0,
                Some(EcnCodepoint::Ect1) => Ecn::Ect1,
                Some(EcnCodepoint::Ce) => Ecn::Ce,
            },
            payload: &mut self.buffers[place],
        })
    }

    /// Goes on to the next datagram, and returns which buffer it is in and where it lies.
    fn next_place(&mut self) -> Option<(usize, Range<usize>)> {
        if self.buffer_index == self.filled_count {
            return None;
        }
        let index = self.buffer_index;
        let meta = &self.metas[index];
        let buffer = index * BUFFER_LEN;
        let start = self.offset;
        let end = meta.len.min(start + meta.stride);
        self.offset = end;
        if end == meta.len {
            self.buffer_index += 1;
            self.offset = 0;
        }
        Some((index, buffer + start..buffer + end))
    }

    /// Takes what other sockets of the port have passed on, and returns the count of datagrams.
    pub(crate) fn take_passed(&mut self) -> usize {
        self.clear();
        let Self { buffers, metas, filled_count, member, is_passed_on, .. } = self;
        let Some(member) = member else { return 0 };
        let count = member.take(metas.len(), |meta, payload| {
            let filled = &mut metas[*filled_count];
            *filled = meta;
            (filled.len, filled.stride) = (payload.len(), payload.len());
            buffers[*filled_count * BUFFER_LEN..][..payload.len()].copy_from_slice(payload);
            *filled_count += 1;
        });
        *is_passed_on = count > 0;
        count
    }

    /// Fills up to `buffer_count` buffers by one `receive`, and returns the count of datagrams in them. What was not
    /// taken before is gone.
    ///
    /// Errors that tell of a datagram are counted in `tally` and the next one is tried; zero means that there was
    /// nothing but such errors.
    pub(crate) fn fill(
        &mut self,
        buffer_count: usize,
        tally: &Tally,
        mut receive: impl FnMut(&mut [IoSliceMut<'_>], &mut [RecvMeta]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.clear();
        let count = buffer_count.min(self.metas.len());
        let mut slices: [_; BATCH_SIZE] = array::from_fn(|_| IoSliceMut::new(&mut []));
        for (slice, buffer) in slices.iter_mut().zip(self.buffers.chunks_exact_mut(BUFFER_LEN)).take(count) {
            *slice = IoSliceMut::new(buffer);
        }

        for _ in 0..ATTEMPT_COUNT_MAX {
            match receive(&mut slices[..count], &mut self.metas[..count]) {
                Ok(filled_count) => {
                    self.filled_count = filled_count;
                    let datagram_count = self.metas[..filled_count].iter().map(datagram_count).sum();
                    tally.received(datagram_count);
                    return Ok(datagram_count);
                }
                Err(error) => match judge(Direction::Recv, &error) {
                    Verdict::Again => {}
                    Verdict::Lost(cause) => tally.lost(cause, 1),
                    Verdict::Wait | Verdict::Fatal => return Err(error),
                },
            }
        }
        Ok(0)
    }
}

impl fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBatch")
            .field("metas", &&self.metas[self.buffer_index..self.filled_count])
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

/// An empty datagram is one too.
fn datagram_count(meta: &RecvMeta) -> usize {
    meta.len.div_ceil(meta.stride.max(1)).max(1)
}

/// Longer than any UDP payload, and than what Linux joins: never is a datagram cut off.
const BUFFER_LEN: usize = 65_536;

/// Errors that one receive looks past; our choice. Each error is told once, so a row of them is a sick socket, and
/// whoever waits for it must not do so in a circle without sleep.
const ATTEMPT_COUNT_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Loss;
    use nix::errno::Errno;

    #[test]
    fn joined_datagrams_come_apart_and_the_last_may_be_shorter() {
        let mut batch = RecvBatch::new(2);
        let tally = Tally::default();
        let count = batch.fill(2, &tally, |buffers, metas| {
            for (index, octet) in buffers[0][..25].iter_mut().enumerate() {
                *octet = index as u8;
            }
            (metas[0].len, metas[0].stride) = (25, 10);
            (metas[1].len, metas[1].stride) = (0, 0);
            Ok(2)
        });

        assert_eq!(count.unwrap(), 4);
        let firsts_and_lens: Vec<_> =
            core::iter::from_fn(|| batch.next_datagram().map(|d| (d.payload.first().copied(), d.payload.len())))
                .collect();
        assert_eq!(firsts_and_lens, [(Some(0), 10), (Some(10), 10), (Some(20), 5), (None, 0)]);
        assert_eq!(tally.counters().received_count, 4);
    }

    #[test]
    fn an_error_at_any_call_is_counted_and_the_next_datagram_taken() {
        for errno in [Errno::ECONNREFUSED, Errno::ECONNRESET, Errno::EHOSTUNREACH, Errno::ENOBUFS, Errno::EMSGSIZE] {
            for error_count in 0..ATTEMPT_COUNT_MAX {
                let tally = Tally::default();
                let mut call = 0;
                let received = RecvBatch::new(1).fill(1, &tally, |_, metas| {
                    call += 1;
                    if call <= error_count {
                        return Err(errno.into());
                    }
                    (metas[0].len, metas[0].stride) = (1, 1);
                    Ok(1)
                });

                assert_eq!(received.unwrap(), 1, "{errno} {error_count} times");
                assert_eq!(tally.counters().lost_counts.iter().sum::<u64>(), error_count as u64);
            }
        }
    }

    #[test]
    fn a_socket_that_gives_nothing_but_errors_is_left_alone() {
        let tally = Tally::default();
        let received = RecvBatch::new(1).fill(1, &tally, |_, _| Err(Errno::ENOMEM.into()));

        assert_eq!(received.unwrap(), 0);
        assert_eq!(tally.counters().lost_count(Loss::NoBuffers), ATTEMPT_COUNT_MAX as u64);
    }

    #[test]
    fn a_socket_that_is_none_ends_the_receiving() {
        let received = RecvBatch::new(1).fill(1, &Tally::default(), |_, _| Err(Errno::ENOTSOCK.into()));

        assert_eq!(received.unwrap_err().raw_os_error(), Some(Errno::ENOTSOCK as i32));
    }
}
