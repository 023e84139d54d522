//! The side that calls.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io::ErrorKind::{Interrupted, NotConnected, UnexpectedEof, WouldBlock};
use std::io::{self, Read, Write};

use mio::net::{TcpStream, UdpSocket};
use mio::{Interest, Registry, Token, event};
use posthaste_core::Instant;
use posthaste_onc::client::{CallId, ClientConfig, DatagramClient, NotSent, Outcome, Request, StreamClient};
use posthaste_onc::server::Transport;
use posthaste_rpc::xdr::{Decode, Message};
use posthaste_rpc::{self as rpc, CallError, NotExecuted, Procedure};
use posthaste_udp::{Clock, draw_seed};

use super::{DATAGRAM_BUFFER_LEN, STREAM_BUFFER_LEN, timeout};

/// A client of one server, and its socket: an event source of a [`mio::Poll`], to be registered with [`Client::INTERESTS`].
///
/// A turn of the loop: [`handle_event`](Self::handle_event) for what `Poll` told, [`process`](Self::process),
/// [`poll_outcome`](Self::poll_outcome) until `None`, new calls, [`transmit`](Self::transmit), and a sleep of at most
/// [`next_timeout`](Self::next_timeout).
pub struct Client {
    clock: Clock,
    line: Line,
    /// Readiness is told once, when it begins; it lasts until the socket would block.
    is_readable: bool,
    is_writable: bool,
    is_closed: bool,
    buffer: Vec<u8>,
}

/// What calls go out by.
enum Line {
    Udp { socket: UdpSocket, server: SocketAddr, client: DatagramClient },
    Tcp { socket: TcpStream, client: StreamClient },
}

impl Client {
    /// What to register it for.
    pub const INTERESTS: Interest = Interest::READABLE.add(Interest::WRITABLE);

    /// Makes a client of the server at `server`, without waiting for a connection.
    ///
    /// # Errors
    /// What the operating system says at once. Whether anybody is there, the first call will tell.
    pub fn connect(server: SocketAddr, transport: Transport, config: ClientConfig) -> io::Result<Self> {
        let (line, buffer_len) = match transport {
            Transport::Udp => {
                let any: IpAddr =
                    if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
                let socket = UdpSocket::bind((any, 0).into())?;
                socket.connect(server)?;
                (Line::Udp { socket, server, client: DatagramClient::new(config, draw_seed()?) }, DATAGRAM_BUFFER_LEN)
            }
            Transport::Tcp => {
                let socket = TcpStream::connect(server)?;
                // A call is whole when it is written: there is nothing to wait for.
                socket.set_nodelay(true)?;
                let [a, b, c, d, ..] = draw_seed()?;
                let client = StreamClient::new(config, u32::from_ne_bytes([a, b, c, d]));
                (Line::Tcp { socket, client }, STREAM_BUFFER_LEN)
            }
        };
        Ok(Self {
            clock: Clock::start(),
            line,
            is_readable: false,
            is_writable: transport == Transport::Udp,
            is_closed: false,
            buffer: vec![0; buffer_len],
        })
    }

    /// Begins a call, which the next [`transmit`](Self::transmit) sends; [`poll_outcome`](Self::poll_outcome) tells how it ends.
    ///
    /// # Errors
    /// Why it was not begun; [`NotSent::Unreached`] if the connection was lost, which a new client opens again.
    pub fn call(&mut self, request: &Request<'_>) -> Result<CallId, NotSent> {
        let now = self.clock.now();
        match &mut self.line {
            _ if self.is_closed => Err(NotSent::Unreached),
            Line::Udp { server, client, .. } => client.call(now, *server, request),
            Line::Tcp { client, .. } => client.call(now, request),
        }
    }

    /// Calls a procedure of a generated stub with its arguments, a tuple; [`Client::read_result`] reads what comes of it.
    ///
    /// # Errors
    /// Why nothing was sent.
    pub fn call_procedure<R>(
        &mut self,
        procedure: &Procedure<R>,
        arguments: &(dyn Message + Sync),
    ) -> Result<CallId, NotExecuted> {
        let request = rpc::Request::new(&procedure.signature, arguments)?;
        Ok(self.call(&Request::from_stub(&request)?)?)
    }

