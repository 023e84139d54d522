//! The side that answers.

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::fmt;
use core::future::Future;
use core::net::SocketAddr;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::io::ErrorKind::TimedOut;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

use async_executor::LocalExecutor;
use async_io::{Async, Timer};
use futures_lite::{FutureExt, future};
use posthaste_onc::message::{Auth, Flavor, Refusal, Target};
use posthaste_onc::server::{
    Arrival, AsyncService, Connection, DatagramServer, Incoming, IncomingId, ServerConfig, Transport,
};
use posthaste_udp::{Clock, bind_with_listener, draw_seed};

use super::{DATAGRAM_BUFFER_LEN, STREAM_BUFFER_LEN};

/// A server that answers calls over UDP and TCP, on one port, while [`Server::serve`] is polled.
pub struct Server {
    local_addr: SocketAddr,
    clock: Clock,
    options: ServerOptions,
    listener: Async<TcpListener>,
    datagrams: Async<UdpSocket>,
    seed: [u8; 32],
}

/// What a server can be told.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The protocol's limits and timing.
    pub config: ServerConfig,
    /// The TCP connections; one more is closed at once.
    pub connection_count_max: usize,
}

impl Server {
    /// Listens at `address`; port 0 picks one that is free for both.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn bind(address: SocketAddr, options: ServerOptions) -> io::Result<Self> {
        let (listener, datagrams) = bind_with_listener(address)?;
        let (listener, datagrams) = (Async::new(listener)?, Async::new(datagrams)?);
        let local_addr = listener.get_ref().local_addr()?;
        Ok(Self { local_addr, clock: Clock::start(), options, listener, datagrams, seed: draw_seed()? })
    }

    /// Returns the address that the server listens on, with both UDP and TCP.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Answers calls for as long as it is polled.
    ///
    /// Calls over UDP run beside each other, and those of one connection one after the other. Nothing goes to another thread: the
    /// future stays on one, and so may the handlers.
    pub async fn serve(&self, service: &impl AsyncService) -> Infallible {
        let calls = RefCell::new(DatagramServer::new(&self.options.config, self.seed));
        let connection_count = Cell::new(0);
        // Declared last, it goes first: its tasks borrow the others.
        let executor = LocalExecutor::new();
        let receiving = self.receive(service, &calls, &executor);
        let accepting = self.accept(service, &connection_count, &executor);
        executor.run(future::or(receiving, accepting)).await
    }

    /// Takes in datagrams.
    async fn receive<'s>(
        &'s self,
        service: &'s impl AsyncService,
        calls: &'s RefCell<DatagramServer>,
        executor: &LocalExecutor<'s>,
    ) -> Infallible {
        let mut buffer = vec![0; DATAGRAM_BUFFER_LEN];
        loop {
            // A socket error is that of one datagram.
            let Ok((len, from)) = self.datagrams.recv_from(&mut buffer).await else { continue };
            match calls.borrow_mut().handle_datagram(self.clock.now(), from, &buffer[..len]) {
                Ok(Arrival::Call(id, call)) => {
                    let call = Kept::new(&call);
                    executor.spawn(self.answer_datagram(service, calls, id, call, from)).detach();
                }
                Ok(Arrival::Answer(reply)) => self.send_datagram(reply, from),
                Err(_) => (),
            }
        }
    }

    async fn answer_datagram(
        &self,
        service: &impl AsyncService,
        calls: &RefCell<DatagramServer>,
        id: IncomingId,
        call: Kept,
        from: SocketAddr,
    ) {
        let mut results = Vec::new();
        let outcome = answer(service, &call.incoming(), &mut results).await;
        if let Some(reply) = calls.borrow_mut().reply(self.clock.now(), id, outcome) {
            self.send_datagram(reply, from);
        }
    }

    /// Sends a reply; what the socket refuses is lost as if the network had lost it.
    fn send_datagram(&self, reply: &[u8], to: SocketAddr) {
        let _ = self.datagrams.get_ref().send_to(reply, to);
    }

    /// Accepts connections.
    async fn accept<'s>(
        &'s self,
        service: &'s impl AsyncService,
        connection_count: &'s Cell<usize>,
        executor: &LocalExecutor<'s>,
    ) -> Infallible {
        loop {
            let Ok((socket, from)) = self.listener.accept().await else {
                // As many files are open as may be: wait until one is closed.
                Timer::after(ACCEPT_PAUSE).await;
                continue;
            };
            // Whom there is no room for learns it by the end of the connection.
            if connection_count.get() < self.options.connection_count_max {
                connection_count.set(connection_count.get() + 1);
                let serving = async move {
                    // How a connection ends makes no difference to the others.
                    let _ = self.serve_connection(service, &socket, from).await;
                    connection_count.set(connection_count.get() - 1);
                };
                executor.spawn(serving).detach();
            }
        }
    }

    /// Answers the calls of a connection, one after the other, until it ends.
    async fn serve_connection(
        &self,
        service: &impl AsyncService,
        socket: &Async<TcpStream>,
        from: SocketAddr,
    ) -> io::Result<()> {
        // A reply is whole when it is written: there is nothing to wait for.
        socket.get_ref().set_nodelay(true)?;
        let mut connection = Connection::new(self.options.config.clone(), from, self.clock.now());
        let (mut buffer, mut results) = (vec![0; STREAM_BUFFER_LEN], Vec::new());
        loop {
            let reading = socket.read_with(|mut socket| socket.read(&mut buffer));
            let len = self.in_time(&connection, reading).await?;
            if len == 0 {
                return Ok(());
            }
            let mut input = &buffer[..len];
            while let Some(received) =
                connection.handle_octets(self.clock.now(), &mut input).map_err(io::Error::other)?
            {
                let xid = received.xid;
                let outcome = match received.call {
                    Ok(call) => answer(service, &call, &mut results).await,
                    Err(refusal) => Err(refusal),
                };
                connection.reply(self.clock.now(), xid, outcome);
                while let Some(octets) = connection.poll_transmit() {
                    let writing = socket.write_with(|mut socket| socket.write(octets));
                    let len = self.in_time(&connection, writing).await?;
                    connection.handle_transmitted(self.clock.now(), len);
                }
            }
        }
    }

    /// Waits for a peer until the connection is to be closed.
    async fn in_time<T>(&self, connection: &Connection, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let timeout = async {
            match connection.poll_timeout().and_then(|deadline| self.clock.to_std(deadline)) {
                Some(deadline) => drop(Timer::at(deadline).await),
                None => future::pending().await,
            }
            Err(TimedOut.into())
        };
        future::or(work, timeout).await
    }
}

