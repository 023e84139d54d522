//! Datagrams on their way out, joined into as few system calls as their neighbours allow.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::io;
use std::sync::OnceLock;

use posthaste_core::ecn::Ecn;
use quinn_udp::{EcnCodepoint, Transmit};

use crate::error::{Direction, Verdict, judge, may_refuse_segmentation};
use crate::report::{OffReason, Tally};

/// A buffer of datagrams to send.
///
/// Datagrams are written into [`slot`](Self::slot) and added by [`commit`](Self::commit), back to back, in sending
/// order. Neighbours to the same address, from the same address, with the same codepoint and of the same length (the
/// last may be shorter) leave in one system call where the kernel can cut them apart (GSO).
///
/// Allocated once, by `new`.
pub struct SendBatch {
    buffer: Box<[u8]>,
    /// Octets of `buffer` in use; the next slot begins here.
    filled_len: usize,
    datagram_len_max: usize,
    runs: Box<[Run]>,
    /// The runs not sent yet are `first_run..run_count`.
    first_run: usize,
    run_count: usize,
}

impl SendBatch {
    /// Makes room for 64 KiB of datagrams, each of at most `datagram_len_max` octets. However long the longest may be, many
    /// short ones fit.
    #[must_use]
    pub fn new(datagram_len_max: usize) -> Self {
        Self {
            buffer: vec![0; RUN_LEN_MAX + datagram_len_max].into(),
            filled_len: 0,
            datagram_len_max,
            runs: vec![Run::NONE; RUN_COUNT_MAX].into(),
            first_run: 0,
            run_count: 0,
        }
    }

    /// Returns the place for the next datagram, `datagram_len_max` octets long, or `None` if the batch has to be sent
    /// first. Its contents are arbitrary.
    pub fn slot(&mut self) -> Option<&mut [u8]> {
        let last_len = self.runs[..self.run_count].last().map_or(0, |run| run.datagram_len);
        // One more like the last would be a run of its own.
        if self.run_count == self.runs.len() || self.filled_len + last_len > RUN_LEN_MAX {
            return None;
        }
        self.buffer.get_mut(self.filled_len..self.filled_len.checked_add(self.datagram_len_max)?)
    }

    /// Adds what was written to the first `len` octets of [`slot`](Self::slot): to `to`, from the local address
    /// `from` (`None` leaves it to the routing table), with the codepoint `ecn`.
    ///
    /// # Panics
    /// If there is no slot, or `len` is above its length.
    pub fn commit(&mut self, len: usize, to: SocketAddr, from: Option<IpAddr>, ecn: Ecn) {
        let slot_len = self.slot().expect("a datagram is committed to a slot").len();
        assert!(len <= slot_len, "a datagram of {len} octets does not fit its slot of {slot_len}");

        let route = Route { to, from, ecn };
        let last = self.runs[self.first_run..self.run_count].last_mut();
        if !last.is_some_and(|run| run.join(len, &route)) {
            self.runs[self.run_count] = Run::new(self.filled_len, len, route);
            self.run_count += 1;
        }
        self.filled_len += len;
    }

    /// Returns whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first_run == self.run_count
    }

    /// Drops what was not sent.
    pub fn clear(&mut self) {
        self.filled_len = 0;
        self.first_run = 0;
        self.run_count = 0;
    }

    /// Hands every datagram to `transmit`, in order, joined where `gso_off` is not set.
    ///
    /// What `transmit` will never take is counted in `tally` and dropped. On an error, the rest stays: it names a
    /// socket that is full, or one that is of no more use.
    pub(crate) fn drain(
        &mut self,
        gso_off: &OnceLock<OffReason>,
        tally: &Tally,
        mut transmit: impl FnMut(&Transmit<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        while self.first_run < self.run_count {
            let run = &mut self.runs[self.first_run];
            while run.datagram_count > 0 {
                let joined_count = if gso_off.get().is_none() { run.joined_count() } else { 1 };
                match transmit(&run.transmit(joined_count, &self.buffer)) {
                    Ok(()) => {
                        // One datagram went where many did not, so it was the joining that failed: unless it is the short one at the
                        // end, and the others are too long.
                        if let Some(errno) = run.refused_errno
                            && run.len_of_first(1) == run.datagram_len
                        {
                            let _ = gso_off.set(OffReason::Failed { errno });
                        }
                        tally.sent(joined_count);
                        run.advance(joined_count);
                    }
                    Err(error) if joined_count > 1 && may_refuse_segmentation(&error) => {
                        run.refused_errno = error.raw_os_error();
                    }
                    Err(error) => match judge(Direction::Send, &error) {
                        Verdict::Again => {}
                        Verdict::Lost(cause) => {
                            tally.lost(cause, joined_count);
                            run.advance(joined_count);
                        }
                        Verdict::Wait | Verdict::Fatal => return Err(error),
                    },
                }
            }
            self.first_run += 1;
        }
        self.clear();
        Ok(())
    }
}

