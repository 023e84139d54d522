//! How often a loop wakes, and who gets a turn in it.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at few of the events")]

use core::time::Duration;

use mio::{Events, Interest, Poll, Token};
use posthaste_mio::{Answer, BusyPoll, Config, Endpoint, Event, Outcome, Request, SocketOptions, Unknown};
use support::sleep;

mod support;

fn endpoint(poll: &Poll, token: usize) -> Endpoint {
    let addr = "127.0.0.1:0".parse().unwrap();
    let mut endpoint = Endpoint::bind_insecure(addr, Config::lan(), &SocketOptions::default()).unwrap();
    poll.registry().register(&mut endpoint, Token(token), Interest::READABLE).unwrap();
    endpoint
}

#[test]
fn a_deadline_below_the_granularity_of_the_selector_does_not_spin() {
    let mut poll = Poll::new().unwrap();
    let mut ready = Events::with_capacity(4);
    // Nobody answers: only the deadlines of the client wake the loop.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut client = endpoint(&poll, 0);
    let begun_at = client.now();
    let peer = client.peer(silent.local_addr().unwrap()).unwrap();
    let request = Request { timeout: Some(TIMEOUT), ..Request::new(1, 1, 1, &[]) };
    let call = client.call(peer, request).unwrap();

    let mut wake_count = 0;
    let outcome = 'turns: loop {
        client.transmit().unwrap();
        let timeout = client.next_timeout();
        // Zero is for a deadline that has passed, as where this thread had no core.
        let has_passed = client.now().saturating_since(begun_at) >= TIMEOUT;
        let is_right = |timeout: Duration| timeout >= Duration::from_millis(1) || (has_passed && timeout.is_zero());
        assert!(timeout.is_none_or(is_right), "{timeout:?}");
        wake_count += usize::from(sleep(&mut poll, &mut ready, timeout));
        client.process().unwrap();
        while let Some(event) = client.poll_event() {
            if let Event::CallEnded { call: ended, outcome } = event {
                assert_eq!(ended, call);
                break 'turns outcome;
            }
        }
    };

    assert!(matches!(outcome, Outcome::Unknown(Unknown::Deadline) | Outcome::NotExecuted(_)), "{outcome:?}");
    assert!(wake_count <= 2, "{wake_count} wake-ups for one deadline");
}

#[test]
fn a_loop_looks_again_for_a_while_where_several_calls_are_under_way() {
    // Nobody answers.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let looks = |busy_poll, call_count| {
        let options = SocketOptions { busy_poll, ..SocketOptions::default() };
        let mut client = Endpoint::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan(), &options).unwrap();
        let peer = client.peer(silent.local_addr().unwrap()).unwrap();
        for _ in 0..call_count {
            client.call(peer, Request::new(1, 1, 1, &[])).unwrap();
        }
        client.transmit().unwrap();
        (client.next_timeout() == Some(Duration::ZERO), client)
    };

    let (looks_for_several, mut client) = looks(BusyPoll::WhilePrompt, 2);
    assert!(looks_for_several);
    while client.next_timeout() == Some(Duration::ZERO) {
        client.process().unwrap();
        client.transmit().unwrap();
    }
    for (busy_poll, call_count, expected) in [
        (BusyPoll::WhilePrompt, 1, false),
        (BusyPoll::Never, 2, false),
        (BusyPoll::UpTo(Duration::ZERO), 2, false),
        (BusyPoll::UpTo(Duration::MAX), 1, true),
    ] {
        assert_eq!(looks(busy_poll, call_count).0, expected, "{busy_poll:?} {call_count}");
    }
}

#[test]
fn a_flood_of_rubbish_leaves_the_loop_its_turns() {
    let mut poll = Poll::new().unwrap();
    let mut ready = Events::with_capacity(4);
    let mut server = endpoint(&poll, 0);
    let flood = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for index in 0..150_usize {
        flood.send_to(&[0; 3][..index % 4], server.local_addr()).unwrap();
    }

    while !sleep(&mut poll, &mut ready, None) {}
    ready.iter().for_each(|event| server.handle_event(event));
    let mut received = Vec::new();
    while server.next_timeout() == Some(Duration::ZERO) {
        let before = server.counters().datagrams_received;
        server.process().unwrap();
        received.push(server.counters().datagrams_received - before);
    }

    assert!(received.iter().all(|count| *count <= 64), "{received:?}");
    assert_eq!(received.iter().sum::<u64>(), 150);
}

#[test]
fn many_endpoints_share_a_loop_and_each_call_is_answered_by_its_own() {
    let mut poll = Poll::new().unwrap();
    let mut ready = Events::with_capacity(64);
    let mut servers: Vec<_> = (0..8).map(|index| endpoint(&poll, index)).collect();
    let mut clients: Vec<_> = (8..16).map(|index| endpoint(&poll, index)).collect();
    for (index, (client, server)) in clients.iter_mut().zip(&servers).enumerate() {
        let peer = client.peer(server.local_addr()).unwrap();
        client.call(peer, Request::new(1, 1, 1, &[index as u8])).unwrap();
        client.transmit().unwrap();
    }

    let mut replies = vec![None; clients.len()];
    while replies.iter().any(Option::is_none) {
        let timeout = servers.iter_mut().chain(&mut clients).filter_map(Endpoint::next_timeout).min();
        sleep(&mut poll, &mut ready, timeout);
        for event in &ready {
            let index = event.token().0;
            let endpoint = if index < 8 { &mut servers[index] } else { &mut clients[index - 8] };
            endpoint.handle_event(event);
        }
        for (index, endpoint) in servers.iter_mut().chain(&mut clients).enumerate() {
            endpoint.process().unwrap();
            while let Some(event) = endpoint.poll_event() {
                match event {
                    Event::CallReceived { call } => {
                        endpoint.begin(call).unwrap();
                        let reply = [endpoint.incoming_call(call).unwrap().arguments[0], index as u8];
                        endpoint.reply(call, Answer::Ok, &reply, &[]).unwrap();
                    }
                    Event::CallEnded { outcome: Outcome::Ok(reply), .. } => {
                        replies[index - 8] = Some(endpoint.payload(reply).unwrap().to_vec());
                        endpoint.release(reply).unwrap();
                    }
                    _ => {}
                }
            }
            endpoint.transmit().unwrap();
        }
    }

    for (index, reply) in replies.into_iter().enumerate() {
        assert_eq!(reply, Some(vec![index as u8; 2]));
    }
}

const TIMEOUT: Duration = Duration::from_micros(300);
