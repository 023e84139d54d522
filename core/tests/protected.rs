//! Protected conversations between two endpoints, with a cipher for tests.
#![cfg(feature = "test-crypto")]
#![expect(clippy::wildcard_enum_match_arm, reason = "each test looks at some of the events")]

#[path = "support/pair.rs"]
mod pair;

extern crate alloc;

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::net::SocketAddr;
use core::time::Duration;

use pair::{Fate, Flying, Pair, SERVER, answer};
use posthaste_core::crypto::{FakeCrypto, Limits};
use posthaste_core::endpoint::{Answer, Event, Request};
use posthaste_core::random::Random;
use posthaste_core::{Config, IncomingCallId, Outcome, PeerId};

fn protected(limits: Limits, hello_len: usize) -> Pair {
    let crypto = |seed, identity: &[u8]| {
        Box::new(FakeCrypto::new([seed; 32], identity).with_limits(limits).with_hello_len(hello_len))
    };
    Pair::secured(small(), small(), crypto(3, b"client"), crypto(4, b"server"))
}

/// Small pools: many pairs are made here.
fn small() -> Config {
    let mut config = Config::internet();
    config.peer_count_max = 8;
    config.exchange_count_max = 512;
    config.payload_memory = 16 << 20;
    config.sent_datagram_count_max = 512;
    config.sent_frame_count_max = 1024;
    config.used_ticket_count_max = 64;
    config
}

const SECOND: Duration = Duration::from_secs(1);
const GENEROUS: Limits = Limits { seals: u64::MAX, failed_opens: u64::MAX };

#[test]
fn a_first_protected_call_takes_three_round_trips() {
    let mut pair = protected(GENEROUS, 200);
    let peer = pair.dial_to(b"server");
    let start = pair.now;
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"hello")).unwrap();
    assert_eq!(answer(&mut pair).1, b"hello");
    assert_eq!(pair.now.saturating_since(start), Duration::from_millis(60));
    assert!(pair.datagram_count() < 12, "{}", pair.datagram_count());
}

/// The round trip is known by then, and the doubling begins anew with each step.
#[test]
fn a_lost_step_of_a_handshake_costs_a_few_round_trips() {
    let mut pair = protected(GENEROUS, 200);
    let mut lost = Vec::new();
    pair.fate = Box::new(move |flying| {
        // The first datagram of the handshake epoch, from either side.
        let is_first = flying.octets[0] & 0xe0 == 0xa0 && !lost.contains(&flying.from);
        if is_first {
            lost.push(flying.from);
        }
        if is_first { Fate::Lose } else { Fate::Arrive }
    });
    let peer = pair.dial_to(b"server");
    let start = pair.now;
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"hello")).unwrap();
    assert_eq!(answer(&mut pair).1, b"hello");
    let elapsed = pair.now.saturating_since(start);
    assert!(elapsed < 15 * (2 * pair.delay), "{elapsed:?}");
}

#[test]
fn a_hello_longer_than_a_datagram_opens_too() {
    let mut pair = protected(GENEROUS, 1500);
    let peer = pair.dial_to(b"server");
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"hello")).unwrap();
    assert_eq!(answer(&mut pair).1, b"hello");
}

#[test]
fn a_hello_whose_beginning_is_lost_draws_no_answer_without_end() {
    let mut pair = protected(GENEROUS, 1500);
    let peer = pair.dial_to(b"server");
    let mut count = 0;
    // The first half of the hello with a token.
    pair.fate = Box::new(move |flying| {
        count += u32::from(flying.from != SERVER);
        if flying.from != SERVER && count == 3 { Fate::Lose } else { Fate::Arrive }
    });
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"hello")).unwrap();
    assert_eq!(answer(&mut pair).1, b"hello");
}

