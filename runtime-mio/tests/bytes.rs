//! Octets that are handed over and not copied.

use mio::{Events, Interest, Poll, Token};
use posthaste_mio::{Body, Bytes, Config, Delivery, Endpoint, Event, Message, SocketOptions};
use support::sleep;

mod support;

#[test]
fn a_message_is_read_in_place_until_it_is_acknowledged() {
    let (mut poll, mut ready) = (Poll::new().unwrap(), Events::with_capacity(4));
    let bind = |token| {
        let address = "127.0.0.1:0".parse().unwrap();
        let mut endpoint = Endpoint::bind_insecure(address, Config::lan(), &SocketOptions::default()).unwrap();
        poll.registry().register(&mut endpoint, token, Interest::READABLE).unwrap();
        endpoint
    };
    let (mut client, mut server) = (bind(Token(0)), bind(Token(1)));
    let peer = client.peer(server.local_addr()).unwrap();
    let octets = Bytes::from(vec![7; 100_000]);
    let body = Body::Shared(octets.clone());
    client.send(peer, Message { delivery: Delivery::Reliable, priority: 1, body }).unwrap();
    assert!(!octets.is_unique());

    let (mut has_arrived, mut is_acknowledged) = (false, false);
    while !(has_arrived && is_acknowledged) {
        client.transmit().unwrap();
        server.transmit().unwrap();
        let timeout = [client.next_timeout(), server.next_timeout()].into_iter().flatten().min();
        sleep(&mut poll, &mut ready, timeout);
        for event in &ready {
            if event.token() == Token(0) { &mut client } else { &mut server }.handle_event(event);
        }
        server.process().unwrap();
        while let Some(event) = server.poll_event() {
            if let Event::MessageReceived { message, .. } = event {
                assert_eq!(server.payload(message).unwrap(), octets);
                server.release(message).unwrap();
                has_arrived = true;
            }
        }
        client.process().unwrap();
        while let Some(event) = client.poll_event() {
            is_acknowledged |= matches!(event, Event::MessageAcknowledged { .. });
        }
    }
    assert!(octets.is_unique());
}
