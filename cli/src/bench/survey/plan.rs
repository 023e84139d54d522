//! What is measured beside what.

use clap::ValueEnum;

use super::quantity::{self, Quantity};
use crate::bench::baseline::{BULK_LEN, ECHO_LEN, WARM_SECS};
use crate::bench::driver::Contestant;
use crate::bench::runtime::Rung;
use crate::runtime::Runtime;
use crate::value::TimeSpan;

/// Contestants that take turns at the same work.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// Its name in the machine-readable result; it stays.
    pub(super) key: &'static str,
    /// What is done.
    pub(super) title: String,
    /// What is measured; the first is what contestants are compared by.
    pub(super) quantities: &'static [Quantity],
    /// The first is what the others are compared with.
    pub(super) contestants: Vec<Contestant>,
    /// What the first is.
    pub(super) reference: Reference,
}

/// What contestants are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// Plain sockets: what the machine can do.
    Limit,
    /// The first rung.
    FirstRung,
}

impl Stage {
    /// Returns all stages, in the order in which they run.
    pub(super) fn all(program: &str, block_len: TimeSpan) -> Vec<Self> {
        let maker = Maker { program, secs: block_len.0.as_secs_f64() };
        let echo = |inflight: usize| format!("--work echo --size {ECHO_LEN} --inflight {inflight}");
        let bulk = format!("--work bulk --msg {BULK_LEN}");
        vec![
            Self {
                key: "one_call",
                title: format!("one call at a time, {ECHO_LEN} octets each way"),
                quantities: ONE_CALL,
                contestants: maker.beside_sockets(&["udp", "tcp"], &echo(1)),
                reference: Reference::Limit,
            },
            Self {
                key: "many_calls",
                title: format!("{INFLIGHT_COUNT} calls in flight, {ECHO_LEN} octets each way"),
                quantities: MANY_CALLS,
                contestants: maker.beside_sockets(&["tcp", "udp"], &echo(INFLIGHT_COUNT)),
                reference: Reference::Limit,
            },
            Self {
                key: "bulk",
                title: format!("bulk, messages of {} KiB in order", BULK_LEN / 1024),
                quantities: BULK,
                contestants: maker.beside_sockets(&["tcp"], &bulk),
                reference: Reference::Limit,
            },
            Self {
                key: "ladder",
                title: "the rungs of the ladder, std, datagrams of 1200 octets".to_owned(),
                quantities: LADDER,
                contestants: Rung::value_variants().iter().map(|rung| maker.rung(*rung)).collect(),
                reference: Reference::FirstRung,
            },
        ]
    }
}

/// Makes contestants of this program.
struct Maker<'a> {
    program: &'a str,
    secs: f64,
}

impl Maker<'_> {
    fn beside_sockets(&self, transports: &[&str], work: &str) -> Vec<Contestant> {
        let sockets = transports.iter().map(|transport| {
            let [server, client] = ["server", "client"].map(|role| format!("bench baseline-peer {role} {transport}"));
            self.contestant(format!("plain {transport}"), &server, &client, work)
        });
        let runtimes = Runtime::value_variants().iter().map(|runtime| {
            let name = runtime.name();
            let [server, client] = ["server", "client"].map(|role| format!("bench {role} --runtime {name}"));
            self.contestant(name.to_owned(), &server, &client, work)
        });
        sockets.chain(runtimes).collect()
    }

    fn rung(&self, rung: Rung) -> Contestant {
        let [server, client] = ["server", "client"]
            .map(|role| format!("bench {role} --runtime {} --rung {}", Runtime::Std.name(), rung.name()));
        let work = format!("--work {} --msg {}", rung.work(), rung.message_len());
        let name = format!("{}, {} KiB", rung.title(), rung.message_len() / 1024);
        self.contestant(name, &server, &client, &work)
    }

    fn contestant(&self, name: String, server: &str, client: &str, work: &str) -> Contestant {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<String>>();
        let command = |text: &str| [vec![self.program.to_owned()], words(text)].concat();
        let client = format!("{client} {work} --warm {WARM_SECS} --secs {}", self.secs);
        Contestant { name, server: command(server), client: command(&client) }
    }
}

const ONE_CALL: &[Quantity] = &[
    quantity::P50,
    quantity::P99,
    quantity::P999,
    quantity::CALL_RATE,
    quantity::CLIENT_CPU_PER_CALL,
    quantity::SERVER_CPU_PER_CALL,
    quantity::DATAGRAMS_PER_CALL,
];

const MANY_CALLS: &[Quantity] = &[
    quantity::CALL_RATE,
    quantity::P50,
    quantity::P99,
    quantity::P999,
    quantity::CLIENT_CPU_PER_CALL,
    quantity::SERVER_CPU_PER_CALL,
    quantity::DATAGRAMS_PER_CALL,
];

const BULK: &[Quantity] =
    &[quantity::BULK_RATE, quantity::CLIENT_CPU_PER_GB, quantity::SERVER_CPU_PER_GB, quantity::DATAGRAMS_PER_MB];

const LADDER: &[Quantity] = &[quantity::BULK_RATE, quantity::SEND_P50, quantity::SEND_P99, quantity::DATAGRAMS_PER_MB];

/// Calls kept open where there are many.
pub(super) const INFLIGHT_COUNT: usize = 64;
