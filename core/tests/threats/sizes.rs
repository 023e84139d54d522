//! Lengths, offsets and counts that a peer wrote.

use core::net::SocketAddr;

use posthaste_core::endpoint::{Event, Rejected};
use posthaste_core::wire::{Flow, Form, Frame, Role, Seq};
use posthaste_heap as heap;

use crate::forger::Forger;
use crate::lies::{data, fragment, message, retired};
use crate::{START, count_of, generous, open};

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
