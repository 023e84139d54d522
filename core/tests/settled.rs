//! What is given up on one side or both: the two agree on what it charged, and what comes after it goes on.
#![cfg(feature = "alloc")]
#![expect(clippy::wildcard_enum_match_arm, reason = "each test looks at some of the events")]

#[path = "support/forger.rs"]
mod forger;
#[path = "support/pair.rs"]
mod pair;

use core::time::Duration;

use forger::{FORGER, Forger};
use pair::{Fate, Pair};
use posthaste_core::endpoint::{Answer, Delivery, Event, Rejected, Request, Streamed, Streams};
use posthaste_core::wire::{Data, Extent, Flow, Form, Frame, Parameters, Retired, Seq};
use posthaste_core::{Config, Endpoint, Instant, Outcome, PeerId, Storage, StreamId};

const SECOND: Duration = Duration::from_secs(1);

/// All of a stream was on its way when its writer heard that its reader gives it up: no RESET tells what it charged.
#[test]
fn the_credit_of_a_stream_that_its_reader_gave_up_comes_back() {
    let mut now = Instant::from_nanos(1_000_000_000);
    let mut victim = Endpoint::new_insecure(small(), Storage::owned(&small()), [3; 32], now).unwrap();
    let parameters = Parameters { credit: 1 << 20, stream_window: 1 << 20, ..Parameters::default() };
    let mut forger = Forger::open(&mut victim, now, FORGER, &parameters);
    let (mut charged, mut granted) = (0, small().credit);
    for round in 0..20 {
        now = now.saturating_add(SECOND);
        let piece = |form| {
            let flow = Flow::Message { seq: Seq(round) };
            [Frame::Data(Data { flow, form, extent: Extent::Counted, data: &[7; 5000] })]
        };
        forger.say(&mut victim, now, &piece(Form::Stream { offset: 0 })).unwrap();
        while let Some(event) = victim.poll_event() {
            if let Event::StreamReceived { stream, .. } = event {
                victim.abandon(now, stream).unwrap();
            }
        }
        forger.say(&mut victim, now, &piece(Form::Last { offset: 5000 })).unwrap();
        charged += 10_000;
        let retired = forger.datagram_with(|writer| {
            Retired::write(Seq(round + 1), [], writer).unwrap();
        });
        forger.deliver(&mut victim, now, retired).unwrap();
        for datagram in forger.drain(&mut victim, now) {
            let Some((_, frames)) = forger.read(&datagram) else { continue };
            for frame in frames {
                if let Frame::Credit { limit } = frame.unwrap() {
                    granted = limit;
                }
            }
        }
        forger.acknowledge(&mut victim, now).unwrap();
    }
    assert!(granted > charged + small().message_len_max as u64, "{granted} of {charged}");
    assert_eq!((victim.usage().incoming, victim.usage().exchanges), (0, 0));
}

#[test]
fn a_channel_goes_on_after_a_stream_that_its_reader_gave_up() {
    let (mut pair, peer) = open(small());
    let delivery = Delivery::Ordered { channel: 1 };
    write_stream(&mut pair, peer, delivery, 8000);
    pair.run(SECOND);
    let stream = arrived_stream(&mut pair).expect("the stream has begun");
    pair.server.endpoint.abandon(pair.now, stream).unwrap();
    pair.run(SECOND);
    pair.send(peer, delivery, b"next");
    pair.run(SECOND);
    assert!(pair.server.heard(|event| matches!(event, Event::MessageReceived { .. })));
}

/// The CANCEL arrives and the REQUEST does not.
#[test]
fn the_credit_of_a_call_that_was_cancelled_before_it_arrived_comes_back() {
    let (mut pair, peer) = open(small());
    for _ in 0..8 {
        pair.cut();
        let call = pair.call(peer, Request::new(1, 1, 7, &[7; 20_000]));
        pair.flush();
        pair.client.endpoint.cancel(pair.now, call).unwrap();
        pair.fate = Box::new(|flying| if flying.octets.len() > 1000 { Fate::Lose } else { Fate::Arrive });
        pair.run(SECOND);
        pair.mend();
        pair.run(SECOND);
    }
    let last = pair.call(peer, Request::new(1, 1, 7, &[7; 30_000]));
    let is_answered = pair.run_until(5 * SECOND, |pair| {
        pair.server.echo(pair.now);
        let end = |event: &Event| matches!(event, Event::CallEnded { call, outcome: Outcome::Ok(_) } if *call == last);
        pair.client.events.iter().any(end)
    });
    assert!(is_answered);
}

