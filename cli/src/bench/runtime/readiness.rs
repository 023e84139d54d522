//! The ends on `runtime-mio`, written as a user would: each in a loop of its own.

use core::cell::RefCell;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::io::{self, stdin, stdout};
use std::time::Instant;

use mio::{Events, Interest, Poll, Token};
use posthaste_core::config::Accept;
use posthaste_mio::{
    Answer, Body, Config, Delivery, Endpoint, Event, IncomingCallId, Message, Outcome, PeerId, Request, SendError,
    SocketOptions, wire,
};
use posthaste_udp::TryOffload;

use super::{CHANNEL, COUNT, ECHO, PROGRAM, Sending, VERSION};
use crate::bench::convention::{self, ClientOptions, Latency, Limit, Work};
use crate::failure::{Code, Failure};

/// Answers calls and takes messages until it is killed.
pub(super) fn serve(address: SocketAddr, config: Config) -> Result<(), Failure> {
    let mut turns = Turns::new(address, config)
        .map_err(|error| Failure::new(Code::Local, format_args!("cannot listen on {address}: {error}")))?;
    convention::announce_ready(&mut stdout())?;
    let mut service = Service::default();
    loop {
        turns.turn().map_err(|error| broken(&error))?;
        while let Some(event) = turns.endpoint.poll_event() {
            service.handle(&mut turns.endpoint, event);
            turns.endpoint.transmit_slice().map_err(|error| broken(&error))?;
        }
    }
}

/// Works as the options say.
pub(super) fn run_client(options: &ClientOptions, config: Config) -> Result<(), Failure> {
    let client = RefCell::new(connect(options.addr, config)?);
    let datagram_count = || {
        let counters = *client.borrow().turns.endpoint.counters();
        Some(counters.datagrams_sent + counters.datagrams_received)
    };
    let mut sent_len = 0;
    let work = |limit, latency: &mut Latency| {
        let mut client = client.borrow_mut();
        match options.work {
            Work::Echo { size, inflight } => client.echo(size.get(), inflight.get(), limit, latency),
            Work::Bulk { msg } => {
                client.send(Sending::begin(msg.get(), &mut sent_len, limit, latency), Caller::accepted)
            }
            Work::Send { msg } => client.send(Sending::begin(msg.get(), &mut sent_len, limit, latency), Caller::flush),
        }
    };
    convention::run_client(options, stdin().lock(), &mut stdout(), datagram_count, work)
}

/// Opens a conversation, by a first call.
pub(super) fn connect(server: SocketAddr, mut config: Config) -> Result<Caller, Failure> {
    config.accept = Accept::Nobody;
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let mut turns = Turns::new(SocketAddr::new(any, 0), config)
        .map_err(|error| Failure::new(Code::Local, format_args!("cannot open a socket: {error}")))?;
    let peer = turns.endpoint.peer(server).map_err(|error| refused(&error))?;
    let mut caller = Caller { turns, peer, begun_at: Vec::new(), open_count: 0, is_flushed: false };
    caller.call(ECHO, &[], Instant::now())?;
    caller.finish(&mut Latency::new())?;
    caller.turns.endpoint.transmit().map_err(|error| broken(&error))?;
    Ok(caller)
}

/// An endpoint in a loop.
struct Turns {
    endpoint: Endpoint,
    poll: Poll,
    ready: Events,
}

impl Turns {
    fn new(address: SocketAddr, config: Config) -> Result<Self, posthaste_mio::BindError> {
        let mut options = SocketOptions::default();
        if !super::joins_datagrams() {
            options.gso = TryOffload::Never;
        }
        let mut endpoint = Endpoint::bind_insecure(address, config, &options)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut endpoint, Token(0), Interest::READABLE)?;
        Ok(Self { endpoint, poll, ready: Events::with_capacity(4) })
    }

    /// Sends what is ready, sleeps until there is something to do, and takes it in.
    fn turn(&mut self) -> io::Result<()> {
        self.endpoint.transmit()?;
        match self.poll.poll(&mut self.ready, self.endpoint.next_timeout()) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &self.ready {
            self.endpoint.handle_event(event);
        }
        self.endpoint.process()
    }
}

/// The server's application.
#[derive(Default)]
struct Service {
    /// Octets that came in messages.
    taken_len: u64,
    /// The call that waits for so many of them.
    waiting: Option<(IncomingCallId, u64)>,
    octets: Vec<u8>,
}

impl Service {
    fn handle(&mut self, endpoint: &mut Endpoint, event: Event) {
        if let Event::CallReceived { call } = event {
            self.answer(endpoint, call);
        } else if let Event::MessageReceived { message, .. } = event {
            // What came and was lost with its session is nothing.
            self.taken_len += endpoint.payload(message).map_or(0, |octets| octets.len() as u64);
            let _ = endpoint.release(message);
        }
        if let Some((call, _)) = self.waiting.take_if(|(_, expected)| *expected <= self.taken_len) {
            // Who has given up is told nothing.
            let _ = endpoint.reply(call, Answer::Ok, &[], &[]);
        }
    }

