//! Calls.

use core::time::Duration;

use posthaste_core::config::PathMtuDiscovery;
use posthaste_core::endpoint::{Answer, Body, Delivery, Event, Message, Reply, Request, Usage};
use posthaste_core::wire::{NotExecuted, Semantics};
use posthaste_core::{Config, Outcome};

use crate::SECOND;
use crate::pair::{self, Fate, Pair, echo};

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

/// The server stops the request for want of progress; whoever waits without a deadline is told, whether a reply tells or nothing but
/// the stop.
#[test]
fn a_call_whose_request_made_no_progress_is_refused() {
    for reply in [Reply::Expected, Reply::Never] {
        let mut config = Config::internet();
        config.progress_timeout = SECOND;
        let (mut pair, peer) = Pair::open_with(Config::internet(), config);
        let mut is_first = true;
        pair.fate = Box::new(move |_| if core::mem::take(&mut is_first) { Fate::Arrive } else { Fate::Lose });
        let request = Request { timeout: None, reply, ..Request::new(1, 1, 7, &[7; 5000]) };
        pair.call(peer, request);
        pair.run(2 * SECOND);
        pair.mend();
        let mut outcome = None;
        pair.run_until(30 * SECOND, |pair| {
            outcome = pair.client.take_outcome();
            outcome.is_some()
        });
        let why = posthaste_core::NotExecuted::Refused(NotExecuted::DeadlinePassed);
        assert_eq!(outcome, Some(Outcome::NotExecuted(why)), "{reply:?}");
        pair.run(10 * SECOND);
        assert_eq!(pair.client.endpoint.usage().exchanges, 0, "{reply:?}");
    }
}

/// Each endpoint calls the other, and a reply takes half of the place that a longest message has: as many as find a place leave none
/// for those that are to arrive, though half of the memory is free.
#[test]
fn replies_that_fill_the_memory_of_both_leave_room_for_those_of_the_other() {
    let mut config = Config::internet();
    config.message_len_max = 4096;
    config.payload_memory = 64 * 1024;
    config.path_mtu_discovery = PathMtuDiscovery::Off;
    for metadata in [&[][..], &[0x20, 1, 7]] {
        let (mut pair, peer) = Pair::open_with(config.clone(), config.clone());
        let connected = |event: &Event| if let Event::Connected { peer } = event { Some(*peer) } else { None };
        let caller = pair.server.take(connected).expect("the client has called");
        pair.run(SECOND);
        for _ in 0..20 {
            let request = || Request { timeout: None, ..Request::new(1, 1, 7, b"call") };
            pair.call(peer, request());
            pair.server.endpoint.call(pair.now, caller, request()).unwrap();
        }
        pair.run(SECOND);
        // No reply arrives before each of them has been given.
        pair.cut();
        for host in [&mut pair.client, &mut pair.server] {
            while let Some(call) = host.take_call() {
                host.endpoint.begin(pair.now, call).unwrap();
                host.endpoint.reply(pair.now, call, Answer::Ok, &[7; 2200], metadata).unwrap();
            }
            assert!(host.endpoint.usage().payload_octets < config.payload_memory * 6 / 10);
        }
        pair.flush();
        pair.mend();
        let mut replied_count = 0;
        let mut ended_count = 0;
        let are_over = pair.run_until(60 * SECOND, |pair| {
            for host in [&mut pair.client, &mut pair.server] {
                while let Some(outcome) = host.take_outcome() {
                    ended_count += 1;
                    if let Outcome::Ok(reply) = outcome {
                        replied_count += 1;
                        assert_eq!(host.endpoint.payload(reply), Ok(&[7; 2200][..]));
                        host.endpoint.release(pair.now, reply).unwrap();
                    }
                }
            }
            ended_count == 40
        });
        assert!(are_over, "{ended_count} have ended");
        assert!(replied_count >= 24, "{replied_count} replies found room");
    }
}

/// What each has granted the other is used up, and more than three quarters of both memories are replies.
#[test]
fn replies_that_fill_the_memory_of_both_find_credit() {
    let mut config = Config::internet();
    config.message_len_max = 4096;
    config.credit = 8192;
    config.payload_memory = 128 * 1024;
    config.path_mtu_discovery = PathMtuDiscovery::Off;
    let (mut pair, peer) = Pair::open_with(config.clone(), config.clone());
    let connected = |event: &Event| if let Event::Connected { peer } = event { Some(*peer) } else { None };
    let caller = pair.server.take(connected).expect("the client has called");
    pair.run(SECOND);
    let mut hosts = [(&mut pair.client, peer), (&mut pair.server, caller)];
    for (host, peer) in &mut hosts {
        for _ in 0..30 {
            let request = Request { timeout: None, ..Request::new(1, 1, 7, b"call") };
            host.endpoint.call(pair.now, *peer, request).unwrap();
        }
    }
    pair.run(SECOND);
    let mut hosts = [(&mut pair.client, peer), (&mut pair.server, caller)];
    for (host, peer) in &mut hosts {
        for _ in 0..2 {
            let message = Message { delivery: Delivery::Reliable, priority: 1, body: Body::Copied(&[7; 3900]) };
            host.endpoint.send(pair.now, *peer, message).unwrap();
        }
    }
    pair.run(SECOND);
    pair.cut();
    for host in [&mut pair.client, &mut pair.server] {
        while let Some(call) = host.take_call() {
            host.endpoint.begin(pair.now, call).unwrap();
            host.endpoint.reply(pair.now, call, Answer::Ok, &[7; 4096], &[]).unwrap();
        }
        assert_eq!(host.release_messages(pair.now), 2);
        assert!(host.endpoint.usage().payload_octets > config.payload_memory / 4 * 3);
    }
    pair.flush();
    pair.mend();
    let mut ended_count = 0;
    let are_over = pair.run_until(60 * SECOND, |pair| {
        for host in [&mut pair.client, &mut pair.server] {
            while let Some(outcome) = host.take_outcome() {
                ended_count += 1;
                if let Outcome::Ok(reply) = outcome {
                    host.endpoint.release(pair.now, reply).unwrap();
                }
            }
        }
        ended_count == 60
    });
    assert!(are_over, "{ended_count} have ended");
}
