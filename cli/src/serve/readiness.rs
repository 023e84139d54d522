//! The built-in service on `posthaste-mio`: one loop for the protocol, threads for what waits for a disk or a clock.

use alloc::sync::Arc;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use mio::{Events, Interest, Poll, Token, Waker};
use posthaste_core::endpoint::Streamed;
use posthaste_core::wire::NotExecuted as Refusal;
use posthaste_mio::{Answer, Config, Endpoint, Event, IncomingCallId, SocketOptions, StreamId};

use super::{DRAIN_TIMEOUT, FILE_COUNT_MAX, SILENCE_MAX, WAITING_COUNT_MAX};
use crate::failure::Failure;
use crate::service::store::CHUNK_LEN;
use crate::service::{Procedure, Service};
use crate::value::Address;

/// Serves until a signal ends it.
pub(super) fn serve(
    listen: &Address,
    addresses: &[SocketAddr],
    socket_count: usize,
    config: &Config,
    service: &Arc<Service>,
) -> Result<(), Failure> {
    let options = SocketOptions::default();
    let endpoints = super::bind_first(listen, addresses, |address| {
        Endpoint::bind_group_insecure(address, socket_count, config, &options)
    })?;
    let interrupts = super::interrupts()?;
    super::announce(endpoints[0].local_addr())?;
    super::serve_each(endpoints, &interrupts, |endpoint| {
        let mut turns = Loop::new(endpoint, Arc::clone(service)).map_err(failed)?;
        let (is_stopping, waker) = (Arc::new(AtomicBool::new(false)), Arc::clone(&turns.waker));
        let (interrupts, raised) = (interrupts.clone(), Arc::clone(&is_stopping));
        thread::spawn(move || {
            interrupts.wait();
            raised.store(true, Ordering::Relaxed);
            wake(&waker);
        });
        turns.run(&is_stopping)?;
        turns.end()
    })
}

/// The endpoint and what it waits for.
struct Loop {
    poll: Poll,
    endpoint: Endpoint,
    service: Arc<Service>,
    waker: Arc<Waker>,
    /// Calls that threads work at, each with the flag that tells the thread to stop.
    calls: Vec<(IncomingCallId, Arc<AtomicBool>)>,
    answers: (Sender<Answered>, Receiver<Answered>),
    files: Vec<Taking>,
    /// Streams that wait for a thread.
    streams: Vec<StreamId>,
}

/// What a thread says of a call.
struct Answered {
    call: IncomingCallId,
    answer: Answer,
    reply: Vec<u8>,
}

/// A file on its way from a stream to a thread.
struct Taking {
    stream: StreamId,
    /// `None` once the stream is over.
    chunks: Option<SyncSender<Vec<u8>>>,
    /// What the thread had no room for.
    held: Option<Vec<u8>>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Loop {
    fn new(mut endpoint: Endpoint, service: Arc<Service>) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut endpoint, ENDPOINT, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (calls, files, streams) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { poll, endpoint, service, waker, calls, answers: mpsc::channel(), files, streams })
    }

    /// Turns until it is to stop, and then until the calls under way are answered.
    fn run(&mut self, is_stopping: &AtomicBool) -> Result<(), Failure> {
        let mut ready = Events::with_capacity(16);
        let mut end = None;
        loop {
            if end.is_none() && is_stopping.load(Ordering::Relaxed) {
                self.endpoint.drain();
                end = Some(Instant::now() + DRAIN_TIMEOUT);
            }
            self.endpoint.process().map_err(failed)?;
            while let Some(event) = self.endpoint.poll_event() {
                self.on_event(event);
            }
            while let Ok(Answered { call, answer, reply }) = self.answers.1.try_recv() {
                self.calls.retain(|(known, _)| *known != call);
                // Its caller may be gone.
                let _ = self.endpoint.reply(call, answer, &reply, &[]);
            }
            self.pump()?;
            self.endpoint.transmit().map_err(failed)?;
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero() || self.endpoint.is_drained()) {
                return Ok(());
            }
            let timeout = [left, self.endpoint.next_timeout()].into_iter().flatten().min();
            match self.poll.poll(&mut ready, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(failed(error)),
                Ok(()) | Err(_) => {}
            }
            for event in ready.iter().filter(|event| event.token() == ENDPOINT) {
                self.endpoint.handle_event(event);
            }
        }
    }

    /// Ends the threads that take files: what they have so far is removed.
    fn end(self) -> Result<(), Failure> {
        for (_, is_over) in &self.calls {
            is_over.store(true, Ordering::Relaxed);
        }
        self.files.into_iter().try_for_each(Taking::join)
    }

    fn on_event(&mut self, event: Event) {
        if let Event::CallReceived { call } = event {
            self.answer(call);
        } else if let Event::CallCancelled { call } = event {
            for (_, is_over) in self.calls.iter().filter(|(known, _)| *known == call) {
                is_over.store(true, Ordering::Relaxed);
            }
        } else if let Event::StreamReceived { stream, .. } = event {
            self.streams.push(stream);
        }
        // What can be read is looked for each turn; nothing is called or sent from here.
    }

    /// Answers a call, or has a thread do so.
    fn answer(&mut self, call: IncomingCallId) {
        let Ok(incoming) = self.endpoint.incoming_call(call) else { return };
        let (arguments, deadline) = (incoming.arguments.to_vec(), incoming.deadline);
        let procedure = match Procedure::of(&incoming.procedure) {
            Ok(procedure) if procedure.may_wait() && self.calls.len() == WAITING_COUNT_MAX => Err(Refusal::Busy),
            result => result,
        };
        let begun = match procedure {
            Ok(procedure) => self.endpoint.begin(call).map(|()| procedure),
            Err(why) => {
                // One that is over needs no refusal.
                let _ = self.endpoint.refuse(call, why);
                return;
            }
        };
        // One that is over needs no answer.
        let Ok(procedure) = begun else { return };
        let mut reply = Vec::new();
        if !procedure.may_wait() {
            let answer = self.service.answer(procedure, &arguments, &|| false, &mut reply);
            let _ = self.endpoint.reply(call, answer, &reply, &[]);
            return;
        }
        let is_cancelled = Arc::new(AtomicBool::new(false));
        self.calls.push((call, Arc::clone(&is_cancelled)));
        let left = deadline.map(|deadline| deadline.saturating_since(self.endpoint.now()));
        let end = left.and_then(|left| Instant::now().checked_add(left));
        let (service, answers, waker) = (Arc::clone(&self.service), self.answers.0.clone(), Arc::clone(&self.waker));
        thread::spawn(move || {
            let is_over = || is_cancelled.load(Ordering::Relaxed) || end.is_some_and(|end| end <= Instant::now());
            let answer = service.answer(procedure, &arguments, &is_over, &mut reply);
            // The loop may have ended.
            let _ = answers.send(Answered { call, answer, reply });
            wake(&waker);
        });
    }

    /// Moves what streams have to the threads that take it.
    ///
    /// # Errors
    /// What failed about a thread's output.
    fn pump(&mut self) -> Result<(), Failure> {
        for file in self.files.extract_if(.., |file| file.chunks.is_none() && file.thread.is_finished()) {
            file.join()?;
        }
        while self.files.len() < FILE_COUNT_MAX && !self.streams.is_empty() {
            let stream = self.streams.remove(0);
            let (chunks, arrivals) = mpsc::sync_channel(CHUNK_COUNT_MAX);
            let (service, waker) = (Arc::clone(&self.service), Arc::clone(&self.waker));
            let thread = thread::spawn(move || {
                let mut reader = Chunks { arrivals, chunk: io::Cursor::default(), waker: Arc::clone(&waker) };
                let result = service.receive(&mut reader);
                drop(reader);
                wake(&waker);
                result
            });
            self.files.push(Taking { stream, chunks: Some(chunks), held: None, thread });
        }
        for file in &mut self.files {
            file.pump(&mut self.endpoint);
        }
        Ok(())
    }
}

