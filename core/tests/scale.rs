//! Many peers at a time.
#![cfg(feature = "alloc")]

extern crate alloc;

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use posthaste_core::ecn::Ecn;
use posthaste_core::endpoint::{Answer, Arrival, Event, Remote, Request};
use posthaste_core::random::Random;
use posthaste_core::{CallId, Config, Endpoint, Instant, Outcome, Storage};

#[test]
fn ten_thousand_peers_that_call_at_once_are_each_answered_once() {
    let mut net = Net::new();
    for round in 0..3 {
        let mut asked = BTreeMap::new();
        for peer in 0..PEER_COUNT {
            let remote = Remote { address: address(SERVER, peer), identity: &[] };
            let id = net.client.peer(net.now, &remote).unwrap();
            let octets = (u64::from(peer) << 8 | round).to_be_bytes().to_vec();
            let call = net.client.call(net.now, id, Request::new(1, 1, 1, &octets)).unwrap();
            asked.insert(octets, call);
        }
        net.replies.clear();
        while net.replies.len() < asked.len() {
            net.step();
        }
        assert!(net.replies == asked);
        assert_eq!(net.executed.len() as u64, (round + 1) * u64::from(PEER_COUNT));
    }
    for endpoint in [&net.client, &net.server] {
        let counters = endpoint.counters();
        assert_eq!((endpoint.peer_count(), counters.violations, counters.broken), (PEER_COUNT, 0, 0));
    }
    assert!(net.lost_count > u64::from(PEER_COUNT / 4));
}

/// Two endpoints that are ten thousand peers to each other: between them, each has as many addresses.
struct Net {
    now: Instant,
    client: Endpoint<'static>,
    server: Endpoint<'static>,
    /// What is under way, by the time at which it arrives: to whom, from where.
    flying: BTreeMap<(Instant, u64), (Side, SocketAddr, Vec<u8>)>,
    random: Random,
    sent_count: u64,
    lost_count: u64,
    executed: BTreeSet<Vec<u8>>,
    replies: BTreeMap<Vec<u8>, CallId>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

impl Net {
    fn new() -> Self {
        let mut config = Config::bare();
        config.peer_count_max = PEER_COUNT as usize;
        config.exchange_count_max = 2 * PEER_COUNT as usize;
        config.used_ticket_count_max = 4 * PEER_COUNT as usize;
        config.sent_datagram_count_max = 2 * PEER_COUNT as usize;
        config.sent_frame_count_max = 4 * PEER_COUNT as usize;
        config.payload_memory = 16 << 20;
        let endpoint = |seed| {
            Endpoint::new_insecure(config.clone(), Storage::owned(&config), [seed; 32], Instant::ORIGIN).unwrap()
        };
        Self {
            now: Instant::ORIGIN,
            client: endpoint(1),
            server: endpoint(2),
            flying: BTreeMap::new(),
            random: Random::new([3; 32]),
            sent_count: 0,
            lost_count: 0,
            executed: BTreeSet::new(),
            replies: BTreeMap::new(),
        }
    }

    /// Goes to the next moment at which something happens.
    fn step(&mut self) {
        self.say(Side::Client);
        self.say(Side::Server);
        let timeouts = [self.client.poll_timeout(), self.server.poll_timeout()];
        let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
        self.now = timeouts.into_iter().flatten().chain(arrival).min().expect("replies are awaited");
        let now = self.now;
        while let Some(first) = self.flying.first_entry().filter(|first| first.key().0 <= now) {
            let (to, from, mut octets) = first.remove();
            let arrival = Arrival { from, to: None, ecn: Ecn::NotEct };
            // Copies are rejected.
            let _ = self.endpoint(to).handle_datagram(now, arrival, &mut octets);
        }
        for side in [Side::Client, Side::Server] {
            if self.endpoint(side).poll_timeout().is_some_and(|at| at <= now) {
                self.endpoint(side).handle_timeout(now);
            }
        }
        self.hear();
    }

    fn hear(&mut self) {
        while let Some(event) = self.server.poll_event() {
            if let Event::CallReceived { call } = event {
                self.server.begin(self.now, call).unwrap();
                let octets = self.server.incoming_call(call).unwrap().arguments.to_vec();
                self.server.reply(self.now, call, Answer::Ok, &octets, &[]).unwrap();
                assert!(self.executed.insert(octets), "executed before");
            }
        }
        while let Some(event) = self.client.poll_event() {
            if let Event::CallEnded { call, outcome } = event {
                let Outcome::Ok(reply) = outcome else { panic!("{outcome:?}") };
                let octets = self.client.payload(reply).unwrap().to_vec();
                self.client.release(self.now, reply).unwrap();
                assert_eq!(self.replies.insert(octets, call), None, "answered before");
            }
        }
    }

    /// Puts on the network what one side has to send: some of it is lost, and some comes twice, and late.
    fn say(&mut self, side: Side) {
        let mut out = [0; 1200];
        let now = self.now;
        while let Some(transmit) = self.endpoint(side).poll_transmit(now, &mut out) {
            let (to, from) = match side {
                Side::Client => (Side::Server, CLIENT),
                Side::Server => (Side::Client, SERVER),
            };
            let from = address(from, host_of(transmit.to));
            let copy_count = match self.random.below(20) {
                0 => 0,
                1 => 2,
                _ => 1,
            };
            self.lost_count += u64::from(copy_count == 0);
            for _ in 0..copy_count {
                let delay = Duration::from_micros(1000 + self.random.below(4000));
                self.sent_count += 1;
                let place = (now.saturating_add(delay), self.sent_count);
                self.flying.insert(place, (to, from, out[..transmit.len].to_vec()));
            }
        }
    }

    fn endpoint(&mut self, side: Side) -> &mut Endpoint<'static> {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}

fn address(net: u32, peer: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(net | peer)), 9)
}

/// Returns which peer an address is.
fn host_of(address: SocketAddr) -> u32 {
    let IpAddr::V4(ip) = address.ip() else { unreachable!("all are of IPv4") };
    ip.to_bits() & 0xff_ffff
}

const PEER_COUNT: u32 = 10_000;
/// The networks of the addresses.
const CLIENT: u32 = 10 << 24;
const SERVER: u32 = 11 << 24;
