//! One direction of a path: what it does to the datagrams put on it.

use core::fmt;
use core::time::Duration;

use posthaste_core::Instant;

use crate::rng::Rng;
use posthaste_core::ecn::Ecn;

/// A probability in parts per million.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ppm(pub u32);

impl Ppm {
    /// It never happens.
    pub const NEVER: Self = Self(0);
    /// It always happens.
    pub const ALWAYS: Self = Self(1_000_000);

    /// Makes a probability of `percent` in a hundred.
    #[must_use]
    pub const fn percent(percent: u32) -> Self {
        Self(percent * 10_000)
    }

    fn happens(self, dice: &mut Rng) -> bool {
        dice.below(1_000_000) < u64::from(self.0)
    }
}

impl fmt::Debug for Ppm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:04}%", self.0 / 10_000, self.0 % 10_000)
    }
}

/// What one direction of a path does to datagrams. The default does nothing: no delay, no limit, no fault.
///
/// A datagram meets, in this order: the MTU, the queue in front of a line of some rate, the outage and the losses on
/// that line (what is lost there has used the line), damage, the delay with what makes it vary, and duplication.
#[derive(Clone, Copy, Debug)]
pub struct LinkConfig {
    /// The time from the end of transmission to arrival.
    pub delay: Duration,
    /// The most that is added to the delay of each datagram, evenly drawn; it reorders.
    pub jitter: Duration,
    /// The rate of the line in bit/s, above zero; `None` for no limit, and then no queue forms.
    pub rate: Option<u64>,
    /// The most octets of IP datagrams that wait for the line or are on it. An idle line takes any datagram.
    pub queue_len_max: usize,
    /// What happens to the ECN field.
    pub ecn: EcnPolicy,
    /// The longest IP datagram that gets through, headers included; longer ones vanish.
    pub mtu: usize,
    /// When nothing gets through.
    pub outage: Option<Outage>,
    /// How many datagrams are lost, each on its own.
    pub loss: Ppm,
    /// Losses that come together.
    pub burst: Option<Burst>,
    /// Flipped bits.
    pub corrupt: Corrupt,
    /// How many datagrams are cut to a random length or prolonged by 1 to 64 random octets.
    pub resize: Ppm,
    /// How many datagrams are held back by a quarter of the delay plus 1 ms, so that later ones overtake them.
    pub reorder: Ppm,
    /// Further copies.
    pub duplicate: Duplicate,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            rate: None,
            queue_len_max: usize::MAX,
            ecn: EcnPolicy::Carry,
            mtu: 65_535,
            outage: None,
            loss: Ppm::NEVER,
            burst: None,
            corrupt: Corrupt::default(),
            resize: Ppm::NEVER,
            reorder: Ppm::NEVER,
            duplicate: Duplicate::default(),
        }
    }
}

/// What a link does to the ECN field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcnPolicy {
    /// Leaves it alone.
    Carry,
    /// Sets CE on ECN-capable datagrams when they and the queue before them exceed this many octets.
    MarkAbove(usize),
    /// Clears it, as some middleboxes do.
    Clear,
}

/// A span of time in which a link carries nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The first instant without service.
    pub start: Instant,
    /// The first instant with service again.
    pub end: Instant,
    /// If given, the link is down and up in turns of this length between `start` and `end`.
    pub flap: Option<Duration>,
}

impl Outage {
    fn covers(&self, at: Instant) -> bool {
        let since_start = at.saturating_since(self.start).as_nanos();
        let down = self.flap.is_none_or(|flap| (since_start / flap.as_nanos().max(1)).is_multiple_of(2));
        self.start <= at && at < self.end && down
    }
}

/// Losses in bursts: a line with a good and a bad state (after Gilbert and Elliott), the states lasting a time and
/// not a number of datagrams, so that a burst ends also for a sender that waits.
///
/// Each period has one burst, of a random length and at a random place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// The time in which one burst falls; above zero.
    pub period: Duration,
    /// The longest burst, at most the period; the mean is half of it.
    pub duration_max: Duration,
    /// How many datagrams are lost within a burst.
    pub loss: Ppm,
}

