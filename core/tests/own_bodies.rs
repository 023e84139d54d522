//! Long messages that arrive in memory of their own, and are taken without a copy.
#![cfg(feature = "bytes")]

#[path = "support/forger.rs"]
mod forger;
#[path = "support/pair.rs"]
mod pair;

use core::time::Duration;

use bytes::Bytes;
use forger::{FORGER, Forger};
use pair::{Fate, Pair};
use posthaste_core::endpoint::{Answer, Body, Delivery, Event, Message, Rejected, Request};
use posthaste_core::random::Random;
use posthaste_core::wire::{
    Data, Description, Extent, Flow, Form, Frame, Metadata, MetadataWriter, Opening, Options, Parameters, Procedure,
    Role, Semantics, Seq, metadata,
};
use posthaste_core::{Config, Endpoint, IncomingCallId, Instant, MessageId, Outcome, Storage};
use posthaste_heap::{self as heap, Allocated};

const START: Instant = Instant::from_nanos(1_000_000_000);
const LEN: usize = 300_000;
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_long_message_is_allocated_once_and_taken_where_it_has_arrived() {
    let (mut victim, mut forger) = open(Config::internet());
    for seq in 0..4 {
        let octets = pattern(seq, LEN);
        let allocated = arrive(&mut victim, &mut forger, Flow::Message { seq: Seq(seq) }, &octets, 0..LEN);
        assert_eq!((allocated.count, allocated.octets), (1, LEN));

        let message = take_message(&mut victim).unwrap();
        let place = victim.payload(message).unwrap().as_ptr();
        let (taken, allocated) = heap::watch(|| victim.take_payload(START, message).unwrap());
        assert_eq!((taken.as_ptr(), allocated.count), (place, 0));
        assert_eq!(taken.clone().as_ptr(), place);
        assert_eq!(taken, octets);
        assert!(victim.payload(message).is_err());
        assert!(victim.take_payload(START, message).is_err());
    }
}

#[test]
fn a_message_in_one_datagram_is_taken_where_it_has_arrived() {
    let (mut victim, mut forger) = open(Config::internet());
    for flow in [Flow::Message { seq: Seq(0) }, Flow::Unreliable] {
        let octets = pattern(5, 60_000);
        let datagram = forger.datagram(&[data(flow, Form::Entire, &octets)]);
        let (result, allocated) = heap::watch(|| forger.deliver(&mut victim, START, datagram));
        assert_eq!((result, allocated.count, allocated.octets), (Ok(()), 1, 60_000));
        let message = take_message(&mut victim).unwrap();
        let place = victim.payload(message).unwrap().as_ptr();
        let taken = victim.take_payload(START, message).unwrap();
        assert_eq!((taken.as_ptr(), taken), (place, Bytes::from(octets)));
    }
}

#[test]
fn a_short_message_is_copied_when_it_is_taken_and_not_before() {
    let mut config = Config::internet();
    config.own_body_len_min = LEN + 1;
    for (config, len) in [(Config::internet(), 16_383), (config, LEN)] {
        let (mut victim, mut forger) = open(config);
        let octets = pattern(1, len);
        let allocated = arrive(&mut victim, &mut forger, Flow::Message { seq: Seq(0) }, &octets, 0..len);
        assert_eq!(allocated.count, 0);
        let message = take_message(&mut victim).unwrap();
        let (taken, allocated) = heap::watch(|| victim.take_payload(START, message).unwrap());
        assert_eq!((allocated.count, allocated.octets), (1, len));
        assert_eq!(taken, octets);
    }
}

/// The beginning is copied once more, so that nobody allocates by a number that a peer wrote.
#[test]
fn nothing_is_allocated_before_a_sixteenth_has_come() {
    let (mut victim, mut forger) = open(Config::internet());
    let octets = pattern(1, LEN);
    let flow = Flow::Message { seq: Seq(0) };
    let sixteenth = LEN / 16;
    // The end, too, says nothing about the rest.
    assert_eq!(arrive(&mut victim, &mut forger, flow, &octets, LEN - 1000..LEN).count, 0);
    assert_eq!(arrive(&mut victim, &mut forger, flow, &octets, 0..sixteenth - 1).count, 0);
    assert_eq!(arrive(&mut victim, &mut forger, flow, &octets, sixteenth - 1..sixteenth).octets, LEN);
    assert_eq!(arrive(&mut victim, &mut forger, flow, &octets, sixteenth..LEN - 1000).count, 0);
    let message = take_message(&mut victim).unwrap();
    assert_eq!(victim.take_payload(START, message).unwrap(), octets);
}