/// Executes a call.
async fn answer<'r>(
    service: &impl AsyncService,
    call: &Incoming<'_>,
    results: &'r mut Vec<u8>,
) -> Result<&'r [u8], Refusal> {
    results.clear();
    // A handler that panics may have done part of its work, and the server lives on.
    let answering = async { service.answer(call, results).await };
    let answered = AssertUnwindSafe(answering).catch_unwind().await;
    answered.unwrap_or(Err(Refusal::SystemError)).map(|()| &results[..])
}

/// A call that came as a datagram, kept while others are received.
struct Kept {
    from: SocketAddr,
    xid: u32,
    target: Target,
    flavor: Flavor,
    credential: Vec<u8>,
    arguments: Vec<u8>,
}

impl Kept {
    fn new(call: &Incoming<'_>) -> Self {
        let &Incoming { from, xid, target, auth, arguments, .. } = call;
        let (credential, arguments) = (auth.body.to_vec(), arguments.to_vec());
        Self { from, xid, target, flavor: auth.flavor, credential, arguments }
    }

    fn incoming(&self) -> Incoming<'_> {
        let auth = Auth { flavor: self.flavor, body: &self.credential };
        let &Self { from, xid, target, ref arguments, .. } = self;
        Incoming { from, transport: Transport::Udp, xid, target, auth, arguments }
    }
}

impl Default for ServerOptions {
    /// 256 connections.
    fn default() -> Self {
        Self { config: ServerConfig::default(), connection_count_max: 256 }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.local_addr).finish()
    }
}

/// How long nothing is accepted after that failed; our choice.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
