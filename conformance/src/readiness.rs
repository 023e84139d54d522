//! `posthaste-mio` in the suite.
#![expect(clippy::wildcard_enum_match_arm, reason = "a scenario looks at few of the events")]

use alloc::sync::Arc;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::collections::{HashMap, HashSet};
use std::io;
use std::thread::{self, JoinHandle};

use mio::{Events, Interest, Poll, Token, Waker};
use posthaste_core::config::Accept;
use posthaste_core::endpoint::{Answer, Delivery, Event, Request, SendError, Streamed, Streams};
use posthaste_core::{CallId, Config, IncomingCallId, Outcome, PeerId, StreamId};
use posthaste_mio::Endpoint;

use crate::scenarios::message;
use crate::service::{ECHO, PROGRAM, Record, Task};
use crate::{Client, Failure, Server};

/// A client whose loop runs while it waits.
pub struct MioClient {
    turns: Turns,
    peer: PeerId,
    ended: HashMap<CallId, Result<Vec<u8>, Failure>>,
    is_flushed: bool,
    arrived_stream: Option<StreamId>,
}

/// A server whose loop has a thread.
pub struct MioServer {
    addr: SocketAddr,
    record: Arc<Record>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

/// An endpoint in a loop of its own.
struct Turns {
    endpoint: Endpoint,
    poll: Poll,
    ready: Events,
}

impl Turns {
    fn new(addr: SocketAddr, config: Config) -> Self {
        let mut endpoint = Endpoint::bind_insecure(addr, config, &Default::default()).expect("a socket");
        let poll = Poll::new().expect("a selector");
        poll.registry().register(&mut endpoint, ENDPOINT, Interest::READABLE).expect("a place in it");
        Self { endpoint, poll, ready: Events::with_capacity(4) }
    }

    /// Sends what is ready, sleeps until there is something to do, and takes it in; false if it was woken from outside.
    fn turn(&mut self) -> bool {
        self.endpoint.transmit().expect("the socket works");
        match self.poll.poll(&mut self.ready, self.endpoint.next_timeout()) {
            // Whoever is stopped and goes on has slept enough (signal(7)).
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => result.expect("the selector works"),
        }
        let mut is_over = false;
        for event in &self.ready {
            match event.token() {
                ENDPOINT => self.endpoint.handle_event(event),
                _ => is_over = true,
            }
        }
        self.endpoint.process().expect("the socket works");
        !is_over
    }
}

impl Server for MioServer {
    fn start(addr: SocketAddr, config: Config) -> Self {
        let mut turns = Turns::new(addr, config);
        let addr = turns.endpoint.local_addr();
        let waker = Arc::new(Waker::new(turns.poll.registry(), STOP).expect("a place in the selector"));
        let record = Arc::new(Record::default());
        let record_of_thread = Arc::clone(&record);
        let thread = thread::spawn(move || {
            let mut service = Service { record: record_of_thread, ..Service::default() };
            let mut is_over = false;
            while !is_over {
                is_over = !turns.turn();
                service.hear(&mut turns.endpoint);
            }
            if service.record.is_ending() {
                service.shut_down(&mut turns);
            }
        });
        Self { addr, record, waker, thread: Some(thread) }
    }

    fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    fn shut_down(self) {
        // Dropping it wakes its loop.
        self.record.end();
    }
}

impl Drop for MioServer {
    fn drop(&mut self) {
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Default)]
struct Service {
    record: Arc<Record>,
    hanging: HashSet<IncomingCallId>,
    lingering: Vec<IncomingCallId>,
    called_back: HashMap<CallId, IncomingCallId>,
    copies: Vec<Copying>,
}

/// A stream that is sent back.
struct Copying {
    from: StreamId,
    to: StreamId,
    buffer: Vec<u8>,
    count: u64,
    /// The call that is answered with the count.
    call: Option<IncomingCallId>,
}

impl Service {
    fn hear(&mut self, endpoint: &mut Endpoint) {
        while let Some(event) = endpoint.poll_event() {
            self.handle(endpoint, event);
        }
    }

