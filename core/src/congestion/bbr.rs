//! BBR, version 3: sends as fast as the path was seen to deliver, with as much in flight as that needs.
//!
//! After draft-ietf-ccwg-bbr-06, whose sections are named here; what the draft calls BBR.x or C.x is a field x where its name fits
//! this crate. Gains are in hundredths, and a bound that is not set is [`UNBOUNDED`] or [`Rate::MAX`].

mod aggregation;
mod state;
mod undo;

use aggregation::Aggregation;
use state::{Feedback, State};
use undo::Undo;

use super::{Acked, LostDatagram, initial_window};
use crate::delivery_rate::{Batch, DeliveryRate, Rate, Sample, Snapshot, Ticks, is_after, saturated};
use crate::rtt::Rtt;
use crate::time::Instant;

/// The model of a path, the state machine that probes it, and what follows from both: a window and a rate.
#[derive(Clone, Debug)]
pub(super) struct Bbr {
    delivery: DeliveryRate,
    /// What may be in flight, in octets: C.cwnd.
    window: u32,
    window_max: u32,
    datagram_len: u32,
    /// None until a bandwidth was sampled.
    pacing_rate: Rate,
    /// The most bandwidth seen in this cycle of probing and in the one before (§5.5.3).
    max_bw: [Rate; 2],
    /// What recent losses let the path carry until it is probed again (§5.5.10.3).
    bw_shortterm: Rate,
    inflight_shortterm: u32,
    /// What the path carries without too much loss (§5.5.10.2).
    inflight_longterm: u32,
    /// The most bandwidth, and octets delivered, of this round (§5.5.10.3).
    inflight_latest: u32,
    bw_latest: Rate,
    /// The bandwidth that has to be exceeded by a quarter if the pipe is not full (§5.3.1.2).
    full_bw: Rate,
    min_rtt: Ticks,
    probe_rtt_min_delay: Ticks,
    min_rtt_at: Instant,
    probe_rtt_min_at: Instant,
    probe_rtt_done_at: Option<Instant>,
    /// When the present cycle of probing began, and how long it waits to probe (§5.3.3.8).
    cycle_start: Instant,
    probe_wait: Ticks,
    random: u32,
    /// What had been delivered when the round of the last losses began (§5.5.10.2).
    loss_round_start: u32,
    aggregation: Aggregation,
    /// How `inflight_longterm` grows while the path is probed (§5.3.3.5).
    probe_up_acked: u32,
    probe_up_acked_per_datagram: u32,
    /// The window that losses or a probe of the round trip have narrowed.
    prior_window: u32,
    undo: Undo,
    /// The number of the datagram that was lost last, modulo 2^16.
    lost_number: u16,
    /// Runs of lost datagrams in this round of losses.
    lost_run_count: u8,
    full_bw_count: u8,
    probe_up_rounds: u8,
    rounds_since_probe_up: u8,
    drain_rounds: u8,
    state: State,
    feedback: Feedback,
    is_loss_round_start: bool,
    is_loss_in_round: bool,
    is_full_bw_reached: bool,
    is_probe_sample: bool,
    was_probe_too_high: bool,
    was_probe_precautionary: bool,
    is_restarting: bool,
    is_probe_rtt_round_done: bool,
    /// Whether the window was full in this round, and in the last.
    is_window_full: bool,
    was_window_full: bool,
}

