//! Messages over real sockets on loopback.

use core::time::Duration;
use std::sync::mpsc;
use std::thread;

use posthaste_smol::{Body, Client, Config, Delivery, Message, Server};
use smol::future::poll_once;

#[test]
fn a_client_that_waits_for_nothing_acknowledges_what_it_is_sent() {
    let server = Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
    let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        smol::block_on(async {
            let asking = async {
                client.send(message(b"ping")).await.unwrap().await.unwrap();
                client.flush().await.unwrap();
            };
            let (received, ()) = smol::future::zip(server.receive(), asking).await;
            let peer = received.unwrap().peer();
            for _ in 0..100 {
                // Who waited last had the socket, and leaves it to nobody. No deadline brings the client back to it.
                assert!(poll_once(client.accept_stream()).await.is_none());
                peer.send(message(b"pong")).await.unwrap().await.unwrap();
            }
        });
        done.send(()).unwrap();
    });
    is_done.recv_timeout(TIMEOUT).expect("the messages are acknowledged");
}

const fn message(octets: &[u8]) -> Message<'_> {
    Message { delivery: Delivery::Reliable, priority: 1, body: Body::Copied(octets) }
}

const TIMEOUT: Duration = Duration::from_secs(20);