    /// Answers what lingers, and goes on until all of it has arrived.
    fn shut_down(&mut self, turns: &mut Turns) {
        turns.endpoint.drain();
        for call in self.lingering.drain(..) {
            turns.endpoint.reply(call, Answer::Ok, &[], &[]).expect("the caller waits");
        }
        let until = turns.endpoint.now().saturating_add(PATIENCE);
        while !turns.endpoint.is_drained() && turns.endpoint.now() < until {
            turns.turn();
            self.hear(&mut turns.endpoint);
        }
    }

    fn handle(&mut self, endpoint: &mut Endpoint, event: Event) {
        match event {
            Event::CallReceived { call } => self.answer(endpoint, call),
            Event::CallCancelled { call } if self.hanging.remove(&call) => {
                self.record.cancelled();
                let _ = endpoint.reply(call, Answer::Ok, &[], &[]);
            }
            Event::CallEnded { call, outcome } => {
                let reply = conclude(endpoint, call, outcome).expect("the client answers");
                let waiting = self.called_back.remove(&call).expect("a call for a call");
                endpoint.reply(waiting, Answer::Ok, &reply, &[]).expect("the caller waits");
            }
            Event::MessageReceived { message, channel, .. } => {
                self.record.message(channel, endpoint.payload(message).expect("it has arrived"));
                endpoint.release(message).expect("it has arrived");
            }
            Event::StreamReceived { peer, stream, .. } => {
                let (_, to) = endpoint.open_stream(peer, Delivery::Reliable, 1).expect("room for a stream");
                self.copies.push(Copying { from: stream, to, buffer: Vec::new(), count: 0, call: None });
                self.copy(endpoint);
            }
            Event::Readable { .. } | Event::Writable { .. } => self.copy(endpoint),
            _ => {}
        }
    }

    fn answer(&mut self, endpoint: &mut Endpoint, call: IncomingCallId) {
        // Whatever was cancelled meanwhile is stale.
        let Ok(known) = endpoint.incoming_call(call) else { return };
        let (peer, procedure, arguments) = (known.peer, known.procedure, known.arguments.to_vec());
        let streams = (known.upward, known.downward);
        if let Err(why) = Record::admit(&procedure) {
            let _ = endpoint.refuse(call, why);
            return;
        }
        if endpoint.begin(call).is_err() {
            return;
        }
        let mut reply = Vec::new();
        let answered = match self.record.handle(procedure.procedure, &arguments, &mut reply) {
            Task::Answer(answer) => {
                // The reply ends the stream from the caller, and not that to it.
                if let (_, Some(downward)) = streams {
                    let _ = endpoint.abandon(downward);
                }
                endpoint.reply(call, answer, &reply, &[])
            }
            Task::Linger => {
                self.lingering.push(call);
                Ok(())
            }
            Task::Copy => {
                let (Some(from), Some(to)) = streams else { panic!("the call has streams") };
                self.copies.push(Copying { from, to, buffer: Vec::new(), count: 0, call: Some(call) });
                self.copy(endpoint);
                Ok(())
            }
            // Whoever runs the handlers tells of those that panic.
            Task::Panic => endpoint.reply(call, Answer::HandlerFailed, &[], &[]),
            Task::Hang => {
                self.hanging.insert(call);
                Ok(())
            }
            Task::CallBack => {
                let back = endpoint.call(peer, Request::new(PROGRAM, 1, ECHO, &arguments)).expect("room for a call");
                self.called_back.insert(back, call);
                Ok(())
            }
        };
        // Who has given up is told nothing.
        let _ = answered;
    }

