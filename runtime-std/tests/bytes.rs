//! Octets that are handed over and taken, and not copied.

extern crate alloc;

use alloc::sync::Arc;
use std::sync::Mutex;

use posthaste_std::{
    Answer, Body, Bytes, CallError, Client, Config, Delivery, Incoming, Inline, Message, Request, Server,
};

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

#[test]
fn what_arrives_is_taken_whole_long_or_short() {
    let shares = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&shares);
    let echo = move |call: &Incoming<'_>, reply: &mut Vec<u8>| {
        let share = call.arguments_bytes();
        // A long one is the same memory.
        assert_eq!(share.as_ptr() == call.arguments().as_ptr(), share.len() >= LONG);
        reply.extend_from_slice(&share);
        kept.lock().unwrap().push(share);
        if call.procedure().procedure == 8 { Answer::Error } else { Answer::Ok }
    };
    let inline = Server::serve_insecure("127.0.0.1:0", Config::lan(), Inline(echo.clone())).unwrap();
    let pooled = Server::serve_insecure("127.0.0.1:0", Config::lan(), echo).unwrap();
    for server in [inline, pooled] {
        let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
        for len in [1, 500, LONG - 1, LONG, 100_000, 1 << 17] {
            let octets = Bytes::from_iter((0..len).map(|at| at as u8));
            let body = || Body::Shared(octets.clone());
            let request = |procedure| Request { body: body(), ..Request::new(1, 1, procedure, &[]) };

            client.send_message(&Message { delivery: Delivery::Reliable, priority: 1, body: body() }).unwrap();
            let (received, message) = server.receive_bytes(None).unwrap();
            assert_eq!(message, octets);
            received.peer.send(Delivery::Reliable, &message).unwrap();
            assert_eq!(client.receive_bytes(None).unwrap().1, octets);

            assert_eq!(client.call_bytes(&request(7)).unwrap(), octets);
            assert_eq!(client.start(&request(7)).unwrap().wait_bytes().unwrap(), octets);
            let Err(CallError::Application(error)) = client.call_bytes(&request(8)) else { panic!("it is an error") };
            assert_eq!(error, octets);
            // And as before.
            let mut reply = vec![9; 9];
            client.call_into(&request(7), &mut reply).unwrap();
            assert_eq!(reply, octets);
            assert!(shares.lock().unwrap().drain(..).all(|share| share == octets));
        }
    }
}

const LONG: usize = 16_384;
