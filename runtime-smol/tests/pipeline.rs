//! Many calls of one task, whose outcomes are taken in their order.

extern crate alloc;

use alloc::collections::VecDeque;
use core::future::Future;
use core::pin::pin;
use core::time::Duration;

use posthaste_smol::{CallError, Client, Config, Incoming, NotExecuted, Request, SendError, Server, wire};
use smol::channel::{self, Sender};
use smol::future;

#[test]
fn outcomes_come_in_the_order_of_the_calls_each_with_its_own_octets() {
    with_echo(async |client| {
        let mut calls = client.pipeline();
        assert!(calls.wait().await.is_none());
        let mut expected = VecDeque::new();
        let mut count = 0;
        while count < 5000 || !expected.is_empty() {
            if count < 5000 && expected.len() < 200 {
                let procedure = [ECHO, ECHO, FAIL, ECHO, NONE][count % 5];
                calls.start(&Request::new(1, 1, procedure, &arguments(count))).unwrap();
                expected.push_back((procedure, count));
                count += 1;
                continue;
            }
            assert_eq!(calls.open_count(), expected.len());
            assert!(calls.ready_count() <= calls.open_count());
            let (procedure, index) = expected.pop_front().unwrap();
            match (procedure, calls.wait().await.unwrap()) {
                (ECHO, Ok(reply)) => assert_eq!(reply, arguments(index)),
                (FAIL, Err(CallError::Application(error))) => assert_eq!(error.to_vec(), arguments(index)),
                (NONE, Err(CallError::NotExecuted(NotExecuted::Refused(wire::NotExecuted::NoSuchProcedure)))) => {}
                (_, outcome) => panic!("{index}: {outcome:?}"),
            }
        }
        assert!(calls.wait().await.is_none());
    });
}