impl Bbr {
    /// §5.2.1.
    pub(super) fn new(datagram_len: u64, window_max: u64) -> Self {
        Self {
            delivery: DeliveryRate::new(),
            window: saturated(initial_window(datagram_len, window_max)),
            window_max: saturated(window_max.max(2 * datagram_len)),
            datagram_len: saturated(datagram_len),
            pacing_rate: Rate::ZERO,
            max_bw: [Rate::ZERO; 2],
            bw_shortterm: Rate::MAX,
            inflight_shortterm: UNBOUNDED,
            inflight_longterm: UNBOUNDED,
            inflight_latest: 0,
            bw_latest: Rate::ZERO,
            full_bw: Rate::ZERO,
            min_rtt: Ticks::MAX,
            probe_rtt_min_delay: Ticks::MAX,
            min_rtt_at: Instant::ORIGIN,
            probe_rtt_min_at: Instant::ORIGIN,
            probe_rtt_done_at: None,
            cycle_start: Instant::ORIGIN,
            probe_wait: Ticks::default(),
            random: 1,
            loss_round_start: 0,
            aggregation: Aggregation::NONE,
            probe_up_acked: 0,
            probe_up_acked_per_datagram: UNBOUNDED,
            prior_window: 0,
            undo: Undo::NOTHING,
            lost_number: 0,
            lost_run_count: 0,
            full_bw_count: 0,
            probe_up_rounds: 0,
            rounds_since_probe_up: 0,
            drain_rounds: 0,
            state: State::Startup,
            feedback: Feedback::None,
            is_loss_round_start: false,
            is_loss_in_round: false,
            is_full_bw_reached: false,
            is_probe_sample: false,
            was_probe_too_high: false,
            was_probe_precautionary: false,
            is_restarting: false,
            is_probe_rtt_round_done: false,
            is_window_full: false,
            was_window_full: false,
        }
    }

    pub(super) const fn seed(&mut self, seed: u32) {
        // Zero is the one state that the generator never leaves.
        self.random = seed | 1;
    }

    /// §5.2.2.
    pub(super) fn on_sent(&mut self, now: Instant, len: usize, in_flight: u64) -> Snapshot {
        if in_flight == 0 && self.delivery.is_limited() {
            self.restart_from_idle(now);
        }
        let snapshot = self.delivery.on_sent(now, len, in_flight);
        self.is_window_full |= snapshot.in_flight().saturating_add(self.datagram_len) > self.window;
        snapshot
    }

    pub(super) fn on_application_limited(&mut self, in_flight: u64) {
        self.delivery.on_application_limited(in_flight);
    }

    pub(super) fn on_acked(&mut self, now: Instant, acked: &Acked, batch: &mut Batch) {
        self.delivery.on_acked(now, acked.len, acked.sent_at, acked.snapshot, batch);
    }

    /// §5.2.3.
    pub(super) fn on_ack(&mut self, now: Instant, batch: Batch, in_flight: u64, rtt: &Rtt) {
        let Some(sample) = self.delivery.sample(now, batch, rtt.min()) else { return };
        let in_flight = saturated(in_flight);
        self.note_latest(&sample);
        if sample.is_round_start {
            self.rounds_since_probe_up = self.rounds_since_probe_up.saturating_add(1);
            self.drain_rounds = self.drain_rounds.saturating_add(1);
            self.was_window_full = core::mem::take(&mut self.is_window_full);
        }
        self.note_bandwidth(&sample);
        self.adapt_to_losses();
        self.aggregation.note(now, &sample, self.bw(), self.window, self.is_full_bw_reached);
        self.note_full_pipe(&sample);
        self.end_startup(&sample);
        self.end_drain(now, in_flight);
        self.advance_cycle(now, &sample, in_flight);
        let is_probe_rtt_due = self.note_round_trip(now, &sample);
        self.probe_round_trip(now, &sample, is_probe_rtt_due, in_flight);
        if self.is_loss_round_start {
            self.bw_latest = sample.rate;
            self.inflight_latest = sample.delivered;
        }
        self.set_pacing_rate(self.state.pacing_gain(), rtt);
        self.set_window(sample.newly_acked);
    }

