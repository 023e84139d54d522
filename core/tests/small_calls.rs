//! Calls whose request and reply are a frame each: what holds for all calls holds for them, whatever befalls them.
#![cfg(feature = "alloc")]

#[path = "support/pair.rs"]
mod pair;

use core::time::Duration;

use pair::{Fate, Pair, answer, echo};
use posthaste_core::endpoint::{Answer, Event, ReplyError, Request};
use posthaste_core::{IncomingCallId, NotExecuted, Outcome, PeerId, StaleId, Unknown};

#[test]
fn whichever_datagram_is_lost_each_is_executed_once_and_gets_its_own_reply() {
    for lost in 0..12 {
        let (mut pair, peer) = warm();
        let mut count = 0;
        pair.fate = Box::new(move |_| {
            count += 1;
            if count == lost + 1 { Fate::Lose } else { Fate::Arrive }
        });
        let calls: Vec<_> = (0..3).map(|id| pair.call(peer, Request::new(1, 1, 7, &[id; 20]))).collect();
        let mut executed_count = 0;
        let mut replies = Vec::new();
        pair.run_until(Duration::from_secs(10), |pair| {
            executed_count += pair.server.echo(pair.now);
            while let Some((call, outcome)) = take_ended(pair) {
                let Outcome::Ok(reply) = outcome else { panic!("datagram {lost} lost: {outcome:?}") };
                replies.push((call, pair.client.endpoint.payload(reply).unwrap().to_vec()));
                pair.client.endpoint.release(pair.now, reply).unwrap();
            }
            replies.len() == calls.len()
        });
        replies.sort();
        assert_eq!(executed_count, 3, "datagram {lost} lost");
        assert!(replies.iter().zip(calls.iter().zip(0..)).all(|(got, (call, id))| *got == (*call, vec![id; 20])));
        assert_nothing_is_held(&mut pair);
    }
}

#[test]
fn while_a_reply_lies_untaken_a_call_that_takes_long_is_asked_about() {
    let (mut pair, peer) = warm();
    pair.call(peer, Request::new(1, 1, 7, &[1; 20]));
    assert!(pair.run_until(Duration::from_secs(1), |pair| {
        pair.server.echo(pair.now);
        matches!(pair.client.take_outcome(), Some(Outcome::Ok(_)))
    }));
    pair.call(peer, Request::new(1, 1, 7, &[2; 20]));
    let running = begin(&mut pair);
    // It asks after a second.
    pair.run(Duration::from_secs(3));
    assert!(pair.client.heard(|event| matches!(event, Event::CallProgress { .. })));
    pair.server.endpoint.reply(pair.now, running, Answer::Ok, &[3; 20], &[]).unwrap();
    assert!(
        pair.run_until(Duration::from_secs(1), |pair| { matches!(pair.client.take_outcome(), Some(Outcome::Ok(_))) })
    );
}

/// Those that wait for the window have less time left than their procedure says, and have to say so: they do not stay brief.
#[test]
fn more_than_the_window_holds_are_all_answered_whoever_waits_for_whom() {
    let (mut pair, peer) = warm();
    let window = pair.server.endpoint.config().exchange_window;
    let count = 5 * window;
    for _ in 0..count {
        pair.call(peer, Request::new(1, 1, 7, &[1; 20]));
    }
    run_until_answered(&mut pair, count);
    assert_nothing_is_held(&mut pair);
}

/// The window moves on with the oldest calls only, and these may be the least urgent.
#[test]
fn more_than_the_window_holds_are_all_answered_though_some_are_more_urgent() {
    let (mut pair, peer) = warm();
    let window = pair.server.endpoint.config().exchange_window;
    for priority in [3, 1] {
        for _ in 0..40 {
            pair.call(peer, Request { priority, ..Request::new(1, 1, 7, &[1; 20]) });
        }
    }
    for _ in 0..3 * window {
        pair.call(peer, Request::new(1, 1, 7, &[1; 20]));
    }
    run_until_answered(&mut pair, 80 + 3 * window);
}

/// The reply that the one waits for must not wait for the window that the other one's reply would move on.
#[test]
fn two_that_call_each_other_more_than_the_window_holds_are_both_answered() {
    for len in [20, 2000] {
        let (mut pair, peer) = warm();
        pair.call(peer, Request::new(1, 1, 7, &[]));
        let back = begin(&mut pair);
        let caller = pair.server.endpoint.incoming_call(back).unwrap().peer;
        pair.server.endpoint.reply(pair.now, back, Answer::Ok, &[], &[]).unwrap();
        let window = pair.server.endpoint.config().exchange_window;
        let octets = vec![1; len];
        for _ in 0..2 * window {
            pair.call(peer, Request::new(1, 1, 7, &octets));
            pair.server.endpoint.call(pair.now, caller, Request::new(1, 1, 7, &octets)).unwrap();
        }
        run_until_answered(&mut pair, 1 + 4 * window);
    }
}

