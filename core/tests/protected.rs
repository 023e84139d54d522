//! Protected conversations between two endpoints, with a cipher for tests.
#![cfg(feature = "test-crypto")]

#[path = "support/pair.rs"]
mod pair;

use core::net::SocketAddr;
use core::time::Duration;

use pair::{Fate, Pair, SERVER, answer};
use posthaste_core::Config;
use posthaste_core::crypto::{FakeCrypto, Limits};
use posthaste_core::endpoint::Request;

fn protected(limits: Limits, hello_len: usize) -> Pair {
    let crypto = |seed, identity: &[u8]| {
        Box::new(FakeCrypto::new([seed; 32], identity).with_limits(limits).with_hello_len(hello_len))
    };
    Pair::secured(Config::internet(), Config::internet(), crypto(3, b"client"), crypto(4, b"server"))
}

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
