//! How the two processes of a measurement talk to the one that measures: options in, lines out.
//!
//! ```text
//! server --addr A --system NAME      prints READY when it listens, serves until it is killed
//! client --addr A --system NAME
//!        --work echo --size OCTETS --inflight COUNT [--warm SECONDS] [--secs SECONDS] [--calls COUNT]
//!        --work bulk --msg OCTETS                   [--warm SECONDS] [--secs SECONDS] [--bytes OCTETS]
//!     connects, warms up, prints WARM, reads GO, works until a limit is reached, prints
//!     DONE calls=N secs=S p50=US p99=US p999=US     or     DONE bytes=N secs=S
//! client --addr A --system NAME --work idle --conns COUNT
//!     opens so many conversations, makes one call on each, prints WARM, reads GO, prints
//!     DONE conns=N
//! ```
//!
//! Each option has one value, the last of several counts, and unknown ones are ignored. With `--blocks COUNT` the client
//! takes so many GO, each answered by a DONE; with `--end-with input` the server ends when its standard input does; with
//! `--busy-poll MICROSECONDS` an end of plain UDP looks at its socket for ever instead of sleeping.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, BufRead, Write};
use std::time::Instant;
use std::{process, thread};

use super::{Block, Client, System, Waiting};
use crate::options::{Options, usage};

/// Does what the arguments say, which begin with `server` or `client`.
///
/// # Errors
/// If they say nothing that makes sense, or the work fails.
pub fn run(args: &[String], lines: impl BufRead, out: &mut impl Write) -> io::Result<()> {
    let (role, options) = args.split_first().ok_or_else(|| usage("neither server nor client"))?;
    let options = Options::parse(options)?;
    let (system, address) = (options.required::<System>("system")?, options.required("addr")?);
    match role.as_str() {
        "server" => serve(system, address, &options, out),
        "client" => run_client(system, address, &options, lines, out),
        other => Err(usage(&format!("'{other}' is neither server nor client"))),
    }
}

fn serve(system: System, address: SocketAddr, options: &Options<'_>, out: &mut impl Write) -> io::Result<()> {
    if options.optional::<String>("end-with")?.is_some_and(|what| what == "input") {
        // A pipe from the process that measures ends with that process, however it ends: no server is left behind.
        thread::spawn(|| {
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            process::exit(0);
        });
    }
    let mut said = Ok(());
    system.serve(address, waiting(options), |_| said = say(out, "READY"))?;
    said
}

fn run_client(
    system: System,
    address: SocketAddr,
    options: &Options<'_>,
    lines: impl BufRead,
    out: &mut impl Write,
) -> io::Result<()> {
    let work = Work::parse(options)?;
    if let Work::Idle { count } = work {
        return hold_conversations(system, address, count, lines, out);
    }
    let mut client = system.connect(address, waiting(options))?;
    let warm = options.optional::<f64>("warm")?.unwrap_or(0.0);
    work.run(client.as_mut(), Block::new(Some(seconds(warm)?), None))?;
    say(out, "WARM")?;
    let duration = options.optional::<f64>("secs")?.map(seconds).transpose()?;
    let count = options.optional(work.limit_name())?;
    if duration.is_none() && count.is_none() {
        return Err(usage("the work has no end: give --secs, --calls or --bytes"));
    }
    for line in lines.lines().take(options.optional("blocks")?.unwrap_or(1)) {
        check_go(&line?)?;
        let started = Instant::now();
        let (amount, block) = work.run(client.as_mut(), Block::new(duration, count))?;
        let mut done = format!("DONE {}={amount} secs={:.9}", work.limit_name(), started.elapsed().as_secs_f64());
        for (name, part) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
            if let Some(micros) = block.as_ref().and_then(|block| block.quantile(part)) {
                done += &format!(" {name}={micros:.3}");
            }
        }
        say(out, &done)?;
    }
    Ok(())
}

fn hold_conversations(
    system: System,
    address: SocketAddr,
    count: usize,
    mut lines: impl BufRead,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        let mut client = system.connect(address, Waiting::Asleep)?;
        client.echo(32, 1, Block::new(None, Some(1)))?;
        clients.push(client);
    }
    say(out, "WARM")?;
    let mut line = String::new();
    lines.read_line(&mut line)?;
    check_go(line.trim_end())?;
    say(out, &format!("DONE conns={}", clients.len()))
}

fn waiting(options: &Options<'_>) -> Waiting {
    if options.has("busy-poll") { Waiting::Spinning } else { Waiting::Asleep }
}

/// What a client is to do.
#[derive(Clone, Copy)]
enum Work {
    Echo { len: usize, in_flight: usize },
    Bulk { len: usize },
    Idle { count: usize },
}

impl Work {
    fn parse(options: &Options<'_>) -> io::Result<Self> {
        match options.required::<String>("work")?.as_str() {
            "echo" => Ok(Self::Echo { len: options.required("size")?, in_flight: options.required("inflight")? }),
            "bulk" => Ok(Self::Bulk { len: options.required("msg")? }),
            "idle" => Ok(Self::Idle { count: options.required("conns")? }),
            other => Err(usage(&format!("'{other}' is not a kind of work: echo, bulk or idle"))),
        }
    }

    /// Works until the block ends, and returns the calls made or the octets that arrived; times only calls.
    fn run(self, client: &mut dyn Client, block: Block) -> io::Result<(u64, Option<Block>)> {
        match self {
            Self::Echo { len, in_flight } => {
                client.echo(len, in_flight, block).map(|block| (block.begun_count(), Some(block)))
            }
            Self::Bulk { len } => client.bulk(len, block).map(|len| (len, None)),
            Self::Idle { .. } => Ok((0, None)),
        }
    }

    /// Returns what the amount of work is called, as an option and in what is said at the end.
    const fn limit_name(self) -> &'static str {
        match self {
            Self::Echo { .. } => "calls",
            Self::Bulk { .. } => "bytes",
            Self::Idle { .. } => "conns",
        }
    }
}

fn seconds(value: f64) -> io::Result<Duration> {
    Duration::try_from_secs_f64(value).map_err(|error| usage(&error.to_string()))
}

fn check_go(line: &str) -> io::Result<()> {
    if line == "GO" { Ok(()) } else { Err(usage(&format!("'{line}' stands where GO should be"))) }
}

fn say(out: &mut impl Write, line: &str) -> io::Result<()> {
    writeln!(out, "{line}")?;
    out.flush()
}
