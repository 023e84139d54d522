//! A socket, a clock and a loop around the endpoint.
//!
//! Whoever waits for something drives: it takes the wheel, sleeps in the socket without the lock, and hands what arrives
//! to the endpoint, for itself and for all others. Those who find the wheel taken sleep until what they wait for is there,
//! or until the wheel is handed to them. Between calls nobody drives, and the helper thread sees to the deadlines; when nobody has
//! driven for a while, it listens at the socket, too.
//!
//! A node that answers calls keeps the wheel on its helper thread, which then sleeps in the socket.

use alloc::sync::Arc;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::sync::{Mutex, OnceLock};
use std::thread::{self, JoinHandle, Thread};

use posthaste_core::{Endpoint, Instant};
use posthaste_udp::{Clock, Interrupt, Options as SocketOptions, Socket, Waiting};

use crate::error::Vain;
use crate::locked::Locked;
use crate::options::Options;
use crate::service::{Execution, Service};
use crate::state::{ABSENCE_TIME, State, Watch, earlier};
use crate::waiters::Interest;
use crate::wheel::{Wait, Wheel};

/// One socket with its endpoint, shared by all threads that use it.
pub(crate) struct Node {
    pub(crate) socket: Socket,
    pub(crate) clock: Clock,
    state: Mutex<State>,
    helper: OnceLock<Thread>,
    /// For the helper while it listens; `None` where calls are answered, and the helper has the wheel.
    interrupt: Option<Interrupt>,
}

/// The threads of a node; when this goes, they end.
pub(crate) struct Threads {
    node: Arc<Node>,
    handles: Vec<JoinHandle<()>>,
}

impl Node {
    /// Opens a socket on `address`; `service` answers the calls of peers.
    pub(crate) fn open(address: SocketAddr, options: &Options, service: Option<Service>) -> io::Result<Arc<Self>> {
        let (socket, endpoint) =
            posthaste_udp::bind_insecure(address, options.config.clone(), &socket_options(options))?;
        Self::new(socket, endpoint, service)
    }

    /// Opens the sockets of a server on one port of `address`, each with a service of its own.
    pub(crate) fn open_group(
        address: SocketAddr,
        options: &Options,
        service: impl Fn() -> Service,
    ) -> io::Result<Vec<Arc<Self>>> {
        let Options { socket_count, config, .. } = options;
        let bound = posthaste_udp::bind_group_insecure(address, *socket_count, config, &socket_options(options))?;
        bound.into_iter().map(|(socket, endpoint)| Self::new(socket, endpoint, Some(service()))).collect()
    }

    fn new(socket: Socket, endpoint: Endpoint<'static>, service: Option<Service>) -> io::Result<Arc<Self>> {
        let interrupt = if service.is_none() { Some(Interrupt::new()?) } else { None };
        // A socket that is waited for in the receive call fills no more than one buffer.
        let wheel = service.is_none().then(|| Wheel::new(1, &socket));
        let state = Mutex::new(State::new(endpoint, service, wheel));
        Ok(Arc::new(Self { socket, clock: Clock::start(), state, helper: OnceLock::new(), interrupt }))
    }

