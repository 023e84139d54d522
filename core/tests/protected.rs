//! Protected conversations between two endpoints, with a cipher for tests.
#![cfg(feature = "test-crypto")]
#![expect(clippy::wildcard_enum_match_arm, reason = "each test looks at some of the events")]

#[path = "support/pair.rs"]
mod pair;

use core::net::SocketAddr;
use core::time::Duration;

use pair::{Fate, Pair, SERVER, answer};
use posthaste_core::crypto::{FakeCrypto, Limits};
use posthaste_core::endpoint::{Event, Request};
use posthaste_core::random::Random;
use posthaste_core::{Config, Outcome};

fn protected(limits: Limits, hello_len: usize) -> Pair {
    let crypto = |seed, identity: &[u8]| {
        Box::new(FakeCrypto::new([seed; 32], identity).with_limits(limits).with_hello_len(hello_len))
    };
    Pair::secured(Config::internet(), Config::internet(), crypto(3, b"client"), crypto(4, b"server"))
}

const SECOND: Duration = Duration::from_secs(1);
const GENEROUS: Limits = Limits { seals: u64::MAX, failed_opens: u64::MAX };

#[test]
fn a_first_protected_call_takes_three_round_trips() {
    let mut pair = protected(GENEROUS, 200);
    let peer = pair.dial_to(b"server");
    let start = pair.now;
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"hello")).unwrap();
    assert_eq!(answer(&mut pair).1, b"hello");
    assert_eq!(pair.now.saturating_since(start), Duration::from_millis(60));
    assert!(pair.datagram_count() < 12, "{}", pair.datagram_count());
}

#[test]
fn a_hello_longer_than_a_datagram_opens_too() {
    let mut pair = protected(GENEROUS, 1500);
    let peer = pair.dial_to(b"server");
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"hello")).unwrap();
    assert_eq!(answer(&mut pair).1, b"hello");
}

#[test]
fn keys_that_wear_out_are_replaced_without_a_lost_call() {
    let mut pair = protected(Limits { seals: 64, failed_opens: 16 }, 200);
    let peer = pair.dial_to(b"server");
    for _ in 0..1000 {
        pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, &[7; 32])).unwrap();
        assert_eq!(answer(&mut pair).1, [7; 32]);
    }
}

#[test]
fn a_conversation_moves_to_the_address_that_answers_a_challenge() {
    let mut pair = protected(GENEROUS, 200);
    let peer = pair.dial_to(b"server");
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"before")).unwrap();
    assert_eq!(answer(&mut pair).1, b"before");

    let moved = SocketAddr::new(pair.client.address.ip(), 6000);
    pair.client.address = moved;
    for _ in 0..10 {
        pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"after")).unwrap();
        assert_eq!(answer(&mut pair).1, b"after");
    }
    // The server's datagrams go to the new address alone.
    pair.fate = Box::new(move |flying| {
        assert!(flying.from != SERVER || flying.to == moved);
        Fate::Arrive
    });
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"there")).unwrap();
    assert_eq!(answer(&mut pair).1, b"there");
}

#[test]
fn copies_from_elsewhere_move_nobody_and_draw_at_most_three_times_their_octets() {
    let mut pair = protected(GENEROUS, 200);
    let peer = pair.dial_to(b"server");
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"before")).unwrap();
    assert_eq!(answer(&mut pair).1, b"before");

    // An attacker on the path makes the client's datagrams arrive from its own address, first.
    let attacker = SocketAddr::new([10, 0, 0, 66].into(), 666);
    let honest = pair.client.address;
    let (mut drawn, mut spoofed) = (0, 0);
    for _ in 0..20 {
        pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"hello")).unwrap();
        pair.flush();
        for flying in &mut pair.network {
            if flying.from == honest {
                flying.from = attacker;
                spoofed += flying.octets.len();
            }
        }
        pair.run_until(Duration::from_secs(10), |pair| {
            pair.server.echo(pair.now);
            drawn +=
                pair.network.iter().filter(|flying| flying.to == attacker).map(|it| it.octets.len()).sum::<usize>();
            pair.network.retain(|flying| flying.to != attacker);
            pair.client.events.pop_front().is_some()
        });
    }
    assert!(drawn <= 3 * spoofed, "{drawn} for {spoofed}");
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"still here")).unwrap();
    assert!(pair.run_until(Duration::from_secs(10), |pair| {
        pair.server.echo(pair.now);
        pair.client.events.pop_front().is_some()
    }));
}

