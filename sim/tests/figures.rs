//! How fast and how sure: figures of the real endpoint on simulated networks, each with the least that it has to be.
//!
//! All are deterministic: a change of a figure is a change of the code. `--nocapture` prints them.

extern crate alloc;

use alloc::collections::BTreeMap;
use core::net::SocketAddr;
use core::time::Duration;

use posthaste_core::congestion::Algorithm;
use posthaste_core::endpoint::{Answer, Body, Delivery, Event, Message, Remote, Request, SendError};
use posthaste_core::{Config, Endpoint, Instant, MessageId, Outcome, PeerId};
use posthaste_sim::{
    Application, Controller, Corrupt, Duplicate, Host, Ideal, LinkConfig, Network, NodeId, Ppm, World,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn one_percent_of_loss_leaves_what_the_controller_allows() {
    let link = LinkConfig { loss: Ppm::percent(1), ..ten_ms() };
    let yardstick = Ideal::on_path(Controller::Cubic, &link, &link, 1500);
    let (mut goodputs, mut parts) = (Vec::new(), Vec::new());
    for seed in 0..21 {
        let goodput = bulk(seed, link, 60);
        // The yardstick counts headers, the goodput does not.
        let ideal = yardstick.goodput(seed, 60.0) * 1440.0 / 1500.0;
        goodputs.push(goodput);
        parts.push(goodput / ideal);
    }
    let (goodput, part) = (median(goodputs), median(parts));
    println!("1 % loss each way, 20 ms: {:.3} MB/s, {part:.2} of the ideal, medians of 21", goodput / 1e6);
    assert!(goodput >= 650_000.0 && part >= 0.9);
}

#[test]
fn a_link_of_100_mbit_is_filled() {
    let part = bulk(1, hundred_mbit(), 10) / 12.5e6;
    println!("100 Mbit/s, 256 KiB queue: {:.3} of the link", part);
    assert!(part >= 0.90, "{part}");
}

#[test]
fn reordering_and_copies_cost_little() {
    let duplicate = Duplicate { probability: Ppm::percent(1), copy_count_max: 1, late_max: 10 * MS };
    let link = LinkConfig { reorder: Ppm::percent(1), duplicate, ..hundred_mbit() };
    let part = bulk(1, link, 10) / 12.5e6;
    println!("the same with 1 % reordered and 1 % duplicated: {part:.3} of the link");
    assert!(part >= 0.85, "{part}");
}

/// Who meets the full queue is chance: two flawless senders of CUBIC that each lose in proportion to their share, and not more, end
/// at a factor above 1.5 in a tenth of all runs. Spaced datagrams keep ours below it.
#[test]
fn two_senders_share_a_link() {
    let runs: Vec<[f64; 2]> = (0..20).map(|run| share(run.into(), 2 * SECOND + 7 * MS * run)).collect();
    let mut factors: Vec<f64> = runs.iter().map(|[first, second]| (first / second).max(second / first)).collect();
    factors.sort_unstable_by(f64::total_cmp);
    let [first, second] = [0, 1].map(|index| runs.iter().map(|run| run[index]).sum::<f64>());
    let (bias, used) = (first / second, (first + second) / (runs.len() as f64 * 125e6));
    println!(
        "two senders, the second 2 s later: factors of {factors:.2?}; first to second over all runs {bias:.2}; {used:.3} of the \
         link"
    );
    assert!(factors.iter().all(|factor| *factor <= 1.5), "{factors:?}");
    assert!(median(factors) <= 1.2 && used >= 0.9);
    assert!((0.75..=1.33).contains(&bias), "{bias}");
}

#[test]
fn a_small_call_is_answered_soon_whatever_is_lost() {
    for (percent, p99_max) in [(0, 21 * MS), (1, 55 * MS), (50, SECOND)] {
        let link = LinkConfig { loss: Ppm::percent(percent), ..ten_ms() };
        let mut latencies = calls(7, link, Calls { count: 4000, in_flight: 1, len: 32, pause: 50 * MS }).latencies;
        latencies.sort_unstable();
        let part = |part: usize| latencies[latencies.len() * part / 100];
        println!(
            "small call, {percent} % loss each way: p50 {:?}, p90 {:?}, p99 {:?}, max {:?}",
            part(50),
            part(90),
            part(99),
            latencies.last().unwrap()
        );
        assert!(part(99) <= p99_max, "{percent} %: {:?}", part(99));
    }
}

#[test]
fn ten_thousand_calls_at_20_percent_loss_are_executed_once_each() {
    let duplicate = Duplicate { probability: Ppm::percent(5), copy_count_max: 2, late_max: 50 * MS };
    let link = LinkConfig { loss: Ppm::percent(20), reorder: Ppm::percent(5), duplicate, jitter: 2 * MS, ..ten_ms() };
    let outcome = calls(3, link, Calls { count: 10_000, in_flight: 32, len: 100, pause: Duration::ZERO });
    println!("10 000 calls at 20 % loss each way: {:?}, {} datagrams", outcome.duration, outcome.datagram_count);
    assert_eq!(outcome.executed_count, 10_000);
}

#[test]
fn small_calls_cost_two_datagrams_in_a_row_and_share_them_in_flight() {
    for (in_flight, max) in [(1, 2.02), (64, 0.2)] {
        let outcome = calls(3, ten_ms(), Calls { count: 10_000, in_flight, len: 32, pause: Duration::ZERO });
        let cost = outcome.datagram_count as f64 / 10_000.0;
        println!("calls of 32 octets, {in_flight} in flight: {cost:.3} datagrams a call");
        assert!(cost <= max, "{cost}");
        assert!(in_flight > 1 || cost >= 1.98, "{cost}");
    }
}

#[test]
fn messages_arrive_whole_through_loss_and_damage() {
    let lossy = LinkConfig { loss: Ppm::percent(30), ..ten_ms() };
    let duration = message(1, lossy, 256 * 1024);
    println!("256 KiB at 30 % loss each way: {duration:?}");
    let rough = LinkConfig {
        loss: Ppm::percent(5),
        jitter: 2 * MS,
        reorder: Ppm::percent(1),
        duplicate: Duplicate { probability: Ppm::percent(1), copy_count_max: 1, late_max: 10 * MS },
        corrupt: Corrupt { probability: Ppm(1000), repair: None },
        ..ten_ms()
    };
    let duration = message(1, rough, 4 << 20);
    println!("4 MiB at 5 % loss, jitter, reordering, copies and damage: {duration:?}");
}

#[test]
fn eight_large_messages_go_through_the_smallest_window() {
    let mut config = small();
    config.message_len_max = 64 * 1024;
    config.credit = 64 * 1024;
    let (mut world, server) = world_with(1, LinkConfig { loss: Ppm::percent(5), ..ten_ms() }, config.clone());
    let client = add_client_with(&mut world, 0, Work::Messages { count: 8, len: 60_000 }, config);
    start(&mut world, client);
    let is_done = world.run_until_done(at(120 * SECOND), |world| received_count(world, server) == 8);
    println!(
        "8 messages of 60 000 octets through a credit of 64 KiB: {:?}",
        world.now().saturating_since(Instant::ORIGIN)
    );
    assert!(is_done);
}

#[test]
fn a_reader_that_stops_for_a_minute_loses_nothing() {
    let mut config = small();
    config.message_len_max = 64 * 1024;
    config.credit = 128 * 1024;
    let (mut world, server) = world_with(1, LinkConfig { loss: Ppm::percent(1), ..ten_ms() }, config.clone());
    let client = add_client_with(&mut world, 0, Work::Messages { count: 20, len: 50_000 }, config);
    world.command(server, |host, now| host.act(now, |app, _, _| app.is_paused = true));
    start(&mut world, client);
    world.run_until(at(60 * SECOND));
    world.command(server, |host, now| host.act(now, App::unpause));
    let is_done = world.run_until_done(at(120 * SECOND), |world| received_count(world, server) == 20);
    println!("20 messages, read after a minute: done {:?} later", world.now().saturating_since(at(60 * SECOND)));
    assert!(is_done, "{} of 20", received_count(&world, server));
}

/// Random loss is no congestion, and BBR sees the difference up to the share that it takes for too much: its ceiling lies between
/// 2 % and 3 %. Beyond it each probe of the path fails, and little more is in flight than what may by chance come through whole.
#[test]
fn bbr_bears_two_percent_of_loss() {
    for (per_mille, seconds, least) in [(10, 2, 60e6), (15, 2, 15e6), (20, 3, 5e6), (30, 20, 2e6), (50, 20, 1e6)] {
        let link = LinkConfig { loss: Ppm(per_mille * 1000), ..ten_ms() };
        let goodput = median((0..5).map(|seed| bulk_by(Algorithm::Bbr, seed, link, seconds)).collect());
        println!("BBR, {} % loss each way, 20 ms: {:.2} MB/s, median of 5", per_mille as f64 / 10.0, goodput / 1e6);
        assert!(goodput >= least, "{per_mille} per mille: {goodput}");
        assert!(per_mille < 30 || goodput < 10e6, "the ceiling has moved: {per_mille} per mille, {goodput}");
    }
}

#[test]
fn each_controller_fills_a_link_that_reorders_and_repeats() {
    let duplicate = Duplicate { probability: Ppm::percent(1), copy_count_max: 1, late_max: 10 * MS };
    let link = LinkConfig { reorder: Ppm::percent(1), duplicate, queue_len_max: 128 * 1024, ..hundred_mbit() };
    for (algorithm, least) in [(Algorithm::NewReno, 0.87), (Algorithm::Cubic, 0.9), (Algorithm::Bbr, 0.9)] {
        let part = bulk_by(algorithm, 1, link, 10) / 12.5e6;
        println!("{algorithm:?}, 100 Mbit/s, 128 KiB queue, 1 % reordered, 1 % duplicated: {part:.3} of the link");
        assert!(part >= least, "{algorithm:?}: {part}");
    }
}

/// Where losses are congestion and queues are short, the choice of a controller matters little.
#[test]
fn each_controller_fills_a_local_network() {
    let rate = 1_000_000_000;
    let delay = Duration::from_micros(50);
    let link = LinkConfig { delay, mtu: 1500, rate: Some(rate), queue_len_max: 64 * 1024, ..LinkConfig::default() };
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic, Algorithm::Bbr] {
        let part = bulk_by(algorithm, 1, link, 1) * 8.0 / rate as f64;
        println!("{algorithm:?}, 1 Gbit/s, 0.1 ms, 64 KiB queue: {part:.3} of the link");
        assert!(part >= 0.92, "{algorithm:?}: {part}");
    }
}

