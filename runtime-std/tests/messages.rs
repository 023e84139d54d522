//! Messages and streams over real sockets on loopback.

use core::time::Duration;
use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;

use posthaste_std::{
    Answer, Client, Config, Delivery, Execution, Handler, Incoming, ReceiveError, Reply, Request, Server, wire,
};

#[test]
fn messages_arrive_in_order_and_flush_waits_until_all_are_acknowledged() {
    let server = serve();
    let client = connect(&server);
    for index in 0..1000_u32 {
        client.send(Delivery::Ordered { channel: 3 }, &index.to_be_bytes()).unwrap();
    }
    client.flush().unwrap();
    let mut octets = Vec::new();
    for index in 0..1000_u32 {
        let received = server.receive_into(&mut octets, TIMEOUT).unwrap();
        assert_eq!((octets.as_slice(), received.channel), (&index.to_be_bytes()[..], Some(3)));
    }
}

#[test]
fn a_message_goes_from_server_to_client_too() {
    let server = serve();
    let client = connect(&server);
    client.send(Delivery::Reliable, b"ping").unwrap();
    let mut octets = Vec::new();
    let received = server.receive_into(&mut octets, TIMEOUT).unwrap();
    received.peer.send(Delivery::Reliable, b"pong").unwrap();
    client.receive_into(&mut octets, TIMEOUT).unwrap();
    assert_eq!(octets, b"pong");
}

#[test]
fn messages_of_a_session_that_is_gone_hide_no_others() {
    let server = serve();
    for _ in 0..3 {
        let gone = connect(&server);
        gone.send(Delivery::Reliable, b"old").unwrap();
        gone.flush().unwrap();
    }
    let client = connect(&server);
    client.send(Delivery::Reliable, b"new").unwrap();
    client.flush().unwrap();
    let mut octets = Vec::new();
    while octets != b"new" {
        server.receive_into(&mut octets, TIMEOUT).unwrap();
    }
}

#[test]
fn a_client_that_waits_for_nothing_acknowledges_what_it_is_sent() {
    let server = serve();
    let client = connect(&server);
    client.send(Delivery::Reliable, b"ping").unwrap();
    let received = server.receive_into(&mut Vec::new(), TIMEOUT).unwrap();
    client.flush().unwrap();
    // No timer of the client brings it to its socket.
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        for _ in 0..100 {
            received.peer.send(Delivery::Reliable, b"pong").unwrap();
            received.peer.flush().unwrap();
        }
        done.send(()).unwrap();
    });
    is_done.recv_timeout(TIMEOUT.unwrap()).unwrap();
    drop(client);
}

#[test]
fn whoever_waits_for_a_message_in_vain_is_told() {
    let server = serve();
    let client = connect(&server);
    let waited = client.receive_into(&mut Vec::new(), Some(Duration::from_millis(20)));
    assert_eq!(waited.unwrap_err(), ReceiveError::TimedOut);
}

#[test]
fn a_large_message_goes_both_ways() {
    let server = serve();
    let client = connect(&server);
    let message: Vec<u8> = (0..1_000_000_u32).map(|index| (index % 251) as u8).collect();
    client.send(Delivery::Reliable, &message).unwrap();
    let mut octets = Vec::new();
    let received = server.receive_into(&mut octets, TIMEOUT).unwrap();
    assert!(octets == message);
    received.peer.send(Delivery::Reliable, &octets).unwrap();
    octets.clear();
    client.receive_into(&mut octets, TIMEOUT).unwrap();
    assert!(octets == message);
}

#[test]
fn a_stream_carries_more_than_its_window_both_ways() {
    let server = serve();
    let client = connect(&server);
    let part: Vec<u8> = (0..100_000_u32).map(|index| (index % 251) as u8).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut reader = server.accept_stream(TIMEOUT).unwrap();
            let mut writer = reader.source().peer.open_stream(Delivery::Reliable).unwrap();
            std::io::copy(&mut reader, &mut writer).unwrap();
            writer.finish().unwrap();
        });
        scope.spawn(|| {
            let mut writer = client.open_stream(Delivery::Reliable).unwrap();
            for _ in 0..PART_COUNT {
                writer.write_all(&part).unwrap();
            }
            writer.finish().unwrap();
        });
        let mut reader = client.accept_stream(TIMEOUT).unwrap();
        let mut back = vec![0; part.len()];
        for _ in 0..PART_COUNT {
            reader.read_exact(&mut back).unwrap();
            assert!(back == part);
        }
        assert_eq!(reader.read(&mut back).unwrap(), 0);
    });
}

#[test]
fn a_one_way_call_is_executed_and_flush_waits_for_its_arrival() {
    let (executed, executions) = std::sync::mpsc::channel();
    let handler = move |call: &Incoming<'_>, _: &mut Vec<u8>| {
        executed.send(call.arguments().to_vec()).unwrap();
        Answer::Ok
    };
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), handler).unwrap();
    let client = connect(&server);
    client.post(&Request { reply: Reply::Never, ..Request::new(1, 1, 7, b"go") }).unwrap();
    client.flush().unwrap();
    assert_eq!(executions.recv().unwrap(), b"go");
}

const TIMEOUT: Option<Duration> = Some(Duration::from_secs(20));
const PART_COUNT: usize = 30;

struct Nothing;

impl Handler for Nothing {
    fn execution(&self, _: &wire::Description) -> Execution {
        Execution::Refuse(wire::NotExecuted::NoSuchProgram)
    }

    fn handle(&self, _: &Incoming<'_>, _: &mut Vec<u8>) -> Answer {
        Answer::Ok
    }
}

fn serve() -> Server {
    Server::serve_insecure("127.0.0.1:0", Config::lan(), Nothing).unwrap()
}

fn connect(server: &Server) -> Client {
    Client::connect_insecure(server.local_addr(), Config::lan()).unwrap()
}