    pub(crate) fn lock(&self) -> Locked<'_> {
        Locked::new(&self.state)
    }

    /// As [`Node::lock`], unless another thread has the state.
    pub(crate) fn try_lock(&self) -> Option<Locked<'_>> {
        Locked::try_new(&self.state)
    }

    /// Reads the clock after a handler has run, if that may have taken long.
    pub(crate) fn catch_up(&self, state: &mut State, execution: Execution) {
        if execution == Execution::Pool {
            self.read_clock(state);
        }
    }

    /// Reads the clock.
    pub(crate) fn read_clock(&self, state: &mut State) -> Instant {
        state.now = self.clock.now();
        state.now
    }

    /// Returns the moment at which a call is started: what leaves together is of one.
    pub(crate) fn moment(&self, state: &mut State) -> Instant {
        if state.is_holding() { state.now } else { self.read_clock(state) }
    }

    /// Returns when `timeout` will have passed.
    pub(crate) fn deadline_after(&self, timeout: Option<Duration>) -> Option<Instant> {
        timeout.map(|timeout| self.clock.now().saturating_add(timeout))
    }

    /// Gives a command to the endpoint and sends what follows from it.
    pub(crate) fn command<T>(&self, command: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.lock();
        let now = self.read_clock(&mut state);
        let result = command(&mut state, now);
        state.settle(now, &self.socket);
        self.watch(&mut state);
        result
    }

    /// Sends a call that was started, unless it may wait for others to go with it. `following_count`: outcomes that whoever started
    /// it has taken and not looked at, and calls that it starts next.
    pub(crate) fn send_started(&self, state: &mut State, following_count: usize) {
        if state.may_hold_started(following_count) {
            return self.hold(state);
        }
        let now = if state.is_holding() { self.read_clock(state) } else { state.now };
        state.settle(now, &self.socket);
        self.watch(state);
    }

    /// Lets what is ready wait, if something is: whoever takes outcomes most likely starts calls that it can go with.
    pub(crate) fn hold_ready(&self, state: &mut State) {
        if !state.is_holding() && state.endpoint.has_transmit() {
            self.hold(state);
        }
    }

    /// Lets what is ready wait for more to go with it: the first outcome that has to be waited for sends all, and the helper
    /// thread does where nobody ever waits.
    pub(crate) fn hold(&self, state: &mut State) {
        if !state.is_holding() {
            state.held_until = Some(state.now.saturating_add(HELD_TIME_MAX));
            self.watch(state);
        }
    }

    /// Waits until `ready` returns something, and drives meanwhile or sleeps while another does.
    ///
    /// `ready` may give commands to the endpoint.
    pub(crate) fn wait<T>(
        &self,
        interest: Interest,
        until: Option<Instant>,
        ready: impl FnMut(&mut State, Instant) -> Option<T>,
    ) -> Result<T, Vain> {
        let mut state = self.lock();
        self.read_clock(&mut state);
        self.wait_locked(state, interest, until, ready)
    }

    /// As [`Node::wait`], from a moment at which the caller has the lock and has read the clock.
    pub(crate) fn wait_locked<'n, T>(
        &'n self,
        mut state: Locked<'n>,
        interest: Interest,
        until: Option<Instant>,
        mut ready: impl FnMut(&mut State, Instant) -> Option<T>,
    ) -> Result<T, Vain> {
        let result = loop {
            let now = state.now;
            if let Some(result) = ready(&mut state, now) {
                break Ok(result);
            }
            if state.is_closed {
                break Err(Vain::Closed);
            }
            if until.is_some_and(|until| until <= now) {
                break Err(Vain::TimedOut);
            }
            // Whoever holds back what is ready looks again before it leaves: with more outcomes come more calls that go with it.
            if state.is_holding()
                && self.look_once(&mut state, now)
                && let Some(result) = ready(&mut state, now)
            {
                break Ok(result);
            }
            if state.is_sent_by_others() {
                state.hear(now);
            } else {
                state.settle(now, &self.socket);
            }
            // The events may have brought it.
            if let Some(result) = ready(&mut state, now) {
                break Ok(result);
            }
            state = match state.wheel.take() {
                Some(wheel) => self.drive(state, wheel, now, until),
                None => self.sleep(state, interest, now, until),
            };
        };
        self.leave(&mut state);
        result
    }

    /// Takes in what waits in the socket, unless another thread drives, and says whether something did.
    fn look_once(&self, state: &mut State, now: Instant) -> bool {
        let Some(mut wheel) = state.wheel.take() else { return false };
        let has_received = wheel.look(&self.socket).is_ok_and(|count| count > 0);
        state.handle_received(now, &mut wheel);
        state.wheel = Some(wheel);
        state.hear(now);
        has_received
    }

    /// Sleeps once in the socket, and hands what arrived to the endpoint. Reads the clock afterwards.
    fn drive<'n>(
        &'n self,
        mut state: Locked<'n>,
        mut wheel: Wheel,
        now: Instant,
        until: Option<Instant>,
    ) -> Locked<'n> {
        let until = earlier(state.deadline(), until);
        state.quiet_at = None;
        state.was_driven = true;
        state.driver = Watch::Until(until);
        let wait = Wait { now, until, has_several: state.has_several() };
        drop(state);
        let received = wheel.wait(&self.socket, self.clock, wait);
        let mut state = self.lock();
        let now = self.read_clock(&mut state);
        let mut datagram_count = state.handle_received(now, &mut wheel);
        while !state.is_turn_over(datagram_count) && wheel.look(&self.socket).is_ok_and(|count| count > 0) {
            datagram_count += state.handle_received(now, &mut wheel);
        }
        // Whoever brought a deadline nearer meanwhile has ended the sleep, and it is for the next one.
        if until.is_some_and(|until| until <= now) {
            state.endpoint.handle_timeout(now);
        }
        if received.is_err() {
            state.close();
        }
        state.settle(now, &self.socket);
        state.driver = Watch::Absent;
        state.wheel = Some(wheel);
        state.quiet_at = Some(now.saturating_add(QUIET_TIME));
        state
    }

    /// Sleeps until somebody else brings what is waited for, or hands over the wheel. Reads the clock afterwards.
    fn sleep<'n>(
        &'n self,
        mut state: Locked<'n>,
        interest: Interest,
        now: Instant,
        until: Option<Instant>,
    ) -> Locked<'n> {
        self.forbid_inline(&state);
        if !state.is_sent_by_others() {
            self.watch(&mut state);
        }
        state.waiters.register(interest);
        drop(state);
        match until {
            Some(until) => thread::park_timeout(until.saturating_since(now)),
            None => thread::park(),
        }
        let mut state = self.lock();
        state.waiters.unregister();
        self.read_clock(&mut state);
        state
    }

    /// Says of a wait that it would never end, before it begins.
    ///
    /// # Panics
    /// On the thread that receives for handlers.
    pub(crate) fn forbid_inline(&self, state: &State) {
        let is_server =
            state.service.is_some() && self.helper.get().is_some_and(|it| it.id() == thread::current().id());
        assert!(!is_server, "an inline handler waits for what only its own thread can receive");
    }

    /// Sends what is left, and sees that somebody goes on, unless others are about to.
    fn leave(&self, state: &mut State) {
        if state.is_sent_by_others() {
            return;
        }
        if !state.is_holding() {
            let now = state.now;
            state.settle(now, &self.socket);
        }
        state.hand_over();
        self.watch(state);
    }

    /// Sees that somebody acts at the next deadline.
    pub(crate) fn watch(&self, state: &mut State) {
        let Some(deadline) = state.unwatched_deadline() else { return };
        if state.wheel.is_none() {
            // Whoever drives sleeps too long, and looks again.
            state.driver = Watch::Awake;
            self.kick(state);
        } else if let Some(helper) = self.helper.get() {
            state.helper = Watch::Until(Some(deadline.max(state.now.saturating_add(ABSENCE_TIME))));
            match &self.interrupt {
                Some(interrupt) if state.is_listening => interrupt.raise(),
                _ => helper.unpark(),
            }
        }
    }

    /// Closes the conversations and tells everybody who waits; the threads end.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        let now = self.read_clock(&mut state);
        state.endpoint.close_all(now, 0);
        state.settle(now, &self.socket);
        state.close();
        self.kick(&mut state);
    }

    /// Sleeps until [`Self::watch`] rouses the helper, which this is, or, if it listens, something arrives.
    pub(crate) fn sleep_aside(&self, is_listening: bool, timeout: Option<Duration>) -> io::Result<()> {
        match (&self.interrupt, timeout) {
            (Some(interrupt), timeout) if is_listening => return self.socket.wait(interrupt, timeout),
            (_, Some(timeout)) => thread::park_timeout(timeout),
            (_, None) => thread::park(),
        }
        Ok(())
    }

    /// Wakes the thread that sleeps in the socket: where the port is shared, by an interrupt, else by a datagram that means nothing.
    fn kick(&self, state: &mut State) {
        if let Some(interrupt) = self.socket.interrupt() {
            return interrupt.raise();
        }
        let mut address = self.socket.local_addr();
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
        // If it does not arrive, the buffer is full, and the sleeper is awake.
        state.send_empty(address, &self.socket);
    }
}

