//! `posthaste rpcinfo`: what a portmapper knows, and which of it answers.

use core::fmt;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use clap::Args;
use posthaste_std::onc::portmap::{self, Registration, from_universal};
use posthaste_std::onc::{Client, ClientConfig, Request, Target, Transport};
use serde_json::json;

use crate::escape::{Escaped, EscapedJson};
use crate::failure::{Code, Failure};
use crate::output;
use crate::portmapper;
use crate::value::{HostAddress, TimeSpan};

/// List the programs of ONC RPC that a host's portmapper knows, and call procedure 0 of each.
///
/// Only the host itself is called, at the ports that its portmapper tells. Nothing protects what is said: anybody on the path can
/// forge it. Status 0 if the portmapper answered, whatever the programs did.
#[derive(Args)]
pub(crate) struct RpcinfoArgs {
    /// The host, with a port if its portmapper is not at 111
    #[arg(value_name = "HOST")]
    host: HostAddress,
    /// How long each answer may take
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = TimeSpan::parse_nonzero)]
    timeout: TimeSpan,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Asks the portmapper and its programs, and prints what they say.
pub(crate) fn run(args: &RpcinfoArgs) -> Result<(), Failure> {
    let addresses = args.host.0.resolve_all()?;
    if addresses.iter().any(|address| address.port() == 0) {
        return Err(Failure::new(Code::Usage, "no server has port 0").hint("give the port of the portmapper"));
    }
    let (portmapper, registrations) = ask_any(&addresses, args)?;
    let listing = Listing { services: services(), answers: ping_all(portmapper, &registrations, args.timeout.0) };
    if args.json { output::print(format_args!("{}\n", EscapedJson(&listing.json()))) } else { output::print(listing) }
}

/// Asks the first of the portmapper's addresses that answers.
fn ask_any(addresses: &[SocketAddr], args: &RpcinfoArgs) -> Result<(SocketAddr, Vec<Registration>), Failure> {
    let mut last = String::new();
    for address in addresses {
        // Over TCP the answer may be long, and portmappers tell those whose address is proven.
        for transport in [Transport::Tcp, Transport::Udp] {
            match ask(*address, transport, args.timeout.0) {
                Ok(registrations) => return Ok((*address, registrations)),
                Err(reason) => last = format!("over {transport}: {reason}"),
            }
        }
    }
    let what = format_args!("the portmapper of {} does not answer, {last}", args.host);
    Err(Failure::new(Code::Connect, what).hint("check that rpcbind runs there, and that its port is open"))
}

/// Asks a portmapper for all that it knows, in the newest version that it has.
fn ask(address: SocketAddr, transport: Transport, timeout: Duration) -> Result<Vec<Registration>, String> {
    let client = Client::connect(address, transport, config(timeout)).map_err(|error| error.to_string())?;
    portmapper::ask(&client, |version| Ok(portmap::dump(version))).map_err(|error| error.to_string())
}

/// Calls procedure 0 of all programs that can be reached at the portmapper's address, several at a time.
fn ping_all(portmapper: SocketAddr, registrations: &[Registration], timeout: Duration) -> Vec<Answer<'_>> {
    let begin = Instant::now();
    let next = AtomicUsize::new(0);
    let pings = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..PING_COUNT_MAX.min(registrations.len()) {
            scope.spawn(|| {
                while let Some((index, registration)) = take(&next, registrations) {
                    // However much a portmapper claims to know, the command ends.
                    let ping = if begin.elapsed() < PING_TIME_MAX {
                        ping(portmapper, registration, timeout)
                    } else {
                        Ping::NotTried
                    };
                    pings.lock().unwrap_or_else(PoisonError::into_inner).push((index, ping));
                }
            });
        }
    });
    let mut pings = pings.into_inner().unwrap_or_else(PoisonError::into_inner);
    pings.sort_by_key(|(index, _)| *index);
    pings.into_iter().map(|(index, ping)| Answer { registration: &registrations[index], ping }).collect()
}

fn take<'r, T>(next: &AtomicUsize, items: &'r [T]) -> Option<(usize, &'r T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, items.get(index)?))
}

/// Calls procedure 0 of one program.
fn ping(portmapper: SocketAddr, registration: &Registration, timeout: Duration) -> Ping {
    let transports = [Transport::Udp, Transport::Tcp].into_iter();
    let transport = transports.clone().find(|transport| portmap::netid(*transport, portmapper) == registration.netid);
    let (Some(transport), Some(listening)) = (transport, from_universal(&registration.address)) else {
        return Ping::NotTried;
    };
    if listening.port() == 0 {
        return Ping::NotTried;
    }
    // A portmapper sends us to no other host.
    let server = SocketAddr::new(portmapper.ip(), listening.port());
    let begin = Instant::now();
    let client = match Client::connect(server, transport, config(timeout)) {
        Ok(client) => client,
        Err(error) => return Ping::Failed(error.to_string()),
    };
    let target = Target { program: registration.program.number, version: registration.program.version, procedure: 0 };
    match client.call(&Request::new(target, &[])) {
        Ok(_) => Ping::Answered(begin.elapsed()),
        Err(failure) => Ping::Failed(failure.to_string()),
    }
}

fn config(timeout: Duration) -> ClientConfig {
    ClientConfig { timeout, ..ClientConfig::default() }
}

