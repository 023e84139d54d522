//! Runs nodes on a network and a virtual clock, and holds them to the contract of the core after every event.

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use posthaste_core::Instant;

use crate::amplification::Amplification;
use crate::clock::Clock;
use crate::network::{Datagram, Delivery, Network};
use crate::trace::Trace;
use posthaste_core::ecn::Ecn;

/// One host of the simulation: an endpoint and the application on top of it, without a socket and a clock.
///
/// The methods are those of the endpoint. A node drains the events of its endpoint within the `handle_*` that made them.
pub trait Node {
    /// Takes a datagram that arrived.
    fn handle_datagram(&mut self, now: Instant, arrival: Arrival, datagram: &mut [u8]);

    /// Takes notice that the time returned by [`poll_timeout`](Self::poll_timeout) has come.
    fn handle_timeout(&mut self, now: Instant);

    /// Writes the next datagram to send to the start of `out`, which has room for any.
    fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit>;

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due, on the node's own clock.
    fn poll_timeout(&mut self) -> Option<Instant>;

    /// Begins anew after a crash, with nothing but what was on disk.
    fn restart(&mut self, now: Instant);

    /// Asserts what must hold between any two events: limits kept, tables consistent, counters conserved.
    fn check(&self, now: Instant);
}

/// Where a datagram came from and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The source address, as the network shows it.
    pub from: SocketAddr,
    /// The node's own address.
    pub to: SocketAddr,
    /// The ECN field on arrival.
    pub ecn: Ecn,
}

/// A datagram that a node wants to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The node's own address.
    pub from: SocketAddr,
    /// Where to.
    pub to: SocketAddr,
    /// The ECN field to set.
    pub ecn: Ecn,
    /// How many octets of the buffer are the datagram.
    pub len: usize,
}

/// Names a node of one [`World`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(usize);

/// Nodes, the network between them, and time, which jumps from event to event.
///
/// Panics as soon as a node breaks the contract: its own [`check`](Node::check); progress (after `handle_timeout(t)`
/// the next timeout is later than `t`); no timer storm (at most 1000 timeouts of a node in a second, unless
/// [set](Self::set_timeout_count_max) otherwise); no endless
/// output; the [amplification limit](Amplification) for nodes under [`guard`](Self::guard).
///
/// With `POSTHASTE_TRACE` in the environment, every event is printed.
pub struct World<N> {
    network: Network,
    nodes: Vec<Host<N>>,
    addresses: BTreeMap<SocketAddr, NodeId>,
    /// The next timeout of each node, in world time.
    timers: BTreeSet<(Instant, NodeId)>,
    /// What the scenario does at a given time; at the same time, in the order given.
    actions: BTreeMap<(Instant, u64), Action<N>>,
    action_count: u64,
    now: Instant,
    trace: Trace,
    timeout_count_max: u32,
    print: bool,
    out: Vec<u8>,
}

type Action<N> = Box<dyn FnOnce(&mut World<N>)>;

struct Host<N> {
    node: N,
    address: SocketAddr,
    state: State,
    clock: Clock,
    timer: Option<Instant>,
    amplification: Option<Amplification>,
    /// The second that is counted, and the timeouts in it.
    storm: (u64, u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Down,
}

/// What a node was called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Datagram,
    Timeout,
    Command,
}

