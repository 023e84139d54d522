//! The ends on `runtime-smol`, written as a user would: on one thread.

use alloc::collections::VecDeque;
use core::cell::{Cell, RefCell};
use core::net::SocketAddr;
use core::{fmt, iter};
use std::io::{stdin, stdout};
use std::time::Instant;

use posthaste_smol::{CallError, Client, Incoming, Options, Request, Server, wire};
use smol::{LocalExecutor, Timer, future};

use super::{COUNT, Calling, ECHO, LENGTH, PROGRAM, Sending, Setting, VERSION};
use crate::bench::convention::{self, ClientOptions, Latency, Limit, Work};
use crate::bench::load::{self, OPEN_COUNT_MAX, Schedule};
use crate::failure::{Code, Failure};

/// Answers calls and takes messages until it is killed.
pub(super) fn serve(address: SocketAddr, setting: Setting) -> Result<(), Failure> {
    let server = Server::bind_insecure(address, setting)
        .map_err(|error| Failure::new(Code::Local, format_args!("cannot listen on {address}: {error}")))?;
    convention::announce_ready(&mut stdout())?;
    let service = Service::default();
    let serving = server.serve(HANDLER_COUNT_MAX, |call| {
        service.handle(call);
        future::ready(())
    });
    let serving = serving.admitting(|procedure: &wire::Description| match procedure.procedure {
        ECHO | COUNT | LENGTH => Ok(()),
        _ => Err(wire::NotExecuted::NoSuchProcedure),
    });
    let receiving = async {
        loop {
            match server.receive().await {
                Ok(message) => service.take(message.with(<[u8]>::len)),
                Err(error) => return error,
            }
        }
    };
    let error = smol::block_on(future::or(serving, receiving));
    Err(Failure::new(Code::Local, error))
}

/// Works as the options say.
pub(super) fn run_client(client_options: &ClientOptions, setting: Setting) -> Result<(), Failure> {
    let client = connect(client_options.addr, client_options.program.unwrap_or(PROGRAM), setting)?;
    let datagram_count = || {
        let counters = client.counters();
        Some(counters.datagrams_sent + counters.datagrams_received)
    };
    let mut sent_len = 0;
    let work = |limit, latency: &mut Latency| match client_options.work {
        Work::Echo { size, inflight } => {
            call(&client, &Calling::of(client_options, ECHO, size), inflight.get(), limit, latency)
        }
        Work::Upload { size, inflight } => {
            let calling = Calling::of(client_options, LENGTH, size);
            call(&client, &calling, inflight.get(), limit, latency).map(|count| calling.octet_count(count))
        }
        Work::Load { size, rate } => {
            load(&client, &Calling::of(client_options, ECHO, size), Schedule::begin(rate, limit), latency)
        }
        Work::Bulk { msg } => smol::block_on(send(&client, Sending::begin(msg.get(), &mut sent_len, limit, latency))),
        Work::Send { msg } => {
            smol::block_on(send(&client, Sending::begin(msg.get(), &mut sent_len, limit, latency).one_by_one()))
        }
    };
    convention::run_client(client_options, stdin().lock(), &mut stdout(), datagram_count, work)
}

/// Opens a conversation, by a first call.
pub(super) fn connect(server: SocketAddr, program: u32, setting: Setting) -> Result<Client, Failure> {
    let client = Client::connect_insecure(server, setting)
        .map_err(|error| Failure::new(Code::Connect, format_args!("{error}")))?;
    smol::block_on(client.call(Request::new(program, VERSION, ECHO, &[])))
        .map_err(|error| Failure::new(Code::Connect, format_args!("{error}")))?;
    Ok(client)
}

impl From<Setting> for Options {
    fn from(Setting { config, socket }: Setting) -> Self {
        Self { socket, ..config.into() }
    }
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
        smol::block_on(call_in_turn(client, calling, limit, latency))
    } else {
        smol::block_on(call_ahead(client, calling, inflight, limit, latency))
    }
}

/// One call after the other.
async fn call_in_turn(client: &Client, calling: &Calling, limit: Limit, latency: &mut Latency) -> Result<u64, Failure> {
    let mut count = 0;
    let mut begun_at = Instant::now();
    while limit.left(begun_at, count) > 0 {
        client.call(calling.request()).await.map_err(|error| failed(&error))?;
        count += 1;
        let ended_at = Instant::now();
        latency.record(ended_at - begun_at);
        begun_at = ended_at;
    }
    Ok(count)
}