/// Waits until `ready` returns something at one of the nodes of a server, whose threads drive.
pub(crate) fn wait_at_any<'n, T>(
    nodes: impl Iterator<Item = &'n Arc<Node>> + Clone,
    interest: Interest,
    timeout: Option<Duration>,
    mut ready: impl FnMut(&'n Arc<Node>, &mut State, Instant) -> Option<T>,
) -> Result<T, Vain> {
    let clock = Clock::start();
    loop {
        let mut found = None;
        for node in nodes.clone() {
            let mut state = node.lock();
            let now = node.clock.now();
            if let Some(value) = ready(node, &mut state, now) {
                state.settle(now, &node.socket);
                node.watch(&mut state);
                found = Some(Ok(value));
                break;
            }
            if state.is_closed {
                found = Some(Err(Vain::Closed));
                break;
            }
            state.waiters.register(interest);
        }
        let passed = clock.now().saturating_since(Instant::ORIGIN);
        match timeout.map(|timeout| timeout.saturating_sub(passed)) {
            _ if found.is_some() => {}
            Some(Duration::ZERO) => found = Some(Err(Vain::TimedOut)),
            Some(timeout) => thread::park_timeout(timeout),
            None => thread::park(),
        }
        for node in nodes.clone() {
            let mut state = node.lock();
            state.waiters.unregister();
            // Whoever saw that this one was woken has left it to it to send.
            node.read_clock(&mut state);
            node.leave(&mut state);
        }
        if let Some(found) = found {
            return found;
        }
    }
}

