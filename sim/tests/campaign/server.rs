//! A server that echoes, refuses, dawdles and never answers, as the procedure says.

use alloc::collections::BTreeMap;

use posthaste_core::endpoint::{Answer, Body, Event, StreamError, Streamed};
use posthaste_core::wire::NotExecuted;
use posthaste_core::{Endpoint, IncomingCallId, Instant, MessageId, StreamId};
use posthaste_sim::{Application, Rng, sometimes};

use crate::ledger::{Book, after, id_of, reply_to};

/// What a procedure does, by its number divided by four; the rest says how long the reply is.
pub(crate) mod procedure {
    pub(crate) const ECHO: u32 = 0;
    pub(crate) const LATER: u32 = 1;
    pub(crate) const REFUSED: u32 = 2;
    pub(crate) const SLOW: u32 = 3;
    pub(crate) const NEVER: u32 = 4;
    pub(crate) const ERROR: u32 = 5;
    pub(crate) const FAILS: u32 = 6;
    pub(crate) const COUNT: u32 = 7;
}

pub(crate) struct Server {
    book: Book,
    dice: Rng,
    /// What is to be done when; at one time in the order of entry.
    jobs: BTreeMap<(Instant, u64), Job>,
    job_count: u64,
    streams: BTreeMap<StreamId, Vec<u8>>,
    has_started: bool,
}

enum Job {
    Begin(IncomingCallId),
    Reply(IncomingCallId),
    Release(MessageId),
    Read(StreamId),
}

impl Server {
    pub(crate) fn new(book: Book, seed: u64) -> Self {
        let (jobs, streams) = (BTreeMap::new(), BTreeMap::new());
        Self { book, dice: Rng::at(seed, SERVER, 0), jobs, job_count: 0, streams, has_started: false }
    }

    fn enter(&mut self, at: Instant, job: Job) {
        self.job_count += 1;
        self.jobs.insert((at, self.job_count), job);
    }

    fn on_call(&mut self, now: Instant, endpoint: &mut Endpoint<'static>, call: IncomingCallId) {
        let Ok(incoming) = endpoint.incoming_call(call) else { return };
        let kind = incoming.procedure.procedure / 4;
        if kind == procedure::REFUSED {
            endpoint
                .refuse(now, call, NotExecuted::NoSuchProcedure)
                .expect("a call that has just arrived has not begun");
            return;
        }
        // A queue before the handler, sometimes.
        match self.dice.below(4) {
            0 => {
                let at = after(now, self.dice.below(300 * MS));
                self.enter(at, Job::Begin(call));
            }
            _ => self.begin(now, endpoint, call),
        }
    }

    fn begin(&mut self, now: Instant, endpoint: &mut Endpoint<'static>, call: IncomingCallId) {
        let Ok(incoming) = endpoint.incoming_call(call) else { return };
        let (id, kind) = (id_of(incoming.arguments), incoming.procedure.procedure / 4);
        if endpoint.begin(now, call).is_err() {
            sometimes!("the deadline passed before the handler began");
            return;
        }
        self.book.borrow_mut().on_executed(id);
        match kind {
            procedure::LATER => {
                let at = after(now, self.dice.below(100 * MS));
                self.enter(at, Job::Reply(call));
            }
            procedure::SLOW => {
                let at = after(now, self.dice.within(1000 * MS, 4000 * MS));
                endpoint.progress(call, 50).expect("a call that runs is not over");
                self.enter(at, Job::Reply(call));
            }
            procedure::NEVER => {}
            _ => reply(now, endpoint, call),
        }
    }

    fn on_message(&mut self, now: Instant, endpoint: &mut Endpoint<'static>, message: MessageId) {
        if self.dice.below(4) == 0 {
            let octets = endpoint.payload(message).expect("a message that has just arrived is there");
            self.book.borrow_mut().on_delivered(id_of(octets), octets);
            let at = after(now, self.dice.below(500 * MS));
            self.enter(at, Job::Release(message));
        } else {
            let octets = crate::take(now, endpoint, message);
            self.book.borrow_mut().on_delivered(id_of(&octets), &octets);
        }
    }

