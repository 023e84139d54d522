//! How the two processes of a measurement talk to the one that measures: options in, lines out.
//!
//! ```text
//! server --addr A [--runtime NAME]         prints READY when it listens, serves until it is killed
//! client --addr A [--runtime NAME]
//!        --work echo --size OCTETS --inflight COUNT [--warm SECONDS] [--secs SECONDS] [--calls COUNT]
//!        --work bulk --msg OCTETS                   [--warm SECONDS] [--secs SECONDS] [--bytes OCTETS]
//!     connects, warms up, prints WARM, reads GO, works until a limit is reached, prints
//!     DONE calls=N secs=S p50=US p99=US p999=US     or     DONE bytes=N secs=S
//! client --addr A [--runtime NAME] --work idle --conns COUNT
//!     opens so many peers, makes one call on each, prints WARM, reads GO, prints
//!     DONE conns=N
//! ```
//!
//! Each option has one value, the last of several counts, and unknown ones are ignored; the runtime is std if none is named.
//! What goes beyond the convention:
//!
//! - with `--blocks COUNT` the client takes so many GO, each answered by a DONE;
//! - with `--end-with input` the server ends when its standard input does;
//! - `--busy-poll MICROSECONDS`, which the server takes too, has an end look at its socket for so long before it sleeps;
//! - `--rung NAME`, given to both ends, configures them as one rung of the ladder;
//! - `--work send` is bulk in which each message is acknowledged before the next one is sent;
//! - `--threads COUNT` has so many threads of a client on std make the calls of echo, each with as many in flight;
//! - `--work load --size OCTETS --rate NUMBER` is an open loop: so many calls a second, whose times count from when they
//!   were due; DONE then has `unsent=N`, those that were due and could not be sent within the block;
//! - `--work upload --size OCTETS --inflight COUNT` is calls whose replies say how long their arguments were;
//! - `--program NUMBER` has the client call that program in place of the server's own;
//! - DONE ends with `datagrams=N`, sent and received, where the client can count them, and after bulk has p50, p99 and
//!   p999 of the time for which sending a message held up its sender;
//! - with `--times all` it ends with `times=NANOSECONDS:COUNT,...`, how many calls took how long.

use core::fmt;
use core::net::SocketAddr;
use core::num::NonZeroUsize;
use core::str::FromStr;
use core::time::Duration;
use std::io::{self, BufRead, Write};
use std::process;
use std::thread;
use std::time::Instant;

use clap::ValueEnum;
use hdrhistogram::Histogram;

use crate::failure::{Code, Failure};
use crate::output;

/// The options of a server or client, by name.
pub(super) struct Options<'a>(Vec<(&'a str, &'a str)>);

/// What a client was told to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ClientOptions {
    /// Where the server listens.
    pub(super) addr: SocketAddr,
    /// What to do.
    pub(super) work: Work,
    /// For how long to do it before it counts.
    pub(super) warm: Duration,
    /// For how long to do it, from GO to DONE.
    pub(super) secs: Option<Duration>,
    /// How many calls, or octets, to do, from GO to DONE.
    pub(super) count: Option<u64>,
    /// How many times.
    pub(super) block_count: u64,
    /// The program to call, if not that of `bench server`.
    pub(super) program: Option<u32>,
    /// How many threads make the calls of echo, each with as many in flight.
    pub(super) thread_count: NonZeroUsize,
    /// What to tell of the times of calls.
    pub(super) times: Times,
}

/// What a client tells of the times of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    /// Percentiles.
    Percentiles,
    /// How many took how long, too.
    All,
}

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Work {
    /// Calls that bring back what they carry.
    Echo {
        /// Octets each way.
        size: NonZeroUsize,
        /// Calls kept open.
        inflight: NonZeroUsize,
    },
    /// Calls as of echo, at a given rate.
    Load {
        /// Octets each way.
        size: NonZeroUsize,
        /// Calls a second, above zero.
        rate: f64,
    },
    /// Calls that bring back how long their arguments were.
    Upload {
        /// Octets of arguments.
        size: NonZeroUsize,
        /// Calls kept open.
        inflight: NonZeroUsize,
    },
    /// Messages in one direction, in order.
    Bulk {
        /// Octets in each.
        msg: NonZeroUsize,
    },
    /// As bulk, each message acknowledged before the next is sent.
    Send {
        /// Octets in each.
        msg: NonZeroUsize,
    },
}

