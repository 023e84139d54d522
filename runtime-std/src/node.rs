//! A socket, a clock and a loop around the endpoint.
//!
//! Whoever waits for something drives: it takes the wheel, sleeps in the socket without the lock, and hands what arrives
//! to the endpoint, for itself and for all others. Those who find the wheel taken sleep until what they wait for is there,
//! or until the wheel is handed to them. Between calls nobody drives, and the helper thread sees to the deadlines.
//!
//! A node that answers calls keeps the wheel on its helper thread, which then sleeps in the socket.

use alloc::sync::Arc;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle, Thread};

use posthaste_core::endpoint::Arrival;
use posthaste_core::{Config, Endpoint, IncomingCallId, Instant, Storage};
use posthaste_udp::{RecvBatch, Socket, Waiting};

use crate::clock::Clock;
use crate::handler::Handler;
use crate::options::Options;
use crate::state::{Interest, Service, State, Watch, earlier};

/// One socket with its endpoint, shared by all threads that use it.
pub(crate) struct Node {
    pub(crate) socket: Socket,
    pub(crate) clock: Clock,
    state: Mutex<State>,
    helper: OnceLock<Thread>,
}

/// The threads of a node; when this goes, they end.
pub(crate) struct Threads {
    node: Arc<Node>,
    handles: Vec<JoinHandle<()>>,
}

/// Why waiting ended without what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vain {
    /// The time is up.
    TimedOut,
    /// The node is closed.
    Closed,
}

impl Node {
    /// Opens a socket on `address` and starts the threads.
    pub(crate) fn open(
        address: SocketAddr,
        options: &Options,
        handler: Option<Arc<dyn Handler>>,
    ) -> io::Result<Threads> {
        let waiting = posthaste_udp::Options { waiting: Waiting::InRecv, ..options.socket.clone() };
        let socket = Socket::bind(address, &waiting)?;
        let mut config: Config = options.config.clone();
        config.fit_recv_buffer(socket.report().recv_buffer.granted_len);
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
        let clock = Clock::start();
        let storage = Storage::owned(&config);
        let endpoint = Endpoint::new_insecure(config, storage, seed, clock.now())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let worker_count = if handler.is_some() { options.worker_count.max(1) } else { 0 };
        let service = handler.map(|handler| Service::new(handler, options.queue_len_max, worker_count));
        let is_serving = service.is_some();
        let state = Mutex::new(State::new(endpoint, service));
        let node = Arc::new(Self { socket, clock, state, helper: OnceLock::new() });

        let mut threads = Threads { node: Arc::clone(&node), handles: Vec::with_capacity(1 + worker_count) };
        threads.spawn("posthaste", if is_serving { Self::serve } else { Self::help })?;
        for _ in 0..worker_count {
            threads.spawn("posthaste-worker", Self::work)?;
        }
        Ok(threads)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is our own mistake, and the endpoint's contract does not depend on who made it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a command to the endpoint and sends what follows from it.
    pub(crate) fn command<T>(&self, command: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.lock();
        let now = self.clock.now();
        let result = command(&mut state, now);
        state.settle(now, &self.socket);
        self.watch(&mut state);
        result
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
        let state = self.lock();
        let now = self.clock.now();
        self.wait_locked(state, now, interest, until, ready)
    }

    /// As [`Node::wait`], from a moment at which the caller has the lock.
    pub(crate) fn wait_locked<'n, T>(
        &'n self,
        mut state: MutexGuard<'n, State>,
        mut now: Instant,
        interest: Interest,
        until: Option<Instant>,
        mut ready: impl FnMut(&mut State, Instant) -> Option<T>,
    ) -> Result<T, Vain> {
        let result = loop {
            if let Some(result) = ready(&mut state, now) {
                break Ok(result);
            }
            if state.is_closed {
                break Err(Vain::Closed);
            }
            if until.is_some_and(|until| until <= now) {
                break Err(Vain::TimedOut);
            }
            state.settle(now, &self.socket);
            // The events may have brought it.
            if let Some(result) = ready(&mut state, now) {
                break Ok(result);
            }
            state = match state.wheel.take() {
                Some(wheel) => self.drive(state, wheel, now, until),
                None => self.sleep(state, interest, now, until),
            };
            now = self.clock.now();
        };
        self.leave(&mut state, now);
        result
    }

