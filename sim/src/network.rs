//! Carries datagrams between addresses.

use alloc::collections::{BTreeMap, BinaryHeap};
use core::cmp::Reverse;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use posthaste_core::Instant;

use crate::link::{Link, LinkConfig, Loss, Ppm};
use crate::rng::{Rng, derive};
use posthaste_core::ecn::Ecn;

/// Datagrams under way between any number of addresses, on a clock that the caller owns.
///
/// Sans-IO: [`send`](Self::send) puts a datagram on its way, [`next_at`](Self::next_at) says when something
/// arrives, [`poll`](Self::poll) takes what has arrived. Each direction between two addresses is a link of its own.
pub struct Network {
    seed: u64,
    links: Vec<Link>,
    /// The link of each direction between two hosts.
    routes: BTreeMap<(SocketAddr, SocketAddr), usize>,
    default_link: LinkConfig,
    /// Under which address each host behind a translator is seen, and the other way round.
    outside: BTreeMap<SocketAddr, SocketAddr>,
    inside: BTreeMap<SocketAddr, SocketAddr>,
    tap: Option<Box<dyn Tap>>,
    in_flight: InFlight,
    counters: Counters,
}

/// A datagram as seen between two hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The source address on the datagram.
    pub from: SocketAddr,
    /// The destination address on the datagram.
    pub to: SocketAddr,
    /// The ECN field.
    pub ecn: Ecn,
    /// The UDP payload.
    pub octets: Vec<u8>,
}

/// A datagram that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The host's own address. It differs from the destination on the datagram behind a translator.
    pub host: SocketAddr,
    /// What arrived.
    pub datagram: Datagram,
}

/// What became of the datagrams. At any time `sent + copies + injected` is the sum of all others and those in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams given to [`Network::send`].
    pub sent: u64,
    /// Copies that links made.
    pub copies: u64,
    /// Datagrams that the [`Tap`] or [`Network::inject`] added.
    pub injected: u64,
    /// Datagrams that arrived.
    pub delivered: u64,
    /// Datagrams above the MTU.
    pub too_long: u64,
    /// Datagrams that found the queue full.
    pub queue_full: u64,
    /// Datagrams sent during an outage.
    pub outage: u64,
    /// Datagrams lost at random, one by one or in bursts.
    pub lost: u64,
    /// Datagrams to an address that a translator has given up.
    pub stale: u64,
}

/// Someone on the path who sees every datagram before the link does: an eavesdropper, a forger, a replayer.
pub trait Tap {
    /// Sees `datagram`, may change it, and may call `inject` with further datagrams and when they arrive.
    ///
    /// Injected datagrams take no link and reach whoever owns their destination address.
    fn on_datagram(&mut self, now: Instant, datagram: &mut Datagram, inject: &mut dyn FnMut(Instant, Datagram));
}

impl Network {
    /// Makes an empty network whose faults are drawn from `seed`. Links that are not configured use `default_link`.
    #[must_use]
    pub fn new(seed: u64, default_link: LinkConfig) -> Self {
        Self {
            seed,
            links: Vec::new(),
            routes: BTreeMap::new(),
            default_link,
            outside: BTreeMap::new(),
            inside: BTreeMap::new(),
            tap: None,
            in_flight: InFlight::default(),
            counters: Counters::default(),
        }
    }

    /// Puts a datagram on its way from the host at `from`.
    pub fn send(&mut self, now: Instant, mut datagram: Datagram) {
        self.counters.sent += 1;
        let sender = datagram.from;
        datagram.from = self.seen_as(sender);
        if let Some(tap) = &mut self.tap {
            let (in_flight, injected) = (&mut self.in_flight, &mut self.counters.injected);
            tap.on_datagram(now, &mut datagram, &mut |at, forged| {
                *injected += 1;
                in_flight.push(at.max(now), forged);
            });
        }
        // The link is the one between the hosts: a change of address moves nobody.
        let receiver = self.inside.get(&datagram.to).copied().unwrap_or(datagram.to);
        let header_len = header_len(datagram.to);
        let link = self.link(sender, receiver);
        match link.carry(now, header_len, datagram.ecn, &mut datagram.octets) {
            Ok(mut passage) => {
                datagram.ecn = passage.ecn;
                self.counters.copies += u64::from(passage.copy_count);
                for _ in 0..passage.copy_count {
                    let mut copy = self.in_flight.buffer();
                    copy.extend_from_slice(&datagram.octets);
                    self.in_flight.push(passage.next_copy_at(), Datagram { octets: copy, ..datagram });
                }
                self.in_flight.push(passage.arrives_at, datagram);
            }
            Err(loss) => {
                self.counters.count(loss);
                self.recycle(datagram.octets);
            }
        }
    }

