//! Several endpoints on one port: whatever names a socket comes to the endpoint that knows it.
#![cfg(feature = "alloc")]

#[path = "support/forger.rs"]
mod forger;

extern crate alloc;

use alloc::collections::VecDeque;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use forger::{Forger, items_of};
use posthaste_core::ecn::Ecn;
use posthaste_core::endpoint::{Answer, Arrival, Event, Rejected, Remote, Request};
use posthaste_core::wire::{Frame, Header, LongHeader, Parameters, STEERING, Stateless};
use posthaste_core::{Config, Endpoint, Instant, Outcome, PeerId, Storage, Unknown};

#[test]
fn a_conversation_stays_with_the_endpoint_that_its_hello_came_to() {
    for hash in 0..SOCKET_COUNT {
        let mut net = Net::new();
        net.hash = hash;
        net.call(b"hello");
        // A retry leads back to whom it came from, wherever a hello without a token would go by then.
        net.run_until(|net| net.servers[hash].counters().stateless_answers == 1);
        net.hash = (hash + 1) % SOCKET_COUNT;
        assert_eq!(net.reply(), Ok(b"hello".to_vec()));
        assert_eq!(net.executed, [(hash, b"hello".to_vec())]);
    }
}

#[test]
fn the_endpoints_of_a_port_are_one_server_with_ids_and_tickets_of_their_own() {
    let mut ids = Vec::new();
    let mut incarnations = Vec::new();
    for (socket, server) in servers(9).iter_mut().enumerate() {
        let forger = Forger::open(server, START, CLIENT, &Parameters::default());
        assert_eq!((usize::from(forger.theirs.socket()), usize::from(forger.ticket[0])), (socket, socket));
        ids.push(forger.theirs.0[4..].to_vec());
        incarnations.push(forger.incarnation);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), SOCKET_COUNT);
    incarnations.dedup();
    assert_eq!(incarnations.len(), 1);
}

#[test]
fn a_session_goes_on_at_its_endpoint_after_any_change_of_address() {
    let mut net = Net::new();
    net.hash = 2;
    net.call(b"first");
    assert_eq!(net.reply(), Ok(b"first".to_vec()));
    for (round, hash) in [0, 1, 2, 3, 0].into_iter().enumerate() {
        net.is_silent = true;
        net.call(&[round as u8]);
        net.run_until(|net| net.executed.len() == 2 + round);
        // The reply goes to an address at which nobody is any more.
        net.address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 2, round as u8)), 77);
        net.hash = hash;
        net.is_silent = false;
        net.client.handle_address_change(net.now);
        assert_eq!(net.reply(), Ok(vec![round as u8]));
    }
    assert!(net.executed.iter().all(|(socket, _)| *socket == 2));
    assert_eq!(net.executed.len(), 6, "each call once");
}

#[test]
fn a_ticket_brings_a_call_in_one_round_trip_to_the_endpoint_that_gave_it() {
    let mut net = Net::new();
    net.hash = 1;
    net.call(b"first");
    assert_eq!(net.reply(), Ok(b"first".to_vec()));
    net.sleep(Config::bare().lease * 9 / 10);
    net.hash = 3;
    // Another port, and nobody has noticed.
    net.address.set_port(78);
    let retried = net.servers.iter().map(|server| server.counters().stateless_answers).sum::<u64>();
    net.call(b"later");
    assert_eq!(net.reply(), Ok(b"later".to_vec()));
    assert_eq!(net.executed, [(1, b"first".to_vec()), (1, b"later".to_vec())]);
    assert_eq!(net.servers.iter().map(|server| server.counters().stateless_answers).sum::<u64>(), retried);
}

/// Without steering, copies of a hello may come to several endpoints.
#[test]
fn a_ticket_and_what_goes_along_with_it_are_taken_by_one_endpoint_alone() {
    for first in 0..SOCKET_COUNT {
        let mut net = Net::new();
        net.hash = 1;
        net.call(b"first");
        assert_eq!(net.reply(), Ok(b"first".to_vec()));
        net.sleep(Config::bare().lease * 9 / 10);
        net.call(b"later");
        let hello = net.client_datagram();
        assert!(matches!(Header::peek(&hello), Ok(Header::Long(LongHeader { token: [1, ..], .. }))));
        for offset in 0..2 * SOCKET_COUNT {
            let _ = net.deliver((first + offset) % SOCKET_COUNT, hello.clone());
            net.flush();
        }
        let outcome = net.reply();
        let executed_count = net.executed.iter().filter(|(_, octets)| octets == b"later").count();
        assert_eq!(executed_count, 1);
        // Where another endpoint asked for a token first, the client cannot know what came of its call.
        let is_honest = outcome == Ok(b"later".to_vec()) || outcome == Err(Outcome::Unknown(Unknown::SessionLost));
        assert!(is_honest, "{outcome:?}");
        assert_eq!(outcome.is_ok(), first == 1);
    }
}

