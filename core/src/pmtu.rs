//! Path MTU discovery by probing (RFC 8899): how long a datagram may be.
//!
//! All lengths are octets of UDP payload, so IP and UDP headers are not in them.
//!
//! A path that swallows long datagrams also swallows retransmissions of that length: what is sent when the probe deadline of
//! [`crate::loss`] passes has to be at most [`DATAGRAM_LEN_BASE`] long, or nothing is ever acknowledged, no loss is declared
//! and the black hole stays unseen.

use core::time::Duration;

use crate::rtt::Rtt;
use crate::time::Instant;

/// The datagram length that every path has to carry (RFC 9000 §14, RFC 8899 §5.1.2).
pub const DATAGRAM_LEN_BASE: usize = 1200;

/// The longest datagram that UDP can carry: over IPv6; over IPv4 it is 20 octets less.
pub const DATAGRAM_LEN_MAX: usize = 65_527;

/// The search for the longest datagram that one path carries.
///
/// ```text
///             probe acknowledged            nothing worth probing between      600 s
/// Searching --------------------> longer --------------------------------> Complete --> Searching
///     ^     --three probes lost--> shorter bound                              |
///     '------------------------- black hole: back to 1200 --------------------'
/// ```
#[derive(Clone, Debug)]
pub struct PathMtu {
    /// The longest length that was acknowledged.
    current: u16,
    /// The longest length that both ends can handle.
    ceiling: u16,
    /// The shortest length known to be too long.
    too_long: u16,
    /// The probe in flight.
    probe: Option<Probe>,
    /// Probes of one length that were lost in a row.
    probe_lost_count: u8,
    /// Before this no probe leaves.
    next_probe_at: Instant,
    suspicion: Option<Suspicion>,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    /// Identifies it: probes are a round trip apart, and the conversations of a path number their datagrams apart.
    sent_at: Instant,
    len: u16,
}

/// Long datagrams are being lost, and none as long has arrived since.
#[derive(Clone, Copy, Debug)]
struct Suspicion {
    len_min: u16,
    round_count: u8,
    round_ends_at: Instant,
}

impl PathMtu {
    /// Starts at 1200 octets; `ceiling` is the longest datagram that this end can send,
    /// held between [`DATAGRAM_LEN_BASE`] and [`DATAGRAM_LEN_MAX`].
    #[must_use]
    pub fn new(ceiling: usize) -> Self {
        let ceiling = held(ceiling);
        Self {
            current: BASE,
            ceiling,
            too_long: ceiling + 1,
            probe: None,
            probe_lost_count: 0,
            next_probe_at: Instant::ORIGIN,
            suspicion: None,
        }
    }

    /// Takes a length that is known to pass, without looking for a longer one.
    pub fn on_known(&mut self, datagram_len: usize) {
        self.ceiling = held(datagram_len);
        self.current = self.ceiling;
        self.too_long = self.ceiling + 1;
    }

    /// Lowers the ceiling to the longest datagram that the peer takes.
    pub fn on_peer_limit(&mut self, datagram_len_max: usize) {
        self.ceiling = self.ceiling.min(held(datagram_len_max));
        self.lower_to(self.ceiling);
    }

    /// Returns the length of a probe to send, if one is worth sending: padded to that length, ack-eliciting, on its own.
    ///
    /// Probes pass by the congestion window but count as in flight; their loss is not congestion (RFC 8899 §3).
    #[must_use]
    pub fn poll_probe(&mut self, now: Instant) -> Option<usize> {
        if self.probe.is_some() || now < self.next_probe_at {
            return None;
        }
        if self.candidate().is_none() {
            // The raise timer (RFC 8899 §5.1.1): routes change.
            self.too_long = self.ceiling + 1;
            self.probe_lost_count = 0;
        }
        let candidate = self.candidate();
        if candidate.is_none() {
            self.next_probe_at = now.saturating_add(RAISE_TIME);
        }
        candidate.map(usize::from)
    }

    /// Takes note that the probe of `len` octets left.
    pub fn on_probe_sent(&mut self, now: Instant, len: usize, rtt: &Rtt) {
        self.probe = Some(Probe { sent_at: now, len: held(len) });
        // At least a round trip between probes (RFC 8899 §8).
        self.next_probe_at = now.saturating_add(rtt.smoothed());
    }

    /// Takes note that the probe that left at `sent_at` arrived.
    pub fn on_probe_acked(&mut self, now: Instant, sent_at: Instant) {
        let Some(probe) = self.probe.filter(|probe| probe.sent_at == sent_at) else { return };
        self.probe = None;
        self.probe_lost_count = 0;
        self.current = self.current.max(probe.len.min(self.ceiling));
        self.rest_if_done(now);
    }

