//! A socket with calls under way.

use alloc::collections::BTreeMap;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::io::ErrorKind::{Interrupted, WouldBlock};
use std::io::{self, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_io::{Async, Timer};
use event_listener::Event;
use futures_lite::future;
use posthaste_core::Instant;
use posthaste_onc::client::{CallId, ClientConfig, DatagramClient, NotSent, Outcome, Request, StreamClient};
use posthaste_udp::{Clock, draw_seed};

use super::{DATAGRAM_BUFFER_LEN, STREAM_BUFFER_LEN};

/// A socket with calls under way. Whichever of their futures is polled moves what there is to move, for all.
pub(super) struct Line<M: Machine> {
    socket: Async<M::Socket>,
    clock: Clock,
    state: Mutex<State<M>>,
    /// Wakes the futures when one of them has found outcomes.
    ended: Event,
}

struct State<M> {
    machine: M,
    /// Of calls whose futures have yet to see them.
    outcomes: BTreeMap<CallId, Outcome>,
}

/// What a transport does with its socket, without waiting.
pub(super) trait Machine {
    type Socket;

    fn call(&mut self, now: Instant, request: &Request<'_>) -> Result<CallId, NotSent>;
    fn cancel(&mut self, call: CallId);

    /// Sends and takes in all that can be, and acts on deadlines.
    fn drive(&mut self, now: Instant, socket: &Self::Socket);

    fn poll_outcome(&mut self) -> Option<(CallId, Outcome)>;
    fn poll_timeout(&self) -> Option<Instant>;

    /// Says whether the socket did not take all there is to send.
    fn is_send_blocked(&self) -> bool;
}

/// Calls over UDP.
pub(super) struct Datagrams {
    server: SocketAddr,
    client: DatagramClient,
    buffer: Vec<u8>,
}

/// Calls over a TCP connection.
pub(super) struct Stream {
    client: StreamClient,
    is_closed: bool,
    buffer: Vec<u8>,
}

impl Line<Datagrams> {
    pub(super) fn open(server: SocketAddr, config: ClientConfig) -> io::Result<Self> {
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = Async::<UdpSocket>::bind((any, 0))?;
        socket.get_ref().connect(server)?;
        let client = DatagramClient::new(config, draw_seed()?);
        Ok(Self::new(socket, Datagrams { server, client, buffer: vec![0; DATAGRAM_BUFFER_LEN] }))
    }
}

impl Line<Stream> {
    pub(super) async fn connect(server: SocketAddr, config: ClientConfig) -> io::Result<Self> {
        let late = async {
            Timer::after(config.timeout).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        let socket = future::or(Async::<TcpStream>::connect(server), late).await?;
        // A call is whole when it is written: there is nothing to wait for.
        socket.get_ref().set_nodelay(true)?;
        let [a, b, c, d, ..] = draw_seed()?;
        let client = StreamClient::new(config, u32::from_ne_bytes([a, b, c, d]));
        Ok(Self::new(socket, Stream { client, is_closed: false, buffer: vec![0; STREAM_BUFFER_LEN] }))
    }

    /// Looks whether the connection is there still.
    pub(super) fn is_closed(&self) -> bool {
        let mut state = self.lock();
        self.drive(&mut state);
        state.machine.is_closed
    }
}

impl<M: Machine> Line<M> {
    fn new(socket: Async<M::Socket>, machine: M) -> Self {
        let state = State { machine, outcomes: BTreeMap::new() };
        Self { socket, clock: Clock::start(), state: Mutex::new(state), ended: Event::new() }
    }

    /// Makes a call; dropping the future cancels it.
    pub(super) async fn call(&self, request: &Request<'_>) -> Outcome {
        let id = self.lock().machine.call(self.clock.now(), request)?;
        let call = Call { line: self, id };
        loop {
            // From here on: what another future finds after this one has looked, wakes this one.
            let ended = self.ended.listen();
            let (deadline, is_send_blocked) = {
                let mut state = self.lock();
                self.drive(&mut state);
                if let Some(outcome) = state.outcomes.remove(&call.id) {
                    return outcome;
                }
                (state.machine.poll_timeout(), state.machine.is_send_blocked())
            };
            let arrival = async {
                let _ = self.socket.readable().await;
            };
            let room = async {
                if !is_send_blocked {
                    future::pending::<()>().await;
                }
                let _ = self.socket.writable().await;
            };
            let timeout = async {
                match deadline.and_then(|deadline| self.clock.to_std(deadline)) {
                    Some(deadline) => drop(Timer::at(deadline).await),
                    None => future::pending().await,
                }
            };
            future::or(future::or(ended, timeout), future::or(arrival, room)).await;
        }
    }

    /// Moves what there is to move.
    fn drive(&self, state: &mut State<M>) {
        state.machine.drive(self.clock.now(), self.socket.get_ref());
        let mut has_outcome = false;
        while let Some((call, outcome)) = state.machine.poll_outcome() {
            state.outcomes.insert(call, outcome);
            has_outcome = true;
        }
        if has_outcome {
            self.ended.notify(usize::MAX);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<M>> {
        // Nobody's code but this runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call whose future is there.
struct Call<'l, M: Machine> {
    line: &'l Line<M>,
    id: CallId,
}

impl<M: Machine> Drop for Call<'_, M> {
    fn drop(&mut self) {
        let mut state = self.line.lock();
        state.machine.cancel(self.id);
        state.outcomes.remove(&self.id);
    }
}

impl Machine for Datagrams {
    type Socket = UdpSocket;

    fn call(&mut self, now: Instant, request: &Request<'_>) -> Result<CallId, NotSent> {
        self.client.call(now, self.server, request)
    }

    fn cancel(&mut self, call: CallId) {
        self.client.cancel(call);
    }

    fn drive(&mut self, now: Instant, socket: &UdpSocket) {
        // What arrived counts before the deadline that it may have met.
        loop {
            match socket.recv(&mut self.buffer) {
                // Whatever else arrives is of no use to anybody.
                Ok(len) => drop(self.client.handle_datagram(now, self.server, &self.buffer[..len])),
                Err(error) if error.kind() == WouldBlock => break,
                // A socket error is that of one datagram.
                Err(_) => (),
            }
        }
        self.client.handle_timeout(now);
        while let Some(transmit) = self.client.poll_transmit(now) {
            // What the socket refuses is lost as if the network had lost it.
            let _ = socket.send(transmit.datagram);
        }
    }

    fn poll_outcome(&mut self) -> Option<(CallId, Outcome)> {
        self.client.poll_outcome()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.client.poll_timeout()
    }

    fn is_send_blocked(&self) -> bool {
        false
    }
}

impl Stream {
    fn transfer(&mut self, mut socket: &TcpStream) -> io::Result<()> {
        loop {
            match socket.read(&mut self.buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => self.client.handle_octets(&self.buffer[..len]).map_err(io::Error::other)?,
                Err(error) if error.kind() == WouldBlock => break,
                Err(error) if error.kind() == Interrupted => (),
                Err(error) => return Err(error),
            }
        }
        while let Some(octets) = self.client.poll_transmit() {
            match socket.write(octets) {
                Ok(len) => self.client.handle_transmitted(len),
                Err(error) if error.kind() == WouldBlock => break,
                Err(error) if error.kind() == Interrupted => (),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Machine for Stream {
    type Socket = TcpStream;

    fn call(&mut self, now: Instant, request: &Request<'_>) -> Result<CallId, NotSent> {
        if self.is_closed { Err(NotSent::Unreached) } else { self.client.call(now, request) }
    }

    fn cancel(&mut self, call: CallId) {
        self.client.cancel(call);
    }

    fn drive(&mut self, now: Instant, socket: &TcpStream) {
        if !self.is_closed && self.transfer(socket).is_err() {
            self.is_closed = true;
            self.client.handle_closed();
        }
        self.client.handle_timeout(now);
    }

    fn poll_outcome(&mut self) -> Option<(CallId, Outcome)> {
        self.client.poll_outcome()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.client.poll_timeout()
    }

    fn is_send_blocked(&self) -> bool {
        self.client.poll_transmit().is_some()
    }
}
