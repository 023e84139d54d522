//! What strangers and liars send, and what comes of it: one test for each kind of harm.
#![cfg(feature = "alloc")]

#[path = "support/forger.rs"]
mod forger;
#[path = "support/heap.rs"]
mod heap;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use forger::{FORGER, Forger, build, items_of, repair};
use posthaste_core::endpoint::{Answer, Body, Delivery, Event, Message, Rejected, Remote, SendError};
use posthaste_core::random::Random;
use posthaste_core::wire::{
    Ack, Alias, CloseCode, Data, Description, Extent, Flow, Form, Frame, Opening, Options, Parameters, Phase,
    Procedure, Retired, Role, Semantics, Seq, ShortHeader, Stateless, TruncatedNumber,
};
use posthaste_core::{Config, Endpoint, Instant, Storage};

const START: Instant = Instant::from_nanos(1_000_000_000);

/// What a datagram comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    /// It is counted and has no effect.
    Dropped,
    /// As `Dropped`, and answered with something shorter, without state.
    Answered,
    /// It is taken.
    Taken,
    /// The conversation is closed.
    Closed(CloseCode),
}

/// A name, what is sent (the last datagram is the one in question), and what comes of it.
type Case = (&'static str, fn(&mut Forger) -> Vec<Vec<u8>>, Reaction);

#[test]
fn every_bad_datagram_has_the_reaction_that_is_written_down_for_it() {
    use Reaction::{Answered, Closed, Dropped, Taken};
    let cases: &[Case] = &[
        ("no octets", |_| vec![vec![]], Dropped),
        ("one octet", |_| vec![vec![0x40]], Dropped),
        ("one octet less than a header", |forger| vec![forger.datagram(&[Frame::Ping])[..13].to_vec()], Dropped),
        ("the longest UDP payload, all zero", |_| vec![vec![0; 65_507]], Dropped),
        ("more than UDP carries", |_| vec![vec![0x40; 65_535]], Dropped),
        ("all ones", |_| vec![vec![0xff; 1200]], Dropped),
        ("a web server's request", |_| vec![b"GET / HTTP/1.1\r\nHost: example\r\n\r\n".to_vec()], Dropped),
        ("a QUIC Initial", |_| vec![foreign(&[0xc3, 0, 0, 0, 1, 8])], Dropped),
        ("a STUN binding request", |_| vec![foreign(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42])], Dropped),
        ("a DTLS client hello", |_| vec![foreign(&[22, 254, 253, 0, 0, 0, 0])], Dropped),
        ("a hello shorter than 1200 octets", |forger| vec![hello(forger)[..1199].to_vec()], Dropped),
        ("a hello", |forger| vec![hello(forger)], Answered),
        ("a hello of an unknown version", |forger| vec![versioned(forger, 9)], Answered),
        ("a hello of version 0", |forger| vec![versioned(forger, 0)], Answered),
        ("a hello with reserved bits", |forger| vec![flipped(hello(forger), 0, 0x0c)], Dropped),
        ("a hello with a damaged checksum", |forger| vec![damaged(hello(forger))], Dropped),
        ("a hello with a frame of the data epoch", |forger| vec![forger.hello(&[], 0, &[Frame::Ping])], Dropped),
        ("a hello without parameters", |forger| vec![with_token(forger, &[])], Dropped),
        ("a damaged checksum", |forger| vec![damaged(forger.datagram(&[Frame::Ping]))], Dropped),
        (
            "a right checksum over another id",
            |forger| {
                forger.theirs.0[7] ^= 1;
                vec![forger.datagram(&[Frame::Ping])]
            },
            Dropped,
        ),
        (
            "a long datagram for another id",
            |forger| {
                forger.theirs.0[7] ^= 1;
                vec![forger.datagram(&[Frame::Ping, Frame::Padding { len: 40 }])]
            },
            Answered,
        ),
        (
            "reserved bits of the short form",
            |forger| {
                let mut datagram = flipped(forger.datagram(&[Frame::Ping]), 0, 0x08);
                repair(&mut datagram);
                vec![datagram]
            },
            Dropped,
        ),
        (
            "a number that came before",
            |forger| {
                let datagram = forger.datagram(&[Frame::Ping]);
                vec![datagram.clone(), datagram]
            },
            Dropped,
        ),
        (
            "a number far ahead",
            |forger| {
                let number = TruncatedNumber::new((1 << 31) - 2, 0).unwrap();
                vec![build(100, |writer| {
                    ShortHeader { to: forger.theirs }.encode(Phase::Zero, number, writer).unwrap();
                    Frame::Ping.encode(writer).unwrap();
                })]
            },
            Taken,
        ),
        ("a number at the far edge of the window", |forger| out_of_order(forger, 1023), Taken),
        ("a number beyond the window", |forger| out_of_order(forger, 1024), Dropped),
        ("no frame", |forger| vec![forger.datagram(&[])], Closed(CloseCode::Malformed)),
        ("only padding", |forger| vec![forger.datagram(&[Frame::Padding { len: 20 }])], Taken),
        ("padding that is not zero", |forger| vec![raw(forger, &[0, 0, 1])], Closed(CloseCode::Malformed)),
        ("an unknown frame", |forger| vec![raw(forger, &[0x60])], Closed(CloseCode::Malformed)),
        (
            "a frame of the hello epoch",
            |forger| {
                let items = items_of(&Parameters::default());
                vec![forger.datagram(&[Frame::Parameters(&items)])]
            },
            Closed(CloseCode::NotAllowed),
        ),
        (
            "a varint longer than it must be",
            |forger| vec![raw(forger, &[0x04, 0x40, 0x01])],
            Closed(CloseCode::Malformed),
        ),
        ("a varint cut short", |forger| vec![raw(forger, &[0x04, 0xc0])], Closed(CloseCode::Malformed)),
        ("more frames than a datagram may hold", |forger| vec![raw(forger, &[1; 65])], Closed(CloseCode::Malformed)),
        (
            "an acknowledgement of what was never sent",
            |forger| vec![acknowledging(forger, 1000..=1000)],
            Closed(CloseCode::Acknowledgement),
        ),
        (
            "an acknowledgement of nearly all numbers",
            |forger| vec![acknowledging(forger, 0..=(1 << 62) - 1)],
            Closed(CloseCode::Acknowledgement),
        ),
        (
            "an acknowledgement that ends below 0",
            |forger| vec![raw(forger, &[0x02, 1, 0, 0, 2])],
            Closed(CloseCode::Malformed),
        ),
        (
            "a gap that ends below 0",
            |forger| vec![raw(forger, &[0x02, 5, 0, 1, 0, 9, 0])],
            Closed(CloseCode::Malformed),
        ),
        ("33 ranges", |forger| vec![raw(forger, &[0x02, 63, 0, 32, 0])], Closed(CloseCode::Malformed)),
        (
            "a fragment of a longer message than is taken",
            |forger| vec![fragment(forger, 0, 0, 1 << 30, 9)],
            Closed(CloseCode::Fragment),
        ),
        ("a fragment beyond its total", |forger| vec![fragment(forger, 0, 90, 100, 20)], Closed(CloseCode::Fragment)),
        (
            "a total that changes",
            |forger| vec![fragment(forger, 0, 0, 100, 20), fragment(forger, 0, 40, 101, 20)],
            Closed(CloseCode::Fragment),
        ),
        (
            "a message that becomes a stream",
            |forger| {
                let stream = data(Flow::Message { seq: Seq(0) }, Form::Stream { offset: 40 }, &[0; 20]);
                vec![fragment(forger, 0, 0, 100, 20), forger.datagram(&[stream])]
            },
            Closed(CloseCode::Fragment),
        ),
        (
            "a message that moves to a channel",
            |forger| {
                let ordered = Flow::Ordered { seq: Seq(0), channel: 1, position: 0 };
                let moved = data(ordered, Form::Fragment { offset: 40, total: 100 }, &[0; 20]);
                vec![fragment(forger, 0, 0, 100, 20), forger.datagram(&[moved])]
            },
            Closed(CloseCode::Fragment),
        ),
        (
            "an overlap that differs",
            |forger| {
                let other = data(Flow::Message { seq: Seq(0) }, Form::Fragment { offset: 10, total: 100 }, &[1; 20]);
                vec![fragment(forger, 0, 0, 100, 20), forger.datagram(&[other])]
            },
            Closed(CloseCode::Fragment),
        ),
        (
            "an overlap that agrees",
            |forger| vec![fragment(forger, 0, 0, 100, 20), fragment(forger, 0, 10, 100, 20)],
            Taken,
        ),
        ("a fragment without octets", |forger| vec![fragment(forger, 0, 0, 100, 0)], Closed(CloseCode::Malformed)),
        (
            "an end before what arrived",
            |forger| {
                let flow = Flow::Message { seq: Seq(0) };
                let long = forger.datagram(&[data(flow, Form::Stream { offset: 40 }, &[0; 20])]);
                vec![long, forger.datagram(&[data(flow, Form::Last { offset: 30 }, &[0; 5])])]
            },
            Closed(CloseCode::Fragment),
        ),
        (
            "an offset at the end of numbers",
            |forger| {
                let edge = Form::Stream { offset: (1 << 62) - 1 };
                vec![forger.datagram(&[data(Flow::Message { seq: Seq(0) }, edge, &[0; 1])])]
            },
            Closed(CloseCode::Fragment),
        ),
        ("a message again", |forger| vec![message(forger, 0), message(forger, 0)], Taken),
        ("a message beyond the window of exchanges", |forger| vec![message(forger, 1024)], Closed(CloseCode::Exchange)),
        (
            "a stream beyond its credit",
            |forger| {
                let beyond = Form::Stream { offset: 1 << 20 };
                vec![forger.datagram(&[data(Flow::Message { seq: Seq(0) }, beyond, &[0; 1])])]
            },
            Closed(CloseCode::Credit),
        ),
        (
            "credit that shrinks",
            |forger| vec![forger.datagram(&[Frame::Credit { limit: 9 }, Frame::Credit { limit: 5 }])],
            Taken,
        ),
        ("the highest credit", |forger| vec![forger.datagram(&[Frame::Credit { limit: (1 << 62) - 1 }])], Taken),
        (
            "a message that goes on as a call",
            |forger| {
                let rest = Form::Fragment { offset: 4, total: 9 };
                vec![
                    fragment(forger, 0, 0, 9, 4),
                    forger.datagram(&[data(Flow::Request { seq: Seq(0), opening: None }, rest, &[0; 5])]),
                ]
            },
            Closed(CloseCode::Fragment),
        ),
        (
            "a message that ends as a call",
            |forger| vec![fragment(forger, 0, 0, 9, 4), forger.datagram(&[reset(Role::Request, None)])],
            Closed(CloseCode::Fragment),
        ),
        (
            "a message of a channel that ends at another place",
            |forger| {
                let flow = Flow::Ordered { seq: Seq(0), channel: 1, position: 0 };
                vec![
                    forger.datagram(&[data(flow, Form::Fragment { offset: 0, total: 9 }, &[0; 4])]),
                    forger.datagram(&[reset(Role::Ordered, Some((1, 1)))]),
                ]
            },
            Closed(CloseCode::Fragment),
        ),
        (
            "a message that is cancelled as a call",
            |forger| vec![fragment(forger, 0, 0, 9, 4), forger.datagram(&[Frame::Cancel { seq: Seq(0) }])],
            Closed(CloseCode::Fragment),
        ),
        (
            "a call that goes on as a message",
            |forger| {
                let start = Form::Fragment { offset: 0, total: 9 };
                vec![forger.datagram(&[data(request(0), start, &[0; 4])]), fragment(forger, 0, 4, 9, 5)]
            },
            Closed(CloseCode::Fragment),
        ),
        (
            "a stream of a call beside a message",
            |forger| {
                let stream = data(Flow::Upward { seq: Seq(0) }, Form::Stream { offset: 0 }, &[0; 5]);
                vec![fragment(forger, 0, 0, 9, 4), forger.datagram(&[stream])]
            },
            Closed(CloseCode::Fragment),
        ),
        (
            "a call with the number of a message that was taken",
            |forger| vec![message(forger, 0), call(forger, 0, &[0; 9])],
            Closed(CloseCode::Fragment),
        ),
        (
            "a call again, with other arguments",
            |forger| vec![call(forger, 0, &[1; 9]), call(forger, 0, &[2; 9])],
            Closed(CloseCode::Fragment),
        ),
        ("a call again", |forger| vec![call(forger, 0, &[1; 9]), call(forger, 0, &[1; 9])], Taken),
        ("a watermark that goes back", |forger| vec![retired(forger, 9), retired(forger, 3)], Taken),
        ("a watermark at the end of numbers", |forger| vec![retired(forger, (1 << 62) - 1)], Taken),
        (
            "a reply to a call that was never made",
            |forger| {
                let reply = data(Flow::Reply { seq: Seq(0), outcome: None }, Form::Entire, &[0; 9]);
                vec![forger.datagram(&[reply])]
            },
            Closed(CloseCode::Exchange),
        ),
        (
            "an alias that was not defined",
            |forger| {
                let opening = Opening { procedure: Procedure::Alias(Alias::new(3).unwrap()), metadata: None };
                let request = Flow::Request { seq: Seq(0), opening: Some(opening) };
                vec![forger.datagram(&[data(request, Form::Entire, &[0; 9])])]
            },
            Closed(CloseCode::Alias),
        ),
        ("a cancel before its call", |forger| vec![forger.datagram(&[Frame::Cancel { seq: Seq(5) }])], Taken),
        ("a resolve of an unknown call", |forger| vec![forger.datagram(&[Frame::Resolve { seq: Seq(5) }])], Taken),
        (
            "a cancel a hundred times",
            |forger| {
                let cancels: Vec<_> = (0..100).map(|_| Frame::Cancel { seq: Seq(5) }).chain([PADDING]).collect();
                vec![forger.datagram(&cancels)]
            },
            Taken,
        ),
        (
            "a question after a call that is unknown",
            |forger| vec![forger.datagram(&[Frame::Ask { seq: Seq(5) }])],
            Taken,
        ),
        (
            "octets of a handshake",
            |forger| vec![forger.datagram(&[Frame::Handshake { offset: 0, data: &[0; 9] }])],
            Closed(CloseCode::NotAllowed),
        ),
        (
            "a resume in a plain conversation",
            |forger| vec![forger.datagram(&[Frame::Resume { session: 1, proof: [0; 16] }])],
            Closed(CloseCode::NotAllowed),
        ),
    ];
    let wrong: Vec<_> = cases
        .iter()
        .map(|(name, make, expected)| (name, reaction_to(name, *make), expected))
        .filter(|(_, reaction, expected)| reaction != *expected)
        .collect();
    assert!(wrong.is_empty(), "what was sent, what came of it, what should have: {wrong:#?}");
}

