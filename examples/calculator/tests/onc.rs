//! The same generated code speaks ONC RPC: over UDP and TCP, with the server of each adapter, and with two protocols at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mio::{Events, Poll, Token};
use posthaste_calculator::Calculator;
use posthaste_calculator::calculator::calculator_v1::{ADD, AsyncClient, Client, DIVIDE, Service};
use posthaste_calculator::calculator::{Division, Problem};
use posthaste_rpc::{AsyncCaller, CallError, Caller, NotExecuted, Unknown};
use posthaste_std::onc::Transport;
use posthaste_std::{Config, Rpc, Server};
use posthaste_std::{onc, onc::ClientConfig, onc::ServerOptions};
use smol::future;

#[test]
fn a_blocking_server_answers() {
    let server = onc::Server::serve(ANY, ServerOptions::default(), onc::Rpc(Service(Calculator))).unwrap();
    call_with_both(server.local_addr());
}

#[test]
fn an_async_server_answers() {
    use posthaste_smol::onc::{AsyncRpc, Server, ServerOptions};
    let server = Server::bind(ANY, ServerOptions::default()).unwrap();
    let address = server.local_addr();
    let service = AsyncRpc(Service(Calculator));
    let serving = async { match server.serve(&service).await {} };
    smol::block_on(future::or(smol::unblock(move || call_with_both(address)), serving));
}

#[test]
fn a_server_in_a_readiness_loop_answers() {
    use posthaste_mio::onc::{Rpc, Server, ServerOptions};
    let mut server = Server::bind(ANY, ServerOptions::default()).unwrap();
    let address = server.local_addr();
    let is_done = Arc::new(AtomicBool::new(false));
    let calling = thread::spawn({
        let is_done = Arc::clone(&is_done);
        move || {
            let _done = Done(is_done);
            call_with_both(address);
        }
    });
    let (mut poll, mut ready) = (Poll::new().unwrap(), Events::with_capacity(16));
    server.register(poll.registry(), Token(0)).unwrap();
    while !is_done.load(Ordering::Acquire) {
        // Awake now and then, to see whether it is done.
        let timeout = server.next_timeout().unwrap_or(Duration::MAX).min(Duration::from_millis(10));
        poll.poll(&mut ready, Some(timeout)).unwrap();
        ready.iter().for_each(|event| server.handle_event(event));
        server.process(&Rpc(Service(Calculator)));
    }
    calling.join().unwrap();
}

#[test]
fn a_client_in_a_readiness_loop_calls() {
    use posthaste_mio::onc::Client;
    let server = onc::Server::serve(ANY, ServerOptions::default(), onc::Rpc(Service(Calculator))).unwrap();
    for transport in BOTH {
        let (mut poll, mut ready) = (Poll::new().unwrap(), Events::with_capacity(16));
        let mut client = Client::connect(server.local_addr(), transport, ClientConfig::default()).unwrap();
        poll.registry().register(&mut client, Token(0), Client::INTERESTS).unwrap();
        let add = client.call_procedure(&ADD, &(2_i64, 3_i64)).unwrap();
        let divide = client.call_procedure(&DIVIDE, &(1, 0)).unwrap();
        let mut open_count = 2;
        while open_count > 0 {
            client.transmit();
            poll.poll(&mut ready, client.next_timeout()).unwrap();
            ready.iter().for_each(|event| client.handle_event(event));
            client.process();
            while let Some((call, outcome)) = client.poll_outcome() {
                open_count -= 1;
                if call == add {
                    assert_eq!(Client::read_result(&ADD, outcome).unwrap(), 5);
                } else if call == divide {
                    let division = Client::read_result(&DIVIDE, outcome).unwrap();
                    assert_eq!(division, Division::False(Problem::DivisionByZero));
                }
            }
        }
    }
}

#[test]
fn one_service_answers_in_two_protocols_and_one_function_calls_it_in_both() {
    let service = Arc::new(Service(Calculator));
    let native = Server::serve_insecure(ANY, Config::lan(), Rpc(Arc::clone(&service))).unwrap();
    let classic = onc::Server::serve(ANY, ServerOptions::default(), onc::Rpc(service)).unwrap();
    try_blocking(&Client::new(posthaste_std::Client::connect_insecure(native.local_addr(), Config::lan()).unwrap()));
    for transport in BOTH {
        let client = onc::Client::connect(classic.local_addr(), transport, ClientConfig::default()).unwrap();
        try_blocking(&Client::new(client));
    }
}

#[test]
fn what_onc_rpc_has_no_word_for_is_not_taken_for_a_result() {
    let server = onc::Server::serve(ANY, ServerOptions::default(), onc::Rpc(Service(Calculator))).unwrap();
    for transport in BOTH {
        let caller = onc::Client::connect(server.local_addr(), transport, ClientConfig::default()).unwrap();
        let Err(CallError::Unknown(unresolved)) = Client::new(caller).add(i64::MAX, 1) else { panic!() };
        assert_eq!(unresolved.why(), Unknown::HandlerFailed);
    }
}

/// Calls with a blocking and with an async client, over UDP and TCP.
fn call_with_both(server: SocketAddr) {
    for transport in BOTH {
        let caller = onc::Client::connect(server, transport, ClientConfig::default()).unwrap();
        try_blocking(&Client::new(caller));
        smol::block_on(async {
            let caller =
                posthaste_smol::onc::Client::connect(server, transport, ClientConfig::default()).await.unwrap();
            try_async(&AsyncClient::new(caller)).await;
        });
    }
}

fn try_blocking(client: &Client<impl Caller>) {
    client.null().unwrap();
    assert_eq!(client.add(2, 3).unwrap(), 5);
    assert_eq!(client.divide(1, 0).unwrap(), Division::False(Problem::DivisionByZero));
    assert_eq!(client.sum(&[1; 1000]).unwrap(), 1000);
    client.show("shown by the server").unwrap();
    let refused = client.sum(&[1; 1001]);
    assert!(matches!(refused, Err(CallError::NotExecuted(NotExecuted::Unencodable(_)))));
}

async fn try_async(client: &AsyncClient<impl AsyncCaller>) {
    client.null().await.unwrap();
    assert_eq!(client.add(2, 3).await.unwrap(), 5);
    assert_eq!(client.divide(1, 0).await.unwrap(), Division::False(Problem::DivisionByZero));
    assert_eq!(client.sum(&[1; 1000]).await.unwrap(), 1000);
    client.show("shown by the server").await.unwrap();
}

/// Says that the thread which holds this has ended, well or not.
struct Done(Arc<AtomicBool>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];