    fn answer(&mut self, endpoint: &mut Endpoint, call: IncomingCallId) {
        // What was cancelled meanwhile is stale, here and below.
        let Ok(known) = endpoint.incoming_call(call) else { return };
        let procedure = known.procedure.procedure;
        self.octets.clear();
        self.octets.extend_from_slice(known.arguments);
        if procedure != ECHO && procedure != COUNT {
            let _ = endpoint.refuse(call, wire::NotExecuted::NoSuchProcedure);
            return;
        }
        if endpoint.begin(call).is_err() {
            return;
        }
        if procedure == ECHO {
            let _ = endpoint.reply(call, Answer::Ok, &self.octets, &[]);
            return;
        }
        match self.octets.as_slice().try_into() {
            Ok(expected) => self.waiting = Some((call, u64::from_be_bytes(expected))),
            Err(_) => drop(endpoint.reply(call, Answer::Error, &[], &[])),
        }
    }
}

/// The client's application.
pub(super) struct Caller {
    turns: Turns,
    peer: PeerId,
    /// When the open calls began, by index.
    begun_at: Vec<Instant>,
    open_count: usize,
    is_flushed: bool,
}

impl Caller {
    /// Keeps `inflight` calls open.
    fn echo(&mut self, size: usize, inflight: usize, limit: Limit, latency: &mut Latency) -> Result<u64, Failure> {
        let arguments = vec![0x5a; size];
        let mut count = 0;
        loop {
            let now = Instant::now();
            while self.open_count < inflight && limit.left(now, count) > 0 {
                self.call(ECHO, &arguments, now)?;
                count += 1;
                self.turns.endpoint.transmit_slice().map_err(|error| broken(&error))?;
            }
            if self.open_count == 0 {
                return Ok(count);
            }
            self.turn(latency)?;
        }
    }

    /// Sends messages, each followed by `then`, and learns how many octets the server's application got.
    fn send(&mut self, mut sending: Sending<'_>, then: fn(&mut Self) -> Result<(), Failure>) -> Result<u64, Failure> {
        while let Some(octets) = sending.next() {
            self.send_one(octets)?;
            then(self)?;
            sending.on_sent();
        }
        self.call(COUNT, &sending.count_arguments(), Instant::now())?;
        self.finish(&mut Latency::new())?;
        Ok(sending.len)
    }

    fn send_one(&mut self, octets: &[u8]) -> Result<(), Failure> {
        let delivery = Delivery::Ordered { channel: CHANNEL };
        self.insist(|endpoint, peer| {
            endpoint.send(peer, Message { delivery, priority: 1, body: Body::Copied(octets) })
        })?;
        self.turns.endpoint.transmit().map_err(|error| broken(&error))
    }

    /// Is content with a message that was accepted.
    fn accepted(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Waits until all is acknowledged.
    fn flush(&mut self) -> Result<(), Failure> {
        self.is_flushed = false;
        self.turns.endpoint.flush(self.peer).map_err(|error| refused(&error))?;
        while !self.is_flushed {
            self.turn(&mut Latency::new())?;
        }
        Ok(())
    }

    fn call(&mut self, procedure: u32, arguments: &[u8], now: Instant) -> Result<(), Failure> {
        let request = Request::new(PROGRAM, VERSION, procedure, arguments);
        let call = self.insist(|endpoint, peer| endpoint.call(peer, request.clone()))?;
        if self.begun_at.len() <= call.index() {
            self.begun_at.resize(call.index() + 1, now);
        }
        self.begun_at[call.index()] = now;
        self.open_count += 1;
        Ok(())
    }

    /// Repeats a command until there is room for it.
    fn insist<T>(&mut self, command: impl Fn(&mut Endpoint, PeerId) -> Result<T, SendError>) -> Result<T, Failure> {
        loop {
            match command(&mut self.turns.endpoint, self.peer) {
                Ok(done) => return Ok(done),
                Err(SendError::Full) => self.turn(&mut Latency::new())?,
                Err(error) => return Err(refused(&error)),
            }
        }
    }

    /// Waits for the open calls.
    fn finish(&mut self, latency: &mut Latency) -> Result<(), Failure> {
        while self.open_count > 0 {
            self.turn(latency)?;
        }
        Ok(())
    }

    fn turn(&mut self, latency: &mut Latency) -> Result<(), Failure> {
        self.turns.turn().map_err(|error| broken(&error))?;
        let now = Instant::now();
        while let Some(event) = self.turns.endpoint.poll_event() {
            if let Event::CallEnded { call, outcome } = event {
                let Outcome::Ok(reply) = outcome else {
                    return Err(Failure::new(Code::Local, format_args!("a call failed: {outcome}")));
                };
                self.turns.endpoint.release(reply).map_err(|error| refused(&error))?;
                latency.record(now - self.begun_at[call.index()]);
                self.open_count -= 1;
            } else if let Event::Closed { .. } = event {
                return Err(Failure::new(Code::Connect, "the server is gone"));
            } else {
                self.is_flushed |= matches!(event, Event::Flushed { .. });
            }
        }
        Ok(())
    }
}

fn broken(error: &io::Error) -> Failure {
    Failure::local("the socket failed", error)
}

fn refused(error: &impl fmt::Display) -> Failure {
    Failure::new(Code::Local, format_args!("cannot go on: {error}"))
}