#[test]
fn keys_that_wear_out_are_replaced_without_a_lost_call() {
    let mut pair = protected(Limits { seals: 64, failed_opens: 16 }, 200);
    let peer = pair.dial_to(b"server");
    for _ in 0..1000 {
        pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, &[7; 32])).unwrap();
        assert_eq!(answer(&mut pair).1, [7; 32]);
    }
    // Both sides follow each of them, and keys wear out after half of what they may seal.
    let counts = [&pair.client, &pair.server].map(|host| host.endpoint.counters().key_updates);
    assert!(counts[0] >= 1000 / 64 && counts[0].abs_diff(counts[1]) <= 1, "{counts:?}");
}

/// No acknowledgement comes that allows other keys.
#[test]
fn a_session_goes_on_elsewhere_when_keys_wear_out_and_cannot_be_replaced() {
    let mut pair = protected(Limits { seals: 24, failed_opens: 16 }, 200);
    let peer = pair.dial_to(b"server");
    let call = |pair: &mut Pair, arguments| {
        let request = Request { timeout: None, ..Request::new(1, 1, 7, arguments) };
        pair.client.endpoint.call(pair.now, peer, request).unwrap();
    };
    call(&mut pair, b"before");
    assert_eq!(answer(&mut pair).1, b"before");
    for lost_from in [pair.client.address, SERVER] {
        call(&mut pair, b"hello");
        pair.fate = Box::new(move |flying| if flying.from == lost_from { Fate::Lose } else { Fate::Arrive });
        pair.run_until(8 * SECOND, |pair| {
            pair.server.echo(pair.now);
            false
        });
        pair.fate = Box::new(|_| Fate::Arrive);
        assert_eq!(answer(&mut pair).1, b"hello");
    }
    assert_eq!((pair.client.endpoint.counters().broken, pair.server.endpoint.counters().broken), (0, 0));
}

#[test]
fn a_conversation_moves_to_the_address_that_answers_a_challenge() {
    let mut pair = protected(GENEROUS, 200);
    let peer = pair.dial_to(b"server");
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"before")).unwrap();
    assert_eq!(answer(&mut pair).1, b"before");

    let moved = SocketAddr::new(pair.client.address.ip(), 6000);
    pair.client.address = moved;
    for _ in 0..10 {
        pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"after")).unwrap();
        assert_eq!(answer(&mut pair).1, b"after");
    }
    // The server's datagrams go to the new address alone.
    pair.fate = Box::new(move |flying| {
        assert!(flying.from != SERVER || flying.to == moved);
        Fate::Arrive
    });
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"there")).unwrap();
    assert_eq!(answer(&mut pair).1, b"there");
}

#[test]
fn copies_from_elsewhere_move_nobody_and_draw_at_most_three_times_their_octets() {
    let mut pair = protected(GENEROUS, 200);
    let peer = pair.dial_to(b"server");
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"before")).unwrap();
    assert_eq!(answer(&mut pair).1, b"before");

    // An attacker on the path makes the client's datagrams arrive from its own address, first.
    let attacker = SocketAddr::new([10, 0, 0, 66].into(), 666);
    let honest = pair.client.address;
    let (mut drawn, mut spoofed) = (0, 0);
    for _ in 0..20 {
        pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"hello")).unwrap();
        pair.flush();
        for flying in &mut pair.network {
            if flying.from == honest {
                flying.from = attacker;
                spoofed += flying.octets.len();
            }
        }
        pair.run_until(Duration::from_secs(10), |pair| {
            pair.server.echo(pair.now);
            drawn +=
                pair.network.iter().filter(|flying| flying.to == attacker).map(|it| it.octets.len()).sum::<usize>();
            pair.network.retain(|flying| flying.to != attacker);
            pair.client.events.pop_front().is_some()
        });
    }
    assert!(drawn <= 3 * spoofed, "{drawn} for {spoofed}");
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"still here")).unwrap();
    assert!(pair.run_until(Duration::from_secs(10), |pair| {
        pair.server.echo(pair.now);
        pair.client.events.pop_front().is_some()
    }));
}