/// What a call waits that shares a link with a bulk transfer, where the queue has room for 168 ms.
#[test]
fn bbr_leaves_a_deep_queue_empty() {
    for (algorithm, p95_max) in
        [(Algorithm::NewReno, 200 * MS), (Algorithm::Cubic, 200 * MS), (Algorithm::Bbr, 40 * MS)]
    {
        let mut latencies = latencies_beside(algorithm, LinkConfig { queue_len_max: 2 << 20, ..hundred_mbit() });
        latencies.sort_unstable();
        let [p50, p95] = [50, 95].map(|part| latencies[latencies.len() * part / 100]);
        println!("a call of 20 ms beside a bulk transfer by {algorithm:?}, 2 MiB queue: p50 {p50:?}, p95 {p95:?}");
        assert!(p95 <= p95_max, "{algorithm:?}: {p95:?}");
    }
}

/// The table that keeps what the controllers leave each other: the share of the first, in percent, of what two senders get from
/// 50 Mbit/s and 20 ms, with a queue of half a round trip, of one and of four.
#[test]
fn controllers_share_a_link() {
    use Algorithm::{Bbr, Cubic, NewReno};
    let table = [
        ([NewReno, NewReno], [50, 50, 50]),
        ([Cubic, Cubic], [50, 50, 50]),
        ([Bbr, Bbr], [50, 50, 55]),
        ([Bbr, NewReno], [65, 60, 55]),
        ([Bbr, Cubic], [60, 60, 55]),
        ([Cubic, NewReno], [50, 55, 65]),
    ];
    for (algorithms, expected) in table {
        let mut row = [0; 3];
        for (share, queue_len_max) in row.iter_mut().zip([62_500, 125_000, 500_000]) {
            let link = LinkConfig { rate: Some(50_000_000), queue_len_max, ..ten_ms() };
            let runs = [0, 1, 2, 3].map(|run| share_by(algorithms, link, run, 500 * MS + 7 * MS * run as u32));
            let [first, second] = [0, 1].map(|index| runs.iter().map(|run| run[index]).sum::<f64>());
            *share = (100.0 * first / (first + second)).round() as i32;
        }
        println!("{algorithms:?}: {row:?} % to the first");
        assert!(
            row.iter().zip(expected).all(|(share, expected)| (share - expected).abs() <= 10),
            "{expected:?} before"
        );
    }
}

