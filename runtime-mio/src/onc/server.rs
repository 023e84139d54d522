//! The side that answers.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::ErrorKind::{Interrupted, TimedOut, UnexpectedEof, WouldBlock};
use std::io::{self, Read, Write};

use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Interest, Registry, Token, event};
use posthaste_core::Instant;
use posthaste_onc::message::Refusal;
use posthaste_onc::server::{Arrival, Connection, DatagramServer, Incoming, ServerConfig, Service};
use posthaste_udp::{Clock, bind_with_listener, draw_seed};

use super::{DATAGRAM_BUFFER_LEN, STREAM_BUFFER_LEN, timeout};

/// A server that answers calls over UDP and TCP, on one port, in the turns of a loop.
///
/// A turn: [`handle_event`](Self::handle_event) for what `Poll` told, [`process`](Self::process), and a sleep of at most
/// [`next_timeout`](Self::next_timeout).
pub struct Server {
    local_addr: SocketAddr,
    clock: Clock,
    config: ServerConfig,
    datagrams: UdpSocket,
    listener: TcpListener,
    calls: DatagramServer,
    /// As many places as there may be connections.
    lines: Vec<Option<Line>>,
    /// Where new connections are registered, and the token of the UDP socket; that of the listener comes next, then those of the
    /// connections.
    registration: Option<(Registry, usize)>,
    /// Readiness is told once, when it begins; it lasts until the socket would block.
    has_datagram: bool,
    has_connection: bool,
    /// Before that nothing is accepted.
    accepts_at: Instant,
    buffer: Vec<u8>,
    results: Vec<u8>,
}

/// A connection and its socket.
struct Line {
    socket: TcpStream,
    connection: Connection,
    is_readable: bool,
    is_writable: bool,
    /// What was read and is not taken in yet.
    input: Vec<u8>,
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
        let ServerOptions { config, connection_count_max } = options;
        let (listener, datagrams) = bind_with_listener(address)?;
        listener.set_nonblocking(true)?;
        datagrams.set_nonblocking(true)?;
        let (listener, datagrams) = (TcpListener::from_std(listener), UdpSocket::from_std(datagrams));
        Ok(Self {
            local_addr: listener.local_addr()?,
            clock: Clock::start(),
            datagrams,
            listener,
            calls: DatagramServer::new(&config, draw_seed()?),
            config,
            lines: (0..connection_count_max).map(|_| None).collect(),
            registration: None,
            has_datagram: false,
            has_connection: false,
            accepts_at: Instant::ORIGIN,
            buffer: vec![0; DATAGRAM_BUFFER_LEN],
            results: Vec::new(),
        })
    }

    /// Registers the sockets that there are, and those of the connections to come, at the tokens from `first` on:
    /// [`token_count`](Self::token_count) of them.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn register(&mut self, registry: &Registry, first: Token) -> io::Result<()> {
        registry.register(&mut self.datagrams, first, Interest::READABLE)?;
        registry.register(&mut self.listener, Token(first.0 + 1), Interest::READABLE)?;
        self.registration = Some((registry.try_clone()?, first.0));
        Ok(())
    }

    /// Returns how many tokens are the server's.
    #[must_use]
    pub const fn token_count(&self) -> usize {
        OWN_TOKEN_COUNT + self.lines.len()
    }

    /// Returns the address that the server listens on, with both UDP and TCP.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Notes what `Poll` told, if it is about one of the server's tokens.
    pub fn handle_event(&mut self, event: &event::Event) {
        let Some(index) = self.registration.as_ref().and_then(|(_, first)| event.token().0.checked_sub(*first)) else {
            return;
        };
        match index {
            0 => self.has_datagram = true,
            1 => self.has_connection = true,
            _ => {
                if let Some(Some(line)) = self.lines.get_mut(index - OWN_TOKEN_COUNT) {
                    // What is wrong with a socket is learnt by using it.
                    let is_broken = event.is_error() || event.is_read_closed() || event.is_write_closed();
                    line.is_readable |= event.is_readable() || is_broken;
                    line.is_writable |= event.is_writable() || is_broken;
                }
            }
        }
    }

    /// Answers what arrived, a few dozen calls of each socket, and ends connections whose time is up.
    ///
    /// When more waits, [`next_timeout`](Self::next_timeout) is zero: the others of the loop get their turn. If the service panics, so
    /// does this.
    pub fn process(&mut self, service: &impl Service) {
        self.answer_datagrams(service);
        self.accept();
        let now = self.clock.now();
        for place in &mut self.lines {
            if let Some(line) = place
                && line.process(now, service, &mut self.buffer[..STREAM_BUFFER_LEN], &mut self.results).is_err()
            {
                // Its registration ends with its socket.
                *place = None;
            }
        }
    }

    /// Returns how long the loop may sleep: `None` until something arrives, zero if something waits that
    /// [`process`](Self::process) did not take.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        let lines = self.lines.iter().flatten();
        if self.has_datagram || lines.clone().any(Line::is_ready) {
            return Some(Duration::ZERO);
        }
        let accepts_at = self.has_connection.then_some(self.accepts_at);
        timeout(self.clock.now(), lines.filter_map(|line| line.connection.poll_timeout()).chain(accepts_at).min())
    }

    fn answer_datagrams(&mut self, service: &impl Service) {
        for _ in 0..TURN_CALL_COUNT_MAX {
            if !self.has_datagram {
                return;
            }
            let (len, from) = match self.datagrams.recv_from(&mut self.buffer) {
                Ok(received) => received,
                Err(error) => {
                    // Any other error is that of one datagram.
                    self.has_datagram = error.kind() != WouldBlock;
                    continue;
                }
            };
            let now = self.clock.now();
            let reply = match self.calls.handle_datagram(now, from, &self.buffer[..len]) {
                Ok(Arrival::Call(id, call)) => {
                    let outcome = answer(service, &call, &mut self.results);
                    self.calls.reply(now, id, outcome)
                }
                Ok(Arrival::Answer(reply)) => Some(reply),
                Err(_) => None,
            };
            if let Some(reply) = reply {
                // What the socket refuses is lost as if the network had lost it.
                let _ = self.datagrams.send_to(reply, from);
            }
        }
    }

    fn accept(&mut self) {
        let Some((registry, first)) = &self.registration else { return };
        while self.has_connection && self.accepts_at <= self.clock.now() {
            let (mut socket, from) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == Interrupted => continue,
                Err(error) if error.kind() == WouldBlock => {
                    self.has_connection = false;
                    continue;
                }
                Err(_) => {
                    // As many files are open as may be: of who waits we are not told again.
                    self.accepts_at = self.clock.now().saturating_add(ACCEPT_PAUSE);
                    return;
                }
            };
            // Whom there is no room for learns it by the end of the connection.
            let Some(index) = self.lines.iter().position(Option::is_none) else { continue };
            let token = Token(first + OWN_TOKEN_COUNT + index);
            let interests = Interest::READABLE | Interest::WRITABLE;
            // A reply is whole when it is written: there is nothing to wait for.
            if socket.set_nodelay(true).is_ok() && registry.register(&mut socket, token, interests).is_ok() {
                let connection = Connection::new(self.config.clone(), from, self.clock.now());
                self.lines[index] =
                    Some(Line { socket, connection, is_readable: true, is_writable: true, input: Vec::new() });
            }
        }
    }
}

