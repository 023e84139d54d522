//! Calls between two endpoints.
#![cfg(feature = "alloc")]

#[path = "support/pair.rs"]
mod pair;

use core::time::Duration;

use pair::{Fate, Pair, SERVER, answer};
use posthaste_core::endpoint::{Answer, Body, Delivery, Encode, Event, Message, Request, Streamed, Streams};
use posthaste_core::{Config, NotExecuted, Outcome, Unknown, wire};

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
fn a_server_answers_from_where_it_was_asked_and_a_client_sends_from_wherever_the_system_likes() {
    let mut pair = Pair::new();
    pair.fate = Box::new(|flying| {
        let is_answer = flying.from == SERVER;
        assert_eq!(flying.source, is_answer.then_some(SERVER.ip()));
        Fate::Arrive
    });
    let peer = pair.dial();
    for _ in 0..3 {
        pair.call(peer, Request::new(1, 1, 7, b"hello"));
        answer(&mut pair);
    }
}

#[test]
fn arguments_can_be_encoded_where_the_endpoint_keeps_them() {
    struct Counting(usize);

    impl Encode for Counting {
        fn len(&self) -> usize {
            self.0
        }

        fn encode(&self, out: &mut [u8]) {
            assert_eq!(out.len(), self.0);
            out.iter_mut().enumerate().for_each(|(index, octet)| *octet = index as u8);
        }
    }

    let (mut pair, peer) = Pair::open();
    for len in [0, 1, 3000] {
        let body = Body::Encoded(&Counting(len));
        pair.call(peer, Request { body, ..Request::new(1, 1, 7, &[]) });
        let (_, reply) = answer(&mut pair);
        assert_eq!(reply, (0..len).map(|index| index as u8).collect::<Vec<_>>());
    }
}

#[test]
fn a_handler_that_did_nothing_can_refuse_its_call() {
    let (mut pair, peer) = Pair::open();
    pair.call(peer, Request::new(1, 1, 7, b"gibberish"));
    assert!(pair.run_until(Duration::from_secs(1), |pair| {
        let Some(call) = pair.server.take_call() else { return false };
        pair.server.endpoint.begin(pair.now, call).unwrap();
        let refusal = Answer::Refused(wire::NotExecuted::BadArguments);
        pair.server.endpoint.reply(pair.now, call, refusal, &[], &[]).unwrap();
        true
    }));
    let refused = Outcome::NotExecuted(NotExecuted::Refused(wire::NotExecuted::BadArguments));
    assert!(pair.run_until(Duration::from_secs(1), |pair| pair.client.take_outcome() == Some(refused)));
    // The number is closed like that of any other call.
    pair.call(peer, Request::new(1, 1, 7, b"hello"));
    assert_eq!(answer(&mut pair).1, b"hello");
}

#[test]
fn calls_are_given_up_at_their_deadlines_in_whatever_order_these_come() {
    let (mut pair, peer) = Pair::open();
    let start = pair.now;
    pair.cut();
    let timeouts = [3, 4, 1, 5, 2, 5, 1, 6].map(Duration::from_secs);
    let calls =
        timeouts.map(|timeout| pair.call(peer, Request { timeout: Some(timeout), ..Request::new(1, 1, 7, b"hello") }));
    // One that has its outcome before its time stands in nobody's way.
    pair.client.endpoint.cancel(pair.now, calls[2]).unwrap();
    let mut ended = Vec::new();
    while ended.len() < calls.len() {
        pair.step();
        while let Some(call) =
            pair.client.take(|event| if let Event::CallEnded { call, .. } = event { Some(*call) } else { None })
        {
            ended.push((call, pair.now.saturating_since(start)));
        }
    }
    let mut expected: Vec<_> = calls.into_iter().zip(timeouts).collect();
    expected.remove(2);
    ended.retain(|(call, _)| *call != calls[2]);
    expected.sort_by_key(|(call, at)| (*at, *call));
    ended.sort_by_key(|(call, at)| (*at, *call));
    assert_eq!(ended, expected);
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

#[test]
fn a_burst_of_calls_answered_or_cancelled_at_once_fits_the_rules_of_frames() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, &[])).unwrap();
    answer(&mut pair);
    let count_ended = |pair: &mut Pair| {
        let mut count = 0;
        while pair.client.take(|event| matches!(event, Event::CallEnded { .. }).then_some(())).is_some() {
            count += 1;
        }
        count
    };

    for fate in ["answered", "cancelled"] {
        let calls: Vec<_> =
            (0..400).map(|_| pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, &[])).unwrap()).collect();
        pair.run(Duration::from_millis(15));
        let mut ended = 0;
        if fate == "cancelled" {
            calls.iter().for_each(|call| pair.client.endpoint.cancel(pair.now, *call).unwrap());
        }
        pair.run_until(Duration::from_secs(5), |pair| {
            if fate == "answered" {
                pair.server.echo(pair.now);
            }
            ended += count_ended(pair);
            ended == 400
        });
        assert_eq!(ended, 400, "{fate}");
        pair.run(Duration::from_secs(1));
        pair.server.events.clear();
        assert_eq!(pair.server.endpoint.counters().violations, 0, "{fate}");
        assert_eq!(pair.client.endpoint.counters().violations, 0, "{fate}");
    }
    pair.client.events.clear();
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"on")).unwrap();
    assert_eq!(answer(&mut pair).1, b"on");
}

