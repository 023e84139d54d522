//! The threads of a node that answers calls: one receives, and workers run handlers beside it.

use alloc::sync::Arc;
use core::net::SocketAddr;
use core::slice;
use std::io;
use std::thread;

use crate::desk::Desk;
use crate::handler::Handler;
use crate::locked::Locked;
use crate::node::{Node, Threads};
use crate::options::Options;
use crate::service::{Execution, Service};
use crate::state::{TURN_DATAGRAM_COUNT_MAX, Watch};
use crate::wheel::{Wait, Wheel};

/// Opens a node that answers calls, and makes them as well.
pub(crate) fn open(address: SocketAddr, options: &Options, handler: &Arc<impl Handler>) -> io::Result<Threads> {
    start(Node::open(address, options, Some(service(options, handler)))?, options, handler)
}

/// Opens the nodes of a server, on one port.
pub(crate) fn open_group(
    address: SocketAddr,
    options: &Options,
    handler: &Arc<impl Handler>,
) -> io::Result<Vec<Threads>> {
    let nodes = Node::open_group(address, options, || service(options, handler))?;
    nodes.into_iter().map(|node| start(node, options, handler)).collect()
}

fn service(options: &Options, handler: &Arc<impl Handler>) -> Service {
    let chooser = Arc::clone(handler);
    Service::new(move |it| chooser.execution(it), options.queued_count_max, options.worker_count.max(1))
}

fn start(node: Arc<Node>, options: &Options, handler: &Arc<impl Handler>) -> io::Result<Threads> {
    let mut threads = Threads::new(node);
    let receiver = Arc::clone(handler);
    threads.spawn("posthaste", move |node| Serving { node, handler: &*receiver }.receive())?;
    for _ in 0..options.worker_count.max(1) {
        let worker = Arc::clone(handler);
        threads.spawn("posthaste-worker", move |node| Serving { node, handler: &*worker }.work())?;
    }
    Ok(threads)
}

/// A thread that runs handlers.
#[derive(Clone, Copy)]
struct Serving<'t> {
    node: &'t Arc<Node>,
    handler: &'t dyn Handler,
}

impl<'t> Serving<'t> {
    /// The helper thread: keeps the wheel and sleeps in the socket.
    fn receive(self) {
        let node = self.node;
        let is_group = node.socket.interrupt().is_some();
        // A socket that is waited for in the receive call fills no more than one buffer.
        let mut wheel = Wheel::new(if is_group { RECV_BUFFER_COUNT } else { 1 }, &node.socket);
        let mut row = Vec::with_capacity(ROW_LEN);
        let mut state = node.lock();
        let mut deadline = None;
        while !state.is_closed {
            let now = node.read_clock(&mut state);
            // Whoever brought it nearer meanwhile has ended the sleep, and that is for the next one.
            if deadline.is_some_and(|deadline| deadline <= now) {
                state.endpoint.handle_timeout(now);
            }
            self.answer_arrived(&mut state, &mut row);
            let now = state.now;
            state.settle(now, &node.socket);
            deadline = state.deadline();
            state.driver = Watch::Until(deadline);
            let wait = Wait { now, until: deadline, has_several: state.has_several() };
            drop(state);
            let received = wheel.wait(&node.socket, node.clock, wait);
            state = node.lock();
            state.driver = Watch::Awake;
            if received.is_err() {
                state.close();
            }
            state = self.take_in(state, &mut wheel, &mut row);
        }
    }

    /// Hands what was received to the endpoint and answers its calls, and what has come since, while there is nothing to answer:
    /// datagrams of one message, taken in together, share an acknowledgement.
    fn take_in(self, mut state: Locked<'t>, wheel: &mut Wheel, row: &mut Vec<Desk>) -> Locked<'t> {
        let node = self.node;
        let now = node.read_clock(&mut state);
        let mut datagram_count = 0;
        loop {
            let mut has_event = false;
            while let Some(datagram) = wheel.next_datagram(now) {
                state.handle_datagram(now, datagram);
                datagram_count += 1;
                has_event |= state.endpoint.has_event();
                self.answer_arrived(&mut state, row);
            }
            // Where nothing would be sent, the next sleep looks as well.
            let is_over = has_event || datagram_count >= TURN_DATAGRAM_COUNT_MAX || !state.endpoint.has_transmit();
            if is_over || !wheel.look(&node.socket).is_ok_and(|count| count > 0) {
                return state;
            }
        }
    }

    /// A worker thread: runs handlers, one call after the other.
    fn work(self) {
        let node = self.node;
        let mut state = node.lock();
        while !state.is_closed {
            let Some(service) = &mut state.service else { return };
            if let Some(call) = service.next_pooled() {
                let mut desk = service.take_desk();
                node.read_clock(&mut state);
                if desk.begin(node, &mut state, call, Execution::Pool) {
                    self.answer(&mut state, slice::from_mut(&mut desk));
                }
                if let Some(service) = &mut state.service {
                    service.give_back(desk);
                }
                let now = state.now;
                state.settle(now, &node.socket);
                node.watch(&mut state);
                continue;
            }
            drop(state);
            thread::park();
            state = node.lock();
            if let Some(service) = &mut state.service {
                service.rise();
            }
        }
    }

    /// Runs the handlers of the calls that arrived, or has a worker do so.
    fn answer_arrived(self, state: &mut Locked<'t>, row: &mut Vec<Desk>) {
        let now = state.now;
        state.hear(now);
        while state.service.as_ref().is_some_and(|service| service.arrived_count() > 0) {
            self.answer_row(state, row);
            let following_count = state.service.as_ref().map_or(0, Service::arrived_count);
            if state.is_slice_full(following_count) {
                // The caller has work while the rest is done here.
                let now = self.node.read_clock(state);
                state.settle(now, &self.node.socket);
            }
        }
    }

    /// Begins some of the calls that arrived at desks of a row, and answers them: the lock is given back and taken again once for
    /// all of them.
    fn answer_row(self, state: &mut Locked<'t>, row: &mut Vec<Desk>) {
        let Some(service) = &mut state.service else { return };
        let count = service.arrived_count().min(ROW_LEN);
        while row.len() < count {
            row.push(service.take_desk());
        }
        let mut begun_count = 0;
        while begun_count < count
            && let Some(call) = state.service.as_mut().and_then(Service::next_arrived)
        {
            let begun = row[begun_count].begin(self.node, state, call, Execution::Inline);
            begun_count += usize::from(begun);
        }
        let desks = &mut row[..begun_count];
        if !desks.is_empty() {
            self.answer(state, desks);
        }
        for desk in desks.iter_mut().skip(1) {
            desk.shrink();
        }
    }

    /// Runs the handlers of calls that were begun, without the lock, and gives their replies to the endpoint.
    fn answer(self, state: &mut Locked<'t>, desks: &mut [Desk]) {
        state.unlocked(|| {
            for desk in &mut *desks {
                desk.run(self.node, self.handler);
            }
        });
        for desk in desks {
            desk.end(self.node, state);
        }
    }
}

/// Handlers of how many calls run before the first is answered; our choice: the lock costs little each then.
const ROW_LEN: usize = 8;
/// Buffers of one receive where a server has several sockets, and many peers; our choice.
const RECV_BUFFER_COUNT: usize = 8;

#[cfg(test)]
mod tests {
    #[cfg(feature = "bytes")]
    use std::sync::{Barrier, Mutex};

