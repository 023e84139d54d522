//! `posthaste bench server` and `client`: the ends of a measurement, through the public interface of an adapter.

mod asynchronous;
mod blocking;
mod readiness;
mod rung;

use core::net::SocketAddr;
use core::num::NonZeroUsize;
use core::time::Duration;
use std::io::{stdin, stdout};
use std::time::Instant;

use bytes::Bytes;
use clap::Args;
use posthaste_core::Config;
use posthaste_core::endpoint::{Body, Delivery, Message, Request};
use posthaste_udp::{BusyPoll, Options as SocketOptions, TryOffload};

pub(super) use self::rung::Rung;
use super::convention::{self, ClientOptions, Latency, Limit, Options};
use crate::failure::{Code, Failure};
use crate::runtime::Runtime;
use crate::service::Procedure;

/// Be one end of a measurement, as the bench convention wants it.
#[derive(Args)]
pub(crate) struct PeerArgs {
    /// The options of the bench convention.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// The calls of one block of work: each with the same arguments.
struct Calling {
    program: u32,
    procedure: u32,
    arguments: Vec<u8>,
}

impl Calling {
    /// Makes calls of `procedure` with `size` octets of arguments.
    fn of(options: &ClientOptions, procedure: u32, size: NonZeroUsize) -> Self {
        let program = options.program.unwrap_or(PROGRAM);
        Self { program, procedure, arguments: vec![0x5a; size.get()] }
    }

    fn request(&self) -> Request<'_> {
        Request::new(self.program, VERSION, self.procedure, &self.arguments)
    }

    /// Returns how many octets so many calls have brought.
    const fn octet_count(&self, call_count: u64) -> u64 {
        call_count * self.arguments.len() as u64
    }
}

/// The messages of one block of work, one after the other.
struct Sending<'a> {
    octets: Bytes,
    limit: Limit,
    latency: &'a mut Latency,
    begun_at: Instant,
    /// Octets in the message that is being sent.
    message_len: usize,
    /// How many octets may be sent before the sender waits until all are acknowledged.
    ahead_len_max: usize,
    /// Octets sent since it waited.
    ahead_len: usize,
    /// Octets sent in this block.
    len: u64,
    /// Octets sent in all blocks.
    total_len: &'a mut u64,
}

impl<'a> Sending<'a> {
    /// Begins a block of messages of `len` octets, after `total_len` octets in other blocks.
    fn begin(len: usize, total_len: &'a mut u64, limit: Limit, latency: &'a mut Latency) -> Self {
        Self {
            octets: vec![0x5a; len].into(),
            limit,
            latency,
            begun_at: Instant::now(),
            message_len: 0,
            ahead_len_max: AHEAD_LEN_MAX,
            ahead_len: 0,
            len: 0,
            total_len,
        }
    }

    /// Has the sender wait for the acknowledgement of each message.
    const fn one_by_one(mut self) -> Self {
        self.ahead_len_max = 0;
        self
    }

    /// Returns the next message, to be handed over as it is; `None` at the end of the block.
    fn next(&mut self) -> Option<Message<'static>> {
        let left = usize::try_from(self.limit.left(self.begun_at, self.len)).unwrap_or(usize::MAX);
        if left == 0 {
            return None;
        }
        if self.is_far_ahead() {
            self.ahead_len = 0;
        }
        self.message_len = left.min(self.octets.len());
        self.ahead_len += self.message_len;
        let body = Body::Shared(self.octets.slice(..self.message_len));
        Some(Message { delivery: Delivery::Ordered { channel: CHANNEL }, priority: 1, body })
    }

    /// Says whether to wait until all that was sent is acknowledged.
    const fn is_far_ahead(&self) -> bool {
        self.ahead_len >= self.ahead_len_max
    }

    /// Notes that the message was sent.
    fn on_sent(&mut self) {
        self.len += self.message_len as u64;
        *self.total_len += self.message_len as u64;
        let ended_at = Instant::now();
        self.latency.record(ended_at - self.begun_at);
        self.begun_at = ended_at;
    }

    /// Returns the arguments of the call that is answered when the server's application has got all.
    const fn count_arguments(&self) -> [u8; 8] {
        self.total_len.to_be_bytes()
    }
}