    /// Takes note that the probe that left at `sent_at` was lost.
    pub fn on_probe_lost(&mut self, now: Instant, sent_at: Instant) {
        let Some(probe) = self.probe.filter(|probe| probe.sent_at == sent_at) else { return };
        self.probe = None;
        self.probe_lost_count += 1;
        if self.probe_lost_count >= MAX_PROBES {
            self.probe_lost_count = 0;
            self.too_long = self.too_long.min(probe.len);
            self.rest_if_done(now);
        }
    }

    /// Takes note that a datagram, not a probe, of `len` octets arrived: datagrams of that length pass.
    pub fn on_datagram_acked(&mut self, len: usize) {
        if self.suspicion.is_some_and(|suspicion| held(len) >= suspicion.len_min) {
            self.suspicion = None;
        }
    }

    /// Takes note that a datagram, not a probe, of `len` octets was lost; returns whether that proves a black hole.
    ///
    /// It does when in three round trips with losses nothing as long arrived (RFC 8899 §4.3). Losses within one round trip
    /// count once: an overflowing queue drops many in a row.
    pub fn on_datagram_lost(&mut self, now: Instant, len: usize, rtt: &Rtt) -> BlackHole {
        let len = held(len);
        if len == BASE || len > self.current {
            return BlackHole::No;
        }
        let suspicion =
            self.suspicion.get_or_insert(Suspicion { len_min: len, round_count: 0, round_ends_at: Instant::ORIGIN });
        suspicion.len_min = suspicion.len_min.min(len);
        if now >= suspicion.round_ends_at {
            suspicion.round_count += 1;
            suspicion.round_ends_at = now.saturating_add(rtt.smoothed());
        }
        if suspicion.round_count < BLACK_HOLE_ROUNDS {
            return BlackHole::No;
        }
        self.too_long = suspicion.len_min;
        self.lower_to(BASE);
        self.next_probe_at = now.saturating_add(rtt.smoothed());
        BlackHole::Yes
    }

    /// Believes a claim that the path carries no more than `len` octets.
    ///
    /// The caller has checked that it answers a datagram that was sent (RFC 8899 §4.6.1). It only ever lowers; a claim below
    /// 1200 is ignored (RFC 9000 §14.2.1).
    pub fn on_too_big(&mut self, now: Instant, len: usize) {
        let is_claim = len >= DATAGRAM_LEN_BASE;
        let len = held(len);
        if is_claim && len < self.too_long - 1 {
            self.too_long = len + 1;
            self.lower_to(len);
            self.rest_if_done(now);
        }
    }

    /// Returns the longest datagram to send that is not a probe.
    #[must_use]
    pub const fn current(&self) -> usize {
        self.current as usize
    }

    /// Returns from when [`Self::poll_probe`] may have a probe; `None` while one is in flight.
    ///
    /// No reason to wake an idle path: the next datagram that is sent anyway is early enough.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        match self.probe {
            Some(_) => None,
            None => Some(self.next_probe_at),
        }
    }

    /// The next length to try, unless what could be gained is too little.
    fn candidate(&self) -> Option<u16> {
        let longest = self.too_long - 1;
        let gain = longest - self.current;
        // Up to the ceiling any gain is worth one probe; between a length that passes and one that does not, it takes many.
        if gain == 0 || (gain < self.current / GAIN_MIN && longest < self.ceiling) {
            return None;
        }
        let [ethernet, jumbo, ethernet_v6, jumbo_v6] = WELL_KNOWN;
        let well_known = [ethernet, jumbo, self.ceiling, ethernet_v6, jumbo_v6]
            .into_iter()
            .find(|&len| len > self.current && len <= longest);
        Some(well_known.unwrap_or(self.current + gain.div_ceil(2)))
    }

    /// Starts the raise timer when the search is over.
    fn rest_if_done(&mut self, now: Instant) {
        if self.candidate().is_none() {
            self.next_probe_at = now.saturating_add(RAISE_TIME);
        }
    }

    fn lower_to(&mut self, len: u16) {
        self.current = self.current.min(len);
        self.too_long = self.too_long.min(self.ceiling + 1);
        self.probe = None;
        self.probe_lost_count = 0;
        self.suspicion = None;
    }
}

/// Whether the path was found to swallow long datagrams, so that the length fell to 1200 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum BlackHole {
    /// [`PathMtu::current`] fell.
    Yes,
    /// Nothing changed.
    No,
}

/// Returns a length as it is stored, held between [`DATAGRAM_LEN_BASE`] and [`DATAGRAM_LEN_MAX`].
fn held(len: usize) -> u16 {
    len.clamp(DATAGRAM_LEN_BASE, DATAGRAM_LEN_MAX) as u16
}

