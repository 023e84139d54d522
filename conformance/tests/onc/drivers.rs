//! Each adapter as a server of `calc.x`, and as a client of anything.

use core::cell::RefCell;
use core::net::SocketAddr;
use core::time::Duration;
use std::thread;

use mio::{Events, Poll, Token};
use posthaste_mio::onc as readiness;
use posthaste_rpc::{Call, CallError, Caller, Failure, Request};
use posthaste_smol::onc as tasks;
use posthaste_std::onc::{self as blocking, AuthSys, ClientConfig, Transport};
use smol::future;

use super::calc::{Octets, Pair, calc_v1, calc_v2};

/// An adapter.
pub(crate) struct Driver {
    pub(crate) name: &'static str,
    /// Serves at a port of its own for as long as a test runs.
    pub(crate) serve: fn(Test),
    /// Connects to a server.
    pub(crate) connect: fn(SocketAddr, Transport, ClientConfig) -> Client,
}

/// What is done with the port of a server.
pub(crate) type Test = Box<dyn FnOnce(u16) + Send>;

/// What stubs call with.
pub(crate) enum Client {
    Blocking(Box<dyn Caller>),
    Awaited(tasks::Client),
}

/// All of them.
pub(crate) const DRIVERS: [Driver; 3] = [
    Driver { name: "std", serve: serve_blocking, connect: connect_blocking },
    Driver { name: "smol", serve: serve_tasks, connect: connect_tasks },
    Driver { name: "mio", serve: serve_readiness, connect: connect_readiness },
];

/// What a server of `calc.x` does.
struct Calculate;

impl calc_v1::Server for Calculate {
    fn add(&self, call: &dyn Call, pair: Pair) -> Result<i32, Failure> {
        if let Some((AUTH_SYS, body)) = call.credential() {
            assert!(!AuthSys::from_body(body).unwrap().machine_name().is_empty());
        }
        Ok(pair.a.wrapping_add(pair.b))
    }

    fn echo(&self, _: &dyn Call, octets: &[u8]) -> Result<Octets, Failure> {
        Ok(octets.to_vec().into())
    }
}

impl calc_v2::Server for Calculate {
    fn swap(&self, _: &dyn Call, pair: Pair) -> Result<Pair, Failure> {
        Ok(Pair { a: pair.b, b: pair.a })
    }
}

impl calc_v1::AsyncServer for Calculate {
    async fn add(&self, call: &dyn Call, pair: Pair) -> Result<i32, Failure> {
        // Gives the others their turn.
        future::yield_now().await;
        calc_v1::Server::add(self, call, pair)
    }

    async fn echo(&self, call: &dyn Call, octets: &[u8]) -> Result<Octets, Failure> {
        future::yield_now().await;
        calc_v1::Server::echo(self, call, octets)
    }
}

impl calc_v2::AsyncServer for Calculate {
    async fn swap(&self, call: &dyn Call, pair: Pair) -> Result<Pair, Failure> {
        calc_v2::Server::swap(self, call, pair)
    }
}

const SERVICES: (calc_v1::Service<Calculate>, calc_v2::Service<Calculate>) =
    (calc_v1::Service(Calculate), calc_v2::Service(Calculate));

fn serve_blocking(test: Test) {
    let service = blocking::Rpc(SERVICES);
    let server = blocking::Server::serve(ANY, blocking::ServerOptions::default(), service).unwrap();
    test(server.local_addr().port());
}

fn connect_blocking(server: SocketAddr, transport: Transport, config: ClientConfig) -> Client {
    Client::Blocking(Box::new(blocking::Client::connect(server, transport, config).unwrap()))
}

fn serve_tasks(test: Test) {
    let server = tasks::Server::bind(ANY, tasks::ServerOptions::default()).unwrap();
    let port = server.local_addr().port();
    let service = tasks::AsyncRpc(SERVICES);
    let serving = async { match server.serve(&service).await {} };
    smol::block_on(future::or(smol::unblock(move || test(port)), serving));
}

fn connect_tasks(server: SocketAddr, transport: Transport, config: ClientConfig) -> Client {
    Client::Awaited(smol::block_on(tasks::Client::connect(server, transport, config)).unwrap())
}

fn serve_readiness(test: Test) {
    let mut server = readiness::Server::bind(ANY, readiness::ServerOptions::default()).unwrap();
    let (mut poll, mut ready) = (Poll::new().unwrap(), Events::with_capacity(16));
    server.register(poll.registry(), Token(0)).unwrap();
    let port = server.local_addr().port();
    let testing = thread::spawn(move || test(port));
    while !testing.is_finished() {
        // Awake now and then, to see whether it is done.
        let timeout = server.next_timeout().unwrap_or(Duration::MAX).min(Duration::from_millis(10));
        poll.poll(&mut ready, Some(timeout)).unwrap();
        ready.iter().for_each(|event| server.handle_event(event));
        server.process(&readiness::Rpc(SERVICES));
    }
    testing.join().unwrap();
}

fn connect_readiness(server: SocketAddr, transport: Transport, config: ClientConfig) -> Client {
    let poll = Poll::new().unwrap();
    let mut client = readiness::Client::connect(server, transport, config).unwrap();
    poll.registry().register(&mut client, Token(0), readiness::Client::INTERESTS).unwrap();
    Client::Blocking(Box::new(Turns(RefCell::new((client, poll, Events::with_capacity(16))))))
}

/// A readiness loop that turns for as long as a call takes.
struct Turns(RefCell<(readiness::Client, Poll, Events)>);

impl Caller for Turns {
    fn call(&self, request: &Request<'_>, read: &mut dyn FnMut(&[u8])) -> Result<(), CallError> {
        let (client, poll, ready) = &mut *self.0.borrow_mut();
        let request = readiness::Request::from_stub(request).map_err(CallError::NotExecuted)?;
        client.call(&request).map_err(|why| CallError::NotExecuted(why.into()))?;
        loop {
            if let Some((_, outcome)) = client.poll_outcome() {
                read(&outcome?);
                return Ok(());
            }
            client.transmit();
            poll.poll(ready, client.next_timeout()).unwrap();
            ready.iter().for_each(|event| client.handle_event(event));
            client.process();
        }
    }
}

const ANY: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 0);

/// RFC 5531 §8.2.
const AUTH_SYS: u32 = 1;
