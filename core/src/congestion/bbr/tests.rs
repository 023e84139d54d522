//! The cases of draft-ietf-ccwg-bbr-06, appendix A, and what is our own.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::Limit;
use super::*;

const LEN: u64 = 1200;
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A.1.
#[test]
fn the_start_ends_when_the_path_delivers_no_more() {
    let mut flow = Flow::new();
    flow.run_until(|flow| flow.bbr.is_full_bw_now());
    assert_eq!(flow.bbr.state, State::Drain);
    assert!(flow.bbr.is_full_bw_reached);
    assert!(flow.is_near_rate(flow.bbr.max_bw(), 2), "{:?}", flow.bbr.max_bw());
}

/// A.2, A.7.
#[test]
fn an_application_that_sends_little_never_ends_the_start_but_losses_do() {
    let mut flow = Flow { application_rate: Some(RATE / 2), ..Flow::new() };
    flow.run_for(10 * SECOND);
    assert_eq!(flow.bbr.state, State::Startup);
    flow.loses = |number| number % 10 == 0;
    flow.run_until(|flow| flow.bbr.is_full_bw_reached);
    assert_ne!(flow.bbr.inflight_longterm, UNBOUNDED);
}

/// §5.3.1.3.
#[test]
fn a_few_losses_are_no_reason_to_end_the_start() {
    let mut flow = Flow { loses: |number| (100..105).contains(&number), ..Flow::new() };
    flow.run_until(|flow| flow.bbr.is_full_bw_reached);
    assert_eq!(flow.bbr.inflight_longterm, UNBOUNDED);
    assert!(flow.is_near_rate(flow.bbr.max_bw(), 2));
}

/// A.3.
#[test]
fn the_queue_of_the_start_is_drained_to_what_the_pipe_holds() {
    let mut flow = Flow::new();
    flow.run_until(|flow| flow.bbr.state == State::Drain);
    assert_eq!(flow.pacing_percent(), 50);
    flow.run_until(|flow| flow.bbr.state != State::Drain);
    let pipe = flow.pipe_len();
    assert!(flow.in_flight <= pipe + pipe / 50, "{} of {pipe}", flow.in_flight);
    assert_eq!(flow.bbr.inflight_longterm, UNBOUNDED, "nothing was lost");
}

/// A.4.
#[test]
fn draining_ends_after_three_rounds_though_there_is_a_queue() {
    let mut flow = Flow::new();
    flow.run_until(|flow| flow.bbr.state == State::Drain);
    flow.slow_down(4);
    flow.run_until(|flow| flow.bbr.state != State::Drain);
    assert_eq!(flow.bbr.drain_rounds, DRAIN_ROUNDS_MAX + 1);
    assert!(flow.in_flight > flow.pipe_len());
}

/// §5.3.3, A.5, A.8.
#[test]
fn the_path_is_probed_in_a_cycle() {
    use State::{Cruise, Down, Drain, Refill, Startup, Up};
    let mut flow = Flow::new();
    let mut states = Vec::from([Startup]);
    while flow.now < at(5 * SECOND) {
        flow.step();
        if states.last() != Some(&flow.bbr.state) {
            states.push(flow.bbr.state);
            if flow.bbr.state == Cruise {
                assert!(flow.in_flight <= flow.pipe_len() + 3 * LEN, "{}", flow.in_flight);
            }
        }
    }
    // What was drained has no need to go down.
    assert_eq!(states[..5], [Startup, Drain, Cruise, Refill, Up]);
    assert!(states.len() > 10);
    for (state, expected) in states[5..].iter().zip([Down, Cruise, Refill, Up].iter().cycle()) {
        assert_eq!(state, expected, "{states:?}");
    }
    assert!(flow.is_near_rate(flow.bbr.max_bw(), 2));
}

/// §5.3.3.8: on a path of 25 datagrams, as often as Reno would meet a loss.
#[test]
fn a_short_pipe_is_probed_as_often_as_reno_would() {
    let mut flow = Flow { rate: RATE / 8, ..Flow::new() };
    flow.run_until(|flow| flow.bbr.state == State::Cruise);
    let rounds = flow.bbr.target_inflight() / LEN as u32;
    assert!((20..30).contains(&rounds), "{rounds}");
    flow.run_until(|flow| flow.bbr.state == State::Refill);
    assert!(u32::from(flow.bbr.rounds_since_probe_up) >= rounds);
    assert!(u32::from(flow.bbr.rounds_since_probe_up) <= rounds + 2);
}