/// When a block of work ends: at the first of its limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    until: Option<Instant>,
    count: u64,
}

/// How long the calls of a block took.
pub(super) struct Latency {
    histogram: Histogram<u64>,
    unsent_count: u64,
}

/// What is told of the times of a block.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CallTimes {
    /// The times within which most were answered.
    pub(super) percentiles: Percentiles,
    /// Those among them that were due and could not be sent.
    pub(super) unsent_count: u64,
    /// How many took how long: nanoseconds and count, in order.
    pub(super) all: Vec<(u64, u64)>,
}

/// What a client did in one block.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Done {
    /// How much.
    pub(super) amount: Amount,
    /// From GO to the last answer, in seconds.
    pub(super) secs: f64,
    /// How long each call took, or how long each message held up its sender, where that was taken.
    pub(super) latency: Option<Percentiles>,
    /// Calls of an open loop that were due and could not be sent; `None` where nothing is due.
    pub(super) unsent_count: Option<u64>,
    /// Datagrams that the client sent and received, where it can count them.
    pub(super) datagram_count: Option<u64>,
    /// How many calls took how long, nanoseconds and count, where that was asked for.
    pub(super) times: Vec<(u64, u64)>,
}

/// An amount of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    /// Calls that were answered.
    Calls(u64),
    /// Octets that the server's application got.
    Octets(u64),
}

/// The times within which 50, 99 and 99.9 % of the calls were answered, or messages sent, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
}

