//! What a sender without flaws would reach: the yardstick for a real one.

use alloc::collections::VecDeque;

use crate::link::{LinkConfig, Ppm};
use crate::rng::Rng;

/// A congestion controller in its textbook form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// RFC 9002 §7.
    NewReno,
    /// RFC 9438.
    Cubic,
}

/// A path and a controller whose goodput is asked for.
///
/// The model sender always has data, knows the fate of each datagram one round trip after sending it, has no
/// timeouts, repairs each loss without a further one, and computes in floats. Its acks are free and never lost.
/// What it reaches is what the controller allows; a real sender has to come near it.
#[derive(Clone, Copy, Debug)]
pub struct Ideal {
    /// The controller.
    pub controller: Controller,
    /// The round trip in seconds, without queueing.
    pub rtt: f64,
    /// The rate of the bottleneck in bit/s; infinite for none.
    pub rate: f64,
    /// The octets that the queue of the bottleneck holds.
    pub queue_len_max: f64,
    /// The probability that a datagram is lost on the line.
    pub loss: f64,
    /// The octets of a datagram on the line, headers included.
    pub datagram_len: f64,
}

impl Ideal {
    /// Describes the path that two links make for datagrams of `datagram_len` octets, headers included.
    ///
    /// Of the way back only the delay counts. Faults other than single losses are not part of the model.
    #[must_use]
    pub fn on_path(controller: Controller, forth: &LinkConfig, back: &LinkConfig, datagram_len: usize) -> Self {
        Self {
            controller,
            rtt: (forth.delay + back.delay).as_secs_f64(),
            rate: forth.rate.map_or(f64::INFINITY, |rate| rate as f64),
            queue_len_max: forth.queue_len_max as f64,
            loss: f64::from(forth.loss.0) / f64::from(Ppm::ALWAYS.0),
            datagram_len: datagram_len as f64,
        }
    }

    /// Returns the goodput in octets on the line per second, the mean over `duration` seconds from the start.
    ///
    /// Either the rate or the loss has to bound the window. Retransmissions do not count twice. The losses are those of `seed`.
    #[must_use]
    pub fn goodput(&self, seed: u64, duration: f64) -> f64 {
        let mut dice = Rng::new(seed);
        let mut window = Window::new(self.controller);
        let mut in_flight: VecDeque<InFlight> = VecDeque::new();
        let (mut now, mut line_idle_at, mut recovery_start) = (0.0_f64, 0.0_f64, -1.0_f64);
        let mut delivered = 0_u64;
        let transmission = self.datagram_len * 8.0 / self.rate;
        let queue_duration = self.queue_len_max * 8.0 / self.rate;
        while now < duration {
            // What the window has left of a datagram is not used (RFC 9002 §7: a sender must not exceed it).
            while in_flight.len() as f64 + 1.0 <= window.len {
                let idle_at = line_idle_at.max(now);
                let overflow = idle_at - now > 0.0 && idle_at - now + transmission > queue_duration;
                if !overflow {
                    line_idle_at = idle_at + transmission;
                }
                let lost = overflow || dice.unit() < self.loss;
                in_flight.push_back(InFlight { sent_at: now, known_at: idle_at + transmission + self.rtt, lost });
            }
            let Some(datagram) = in_flight.pop_front() else { break };
            now = now.max(datagram.known_at);
            if !datagram.lost {
                delivered += 1;
                // The window stands still until what was sent before its cut is accounted for (RFC 9002 §7.3.2).
                if datagram.sent_at > recovery_start {
                    window.on_ack(now, self.rtt + (line_idle_at - now).max(0.0));
                }
            } else if datagram.sent_at > recovery_start {
                recovery_start = now;
                window.on_loss(now);
            }
        }
        delivered as f64 * self.datagram_len / duration
    }
}

struct InFlight {
    sent_at: f64,
    known_at: f64,
    lost: bool,
}

/// The congestion window, in datagrams.
struct Window {
    controller: Controller,
    len: f64,
    slow_start_max: f64,
    /// CUBIC: when the current epoch began, the window to return to (`W_max`), that in which the last loss fell
    /// (`cwnd_prior`), and the Reno estimate.
    epoch_start: f64,
    len_before_loss: f64,
    len_prior: f64,
    reno_len: f64,
    /// CUBIC: the time from the start of the epoch until the window is at its old size (`K`).
    recovery_duration: f64,
}

impl Window {
    const fn new(controller: Controller) -> Self {
        Self {
            controller,
            len: 10.0,
            slow_start_max: f64::INFINITY,
            epoch_start: 0.0,
            len_before_loss: 0.0,
            len_prior: 0.0,
            reno_len: 0.0,
            recovery_duration: 0.0,
        }
    }