#[test]
fn chance_keeps_the_probes_of_neighbours_apart() {
    let wait = |seed| {
        let mut flow = Flow::new();
        flow.bbr.seed(seed);
        flow.run_until(|flow| flow.bbr.state == State::Cruise);
        flow.bbr.probe_wait
    };
    let waits: Vec<_> = (0..8_u32).map(|index| wait(index.wrapping_mul(0x9e37_79b9))).collect();
    assert!(waits.iter().all(|wait| (Ticks::from_millis(2000)..Ticks::from_millis(3000)).contains(wait)), "{waits:?}");
    assert!(waits.iter().all(|wait| waits.iter().filter(|other| *other == wait).count() == 1), "{waits:?}");
    assert_eq!(wait(7), wait(7));
}

/// A.6.
#[test]
fn losses_end_a_probe_and_bound_what_is_in_flight() {
    let mut flow = Flow::new();
    flow.run_until(|flow| flow.bbr.state == State::Up);
    flow.loses = |number| number % 10 == 0;
    flow.run_until(|flow| flow.bbr.state == State::Down);
    assert!(flow.bbr.was_probe_too_high);
    let bound = flow.bbr.inflight_longterm;
    assert!(u64::from(bound) >= flow.pipe_len() * 6 / 10, "{bound}");
    assert!(u64::from(bound) <= flow.pipe_len() * 13 / 10, "{bound}");
    flow.loses = |_| false;
    flow.run_until(|flow| flow.bbr.state == State::Cruise);
    assert!(flow.bbr.window <= bound - bound / 7, "headroom is left for others");
}

/// §5.3.3.6.
#[test]
fn after_a_probe_that_went_too_high_the_next_one_is_cautious() {
    let mut flow = Flow::new();
    flow.run_until(|flow| flow.bbr.state == State::Up);
    flow.loses = |number| number % 10 == 0;
    flow.run_until(|flow| flow.bbr.state == State::Down);
    flow.loses = |_| false;
    flow.run_until(|flow| flow.bbr.state == State::Up);
    flow.run_until(|flow| flow.bbr.state == State::Down);
    assert!(flow.bbr.was_probe_precautionary && !flow.bbr.was_probe_too_high);
    flow.run_until(|flow| flow.bbr.state == State::Refill);
    assert!(flow.bbr.rounds_since_probe_up <= 2, "it was safe, so the next probe follows at once");
    let bound = flow.bbr.inflight_longterm;
    flow.run_until(|flow| flow.bbr.state == State::Up);
    flow.run_until(|flow| flow.bbr.state == State::Down);
    assert!(flow.bbr.inflight_longterm > bound);
}

/// A.9.
#[test]
fn a_queue_that_does_not_drain_does_not_put_off_the_next_probe_for_ever() {
    let mut flow = Flow::new();
    flow.run_until(|flow| flow.bbr.state == State::Up);
    flow.run_until(|flow| flow.bbr.state == State::Down);
    flow.rate = RATE * 85 / 100;
    flow.run_until(|flow| flow.bbr.state != State::Down);
    assert_eq!(flow.bbr.state, State::Refill);
}

/// A.10.
#[test]
fn the_round_trip_is_probed_with_half_of_the_pipe_every_five_seconds() {
    let mut flow = Flow::new();
    flow.run_until(|flow| flow.bbr.state == State::ProbeRtt);
    assert!(flow.now > at(5 * SECOND) && flow.now < at(6 * SECOND), "{:?}", flow.now);
    let (since, pipe) = (flow.now, flow.pipe_len());
    flow.run_until(|flow| flow.bbr.probe_rtt_done_at.is_some());
    assert!(flow.in_flight <= pipe / 2, "{} of {pipe}", flow.in_flight);
    flow.run_until(|flow| flow.bbr.state != State::ProbeRtt);
    assert_eq!(flow.bbr.state, State::Cruise);
    let duration = flow.now.saturating_since(since);
    assert!(duration > 200 * MS && duration < 260 * MS, "{duration:?}");
    assert_eq!(flow.bbr.min_rtt, Ticks::from(20 * MS + line_time(RATE)));
    assert!(u64::from(flow.bbr.window) > pipe, "the window is that of before");
}