/// Sends endless messages for some seconds and returns the octets of them that were taken, a second.
///
/// The messages of a window take turns and so arrive whole together: the time counts until the last of them did.
fn bulk(seed: u64, link: LinkConfig, seconds: u64) -> f64 {
    bulk_by(Algorithm::Cubic, seed, link, seconds)
}

fn bulk_by(algorithm: Algorithm, seed: u64, link: LinkConfig, seconds: u64) -> f64 {
    let (mut world, server) = world(seed, link);
    let client = add_client_with(&mut world, 0, Work::Bulk, config_of(algorithm));
    start(&mut world, client);
    world.run_until(at(SECOND * seconds as u32));
    let duration = world.node(server).application().taken_at.saturating_since(Instant::ORIGIN);
    received(&world, server, client) as f64 / duration.as_secs_f64()
}

/// Lets two send endless messages over one link, the second from `since` on, and returns the octets that were taken of each in
/// the last 10 of 30 s.
fn share(seed: u64, since: Duration) -> [f64; 2] {
    share_by([Algorithm::Cubic; 2], hundred_mbit(), seed, since)
}

fn share_by(algorithms: [Algorithm; 2], link: LinkConfig, seed: u64, since: Duration) -> [f64; 2] {
    let (mut world, server) = world(seed, link);
    let [first, second] = algorithms.map(config_of);
    let clients =
        [add_client_with(&mut world, 0, Work::Bulk, first), add_client_with(&mut world, 1, Work::Bulk, second)];
    let (first, second) = (world.address(clients[0]), world.address(clients[1]));
    let to = world.address(server);
    world.network().share((second, to), (first, to));
    start(&mut world, clients[0]);
    world.run_until(at(since));
    start(&mut world, clients[1]);
    world.run_until(at(20 * SECOND));
    let before = clients.map(|client| received(&world, server, client));
    world.run_until(at(30 * SECOND));
    [0, 1].map(|index| (received(&world, server, clients[index]) - before[index]) as f64)
}