impl<'a> Options<'a> {
    /// Takes the arguments apart into names and values.
    ///
    /// # Errors
    /// If an argument that should be a name does not start with `--`, or a value is missing.
    pub(super) fn parse(args: &'a [String]) -> Result<Self, Failure> {
        let pairs = args.chunks(2).map(|pair| match pair {
            [name, value] if name.starts_with("--") => Ok((&name[2..], value.as_str())),
            _ => Err(usage(format_args!("'{}' is no option with one value", pair.join(" ")))),
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }

    /// Returns the address of `--addr`.
    pub(super) fn addr(&self) -> Result<SocketAddr, Failure> {
        self.required("addr")
    }

    /// Returns what an option chooses by its name, if it is given.
    pub(super) fn choice<T: ValueEnum>(&self, name: &str) -> Result<Option<T>, Failure> {
        let Some(value) = self.optional::<String>(name)? else { return Ok(None) };
        T::from_str(&value, false).map(Some).map_err(|_| usage(format_args!("'{value}' is no value for --{name}")))
    }

    /// Returns how many idle peers a client is to hold, if that is its work.
    pub(super) fn idle_count(&self) -> Result<Option<NonZeroUsize>, Failure> {
        if self.required::<String>("work")? == "idle" { self.required("conns").map(Some) } else { Ok(None) }
    }

    /// Reads what a client is told that works.
    pub(super) fn client(&self) -> Result<ClientOptions, Failure> {
        let (work, count) = match self.required::<String>("work")?.as_str() {
            "echo" => {
                let echo = Work::Echo { size: self.required("size")?, inflight: self.required("inflight")? };
                (echo, self.optional("calls")?)
            }
            "load" => {
                let rate = self.required::<f64>("rate")?;
                if !(rate > 0.0 && rate <= RATE_MAX) {
                    return Err(usage(format_args!("'{rate}' is no value for --rate")));
                }
                (Work::Load { size: self.required("size")?, rate }, self.optional("calls")?)
            }
            "upload" => {
                let upload = Work::Upload { size: self.required("size")?, inflight: self.required("inflight")? };
                (upload, self.optional("calls")?)
            }
            "bulk" => (Work::Bulk { msg: self.required("msg")? }, self.optional("bytes")?),
            "send" => (Work::Send { msg: self.required("msg")? }, self.optional("bytes")?),
            other => {
                return Err(usage(format_args!(
                    "'{other}' is not a kind of work: echo, load, upload, bulk, send or idle"
                )));
            }
        };
        let options = ClientOptions {
            addr: self.addr()?,
            work,
            warm: self.optional::<Seconds>("warm")?.map_or(Duration::ZERO, |seconds| seconds.0),
            secs: self.optional::<Seconds>("secs")?.map(|seconds| seconds.0),
            count,
            block_count: self.optional("blocks")?.unwrap_or(1),
            program: self.optional("program")?,
            thread_count: self.optional("threads")?.unwrap_or(NonZeroUsize::MIN),
            times: if self.0.contains(&("times", "all")) { Times::All } else { Times::Percentiles },
        };
        if options.secs.is_none() && options.count.is_none() {
            return Err(usage("the work has no end: give --secs, --calls or --bytes"));
        }
        Ok(options)
    }

    /// Returns how long to look at the socket before sleeping, if that is said.
    pub(super) fn busy_poll(&self) -> Result<Option<Duration>, Failure> {
        Ok(self.optional("busy-poll")?.map(Duration::from_micros))
    }

    /// Ends the process when its standard input ends, if `--end-with input` asks for that.
    ///
    /// A pipe from the process that measures ends with that process, however it ends: no server is left behind.
    pub(super) fn end_with_input(&self) {
        if self.0.contains(&("end-with", "input")) {
            thread::spawn(|| {
                // An input that cannot be read has ended too.
                let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
                process::exit(0);
            });
        }
    }

    fn required<T: FromStr>(&self, name: &str) -> Result<T, Failure> {
        self.optional(name)?.ok_or_else(|| usage(format_args!("--{name} is missing")))
    }

    fn optional<T: FromStr>(&self, name: &str) -> Result<Option<T>, Failure> {
        let Some((_, value)) = self.0.iter().rev().find(|(option, _)| *option == name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| usage(format_args!("'{value}' is no value for --{name}")))
    }
}

impl Limit {
    /// Makes a limit that starts to run at `now`.
    pub(super) fn new(now: Instant, duration: Option<Duration>, count: Option<u64>) -> Self {
        Self { until: duration.map(|duration| now + duration), count: count.unwrap_or(u64::MAX) }
    }

    /// Returns the limit of one of `count` threads that share the work.
    pub(super) fn share(self, index: usize, count: NonZeroUsize) -> Self {
        let (index, count) = (index as u64, count.get() as u64);
        Self { count: self.count / count + u64::from(index < self.count % count), ..self }
    }

    /// Returns how much is left to do after `done`. However short the time: a block in which nothing was done says nothing.
    pub(super) fn left(&self, now: Instant, done: u64) -> u64 {
        let is_over = done > 0 && self.until.is_some_and(|until| now >= until);
        if is_over { 0 } else { self.left_by_count(done) }
    }

    /// Returns how much is left to do after `done`, if there is time.
    pub(super) fn left_by_count(&self, done: u64) -> u64 {
        self.count.saturating_sub(done)
    }

    /// Returns when time is up.
    pub(super) fn end(&self) -> Option<Instant> {
        self.until
    }
}

impl Latency {
    /// Makes an empty record of times up to a minute, to three digits.
    pub(super) fn new() -> Self {
        Self {
            histogram: Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order"),
            unsent_count: 0,
        }
    }

    /// Adds the time of one call.
    pub(super) fn record(&mut self, time: Duration) {
        self.histogram.saturating_record(posthaste_core::time::nanos(time).max(1));
    }

    /// Adds a call that was due and could not be sent, with the time that it has waited.
    pub(super) fn record_unsent(&mut self, waited: Duration) {
        self.record(waited);
        self.unsent_count += 1;
    }

    /// Adds what another thread has recorded.
    pub(super) fn add(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("both have the same bounds");
        self.unsent_count += other.unsent_count;
    }

    /// Returns what was recorded, if anything was, and forgets it.
    pub(super) fn take(&mut self) -> Option<CallTimes> {
        if self.histogram.is_empty() {
            return None;
        }
        let micros = |quantile| self.histogram.value_at_quantile(quantile) as f64 / 1000.0;
        let percentiles = Percentiles { p50: micros(0.5), p99: micros(0.99), p999: micros(0.999) };
        let all = self.histogram.iter_recorded();
        let all = all.map(|step| (step.value_iterated_to(), step.count_at_value())).collect();
        let times = CallTimes { percentiles, unsent_count: self.unsent_count, all };
        self.histogram.reset();
        self.unsent_count = 0;
        Some(times)
    }
}

/// Says that the server listens.
pub(super) fn announce_ready(out: &mut impl Write) -> Result<(), Failure> {
    say(out, READY)
}

/// Leads a connected client through warm-up and blocks; `work` does as much as its limit allows and returns the calls
/// answered or the octets taken. `datagram_count` tells how many datagrams were sent and received so far, if it can.
///
/// Ends without an error when the lines end, because then nobody asks for more.
pub(super) fn run_client(
    options: &ClientOptions,
    lines: impl BufRead,
    out: &mut impl Write,
    datagram_count: impl Fn() -> Option<u64>,
    mut work: impl FnMut(Limit, &mut Latency) -> Result<u64, Failure>,
) -> Result<(), Failure> {
    let mut latency = Latency::new();
    if !options.warm.is_zero() {
        work(Limit::new(Instant::now(), Some(options.warm), None), &mut latency)?;
        latency.take();
    }
    say(out, WARM)?;
    let block_count = usize::try_from(options.block_count).unwrap_or(usize::MAX);
    for line in lines.lines().take(block_count) {
        check_go(line)?;
        let datagrams_before = datagram_count();
        let started = Instant::now();
        let amount = work(Limit::new(started, options.secs, options.count), &mut latency)?;
        let secs = started.elapsed().as_secs_f64();
        let amount = match options.work {
            Work::Echo { .. } | Work::Load { .. } => Amount::Calls(amount),
            Work::Upload { .. } | Work::Bulk { .. } | Work::Send { .. } => Amount::Octets(amount),
        };
        let datagram_count = datagram_count().zip(datagrams_before).map(|(after, before)| after - before);
        let taken = latency.take();
        let unsent_count = match options.work {
            Work::Load { .. } => Some(taken.as_ref().map_or(0, |times| times.unsent_count)),
            Work::Echo { .. } | Work::Upload { .. } | Work::Bulk { .. } | Work::Send { .. } => None,
        };
        let latency = taken.as_ref().map(|times| times.percentiles);
        let times = taken.filter(|_| options.times == Times::All).map(|times| times.all).unwrap_or_default();
        say(out, Done { amount, secs, latency, unsent_count, datagram_count, times })?;
    }
    Ok(())
}

/// Opens `count` peers, each of which has made a call, and holds them until it is told that they were looked at.
pub(super) fn hold_peers<T>(
    count: NonZeroUsize,
    mut lines: impl BufRead,
    out: &mut impl Write,
    open: impl Fn() -> Result<T, Failure>,
) -> Result<(), Failure> {
    let peers = (0..count.get()).map(|_| open()).collect::<Result<Vec<_>, _>>()?;
    say(out, WARM)?;
    let mut line = String::new();
    check_go(lines.read_line(&mut line).map(|_| line))?;
    say(out, format_args!("DONE conns={}", peers.len()))
}

fn check_go(line: io::Result<String>) -> Result<(), Failure> {
    let line = line.map_err(|error| Failure::local("cannot read standard input", &error))?;
    if line.trim_end() != GO {
        return Err(usage(format_args!("'{line}' stands where {GO} should be")));
    }
    Ok(())
}

/// Calls a second that nobody reaches.
pub(super) const RATE_MAX: f64 = 1e9;

/// What a server prints when it listens.
pub(super) const READY: &str = "READY";
/// What a client prints when it is warm.
pub(super) const WARM: &str = "WARM";
/// What a client reads before each block.
pub(super) const GO: &str = "GO";

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.amount {
            Amount::Calls(count) => write!(f, "DONE calls={count}")?,
            Amount::Octets(len) => write!(f, "DONE bytes={len}")?,
        }
        write!(f, " secs={:.9}", self.secs)?;
        if let Some(Percentiles { p50, p99, p999 }) = self.latency {
            write!(f, " p50={p50:.3} p99={p99:.3} p999={p999:.3}")?;
        }
        if let Some(count) = self.unsent_count {
            write!(f, " unsent={count}")?;
        }
        if let Some(count) = self.datagram_count {
            write!(f, " datagrams={count}")?;
        }
        for (index, (nanos, count)) in self.times.iter().enumerate() {
            write!(f, "{}{nanos}:{count}", if index == 0 { " times=" } else { "," })?;
        }
        Ok(())
    }
}