/// Sends the datagrams of a case, and says what the last one came to.
fn reaction_to(name: &str, make: fn(&mut Forger) -> Vec<Vec<u8>>) -> Reaction {
    let (mut victim, mut forger) = open();
    let mut datagrams = make(&mut forger);
    let last = datagrams.pop().unwrap();
    for datagram in datagrams {
        forger.deliver(&mut victim, START, datagram).unwrap_or_else(|why| panic!("{name}: {why}"));
    }
    let before = (victim.usage(), victim.poll_timeout());
    let answer_count = victim.counters().stateless_answers;
    let len = last.len();
    let result = forger.deliver(&mut victim, START, last);
    let is_answered = victim.counters().stateless_answers > answer_count;
    assert_eq!(victim.counters().broken, 0, "{name}");
    match result {
        Err(Rejected::Violation(code)) => return Reaction::Closed(code),
        Ok(()) if !is_answered => return Reaction::Taken,
        Ok(()) | Err(_) => {}
    }
    assert_eq!((victim.usage(), victim.poll_timeout()), before, "{name}");
    if !is_answered {
        return Reaction::Dropped;
    }
    assert!(forger.drain(&mut victim, START).iter().all(|answer| answer.len() < len), "{name}");
    Reaction::Answered
}

/// RFC 9000 §8.1: at most three times what came, whatever came, and each answer is shorter than its question.
#[test]
fn a_stranger_is_sent_less_than_it_sent() {
    let mut victim = server(Config::bare(), 3);
    let mut random = Random::new([1; 32]);
    let mut out = vec![0; 1200];
    for stranger in 0..count_of(100_000) as u32 {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + stranger)), 9);
        let mut forger = Forger::new(address);
        let (mut sent, mut answered) = (0, 0);
        for _ in 0..=random.below(4) {
            let datagram = match random.below(6) {
                0 => hello(&mut forger),
                1 => forger.hello(&random.octets::<33>(), 0, &[]),
                2 => versioned(&mut forger, 2),
                3 => forger.datagram(&[Frame::Ping, Frame::Padding { len: 1 + random.below(60) as usize }]),
                4 => foreign(&random.octets::<8>()),
                _ => build(60, |writer| writer.octets(&random.octets::<50>()).unwrap()),
            };
            let len = datagram.len();
            sent += len;
            let _ = forger.deliver(&mut victim, START, datagram);
            while let Some(transmit) = victim.poll_transmit(START, &mut out) {
                assert!(transmit.to == address && transmit.len < len);
                answered += transmit.len;
            }
            assert!(answered <= 3 * sent);
        }
        assert_eq!(victim.usage().peers, 0);
    }
}

