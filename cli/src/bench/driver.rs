//! The process that measures: starts pairs of server and client, and lets them take turns.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::convention::{Amount, Done, GO, READY, WARM};
use super::machine::{self, Cores};
use crate::failure::{Code, Failure};
use crate::relay::{Background, LinkConfig};

/// One system to measure: programs that obey the bench convention.
#[derive(Clone, Debug)]
pub(super) struct Contestant {
    /// What to call it in messages.
    pub(super) name: String,
    /// Who answers.
    pub(super) server: Server,
    /// What lies between the two.
    pub(super) network: Network,
    /// The program of the client and its arguments, without `--addr` and `--blocks`.
    pub(super) client: Vec<String>,
}

/// Who answers the client of a contestant.
#[derive(Clone, Debug)]
pub(super) enum Server {
    /// A program that is started on this machine: its path and its arguments, without `--addr`.
    Command(Vec<String>),
    /// One that runs already, most likely elsewhere.
    Running(SocketAddr),
}

/// What lies between client and server.
#[derive(Clone, Debug)]
pub(super) enum Network {
    /// What there is.
    Direct,
    /// A relay, and a link of which each contestant has its own.
    Relayed(LinkConfig),
}

/// What a contestant did in one of its turns.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// What its client said.
    pub(super) done: Done,
    /// Processor time that its client used, where the system tells.
    pub(super) client_cpu: Option<Duration>,
    /// Processor time that its server used, where the system tells.
    pub(super) server_cpu: Option<Duration>,
}

impl Block {
    /// Returns what was done per second: calls, or octets.
    pub(super) fn rate(&self) -> f64 {
        let (amount, secs) = self.amount();
        amount / secs
    }

    /// Returns the processor time that client and server used for each call, or each octet, in nanoseconds.
    pub(super) fn cpu_nanos_each(&self) -> [Option<f64>; 2] {
        let (amount, _) = self.amount();
        [self.client_cpu, self.server_cpu].map(|time| Some(time?.as_nanos() as f64 / amount))
    }

    /// Returns how many datagrams the client sent and received for each call, or each octet.
    pub(super) fn datagrams_each(&self) -> Option<f64> {
        let (amount, _) = self.amount();
        Some(self.done.datagram_count? as f64 / amount)
    }

    /// Returns which share of the calls that were due could not be sent, where calls are due.
    pub(super) fn unsent_percent(&self) -> Option<f64> {
        let (amount, _) = self.amount();
        let unsent = self.done.unsent_count? as f64;
        Some(100.0 * unsent / (amount + unsent).max(1.0))
    }

    fn amount(&self) -> (f64, f64) {
        match self.done.amount {
            Amount::Calls(amount) | Amount::Octets(amount) => (amount as f64, self.done.secs),
        }
    }
}

/// Returns the path of this program, which is every contestant of ours.
///
/// # Errors
/// If the system does not tell, or the path is not text.
pub(super) fn this_program() -> Result<String, Failure> {
    std::env::current_exe()
        .ok()
        .and_then(|path| path.into_os_string().into_string().ok())
        .ok_or_else(|| Failure::new(Code::Local, "cannot find this program to start it again"))
}

/// Runs all contestants in rounds, each round one block of each, and returns the blocks by contestant and round.
///
/// All are started and warm before the first round; while one works, the others sleep. `on_block` is called after each.
///
/// # Errors
/// If a process cannot be started, ends early or does not obey the convention.
pub(super) fn interleave(
    contestants: &[Contestant],
    cores: Option<Cores>,
    round_count: usize,
    mut on_block: impl FnMut(),
) -> Result<Vec<Vec<Block>>, Failure> {
    let start = |contestant| Pair::start(contestant, cores, round_count);
    let mut pairs = contestants.iter().map(start).collect::<Result<Vec<Pair<'_>>, Failure>>()?;
    let mut blocks = vec![Vec::with_capacity(round_count); pairs.len()];
    for _ in 0..round_count {
        for (pair, blocks) in pairs.iter_mut().zip(&mut blocks) {
            blocks.push(pair.run_block()?);
            on_block();
        }
    }
    Ok(blocks)
}

/// The two processes of a contestant, and what lies between them.
struct Pair<'c> {
    contestant: &'c Contestant,
    client: Process,
    /// Held for as long as the client runs.
    _relay: Option<Background>,
    /// `None` if it is not ours.
    server: Option<Process>,
}

