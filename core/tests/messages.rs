//! Messages between two endpoints.
#![cfg(feature = "alloc")]
#![expect(clippy::wildcard_enum_match_arm, reason = "each test looks at some of the events")]

#[path = "support/pair.rs"]
mod pair;

use core::time::Duration;

use pair::Pair;
use posthaste_core::endpoint::{Body, Delivery, Event, Message};

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