#[test]
fn what_belongs_to_another_endpoint_is_not_answered() {
    let mut net = Net::new();
    net.hash = 1;
    net.call(b"first");
    assert_eq!(net.reply(), Ok(b"first".to_vec()));
    net.call(b"later");
    let datagram = net.client_datagram();
    for socket in [0, 2, 3] {
        assert_eq!(net.deliver(socket, datagram.clone()), Err(Rejected::Unknown));
        assert_eq!(net.servers[socket].poll_transmit(net.now, &mut [0; 1200]), None);
    }
    assert_eq!(net.deliver(1, datagram), Ok(()));
    assert_eq!(net.reply(), Ok(b"later".to_vec()));
}

#[test]
fn after_a_restart_the_socket_of_the_same_index_tells_its_peers() {
    let mut net = Net::new();
    net.hash = 3;
    net.call(b"first");
    assert_eq!(net.reply(), Ok(b"first".to_vec()));
    net.servers = servers(8);
    net.hash = 0;
    let started_at = net.now;
    // Long enough to be answered with a reset.
    net.call(&[7; 64]);
    // It may have been executed before the restart.
    assert_eq!(net.reply(), Err(Outcome::Unknown(Unknown::SessionLost)));
    assert!(net.now.saturating_since(started_at) < Config::bare().resume_after, "a reset said so");
    assert_eq!(net.servers[3].counters().stateless_answers, 2, "the reset, and a retry for the ticket that is void");
    net.call(b"again");
    assert_eq!(net.reply(), Ok(b"again".to_vec()));
}

#[test]
fn who_resumes_without_a_ticket_names_the_socket_all_the_same() {
    let mut client = endpoint(client_config(), 1);
    let id = client.peer(START, &REMOTE).unwrap();
    client.call(START, id, Request::new(1, 1, 1, b"hello")).unwrap();
    let mut forger = Forger::new(SERVER);
    forger.ours.0[0] = 6;
    let hello = forger.drain(&mut client, START).pop().unwrap();
    let Ok(Header::Long(LongHeader { from, token: [], .. })) = Header::peek(&hello) else { panic!("{hello:?}") };
    forger.theirs = from;
    let answer = forger.answer(0, &Parameters::default(), &[]);
    forger.deliver(&mut client, START, answer).unwrap();

    client.handle_address_change(START);

    let hello = forger.drain(&mut client, START).pop().unwrap();
    assert!(matches!(Header::peek(&hello), Ok(Header::Long(LongHeader { token: [6], .. }))), "{hello:?}");
    assert_eq!((STEERING.socket_of)(&hello), Some(6));
}

/// Such a token is none, and is answered like none.
#[test]
fn a_token_of_one_octet_leads_to_a_retry_of_the_socket_that_it_names() {
    let mut servers = servers(9);
    let forger = Forger::new(CLIENT);
    let items = items_of(&Parameters::default());
    let hello = forger.hello(&[2], 0, &[Frame::Parameters(&items)]);
    forger.deliver(&mut servers[2], START, hello).unwrap();
    let mut out = [0; 1200];
    let transmit = servers[2].poll_transmit(START, &mut out).unwrap();
    let retry = Stateless::decode(&out[..transmit.len]).unwrap();
    assert!(matches!(retry, Stateless::Retry { token: [2, ..], .. }), "{retry:?}");
}

/// A client, a server with several endpoints on one port, and a network that brings each datagram to the socket that it names.
struct Net {
    now: Instant,
    client: Endpoint<'static>,
    peer: PeerId,
    address: SocketAddr,
    servers: Vec<Endpoint<'static>>,
    /// The socket of what names none.
    hash: usize,
    /// Whether what the server sends is lost.
    is_silent: bool,
    /// What is under way: to a socket, or to the client.
    network: VecDeque<(Option<usize>, SocketAddr, Vec<u8>)>,
    executed: Vec<(usize, Vec<u8>)>,
    ended: Option<Result<Vec<u8>, Outcome>>,
}

impl Net {
    fn new() -> Self {
        let mut client = endpoint(client_config(), 1);
        let peer = client.peer(START, &REMOTE).unwrap();
        Self {
            now: START,
            client,
            peer,
            address: CLIENT,
            servers: servers(9),
            hash: 0,
            is_silent: false,
            network: VecDeque::new(),
            executed: Vec::new(),
            ended: None,
        }
    }

    fn call(&mut self, octets: &[u8]) {
        self.peer = self.client.peer(self.now, &REMOTE).unwrap();
        self.client.call(self.now, self.peer, Request::new(1, 1, 1, octets)).unwrap();
    }

    /// Runs until the call has ended; says how.
    fn reply(&mut self) -> Result<Vec<u8>, Outcome> {
        self.run_until(|net| net.ended.is_some());
        self.ended.take().unwrap()
    }

    fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        let end = self.now.saturating_add(Duration::from_secs(30));
        loop {
            self.flush();
            if done(self) {
                return;
            }
            if let Some((socket, address, octets)) = self.network.pop_front() {
                self.now = self.now.saturating_add(Duration::from_millis(1));
                self.arrive(socket, address, octets);
                continue;
            }
            let at = self.endpoints().filter_map(Endpoint::poll_timeout).min().filter(|at| *at < end);
            self.now = self.now.max(at.expect("it never ends"));
            let now = self.now;
            self.endpoints().for_each(|endpoint| endpoint.handle_timeout(now));
        }
    }

    /// Lets time pass until nobody has anything to say, and much longer.
    fn sleep(&mut self, time: Duration) {
        let end = self.now.saturating_add(time);
        loop {
            self.flush();
            let now = self.now;
            if let Some((socket, address, octets)) = self.network.pop_front() {
                self.arrive(socket, address, octets);
            } else if let Some(at) = self.endpoints().filter_map(Endpoint::poll_timeout).min().filter(|at| *at < end) {
                self.now = now.max(at);
                self.endpoints().for_each(|endpoint| endpoint.handle_timeout(at));
            } else {
                break;
            }
        }
        self.now = end;
    }

    fn endpoints(&mut self) -> impl Iterator<Item = &mut Endpoint<'static>> {
        self.servers.iter_mut().chain([&mut self.client])
    }

    /// Takes the only datagram that the client has to send.
    fn client_datagram(&mut self) -> Vec<u8> {
        let mut out = vec![0; 2000];
        let transmit = self.client.poll_transmit(self.now, &mut out).unwrap();
        out.truncate(transmit.len);
        out
    }

    /// Brings a datagram of the client to a socket, whichever it names.
    fn deliver(&mut self, socket: usize, mut octets: Vec<u8>) -> Result<(), Rejected> {
        let arrival = Arrival { from: self.address, to: None, ecn: Ecn::NotEct };
        self.servers[socket].handle_datagram(self.now, arrival, &mut octets)
    }

    fn arrive(&mut self, socket: Option<usize>, address: SocketAddr, mut octets: Vec<u8>) {
        match socket {
            Some(socket) => drop(self.deliver(socket, octets)),
            None if address == self.address => {
                let arrival = Arrival { from: SERVER, to: None, ecn: Ecn::NotEct };
                let _ = self.client.handle_datagram(self.now, arrival, &mut octets);
            }
            None => {}
        }
    }

    fn flush(&mut self) {
        let now = self.now;
        let mut out = vec![0; 2000];
        for (socket, server) in self.servers.iter_mut().enumerate() {
            while let Some(event) = server.poll_event() {
                if let Event::CallReceived { call } = event {
                    server.begin(now, call).unwrap();
                    let arguments = server.incoming_call(call).unwrap().arguments.to_vec();
                    server.reply(now, call, Answer::Ok, &arguments, &[]).unwrap();
                    self.executed.push((socket, arguments));
                }
            }
            while let Some(transmit) = server.poll_transmit(now, &mut out) {
                if !self.is_silent {
                    self.network.push_back((None, transmit.to, out[..transmit.len].to_vec()));
                }
            }
        }
        while let Some(event) = self.client.poll_event() {
            if let Event::CallEnded { outcome: Outcome::Ok(reply), .. } = event {
                self.ended = Some(Ok(self.client.payload(reply).unwrap().to_vec()));
                self.client.release(now, reply).unwrap();
            } else if let Event::CallEnded { outcome, .. } = event {
                self.ended = Some(Err(outcome));
            }
        }
        while let Some(transmit) = self.client.poll_transmit(now, &mut out) {
            let octets = out[..transmit.len].to_vec();
            let socket = (STEERING.socket_of)(&octets).map_or(self.hash, usize::from);
            self.network.push_back((Some(socket), self.address, octets));
        }
    }
}

fn servers(seed: u8) -> Vec<Endpoint<'static>> {
    let on = |socket| {
        let mut config = Config::bare();
        (config.socket, config.reset_secret) = (socket as u8, Some([7; 16]));
        endpoint(config, seed)
    };
    (0..SOCKET_COUNT).map(on).collect()
}

fn client_config() -> Config {
    let mut config = Config::bare();
    config.accept = posthaste_core::config::Accept::Nobody;
    config
}

fn endpoint(config: Config, seed: u8) -> Endpoint<'static> {
    let storage = Storage::owned(&config);
    Endpoint::new_insecure(config, storage, [seed; 32], START).unwrap()
}

const SOCKET_COUNT: usize = 4;
const START: Instant = Instant::from_nanos(1_000_000_000);
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 4000);
const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 5000);
const REMOTE: Remote<'_> = Remote { address: SERVER, identity: &[] };