#[test]
fn pieces_in_any_order_are_the_message_or_contradict_it() {
    let mut random = Random::new([9; 32]);
    let mut config = Config::bare();
    (config.message_len_max, config.credit, config.payload_memory) = (65_536, 65_536, 1 << 19);
    config.hole_count_max = 64;
    for seq in 0..100 {
        let (mut victim, mut forger) = open(config.clone());
        let len = 16_384 + random.below(40_000) as usize;
        let octets = pattern(seq, len);
        let flow = Flow::Message { seq: Seq(0) };
        let message = loop {
            // The first octets come as often as others.
            let end = 1 + random.below(len as u64 + 9000) as usize;
            let (start, end) = (end.saturating_sub(1 + random.below(9000) as usize), end.min(len));
            if start >= end {
                continue;
            }
            arrive(&mut victim, &mut forger, flow, &octets, start..end);
            if let Some(message) = take_message(&mut victim) {
                break message;
            }
        };
        // What has come is still compared.
        let false_octets = pattern(seq + 1, len);
        let datagram = forger.datagram(&[piece(flow, &false_octets, 5..900)]);
        assert_eq!(victim.payload(message).unwrap(), octets);
        assert!(matches!(forger.deliver(&mut victim, START, datagram), Err(Rejected::Violation(_))), "{seq}");
    }
}

#[test]
fn arguments_are_taken_once_and_their_credit_and_memory_come_back_before_the_answer() {
    let (mut victim, mut forger) = open(Config::internet());
    let before = victim.usage().payload_octets;
    let mut items = [0; 16];
    let mut writer = MetadataWriter::new(&mut items);
    writer.put_varint(metadata::key::DEADLINE, 1 << 40).unwrap();
    let metadata = writer.finish();
    let octets = pattern(3, 1 << 20);
    // More than the credit, one after the other, and none of them is answered.
    let mut granted = 0;
    let calls: Vec<IncomingCallId> = (0..8)
        .map(|seq| {
            arrive(&mut victim, &mut forger, request(seq, metadata), &octets, 0..octets.len());
            let call = take_call(&mut victim).unwrap();
            assert!(victim.usage().payload_octets - before > 1 << 20);
            victim.begin(START, call).unwrap();
            let place = victim.incoming_call(call).unwrap().arguments.as_ptr();
            let taken = victim.take_arguments(START, call).unwrap();
            assert_eq!((taken.as_ptr(), &taken[..]), (place, &octets[..]));
            granted = granted.max(newest_grant(&mut victim, &mut forger));
            call
        })
        .collect();
    assert!(victim.usage().payload_octets - before < 1000);
    for call in calls {
        let known = victim.incoming_call(call).unwrap();
        assert_eq!((known.arguments, known.metadata), (&[][..], metadata.as_octets()));
        assert!(victim.take_arguments(START, call).unwrap().is_empty());
        victim.reply(START, call, Answer::Ok, b"done", &[]).unwrap();
        assert!(victim.take_arguments(START, call).is_err());
        granted = granted.max(newest_grant(&mut victim, &mut forger));
    }
    assert_eq!(victim.counters().violations, 0);
    // What came is granted again, and once.
    let charged = 8 << 20;
    let credit = victim.config().credit;
    assert!((charged + credit / 2..=charged + credit).contains(&granted), "{granted}");
}

#[test]
fn what_was_not_taken_counts_and_what_was_taken_does_not() {
    let (mut victim, mut forger) = open(Config::internet());
    let before = victim.usage().payload_octets;
    let octets = pattern(3, 1 << 20);
    let mut taken = Vec::new();
    // Many times what the credit and the memory for payloads hold.
    for seq in 0..100 {
        arrive(&mut victim, &mut forger, Flow::Message { seq: Seq(seq) }, &octets, 0..octets.len());
        assert_eq!(victim.usage().payload_octets - before, 1 << 20);
        let message = take_message(&mut victim).unwrap();
        taken.push(victim.take_payload(START, message).unwrap());
        assert_eq!(victim.usage().payload_octets, before);
        forger.drain(&mut victim, START);
    }
    drop(victim);
    assert!(taken.iter().all(|taken| *taken == octets));
}

