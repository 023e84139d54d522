use core::cell::RefCell;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use super::*;
use crate::link::{LinkConfig, Outage, Ppm};
use crate::{Datagram, Schedule, sometimes, sweep};

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let trace = |seed| {
        let mut world = world(seed, LinkConfig { loss: Ppm::percent(30), ..ten_ms() });
        pair(&mut world, 50);
        world.run_until(at_ms(20_000));
        world.trace()
    };
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1).hash(), trace(2).hash());
}

#[test]
fn without_faults_each_exchange_takes_a_round_trip_and_nothing_more() {
    let mut world = world(1, ten_ms());
    let (client, _) = pair(&mut world, 50);
    assert!(world.run_until_done(at_ms(10_000), |world| world.node(client).is_done()));
    assert_eq!(world.now(), at_ms(50 * 20));
    assert_eq!(world.network().counters().sent, 100);
}

#[test]
fn time_passes_without_events() {
    let mut world: World<Toy> = world(1, ten_ms());
    world.run_until(at_ms(3_600_000));
    assert_eq!((world.now(), world.trace().event_count()), (at_ms(3_600_000), 0));
}

#[test]
fn a_partition_stops_the_exchange_until_it_heals() {
    let outage = Outage { start: at_ms(100), end: at_ms(5_000), flap: None };
    let mut world = world(1, LinkConfig { outage: Some(outage), ..ten_ms() });
    let (client, _) = pair(&mut world, 50);
    world.run_until(at_ms(4_999));
    // The first five exchanges end by 100 ms.
    assert_eq!(world.node(client).answered_count, 5);
    world.run_until(at_ms(10_000));
    assert!(world.node(client).is_done());
}

#[test]
fn a_client_behind_a_rebinding_translator_is_answered_at_its_new_address() {
    let outside: SocketAddr = "10.0.0.1:60000".parse().unwrap();
    let mut world = world(1, ten_ms());
    let (client, server) = pair(&mut world, 50);
    world.at(at_ms(500), move |world| world.network().rebind(client_address(0), outside));
    world.run_until(at_ms(10_000));
    assert!(world.node(client).is_done());
    assert_eq!(world.node(server).peers, BTreeSet::from([client_address(0), outside]));
    assert_eq!(world.network().counters().stale, 1, "one answer was on its way to the old address");
}

#[test]
fn what_is_sent_to_a_crashed_node_is_lost_and_it_starts_anew() {
    let mut world = world(1, ten_ms());
    let (client, server) = pair(&mut world, 50);
    world.at(at_ms(100), move |world| world.crash(server));
    world.at(at_ms(2_000), move |world| world.restart(server));
    world.run_until(at_ms(1_999));
    assert_eq!(world.command(server, |_, _| ()), None);
    let stuck = world.node(client).answered_count;
    world.run_until(at_ms(10_000));
    assert!(stuck < 6 && world.node(client).is_done());
    assert_eq!(world.node(server).restart_count, 1);
}

#[test]
fn a_fast_clock_reaches_its_deadline_early() {
    let mut world = world(1, LinkConfig { loss: Ppm::ALWAYS, ..ten_ms() });
    let (client, _) = pair(&mut world, 1);
    world.set_clock(client, |clock, now| clock.set_drift(now, 250_000));
    world.run_until(at_ms(159));
    assert_eq!(world.network().counters().sent, 1);
    // 200 ms of the client.
    world.run_until(at_ms(160));
    assert_eq!(world.network().counters().sent, 2);
}

#[test]
fn a_clock_set_forward_lets_the_deadline_pass_at_once() {
    let mut world = world(1, LinkConfig { loss: Ppm::ALWAYS, ..ten_ms() });
    let (client, _) = pair(&mut world, 1);
    world.at(at_ms(50), move |world| {
        world.set_clock(client, |clock, now| clock.jump_ahead(now, Duration::from_secs(9)));
    });
    world.run_until(at_ms(50));
    assert_eq!(world.network().counters().sent, 2);
}

#[test]
#[should_panic(expected = "no progress")]
fn a_timeout_that_stays_due_is_a_violation() {
    let mut world = world(1, ten_ms());
    world.add(client_address(0), Toy { flaw: Flaw::StuckTimer, ..Toy::client(0, 1) });
    world.run_until(at_ms(1_000));
}

