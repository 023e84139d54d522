//! A server and a client, two processes that obey the bench convention.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::machine::{self, Setting, Traffic};
use super::target::RUNTIMES;
use crate::peers::System;

/// A system that takes part: how its two programs are called, without what they are to do.
#[derive(Clone, Debug)]
pub(super) struct Contestant {
    pub(super) name: String,
    pub(super) server: Vec<String>,
    pub(super) client: Vec<String>,
}

impl Contestant {
    /// Says whether it can be asked to do some work.
    pub(super) fn does(&self, work: Work) -> bool {
        let is_ours = RUNTIMES.contains(&self.name.as_str());
        match work {
            Work::Echo { .. } => true,
            Work::Spinning => is_ours || self.name == System::Udp.name(),
            Work::Threads => self.name == RUNTIMES[0],
            // UDP alone has no messages that are larger than a datagram.
            Work::Bulk => self.name != System::Udp.name(),
        }
    }

    /// Returns it with ends that wait as the work wants it.
    fn waiting_for(&self, work: Work) -> Self {
        let mut waiting = self.clone();
        if work == Work::Spinning {
            for command in [&mut waiting.server, &mut waiting.client] {
                command.extend(["--busy-poll", SPIN_MICROS].map(str::to_owned));
            }
        }
        waiting
    }
}

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Calls of 32 octets each way.
    Echo { in_flight: usize },
    /// As echo with one in flight, and neither end ever sleeps.
    Spinning,
    /// As echo with one in flight, by each of many threads of one client.
    Threads,
    /// Messages of 1 MiB.
    Bulk,
}

/// What was done in a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// Calls or octets.
    pub(super) amount: f64,
    pub(super) secs: f64,
    /// Microseconds, for calls.
    pub(super) p50: Option<f64>,
    /// Processor time of client and server together.
    pub(super) cpu: Duration,
}

/// Both processes, warm. They end when this is dropped.
pub(super) struct Pair {
    server: Process,
    client: Process,
}

impl Pair {
    /// Starts both on cores of their own, and waits until they are warm; `block_count` blocks, each as long as `limit` says,
    /// can follow.
    pub(super) fn start(
        contestant: &Contestant,
        work: Work,
        setting: Setting<'_>,
        limit: &[String],
        block_count: usize,
    ) -> io::Result<Self> {
        let blocks = ["--blocks".to_owned(), block_count.to_string()];
        let contestant = &contestant.waiting_for(work);
        Self::start_with(contestant, setting, &[&work.args()[..], limit, &blocks].concat(), |program| {
            Command::new(program)
        })
    }

    /// Starts both, each by the command that `wrap` makes of its program, with `work` for the client.
    fn start_with(
        contestant: &Contestant,
        setting: Setting<'_>,
        work: &[String],
        mut wrap: impl FnMut(&str) -> Command,
    ) -> io::Result<Self> {
        let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = ["--addr".to_owned(), SocketAddr::new(setting.server_ip(), port).to_string()];
        let mut start = |core, args: &[String]| {
            let mut command = wrap(&args[0]);
            command.args(&args[1..]).args(&address);
            Process::start(core, command)
        };
        let end = ["--end-with".to_owned(), "input".to_owned()];
        let server = [&contestant.server[..], &end].concat();
        let mut server = setting.at_server(|| start(setting.server_core, &server))?;
        server.expect("READY")?;
        let mut client = start(setting.client_core, &[&contestant.client[..], work].concat())?;
        client.expect("WARM")?;
        Ok(Self { server, client })
    }

    /// Works for one block.
    pub(super) fn run_block(&mut self) -> io::Result<Block> {
        let cpu_before = self.cpu_time()?;
        self.client.say("GO")?;
        let done = self.client.line()?;
        let cpu = self.cpu_time()? - cpu_before;
        let field = |name: &str| -> Option<f64> {
            let mut fields = done.strip_prefix("DONE ")?.split_whitespace().filter_map(|field| field.split_once('='));
            fields.find(|(found, _)| *found == name)?.1.parse().ok()
        };
        match (field("calls").or(field("bytes")), field("secs")) {
            (Some(amount), Some(secs)) if amount > 0.0 && secs > 0.0 => {
                Ok(Block { amount, secs, p50: field("p50"), cpu })
            }
            _ => Err(io::Error::other(format!("'{done}' is not what a client says when it is done"))),
        }
    }

    fn cpu_time(&self) -> io::Result<Duration> {
        Ok(machine::cpu_time(&self.server.child)? + machine::cpu_time(&self.client.child)?)
    }
}

/// Returns datagrams, and octets on the wire, that one call costs.
///
/// Offloads are off: the kernel counts what they join as one.
pub(super) fn traffic_per_call(
    contestant: &Contestant,
    in_flight: usize,
    setting: Setting<'_>,
) -> io::Result<(f64, f64)> {
    let call_count = (20_000 * in_flight).min(200_000);
    let work =
        [&Work::Echo { in_flight }.args()[..], &limit("--warm", "0.2"), &limit("--calls", &call_count.to_string())]
            .concat();
    let mut pair = Pair::start_with(contestant, setting, &work, |program| {
        let mut command = Command::new(program);
        command.env("PEER_NO_GSO", "1");
        command
    })?;
    let before = Traffic::read()?;
    let block = pair.run_block()?;
    let traffic = Traffic::read()?.since(before);
    Ok((traffic.datagram_count as f64 / block.amount, traffic.len as f64 / block.amount))
}