#[test]
fn where_there_is_no_room_for_a_call_an_outcome_makes_some() {
    with_echo(async |client| {
        let mut calls = client.pipeline();
        let (mut started_count, mut refused_count, mut taken_count) = (0, 0, 0);
        while taken_count < 10_000 {
            match calls.start(&Request::new(1, 1, ECHO, &arguments(started_count))) {
                Ok(()) => started_count += 1,
                Err(SendError::Full) => {
                    refused_count += 1;
                    assert_eq!(calls.wait().await.unwrap().unwrap(), arguments(taken_count));
                    taken_count += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(refused_count > 0);
    });
}

#[test]
fn calls_are_started_together_as_far_as_there_is_room() {
    with_echo(async |client| {
        let arguments: Vec<_> = (0..40_000).map(|index: usize| index.to_be_bytes()).collect();
        let requests: Vec<_> = arguments.iter().map(|octets| Request::new(1, 1, ECHO, octets)).collect();
        let mut calls = client.pipeline();
        assert_eq!(calls.start_all(&[]), Ok(0));
        let (mut started_count, mut is_full) = (0, false);
        for octets in &arguments {
            match calls.start_all(&requests[started_count..]) {
                Ok(count) => started_count += count,
                Err(error) => assert_eq!(error, SendError::Full),
            }
            is_full |= started_count < requests.len();
            assert_eq!(calls.wait().await.unwrap().unwrap(), octets);
        }
        assert!(is_full);
        assert!(calls.wait().await.is_none());
    });
}

#[test]
fn tasks_with_rows_of_their_own_share_a_client() {
    with_echo(async |client| {
        let run = async |first| {
            let mut calls = client.pipeline();
            for index in first..first + 1000 {
                if calls.open_count() == 50 {
                    assert_eq!(calls.wait().await.unwrap().unwrap(), arguments(index - 50));
                }
                calls.start(&Request::new(1, 1, ECHO, &arguments(index))).unwrap();
            }
            for index in first + 950..first + 1000 {
                assert_eq!(calls.wait().await.unwrap().unwrap(), arguments(index));
            }
        };
        future::zip(future::zip(run(0), run(1000)), run(2000)).await;
    });
}

#[test]
fn a_wait_that_is_given_up_holds_up_nobody_and_loses_nothing() {
    with_gate(async |client, release| {
        let mut calls = client.pipeline();
        for text in [&b"slow"[..], b"fast", b"fast"] {
            calls.start(&Request::new(1, 1, ECHO, text)).unwrap();
        }
        for _ in 0..3 {
            assert!(future::poll_once(pin!(calls.wait())).await.is_none());
            assert_eq!(client.call(Request::new(1, 1, ECHO, b"fast")).await.unwrap().to_vec(), b"done");
        }
        assert_eq!(calls.ready_count(), 0, "what is slow keeps those behind it");
        release.send(()).await.unwrap();
        for _ in 0..3 {
            assert_eq!(calls.wait().await.unwrap().unwrap(), b"done");
        }
    });
}

#[test]
fn a_call_whose_outcome_is_unknown_can_be_resolved_while_the_row_goes_on() {
    with_gate(async |client, release| {
        let mut calls = client.pipeline();
        let unresolved = loop {
            let timeout = Some(Duration::from_millis(200));
            calls.start(&Request::new(1, 1, ECHO, b"fast")).unwrap();
            calls.start(&Request { timeout, ..Request::new(1, 1, ECHO, b"slow") }).unwrap();
            calls.start(&Request::new(1, 1, ECHO, b"fast")).unwrap();

            assert_eq!(calls.wait().await.unwrap().unwrap(), b"done");
            let error = calls.wait().await.unwrap().unwrap_err();
            assert_eq!(calls.wait().await.unwrap().unwrap(), b"done");
            if let CallError::Unknown(unresolved) = error {
                break unresolved;
            }
            assert!(matches!(error, CallError::NotExecuted(_)), "the server had no core until then: {error}");
        };
        release.send(()).await.unwrap();
        assert_eq!(unresolved.resolve(Duration::from_secs(10)).await.unwrap().to_vec(), b"done");
    });
}

#[test]
fn dropping_it_cancels_what_is_under_way() {
    let (begun, has_begun) = channel::unbounded();
    let (ended, has_ended) = channel::unbounded();
    let serving = async |mut call: Incoming| {
        begun.send(()).await.unwrap();
        call.cancelled().await;
        ended.send(()).await.unwrap();
    };
    with_server(serving, async |client| {
        let mut calls = client.pipeline();
        for _ in 0..2 {
            calls.start(&Request::new(1, 1, ECHO, b"")).unwrap();
            has_begun.recv().await.unwrap();
        }
        drop(calls);
        for _ in 0..2 {
            has_ended.recv().await.unwrap();
        }
    });
}

#[test]
fn without_its_client_every_call_has_an_outcome() {
    smol::block_on(async {
        let server = Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
        let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
        let mut calls = client.pipeline();
        for _ in 0..3 {
            calls.start(&Request::new(1, 1, ECHO, b"")).unwrap();
        }
        drop(client);
        for _ in 0..3 {
            let outcome = calls.wait().await.unwrap();
            assert!(matches!(outcome, Err(CallError::NotExecuted(_) | CallError::Unknown(_))), "{outcome:?}");
        }
        assert!(calls.wait().await.is_none());
    });
}

/// Runs a test beside a server that answers with the arguments; [`FAIL`] with them as an error; [`NONE`] is unknown to it.
fn with_echo(test: impl AsyncFnOnce(&Client)) {
    let handler = async |call: Incoming| {
        let arguments = call.to_vec();
        match call.procedure().procedure {
            FAIL => call.reply_error(&arguments),
            NONE => call.refuse(wire::NotExecuted::NoSuchProcedure),
            _ => call.reply(&arguments),
        }
        .unwrap();
    };
    with_server(handler, test);
}

/// Runs a test beside a server that answers "done"; to what is slow, once released.
fn with_gate(test: impl AsyncFnOnce(&Client, Sender<()>)) {
    let (release, gate) = channel::unbounded();
    let handler = async |call: Incoming| {
        if call.to_vec() == b"slow" {
            gate.recv().await.unwrap();
        }
        call.reply(b"done").unwrap();
    };
    with_server(handler, async |client| test(client, release).await);
}

fn with_server<F: Future<Output = ()>>(handler: impl Fn(Incoming) -> F + Unpin, test: impl AsyncFnOnce(&Client)) {
    smol::block_on(async {
        let server = Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
        let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
        let serving = async {
            server.serve(16, handler).await;
            unreachable!("the socket works")
        };
        future::or(test(&client), serving).await;
    });
}

/// Arguments that tell which call it is, of a length that few others have.
fn arguments(index: usize) -> Vec<u8> {
    index.to_be_bytes().into_iter().cycle().take(8 + index % 3000).collect()
}

const ECHO: u32 = 7;
const FAIL: u32 = 8;
const NONE: u32 = 9;