#[test]
#[should_panic(expected = "timer storm")]
fn a_timeout_every_microsecond_is_a_violation() {
    let mut world = world(1, ten_ms());
    world.add(client_address(0), Toy { timeout: Duration::from_micros(1), ..Toy::client(0, 1) });
    world.run_until(at_ms(1_000));
}

#[test]
#[should_panic(expected = "amplification")]
fn a_guarded_server_that_sends_a_stranger_four_times_as_much_is_a_violation() {
    let mut world = world(1, ten_ms());
    let (_, server) = pair(&mut world, 0);
    world.guard(server);
    world.command(server, |node, _| node.flaw = Flaw::LongAnswer);
    let octets = encode(0, 100);
    let stranger = "203.0.113.1:1".parse().unwrap();
    world.network().inject(at_ms(1), Datagram { from: stranger, to: server_address(), ecn: Ecn::NotEct, octets });
    world.run_until(at_ms(1_000));
}

#[test]
fn a_guarded_server_may_send_as_much_as_it_likes_after_a_round_trip() {
    let mut world = world(1, ten_ms());
    let (client, server) = pair(&mut world, 3);
    world.guard(server);
    world.at(at_ms(50), move |world| {
        world.command(server, |node, _| node.flaw = Flaw::LongAnswer);
    });
    world.run_until(at_ms(1_000));
    assert!(world.node(client).is_done());
}

/// The scenario of a real endpoint in small: whatever the seed brings, everything completes once it is over.
#[test]
fn every_exchange_completes_once_the_faults_are_over() {
    sweep(0..400, |schedule| {
        let mut world = world(schedule.seed, LinkConfig::default());
        let clients: Vec<NodeId> =
            (0..3).map(|index| world.add(client_address(index), Toy::client(index, 30))).collect();
        let server = world.add(server_address(), Toy::server());
        schedule.install(&mut world, &clients, server);
        world.guard(server);
        let all_done = |world: &World<Toy>| world.nodes().all(Toy::is_done);
        let done = world.run_until_done(schedule.heal_at.saturating_add(Duration::from_secs(30)), all_done);
        assert!(done, "not complete 30 s after the faults");
        sometimes!(world.network().counters().lost > 0, "a datagram was lost");
        sometimes!(world.network().counters().queue_full > 0, "a queue was full");
        sometimes!(world.network().counters().outage > 0, "an outage swallowed a datagram");
        sometimes!(world.network().counters().too_long > 0, "a datagram was too long");
        sometimes!(world.network().counters().stale > 0, "an address had moved on");
        sometimes!(world.node(server).peers.len() > 3, "a client was seen under two addresses");
        sometimes!(world.node(server).discarded_count > 0, "a checksum was wrong");
        sometimes!(world.node(server).restart_count > 0, "the server started anew");
        world.trace()
    });
    if std::env::var_os("POSTHASTE_SEED").is_none() {
        crate::coverage::assert_reached(&[
            "a datagram was lost",
            "a queue was full",
            "an outage swallowed a datagram",
            "a datagram was too long",
            "an address had moved on",
            "a client was seen under two addresses",
            "a checksum was wrong",
            "the server started anew",
        ]);
    }
}

#[test]
fn a_flaw_is_found_and_the_faults_are_cut_down_to_those_that_it_takes() {
    let last = RefCell::new(None);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        sweep(0..100, |schedule| {
            last.replace(Some(schedule.clone()));
            let mut world = world(schedule.seed, LinkConfig::default());
            let (client, server) = pair(&mut world, 30);
            schedule.install(&mut world, &[client], server);
            world.command(client, |node, _| node.flaw = Flaw::NoRetransmission);
            world.run_until(at_ms(100_000));
            assert!(world.node(client).is_done());
            world.trace()
        });
    }));
    assert!(outcome.is_err());
    let last = last.into_inner().expect("some seed ran");
    assert!((1..=2).contains(&last.faults.len()), "{last}");
    assert!(Schedule::draw(last.seed).faults.len() > last.faults.len());
}

/// A stop-and-wait protocol: a client asks `total` numbered questions one after the other, a server echoes them.
struct Toy {
    server: Option<SocketAddr>,
    address: SocketAddr,
    total: u64,
    timeout: Duration,
    deadline: Option<Instant>,
    last: Instant,
    outgoing: Vec<(SocketAddr, Vec<u8>)>,
    answered_count: u64,
    discarded_count: u64,
    restart_count: u64,
    peers: BTreeSet<SocketAddr>,
    flaw: Flaw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    StuckTimer,
    NoRetransmission,
    LongAnswer,
}

