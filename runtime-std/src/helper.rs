//! The thread that acts where calls are only made and nobody waits for one.

use core::net::SocketAddr;
use std::io;
use std::sync::MutexGuard;
use std::thread;

use posthaste_core::Instant;

use crate::node::{Node, Threads};
use crate::options::Options;
use crate::state::{State, Watch};

/// Opens a node that only calls.
pub(crate) fn open(address: SocketAddr, options: &Options) -> io::Result<Threads> {
    let mut threads = Threads::new(Node::open(address, options, None)?);
    threads.spawn("posthaste", |node| node.help())?;
    Ok(threads)
}

impl Node {
    /// Acts at the deadlines at which nobody else does, until the node is closed.
    fn help(&self) {
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
            if state.is_closed || !state.waiters.is_empty() || !goes_on {
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
}

#[cfg(test)]
mod tests {
    use posthaste_core::Config;
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
            watch(&client.node, |state| state.calls.untaken_count() == calls.len());
            // The replies have arrived and been acknowledged: their octets are no longer the server's.
            watch(server.node(), holds_nothing);
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
            watch(server.node(), holds_nothing);
        }
    }
}