/// What a portmapper told, and what came of it.
struct Listing<'r> {
    services: HashMap<u32, String>,
    answers: Vec<Answer<'r>>,
}

/// One thing that a portmapper told, and what came of it.
struct Answer<'r> {
    registration: &'r Registration,
    ping: Ping,
}

/// What came of calling a program.
enum Ping {
    /// It answered after so long.
    Answered(Duration),
    /// It did not.
    Failed(String),
    /// It listens where it cannot be reached from here by UDP or TCP, or there was no time left.
    NotTried,
}

impl Listing<'_> {
    fn json(&self) -> serde_json::Value {
        let entry = |Answer { registration, ping }: &Answer<'_>| {
            let Registration { program, netid, address, owner } = registration;
            json!({
                "program": program.number,
                "version": program.version,
                "netid": netid,
                "address": address,
                "owner": owner,
                "service": self.services.get(&program.number),
                "ping_seconds": if let Ping::Answered(time) = ping { Some(time.as_secs_f64()) } else { None },
                "ping_error": if let Ping::Failed(reason) = ping { Some(reason) } else { None },
            })
        };
        self.answers.iter().map(entry).collect()
    }
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![["PROGRAM", "VERSION", "NETID", "ADDRESS", "SERVICE", "OWNER", "PING"].map(str::to_owned)];
        rows.extend(self.answers.iter().map(|Answer { registration, ping }| {
            let Registration { program, netid, address, owner } = registration;
            let service = self.services.get(&program.number).map_or("-", String::as_str);
            let shown = |text: &str| if text.is_empty() { "-".to_owned() } else { Escaped(text).to_string() };
            let ping = match ping {
                Ping::Answered(time) => format!("{:.3} ms", time.as_secs_f64() * 1e3),
                Ping::Failed(reason) => shown(reason),
                Ping::NotTried => "-".to_owned(),
            };
            let (number, version) = (program.number.to_string(), program.version.to_string());
            [number, version, shown(netid), shown(address), shown(service), shown(owner), ping]
        }));
        let widths: [usize; COLUMN_COUNT - 1] =
            core::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
        for row in &rows {
            for (cell, width) in row.iter().zip(widths) {
                write!(f, "{cell:width$}  ")?;
            }
            writeln!(f, "{}", row[COLUMN_COUNT - 1])?;
        }
        Ok(())
    }
}

/// Reads the names that this machine has for programs; where there is no such file, there are none.
fn services() -> HashMap<u32, String> {
    parse_services(&fs::read_to_string("/etc/rpc").unwrap_or_default())
}

/// Reads lines of a name, a number, and other names (rpc(5)).
fn parse_services(text: &str) -> HashMap<u32, String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let service = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let name = words.next()?;
        Some((words.next()?.parse().ok()?, name.to_owned()))
    };
    lines.filter_map(service).collect()
}

/// Those of the table.
const COLUMN_COUNT: usize = 7;

/// Programs that are called at a time; our choice.
const PING_COUNT_MAX: usize = 16;

/// After this long, no program is called any more; our choice.
const PING_TIME_MAX: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use posthaste_std::onc::portmap::Program;

    use super::*;

    #[test]
    fn a_listing_is_a_table_in_which_nothing_steers_the_terminal() {
        let [hostile, plain] = [("tcp\x1b[2J", "\u{202e}evil"), ("udp", "")].map(|(netid, owner)| Registration {
            program: Program { number: 100_000, version: 2 },
            netid: netid.into(),
            address: "0.0.0.0.0.111".into(),
            owner: owner.into(),
        });
        let listing = Listing {
            services: HashMap::from([(100_000, "portmapper".into())]),
            answers: vec![
                Answer { registration: &hostile, ping: Ping::NotTried },
                Answer { registration: &plain, ping: Ping::Answered(Duration::from_micros(1500)) },
            ],
        };
        let text = "\
PROGRAM  VERSION  NETID         ADDRESS        SERVICE     OWNER         PING
100000   2        tcp\\u{1b}[2J  0.0.0.0.0.111  portmapper  \\u{202e}evil  -
100000   2        udp           0.0.0.0.0.111  portmapper  -             1.500 ms
";
        assert_eq!(listing.to_string(), text);
        let json = listing.json();
        assert_eq!((&json[1]["ping_seconds"], &json[0]["ping_error"]), (&json!(0.0015), &json!(null)));
    }

    #[test]
    fn names_of_programs_are_read_as_the_system_writes_them() {
        let text = "# comment\nportmapper\t100000\tportmap sunrpc # more\n\nnfs 100003 nfsprog\nbroken\nx y\n";
        let services = parse_services(text);
        let expected = [(100_000, "portmapper"), (100_003, "nfs")].map(|(number, name)| (number, name.to_owned()));
        assert_eq!(services, HashMap::from(expected));
    }

    #[test]
    fn what_cannot_be_reached_is_not_tried() {
        for (netid, address) in
            [("local", "/run/rpcbind.sock"), ("tcp", "x"), ("udp6", "::.0.111"), ("tcp", "0.0.0.0.0.0")]
        {
            let program = Program { number: 1, version: 1 };
            let registration =
                Registration { program, netid: netid.into(), address: address.into(), owner: String::new() };
            let here = "127.0.0.1:111".parse().unwrap();
            assert!(matches!(ping(here, &registration, Duration::from_secs(1)), Ping::NotTried), "{netid}");
        }
    }
}
