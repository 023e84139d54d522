//! Calls over real sockets on loopback.

extern crate alloc;

use alloc::sync::Arc;
use core::net::Ipv6Addr;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::net::UdpSocket;
use std::sync::mpsc;
use std::sync::{Barrier, Mutex};
use std::thread;

use posthaste_std::{
    Answer, BusyPoll, CallError, Client, Config, ConnectError, Delivery, Execution, Handler, Incoming, Inline,
    NotExecuted, Options, Pending, ReceiveError, Request, Server, StreamReader, StreamWriter, Unknown, Unresolved,
    wait_any, wire,
};

#[test]
fn a_call_brings_back_its_own_reply_over_ipv4() {
    let server = serve(echo);
    let client = connect(&server);
    for text in [&b"hello"[..], b"", &[7; 1000]] {
        assert_eq!(client.call(1, 1, 7, text).unwrap(), text);
    }
}

#[test]
fn a_call_brings_back_its_own_reply_over_ipv6() {
    let server = Server::serve_insecure((Ipv6Addr::LOCALHOST, 0), Config::lan(), Inline(echo)).unwrap();
    let client = connect(&server);
    assert_eq!(client.call(1, 1, 7, b"hello").unwrap(), b"hello");
}

#[test]
fn a_name_leads_to_whichever_of_its_addresses_answers() {
    let server = serve(echo);
    let dead = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addresses = [dead.local_addr().unwrap(), server.local_addr()];
    let client = Client::connect_insecure(&addresses[..], impatient()).unwrap();
    assert_eq!(client.call(1, 1, 7, b"hello").unwrap(), b"hello");
}

#[test]
fn an_error_names_each_address_that_was_tried() {
    let dead = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let addresses = dead.each_ref().map(|socket| socket.local_addr().unwrap());
    let error = Client::connect_insecure(&addresses[..], impatient()).unwrap_err();
    let ConnectError::Unreachable(attempts) = &error else { panic!("{error}") };
    assert_eq!(attempts.iter().map(|attempt| attempt.address).collect::<Vec<_>>(), addresses);
    for address in addresses {
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}

#[test]
fn a_port_where_nobody_listens_is_named_in_the_error() {
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Client::connect_insecure(address, impatient()).unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn a_name_that_leads_nowhere_is_an_error_of_its_own() {
    let error = Client::connect_insecure("no-such-host.invalid:1", Config::lan()).unwrap_err();
    assert!(matches!(error, ConnectError::Name(_)), "{error}");
}

#[test]
fn many_threads_share_a_client_and_each_call_is_executed_once_and_gets_its_own_reply() {
    for is_inline in [true, false] {
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        let handler = move |call: &Incoming<'_>, reply: &mut Vec<u8>| {
            counted.fetch_add(1, Ordering::Relaxed);
            echo(call, reply)
        };
        let server = if is_inline { serve(Inline(handler)) } else { serve(handler) };
        let client = connect(&server);
        thread::scope(|scope| {
            for thread in 0..THREAD_COUNT {
                let client = client.clone();
                scope.spawn(move || {
                    for index in 0..CALL_COUNT {
                        let question = (thread * CALL_COUNT + index).to_be_bytes();
                        assert_eq!(client.call(1, 1, 7, &question).unwrap(), question);
                    }
                });
            }
        });
        assert_eq!(count.load(Ordering::Relaxed), THREAD_COUNT * CALL_COUNT);
    }
}

#[test]
fn whoever_looks_at_the_socket_before_it_sleeps_still_keeps_its_deadlines_and_ends() {
    // Some sleep at once, and some never.
    for time_max in [Duration::from_nanos(1), Duration::MAX] {
        let mut options = Options::from(Config::lan());
        options.socket.busy_poll = BusyPoll::UpTo(time_max);
        let server = Server::serve_insecure("127.0.0.1:0", options.clone(), Inline(echo)).unwrap();
        let client = Client::connect_insecure(server.local_addr(), options).unwrap();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for index in 0..3_u64 {
                        assert_eq!(client.call(1, 1, 7, &index.to_be_bytes()).unwrap(), index.to_be_bytes());
                    }
                });
            }
        });
        let waited = client.receive_into(&mut Vec::new(), Some(Duration::from_millis(1)));
        assert_eq!(waited.unwrap_err(), ReceiveError::TimedOut);
        // The acknowledgement of a lone message leaves when a deadline has passed.
        client.send(Delivery::Reliable, b"hello").unwrap();
        client.flush().unwrap();
        // Ends when the thread that receives has seen that it is over.
        drop(server);
    }
}

