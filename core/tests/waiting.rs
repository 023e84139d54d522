//! What waits goes on, or ends, without a word of the peer that it is for.
#![cfg(feature = "alloc")]
#![expect(clippy::wildcard_enum_match_arm, reason = "each test looks at some of the events")]

#[path = "support/forger.rs"]
mod forger;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use forger::{Forger, items_of};
use posthaste_core::endpoint::{Body, Delivery, Event, Message, Remote, Streamed};
use posthaste_core::wire::{Data, Extent, Flow, Form, Frame, Parameters, Seq};
use posthaste_core::{Config, Endpoint, Instant, PeerId, SendId, Storage};

/// One peer's messages hold all records of what is in flight. The other's wait without a clock, and go out when they are
/// acknowledged, before what the first one has left.
#[test]
fn work_that_found_the_pools_full_goes_out_when_others_leave_room() {
    let mut config = Config::bare();
    config.sent_datagram_count_max = 4;
    let mut victim = server(config);
    let (mut greedy, many) = open(&mut victim, 1);
    let (mut modest, few) = open(&mut victim, 2);
    let now = run_until_idle(&mut victim);
    for _ in 0..3 {
        send(&mut victim, now, many, &[1; 4000]);
    }
    assert_eq!(greedy.drain(&mut victim, now).len(), 4, "the whole pool");
    let deadline = victim.poll_timeout();
    send(&mut victim, now, few, &[2; 100]);
    assert!(modest.drain(&mut victim, now).is_empty(), "no record is left for it");
    assert!(!victim.has_transmit());
    assert_eq!(victim.poll_timeout(), deadline, "only for the loss of what is in flight");

    greedy.acknowledge(&mut victim, now).unwrap();
    assert!(victim.has_transmit());
    let mut out = [0; 1500];
    let first = victim.poll_transmit(now, &mut out).expect("there is room");
    assert_eq!(first.to, modest.address);
}

/// As above, but nothing is ever acknowledged. Each probe gives the record of an older datagram up, for who has waited.
#[test]
fn a_probe_makes_room_for_others_first() {
    let mut config = Config::bare();
    config.sent_datagram_count_max = 4;
    let mut victim = server(config);
    let (mut greedy, many) = open(&mut victim, 1);
    let (mut modest, few) = open(&mut victim, 2);
    let mut now = run_until_idle(&mut victim);
    for _ in 0..3 {
        send(&mut victim, now, many, &[1; 4000]);
    }
    assert_eq!(greedy.drain(&mut victim, now).len(), 4, "the whole pool");
    send(&mut victim, now, few, &[2; 100]);
    assert!(modest.drain(&mut victim, now).is_empty(), "no record is left for it");

    now = victim.poll_timeout().expect("the probe is to come");
    victim.handle_timeout(now);
    let mut out = [0; 1500];
    let first = victim.poll_transmit(now, &mut out).expect("there is room");
    assert_eq!(first.to, modest.address);
    assert!(!greedy.drain(&mut victim, now).is_empty(), "and the probe");
}

/// The record that a probe gives up may be that of a message which is sent only once, and ends with it.
#[test]
fn a_probe_that_ends_a_message_tells_so_before_it_is_sent() {
    let mut config = Config::bare();
    config.sent_datagram_count_max = 2;
    let mut victim = server(config);
    let (mut greedy, many) = open(&mut victim, 1);
    let mut now = run_until_idle(&mut victim);
    for _ in 0..2 {
        let message = Message { delivery: Delivery::Unreliable, priority: 1, body: Body::Copied(&[1; 1000]) };
        victim.send(now, many, message).unwrap();
    }
    assert_eq!(greedy.drain(&mut victim, now).len(), 2, "the whole pool");
    now = victim.poll_timeout().expect("the probe is to come");
    victim.handle_timeout(now);
    let failed =
        core::iter::from_fn(|| victim.poll_event()).filter(|event| matches!(event, Event::MessageFailed { .. }));
    assert_eq!(failed.count(), 2);
    assert!(!greedy.drain(&mut victim, now).is_empty(), "a probe all the same");
    assert_eq!(victim.poll_event(), None);
}

