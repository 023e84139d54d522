//! A server with several sockets on one port.

extern crate alloc;

use alloc::sync::Arc;
use core::time::Duration;
use std::collections::HashSet;
use std::sync::Mutex;
use std::thread;

use posthaste_std::{Answer, Client, Config, Delivery, Handler, Incoming, Inline, Options, ReceiveError, Server};

#[test]
fn thousands_of_clients_are_spread_over_the_sockets_and_each_call_is_executed_once() {
    let executed = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&executed);
    let server = serve(Inline(move |call: &Incoming<'_>, reply: &mut Vec<u8>| {
        assert!(seen.lock().unwrap().insert(call.arguments().to_vec()), "executed before");
        echo(call, reply)
    }));

    thread::scope(|scope| {
        for thread in 0..4 {
            let server = &server;
            scope.spawn(move || {
                for client in 0..CLIENT_COUNT / 4 {
                    let name = (thread * CLIENT_COUNT + client) << 8;
                    let client = connect(server);
                    for call in 0..2 {
                        let arguments = (name + call).to_be_bytes();
                        assert_eq!(client.call(1, 1, 1, &arguments).unwrap(), arguments);
                    }
                }
            });
        }
    });

    assert_eq!(executed.lock().unwrap().len() as u64, 2 * CLIENT_COUNT);
    let received: Vec<_> = server.socket_counters().map(|counters| counters.received_count).collect();
    // A client sends four datagrams and more; the share of a socket comes by chance, and never is half of what it might be.
    assert!(received.len() == SOCKET_COUNT && received.iter().all(|count| *count > CLIENT_COUNT / 2), "{received:?}");
}

#[test]
fn messages_of_all_sockets_are_received_in_one_place() {
    let server = serve(Inline(echo));
    let clients: Vec<_> = (0..32).map(|_| connect(&server)).collect();
    let mut octets = Vec::new();
    assert!(matches!(server.receive_into(&mut octets, Some(Duration::ZERO)), Err(ReceiveError::TimedOut)));

    let received = thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let mut received = HashSet::new();
            while received.len() < clients.len() {
                server.receive_into(&mut octets, None).unwrap();
                assert!(received.insert(octets.clone()));
            }
            received
        });
        for (index, client) in clients.iter().enumerate() {
            client.send(Delivery::Reliable, &[index as u8]).unwrap();
        }
        receiver.join().unwrap()
    });

    assert_eq!(received.len(), clients.len());
}

#[test]
fn a_server_with_several_sockets_calls_its_clients_and_shuts_down() {
    // Each handler calls back, from a thread of its socket that is not the one that receives.
    let server = serve(|call: &Incoming<'_>, reply: &mut Vec<u8>| {
        reply.extend(call.peer().call(1, 1, 1, call.arguments()).unwrap());
        Answer::Ok
    });
    let clients: Vec<_> =
        (0..16).map(|_| Client::connect_insecure_with(server.local_addr(), small(), Inline(echo)).unwrap()).collect();
    for (index, client) in clients.iter().enumerate() {
        assert_eq!(client.call(1, 1, 1, &[index as u8]).unwrap(), [index as u8]);
    }

    server.shut_down(Duration::from_secs(10));

    let mut octets = Vec::new();
    assert!(matches!(server.receive_into(&mut octets, None), Err(ReceiveError::Closed)));
}

#[test]
fn a_count_of_sockets_that_is_out_of_range_is_refused() {
    for socket_count in [0, 257] {
        let options = Options { socket_count, ..Config::lan().into() };
        let error = Server::serve_insecure(LOCALHOST, options, echo).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}

fn serve(handler: impl Handler) -> Server {
    let mut config = Config::lan();
    config.peer_count_max = 4096;
    config.session_count_per_address_max = 4096;
    let options = Options { socket_count: SOCKET_COUNT, ..config.into() };
    Server::serve_insecure(LOCALHOST, options, handler).unwrap()
}

fn connect(server: &Server) -> Client {
    Client::connect_insecure(server.local_addr(), small()).unwrap()
}

/// Limits of a client of which there are many.
fn small() -> Config {
    let mut config = Config::bare();
    config.initial_rtt = Config::lan().initial_rtt;
    config
}

fn echo(call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
    reply.extend_from_slice(call.arguments());
    Answer::Ok
}

const LOCALHOST: &str = "127.0.0.1:0";
const SOCKET_COUNT: usize = 4;
const CLIENT_COUNT: u64 = 2000;