/// Lets somebody call while another one sends endless messages over the same link, and returns how long the calls took after the
/// first 2 s.
fn latencies_beside(algorithm: Algorithm, link: LinkConfig) -> Vec<Duration> {
    let (mut world, server) = world(1, link);
    let bulk = add_client_with(&mut world, 0, Work::Bulk, config_of(algorithm));
    let calls = Calls { count: 10_000, in_flight: 1, len: 32, pause: 5 * MS };
    let caller = add_client(&mut world, 1, Work::Calls(calls));
    let (first, second, to) = (world.address(bulk), world.address(caller), world.address(server));
    world.network().share((second, to), (first, to));
    start(&mut world, bulk);
    start(&mut world, caller);
    world.run_until(at(2 * SECOND));
    let before = world.node(caller).application().latencies.len();
    world.run_until(at(12 * SECOND));
    world.node(caller).application().latencies[before..].to_vec()
}

/// Sends one message and returns how long it took.
fn message(seed: u64, link: LinkConfig, len: usize) -> Duration {
    let (mut world, server) = world(seed, link);
    let client = add_client(&mut world, 0, Work::Messages { count: 1, len });
    start(&mut world, client);
    assert!(world.run_until_done(at(300 * SECOND), |world| received_count(world, server) == 1), "it never arrived");
    world.now().saturating_since(Instant::ORIGIN)
}

#[derive(Clone, Copy)]
struct Calls {
    count: u64,
    in_flight: u64,
    len: usize,
    pause: Duration,
}

struct CallsOutcome {
    latencies: Vec<Duration>,
    executed_count: u64,
    datagram_count: u64,
    duration: Duration,
}

fn calls(seed: u64, link: LinkConfig, calls: Calls) -> CallsOutcome {
    let (mut world, server) = world(seed, link);
    let client = add_client(&mut world, 0, Work::Calls(calls));
    // The conversation is opened on a clean network, by a call that does not count.
    world.network().change_all(|link| *link = ten_ms());
    start(&mut world, client);
    assert!(world.run_until_done(at(60 * SECOND), |world| world.node(client).application().warm));
    world.network().change_all(|it| *it = link);
    let (sent, since) = (world.network().counters().sent, world.now());
    let is_done = world.run_until_done(at(3600 * SECOND), |world| {
        world.node(client).application().latencies.len() as u64 == calls.count
    });
    let client = world.node(client).application();
    assert!(is_done, "{} of {} calls were answered", client.latencies.len(), calls.count);
    CallsOutcome {
        latencies: client.latencies.clone(),
        executed_count: world.node(server).application().executed.values().sum::<u64>() - 1,
        datagram_count: world.network().counters().sent - sent,
        duration: world.now().saturating_since(since),
    }
}

enum Work {
    Serve,
    Bulk,
    Messages { count: u64, len: usize },
    Calls(Calls),
}