/// The handler runs while the conversation is lost, and its caller comes back on another one.
#[test]
fn a_session_goes_on_in_another_protected_conversation() {
    let mut pair = protected(GENEROUS, 200);
    let peer = pair.dial_to(b"server");
    pair.client.endpoint.connect(pair.now, peer).unwrap();
    pair.run(SECOND);
    for (round, arguments) in [b"first", b"again", b"third"].into_iter().enumerate() {
        pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, arguments)).unwrap();
        let is_called = |pair: &mut Pair| pair.server.events.iter().any(|it| matches!(it, Event::CallReceived { .. }));
        assert!(pair.run_until(SECOND, is_called));
        pair.client.endpoint.handle_address_change(pair.now);
        assert_eq!(answer(&mut pair).1, arguments, "round {round}");
    }
    assert!(!pair.client.events.iter().any(|event| matches!(event, Event::SessionLost { .. } | Event::Closed { .. })));
    pair.run(60 * SECOND);
    // The slots of the conversations before are free again, and the last call waits for the next one to retire it.
    let (client, server) = (pair.client.endpoint.usage(), pair.server.endpoint.usage());
    assert_eq!((client.exchanges, server.exchanges, server.peers), (0, 1, 1));
}

/// How the conversation ends on which a session is to go on.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// Its datagrams are lost from one on, until the client notices.
    Silence,
    /// As before, but the client is told of another address soon.
    Leaving,
    /// As before, but they are held back, and arrive once the session has gone on elsewhere.
    Overtaken,
}

/// Resumes a session on a conversation that ends before it has got far, and then on another one. Returns how many datagrams the first
/// took, were it left alone.
fn resume_again(death: Death, survivor_count: usize) -> usize {
    let context = format!("{death:?} after {survivor_count}");
    let mut session = Interrupted::new();
    let (sent_count, late) = session.resume_in_vain(death, survivor_count);
    let connected_count = session.connected_count();
    let executed_count = session.resume(death, late);
    assert_eq!(session.take_replies(&context), [b"done", b"runs", b"sent"], "{context}");
    assert_eq!(executed_count, 3, "{context}");
    // What was held back of the first conversation takes the session back from nobody.
    assert!(session.connected_count() <= connected_count + 1, "{context}");
    session.assert_goes_on(&context);
    sent_count
}

/// A session whose conversation is lost while three of its calls are open, each at another point.
struct Interrupted {
    pair: Pair,
    /// The call whose handler runs, and as whom the server knows its caller.
    runs: IncomingCallId,
    caller: PeerId,
}

impl Interrupted {
    /// One handler runs, one has ended and its reply was not sent, and one request was lost.
    fn new() -> Self {
        let mut pair = protected(GENEROUS, 200);
        let peer = pair.dial_to(b"server");
        pair.client.endpoint.connect(pair.now, peer).unwrap();
        pair.run(SECOND);
        let call = |pair: &mut Pair, arguments| {
            pair.call(peer, Request { timeout: None, ..Request::new(1, 1, 7, arguments) });
        };
        let begin = |pair: &mut Pair| {
            let is_called = |event: &Event| matches!(event, Event::CallReceived { .. });
            assert!(pair.run_until(SECOND, |pair| pair.server.heard(is_called)));
            let begun = pair.server.take_call().unwrap();
            pair.server.endpoint.begin(pair.now, begun).unwrap();
            begun
        };
        call(&mut pair, b"runs");
        let runs = begin(&mut pair);
        call(&mut pair, b"done");
        let done = begin(&mut pair);
        pair.flush();
        pair.server.endpoint.reply(pair.now, done, Answer::Ok, b"done", &[]).unwrap();
        call(&mut pair, b"sent");
        pair.cut();
        pair.flush();
        let caller = pair.server.endpoint.incoming_call(runs).unwrap().peer;
        Self { pair, runs, caller }
    }

