//! The ends on `runtime-std`, written as a user would.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::num::NonZeroUsize;
use core::{fmt, iter};
use std::io::{stdin, stdout};
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use posthaste_std::wire::Description;
use posthaste_std::{
    Answer, CallError, Client, Execution, Handler, Incoming, Options, Pending, Request, SendError, Server, wire,
};

use super::{COUNT, Calling, ECHO, LENGTH, PROGRAM, Sending, Setting, VERSION};
use crate::bench::convention::{self, ClientOptions, Latency, Limit, Work};
use crate::bench::load::{self, OPEN_COUNT_MAX, Schedule};
use crate::failure::{Code, Failure};

/// Answers calls and takes messages until it is killed.
pub(super) fn serve(address: SocketAddr, setting: Setting) -> Result<(), Failure> {
    let taken = Arc::new(Taken::default());
    let server = Server::serve_insecure(address, setting, Answering(Arc::clone(&taken)))
        .map_err(|error| Failure::local(format_args!("cannot listen on {address}"), &error))?;
    convention::announce_ready(&mut stdout())?;
    while let Ok((_, message)) = server.receive_bytes(None) {
        taken.add(message.len() as u64);
    }
    Err(Failure::new(Code::Local, "the socket failed"))
}

/// Works as the options say.
pub(super) fn run_client(client_options: &ClientOptions, setting: Setting) -> Result<(), Failure> {
    let program = client_options.program.unwrap_or(PROGRAM);
    let client = connect(client_options.addr, program, setting)?;
    let datagram_count = || {
        let counters = client.socket_counters();
        Some(counters.sent_count + counters.received_count)
    };
    let mut sent_len = 0;
    let work = |limit, latency: &mut Latency| match client_options.work {
        Work::Echo { size, inflight } => {
            let (calling, thread_count) = (Calling::of(client_options, ECHO, size), client_options.thread_count);
            call_by_threads(&client, &calling, inflight.get(), thread_count, limit, latency)
        }
        Work::Upload { size, inflight } => {
            let calling = Calling::of(client_options, LENGTH, size);
            call(&client, &calling, inflight.get(), limit, latency).map(|count| calling.octet_count(count))
        }
        Work::Load { size, rate } => {
            load(&client, &Calling::of(client_options, ECHO, size), Schedule::begin(rate, limit), latency)
        }
        Work::Bulk { msg } => send(&client, Sending::begin(msg.get(), &mut sent_len, limit, latency)),
        Work::Send { msg } => send(&client, Sending::begin(msg.get(), &mut sent_len, limit, latency).one_by_one()),
    };
    convention::run_client(client_options, stdin().lock(), &mut stdout(), datagram_count, work)
}

/// Opens a conversation, by a first call.
pub(super) fn connect(server: SocketAddr, program: u32, setting: Setting) -> Result<Client, Failure> {
    let client = Client::connect_insecure(server, setting)
        .map_err(|error| Failure::new(Code::Connect, format_args!("{error}")))?;
    client.call(program, VERSION, ECHO, &[]).map_err(|error| Failure::new(Code::Connect, format_args!("{error}")))?;
    Ok(client)
}

impl From<Setting> for Options {
    fn from(Setting { config, socket }: Setting) -> Self {
        Self { socket, ..config.into() }
    }
}

/// Has threads keep `inflight` calls open each.
fn call_by_threads(
    client: &Client,
    calling: &Calling,
    inflight: usize,
    thread_count: NonZeroUsize,
    limit: Limit,
    latency: &mut Latency,
) -> Result<u64, Failure> {
    thread::scope(|scope| {
        let call_beside = |index| {
            let limit = limit.share(index, thread_count);
            scope.spawn(move || {
                let mut latency = Latency::new();
                call(client, calling, inflight, limit, &mut latency).map(|count| (count, latency))
            })
        };
        // This one is the first of them.
        let others: Vec<_> = (1..thread_count.get()).map(call_beside).collect();
        let mut sum = call(client, calling, inflight, limit.share(0, thread_count), latency)?;
        for other in others {
            let (count, beside) = other.join().expect("who calls does not panic")?;
            latency.add(&beside);
            sum += count;
        }
        Ok(sum)
    })
}

/// Keeps `inflight` calls open.
fn call(
    client: &Client,
    calling: &Calling,
    inflight: usize,
    limit: Limit,
    latency: &mut Latency,
) -> Result<u64, Failure> {
    if inflight == 1 {
        call_in_turn(client, &calling.request(), limit, latency)
    } else {
        call_ahead(client, &calling.request(), inflight, limit, latency)
    }
}

/// One call after the other.
fn call_in_turn(client: &Client, request: &Request<'_>, limit: Limit, latency: &mut Latency) -> Result<u64, Failure> {
    let mut reply = Vec::new();
    let mut count = 0;
    let mut begun_at = Instant::now();
    while limit.left(begun_at, count) > 0 {
        client.call_into(request, &mut reply).map_err(|error| failed(&error))?;
        count += 1;
        let ended_at = Instant::now();
        latency.record(ended_at - begun_at);
        begun_at = ended_at;
    }
    Ok(count)
}

