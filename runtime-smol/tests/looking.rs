//! Futures that look at the socket again rather than sleep.

use core::pin::pin;
use core::time::Duration;
use std::net::UdpSocket;
use std::sync::mpsc;
use std::thread;

use posthaste_smol::{Body, BusyPoll, CallError, Client, Config, Delivery, Message, Options, Request, Server};
use smol::future;

fn options() -> Options {
    let mut options = Options::from(Config::lan());
    options.socket.busy_poll = BusyPoll::UpTo(Duration::MAX);
    options
}

#[test]
fn tasks_beside_one_that_never_sleeps_have_their_turn_and_deadlines_are_kept() {
    smol::block_on(async {
        let server = Server::bind_insecure("127.0.0.1:0".parse().unwrap(), options()).unwrap();
        let client = Client::connect_insecure(server.local_addr(), options()).unwrap();
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let lonely = Client::connect_insecure(silent.local_addr().unwrap(), options()).unwrap();
        let serving = server.serve(4, async |call| call.reply(b"reply").unwrap());
        let calling = async {
            for _ in 0..10 {
                let reply = client.call(Request::new(1, 1, 1, b"")).await.unwrap();
                assert!(reply.with(|octets| octets == b"reply"));
            }
        };
        let waiting = async {
            let request = Request { timeout: Some(Duration::from_millis(50)), ..Request::new(1, 1, 1, &[]) };
            let error = lonely.call(request).await.unwrap_err();
            assert!(matches!(error, CallError::Unknown(_) | CallError::NotExecuted(_)), "{error}");
        };
        let working = future::zip(calling, waiting);
        future::or(async { _ = working.await }, async {
            serving.await;
            unreachable!("the socket works")
        })
        .await;
    });
}

#[test]
fn what_comes_for_a_future_that_looked_and_is_polled_no_more_is_acknowledged() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let server = Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
        let client = Client::connect_insecure(server.local_addr(), options()).unwrap();
        smol::block_on(async {
            let message = |octets| Message { delivery: Delivery::Reliable, priority: 1, body: Body::Copied(octets) };
            let mut acknowledged = pin!(client.send(message(b"ping")).await.unwrap());
            let _ = future::poll_once(acknowledged.as_mut()).await;
            let peer = server.receive().await.unwrap().peer();
            peer.send(message(b"pong")).await.unwrap().await.unwrap();
        });
        done.send(()).unwrap();
    });
    is_done.recv_timeout(TIMEOUT).expect("the message is acknowledged");
}

const TIMEOUT: Duration = Duration::from_secs(20);
