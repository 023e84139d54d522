//! What each bad datagram comes to.

use posthaste_core::endpoint::Rejected;
use posthaste_core::wire::{
    Alias, CloseCode, Flow, Form, Frame, Opening, Parameters, Phase, Procedure, Role, Seq, ShortHeader, TruncatedNumber,
};

use self::Reaction::{Answered, Closed, Dropped, Taken};
use crate::forger::{Forger, build, items_of, repair};
use crate::lies::{
    PADDING, acknowledging, call, damaged, data, flipped, foreign, fragment, hello, message, out_of_order, raw,
    request, reset, retired, versioned, with_token,
};
use crate::{START, open};

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
fn what_is_no_datagram_of_this_protocol_is_dropped() {
    check(FOREIGN);
}

#[test]
fn a_hello_is_answered_by_something_shorter_or_not_at_all() {
    check(HELLOS);
}

#[test]
fn what_is_not_authentic_is_dropped_and_what_is_malformed_closes() {
    check(FRAMING);
}

#[test]
fn an_acknowledgement_of_what_cannot_have_arrived_closes() {
    check(ACKS);
}

#[test]
fn pieces_that_disagree_close_and_those_that_repeat_do_not() {
    check(FLOWS);
}

#[test]
fn a_number_stands_for_one_thing() {
    check(KINDS);
}

#[test]
fn what_is_said_about_calls_is_taken_unless_it_contradicts_itself() {
    check(CALLS);
}

fn check(cases: &[Case]) {
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

/// What is no datagram of this protocol.
const FOREIGN: &[Case] = &[
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
];

/// Hellos of those who are not known yet.
const HELLOS: &[Case] = &[
    ("a hello shorter than 1200 octets", |forger| vec![hello(forger)[..1199].to_vec()], Dropped),
    ("a hello", |forger| vec![hello(forger)], Answered),
    ("a hello of an unknown version", |forger| vec![versioned(forger, 9)], Answered),
    ("a hello of version 0", |forger| vec![versioned(forger, 0)], Answered),
    ("a hello with reserved bits", |forger| vec![flipped(hello(forger), 0, 0x0c)], Dropped),
    ("a hello with a damaged checksum", |forger| vec![damaged(hello(forger))], Dropped),
    ("a hello with a frame of the data epoch", |forger| vec![forger.hello(&[], 0, &[Frame::Ping])], Dropped),
    ("a hello without parameters", |forger| vec![with_token(forger, &[])], Dropped),
];

/// Datagrams that are damaged, misdirected or late, and frames of wrong form.
const FRAMING: &[Case] = &[
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
    ("a varint longer than it must be", |forger| vec![raw(forger, &[0x04, 0x40, 0x01])], Closed(CloseCode::Malformed)),
    ("a varint cut short", |forger| vec![raw(forger, &[0x04, 0xc0])], Closed(CloseCode::Malformed)),
    ("more frames than a datagram may hold", |forger| vec![raw(forger, &[1; 65])], Closed(CloseCode::Malformed)),
];

/// Acknowledgements of what cannot have arrived.
const ACKS: &[Case] = &[
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
    ("a gap that ends below 0", |forger| vec![raw(forger, &[0x02, 5, 0, 1, 0, 9, 0])], Closed(CloseCode::Malformed)),
    ("33 ranges", |forger| vec![raw(forger, &[0x02, 63, 0, 32, 0])], Closed(CloseCode::Malformed)),
];

/// Pieces of messages that disagree with each other or with the limits.
const FLOWS: &[Case] = &[
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
    ("an overlap that agrees", |forger| vec![fragment(forger, 0, 0, 100, 20), fragment(forger, 0, 10, 100, 20)], Taken),
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
];

/// Numbers that are used for two things.
const KINDS: &[Case] = &[
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
];

/// What is said about calls.
const CALLS: &[Case] = &[
    // What a handler is given, and a reply that is kept, is whole.
    (
        "a call in stream form",
        |forger| vec![forger.datagram(&[data(request(0), Form::Stream { offset: 0 }, &[7])])],
        Closed(CloseCode::Malformed),
    ),
    (
        "a call in stream form, in one frame",
        |forger| vec![forger.datagram(&[data(request(0), Form::Last { offset: 0 }, &[7])])],
        Closed(CloseCode::Malformed),
    ),
    (
        "a reply in stream form",
        |forger| {
            let flow = Flow::Reply { seq: Seq(0), outcome: None };
            vec![forger.datagram(&[data(flow, Form::Stream { offset: 0 }, &[7])])]
        },
        Closed(CloseCode::Malformed),
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
    ("a question after a call that is unknown", |forger| vec![forger.datagram(&[Frame::Ask { seq: Seq(5) }])], Taken),
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
