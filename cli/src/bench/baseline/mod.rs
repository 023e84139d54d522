//! `posthaste bench baseline`: what plain sockets reach on this machine, the limit for anything built on them.

mod pipeline;
mod table;
mod tcp;
mod udp;

use core::num::NonZeroUsize;
use core::time::Duration;
use std::io;

use clap::{Args, ValueEnum};

use self::table::Table;
use super::blocks::BlockArgs;
use super::convention::{ClientOptions, Options, Work};
use super::driver::{self, Contestant, Network, Server};
use super::machine::Cores;
use crate::failure::{Code, Failure};
use crate::output;
use crate::runtime::Runtime;

/// Measure what plain UDP and TCP sockets reach on this machine.
///
/// Client and server are two processes on loopback, each on a core of its own. The kinds of work take turns in short
/// blocks; shown are medians over the blocks, with the interval that holds the true median with 95 % confidence.
#[derive(Args)]
pub(crate) struct BaselineArgs {
    #[command(flatten)]
    blocks: BlockArgs,
    /// Calls kept open where there are many
    #[arg(long, value_name = "COUNT", default_value = "64", value_parser = parse_inflight)]
    inflight: NonZeroUsize,
    /// Measure this adapter beside the plain sockets
    #[arg(long, value_name = "NAME")]
    runtime: Option<Runtime>,
}

/// Be one end of a plain-socket measurement.
#[derive(Args)]
pub(crate) struct PeerArgs {
    role: Role,
    transport: Transport,
    /// The options of the bench convention.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Server,
    Client,
}

#[derive(Clone, Copy, ValueEnum)]
enum Transport {
    Udp,
    Tcp,
}

/// Measures and prints the table.
pub(crate) fn run(args: &BaselineArgs) -> Result<(), Failure> {
    let program = driver::this_program()?;
    let contestants = contestants(&program, args);
    let cores = Cores::pick();
    let blocks = driver::interleave(&contestants, cores, args.blocks.count, || ())?;
    let names = contestants.iter().map(|contestant| contestant.name.as_str()).collect();
    output::print(Table { names, blocks: &blocks, cores, block_len: args.blocks.len })
}

/// Serves or calls as the bench convention says.
pub(crate) fn run_peer(args: &PeerArgs) -> Result<(), Failure> {
    let options = Options::parse(&args.options)?;
    if let Role::Server = args.role {
        options.end_with_input();
    }
    match (args.role, args.transport) {
        (Role::Server, Transport::Udp) => udp::serve(options.addr()?),
        (Role::Server, Transport::Tcp) => tcp::serve(options.addr()?),
        (Role::Client, Transport::Udp) => udp::run_client(&options.client()?),
        (Role::Client, Transport::Tcp) => tcp::run_client(&options.client()?),
    }
}

fn contestants(program: &str, args: &BaselineArgs) -> Vec<Contestant> {
    let command = |words: &str| [program].into_iter().chain(words.split_whitespace()).map(str::to_owned).collect();
    let peer = |role: &str, transport: &str, options: &str| match args.runtime {
        Some(runtime) if runtime.name() == transport => {
            command(&format!("bench {role} --runtime {transport} {options}"))
        }
        _ => command(&format!("bench baseline-peer {role} {transport} {options}")),
    };
    let secs = args.blocks.len.0.as_secs_f64();
    let contestant = |name: String, transport: &str, work: &str| Contestant {
        name,
        server: Server::Command(peer("server", transport, "")),
        network: Network::Direct,
        client: peer("client", transport, &format!("{work} --warm {WARM_SECS} --secs {secs}")),
    };
    let echo = |transport: &str, inflight: usize| {
        let work = format!("--work echo --size {ECHO_LEN} --inflight {inflight}");
        contestant(format!("{transport} echo, {inflight} in flight"), transport, &work)
    };
    let many = args.inflight.get();
    let bulk =
        |transport: &str| contestant(format!("{transport} bulk"), transport, &format!("--work bulk --msg {BULK_LEN}"));
    let mut contestants = vec![echo("udp", 1), echo("tcp", 1), echo("udp", many), echo("tcp", many)];
    if let Some(runtime) = args.runtime {
        let name = runtime.name();
        contestants.extend([echo(name, 1), echo("udp", 1), echo(name, many), echo("tcp", many), bulk(name)]);
    }
    contestants.push(bulk("tcp"));
    contestants
}

fn parse_inflight(text: &str) -> Result<NonZeroUsize, String> {
    let count = text.parse().ok().filter(|count: &NonZeroUsize| count.get() <= udp::CALL_COUNT_MAX);
    count.ok_or_else(|| format!("from 1 call to {}", udp::CALL_COUNT_MAX))
}

pub(super) use self::udp::{CALL_COUNT_MAX as DATAGRAM_COUNT_MAX, CALL_LEN_MAX as DATAGRAM_LEN_MAX};

/// Octets in a call and in its reply.
pub(super) const ECHO_LEN: usize = 32;

/// Octets in a message of bulk.
pub(super) const BULK_LEN: usize = 1 << 20;

/// Seconds of warm-up: connections have grown their windows, the processor its clock. Our choice.
pub(super) const WARM_SECS: f64 = 0.2;

/// How long a socket waits for an answer that on loopback comes at once, before it is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Repeats what a signal interrupted: where a timeout is set, a process that was stopped and goes on is told so (signal(7)).
fn uninterrupted<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match work() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn no_answer(error: &io::Error) -> Failure {
    Failure::local("the server does not answer", error)
}

fn unknown_work(options: &ClientOptions) -> Failure {
    let work = match options.work {
        Work::Echo { .. } | Work::Load { .. } => "calls of this size or number",
        Work::Upload { .. } => "upload",
        Work::Bulk { .. } => "bulk",
        Work::Send { .. } => "send",
    };
    Failure::new(Code::Usage, format_args!("plain sockets of this kind do not do {work}"))
}