    /// §5.5.10.2, and §5.5.11.1: an episode begins with the first loss of what left after the one before began.
    pub(super) fn on_lost(&mut self, now: Instant, lost: &LostDatagram) {
        if self.undo.start.is_none_or(|start| lost.sent_at > start) {
            self.begin_episode(now);
        }
        self.undo.lost_count = self.undo.lost_count.saturating_add(1);
        self.delivery.on_lost(lost.len as u64);
        self.note_loss();
        let number = lost.number as u16;
        if self.lost_run_count == 0 || number != self.lost_number.wrapping_add(1) {
            self.lost_run_count = self.lost_run_count.saturating_add(1);
        }
        self.lost_number = number;
        let lost_len = self.delivery.lost_since(&lost.snapshot);
        if self.is_probe_sample && self.is_too_high(lost_len, lost.snapshot.in_flight()) {
            let in_flight = inflight_at_loss(saturated(lost.len as u64), lost_len, lost.snapshot.in_flight());
            self.on_inflight_too_high(now, in_flight, lost.snapshot.is_limited());
        }
    }

    /// Takes each mark for a loss, because a router that marks would else drop (§3.7, RFC 3168 §5): the ack that tells of it is
    /// judged by the share of the two together. But no noise has to be kept out, so the first one ends the start.
    pub(super) fn on_ecn_ce(&mut self, count: u64) {
        self.delivery.on_lost(count.saturating_mul(self.datagram_len.into()));
        self.note_loss();
        // Nor is it a guess: nothing that is learnt later makes it false.
        self.undo.lost_count = 0;
        if self.state == State::Startup {
            self.note_full_startup();
        }
    }

    /// §5.6.4.4, with the window of RFC 9002 §7.6.2: acks let it grow to what the model says.
    pub(super) fn on_persistent_congestion(&mut self) {
        self.window = self.window.min(2 * self.datagram_len);
        self.undo.lost_count = 0;
    }

    /// §5.5.11.2.
    pub(super) fn on_spurious(&mut self, now: Instant, acked: &Acked, batch: &mut Batch) {
        self.on_acked(now, acked, batch);
        if self.undo.on_spurious(acked.sent_at) {
            self.undo_losses();
        }
    }

    pub(super) fn on_datagram_len(&mut self, datagram_len: u64) {
        self.datagram_len = saturated(datagram_len);
    }

    pub(super) const fn window(&self) -> u64 {
        self.window as u64
    }

    pub(super) const fn datagram_len(&self) -> u64 {
        self.datagram_len as u64
    }

    /// §5.6.2: until a bandwidth is known, the initial window over the round trip, at the gain of the start.
    ///
    /// At least two datagrams a round trip, as any law may send (RFC 9002 §7.2): a path that once delivered next to nothing would
    /// else be probed with next to nothing, and take minutes to show that it is well again.
    pub(super) fn pacing_rate(&self, rtt: &Rtt) -> Rate {
        let round_trip = Ticks::from(rtt.smoothed());
        if self.pacing_rate == Rate::ZERO {
            return Rate::of(self.initial_window(), round_trip).percent(State::Startup.pacing_gain());
        }
        self.pacing_rate.max(Rate::of(2 * self.datagram_len, round_trip))
    }

    /// §5.5.10.3, UpdateLatestDeliverySignals.
    fn note_latest(&mut self, sample: &Sample) {
        self.bw_latest = self.bw_latest.max(sample.rate);
        self.inflight_latest = self.inflight_latest.max(sample.delivered);
        self.is_loss_round_start = !is_after(self.loss_round_start, sample.prior_delivered);
        if self.is_loss_round_start {
            self.loss_round_start = self.delivery.delivered();
        }
    }

    /// §5.5.5: what the application limited counts only where it shows more than was known.
    fn note_bandwidth(&mut self, sample: &Sample) {
        if sample.rate >= self.max_bw() || !sample.is_limited {
            self.max_bw[0] = self.max_bw[0].max(sample.rate);
        }
    }

    /// §5.5.10.3: once a round in which something was lost, unless the sender tries the path.
    fn adapt_to_losses(&mut self) {
        if !self.is_loss_round_start {
            return;
        }
        let is_probing = matches!(self.state, State::Startup | State::Refill | State::Up);
        if core::mem::take(&mut self.is_loss_in_round) && !is_probing {
            let bw = if self.bw_shortterm == Rate::MAX { self.max_bw() } else { self.bw_shortterm };
            let inflight = if self.inflight_shortterm == UNBOUNDED { self.window } else { self.inflight_shortterm };
            self.bw_shortterm = self.bw_latest.max(bw.percent(BETA));
            self.inflight_shortterm = self.inflight_latest.max(scaled(inflight, BETA));
        }
    }