    /// Sleeps once in the socket, and hands what arrived to the endpoint.
    fn drive<'n>(
        &'n self,
        mut state: MutexGuard<'n, State>,
        mut wheel: RecvBatch,
        now: Instant,
        until: Option<Instant>,
    ) -> MutexGuard<'n, State> {
        let until = earlier(state.deadline(), until);
        state.drive_count += 1;
        state.driver = Watch::Until(until);
        drop(state);
        let received = self.recv(&mut wheel, now, until);
        let mut state = self.lock();
        let now = self.clock.now();
        state.handle_received(now, &mut wheel);
        // The replies of calls side by side: taken together, they let the calls that follow them leave together. Of a lone call
        // no more will come.
        for _ in 1..RECV_COUNT_MAX {
            if state.open_count < 2 || !self.socket.recv(&mut wheel).is_ok_and(|count| count > 0) {
                break;
            }
            state.handle_received(now, &mut wheel);
        }
        state.handle_due(now);
        if received.is_err() {
            state.close();
        }
        state.settle(now, &self.socket);
        state.driver = Watch::Absent;
        state.wheel = Some(wheel);
        state
    }

    /// Sleeps until somebody else brings what is waited for, or hands over the wheel.
    fn sleep<'n>(
        &'n self,
        mut state: MutexGuard<'n, State>,
        interest: Interest,
        now: Instant,
        until: Option<Instant>,
    ) -> MutexGuard<'n, State> {
        let is_server =
            state.service.is_some() && self.helper.get().is_some_and(|it| it.id() == thread::current().id());
        assert!(!is_server, "an inline handler waits for what only its own thread can receive");
        state.register(interest);
        self.watch(&mut state);
        drop(state);
        match until {
            Some(until) => thread::park_timeout(until.saturating_since(now)),
            None => thread::park(),
        }
        let mut state = self.lock();
        state.unregister();
        state
    }

    /// Sends what is left, and sees that somebody goes on.
    fn leave(&self, state: &mut State, now: Instant) {
        if !state.is_holding() {
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
            state.helper = Watch::Until(Some(deadline));
            helper.unpark();
        }
    }

    /// Closes the conversations and tells everybody who waits; the threads end.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        let now = self.clock.now();
        state.endpoint.close_all(now, 0);
        state.settle(now, &self.socket);
        state.close();
        self.kick(&mut state);
    }

    fn recv(&self, wheel: &mut RecvBatch, now: Instant, until: Option<Instant>) -> io::Result<usize> {
        self.socket.recv_timeout(wheel, until.map(|until| until.saturating_since(now)))
    }

    /// Wakes the thread that sleeps in the socket, by a datagram that means nothing.
    fn kick(&self, state: &mut State) {
        let mut address = self.socket.local_addr();
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
        // If it does not arrive, the buffer is full, and the sleeper is awake.
        state.send_empty(address, &self.socket);
    }

    /// The helper thread where calls are only made: acts at the deadlines at which nobody else does.
    fn help(self: &Arc<Self>) {
        let mut state = self.lock();
        let mut drive_count = 0;
        let mut slept_to = None;
        while !state.is_closed {
            // Whoever drove lately does so again: to take the wheel would cost each of its calls a hand-over.
            if state.drive_count == drive_count {
                state = self.drive_on(state, slept_to);
            }
            drive_count = state.drive_count;
            let now = self.clock.now();
            state.handle_due(now);
            if state.held_until.is_none_or(|until| until <= now) {
                state.settle(now, &self.socket);
            }
            slept_to = state.deadline();
            state.helper = Watch::Until(slept_to);
            drop(state);
            match slept_to {
                Some(until) => thread::park_timeout(until.saturating_since(now)),
                None => thread::park(),
            }
            state = self.lock();
        }
    }

    /// Drives while nobody else does: as long as something arrives, and, if a deadline has passed meanwhile, as long as the peer
    /// owes something. So what nobody waits for goes on, and who starts calls and waits for them at once finds the wheel free.
    fn drive_on<'n>(&'n self, mut state: MutexGuard<'n, State>, slept_to: Option<Instant>) -> MutexGuard<'n, State> {
        let Some(mut wheel) = state.wheel.take() else { return state };
        state.driver = Watch::Awake;
        drop(state);
        let mut received = self.socket.recv(&mut wheel);
        let mut state = self.lock();
        let mut is_late = slept_to.is_some_and(|until| until <= self.clock.now());
        loop {
            let has_received = received.as_ref().is_ok_and(|count| *count > 0);
            let now = self.clock.now();
            state.handle_received(now, &mut wheel);
            state.handle_due(now);
            if received.is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock) {
                state.close();
            }
            if state.held_until.is_none_or(|until| until <= now) {
                state.settle(now, &self.socket);
            }
            let deadline = state.deadline();
            let goes_on = deadline.is_some() && (has_received || (is_late && state.is_owed()));
            if state.is_closed || state.has_waiters() || !goes_on {
                break;
            }
            state.driver = Watch::Until(deadline);
            drop(state);
            received = self.recv(&mut wheel, now, deadline);
            is_late |= matches!(received, Ok(0));
            state = self.lock();
        }
        state.driver = Watch::Absent;
        state.wheel = Some(wheel);
        state.hand_over();
        state
    }

    /// The helper thread where calls are answered: keeps the wheel and sleeps in the socket.
    fn serve(self: &Arc<Self>) {
        let mut wheel = RecvBatch::new(1);
        let mut state = self.lock();
        while !state.is_closed {
            let now = self.clock.now();
            state.handle_due(now);
            state = self.answer_inline(state);
            state.settle(now, &self.socket);
            let deadline = state.deadline();
            state.driver = Watch::Until(deadline);
            drop(state);
            let received = self.recv(&mut wheel, now, deadline);
            state = self.lock();
            state.driver = Watch::Awake;
            if received.is_err() {
                state.close();
            }
            let now = self.clock.now();
            while let Some(datagram) = wheel.next_datagram() {
                let arrival = Arrival { from: datagram.from, to: datagram.to, ecn: datagram.ecn };
                // As for a driver.
                let _ = state.endpoint.handle_datagram(now, arrival, datagram.payload);
                state = self.answer_inline(state);
            }
        }
    }

    /// Runs the handlers of the calls that arrived for this thread.
    fn answer_inline<'n>(self: &'n Arc<Self>, mut state: MutexGuard<'n, State>) -> MutexGuard<'n, State> {
        let mut count = 0;
        state.hear(self.clock.now());
        while let Some(call) = state.service.as_mut().and_then(|service| service.inline.pop_front()) {
            state = self.answer(state, call);
            count += 1;
            if count % REPLY_COUNT_MAX == 0 {
                // The caller has work while the rest is done here.
                state.settle(self.clock.now(), &self.socket);
            }
        }
        state
    }

    /// Runs the handler of a call at a desk that is free: the one that was used last, so that a lone caller's buffers never
    /// have to grow again, whichever worker answers.
    fn answer<'n>(
        self: &'n Arc<Self>,
        mut state: MutexGuard<'n, State>,
        call: IncomingCallId,
    ) -> MutexGuard<'n, State> {
        let mut desk = state.service.as_mut().and_then(|service| service.desks.pop()).unwrap_or_default();
        let mut state = desk.answer(self, state, call);
        if let Some(service) = &mut state.service {
            service.desks.push(desk);
        }
        state
    }

    /// A worker thread: runs handlers, one call after the other.
    fn work(self: &Arc<Self>) {
        let mut state = self.lock();
        while !state.is_closed {
            let Some(service) = &mut state.service else { return };
            if let Some(call) = service.queue.pop_front() {
                state = self.answer(state, call);
                let now = self.clock.now();
                state.settle(now, &self.socket);
                self.watch(&mut state);
                continue;
            }
            service.idle.push(thread::current());
            drop(state);
            thread::park();
            state = self.lock();
            let current = thread::current().id();
            if let Some(service) = &mut state.service {
                service.idle.retain(|idle| idle.id() != current);
            }
        }
    }
}