/// Keeps `inflight` calls open, and waits for the oldest.
fn call_ahead(
    client: &Client,
    request: &Request<'_>,
    inflight: usize,
    limit: Limit,
    latency: &mut Latency,
) -> Result<u64, Failure> {
    let requests = vec![request.clone(); inflight];
    let mut calls = client.pipeline();
    let mut begun_at = VecDeque::with_capacity(inflight);
    let mut count = 0;
    let mut now = Instant::now();
    loop {
        let left = usize::try_from(limit.left(now, count)).unwrap_or(usize::MAX);
        let room = left.min(inflight - begun_at.len());
        if room > 0 {
            let started_count =
                calls.start_all(&requests[..room]).map_err(|error| failed(&CallError::Refused(error)))?;
            begun_at.extend(iter::repeat_n(now, started_count));
            count += started_count as u64;
        }
        let Some(reply) = calls.wait() else { return Ok(count) };
        reply.map_err(|error| failed(&error))?;
        // What comes together comes at one moment.
        now = Instant::now();
        latency.record(now - begun_at.pop_front().expect("each call has begun"));
        for _ in 0..calls.ready_count() {
            calls.wait().expect("it is at hand").map_err(|error| failed(&error))?;
            latency.record(now - begun_at.pop_front().expect("each call has begun"));
        }
    }
}

/// Starts each call when it is due, while another thread waits for the oldest one: a reply that overtakes it counts from
/// when both are there.
fn load(client: &Client, calling: &Calling, mut schedule: Schedule, latency: &mut Latency) -> Result<u64, Failure> {
    let request = calling.request();
    let (started, open) = mpsc::sync_channel::<(Instant, Pending)>(OPEN_COUNT_MAX);
    thread::scope(|scope| {
        let waiting = scope.spawn(move || -> Result<_, Failure> {
            let (latency, mut reply, mut count) = (latency, Vec::new(), 0);
            for (due, pending) in open {
                pending.wait_into(&mut reply).map_err(|error| failed(&error))?;
                latency.record(due.elapsed());
                count += 1;
            }
            Ok((latency, count))
        });
        let mut now = Instant::now();
        while let Some(due) = schedule.next_due(now) {
            if due <= now {
                let pending = match client.start(&request) {
                    Ok(pending) => pending,
                    // Its time runs until there is room.
                    Err(SendError::Full) => {
                        thread::yield_now();
                        now = Instant::now();
                        continue;
                    }
                    Err(error) => return Err(failed(&CallError::Refused(error))),
                };
                schedule.advance();
                if started.send((due, pending)).is_err() {
                    // The one who waits has failed, and says why.
                    break;
                }
            } else {
                load::sleep_before(due, now);
                // Where there is one core, the other thread needs it.
                thread::yield_now();
            }
            now = Instant::now();
        }
        drop(started);
        let (latency, count) = waiting.join().expect("who waits does not panic")?;
        schedule.give_up(now, latency);
        Ok(count)
    })
}

/// Sends messages, and learns how many octets the server's application got.
fn send(client: &Client, mut sending: Sending<'_>) -> Result<u64, Failure> {
    while let Some(message) = sending.next() {
        client.send_message(&message).map_err(|error| not_sent(&error))?;
        if sending.is_far_ahead() {
            client.flush().map_err(|error| not_sent(&error))?;
        }
        sending.on_sent();
    }
    client.call(PROGRAM, VERSION, COUNT, &sending.count_arguments()).map_err(|error| failed(&error))?;
    Ok(sending.len)
}

fn not_sent(error: &impl fmt::Display) -> Failure {
    Failure::new(Code::Local, format_args!("cannot send: {error}"))
}

fn failed(error: &CallError) -> Failure {
    Failure::new(Code::Local, format_args!("a call failed: {error}"))
}

/// What the server's application got in messages.
#[derive(Default)]
struct Taken {
    len: Mutex<u64>,
    grown: Condvar,
}

impl Taken {
    fn add(&self, len: u64) {
        *self.len.lock().unwrap_or_else(PoisonError::into_inner) += len;
        self.grown.notify_all();
    }

    fn wait_for(&self, expected: u64) {
        let taken = self.len.lock().unwrap_or_else(PoisonError::into_inner);
        // A poisoned count is as good as another.
        drop(self.grown.wait_while(taken, |taken| *taken < expected));
    }
}

/// The server's procedures.
struct Answering(Arc<Taken>);

impl Handler for Answering {
    fn execution(&self, procedure: &Description) -> Execution {
        match procedure.procedure {
            ECHO | LENGTH => Execution::Inline,
            COUNT => Execution::Pool,
            _ => Execution::Refuse(wire::NotExecuted::NoSuchProcedure),
        }
    }

    fn handle(&self, call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
        match call.procedure().procedure {
            ECHO => {
                reply.extend_from_slice(call.arguments());
                return Answer::Ok;
            }
            LENGTH => {
                reply.extend_from_slice(&(call.arguments().len() as u64).to_be_bytes());
                return Answer::Ok;
            }
            _ => {}
        }
        let Ok(expected) = call.arguments().try_into() else { return Answer::Error };
        self.0.wait_for(u64::from_be_bytes(expected));
        Answer::Ok
    }
}