/// Client or server, as its work says.
struct App {
    work: Work,
    server: SocketAddr,
    peer: Option<PeerId>,
    /// Server: octets taken, by sender; messages taken, the last of them when; executions by call.
    received: BTreeMap<PeerId, u64>,
    received_count: u64,
    taken_at: Instant,
    executed: BTreeMap<u64, u64>,
    is_paused: bool,
    waiting: Vec<(PeerId, MessageId)>,
    /// Client: what was begun, when, and how long it took.
    count: u64,
    open: BTreeMap<posthaste_core::CallId, (u64, Instant)>,
    latencies: Vec<Duration>,
    warm: bool,
    next_at: Option<Instant>,
}

impl App {
    fn new(work: Work, server: SocketAddr) -> Self {
        Self {
            work,
            server,
            peer: None,
            received: BTreeMap::new(),
            received_count: 0,
            taken_at: Instant::ORIGIN,
            executed: BTreeMap::new(),
            is_paused: false,
            waiting: Vec::new(),
            count: 0,
            open: BTreeMap::new(),
            latencies: Vec::new(),
            warm: false,
            next_at: None,
        }
    }

    fn start(&mut self, now: Instant, endpoint: &mut Endpoint<'static>) {
        self.peer = endpoint.peer(now, &Remote { address: self.server, identity: &[] }).ok();
        self.go_on(now, endpoint);
    }

    fn unpause(&mut self, now: Instant, endpoint: &mut Endpoint<'static>) {
        self.is_paused = false;
        for (peer, message) in core::mem::take(&mut self.waiting) {
            self.take(now, endpoint, peer, message);
        }
    }

    fn take(&mut self, now: Instant, endpoint: &mut Endpoint<'static>, peer: PeerId, message: MessageId) {
        let octets = endpoint.payload(message).unwrap();
        let id = u64::from_be_bytes(octets[..8].try_into().unwrap());
        assert!(octets == content(id, octets.len()), "message {id} arrived changed");
        *self.received.entry(peer).or_default() += octets.len() as u64;
        self.received_count += 1;
        self.taken_at = now;
        endpoint.release(now, message).unwrap();
    }

    /// Begins as much as there is to begin and room for.
    fn go_on(&mut self, now: Instant, endpoint: &mut Endpoint<'static>) {
        let Some(peer) = self.peer else { return };
        match self.work {
            Work::Serve => {}
            Work::Bulk => while self.count < u64::MAX && self.send(now, endpoint, peer, 64 * 1024) {},
            Work::Messages { count, len } => while self.count < count && self.send(now, endpoint, peer, len) {},
            Work::Calls(Calls { count, in_flight, len, .. }) => {
                let most = if self.warm { in_flight } else { 1 };
                while self.count <= count && (self.open.len() as u64) < most {
                    let octets = content(self.count, len);
                    let request = Request { timeout: Some(60 * SECOND), ..Request::new(1, 1, 1, &octets) };
                    let call = endpoint.call(now, peer, request).unwrap();
                    self.open.insert(call, (self.count, now));
                    self.count += 1;
                }
            }
        }
    }

    fn send(&mut self, now: Instant, endpoint: &mut Endpoint<'static>, peer: PeerId, len: usize) -> bool {
        // Enough to keep any window full.
        if self.open_sends(endpoint) >= 4 << 20 {
            return false;
        }
        let octets = content(self.count, len);
        let message = Message { delivery: Delivery::Reliable, priority: 1, body: Body::Copied(&octets) };
        match endpoint.send(now, peer, message) {
            Ok(_) => {
                self.count += 1;
                true
            }
            Err(SendError::Full) => false,
            Err(error) => panic!("{error}"),
        }
    }

    fn open_sends(&self, endpoint: &Endpoint<'static>) -> usize {
        endpoint.usage().payload_octets
    }
}

