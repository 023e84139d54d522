//! How conversations and sessions begin and end.

use core::time::Duration;

use posthaste_core::ecn::Ecn;
use posthaste_core::endpoint::{Arrival, Body, Delivery, Event, Message, Rejected, Request, Usage};
use posthaste_core::wire::Semantics;
use posthaste_core::{Config, Outcome, PeerId, StaleId, Unknown};

use crate::SECOND;
use crate::pair::{self, Fate, Pair, SERVER, echo};

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

/// The server restarts between its retry and the hello that carries the first message.
#[test]
fn a_channel_goes_on_without_what_a_refused_hello_carried() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    let delivery = Delivery::Ordered { channel: 1 };
    pair.send(peer, delivery, b"carried");
    refuse_second_hello(&mut pair);
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
    refuse_second_hello(&mut pair);
    pair.client.endpoint.cancel_send(pair.now, send).unwrap();
    pair.mend();
    let before = pair.client.sent.len();
    pair.run(10 * SECOND);
    assert!(pair.client.heard(|event| matches!(event, Event::Connected { .. })));
    // Retry, hello, answer, acknowledgement of nothing: a session in which nothing happened.
    assert_eq!(pair.client.sent.len() - before, 2, "the next session hears of the message");
    assert_eq!(pair.client.endpoint.usage().exchanges, 0);
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

/// Lets the server restart between its retry and the hello that brings the token.
fn refuse_second_hello(pair: &mut Pair) {
    let mut count = 0;
    pair.fate = Box::new(move |flying| {
        count += u32::from(flying.from == pair::CLIENT);
        if count > 1 { Fate::Lose } else { Fate::Arrive }
    });
    assert!(pair.run_until(SECOND, |pair| pair.client.sent.len() == 2));
    pair.restart_server();
}