impl Threads {
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node, handles: Vec::new() }
    }

    /// Starts a thread; the first is the helper, who is to see to the deadlines.
    pub(crate) fn spawn(&mut self, name: &str, body: impl FnOnce(&Arc<Node>) + Send + 'static) -> io::Result<()> {
        let node = Arc::clone(&self.node);
        let handle = thread::Builder::new().name(name.to_owned()).spawn(move || body(&node))?;
        self.node.helper.get_or_init(|| handle.thread().clone());
        self.handles.push(handle);
        Ok(())
    }

    pub(crate) const fn node(&self) -> &Arc<Node> {
        &self.node
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.node.close();
        if let Some(helper) = self.node.helper.get() {
            helper.unpark();
        }
        for handle in self.handles.drain(..) {
            // A handler may hold the last handle, and no thread can wait for itself.
            if handle.thread().id() != thread::current().id() {
                // Its panic was its own affair.
                let _ = handle.join();
            }
        }
    }
}

/// How long nobody drives before the helper is woken by what arrives; our choice. Rare beside the calls of a row, short beside what
/// a peer waits for before it takes us for dead.
const QUIET_TIME: Duration = Duration::from_millis(100);

/// How long a started call is held at most; our choice. Only who never waits notices.
const HELD_TIME_MAX: Duration = Duration::from_millis(1);

fn socket_options(options: &Options) -> SocketOptions {
    SocketOptions { waiting: Waiting::InRecv, ..options.socket.clone() }
}

#[cfg(test)]
mod tests {
    use posthaste_core::Config;
    use posthaste_core::endpoint::{Answer, Delivery, Request};

    use super::*;
    use crate::outcome::await_end;
    use crate::{Client, Incoming, Inline, Server};

    fn echo(call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
        reply.extend_from_slice(call.arguments());
        Answer::Ok
    }

    #[test]
    fn a_call_is_sent_though_the_receiver_that_was_to_send_it_was_woken_in_vain() {
        let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), echo).unwrap();
        let client = Client::connect_insecure_with(server.local_addr(), Config::lan(), echo).unwrap();
        client.send(Delivery::Reliable, b"first").unwrap();
        let peer = server.receive_into(&mut Vec::new(), None).unwrap().peer;
        client.flush().unwrap();
        thread::scope(|scope| {
            let receiving = scope.spawn(|| server.receive_into(&mut Vec::new(), None));
            let node = server.node();
            let mut state = loop {
                let mut state = node.lock();
                // A message that another receiver takes.
                state.waiters.wake(Interest::Arrival);
                if state.waiters.woken_count() > 0 {
                    break state;
                }
                drop(state);
                thread::yield_now();
            };
            let now = node.read_clock(&mut state);
            let id = peer.id(&mut state, now).unwrap();
            let call = state.begin(now, id, Request::new(1, 1, 1, b"call")).unwrap();
            let mut reply = Vec::new();
            await_end(node, state, call, &mut reply).unwrap();
            assert_eq!(reply, b"call");
            client.send(Delivery::Reliable, b"last").unwrap();
            receiving.join().unwrap().unwrap();
        });
    }

    #[test]
    fn a_call_that_an_inline_handler_may_not_wait_for_is_not_made() {
        let call_back = Inline(|call: &Incoming<'_>, _: &mut Vec<u8>| {
            let _ = call.peer().call(1, 1, 1, b"never");
            Answer::Ok
        });
        let wait_for_started = Inline(|call: &Incoming<'_>, _: &mut Vec<u8>| {
            let _ = call.peer().start(&Request::new(1, 1, 1, b"in vain")).unwrap().wait();
            Answer::Ok
        });
        let servers = [
            Server::serve_insecure("127.0.0.1:0", Config::lan(), call_back),
            Server::serve_insecure("127.0.0.1:0", Config::lan(), wait_for_started),
        ];
        for server in servers {
            let server = server.unwrap();
            let client = Client::connect_insecure_with(server.local_addr(), Config::lan(), echo).unwrap();
            client.call(1, 1, 1, b"").unwrap_err();
            let state = server.node().lock();
            assert_eq!((state.calls.untaken_count(), state.calls.open_count()), (0, 0));
        }
    }
}