#[test]
fn one_thread_keeps_many_calls_under_way() {
    let server = serve(Inline(echo));
    let client = connect(&server);
    let mut open = alloc::collections::VecDeque::new();
    for index in 0..2000_u64 {
        if open.len() == 64 {
            let (expected, pending): (u64, Pending) = open.pop_front().unwrap();
            assert_eq!(pending.wait().unwrap(), expected.to_be_bytes());
        }
        open.push_back((index, client.start(&Request::new(1, 1, 7, &index.to_be_bytes())).unwrap()));
    }
    for (expected, pending) in open {
        assert_eq!(pending.wait().unwrap(), expected.to_be_bytes());
    }
}

#[test]
fn whichever_of_several_calls_ends_first_can_be_waited_for() {
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let server = serve(move |call: &Incoming<'_>, reply: &mut Vec<u8>| {
        if call.arguments() == b"slow" {
            let _ = gate.lock().unwrap().recv();
        }
        echo(call, reply)
    });
    let client = connect(&server);
    let mut calls = [b"slow", b"fast"]
        .map(|text| client.start(&Request::new(1, 1, 7, text)).unwrap())
        .into_iter()
        .collect::<Vec<_>>();
    let index = wait_any(&calls);
    assert_eq!(calls.remove(index).wait().unwrap(), b"fast");
    release.send(()).unwrap();
    assert_eq!(calls.remove(wait_any(&calls)).wait().unwrap(), b"slow");
}

#[test]
fn outcomes_wait_for_whoever_asks_last_whatever_was_started_meanwhile() {
    let server = serve(Inline(|call: &Incoming<'_>, reply: &mut Vec<u8>| match call.procedure().procedure {
        9 => Answer::Refused(wire::NotExecuted::NoSuchProcedure),
        _ => echo(call, reply),
    }));
    let client = connect(&server);
    let start = |procedure| client.start(&Request::new(1, 1, procedure, b"some")).unwrap();
    let mut refused = Vec::new();
    for _ in 0..5 {
        refused.extend((0..10).map(|_| start(9)));
        assert_eq!(start(7).wait().unwrap(), b"some");
    }
    // Who is no longer interested takes nothing from the others.
    refused.truncate(40);
    assert!(wait_any(&refused) < 40);
    for call in refused {
        let outcome = call.wait();
        assert!(matches!(outcome, Err(CallError::NotExecuted(NotExecuted::Refused(_)))), "{outcome:?}");
    }
}

#[test]
fn an_error_of_the_application_comes_with_its_octets() {
    let server = serve(|_: &Incoming<'_>, reply: &mut Vec<u8>| {
        reply.extend_from_slice(b"no");
        Answer::Error
    });
    let error = connect(&server).call(1, 1, 7, b"").unwrap_err();
    assert!(matches!(&error, CallError::Application(octets) if octets == b"no"), "{error}");
}

#[test]
fn a_handler_that_panics_when_it_is_asked_who_runs_it_leaves_the_server_alive() {
    struct Choosing;

    impl Handler for Choosing {
        fn execution(&self, procedure: &wire::Description) -> Execution {
            // Not `panic!`, whose message would clutter the output of the test.
            if procedure.procedure == 8 {
                std::panic::resume_unwind(Box::new(()));
            }
            Execution::Pool
        }

        fn handle(&self, call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
            echo(call, reply)
        }
    }

    let server = serve(Choosing);
    let client = connect(&server);
    let error = client.call(1, 1, 8, b"bad").unwrap_err();
    assert!(matches!(error, CallError::NotExecuted(NotExecuted::Refused(wire::NotExecuted::Busy))), "{error}");
    assert_eq!(client.call(1, 1, 7, b"good").unwrap(), b"good");
}

#[test]
fn a_handler_that_panics_leaves_the_server_alive() {
    for is_inline in [true, false] {
        let handler = |call: &Incoming<'_>, reply: &mut Vec<u8>| {
            // Not `panic!`, whose message would clutter the output of the test.
            if call.arguments() == b"bad" {
                std::panic::resume_unwind(Box::new(()));
            }
            echo(call, reply)
        };
        let server = if is_inline { serve(Inline(handler)) } else { serve(handler) };
        let client = connect(&server);
        let error = client.call(1, 1, 7, b"bad").unwrap_err();
        assert!(
            matches!(&error, CallError::Unknown(unresolved) if unresolved.why() == Unknown::HandlerFailed),
            "{error}"
        );
        drop(error);
        assert_eq!(client.call(1, 1, 7, b"good").unwrap(), b"good");
    }
}