    /// Resumes it on a conversation of which the first datagrams survive; returns how many there were, and those that did not.
    fn resume_in_vain(&mut self, death: Death, survivor_count: usize) -> (usize, Vec<Flying>) {
        let pair = &mut self.pair;
        let (count, held) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(vec![])));
        let (counted, holding) = (count.clone(), held.clone());
        pair.fate = Box::new(move |flying| {
            counted.set(counted.get() + 1);
            if counted.get() <= survivor_count {
                return Fate::Arrive;
            }
            holding.borrow_mut().push(Flying { octets: flying.octets.clone(), ..*flying });
            Fate::Lose
        });
        pair.client.endpoint.handle_address_change(pair.now);
        match death {
            Death::Silence => pair.run(5 * SECOND),
            Death::Leaving | Death::Overtaken => pair.run(Duration::from_millis(300)),
        }
        pair.mend();
        (count.get(), held.take())
    }

    /// Resumes it on a conversation that lasts, and lets all handlers end; returns how many have run.
    fn resume(&mut self, death: Death, late: Vec<Flying>) -> usize {
        let pair = &mut self.pair;
        if !matches!(death, Death::Silence) {
            pair.client.endpoint.handle_address_change(pair.now);
        }
        if matches!(death, Death::Overtaken) {
            pair.run(Duration::from_millis(100));
            let now = pair.now;
            pair.network.extend(late.into_iter().map(|flying| Flying { at: now, ..flying }));
        }
        // Those that ran when the conversation was lost.
        let mut executed_count = 2;
        let mut run = |pair: &mut Pair| {
            pair.run_until(5 * SECOND, |pair| {
                executed_count += pair.server.echo(pair.now);
                false
            });
        };
        run(pair);
        assert_eq!(pair.server.endpoint.incoming_call(self.runs).unwrap().peer, self.caller);
        pair.server.endpoint.reply(pair.now, self.runs, Answer::Ok, b"runs", &[]).unwrap();
        run(pair);
        executed_count
    }

    fn connected_count(&self) -> usize {
        self.pair.client.events.iter().filter(|event| matches!(event, Event::Connected { .. })).count()
    }

    fn take_replies(&mut self, context: &str) -> Vec<Vec<u8>> {
        let Pair { client, now, .. } = &mut self.pair;
        let mut replies = vec![];
        while let Some(outcome) = client.take_outcome() {
            let Outcome::Ok(reply) = outcome else { panic!("{outcome:?}: {context}") };
            replies.push(client.endpoint.payload(reply).unwrap().to_vec());
            client.endpoint.release(*now, reply).unwrap();
        }
        replies.sort();
        replies
    }

    /// Nobody has lost or broken anything, and the conversations before are gone.
    fn assert_goes_on(mut self, context: &str) {
        let is_over = |event: &Event| matches!(event, Event::SessionLost { .. } | Event::Closed { .. });
        for host in [&self.pair.client, &self.pair.server] {
            assert!(!host.heard(is_over), "{context}: {:?}", host.events);
            let counters = host.endpoint.counters();
            assert_eq!((counters.violations, counters.broken), (0, 0), "{context}");
        }
        self.pair.run(20 * SECOND);
        let (client, server) = (self.pair.client.endpoint.usage(), self.pair.server.endpoint.usage());
        assert_eq!((client.peers, server.peers), (1, 1), "{context}");
    }
}

#[test]
fn a_session_is_resumed_wherever_the_conversation_before_ended_that_should_resume_it() {
    for death in [Death::Silence, Death::Leaving, Death::Overtaken] {
        let count = resume_again(death, usize::MAX);
        assert!((6..40).contains(&count), "{count} datagrams");
        for survivor_count in 0..count {
            resume_again(death, survivor_count);
        }
    }
}