    fn copy(&mut self, endpoint: &mut Endpoint) {
        self.copies.retain_mut(|copying| copying.go_on(endpoint));
    }
}

impl Copying {
    /// Copies as much as goes; false at the end.
    fn go_on(&mut self, endpoint: &mut Endpoint) -> bool {
        let mut chunk = [0; 16_384];
        loop {
            while !self.buffer.is_empty() {
                match endpoint.write(self.to, &self.buffer) {
                    Ok(0) => return true,
                    Ok(len) => drop(self.buffer.drain(..len)),
                    Err(_) => return false,
                }
            }
            match endpoint.read(self.from, &mut chunk) {
                Ok(Streamed::Octets(len)) => {
                    self.buffer.extend_from_slice(&chunk[..len]);
                    self.count += len as u64;
                }
                Ok(Streamed::Pending) => return true,
                Ok(Streamed::End) => {
                    endpoint.finish(self.to).expect("the client reads");
                    if let Some(call) = self.call {
                        endpoint.reply(call, Answer::Ok, &self.count.to_le_bytes(), &[]).expect("the caller waits");
                    }
                    return false;
                }
                Err(_) => return false,
            }
        }
    }
}

impl MioClient {
    fn turn(&mut self) {
        self.turns.turn();
        let endpoint = &mut self.turns.endpoint;
        while let Some(event) = endpoint.poll_event() {
            match event {
                Event::CallEnded { call, outcome } => {
                    self.ended.insert(call, conclude(endpoint, call, outcome));
                }
                Event::CallReceived { call } => {
                    let arguments = endpoint.incoming_call(call).expect("it waits").arguments.to_vec();
                    endpoint.begin(call).expect("it waits");
                    endpoint.reply(call, Answer::Ok, &arguments, &[]).expect("it waits");
                }
                Event::Flushed { .. } => self.is_flushed = true,
                Event::StreamReceived { stream, .. } => self.arrived_stream = Some(stream),
                _ => {}
            }
        }
    }

    /// Repeats a command until there is room for it.
    fn insist<T>(
        &mut self,
        mut command: impl FnMut(&mut Endpoint, PeerId) -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        loop {
            match command(&mut self.turns.endpoint, self.peer) {
                Err(SendError::Full) => self.turn(),
                result => return result,
            }
        }
    }
}

impl Client for MioClient {
    type Pending = CallId;

    fn connect(server: SocketAddr, mut config: Config) -> Self {
        config.accept = Accept::Nobody;
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let mut turns = Turns::new(SocketAddr::new(any, 0), config);
        let peer = turns.endpoint.peer(server).expect("an address");
        Self { turns, peer, ended: HashMap::new(), is_flushed: false, arrived_stream: None }
    }

    fn call(&mut self, request: Request<'_>) -> Result<Vec<u8>, Failure> {
        let call = self.insist(|endpoint, peer| endpoint.call(peer, request.clone())).map_err(Failure::Refused)?;
        self.wait(call)
    }

    fn call_all(&mut self, procedure: u32, arguments: &[Vec<u8>]) -> Vec<Result<Vec<u8>, Failure>> {
        let begin = |arguments: &Vec<u8>| {
            let request = Request::new(PROGRAM, 1, procedure, arguments);
            self.insist(|endpoint, peer| endpoint.call(peer, request.clone())).expect("the peer is there")
        };
        let calls: Vec<_> = arguments.iter().map(begin).collect();
        calls.into_iter().map(|call| self.wait(call)).collect()
    }

    fn start_call(&mut self, procedure: u32) -> CallId {
        self.insist(|endpoint, peer| endpoint.call(peer, Request::new(PROGRAM, 1, procedure, &[])))
            .expect("the peer is there")
    }

    fn wait(&mut self, call: CallId) -> Result<Vec<u8>, Failure> {
        loop {
            match self.ended.remove(&call) {
                Some(result) => return result,
                None => self.turn(),
            }
        }
    }

    fn cancel(&mut self, call: CallId) {
        self.turns.endpoint.cancel(call).expect("it goes on");
    }

    fn send(&mut self, delivery: Delivery, octets: &[u8]) {
        self.insist(|endpoint, peer| endpoint.send(peer, message(delivery, octets))).expect("the peer is there");
    }