/// Loop DoS, CVE-2024-2169: an answer is never answered, and what looks like a question to nobody is answered once.
#[test]
fn two_servers_do_not_talk_to_each_other() {
    let (mut first, mut forger) = open();
    let mut emitted = Vec::new();
    for question in [
        hello(&mut Forger::new(FORGER)),
        versioned(&mut Forger::new(FORGER), 9),
        Forger::new(FORGER).datagram(&[Frame::Ping, Frame::Padding { len: 60 }]),
        forger.hello(&forger.ticket, 0, &[Frame::Parameters(&items_of(&Parameters::default()))]),
        forger.datagram(&[Frame::Ping]),
        call(&mut forger, 0, &[1; 100]),
    ] {
        let _ = forger.deliver(&mut first, START, question);
        while let Some(event) = first.poll_event() {
            if let Event::CallReceived { call } = event {
                first.begin(START, call).unwrap();
                first.reply(START, call, Answer::Ok, &[5; 300], &[]).unwrap();
            }
        }
        emitted.extend(forger.drain(&mut first, START));
    }
    assert!(emitted.len() >= 5, "{}", emitted.len());
    let mut second = server(Config::bare(), 4);
    let mut random = Random::new([2; 32]);
    let stranger = Forger::new(FORGER);
    for round in 0..count_of(100_000) {
        let mut datagram = emitted[round as usize % emitted.len()].clone();
        if round as usize >= emitted.len() {
            let at = random.below(datagram.len() as u64) as usize;
            // Whoever changes the form of an answer into that of a question has written a question.
            datagram[at] = if at == 0 { datagram[0] ^ random.below(16) as u8 } else { random.below(256) as u8 };
            repair(&mut datagram);
        }
        let is_hello = datagram[0] & 0xf0 == 0x80;
        let (len, is_data) = (datagram.len(), datagram[0] & 0x80 == 0);
        let _ = stranger.deliver(&mut second, START, datagram);
        for reset in Forger::new(FORGER).drain(&mut second, START) {
            assert!(is_hello || (is_data && reset.len() < len && reset[0] == 0xf2));
            let _ = stranger.deliver(&mut first, START, reset);
            assert!(Forger::new(FORGER).drain(&mut first, START).is_empty(), "an answer is not answered");
        }
    }
}

