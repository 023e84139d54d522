//! Many calls of one thread, whose outcomes are taken in their order.

extern crate alloc;

use alloc::collections::VecDeque;
use core::time::Duration;
use std::sync::{Mutex, mpsc};
use std::thread;

use posthaste_std::{
    Answer, CallError, Client, Config, Execution, Handler, Incoming, Inline, NotExecuted, Request, SendError, Server,
    Unknown, wire,
};

/// Answers with the arguments; procedure 8 with them as an error; 9 is unknown.
fn echo(call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
    match call.procedure().procedure {
        8 => {
            reply.extend_from_slice(call.arguments());
            Answer::Error
        }
        9 => Answer::Refused(wire::NotExecuted::NoSuchProcedure),
        _ => {
            reply.extend_from_slice(call.arguments());
            Answer::Ok
        }
    }
}

fn pair() -> (Client, Server) {
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Inline(echo)).unwrap();
    (Client::connect_insecure(server.local_addr(), Config::lan()).unwrap(), server)
}

/// Arguments that tell which call it is, of a length that no other has.
fn arguments(index: usize) -> Vec<u8> {
    index.to_be_bytes().into_iter().cycle().take(8 + index % 3000).collect()
}

/// Answers on the thread that receives: procedure 1 with the arguments, 2 with many times as much, 3 not at all. Procedure 4 is for a
/// worker, and 5 for nobody.
struct Mixed;

impl Handler for Mixed {
    fn execution(&self, procedure: &wire::Description) -> Execution {
        match procedure.procedure {
            4 => Execution::Pool,
            5 => Execution::Refuse(wire::NotExecuted::NoSuchProcedure),
            _ => Execution::Inline,
        }
    }

    fn handle(&self, call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
        assert!(reply.is_empty());
        match call.procedure().procedure {
            2 => reply.extend(call.arguments().iter().cycle().take(100_000)),
            3 => panic!("the handler's own mistake"),
            _ => reply.extend_from_slice(call.arguments()),
        }
        Answer::Ok
    }
}

#[test]
fn calls_that_arrive_together_end_each_in_its_own_way() {
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Mixed).unwrap();
    let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
    // The conversation is open, and knows the procedures.
    for procedure in [1, 2, 4] {
        client.call(1, 1, procedure, b"first").unwrap();
    }
    for _ in 0..20 {
        let arguments: Vec<Vec<u8>> = (0..50).map(arguments).collect();
        let procedures = (0..50).map(|index| [1, 1, 5, 1, 3, 4, 1, 1, 2, 1, 1][index % 11]);
        let requests: Vec<Request<'_>> =
            procedures.zip(&arguments).map(|(procedure, arguments)| Request::new(1, 1, procedure, arguments)).collect();
        let mut calls = client.pipeline();
        assert_eq!(calls.start_all(&requests).unwrap(), 50);
        for (request, arguments) in requests.iter().zip(&arguments) {
            match (request.procedure, calls.wait().unwrap()) {
                (1 | 4, Ok(reply)) => assert_eq!(reply, arguments),
                (2, Ok(reply)) => assert!(reply.len() == 100_000 && reply.starts_with(arguments)),
                (3, Err(CallError::Unknown(unresolved))) => assert_eq!(unresolved.why(), Unknown::HandlerFailed),
                (5, Err(CallError::NotExecuted(NotExecuted::Refused(wire::NotExecuted::NoSuchProcedure)))) => {}
                (procedure, outcome) => panic!("procedure {procedure} ended as {outcome:?}"),
            }
        }
    }
}

#[test]
fn outcomes_come_in_the_order_of_the_calls_each_with_its_own_octets() {
    let (client, _server) = pair();
    let mut calls = client.pipeline();
    assert!(calls.wait().is_none());
    let mut expected = VecDeque::new();
    let mut count = 0;
    while count < 5000 || !expected.is_empty() {
        if count < 5000 && expected.len() < 200 {
            let procedure = [7, 7, 7, 8, 7, 9][count % 6];
            calls.start(&Request::new(1, 1, procedure, &arguments(count))).unwrap();
            expected.push_back((procedure, count));
            count += 1;
            continue;
        }
        assert_eq!(calls.open_count(), expected.len());
        assert!(calls.ready_count() <= calls.open_count());
        let (procedure, index) = expected.pop_front().unwrap();
        match (procedure, calls.wait().unwrap()) {
            (7, Ok(reply)) => assert_eq!(reply, arguments(index)),
            (8, Err(CallError::Application(error))) => assert_eq!(error, arguments(index)),
            (9, Err(CallError::NotExecuted(NotExecuted::Refused(wire::NotExecuted::NoSuchProcedure)))) => {}
            (_, outcome) => panic!("{index}: {outcome:?}"),
        }
    }
    assert!(calls.wait().is_none());
}

