//! The transport machines together: a sender with endless data, a link with faults, a receiver that acknowledges.
//!
//! Only the public interface is used, as by somebody who takes the machines without the endpoint.

extern crate alloc;

use alloc::collections::{BTreeSet, BinaryHeap, VecDeque};
use core::cmp::Reverse;
use core::ops::RangeInclusive;
use core::time::Duration;

use posthaste_core::Instant;
use posthaste_core::ack::{AckEliciting, AckState};
use posthaste_core::congestion::{Acked, Algorithm, Controller, Limit, Lost, LostDatagram, Marked};
use posthaste_core::delivery_rate::{Batch, Snapshot};
use posthaste_core::ecn::{self, Ecn, EcnCounts, EcnPath};
use posthaste_core::loss::{Address, LossDetector, PersistentCongestion, Sent, Verdict};
use posthaste_core::pacer::Pacer;
use posthaste_core::rtt::Rtt;

const MS: Duration = Duration::from_millis(1);
const ACK_DELAY_MAX: Duration = Duration::from_millis(5);

#[test]
fn a_clean_link_is_filled() {
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic, Algorithm::Bbr] {
        let share = Link::internet().share(algorithm);
        assert!(share > 0.93, "{algorithm:?}: {share}");
    }
}

/// At fixed thresholds each overtaken datagram halves the window: measured, a tenth of the link.
#[test]
fn reordering_and_duplicates_do_not_look_like_congestion() {
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic, Algorithm::Bbr] {
        for late in [MS, 5 * MS, 15 * MS] {
            let link = Link { reordered: 0.01, late, duplicated: 0.01, seconds: 5, ..Link::internet() };
            let share = link.share(algorithm);
            assert!(share > 0.95, "{algorithm:?}, {late:?}: {share}");
        }
    }
}

/// RFC 9438 §5.1: where the window is large and losses are rare; elsewhere it does as Reno would.
#[test]
fn cubic_bears_more_loss_than_reno() {
    let link = Link { one_way: 50 * MS, lost: 0.000_1, seconds: 120, ..Link::internet() };
    let (reno, cubic) = (link.share(Algorithm::NewReno), link.share(Algorithm::Cubic));
    assert!(reno > 0.1 && cubic > 1.2 * reno, "{reno} {cubic}");
}

/// Half of the datagrams and half of the acks are lost: progress is slow, but it is there.
#[test]
fn a_link_that_loses_half_still_carries() {
    for algorithm in [Algorithm::StopAndWait, Algorithm::NewReno, Algorithm::Cubic, Algorithm::Bbr] {
        let link = Link { lost: 0.5, acks_lost: 0.5, seconds: 60, ..Link::internet() };
        let delivered = link.run(algorithm).delivered;
        assert!(delivered > 100, "{algorithm:?}: {delivered}");
    }
}

#[test]
fn the_loopback_is_filled_with_long_datagrams() {
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic, Algorithm::Bbr] {
        let share = Link::loopback().share(algorithm);
        assert!(share > 0.95, "{algorithm:?}: {share}");
    }
}

/// RFC 3168: a router that marks needs to drop nothing.
#[test]
fn marks_keep_the_queue_short_without_a_loss() {
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic, Algorithm::Bbr] {
        let link = Link { marks_above: 50_000, ..Link::internet() };
        let outcome = link.run(algorithm);
        // BBR doubles what is in flight until it hears of the first mark, and then the queue of a round trip is full.
        let dropped_max = if algorithm == Algorithm::Bbr { 50 } else { 0 };
        assert!(outcome.dropped <= dropped_max && outcome.marked > 0, "{algorithm:?}: {outcome:?}");
        assert!(link.share_of(&outcome) > 0.8, "{algorithm:?}: {outcome:?}");
    }
}

/// RFC 8085 §3.1.3.
#[test]
fn stop_and_wait_sends_one_datagram_a_round_trip() {
    let link = Link { seconds: 10, ..Link::internet() };
    let delivered = link.run(Algorithm::StopAndWait).delivered;
    assert!((490..=500).contains(&delivered), "{delivered}");
}