#[test]
fn a_token_opens_for_its_address_for_ten_seconds_and_once() {
    let items = items_of(&Parameters::default());
    let knock = |victim: &mut Endpoint<'_>, now, address, token: &[u8]| {
        let mut forger = Forger::new(address);
        forger.ours.0[7] = token.len() as u8;
        let hello = forger.hello(token, 0, &[Frame::Parameters(&items)]);
        let _ = forger.deliver(victim, now, hello);
        let token = forger.drain(victim, now).iter().find_map(|answer| match Stateless::decode(answer) {
            Ok(Stateless::Retry { token, .. }) => Some(token.to_vec()),
            _ => None,
        });
        (victim.usage().peers, token)
    };
    let mut victim = server(Config::bare(), 3);
    let (_, token) = knock(&mut victim, START, FORGER, &[]);
    let token = token.unwrap();
    for bit in 0..8 * token.len() {
        let mut flipped = token.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(knock(&mut victim, START, FORGER, &flipped).0, 0, "bit {bit}");
    }
    for len in 0..token.len() {
        assert_eq!(knock(&mut victim, START, FORGER, &token[..len]).0, 0, "{len} octets");
    }
    let other_port = SocketAddr::new(FORGER.ip(), 6667);
    let other_address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 67)), 6666);
    for address in [other_port, other_address] {
        assert_eq!(knock(&mut victim, START, address, &token).0, 0, "{address}");
    }
    assert_eq!(knock(&mut server(Config::bare(), 4), START, FORGER, &token).0, 0, "another server");
    assert_eq!(knock(&mut victim, START, FORGER, &token).0, 1, "the right one");
    let mut again = Forger::new(FORGER);
    again.ours.0[6] = 1;
    again.deliver(&mut victim, START, again.hello(&token, 0, &[Frame::Parameters(&items)])).unwrap();
    assert_eq!(victim.usage().peers, 1, "used up");
    let mut victim = server(Config::bare(), 3);
    let (_, token) = knock(&mut victim, START, FORGER, &[]);
    let late = START.saturating_add(Duration::from_millis(10_001));
    assert_eq!(knock(&mut victim, late, FORGER, &token.unwrap()).0, 0, "expired");
}

