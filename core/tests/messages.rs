//! Messages between two endpoints.
#![cfg(feature = "alloc")]
#![expect(clippy::wildcard_enum_match_arm, reason = "each test looks at some of the events")]

#[path = "support/pair.rs"]
mod pair;

use core::time::Duration;

use pair::Pair;
use posthaste_core::endpoint::{Body, Delivery, Event, Message, SendError};

#[test]
fn more_messages_than_credit_covers_all_arrive() {
    for delivery in [Delivery::Reliable, Delivery::Ordered { channel: 7 }] {
        for len in [1000, 100_000, 1 << 20] {
            let mut pair = Pair::new();
            let peer = pair.dial();
            let count = pair.client.endpoint.config().credit as usize / len * 10;
            let octets = vec![7; len];
            let (mut sent, mut received) = (0, 0);
            let done = pair.run_until(Duration::from_secs(60), |pair| {
                while sent < count {
                    let message = Message { delivery, priority: 1, body: Body::Copied(&octets) };
                    if pair.client.endpoint.send(pair.now, peer, message).is_err() {
                        break;
                    }
                    sent += 1;
                }
                while let Some(message) = pair.server.take(|event| match event {
                    Event::MessageReceived { message, .. } => Some(*message),
                    _ => None,
                }) {
                    assert!(pair.server.endpoint.payload(message).unwrap() == octets);
                    pair.server.endpoint.release(pair.now, message).unwrap();
                    received += 1;
                }
                received == count
            });
            assert!(done, "{received} of {count} messages of {len} octets, {delivery:?}");
        }
    }
}

/// The wire has no room for them (protocol §2): they are refused before anything waits behind them.
#[test]
fn a_name_of_2_to_the_62_is_refused() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    for (name, is_taken) in [((1 << 62) - 1, true), (1 << 62, false), (u64::MAX, false)] {
        for delivery in [Delivery::Ordered { channel: name }, Delivery::Newest { key: name }] {
            let message = Message { delivery, priority: 1, body: Body::Copied(b"news") };
            let sent = pair.client.endpoint.send(pair.now, peer, message);
            assert_eq!(sent.is_ok(), is_taken, "{delivery:?}");
            assert!(is_taken || sent == Err(SendError::OutOfRange));
        }
    }
    pair.run(Duration::from_secs(1));
    pair.client.endpoint.close(pair.now, peer, u64::MAX).unwrap();
    pair.run(Duration::from_secs(1));
    assert_eq!((pair.client.endpoint.usage().peers, pair.server.endpoint.usage().peers), (0, 0));
}