impl Application for App {
    fn on_start(&mut self, _now: Instant, _endpoint: &mut Endpoint<'static>) {}

    #[expect(clippy::wildcard_enum_match_arm, reason = "further events mean nothing to these figures")]
    fn on_event(&mut self, now: Instant, endpoint: &mut Endpoint<'static>, event: Event) {
        match event {
            Event::CallReceived { call } => {
                endpoint.begin(now, call).unwrap();
                let octets = endpoint.incoming_call(call).unwrap().arguments.to_vec();
                *self.executed.entry(u64::from_be_bytes(octets[..8].try_into().unwrap())).or_default() += 1;
                endpoint.reply(now, call, Answer::Ok, &octets, &[]).unwrap();
            }
            Event::MessageReceived { peer, message, .. } if self.is_paused => self.waiting.push((peer, message)),
            Event::MessageReceived { peer, message, .. } => self.take(now, endpoint, peer, message),
            Event::MessageAcknowledged { .. } => self.go_on(now, endpoint),
            Event::MessageFailed { .. } | Event::SessionLost { .. } | Event::Closed { .. } => panic!("{event:?}"),
            Event::CallEnded { call, outcome } => {
                let Outcome::Ok(reply) = outcome else { panic!("{outcome:?}") };
                let (id, since) = self.open.remove(&call).unwrap();
                let Work::Calls(calls) = self.work else { panic!("who called?") };
                assert!(endpoint.payload(reply).unwrap() == content(id, calls.len), "call {id} got another reply");
                endpoint.release(now, reply).unwrap();
                if core::mem::replace(&mut self.warm, true) {
                    self.latencies.push(now.saturating_since(since));
                }
                if calls.pause.is_zero() {
                    self.go_on(now, endpoint);
                } else {
                    self.next_at = Some(now.saturating_add(calls.pause));
                }
            }
            _ => {}
        }
    }

    fn on_timer(&mut self, now: Instant, endpoint: &mut Endpoint<'static>) {
        self.next_at = None;
        self.go_on(now, endpoint);
    }

    fn next_at(&self) -> Option<Instant> {
        self.next_at
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn content(id: u64, len: usize) -> Vec<u8> {
    let mut octets = id.to_be_bytes().to_vec();
    octets.extend((8..len.max(8)).map(|index| (id as usize).wrapping_add((index * index) >> 3) as u8));
    octets
}

fn world(seed: u64, link: LinkConfig) -> (World<Host<App>>, NodeId) {
    world_with(seed, link, config())
}

fn world_with(seed: u64, link: LinkConfig, config: Config) -> (World<Host<App>>, NodeId) {
    let mut world = World::new(Network::new(seed, link));
    // A pacer of a fast link has more to do than an application.
    world.set_timeout_count_max(100_000);
    let server =
        world.add(server_address(), Host::new(server_address(), config, 1, App::new(Work::Serve, server_address())));
    (world, server)
}

fn add_client(world: &mut World<Host<App>>, index: u8, work: Work) -> NodeId {
    add_client_with(world, index, work, config())
}

fn add_client_with(world: &mut World<Host<App>>, index: u8, work: Work, config: Config) -> NodeId {
    let address = SocketAddr::new([10, 0, 1, index].into(), 5000);
    world.add(address, Host::new(address, config, 100 + u64::from(index), App::new(work, server_address())))
}

fn start(world: &mut World<Host<App>>, client: NodeId) {
    world.command(client, |host, now| host.act(now, App::start));
}

/// Returns how many octets a server took from a client: peers get their slots in the order in which they come.
fn received(world: &World<Host<App>>, server: NodeId, client: NodeId) -> u64 {
    let place = usize::from(world.address(client).ip().to_string().ends_with(".1"));
    world.node(server).application().received.values().nth(place).copied().unwrap_or(0)
}

fn received_count(world: &World<Host<App>>, server: NodeId) -> u64 {
    world.node(server).application().received_count
}

fn server_address() -> SocketAddr {
    "10.0.0.1:4000".parse().unwrap()
}

fn at(time: Duration) -> Instant {
    Instant::ORIGIN.saturating_add(time)
}

/// 20 ms there and back, MTU 1500.
fn ten_ms() -> LinkConfig {
    LinkConfig { delay: 10 * MS, mtu: 1500, ..LinkConfig::default() }
}

fn hundred_mbit() -> LinkConfig {
    LinkConfig { rate: Some(100_000_000), queue_len_max: 256 * 1024, ..ten_ms() }
}

fn config() -> Config {
    let mut config = small();
    config.message_len_max = 4 << 20;
    config.credit = 8 << 20;
    config.payload_memory = 32 << 20;
    config
}

fn config_of(algorithm: Algorithm) -> Config {
    let mut config = config();
    config.congestion = algorithm;
    config
}

fn small() -> Config {
    let mut config = Config::internet();
    config.peer_count_max = 8;
    config.exchange_count_max = 2048;
    config.payload_memory = 8 << 20;
    config.sent_datagram_count_max = 8192;
    config.sent_frame_count_max = 16_384;
    config.congestion = Algorithm::Cubic;
    config.datagram_len_max = 9000;
    config
}