#[test]
fn a_call_beyond_the_queue_is_refused_as_busy_and_never_runs() {
    let (release, gate) = mpsc::channel::<()>();
    let (begun, beginnings) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    let handler = move |call: &Incoming<'_>, reply: &mut Vec<u8>| {
        counted.fetch_add(1, Ordering::Relaxed);
        begun.send(()).unwrap();
        let _ = gate.lock().unwrap().recv();
        echo(call, reply)
    };
    let options = Options { worker_count: 1, queued_count_max: 1, ..Config::lan().into() };
    let server = Server::serve_insecure("127.0.0.1:0", options, handler).unwrap();
    let client = connect(&server);
    let running = client.start(&Request::new(1, 1, 7, b"running")).unwrap();
    beginnings.recv().unwrap();
    let queued = client.start(&Request::new(1, 1, 7, b"queued")).unwrap();
    let error = client.call(1, 1, 7, b"refused").unwrap_err();
    assert!(matches!(error, CallError::NotExecuted(NotExecuted::Refused(wire::NotExecuted::Busy))), "{error}");
    release.send(()).unwrap();
    release.send(()).unwrap();
    assert_eq!(running.wait().unwrap(), b"running");
    assert_eq!(queued.wait().unwrap(), b"queued");
    assert_eq!(count.load(Ordering::Relaxed), 2);
}

#[test]
fn a_deadline_ends_the_wait() {
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let server = serve(move |call: &Incoming<'_>, reply: &mut Vec<u8>| {
        assert!(call.deadline().is_some());
        let _ = gate.lock().unwrap().recv();
        echo(call, reply)
    });
    let client = connect(&server);
    let request = Request { timeout: Some(Duration::from_millis(50)), ..Request::new(1, 1, 7, b"late") };
    let error = client.call_into(&request, &mut Vec::new()).unwrap_err();
    // Or it did not begin in time, on a busy machine.
    let is_late = matches!(&error, CallError::Unknown(unresolved) if unresolved.why() == Unknown::Deadline)
        || matches!(error, CallError::NotExecuted(NotExecuted::Refused(wire::NotExecuted::DeadlinePassed)));
    assert!(is_late, "{error}");
    drop(release);
}

#[test]
fn a_call_whose_outcome_is_unknown_can_be_resolved() {
    let (server, begun, release) = serve_behind_a_gate();
    let client = connect(&server);
    let unresolved = cancel_once_begun(&client, &begun);
    release.send(()).unwrap();
    assert_eq!(unresolved.resolve(Duration::from_secs(10)).unwrap(), b"gated");
}

#[test]
fn a_reply_that_nobody_waited_for_any_more_is_there_when_it_is_asked_for() {
    let (server, begun, release) = serve_behind_a_gate();
    let client = connect(&server);
    let [asked, dropped] = [(); 2].map(|()| {
        let unresolved = cancel_once_begun(&client, &begun);
        release.send(()).unwrap();
        // The only worker answers one call after the other.
        assert_eq!(client.call(1, 1, 7, b"next").unwrap(), b"next");
        unresolved
    });
    drop(dropped);
    assert_eq!(asked.resolve(Duration::from_secs(10)).unwrap(), b"gated");
}

#[test]
fn a_handler_sees_that_its_call_was_cancelled() {
    let (begun, beginnings) = mpsc::channel::<()>();
    let (ended, ends) = mpsc::channel::<()>();
    let server = serve(move |call: &Incoming<'_>, reply: &mut Vec<u8>| {
        if call.arguments() == b"long" {
            begun.send(()).unwrap();
            while !call.is_cancelled() {
                thread::yield_now();
            }
            ended.send(()).unwrap();
        }
        echo(call, reply)
    });
    let client = connect(&server);
    let request = Request::new(1, 1, 7, b"long");
    let pending = client.start(&request).unwrap();
    beginnings.recv().unwrap();
    pending.cancel();
    assert!(matches!(pending.wait().unwrap_err(), CallError::Unknown(it) if it.why() == Unknown::Cancelled));
    ends.recv().unwrap();

    // To let go of a call cancels it.
    drop(client.start(&request).unwrap());
    assert_eq!(client.call(1, 1, 7, b"short").unwrap(), b"short");
}

#[test]
fn a_handler_sees_that_its_caller_is_gone() {
    let (begun, beginnings) = mpsc::channel::<()>();
    let (ended, ends) = mpsc::channel::<()>();
    let server = serve(move |call: &Incoming<'_>, _: &mut Vec<u8>| {
        begun.send(()).unwrap();
        while !call.is_cancelled() {
            thread::yield_now();
        }
        ended.send(()).unwrap();
        Answer::Ok
    });
    let client = connect(&server);
    let pending = client.start(&Request::new(1, 1, 7, b"")).unwrap();
    beginnings.recv().unwrap();
    drop(client);
    ends.recv().unwrap();
    drop(pending);
}

