//! The side that calls.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::{Mutex, PoisonError};

use posthaste_core::Instant;
use posthaste_onc::client::{ClientConfig, DatagramClient, Failure, NotSent, Outcome, Request, StreamClient, Unknown};
use posthaste_onc::portmap::{Query, QueryError};
use posthaste_onc::server::Transport;
use posthaste_rpc::{self as rpc, Caller};
use posthaste_udp::{Clock, draw_seed};

use super::{DATAGRAM_BUFFER_LEN, STREAM_BUFFER_LEN};

/// A client of one server.
///
/// Threads that call at once take turns; those that are not to wait for each other have a client each. A TCP connection that
/// was lost is opened again by the next call.
pub struct Client {
    server: SocketAddr,
    line: Mutex<Line>,
}

/// What calls go out by.
enum Line {
    Udp(Datagrams),
    Tcp(Stream),
}

struct Datagrams {
    clock: Clock,
    socket: UdpSocket,
    client: DatagramClient,
    buffer: Vec<u8>,
}

struct Stream {
    clock: Clock,
    config: ClientConfig,
    /// `None` where it was lost.
    connection: Option<Connection>,
    buffer: Vec<u8>,
}

struct Connection {
    socket: TcpStream,
    client: StreamClient,
}

impl Client {
    /// Makes a client of the server at `server`; of several addresses, the first that can be had is taken.
    ///
    /// # Errors
    /// What the operating system says of the last address. Over UDP, nothing is sent yet: whether anybody is there, the first
    /// call will tell.
    pub fn connect(server: impl ToSocketAddrs, transport: Transport, config: ClientConfig) -> io::Result<Self> {
        let mut last = io::ErrorKind::NotFound.into();
        for server in server.to_socket_addrs()? {
            let line = match transport {
                Transport::Udp => Datagrams::open(server, config.clone()).map(Line::Udp),
                Transport::Tcp => Stream::open(server, config.clone()).map(Line::Tcp),
            };
            match line {
                Ok(line) => return Ok(Self { server, line: Mutex::new(line) }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Returns the address of the server.
    #[must_use]
    pub const fn server(&self) -> SocketAddr {
        self.server
    }

    /// Makes a call and returns its results in XDR.
    ///
    /// # Errors
    /// Why there are none.
    pub fn call(&self, request: &Request<'_>) -> Outcome {
        // A thread that panicked here left a call behind that nobody waits for, and no more.
        match &mut *self.line.lock().unwrap_or_else(PoisonError::into_inner) {
            Line::Udp(datagrams) => datagrams.call(self.server, request),
            Line::Tcp(stream) => stream.call(self.server, request),
        }
    }

    /// Asks a portmapper.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn query<T>(&self, query: &Query<T>) -> Result<T, QueryError> {
        query.results(&self.call(&query.request())?)
    }
}

/// What generated clients call with.
impl Caller for Client {
    fn call(&self, request: &rpc::Request<'_>, read: &mut dyn FnMut(&[u8])) -> Result<(), rpc::CallError> {
        let request = Request::from_stub(request).map_err(rpc::CallError::NotExecuted)?;
        read(&self.call(&request)?);
        Ok(())
    }
}

impl Datagrams {
    fn open(server: SocketAddr, config: ClientConfig) -> io::Result<Self> {
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        let client = DatagramClient::new(config, draw_seed()?);
        Ok(Self { clock: Clock::start(), socket, client, buffer: vec![0; DATAGRAM_BUFFER_LEN] })
    }

    fn call(&mut self, server: SocketAddr, request: &Request<'_>) -> Outcome {
        self.client.call(self.clock.now(), server, request)?;
        loop {
            let now = self.clock.now();
            self.client.handle_timeout(now);
            if let Some((_, outcome)) = self.client.poll_outcome() {
                return outcome;
            }
            while let Some(transmit) = self.client.poll_transmit(now) {
                // What the socket refuses is lost as if the network had lost it.
                let _ = self.socket.send(transmit.datagram);
            }
            let _ = self.socket.set_read_timeout(self.client.poll_timeout().map(|until| time_left(now, until)));
            if let Ok(len) = self.socket.recv(&mut self.buffer) {
                // Whatever else arrives is of no use to anybody.
                let _ = self.client.handle_datagram(self.clock.now(), server, &self.buffer[..len]);
            }
        }
    }
}

impl Stream {
    fn open(server: SocketAddr, config: ClientConfig) -> io::Result<Self> {
        let connection = Some(Connection::open(server, &config, config.timeout)?);
        Ok(Self { clock: Clock::start(), config, connection, buffer: vec![0; STREAM_BUFFER_LEN] })
    }

    fn call(&mut self, server: SocketAddr, request: &Request<'_>) -> Outcome {
        let timeout = request.timeout.unwrap_or(self.config.timeout);
        let deadline = self.clock.now().saturating_add(timeout);
        if self.connection.as_mut().is_none_or(|connection| connection.look(&mut self.buffer).is_err()) {
            self.connection = Connection::open(server, &self.config, timeout).ok();
        }
        let Some(Connection { socket, client }) = &mut self.connection else { return Err(NotSent::Unreached.into()) };
        let now = self.clock.now();
        client.call(now, &Request { timeout: Some(deadline.saturating_since(now)), ..*request })?;
        loop {
            let now = self.clock.now();
            client.handle_timeout(now);
            if let Some((_, outcome)) = client.poll_outcome() {
                return outcome;
            }
            if transfer(socket, client, time_left(now, deadline), &mut self.buffer).is_err() {
                client.handle_closed();
                let ended = client.poll_outcome();
                self.connection = None;
                return ended.map_or(Err(Failure::Unknown(Unknown::ConnectionLost)), |(_, outcome)| outcome);
            }
        }
    }
}

impl Connection {
    fn open(server: SocketAddr, config: &ClientConfig, timeout: Duration) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&server, timeout.max(TIMEOUT_MIN))?;
        // A call is whole when it is written: there is nothing to wait for.
        socket.set_nodelay(true)?;
        let [a, b, c, d, ..] = draw_seed()?;
        Ok(Self { socket, client: StreamClient::new(config.clone(), u32::from_ne_bytes([a, b, c, d])) })
    }

    /// Takes in what arrived since the last call, which may be that the server has closed the connection.
    fn look(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.socket.set_nonblocking(true)?;
        let read = loop {
            match self.socket.read(buffer) {
                Ok(0) => break Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => self.client.handle_octets(&buffer[..len]).map_err(io::Error::other)?,
                Err(error) if error.kind() == WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        read.and_then(|()| self.socket.set_nonblocking(false))
    }
}

/// Sends what is to be sent, or else waits for something that arrives; at most `timeout`.
fn transfer(socket: &mut TcpStream, client: &mut StreamClient, timeout: Duration, buffer: &mut [u8]) -> io::Result<()> {
    let done = match client.poll_transmit() {
        Some(octets) => {
            socket.set_write_timeout(Some(timeout))?;
            socket.write(octets).map(|len| client.handle_transmitted(len))
        }
        None => {
            socket.set_read_timeout(Some(timeout))?;
            match socket.read(buffer) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => client.handle_octets(&buffer[..len]).map_err(io::Error::other),
                Err(error) => Err(error),
            }
        }
    };
    match done {
        Err(error) if !matches!(error.kind(), WouldBlock | TimedOut | Interrupted) => Err(error),
        _ => Ok(()),
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.server).finish()
    }
}

/// Returns how long to wait, which a socket does not do for no time at all.
fn time_left(now: Instant, until: Instant) -> Duration {
    until.saturating_since(now).max(TIMEOUT_MIN)
}

/// The finest that every operating system's sockets know.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);
