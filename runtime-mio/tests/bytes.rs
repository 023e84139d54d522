//! Octets that are handed over and taken, and not copied.

use mio::{Events, Interest, Poll, Token};
use posthaste_mio::{
    Answer, Body, Bytes, Config, Delivery, Endpoint, Event, Message, Outcome, PeerId, Request, SocketOptions,
};
use support::sleep;

mod support;

#[test]
fn a_message_is_read_in_place_until_it_is_acknowledged_and_taken_where_it_lies() {
    let mut pair = Pair::open();
    let octets = pattern(100_000);
    let body = Body::Shared(octets.clone());
    pair.client.send(pair.peer, Message { delivery: Delivery::Reliable, priority: 1, body }).unwrap();
    assert!(!octets.is_unique());

    let (mut taken, mut is_acknowledged) = (None, false);
    while taken.is_none() || !is_acknowledged {
        pair.turn();
        while let Some(event) = pair.server.poll_event() {
            if let Event::MessageReceived { message, .. } = event {
                let place = pair.server.payload(message).unwrap().as_ptr();
                let message = pair.server.take_payload(message).unwrap();
                assert_eq!(message.as_ptr(), place);
                taken = Some(message);
            }
        }
        while let Some(event) = pair.client.poll_event() {
            is_acknowledged |= matches!(event, Event::MessageAcknowledged { .. });
        }
    }
    assert!(octets.is_unique());
    // Nobody holds what was taken but its owner.
    drop(pair);
    assert_eq!(taken.unwrap(), octets);
}

#[test]
fn arguments_and_a_reply_are_taken_where_they_lie_if_they_are_long() {
    let mut pair = Pair::open();
    for len in [1, 16_383, 16_384, 100_000] {
        let octets = pattern(len);
        let request = Request { body: Body::Shared(octets.clone()), ..Request::new(1, 1, 7, &[]) };
        pair.client.call(pair.peer, request).unwrap();
        let mut reply = None;
        while reply.is_none() {
            pair.turn();
            while let Some(event) = pair.server.poll_event() {
                if let Event::CallReceived { call } = event {
                    pair.server.begin(call).unwrap();
                    let place = pair.server.incoming_call(call).unwrap().arguments.as_ptr();
                    let arguments = pair.server.take_arguments(call).unwrap();
                    assert_eq!(arguments.as_ptr() == place, len >= 16_384);
                    pair.server.reply(call, Answer::Ok, &arguments, &[]).unwrap();
                }
            }
            while let Some(event) = pair.client.poll_event() {
                if let Event::CallEnded { outcome, .. } = event {
                    let Outcome::Ok(message) = outcome else { panic!("{outcome:?}") };
                    let place = pair.client.payload(message).unwrap().as_ptr();
                    let taken = pair.client.take_payload(message).unwrap();
                    assert_eq!(taken.as_ptr() == place, len >= 16_384);
                    reply = Some(taken);
                }
            }
        }
        assert_eq!(reply.unwrap(), octets);
    }
}

#[test]
fn a_reply_is_read_in_place_until_it_is_acknowledged() {
    let mut pair = Pair::open();
    let octets = pattern(pair.client.config().message_len_max.min(1 << 20));
    pair.client.call(pair.peer, Request::new(1, 1, 7, b"call")).unwrap();
    let mut reply = None;
    while reply.is_none() {
        pair.turn();
        while let Some(event) = pair.server.poll_event() {
            if let Event::CallReceived { call } = event {
                pair.server.begin(call).unwrap();
                pair.server.reply_body(call, Answer::Ok, Body::Shared(octets.clone()), &[]).unwrap();
                pair.server.transmit().unwrap();
                assert!(!octets.is_unique());
            }
        }
        while let Some(event) = pair.client.poll_event() {
            if let Event::CallEnded { outcome, .. } = event {
                let Outcome::Ok(message) = outcome else { panic!("{outcome:?}") };
                reply = Some(pair.client.take_payload(message).unwrap());
            }
        }
    }
    assert_eq!(reply.unwrap(), octets);
    while !octets.is_unique() {
        pair.turn();
    }
}

/// A client and a server in one loop.
struct Pair {
    client: Endpoint,
    server: Endpoint,
    /// The server, as the client knows it.
    peer: PeerId,
    poll: Poll,
    ready: Events,
}

impl Pair {
    fn open() -> Self {
        let poll = Poll::new().unwrap();
        let [mut client, server] = [Token(0), Token(1)].map(|token| {
            let address = "127.0.0.1:0".parse().unwrap();
            let mut endpoint = Endpoint::bind_insecure(address, Config::lan(), &SocketOptions::default()).unwrap();
            poll.registry().register(&mut endpoint, token, Interest::READABLE).unwrap();
            endpoint
        });
        let peer = client.peer(server.local_addr()).unwrap();
        Self { client, server, peer, poll, ready: Events::with_capacity(4) }
    }

    /// Sends what is to be sent, and sleeps until something has come.
    fn turn(&mut self) {
        self.client.transmit().unwrap();
        self.server.transmit().unwrap();
        let timeout = [self.client.next_timeout(), self.server.next_timeout()].into_iter().flatten().min();
        sleep(&mut self.poll, &mut self.ready, timeout);
        for event in &self.ready {
            if event.token() == Token(0) { &mut self.client } else { &mut self.server }.handle_event(event);
        }
        self.server.process().unwrap();
        self.client.process().unwrap();
    }
}

fn pattern(len: usize) -> Bytes {
    (0..len).map(|at| at as u8).collect()
}
