//! When many calls are made in one turn of the loop.

use mio::{Events, Interest, Poll, Token};
use posthaste_mio::{Config, Endpoint, Event, Request, SocketOptions};
use support::sleep;

mod support;

#[test]
fn of_many_calls_in_a_row_the_first_leave_while_the_others_are_made() {
    let bind =
        || Endpoint::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan(), &SocketOptions::default()).unwrap();
    let (mut client, mut server) = (bind(), bind());
    let (mut poll, mut ready) = (Poll::new().unwrap(), Events::with_capacity(4));
    poll.registry().register(&mut client, Token(0), Interest::READABLE).unwrap();
    poll.registry().register(&mut server, Token(1), Interest::READABLE).unwrap();
    let peer = client.peer(server.local_addr()).unwrap();
    let request = Request::new(1, 1, 7, b"hello");
    client.call(peer, request.clone()).unwrap();
    let mut is_connected = false;
    while !is_connected {
        client.transmit().unwrap();
        server.transmit().unwrap();
        let timeout = [client.next_timeout(), server.next_timeout()].into_iter().flatten().min();
        sleep(&mut poll, &mut ready, timeout);
        for event in &ready {
            if event.token() == Token(0) { &mut client } else { &mut server }.handle_event(event);
        }
        client.process().unwrap();
        server.process().unwrap();
        is_connected |= core::iter::from_fn(|| client.poll_event()).any(|it| matches!(it, Event::Connected { .. }));
    }
    client.transmit().unwrap();

    let sent_count = |client: &Endpoint| client.socket_report().1.sent_count;
    let before = sent_count(&client);
    for _ in 0..15 {
        client.call(peer, request.clone()).unwrap();
        client.transmit_slice().unwrap();
    }
    assert_eq!(sent_count(&client), before);
    client.call(peer, request.clone()).unwrap();
    client.transmit_slice().unwrap();
    assert_eq!(sent_count(&client), before + 1);
    client.call(peer, request).unwrap();
    client.transmit_slice().unwrap();
    assert_eq!(sent_count(&client), before + 1);
}