/// Why a line is not what a client says when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotDone;

impl FromStr for Done {
    type Err = NotDone;

    fn from_str(line: &str) -> Result<Self, NotDone> {
        let fields: Vec<(&str, &str)> =
            line.strip_prefix("DONE ").ok_or(NotDone)?.split_whitespace().filter_map(|f| f.split_once('=')).collect();
        let text = |name| fields.iter().find(|field| field.0 == name).map(|field| field.1);
        let count = |name| text(name).map(|text| text.parse::<u64>().map_err(|_| NotDone)).transpose();
        let time = |name| {
            let value: f64 = text(name).ok_or(NotDone)?.parse().map_err(|_| NotDone)?;
            if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(NotDone) }
        };
        let amount = match (count("calls")?, count("bytes")?) {
            (Some(count), None) => Amount::Calls(count),
            (None, Some(len)) => Amount::Octets(len),
            _ => return Err(NotDone),
        };
        let latency = match text("p50") {
            Some(_) => Some(Percentiles { p50: time("p50")?, p99: time("p99")?, p999: time("p999")? }),
            None => None,
        };
        let times = text("times").into_iter().flat_map(|times| times.split(','));
        let times = times.map(|step| {
            let (nanos, count) = step.split_once(':').ok_or(NotDone)?;
            Ok((nanos.parse().map_err(|_| NotDone)?, count.parse().map_err(|_| NotDone)?))
        });
        Ok(Self {
            amount,
            secs: time("secs")?,
            latency,
            unsent_count: count("unsent")?,
            datagram_count: count("datagrams")?,
            times: times.collect::<Result<_, NotDone>>()?,
        })
    }
}