#[test]
fn streams_run_both_ways_beside_a_call_and_end_after_its_reply() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    let request = Request { streams: Streams::Both, ..Request::new(1, 1, 7, b"go") };
    let call = pair.client.endpoint.call(pair.now, peer, request).unwrap();
    let (up, down) = pair.client.endpoint.call_streams(call).unwrap();
    let (up, down) = (up.unwrap(), down.unwrap());
    let mut buffer = [0; 64];
    assert_eq!(pair.client.endpoint.read(pair.now, down, &mut buffer), Ok(Streamed::Pending));
    assert_eq!(pair.client.endpoint.write(pair.now, up, b"upward"), Ok(6));
    pair.client.endpoint.finish(pair.now, up).unwrap();

    let mut served = None;
    assert!(pair.run_until(Duration::from_secs(5), |pair| {
        served = pair.server.take(|event| if let Event::CallReceived { call } = event { Some(*call) } else { None });
        served.is_some()
    }));
    let served = served.unwrap();
    let incoming = pair.server.endpoint.incoming_call(served).unwrap();
    let (server_up, server_down) = (incoming.upward.unwrap(), incoming.downward.unwrap());
    pair.server.endpoint.begin(pair.now, served).unwrap();
    let mut read = Vec::new();
    assert!(pair.run_until(Duration::from_secs(5), |pair| {
        match pair.server.endpoint.read(pair.now, server_up, &mut buffer).unwrap() {
            Streamed::Octets(len) => read.extend_from_slice(&buffer[..len]),
            Streamed::Pending => {}
            Streamed::End => return true,
        }
        false
    }));
    assert_eq!(read, b"upward");

    pair.server.endpoint.write(pair.now, server_down, b"down").unwrap();
    pair.server.endpoint.reply(pair.now, served, Answer::Ok, b"reply", &[]).unwrap();
    assert_eq!(answer(&mut pair).1, b"reply");
    pair.server.endpoint.write(pair.now, server_down, b"ward").unwrap();
    pair.server.endpoint.finish(pair.now, server_down).unwrap();
    read.clear();
    assert!(pair.run_until(Duration::from_secs(5), |pair| {
        match pair.client.endpoint.read(pair.now, down, &mut buffer).unwrap() {
            Streamed::Octets(len) => read.extend_from_slice(&buffer[..len]),
            Streamed::Pending => {}
            Streamed::End => return true,
        }
        false
    }));
    assert_eq!(read, b"downward");
    // What ended after the last acknowledgement is retired with the next.
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"next")).unwrap();
    answer(&mut pair);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.client.endpoint.usage().exchanges, 0);
    assert_eq!(pair.server.endpoint.usage().exchanges, 0);
}