#[test]
fn whatever_becomes_of_a_message_its_memory_comes_back() {
    let ends: [fn(&mut Endpoint<'_>, &mut Forger); 4] = [
        |victim, forger| {
            let reset = Frame::Reset { role: Role::Message, seq: Seq(0), reason: 0, charge: LEN as u64, place: None };
            forger.say(victim, START, &[reset]).unwrap();
        },
        // It stalls.
        |victim, _| wait(victim, Duration::from_secs(11)),
        |victim, _| victim.close_all(START, 7),
        // The peer is gone.
        |victim, _| wait(victim, Duration::from_secs(1300)),
    ];
    for (index, end) in ends.into_iter().enumerate() {
        let (mut victim, mut forger) = open(Config::internet());
        let octets = pattern(3, LEN);
        let came = arrive(&mut victim, &mut forger, Flow::Message { seq: Seq(0) }, &octets, 0..LEN / 2);
        assert_eq!(came.octets, LEN);
        let ((), went) = heap::watch(|| end(&mut victim, &mut forger));
        assert!(went.freed >= LEN, "{index}: {went:?}");
        assert!(victim.usage().payload_octets < 1000);
    }
}

#[test]
fn a_reply_that_is_taken_after_its_session_was_lost_is_whole() {
    let (mut pair, peer) = Pair::open();
    let octets = pattern(4, LEN);
    pair.call(peer, Request::new(1, 1, 7, &octets));
    pair.run_until(SECOND, |pair| {
        pair.server.echo(pair.now);
        pair.client.heard(|event| matches!(event, Event::CallEnded { .. }))
    });
    let Some(Outcome::Ok(reply)) = pair.client.take_outcome() else { panic!("it was answered") };
    pair.cut();
    pair.client.endpoint.close_all(pair.now, 7);
    pair.run(Duration::from_secs(60));
    let place = pair.client.endpoint.payload(reply).unwrap().as_ptr();
    let taken = pair.client.endpoint.take_payload(pair.now, reply).unwrap();
    assert_eq!((taken.as_ptr(), taken), (place, Bytes::from(octets)));
    assert_eq!(pair.client.endpoint.usage().incoming, 0);
}

#[test]
fn messages_calls_and_replies_of_any_length_cross_a_lossy_network_and_are_taken_whole() {
    let (mut pair, peer) = Pair::open();
    let mut random = Random::new([4; 32]);
    pair.fate = Box::new(move |_| match random.below(40) {
        0 => Fate::Lose,
        1 => Fate::Twice,
        _ => Fate::Arrive,
    });
    let mut random = Random::new([5; 32]);
    for round in 0..60 {
        let octets = Bytes::from(pattern(round, random.below(200_000) as usize));
        let body = || Body::Shared(octets.clone());
        let message = Message { delivery: Delivery::Ordered { channel: 1 }, priority: 1, body: body() };
        pair.client.endpoint.send(pair.now, peer, message).unwrap();
        pair.call(peer, Request { body: body(), ..Request::new(1, 1, 7, &[]) });
        let (mut message, mut reply) = (None, None);
        let is_done = pair.run_until(Duration::from_secs(60), |pair| {
            let now = pair.now;
            if let Some(arrived) = pair.server.take_message() {
                message = Some(pair.server.endpoint.take_payload(now, arrived).unwrap());
            }
            if let Some(call) = pair.server.take_call() {
                pair.server.endpoint.begin(now, call).unwrap();
                let arguments = pair.server.endpoint.take_arguments(now, call).unwrap();
                pair.server.endpoint.reply(now, call, Answer::Ok, &arguments, &[]).unwrap();
            }
            if let Some(outcome) = pair.client.take_outcome() {
                let Outcome::Ok(arrived) = outcome else { panic!("{outcome:?}") };
                reply = Some(pair.client.endpoint.take_payload(now, arrived).unwrap());
            }
            message.is_some() && reply.is_some()
        });
        assert!(is_done, "{round}");
        assert_eq!((message.as_ref(), reply.as_ref()), (Some(&octets), Some(&octets)), "{round}");
    }
    for host in [&pair.client, &pair.server] {
        assert_eq!((host.endpoint.usage().incoming, host.endpoint.counters().violations), (0, 0));
    }
}

/// Makes a server, and a forger with a conversation there.
fn open(config: Config) -> (Endpoint<'static>, Forger) {
    let storage = Storage::owned(&config);
    let mut victim = Endpoint::new_insecure(config, storage, [3; 32], START).unwrap();
    let parameters = Parameters { credit: 1 << 40, exchange_window: 1024, ..Parameters::default() };
    let forger = Forger::open(&mut victim, START, FORGER, &parameters);
    while victim.poll_event().is_some() {}
    (victim, forger)
}

/// Lets a part of a flow arrive, in order, and returns what the endpoint allocated for it.
fn arrive(
    victim: &mut Endpoint<'_>,
    forger: &mut Forger,
    flow: Flow<'_>,
    octets: &[u8],
    range: core::ops::Range<usize>,
) -> Allocated {
    let mut sum = Allocated::default();
    for start in range.clone().step_by(1100) {
        let datagram = forger.datagram(&[piece(flow, octets, start..range.end.min(start + 1100))]);
        let (result, allocated) = heap::watch(|| forger.deliver(victim, START, datagram));
        assert_eq!(result, Ok(()));
        sum.count += allocated.count;
        sum.octets += allocated.octets;
    }
    forger.drain(victim, START);
    sum
}

/// Takes what the victim says, and returns the credit that it grants.
fn newest_grant(victim: &mut Endpoint<'_>, forger: &mut Forger) -> u64 {
    let datagrams = forger.drain(victim, START);
    let frames = datagrams.iter().filter_map(|datagram| forger.read(datagram)).flat_map(|(_, frames)| frames);
    frames
        .filter_map(|frame| if let Ok(Frame::Credit { limit }) = frame { Some(limit) } else { None })
        .max()
        .unwrap_or(0)
}

fn piece<'a>(flow: Flow<'a>, octets: &'a [u8], range: core::ops::Range<usize>) -> Frame<'a> {
    let form = Form::Fragment { offset: range.start as u64, total: octets.len() as u64 };
    if let (Flow::Request { seq, .. }, 1..) = (flow, range.start) {
        // Only its first octets say what it asks for.
        return data(Flow::Request { seq, opening: None }, form, &octets[range]);
    }
    data(flow, form, &octets[range])
}

fn data<'a>(flow: Flow<'a>, form: Form, data: &'a [u8]) -> Frame<'a> {
    Frame::Data(Data { flow, form, extent: Extent::Counted, data })
}

fn request<'a>(seq: u64, metadata: Metadata<'a>) -> Flow<'a> {
    let options = Options::new(Semantics::AtMostOnce);
    let description = Description { program: 1, version: 1, procedure: 1, timeout_millis: 0, options };
    let opening = Opening { procedure: Procedure::Full { description, alias: None }, metadata: Some(metadata) };
    Flow::Request { seq: Seq(seq), opening: Some(opening) }
}

fn take_message(victim: &mut Endpoint<'_>) -> Option<MessageId> {
    core::iter::from_fn(|| victim.poll_event())
        .find_map(|event| if let Event::MessageReceived { message, .. } = event { Some(message) } else { None })
}

fn take_call(victim: &mut Endpoint<'_>) -> Option<IncomingCallId> {
    core::iter::from_fn(|| victim.poll_event())
        .find_map(|event| if let Event::CallReceived { call } = event { Some(call) } else { None })
}

fn wait(victim: &mut Endpoint<'_>, time: Duration) {
    let end = START.saturating_add(time);
    while let Some(next) = victim.poll_timeout().filter(|next| *next <= end) {
        victim.handle_timeout(next);
        while victim.poll_event().is_some() {}
        while victim.poll_transmit(next, &mut [0; 65_507]).is_some() {}
    }
    victim.handle_timeout(end);
}

/// Returns octets that differ from those of another number almost everywhere.
fn pattern(number: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| ((at + number) % 251) as u8).collect()
}