#[test]
fn an_outage_is_survived_and_forgotten() {
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic, Algorithm::Bbr] {
        let link = Link { outage: Some((at(2000), at(3000))), seconds: 10, ..Link::internet() };
        let share = link.share(algorithm);
        assert!(share > 0.7, "{algorithm:?}: {share}");
    }
}

#[test]
fn flows_share_a_link() {
    let link = Link { seconds: 15, ..Link::internet() };
    for algorithms in [[Algorithm::NewReno; 2], [Algorithm::Cubic; 2], [Algorithm::Bbr; 2]] {
        let shares = link.divide(&algorithms);
        assert!(shares.iter().all(|&share| share > 0.3), "{algorithms:?}: {shares:?}");
    }
    // RFC 9438 §4.3: on a path this short CUBIC leaves Reno its share.
    let shares = link.divide(&[Algorithm::NewReno, Algorithm::Cubic]);
    assert!(shares[0] > 0.2, "{shares:?}");
}

/// A one-way bottleneck with a queue; acks come back on a link that only delays and loses.
#[derive(Clone)]
struct Link {
    octets_per_second: u64,
    one_way: Duration,
    queue_len: u64,
    datagram_len: usize,
    lost: f64,
    acks_lost: f64,
    duplicated: f64,
    reordered: f64,
    late: Duration,
    marks_above: u64,
    outage: Option<(Instant, Instant)>,
    seconds: u64,
}

#[derive(Debug, Default)]
struct Outcome {
    delivered: usize,
    dropped: u64,
    marked: u64,
}

impl Link {
    /// 100 Mbit/s, 20 ms, a queue of one round trip.
    fn internet() -> Self {
        Self {
            octets_per_second: 12_500_000,
            one_way: 10 * MS,
            queue_len: 250_000,
            datagram_len: 1200,
            lost: 0.0,
            acks_lost: 0.0,
            duplicated: 0.0,
            reordered: 0.0,
            late: MS,
            marks_above: u64::MAX,
            outage: None,
            seconds: 10,
        }
    }

    /// 4 GB/s, 30 µs, a receive buffer of 1 MiB.
    fn loopback() -> Self {
        Self {
            octets_per_second: 4_000_000_000,
            one_way: Duration::from_micros(15),
            queue_len: 1 << 20,
            datagram_len: 65_507,
            seconds: 1,
            ..Self::internet()
        }
    }

    fn share(&self, algorithm: Algorithm) -> f64 {
        self.share_of(&self.run(algorithm))
    }

    /// What arrived, once, as a part of what the link could have carried.
    fn share_of(&self, outcome: &Outcome) -> f64 {
        (outcome.delivered * self.datagram_len) as f64 / (self.octets_per_second * self.seconds) as f64
    }

    fn run(&self, algorithm: Algorithm) -> Outcome {
        let mut simulation = Simulation::new(self.clone(), &[algorithm]);
        simulation.run();
        simulation.outcome()
    }

    /// What each of several flows got, as a part of what the link carried.
    fn divide(&self, algorithms: &[Algorithm]) -> Vec<f64> {
        let mut simulation = Simulation::new(self.clone(), algorithms);
        simulation.run();
        let total = simulation.outcome().delivered as f64;
        simulation.flows.iter().map(|flow| flow.pieces.len() as f64 / total).collect()
    }
}

enum Event {
    Arrival { flow: usize, number: u64, piece: u64, ecn: Ecn },
    Ack { flow: usize, ranges: Vec<RangeInclusive<u64>>, delay: Duration, counts: EcnCounts },
}

struct Simulation {
    link: Link,
    random: u64,
    now: Instant,
    /// Min-heap by time, then by order of insertion.
    events: BinaryHeap<Reverse<(Instant, usize)>>,
    payloads: Vec<Option<Event>>,
    link_free_at: Instant,
    flows: Vec<Flow>,
    dropped: u64,
    marked: u64,
}

struct Flow {
    sender: Sender,
    acks: AckState,
    pieces: BTreeSet<u64>,
}

impl Flow {
    fn new(algorithm: Algorithm, datagram_len: usize) -> Self {
        let mut acks = AckState::new(ACK_DELAY_MAX);
        if algorithm == Algorithm::StopAndWait {
            // The sender, which waits for each ack, asks for each.
            acks.on_frequency(1, ACK_DELAY_MAX);
        }
        Self { sender: Sender::new(algorithm, datagram_len), acks, pieces: BTreeSet::new() }
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        [self.sender.deadline(now), self.acks.deadline()].into_iter().flatten().min()
    }
}