    fn flush(&mut self) {
        self.is_flushed = false;
        self.turns.endpoint.flush(self.peer).expect("the peer is there");
        while !self.is_flushed {
            self.turn();
        }
    }

    fn echo_stream(&mut self, octets: &[u8]) -> Vec<u8> {
        let (_, up) =
            self.insist(|endpoint, peer| endpoint.open_stream(peer, Delivery::Reliable, 1)).expect("the peer is there");
        let (mut left, mut is_finished) = (octets, false);
        let mut returned = Vec::new();
        let mut chunk = vec![0; 16_384];
        loop {
            let endpoint = &mut self.turns.endpoint;
            let written = endpoint.write(up, left).unwrap_or(0);
            left = &left[written..];
            if left.is_empty() && !is_finished {
                endpoint.finish(up).expect("the server reads");
                is_finished = true;
            }
            if let Some(down) = self.arrived_stream {
                loop {
                    match endpoint.read(down, &mut chunk).expect("the server writes to the end") {
                        Streamed::Octets(len) => returned.extend_from_slice(&chunk[..len]),
                        Streamed::Pending => break,
                        Streamed::End => return returned,
                    }
                }
            }
            self.turn();
        }
    }

    fn stream_call(&mut self, procedure: u32, octets: &[u8]) -> (Result<Vec<u8>, Failure>, Option<Vec<u8>>) {
        let request = Request { streams: Streams::Both, ..Request::new(PROGRAM, 1, procedure, &[]) };
        let call = self.insist(|endpoint, peer| endpoint.call(peer, request.clone())).expect("the peer is there");
        let streams = self.turns.endpoint.call_streams(call).expect("it has begun");
        let (Some(up), Some(down)) = streams else { panic!("as asked") };
        let (mut left, mut is_written, mut is_read) = (octets, false, false);
        let mut returned = Some(Vec::new());
        let mut chunk = vec![0; 16_384];
        loop {
            let endpoint = &mut self.turns.endpoint;
            while !is_written {
                match endpoint.write(up, left) {
                    Ok(0) if !left.is_empty() => break,
                    Ok(len) => left = &left[len..],
                    Err(_) => is_written = true,
                }
                if left.is_empty() && !is_written {
                    is_written = true;
                    endpoint.finish(up).expect("the server reads");
                }
            }
            while !is_read {
                match endpoint.read(down, &mut chunk) {
                    Ok(Streamed::Octets(len)) => {
                        returned.iter_mut().for_each(|all| all.extend_from_slice(&chunk[..len]))
                    }
                    Ok(Streamed::Pending) => break,
                    Ok(Streamed::End) => is_read = true,
                    Err(_) => (is_read, returned) = (true, None),
                }
            }
            if is_read && self.ended.contains_key(&call) {
                return (self.wait(call), returned);
            }
            self.turn();
        }
    }
}

fn conclude(endpoint: &mut Endpoint, call: CallId, outcome: Outcome) -> Result<Vec<u8>, Failure> {
    let mut take = |message| {
        let octets = endpoint.payload(message).expect("it has arrived").to_vec();
        endpoint.release(message).expect("it has arrived");
        octets
    };
    match outcome {
        Outcome::Ok(reply) => Ok(take(reply)),
        Outcome::ApplicationError(error) => Err(Failure::Application(take(error))),
        Outcome::Delivered => Ok(Vec::new()),
        Outcome::NotExecuted(why) => Err(Failure::NotExecuted(why)),
        Outcome::ReplyLost => Err(Failure::ReplyLost),
        Outcome::Unknown(why) => {
            // Stale if the callee does not know either.
            let _ = endpoint.forget(call);
            Err(Failure::Unknown(why))
        }
    }
}

const ENDPOINT: Token = Token(0);
const STOP: Token = Token(1);

/// How long a server waits for its last answers to arrive.
const PATIENCE: Duration = Duration::from_secs(20);
