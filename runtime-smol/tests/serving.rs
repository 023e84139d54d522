//! Handlers beside each other.

use core::cell::Cell;
use core::time::Duration;

use posthaste_smol::{CallError, Client, Config, NotExecuted, Request, Server, wire};
use smol::future;

#[test]
fn a_server_whose_admission_panics_refuses_and_goes_on() {
    smol::block_on(async {
        let server = Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
        let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
        let serving = server.serve(2, async |call| call.reply(b"reply").unwrap()).admitting(|procedure| {
            // Not `panic!`, whose message would clutter the output of the test.
            if procedure.procedure == WAIT { std::panic::resume_unwind(Box::new(())) } else { Ok(()) }
        });
        let calling = async {
            let error = client.call(Request::new(1, 1, WAIT, &[])).await.unwrap_err();
            assert!(matches!(error, CallError::NotExecuted(NotExecuted::Refused(wire::NotExecuted::Busy))), "{error}");
            assert_eq!(client.call(Request::new(1, 1, TELL, &[])).await.unwrap().to_vec(), b"reply");
        };
        future::or(calling, async {
            serving.await;
            unreachable!("the socket works")
        })
        .await;
    });
}

#[test]
fn a_handler_that_is_always_ready_lets_other_calls_in() {
    smol::block_on(async {
        let server = Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
        let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
        let (is_waiting, is_told) = (Cell::new(false), Cell::new(false));
        let serving = server.serve(2, async |call| {
            is_told.set(call.procedure().procedure == TELL);
            while !is_told.get() {
                is_waiting.set(true);
                future::yield_now().await;
            }
            call.reply(&[]).unwrap();
        });
        let calling = async {
            let call = async |procedure| client.call(Request::new(1, 1, procedure, &[])).await.unwrap();
            let telling = async {
                while !is_waiting.get() {
                    future::yield_now().await;
                }
                call(TELL).await;
            };
            future::zip(call(WAIT), telling).await;
        };
        future::or(calling, async {
            serving.await;
            unreachable!("the socket works")
        })
        .await;
    });
}

#[test]
fn a_reply_that_nobody_waited_for_any_more_is_there_when_it_is_asked_for() {
    smol::block_on(async {
        let server = Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
        let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
        let (release, gate) = smol::channel::unbounded();
        // One call after the other.
        let serving = server.serve(1, async |call| {
            if call.procedure().procedure == WAIT {
                gate.recv().await.unwrap();
            }
            call.reply(b"reply").unwrap();
        });
        let calling = async {
            let request = Request { timeout: Some(Duration::from_secs(1)), ..Request::new(1, 1, WAIT, &[]) };
            let mut unresolved = Vec::new();
            for _ in 0..2 {
                let error = client.call(request.clone()).await.unwrap_err();
                let CallError::Unknown(unknown) = error else { panic!("{error}") };
                unresolved.push(unknown);
                release.send(()).await.unwrap();
                client.call(Request::new(1, 1, TELL, &[])).await.unwrap();
            }
            drop(unresolved.pop());
            let reply = unresolved.remove(0).resolve(Duration::from_secs(10)).await.unwrap();
            assert!(reply.with(|octets| octets == b"reply"));
        };
        future::or(calling, async {
            serving.await;
            unreachable!("the socket works")
        })
        .await;
    });
}

#[test]
fn a_handler_sees_that_its_call_was_cancelled_and_that_its_caller_is_gone() {
    smol::block_on(async {
        let server = Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
        let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
        let (begun, has_begun) = smol::channel::unbounded();
        let (ended, has_ended) = smol::channel::unbounded();
        let serving = server.serve(2, async |mut call| {
            assert!(!call.is_cancelled());
            begun.send(()).await.unwrap();
            if call.procedure().procedure == WAIT {
                call.cancelled().await;
            } else {
                while !call.is_cancelled() {
                    future::yield_now().await;
                }
            }
            // What is over stays so.
            call.cancelled().await;
            assert!(call.is_cancelled());
            ended.send(()).await.unwrap();
        });
        let calling = async {
            let begin = async || {
                let calls = [WAIT, TELL].map(|procedure| client.start(Request::new(1, 1, procedure, &[])));
                let mut pending = Vec::new();
                for call in calls {
                    pending.push(call.await.unwrap());
                    has_begun.recv().await.unwrap();
                }
                pending
            };
            drop(begin().await);
            for _ in 0..2 {
                has_ended.recv().await.unwrap();
            }
            let pending = begin().await;
            client.close(7);
            for _ in 0..2 {
                has_ended.recv().await.unwrap();
            }
            drop(pending);
        };
        future::or(calling, async {
            serving.await;
            unreachable!("the socket works")
        })
        .await;
    });
}

const WAIT: u32 = 1;
const TELL: u32 = 2;