    /// Lets a datagram with any source address arrive at `at`, past all links.
    pub fn inject(&mut self, at: Instant, datagram: Datagram) {
        self.counters.injected += 1;
        self.in_flight.push(at, datagram);
    }

    /// Returns when the next datagram arrives.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.in_flight.next_at()
    }

    /// Takes the next datagram that has arrived by `now`, in order of arrival.
    pub fn poll(&mut self, now: Instant) -> Option<Delivery> {
        while self.next_at()? <= now {
            let datagram = self.in_flight.pop()?;
            if let Some(host) = self.host_of(datagram.to) {
                self.counters.delivered += 1;
                return Some(Delivery { host, datagram });
            }
            self.counters.stale += 1;
            self.recycle(datagram.octets);
        }
        None
    }

    /// Lets the host at `inside` be seen as `outside` from here on, as when a translator gave it another port.
    ///
    /// What is sent to the address that the host was seen as before gets lost.
    pub fn rebind(&mut self, inside: SocketAddr, outside: SocketAddr) {
        if let Some(old) = self.outside.insert(inside, outside) {
            self.inside.remove(&old);
        }
        self.inside.insert(outside, inside);
    }

    /// Returns the address that the host at `inside` is seen as by others.
    #[must_use]
    pub fn seen_as(&self, inside: SocketAddr) -> SocketAddr {
        self.outside.get(&inside).copied().unwrap_or(inside)
    }

    /// Returns the configuration of the link between two hosts, to read or change. Datagrams under way are not affected.
    pub fn config(&mut self, from: SocketAddr, to: SocketAddr) -> &mut LinkConfig {
        &mut self.link(from, to).config
    }

    /// Lets the datagrams of one direction take the link of another one: a bottleneck that flows compete for.
    pub fn share(&mut self, direction: (SocketAddr, SocketAddr), with: (SocketAddr, SocketAddr)) {
        let route = self.route(with.0, with.1);
        self.routes.insert(direction, route);
    }

    /// Changes the configuration of all links, of those to come too.
    pub fn change_all(&mut self, change: impl Fn(&mut LinkConfig)) {
        change(&mut self.default_link);
        for link in &mut self.links {
            change(&mut link.config);
        }
    }

    /// Puts someone on the path, or nobody.
    pub fn set_tap(&mut self, tap: Option<Box<dyn Tap>>) {
        self.tap = tap;
    }

    /// Returns what became of the datagrams so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns how many datagrams are under way.
    #[must_use]
    pub fn in_flight_count(&self) -> usize {
        self.in_flight.queue.len()
    }

    /// Returns an empty buffer, perhaps one that was recycled.
    pub fn buffer(&mut self) -> Vec<u8> {
        self.in_flight.buffer()
    }

    /// Takes back a buffer for later datagrams.
    pub fn recycle(&mut self, octets: Vec<u8>) {
        self.in_flight.spare.push(octets);
    }

    fn link(&mut self, from: SocketAddr, to: SocketAddr) -> &mut Link {
        let route = self.route(from, to);
        &mut self.links[route]
    }

    fn route(&mut self, from: SocketAddr, to: SocketAddr) -> usize {
        *self.routes.entry((from, to)).or_insert_with(|| {
            // The seed depends on the addresses and not on the order in which links come into being.
            let seed = derive(derive(self.seed, address_seed(from)), address_seed(to));
            self.links.push(Link::new(self.default_link, seed));
            self.links.len() - 1
        })
    }

    /// Returns the host that owns an address, unless a translator has given the address up.
    fn host_of(&self, address: SocketAddr) -> Option<SocketAddr> {
        match self.inside.get(&address) {
            Some(host) => Some(*host),
            None if self.outside.contains_key(&address) => None,
            None => Some(address),
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("links", &self.links).field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl Counters {
    const fn count(&mut self, loss: Loss) {
        match loss {
            Loss::TooLong => self.too_long += 1,
            Loss::QueueFull => self.queue_full += 1,
            Loss::Outage => self.outage += 1,
            Loss::Line => self.lost += 1,
        }
    }
}

/// Lets some datagrams arrive a second time much later, perhaps as if from somewhere else.
#[derive(Clone, Debug)]
pub struct Replay {
    probability: Ppm,
    late_max: Duration,
    spoofed: Option<SocketAddr>,
    dice: Rng,
}

impl Replay {
    /// Replays datagrams with `probability`, up to `late_max` later, with `spoofed` as source or their own.
    #[must_use]
    pub const fn new(seed: u64, probability: Ppm, late_max: Duration, spoofed: Option<SocketAddr>) -> Self {
        Self { probability, late_max, spoofed, dice: Rng::new(seed) }
    }
}

impl Tap for Replay {
    fn on_datagram(&mut self, now: Instant, datagram: &mut Datagram, inject: &mut dyn FnMut(Instant, Datagram)) {
        if self.dice.below(1_000_000) < u64::from(self.probability.0) {
            let late = Duration::from_nanos(self.dice.within(0, self.late_max.as_nanos() as u64));
            let from = self.spoofed.unwrap_or(datagram.from);
            inject(now.saturating_add(late), Datagram { from, ..datagram.clone() });
        }
    }
}

/// Datagrams by time of arrival; at the same time, in the order in which they were sent.
#[derive(Default)]
struct InFlight {
    /// Time, order and slot: a heap moves its items about, and a datagram is large.
    queue: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    order: u64,
    slots: Vec<Option<Datagram>>,
    free: Vec<usize>,
    spare: Vec<Vec<u8>>,
}

impl InFlight {
    fn push(&mut self, at: Instant, datagram: Datagram) {
        let slot = self.free.pop().unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(Some(datagram));
        } else {
            self.slots[slot] = Some(datagram);
        }
        self.order += 1;
        self.queue.push(Reverse((at, self.order, slot)));
    }

    fn next_at(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse((at, ..))| *at)
    }

    fn pop(&mut self) -> Option<Datagram> {
        let Reverse((_, _, slot)) = self.queue.pop()?;
        self.free.push(slot);
        self.slots[slot].take()
    }

    fn buffer(&mut self) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer
    }
}

