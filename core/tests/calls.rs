//! Calls between two endpoints.
#![cfg(feature = "alloc")]

#[path = "support/pair.rs"]
mod pair;

use core::time::Duration;

use pair::{Pair, answer};
use posthaste_core::Config;
use posthaste_core::endpoint::{Body, Delivery, Event, Message, Request};

#[test]
fn a_first_call_takes_two_round_trips_and_is_answered_with_its_own_reply() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    let start = pair.now;
    let call = pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"hello")).unwrap();
    let (ended, reply) = answer(&mut pair);
    assert_eq!(ended, call);
    assert_eq!(reply, b"hello");
    assert_eq!(pair.now.saturating_since(start), Duration::from_millis(40));
}

#[test]
fn a_small_call_in_a_row_costs_two_datagrams() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    for _ in 0..10 {
        pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, &[7; 32])).unwrap();
        answer(&mut pair);
    }
    let before = pair.datagram_count();
    for _ in 0..1000 {
        pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, &[7; 32])).unwrap();
        answer(&mut pair);
    }
    // A skipped number looks like a gap and is acknowledged at once: the price of finding out liars.
    let count = pair.datagram_count() - before;
    assert!((2000..=2020).contains(&count), "{count}");
}

#[test]
fn a_conversation_can_be_opened_before_there_is_anything_to_send() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    pair.client.endpoint.connect(pair.now, peer).unwrap();
    assert!(pair.run_until(Duration::from_secs(1), |pair| pair.client.events.contains(&Event::Connected { peer })));
}

#[test]
fn an_endpoint_keeps_to_its_own_rate() {
    let mut config = Config::internet();
    config.rate_max = Some(1_000_000);
    let mut pair = Pair::with(config, Config::internet());
    let peer = pair.dial();
    let start = pair.now;
    let octets = vec![7; 500_000];
    let message = Message { delivery: Delivery::Reliable, priority: 1, body: Body::Copied(&octets) };
    pair.client.endpoint.send(pair.now, peer, message).unwrap();
    assert!(pair.run_until(Duration::from_secs(10), |pair| {
        pair.server.events.iter().any(|event| matches!(event, Event::MessageReceived { .. }))
    }));
    let took = pair.now.saturating_since(start);
    assert!((500..700).contains(&took.as_millis()), "{took:?}");
}