/// [`DATAGRAM_LEN_BASE`] as it is stored.
const BASE: u16 = DATAGRAM_LEN_BASE as u16;

/// What common links carry: Ethernet and Ethernet with jumbo frames, over IPv4 and over IPv6.
///
/// The ceiling is tried between the two families: on the loopback it passes, and elsewhere it costs three datagrams.
const WELL_KNOWN: [u16; 4] = [1472, 8972, 1452, 8952];
/// Probes of one length (RFC 8899 §5.1.2, MAX_PROBES).
const MAX_PROBES: u8 = 3;
/// A search that could gain less than this part of the length is over. Our choice.
const GAIN_MIN: u16 = 64;
/// After this time the search begins again (RFC 8899 §5.1.1, PMTU_RAISE_TIMER).
const RAISE_TIME: Duration = Duration::from_secs(600);
/// Round trips with losses, and nothing as long acknowledged, that make a black hole. Our choice.
const BLACK_HOLE_ROUNDS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const ETHERNET: usize = 1472;
    const JUMBO: usize = 8972;
    const LOOPBACK: usize = 65_507;

    #[test]
    fn the_usual_links_are_found_in_one_round_trip_a_step() {
        assert_eq!(probes(&mut PathMtu::new(ETHERNET), ETHERNET), [1472]);
        assert_eq!(probes(&mut PathMtu::new(LOOPBACK), LOOPBACK), [1472, 8972, 65_507]);
        assert_eq!(probes(&mut PathMtu::new(usize::MAX), usize::MAX), [1472, 8972, 65_527]);
        let mut mtu = PathMtu::new(LOOPBACK);
        probes(&mut mtu, JUMBO);
        assert_eq!(mtu.current(), JUMBO);
        let mut mtu = PathMtu::new(ETHERNET);
        assert_eq!(probes(&mut mtu, 1452), [1472, 1472, 1472, 1452]);
    }

    #[test]
    fn any_length_is_found_to_within_a_sixty_fourth_and_never_exceeded() {
        for carried in (1200..70_000).step_by(97) {
            let mut mtu = PathMtu::new(LOOPBACK);
            let probes = probes(&mut mtu, carried);
            let carried = carried.min(LOOPBACK);
            assert!(
                mtu.current() <= carried && carried - mtu.current() <= mtu.current() / 64 + 1,
                "{carried}: {mtu:?}"
            );
            assert!(probes.len() <= 45, "{carried}: {probes:?}");
        }
    }

    /// RFC 8899 §5.1.2.
    #[test]
    fn a_length_is_given_up_after_three_lost_probes() {
        let (mut mtu, rtt) = (PathMtu::new(ETHERNET), rtt());
        for round in 0..3 {
            assert_eq!(mtu.poll_probe(at(100 * round)), Some(ETHERNET));
            mtu.on_probe_sent(at(100 * round), ETHERNET, &rtt);
            mtu.on_probe_lost(at(100 * round), at(100 * round));
        }
        assert!(mtu.poll_probe(at(1000)).is_some_and(|len| len < ETHERNET));
        assert_eq!(mtu.current(), DATAGRAM_LEN_BASE);
    }

    /// RFC 8899 §8.
    #[test]
    fn one_probe_is_in_flight_and_a_round_trip_lies_between_two() {
        let (mut mtu, rtt) = (PathMtu::new(LOOPBACK), rtt());
        mtu.on_probe_sent(at(0), ETHERNET, &rtt);
        assert_eq!((mtu.poll_probe(at(500)), mtu.deadline()), (None, None));
        mtu.on_probe_acked(at(10), at(0));
        assert_eq!((mtu.poll_probe(at(49)), mtu.deadline()), (None, Some(at(50))));
        assert_eq!(mtu.poll_probe(at(50)), Some(JUMBO));
    }

    #[test]
    fn the_fate_of_a_forgotten_probe_changes_nothing() {
        let (mut mtu, rtt) = (PathMtu::new(LOOPBACK), rtt());
        mtu.on_probe_sent(at(7), ETHERNET, &rtt);
        mtu.on_probe_acked(at(8), at(6));
        mtu.on_probe_lost(at(8), at(6));
        assert_eq!((mtu.current(), mtu.deadline()), (DATAGRAM_LEN_BASE, None));
        mtu.on_peer_limit(1300);
        mtu.on_probe_acked(at(9), at(7));
        assert_eq!(mtu.current(), DATAGRAM_LEN_BASE);
    }

    /// RFC 8899 §5.1.1.
    #[test]
    fn a_finished_search_begins_again_after_ten_minutes() {
        let mut mtu = PathMtu::new(LOOPBACK);
        probes(&mut mtu, ETHERNET);
        let deadline = mtu.deadline().unwrap();
        assert_eq!(mtu.poll_probe(deadline.saturating_sub(Duration::from_nanos(1))), None);
        assert_eq!(mtu.poll_probe(deadline), Some(JUMBO));

        let mut complete = PathMtu::new(ETHERNET);
        probes(&mut complete, ETHERNET);
        assert_eq!(complete.poll_probe(complete.deadline().unwrap()), None, "there is nothing above the ceiling");
    }

    #[test]
    fn the_peers_limit_ends_the_search_and_lowers_what_was_found() {
        let mut mtu = PathMtu::new(LOOPBACK);
        probes(&mut mtu, LOOPBACK);
        mtu.on_peer_limit(1500);
        assert_eq!(mtu.current(), 1500);
        assert_eq!(mtu.poll_probe(at(10_000_000)), None);
        mtu.on_peer_limit(usize::MAX);
        assert_eq!(mtu.current(), 1500);
        mtu.on_peer_limit(100);
        assert_eq!(mtu.current(), DATAGRAM_LEN_BASE);
        assert_eq!(mtu.poll_probe(at(20_000_000)), None);
    }

    /// RFC 8899 §4.3.
    #[test]
    fn a_black_hole_brings_the_length_back_to_the_base_and_the_search_to_below_it() {
        let (mut mtu, rtt) = (PathMtu::new(LOOPBACK), rtt());
        probes(&mut mtu, JUMBO);
        assert_eq!(mtu.on_datagram_lost(at(0), 8000, &rtt), BlackHole::No);
        assert_eq!(mtu.on_datagram_lost(at(50), JUMBO, &rtt), BlackHole::No);
        mtu.on_datagram_acked(1200);
        mtu.on_datagram_acked(7999);
        assert_eq!(mtu.on_datagram_lost(at(100), JUMBO, &rtt), BlackHole::Yes);
        assert_eq!(mtu.current(), DATAGRAM_LEN_BASE);
        let again = probes_from(&mut mtu, 200, ETHERNET);
        assert_eq!(mtu.current(), ETHERNET);
        assert!(again.iter().all(|&len| len < 8000));
    }

    #[test]
    fn congestion_is_no_black_hole() {
        let (mut mtu, rtt) = (PathMtu::new(LOOPBACK), rtt());
        probes(&mut mtu, ETHERNET);
        for round in 0..100 {
            for _ in 0..50 {
                assert_eq!(mtu.on_datagram_lost(at(100 * round), ETHERNET, &rtt), BlackHole::No);
            }
            mtu.on_datagram_acked(ETHERNET);
        }
        for round in 0..100 {
            assert_eq!(mtu.on_datagram_lost(at(100 * round), 1200, &rtt), BlackHole::No, "the base cannot be too long");
        }
        assert_eq!(mtu.current(), ETHERNET);
    }

    /// RFC 9000 §14.2.1, RFC 8899 §4.6.1.
    #[test]
    fn a_claim_lowers_the_length_to_no_less_than_the_base_and_never_raises_it() {
        let mut mtu = PathMtu::new(LOOPBACK);
        for ignored in [0, 68, 576, 1199, LOOPBACK, usize::MAX] {
            mtu.on_too_big(at(0), ignored);
        }
        assert_eq!(probes(&mut mtu, LOOPBACK), [1472, 8972, 65_507]);
        mtu.on_too_big(at(0), 1400);
        assert_eq!(mtu.current(), 1400);
        mtu.on_too_big(at(0), 9000);
        assert_eq!(mtu.current(), 1400);
        mtu.on_too_big(at(0), 1200);
        assert_eq!(mtu.current(), 1200);
    }

    /// Runs a search on a path that carries `carried` octets, and returns the probes that it took.
    fn probes(mtu: &mut PathMtu, carried: usize) -> Vec<usize> {
        probes_from(mtu, 0, carried)
    }

    fn probes_from(mtu: &mut PathMtu, from_millis: u64, carried: usize) -> Vec<usize> {
        let rtt = rtt();
        let mut probes = Vec::new();
        for round in 0..100 {
            let now = at(from_millis + 50 * round);
            if let Some(len) = mtu.poll_probe(now) {
                probes.push(len);
                mtu.on_probe_sent(now, len, &rtt);
                if len <= carried {
                    mtu.on_probe_acked(now, now);
                } else {
                    mtu.on_probe_lost(now, now);
                }
            }
        }
        probes
    }

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn rtt() -> Rtt {
        let mut rtt = Rtt::new(Duration::from_millis(50));
        rtt.on_sample(at(0), Duration::from_millis(50), Duration::ZERO);
        rtt
    }
}
