//! Queues that a peer fills, and keeps us from emptying.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use posthaste_core::ecn::Ecn;
use posthaste_core::endpoint::{Answer, Arrival, Body, Delivery, Event, Message, Remote, SendError};
use posthaste_core::wire::{Frame, Role, Seq};
use posthaste_heap as heap;

use crate::forger::FORGER;
use crate::lies::{call, damaged};
use crate::{START, count_of, open};

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

/// curl's CVE-2026-11352: what is dropped unseen is counted, and keeps neither a call nor a timer waiting.
#[test]
fn a_flood_of_empty_and_damaged_datagrams_delays_nothing() {
    let (mut victim, mut forger) = open();
    let datagram = call(&mut forger, 0, &[1; 9]);
    forger.deliver(&mut victim, START, datagram).unwrap();
    let Some(Event::CallReceived { call }) = victim.poll_event() else { panic!("a call was made") };
    let due = victim.poll_timeout().expect("an acknowledgement is due");
    let received_count = victim.counters().datagrams_received;
    let mut flood = [vec![], vec![0x40], damaged(forger.datagram(&[Frame::Ping])), vec![0; 1200]];
    let count = count_of(1_000_000);
    let ((), allocated) = heap::watch(|| {
        for round in 0..count {
            let from = if round % 2 == 0 { FORGER } else { STRANGER };
            let arrival = Arrival { from, to: None, ecn: Ecn::NotEct };
            let datagram = &mut flood[round as usize / 2 % 4];
            assert!(victim.handle_datagram(START, arrival, datagram).is_err());
            assert!(victim.poll_event().is_none() && victim.poll_timeout() == Some(due));
        }
    });
    assert_eq!((allocated.count, victim.counters().datagrams_received), (0, received_count + count));
    assert!(forger.drain(&mut victim, START).is_empty(), "nothing is answered");
    victim.handle_timeout(due);
    assert_eq!(forger.drain(&mut victim, due).len(), 1, "the acknowledgement");
    victim.begin(due, call).unwrap();
    victim.reply(due, call, Answer::Ok, &[2; 9], &[]).unwrap();
    assert_eq!(forger.drain(&mut victim, due).len(), 1, "the reply");
}

const STRANGER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 77)), 7777);