/// Who waits for memory is no reason to ask for a datagram, or whoever leaves the next command to that would wait for ever.
#[test]
fn who_waits_for_memory_has_something_to_hear_only_when_there_is_some() {
    let mut config = Config::lan();
    (config.payload_memory, config.message_len_max, config.credit) = (1 << 16, 1200, 4096);
    let mut victim = server(config);
    let mut peers: Vec<Forger> = (1..=13).map(|host| open(&mut victim, host).0).collect();
    let now = run_until_idle(&mut victim);
    for forger in &mut peers {
        for seq in 0..4 {
            let flow = Flow::Message { seq: Seq(seq) };
            let message = Data { flow, form: Form::Entire, extent: Extent::Counted, data: &[7; 1000] };
            forger.say(&mut victim, now, &[Frame::Data(message)]).unwrap();
        }
    }
    let mut held: Vec<_> = core::iter::from_fn(|| victim.poll_event())
        .filter_map(|event| if let Event::MessageReceived { message, .. } = event { Some(message) } else { None })
        .collect();
    assert_eq!(held.len(), 13 * 4, "more than three quarters of the memory");
    let last = peers.len() - 1;
    let heard = |forger: &mut Forger, victim: &mut Endpoint<'_>| {
        let datagrams = forger.drain(victim, now);
        let frames = datagrams.iter().filter_map(|datagram| forger.read(datagram)).flat_map(|(_, frames)| frames);
        frames.map(Result::unwrap).any(|frame| matches!(frame, Frame::Credit { .. }))
    };

    victim.release(now, held.pop().unwrap()).unwrap();
    assert!(!heard(&mut peers[last], &mut victim), "there is no credit for anybody");
    assert!(!victim.has_transmit());

    for message in held.drain(..4) {
        victim.release(now, message).unwrap();
    }
    assert!(victim.has_transmit());
    assert!(heard(&mut peers[last], &mut victim), "what the others leave is for all");
    assert!(!victim.has_transmit());
}

/// Of those who waited for memory, some want no credit once there is some. They are no reason to ask for a datagram, and stand in
/// nobody's way: who waits behind them has used up what it had, and would never be heard of again.
#[test]
fn who_wants_no_credit_makes_way_for_who_does() {
    let mut config = Config::lan();
    (config.payload_memory, config.message_len_max, config.credit) = (1 << 16, 1200, 1 << 14);
    config.datagram_len_max = 1500;
    let mut victim = server(config);
    let (mut peers, ids): (Vec<Forger>, Vec<PeerId>) = (1..=10).map(|host| open(&mut victim, host)).unzip();
    let now = run_until_idle(&mut victim);
    for (forger, count) in peers.iter_mut().zip([4, 4, 16, 4, 4, 4, 4, 4, 4, 4]) {
        for seq in 0..count {
            let flow = Flow::Message { seq: Seq(seq) };
            let message = Data { flow, form: Form::Entire, extent: Extent::Counted, data: &[7; 1000] };
            forger.say(&mut victim, now, &[Frame::Data(message)]).unwrap();
        }
    }
    let mut held = vec![None; ids.len()];
    while let Some(event) = victim.poll_event() {
        let Event::MessageReceived { peer, message, .. } = event else { continue };
        held[ids.iter().position(|id| *id == peer).unwrap()] = Some(message);
    }
    let now = now.max(run_until_idle(&mut victim));

    // The first three find little memory, the other two leave some.
    for message in held.into_iter().take(5).flatten() {
        victim.release(now, message).unwrap();
    }
    let datagrams = peers[2].drain(&mut victim, now);
    let mut frames = datagrams.iter().filter_map(|datagram| peers[2].read(datagram)).flat_map(|(_, frames)| frames);
    assert!(frames.any(|frame| matches!(frame, Ok(Frame::Credit { .. }))));
    assert!(!victim.has_transmit());
}

