//! A client and a server with a network between them that loses, repeats and delays, and a clock that jumps.

extern crate alloc;

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::SocketAddr;
use core::time::Duration;

use posthaste_core::Instant;
use posthaste_core::random::Random;
use posthaste_onc::client::{ClientConfig, DatagramClient, Request};
use posthaste_onc::message::Target;
use posthaste_onc::server::{Arrival, DatagramServer, ServerConfig};

#[test]
fn every_call_ends_and_runs_once_whatever_the_network_does() {
    for seed in 0..200 {
        for loss_percent in [0, 10, 30] {
            let told = Network::new(seed, loss_percent).run(20, 1000);
            assert_eq!(told.execution_counts, [1; 20], "seed {seed}, loss {loss_percent} %");
            assert_eq!(told.answered_count, 20, "seed {seed}, loss {loss_percent} %");
        }
    }
}

#[test]
fn without_loss_nothing_is_sent_twice() {
    let told = Network::new(7, 0).run(20, 100);
    assert_eq!((told.call_datagram_count, told.now < at(1000)), (20, true));
}

#[test]
fn what_is_lost_is_sent_again_ever_more_rarely() {
    // 100 s hold seven attempts: after 0, 1, 3, 7, 15, 31 and 61 s, and up to a half more.
    let told = Network::new(7, 100).run(10, 100);
    assert!((50..=70).contains(&told.call_datagram_count), "{}", told.call_datagram_count);
    assert_eq!(told.answered_count, 0);
}

/// Both sides, and the datagrams under way by the time of their arrival.
struct Network {
    random: Random,
    loss_percent: u64,
    client: DatagramClient,
    server: DatagramServer,
    now: Instant,
    arrivals: BTreeMap<(Instant, u64), (Side, Vec<u8>)>,
    sent_count: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Client,
    Server,
}

/// What came of the calls.
struct Told {
    now: Instant,
    /// Of each call that ran at all, by its argument.
    execution_counts: Vec<usize>,
    answered_count: usize,
    call_datagram_count: usize,
}

impl Network {
    fn new(seed: u8, loss_percent: u64) -> Self {
        // Longer than any call goes on: what is forgotten runs again.
        let config = ServerConfig { remembered_timeout: Duration::from_secs(2000), ..ServerConfig::default() };
        Self {
            random: Random::new([seed; 32]),
            loss_percent,
            client: DatagramClient::new(ClientConfig::default(), [seed; 32]),
            server: DatagramServer::new(&config, [seed; 32]),
            now: Instant::ORIGIN,
            arrivals: BTreeMap::new(),
            sent_count: 0,
        }
    }

    /// Makes so many calls at once, each for so long, and lets time pass until all have ended.
    fn run(mut self, call_count: u32, timeout_seconds: u64) -> Told {
        let mut open = BTreeSet::new();
        let (mut executions, mut answered_count, mut call_datagram_count) = (BTreeMap::new(), 0, 0);
        for index in 0..call_count {
            let arguments = index.to_be_bytes();
            let request =
                Request { timeout: Some(Duration::from_secs(timeout_seconds)), ..Request::new(TARGET, &arguments) };
            open.insert(self.client.call(self.now, SERVER, &request).unwrap());
        }
        while !open.is_empty() {
            while let Some(datagram) = self.client.poll_transmit(self.now).map(|transmit| transmit.datagram.to_vec()) {
                call_datagram_count += 1;
                self.carry(Side::Server, datagram);
            }
            let arrival = self.arrivals.first_key_value().map(|((at, _), _)| *at);
            self.now =
                [arrival, self.client.poll_timeout()].into_iter().flatten().min().expect("an open call has a timer");
            self.client.handle_timeout(self.now);
            while let Some(((at, _), _)) = self.arrivals.first_key_value()
                && *at <= self.now
            {
                let (_, (side, datagram)) = self.arrivals.pop_first().expect("it was there");
                match side {
                    Side::Client => drop(self.client.handle_datagram(self.now, SERVER, &datagram)),
                    Side::Server => self.answer(&datagram, &mut executions),
                }
            }
            while let Some((call, outcome)) = self.client.poll_outcome() {
                assert!(open.remove(&call), "a call ends once");
                answered_count += usize::from(outcome.is_ok());
            }
        }
        let execution_counts = executions.into_values().collect();
        Told { now: self.now, execution_counts, answered_count, call_datagram_count }
    }

    fn answer(&mut self, datagram: &[u8], executions: &mut BTreeMap<Vec<u8>, usize>) {
        let reply = match self.server.handle_datagram(self.now, CLIENT, datagram) {
            Ok(Arrival::Call(id, call)) => {
                *executions.entry(call.arguments.to_vec()).or_default() += 1;
                self.server.reply(self.now, id, Ok(call.arguments)).map(<[u8]>::to_vec)
            }
            Ok(Arrival::Answer(reply)) => Some(reply.to_vec()),
            Err(_) => None,
        };
        if let Some(reply) = reply {
            self.carry(Side::Client, reply);
        }
    }

    /// Loses a datagram, or has it arrive within 300 ms, and now and then once more.
    fn carry(&mut self, to: Side, datagram: Vec<u8>) {
        while self.random.below(100) >= self.loss_percent {
            let at = self.now.saturating_add(Duration::from_millis(self.random.below(300)));
            self.sent_count += 1;
            self.arrivals.insert((at, self.sent_count), (to, datagram.clone()));
            if self.random.below(10) > 0 {
                break;
            }
        }
    }
}

fn at(millis: u64) -> Instant {
    Instant::ORIGIN.saturating_add(Duration::from_millis(millis))
}

const TARGET: Target = Target { program: 1, version: 2, procedure: 3 };
const CLIENT: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 7)), 700);
const SERVER: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1)), 111);