/// Answers calls and takes messages until it is killed.
pub(crate) fn serve(args: &PeerArgs) -> Result<(), Failure> {
    let options = Options::parse(&args.options)?;
    options.end_with_input();
    let (address, mut setting) = (options.addr()?, Setting::of(&options)?);
    let config = &mut setting.config;
    config.peer_count_max = PEER_COUNT_MAX;
    config.session_count_per_address_max = PEER_COUNT_MAX;
    config.used_ticket_count_max = PEER_COUNT_MAX;
    let runtime = runtime(&options)?;
    if runtime != Runtime::Std {
        // These lend a message where it lies; what is taken over is better in memory of its own.
        config.own_body_len_min = usize::MAX;
    }
    match runtime {
        Runtime::Std => blocking::serve(address, setting),
        Runtime::Mio => readiness::serve(address, setting),
        Runtime::Smol => asynchronous::serve(address, setting),
    }
}

/// Works as the options say.
pub(crate) fn run_client(args: &PeerArgs) -> Result<(), Failure> {
    let options = Options::parse(&args.options)?;
    if let Some(count) = options.idle_count()? {
        return hold_peers(count, options.addr()?, runtime(&options)?);
    }
    let (setting, client_options, runtime) = (Setting::of(&options)?, options.client()?, runtime(&options)?);
    if client_options.thread_count.get() > 1 && runtime != Runtime::Std {
        return Err(Failure::new(Code::Usage, "--threads is for the runtime std"));
    }
    match runtime {
        Runtime::Std => blocking::run_client(&client_options, setting),
        Runtime::Mio => readiness::run_client(&client_options, setting),
        Runtime::Smol => asynchronous::run_client(&client_options, setting),
    }
}

/// Holds idle peers, each with a socket and an endpoint of its own.
fn hold_peers(count: NonZeroUsize, server: SocketAddr, runtime: Runtime) -> Result<(), Failure> {
    // What many clients in one process need each is little, and nobody is there to acknowledge later.
    let mut setting = Setting { config: Config::bare(), socket: SocketOptions::default() };
    setting.config.initial_rtt = Config::lan().initial_rtt;
    setting.config.ack_delay_max = Duration::ZERO;
    let (lines, mut out) = (stdin().lock(), stdout());
    match runtime {
        Runtime::Std => {
            convention::hold_peers(count, lines, &mut out, || blocking::connect(server, PROGRAM, setting.clone()))
        }
        Runtime::Mio => {
            convention::hold_peers(count, lines, &mut out, || readiness::connect(server, PROGRAM, setting.clone()))
        }
        Runtime::Smol => {
            convention::hold_peers(count, lines, &mut out, || asynchronous::connect(server, PROGRAM, setting.clone()))
        }
    }
}

fn runtime(options: &Options<'_>) -> Result<Runtime, Failure> {
    Ok(options.choice("runtime")?.unwrap_or(Runtime::Std))
}

/// What an end is opened with.
#[derive(Clone)]
struct Setting {
    config: Config,
    socket: SocketOptions,
}

impl Setting {
    fn of(options: &Options<'_>) -> Result<Self, Failure> {
        let mut socket = SocketOptions::default();
        if !joins_datagrams() {
            socket.gso = TryOffload::Never;
        }
        if let Some(time) = options.busy_poll()? {
            socket.busy_poll = BusyPoll::UpTo(time);
        }
        Ok(Self { config: config(options)?, socket })
    }
}

/// Returns what a user would set for this address, or what makes a rung of the ladder.
fn config(options: &Options<'_>) -> Result<Config, Failure> {
    if let Some(rung) = options.choice::<Rung>("rung")? {
        return Ok(rung.config());
    }
    let is_here = options.addr()?.ip().to_canonical().is_loopback();
    Ok(if is_here { Config::lan() } else { Config::internet() })
}

/// As many as idle clients are counted by, all of them on one address.
const PEER_COUNT_MAX: usize = 16_384;

/// The program that the ends agree on.
const PROGRAM: u32 = 1;
const VERSION: u32 = 1;
/// Brings back its arguments.
const ECHO: u32 = Procedure::Echo as u32;
/// Answers when the application has got as many octets in messages as the arguments say, a big-endian u64.
const COUNT: u32 = 2;
/// Says how long its arguments are, in a big-endian u64. As [`ECHO`] it has the number that it has in the built-in service.
const LENGTH: u32 = Procedure::Length as u32;

/// The channel of the messages of bulk.
const CHANNEL: u64 = 0;
/// How far a sender of bulk gets ahead of what is acknowledged: as far as it would with messages that the endpoint copies.
const AHEAD_LEN_MAX: usize = 64 << 20;

/// Says whether datagrams are to leave singly, so that the kernel's counters are true.
fn joins_datagrams() -> bool {
    std::env::var_os("PEER_NO_GSO").is_none_or(|value| value != "1")
}
