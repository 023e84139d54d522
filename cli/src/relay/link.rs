//! One direction of a bad network as a state machine: datagram lengths and times in, departures out.

use core::time::Duration;

use posthaste_core::Instant;

use super::prng::{self, Prng};
use crate::value::{BurstLoss, Percentage, Rate};

/// What a link does to the datagrams that pass it.
#[derive(Clone, Debug)]
pub(crate) struct LinkConfig {
    /// How many are lost, each for itself.
    pub(crate) loss: Percentage,
    /// How many are lost in rows.
    pub(crate) burst_loss: Option<BurstLoss>,
    /// How long each takes from the end of its transmission to the other end.
    pub(crate) delay: Duration,
    /// How much longer it takes at most; drawn evenly for each. It does not reorder.
    pub(crate) jitter: Duration,
    /// How many are held back by a quarter of the delay and 1 ms, so that later ones can overtake.
    pub(crate) reorder: Percentage,
    /// How many arrive twice.
    pub(crate) duplicate: Percentage,
    /// How many copies have one bit flipped.
    pub(crate) corrupt: Percentage,
    /// How fast they are transmitted; `None` takes no time.
    pub(crate) rate: Option<Rate>,
    /// How many octets may wait for transmission, including what is left of the one in transmission. What does not fit
    /// is dropped (drop-tail); an idle link takes any datagram.
    pub(crate) queue_len_max: u64,
    /// The longest datagram that passes.
    pub(crate) mtu: u64,
}

/// A direction of a network, shared by all who send over it: one rate, one queue, one order.
#[derive(Debug)]
pub(crate) struct Link {
    config: LinkConfig,
    /// When the transmission of everything accepted so far is over.
    free_at: Instant,
    /// The latest arrival of those that keep their order.
    ordered_until: Instant,
    counters: LinkCounters,
}

/// Where the faults of one sender's datagrams on a link come from.
///
/// Each datagram takes the same number of draws whatever becomes of it, so the n-th datagram of a sender meets the same
/// faults for the same seed, whenever it comes and whoever else sends. Only what does not fit into the queue depends on
/// those.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    prng: Prng,
    losing_row: bool,
}

/// One copy of a datagram at the far end of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Departure {
    /// When it leaves the link.
    pub(crate) at: Instant,
    /// What happened to its octets.
    pub(crate) corruption: Option<Corruption>,
}

/// One flipped bit, at a place that is a share of the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corruption(u64);

/// What became of the datagrams that a link was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkCounters {
    /// Datagrams offered.
    pub(crate) received: u64,
    /// Dropped because they are longer than the MTU.
    pub(crate) too_large: u64,
    /// Dropped because the queue was full.
    pub(crate) queue_full: u64,
    /// Lost, each for itself.
    pub(crate) lost: u64,
    /// Lost in a row.
    pub(crate) lost_in_row: u64,
    /// Copied once more.
    pub(crate) duplicated: u64,
    /// Copies with a flipped bit.
    pub(crate) corrupted: u64,
    /// Held back.
    pub(crate) reordered: u64,
}

/// The draws for one datagram.
struct Fate {
    lost: bool,
    lost_in_row: bool,
    jitter: Duration,
    reordered: bool,
    duplicated: bool,
    corruptions: [Option<Corruption>; 2],
}

impl Link {
    /// Makes an idle link.
    pub(crate) fn new(config: LinkConfig) -> Self {
        Self { config, free_at: Instant::ORIGIN, ordered_until: Instant::ORIGIN, counters: LinkCounters::default() }
    }