    /// Reads the result of a call that ended.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn read_result<R: for<'a> Decode<'a>>(procedure: &Procedure<R>, outcome: Outcome) -> Result<R, CallError> {
        procedure.decode_result(&outcome?).map_err(CallError::BadReply)
    }

    /// Forgets a call: it has no outcome.
    pub fn cancel(&mut self, call: CallId) {
        match &mut self.line {
            Line::Udp { client, .. } => client.cancel(call),
            Line::Tcp { client, .. } => client.cancel(call),
        }
    }

    /// Notes what `Poll` told about this client.
    pub fn handle_event(&mut self, event: &event::Event) {
        // What is wrong with a socket is learnt by using it.
        let is_broken = event.is_error() || event.is_read_closed() || event.is_write_closed();
        self.is_readable |= event.is_readable() || is_broken;
        self.is_writable |= event.is_writable() || is_broken;
    }

    /// Takes in what arrived, and acts on deadlines that have passed.
    pub fn process(&mut self) {
        let now = self.clock.now();
        if self.is_readable && !self.is_closed {
            self.is_readable = false;
            let received = self.receive(now);
            self.settle(received);
        }
        match &mut self.line {
            Line::Udp { client, .. } => client.handle_timeout(now),
            Line::Tcp { client, .. } => client.handle_timeout(now),
        }
    }

    /// Returns the outcome of a call that has ended, each once; call until `None`.
    pub fn poll_outcome(&mut self) -> Option<(CallId, Outcome)> {
        match &mut self.line {
            Line::Udp { client, .. } => client.poll_outcome(),
            Line::Tcp { client, .. } => client.poll_outcome(),
        }
    }

    /// Sends what is to be sent.
    pub fn transmit(&mut self) {
        if self.is_writable && !self.is_closed {
            let sent = self.send();
            self.settle(sent);
        }
    }

    /// Returns how long the loop may sleep: `None` until something arrives.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        let deadline = match &self.line {
            Line::Udp { client, .. } => client.poll_timeout(),
            Line::Tcp { client, .. } => client.poll_timeout(),
        };
        timeout(self.clock.now(), deadline)
    }

    fn receive(&mut self, now: Instant) -> io::Result<()> {
        loop {
            match &mut self.line {
                Line::Udp { socket, server, client } => match socket.recv(&mut self.buffer) {
                    // Whatever else arrives is of no use to anybody.
                    Ok(len) => drop(client.handle_datagram(now, *server, &self.buffer[..len])),
                    Err(error) if error.kind() == WouldBlock => return Ok(()),
                    // A socket error is that of one datagram.
                    Err(_) => (),
                },
                Line::Tcp { socket, client } => match socket.read(&mut self.buffer) {
                    Ok(0) => return Err(UnexpectedEof.into()),
                    Ok(len) => client.handle_octets(&self.buffer[..len]).map_err(io::Error::other)?,
                    Err(error) if error.kind() == Interrupted => (),
                    Err(error) => return Err(error),
                },
            }
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        match &mut self.line {
            Line::Udp { socket, client, .. } => {
                while let Some(transmit) = client.poll_transmit(now) {
                    // What the socket refuses is lost as if the network had lost it.
                    let _ = socket.send(transmit.datagram);
                }
            }
            Line::Tcp { socket, client } => {
                while let Some(octets) = client.poll_transmit() {
                    match socket.write(octets) {
                        Ok(len) => client.handle_transmitted(len),
                        Err(error) if error.kind() == Interrupted => (),
                        Err(error) => {
                            self.is_writable = false;
                            return Err(error);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends the calls if the connection is no more.
    fn settle(&mut self, done: io::Result<()>) {
        let Err(error) = done else { return };
        if !matches!(error.kind(), WouldBlock | NotConnected) {
            self.is_closed = true;
            if let Line::Tcp { client, .. } = &mut self.line {
                client.handle_closed();
            }
        }
    }

    fn source(&mut self) -> &mut dyn event::Source {
        match &mut self.line {
            Line::Udp { socket, .. } => socket,
            Line::Tcp { socket, .. } => socket,
        }
    }
}

impl event::Source for Client {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.source().register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.source().reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.source().deregister(registry)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("is_closed", &self.is_closed).finish_non_exhaustive()
    }
}