/// A.11, §5.4.
#[test]
fn a_pause_serves_as_a_probe_of_the_round_trip() {
    let mut flow = Flow::new();
    flow.run_until(|flow| flow.bbr.state == State::Cruise);
    flow.bbr.on_application_limited(flow.in_flight);
    flow.pause(6 * SECOND);
    assert_eq!(flow.in_flight, 0);
    flow.step();
    assert!(flow.bbr.is_restarting);
    assert_eq!(flow.pacing_percent(), 99, "neither a probe nor a rest");
    flow.run_for(100 * MS);
    assert_ne!(flow.bbr.state, State::ProbeRtt);
    assert!(!flow.bbr.is_restarting);
}

/// A.14.
#[test]
fn a_pipe_of_less_than_a_datagram_gets_four() {
    let mut flow = Flow { rate: 30_000, ..Flow::new() };
    flow.run_until(|flow| flow.bbr.state == State::Cruise);
    assert!(flow.pipe_len() < LEN);
    assert_eq!(u64::from(flow.bbr.window), 4 * LEN);
    assert!(flow.is_near_rate(flow.bbr.max_bw(), 5), "{:?}", flow.bbr.max_bw());
}

/// Our own: no path is so slow that it gets less than two datagrams a round trip.
#[test]
fn a_path_that_delivered_next_to_nothing_is_soon_well_again() {
    let mut flow = Flow::new();
    flow.run_until(|flow| flow.bbr.state == State::Cruise);
    flow.bbr.max_bw = [Rate::of(1200, Ticks::from_millis(10_000)); 2];
    flow.run_for(5 * SECOND);
    assert!(flow.is_near_rate(flow.bbr.max_bw(), 2), "{:?}", flow.bbr.max_bw());
}

/// A.15.
#[test]
fn ten_times_the_bandwidth_is_found() {
    let mut flow = Flow { rate: RATE / 10, ..Flow::new() };
    flow.run_until(|flow| flow.bbr.state == State::Cruise);
    flow.rate = RATE;
    flow.run_for(10 * SECOND);
    assert!(flow.is_near_rate(flow.bbr.max_bw(), 2), "{:?}", flow.bbr.max_bw());
}

/// A.16.
#[test]
fn a_tenth_of_the_bandwidth_is_accepted() {
    let mut flow = Flow::new();
    flow.run_until(|flow| flow.bbr.state == State::Cruise);
    flow.rate = RATE / 10;
    flow.run_for(10 * SECOND);
    assert!(flow.is_near_rate(flow.bbr.max_bw(), 5), "{:?}", flow.bbr.max_bw());
    assert!(flow.in_flight <= 3 * flow.pipe_len(), "{}", flow.in_flight);
}

/// A.18.
#[test]
fn losses_that_prove_false_bring_the_start_back() {
    let mut flow = Flow { loses: |number| (300..360).contains(&number) && number % 5 == 0, ..Flow::new() };
    flow.holds_lost = true;
    flow.run_until(|flow| flow.bbr.state == State::Drain);
    assert!(flow.bbr.inflight_longterm != UNBOUNDED);
    flow.deliver_lost();
    assert_eq!(flow.bbr.state, State::Startup);
    assert_eq!(flow.bbr.inflight_longterm, UNBOUNDED);
    flow.run_until(|flow| flow.bbr.is_full_bw_reached);
    // What came late came at once.
    assert!(flow.is_near_rate(flow.bbr.max_bw(), 5), "{:?}", flow.bbr.max_bw());
}

#[test]
fn one_true_loss_among_the_false_ones_keeps_what_was_done() {
    let mut flow = Flow { loses: |number| (300..360).contains(&number) && number % 5 == 0, ..Flow::new() };
    flow.holds_lost = true;
    flow.run_until(|flow| flow.bbr.state == State::Drain);
    flow.held.pop();
    flow.deliver_lost();
    assert_ne!(flow.bbr.state, State::Startup);
}

/// §5.5.10.3.
#[test]
fn losses_while_cruising_slow_down_to_what_arrives_until_the_next_probe() {
    let mut flow = Flow::new();
    flow.run_until(|flow| flow.bbr.state == State::Cruise);
    flow.loses = |number| number % 4 == 0;
    flow.run_until(|flow| flow.bbr.bw_shortterm != Rate::MAX);
    let (bw, max_bw) = (flow.bbr.bw(), flow.bbr.max_bw());
    assert!(bw < max_bw && bw >= max_bw.percent(BETA), "{bw:?} of {max_bw:?}");
    flow.loses = |_| false;
    flow.run_until(|flow| flow.bbr.state == State::Refill);
    assert_eq!(flow.bbr.bw(), max_bw);
}