impl Burst {
    fn covers(&self, seed: u64, at: Instant) -> bool {
        let period = self.period.as_nanos().max(1) as u64;
        let mut dice = Rng::at(seed, BURST_PLACE, at.as_nanos() / period);
        let duration = dice.within(0, (self.duration_max.as_nanos() as u64).min(period));
        let start = dice.within(0, period - duration);
        (start..start + duration).contains(&(at.as_nanos() % period))
    }
}

/// Flipped bits: one to eight in a damaged datagram.
#[derive(Clone, Copy, Debug, Default)]
pub struct Corrupt {
    /// How many datagrams are damaged.
    pub probability: Ppm,
    /// Makes the checksum of a damaged datagram right again: an enemy's work. `None` leaves it as it came out.
    pub repair: Option<fn(&mut [u8])>,
}

/// Copies that arrive beside a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duplicate {
    /// How many datagrams are copied.
    pub probability: Ppm,
    /// The most copies of one datagram; at least one is made.
    pub copy_count_max: u32,
    /// The most that a copy arrives after the datagram.
    pub late_max: Duration,
}

/// A link in use: its configuration and what it remembers between datagrams.
///
/// Each decision is drawn from the seed, the kind of decision and the number of the datagram alone. So one fault
/// switched on or off leaves all others as they were, and a failing list of faults can be shortened.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) config: LinkConfig,
    seed: u64,
    datagram_count: u64,
    /// When the line will have sent what it has accepted.
    idle_at: Instant,
}

/// How a datagram gets through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passage {
    pub(crate) arrives_at: Instant,
    pub(crate) ecn: Ecn,
    pub(crate) copy_count: u32,
    /// The most that a copy is late, and the dice that say how late each is.
    copy_late_max: u64,
    copy_dice: Rng,
}

impl Passage {
    /// Returns when the next copy arrives.
    pub(crate) fn next_copy_at(&mut self) -> Instant {
        self.arrives_at.saturating_add(Duration::from_nanos(self.copy_dice.within(0, self.copy_late_max)))
    }
}

/// Why a datagram did not get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    TooLong,
    QueueFull,
    Outage,
    Line,
}

impl Link {
    pub(crate) fn new(config: LinkConfig, seed: u64) -> Self {
        Self { config, seed, datagram_count: 0, idle_at: Instant::ORIGIN }
    }

    /// Decides what becomes of a datagram put on the link at `now`, and damages it if damage is due.
    ///
    /// `header_len` is what IP and UDP add to the octets on the line.
    pub(crate) fn carry(
        &mut self,
        now: Instant,
        header_len: usize,
        ecn: Ecn,
        octets: &mut Vec<u8>,
    ) -> Result<Passage, Loss> {
        self.datagram_count += 1;
        let len = octets.len() + header_len;
        if len > self.config.mtu {
            return Err(Loss::TooLong);
        }
        let (sent_at, ecn) = self.transmit(now, len, ecn)?;
        if self.config.outage.is_some_and(|outage| outage.covers(sent_at)) {
            return Err(Loss::Outage);
        }
        let burst_loss = self.config.burst.filter(|burst| burst.covers(self.seed, sent_at)).map(|burst| burst.loss);
        if self.happens(self.config.loss, LOSS) || self.happens(burst_loss.unwrap_or_default(), BURST_LOSS) {
            return Err(Loss::Line);
        }
        self.corrupt(octets);
        self.resize(octets);
        Ok(self.passage(sent_at, ecn))
    }