    /// §5.3.1.2.
    fn note_full_pipe(&mut self, sample: &Sample) {
        if self.is_full_bw_now() || !sample.is_round_start || sample.is_limited {
            return;
        }
        if sample.rate >= self.full_bw.percent(FULL_BW_GROWTH) {
            self.look_for_full_pipe(sample.rate);
            return;
        }
        self.full_bw_count += 1;
        self.is_full_bw_reached |= self.is_full_bw_now();
    }

    /// ResetFullBW of §5.3.1.2.
    const fn look_for_full_pipe(&mut self, full_bw: Rate) {
        self.full_bw = full_bw;
        self.full_bw_count = 0;
    }

    /// §5.3.1.3: leaves the start when the pipe is full, or a round of losses says so.
    fn end_startup(&mut self, sample: &Sample) {
        let lost_run_count =
            if self.is_loss_round_start { core::mem::take(&mut self.lost_run_count) } else { self.lost_run_count };
        if self.state != State::Startup {
            return;
        }
        if self.is_loss_round_start
            && lost_run_count >= STARTUP_LOST_RUNS
            && self.is_too_high(sample.lost, sample.in_flight)
        {
            self.undo.state = Some(State::Startup);
            self.note_full_startup();
        }
        if self.is_full_bw_reached {
            self.state = State::Drain;
            self.drain_rounds = 0;
        }
    }

    fn note_full_startup(&mut self) {
        self.full_bw_count = FULL_BW_ROUNDS;
        self.is_full_bw_reached = true;
        self.inflight_longterm = self.bdp().max(self.inflight_latest);
    }

    /// §5.3.2.
    fn end_drain(&mut self, now: Instant, in_flight: u32) {
        if self.state == State::Drain
            && (in_flight <= self.inflight(self.bw(), 100) || self.drain_rounds > DRAIN_ROUNDS_MAX)
        {
            self.start_down(now);
        }
    }

    /// §5.3.3.9, UpdateProbeBWCyclePhase.
    fn advance_cycle(&mut self, now: Instant, sample: &Sample, in_flight: u32) {
        if !self.is_full_bw_reached || self.adapt_long_term(now, sample) {
            return;
        }
        match self.state {
            State::Down | State::Cruise if self.is_time_to_probe(now) => self.start_refill(),
            State::Down if self.is_time_to_cruise(in_flight) => self.state = State::Cruise,
            State::Refill if sample.is_round_start => {
                self.is_probe_sample = true;
                self.start_up(sample);
            }
            State::Up => {
                if self.is_time_to_go_down(sample, in_flight) {
                    self.was_probe_too_high = false;
                    self.start_down(now);
                }
            }
            State::Startup | State::Drain | State::Down | State::Cruise | State::Refill | State::ProbeRtt => {}
        }
    }

    /// §5.3.3.9, AdaptLongTermModel; says whether that decided on the state.
    fn adapt_long_term(&mut self, now: Instant, sample: &Sample) -> bool {
        if self.feedback == Feedback::ProbeStarting && sample.is_round_start {
            self.feedback = Feedback::Probe;
        }
        if self.feedback == Feedback::ProbeStopping && sample.is_round_start {
            self.is_probe_sample = false;
            self.feedback = Feedback::None;
            if self.state.is_probing_bandwidth() {
                if !sample.is_limited && self.max_bw[0] > Rate::ZERO {
                    self.max_bw = [Rate::ZERO, self.max_bw[0]];
                }
                if self.was_probe_precautionary && !self.was_probe_too_high {
                    // §5.3.3.6: it was safe up to the bound, so beyond it is tried at once.
                    self.start_refill();
                    return true;
                }
            }
        }
        if self.is_too_high(sample.lost, sample.in_flight) {
            // Losses were judged one by one; here it is marks.
            if self.is_probe_sample {
                self.on_inflight_too_high(now, sample.in_flight, sample.is_limited);
            }
        } else if self.inflight_longterm != UNBOUNDED {
            self.inflight_longterm = self.inflight_longterm.max(sample.in_flight);
            if self.state == State::Up {
                self.raise_inflight_longterm(sample);
            }
        }
        false
    }

