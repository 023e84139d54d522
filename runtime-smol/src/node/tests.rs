use core::future;
use core::pin::pin;
use std::thread;

use async_io::block_on;
use futures_lite::future::poll_once;
use posthaste_core::Config;
use posthaste_core::endpoint::Request;

use super::*;
use crate::message::receive;
use crate::peer::{Peer, Target};
use crate::server::Server;

#[test]
fn a_future_that_is_kept_without_being_polled_does_not_hold_up_the_others() {
    let client = client_without_helper();
    block_on(async {
        let mut kept = pin!(receive(&client.node));
        assert!(poll_once(kept.as_mut()).await.is_none(), "it drives");
        for octets in [b"first", b"later", b"third"] {
            let reply = client.call(echo(octets)).await.expect("it is answered");
            assert_eq!(reply.to_vec(), octets);
        }
    });
}

#[test]
fn what_a_future_has_promised_to_send_is_sent_when_it_is_dropped() {
    let client = client_without_helper();
    block_on(async {
        client.call(echo(b"hello")).await.expect("it is answered");
        let mut driver = pin!(receive(&client.node));
        assert!(poll_once(driver.as_mut()).await.is_none(), "it sleeps");
        let mut yields = Box::pin(client.call(echo(b"early")));
        assert!(poll_once(&mut yields).await.is_none(), "it sends for both");
        let mut waits = client.call(echo(b"later"));
        assert!(poll_once(&mut waits).await.is_none(), "it is to be sent");
        let sent_count = || client.node.lock().endpoint.counters().datagrams_sent;
        let before = sent_count();

        drop(yields);

        assert!(sent_count() > before);
        assert_eq!(waits.await.expect("it is answered").to_vec(), b"later");
    });
}

/// Returns a server as a client knows it that has no helper: what its futures do not do, nobody does.
fn client_without_helper() -> Peer {
    let loopback: SocketAddr = "127.0.0.1:0".parse().expect("it is an address");
    let node = Node::bind(loopback, Options::from(Config::lan())).expect("a socket is granted");
    Peer::new(node, Target::Address(serve(loopback)))
}

/// Answers each call with its arguments until the test is over.
fn serve(address: SocketAddr) -> SocketAddr {
    let server = Server::bind_insecure(address, Config::lan()).expect("a socket is granted");
    let address = server.local_addr();
    thread::spawn(move || {
        block_on(server.serve(4, |call| {
            let arguments = call.to_vec();
            // Who has given up is told nothing.
            let _ = call.reply(&arguments);
            future::ready(())
        }))
    });
    address
}

fn echo(octets: &[u8]) -> Request<'_> {
    Request::new(1, 1, 1, octets)
}
