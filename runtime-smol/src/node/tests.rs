use core::future;
use core::pin::pin;
use std::thread;

use async_io::block_on;
use futures_lite::future::{poll_once, yield_now};
use posthaste_core::endpoint::Request;
use posthaste_core::{Config, Outcome};

use super::*;
use crate::call::{Pending, begin};
use crate::client::Client;
use crate::message::receive;
use crate::peer::{Peer, Target};
use crate::server::Server;
use crate::waiters::News;

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

#[test]
fn one_future_sends_for_all_that_ask_before_its_turn_comes_again() {
    let (node, target) = client_of_nobody();
    let mut state = node.lock();
    let [driver, mut early, mut later] = [(); 3].map(|()| Waiter::new(&mut state.waiters));
    state.wheel.give(Some(Driver::Waiter(driver.key)));

    ask(&mut state, &mut early, target);
    assert_eq!(node.part(&mut state, &mut early), Part::Yield);
    state.promise(early.key);
    ask(&mut state, &mut later, target);
    assert_eq!(node.part(&mut state, &mut later), Part::Wait);
    assert_eq!(node.part(&mut state, &mut early), Part::Drive, "the driver had its time");

    // The driver had its turn, and has promised the next.
    node.turn(&mut state);
    ask(&mut state, &mut later, target);
    state.promise(driver.key);
    assert_eq!(node.part(&mut state, &mut early), Part::Wait);
}

#[test]
fn a_slice_of_what_many_ask_is_sent_early_unless_only_few_follow() {
    for (asking_count, sent_after) in [(64, Some(16)), (24, Some(16)), (23, None), (2, None)] {
        let (node, target) = client_of_nobody();
        let mut state = node.lock();
        let driver = Waiter::new(&mut state.waiters);
        state.wheel.give(Some(Driver::Waiter(driver.key)));
        let mut asking: Vec<_> = (0..asking_count).map(|_| Waiter::new(&mut state.waiters)).collect();
        for waiter in &asking {
            state.waiters.wait(waiter.key, Waker::noop());
        }
        state.waiters.wake_all();

        let sends = asking.iter_mut().position(|waiter| {
            state.waiters.quiet(waiter.key);
            ask(&mut state, waiter, target);
            let part = node.part(&mut state, waiter);
            if part == Part::Yield {
                state.promise(waiter.key);
            }
            part == Part::Send
        });

        assert_eq!(sends.map(|index| index + 1), sent_after, "of {asking_count}");
    }
}

#[test]
fn started_calls_leave_together_while_there_are_outcomes_to_take() {
    let client = client_without_helper();
    let sent_count = || client.node.lock().endpoint.counters().datagrams_sent;
    block_on(async {
        client.call(echo(b"hello")).await.expect("it is answered");
        let before = sent_count();
        let (first, second) = (started(&client, b"first").await, started(&client, b"second").await);
        assert_eq!(sent_count(), before + 2, "there is no outcome to take");

        // Both are answered before either is taken.
        while client.node.lock().waiters.untaken_count() < 2 {
            let _ = poll_once(pin!(receive(&client.node))).await;
        }
        let before = sent_count();
        first.await.expect("it is answered");
        let third = started(&client, b"third").await;
        assert!(client.node.lock().is_holding());
        assert_eq!(sent_count(), before, "the second is to be taken");
        second.await.expect("it is answered");
        assert_eq!(third.await.expect("it is answered").to_vec(), b"third");
        assert!(!client.node.lock().is_holding());
    });
}

#[test]
fn started_calls_are_held_until_they_make_a_slice() {
    for (unsent_count, following_count, may_hold) in
        [(1, 0, true), (15, 20, true), (16, 20, false), (16, 7, false), (16, 6, true), (64, 7, false)]
    {
        let (node, target) = client_of_nobody();
        let mut state = node.lock();
        let [mut asking, ended] = [(); 2].map(|()| Waiter::new(&mut state.waiters));
        ask(&mut state, &mut asking, target);
        assert!(!state.may_hold_started(0), "there is no outcome to take");
        state.waiters.tell(ended.key, News::Ended(Outcome::Delivered));

        state.unsent_count = unsent_count;

        assert_eq!(state.may_hold_started(following_count), may_hold, "{unsent_count} {following_count}");
    }
}

#[test]
fn whoever_waits_sends_started_calls_beside_a_driver_that_sleeps() {
    let (node, target) = client_of_nobody();
    let mut state = node.lock();
    let [driver, mut waiter] = [(); 2].map(|()| Waiter::new(&mut state.waiters));
    state.wheel.give(Some(Driver::Waiter(driver.key)));
    state.wheel.sleep(Sleep { until: None, awaits_writable: false });
    ask(&mut state, &mut waiter, target);
    state.hold();

    assert_eq!(node.part(&mut state, &mut waiter), Part::Yield);
    state.promise(waiter.key);
    assert_eq!(node.part(&mut state, &mut waiter), Part::Send);
}

#[test]
fn the_helper_sends_started_calls_for_which_nobody_waits() {
    let loopback: SocketAddr = "127.0.0.1:0".parse().expect("it is an address");
    let client = Client::connect_insecure(serve(loopback), Config::lan()).expect("a socket is granted");
    block_on(async {
        client.call(echo(b"hello")).await.expect("it is answered");
        let kept = started(&client, b"kept").await;
        while client.node.lock().waiters.untaken_count() == 0 {
            yield_now().await;
        }
        let held = started(&client, b"held").await;
        while client.node.lock().waiters.untaken_count() < 2 {
            yield_now().await;
        }
        assert_eq!(held.await.expect("it is answered").to_vec(), b"held");
        assert_eq!(kept.await.expect("it is answered").to_vec(), b"kept");
    });
}

/// Returns a server as a client knows it that has no helper: what its futures do not do, nobody does.
fn client_without_helper() -> Peer {
    let loopback: SocketAddr = "127.0.0.1:0".parse().expect("it is an address");
    let node = Node::bind(loopback, Options::from(Config::lan())).expect("a socket is granted");
    Peer::new(node, Target::Address(serve(loopback)))
}

/// Returns a client, and a server that is not there.
fn client_of_nobody() -> (Arc<Node>, Target) {
    let loopback: SocketAddr = "127.0.0.1:0".parse().expect("it is an address");
    let node = Node::bind(loopback, Options::from(Config::lan())).expect("a socket is granted");
    let server = std::net::UdpSocket::bind(loopback).expect("a socket is granted");
    let target = Target::Address(server.local_addr().expect("it is bound"));
    (node, target)
}

async fn started(client: &Peer, octets: &[u8]) -> Pending {
    client.start(echo(octets)).await.expect("there is room")
}

/// Begins a call, which is not sent.
fn ask(state: &mut State, waiter: &mut Waiter, target: Target) {
    begin(state, waiter, Instant::ORIGIN, target, &echo(b"hello")).expect("there is room");
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