    /// Takes a datagram of `len` octets in, headers included, and says when and how its copies come out: none, one or
    /// two. `faults` belongs to its sender.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        len: u64,
        faults: &mut Faults,
    ) -> impl Iterator<Item = Departure> + use<> {
        let fate = faults.draw(&self.config);
        self.copies(now, len, &fate).into_iter().flatten()
    }

    /// Returns what became of the datagrams so far.
    pub(crate) fn counters(&self) -> LinkCounters {
        self.counters
    }

    fn copies(&mut self, now: Instant, len: u64, fate: &Fate) -> [Option<Departure>; 2] {
        self.counters.received += 1;
        if len > self.config.mtu {
            self.counters.too_large += 1;
            return [None; 2];
        }
        if !self.transmit(now, len) {
            self.counters.queue_full += 1;
            return [None; 2];
        }
        // What is lost has been transmitted: the loss is somewhere on the way, so it takes its share of the rate.
        if fate.lost_in_row {
            self.counters.lost_in_row += 1;
            return [None; 2];
        }
        if fate.lost {
            self.counters.lost += 1;
            return [None; 2];
        }
        let at = self.arrival(now.max(self.free_at), fate);
        let copy = |corruption| Some(Departure { at, corruption });
        let [first, second] = fate.corruptions;
        self.counters.corrupted += u64::from(first.is_some());
        if !fate.duplicated {
            return [copy(first), None];
        }
        self.counters.corrupted += u64::from(second.is_some());
        self.counters.duplicated += 1;
        [copy(first), copy(second)]
    }

    /// Puts a datagram behind those that wait for transmission; false if there is no room for it.
    fn transmit(&mut self, now: Instant, len: u64) -> bool {
        let Some(rate) = self.config.rate else { return true };
        let backlog_nanos = self.free_at.saturating_since(now).as_nanos();
        let bits_per_second = u128::from(rate.bits_per_second());
        let backlog_len = (backlog_nanos * bits_per_second).div_ceil(NANO_BITS_PER_OCTET);
        if backlog_len > 0 && backlog_len + u128::from(len) > u128::from(self.config.queue_len_max) {
            return false;
        }
        let nanos = (u128::from(len) * NANO_BITS_PER_OCTET).div_ceil(bits_per_second);
        let transmission = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.free_at = self.free_at.max(now).saturating_add(transmission);
        true
    }

    fn arrival(&mut self, transmitted: Instant, fate: &Fate) -> Instant {
        let at = transmitted.saturating_add(self.config.delay).saturating_add(fate.jitter);
        if fate.reordered {
            self.counters.reordered += 1;
            return at.saturating_add(self.config.delay / 4).saturating_add(REORDER_DELAY_MIN);
        }
        self.ordered_until = self.ordered_until.max(at);
        self.ordered_until
    }
}

impl Faults {
    /// Starts the draws of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { prng: Prng::new(seed), losing_row: false }
    }

    fn draw(&mut self, config: &LinkConfig) -> Fate {
        let lost = self.prng.happens(config.loss);
        let row = self.prng.next();
        let jitter = self.prng.below(posthaste_core::time::nanos(config.jitter).saturating_add(1));
        let reordered = self.prng.happens(config.reorder);
        let duplicated = self.prng.happens(config.duplicate);
        let corruptions = [(); 2].map(|()| {
            let (happens, place) = (self.prng.happens(config.corrupt), self.prng.next());
            happens.then_some(Corruption(place))
        });
        let lost_in_row = config.burst_loss.is_some_and(|burst| self.is_in_row(burst, row));
        Fate { lost, lost_in_row, jitter: Duration::from_nanos(jitter), reordered, duplicated, corruptions }
    }

    /// Steps the two-state model of Gilbert (1960): a row begins with one chance and goes on with another, and in it
    /// everything is lost.
    fn is_in_row(&mut self, burst: BurstLoss, draw: u64) -> bool {
        self.losing_row = if self.losing_row {
            // A row that ends with the chance 1/n after each datagram has n of them on average.
            prng::scale(draw, u64::from(burst.mean_count.get())) != 0
        } else {
            prng::scale(draw, 1_000_000) < u64::from(burst.start.per_million())
        };
        self.losing_row
    }
}

impl Corruption {
    /// Flips the bit; an empty datagram has none.
    pub(crate) fn apply(self, octets: &mut [u8]) {
        let bit = prng::scale(self.0, octets.len() as u64 * 8);
        let index = usize::try_from(bit / 8).expect("an index into a slice in memory");
        if let Some(octet) = octets.get_mut(index) {
            *octet ^= 1 << (bit % 8);
        }
    }
}

/// An octet, in bits, times the nanoseconds of a second.
const NANO_BITS_PER_OCTET: u128 = 8 * 1_000_000_000;

/// What a reordered datagram waits beyond a quarter of the delay: enough to be overtaken where there is no delay. Our
/// choice.
const REORDER_DELAY_MIN: Duration = Duration::from_millis(1);