/// Of what the server says at once, the first datagram is lost; what it says later is lost for half a second.
#[test]
fn what_was_sent_before_the_client_knows_its_session_does_not_delay_the_answer() {
    let mut pair = protected(GENEROUS, 200);
    let peer = pair.dial_to(b"server");
    pair.client.endpoint.connect(pair.now, peer).unwrap();
    pair.run(SECOND);
    let octets = [7; 1000];
    for _ in 0..40 {
        let request = Request { timeout: None, ..Request::new(1, 1, 7, &octets) };
        pair.client.endpoint.call(pair.now, peer, request).unwrap();
    }
    pair.fate = Box::new(|flying| if flying.from == SERVER { Fate::Lose } else { Fate::Arrive });
    pair.run_until(Duration::from_millis(100), |pair| {
        pair.server.echo(pair.now);
        false
    });
    let (begins_at, mut count) = (pair.now.saturating_add(pair.delay), 0);
    let former = pair.server.sent.last().unwrap()[1..9].to_vec();
    pair.fate = Box::new(move |flying| {
        let is_data = flying.from == SERVER && flying.octets[0] & 0xe0 == 0x40 && flying.octets[1..9] != former;
        count += u32::from(is_data);
        let age = flying.at.saturating_since(begins_at);
        let is_lost = is_data && (count == 1 || age > Duration::from_millis(35) && age < Duration::from_millis(600));
        if is_lost { Fate::Lose } else { Fate::Arrive }
    });
    pair.client.endpoint.handle_address_change(pair.now);
    pair.client.events.clear();
    let is_connected = |event: &Event| matches!(event, Event::Connected { .. });
    pair.run_until(3 * SECOND, |pair| pair.client.events.iter().any(is_connected));
    let elapsed = pair.now.saturating_since(begins_at);
    assert!(elapsed < Duration::from_millis(100), "{elapsed:?}");
}

/// Each repetition of the hello is acknowledged, and must not put off what the client lacks.
#[test]
fn a_server_repeats_its_part_of_a_handshake_however_often_the_client_does() {
    let mut pair = protected(GENEROUS, 200);
    let peer = pair.dial_to(b"server");
    pair.client.endpoint.connect(pair.now, peer).unwrap();
    let is_handshake = |octets: &[u8]| octets[0] & 0xe0 == 0x80 || octets[0] & 0xe0 == 0xa0;
    pair.fate = Box::new(
        move |flying| {
            if flying.from == SERVER && is_handshake(&flying.octets) { Fate::Lose } else { Fate::Arrive }
        },
    );
    pair.run(8 * SECOND);
    pair.fate = Box::new(|_| Fate::Arrive);
    let is_connected = |event: &Event| matches!(event, Event::Connected { .. });
    assert!(pair.run_until(4 * SECOND, |pair| pair.client.events.iter().any(is_connected)));
}

/// Once both have said hello, the client is seen under another port, or the server forgets it; neither of them knows.
#[test]
fn a_handshake_begins_anew_with_a_server_that_knows_nothing_of_it() {
    for is_restarted in [false, true] {
        let mut pair = protected(GENEROUS, 1500);
        let peer = pair.dial_to(b"server");
        let request = Request { timeout: None, ..Request::new(1, 1, 7, b"hello") };
        pair.client.endpoint.call(pair.now, peer, request).unwrap();
        pair.fate = Box::new(|flying| if flying.octets[0] & 0xe0 == 0xa0 { Fate::Lose } else { Fate::Arrive });
        pair.run(Duration::from_millis(100));
        pair.fate = Box::new(|_| Fate::Arrive);
        if is_restarted {
            pair.server.endpoint = protected(GENEROUS, 1500).server.endpoint;
        } else {
            pair.client.address.set_port(6000);
        }
        assert_eq!(answer(&mut pair).1, b"hello", "restarted: {is_restarted}");
    }
}

/// The pacer thinks of a path with a long round-trip time, and has let out all that it lets out for now.
#[test]
fn a_question_that_the_pacer_holds_back_makes_no_timer_run_wild() {
    let mut pair = protected(GENEROUS, 200);
    let peer = pair.dial_to(b"server");
    pair.delay = SECOND;
    let octets = [7; 1000];
    pair.client.endpoint.call(pair.now, peer, Request { timeout: None, ..Request::new(1, 1, 7, &octets) }).unwrap();
    pair.run_until(20 * SECOND, |pair| {
        pair.server.echo(pair.now);
        false
    });
    pair.delay = Duration::from_millis(10);
    for _ in 0..100 {
        let request = Request { timeout: None, ..Request::new(1, 1, 7, &octets) };
        pair.client.endpoint.call(pair.now, peer, request).unwrap();
    }
    pair.flush();
    pair.client.endpoint.handle_address_change(pair.now);
    let mut step_count = 0;
    pair.run_until(SECOND, |_| {
        step_count += 1;
        step_count > 1000
    });
    assert!(step_count < 1000);
}