impl fmt::Debug for SendBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBatch")
            .field("filled_len", &self.filled_len)
            .field("runs", &&self.runs[self.first_run..self.run_count])
            .finish_non_exhaustive()
    }
}

/// What neighbours must share to leave together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Route {
    to: SocketAddr,
    from: Option<IpAddr>,
    ecn: Ecn,
}

/// Neighbours that may leave together: all of one length, but the last may be shorter.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Where in the buffer what is left of the run begins.
    start: usize,
    len: usize,
    /// The length of every datagram but the last.
    datagram_len: usize,
    datagram_count: usize,
    route: Route,
    /// The error with which the run was refused as a whole: it is sent singly.
    refused_errno: Option<i32>,
}

impl Run {
    /// Fills the places that hold no run.
    const NONE: Self = Self {
        start: 0,
        len: 0,
        datagram_len: 0,
        datagram_count: 0,
        route: Route { to: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0), from: None, ecn: Ecn::NotEct },
        refused_errno: None,
    };

    fn new(start: usize, len: usize, route: Route) -> Self {
        Self { start, len, datagram_len: len, datagram_count: 1, route, refused_errno: None }
    }

    /// Takes a datagram of `len` octets that follows in the buffer, if it may leave with the others.
    fn join(&mut self, len: usize, route: &Route) -> bool {
        // A shorter datagram ends a run, and an empty one would not be seen by the kernel at all.
        let has_short_tail = self.len != self.datagram_len * self.datagram_count;
        let joins = *route == self.route
            && !has_short_tail
            && (1..=self.datagram_len).contains(&len)
            && self.len + len <= RUN_LEN_MAX
            && self.datagram_count < RUN_DATAGRAM_COUNT_MAX;
        if joins {
            self.len += len;
            self.datagram_count += 1;
        }
        joins
    }

    fn joined_count(&self) -> usize {
        if self.refused_errno.is_none() { self.datagram_count } else { 1 }
    }

    fn len_of_first(&self, datagram_count: usize) -> usize {
        (self.datagram_len * datagram_count).min(self.len)
    }

    fn transmit<'b>(&self, datagram_count: usize, buffer: &'b [u8]) -> Transmit<'b> {
        Transmit {
            destination: self.route.to,
            ecn: match self.route.ecn {
                Ecn::NotEct => None,
                Ecn::Ect0 => Some(EcnCodepoint::Ect0),
                Ecn::Ect1 => Some(EcnCodepoint::Ect1),
                Ecn::Ce => Some(EcnCodepoint::Ce),
            },
            contents: &buffer[self.start..][..self.len_of_first(datagram_count)],
            segment_size: (datagram_count > 1).then_some(self.datagram_len),
            src_ip: self.route.from,
        }
    }

    fn advance(&mut self, datagram_count: usize) {
        let len = self.len_of_first(datagram_count);
        self.start += len;
        self.len -= len;
        self.datagram_count -= datagram_count;
    }
}

/// The longest UDP payload over IPv4: 65 535 less the IP and the UDP header (RFC 791 §3.1, RFC 768). What is cut
/// apart later must have been one such datagram first.
const RUN_LEN_MAX: usize = 65_507;

/// `UDP_MAX_SEGMENTS` of Linux, in `linux/udp.h`, up to 6.8; 128 since.
const RUN_DATAGRAM_COUNT_MAX: usize = 64;