impl Line {
    /// Answers what arrived.
    ///
    /// # Errors
    /// If the connection is to be closed.
    fn process(
        &mut self,
        now: Instant,
        service: &impl Service,
        buffer: &mut [u8],
        results: &mut Vec<u8>,
    ) -> io::Result<()> {
        if self.connection.poll_timeout().is_some_and(|deadline| deadline <= now) {
            return Err(TimedOut.into());
        }
        self.send(now)?;
        for _ in 0..TURN_CALL_COUNT_MAX {
            if !self.is_ready() {
                break;
            }
            if self.input.is_empty() {
                self.read(buffer)?;
            }
            let mut input = &self.input[..];
            if let Some(received) = self.connection.handle_octets(now, &mut input).map_err(io::Error::other)? {
                let xid = received.xid;
                let outcome = received.call.and_then(|call| answer(service, &call, results));
                self.connection.reply(now, xid, outcome);
            }
            let taken_len = self.input.len() - input.len();
            self.input.drain(..taken_len);
            self.send(now)?;
        }
        Ok(())
    }

    /// Says whether there is something to take in, and room for what comes of it.
    fn is_ready(&self) -> bool {
        (self.is_readable || !self.input.is_empty()) && self.connection.wants_input()
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        match self.socket.read(buffer) {
            Ok(0) => Err(UnexpectedEof.into()),
            Ok(len) => {
                self.input.extend_from_slice(&buffer[..len]);
                Ok(())
            }
            Err(error) if error.kind() == WouldBlock => {
                self.is_readable = false;
                Ok(())
            }
            Err(error) if error.kind() == Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn send(&mut self, now: Instant) -> io::Result<()> {
        while self.is_writable {
            let Some(octets) = self.connection.poll_transmit() else { break };
            match self.socket.write(octets) {
                Ok(len) => self.connection.handle_transmitted(now, len),
                Err(error) if error.kind() == WouldBlock => self.is_writable = false,
                Err(error) if error.kind() == Interrupted => (),
                Err(error) => return Err(error),
            }
        }
        Ok(())
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

/// Executes a call.
fn answer<'r>(service: &impl Service, call: &Incoming<'_>, results: &'r mut Vec<u8>) -> Result<&'r [u8], Refusal> {
    results.clear();
    service.answer(call, results).map(|()| &results[..])
}

/// How long nothing is accepted after that failed; our choice.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Those of the UDP socket and of the listener.
const OWN_TOKEN_COUNT: usize = 2;

/// Calls of one socket that are answered before the others get their turn; our choice.
const TURN_CALL_COUNT_MAX: usize = 32;
