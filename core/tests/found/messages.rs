//! Messages and streams.

use core::time::Duration;

use posthaste_core::Config;
use posthaste_core::config::PathMtuDiscovery;
use posthaste_core::ecn::Ecn;
use posthaste_core::endpoint::{Arrival, Body, Delivery, Event, Message, Streamed};

use crate::SECOND;
use crate::pair::{self, Fate, Pair, echo};

#[test]
fn an_unreliable_message_leaves_nothing_behind() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    pair.send(peer, Delivery::Unreliable, b"news");
    pair.run(SECOND);
    assert_eq!(pair.client.endpoint.counters().broken, 0);
    assert_eq!(pair.client.endpoint.usage().exchanges, 0);
}

#[test]
fn a_channel_goes_on_without_a_message_that_was_given_up() {
    for (first, second) in [(0, 50), (1, 50), (50, 51)] {
        let (mut pair, peer) = Pair::open();
        let sends: Vec<_> = (0..3)
            .map(|priority| {
                let body = Body::Copied(&[7; 3000]);
                let message = Message { delivery: Delivery::Ordered { channel: 1 }, priority, body };
                pair.client.endpoint.send(pair.now, peer, message).unwrap()
            })
            .collect();
        // What is lost is lost for a while: the RESET comes alone, or before its predecessor.
        let mut count = 0;
        pair.fate = Box::new(move |flying| {
            count += u32::from(flying.from == pair::CLIENT);
            if flying.from == pair::CLIENT && (first..second).contains(&(count - 1)) {
                Fate::Lose
            } else {
                Fate::Arrive
            }
        });
        if first > 0 {
            pair.flush();
        }
        pair.client.endpoint.cancel_send(pair.now, sends[1]).unwrap();
        pair.mend();
        pair.run(5 * SECOND);
        pair.server.release_messages(pair.now);
        pair.run(5 * SECOND);
        let taken = pair.client.take(|event| match event {
            Event::Taken { count, .. } => Some(*count),
            _ => None,
        });
        assert_eq!(taken, Some(3), "{first} {second}");
    }
}

#[test]
fn many_short_frames_make_a_datagram_long_enough_for_them() {
    let (mut pair, peer) = Pair::open();
    for _ in 0..500 {
        pair.send(peer, Delivery::Reliable, b"");
    }
    pair.run(SECOND);
    assert_eq!(pair.server.endpoint.counters().violations, 0);
    assert_eq!(pair.server.events.iter().filter(|event| matches!(event, Event::MessageReceived { .. })).count(), 500);
}

#[test]
fn an_unreliable_message_that_the_window_has_no_room_for_is_not_cut() {
    let (mut pair, peer) = Pair::open();
    for _ in 0..30 {
        pair.send(peer, Delivery::Unreliable, &[7; 1000]);
    }
    pair.run(SECOND);
    assert_eq!(pair.server.endpoint.counters().violations, 0);
    assert_eq!(pair.server.events.iter().filter(|event| matches!(event, Event::MessageReceived { .. })).count(), 30);
}

/// Four of them fit into the credit; the fifth waits for it in front of the rest of the first.
#[test]
fn what_has_begun_goes_on_behind_what_waits_for_credit() {
    let mut config = Config::internet();
    config.message_len_max = 64 * 1024;
    config.credit = 256 * 1024;
    config.path_mtu_discovery = PathMtuDiscovery::Off;
    let (mut pair, peer) = Pair::open_with(config.clone(), config);
    for _ in 0..8 {
        pair.send(peer, Delivery::Reliable, &[7; 60_000]);
    }
    let mut count = 0;
    pair.run_until(20 * SECOND, |pair| {
        count += pair.server.release_messages(pair.now);
        count == 8
    });
    assert_eq!(count, 8);
}