/// A process that ends when this is dropped.
struct Process {
    child: Child,
    /// Kept open also where nothing is written: a server ends with it.
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl<'c> Pair<'c> {
    fn start(contestant: &'c Contestant, cores: Option<Cores>, block_count: usize) -> Result<Self, Failure> {
        let local = |error: io::Error| Failure::local(format_args!("cannot start {}", contestant.name), &error);
        let (server, mut address) = match &contestant.server {
            Server::Running(address) => (None, *address),
            Server::Command(command) => {
                let address = free_address().map_err(local)?;
                let options = ["--addr", &address.to_string(), "--end-with", "input"];
                let server = Process::start(command, &options, cores.map(|cores| cores.server));
                let mut server = server.map_err(local)?;
                expect(contestant, &mut server, READY)?;
                (Some(server), address)
            }
        };
        let relay = match &contestant.network {
            Network::Direct => None,
            Network::Relayed(link) => Some(Background::start(address, link.clone(), FAULT_SEED).map_err(local)?),
        };
        if let Some(relay) = &relay {
            address = relay.address();
        }
        let options = ["--addr", &address.to_string(), "--blocks", &block_count.to_string()];
        let client = Process::start(&contestant.client, &options, cores.map(|cores| cores.client));
        let mut client = client.map_err(local)?;
        expect(contestant, &mut client, WARM)?;
        Ok(Self { contestant, client, _relay: relay, server })
    }

    fn run_block(&mut self) -> Result<Block, Failure> {
        let before = self.cpu_times();
        // If the client is gone, the line that it does not print says so.
        let _ = writeln!(self.client.input, "{GO}").and_then(|()| self.client.input.flush());
        let line = self.client.line();
        let done = line.parse().map_err(|_| disobeyed(self.contestant, "DONE and figures", &line))?;
        let after = self.cpu_times();
        let used = |end: usize| Some(after[end]?.saturating_sub(before[end]?));
        Ok(Block { done, client_cpu: used(0), server_cpu: used(1) })
    }

    /// Returns the processor times of client and server so far.
    fn cpu_times(&self) -> [Option<Duration>; 2] {
        [Some(&self.client), self.server.as_ref()].map(|process| machine::cpu_time(&process?.child))
    }
}

impl Process {
    fn start(command: &[String], options: &[&str], core: Option<usize>) -> io::Result<Self> {
        let (program, args) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(args).args(options).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = machine::spawn_on(core, &mut command)?;
        let input = child.stdin.take().expect("standard input is a pipe");
        let output = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        Ok(Self { child, input, output })
    }

    /// Returns the next line of output, or nothing if there is none.
    fn line(&mut self) -> String {
        let mut line = String::new();
        // What cannot be read is not what was expected either.
        let _ = self.output.read_line(&mut line);
        line.trim_end().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn expect(contestant: &Contestant, process: &mut Process, expected: &str) -> Result<(), Failure> {
    let line = process.line();
    if line == expected { Ok(()) } else { Err(disobeyed(contestant, expected, &line)) }
}

fn disobeyed(contestant: &Contestant, expected: &str, line: &str) -> Failure {
    let said = if line.is_empty() { "ended".to_owned() } else { format!("said '{line}'") };
    Failure::new(Code::Local, format_args!("{}: expected {expected}, but it {said}", contestant.name))
}

/// Returns an address of loopback that neither UDP nor TCP uses at the moment.
fn free_address() -> io::Result<SocketAddr> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    for _ in 0..FREE_ADDRESS_TRY_COUNT {
        let address = TcpListener::bind(any)?.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// The faults of every relay: all contestants meet the same. Our choice.
const FAULT_SEED: u64 = 1;

/// More than enough: the system hands out ports from a large range, few of which are taken.
const FREE_ADDRESS_TRY_COUNT: usize = 16;

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn contestants_take_turns_and_each_gets_its_own_blocks() {
        let log = std::env::temp_dir().join(format!("posthaste-driver-{}", std::process::id()));
        let client = |name: &str| {
            let path = log.display();
            format!("echo WARM; while read go; do echo {name} >> {path}; echo DONE bytes={name} secs=1; done")
        };
        let contestants = ["1", "2", "3"].map(|name| contestant("echo READY; read end", &client(name)));
        let blocks = interleave(&contestants, None, 4, || ()).unwrap();
        let rates: Vec<Vec<f64>> = blocks.iter().map(|blocks| blocks.iter().map(Block::rate).collect()).collect();
        assert_eq!(rates, [[1.0; 4], [2.0; 4], [3.0; 4]]);
        assert_eq!(std::fs::read_to_string(&log).unwrap().replace('\n', ""), "123123123123");
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_contestant_that_disobeys_is_named_with_what_it_said() {
        for (server, client, reason) in [
            ("echo HELLO", "", "sh: expected READY, but it said 'HELLO'"),
            ("exit 1", "", "sh: expected READY, but it ended"),
            ("echo READY; read end", "echo COLD", "sh: expected WARM, but it said 'COLD'"),
            ("echo READY; read end", "echo WARM", "sh: expected DONE and figures, but it ended"),
            (
                "echo READY; read end",
                "echo WARM; read go; echo DONE",
                "sh: expected DONE and figures, but it said 'DONE'",
            ),
        ] {
            let failure = interleave(&[contestant(server, client)], None, 1, || ()).unwrap_err().to_string();
            assert!(failure.contains(reason), "{failure}");
        }
        let server = Server::Command(vec!["/no/such/program".to_owned()]);
        let missing = Contestant { server, ..contestant("", "") };
        assert!(interleave(&[missing], None, 1, || ()).unwrap_err().to_string().contains("cannot start sh"));
    }

    fn contestant(server: &str, client: &str) -> Contestant {
        let command = |script: &str| ["sh", "-c", script].map(str::to_owned).to_vec();
        let server = Server::Command(command(server));
        Contestant { name: "sh".to_owned(), server, network: Network::Direct, client: command(client) }
    }
}