/// Keeps `inflight` calls open, and waits for the oldest.
async fn call_ahead(
    client: &Client,
    calling: &Calling,
    inflight: usize,
    limit: Limit,
    latency: &mut Latency,
) -> Result<u64, Failure> {
    let requests = vec![calling.request(); inflight];
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
        let Some(reply) = calls.wait().await else { return Ok(count) };
        reply.map_err(|error| failed(&error))?;
        // What comes together comes at one moment.
        now = Instant::now();
        latency.record(now - begun_at.pop_front().expect("each call has begun"));
        for _ in 0..calls.ready_count() {
            calls.wait().await.expect("it is at hand").map_err(|error| failed(&error))?;
            latency.record(now - begun_at.pop_front().expect("each call has begun"));
        }
    }
}

/// Begins each call when it is due, as a task of its own.
fn load(client: &Client, calling: &Calling, mut schedule: Schedule, latency: &mut Latency) -> Result<u64, Failure> {
    let ended = RefCell::new(Ended { latency, count: 0, failure: None });
    let executor = LocalExecutor::new();
    let call = async |due: Instant| {
        let outcome = client.call(calling.request()).await;
        let mut ended = ended.borrow_mut();
        ended.latency.record(due.elapsed());
        ended.count += 1;
        if let Err(error) = outcome {
            ended.failure = Some(failed(&error));
        }
    };
    let begun_count = smol::block_on(executor.run(async {
        let mut begun_count = 0;
        let mut now = Instant::now();
        while let Some(due) = schedule.next_due(now) {
            let open_count = begun_count - ended.borrow().count;
            if due <= now && open_count < OPEN_COUNT_MAX as u64 {
                schedule.advance();
                begun_count += 1;
                executor.spawn(call(due)).detach();
            } else {
                let time = load::time_to_sleep(due, now);
                if !time.is_zero() {
                    Timer::after(time).await;
                }
                future::yield_now().await;
            }
            now = Instant::now();
        }
        schedule.give_up(now, ended.borrow_mut().latency);
        while ended.borrow().count < begun_count {
            future::yield_now().await;
        }
        begun_count
    }));
    drop(executor);
    ended.into_inner().failure.map_or(Ok(begun_count), Err)
}

/// What became of the calls of an open loop.
struct Ended<'a> {
    latency: &'a mut Latency,
    count: u64,
    failure: Option<Failure>,
}

/// Sends messages, and learns how many octets the server's application got.
async fn send(client: &Client, mut sending: Sending<'_>) -> Result<u64, Failure> {
    while let Some(message) = sending.next() {
        drop(client.send(message).await.map_err(|error| failed(&error))?);
        if sending.is_far_ahead() {
            client.flush().await.map_err(|error| failed(&error))?;
        }
        sending.on_sent();
    }
    let counted = client.call(Request::new(PROGRAM, VERSION, COUNT, &sending.count_arguments())).await;
    counted.map_err(|error| failed(&error))?;
    Ok(sending.len)
}

fn failed(error: &impl fmt::Display) -> Failure {
    Failure::new(Code::Local, format_args!("a call or message failed: {error}"))
}

/// The server's application.
#[derive(Default)]
struct Service {
    /// Octets that came in messages.
    taken_len: Cell<u64>,
    /// The call that waits for so many of them.
    waiting: Cell<Option<(Incoming, u64)>>,
    octets: RefCell<Vec<u8>>,
}

impl Service {
    fn handle(&self, call: Incoming) {
        match call.procedure().procedure {
            ECHO => {
                let mut octets = self.octets.borrow_mut();
                octets.clear();
                call.with(|arguments| octets.extend_from_slice(arguments));
                // Who has given up is told nothing, here and below.
                let _ = call.reply(&octets);
                return;
            }
            LENGTH => {
                let len = call.with(<[u8]>::len) as u64;
                let _ = call.reply(&len.to_be_bytes());
                return;
            }
            _ => {}
        }
        match call.with(|octets| octets.try_into().map(u64::from_be_bytes)) {
            Ok(expected) => {
                self.waiting.set(Some((call, expected)));
                self.take(0);
            }
            Err(_) => drop(call.reply_error(&[])),
        }
    }

    fn take(&self, len: usize) {
        self.taken_len.set(self.taken_len.get() + len as u64);
        match self.waiting.take() {
            Some((call, expected)) if expected <= self.taken_len.get() => drop(call.reply(&[])),
            waiting => self.waiting.set(waiting),
        }
    }
}

/// More than any client of a measurement keeps open.
const HANDLER_COUNT_MAX: usize = 256;