/// The stream is longer than what its successors leave of the credit, were they sent, to be held until it is read.
#[test]
fn a_stream_does_not_wait_for_the_credit_of_its_successors() {
    let mut config = Config::internet();
    config.message_len_max = 32 * 1024;
    config.credit = 64 * 1024;
    config.stream_window = 16 * 1024;
    let (mut pair, peer) = Pair::open_with(config.clone(), config);
    let delivery = Delivery::Ordered { channel: 1 };
    let (_, stream) = pair.client.endpoint.open_stream(pair.now, peer, delivery, 1).unwrap();
    for _ in 0..3 {
        let message = Message { delivery, priority: 0, body: Body::Copied(&[7; 20_000]) };
        pair.client.endpoint.send(pair.now, peer, message).unwrap();
    }
    let (mut unwritten, mut read, mut messages) = (40_000, 0, 0);
    let is_over = pair.run_until(20 * SECOND, |pair| {
        while unwritten > 0 {
            let len = pair.client.endpoint.write(pair.now, stream, &[7; 1000]).unwrap();
            unwritten -= len.min(unwritten);
            if unwritten == 0 {
                pair.client.endpoint.finish(pair.now, stream).unwrap();
            }
            if len == 0 {
                break;
            }
        }
        while let Some(event) = pair.server.events.pop_front() {
            match event {
                Event::StreamReceived { stream, .. } | Event::Readable { stream } => {
                    let mut octets = [0; 20_000];
                    while let Ok(Streamed::Octets(len)) = pair.server.endpoint.read(pair.now, stream, &mut octets) {
                        read += len;
                    }
                }
                Event::MessageReceived { message, .. } => {
                    pair.server.endpoint.release(pair.now, message).unwrap();
                    messages += 1;
                }
                _ => {}
            }
        }
        messages == 3
    });
    assert!(is_over, "{read} octets and {messages} messages have arrived");
}

/// Its head, its length and the watermark before it leave no room for one of them in the datagram.
#[test]
fn a_message_that_nearly_fills_a_datagram_is_sent() {
    let mut config = Config::internet();
    config.path_mtu_discovery = PathMtuDiscovery::Off;
    config.stream_window = 4096;
    let (mut pair, peer) = Pair::open_with(config.clone(), config);
    pair.run(SECOND);
    for len in 1150..1200 {
        for is_stream in [false, true] {
            let octets = vec![7; len];
            // What is acknowledged and not yet retired is told before the message.
            echo(&mut pair, b"before");
            pair.run(Duration::from_millis(50));
            if is_stream {
                let (_, stream) = pair.client.endpoint.open_stream(pair.now, peer, Delivery::Reliable, 1).unwrap();
                pair.client.endpoint.write(pair.now, stream, &octets).unwrap();
                pair.client.endpoint.finish(pair.now, stream).unwrap();
            } else {
                pair.send(peer, Delivery::Reliable, &octets);
            }
            let is_acknowledged = |event: &Event| matches!(event, Event::MessageAcknowledged { .. }).then_some(());
            let is_over = pair.run_until(SECOND, |pair| pair.client.take(is_acknowledged).is_some());
            assert!(is_over, "{len} octets, in a stream: {is_stream}");
            // Only so many streams may wait to be read.
            if let Some(stream) = pair.server.take_stream() {
                let mut octets = [0; 2000];
                while pair.server.endpoint.read(pair.now, stream, &mut octets) != Ok(Streamed::End) {}
            }
        }
    }
}

/// The acknowledgement and the end of the conversation arrive before the application looks.
#[test]
fn an_unreliable_message_ends_once() {
    let (mut pair, peer) = Pair::open();
    pair.run(SECOND);
    let send = pair.send(peer, Delivery::Unreliable, b"news");
    while pair.network.iter().all(|flying| flying.to == pair.server.address) {
        pair.step();
    }
    for mut flying in pair.network.drain(..) {
        let arrival = Arrival { from: flying.from, to: None, ecn: Ecn::NotEct };
        pair.client.endpoint.handle_datagram(flying.at, arrival, &mut flying.octets).unwrap();
    }
    pair.client.endpoint.close(pair.now, peer, 0).unwrap();
    let events: Vec<_> = core::iter::from_fn(|| pair.client.endpoint.poll_event()).collect();
    assert_eq!(events, [Event::MessageAcknowledged { message: send }, Event::Closed { peer }]);
}
