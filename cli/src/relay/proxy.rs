//! The relay's loop: sockets in, links between, a heap of departures, sockets out. One thread.

use alloc::sync::Arc;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::net::UdpSocket;

use polling::{Events, Poller};
use posthaste_core::Instant;
use posthaste_udp::Clock;
use socket2::{Domain, Protocol, Socket, Type};

use super::delay_line::DelayLine;
use super::link::{Faults, Link, LinkConfig, LinkCounters};
use super::prng::Prng;
use super::watched::WatchedSocket;

/// What a relay does, and how far it goes.
#[derive(Clone, Debug)]
pub(crate) struct ProxyConfig {
    /// Where datagrams of clients go.
    pub(crate) to: SocketAddr,
    /// What happens to them on the way, in each direction.
    pub(crate) link: LinkConfig,
    /// Where the draws start.
    pub(crate) seed: u64,
    /// How many clients are kept apart at a time. One more takes the place of the one that was silent for longest.
    pub(crate) client_count_max: usize,
    /// How many octets of memory what is under way may take.
    pub(crate) held_len_max: u64,
}

/// A relay between the clients that send to its listening socket, and one server.
///
/// There is one link in each direction: clients share its rate and its queue, as on the way to any server. Each client
/// has an upstream socket of its own, so the server sees as many peers as there are.
pub(crate) struct Proxy {
    config: ProxyConfig,
    poller: Arc<Poller>,
    stopped: Arc<AtomicBool>,
    /// The origin of the links' clock.
    clock: Clock,
    listener: WatchedSocket,
    clients: HashMap<ClientNumber, Client>,
    numbers: HashMap<SocketAddr, ClientNumber>,
    up: Link,
    down: Link,
    under_way: DelayLine<(ClientNumber, Direction)>,
    counters: ProxyCounters,
}

/// Stops a relay from another thread.
#[derive(Clone)]
pub(crate) struct Stopper {
    poller: Arc<Poller>,
    stopped: Arc<AtomicBool>,
}

/// Which way a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From a client to the server.
    Up,
    /// From the server to a client.
    Down,
}

/// What became of the datagrams in each direction, and of the clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProxyCounters {
    /// Clients seen; one that was evicted and comes back counts again.
    pub(crate) client_count: u64,
    /// Clients that made room for another.
    pub(crate) evicted_count: u64,
    /// Datagrams of clients for which no socket could be opened.
    pub(crate) unserved_count: u64,
    /// From clients to the server.
    pub(crate) up: DirectionCounters,
    /// From the server to clients.
    pub(crate) down: DirectionCounters,
}

/// What became of the datagrams in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DirectionCounters {
    /// What the links did.
    pub(crate) link: LinkCounters,
    /// Copies sent on.
    pub(crate) sent: u64,
    /// Copies dropped because those under way took all the memory.
    pub(crate) not_held: u64,
    /// Copies that were under way when the relay ended or their client was evicted, or that a socket refused.
    pub(crate) not_sent: u64,
}

/// Clients are numbered from 1 in the order of their first datagrams.
type ClientNumber = usize;

struct Client {
    address: SocketAddr,
    upstream: WatchedSocket,
    up: Faults,
    down: Faults,
    heard_at: Instant,
}

impl Proxy {
    /// Opens the listening socket.
    ///
    /// # Errors
    /// If the address is not of this machine or is taken.
    pub(crate) fn bind(listen: SocketAddr, config: ProxyConfig) -> io::Result<Self> {
        let poller = Arc::new(Poller::new()?);
        let listener = WatchedSocket::new(open(listen)?, &poller, LISTENER_KEY)?;
        Ok(Self {
            poller,
            stopped: Arc::new(AtomicBool::new(false)),
            clock: Clock::start(),
            listener,
            clients: HashMap::new(),
            numbers: HashMap::new(),
            up: Link::new(config.link.clone()),
            down: Link::new(config.link.clone()),
            under_way: DelayLine::new(config.held_len_max),
            counters: ProxyCounters::default(),
            config,
        })
    }

    /// Returns the address on which clients are heard.
    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Returns what stops the relay.
    pub(crate) fn stopper(&self) -> Stopper {
        Stopper { poller: Arc::clone(&self.poller), stopped: Arc::clone(&self.stopped) }
    }

