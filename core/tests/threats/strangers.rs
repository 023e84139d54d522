//! What those send who have proven no address, or whose conversation is over.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use posthaste_core::endpoint::{Answer, Event, Rejected};
use posthaste_core::random::Random;
use posthaste_core::wire::{Frame, Parameters, Stateless};
use posthaste_core::{Config, Endpoint};

use crate::forger::{FORGER, Forger, build, items_of, repair};
use crate::lies::{call, foreign, hello, message, raw, versioned};
use crate::{START, count_of, generous, open, server};

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
