//! Octets that are handed over and not copied.

use posthaste_std::{Answer, Body, Bytes, Client, Config, Delivery, Incoming, Inline, Message, Request, Server};

#[test]
fn a_message_and_a_request_are_read_in_place_until_they_are_acknowledged() {
    let echo = |call: &Incoming<'_>, reply: &mut Vec<u8>| {
        reply.extend_from_slice(call.arguments());
        Answer::Ok
    };
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Inline(echo)).unwrap();
    let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
    let octets = Bytes::from(vec![7; 100_000]);
    let body = || Body::Shared(octets.clone());

    client.send_message(&Message { delivery: Delivery::Reliable, priority: 1, body: body() }).unwrap();
    let mut received = Vec::new();
    server.receive_into(&mut received, None).unwrap();
    client.flush().unwrap();
    assert_eq!(received, octets);

    let pending = client.start(&Request { body: body(), ..Request::new(1, 1, 7, &[]) }).unwrap();
    assert!(!octets.is_unique());
    assert_eq!(Bytes::from(pending.wait().unwrap()), octets);
    assert!(octets.is_unique());
}