    use posthaste_core::Config;
    use posthaste_core::endpoint::Delivery;
    use posthaste_udp::TryOffload;

    use crate::{Answer, Client, Incoming, Server};
    #[cfg(feature = "bytes")]
    use crate::{CallError, Inline, Request};

    use super::*;

    #[test]
    fn datagrams_that_wait_share_an_acknowledgement() {
        let mut options = Options::from(Config::lan());
        (options.socket.gso, options.socket.gro) = (TryOffload::Never, TryOffload::Never);
        options.config.datagram_len_max = 1200;
        let silent = |_: &Incoming<'_>, _: &mut Vec<u8>| Answer::Ok;
        let server = Server::serve_insecure("127.0.0.1:0", options.clone(), silent).unwrap();
        let client = Client::connect_insecure(server.local_addr(), options).unwrap();
        client.flush().unwrap();
        let count = || server.socket_counters().map(|it| (it.received_count, it.sent_count)).next().unwrap();
        let before = count();

        // The thread that receives has to wait until all that the window admits is there.
        let state = server.node().lock();
        client.send(Delivery::Reliable, &[7; 10_000]).unwrap();
        drop(state);
        server.receive_into(&mut Vec::new(), None).unwrap();
        client.flush().unwrap();

        let after = count();
        let (received_count, sent_count) = (after.0 - before.0, after.1 - before.1);
        assert!(received_count >= 9, "{received_count}");
        assert!(3 * sent_count <= received_count, "{sent_count} for {received_count}");
    }

    #[cfg(feature = "bytes")]
    #[test]
    fn a_reply_is_read_in_place_until_it_is_acknowledged() {
        let to_give = Arc::new(Mutex::new(None::<bytes::Bytes>));
        let given = Arc::new(Barrier::new(2));
        let (giving, waiting) = (Arc::clone(&to_give), Arc::clone(&given));
        let handler = move |call: &Incoming<'_>, reply: &mut Vec<u8>| {
            reply.extend_from_slice(b"nobody gets this");
            call.reply_bytes(b"nor this".as_slice().into());
            call.reply_bytes(giving.lock().unwrap().take().unwrap());
            waiting.wait();
            if call.procedure().procedure == 8 { Answer::Error } else { Answer::Ok }
        };
        let inline = Server::serve_insecure("127.0.0.1:0", Config::lan(), Inline(handler.clone())).unwrap();
        let pooled = Server::serve_insecure("127.0.0.1:0", Config::lan(), handler).unwrap();
        for server in [inline, pooled] {
            let client = Client::connect_insecure(server.local_addr(), Config::lan()).unwrap();
            let len = (1 << 20).min(client.socket_report().recv_buffer.granted_len);
            for procedure in [7, 8] {
                let octets = bytes::Bytes::from(vec![procedure as u8; len]);
                *to_give.lock().unwrap() = Some(octets.clone());
                let pending = client.start(&Request::new(1, 1, procedure, b"call")).unwrap();

                // Who does not receive acknowledges nothing.
                let state = client.node.lock();
                given.wait();
                while server.node().lock().endpoint.usage().payload_octets < len {
                    thread::yield_now();
                }
                assert!(!octets.is_unique());
                drop(state);

                let reply = pending.wait_bytes();
                match reply {
                    Ok(reply) => assert!(procedure == 7 && reply == octets),
                    Err(CallError::Application(error)) => assert!(procedure == 8 && error == octets),
                    Err(error) => panic!("{error}"),
                }
                while !octets.is_unique() {
                    thread::yield_now();
                }
            }
        }
    }
}