    /// §5.3.3.9, ProbeInflightLongtermUpward.
    fn raise_inflight_longterm(&mut self, sample: &Sample) {
        if !self.is_window_limited() || self.window < self.inflight_longterm {
            return;
        }
        self.probe_up_acked = self.probe_up_acked.saturating_add(sample.newly_acked);
        let count = self.probe_up_acked / self.probe_up_acked_per_datagram;
        self.probe_up_acked %= self.probe_up_acked_per_datagram;
        self.inflight_longterm = self.inflight_longterm.saturating_add(count.saturating_mul(self.datagram_len));
        if sample.is_round_start {
            self.raise_slope();
        }
    }

    /// §5.3.3.9, RaiseInflightLongtermSlope.
    fn raise_slope(&mut self) {
        self.probe_up_acked_per_datagram = (self.window >> self.probe_up_rounds).max(self.datagram_len).max(1);
        self.probe_up_rounds = (self.probe_up_rounds + 1).min(PROBE_UP_ROUNDS_MAX);
    }

    /// §5.5.10.2, HandleInflightTooHigh.
    fn on_inflight_too_high(&mut self, now: Instant, in_flight: u32, is_limited: bool) {
        self.was_probe_too_high = true;
        // Once a probe.
        self.is_probe_sample = false;
        if !is_limited {
            self.inflight_longterm = in_flight.max(scaled(self.target_inflight(), BETA));
        }
        if self.state == State::Up {
            self.undo.state = Some(State::Up);
            self.start_down(now);
        }
    }

    /// §5.3.3.8.
    fn is_time_to_probe(&self, now: Instant) -> bool {
        let reno_rounds = self.target_inflight() / self.datagram_len.max(1);
        Ticks::between(self.cycle_start, now) > self.probe_wait
            || u32::from(self.rounds_since_probe_up) >= reno_rounds.min(RENO_ROUNDS_MAX)
    }

    /// §5.3.3.9, IsTimeToCruise.
    fn is_time_to_cruise(&self, in_flight: u32) -> bool {
        in_flight <= self.inflight_with_headroom() && in_flight <= self.inflight(self.max_bw(), 100)
    }

    /// §5.3.3.7.
    fn is_time_to_go_down(&mut self, sample: &Sample, in_flight: u32) -> bool {
        // What was in flight before the ack, with a datagram more, for which there was no room.
        let reached = in_flight.saturating_add(sample.newly_acked).saturating_add(self.datagram_len);
        if self.was_probe_too_high && reached > self.inflight_longterm {
            self.was_probe_precautionary = true;
            return true;
        }
        if self.is_window_limited() && self.window >= self.inflight_longterm {
            // The bound and not the path limits the bandwidth.
            self.look_for_full_pipe(sample.rate);
            return false;
        }
        self.is_full_bw_now()
    }

    fn start_down(&mut self, now: Instant) {
        self.is_loss_in_round = false;
        self.bw_latest = Rate::ZERO;
        self.inflight_latest = 0;
        self.probe_up_acked_per_datagram = UNBOUNDED;
        // PickProbeWait of §5.3.3.8: two to three seconds, and a round less or not.
        let random = self.random();
        self.rounds_since_probe_up = (random >> 31) as u8;
        self.probe_wait = PROBE_WAIT_MIN.saturating_add(Ticks::from_millis(random % 1000));
        self.cycle_start = now;
        self.feedback = Feedback::ProbeStopping;
        self.delivery.start_round();
        self.state = State::Down;
    }