impl<N: Node> World<N> {
    /// Makes a world without nodes, at the origin of time.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self {
            network,
            nodes: Vec::new(),
            addresses: BTreeMap::new(),
            timers: BTreeSet::new(),
            actions: BTreeMap::new(),
            action_count: 0,
            now: Instant::ORIGIN,
            trace: Trace::new(),
            timeout_count_max: TIMEOUT_COUNT_MAX,
            print: std::env::var_os("POSTHASTE_TRACE").is_some(),
            out: vec![0; DATAGRAM_LEN_MAX],
        }
    }

    /// Adds a node that receives what is sent to `address`, and lets it send.
    pub fn add(&mut self, address: SocketAddr, node: N) -> NodeId {
        let id = NodeId(self.nodes.len());
        self.nodes.push(Host {
            node,
            address,
            state: State::Up,
            clock: Clock::TRUE,
            timer: None,
            amplification: None,
            storm: (0, 0),
        });
        self.addresses.insert(address, id);
        self.settle(id, Cause::Command);
        id
    }

    /// Holds a node to the amplification limit: for nodes that only answer, since whoever dials sends first.
    pub fn guard(&mut self, id: NodeId) {
        self.nodes[id.0].amplification = Some(Amplification::default());
    }

    /// Sets how many timeouts a node may have in a second, for nodes with many peers or a very fast pacer.
    pub const fn set_timeout_count_max(&mut self, count: u32) {
        self.timeout_count_max = count;
    }

    /// Lets `command` use a node as its application would, then lets the node send; `None` if it is down.
    ///
    /// `command` gets the node's own time.
    pub fn command<R>(&mut self, id: NodeId, command: impl FnOnce(&mut N, Instant) -> R) -> Option<R> {
        let host = &mut self.nodes[id.0];
        if host.state == State::Down {
            return None;
        }
        let result = command(&mut host.node, host.clock.read(self.now));
        self.trace.mark(self.now, COMMAND, id.0 as u64);
        self.settle(id, Cause::Command);
        Some(result)
    }

    /// Does `action` when the time `at` has come.
    pub fn at(&mut self, at: Instant, action: impl FnOnce(&mut Self) + 'static) {
        self.action_count += 1;
        self.actions.insert((at.max(self.now), self.action_count), Box::new(action));
    }

    /// Stops a node between two events: it keeps no timer and what is sent to it gets lost.
    pub fn crash(&mut self, id: NodeId) {
        let host = &mut self.nodes[id.0];
        host.state = State::Down;
        if let Some(at) = host.timer.take() {
            self.timers.remove(&(at, id));
        }
        self.trace.mark(self.now, CRASH, id.0 as u64);
    }

    /// Starts a node anew, whether it had crashed or not.
    pub fn restart(&mut self, id: NodeId) {
        let host = &mut self.nodes[id.0];
        host.state = State::Up;
        // The process knows nobody any more, so everybody has to prove the address again.
        if let Some(amplification) = &mut host.amplification {
            *amplification = Amplification::default();
        }
        host.node.restart(host.clock.read(self.now));
        self.trace.mark(self.now, RESTART, id.0 as u64);
        self.settle(id, Cause::Command);
    }

    /// Changes the clock of a node; `change` gets the clock and the world's time.
    pub fn set_clock(&mut self, id: NodeId, change: impl FnOnce(&mut Clock, Instant)) {
        change(&mut self.nodes[id.0].clock, self.now);
        if self.nodes[id.0].state == State::Up {
            self.arm(id);
        }
    }

    /// Lets everything happen that happens up to and including `deadline`, which then is the time.
    pub fn run_until(&mut self, deadline: Instant) {
        self.run_until_done(deadline, |_| false);
    }

    /// As [`run_until`](Self::run_until), but stops when `done` holds after an event; returns whether it held.
    pub fn run_until_done(&mut self, deadline: Instant, mut done: impl FnMut(&Self) -> bool) -> bool {
        while !done(self) {
            if !self.step(deadline) {
                self.now = self.now.max(deadline);
                return false;
            }
        }
        true
    }

    /// Returns the time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Returns the address of a node, as it knows it itself.
    #[must_use]
    pub fn address(&self, id: NodeId) -> SocketAddr {
        self.nodes[id.0].address
    }

    /// Returns a node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &N {
        &self.nodes[id.0].node
    }

    /// Returns all nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &N> {
        self.nodes.iter().map(|host| &host.node)
    }

    /// Returns the network, to read or change.
    pub const fn network(&mut self) -> &mut Network {
        &mut self.network
    }

    /// Returns the fingerprint of everything that happened so far.
    #[must_use]
    pub const fn trace(&self) -> Trace {
        self.trace
    }

    /// Lets the next event happen, unless it is later than `deadline`.
    fn step(&mut self, deadline: Instant) -> bool {
        let action = self.actions.first_key_value().map(|((at, _), _)| *at);
        let arrival = self.network.next_at();
        let timer = self.timers.first().map(|(at, _)| *at);
        let Some(next) = [action, arrival, timer].into_iter().flatten().min().filter(|at| *at <= deadline) else {
            return false;
        };
        self.now = self.now.max(next);
        if action == Some(next) {
            let (_, action) = self.actions.pop_first().expect("the first action was just seen");
            action(self);
        } else if arrival == Some(next) {
            // None if a translator has given up the address by then.
            if let Some(delivery) = self.network.poll(self.now) {
                self.deliver(delivery);
            }
        } else {
            let (_, id) = self.timers.pop_first().expect("the first timer was just seen");
            self.expire(id);
        }
        true
    }

    fn deliver(&mut self, Delivery { host, mut datagram }: Delivery) {
        self.record("arrives", ARRIVAL, &datagram);
        if let Some(id) = self.addresses.get(&host).copied().filter(|id| self.nodes[id.0].state == State::Up) {
            if let Some(amplification) = self.amplification(datagram.from) {
                amplification.on_reached(datagram.to);
            }
            let receiver = &mut self.nodes[id.0];
            if let Some(amplification) = &mut receiver.amplification {
                amplification.on_received(datagram.from, datagram.octets.len());
            }
            let now = receiver.clock.read(self.now);
            let arrival = Arrival { from: datagram.from, to: host, ecn: datagram.ecn };
            receiver.node.handle_datagram(now, arrival, &mut datagram.octets);
            self.settle(id, Cause::Datagram);
        }
        self.network.recycle(datagram.octets);
    }

    fn expire(&mut self, id: NodeId) {
        self.trace.mark(self.now, TIMEOUT, id.0 as u64);
        if self.print {
            eprintln!("{:>16} ns  timeout of {id:?}", self.now.as_nanos());
        }
        let host = &mut self.nodes[id.0];
        host.timer = None;
        let second = self.now.as_nanos() / Duration::from_secs(1).as_nanos() as u64;
        host.storm = if host.storm.0 == second { (second, host.storm.1 + 1) } else { (second, 1) };
        assert!(
            host.storm.1 <= self.timeout_count_max,
            "timer storm: {id:?} had {} timeouts in a second",
            host.storm.1
        );
        host.node.handle_timeout(host.clock.read(self.now));
        self.settle(id, Cause::Timeout);
    }

    /// Lets a node send what it has to, arms its timer, and checks it.
    fn settle(&mut self, id: NodeId, cause: Cause) {
        let now = self.nodes[id.0].clock.read(self.now);
        let mut transmit_count = 0;
        while let Some(transmit) = self.nodes[id.0].node.poll_transmit(now, &mut self.out) {
            transmit_count += 1;
            assert!(transmit_count <= TRANSMIT_COUNT_MAX, "{id:?} does not stop sending");
            self.transmit(id, transmit);
        }
        self.arm(id);
        let node = &mut self.nodes[id.0].node;
        if cause == Cause::Timeout {
            let next = node.poll_timeout();
            assert!(next.is_none_or(|next| next > now), "no progress: {id:?} at {now:?} is due at {next:?} again");
        }
        node.check(now);
    }

    fn transmit(&mut self, id: NodeId, Transmit { from, to, ecn, len }: Transmit) {
        if let Some(amplification) = &mut self.nodes[id.0].amplification {
            amplification.on_sent(to, len);
        }
        let seen_as = self.network.seen_as(from);
        if let Some(amplification) = self.amplification(to) {
            amplification.on_answered(seen_as);
        }
        let mut octets = self.network.buffer();
        octets.extend_from_slice(&self.out[..len]);
        let datagram = Datagram { from, to, ecn, octets };
        self.record("is sent", SENT, &datagram);
        self.network.send(self.now, datagram);
    }

    /// Brings the timer of a node in line with its next timeout.
    fn arm(&mut self, id: NodeId) {
        let host = &mut self.nodes[id.0];
        let timer = host.node.poll_timeout().map(|at| host.clock.world_at(at).max(self.now));
        if timer != host.timer {
            if let Some(old) = host.timer {
                self.timers.remove(&(old, id));
            }
            self.timers.extend(timer.map(|at| (at, id)));
            host.timer = timer;
        }
    }

    fn amplification(&mut self, address: SocketAddr) -> Option<&mut Amplification> {
        let id = self.addresses.get(&address)?;
        self.nodes[id.0].amplification.as_mut()
    }

    fn record(&mut self, what: &str, kind: u64, datagram: &Datagram) {
        self.trace.datagram(self.now, kind, datagram.from, datagram.to, &datagram.octets);
        if self.print {
            let Datagram { from, to, ecn, octets } = datagram;
            let nanos = self.now.as_nanos();
            eprintln!("{nanos:>16} ns  {from} -> {to} {what}, {ecn:?}, {} octets", octets.len());
        }
    }
}

impl<N> fmt::Debug for World<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .field("network", &self.network)
            .field("trace", &self.trace)
            .finish_non_exhaustive()
    }
}

/// No UDP payload is longer (RFC 768: 16 bits of length, which count the header too).
const DATAGRAM_LEN_MAX: usize = 65_535;
/// Our choice: above what one peer needs for retransmission and pacing, far below a busy loop.
const TIMEOUT_COUNT_MAX: u32 = 1_000;
/// Our choice: more than any window holds.
const TRANSMIT_COUNT_MAX: usize = 100_000;

// The kinds of events in the trace.
const SENT: u64 = 1;
const ARRIVAL: u64 = 2;
const TIMEOUT: u64 = 3;
const COMMAND: u64 = 4;
const CRASH: u64 = 5;
const RESTART: u64 = 6;

#[cfg(test)]
mod tests;