impl Taking {
    /// Lets the thread take what it has got, and waits for its end.
    fn join(self) -> Result<(), Failure> {
        drop(self.chunks);
        self.thread.join().expect("a thread that takes a file does not panic")
    }

    /// Moves what there is as long as the thread has room.
    fn pump(&mut self, endpoint: &mut Endpoint) {
        while let Some(chunks) = &self.chunks {
            let chunk = self.held.take().map_or_else(|| read(endpoint, self.stream), Next::Chunk);
            match chunk {
                Next::Chunk(chunk) => match chunks.try_send(chunk) {
                    Ok(()) => {}
                    Err(TrySendError::Full(chunk)) => {
                        self.held = Some(chunk);
                        return;
                    }
                    Err(TrySendError::Disconnected(_)) => {
                        // It wants no more. A stream that is over needs no giving up.
                        let _ = endpoint.abandon(self.stream);
                        self.chunks = None;
                    }
                },
                Next::Later if self.thread.is_finished() => {
                    let _ = endpoint.abandon(self.stream);
                    self.chunks = None;
                }
                Next::Later => return,
                Next::Over => self.chunks = None,
            }
        }
    }
}

/// What a stream has.
enum Next {
    Chunk(Vec<u8>),
    Later,
    /// It ended, or broke: the reader knows how much there should have been.
    Over,
}

fn read(endpoint: &mut Endpoint, stream: StreamId) -> Next {
    let mut chunk = vec![0; CHUNK_LEN];
    match endpoint.read(stream, &mut chunk) {
        Ok(Streamed::Octets(len)) => {
            chunk.truncate(len);
            Next::Chunk(chunk)
        }
        Ok(Streamed::Pending) => Next::Later,
        Ok(Streamed::End) | Err(_) => Next::Over,
    }
}

/// A stream as the thread sees it.
struct Chunks {
    arrivals: Receiver<Vec<u8>>,
    chunk: io::Cursor<Vec<u8>>,
    waker: Arc<Waker>,
}

impl Read for Chunks {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        if self.chunk.position() == self.chunk.get_ref().len() as u64 {
            self.chunk = match self.arrivals.recv_timeout(SILENCE_MAX) {
                Ok(chunk) => io::Cursor::new(chunk),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Err(RecvTimeoutError::Timeout) => return Err(io::ErrorKind::TimedOut.into()),
            };
            // There is room for another one.
            wake(&self.waker);
        }
        self.chunk.read(octets)
    }
}

fn failed(error: io::Error) -> Failure {
    Failure::local("the loop of the server failed", &error)
}

fn wake(waker: &Waker) {
    waker.wake().expect("the loop has a poll for as long as the process runs");
}

const ENDPOINT: Token = Token(0);
const WAKER: Token = Token(1);

/// Chunks that wait for a disk at a time, for each file; our choice.
const CHUNK_COUNT_MAX: usize = 4;
