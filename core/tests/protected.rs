//! Protected conversations between two endpoints, with a cipher for tests.
#![cfg(feature = "test-crypto")]

#[path = "support/pair.rs"]
mod pair;

use std::time::Duration;

use pair::{Pair, answer};
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
