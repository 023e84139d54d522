//! Replies whose octets the application shares: read in place, and kept, resent and charged as those that are copied.
#![cfg(feature = "bytes")]

#[path = "support/pair.rs"]
mod pair;

use core::time::Duration;

use bytes::Bytes;
use pair::{Fate, Pair};
use posthaste_core::endpoint::{Answer, Body, Event, ReplyError, Request};
use posthaste_core::random::Random;
use posthaste_core::{CallId, Config, IncomingCallId, Outcome};
use posthaste_heap as heap;

const SECOND: Duration = Duration::from_secs(1);
const LEN: usize = 1 << 20;

#[test]
fn a_reply_is_read_in_place_until_it_is_acknowledged() {
    let (mut pair, peer) = Pair::open();
    let mut random = Random::new([4; 32]);
    pair.fate = Box::new(move |_| if random.below(20) == 0 { Fate::Lose } else { Fate::Arrive });
    pair.run(SECOND);
    let before = pair.server.endpoint.usage().payload_octets;
    let octets = pattern();
    for answer in [Answer::Ok, Answer::Error] {
        pair.call(peer, Request::new(1, 1, 7, b"call"));
        let call = begun(&mut pair);
        let (now, body) = (pair.now, Body::Shared(octets.clone()));
        let mut out = [0; 65_527];
        let ((), allocated) = heap::watch(|| {
            pair.server.endpoint.reply_body(now, call, answer, body, &[]).unwrap();
            // What is written here is lost.
            while pair.server.endpoint.poll_transmit(now, &mut out).is_some() {}
        });
        assert_eq!(allocated.count, 0);
        assert!(!octets.is_unique());
        assert_eq!(pair.server.endpoint.usage().payload_octets - before, LEN);

        let (_, outcome) = ended(&mut pair);
        let message = match (answer, outcome) {
            (Answer::Ok, Outcome::Ok(message)) | (Answer::Error, Outcome::ApplicationError(message)) => message,
            (_, outcome) => panic!("{outcome:?}"),
        };
        assert_eq!(pair.client.endpoint.take_payload(pair.now, message).unwrap(), octets);
        pair.run(SECOND);
        assert!(octets.is_unique());
        assert_eq!(pair.server.endpoint.usage().payload_octets, before);
    }
}

#[test]
fn a_reply_that_no_datagram_brought_is_there_when_the_call_is_resolved() {
    let (mut pair, peer) = Pair::open();
    let octets = pattern();
    let request = Request { timeout: Some(2 * SECOND), ..Request::new(1, 1, 7, b"call") };
    let asked = pair.call(peer, request);
    let call = begun(&mut pair);
    pair.cut();
    let body = Body::Shared(octets.clone());
    pair.server.endpoint.reply_body(pair.now, call, Answer::Ok, body, &[]).unwrap();
    let (call, outcome) = ended(&mut pair);
    assert!(call == asked && matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    assert!(!octets.is_unique());

    pair.mend();
    pair.client.endpoint.resolve(pair.now, call, 60 * SECOND).unwrap();
    let (_, outcome) = ended(&mut pair);
    let Outcome::Ok(message) = outcome else { panic!("{outcome:?}") };
    assert_eq!(pair.client.endpoint.take_payload(pair.now, message).unwrap(), octets);
    pair.run(SECOND);
    assert!(octets.is_unique());
}

/// A peer that calls and acknowledges nothing makes nobody hold more than it could by replies that are copied.
#[test]
fn replies_that_are_not_acknowledged_are_lost_where_copies_of_them_would_be() {
    let kept_count = |share: fn(&Bytes) -> Body<'_>| {
        let mut config = Config::internet();
        (config.message_len_max, config.credit, config.payload_memory) = (LEN, LEN as u64, 16 * LEN);
        let (mut pair, peer) = Pair::open_with(Config::internet(), config);
        for _ in 0..32 {
            pair.call(peer, Request { timeout: None, ..Request::new(1, 1, 7, b"call") });
        }
        let calls: Vec<_> = (0..32).map(|_| begun(&mut pair)).collect();
        pair.cut();
        let octets = pattern();
        let mut is_kept = |&call: &IncomingCallId| {
            let before = pair.server.endpoint.usage().payload_octets;
            pair.server.endpoint.reply_body(pair.now, call, Answer::Ok, share(&octets), &[]).unwrap();
            pair.server.endpoint.usage().payload_octets > before
        };
        let kept_count = calls.iter().filter(|call| is_kept(call)).count();
        pair.mend();
        let mut lost_count = 0;
        for _ in calls {
            let (_, outcome) = ended(&mut pair);
            if let Outcome::Ok(reply) = outcome {
                pair.client.endpoint.release(pair.now, reply).unwrap();
            } else {
                assert_eq!(outcome, Outcome::ReplyLost);
                lost_count += 1;
            }
        }
        assert_eq!(kept_count + lost_count, 32);
        pair.run(SECOND);
        assert!(octets.is_unique());
        kept_count
    };
    let shared_count = kept_count(|octets| Body::Shared(octets.clone()));
    assert!((8..16).contains(&shared_count), "{shared_count}");
    assert_eq!(shared_count, kept_count(|octets| Body::Copied(octets)));
}

#[test]
fn a_reply_that_is_not_wanted_or_too_long_is_let_go_of_at_once() {
    let (mut pair, peer) = Pair::open();
    let octets = pattern();
    let asked = pair.call(peer, Request::new(1, 1, 7, b"call"));
    let call = begun(&mut pair);
    let reply = |pair: &mut Pair, body| pair.server.endpoint.reply_body(pair.now, call, Answer::Ok, body, &[]);
    let too_long = Bytes::from(vec![7; Config::internet().message_len_max + 1]);
    let refused = reply(&mut pair, Body::Shared(too_long.clone()));
    assert_eq!(refused, Err(ReplyError::TooLarge { limit: Config::internet().message_len_max as u64 }));
    assert!(too_long.is_unique());

    pair.client.endpoint.cancel(pair.now, asked).unwrap();
    pair.client.endpoint.forget(pair.now, asked).unwrap();
    pair.run(SECOND);
    let _ = reply(&mut pair, Body::Shared(octets.clone()));
    pair.run(SECOND);
    assert!(octets.is_unique());

    pair.call(peer, Request::new(1, 1, 7, b"call"));
    let call = begun(&mut pair);
    let body = Body::Shared(octets.clone());
    pair.server.endpoint.reply_body(pair.now, call, Answer::Ok, body, &[]).unwrap();
    pair.server.endpoint.close_all(pair.now, 7);
    assert!(octets.is_unique());
}

/// Waits for a call to arrive, and begins it.
fn begun(pair: &mut Pair) -> IncomingCallId {
    let mut call = None;
    pair.run_until(10 * SECOND, |pair| {
        call = pair.server.take_call();
        call.is_some()
    });
    let call = call.expect("it arrives");
    pair.server.endpoint.begin(pair.now, call).unwrap();
    call
}

/// Waits for a call to end.
fn ended(pair: &mut Pair) -> (CallId, Outcome) {
    let mut end = None;
    pair.run_until(60 * SECOND, |pair| {
        end = pair
            .client
            .take(|event| if let Event::CallEnded { call, outcome } = event { Some((*call, *outcome)) } else { None });
        end.is_some()
    });
    end.expect("it ends")
}

fn pattern() -> Bytes {
    (0..LEN).map(|at| (at % 251) as u8).collect()
}