/// A decimal number of seconds.
struct Seconds(Duration);

impl FromStr for Seconds {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let seconds: f64 = text.parse().map_err(|_| ())?;
        // Above a day, a deadline that is added to the clock could overflow it.
        if !(0.0..=86_400.0).contains(&seconds) {
            return Err(());
        }
        Ok(Self(Duration::from_secs_f64(seconds)))
    }
}

fn say(out: &mut impl Write, line: impl fmt::Display) -> Result<(), Failure> {
    output::write(out, format_args!("{line}\n"))
}

fn usage(what: impl fmt::Display) -> Failure {
    Failure::new(Code::Usage, what)
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    #[test]
    fn the_options_of_a_client_are_read_and_unknown_ones_ignored() {
        let args =
            "--addr 127.0.0.1:9 --work echo --size 32 --inflight 8 --warm 0.5 --calls 10 --runtime std --size 64";
        let echo = Work::Echo { size: nonzero(64), inflight: nonzero(8) };
        assert_eq!(parse(args).unwrap(), options(echo, Duration::from_millis(500), None, Some(10)));
        let args = "--addr 127.0.0.1:9 --work bulk --msg 100 --secs 2";
        let bulk = Work::Bulk { msg: nonzero(100) };
        assert_eq!(parse(args).unwrap(), options(bulk, Duration::ZERO, Some(Duration::from_secs(2)), None));
        let args = "--addr 127.0.0.1:9 --work load --size 8 --rate 0.5 --calls 3 --program 7 --times all";
        let load = options(Work::Load { size: nonzero(8), rate: 0.5 }, Duration::ZERO, None, Some(3));
        assert_eq!(parse(args).unwrap(), ClientOptions { program: Some(7), times: Times::All, ..load });
    }

    #[test]
    fn how_long_to_look_is_said_in_microseconds() {
        let busy_poll = |args: &[&str]| {
            let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
            Options::parse(&args).unwrap().busy_poll()
        };
        assert_eq!(busy_poll(&[]).unwrap(), None);
        assert_eq!(busy_poll(&["--busy-poll", "150"]).unwrap(), Some(Duration::from_micros(150)));
        assert!(busy_poll(&["--busy-poll", "1.5"]).is_err());
    }

    #[test]
    fn options_that_make_no_sense_are_wrong_usage() {
        for (args, reason) in [
            ("", "--work is missing"),
            ("--work", "'--work' is no option with one value"),
            ("work echo", "'work echo' is no option with one value"),
            ("--work sing", "'sing' is not a kind of work"),
            ("--work echo --size 0 --inflight 1", "'0' is no value for --size"),
            ("--work echo --size 1 --inflight -1", "'-1' is no value for --inflight"),
            ("--work load --size 1 --rate 0", "'0' is no value for --rate"),
            ("--work load --size 1 --rate NaN", "'NaN' is no value for --rate"),
            ("--work bulk --msg 1 --addr 127.0.0.1:65536", "'127.0.0.1:65536' is no value for --addr"),
            ("--work bulk --msg 1 --addr 127.0.0.1:9", "the work has no end"),
            ("--work bulk --msg 1 --addr 127.0.0.1:9 --secs NaN", "'NaN' is no value for --secs"),
            ("--work bulk --msg 1 --addr 127.0.0.1:9 --secs -1", "'-1' is no value for --secs"),
            ("--work bulk --msg 1 --addr 127.0.0.1:9 --secs 1e9", "'1e9' is no value for --secs"),
        ] {
            let failure = parse(args).expect_err(args).to_string();
            assert!(failure.contains(reason), "{args}: {failure}");
        }
    }

    #[test]
    fn idle_peers_are_held_until_they_were_looked_at() {
        let args = ["--work", "idle", "--conns", "3"].map(str::to_owned);
        let count = Options::parse(&args).unwrap().idle_count().unwrap().unwrap();
        let opened = Cell::new(0);
        let open = || {
            opened.set(opened.get() + 1);
            Ok(opened.get())
        };
        let mut out = Vec::new();
        hold_peers(count, &b"GO\n"[..], &mut out, open).unwrap();
        assert_eq!((opened.get(), out), (3, b"WARM\nDONE conns=3\n".to_vec()));
        assert!(hold_peers(count, &b""[..], &mut Vec::new(), open).is_err());
    }

    #[test]
    fn a_client_warms_up_and_answers_each_go_with_its_own_figures() {
        let echo = Work::Echo { size: nonzero(1), inflight: nonzero(1) };
        let options = ClientOptions { block_count: 2, ..options(echo, Duration::from_secs(1), None, Some(7)) };
        let mut out = Vec::new();
        let mut latencies = [1000, 2, 3].into_iter();
        let datagrams = Cell::new(0);
        let datagram_count = || Some(datagrams.get());
        run_client(&options, &b"GO\nGO\nGO\n"[..], &mut out, datagram_count, |limit, latency| {
            datagrams.set(datagrams.get() + 14);
            latency.record(Duration::from_micros(latencies.next().expect("a warm-up and two blocks")));
            Ok(limit.left(Instant::now(), 0))
        })
        .unwrap();
        let lines = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!((lines.len(), lines[0]), (3, WARM));
        for (line, micros) in lines[1..].iter().zip([2.0, 3.0]) {
            let done: Done = line.parse().unwrap();
            assert_eq!((done.amount, done.datagram_count), (Amount::Calls(7), Some(14)), "{line}");
            let latency = done.latency.unwrap();
            assert!((latency.p50 - micros).abs() < 0.01 && latency.p50 == latency.p999, "{line}");
        }
    }

    #[test]
    fn a_client_ends_when_nobody_asks_for_more_and_refuses_what_is_not_go() {
        let options = options(Work::Bulk { msg: nonzero(1) }, Duration::ZERO, None, Some(1));
        let run = |lines: &[u8]| run_client(&options, lines, &mut Vec::new(), || None, |_, _| Ok(0));
        assert!(run(b"").is_ok());
        assert!(run(b"STOP\n").is_err());
    }

    #[test]
    fn a_limit_is_the_first_of_time_and_count() {
        let now = Instant::now();
        let limit = Limit::new(now, Some(Duration::from_secs(1)), Some(10));
        assert_eq!(limit.left(now, 4), 6);
        assert_eq!(limit.left(now, 11), 0);
        assert_eq!(limit.left(now + Duration::from_secs(1), 4), 0);
        assert_eq!(limit.left(now + Duration::from_secs(1), 0), 10, "something is done whatever the time");
    }

    #[test]
    fn threads_share_a_count_and_the_time() {
        let now = Instant::now();
        let limit = Limit::new(now, Some(Duration::from_secs(1)), Some(11));
        let shares = [0, 1, 2].map(|index| limit.share(index, nonzero(3)));
        assert_eq!(shares.map(|share| share.left(now, 0)), [4, 4, 3]);
        assert!(shares.iter().all(|share| share.end() == limit.end()));
    }

    #[test]
    fn what_a_client_says_reads_back() {
        let latency = Some(Percentiles { p50: 12.345, p99: 20.0, p999: 1000.5 });
        for done in [
            Done { latency, datagram_count: Some(14), ..done(Amount::Calls(7), 0.123_456_789) },
            Done { latency, unsent_count: Some(3), times: vec![(100, 6), (2000, 1)], ..done(Amount::Calls(7), 1.0) },
            done(Amount::Octets(1 << 40), 2.0),
        ] {
            assert_eq!(done.to_string().parse(), Ok(done));
        }
        for line in [
            "",
            "DONE",
            "DONE secs=1",
            "DONE calls=1",
            "DONE calls=1 secs=1 p50=1",
            "DONE bytes=1 secs=NaN",
            "DONE bytes=-1 secs=1",
            "DONE calls=1 secs=1 times=7",
            "WARM",
        ] {
            assert_eq!(line.parse::<Done>(), Err(NotDone), "{line}");
        }
    }

    fn done(amount: Amount, secs: f64) -> Done {
        Done { amount, secs, latency: None, unsent_count: None, datagram_count: None, times: Vec::new() }
    }

    fn parse(args: &str) -> Result<ClientOptions, Failure> {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args)?.client()
    }

    fn options(work: Work, warm: Duration, secs: Option<Duration>, count: Option<u64>) -> ClientOptions {
        let addr = "127.0.0.1:9".parse().unwrap();
        let (program, times) = (None, Times::Percentiles);
        ClientOptions { addr, work, warm, secs, count, block_count: 1, program, thread_count: NonZeroUsize::MIN, times }
    }

    fn nonzero(value: usize) -> NonZeroUsize {
        value.try_into().unwrap()
    }
}
