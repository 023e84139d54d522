//! The real endpoint as a node: what an adapter is on a real network, without socket and clock.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use posthaste_core::crypto::{FakeCrypto, Limits};
use posthaste_core::endpoint::{self, Event, Rejected};
use posthaste_core::wire::CloseCode;
use posthaste_core::{Config, Endpoint, Instant, Storage};

use crate::rng::Rng;
use crate::world::{Arrival, Node, Transmit};

/// What runs on top of an endpoint: a handler of its events with a timer of its own.
///
/// The time that it is given never goes back within one life, whatever the node's clock does.
pub trait Application {
    /// Begins, at the start and after each crash.
    fn on_start(&mut self, now: Instant, endpoint: &mut Endpoint<'static>);

    /// Takes an event.
    fn on_event(&mut self, now: Instant, endpoint: &mut Endpoint<'static>, event: Event);

    /// Takes notice that the time of [`next_at`](Self::next_at) has come, which then lies later.
    fn on_timer(&mut self, now: Instant, endpoint: &mut Endpoint<'static>);

    /// Returns when [`on_timer`](Self::on_timer) is due.
    fn next_at(&self) -> Option<Instant>;
}

/// How the conversations of an endpoint are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// By a checksum alone.
    Plain,
    /// By a cipher for tests, whose keys last as long as this says.
    Fake(Limits),
}

/// An endpoint and the application that uses it.
pub struct Host<A> {
    endpoint: Endpoint<'static>,
    application: A,
    address: SocketAddr,
    config: Config,
    protection: Protection,
    seed: u64,
    /// How often it has started.
    life: u64,
    now: Instant,
    /// For which offence a conversation was last closed.
    violation: Option<CloseCode>,
    socket: Option<Socket>,
}

/// A socket that is full at times.
#[derive(Debug)]
struct Socket {
    dice: Rng,
    /// Until then it takes no datagram.
    full_until: Instant,
}

impl<A: Application> Host<A> {
    /// Starts an application with an endpoint in plain mode at `address`. Each life of it has a seed of its own, drawn from `seed`.
    ///
    /// # Panics
    /// If `config` is out of range.
    #[must_use]
    pub fn new(address: SocketAddr, config: Config, seed: u64, application: A) -> Self {
        Self::with_protection(address, config, Protection::Plain, seed, application)
    }

    /// As [`new`](Self::new), in plain mode or behind a cipher, to which the address is the identity.
    ///
    /// # Panics
    /// If `config` is out of range.
    #[must_use]
    pub fn with_protection(
        address: SocketAddr,
        config: Config,
        protection: Protection,
        seed: u64,
        application: A,
    ) -> Self {
        let endpoint = start(&config, protection, address, seed, 0, Instant::ORIGIN);
        let now = Instant::ORIGIN;
        let (life, violation, socket) = (0, None, None);
        let mut host = Self { endpoint, application, address, config, protection, seed, life, now, violation, socket };
        host.application.on_start(host.now, &mut host.endpoint);
        host.drain_events();
        host
    }

    /// Gives it a socket that takes no more now and then, whatever the endpoint has to send, and goes on milliseconds later.
    #[must_use]
    pub fn with_narrow_socket(mut self) -> Self {
        self.socket = Some(Socket { dice: Rng::at(self.seed, SOCKET, 0), full_until: Instant::ORIGIN });
        self
    }

    /// Returns the application.
    #[must_use]
    pub const fn application(&self) -> &A {
        &self.application
    }

    /// Returns the endpoint.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint<'static> {
        &self.endpoint
    }

    /// Lets the application use its endpoint, outside of any event.
    pub fn act<R>(&mut self, now: Instant, act: impl FnOnce(&mut A, Instant, &mut Endpoint<'static>) -> R) -> R {
        self.advance(now);
        let result = act(&mut self.application, self.now, &mut self.endpoint);
        self.drain_events();
        result
    }

    /// Returns until when the socket takes no datagram, if that is to come.
    fn full_until(&self) -> Option<Instant> {
        self.socket.as_ref().map(|socket| socket.full_until).filter(|at| *at > self.now)
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn drain_events(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            self.application.on_event(self.now, &mut self.endpoint, event);
        }
        // Whoever drives an endpoint asks when it pleases, and some do before anything is sent.
        if self.seed % 2 == 1 {
            let _ = self.endpoint.poll_timeout();
        }
    }
}

impl<A: Application> Node for Host<A> {
    fn handle_datagram(&mut self, now: Instant, arrival: Arrival, datagram: &mut [u8]) {
        self.advance(now);
        let arrival = endpoint::Arrival { from: arrival.from, to: Some(arrival.to.ip()), ecn: arrival.ecn };
        if let Err(Rejected::Violation(code)) = self.endpoint.handle_datagram(now, arrival, datagram) {
            self.violation = Some(code);
        }
        self.drain_events();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.endpoint.handle_timeout(now);
        self.drain_events();
        if self.application.next_at().is_some_and(|at| at <= self.now) {
            self.application.on_timer(self.now, &mut self.endpoint);
            self.drain_events();
        }
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        self.advance(now);
        if self.full_until().is_some() {
            return None;
        }
        let Some(transmit) = self.endpoint.poll_transmit(now, out) else {
            let may_go_on = self.config.rate_max.is_some();
            assert!(
                may_go_on || !self.endpoint.has_transmit(),
                "{} has nothing to send, and asks for it",
                self.address
            );
            return None;
        };
        if let Some(socket) = &mut self.socket
            && socket.dice.below(16) == 0
        {
            socket.full_until = self.now.saturating_add(Duration::from_nanos(socket.dice.within(1000, FULL_NANOS_MAX)));
        }
        Some(Transmit { from: self.address, to: transmit.to, ecn: transmit.ecn, len: transmit.len })
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        let has_room_at = self.full_until().filter(|_| self.endpoint.has_transmit());
        [self.endpoint.poll_timeout(), has_room_at, self.application.next_at()].into_iter().flatten().min()
    }

    fn restart(&mut self, now: Instant) {
        self.life += 1;
        self.now = now;
        if let Some(socket) = &mut self.socket {
            socket.full_until = now;
        }
        self.endpoint = start(&self.config, self.protection, self.address, self.seed, self.life, now);
        self.application.on_start(now, &mut self.endpoint);
        self.drain_events();
    }

    fn check(&self, _now: Instant) {
        let counters = self.endpoint.counters();
        assert_eq!(counters.broken, 0, "an invariant of the endpoint at {} is broken", self.address);
        // Nobody in a simulation breaks the rules on purpose.
        assert_eq!(self.violation, None, "the endpoint at {} takes its peer for a liar", self.address);
        let (usage, config) = (self.endpoint.usage(), &self.config);
        let is_bounded = usage.peers as usize <= config.peer_count_max
            && usage.exchanges as usize <= config.exchange_count_max
            && usage.datagrams as usize <= config.sent_datagram_count_max
            && usage.frames as usize <= config.sent_frame_count_max
            && usage.payload_octets <= config.payload_memory;
        assert!(is_bounded, "more than the limits allow: {usage:?}");
    }
}

impl<A> fmt::Debug for Host<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("address", &self.address).field("life", &self.life).finish_non_exhaustive()
    }
}

fn start(
    config: &Config,
    protection: Protection,
    address: SocketAddr,
    seed: u64,
    life: u64,
    now: Instant,
) -> Endpoint<'static> {
    let mut dice = Rng::at(seed, ENDPOINT, life);
    let mut draw = || {
        let mut octets = [0; 32];
        for chunk in octets.chunks_mut(8) {
            chunk.copy_from_slice(&dice.next_u64().to_le_bytes());
        }
        octets
    };
    let (drawn, config, storage) = (draw(), config.clone(), Storage::owned(config));
    let endpoint = match protection {
        Protection::Plain => Endpoint::new_insecure(config, storage, drawn, now),
        Protection::Fake(limits) => {
            let crypto = FakeCrypto::new(draw(), address.to_string().as_bytes()).with_limits(limits);
            Endpoint::new_owned(config, storage, Box::new(crypto), drawn, now)
        }
    };
    endpoint.expect("the configuration is in range")
}

/// The random stream of endpoints' seeds.
const ENDPOINT: u64 = 0xe9d9_0147;

/// The random stream of full sockets.
const SOCKET: u64 = 0x50c4_e7f1;

/// Five milliseconds: longer than any socket of a machine that is awake.
const FULL_NANOS_MAX: u64 = 5_000_000;