/// What tells of the deadline may ask for it between a command and the datagram that follows, and several peers' datagrams leave in one
/// go: whoever hears nothing is sent everything again.
#[test]
fn what_left_is_repeated_whenever_the_deadline_was_asked_for() {
    let mut config = Config::lan();
    config.datagram_len_max = 1500;
    let mut victim = server(config);
    let peers = [1, 2].map(|host| open(&mut victim, host));
    let mut now = run_until_idle(&mut victim);
    for (_, id) in &peers {
        send(&mut victim, now, *id, &[1; 100]);
        let _ = victim.poll_timeout();
    }
    let mut sent_counts = [0; 2];
    while sent_counts.iter().any(|count| *count < 3) {
        let mut out = [0; 1500];
        while let Some(transmit) = victim.poll_transmit(now, &mut out) {
            sent_counts[peers.iter().position(|(forger, _)| forger.address == transmit.to).unwrap()] += 1;
        }
        now = victim.poll_timeout().expect("neither has heard anything");
        victim.handle_timeout(now);
        assert!(sent_counts.iter().all(|count| *count < 8), "{sent_counts:?}");
    }
}

/// A deadline may pass while other peers keep whoever drives too busy to ask for it: what it is for goes out all the same.
#[test]
fn what_may_leave_later_leaves_though_its_deadline_was_never_asked_for() {
    let sent_count = |asks: bool| {
        let mut victim = server(Config::lan());
        let (mut paced, id) = open(&mut victim, 1);
        let (mut busy, other) = open(&mut victim, 2);
        let mut now = run_until_idle(&mut victim);
        let mut count = 0;
        send(&mut victim, now, id, &[1; 10_000]);
        paced.drain(&mut victim, now);
        now = now.saturating_add(Duration::from_millis(10));
        paced.acknowledge(&mut victim, now).unwrap();
        send(&mut victim, now, id, &[1; 50_000]);
        for _ in 0..5 {
            count += paced.drain(&mut victim, now).len();
            if asks {
                let _ = victim.poll_timeout();
            }
            now = now.saturating_add(Duration::from_millis(1));
            send(&mut victim, now, other, &[2; 10]);
            if victim.poll_timeout().is_some_and(|at| at <= now) {
                victim.handle_timeout(now);
            }
        }
        busy.drain(&mut victim, now);
        count
    };
    assert!(sent_count(true) > 0);
    assert_eq!(sent_count(false), sent_count(true));
}

/// The rate of the endpoint holds up what strangers are answered with, too, and nobody else reminds of it.
#[test]
fn answers_to_strangers_leave_as_the_rate_lets_them() {
    let mut config = Config::lan();
    config.rate_max = Some(10_000);
    let mut victim = server(config);
    let stranger = Forger::new(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 2, 1)), 9));
    for number in 0..5 {
        let hello = stranger.hello(&[], number, &[Frame::Parameters(&items_of(&Parameters::default()))]);
        let _ = stranger.deliver(&mut victim, START, hello);
    }
    let mut now = START;
    let mut out = vec![0; victim.config().datagram_len_max];
    let mut answer_count = 0;
    while answer_count < 5 {
        answer_count += core::iter::from_fn(|| victim.poll_transmit(now, &mut out)).count();
        if answer_count < 5 {
            now = victim.poll_timeout().expect("the rate lets the next one out some day");
            victim.handle_timeout(now);
        }
    }
    assert!((10..100).contains(&now.saturating_since(START).as_millis()), "{now:?}");
}