#[test]
fn a_large_call_goes_both_ways() {
    let server = serve(echo);
    let client = connect(&server);
    let question: Vec<u8> = (0..1_000_000_u32).map(|index| (index % 251) as u8).collect();
    assert!(client.call(1, 1, 7, &question).unwrap() == question);
}

#[test]
fn a_server_calls_its_client_on_the_same_conversation() {
    let server = serve(|call: &Incoming<'_>, reply: &mut Vec<u8>| {
        let peer = call.peer();
        *reply = peer.call(2, 1, 1, call.arguments()).unwrap();
        Answer::Ok
    });
    let shout = |call: &Incoming<'_>, reply: &mut Vec<u8>| {
        reply.extend(call.arguments().iter().map(u8::to_ascii_uppercase));
        Answer::Ok
    };
    for _ in 0..2 {
        let client = Client::connect_insecure_with(server.local_addr(), Config::lan(), shout).unwrap();
        assert_eq!(client.call(1, 1, 7, b"hello").unwrap(), b"HELLO");
    }
}

#[test]
fn a_client_without_a_handler_refuses_calls() {
    let server = serve(|call: &Incoming<'_>, reply: &mut Vec<u8>| {
        let error = call.peer().call(2, 1, 1, b"").unwrap_err();
        reply.extend_from_slice(error.to_string().as_bytes());
        Answer::Error
    });
    let error = connect(&server).call(1, 1, 7, b"").unwrap_err();
    let CallError::Application(octets) = error else { panic!("{error}") };
    assert!(String::from_utf8(octets).unwrap().contains("does not know the program"));
}

#[test]
fn the_restart_of_a_server_makes_open_calls_unknown_and_the_next_one_succeeds() {
    let (begun, beginnings) = mpsc::channel::<()>();
    let mut config = Config::lan();
    config.reset_secret = Some([1; 16]);
    let stuck = move |call: &Incoming<'_>, _: &mut Vec<u8>| {
        begun.send(()).unwrap();
        while !call.is_cancelled() {
            thread::yield_now();
        }
        Answer::Ok
    };
    let first = Server::serve_insecure("127.0.0.1:0", config.clone(), stuck).unwrap();
    let address = first.local_addr();
    let client = connect(&first);
    let pending = client.start(&Request::new(1, 1, 7, b"")).unwrap();
    beginnings.recv().unwrap();
    drop(first);
    let error = pending.wait().unwrap_err();
    assert!(matches!(error, CallError::Unknown(_)), "{error}");
    drop(error);
    let _second = Server::serve_insecure(address, config, echo).unwrap();
    assert_eq!(client.call(1, 1, 7, b"again").unwrap(), b"again");
}

#[test]
fn whoever_waits_learns_that_the_client_is_gone() {
    let (begun, beginnings) = mpsc::channel::<()>();
    let server = serve(move |call: &Incoming<'_>, _: &mut Vec<u8>| {
        begun.send(()).unwrap();
        while !call.is_cancelled() && call.deadline().is_some_and(|deadline| deadline > std::time::Instant::now()) {
            thread::yield_now();
        }
        Answer::Ok
    });
    let client = connect(&server);
    let peer = client.clone();
    let barrier = Arc::new(Barrier::new(2));
    let waiting = {
        let barrier = Arc::clone(&barrier);
        let peer = core::ops::Deref::deref(&peer).clone();
        thread::spawn(move || {
            barrier.wait();
            peer.call_into(
                &Request { timeout: Some(Duration::from_secs(5)), ..Request::new(1, 1, 7, b"") },
                &mut Vec::new(),
            )
        })
    };
    barrier.wait();
    beginnings.recv().unwrap();
    drop((client, peer));
    assert!(matches!(waiting.join().unwrap().unwrap_err(), CallError::Unknown(_)));
}

#[test]
fn a_server_that_shuts_down_lets_its_handlers_finish() {
    let (begun, beginnings) = mpsc::channel::<()>();
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let server = serve(move |call: &Incoming<'_>, reply: &mut Vec<u8>| {
        begun.send(()).unwrap();
        let _ = gate.lock().unwrap().recv();
        echo(call, reply)
    });
    let client = connect(&server);
    let pending = client.start(&Request::new(1, 1, 7, b"last")).unwrap();
    beginnings.recv().unwrap();
    let end = thread::spawn(move || server.shut_down(Duration::from_secs(10)));
    release.send(()).unwrap();
    assert_eq!(pending.wait().unwrap(), b"last");
    end.join().unwrap();
}