/// RFC 9002 §7.1 and §7.3.1: a mark ends the start as a loss would that of another law.
#[test]
fn a_mark_ends_the_start_and_is_never_undone() {
    let mut flow = Flow::new();
    flow.run_for(60 * MS);
    flow.bbr.on_ecn_ce(1);
    flow.run_until(|flow| flow.bbr.state == State::Drain);
    assert!(u64::from(flow.bbr.inflight_longterm) < flow.pipe_len());
}

#[test]
fn marks_end_a_probe_where_losses_would() {
    let mut flow = Flow::new();
    flow.run_until(|flow| flow.bbr.state == State::Up);
    flow.bbr.on_ecn_ce(1);
    flow.run_for(MS);
    assert_eq!(flow.bbr.state, State::Up, "less than a fiftieth");
    flow.bbr.on_ecn_ce(20);
    flow.run_until(|flow| flow.bbr.state == State::Down);
    assert!(flow.bbr.was_probe_too_high);
}

#[test]
fn persistent_congestion_leaves_two_datagrams_and_the_model() {
    let mut flow = Flow::new();
    flow.run_until(|flow| flow.bbr.state == State::Cruise);
    let max_bw = flow.bbr.max_bw();
    flow.bbr.on_persistent_congestion();
    assert_eq!(flow.bbr.window(), 2 * LEN);
    flow.run_for(200 * MS);
    assert_eq!(flow.bbr.max_bw(), max_bw);
    assert!(flow.bbr.window() > flow.pipe_len());
}

/// §5.5.10.2: with 100 datagrams in flight, the third that is lost is too much.
#[test]
fn losses_are_too_high_where_they_cross_a_fiftieth() {
    let bbr = Bbr::new(LEN, 1 << 20);
    let [one, two, three] = [1200, 2400, 3600];
    assert!(!bbr.is_too_high(two, 120_000));
    assert!(bbr.is_too_high(three, 120_000));
    assert!(!bbr.is_too_high(one, 4800), "one alone is no rate");
    assert!(bbr.is_too_high(two, 4800));
    assert_eq!(inflight_at_loss(1200, three, 120_000), 118_800);
    // Of 64 000 octets in one datagram, as many as make a fiftieth of the whole.
    assert_eq!(inflight_at_loss(64_000, 64_000, 164_000), 100_000 + 200_000 / 98);
}

/// A sender with endless data, unless its application is slow, on a path with a queue that never overflows. Each datagram is
/// acknowledged at once; one is lost when the third after it is.
struct Flow {
    bbr: Bbr,
    rtt: Rtt,
    now: Instant,
    /// Of the line, in octets a second.
    rate: u64,
    line_free_at: Instant,
    in_flight: u64,
    next_number: u64,
    next_send_at: Instant,
    application_rate: Option<u64>,
    loses: fn(u64) -> bool,
    /// By number; with the time of its ack, if it arrives.
    sent: VecDeque<(LostDatagram, Option<Instant>)>,
    /// Whether what is called lost only comes late.
    holds_lost: bool,
    held: Vec<LostDatagram>,
}

/// 100 Mbit/s; with 20 ms, a pipe of 208 datagrams.
const RATE: u64 = 12_500_000;

impl Flow {
    fn new() -> Self {
        let mut rtt = Rtt::new(333 * MS);
        rtt.on_sample(Instant::ORIGIN, 20 * MS, Duration::ZERO);
        Self {
            bbr: Bbr::new(LEN, 16 << 20),
            rtt,
            now: at(MS),
            rate: RATE,
            line_free_at: Instant::ORIGIN,
            in_flight: 0,
            next_number: 0,
            next_send_at: Instant::ORIGIN,
            application_rate: None,
            loses: |_| false,
            sent: VecDeque::new(),
            holds_lost: false,
            held: Vec::new(),
        }
    }

    fn run_for(&mut self, duration: Duration) {
        let end = self.now.saturating_add(duration);
        self.run_until(|flow| flow.now >= end);
    }

    fn run_until(&mut self, is_over: impl Fn(&Self) -> bool) {
        let end = self.now.saturating_add(60 * SECOND);
        while !is_over(self) {
            assert!(self.now < end, "{:?}", self.bbr);
            self.step();
        }
    }