/// The socket may be full for as long as it likes: what is to be sent then is no reason to look at the clock.
#[test]
fn what_is_to_be_sent_by_now_has_no_deadline_until_it_was_sent() {
    let mut victim = server(Config::lan());
    let (mut client, _) = open(&mut victim, 1);
    let mut now = run_until_idle(&mut victim);
    client.say(&mut victim, now, &[Frame::Ping]).unwrap();
    let called = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2)), 9);
    let called = victim.peer(now, &Remote { address: called, identity: &[] }).unwrap();
    send(&mut victim, now, called, &[1; 10]);
    assert!(victim.has_transmit());
    let mut timeout_count = 0;
    while let Some(deadline) = victim.poll_timeout() {
        timeout_count += 1;
        assert!(timeout_count < 10, "the acknowledgement, the end of the opening and of its peer");
        now = deadline;
        victim.handle_timeout(now);
        while victim.poll_event().is_some() {}
    }
    assert!(!client.drain(&mut victim, now).is_empty(), "the acknowledgement");
}

/// Two conversations share a path, and what the one has in flight fills the window of both. It may be that the peer has no room for
/// it before it hears what the other one has to say.
#[test]
fn who_finds_the_window_full_of_what_others_sent_probes() {
    let mut config = Config::bare();
    (config.sent_datagram_count_max, config.exchange_count_max) = (64, 64);
    let mut victim = server(config);
    let (mut greedy, many) = open(&mut victim, 1);
    let mut modest = Forger::new(greedy.address);
    modest.ours.0[0] = 1;
    let few = open_as(&mut modest, &mut victim);
    let mut now = run_until_idle(&mut victim);
    for _ in 0..3 {
        send(&mut victim, now, many, &[1; 4000]);
    }
    let first = greedy.drain(&mut victim, now);
    assert!(first.iter().all(|datagram| greedy.read(datagram).is_some()), "the whole window");
    send(&mut victim, now, few, &[2; 100]);
    let begun_at = now;
    let mut is_sent = false;
    while !is_sent {
        is_sent = greedy.drain(&mut victim, now).iter().any(|datagram| modest.read(datagram).is_some());
        now = victim.poll_timeout().expect("the probe is to come");
        victim.handle_timeout(now);
    }
    assert!(now < begun_at.saturating_add(victim.config().silence_timeout));
}

/// The pieces of one peer's message hold all frames that can be booked, and are never acknowledged: it may be that their receiver has no room for
/// them before it hears what there is to announce, be it on that conversation or on another one.
#[test]
fn what_cannot_be_booked_is_announced_all_the_same_until_it_can() {
    let mut config = Config::bare();
    (config.sent_frame_count_max, config.stream_window) = (4 + 1, 1024);
    let mut victim = server(config);
    let (mut greedy, many) = open(&mut victim, 1);
    let mut modest = Forger::new(greedy.address);
    modest.ours.0[0] = 1;
    open_as(&mut modest, &mut victim);
    let mut now = run_until_idle(&mut victim);
    send(&mut victim, now, many, &[1; 4000]);
    assert_eq!(greedy.drain(&mut victim, now).len(), 4, "a frame in each");
    take_two_messages(&mut victim, now, &mut modest);
    victim.drain(now);
    assert!(greedy.drain(&mut victim, now).is_empty(), "no frame is left");

    let all = ["drain", "taken", "credit"];
    let begun_at = now;
    let (mut told, mut heard) = (Vec::new(), Vec::new());
    while told.is_empty() {
        now = victim.poll_timeout().expect("the probe is to come");
        victim.handle_timeout(now);
        let datagrams = greedy.drain(&mut victim, now);
        told = announcements(&mut modest, &datagrams);
        heard = announcements(&mut greedy, &datagrams);
    }
    assert_eq!(told, all);
    // What is announced beside it may leave less room for the piece than it had.
    heard.dedup();
    assert_eq!(heard, ["drain", "data"], "beside what the probe is for");
    assert!(now < begun_at.saturating_add(victim.config().silence_timeout));

    modest.acknowledge(&mut victim, now).unwrap();
    greedy.acknowledge(&mut victim, now).unwrap();
    let datagrams = greedy.drain(&mut victim, now);
    assert_eq!(announcements(&mut modest, &datagrams), all, "booked");
    modest.acknowledge(&mut victim, now).unwrap();
    greedy.acknowledge(&mut victim, now).unwrap();
    assert!(greedy.drain(&mut victim, now).is_empty());
}