impl Threads {
    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    fn spawn(&mut self, name: &str, body: fn(&Arc<Node>)) -> io::Result<()> {
        let node = Arc::clone(&self.node);
        let handle = thread::Builder::new().name(name.to_owned()).spawn(move || body(&node))?;
        // The first one is the helper.
        self.node.helper.get_or_init(|| handle.thread().clone());
        self.handles.push(handle);
        Ok(())
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

/// Returns `timeout` from here as the core's time.
pub(crate) fn deadline_after(now: Instant, timeout: Option<Duration>) -> Option<Instant> {
    timeout.map(|timeout| now.saturating_add(timeout))
}

/// Calls answered before what is ready is sent; our choice, from a measurement at 64 calls in flight (0.9, 1.2 to 2.4 and 2.3
/// to 4.3 million calls a second for one, three and four datagrams a turn).
const REPLY_COUNT_MAX: usize = 16;

/// Receives of one turn at the wheel; our choice, as above.
const RECV_COUNT_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use posthaste_core::endpoint::{Answer, Delivery, Request};

    use crate::{Client, Incoming, Server};

    use super::*;

    fn pair() -> (Client, Server) {
        let echo = |call: &Incoming<'_>, reply: &mut Vec<u8>| {
            reply.extend_from_slice(call.arguments());
            Answer::Ok
        };
        let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), echo).unwrap();
        (Client::connect_insecure(server.local_addr(), Config::lan()).unwrap(), server)
    }

    /// Looks at a node until something is true of it, and does nothing that could make it so.
    fn watch(node: &Node, is_true: impl Fn(&State) -> bool) {
        while !is_true(&node.lock()) {
            thread::yield_now();
        }
    }

    fn holds_nothing(state: &State) -> bool {
        let usage = state.endpoint.usage();
        usage.outgoing + usage.incoming == 0
    }

    #[test]
    fn started_calls_end_and_are_freed_on_both_sides_though_nobody_waits() {
        let (client, server) = pair();
        for _ in 0..3 {
            let calls: Vec<_> = (0..100).map(|_| client.start(&Request::new(1, 1, 1, &[7; 3000])).unwrap()).collect();
            watch(&client.node, |state| state.untaken_count == calls.len());
            // The replies have arrived and been acknowledged: their octets are no longer the server's.
            watch(server.threads.node(), holds_nothing);
            drop(calls);
            watch(&client.node, holds_nothing);
        }
    }

    #[test]
    fn messages_that_nobody_waits_for_arrive_and_are_freed() {
        let (client, server) = pair();
        let mut octets = Vec::new();
        for _ in 0..3 {
            for _ in 0..100 {
                client.send(Delivery::Reliable, &[7; 3000]).unwrap();
            }
            for _ in 0..100 {
                server.receive_into(&mut octets, None).unwrap();
            }
            watch(&client.node, holds_nothing);
            watch(server.threads.node(), holds_nothing);
        }
    }
}