    /// Queues `len` octets for the line and returns when the last of them has been sent.
    fn transmit(&mut self, now: Instant, len: usize, ecn: Ecn) -> Result<(Instant, Ecn), Loss> {
        let LinkConfig { rate, queue_len_max, ecn: policy, .. } = self.config;
        let mut marked = false;
        if let Some(rate) = rate {
            let wait = self.idle_at.saturating_since(now);
            let backlog = wait.saturating_add(line_time(len, rate));
            if !wait.is_zero() && backlog > line_time(queue_len_max, rate) {
                return Err(Loss::QueueFull);
            }
            self.idle_at = now.saturating_add(backlog);
            marked = matches!(policy, EcnPolicy::MarkAbove(len) if backlog > line_time(len, rate));
        }
        let ecn = match ecn {
            _ if policy == EcnPolicy::Clear => Ecn::NotEct,
            Ecn::Ect0 | Ecn::Ect1 if marked => Ecn::Ce,
            Ecn::NotEct | Ecn::Ect0 | Ecn::Ect1 | Ecn::Ce => ecn,
        };
        Ok((if rate.is_some() { self.idle_at } else { now }, ecn))
    }

    fn corrupt(&self, octets: &mut [u8]) {
        if octets.is_empty() || !self.happens(self.config.corrupt.probability, CORRUPT) {
            return;
        }
        let mut dice = self.dice(CORRUPT_PLACE);
        for _ in 0..dice.within(1, 8) {
            let bit = dice.below(octets.len() as u64 * 8);
            octets[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
        if let Some(repair) = self.config.corrupt.repair {
            repair(octets);
        }
    }

    fn resize(&self, octets: &mut Vec<u8>) {
        if !self.happens(self.config.resize, RESIZE) {
            return;
        }
        let mut dice = self.dice(RESIZE_LEN);
        if dice.below(2) == 0 {
            octets.truncate(dice.below(octets.len() as u64) as usize);
        } else {
            for _ in 0..dice.within(1, 64) {
                octets.push(dice.next_u64() as u8);
            }
        }
    }

    fn passage(&self, sent_at: Instant, ecn: Ecn) -> Passage {
        let LinkConfig { delay, jitter, reorder, duplicate, .. } = self.config;
        let mut arrives_at = sent_at.saturating_add(delay);
        if !jitter.is_zero() {
            let extra = self.dice(JITTER).within(0, jitter.as_nanos() as u64);
            arrives_at = arrives_at.saturating_add(Duration::from_nanos(extra));
        }
        if self.happens(reorder, REORDER) {
            arrives_at = arrives_at.saturating_add(delay / 4 + Duration::from_millis(1));
        }
        let mut copy_dice = self.dice(COPIES);
        let copy_count = if self.happens(duplicate.probability, DUPLICATE) {
            copy_dice.within(1, u64::from(duplicate.copy_count_max.max(1))) as u32
        } else {
            0
        };
        Passage { arrives_at, ecn, copy_count, copy_late_max: duplicate.late_max.as_nanos() as u64, copy_dice }
    }

    fn happens(&self, probability: Ppm, stream: u64) -> bool {
        // Most faults are off, and a roll of the dice costs more than this comparison.
        probability > Ppm::NEVER && probability.happens(&mut self.dice(stream))
    }

    fn dice(&self, stream: u64) -> Rng {
        Rng::at(self.seed, stream, self.datagram_count)
    }
}

/// Returns how long `len` octets take at `rate` bit/s, rounded up to a nanosecond.
fn line_time(len: usize, rate: u64) -> Duration {
    let bit_nanos = (len as u64).saturating_mul(8 * 1_000_000_000);
    Duration::from_nanos(if bit_nanos == u64::MAX { u64::MAX } else { bit_nanos.div_ceil(rate) })
}

// The streams of random numbers of a link.
const LOSS: u64 = 0;
const BURST_PLACE: u64 = 1;
const BURST_LOSS: u64 = 2;
const CORRUPT: u64 = 3;
const CORRUPT_PLACE: u64 = 4;
const RESIZE: u64 = 5;
const RESIZE_LEN: u64 = 6;
const JITTER: u64 = 7;
const REORDER: u64 = 8;
const DUPLICATE: u64 = 9;
const COPIES: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_sends_one_datagram_after_the_other_at_its_rate() {
        // 1000 octets with headers at 8 Mbit/s are 1 ms on the line; the delay of 10 ms follows.
        let config = LinkConfig { rate: Some(8_000_000), delay: Duration::from_millis(10), ..LinkConfig::default() };
        let mut link = Link::new(config, 1);
        assert_eq!(arrival(&mut link, 0), Ok(11_000_000));
        assert_eq!(arrival(&mut link, 0), Ok(12_000_000));
        assert_eq!(arrival(&mut link, 1_500_000), Ok(13_000_000));
        assert_eq!(arrival(&mut link, 5_000_000), Ok(16_000_000));
    }

    #[test]
    fn a_full_queue_drops_the_newest() {
        let config = LinkConfig { rate: Some(8_000_000), queue_len_max: 3_000, ..LinkConfig::default() };
        let mut link = Link::new(config, 1);
        let fates: Vec<_> = (0..4).map(|_| arrival(&mut link, 0)).collect();
        assert_eq!(fates, [Ok(1_000_000), Ok(2_000_000), Ok(3_000_000), Err(Loss::QueueFull)]);
        assert_eq!(arrival(&mut link, 1_000_000), Ok(4_000_000), "one datagram later there is room for one");
    }

    #[test]
    fn an_idle_line_without_a_queue_takes_one_datagram_at_a_time() {
        let config = LinkConfig { rate: Some(8_000_000), queue_len_max: 0, ..LinkConfig::default() };
        let mut link = Link::new(config, 1);
        assert_eq!(arrival(&mut link, 0), Ok(1_000_000));
        assert_eq!(arrival(&mut link, 999_999), Err(Loss::QueueFull));
        assert_eq!(arrival(&mut link, 1_000_000), Ok(2_000_000));
    }

    #[test]
    fn a_long_queue_marks_what_is_capable_of_ecn() {
        let config = LinkConfig { rate: Some(8_000_000), ecn: EcnPolicy::MarkAbove(2_000), ..LinkConfig::default() };
        let mut link = Link::new(config, 1);
        let mut marks = |ecn| link.carry(Instant::ORIGIN, 28, ecn, &mut vec![0; 972]).map(|passage| passage.ecn);
        assert_eq!(marks(Ecn::Ect0), Ok(Ecn::Ect0));
        assert_eq!(marks(Ecn::Ect0), Ok(Ecn::Ect0));
        assert_eq!(marks(Ecn::Ect0), Ok(Ecn::Ce));
        assert_eq!(marks(Ecn::NotEct), Ok(Ecn::NotEct));
    }

    #[test]
    fn losses_come_as_often_as_asked() {
        for (ppm, low, high) in [(1_000, 60, 140), (10_000, 900, 1_100), (500_000, 49_300, 50_700)] {
            let mut link = Link::new(LinkConfig { loss: Ppm(ppm), ..LinkConfig::default() }, 42);
            let lost = (0..100_000).filter(|_| arrival(&mut link, 0) == Err(Loss::Line)).count();
            assert!((low..=high).contains(&lost), "{lost} of 100 000 lost at {ppm} ppm");
        }
    }

    #[test]
    fn bursts_fill_the_part_of_time_that_was_asked_and_come_together() {
        let burst =
            Burst { period: Duration::from_secs(1), duration_max: Duration::from_millis(200), loss: Ppm::ALWAYS };
        let mut link = Link::new(LinkConfig { burst: Some(burst), ..LinkConfig::default() }, 42);
        let lost: Vec<bool> =
            (0..1_000_000).map(|ms: u64| arrival(&mut link, ms * 1_000_000) == Err(Loss::Line)).collect();
        let count = lost.iter().filter(|lost| **lost).count();
        let starts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        // 1000 bursts of 100 ms in the mean, in 1000 s.
        assert!((94_000..106_000).contains(&count), "{count}");
        assert!((985..=1_000).contains(&starts), "{starts}");
    }

    #[test]
    fn one_fault_does_not_disturb_another() {
        let quiet = LinkConfig { loss: Ppm::percent(10), ..LinkConfig::default() };
        let noisy = LinkConfig {
            corrupt: Corrupt { probability: Ppm::percent(30), repair: None },
            reorder: Ppm::percent(30),
            jitter: Duration::from_millis(3),
            duplicate: Duplicate { probability: Ppm::percent(30), copy_count_max: 9, late_max: Duration::ZERO },
            ..quiet
        };
        let losses = |config| {
            let mut link = Link::new(config, 9);
            (0..10_000).map(|_| arrival(&mut link, 0).is_err()).collect::<Vec<_>>()
        };
        assert_eq!(losses(quiet), losses(noisy));
    }

    #[test]
    fn a_held_datagram_is_late_by_a_quarter_of_the_delay_and_a_millisecond() {
        let config =
            LinkConfig { delay: Duration::from_millis(40), reorder: Ppm::percent(50), ..LinkConfig::default() };
        let mut link = Link::new(config, 3);
        let arrivals: Vec<_> = (0..1_000).map(|_| arrival(&mut link, 0)).collect();
        let held = arrivals.iter().filter(|at| **at == Ok(51_000_000)).count();
        assert!((440..560).contains(&held), "{held}");
        assert_eq!(arrivals.iter().filter(|at| **at == Ok(40_000_000)).count(), 1_000 - held);
    }

    #[test]
    fn an_outage_may_flap() {
        let outage = Outage {
            start: Instant::from_nanos(100),
            end: Instant::from_nanos(200),
            flap: Some(Duration::from_nanos(30)),
        };
        let down: Vec<u64> =
            (90..=210).step_by(10).filter(|nanos| outage.covers(Instant::from_nanos(*nanos))).collect();
        assert_eq!(down, [100, 110, 120, 160, 170, 180]);
    }

    #[test]
    fn damage_flips_at_most_eight_bits_or_changes_the_length() {
        let flips = Corrupt { probability: Ppm::ALWAYS, repair: None };
        let mut link = Link::new(LinkConfig { corrupt: flips, ..LinkConfig::default() }, 3);
        for _ in 0..1_000 {
            let mut octets = vec![0; 50];
            link.carry(Instant::ORIGIN, 28, Ecn::NotEct, &mut octets).expect("nothing is lost");
            // An even number of flips of one bit may cancel out, so zero is possible.
            assert!(octets.iter().map(|octet| octet.count_ones()).sum::<u32>() <= 8);
        }
        link.config = LinkConfig { resize: Ppm::ALWAYS, ..LinkConfig::default() };
        for _ in 0..1_000 {
            let mut octets = vec![0; 50];
            link.carry(Instant::ORIGIN, 28, Ecn::NotEct, &mut octets).expect("nothing is lost");
            assert!(octets.len() != 50 && octets.len() <= 114);
        }
    }

    #[test]
    fn an_enemy_repairs_the_checksum() {
        let repair = |octets: &mut [u8]| octets[0] = 99;
        let flips = Corrupt { probability: Ppm::ALWAYS, repair: Some(repair) };
        let mut link = Link::new(LinkConfig { corrupt: flips, ..LinkConfig::default() }, 3);
        let mut octets = vec![0; 50];
        link.carry(Instant::ORIGIN, 28, Ecn::NotEct, &mut octets).expect("nothing is lost");
        assert_eq!(octets[0], 99);
    }

    /// Sends 972 octets of payload, 1000 with headers, and returns when they arrive.
    fn arrival(link: &mut Link, now: u64) -> Result<u64, Loss> {
        let passage = link.carry(Instant::from_nanos(now), 28, Ecn::NotEct, &mut vec![0; 972])?;
        Ok(passage.arrives_at.as_nanos())
    }
}