/// Returns the octets that IP, without options, and UDP put before the payload.
const fn header_len(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(_) => 20 + 8,
        SocketAddr::V6(_) => 40 + 8,
    }
}

const fn address_seed(address: SocketAddr) -> u64 {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_bits() as u128,
        IpAddr::V6(ip) => ip.to_bits(),
    };
    derive(derive(ip as u64, (ip >> 64) as u64), address.port() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Duplicate;

    #[test]
    fn a_datagram_above_the_mtu_vanishes() {
        let mut network = Network::new(1, LinkConfig { mtu: 1280, ..LinkConfig::default() });
        let v6: SocketAddr = "[2001:db8::1]:1".parse().unwrap();
        for (to, len) in [(server(), 1252), (server(), 1253), (v6, 1232), (v6, 1233)] {
            network.send(Instant::ORIGIN, Datagram { to, ..datagram(&vec![0; len]) });
        }
        let lens: Vec<usize> =
            core::iter::from_fn(|| network.poll(Instant::ORIGIN)).map(|it| it.datagram.octets.len()).collect();
        assert_eq!(lens, [1252, 1232]);
        assert_eq!(network.counters().too_long, 2);
    }

    #[test]
    fn datagrams_arrive_in_the_order_sent_and_each_at_its_time() {
        let mut network = Network::new(1, LinkConfig { delay: Duration::from_millis(5), ..LinkConfig::default() });
        network.send(Instant::ORIGIN, datagram(b"first"));
        network.send(Instant::ORIGIN, datagram(b"second"));
        assert_eq!(network.next_at(), Some(at(5)));
        assert_eq!(network.poll(at(4)), None);
        assert_eq!(network.poll(at(5)).map(|it| it.datagram.octets), Some(b"first".to_vec()));
        assert_eq!(network.poll(at(5)).map(|it| it.datagram.octets), Some(b"second".to_vec()));
        assert_eq!(network.next_at(), None);
    }

    #[test]
    fn after_a_rebind_the_host_is_seen_and_reached_under_its_new_address_only() {
        let outside: SocketAddr = "192.0.2.9:777".parse().unwrap();
        let mut network = Network::new(1, LinkConfig::default());
        network.rebind(client(), outside);
        network.send(Instant::ORIGIN, datagram(b"question"));
        assert_eq!(network.poll(Instant::ORIGIN).map(|it| it.datagram.from), Some(outside));

        network.send(Instant::ORIGIN, Datagram { from: server(), to: outside, ..datagram(b"answer") });
        network.send(Instant::ORIGIN, Datagram { from: server(), to: client(), ..datagram(b"too late") });
        let delivery = network.poll(Instant::ORIGIN).expect("the answer arrives");
        assert_eq!((delivery.host, delivery.datagram.octets), (client(), b"answer".to_vec()));
        assert_eq!(network.poll(Instant::ORIGIN), None);
        assert_eq!(network.counters().stale, 1);
    }

    #[test]
    fn copies_arrive_within_their_time_and_are_counted() {
        let duplicate =
            Duplicate { probability: Ppm::ALWAYS, copy_count_max: 1000, late_max: Duration::from_secs(3600) };
        let mut network = Network::new(5, LinkConfig { duplicate, ..LinkConfig::default() });
        network.send(Instant::ORIGIN, datagram(b"again and again"));
        let copies = network.counters().copies;
        assert!((1..=1000).contains(&copies));
        let arrived = core::iter::from_fn(|| network.poll(at(3_600_000))).count() as u64;
        assert_eq!(arrived, copies + 1);
    }

    #[test]
    fn directions_that_share_a_link_wait_for_each_other() {
        let other: SocketAddr = "10.0.0.3:3000".parse().unwrap();
        let mut network = Network::new(1, LinkConfig { rate: Some(8_000_000), ..LinkConfig::default() });
        network.share((other, server()), (client(), server()));
        network.send(Instant::ORIGIN, datagram(&[0; 972]));
        network.send(Instant::ORIGIN, Datagram { from: other, ..datagram(&[0; 972]) });
        network.send(Instant::ORIGIN, Datagram { from: server(), to: client(), ..datagram(&[0; 972]) });
        let due = |network: &mut Network, ms| core::iter::from_fn(|| network.poll(at(ms))).count();
        assert_eq!((due(&mut network, 1), due(&mut network, 2)), (2, 1));
    }

    #[test]
    fn one_direction_may_be_cut_alone() {
        let mut network = Network::new(1, LinkConfig::default());
        network.config(client(), server()).loss = Ppm::ALWAYS;
        network.send(Instant::ORIGIN, datagram(b"question"));
        network.send(Instant::ORIGIN, Datagram { from: server(), to: client(), ..datagram(b"news") });
        let delivery = network.poll(Instant::ORIGIN).expect("the way back is open");
        assert_eq!((delivery.host, network.poll(Instant::ORIGIN)), (client(), None));
    }

    #[test]
    fn a_replay_arrives_under_a_spoofed_source() {
        let spoofed: SocketAddr = "203.0.113.5:53".parse().unwrap();
        let mut network = Network::new(1, LinkConfig::default());
        network.set_tap(Some(Box::new(Replay::new(1, Ppm::ALWAYS, Duration::from_secs(9), Some(spoofed)))));
        network.send(Instant::ORIGIN, datagram(b"hello"));
        let sources: Vec<_> = core::iter::from_fn(|| network.poll(at(9_000))).map(|it| it.datagram.from).collect();
        assert_eq!(sources, [client(), spoofed]);
    }

    #[test]
    fn every_datagram_is_accounted_for() {
        let config = LinkConfig {
            delay: Duration::from_millis(50),
            rate: Some(1_000_000),
            queue_len_max: 5_000,
            loss: Ppm::percent(20),
            duplicate: Duplicate {
                probability: Ppm::percent(20),
                copy_count_max: 3,
                late_max: Duration::from_millis(80),
            },
            ..LinkConfig::default()
        };
        let mut network = Network::new(11, config);
        for ms in 0..1_000 {
            network.send(at(ms), datagram(&[0; 150]));
            while network.poll(at(ms)).is_some() {}
            let counters = *network.counters();
            let ended = counters.delivered + counters.lost + counters.queue_full;
            assert_eq!(counters.sent + counters.copies, ended + network.in_flight_count() as u64);
        }
        assert!(network.counters().queue_full > 0 && network.counters().lost > 0);
    }

    fn client() -> SocketAddr {
        "10.0.0.1:1000".parse().unwrap()
    }

    fn server() -> SocketAddr {
        "10.0.0.2:2000".parse().unwrap()
    }

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn datagram(octets: &[u8]) -> Datagram {
        Datagram { from: client(), to: server(), ecn: Ecn::NotEct, octets: octets.to_vec() }
    }
}
