//! The ends on `runtime-mio`, written as a user would: each in a loop of its own.

use core::cell::RefCell;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io::{self, stdin, stdout};
use std::time::Instant;

use mio::{Events, Interest, Poll, Token};
use posthaste_core::config::Accept;
use posthaste_mio::{Answer, Endpoint, Event, IncomingCallId, Outcome, PeerId, Request, SendError, wire};

use super::{COUNT, Calling, ECHO, LENGTH, PROGRAM, Sending, Setting, VERSION};
use crate::bench::convention::{self, ClientOptions, Latency, Limit, Work};
use crate::bench::load::{self, OPEN_COUNT_MAX, Schedule};
use crate::failure::{Code, Failure};

/// Answers calls and takes messages until it is killed.
pub(super) fn serve(address: SocketAddr, setting: Setting) -> Result<(), Failure> {
    let mut turns = Turns::new(address, setting)
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
pub(super) fn run_client(options: &ClientOptions, setting: Setting) -> Result<(), Failure> {
    let client = RefCell::new(connect(options.addr, options.program.unwrap_or(PROGRAM), setting)?);
    let datagram_count = || {
        let counters = *client.borrow().turns.endpoint.counters();
        Some(counters.datagrams_sent + counters.datagrams_received)
    };
    let mut sent_len = 0;
    let work = |limit, latency: &mut Latency| {
        let mut client = client.borrow_mut();
        match options.work {
            Work::Echo { size, inflight } => {
                client.repeat(&Calling::of(options, ECHO, size), inflight.get(), limit, latency)
            }
            Work::Upload { size, inflight } => {
                let calling = Calling::of(options, LENGTH, size);
                let count = client.repeat(&calling, inflight.get(), limit, latency);
                count.map(|count| calling.octet_count(count))
            }
            Work::Load { size, rate } => {
                client.load(&Calling::of(options, ECHO, size), Schedule::begin(rate, limit), latency)
            }
            Work::Bulk { msg } => client.send(Sending::begin(msg.get(), &mut sent_len, limit, latency)),
            Work::Send { msg } => client.send(Sending::begin(msg.get(), &mut sent_len, limit, latency).one_by_one()),
        }
    };
    convention::run_client(options, stdin().lock(), &mut stdout(), datagram_count, work)
}

/// Opens a conversation, by a first call.
pub(super) fn connect(server: SocketAddr, program: u32, mut setting: Setting) -> Result<Caller, Failure> {
    setting.config.accept = Accept::Nobody;
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let mut turns = Turns::new(SocketAddr::new(any, 0), setting)
        .map_err(|error| Failure::new(Code::Local, format_args!("cannot open a socket: {error}")))?;
    let peer = turns.endpoint.peer(server).map_err(|error| refused(&error))?;
    let mut caller = Caller { turns, peer, begun_at: Vec::new(), open_count: 0, is_flushed: false };
    caller.call(&Request::new(program, VERSION, ECHO, &[]), Instant::now())?;
    caller.finish(None)?;
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
    fn new(address: SocketAddr, Setting { config, socket }: Setting) -> Result<Self, posthaste_mio::BindError> {
        let mut endpoint = Endpoint::bind_insecure(address, config, &socket)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut endpoint, Token(0), Interest::READABLE)?;
        Ok(Self { endpoint, poll, ready: Events::with_capacity(4) })
    }

    /// Sends what is ready, sleeps until there is something to do, and takes it in.
    fn turn(&mut self) -> io::Result<()> {
        self.turn_within(None)
    }

    /// As [`Self::turn`], but sleeps no longer than `sleep_max`.
    fn turn_within(&mut self, sleep_max: Option<Duration>) -> io::Result<()> {
        self.endpoint.transmit()?;
        let timeout = [sleep_max, self.endpoint.next_timeout()].into_iter().flatten().min();
        match self.poll.poll(&mut self.ready, timeout) {
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
        if ![ECHO, COUNT, LENGTH].contains(&procedure) {
            let _ = endpoint.refuse(call, wire::NotExecuted::NoSuchProcedure);
            return;
        }
        if endpoint.begin(call).is_err() {
            return;
        }
        match (procedure, self.octets.as_slice().try_into()) {
            (ECHO, _) => {
                let _ = endpoint.reply(call, Answer::Ok, &self.octets, &[]);
            }
            (LENGTH, _) => {
                let _ = endpoint.reply(call, Answer::Ok, &(self.octets.len() as u64).to_be_bytes(), &[]);
            }
            (_, Ok(expected)) => self.waiting = Some((call, u64::from_be_bytes(expected))),
            (_, Err(_)) => {
                let _ = endpoint.reply(call, Answer::Error, &[], &[]);
            }
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
    fn repeat(
        &mut self,
        calling: &Calling,
        inflight: usize,
        limit: Limit,
        latency: &mut Latency,
    ) -> Result<u64, Failure> {
        let request = calling.request();
        let mut count = 0;
        loop {
            let now = Instant::now();
            while self.open_count < inflight && limit.left(now, count) > 0 {
                self.call(&request, now)?;
                count += 1;
                self.turns.endpoint.transmit_slice().map_err(|error| broken(&error))?;
            }
            if self.open_count == 0 {
                return Ok(count);
            }
            self.turn(Some(latency))?;
        }
    }

    /// Begins each call when it is due.
    fn load(&mut self, calling: &Calling, mut schedule: Schedule, latency: &mut Latency) -> Result<u64, Failure> {
        let request = calling.request();
        let mut count = 0;
        let mut now = Instant::now();
        while let Some(due) = schedule.next_due(now) {
            let has_room = self.open_count < OPEN_COUNT_MAX;
            if due <= now && has_room && self.try_call(&request, due)? {
                schedule.advance();
                count += 1;
                self.turns.endpoint.transmit_slice().map_err(|error| broken(&error))?;
            } else {
                self.turn_within(Some(load::time_to_sleep(due, now)), Some(latency))?;
            }
            now = Instant::now();
        }
        schedule.give_up(now, latency);
        self.finish(Some(latency))?;
        Ok(count)
    }

    /// Sends messages, and learns how many octets the server's application got.
    fn send(&mut self, mut sending: Sending<'_>) -> Result<u64, Failure> {
        while let Some(message) = sending.next() {
            self.insist(|endpoint, peer| endpoint.send(peer, message.clone()))?;
            self.turns.endpoint.transmit().map_err(|error| broken(&error))?;
            if sending.is_far_ahead() {
                self.flush()?;
            }
            sending.on_sent();
        }
        self.call(&Request::new(PROGRAM, VERSION, COUNT, &sending.count_arguments()), Instant::now())?;
        self.finish(None)?;
        Ok(sending.len)
    }

    /// Waits until all is acknowledged.
    fn flush(&mut self) -> Result<(), Failure> {
        self.is_flushed = false;
        self.turns.endpoint.flush(self.peer).map_err(|error| refused(&error))?;
        while !self.is_flushed {
            self.turn(None)?;
        }
        Ok(())
    }

    /// Begins a call as soon as there is room for it; its time counts from `since`.
    fn call(&mut self, request: &Request<'_>, since: Instant) -> Result<(), Failure> {
        while !self.try_call(request, since)? {
            self.turn(None)?;
        }
        Ok(())
    }

    /// Begins a call if there is room for it.
    fn try_call(&mut self, request: &Request<'_>, since: Instant) -> Result<bool, Failure> {
        let call = match self.turns.endpoint.call(self.peer, request.clone()) {
            Ok(call) => call,
            Err(SendError::Full) => return Ok(false),
            Err(error) => return Err(refused(&error)),
        };
        if self.begun_at.len() <= call.index() {
            self.begun_at.resize(call.index() + 1, since);
        }
        self.begun_at[call.index()] = since;
        self.open_count += 1;
        Ok(true)
    }

    /// Repeats a command until there is room for it.
    fn insist<T>(&mut self, command: impl Fn(&mut Endpoint, PeerId) -> Result<T, SendError>) -> Result<T, Failure> {
        loop {
            match command(&mut self.turns.endpoint, self.peer) {
                Ok(done) => return Ok(done),
                Err(SendError::Full) => self.turn(None)?,
                Err(error) => return Err(refused(&error)),
            }
        }
    }

    /// Waits for the open calls.
    fn finish(&mut self, mut latency: Option<&mut Latency>) -> Result<(), Failure> {
        while self.open_count > 0 {
            self.turn(latency.as_deref_mut())?;
        }
        Ok(())
    }

    fn turn(&mut self, latency: Option<&mut Latency>) -> Result<(), Failure> {
        self.turn_within(None, latency)
    }

    /// Takes one turn; calls that end in it are recorded if there is a record.
    fn turn_within(&mut self, sleep_max: Option<Duration>, mut latency: Option<&mut Latency>) -> Result<(), Failure> {
        self.turns.turn_within(sleep_max).map_err(|error| broken(&error))?;
        let now = Instant::now();
        while let Some(event) = self.turns.endpoint.poll_event() {
            if let Event::CallEnded { call, outcome: Outcome::Ok(reply) } = event {
                self.turns.endpoint.release(reply).map_err(|error| refused(&error))?;
                if let Some(latency) = &mut latency {
                    latency.record(now - self.begun_at[call.index()]);
                }
                self.open_count -= 1;
            } else if let Event::CallEnded { outcome, .. } = event {
                return Err(Failure::new(Code::Local, format_args!("a call failed: {outcome}")));
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