#[cfg(test)]
impl LinkConfig {
    /// A link that harms nothing.
    pub(super) fn perfect() -> Self {
        Self {
            loss: Percentage::default(),
            burst_loss: None,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            reorder: Percentage::default(),
            duplicate: Percentage::default(),
            corrupt: Percentage::default(),
            rate: None,
            queue_len_max: 1 << 20,
            mtu: 65_535,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_without_faults_passes_everything_at_once() {
        let mut sender = Sender::new(LinkConfig::perfect(), 7);
        for index in 0..1000 {
            let out: Vec<Departure> = sender.handle_datagram(us(index), 1500).collect();
            assert_eq!(out, [Departure { at: us(index), corruption: None }]);
        }
        assert_eq!(sender.link.counters(), LinkCounters { received: 1000, ..LinkCounters::default() });
    }

    #[test]
    fn a_rate_spaces_datagrams_by_their_transmission_time() {
        let config = LinkConfig { rate: rate("100mbit"), delay: Duration::from_millis(10), ..LinkConfig::perfect() };
        let mut sender = Sender::new(config, 7);
        // 1500 octets at 100 Mbit/s take 120 us, 100 octets 8 us.
        assert_eq!(departures(&mut sender, us(0), 1500), [us(10_120)]);
        assert_eq!(departures(&mut sender, us(0), 1500), [us(10_240)]);
        assert_eq!(departures(&mut sender, us(100), 100), [us(10_248)]);
        assert_eq!(departures(&mut sender, us(1_000), 100), [us(11_008)]);
    }

    #[test]
    fn the_queue_drops_what_does_not_fit_and_takes_it_again_when_there_is_room() {
        let config = LinkConfig { rate: rate("8mbit"), queue_len_max: 3000, ..LinkConfig::perfect() };
        let mut sender = Sender::new(config, 7);
        // An octet takes 1 us.
        assert_eq!(departures(&mut sender, us(0), 1500), [us(1500)]);
        assert_eq!(departures(&mut sender, us(0), 1500), [us(3000)]);
        assert_eq!(departures(&mut sender, us(0), 1), []);
        assert_eq!(departures(&mut sender, us(999), 1000), []);
        assert_eq!(departures(&mut sender, us(1000), 1000), [us(4000)]);
        assert_eq!(sender.link.counters().queue_full, 2);
    }

    #[test]
    fn an_idle_link_without_a_queue_takes_one_datagram_at_a_time() {
        let config = LinkConfig { rate: rate("8mbit"), queue_len_max: 0, ..LinkConfig::perfect() };
        let mut sender = Sender::new(config, 7);
        assert_eq!(departures(&mut sender, us(0), 100), [us(100)]);
        assert_eq!(departures(&mut sender, us(99), 1), []);
        assert_eq!(departures(&mut sender, us(100), 100), [us(200)]);
    }

    #[test]
    fn senders_share_rate_and_queue_and_each_has_its_own_faults() {
        let config = LinkConfig {
            rate: rate("8mbit"),
            queue_len_max: 200,
            loss: "50%".parse().unwrap(),
            ..LinkConfig::perfect()
        };
        let mut shared = Link::new(config.clone());
        let [mut one, mut other, mut third] = [7, 8, 9].map(Faults::new);
        let mut alone = [7, 8].map(|seed| Sender::new(config.clone(), seed));
        for round in 0..100 {
            let now = us(round * 1000);
            let [first, second] = alone.each_mut().map(|sender| departures(sender, now, 100));
            let after_first: Vec<Instant> =
                second.iter().map(|at| at.saturating_add(Duration::from_micros(100))).collect();
            assert!(shared.handle_datagram(now, 100, &mut one).map(|departure| departure.at).eq(first));
            assert!(shared.handle_datagram(now, 100, &mut other).map(|departure| departure.at).eq(after_first));
            assert_eq!(shared.handle_datagram(now, 1, &mut third).count(), 0, "the queue is full");
        }
        assert_eq!(shared.counters().queue_full, 100);
    }

    #[test]
    fn what_is_longer_than_the_mtu_vanishes() {
        let mut sender = Sender::new(LinkConfig { mtu: 1500, ..LinkConfig::perfect() }, 7);
        assert_eq!(departures(&mut sender, us(0), 1501), []);
        assert_eq!(departures(&mut sender, us(0), 1500), [us(0)]);
        assert_eq!(sender.link.counters().too_large, 1);
    }

    #[test]
    fn a_seed_draws_the_same_faults_and_another_seed_others() {
        let run = |seed| {
            let mut sender = Sender::new(everything(), seed);
            (0..10_000).map(|index| sender.handle_datagram(us(index), 100).collect()).collect::<Vec<Vec<Departure>>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn the_faults_of_a_datagram_do_not_depend_on_when_it_comes() {
        let run = |step: u64| {
            let mut sender = Sender::new(everything(), 7);
            (0..10_000).for_each(|index| drop(sender.handle_datagram(us(index * step), 100)));
            sender.link.counters()
        };
        assert_eq!(run(1), run(1000));
    }

    #[test]
    fn faults_come_as_often_as_they_were_asked_for() {
        let mut sender = Sender::new(everything(), 7);
        (0..100_000).for_each(|index| drop(sender.handle_datagram(us(index), 100)));
        // Rows take 0.02 / 1.02 of all, 1961. Of the others, the mean is 4900 lost; of those that stay, 1862 held back and
        // 931 doubled; of the copies 470 corrupted. The figures of this seed are within 1.3 standard deviations.
        let expected = LinkCounters {
            received: 100_000,
            lost: 4867,
            lost_in_row: 2003,
            duplicated: 930,
            corrupted: 481,
            reordered: 1812,
            ..LinkCounters::default()
        };
        assert_eq!(sender.link.counters(), expected);
    }

    #[test]
    fn rows_of_losses_have_the_mean_length_that_was_asked_for() {
        let burst_loss = Some("1%:8".parse().unwrap());
        let mut sender = Sender::new(LinkConfig { burst_loss, ..LinkConfig::perfect() }, 7);
        let passed: Vec<bool> = (0..100_000).map(|at| sender.handle_datagram(us(at), 100).count() == 1).collect();
        let lost_count = passed.iter().filter(|passed| !**passed).count();
        let row_count = passed.windows(2).filter(|pair| pair[0] && !pair[1]).count();
        // The mean is 7407 lost in 926 rows.
        assert_eq!((lost_count, row_count), (7294, 945));
    }

    #[test]
    fn jitter_keeps_the_order_and_its_bounds() {
        let config =
            LinkConfig { delay: Duration::from_millis(10), jitter: Duration::from_millis(2), ..LinkConfig::perfect() };
        let mut sender = Sender::new(config, 7);
        let mut last = Instant::ORIGIN;
        for index in 0..10_000 {
            let [at] = departures(&mut sender, us(index), 100)[..] else { panic!("one copy") };
            assert!(at >= last && at >= us(index + 10_000) && at <= us(index + 12_000));
            last = at;
        }
    }

    #[test]
    fn a_reordered_datagram_waits_a_quarter_of_the_delay_and_a_millisecond() {
        let config =
            LinkConfig { delay: Duration::from_millis(8), reorder: "100%".parse().unwrap(), ..LinkConfig::perfect() };
        assert_eq!(departures(&mut Sender::new(config, 7), us(0), 100), [us(8_000 + 2_000 + 1_000)]);
    }

    #[test]
    fn a_duplicate_leaves_with_its_original() {
        let mut sender = Sender::new(LinkConfig { duplicate: "100%".parse().unwrap(), ..LinkConfig::perfect() }, 7);
        assert_eq!(departures(&mut sender, us(5), 100), [us(5), us(5)]);
    }

    #[test]
    fn corruption_flips_one_bit_anywhere_in_the_datagram() {
        let mut sender = Sender::new(LinkConfig { corrupt: "100%".parse().unwrap(), ..LinkConfig::perfect() }, 7);
        let mut flipped = [0u8; 4];
        for index in 0..1000 {
            let departure = sender.handle_datagram(us(index), 32).next().expect("one copy");
            let mut octets = [0u8; 4];
            departure.corruption.expect("all are corrupted").apply(&mut octets);
            assert_eq!(octets.iter().map(|octet| octet.count_ones()).sum::<u32>(), 1);
            flipped.iter_mut().zip(octets).for_each(|(all, octet)| *all |= octet);
        }
        assert_eq!(flipped, [0xff; 4]);
        Corruption(u64::MAX).apply(&mut []);
    }

    /// The only one who sends over a link.
    struct Sender {
        link: Link,
        faults: Faults,
    }

    impl Sender {
        fn new(config: LinkConfig, seed: u64) -> Self {
            Self { link: Link::new(config), faults: Faults::new(seed) }
        }

        fn handle_datagram(&mut self, now: Instant, len: u64) -> impl Iterator<Item = Departure> + use<> {
            self.link.handle_datagram(now, len, &mut self.faults)
        }
    }

    fn departures(sender: &mut Sender, now: Instant, len: u64) -> Vec<Instant> {
        sender.handle_datagram(now, len).map(|departure| departure.at).collect()
    }

    fn us(micros: u64) -> Instant {
        Instant::from_nanos(micros * 1000)
    }

    fn rate(text: &str) -> Option<Rate> {
        Some(text.parse().unwrap())
    }

    fn everything() -> LinkConfig {
        LinkConfig {
            loss: "5%".parse().unwrap(),
            burst_loss: Some("0.5%:4".parse().unwrap()),
            delay: Duration::from_millis(10),
            jitter: Duration::from_millis(2),
            reorder: "2%".parse().unwrap(),
            duplicate: "1%".parse().unwrap(),
            corrupt: "0.5%".parse().unwrap(),
            ..LinkConfig::perfect()
        }
    }
}
