//! Each adapter as a server of `calc.x`, and as a client.

use core::net::SocketAddr;
use core::time::Duration;
use std::thread;

use mio::{Events, Poll, Token};
use posthaste_mio::onc as readiness;
use posthaste_smol::onc::{self as tasks, AsyncService};
use posthaste_std::onc::{self as blocking, ClientConfig, Failure, Incoming, Refusal, Request, Transport};
use smol::future;

use super::calculate;

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

/// Makes a call, and waits for its results.
pub(crate) type Client = Box<dyn FnMut(&Request<'_>) -> Result<Vec<u8>, Failure>>;

/// All of them.
pub(crate) const DRIVERS: [Driver; 3] = [
    Driver { name: "std", serve: serve_blocking, connect: connect_blocking },
    Driver { name: "smol", serve: serve_tasks, connect: connect_tasks },
    Driver { name: "mio", serve: serve_readiness, connect: connect_readiness },
];

fn serve_blocking(test: Test) {
    let server = blocking::Server::serve(ANY, blocking::ServerOptions::default(), calculate).unwrap();
    test(server.local_addr().port());
}

fn connect_blocking(server: SocketAddr, transport: Transport, config: ClientConfig) -> Client {
    let client = blocking::Client::connect(server, transport, config).unwrap();
    Box::new(move |request| client.call(request))
}

fn serve_tasks(test: Test) {
    struct Calculate;

    impl AsyncService for Calculate {
        async fn answer(&self, call: &Incoming<'_>, results: &mut Vec<u8>) -> Result<(), Refusal> {
            // Gives the others their turn.
            future::yield_now().await;
            calculate(call, results)
        }
    }

    let server = tasks::Server::bind(ANY, tasks::ServerOptions::default()).unwrap();
    let port = server.local_addr().port();
    let serving = async { match server.serve(&Calculate).await {} };
    smol::block_on(future::or(smol::unblock(move || test(port)), serving));
}

fn connect_tasks(server: SocketAddr, transport: Transport, config: ClientConfig) -> Client {
    let client = smol::block_on(tasks::Client::connect(server, transport, config)).unwrap();
    Box::new(move |request| smol::block_on(client.call(request)))
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
        server.process(&calculate);
    }
    testing.join().unwrap();
}

fn connect_readiness(server: SocketAddr, transport: Transport, config: ClientConfig) -> Client {
    let (mut poll, mut ready) = (Poll::new().unwrap(), Events::with_capacity(16));
    let mut client = readiness::Client::connect(server, transport, config).unwrap();
    poll.registry().register(&mut client, Token(0), readiness::Client::INTERESTS).unwrap();
    Box::new(move |request| {
        client.call(request).map_err(Failure::NotSent)?;
        loop {
            if let Some((_, outcome)) = client.poll_outcome() {
                return outcome;
            }
            client.transmit();
            poll.poll(&mut ready, client.next_timeout()).unwrap();
            ready.iter().for_each(|event| client.handle_event(event));
            client.process();
        }
    })
}

const ANY: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 0);