#[test]
fn a_reply_is_held_until_it_is_released_though_the_conversation_is_closed() {
    let (mut pair, peer) = warm();
    pair.call(peer, Request::new(1, 1, 7, b"keep me"));
    assert!(pair.run_until(Duration::from_secs(10), |pair| {
        pair.server.echo(pair.now);
        pair.client.heard(|event| matches!(event, Event::CallEnded { .. }))
    }));
    let Some(Outcome::Ok(reply)) = pair.client.take_outcome() else { panic!("it was answered") };
    pair.client.endpoint.close(pair.now, peer, 0).unwrap();
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.client.endpoint.payload(reply), Ok(&b"keep me"[..]));
    assert_eq!(pair.client.endpoint.metadata(reply), Ok(&[][..]));
    pair.client.endpoint.release(pair.now, reply).unwrap();
    assert_eq!(pair.client.endpoint.payload(reply), Err(StaleId));
    assert_eq!(pair.client.endpoint.release(pair.now, reply), Err(StaleId));
}

#[test]
fn one_that_is_cancelled_before_it_is_sent_was_never_executed() {
    let (mut pair, peer) = warm();
    let call = pair.call(peer, Request::new(1, 1, 7, b"never mind"));
    pair.client.endpoint.cancel(pair.now, call).unwrap();
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.client.take_outcome(), Some(Outcome::NotExecuted(NotExecuted::NeverSent)));
    assert_eq!(pair.server.take_call(), None);
    assert_nothing_is_held(&mut pair);
}

#[test]
fn a_handler_whose_caller_is_gone_is_told_and_can_answer_no_more() {
    let (mut pair, peer) = warm();
    pair.call(peer, Request::new(1, 1, 7, b"runs"));
    let running = begin(&mut pair);
    pair.call(peer, Request::new(1, 1, 7, b"waits"));
    pair.run(Duration::from_millis(200));
    let waiting = pair.server.take_call().expect("it has arrived");
    pair.client.endpoint.close(pair.now, peer, 0).unwrap();
    pair.run(Duration::from_secs(1));
    assert!(pair.server.heard(|event| *event == Event::CallCancelled { call: running }));
    assert!(!pair.server.heard(|event| *event == Event::CallCancelled { call: waiting }));
    for call in [running, waiting] {
        assert_eq!(pair.server.endpoint.incoming_call(call).err(), Some(StaleId));
        assert_eq!(pair.server.endpoint.reply(pair.now, call, Answer::Ok, b"too late", &[]), Err(ReplyError::Stale));
    }
    assert_eq!(pair.server.endpoint.usage().exchanges, 0);
}

#[test]
fn one_that_is_cancelled_while_its_handler_runs_is_unknown_and_can_be_resolved() {
    let (mut pair, peer) = warm();
    let call = pair.call(peer, Request::new(1, 1, 7, b"run"));
    let running = begin(&mut pair);
    pair.client.endpoint.cancel(pair.now, call).unwrap();
    pair.run(Duration::from_millis(200));
    assert_eq!(pair.client.take_outcome(), Some(Outcome::Unknown(Unknown::Cancelled)));
    assert!(pair.server.heard(|event| *event == Event::CallCancelled { call: running }));
    assert_eq!(pair.server.endpoint.incoming_call(running).unwrap().arguments, b"run");
    pair.client.endpoint.resolve(pair.now, call, Duration::from_secs(5)).unwrap();
    pair.server.endpoint.reply(pair.now, running, Answer::Ok, b"ran", &[]).unwrap();
    let (resolved, reply) = answer(&mut pair);
    assert_eq!((resolved, &reply[..]), (call, &b"ran"[..]));
}

#[test]
fn one_whose_server_has_forgotten_the_session_is_unknown() {
    let (mut pair, peer) = warm();
    pair.call(peer, Request::new(1, 1, 7, b"lost"));
    assert!(pair.run_until(Duration::from_secs(1), |pair| pair.server.take_call().is_some()));
    pair.restart_server();
    assert!(pair.run_until(Duration::from_secs(60), |pair| {
        pair.client.heard(|event| matches!(event, Event::CallEnded { .. }))
    }));
    assert_eq!(pair.client.take_outcome(), Some(Outcome::Unknown(Unknown::SessionLost)));
}