/// Returns the system calls that one call costs its client and its server, with one in flight.
///
/// They are the difference between a long and a short run, so that starting and ending cost nothing.
pub(super) fn system_calls_per_call(contestant: &Contestant, setting: Setting<'_>) -> io::Result<[f64; 2]> {
    let [short, long] = [2000u64, 12_000].map(|call_count| system_calls(contestant, setting, call_count));
    let (short, long) = (short?, long?);
    Ok([0, 1].map(|side| (long[side] as f64 - short[side] as f64) / 10_000.0))
}

/// Returns all system calls of client and server for so many calls.
fn system_calls(contestant: &Contestant, setting: Setting<'_>, call_count: u64) -> io::Result<[u64; 2]> {
    let work = [&Work::Echo { in_flight: 1 }.args()[..], &limit("--calls", &call_count.to_string())].concat();
    let mut counts: Vec<PathBuf> = Vec::new();
    let mut pair = Pair::start_with(contestant, setting, &work, |program| {
        let count = std::env::temp_dir().join(format!("duel-{}-{}.perf", std::process::id(), counts.len()));
        let mut command = Command::new("perf");
        command.args(["stat", "-x,", "-e", SYSTEM_CALL, "-o"]).arg(&count).arg(program);
        counts.push(count);
        command
    })?;
    pair.run_block()?;
    for process in [&mut pair.client, &mut pair.server] {
        process.end()?;
    }
    let count = |path: &Path| {
        let text = fs::read_to_string(path)?;
        fs::remove_file(path)?;
        perf_count(&text).ok_or_else(|| io::Error::other("perf does not count system calls"))
    };
    Ok([count(&counts[1])?, count(&counts[0])?])
}

/// Returns the memory that a server needs for a peer that is idle, in octets.
pub(super) fn memory_per_idle_peer(contestant: &Contestant, setting: Setting<'_>) -> io::Result<f64> {
    let memory_with = |peer_count: usize| {
        let work = ["--work", "idle", "--conns", &peer_count.to_string()].map(str::to_owned);
        let pair = Pair::start_with(contestant, setting, &work, |program| Command::new(program))?;
        machine::memory_len(&pair.server.child)
    };
    let (few, many) = (memory_with(10)?, memory_with(10 + IDLE_COUNT)?);
    Ok((many as f64 - few as f64) / IDLE_COUNT as f64)
}

/// Finds the count in what `perf stat -x,` writes.
fn perf_count(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains(SYSTEM_CALL))?;
    line.split(',').next()?.parse().ok()
}

/// Returns an option that limits a block or the warming.
pub(super) fn limit(name: &str, value: &str) -> [String; 2] {
    [name.to_owned(), value.to_owned()]
}

impl Work {
    fn args(self) -> Vec<String> {
        let in_flight;
        let args: &[&str] = match self {
            Self::Echo { in_flight: count } => {
                in_flight = count.to_string();
                &["--work", "echo", "--size", "32", "--inflight", &in_flight]
            }
            Self::Spinning => &["--work", "echo", "--size", "32", "--inflight", "1"],
            Self::Threads => &["--work", "echo", "--size", "32", "--inflight", "1", "--threads", THREAD_COUNT],
            Self::Bulk => &["--work", "bulk", "--msg", "1048576"],
        };
        args.iter().map(|arg| (*arg).to_owned()).collect()
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo { in_flight } => write!(f, "echo of 32 octets, {in_flight} in flight"),
            Self::Spinning => write!(f, "echo of 32 octets, 1 in flight, both ends spinning"),
            Self::Threads => write!(f, "echo of 32 octets, 1 in flight for each of {THREAD_COUNT} threads of a client"),
            Self::Bulk => write!(f, "bulk in messages of 1 MiB"),
        }
    }
}

/// One of the two. It is killed when this is dropped.
struct Process {
    child: Child,
    /// `None` once it was told that nothing follows.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(core: usize, mut command: Command) -> io::Result<Self> {
        let mut child = machine::spawn_on(core, command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take().expect("it is piped"));
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?, "{line}")
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn expect(&mut self, expected: &str) -> io::Result<()> {
        match self.line()? {
            line if line == expected => Ok(()),
            line => Err(io::Error::other(format!("'{line}' stands where {expected} should be"))),
        }
    }

    /// Ends its input, and waits until it ends.
    fn end(&mut self) -> io::Result<()> {
        self.input = None;
        self.child.wait().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended needs neither.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Counting at this point slows nothing down, where `strace` would make another program of what it watches.
const SYSTEM_CALL: &str = "raw_syscalls:sys_enter";

/// Longer than any wait of a block.
const SPIN_MICROS: &str = "1000000";

/// Many more than there are cores.
const THREAD_COUNT: &str = "64";

/// Fewer than the sockets that a process may open by default.
const IDLE_COUNT: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_in_what_perf_writes() {
        let text = "# started on a day\n\n28499,,raw_syscalls:sys_enter,329833711,100.00,,\n";
        assert_eq!(perf_count(text), Some(28_499));
        assert_eq!(perf_count("<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n"), None);
    }
}