/// All frames that can be booked are pieces of a message, each longer than a probe: none can be cut without one more.
#[test]
fn a_probe_goes_out_although_nothing_fits_into_it() {
    let mut victim = server(with_four_frames());
    let (mut greedy, many) = open(&mut victim, 1);
    let mut now = send_four_long_pieces(&mut victim, many, &mut greedy);
    for _ in 0..3 {
        now = now.max(victim.poll_timeout().expect("the probe is to come"));
        victim.handle_timeout(now);
        assert!(!greedy.drain(&mut victim, now).is_empty());
    }
}

/// As above, and the path takes no datagrams any more that are as long.
#[test]
fn pieces_that_have_become_too_long_for_the_path_are_cut_though_all_frames_are_in_use() {
    let mut victim = server(with_four_frames());
    let (mut greedy, many) = open(&mut victim, 1);
    let mut now = send_four_long_pieces(&mut victim, many, &mut greedy);
    greedy.received.clear();
    let begun_at = now;
    while victim.usage().outgoing > 0 {
        let datagrams = greedy.drain(&mut victim, now);
        if datagrams.is_empty() {
            now = now.max(victim.poll_timeout().expect("it is to be sent again"));
            victim.handle_timeout(now);
        }
        for datagram in datagrams.iter().filter(|datagram| datagram.len() > 1200) {
            let (number, _) = greedy.read(datagram).unwrap();
            greedy.received.retain(|received| *received != number);
        }
        greedy.acknowledge(&mut victim, now).unwrap();
    }
    assert!(now < begun_at.saturating_add(victim.config().silence_timeout), "{now:?}");
}

/// A client that was lost for longer than its lease owes an end to what was sent to it, whether or not anybody else says a word.
#[test]
fn what_was_sent_to_a_lost_client_ends_with_its_lease() {
    let mut victim = server(Config::bare());
    let (mut lost, peer) = open(&mut victim, 1);
    let sent = send(&mut victim, START, peer, &[1; 100]);
    let failed = Event::MessageFailed { message: sent };
    let lease_end = START.saturating_add(victim.config().lease);
    let mut now = START;
    while !core::iter::from_fn(|| victim.poll_event()).any(|event| event == failed) {
        lost.drain(&mut victim, now);
        now = victim.poll_timeout().expect("the end of the message is still to come");
        victim.handle_timeout(now);
    }
    assert_eq!(now, lease_end);
}

/// An application that asks for something all the time puts off nothing.
#[test]
fn what_is_due_stays_due_however_much_is_asked_for() {
    let mut victim = server(Config::bare());
    let (mut client, peer) = open(&mut victim, 1);
    send(&mut victim, START, peer, &[1; 100]);
    client.drain(&mut victim, START);
    let due_at = victim.poll_timeout().expect("what was sent may be lost");

    for late in [1, 2, 3] {
        let now = due_at.saturating_add(Duration::from_millis(late));
        victim.flush(now, peer).unwrap();
        assert!(client.drain(&mut victim, now).is_empty(), "nothing else is to be sent");
        assert_eq!(victim.poll_timeout(), Some(due_at));
    }
    let now = due_at.saturating_add(Duration::from_millis(3));
    victim.handle_timeout(now);
    assert!(victim.poll_timeout().is_some_and(|at| at > now));
    assert!(!client.drain(&mut victim, now).is_empty(), "an acknowledgement or a probe");
}

fn send(victim: &mut Endpoint<'_>, now: Instant, peer: PeerId, octets: &[u8]) -> SendId {
    let message = Message { delivery: Delivery::Reliable, priority: 1, body: Body::Copied(octets) };
    victim.send(now, peer, message).unwrap()
}