#[test]
fn a_server_that_shuts_down_tells_the_threads_that_receive() {
    let server = serve(echo);
    thread::scope(|scope| {
        let receiving = [(); 2].map(|()| scope.spawn(|| server.accept_stream(None)));
        server.shut_down(Duration::from_secs(10));
        for receiver in receiving {
            assert_eq!(receiver.join().unwrap().unwrap_err(), ReceiveError::Closed);
        }
    });
}

#[test]
fn a_call_can_be_cancelled_while_another_thread_waits_for_it() {
    let (begun, beginnings) = mpsc::channel::<()>();
    let server = serve(move |call: &Incoming<'_>, _: &mut Vec<u8>| {
        begun.send(()).unwrap();
        while !call.is_cancelled() {
            thread::yield_now();
        }
        Answer::Ok
    });
    let client = connect(&server);
    let pending = client.start(&Request::new(1, 1, 7, b"")).unwrap();
    let canceller = pending.canceller();
    let waiting = thread::spawn(|| pending.wait());
    beginnings.recv().unwrap();
    canceller.cancel();
    // The handler answers once it is told, and whether its answer is still waited for is a matter of time.
    let _ = waiting.join().unwrap();
}

/// Opens a stream of which the beginning was written and read.
fn begun_stream(client: &Client, server: &Server) -> (StreamWriter, StreamReader) {
    let mut writer = client.open_stream(Delivery::Reliable).unwrap();
    writer.write_all(b"begin").unwrap();
    let mut reader = server.accept_stream(None).unwrap();
    reader.read_exact(&mut [0; 5]).unwrap();
    (writer, reader)
}

#[test]
fn who_reads_a_stream_learns_that_its_writer_is_gone() {
    let server = serve(echo);
    let client = connect(&server);
    let (_writer, mut reader) = begun_stream(&client, &server);
    let mut octets = [0; 5];
    let reading = thread::spawn(move || reader.read(&mut octets));
    drop(client);
    let error = reading.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
}

#[test]
fn a_read_that_timed_out_is_gone_on_with() {
    let server = serve(echo);
    let client = connect(&server);
    let (mut writer, mut reader) = begun_stream(&client, &server);
    let mut octets = [0; 5];
    reader.set_read_timeout(Some(Duration::from_millis(1)));
    assert_eq!(reader.read(&mut octets).unwrap_err().kind(), ErrorKind::TimedOut);
    reader.set_read_timeout(None);
    writer.write_all(b"again").unwrap();
    reader.read_exact(&mut octets).unwrap();
    assert_eq!(&octets, b"again");
}

const THREAD_COUNT: u64 = 8;
const CALL_COUNT: u64 = 200;

fn echo(call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
    reply.extend_from_slice(call.arguments());
    Answer::Ok
}

/// Serves with one worker, which tells that a call "gated" has begun, and waits for leave to answer it.
fn serve_behind_a_gate() -> (Server, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (begun, beginnings) = mpsc::channel();
    let (release, gate) = mpsc::channel();
    let gate = Mutex::new(gate);
    let handler = move |call: &Incoming<'_>, reply: &mut Vec<u8>| {
        if call.arguments() == b"gated" {
            begun.send(()).unwrap();
            let _ = gate.lock().unwrap().recv();
        }
        echo(call, reply)
    };
    let options = Options { worker_count: 1, ..Config::lan().into() };
    (Server::serve_insecure("127.0.0.1:0", options, handler).unwrap(), beginnings, release)
}

/// Cancels a call "gated" that runs.
fn cancel_once_begun(client: &Client, begun: &mpsc::Receiver<()>) -> Unresolved {
    let pending = client.start(&Request::new(1, 1, 7, b"gated")).unwrap();
    begun.recv().unwrap();
    pending.cancel();
    let error = pending.wait().unwrap_err();
    let CallError::Unknown(unresolved) = error else { panic!("{error}") };
    unresolved
}

fn serve(handler: impl posthaste_std::Handler) -> Server {
    Server::serve_insecure("127.0.0.1:0", Config::lan(), handler).unwrap()
}

fn connect(server: &Server) -> Client {
    Client::connect_insecure(server.local_addr(), Config::lan()).unwrap()
}

fn impatient() -> Options {
    Options { connect_timeout: Duration::from_millis(200), ..Config::lan().into() }
}