/// A stream in one datagram is over for its sender when that is acknowledged.
#[test]
fn a_stream_that_there_is_no_room_for_is_not_acknowledged() {
    let mut config = small();
    config.stream_count_max = 0;
    let (mut pair, peer) = open(config);
    let stream = write_stream(&mut pair, peer, Delivery::Reliable, 100);
    pair.client.endpoint.finish(pair.now, stream).unwrap();
    pair.run(SECOND);
    assert!(pair.client.heard(|event| matches!(event, Event::MessageFailed { .. })));
    assert!(!pair.client.heard(|event| matches!(event, Event::MessageAcknowledged { .. })));
}

/// Its missing octets come after its receiver has given it up, and before its sender hears of that.
#[test]
fn a_message_that_was_given_up_for_its_slowness_is_not_acknowledged() {
    let now = Instant::from_nanos(1_000_000_000);
    let mut victim = Endpoint::new_insecure(small(), Storage::owned(&small()), [3; 32], now).unwrap();
    let mut forger = Forger::open(&mut victim, now, FORGER, &Parameters::default());
    let piece = |offset| {
        let form = Form::Fragment { offset, total: 2000 };
        let flow = Flow::Message { seq: Seq(0) };
        [Frame::Data(Data { flow, form, extent: Extent::Counted, data: &[7; 1000] })]
    };
    assert_eq!(forger.say(&mut victim, now, &piece(1000)), Ok(()));
    let later = now.saturating_add(small().progress_timeout);
    victim.handle_timeout(later);
    assert_eq!(forger.say(&mut victim, later, &piece(0)), Err(Rejected::NoRoom));
}

#[test]
fn a_call_is_executed_though_the_stream_beside_it_was_given_up_before_it_was_sent() {
    let (mut pair, peer) = open(small());
    for is_sent in [false, true] {
        let mut request = Request::new(1, 1, 7, b"wanted");
        request.streams = Streams::Downward;
        let call = pair.call(peer, request);
        if is_sent {
            // What gives the stream up overtakes the request.
            pair.cut();
            pair.flush();
            pair.mend();
        }
        let (_, downward) = pair.client.endpoint.call_streams(call).unwrap();
        pair.client.endpoint.abandon(pair.now, downward.unwrap()).unwrap();
        assert_eq!(pair::answer(&mut pair).0, call);
        pair.run(SECOND);
        assert_eq!(pair.client.endpoint.usage().exchanges, 0, "sent: {is_sent}");
    }
}

/// The peer's window has no room for its number yet.
#[test]
fn a_message_on_a_channel_that_was_never_sent_is_given_up_when_its_number_is_due() {
    let (mut pair, peer) = open(small());
    pair.cut();
    let delivery = Delivery::Ordered { channel: 1 };
    let sends: Vec<_> = (0..40).map(|_| pair.send(peer, delivery, b"in order")).collect();
    pair.flush();
    pair.client.endpoint.cancel_send(pair.now, sends[38]).unwrap();
    pair.flush();
    pair.mend();
    let mut count = 0;
    pair.run_until(20 * SECOND, |pair| {
        count += pair.server.release_messages(pair.now);
        false
    });
    assert_eq!((count, pair.server.endpoint.counters().violations), (39, 0));
}