fn with_four_frames() -> Config {
    let mut config = Config::lan();
    config.sent_frame_count_max = 4 + 1;
    config
}

/// Finds out that the path takes long datagrams, and sends as many as there are frames; returns when.
fn send_four_long_pieces(victim: &mut Endpoint<'_>, peer: PeerId, forger: &mut Forger) -> Instant {
    let mut now = START;
    let mut len_max = 0;
    while len_max <= 1400 {
        send(victim, now, peer, &[1; 20_000]);
        while victim.has_transmit() {
            len_max = forger.drain(victim, now).iter().map(Vec::len).max().unwrap_or(len_max);
            now = now.saturating_add(Duration::from_millis(1));
            forger.acknowledge(victim, now).unwrap();
        }
    }
    send(victim, now, peer, &[1; 20_000]);
    let datagrams = forger.drain(victim, now);
    assert_eq!(datagrams.iter().filter(|datagram| datagram.len() > 1400).count(), 4);
    now
}

/// Lets a peer send a message on a channel, and a part of a stream, and the victim take both.
fn take_two_messages(victim: &mut Endpoint<'_>, now: Instant, peer: &mut Forger) {
    let data = |flow, form| Frame::Data(Data { flow, form, extent: Extent::Counted, data: &[7; 1024] });
    let message = data(Flow::Ordered { seq: Seq(0), channel: 5, position: 0 }, Form::Entire);
    let stream = data(Flow::Message { seq: Seq(1) }, Form::Stream { offset: 0 });
    peer.say(victim, now, &[message, stream]).unwrap();
    let mut out = [0; 1024];
    while let Some(event) = victim.poll_event() {
        match event {
            Event::MessageReceived { message, .. } => victim.release(now, message).unwrap(),
            Event::StreamReceived { stream, .. } => {
                assert_eq!(victim.read(now, stream, &mut out), Ok(Streamed::Octets(1024)))
            }
            _ => {}
        }
    }
}

/// Lets a peer hear what arrived for it, and returns what was announced, and where there was data.
fn announcements(peer: &mut Forger, datagrams: &[Vec<u8>]) -> Vec<&'static str> {
    datagrams.iter().for_each(|datagram| peer.hear(datagram));
    let frames = datagrams.iter().filter_map(|datagram| peer.read(datagram)).flat_map(|(_, frames)| frames);
    let name = |frame| match frame {
        Frame::Drain => Some("drain"),
        Frame::Taken { .. } => Some("taken"),
        Frame::StreamCredit { .. } => Some("credit"),
        Frame::Data(_) => Some("data"),
        _ => None,
    };
    frames.map(Result::unwrap).filter_map(name).collect()
}

fn open(victim: &mut Endpoint<'_>, host: u8) -> (Forger, PeerId) {
    let mut forger = Forger::new(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 2, host)), 9));
    let peer = open_as(&mut forger, victim);
    (forger, peer)
}

fn open_as(forger: &mut Forger, victim: &mut Endpoint<'_>) -> PeerId {
    forger.reopen(victim, START, &Parameters { credit: 1 << 20, datagram_len_max: 1500, ..Parameters::default() });
    let connected = |event| if let Event::Connected { peer } = event { Some(peer) } else { None };
    core::iter::from_fn(|| victim.poll_event()).find_map(connected).expect("a peer")
}

/// Lets what is delayed go out, as acknowledgements are; returns when the last did.
fn run_until_idle(victim: &mut Endpoint<'_>) -> Instant {
    let mut now = START;
    let mut out = [0; 1500];
    while let Some(at) = victim.poll_timeout() {
        now = at;
        victim.handle_timeout(now);
        while victim.poll_transmit(now, &mut out).is_some() {}
    }
    now
}

fn server(config: Config) -> Endpoint<'static> {
    let storage = Storage::owned(&config);
    Endpoint::new_insecure(config, storage, [1; 32], START).unwrap()
}

const START: Instant = Instant::from_nanos(1_000_000_000);