/// CVE-2017-8779: no octet is allocated because a number says so.
#[test]
fn no_announced_length_makes_the_endpoint_allocate() {
    let edges = [0, 1, (1 << 20) - 1, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, (1 << 62) - 1];
    for edge in edges {
        let lies: [fn(&mut Forger, u64) -> Vec<u8>; 6] = [
            |forger, edge| fragment(forger, 0, 0, edge, 1),
            |forger, edge| fragment(forger, 0, edge, (1 << 62) - 1, 1),
            |forger, edge| {
                forger.datagram(&[data(Flow::Message { seq: Seq(0) }, Form::Stream { offset: edge }, &[0; 1])])
            },
            |forger, edge| message(forger, edge),
            retired,
            |forger, edge| {
                forger.datagram(&[Frame::Reset {
                    role: Role::Message,
                    seq: Seq(0),
                    reason: 0,
                    charge: edge,
                    place: None,
                }])
            },
        ];
        for lie in lies {
            let (mut victim, mut forger) = open();
            let datagram = lie(&mut forger, edge);
            let before = victim.usage().payload_octets;
            let (_, allocated) = heap::watch(|| forger.deliver(&mut victim, START, datagram));
            assert_eq!(allocated.count, 0, "{edge}");
            assert!(victim.usage().payload_octets - before <= 1 << 20);
        }
    }
}

/// FragmentSmack, CVE-2018-5391: many holes cost no more than a few.
#[test]
fn single_octets_with_holes_between_them_take_no_room() {
    let (mut victim, mut forger) = open();
    let before = victim.usage().payload_octets;
    let mut highest = victim.usage();
    for offset in (0..count_of(20_000)).rev().map(|index| 2 * index + 1) {
        let datagram = fragment(&mut forger, 0, offset, 1 << 20, 1);
        let (_, allocated) = heap::watch(|| forger.deliver(&mut victim, START, datagram));
        assert_eq!(allocated.count, 0);
        highest.incoming = highest.incoming.max(victim.usage().incoming);
        highest.payload_octets = highest.payload_octets.max(victim.usage().payload_octets);
    }
    assert_eq!((highest.incoming, highest.payload_octets - before), (1, 1 << 20));
    assert!(victim.counters().no_room > 0);
}

#[test]
fn the_holes_of_one_peer_leave_room_for_those_of_another() {
    let (mut victim, mut forger) = open();
    let window = victim.config().exchange_window as u64;
    for seq in 0..window {
        for hole in 0..60 {
            let datagram = fragment(&mut forger, seq, 1 + 2 * hole, 1000, 1);
            if forger.deliver(&mut victim, START, datagram).is_err() {
                // The victim has not seen the number.
                forger.number -= 1;
            }
        }
    }
    assert!(victim.counters().no_room > 0);
    let address = SocketAddr::new([10, 0, 0, 67].into(), 6666);
    let mut honest = Forger::open(&mut victim, START, address, &generous());
    for hole in 0..60 {
        let datagram = fragment(&mut honest, 0, 1 + 2 * hole, 1000, 1);
        assert_eq!(honest.deliver(&mut victim, START, datagram), Ok(()));
    }
}