#[test]
fn where_there_is_no_room_for_a_call_an_outcome_makes_some() {
    let (client, _server) = pair();
    let mut calls = client.pipeline();
    let (mut started_count, mut refused_count, mut taken_count) = (0, 0, 0);
    while taken_count < 20_000 {
        match calls.start(&Request::new(1, 1, 7, &arguments(started_count))) {
            Ok(()) => started_count += 1,
            Err(SendError::Full) => {
                refused_count += 1;
                assert_eq!(calls.wait().unwrap().unwrap(), arguments(taken_count));
                taken_count += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused_count > 0);
}

#[test]
fn calls_are_started_together_as_far_as_there_is_room() {
    let (client, _server) = pair();
    let arguments: Vec<_> = (0..40_000).map(|index: usize| index.to_be_bytes()).collect();
    let requests: Vec<_> = arguments.iter().map(|octets| Request::new(1, 1, 7, octets)).collect();
    let mut calls = client.pipeline();
    assert_eq!(calls.start_all(&[]), Ok(0));
    let (mut started_count, mut is_full) = (0, false);
    for octets in &arguments {
        match calls.start_all(&requests[started_count..]) {
            Ok(count) => started_count += count,
            Err(error) => assert_eq!(error, SendError::Full),
        }
        is_full |= started_count < requests.len();
        assert_eq!(calls.wait().unwrap().unwrap(), octets);
    }
    assert!(is_full);
    assert!(calls.wait().is_none());
}

#[test]
fn threads_with_rows_of_their_own_share_a_client() {
    let (client, _server) = pair();
    thread::scope(|scope| {
        for thread in 0..4 {
            let client = &client;
            scope.spawn(move || {
                let mut calls = client.pipeline();
                for index in 0..1000 {
                    if calls.open_count() == 50 {
                        assert_eq!(calls.wait().unwrap().unwrap(), arguments(thread * 1000 + index - 50));
                    }
                    calls.start(&Request::new(1, 1, 7, &arguments(thread * 1000 + index))).unwrap();
                }
                for index in 950..1000 {
                    assert_eq!(calls.wait().unwrap().unwrap(), arguments(thread * 1000 + index));
                }
            });
        }
    });
}

#[test]
fn dropping_it_cancels_what_is_under_way() {
    let (begun, has_begun) = mpsc::sync_channel(2);
    let (ended, has_ended) = mpsc::sync_channel(2);
    let wait = move |call: &Incoming<'_>, _: &mut Vec<u8>| {
        begun.send(()).unwrap();
        while !call.is_cancelled() {
            thread::yield_now();
        }
        ended.send(()).unwrap();
        Answer::Ok
    };
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), wait).unwrap();
    let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
    let mut calls = client.pipeline();
    for _ in 0..2 {
        calls.start(&Request::new(1, 1, 7, b"")).unwrap();
        has_begun.recv().unwrap();
    }
    drop(calls);
    for _ in 0..2 {
        has_ended.recv().unwrap();
    }
}

#[test]
fn replies_that_came_are_there_when_the_server_is_gone() {
    let (client, server) = pair();
    let mut calls = client.pipeline();
    for index in [0, 2000] {
        calls.start(&Request::new(1, 1, 7, &arguments(index))).unwrap();
    }
    // Once this one has its reply, those before it have theirs.
    client.call(1, 1, 7, b"last").unwrap();
    drop(server);
    let in_vain = Request { timeout: Some(Duration::from_millis(200)), ..Request::new(1, 1, 7, b"in vain") };
    client.call_into(&in_vain, &mut Vec::new()).unwrap_err();
    for index in [0, 2000] {
        assert_eq!(calls.wait().unwrap().unwrap(), arguments(index));
    }
}

#[test]
fn without_its_client_every_call_has_an_outcome() {
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let wait = move |_: &Incoming<'_>, _: &mut Vec<u8>| {
        let _ = gate.lock().unwrap().recv();
        Answer::Ok
    };
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), wait).unwrap();
    let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
    let mut calls = client.pipeline();
    for _ in 0..3 {
        calls.start(&Request::new(1, 1, 7, b"")).unwrap();
    }
    drop(client);
    for _ in 0..3 {
        assert!(matches!(calls.wait(), Some(Err(CallError::Unknown(_)))));
    }
    assert!(calls.wait().is_none());
    drop(release);
}