    /// Sends the next datagram, or takes the next ack.
    fn step(&mut self) {
        let may_send = self.in_flight == 0 || self.in_flight + LEN <= self.bbr.window();
        let ack_at = self.sent.iter().find_map(|(_, ack_at)| *ack_at);
        let send_at = self.next_send_at.max(self.now);
        if may_send && ack_at.is_none_or(|ack_at| send_at < ack_at) {
            self.now = send_at;
            self.send();
        } else {
            self.now = self.now.max(ack_at.expect("something is in flight"));
            self.take_ack();
        }
    }

    /// Sends nothing for a while.
    fn pause(&mut self, duration: Duration) {
        let end = self.now.saturating_add(duration);
        while let Some(ack_at) = self.sent.iter().find_map(|(_, ack_at)| *ack_at) {
            self.now = self.now.max(ack_at);
            self.take_ack();
        }
        self.now = self.now.max(end);
    }

    fn send(&mut self) {
        let number = self.next_number;
        self.next_number += 1;
        let snapshot = self.bbr.on_sent(self.now, LEN as usize, self.in_flight);
        self.in_flight += LEN;
        self.line_free_at = self.line_free_at.max(self.now).saturating_add(line_time(self.rate));
        let ack_at = (!(self.loses)(number)).then(|| self.line_free_at.saturating_add(20 * MS));
        self.sent.push_back((LostDatagram { number, sent_at: self.now, len: LEN as usize, snapshot }, ack_at));
        let mut rate = self.bbr.pacing_rate(&self.rtt).octets_per_second();
        if let Some(application_rate) = self.application_rate {
            rate = rate.min(application_rate);
            self.bbr.on_application_limited(self.in_flight);
        }
        self.next_send_at = self.now.saturating_add(line_time(rate));
    }

    fn take_ack(&mut self) {
        let place = self.sent.iter().position(|(_, ack_at)| ack_at.is_some()).expect("an ack is under way");
        let mut batch = Batch::default();
        let (datagram, _) = self.sent.remove(place).expect("it was found");
        self.in_flight -= LEN;
        self.rtt.on_sample(self.now, self.now.saturating_since(datagram.sent_at), Duration::ZERO);
        self.bbr.on_acked(self.now, &acked(&datagram), &mut batch);
        while let Some((lost, None)) = self.sent.front().filter(|(lost, _)| lost.number + 3 <= datagram.number).copied()
        {
            self.sent.pop_front();
            self.in_flight -= LEN;
            self.bbr.on_lost(self.now, &lost);
            if self.holds_lost {
                self.held.push(lost);
            }
        }
        self.bbr.on_ack(self.now, batch, self.in_flight, &self.rtt);
    }

    /// Slows the line, for what is on it too.
    fn slow_down(&mut self, times: u32) {
        let now = self.now;
        let later = |at: Instant| now.saturating_add(times * at.saturating_since(now));
        self.rate /= u64::from(times);
        self.line_free_at = later(self.line_free_at);
        self.sent.iter_mut().for_each(|(_, ack_at)| *ack_at = ack_at.map(later));
    }

    fn deliver_lost(&mut self) {
        let mut batch = Batch::default();
        for lost in core::mem::take(&mut self.held) {
            self.bbr.on_spurious(self.now, &acked(&lost), &mut batch);
        }
    }

    /// Returns what is in flight when the line is busy and nothing waits.
    fn pipe_len(&self) -> u64 {
        self.rate / 50
    }

    fn is_near_rate(&self, rate: Rate, percent: u64) -> bool {
        rate.octets_per_second().abs_diff(self.rate) <= self.rate * percent / 100
    }

    fn pacing_percent(&self) -> u64 {
        (self.bbr.pacing_rate(&self.rtt).octets_per_second() * 100).div_ceil(self.bbr.bw().octets_per_second())
    }
}

fn acked(datagram: &LostDatagram) -> Acked {
    let LostDatagram { sent_at, len, snapshot, .. } = *datagram;
    Acked { sent_at, len, limit: Limit::Window, snapshot }
}

/// How long a datagram takes at a rate in octets a second.
fn line_time(rate: u64) -> Duration {
    Duration::from_nanos(LEN * 1_000_000_000 / rate.max(1))
}

fn at(time: Duration) -> Instant {
    Instant::ORIGIN.saturating_add(time)
}
