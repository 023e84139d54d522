//! Loss, acknowledgements and pace.

use core::time::Duration;

use posthaste_core::Config;
use posthaste_core::config::PathMtuDiscovery;
use posthaste_core::congestion::Algorithm;
use posthaste_core::ecn::Ecn;
use posthaste_core::endpoint::{Arrival, Body, Delivery, Event, Message, Rejected, Remote, Request};

use crate::SECOND;
use crate::pair::{self, Fate, Pair, echo};

/// Only every second full datagram is acknowledged at once, unless the sender asks for more.
#[test]
fn whoever_has_one_datagram_under_way_waits_a_round_trip_and_no_longer() {
    let mut config = Config::internet();
    config.congestion = Algorithm::StopAndWait;
    config.path_mtu_discovery = PathMtuDiscovery::Off;
    let (mut pair, peer) = Pair::open_with(config.clone(), config);
    pair.run(SECOND);
    let begun_at = pair.now;
    let octets = vec![7; 50 * 1000];
    pair.send(peer, Delivery::Reliable, &octets);
    pair.client.endpoint.flush(pair.now, peer).unwrap();
    let is_flushed = |pair: &mut Pair| pair.client.take(|event| matches!(event, Event::Flushed { .. }).then_some(()));
    assert!(pair.run_until(10 * SECOND, |pair| is_flushed(pair).is_some()));
    // 43 fragments of 1200 octets with their headers.
    let round_trip = 2 * pair.delay;
    let elapsed = pair.now.saturating_since(begun_at);
    assert!(elapsed <= 44 * round_trip, "{elapsed:?}");
}

/// Its number has one octet, and would be taken for the one 256 later.
#[test]
fn a_copy_that_comes_two_hundred_datagrams_late_is_not_taken_for_another() {
    let mut pair = Pair::new();
    echo(&mut pair, b"open");
    let copies = pair.client.sent.len();
    for _ in 0..200 {
        echo(&mut pair, b"next");
    }
    let arrival = Arrival { from: pair::CLIENT, to: None, ecn: Ecn::NotEct };
    for index in copies..copies + 20 {
        let mut octets = pair.client.sent[index].clone();
        let result = pair.server.endpoint.handle_datagram(pair.now, arrival, &mut octets);
        assert_eq!(result, Err(Rejected::NotAuthentic));
    }
}

/// The oldest datagram in flight holds nothing that may be sent again.
#[test]
fn a_probe_is_sent_though_there_is_nothing_to_repeat() {
    let (mut pair, peer) = Pair::open();
    pair.run(SECOND);
    pair.cut();
    for delivery in [Delivery::Unreliable, Delivery::Reliable] {
        pair.send(peer, delivery, b"lost");
        pair.flush();
    }
    pair.mend();
    let is_acknowledged = |event: &Event| matches!(event, Event::MessageAcknowledged { .. }).then_some(());
    assert!(pair.run_until(SECOND, |pair| pair.client.take(is_acknowledged).is_some()));
}

/// The second message waits for credit that the acknowledgement of the first one's end would bring.
#[test]
fn a_probe_is_sent_though_what_is_queued_waits_for_credit() {
    let mut config = Config::internet();
    config.message_len_max = 64 * 1024;
    config.credit = 64 * 1024;
    let (mut pair, peer) = Pair::open_with(config.clone(), config);
    pair.run(SECOND);
    for _ in 0..2 {
        pair.send(peer, Delivery::Reliable, &[7; 60_000]);
    }
    let is_whole = |event: &Event| matches!(event, Event::MessageReceived { .. }).then_some(());
    assert!(pair.run_until(SECOND, |pair| pair.server.take(is_whole).is_some()));
    // What the server has to say about it is lost.
    let since = pair.now;
    pair.network.clear();
    pair.fate = Box::new(move |flying| {
        let is_lost = flying.from == pair::SERVER && flying.at < since.saturating_add(Duration::from_millis(20));
        if is_lost { Fate::Lose } else { Fate::Arrive }
    });
    let is_acknowledged = |event: &Event| matches!(event, Event::MessageAcknowledged { .. }).then_some(());
    assert!(pair.run_until(10 * SECOND, |pair| pair.client.take(is_acknowledged).is_some()));
    let duration = pair.now.saturating_since(since);
    assert!(duration < Duration::from_millis(200), "{duration:?}");
}

/// RFC 9000 §13.2.1: what is queued may not be sent, and is no reason to acknowledge an acknowledgement.
#[test]
fn whoever_waits_for_credit_does_not_answer_acks() {
    let mut config = Config::internet();
    config.message_len_max = 64 * 1024;
    config.credit = 64 * 1024;
    config.path_mtu_discovery = PathMtuDiscovery::Off;
    let (mut pair, peer) = Pair::open_with(config.clone(), config);
    for _ in 0..2 {
        pair.send(peer, Delivery::Reliable, &[7; 60_000]);
    }
    pair.run(SECOND);
    // A call overtakes what is blocked, and so does word of what is retired. Nobody replies: all that comes back is an
    // acknowledgement.
    let sent_count = pair.client.sent.len();
    let request = Request { priority: 0, ..Request::new(1, 1, 7, b"overtakes") };
    pair.call(peer, request);
    pair.run(Duration::from_millis(500));
    assert_eq!(pair.client.sent.len() - sent_count, 2);
}

