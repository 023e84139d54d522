//! What the simulator found, each told by two endpoints.
#![cfg(feature = "alloc")]
#![expect(clippy::wildcard_enum_match_arm, reason = "each test looks at some of the events")]

#[path = "support/pair.rs"]
mod pair;

use core::time::Duration;

use pair::{Fate, Pair, SERVER, echo};
use posthaste_core::config::PathMtuDiscovery;
use posthaste_core::congestion::Algorithm;
use posthaste_core::ecn::Ecn;
use posthaste_core::endpoint::{Arrival, Body, Delivery, Event, Message, Rejected, Remote, Request, Streamed, Usage};
use posthaste_core::wire::{NotExecuted, Semantics};
use posthaste_core::{Config, Outcome, PeerId, StaleId, Unknown};

const SECOND: Duration = Duration::from_secs(1);

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
fn a_call_after_a_silence_asks_only_after_a_silence_of_its_own() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    echo(&mut pair, b"first");
    pair.run(SECOND);
    pair.now = pair.now.saturating_add(60 * SECOND);
    pair.call(peer, Request::new(1, 1, 7, b"second"));
    pair.flush();
    let next = pair.client.endpoint.poll_timeout().unwrap();
    assert!(next > pair.now, "{next:?} is not after {:?}", pair.now);
}

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

/// Nothing of a reply can come while its conversation is lost, however long another one takes.
#[test]
fn the_time_between_two_conversations_is_no_want_of_progress() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    echo(&mut pair, b"open");
    let octets = [7; 3000];
    let request = Request { timeout: None, ..Request::new(1, 1, 7, &octets) };
    pair.client.endpoint.call(pair.now, peer, request).unwrap();
    let mut from_server_count = 0;
    pair.fate = Box::new(move |flying| {
        // Of the reply one fragment arrives.
        from_server_count += u32::from(flying.from == SERVER && flying.octets.len() > 1000);
        if from_server_count > 1 { Fate::Lose } else { Fate::Arrive }
    });
    pair.run_until(12 * SECOND, |pair| {
        pair.server.echo(pair.now);
        false
    });
    // The conversation is there before the rest of the reply is.
    pair.fate = Box::new(|flying| if flying.octets[0] & 0xe0 == 0x40 { Fate::Lose } else { Fate::Arrive });
    pair.run(3 * SECOND);
    pair.fate = Box::new(|_| Fate::Arrive);
    pair.run(2 * SECOND);
    let outcome =
        pair.client.take(|event| if let Event::CallEnded { outcome, .. } = event { Some(*outcome) } else { None });
    assert!(matches!(outcome, Some(Outcome::Ok(_))), "{outcome:?}");
}

/// An address change makes the client send again what the server has, and its handler still has the arguments.
#[test]
fn what_comes_again_while_it_is_held_is_not_handed_over_again() {
    let (mut pair, peer) = Pair::open();
    pair.send(peer, Delivery::Reliable, b"once");
    pair.call(peer, Request::new(1, 1, 7, b"once"));
    pair.run(Duration::from_millis(12));
    pair.client.endpoint.handle_address_change(pair.now);
    pair.run(Duration::from_millis(500));
    let is_arrival = |event: &&Event| matches!(event, Event::MessageReceived { .. } | Event::CallReceived { .. });
    assert_eq!(pair.server.events.iter().filter(is_arrival).count(), 2);
}

/// After an address change the reply comes before the request is acknowledged, and both are the first flow of their direction.
#[test]
fn a_reply_is_released_and_not_the_request() {
    let (mut pair, peer) = Pair::open();
    pair.run(SECOND);
    pair.call(peer, Request::new(1, 1, 7, b"call"));
    pair.flush();
    pair.client.endpoint.handle_address_change(pair.now);
    echo(&mut pair, b"another");
    pair.run(60 * SECOND);
    let usage = pair.client.endpoint.usage();
    assert_eq!((usage.outgoing, usage.incoming, pair.client.endpoint.counters().broken), (0, 0, 0));
}