/// They charge no credit and are not numbered.
#[test]
fn messages_that_may_get_lost_take_no_more_than_one_peer_may_have() {
    for len in [0, 60_000] {
        let (mut victim, mut forger) = open();
        let before = victim.usage().payload_octets;
        for _ in 0..3000 {
            let datagram = forger.datagram(&[data(Flow::Unreliable, Form::Entire, &vec![7; len])]);
            forger.deliver(&mut victim, START, datagram).unwrap();
        }
        let (usage, config) = (victim.usage(), victim.config());
        assert!(usage.exchanges as usize <= 2 * config.exchange_window, "{usage:?}");
        assert!((usage.payload_octets - before) as u64 <= config.credit + config.credit / 8, "{usage:?}");
        while let Some(event) = victim.poll_event() {
            if let Event::MessageReceived { message, .. } = event {
                victim.release(START, message).unwrap();
            }
        }
        assert_eq!((victim.usage().exchanges, victim.usage().payload_octets), (0, before));
    }
}

/// Credit is charged by what arrives, and each stream reserves its window: one peer may not take it all with an octet each.
#[test]
fn streams_of_one_octet_take_no_more_than_the_windows_of_sixteen() {
    let (mut victim, mut forger) = open();
    let before = victim.usage().payload_octets;
    let begin = |forger: &mut Forger, seq| {
        let flow = Flow::Message { seq: Seq(seq) };
        forger.datagram(&[data(flow, Form::Stream { offset: 0 }, &[0])])
    };
    for seq in 0..100 {
        let datagram = begin(&mut forger, seq);
        let result = forger.deliver(&mut victim, START, datagram);
        assert_eq!(result, if seq < 16 { Ok(()) } else { Err(Rejected::NoRoom) });
    }
    let window = victim.config().stream_window;
    assert_eq!(victim.usage().payload_octets - before, 16 * window);
    // One that is given up makes room for another.
    let stream = loop {
        if let Event::StreamReceived { stream, .. } = victim.poll_event().unwrap() {
            break stream;
        }
    };
    victim.abandon(START, stream).unwrap();
    assert_eq!(victim.usage().payload_octets - before, 15 * window);
    for seq in 100..110 {
        let datagram = begin(&mut forger, seq);
        let result = forger.deliver(&mut victim, START, datagram);
        assert_eq!(result, if seq == 100 { Ok(()) } else { Err(Rejected::NoRoom) });
    }
    assert_eq!(victim.usage().payload_octets - before, 16 * window);
}

/// CVE-2024-22189: whoever makes us answer and lets no answer out is not owed more than a few.
#[test]
fn what_must_be_answered_does_not_pile_up_behind_a_peer_that_acknowledges_nothing() {
    let (mut victim, mut forger) = open();
    let mut now = START;
    call(&mut forger, 0, &[1; 9]);
    let mut usages = Vec::new();
    for round in 0..count_of(20_000) {
        let seq = Seq(round % 8);
        let frames = [
            Frame::Ask { seq },
            Frame::Cancel { seq },
            Frame::Resolve { seq },
            Frame::Stop { role: Role::Reply, seq, reason: 0 },
            Frame::Reset { role: Role::Message, seq: Seq(8 + round % 8), reason: 0, charge: 0, place: None },
            Frame::Ping,
            Frame::Challenge([1; 8]),
            Frame::Padding { len: 40 },
        ];
        let datagram = forger.datagram(&frames);
        let (_, allocated) = heap::watch(|| {
            let _ = forger.deliver(&mut victim, now, datagram);
            while victim.poll_event().is_some() {}
            let mut out = [0; 65_507];
            while victim.poll_transmit(now, &mut out).is_some() {}
        });
        assert_eq!(allocated.count, 0);
        now = now.saturating_add(Duration::from_micros(100));
        usages.push(victim.usage());
    }
    let (middle, last) = (usages[usages.len() / 2], usages[usages.len() - 1]);
    assert_eq!((middle.exchanges, middle.outgoing), (last.exchanges, last.outgoing));
    // What was not acknowledged is in flight until it is taken for lost, and the window holds only so many short datagrams.
    assert!(last.frames < 512 && last.datagrams < 512, "{last:?}");
    assert_eq!(victim.counters().broken, 0);
}