/// Frames that are not acknowledged stay booked; what is to be said meanwhile waits for room.
#[test]
fn calls_that_end_while_the_sent_frames_fill_their_pool_break_nothing() {
    let mut config = Config::internet();
    config.sent_frame_count_max = 8;
    let (mut pair, peer) = Pair::open_with(config, Config::internet());
    pair.cut();
    for _ in 0..20 {
        let request = Request { timeout: Some(Duration::from_millis(300)), ..Request::new(1, 1, 7, b"lost") };
        pair.call(peer, request);
    }
    pair.run(2 * SECOND);
    let ended = pair.client.events.iter().filter(|event| matches!(event, Event::CallEnded { .. })).count();
    assert_eq!((ended, pair.client.endpoint.counters().broken), (20, 0));
    pair.mend();
    pair.run(30 * SECOND);
    pair.client.events.clear();
    pair.server.events.clear();
    echo(&mut pair, b"again");
}

/// The client stands still while the retry that answers its first hello lies in its socket. Were that the round trip, most of what
/// it sends would wait for the pacer until the server gives up what has begun.
#[test]
fn whoever_stood_still_while_an_answer_waited_loses_no_message() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    for _ in 0..5 {
        let delivery = Delivery::Ordered { channel: 1 };
        let message = Message { delivery, priority: 1, body: Body::Copied(&[7; 2831]) };
        pair.client.endpoint.send(pair.now, peer, message).unwrap();
    }
    pair.run_until(SECOND, |pair| pair.network.iter().any(|flying| flying.to == pair::CLIENT));
    pair.now = pair.now.saturating_add(549 * SECOND);
    pair.delay = Duration::ZERO;
    while !pair.network.is_empty() {
        pair.deliver();
        pair.flush();
    }
    pair.run(30 * SECOND);
    let count = |is_meant: fn(&&Event) -> bool| pair.client.events.iter().filter(is_meant).count();
    let failed = count(|event| matches!(event, Event::MessageFailed { .. }));
    let acknowledged = count(|event| matches!(event, Event::MessageAcknowledged { .. }));
    assert_eq!((failed, acknowledged), (0, 5));
}

/// As before, but what lies in the socket is an acknowledgement.
#[test]
fn whoever_stood_still_sends_as_fast_as_before() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    echo(&mut pair, b"open");
    let message = |octets| Message { delivery: Delivery::Reliable, priority: 1, body: Body::Copied(octets) };
    let is_acknowledged = |event: &Event| matches!(event, Event::MessageAcknowledged { .. }).then_some(());
    pair.client.endpoint.send(pair.now, peer, message(b"short")).unwrap();
    pair.run_until(SECOND, |pair| pair.network.iter().any(|flying| flying.to == pair::CLIENT));
    pair.now = pair.now.saturating_add(549 * SECOND);
    pair.deliver();
    assert!(pair.run_until(SECOND, |pair| pair.client.take(is_acknowledged).is_some()));
    pair.client.endpoint.send(pair.now, peer, message(&[7; 50_000])).unwrap();
    assert!(pair.run_until(SECOND, |pair| pair.client.take(is_acknowledged).is_some()));
}

/// Both sides begin at once: two conversations share the path, and what the one has in flight fills the window of both.
#[test]
fn a_conversation_goes_on_when_another_one_empties_the_window() {
    let mut pair = Pair::new();
    let message = |octets| Message { delivery: Delivery::Reliable, priority: 1, body: Body::Copied(octets) };
    let own = pair.server.endpoint.peer(pair.now, &Remote { address: pair::CLIENT, identity: &[] }).unwrap();
    pair.server.endpoint.send(pair.now, own, message(b"open")).unwrap();
    echo(&mut pair, b"open");
    pair.run(SECOND);
    let caller = pair.server.take(|event| match event {
        Event::Connected { peer } if *peer != own => Some(*peer),
        _ => None,
    });
    pair.server.endpoint.send(pair.now, caller.unwrap(), message(&[7; 50_000])).unwrap();
    pair.flush();
    // Shortly before the first acknowledgement: the pacer has let all of the window go, and has no say in it any more.
    pair.now = pair.now.saturating_add(Duration::from_millis(19));
    pair.server.endpoint.send(pair.now, own, message(&[7; 1100])).unwrap();
    pair.run(SECOND);
    let count = |event: &&Event| matches!(event, Event::MessageAcknowledged { .. });
    assert_eq!(pair.server.events.iter().filter(count).count(), 3);
}

/// What is to be sent again needs a record, and all of them are those of what was lost.
#[test]
fn a_flight_that_fills_the_pool_of_sent_datagrams_is_repeated() {
    // All of it is lost, and probes have to find that out; or the last one arrives, and its acknowledgement tells.
    for arriving in [None, Some(7), Some(3)] {
        let mut config = Config::internet();
        config.sent_datagram_count_max = 8;
        config.path_mtu_discovery = PathMtuDiscovery::Off;
        let mut pair = Pair::with(Config::internet(), config);
        echo(&mut pair, b"open");
        pair.run(SECOND);
        let caller = pair.server.take(|event| match event {
            Event::Connected { peer } => Some(*peer),
            _ => None,
        });
        let mut count = 0;
        pair.fate = Box::new(move |flying| {
            let is_sent = flying.from == pair::SERVER;
            count += usize::from(is_sent);
            if is_sent && count <= 12 && Some(count - 1) != arriving { Fate::Lose } else { Fate::Arrive }
        });
        let message = Message { delivery: Delivery::Reliable, priority: 1, body: Body::Copied(&[7; 20_000]) };
        pair.server.endpoint.send(pair.now, caller.unwrap(), message).unwrap();
        let is_acknowledged = |event: &Event| matches!(event, Event::MessageAcknowledged { .. }).then_some(());
        let is_over = pair.run_until(10 * SECOND, |pair| pair.server.take(is_acknowledged).is_some());
        assert!(is_over, "{arriving:?}");
        // Nobody keeps records that others may need, once nothing is under way.
        pair.run(SECOND);
        assert_eq!(pair.server.endpoint.usage().datagrams, 0, "{arriving:?}");
    }
}
