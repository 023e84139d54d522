//! The ends on `runtime-smol`, written as a user would: tasks on one thread.

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::net::SocketAddr;
use std::io::{stdin, stdout};
use std::time::Instant;

use posthaste_smol::{Body, Client, Config, Delivery, Incoming, Message, Options, Request, Server, wire};
use posthaste_udp::TryOffload;
use smol::{LocalExecutor, future};

use super::{CHANNEL, COUNT, ECHO, PROGRAM, Pace, Sending, VERSION};
use crate::bench::convention::{self, ClientOptions, Latency, Limit, Work};
use crate::failure::{Code, Failure};

/// Answers calls and takes messages until it is killed.
pub(super) fn serve(address: SocketAddr, config: Config) -> Result<(), Failure> {
    let server = Server::bind_insecure(address, options(config))
        .map_err(|error| Failure::new(Code::Local, format_args!("cannot listen on {address}: {error}")))?;
    convention::announce_ready(&mut stdout())?;
    let service = Service::default();
    let serving = server.serve(HANDLER_COUNT_MAX, |call| {
        service.handle(call);
        future::ready(())
    });
    let serving = serving.admitting(|procedure: &wire::Description| match procedure.procedure {
        ECHO | COUNT => Ok(()),
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
pub(super) fn run_client(client_options: &ClientOptions, config: Config) -> Result<(), Failure> {
    let client = connect(client_options.addr, config)?;
    let datagram_count = || {
        let counters = client.counters();
        Some(counters.datagrams_sent + counters.datagrams_received)
    };
    let mut sent_len = 0;
    let work = |limit, latency: &mut Latency| match client_options.work {
        Work::Echo { size, inflight } if inflight.get() == 1 => {
            let caller = Caller::new(limit, latency);
            smol::block_on(caller.call_in_turn(&client, size.get()))?;
            Ok(caller.count.get())
        }
        Work::Echo { size, inflight } => call_side_by_side(&client, size.get(), inflight.get(), limit, latency),
        Work::Bulk { msg } => {
            smol::block_on(send(&client, Pace::Ahead, Sending::begin(msg.get(), &mut sent_len, limit, latency)))
        }
        Work::Send { msg } => {
            smol::block_on(send(&client, Pace::Acknowledged, Sending::begin(msg.get(), &mut sent_len, limit, latency)))
        }
    };
    convention::run_client(client_options, stdin().lock(), &mut stdout(), datagram_count, work)
}

/// Opens a conversation, by a first call.
pub(super) fn connect(server: SocketAddr, config: Config) -> Result<Client, Failure> {
    let client = Client::connect_insecure(server, options(config))
        .map_err(|error| Failure::new(Code::Connect, format_args!("{error}")))?;
    smol::block_on(client.call(Request::new(PROGRAM, VERSION, ECHO, &[])))
        .map_err(|error| Failure::new(Code::Connect, format_args!("{error}")))?;
    Ok(client)
}

fn options(config: Config) -> Options {
    let mut options = Options::from(config);
    if !super::joins_datagrams() {
        options.socket.gso = TryOffload::Never;
    }
    options
}

/// Makes calls, alone or beside others of its kind.
struct Caller<'a> {
    limit: Limit,
    latency: RefCell<&'a mut Latency>,
    /// Calls begun.
    count: Cell<u64>,
}

impl<'a> Caller<'a> {
    fn new(limit: Limit, latency: &'a mut Latency) -> Self {
        Self { limit, latency: RefCell::new(latency), count: Cell::new(0) }
    }

    /// One call after the other.
    async fn call_in_turn(&self, client: &Client, size: usize) -> Result<(), Failure> {
        let arguments = vec![0x5a; size];
        let mut begun_at = Instant::now();
        while self.limit.left(begun_at, self.count.get()) > 0 {
            self.count.set(self.count.get() + 1);
            client.call(Request::new(PROGRAM, VERSION, ECHO, &arguments)).await.map_err(|error| failed(&error))?;
            let ended_at = Instant::now();
            self.latency.borrow_mut().record(ended_at - begun_at);
            begun_at = ended_at;
        }
        Ok(())
    }
}

/// Keeps `inflight` calls open: as many tasks, each with one call after the other.
fn call_side_by_side(
    client: &Client,
    size: usize,
    inflight: usize,
    limit: Limit,
    latency: &mut Latency,
) -> Result<u64, Failure> {
    let caller = Rc::new(Caller::new(limit, latency));
    let executor = LocalExecutor::new();
    let spawn = |_| {
        let caller = Rc::clone(&caller);
        executor.spawn(async move { caller.call_in_turn(client, size).await })
    };
    let tasks: Vec<_> = (0..inflight).map(spawn).collect();
    smol::block_on(executor.run(async {
        for task in tasks {
            task.await?;
        }
        Ok(caller.count.get())
    }))
}

/// Sends messages, and learns how many octets the server's application got.
async fn send(client: &Client, pace: Pace, mut sending: Sending<'_>) -> Result<u64, Failure> {
    while let Some(octets) = sending.next() {
        let delivery = Delivery::Ordered { channel: CHANNEL };
        let message = Message { delivery, priority: 1, body: Body::Copied(octets) };
        let sent = client.send(message).await.map_err(|error| failed(&error))?;
        match pace {
            Pace::Ahead => drop(sent),
            Pace::Acknowledged => sent.await.map_err(|error| failed(&error))?,
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
}

impl Service {
    fn handle(&self, call: Incoming) {
        if call.procedure().procedure == ECHO {
            let arguments = call.to_vec();
            // Who has given up is told nothing.
            let _ = call.reply(&arguments);
            return;
        }
        match call.with(|octets| octets.try_into().map(u64::from_be_bytes)) {
            Ok(expected) => {
                self.waiting.set(Some((call, expected)));
                self.take(0);
            }
            // As above.
            Err(_) => drop(call.reply_error(&[])),
        }
    }

    fn take(&self, len: usize) {
        self.taken_len.set(self.taken_len.get() + len as u64);
        match self.waiting.take() {
            // As above.
            Some((call, expected)) if expected <= self.taken_len.get() => drop(call.reply(&[])),
            waiting => self.waiting.set(waiting),
        }
    }
}

/// More than any client of a measurement keeps open.
const HANDLER_COUNT_MAX: usize = 256;