    fn read(&mut self, now: Instant, endpoint: &mut Endpoint<'static>, stream: StreamId) {
        let mut piece = [0; 3000];
        loop {
            match endpoint.read(now, stream, &mut piece) {
                Ok(Streamed::Octets(len)) => {
                    self.streams.entry(stream).or_default().extend_from_slice(&piece[..len]);
                    // A slow reader.
                    if self.dice.below(8) == 0 {
                        let at = after(now, self.dice.below(200 * MS));
                        return self.enter(at, Job::Read(stream));
                    }
                }
                Ok(Streamed::Pending) => return,
                Ok(Streamed::End) => {
                    let octets = self.streams.remove(&stream).unwrap_or_default();
                    return self.book.borrow_mut().on_delivered(id_of(&octets), &octets);
                }
                Err(StreamError::Abandoned) => {
                    sometimes!("a stream was abandoned under its reader");
                    self.streams.remove(&stream);
                    return;
                }
                Err(_) => {
                    self.streams.remove(&stream);
                    return;
                }
            }
        }
    }
}

fn reply(now: Instant, endpoint: &mut Endpoint<'static>, call: IncomingCallId) {
    let Ok(incoming) = endpoint.incoming_call(call) else { return };
    let procedure = incoming.procedure.procedure;
    #[cfg(not(feature = "bytes"))]
    let arguments = incoming.arguments;
    #[cfg(feature = "bytes")]
    let arguments = &endpoint.take_arguments(now, call).expect("the call is open");
    let octets = reply_to(procedure, arguments);
    let answer = match procedure / 4 {
        procedure::ERROR => Answer::Error,
        procedure::FAILS => Answer::HandlerFailed,
        _ => Answer::Ok,
    };
    #[cfg(not(feature = "bytes"))]
    let body = Body::Copied(&octets);
    #[cfg(feature = "bytes")]
    let body = Body::Shared(octets.into());
    endpoint.reply_body(now, call, answer, body, &[]).expect("a call that runs can be answered");
}

impl Application for Server {
    fn on_start(&mut self, _now: Instant, _endpoint: &mut Endpoint<'static>) {
        self.jobs.clear();
        self.streams.clear();
        if core::mem::replace(&mut self.has_started, true) {
            self.book.borrow_mut().server_crash_count += 1;
        }
    }

    fn on_event(&mut self, now: Instant, endpoint: &mut Endpoint<'static>, event: Event) {
        match event {
            Event::CallReceived { call } => self.on_call(now, endpoint, call),
            Event::CallCancelled { call } => {
                sometimes!("a handler was cancelled");
                // Who never answers does so when nobody waits any more.
                let is_never = endpoint
                    .incoming_call(call)
                    .is_ok_and(|incoming| incoming.procedure.procedure / 4 == procedure::NEVER);
                if is_never {
                    endpoint.reply(now, call, Answer::Error, &[], &[]).expect("a call that runs can be answered");
                }
            }
            Event::MessageReceived { message, .. } => self.on_message(now, endpoint, message),
            Event::StreamReceived { stream, .. } | Event::Readable { stream } => self.read(now, endpoint, stream),
            _ => {}
        }
    }

    fn on_timer(&mut self, now: Instant, endpoint: &mut Endpoint<'static>) {
        while let Some(entry) = self.jobs.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                Job::Begin(call) => self.begin(now, endpoint, call),
                Job::Reply(call) => reply(now, endpoint, call),
                // It may have gone with its session.
                Job::Release(message) => drop(endpoint.release(now, message)),
                Job::Read(stream) => self.read(now, endpoint, stream),
            }
        }
    }

    fn next_at(&self) -> Option<Instant> {
        self.jobs.keys().next().map(|(at, _)| *at)
    }
}

const MS: u64 = 1_000_000;
const SERVER: u64 = 0x5e4e;
