//! The thread that acts where calls are only made, and nobody waits for one.

use core::mem;
use core::net::SocketAddr;
use std::io;
use std::thread;

use crate::locked::Locked;
use crate::node::{Node, Threads};
use crate::options::Options;
use crate::state::{ABSENCE_TIME, Watch, earlier};

/// Opens a node that only calls.
pub(crate) fn open(address: SocketAddr, options: &Options) -> io::Result<Threads> {
    let mut threads = Threads::new(Node::open(address, options, None)?);
    threads.spawn("posthaste", |node| node.help())?;
    Ok(threads)
}

impl Node {
    /// Takes in what nobody waits for, and acts at the deadlines at which nobody else does, until the node is closed.
    fn help(&self) {
        let mut state = self.lock();
        while !state.is_closed {
            let now = self.read_clock(&mut state);
            if mem::take(&mut state.is_listening) || state.deadline().is_some_and(|at| at <= now) {
                state = self.look(state);
            }
            let now = state.now;
            // Whoever drove lately does so again: woken by each datagram, this thread would cost each of its calls.
            state.is_listening = state.wheel.is_some() && state.quiet_at.is_none_or(|at| at <= now);
            if state.is_listening {
                state.quiet_at = None;
            }
            let until = if mem::take(&mut state.was_driven) {
                Some(state.absence_end())
            } else {
                earlier(state.deadline(), state.quiet_at)
            };
            state.helper = Watch::Until(until);
            let is_listening = state.is_listening;
            drop(state);
            let failed = self.sleep_aside(is_listening, until.map(|until| until.saturating_since(now)));
            state = self.lock_aside();
            if failed.is_err() {
                state.close();
            }
        }
    }

    /// Looks at the socket until nothing waits there, unless somebody drives, and at the deadlines. Reads the clock.
    fn look<'n>(&'n self, mut state: Locked<'n>) -> Locked<'n> {
        let mut has_received = true;
        while has_received {
            has_received = false;
            if let Some(mut wheel) = state.wheel.take() {
                state.driver = Watch::Awake;
                drop(state);
                let received = wheel.look(&self.socket);
                state = self.lock();
                let now = self.read_clock(&mut state);
                state.handle_received(now, &mut wheel);
                has_received = received.as_ref().is_ok_and(|count| *count > 0);
                if received.is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock) {
                    state.close();
                }
                state.driver = Watch::Absent;
                state.wheel = Some(wheel);
            }
            let now = self.read_clock(&mut state);
            state.handle_due(now);
            if state.held_until.is_none_or(|until| until <= now) {
                state.settle(now, &self.socket);
            }
            state.hand_over();
        }
        state
    }

    /// Takes the state, but not from those who are about to come back to it.
    fn lock_aside(&self) -> Locked<'_> {
        loop {
            if let Some(state) = self.try_lock() {
                return state;
            }
            thread::park_timeout(ABSENCE_TIME);
        }
    }
}

#[cfg(test)]
mod tests {
    use posthaste_core::Config;
    use posthaste_core::endpoint::{Answer, Delivery, Request};

    use crate::state::State;
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