    const fn start_refill(&mut self) {
        self.forget_short_term();
        self.probe_up_rounds = 0;
        self.probe_up_acked = 0;
        self.was_probe_precautionary = false;
        self.feedback = Feedback::Refilling;
        self.delivery.start_round();
        self.state = State::Refill;
    }

    fn start_up(&mut self, sample: &Sample) {
        self.feedback = Feedback::ProbeStarting;
        self.delivery.start_round();
        self.look_for_full_pipe(sample.rate);
        self.state = State::Up;
        self.raise_slope();
    }

    const fn forget_short_term(&mut self) {
        self.bw_shortterm = Rate::MAX;
        self.inflight_shortterm = UNBOUNDED;
    }

    /// §5.3.4.3, UpdateMinRTT; says whether a probe of the round trip is due.
    fn note_round_trip(&mut self, now: Instant, sample: &Sample) -> bool {
        let is_expired =
            self.probe_rtt_min_delay != Ticks::MAX && Ticks::between(self.probe_rtt_min_at, now) > PROBE_RTT_INTERVAL;
        if sample.rtt < self.probe_rtt_min_delay || is_expired {
            self.probe_rtt_min_delay = sample.rtt;
            self.probe_rtt_min_at = now;
        }
        if self.probe_rtt_min_delay < self.min_rtt || Ticks::between(self.min_rtt_at, now) > MIN_RTT_WINDOW {
            self.min_rtt = self.probe_rtt_min_delay;
            self.min_rtt_at = self.probe_rtt_min_at;
        }
        is_expired
    }

    /// §5.3.4.3, CheckProbeRTT.
    fn probe_round_trip(&mut self, now: Instant, sample: &Sample, is_due: bool, in_flight: u32) {
        if is_due && self.state != State::ProbeRtt && !self.is_restarting {
            self.save_window();
            self.state = State::ProbeRtt;
            self.probe_rtt_done_at = None;
            self.feedback = Feedback::ProbeStopping;
            self.delivery.start_round();
        }
        if self.state == State::ProbeRtt {
            // What little is sent says nothing about the bandwidth.
            self.delivery.on_application_limited(in_flight.into());
            if self.probe_rtt_done_at.is_some() {
                self.is_probe_rtt_round_done |= sample.is_round_start;
                if self.is_probe_rtt_round_done {
                    self.end_probe_rtt(now);
                }
            } else if in_flight <= self.probe_rtt_window() {
                self.probe_rtt_done_at = Some(now.saturating_add(PROBE_RTT_DURATION));
                self.is_probe_rtt_round_done = false;
                self.delivery.start_round();
            }
        }
        self.is_restarting = false;
    }

    /// §5.3.4.3, CheckProbeRTTDone, and §5.3.4.4.
    fn end_probe_rtt(&mut self, now: Instant) {
        if self.probe_rtt_done_at.is_none_or(|done_at| now <= done_at) {
            return;
        }
        self.probe_rtt_min_at = now;
        self.window = self.window.max(self.prior_window);
        self.forget_short_term();
        if self.is_full_bw_reached {
            self.start_down(now);
            self.state = State::Cruise;
        } else {
            self.state = State::Startup;
        }
    }

    /// §5.4.1: the rate at which the path delivers, and not a probe of more, is what fills an empty pipe.
    fn restart_from_idle(&mut self, now: Instant) {
        self.is_restarting = true;
        self.aggregation.restart(now);
        if self.state.is_probing_bandwidth() {
            self.pacing_rate = self.paced(100);
        } else if self.state == State::ProbeRtt {
            self.end_probe_rtt(now);
        }
    }

    fn note_loss(&mut self) {
        if !self.is_loss_in_round {
            self.loss_round_start = self.delivery.delivered();
            self.lost_run_count = 0;
        }
        self.is_loss_in_round = true;
    }

