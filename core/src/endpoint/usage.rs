//! How much of its memory an endpoint uses.

use super::Endpoint;

/// What of an endpoint's pools is taken; each has its limit in [`Config`](crate::Config).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Peers, of whatever stage.
    pub peers: u32,
    /// Messages and calls, in both directions.
    pub exchanges: u32,
    /// Flows that are sent: messages, requests, replies, streams.
    pub outgoing: u32,
    /// Flows that are received.
    pub incoming: u32,
    /// Datagrams that were sent and are not acknowledged.
    pub datagrams: u32,
    /// Frames that were sent and are not acknowledged.
    pub frames: u32,
    /// Channels in use.
    pub channels: u32,
    /// Octets of payloads, with what rounding adds.
    pub payload_octets: usize,
}

impl Endpoint<'_> {
    /// Returns what is taken of the pools: for metrics, and to see that nothing is left when all is over.
    #[must_use]
    pub const fn usage(&self) -> Usage {
        Usage {
            peers: self.peers.len(),
            exchanges: self.memory.exchanges.len(),
            outgoing: self.memory.outgoing.len(),
            incoming: self.memory.incoming.len(),
            datagrams: self.memory.datagrams.len(),
            frames: self.memory.frames.len(),
            channels: self.memory.channels.len(),
            payload_octets: self.memory.arena.used(),
        }
    }

    /// Returns how many calls or replies to give, where many are given in a row, before [`Endpoint::poll_transmit`] is asked for
    /// what is ready: so that the other side has work while the rest is done here.
    ///
    /// Half of what is under way, or was lately: one half is answered while the other is on its way, and many calls share a datagram.
    /// 16 to 256.
    #[must_use]
    pub const fn slice_count(&self) -> usize {
        let count = self.memory.exchanges.len();
        let half = if count > self.under_way_lately { count } else { self.under_way_lately } as usize / 2;
        if half < SLICE_COUNT_MIN {
            SLICE_COUNT_MIN
        } else if half > SLICE_COUNT_MAX {
            SLICE_COUNT_MAX
        } else {
            half
        }
    }

    /// Notes how much is under way. Who takes in many replies at once has few calls open until it has followed them by others.
    pub(super) fn note_under_way(&mut self) {
        let fading = self.under_way_lately - self.under_way_lately.div_ceil(64);
        self.under_way_lately = fading.max(self.memory.exchanges.len());
    }
}

/// Our choice: less is not worth a datagram.
const SLICE_COUNT_MIN: usize = 16;

/// Our choice: some tens of microseconds of work.
const SLICE_COUNT_MAX: usize = 256;

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;
    use crate::endpoint::{Remote, Request};
    use crate::{Config, Instant, Storage};

    #[test]
    fn a_slice_is_half_of_what_is_under_way() {
        let config = Config::lan();
        let storage = Storage::owned(&config);
        let mut endpoint = Endpoint::new_insecure(config, storage, [1; 32], Instant::ORIGIN).unwrap();
        let remote = Remote { address: "127.0.0.1:9".parse().unwrap(), identity: &[] };
        let peer = endpoint.peer(Instant::ORIGIN, &remote).unwrap();
        let mut slices = [0; 601];
        for (count, slice) in slices.iter_mut().enumerate() {
            *slice = endpoint.slice_count();
            endpoint.call(Instant::ORIGIN, peer, Request::new(1, 1, count as u32, b"")).unwrap();
        }
        assert_eq!([0, 1, 32, 34, 100, 512, 600].map(|count| slices[count]), [16, 16, 16, 17, 50, 256, 256]);
    }

    #[test]
    fn what_was_under_way_lately_counts_for_a_while() {
        let config = Config::lan();
        let storage = Storage::owned(&config);
        let mut endpoint = Endpoint::new_insecure(config, storage, [1; 32], Instant::ORIGIN).unwrap();
        endpoint.under_way_lately = 64;
        endpoint.note_under_way();
        assert_eq!(endpoint.slice_count(), 31);
        (0..40).for_each(|_| endpoint.note_under_way());
        assert_eq!(endpoint.slice_count(), SLICE_COUNT_MIN);
    }
}