/// The caller forgets a call whose arguments the handler is still at work on.
#[test]
fn arguments_stay_until_the_reply() {
    let (mut pair, peer) = Pair::open();
    pair.run(SECOND);
    let mut request = Request::new(1, 1, 7, b"arguments");
    request.timeout = Some(Duration::from_millis(12));
    let call = pair.call(peer, request);
    pair.run(Duration::from_millis(11));
    let incoming = pair.server.take_call();
    let incoming = incoming.expect("the call has arrived");
    pair.server.endpoint.begin(pair.now, incoming).unwrap();
    pair.client.endpoint.forget(pair.now, call).unwrap();
    pair.run(SECOND);
    assert_eq!(pair.server.endpoint.incoming_call(incoming).unwrap().arguments, b"arguments");
}

/// The reply is half here when its caller forgets the call, and the rest of it never comes.
#[test]
fn a_reply_that_was_given_up_goes_with_its_session() {
    let (mut pair, peer) = Pair::open();
    let mut request = Request::new(1, 1, 7, &[7; 50_000]);
    request.timeout = Some(Duration::from_millis(200));
    let call = pair.call(peer, request);
    let mut count = 0;
    pair.fate = Box::new(move |flying| {
        count += u32::from(flying.from == pair::SERVER && flying.octets.len() > 1000);
        if count > 2 { Fate::Lose } else { Fate::Arrive }
    });
    pair.run_until(SECOND, |pair| {
        pair.server.echo(pair.now);
        false
    });
    pair.client.endpoint.forget(pair.now, call).unwrap();
    pair.client.endpoint.close(pair.now, peer, 0).unwrap();
    pair.run(SECOND);
    assert_eq!(pair.client.endpoint.usage(), Usage::default());
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

#[test]
fn after_the_end_of_a_peer_was_told_time_goes_on() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    pair.cut();
    pair.call(peer, Request::new(1, 1, 7, b"nobody"));
    let is_closed = pair.run_until(60 * SECOND, |pair| pair.client.heard(|it| matches!(it, Event::Closed { .. })));
    assert!(is_closed);
    assert!(pair.client.endpoint.poll_timeout().is_none_or(|at| at > pair.now));
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

/// Nobody knows the server's window before its answer, and the numbers of what was cancelled are used up.
#[test]
fn a_hello_carries_nothing_beyond_the_window_of_every_server() {
    let mut config = Config::internet();
    config.exchange_window = 16;
    let mut pair = Pair::with(Config::internet(), config);
    let peer = pair.dial();
    for _ in 0..20 {
        let call = pair.call(peer, Request::new(1, 1, 7, b"cancelled"));
        pair.client.endpoint.cancel(pair.now, call).unwrap();
    }
    echo(&mut pair, b"twenty-first");
    assert_eq!(pair.server.endpoint.counters().violations, 0);
}

/// Nothing of the call has arrived when it is given up, and then the server restarts.
#[test]
fn a_call_that_was_given_up_is_not_repeated_in_another_session() {
    let (mut pair, peer) = Pair::open();
    pair.cut();
    let mut request = Request::new(1, 1, 7, b"repeatable");
    request.semantics = Semantics::AtLeastOnce;
    let call = pair.call(peer, request);
    pair.flush();
    pair.client.endpoint.cancel(pair.now, call).unwrap();
    pair.client.endpoint.resolve(pair.now, call, 60 * SECOND).unwrap();
    pair.restart_server();
    pair.mend();
    pair.run(30 * SECOND);
    assert_eq!(pair.client.endpoint.counters().violations, 0);
    let outcome = pair.client.take(|event| match event {
        Event::CallEnded { outcome, .. } if *outcome != Outcome::Unknown(Unknown::Cancelled) => Some(*outcome),
        _ => None,
    });
    assert_eq!(outcome, Some(Outcome::Unknown(Unknown::SessionLost)));
    assert!(!pair.server.heard(|event| matches!(event, Event::CallReceived { .. })));
}

#[test]
fn the_refusal_of_a_call_that_is_sent_once_arrives() {
    let (mut pair, peer) = Pair::open();
    pair.run(SECOND);
    let mut request = Request::new(1, 1, 7, b"maybe");
    request.semantics = Semantics::Maybe;
    pair.call(peer, request);
    pair.run(Duration::from_millis(11));
    let call = pair.server.take_call();
    pair.server.endpoint.refuse(pair.now, call.expect("the call has arrived"), NotExecuted::Busy).unwrap();
    pair.cut();
    pair.flush();
    pair.mend();
    pair.run(5 * SECOND);
    let outcome = pair.client.take_outcome();
    assert_eq!(outcome, Some(Outcome::NotExecuted(posthaste_core::NotExecuted::Refused(NotExecuted::Busy))));
}

/// The server restarts between its retry and the hello that carries the first message.
#[test]
fn a_channel_goes_on_without_what_a_refused_hello_carried() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    let delivery = Delivery::Ordered { channel: 1 };
    pair.send(peer, delivery, b"carried");
    let mut count = 0;
    pair.fate = Box::new(move |flying| {
        count += u32::from(flying.from == pair::CLIENT);
        if count > 1 { Fate::Lose } else { Fate::Arrive }
    });
    assert!(pair.run_until(SECOND, |pair| pair.client.sent.len() == 2));
    pair.restart_server();
    pair.send(peer, delivery, b"next");
    pair.mend();
    pair.run(10 * SECOND);
    assert!(pair.client.heard(|event| matches!(event, Event::MessageFailed { .. })));
    assert!(pair.server.heard(|event| matches!(event, Event::MessageReceived { .. })));
}