    /// §5.5.11.1.
    fn begin_episode(&mut self, now: Instant) {
        self.save_window();
        self.undo = Undo {
            bw_shortterm: self.bw_shortterm,
            inflight_shortterm: self.inflight_shortterm,
            inflight_longterm: self.inflight_longterm,
            start: Some(now),
            previous_start: self.undo.start,
            lost_count: 0,
            state: None,
        };
    }

    /// §5.5.11.2, HandleSpuriousLossDetection.
    fn undo_losses(&mut self) {
        self.window = self.window.max(self.prior_window);
        self.is_loss_in_round = false;
        self.look_for_full_pipe(Rate::ZERO);
        self.bw_shortterm = self.bw_shortterm.max(self.undo.bw_shortterm);
        self.inflight_shortterm = self.inflight_shortterm.max(self.undo.inflight_shortterm);
        self.inflight_longterm = self.inflight_longterm.max(self.undo.inflight_longterm);
        match self.undo.state.take() {
            Some(State::Startup) if self.state != State::Startup => {
                self.is_full_bw_reached = false;
                if self.state != State::ProbeRtt {
                    self.state = State::Startup;
                }
            }
            Some(State::Up) if self.state != State::Up && self.state != State::ProbeRtt => self.start_refill(),
            Some(_) | None => {}
        }
    }

    /// §5.6.4.4, SaveCwnd.
    fn save_window(&mut self) {
        let is_narrowed = self.is_loss_in_round || self.state == State::ProbeRtt;
        self.prior_window = if is_narrowed { self.prior_window.max(self.window) } else { self.window };
    }

    /// §5.6.2.
    fn set_pacing_rate(&mut self, gain: u64, rtt: &Rtt) {
        let rate = self.paced(gain);
        if self.is_full_bw_reached || rate > self.pacing_rate(rtt) {
            self.pacing_rate = rate;
        }
    }

    /// §5.6.4.6, §5.6.4.7.
    fn set_window(&mut self, newly_acked: u32) {
        let inflight_max = self.with_budget(
            self.bdp_multiple(self.bw(), self.state.window_gain()).saturating_add(self.aggregation.extra()),
        );
        let grown = self.window.saturating_add(newly_acked);
        if self.is_full_bw_reached {
            self.window = grown.min(inflight_max);
        } else if self.window < inflight_max || self.delivery.delivered() < self.initial_window() {
            self.window = grown;
        }
        self.window = self.window.max(self.window_min());
        let cap = match self.state {
            State::Startup | State::Drain => UNBOUNDED,
            State::Down | State::Refill | State::Up => self.inflight_longterm,
            State::Cruise => self.inflight_with_headroom(),
            State::ProbeRtt => self.inflight_with_headroom().min(self.probe_rtt_window()),
        };
        let cap = cap.min(self.inflight_shortterm).max(self.window_min());
        self.window = self.window.min(cap).min(self.window_max);
    }

    fn max_bw(&self) -> Rate {
        self.max_bw[0].max(self.max_bw[1])
    }

    /// §5.6.2: a hundredth below, for short queues.
    fn paced(&self, gain: u64) -> Rate {
        self.bw().percent(gain).percent(99)
    }

    /// BoundBWForModel of §5.5.10.3.
    fn bw(&self) -> Rate {
        self.max_bw().min(self.bw_shortterm)
    }

    fn bdp(&self) -> u32 {
        self.bdp_multiple(self.bw(), 100)
    }

    /// §5.6.4.2, BDPMultiple.
    fn bdp_multiple(&self, bw: Rate, gain: u64) -> u32 {
        match self.min_rtt {
            Ticks::MAX => self.initial_window(),
            min_rtt => saturated(bw.percent(gain).octets(min_rtt)),
        }
    }

    /// §5.6.4.2, Inflight.
    fn inflight(&self, bw: Rate, gain: u64) -> u32 {
        self.with_budget(self.bdp_multiple(bw, gain))
    }