#[test]
fn a_reply_with_more_to_say_or_too_long_for_a_frame_arrives_too() {
    let (mut pair, peer) = warm();
    for (status, len) in [(Answer::Error, 10), (Answer::Ok, 5000), (Answer::Ok, 0), (Answer::HandlerFailed, 0)] {
        pair.call(peer, Request::new(1, 1, 7, b"?"));
        let octets = vec![3; len];
        let mut outcome = None;
        pair.run_until(Duration::from_secs(10), |pair| {
            while let Some(call) = pair.server.take_call() {
                pair.server.endpoint.begin(pair.now, call).unwrap();
                pair.server.endpoint.reply(pair.now, call, status, &octets, &[]).unwrap();
            }
            outcome = pair.client.take_outcome();
            outcome.is_some()
        });
        match (status, outcome.unwrap()) {
            (Answer::Ok, Outcome::Ok(reply)) | (Answer::Error, Outcome::ApplicationError(reply)) => {
                assert_eq!(pair.client.endpoint.payload(reply), Ok(&octets[..]));
                pair.client.endpoint.release(pair.now, reply).unwrap();
            }
            (Answer::HandlerFailed, Outcome::Unknown(Unknown::HandlerFailed)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_nothing_is_held(&mut pair);
}

/// No acknowledgement reaches the client, so it sends the request again, in another datagram.
#[cfg(feature = "bytes")]
#[test]
fn a_request_that_comes_again_is_the_same_though_its_arguments_were_taken() {
    let (mut pair, peer) = warm();
    pair.call(peer, Request::new(1, 1, 7, b"once"));
    let running = begin(&mut pair);
    assert_eq!(pair.server.endpoint.take_arguments(pair.now, running).unwrap(), &b"once"[..]);
    assert!(pair.server.endpoint.take_arguments(pair.now, running).unwrap().is_empty());
    pair.fate = Box::new(|flying| if flying.from == pair::SERVER { Fate::Lose } else { Fate::Arrive });
    let before = pair.client.endpoint.counters().datagrams_sent;
    assert!(
        pair.run_until(Duration::from_secs(5), |pair| { pair.client.endpoint.counters().datagrams_sent >= before + 3 })
    );
    assert_eq!(pair.server.take_call(), None);
    pair.mend();
    pair.server.endpoint.reply(pair.now, running, Answer::Ok, b"done", &[]).unwrap();
    assert_eq!(answer(&mut pair).1, b"done");
    assert_nothing_is_held(&mut pair);
}

/// A pair whose server knows the short name of the procedure.
fn warm() -> (Pair, PeerId) {
    let (mut pair, peer) = Pair::open();
    for _ in 0..3 {
        echo(&mut pair, b"warm");
    }
    (pair, peer)
}

/// Runs until the server has begun the call.
fn begin(pair: &mut Pair) -> IncomingCallId {
    let mut call = None;
    assert!(pair.run_until(Duration::from_secs(1), |pair| {
        call = pair.server.take_call();
        call.is_some()
    }));
    let call = call.unwrap();
    pair.server.endpoint.begin(pair.now, call).unwrap();
    call
}

/// Runs until so many calls are answered, of whichever end; both echo.
fn run_until_answered(pair: &mut Pair, count: usize) {
    let mut answered_count = 0;
    let are_answered = pair.run_until(Duration::from_secs(10), |pair| {
        for host in [&mut pair.client, &mut pair.server] {
            host.echo(pair.now);
            while let Some(outcome) = host.take_outcome() {
                let Outcome::Ok(reply) = outcome else { panic!("{outcome:?} after {answered_count}") };
                host.endpoint.release(pair.now, reply).unwrap();
                answered_count += 1;
            }
        }
        answered_count == count
    });
    assert!(are_answered, "{answered_count} of {count}");
}

fn take_ended(pair: &mut Pair) -> Option<(posthaste_core::CallId, Outcome)> {
    pair.client
        .take(|event| if let Event::CallEnded { call, outcome } = event { Some((*call, *outcome)) } else { None })
}

/// Lets both hear the rest, and looks for what they keep of calls that are over.
fn assert_nothing_is_held(pair: &mut Pair) {
    // A call more, so that the server hears which are retired.
    echo(pair, b"over");
    pair.run(Duration::from_secs(5));
    for endpoint in [&pair.client.endpoint, &pair.server.endpoint] {
        let usage = endpoint.usage();
        assert_eq!(endpoint.counters().broken, 0);
        assert_eq!((usage.outgoing, usage.incoming, usage.frames, usage.datagrams), (0, 0, 0, 0), "{usage:?}");
        assert!(usage.exchanges <= 1, "{usage:?}");
    }
}