/// The message is cancelled after the hello that carried it, and before the retry that refuses the hello's token.
#[test]
fn what_a_refused_hello_carried_and_was_cancelled_is_not_charged_in_the_next_session() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    let send = pair.send(peer, Delivery::Reliable, b"cancelled");
    let mut count = 0;
    pair.fate = Box::new(move |flying| {
        count += u32::from(flying.from == pair::CLIENT);
        if count > 1 { Fate::Lose } else { Fate::Arrive }
    });
    assert!(pair.run_until(SECOND, |pair| pair.client.sent.len() == 2));
    pair.restart_server();
    pair.client.endpoint.cancel_send(pair.now, send).unwrap();
    pair.mend();
    let before = pair.client.sent.len();
    pair.run(10 * SECOND);
    assert!(pair.client.heard(|event| matches!(event, Event::Connected { .. })));
    // Retry, hello, answer, acknowledgement of nothing: a session in which nothing happened.
    assert_eq!(pair.client.sent.len() - before, 2, "the next session hears of the message");
    assert_eq!(pair.client.endpoint.usage().exchanges, 0);
}

/// The reply is lost, and the caller asks again before the callee probes.
#[test]
fn a_request_that_comes_again_is_answered_again() {
    let (mut pair, peer) = Pair::open();
    pair.run(SECOND);
    pair.call(peer, Request::new(1, 1, 7, b"again"));
    pair.flush();
    let request = pair.client.sent.len();
    pair.fate = Box::new(|flying| if flying.from == pair::SERVER { Fate::Lose } else { Fate::Arrive });
    pair.run_until(SECOND, |pair| pair.server.echo(pair.now) == 1);
    let replies = pair.server.sent.len();
    pair.run_until(SECOND, |pair| pair.client.sent.len() > request);
    pair.mend();
    let asked_again_at = pair.now;
    let is_answered = pair.run_until(SECOND, |pair| {
        pair.client.heard(|event| matches!(event, Event::CallEnded { outcome: Outcome::Ok(_), .. }))
    });
    assert!(is_answered && pair.server.sent.len() > replies);
    assert_eq!(pair.now.saturating_since(asked_again_at), Duration::from_millis(20));
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

#[test]
fn whoever_waits_for_a_flush_learns_that_the_peer_has_closed() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    echo(&mut pair, b"hello");
    pair.send(peer, Delivery::Reliable, b"one more");
    pair.client.endpoint.flush(pair.now, peer).unwrap();
    let caller = pair.server.take(|event| match event {
        Event::Connected { peer } => Some(*peer),
        _ => None,
    });
    pair.server.endpoint.close(pair.now, caller.unwrap(), 0).unwrap();
    for side in 0..2 {
        let closed = pair.run_until(SECOND, |pair| {
            let host = if side == 0 { &mut pair.client } else { &mut pair.server };
            host.take(|event| matches!(event, Event::Closed { .. }).then_some(())).is_some()
        });
        assert!(closed, "side {side}");
    }
    assert_eq!(pair.client.endpoint.flush(pair.now, peer), Err(StaleId));
    // Nothing holds the slots any more.
    pair.run(60 * SECOND);
    assert_eq!((pair.client.endpoint.usage().peers, pair.server.endpoint.usage().peers), (0, 0));
}