    /// §5.6.4.2, QuantizationBudget; the quantum is that of §5.6.3.
    fn with_budget(&self, inflight: u32) -> u32 {
        let quantum =
            saturated(self.pacing_rate.octets_per_second() / 1000).min(QUANTUM_MAX).max(2 * self.datagram_len);
        let inflight = inflight.max(quantum).max(self.window_min());
        if self.state == State::Up { inflight.saturating_add(2 * self.datagram_len) } else { inflight }
    }

    /// §5.3.3.8, TargetInflight.
    fn target_inflight(&self) -> u32 {
        self.bdp().min(self.window)
    }

    /// §5.3.3.9, InflightWithHeadroom.
    fn inflight_with_headroom(&self) -> u32 {
        if self.inflight_longterm == UNBOUNDED {
            return UNBOUNDED;
        }
        let headroom = self.datagram_len.max(scaled(self.inflight_longterm, HEADROOM));
        self.inflight_longterm.saturating_sub(headroom).max(self.window_min())
    }

    /// §5.6.4.5.
    fn probe_rtt_window(&self) -> u32 {
        self.bdp_multiple(self.bw(), State::ProbeRtt.window_gain()).max(self.window_min())
    }

    /// Whether the path was seen to deliver no more since this was looked for.
    const fn is_full_bw_now(&self) -> bool {
        self.full_bw_count >= FULL_BW_ROUNDS
    }

    const fn is_window_limited(&self) -> bool {
        self.is_window_full || self.was_window_full
    }

    fn initial_window(&self) -> u32 {
        saturated(initial_window(self.datagram_len.into(), self.window_max.into()))
    }

    /// IsInflightTooHigh of §5.5.10.2: more than a fiftieth was lost, and more than one datagram.
    ///
    /// Of fewer than fifty in flight one is always too many, and a path that loses by chance would never be probed beyond a few;
    /// Chromium's BBR asks for two, too.
    fn is_too_high(&self, lost: u32, in_flight: u32) -> bool {
        lost > self.datagram_len && u64::from(lost) * 100 > u64::from(in_flight) * LOSS_PERCENT_MAX
    }

    /// MinPipeCwnd of §5.6.4.3.
    const fn window_min(&self) -> u32 {
        4 * self.datagram_len
    }

    /// Marsaglia's xorshift: chance enough to keep neighbours apart.
    const fn random(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }
}

/// InflightAtLoss of §5.5.10.2: how much was in flight when the share of losses became too high, in the course of a datagram of
/// `len` octets, with `lost` of `in_flight` lost, that datagram included.
fn inflight_at_loss(len: u32, lost: u32, in_flight: u32) -> u32 {
    let (before, lost_before) = (in_flight.saturating_sub(len), lost.saturating_sub(len));
    let allowed = u64::from(before) * LOSS_PERCENT_MAX;
    let part = allowed.saturating_sub(u64::from(lost_before) * 100) / (100 - LOSS_PERCENT_MAX);
    before.saturating_add(saturated(part))
}

fn scaled(octets: u32, percent: u64) -> u32 {
    saturated(u64::from(octets) * percent / 100)
}

/// No bound, in octets.
const UNBOUNDED: u32 = u32::MAX;

// The constants of §2, in hundredths where they are parts.
const LOSS_PERCENT_MAX: u64 = 2;
const BETA: u64 = 70;
const HEADROOM: u64 = 15;
const FULL_BW_GROWTH: u64 = 125;
const FULL_BW_ROUNDS: u8 = 3;
const STARTUP_LOST_RUNS: u8 = 6;
const DRAIN_ROUNDS_MAX: u8 = 3;
const PROBE_UP_ROUNDS_MAX: u8 = 30;
const RENO_ROUNDS_MAX: u32 = 63;
const QUANTUM_MAX: u32 = 65_536;
const PROBE_WAIT_MIN: Ticks = Ticks::from_millis(2000);
const MIN_RTT_WINDOW: Ticks = Ticks::from_millis(10_000);
const PROBE_RTT_INTERVAL: Ticks = Ticks::from_millis(5000);
const PROBE_RTT_DURATION: core::time::Duration = core::time::Duration::from_millis(200);

#[cfg(test)]
mod tests;