#[test]
fn a_session_that_a_restarted_server_does_not_know_is_lost_and_another_one_begins() {
    let mut pair = protected(GENEROUS, 200);
    let peer = pair.dial_to(b"server");
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"before")).unwrap();
    assert_eq!(answer(&mut pair).1, b"before");
    let fresh = protected(GENEROUS, 200);
    pair.server.endpoint = fresh.server.endpoint;
    pair.server.events.clear();
    pair.client.endpoint.handle_address_change(pair.now);
    pair.run(SECOND);
    assert!(pair.client.take(|event| matches!(event, Event::SessionLost { .. }).then_some(())).is_some());
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"after")).unwrap();
    assert_eq!(answer(&mut pair).1, b"after");
}

/// The first datagram that tells of the session is lost; the next one tells of it, too.
#[test]
fn a_client_that_has_heard_of_its_server_knows_its_session() {
    let mut pair = protected(GENEROUS, 200);
    let from_server_count = Rc::new(Cell::new(0));
    let count = Rc::clone(&from_server_count);
    pair.fate = Box::new(move |flying| {
        let is_data = flying.from == SERVER && flying.octets[0] & 0xe0 == 0x40;
        count.set(count.get() + u32::from(is_data));
        if is_data && count.get() != 2 { Fate::Lose } else { Fate::Arrive }
    });
    let peer = pair.dial_to(b"server");
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 7, b"hello")).unwrap();
    let has_sent_twice = |pair: &mut Pair| {
        pair.server.echo(pair.now);
        from_server_count.get() >= 2
    };
    assert!(pair.run_until(2 * SECOND, has_sent_twice));
    pair.run(pair.delay);

    pair.fate = Box::new(|_| Fate::Arrive);
    pair.client.endpoint.handle_address_change(pair.now);
    assert_eq!(answer(&mut pair).1, b"hello");
    assert!(!pair.client.heard(|event| matches!(event, Event::SessionLost { .. })));
}

/// A quarter of all datagrams is lost, and the client comes from elsewhere again and again.
#[test]
fn no_call_is_executed_twice_or_lost_when_a_protected_session_is_resumed_under_loss() {
    for seed in 0..8 {
        let mut pair = protected(GENEROUS, 200);
        let mut dice = Random::new([seed; 32]);
        pair.fate = Box::new(move |_| match dice.below(8) {
            0 | 1 => Fate::Lose,
            2 => Fate::Twice,
            _ => Fate::Arrive,
        });
        let peer = pair.dial_to(b"server");
        let (mut executed, mut answered) = (0, 0);
        for round in 0..100_u32 {
            let octets = [7; 3000];
            let request = Request { timeout: None, ..Request::new(1, 1, 7, &octets) };
            pair.client.endpoint.call(pair.now, peer, request).unwrap();
            // What proves that the session is ours comes with the first answers.
            if round % 10 == 9 && pair.client.events.iter().any(|it| matches!(it, Event::CallEnded { .. })) {
                pair.client.endpoint.handle_address_change(pair.now);
            }
            pair.run_until(Duration::from_millis(60), |pair| {
                executed += pair.server.echo(pair.now);
                false
            });
        }
        pair.run_until(60 * SECOND, |pair| {
            executed += pair.server.echo(pair.now);
            while let Some(outcome) = pair.client.take(|event| match event {
                Event::CallEnded { outcome, .. } => Some(*outcome),
                _ => None,
            }) {
                let Outcome::Ok(reply) = outcome else { panic!("{outcome:?} with seed {seed}") };
                assert_eq!(pair.client.endpoint.payload(reply), Ok(&[7; 3000][..]));
                pair.client.endpoint.release(pair.now, reply).unwrap();
                answered += 1;
            }
            answered == 100
        });
        assert_eq!((executed, answered), (100, 100), "seed {seed}");
        for host in [&pair.client, &pair.server] {
            let counters = host.endpoint.counters();
            assert_eq!((counters.violations, counters.broken), (0, 0), "seed {seed}");
        }
    }
}