/// In the session before, the client had granted more than a session begins with.
#[test]
fn a_session_that_is_not_resumed_begins_with_the_credit_of_a_beginning() {
    let (mut pair, peer) = open(small());
    for _ in 0..8 {
        pair.call(peer, Request::new(1, 1, 7, &[7; 30_000]));
        pair::answer(&mut pair);
    }
    pair.restart_server();
    pair.server.events.clear();
    pair.client.endpoint.handle_address_change(pair.now);
    pair.run(SECOND);
    for _ in 0..3 {
        pair.call(peer, Request::new(1, 1, 7, b"long reply"));
    }
    // The replies are longer, in all, than what the client has memory for.
    let mut calls = Vec::new();
    pair.run_until(SECOND, |pair| {
        calls.extend(pair.server.take_call());
        calls.len() == 3
    });
    for call in calls {
        pair.server.endpoint.begin(pair.now, call).unwrap();
        pair.server.endpoint.reply(pair.now, call, Answer::Ok, &[7; 30_000], &[]).unwrap();
    }
    let mut count = 0;
    pair.run_until(5 * SECOND, |pair| {
        while let Some(reply) = pair.client.take(|event| match event {
            Event::CallEnded { outcome: Outcome::Ok(reply), .. } => Some(*reply),
            _ => None,
        }) {
            count += 1;
            if count == 3 {
                pair.client.endpoint.release(pair.now, reply).unwrap();
            }
        }
        count == 3
    });
    assert_eq!(pair.client.endpoint.counters().violations, 0);
}

/// One peer waits for the memory that the stream of another one takes.
#[test]
fn memory_that_a_stream_gives_back_is_granted_to_whoever_waits_for_it() {
    let mut config = small();
    config.message_len_max = 4096;
    config.credit = 8192;
    config.payload_memory = 160 * 1024;
    config.stream_window = 128 * 1024;
    let (mut pair, peer) = open(config);
    let parameters = Parameters { credit: 1 << 20, ..Parameters::default() };
    let mut forger = Forger::open(&mut pair.server.endpoint, pair.now, FORGER, &parameters);
    let last = Form::Last { offset: 0 };
    let data = Data { flow: Flow::Message { seq: Seq(0) }, form: last, extent: Extent::Counted, data: &[7] };
    forger.say(&mut pair.server.endpoint, pair.now, &[Frame::Data(data)]).unwrap();
    for len in [4000, 1000, 4000] {
        pair.send(peer, Delivery::Reliable, &[7; 4000][..len]);
    }
    pair.run(SECOND);
    let arrived = |event: &Event| match event {
        Event::MessageReceived { message, .. } => Some(*message),
        _ => None,
    };
    for message in [pair.server.take(arrived).unwrap(), pair.server.take(arrived).unwrap()] {
        if pair.server.endpoint.payload(message).unwrap().len() == 1000 {
            pair.server.endpoint.release(pair.now, message).unwrap();
        }
    }
    pair.run(SECOND);
    assert_eq!(pair.server.take(arrived), None, "the last one waits for credit");
    let stream = arrived_stream(&mut pair).expect("the stream has begun");
    assert_eq!(pair.server.endpoint.read(pair.now, stream, &mut [0]), Ok(Streamed::End));
    pair.run(SECOND);
    assert!(pair.server.take(arrived).is_some());
}

#[test]
fn a_peer_that_there_is_no_room_for_is_asked_to_come_back_later() {
    let mut config = small();
    config.payload_memory = 160 * 1024;
    let now = Instant::from_nanos(1_000_000_000);
    let mut victim = Endpoint::new_insecure(config.clone(), Storage::owned(&config), [3; 32], now).unwrap();
    let mut forger = Forger::open(&mut victim, now, FORGER, &Parameters::default());
    let mut results = Vec::new();
    for seq in 0..3 {
        let flow = Flow::Message { seq: Seq(seq) };
        let data = Data { flow, form: Form::Entire, extent: Extent::Counted, data: &[7; 20_000] };
        results.push(forger.say(&mut victim, now, &[Frame::Data(data)]));
    }
    assert_eq!((results[0], results[2]), (Ok(()), Err(Rejected::NoRoom)));
    let datagrams = forger.drain(&mut victim, now);
    let frames = || datagrams.iter().filter_map(|datagram| forger.read(datagram)).flat_map(|(_, frames)| frames);
    assert_eq!(frames().filter(|frame| matches!(frame, Ok(Frame::Busy { after_millis: 100 }))).count(), 1);
}

