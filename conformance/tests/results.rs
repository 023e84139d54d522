//! Results of generated servers, on every adapter: written where the endpoint keeps them, and nowhere before.
//!
//! All threads count what they allocate, so this is a program without the threads of a test harness.

use core::net::SocketAddr;
use std::sync::mpsc::{self, Sender};
use std::thread;

use mio::{Events, Interest, Poll, Token};
use posthaste_core::endpoint::Request;
use posthaste_core::{Config, Unknown};
use posthaste_heap as heap;
use posthaste_mio::{Endpoint, Event, SocketOptions};
use posthaste_rpc::{Answer, AsyncDispatch, Call, Directory, Dispatch, Exchange, Procedure, Signature, Values};
use posthaste_std::{CallError, Client, Inline, Rpc, Server};

fn main() {
    let server = |server: Server| (server.local_addr(), Some(server));
    let local = "127.0.0.1:0";
    for (name, (address, _server)) in [
        ("std, inline", server(Server::serve_insecure(local, Config::lan(), Inline(Rpc(Long))).unwrap())),
        ("std, pooled", server(Server::serve_insecure(local, Config::lan(), Rpc(Long)).unwrap())),
        ("mio", (in_thread(serve_mio), None)),
        ("smol", (in_thread(serve_smol), None)),
    ] {
        a_result_is_written_where_the_endpoint_keeps_it(name, address);
        a_result_that_is_too_long_for_its_caller_is_told_as_failed(name, address);
    }
}

fn a_result_is_written_where_the_endpoint_keeps_it(name: &str, server: SocketAddr) {
    let client = Client::connect_insecure(server, Config::lan()).unwrap();
    let mut reply = Vec::with_capacity(LEN);
    // Threads begin to run, and the buffers of short calls grow.
    for _ in 0..1000 {
        client.call_into(&Request::new(PROGRAM, 1, 0, &[]), &mut reply).unwrap();
    }
    let (called, allocated) = heap::watch_all(|| client.call_into(&long(), &mut reply));
    called.unwrap();
    assert!(reply == RESULT, "{name}");
    assert!(allocated.octets < LEN, "{name}: {allocated:?}");
}

fn a_result_that_is_too_long_for_its_caller_is_told_as_failed(name: &str, server: SocketAddr) {
    let mut config = Config::lan();
    config.message_len_max = LEN - 1;
    let client = Client::connect_insecure(server, config).unwrap();
    let Err(CallError::Unknown(unresolved)) = client.call_into(&long(), &mut Vec::new()) else { panic!("{name}") };
    assert_eq!(unresolved.why(), Unknown::HandlerFailed, "{name}");
}

fn long() -> Request<'static> {
    Request::new(PROGRAM, 1, 1, &[])
}

/// As if it had been generated: procedure 1 has a long result, and allocates nothing for it.
#[derive(Clone, Copy)]
struct Long;

impl Directory for Long {
    fn versions(&self, program: u32) -> Option<(u32, u32)> {
        (program == PROGRAM).then_some((1, 1))
    }

    fn procedures(&self, program: u32, version: u32) -> Option<&'static [Signature]> {
        const PROCEDURES: &[Signature] = &[
            Procedure::<()>::new("null", PROGRAM, 1, 0).signature,
            Procedure::<()>::new("long", PROGRAM, 1, 1).signature,
        ];
        ((program, version) == (PROGRAM, 1)).then_some(PROCEDURES)
    }
}

impl Dispatch for Long {
    fn dispatch(&self, call: &dyn Call, exchange: &mut dyn Exchange) {
        let result = if call.target().procedure == 1 { Values::new(&RESULT) } else { Values::new(&()) };
        exchange.answer(Answer::Ok(result.unwrap()));
    }
}

impl AsyncDispatch for Long {
    async fn dispatch(&self, call: &dyn Call, exchange: &mut (dyn Exchange + Send + Sync)) {
        Dispatch::dispatch(self, call, exchange);
    }
}

/// Runs a server in a thread, for as long as the program does, and returns its address.
fn in_thread(serve: fn(Sender<SocketAddr>)) -> SocketAddr {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || serve(sender));
    receiver.recv().unwrap()
}

fn serve_mio(bound: Sender<SocketAddr>) {
    let mut endpoint =
        Endpoint::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan(), &SocketOptions::default()).unwrap();
    let (mut poll, mut ready) = (Poll::new().unwrap(), Events::with_capacity(4));
    poll.registry().register(&mut endpoint, Token(0), Interest::READABLE).unwrap();
    bound.send(endpoint.local_addr()).unwrap();
    loop {
        poll.poll(&mut ready, endpoint.next_timeout()).unwrap();
        ready.iter().for_each(|event| endpoint.handle_event(event));
        endpoint.process().unwrap();
        while let Some(event) = endpoint.poll_event() {
            if let Event::CallReceived { call } = event {
                // Too long for one of the callers.
                let _ = endpoint.answer(call, &Long);
            }
        }
        endpoint.transmit().unwrap();
    }
}

fn serve_smol(bound: Sender<SocketAddr>) {
    smol::block_on(async {
        let server = posthaste_smol::Server::bind_insecure("127.0.0.1:0".parse().unwrap(), Config::lan()).unwrap();
        bound.send(server.local_addr()).unwrap();
        panic!("{}", server.serve_rpc(1, &Long).await);
    });
}

const PROGRAM: u32 = 0x2000_0040;

/// More than the buffers of short calls hold, and less than what arrives in memory of its own (`Config::own_body_len_min`).
const LEN: usize = 16_000;

/// Fixed opaque data, which is encoded as it is.
static RESULT: [u8; LEN] = [7; LEN];