#[test]
fn a_call_with_streams_has_its_timeout_from_the_last_progress_of_any_of_them() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    let timeout = Duration::from_secs(30);
    let request = Request { streams: Streams::Upward, timeout: Some(timeout), ..Request::new(1, 1, 7, b"go") };
    let call = pair.client.endpoint.call(pair.now, peer, request).unwrap();
    let up = pair.client.endpoint.call_streams(call).unwrap().0.unwrap();
    let ended = |pair: &mut Pair| {
        pair.client.take(|event| if let Event::CallEnded { outcome, .. } = event { Some(*outcome) } else { None })
    };
    let mut progress_at = pair.now;
    for _ in 0..5 {
        progress_at = pair.now;
        assert_eq!(pair.client.endpoint.write(pair.now, up, b"on"), Ok(2));
        pair.run(Duration::from_secs(12));
        assert_eq!(ended(&mut pair), None);
    }
    let mut outcome = None;
    assert!(pair.run_until(Duration::from_secs(60), |pair| {
        outcome = ended(pair);
        outcome.is_some()
    }));
    assert_eq!(outcome, Some(Outcome::Unknown(Unknown::Deadline)));
    // From the acknowledgement: a round trip after the octets were written, and what it was delayed.
    let waited = pair.now.saturating_since(progress_at);
    assert!(waited > timeout && waited < timeout + Duration::from_millis(100), "{waited:?}");
}

#[test]
fn a_callee_too_counts_the_timeout_from_the_last_progress_of_a_stream() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    let timeout = Duration::from_secs(30);
    let request = Request { streams: Streams::Both, timeout: Some(timeout), ..Request::new(1, 1, 7, b"go") };
    let call = pair.call(peer, request);
    let up = pair.client.endpoint.call_streams(call).unwrap().0.unwrap();
    let (mut served, mut begun) = (None, None);
    for round in 0..10 {
        // Octets that arrive, and an acknowledgement of those that were sent.
        if let Some(down) = begun {
            assert_eq!(pair.server.endpoint.write(pair.now, down, b"on"), Ok(2));
        } else {
            assert_eq!(pair.client.endpoint.write(pair.now, up, b"on"), Ok(2));
        }
        let progress_at = pair.now;
        pair.run(Duration::from_secs(12));
        served = served.or_else(|| pair.server.take_call());
        let incoming = pair.server.endpoint.incoming_call(served.unwrap()).unwrap();
        let waits = incoming.deadline.unwrap().saturating_since(progress_at);
        assert!(waits.abs_diff(timeout) < Duration::from_millis(200), "{waits:?} in round {round}");
        if round == 4 {
            begun = incoming.downward;
            pair.server.endpoint.begin(pair.now, served.unwrap()).unwrap();
        }
    }
}

#[test]
fn a_server_keeps_nothing_for_a_client_that_has_its_reply_and_calls_no_more() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    for _ in 0..3 {
        pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"hello")).unwrap();
        answer(&mut pair);
        pair.run(Duration::from_secs(1));
        let usage = pair.server.endpoint.usage();
        assert_eq!((usage.exchanges, usage.outgoing, usage.incoming), (0, 0, 0));
    }
}

#[test]
fn a_server_is_drained_when_its_last_answer_has_arrived_and_tells_all_that_it_closes() {
    let mut pair = Pair::new();
    let peer = pair.dial();
    let call = pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"last")).unwrap();
    let mut served = None;
    assert!(pair.run_until(Duration::from_secs(5), |pair| {
        served = pair.server.take(|event| if let Event::CallReceived { call } = event { Some(*call) } else { None });
        served.is_some()
    }));
    pair.server.endpoint.drain(pair.now);
    assert!(!pair.server.endpoint.is_drained(), "it waits to begin");
    pair.server.endpoint.begin(pair.now, served.unwrap()).unwrap();
    pair.run(Duration::from_millis(100));
    assert!(!pair.server.endpoint.is_drained(), "it runs");
    pair.server.endpoint.reply(pair.now, served.unwrap(), Answer::Ok, &[], &[]).unwrap();
    assert!(!pair.server.endpoint.is_drained(), "nobody has the reply");
    assert!(pair.run_until(Duration::from_secs(5), |pair| pair.server.endpoint.is_drained()));
    assert!(
        pair.client.events.iter().any(|event| matches!(event, Event::CallEnded { call: ended, .. } if *ended == call))
    );

    pair.server.endpoint.close_all(pair.now, 7);
    assert!(pair.run_until(Duration::from_millis(50), |pair| pair.client.events.contains(&Event::Closed { peer })));
}