impl Simulation {
    fn new(link: Link, algorithms: &[Algorithm]) -> Self {
        Self {
            flows: algorithms.iter().map(|&algorithm| Flow::new(algorithm, link.datagram_len)).collect(),
            link,
            random: 0x9e37_79b9_7f4a_7c15,
            now: at(0),
            events: BinaryHeap::new(),
            payloads: Vec::new(),
            link_free_at: at(0),
            dropped: 0,
            marked: 0,
        }
    }

    fn run(&mut self) {
        let end = at(1000 * self.link.seconds);
        while self.now < end {
            for flow in 0..self.flows.len() {
                while let Some((number, piece, ecn)) = self.flows[flow].sender.poll_transmit(self.now) {
                    self.transmit(flow, number, piece, ecn);
                }
                if self.flows[flow].acks.is_due(self.now) {
                    self.send_ack(flow);
                }
            }
            let next_event = self.events.peek().map(|event| event.0.0);
            let next_timer = self.flows.iter().filter_map(|flow| flow.deadline(self.now)).min();
            let next = next_event.into_iter().chain(next_timer).min();
            let next = next.expect("a sender with data always waits for something");
            assert!(next >= self.now);
            self.now = next;
            while let Some(Reverse((_, index))) = self.events.peek().copied().filter(|event| event.0.0 <= next) {
                self.events.pop();
                match self.payloads[index].take().unwrap() {
                    Event::Arrival { flow, number, piece, ecn } => self.arrive(flow, number, piece, ecn),
                    Event::Ack { flow, ranges, delay, counts } => {
                        self.flows[flow].sender.on_ack(next, &ranges, delay, counts);
                    }
                }
            }
            self.flows.iter_mut().for_each(|flow| flow.sender.on_timeout(next));
        }
    }

    fn outcome(&self) -> Outcome {
        let delivered = self.flows.iter().map(|flow| flow.pieces.len()).sum();
        Outcome { delivered, dropped: self.dropped, marked: self.marked }
    }

    fn transmit(&mut self, flow: usize, number: u64, piece: u64, mut ecn: Ecn) {
        let rate = self.link.octets_per_second;
        let start = self.link_free_at.max(self.now);
        let queued = start.saturating_since(self.now).as_nanos() as u64 * (rate / 1000) / 1_000_000;
        let is_out = self.link.outage.is_some_and(|(from, to)| (from..to).contains(&self.now));
        if is_out || queued + self.link.datagram_len as u64 > self.link.queue_len || self.chance(self.link.lost) {
            self.dropped += 1;
            return;
        }
        if queued > self.link.marks_above && ecn == Ecn::Ect0 {
            ecn = Ecn::Ce;
            self.marked += 1;
        }
        self.link_free_at =
            start.saturating_add(Duration::from_nanos(self.link.datagram_len as u64 * 1_000_000_000 / rate));
        let late = if self.chance(self.link.reordered) { self.link.late } else { Duration::ZERO };
        let arrival = self.link_free_at.saturating_add(self.link.one_way + late);
        self.schedule(arrival, Event::Arrival { flow, number, piece, ecn });
        if self.chance(self.link.duplicated) {
            self.schedule(arrival.saturating_add(MS), Event::Arrival { flow, number, piece, ecn });
        }
    }

    fn arrive(&mut self, flow: usize, number: u64, piece: u64, ecn: Ecn) {
        let Flow { acks, pieces, .. } = &mut self.flows[flow];
        if !acks.window().is_fresh(number) {
            return;
        }
        acks.on_received(self.now, number, AckEliciting::Full, ecn);
        pieces.insert(piece);
        // The events of one instant come in one batch; each ack leaves on its own all the same.
        if acks.is_due(self.now) {
            self.send_ack(flow);
        }
    }

    fn send_ack(&mut self, flow: usize) {
        let acks = &mut self.flows[flow].acks;
        let ranges: Vec<_> = acks.window().ranges().take(32).collect();
        let event = Event::Ack { flow, ranges, delay: acks.ack_delay(self.now), counts: acks.ecn_counts() };
        acks.on_ack_sent();
        if !self.chance(self.link.acks_lost) {
            self.schedule(self.now.saturating_add(self.link.one_way), event);
        }
    }