impl Toy {
    fn client(index: u8, total: u64) -> Self {
        let mut client = Self {
            server: Some(server_address()),
            address: client_address(index),
            total,
            timeout: Duration::from_millis(200),
            deadline: None,
            last: Instant::ORIGIN,
            outgoing: Vec::new(),
            answered_count: 0,
            discarded_count: 0,
            restart_count: 0,
            peers: BTreeSet::new(),
            flaw: Flaw::None,
        };
        client.ask(Instant::ORIGIN);
        client
    }

    fn server() -> Self {
        Self { server: None, address: server_address(), ..Self::client(0, 0) }
    }

    fn is_done(&self) -> bool {
        self.answered_count == self.total
    }

    fn ask(&mut self, now: Instant) {
        self.last = self.last.max(now);
        self.deadline = None;
        if let Some(server) = self.server.filter(|_| !self.is_done()) {
            // Every second question is too long for a path whose MTU was cut.
            let len = if self.answered_count.is_multiple_of(2) { 100 } else { 1_400 };
            self.outgoing.push((server, encode(self.answered_count, len)));
            self.deadline = Some(self.last.saturating_add(self.timeout));
        }
    }
}

impl Node for Toy {
    fn handle_datagram(&mut self, now: Instant, arrival: Arrival, datagram: &mut [u8]) {
        assert_eq!(arrival.to, self.address);
        let Some(number) = decode(datagram) else {
            self.discarded_count += 1;
            return;
        };
        if self.server.is_none() {
            self.peers.insert(arrival.from);
            let len = if self.flaw == Flaw::LongAnswer { 4 * datagram.len() } else { datagram.len() };
            self.outgoing.push((arrival.from, encode(number, len)));
        } else if number == self.answered_count && !self.is_done() {
            self.answered_count += 1;
            self.ask(now);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self.flaw {
            Flaw::StuckTimer => {}
            Flaw::NoRetransmission => self.deadline = None,
            Flaw::None | Flaw::LongAnswer => self.ask(now),
        }
    }

    fn poll_transmit(&mut self, _now: Instant, out: &mut [u8]) -> Option<Transmit> {
        let (to, octets) = self.outgoing.pop()?;
        out[..octets.len()].copy_from_slice(&octets);
        Some(Transmit { from: self.address, to, ecn: Ecn::Ect0, len: octets.len() })
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.deadline
    }

    fn restart(&mut self, now: Instant) {
        self.restart_count += 1;
        self.last = now;
        self.ask(now);
    }

    fn check(&self, _now: Instant) {
        assert!(self.outgoing.is_empty() && self.answered_count <= self.total);
    }
}

/// A number, its checksum, and zeros.
fn encode(number: u64, len: usize) -> Vec<u8> {
    let mut octets = vec![0; len];
    octets[..8].copy_from_slice(&number.to_le_bytes());
    octets[8..16].copy_from_slice(&checksum(number, len).to_le_bytes());
    octets
}

fn decode(octets: &[u8]) -> Option<u64> {
    let word = |at: usize| octets.get(at..at + 8).map(|word| u64::from_le_bytes(word.try_into().expect("8 octets")));
    let (number, sum) = (word(0)?, word(8)?);
    (sum == checksum(number, octets.len()) && octets[16..].iter().all(|octet| *octet == 0)).then_some(number)
}

fn checksum(number: u64, len: usize) -> u64 {
    (number ^ ((len as u64) << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn world(seed: u64, link: LinkConfig) -> World<Toy> {
    World::new(Network::new(seed, link))
}

fn pair(world: &mut World<Toy>, total: u64) -> (NodeId, NodeId) {
    let client = world.add(client_address(0), Toy::client(0, total));
    let server = world.add(server_address(), Toy::server());
    (client, server)
}

fn client_address(index: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, index], 1_000))
}

fn server_address() -> SocketAddr {
    SocketAddr::from(([10, 0, 1, 1], 2_000))
}

fn ten_ms() -> LinkConfig {
    LinkConfig { delay: Duration::from_millis(10), ..LinkConfig::default() }
}

fn at_ms(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}