/// The handler runs while the conversation is lost, and its caller comes back on another one.
#[test]
fn a_session_goes_on_in_another_protected_conversation() {
    let mut pair = protected(GENEROUS, 200);
    let peer = pair.dial_to(b"server");
    pair.client.endpoint.connect(pair.now, peer).unwrap();
    pair.run(SECOND);
    for (round, arguments) in [b"first", b"again", b"third"].into_iter().enumerate() {
        pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, arguments)).unwrap();
        let is_called = |pair: &mut Pair| pair.server.events.iter().any(|it| matches!(it, Event::CallReceived { .. }));
        assert!(pair.run_until(SECOND, is_called));
        pair.client.endpoint.handle_address_change(pair.now);
        assert_eq!(answer(&mut pair).1, arguments, "round {round}");
    }
    assert!(!pair.client.events.iter().any(|event| matches!(event, Event::SessionLost { .. } | Event::Closed { .. })));
    pair.run(60 * SECOND);
    // The slots of the conversations before are free again, and the last call waits for the next one to retire it.
    let (client, server) = (pair.client.endpoint.usage(), pair.server.endpoint.usage());
    assert_eq!((client.exchanges, server.exchanges, server.peers), (0, 1, 1));
}

#[test]
fn a_session_that_a_restarted_server_does_not_know_is_lost_and_another_one_begins() {
    let mut pair = protected(GENEROUS, 200);
    let peer = pair.dial_to(b"server");
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"before")).unwrap();
    assert_eq!(answer(&mut pair).1, b"before");
    let fresh = protected(GENEROUS, 200);
    pair.server.endpoint = fresh.server.endpoint;
    pair.server.events.clear();
    pair.client.endpoint.handle_address_change(pair.now);
    pair.run(SECOND);
    assert!(pair.client.take(|event| matches!(event, Event::SessionLost { .. }).then_some(())).is_some());
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"after")).unwrap();
    assert_eq!(answer(&mut pair).1, b"after");
}

/// A quarter of all datagrams is lost, and the client comes from elsewhere again and again.
#[test]
fn no_call_is_executed_twice_or_lost_when_a_protected_session_is_resumed_under_loss() {
    for seed in 0..8 {
        let mut pair = protected(GENEROUS, 200);
        let mut dice = Random::new([seed; 32]);
        pair.fate = Box::new(move |_| match dice.below(8) {
            0 | 1 => Fate::Lose,
            2 => Fate::Twice,
            _ => Fate::Arrive,
        });
        let peer = pair.dial_to(b"server");
        let (mut executed, mut answered) = (0, 0);
        for round in 0..100_u32 {
            let octets = [7; 3000];
            let request = Request { timeout: None, ..Request::new(1, 1, 7, &octets) };
            pair.client.endpoint.call(pair.now, peer, request).unwrap();
            // What proves that the session is ours comes with the first answers.
            if round % 10 == 9 && pair.client.events.iter().any(|it| matches!(it, Event::CallEnded { .. })) {
                pair.client.endpoint.handle_address_change(pair.now);
            }
            pair.run_until(Duration::from_millis(60), |pair| {
                executed += pair.server.echo(pair.now);
                false
            });
        }
        pair.run_until(60 * SECOND, |pair| {
            executed += pair.server.echo(pair.now);
            while let Some(outcome) = pair.client.take(|event| match event {
                Event::CallEnded { outcome, .. } => Some(*outcome),
                _ => None,
            }) {
                let Outcome::Ok(reply) = outcome else { panic!("{outcome:?} with seed {seed}") };
                assert_eq!(pair.client.endpoint.payload(reply), Ok(&[7; 3000][..]));
                pair.client.endpoint.release(pair.now, reply).unwrap();
                answered += 1;
            }
            answered == 100
        });
        assert_eq!((executed, answered), (100, 100), "seed {seed}");
        for host in [&pair.client, &pair.server] {
            let counters = host.endpoint.counters();
            assert_eq!((counters.violations, counters.broken), (0, 0), "seed {seed}");
        }
    }
}