    fn schedule(&mut self, instant: Instant, event: Event) {
        self.events.push(Reverse((instant, self.payloads.len())));
        self.payloads.push(Some(event));
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 11) as f64) < probability * (1_u64 << 53) as f64
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    InFlight,
    Acked,
    Lost,
}

struct Record {
    sent: Sent,
    snapshot: Snapshot,
    piece: u64,
    ecn: Ecn,
    fate: Fate,
}

struct Sender {
    datagram_len: usize,
    rtt: Rtt,
    loss: LossDetector,
    controller: Controller,
    pacer: Pacer,
    ecn: EcnPath,
    records: VecDeque<Record>,
    first_number: u64,
    largest_acked: Option<u64>,
    in_flight: u64,
    next_piece: u64,
    lost_pieces: VecDeque<u64>,
    last_sent_at: Instant,
    probe_count: u32,
    loss_deadline: Option<Instant>,
}

impl Sender {
    fn new(algorithm: Algorithm, datagram_len: usize) -> Self {
        let rtt = Rtt::new(333 * MS);
        let controller = Controller::new(algorithm, datagram_len, 64 << 20);
        Self {
            datagram_len,
            pacer: Pacer::new(&controller, &rtt),
            rtt,
            loss: LossDetector::new(),
            controller,
            ecn: EcnPath::new(),
            records: VecDeque::new(),
            first_number: 0,
            largest_acked: None,
            in_flight: 0,
            next_piece: 0,
            lost_pieces: VecDeque::new(),
            last_sent_at: at(0),
            probe_count: 0,
            loss_deadline: None,
        }
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<(u64, u64, Ecn)> {
        if self.probe_count > 0 {
            self.probe_count -= 1;
        } else if !self.controller.allows(self.in_flight, self.datagram_len) || self.pacer.until(now).is_some() {
            return None;
        }
        let piece = self.lost_pieces.pop_front().unwrap_or_else(|| {
            self.next_piece += 1;
            self.next_piece
        });
        let number = self.first_number + self.records.len() as u64;
        let ecn = self.ecn.codepoint();
        self.ecn.on_sent(ecn);
        let snapshot = self.controller.on_sent(now, self.datagram_len, self.in_flight);
        self.pacer.on_sent(now, self.datagram_len, self.in_flight);
        self.in_flight += self.datagram_len as u64;
        self.last_sent_at = now;
        self.records.push_back(Record { sent: Sent { number, at: now }, snapshot, piece, ecn, fate: Fate::InFlight });
        Some((number, piece, ecn))
    }

    fn on_ack(&mut self, now: Instant, ranges: &[RangeInclusive<u64>], delay: Duration, counts: EcnCounts) {
        let in_flight_before = self.in_flight;
        let largest = *ranges[0].end();
        let is_newer = self.largest_acked.is_none_or(|acked| largest > acked);
        let largest_before = self.largest_acked.unwrap_or(0);
        let mut newly_acked = Vec::new();
        let mut marked_count = 0;
        let mut batch = Batch::default();
        for number in ranges.iter().cloned().flatten().filter(|&number| number >= self.first_number) {
            let record = &mut self.records[(number - self.first_number) as usize];
            let acked = Acked {
                sent_at: record.sent.at,
                len: self.datagram_len,
                limit: Limit::Window,
                snapshot: record.snapshot,
            };
            match core::mem::replace(&mut record.fate, Fate::Acked) {
                Fate::Acked => continue,
                Fate::InFlight => {
                    self.in_flight -= self.datagram_len as u64;
                    newly_acked.push(acked);
                    marked_count += u64::from(record.ecn == Ecn::Ect0);
                }
                Fate::Lost => {
                    self.loss.on_spurious(now, record.sent, largest_before, &self.rtt);
                    self.controller.on_spurious(now, &acked, &mut batch);
                    marked_count += u64::from(record.ecn == Ecn::Ect0);
                }
            }
        }
        if newly_acked.is_empty() {
            return;
        }
        self.loss.on_acked();
        if is_newer {
            self.largest_acked = Some(largest);
            let sent_at = self.records[(largest - self.first_number) as usize].sent.at;
            self.rtt.on_sample(now, now.saturating_since(sent_at), delay.min(ACK_DELAY_MAX));
            self.controller.on_rtt_sample(&self.rtt);
            if let ecn::Verdict::Congested { count } = self.ecn.on_ack(Some(counts), marked_count) {
                self.controller.on_ecn_ce(now, Marked { count, sent_at, in_flight: in_flight_before });
            }
        }
        for acked in newly_acked {
            self.controller.on_acked(now, &acked, &self.rtt, &mut batch);
        }
        self.detect_losses(now, in_flight_before);
        self.controller.on_ack(now, batch, self.in_flight, &self.rtt);
        self.pacer.update(&self.controller, &self.rtt);
        self.forget();
    }

    fn detect_losses(&mut self, now: Instant, in_flight: u64) {
        let Some(largest_acked) = self.largest_acked else { return };
        self.loss_deadline = None;
        let mut walk = PersistentCongestion::new(&self.rtt, ACK_DELAY_MAX);
        let mut is_persistent = false;
        let mut lost: Option<Lost> = None;
        for record in self.records.iter_mut().take_while(|record| record.sent.number < largest_acked) {
            match record.fate {
                Fate::InFlight => {}
                Fate::Acked => continue,
                Fate::Lost => {
                    walk.on_other(record.sent.number);
                    continue;
                }
            }
            match self.loss.verdict(now, record.sent, largest_acked, &self.rtt) {
                Verdict::Fine => walk.on_other(record.sent.number),
                Verdict::LostAt(deadline) => {
                    walk.on_other(record.sent.number);
                    self.loss_deadline = Some(self.loss_deadline.map_or(deadline, |other| other.min(deadline)));
                }
                Verdict::Lost => {
                    record.fate = Fate::Lost;
                    self.in_flight -= self.datagram_len as u64;
                    self.lost_pieces.push_back(record.piece);
                    if record.ecn == Ecn::Ect0 {
                        self.ecn.on_lost();
                    }
                    let count = lost.map_or(0, |lost| lost.count) + 1;
                    lost = Some(Lost { count, newest_sent_at: record.sent.at, in_flight });
                    let Sent { number, at: sent_at } = record.sent;
                    let one = LostDatagram { number, sent_at, len: self.datagram_len, snapshot: record.snapshot };
                    self.controller.on_lost(now, &one);
                    is_persistent |= walk.on_lost(record.sent);
                }
            }
        }
        if let Some(lost) = lost {
            self.controller.on_congestion(now, lost);
            self.loss.on_recovery();
        }
        if is_persistent {
            self.controller.on_persistent_congestion();
            self.rtt.on_persistent_congestion(now);
        }
    }

    /// Lost datagrams are remembered while they may still turn up.
    fn forget(&mut self) {
        let patience = 4 * self.rtt.smoothed();
        while self.records.front().is_some_and(|record| {
            record.fate == Fate::Acked
                || record.fate == Fate::Lost && record.sent.at.saturating_add(patience) < self.last_sent_at
        }) {
            self.records.pop_front();
            self.first_number += 1;
        }
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        let paced =
            self.controller.allows(self.in_flight, self.datagram_len).then(|| self.pacer.until(now).unwrap_or(now));
        let recovery = self.loss_deadline.or_else(|| (self.in_flight > 0).then(|| self.probe_deadline()));
        [paced, recovery.map(|recovery| recovery.max(now))].into_iter().flatten().min()
    }

    fn probe_deadline(&self) -> Instant {
        self.loss.probe_deadline(self.last_sent_at, &self.rtt, ACK_DELAY_MAX, 1000 * MS)
    }

    fn on_timeout(&mut self, now: Instant) {
        if self.loss_deadline.is_some_and(|deadline| deadline <= now) {
            self.detect_losses(now, self.in_flight);
            self.pacer.update(&self.controller, &self.rtt);
        } else if self.loss_deadline.is_none() && self.in_flight > 0 && self.probe_deadline() <= now {
            self.loss.on_probe_timeout();
            self.probe_count = self.loss.probe_count(Address::Proven, &self.rtt);
        }
    }
}

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}