/// The rest of what has its room may always come behind something that has none.
#[test]
fn the_rest_of_a_message_is_taken_though_it_stands_behind_what_found_no_room() {
    let mut config = small();
    config.payload_memory = 160 * 1024;
    let now = Instant::from_nanos(1_000_000_000);
    let mut victim = Endpoint::new_insecure(config.clone(), Storage::owned(&config), [3; 32], now).unwrap();
    let mut forger = Forger::open(&mut victim, now, FORGER, &Parameters::default());
    let octets = [7; 20_000];
    let data = |seq, form, data| {
        Frame::Data(Data { flow: Flow::Message { seq: Seq(seq) }, form, extent: Extent::Counted, data })
    };
    let half = |offset| data(0, Form::Fragment { offset, total: 20_000 }, &octets[..10_000]);
    forger.say(&mut victim, now, &[half(0)]).unwrap();
    let _ = forger.say(&mut victim, now, &[data(1, Form::Entire, &octets)]);
    let result = forger.say(&mut victim, now, &[data(2, Form::Entire, &octets), half(10_000)]);
    assert_eq!(result, Err(Rejected::NoRoom));
    let arrived = core::iter::from_fn(|| victim.poll_event()).filter_map(|event| match event {
        Event::MessageReceived { message, .. } => Some(message),
        _ => None,
    });
    let last = arrived.last().expect("it has arrived");
    assert_eq!(victim.payload(last).map(<[u8]>::len), Ok(20_000));
    assert_eq!(victim.usage().incoming, 2);
}

/// Whoever waits does so for as long as it was asked to, and not for more than half of that again.
#[test]
fn nothing_is_begun_while_the_peer_is_busy() {
    let mut now = Instant::from_nanos(1_000_000_000);
    let mut victim = Endpoint::new_insecure(small(), Storage::owned(&small()), [3; 32], now).unwrap();
    let mut forger = Forger::open(&mut victim, now, FORGER, &Parameters::default());
    let peer = core::iter::from_fn(|| victim.poll_event()).find_map(|event| match event {
        Event::Connected { peer } => Some(peer),
        _ => None,
    });
    forger.say(&mut victim, now, &[Frame::Busy { after_millis: 1000 }]).unwrap();
    victim.call(now, peer.unwrap(), Request::new(1, 1, 7, b"later")).unwrap();
    let mut waited = Duration::ZERO;
    let calls = |datagrams: &[Vec<u8>], forger: &Forger| {
        let frames = |datagram: &Vec<u8>| {
            forger.read(datagram).is_some_and(|(_, mut frames)| {
                frames.any(|frame| matches!(frame, Ok(Frame::Data(Data { flow: Flow::Request { .. }, .. }))))
            })
        };
        datagrams.iter().any(frames)
    };
    loop {
        let datagrams = forger.drain(&mut victim, now);
        if calls(&datagrams, &forger) {
            break;
        }
        let next = victim.poll_timeout().expect("it comes back");
        waited += next.saturating_since(now);
        now = next;
        victim.handle_timeout(now);
    }
    assert!((SECOND..=SECOND * 3 / 2).contains(&waited), "{waited:?}");
}

/// Two credits of the longest message, and little else.
fn small() -> Config {
    let mut config = Config::internet();
    config.message_len_max = 32 * 1024;
    config.credit = 64 * 1024;
    config.stream_window = 16 * 1024;
    config.exchange_window = 16;
    config
}

fn open(server: Config) -> (Pair, PeerId) {
    let (mut pair, peer) = Pair::open_with(small(), server);
    pair.run(SECOND);
    pair.client.events.clear();
    (pair, peer)
}

fn write_stream(pair: &mut Pair, peer: PeerId, delivery: Delivery, len: usize) -> StreamId {
    let (_, stream) = pair.client.endpoint.open_stream(pair.now, peer, delivery, 1).unwrap();
    assert_eq!(pair.client.endpoint.write(pair.now, stream, &vec![7; len]), Ok(len));
    stream
}

/// Takes the next stream that has arrived at the server, of which a first octet is read.
fn arrived_stream(pair: &mut Pair) -> Option<StreamId> {
    let stream = pair.server.take_stream()?;
    assert_eq!(pair.server.endpoint.read(pair.now, stream, &mut [0]), Ok(Streamed::Octets(1)));
    Some(stream)
}