#[test]
fn a_peer_that_acknowledges_nothing_fills_what_it_may_and_no_more() {
    let (mut victim, forger) = open();
    let peer = victim.peer(START, &Remote { address: FORGER, identity: &[] }).unwrap();
    let mut accepted = 0;
    let refused = loop {
        let message = Message { delivery: Delivery::Reliable, priority: 0, body: Body::Copied(&[5; 60_000]) };
        match victim.send(START, peer, message) {
            Ok(_) => accepted += 60_000,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, SendError::Full);
    assert!(accepted > 30 << 20 && accepted <= 32 << 20, "half of the payload memory: {accepted}");
    let filled = victim.usage().payload_octets;
    let mut now = START;
    let mut out = vec![0; 65_507];
    let ((), allocated) = heap::watch(|| {
        while now < START.saturating_add(Duration::from_secs(3600)) {
            while victim.poll_transmit(now, &mut out).is_some() {}
            while victim.poll_event().is_some() {}
            assert!(victim.usage().payload_octets <= filled);
            let Some(next) = victim.poll_timeout() else { break };
            now = next;
            victim.handle_timeout(now);
        }
    });
    assert_eq!(allocated.count, 0);
    drop(forger);
}

/// CVE-2025-4821 and RFC 9000 §21.4: some numbers are skipped, and whoever acknowledges one has not read what it acknowledges.
#[test]
fn a_peer_that_acknowledges_more_than_it_received_is_found_out() {
    for seed in 0..count_of(300) as u8 {
        let mut victim = server(Config::bare(), seed);
        let mut forger = Forger::open(&mut victim, START, FORGER, &generous());
        let peer = victim.peer(START, &Remote { address: FORGER, identity: &[] }).unwrap();
        let (mut now, mut sent_count) = (START, 0);
        while victim.counters().violations == 0 {
            let message = Message { delivery: Delivery::Reliable, priority: 0, body: Body::Copied(&[5; 900]) };
            let _ = victim.send(now, peer, message);
            now = now.saturating_add(Duration::from_millis(20));
            victim.handle_timeout(now);
            sent_count += forger.drain(&mut victim, now).len();
            while victim.poll_event().is_some() {}
            let Some(highest) = forger.received.iter().max().copied() else { continue };
            let datagram = acknowledging(&mut forger, 0..=highest);
            let _ = forger.deliver(&mut victim, now, datagram);
            assert!(sent_count < 64, "seed {seed}");
        }
    }
}

#[test]
fn an_absurd_ack_delay_does_not_stretch_the_timers() {
    for delay in [0, 1, 1 << 24, (1 << 62) - 1] {
        let (mut victim, mut forger) = open();
        let peer = victim.peer(START, &Remote { address: FORGER, identity: &[] }).unwrap();
        let mut now = START;
        for _ in 0..50 {
            let message = Message { delivery: Delivery::Reliable, priority: 0, body: Body::Copied(&[5; 900]) };
            victim.send(now, peer, message).unwrap();
            forger.drain(&mut victim, now);
            now = now.saturating_add(Duration::from_millis(30));
            let ranges = forger::descending(&forger.received);
            let datagram = forger.datagram_with(|writer| {
                Ack::write(delay, ranges, None, writer).unwrap();
            });
            let _ = forger.deliver(&mut victim, now, datagram);
        }
        let message = Message { delivery: Delivery::Reliable, priority: 0, body: Body::Copied(&[5; 900]) };
        victim.send(now, peer, message).unwrap();
        forger.drain(&mut victim, now);
        let timeout = victim.poll_timeout().unwrap().saturating_since(now);
        assert!(timeout > Duration::ZERO && timeout < Duration::from_secs(1), "{delay}: {timeout:?}");
    }
}

#[test]
fn a_clock_that_jumps_makes_timers_run_once() {
    let century = Duration::from_secs(100 * 365 * 86_400);
    let (mut victim, mut forger) = open();
    let datagram = call(&mut forger, 0, &[1; 9]);
    forger.deliver(&mut victim, START, datagram).unwrap();
    let mut now = START;
    for jump in [Duration::ZERO, Duration::from_secs(3600), century, century, century, century, century, century] {
        now = now.saturating_add(jump);
        victim.handle_timeout(now);
        victim.handle_timeout(now.saturating_sub(Duration::from_secs(1)));
        forger.drain(&mut victim, now);
        while victim.poll_event().is_some() {}
        let at_end = now == now.saturating_add(Duration::from_nanos(1));
        assert!(at_end || victim.poll_timeout().is_none_or(|at| at > now));
    }
    victim.handle_timeout(Instant::from_nanos(u64::MAX));
    assert_eq!(victim.counters().broken, 0);
}

/// Nobody's timer runs for those who say nothing.
#[test]
fn ten_thousand_idle_peers_set_no_timer() {
    let mut config = Config::bare();
    (config.peer_count_max, config.used_ticket_count_max) = (10_000, 10_000);
    let mut victim = server(config, 3);
    let mut now = START;
    for peer in 0..10_000 {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + peer)), 9);
        let mut forger = Forger::open(&mut victim, now, address, &generous());
        forger.say(&mut victim, now, &[Frame::Ping]).unwrap();
        now = victim.poll_timeout().expect("an acknowledgement is due");
        victim.handle_timeout(now);
        assert_eq!(forger.drain(&mut victim, now).len(), 1, "the acknowledgement");
        while victim.poll_event().is_some() {}
    }
    assert_eq!((victim.usage().peers, victim.poll_timeout()), (10_000, None));
}

/// The slot is used again, and the id that named its last user names nobody.
#[test]
fn a_stale_conversation_id_names_nobody() {
    let (mut victim, mut old) = open();
    let datagram = raw(&mut old, &[0x60]);
    assert!(old.deliver(&mut victim, START, datagram).is_err());
    let mut now = START;
    while victim.usage().peers > 0 {
        while victim.poll_event().is_some() {}
        old.drain(&mut victim, now);
        now = victim.poll_timeout().unwrap();
        victim.handle_timeout(now);
    }
    let young = Forger::open(&mut victim, now, FORGER, &generous());
    assert_eq!(young.theirs.0[..4], old.theirs.0[..4], "the same slot");
    let before = victim.usage();
    let datagram = message(&mut old, 0);
    assert_eq!(old.deliver(&mut victim, now, datagram), Err(Rejected::Unknown));
    assert_eq!(victim.usage(), before);
}