/// With a ticket, a hello carries the first message, and its record outlives the datagram.
#[test]
fn a_conversation_that_is_closed_while_it_opens_leaves_no_record_of_its_hello() {
    let (mut pair, peer) = Pair::open();
    // Longer than the lease, so that the next command opens another session.
    pair.now = pair.now.saturating_add(20 * 60 * SECOND);
    pair.send(peer, Delivery::Reliable, b"first");
    pair.flush();
    assert_eq!(pair.client.endpoint.usage().datagrams, 1);
    pair.client.endpoint.close(pair.now, peer, 0).unwrap();
    pair.run(SECOND);
    assert_eq!(pair.client.endpoint.usage(), Usage::default());
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

/// The server stops the request for want of progress; whoever waits for its reply, without a deadline, is told.
#[test]
fn a_call_whose_request_made_no_progress_is_refused() {
    let mut config = Config::internet();
    config.progress_timeout = SECOND;
    let (mut pair, peer) = Pair::open_with(Config::internet(), config);
    let mut is_first = true;
    pair.fate = Box::new(move |_| if core::mem::take(&mut is_first) { Fate::Arrive } else { Fate::Lose });
    let request = Request { timeout: None, ..Request::new(1, 1, 7, &[7; 5000]) };
    pair.call(peer, request);
    pair.run(2 * SECOND);
    pair.mend();
    let refused = |event: &Event| match event {
        Event::CallEnded { outcome: Outcome::NotExecuted(why), .. } => Some(*why),
        _ => None,
    };
    let mut why = None;
    pair.run_until(30 * SECOND, |pair| {
        why = pair.client.take(refused);
        why.is_some()
    });
    assert_eq!(why, Some(posthaste_core::NotExecuted::Refused(NotExecuted::DeadlinePassed)));
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

/// The server closes after the first call, and a copy of the hello that carried it gets the token for a second session. Another copy
/// comes when that is open.
#[test]
fn what_a_refused_hello_carried_is_not_executed_in_the_next_session() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"once")).unwrap();
    pair.fate = Box::new(lose_all_answers_but_retries);
    let first = await_connected(&mut pair);
    pair.server.endpoint.close(pair.now, first, 0).unwrap();
    await_connected(&mut pair);
    let mut copy = pair.client.sent[1].clone();
    let arrival = Arrival { from: pair::CLIENT, to: None, ecn: Ecn::NotEct };
    pair.server.endpoint.handle_datagram(pair.now, arrival, &mut copy).unwrap();
    pair.flush();
    let is_call = |event: &&Event| matches!(event, Event::CallReceived { .. });
    assert_eq!(pair.server.events.iter().filter(is_call).count(), 1);
}

/// As before, but what comes late is what the server sent in the first session.
#[test]
fn what_a_server_sent_before_its_retry_does_not_arrive_in_the_next_session() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"open")).unwrap();
    pair.fate = Box::new(lose_all_answers_but_retries);
    let first = await_connected(&mut pair);
    let sent = pair.server.sent.len();
    let message = Message { delivery: Delivery::Reliable, priority: 1, body: Body::Copied(b"late") };
    pair.server.endpoint.send(pair.now, first, message).unwrap();
    pair.flush();
    pair.server.endpoint.close(pair.now, first, 0).unwrap();
    let mut late = pair.server.sent[sent].clone();
    await_connected(&mut pair);
    pair.fate = Box::new(|_| Fate::Arrive);
    // Without the answer to its last hello, it sends that again.
    assert!(pair.run_until(10 * SECOND, |pair| pair.client.take(connected).is_some()));
    let arrival = Arrival { from: pair::SERVER, to: None, ecn: Ecn::NotEct };
    let result = pair.client.endpoint.handle_datagram(pair.now, arrival, &mut late);
    assert_eq!(result, Err(Rejected::Unknown));
    assert_eq!(pair.client.endpoint.poll_event(), None);
}

fn lose_all_answers_but_retries(flying: &pair::Flying) -> Fate {
    let is_stateless = flying.octets[0] & 0xe0 == 0xe0;
    if flying.from == pair::CLIENT || is_stateless { Fate::Arrive } else { Fate::Lose }
}

fn connected(event: &Event) -> Option<PeerId> {
    if let Event::Connected { peer } = event { Some(*peer) } else { None }
}

/// Waits until the server has another client.
fn await_connected(pair: &mut Pair) -> PeerId {
    let mut found = None;
    pair.run_until(10 * SECOND, |pair| {
        found = pair.server.take(connected);
        found.is_some()
    });
    found.expect("a client connects")
}