    /// Relays until it is stopped; sleeps while nothing is to be done.
    ///
    /// # Errors
    /// If waiting fails. What happens to single sockets is a lost datagram and no error.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut events = Events::new();
        let mut buffer = vec![0; DATAGRAM_LEN_MAX];
        while !self.stopped.load(Ordering::Acquire) {
            self.turn(&mut events, &mut buffer)?;
        }
        Ok(())
    }

    /// Returns what became of everything so far; what is still under way counts as not sent.
    pub(crate) fn counters(&self) -> ProxyCounters {
        let mut counters = self.counters;
        counters.up.link = self.up.counters();
        counters.down.link = self.down.counters();
        for (_, direction) in self.under_way.keys() {
            counters.of(*direction).not_sent += 1;
        }
        counters
    }

    /// Sends what is due, waits for something to happen, and receives it.
    fn turn(&mut self, events: &mut Events, buffer: &mut [u8]) -> io::Result<()> {
        self.send_due();
        events.clear();
        match self.poller.wait(events, self.time_to_next()) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Ok(_) | Err(_) => {}
        }
        for event in events.iter() {
            if event.key == LISTENER_KEY {
                self.receive_from_clients(buffer);
            } else {
                self.receive_from_server(event.key, buffer);
            }
        }
        Ok(())
    }

    fn receive_from_clients(&mut self, buffer: &mut [u8]) {
        for _ in 0..RECEIVE_COUNT_MAX {
            let (len, address) = match self.listener.recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An error that an earlier datagram brought back (RFC 1122 §4.1.3.3) says nothing about the next.
                Err(_) => continue,
            };
            match self.client_number(address) {
                Ok(number) => self.pass(number, Direction::Up, &mut buffer[..len]),
                Err(_) => self.counters.unserved_count += 1,
            }
        }
    }

    fn receive_from_server(&mut self, number: ClientNumber, buffer: &mut [u8]) {
        for _ in 0..RECEIVE_COUNT_MAX {
            // The client may be gone: evicted by one whose first datagram was received in the same turn.
            let Some(client) = self.clients.get(&number) else { return };
            match client.upstream.recv(buffer) {
                Ok(len) => self.pass(number, Direction::Down, &mut buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {}
            }
        }
    }

    /// Returns the number of the client at `address`, which may be a new one.
    fn client_number(&mut self, address: SocketAddr) -> io::Result<ClientNumber> {
        if let Some(number) = self.numbers.get(&address) {
            return Ok(*number);
        }
        if self.clients.len() >= self.config.client_count_max {
            self.evict();
        }
        let number = usize::try_from(self.counters.client_count + 1).map_err(io::Error::other)?;
        let any = if self.config.to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let upstream = open(SocketAddr::new(any, 0))?;
        upstream.connect(self.config.to)?;
        let [up, down] = fault_seeds(self.config.seed, number).map(Faults::new);
        let upstream = WatchedSocket::new(upstream, &self.poller, number)?;
        self.clients.insert(number, Client { address, upstream, up, down, heard_at: self.clock.now() });
        self.numbers.insert(address, number);
        self.counters.client_count += 1;
        Ok(number)
    }

    /// Forgets the client that was silent for longest.
    fn evict(&mut self) {
        let idle = self.clients.iter().min_by_key(|(number, client)| (client.heard_at, **number));
        let Some(number) = idle.map(|(number, _)| *number) else { return };
        if let Some(client) = self.clients.remove(&number) {
            self.numbers.remove(&client.address);
            self.counters.evicted_count += 1;
        }
    }

    /// Puts a datagram on its link.
    fn pass(&mut self, number: ClientNumber, direction: Direction, octets: &mut [u8]) {
        let now = self.clock.now();
        let Some(client) = self.clients.get_mut(&number) else { return };
        client.heard_at = now;
        let (link, faults, header_len) = match direction {
            Direction::Up => (&mut self.up, &mut client.up, header_len(client.address)),
            Direction::Down => (&mut self.down, &mut client.down, header_len(self.config.to)),
        };
        for departure in link.handle_datagram(now, header_len + octets.len() as u64, faults) {
            let flip = |octets: &mut [u8]| departure.corruption.iter().for_each(|bit| bit.apply(octets));
            flip(octets);
            if self.under_way.push(departure.at, (number, direction), octets).is_err() {
                self.counters.of(direction).not_held += 1;
            }
            // Flipped back: the next copy has its own corruption, or none.
            flip(octets);
        }
    }

    fn send_due(&mut self) {
        let now = self.clock.now();
        while let Some(held) = self.under_way.pop_due(now) {
            let (number, direction) = held.key;
            let sent = self.clients.get(&number).is_some_and(|client| match direction {
                Direction::Up => client.upstream.send(&held.octets).is_ok(),
                Direction::Down => self.listener.send_to(&held.octets, client.address).is_ok(),
            });
            let counters = self.counters.of(direction);
            *(if sent { &mut counters.sent } else { &mut counters.not_sent }) += 1;
        }
    }

    fn time_to_next(&self) -> Option<Duration> {
        self.under_way.next_at().map(|at| at.saturating_since(self.clock.now()))
    }
}

impl Stopper {
    /// Stops the relay within its current turn.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.poller.notify().expect("a poller can be woken for as long as it lives");
    }
}

impl ProxyCounters {
    fn of(&mut self, direction: Direction) -> &mut DirectionCounters {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }
}

/// Opens a non-blocking UDP socket with large buffers.
fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // As large as the system allows: a smaller buffer loses datagrams in bursts, and that is no reason not to start.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_LEN);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_LEN);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Returns the seeds of a client's faults, up and down.
pub(super) fn fault_seeds(seed: u64, number: ClientNumber) -> [u64; 2] {
    let mut prng = Prng::new(seed ^ (number as u64).rotate_left(32));
    [prng.next(), prng.next()]
}

/// Returns the octets of IP and UDP headers before the payload (RFC 791 §3.1, RFC 8200 §3, RFC 768).
fn header_len(address: SocketAddr) -> u64 {
    let is_ipv4 = match address.ip() {
        IpAddr::V4(_) => true,
        IpAddr::V6(ip) => ip.to_ipv4_mapped().is_some(),
    };
    if is_ipv4 { 20 + 8 } else { 40 + 8 }
}

/// The event key of the listening socket; the others have the number of their client, from 1.
const LISTENER_KEY: usize = 0;

/// Longer than any UDP payload.
const DATAGRAM_LEN_MAX: usize = 65_536;

/// Datagrams taken from one socket before others have their turn and departures are looked at. Our choice: about 100 us
/// of work.
const RECEIVE_COUNT_MAX: usize = 64;

/// Room for 300 ms of 100 Mbit/s. Our choice.
const SOCKET_BUFFER_LEN: usize = 4 << 20;

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
