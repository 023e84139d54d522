//! Lies about what arrived, and when.

use core::ops::RangeInclusive;
use core::time::Duration;

use posthaste_core::endpoint::{Body, Delivery, Message, Remote};
use posthaste_core::wire::Ack;
use posthaste_core::{Config, Endpoint, Instant, PeerId};

use crate::forger::{FORGER, Forger, descending};
use crate::{START, count_of, generous, open, server};

/// CVE-2025-4821 and RFC 9000 §21.4: some numbers are skipped, and whoever acknowledges one has not read what it acknowledges.
#[test]
fn a_peer_that_acknowledges_more_than_it_received_is_found_out_and_gains_nothing() {
    for seed in 0..count_of(10_000) as u32 {
        let (mut liar, mut honest) = (Transfer::new(seed), Transfer::new(seed));
        while liar.victim.counters().violations == 0 {
            liar.round(|forger| vec![0..=forger.received.iter().max().copied().unwrap_or(0)]);
            honest.round(|forger| descending(&forger.received));
            assert!(liar.forger.received.len() < 64, "seed {seed}");
        }
        assert!(liar.octets <= 2 * honest.octets, "seed {seed}: {} and {}", liar.octets, honest.octets);
        assert_eq!(honest.victim.counters().violations, 0);
    }
}

#[test]
fn a_peer_that_acknowledges_what_is_still_to_be_sent_is_found_out_at_once() {
    for seed in 0..count_of(1000) as u32 {
        let mut liar = Transfer::new(seed);
        let ahead = 1 + u64::from(seed % 100);
        liar.round(|forger| {
            let highest = forger.received.iter().max().copied().unwrap_or(0);
            // The victim has taken the number that it skips, if it skips one here.
            vec![highest + 1 + ahead..=highest + 100 + ahead]
        });
        assert_eq!(liar.victim.counters().violations, 1, "seed {seed}");
    }
}

/// A message after the other from a victim to a forger that acknowledges as it likes.
struct Transfer {
    victim: Endpoint<'static>,
    forger: Forger,
    peer: PeerId,
    now: Instant,
    /// Octets that the forger was sent.
    octets: usize,
}

impl Transfer {
    fn new(seed: u32) -> Self {
        let mut victim = server(Config::bare(), seed);
        let forger = Forger::open(&mut victim, START, FORGER, &generous());
        let peer = victim.peer(START, &Remote { address: FORGER, identity: &[] }).unwrap();
        Self { victim, forger, peer, now: START, octets: 0 }
    }

    /// Sends a message, and acknowledges `ranges` a round trip later.
    fn round(&mut self, ranges: impl FnOnce(&Forger) -> Vec<RangeInclusive<u64>>) {
        let Self { victim, forger, now, .. } = self;
        let message = Message { delivery: Delivery::Reliable, priority: 0, body: Body::Copied(&[5; 900]) };
        let _ = victim.send(*now, self.peer, message);
        *now = now.saturating_add(Duration::from_millis(20));
        victim.handle_timeout(*now);
        self.octets += forger.drain(victim, *now).iter().map(Vec::len).sum::<usize>();
        while victim.poll_event().is_some() {}
        if forger.received.is_empty() {
            return;
        }
        let ranges = ranges(forger);
        let datagram = forger.datagram_with(|writer| {
            Ack::write(0, ranges, None, writer).unwrap();
        });
        let _ = forger.deliver(victim, *now, datagram);
    }
}

#[test]
fn an_absurd_ack_delay_does_not_stretch_the_timers() {
    for delay in [0, 1, 1 << 24, (1 << 62) - 1] {
        let (mut victim, mut forger) = open();
        let peer = victim.peer(START, &Remote { address: FORGER, identity: &[] }).unwrap();
        let mut now = START;
        for _ in 0..50 {
            let message = Message { delivery: Delivery::Reliable, priority: 0, body: Body::Copied(&[5; 900]) };
            victim.send(now, peer, message).unwrap();
            forger.drain(&mut victim, now);
            now = now.saturating_add(Duration::from_millis(30));
            let ranges = descending(&forger.received);
            let datagram = forger.datagram_with(|writer| {
                Ack::write(delay, ranges, None, writer).unwrap();
            });
            let _ = forger.deliver(&mut victim, now, datagram);
        }
        let message = Message { delivery: Delivery::Reliable, priority: 0, body: Body::Copied(&[5; 900]) };
        victim.send(now, peer, message).unwrap();
        forger.drain(&mut victim, now);
        let timeout = victim.poll_timeout().unwrap().saturating_since(now);
        assert!(timeout > Duration::ZERO && timeout < Duration::from_secs(1), "{delay}: {timeout:?}");
    }
}