/// Destinations of one batch. Our choice: as many as datagrams of one run.
const RUN_COUNT_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Loss;
    use nix::errno::Errno;

    #[test]
    fn equal_neighbours_leave_together_and_a_shorter_one_ends_the_run() {
        let batch = batch_of(&[(100, A), (100, A), (40, A), (100, A), (100, B)]);

        assert_eq!(sent(batch, |_| Ok(())).0, [(240, Some(100)), (100, None), (100, None)]);
    }

    #[test]
    fn another_source_or_codepoint_starts_a_run() {
        let mut batch = SendBatch::new(100);
        batch.commit(10, A, None, Ecn::Ect0);
        batch.commit(10, A, None, Ecn::Ce);
        batch.commit(10, A, Some(A.ip()), Ecn::Ce);

        assert_eq!(sent(batch, |_| Ok(())).0, [(10, None); 3]);
    }

    #[test]
    fn an_empty_datagram_leaves_alone_and_counts() {
        let (sends, tally) = sent(batch_of(&[(0, A), (0, A), (5, A), (5, A), (0, A)]), |_| Ok(()));

        assert_eq!(sends, [(0, None), (0, None), (10, Some(5)), (0, None)]);
        assert_eq!(tally.counters().sent_count, 5);
    }

    #[test]
    fn a_run_is_at_most_64_datagrams_and_one_ip_datagram_long() {
        let (sends, _) = sent(batch_of(&[(10, A); 65]), |_| Ok(()));
        assert_eq!(sends, [(640, Some(10)), (10, None)]);

        let mut batch = SendBatch::new(1200);
        while batch.slot().is_some() {
            batch.commit(1200, A, None, Ecn::NotEct);
        }
        let (sends, _) = sent(batch, |_| Ok(()));
        assert_eq!(sends, [(54 * 1200, Some(1200))]);
    }

    #[test]
    fn short_datagrams_leave_together_where_long_ones_are_allowed() {
        let mut batch = SendBatch::new(RUN_LEN_MAX);
        while batch.slot().is_some() {
            batch.commit(1200, A, None, Ecn::NotEct);
        }
        assert_eq!(sent(batch, |_| Ok(())).0, [(64_800, Some(1200))]);
    }

    #[test]
    fn a_batch_of_the_longest_datagrams_holds_one() {
        let mut batch = SendBatch::new(RUN_LEN_MAX);
        batch.commit(RUN_LEN_MAX, A, None, Ecn::NotEct);

        assert!(batch.slot().is_none());
    }

    #[test]
    fn what_a_full_socket_did_not_take_stays_in_order() {
        let mut batch = batch_of(&[(10, A), (10, A), (20, B)]);
        let (gso_off, tally) = (OnceLock::from(OffReason::NotAsked), Tally::default());
        let mut room = 1;
        let full = batch.drain(&gso_off, &tally, |_| {
            if room == 0 {
                return Err(Errno::EAGAIN.into());
            }
            room -= 1;
            Ok(())
        });
        assert_eq!(full.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(!batch.is_empty());
        batch.slot().unwrap()[..20].fill(3);
        batch.commit(20, B, None, Ecn::NotEct);

        let mut sends = Vec::new();
        batch
            .drain(&gso_off, &tally, |transmit| {
                sends.push((transmit.contents[0], transmit.contents.len()));
                Ok(())
            })
            .unwrap();

        assert_eq!(sends, [(1, 10), (2, 20), (3, 20)]);
        assert!(batch.is_empty());
    }

    #[test]
    fn a_driver_that_cannot_segment_gets_the_same_datagrams_singly() {
        let mut octets = Vec::new();
        let (sends, tally) = sent(batch_of(&[(10, A), (10, A), (3, A), (7, B), (7, B)]), |transmit| {
            if transmit.segment_size.is_some() {
                return Err(Errno::EIO.into());
            }
            octets.push(transmit.contents.to_vec());
            Ok(())
        });

        // The second run is not tried together: the offload is off for the socket.
        assert_eq!(sends, [(23, Some(10)), (10, None), (10, None), (3, None), (7, None), (7, None)]);
        assert_eq!(octets, [vec![0; 10], vec![1; 10], vec![2; 3], vec![3; 7], vec![4; 7]]);
        assert_eq!((tally.counters().sent_count, tally.counters().lost_counts.iter().sum::<u64>()), (5, 0));
    }

    #[test]
    fn an_impossible_destination_does_not_cost_the_offload() {
        let (sends, tally) = sent(batch_of(&[(10, A), (10, A), (10, B), (10, B)]), |transmit| {
            if transmit.destination == A { Err(Errno::EINVAL.into()) } else { Ok(()) }
        });

        assert_eq!(sends, [(20, Some(10)), (10, None), (10, None), (20, Some(10))]);
        assert_eq!(tally.counters().lost_count(Loss::BadAddress), 2);
        assert_eq!(tally.counters().sent_count, 2);
    }

    #[test]
    fn an_error_at_any_call_loses_that_datagram_only() {
        for errno in [
            Errno::ECONNREFUSED,
            Errno::ECONNRESET,
            Errno::EHOSTUNREACH,
            Errno::ENETUNREACH,
            Errno::EMSGSIZE,
            Errno::ENOBUFS,
            Errno::EPERM,
            Errno::EINVAL,
        ] {
            for failing_call in 0..4 {
                let batch = batch_of(&[(10, A), (10, B), (10, A), (10, B)]);
                let mut call = 0;
                let (sends, tally) = sent(batch, |_| {
                    call += 1;
                    if call - 1 == failing_call { Err(errno.into()) } else { Ok(()) }
                });

                assert_eq!(sends.len(), 4, "{errno} at call {failing_call}");
                assert_eq!(tally.counters().sent_count, 3);
                assert_eq!(tally.counters().lost_counts.iter().sum::<u64>(), 1);
            }
        }
    }

    #[test]
    fn a_signal_costs_a_repeated_call_and_no_datagram() {
        let mut interrupted = false;
        let (sends, tally) = sent(batch_of(&[(10, A)]), |_| {
            if core::mem::replace(&mut interrupted, true) { Ok(()) } else { Err(Errno::EINTR.into()) }
        });

        assert_eq!(sends.len(), 2);
        assert_eq!(tally.counters().sent_count, 1);
    }

    #[test]
    fn a_socket_that_is_none_ends_the_sending() {
        let mut batch = batch_of(&[(10, A)]);
        let ended = batch.drain(&OnceLock::new(), &Tally::default(), |_| Err(Errno::EBADF.into()));

        assert_eq!(ended.unwrap_err().raw_os_error(), Some(Errno::EBADF as i32));
        assert!(!batch.is_empty());
    }

    const A: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 1);
    const B: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 2);

    #[test]
    fn datagrams_that_are_too_long_for_the_interface_do_not_cost_the_joining() {
        let gso_off = OnceLock::new();
        let tally = Tally::default();
        let mut batch = batch_of(&[(100, A), (100, A), (40, A)]);
        let transmit = |call: &Transmit<'_>| match call.segment_size {
            Some(len) if len > 90 => Err(Errno::EINVAL.into()),
            None if call.contents.len() > 90 => Err(Errno::EMSGSIZE.into()),
            _ => Ok(()),
        };
        batch.drain(&gso_off, &tally, transmit).unwrap();
        assert_eq!(gso_off.get(), None);
    }

    /// Datagrams of these lengths; each holds its own index.
    fn batch_of(datagrams: &[(usize, SocketAddr)]) -> SendBatch {
        let mut batch = SendBatch::new(100);
        for (index, &(len, to)) in datagrams.iter().enumerate() {
            batch.slot().unwrap()[..len].fill(index as u8);
            batch.commit(len, to, None, Ecn::NotEct);
        }
        batch
    }

    /// Drains the batch; returns length and segment length of each call.
    fn sent(
        mut batch: SendBatch,
        mut transmit: impl FnMut(&Transmit<'_>) -> io::Result<()>,
    ) -> (Vec<(usize, Option<usize>)>, Tally) {
        let (mut sends, tally) = (Vec::new(), Tally::default());
        batch
            .drain(&OnceLock::new(), &tally, |call| {
                sends.push((call.contents.len(), call.segment_size));
                transmit(call)
            })
            .unwrap();
        (sends, tally)
    }
}