    fn on_ack(&mut self, now: f64, rtt: f64) {
        if self.len < self.slow_start_max {
            self.len += 1.0;
            return;
        }
        match self.controller {
            Controller::NewReno => self.len += 1.0 / self.len,
            Controller::Cubic => {
                let ahead = now - self.epoch_start + rtt - self.recovery_duration;
                let target = (CUBIC_C * ahead.powi(3) + self.len_before_loss).clamp(self.len, 1.5 * self.len);
                // RFC 9438 §4.3: once back at the old window, the estimate grows as Reno itself.
                let alpha = if self.reno_len < self.len_prior { CUBIC_ALPHA } else { 1.0 };
                self.reno_len += alpha / self.len;
                self.len = (self.len + (target - self.len) / self.len).max(self.reno_len);
            }
        }
    }

    fn on_loss(&mut self, now: f64) {
        let beta = match self.controller {
            Controller::NewReno => 0.5,
            Controller::Cubic => {
                self.len_prior = self.len;
                // Fast convergence (RFC 9438 §4.7): a window that shrinks makes room for others.
                let shrunk = self.len < self.len_before_loss;
                self.len_before_loss = if shrunk { self.len * (1.0 + CUBIC_BETA) / 2.0 } else { self.len };
                CUBIC_BETA
            }
        };
        self.len = (self.len * beta).max(2.0);
        self.slow_start_max = self.len;
        self.reno_len = self.len;
        self.epoch_start = now;
        self.recovery_duration = ((self.len_before_loss - self.len).max(0.0) / CUBIC_C).cbrt();
    }
}

/// RFC 9438 §4.1.
const CUBIC_C: f64 = 0.4;
/// RFC 9438 §4.6.
const CUBIC_BETA: f64 = 0.7;
/// RFC 9438 §4.3: 3 (1 - beta) / (1 + beta), the growth at which Reno with this beta is as fast as Reno.
const CUBIC_ALPHA: f64 = 3.0 * (1.0 - CUBIC_BETA) / (1.0 + CUBIC_BETA);

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn reno_follows_the_inverse_square_root_of_the_loss() {
        for loss in [0.000_3, 0.001, 0.01] {
            let ideal = Ideal { loss, ..path(Controller::NewReno, 0.05, f64::INFINITY) };
            let window = ideal.goodput(1, 2_000.0) * ideal.rtt / ideal.datagram_len;
            // Mathis, Semke, Mahdavi and Ott, 1997: sqrt(3/2) / sqrt(p) datagrams a round trip.
            let expected = (1.5 / loss).sqrt();
            assert!((0.8..1.25).contains(&(window / expected)), "{window} for {expected} at {loss}");
        }
    }

    #[test]
    fn cubic_follows_the_loss_to_the_power_of_three_quarters_on_a_long_path() {
        let (rtt, loss) = (0.2, 0.000_1);
        let ideal = Ideal { loss, ..path(Controller::Cubic, rtt, f64::INFINITY) };
        let window = ideal.goodput(1, 3_000.0) * rtt / ideal.datagram_len;
        // RFC 9438 §5.1: (C (3 + beta) / (4 (1 - beta)))^(1/4) * (RTT / p)^(3/4).
        let expected = (CUBIC_C * (3.0 + CUBIC_BETA) / (4.0 * (1.0 - CUBIC_BETA))).powf(0.25) * (rtt / loss).powf(0.75);
        assert!((0.75..1.25).contains(&(window / expected)), "{window} for {expected}");
    }

    #[test]
    fn a_clean_path_is_filled() {
        for controller in [Controller::NewReno, Controller::Cubic] {
            let ideal = path(controller, 0.04, 50e6);
            let part = ideal.goodput(1, 100.0) * 8.0 / ideal.rate;
            assert!((0.95..=1.0).contains(&part), "{controller:?} fills {part}");
        }
    }

    #[test]
    fn a_path_is_described_by_its_links() {
        let forth = LinkConfig {
            delay: Duration::from_millis(15),
            rate: Some(50_000_000),
            queue_len_max: 250_000,
            ..LinkConfig::default()
        };
        let back = LinkConfig { delay: Duration::from_millis(25), ..LinkConfig::default() };
        let ideal = Ideal::on_path(Controller::Cubic, &forth, &back, 1228);
        assert_eq!(ideal.goodput(1, 10.0), path(Controller::Cubic, 0.04, 50e6).goodput(1, 10.0));
    }

    #[test]
    fn cubic_is_never_far_below_reno() {
        for loss in [0.001, 0.01, 0.05] {
            let reno = Ideal { loss, ..path(Controller::NewReno, 0.02, 100e6) };
            let cubic = Ideal { controller: Controller::Cubic, ..reno };
            assert!(cubic.goodput(3, 500.0) > 0.9 * reno.goodput(3, 500.0));
        }
    }

    /// A path with a queue of one bandwidth-delay product.
    fn path(controller: Controller, rtt: f64, rate: f64) -> Ideal {
        Ideal { controller, rtt, rate, queue_len_max: rate * rtt / 8.0, loss: 0.0, datagram_len: 1228.0 }
    }
}