const PADDING: Frame<'_> = Frame::Padding { len: 700 };

fn foreign(start: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x5a; 1250];
    datagram[..start.len()].copy_from_slice(start);
    datagram
}

/// Makes a hello of a conversation that is not there yet.
fn hello(forger: &mut Forger) -> Vec<u8> {
    forger.ours.0[0] = 77;
    forger.hello(&[], 0, &[Frame::Parameters(&items_of(&Parameters::default()))])
}

fn versioned(forger: &mut Forger, version: u8) -> Vec<u8> {
    let mut datagram = hello(forger);
    datagram[1..5].copy_from_slice(&[0, 0, 0, version]);
    repair(&mut datagram);
    datagram
}

fn with_token(forger: &mut Forger, frames: &[Frame<'_>]) -> Vec<u8> {
    forger.ours.0[0] = 77;
    forger.hello(&forger.ticket, 0, frames)
}

fn flipped(mut datagram: Vec<u8>, at: usize, bits: u8) -> Vec<u8> {
    datagram[at] ^= bits;
    repair(&mut datagram);
    datagram
}

fn damaged(mut datagram: Vec<u8>) -> Vec<u8> {
    let last = datagram.len() - 1;
    datagram[last] ^= 1;
    datagram
}

fn raw(forger: &mut Forger, frames: &[u8]) -> Vec<u8> {
    forger.datagram_with(|writer| writer.octets(frames).unwrap())
}

/// Sends a datagram with a high number, then one so many below it.
fn out_of_order(forger: &mut Forger, distance: u64) -> Vec<Vec<u8>> {
    let numbered = |forger: &Forger, number: u64| {
        build(60, |writer| {
            let truncated = TruncatedNumber::new(number, number.saturating_sub(20_000)).unwrap();
            ShortHeader { to: forger.theirs }.encode(Phase::Zero, truncated, writer).unwrap();
            Frame::Ping.encode(writer).unwrap();
        })
    };
    vec![numbered(forger, 5000), numbered(forger, 5000 - distance)]
}

fn acknowledging(forger: &mut Forger, range: core::ops::RangeInclusive<u64>) -> Vec<u8> {
    forger.datagram_with(|writer| {
        Ack::write(0, [range], None, writer).unwrap();
    })
}

fn retired(forger: &mut Forger, low: u64) -> Vec<u8> {
    forger.datagram_with(|writer| Retired::write(Seq(low), [], writer).unwrap())
}

fn data<'a>(flow: Flow<'a>, form: Form, data: &'a [u8]) -> Frame<'a> {
    Frame::Data(Data { flow, form, extent: Extent::Counted, data })
}

fn message(forger: &mut Forger, seq: u64) -> Vec<u8> {
    forger.datagram(&[data(Flow::Message { seq: Seq(seq) }, Form::Entire, &[7; 9])])
}

fn fragment(forger: &mut Forger, seq: u64, offset: u64, total: u64, len: usize) -> Vec<u8> {
    forger.datagram(&[data(Flow::Message { seq: Seq(seq) }, Form::Fragment { offset, total }, &[0; 64][..len])])
}

fn reset(role: Role, place: Option<(u64, u64)>) -> Frame<'static> {
    Frame::Reset { role, seq: Seq(0), reason: 0, charge: 9, place }
}

fn request(seq: u64) -> Flow<'static> {
    let options = Options::new(Semantics::AtMostOnce);
    let description = Description { program: 1, version: 1, procedure: 1, timeout_millis: 0, options };
    let opening = Opening { procedure: Procedure::Full { description, alias: None }, metadata: None };
    Flow::Request { seq: Seq(seq), opening: Some(opening) }
}

fn call(forger: &mut Forger, seq: u64, arguments: &[u8]) -> Vec<u8> {
    forger.datagram(&[data(request(seq), Form::Entire, arguments)])
}

/// Makes a server, and a forger with a conversation there.
fn open() -> (Endpoint<'static>, Forger) {
    let mut victim = server(Config::internet(), 3);
    let forger = Forger::open(&mut victim, START, FORGER, &generous());
    while victim.poll_event().is_some() {}
    (victim, forger)
}

fn server(config: Config, seed: u8) -> Endpoint<'static> {
    let storage = Storage::owned(&config);
    Endpoint::new_insecure(config, storage, [seed; 32], START).unwrap()
}

/// Returns how many rounds a test makes: what is asked for where the code is optimised, a tenth of it elsewhere.
fn count_of(count: u64) -> u64 {
    if cfg!(debug_assertions) { count / 10 } else { count }
}

fn generous() -> Parameters {
    Parameters { credit: 1 << 40, stream_window: 1 << 20, exchange_window: 1024, ..Parameters::default() }
}
