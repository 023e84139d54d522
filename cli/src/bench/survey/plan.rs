//! What is measured beside what.

use core::net::SocketAddr;
use core::time::Duration;

use clap::ValueEnum;

use super::sweep::{CallRate, CallSize, InFlight, SweepArgs};
use crate::bench::baseline::{self, BULK_LEN, ECHO_LEN, WARM_SECS};
use crate::bench::blocks::BlockArgs;
use crate::bench::driver::{Contestant, Network, Server};
use crate::bench::report::quantity::{self, Quantity};
use crate::bench::report::{Axis, Reference};
use crate::bench::runtime::Rung;
use crate::bench::stats;
use crate::relay::LinkConfig;
use crate::runtime::Runtime;
use crate::service;
use crate::value::{Percentage, Rate};

/// Contestants that take turns at work of one kind.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// Its name in documents; it stays.
    pub(super) key: &'static str,
    /// What is done.
    pub(super) title: String,
    /// What is measured; the first is what contestants are compared by.
    pub(super) quantities: &'static [Quantity],
    /// What contestants are compared with.
    pub(super) reference: Reference,
    /// What differs from one entry of a series to the next.
    pub(super) over: Option<Axis>,
    /// How many blocks of each.
    pub(super) block_count: usize,
    pub(super) entries: Vec<Entry>,
}

/// A contestant and its place.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Who it is.
    pub(super) series: String,
    /// Where it stands on the axis.
    pub(super) x: Option<f64>,
    /// The most that can be reached, where that needs no measurement.
    pub(super) limit: Option<f64>,
    /// The index of the entry with which it is compared.
    pub(super) compared_with: Option<usize>,
    pub(super) contestant: Contestant,
}

/// What plans are made of.
pub(super) struct Planner<'a> {
    /// The path of this program.
    pub(super) program: &'a str,
    pub(super) blocks: &'a BlockArgs,
    /// The adapters to measure.
    pub(super) runtimes: Vec<Runtime>,
    /// A server that runs elsewhere.
    pub(super) to: Option<SocketAddr>,
}

impl Planner<'_> {
    /// Returns what is measured where no sweep is asked for, in the order in which it runs.
    pub(super) fn comparison(&self) -> Vec<Stage> {
        let octets = format!("{ECHO_LEN} octets each way");
        let mut stages = vec![
            self.stage("one_call", format!("one call at a time, {octets}"), ONE_CALL)
                .with(self.sockets(&["udp", "tcp"], &echo(ECHO_LEN, 1)))
                .with(self.adapters(&echo(ECHO_LEN, 1))),
            self.stage("many_calls", format!("{INFLIGHT_COUNT} calls in flight, {octets}"), MANY_CALLS)
                .with(self.sockets(&["tcp", "udp"], &echo(ECHO_LEN, INFLIGHT_COUNT)))
                .with(self.adapters(&echo(ECHO_LEN, INFLIGHT_COUNT))),
        ];
        let bulk = format!("--work bulk --msg {BULK_LEN}");
        if self.to.is_some() {
            // Messages in order are nothing that a server of calls takes.
            let title = format!("bulk: uploads in calls of {} KiB, {UPLOAD_COUNT} in flight", UPLOAD_LEN / 1024);
            let stage = self.stage("upload", title, BULK).with(self.sockets(&["tcp"], &bulk));
            stages.push(stage.with(self.adapters(&upload(UPLOAD_LEN, UPLOAD_COUNT))));
            return stages;
        }
        let title = format!("bulk, messages of {} KiB in order", BULK_LEN / 1024);
        let stage = self.stage("bulk", title, BULK).with(self.sockets(&["tcp"], &bulk));
        stages.push(stage.with(self.adapters(&bulk)));
        let title = "the rungs of the ladder, std, datagrams of 1200 octets".to_owned();
        let ladder = Stage { reference: Reference::FirstRung, ..self.stage("ladder", title, LADDER) };
        stages.push(ladder.with(Rung::value_variants().iter().map(|rung| self.rung(*rung)).collect()));
        stages
    }

    /// Returns the sweeps that were asked for.
    pub(super) fn sweeps(&self, sweeps: &SweepArgs) -> Vec<Stage> {
        let in_flight = sweeps.in_flight.iter().map(|list| self.over_in_flight(&list.0));
        let size = sweeps.size.iter().map(|list| self.over_size(&list.0));
        let rate = sweeps.rate.iter().map(|list| self.over_rate(&list.0));
        let loss = sweeps.loss.iter().map(|list| self.over_loss(&list.0));
        in_flight.chain(size).chain(rate).chain(loss).collect()
    }

    fn over_in_flight(&self, counts: &[InFlight]) -> Stage {
        let title = format!("calls in flight on one conversation, {ECHO_LEN} octets each way");
        let mut stage = self.stage("sweep_in_flight", title, MANY_CALLS);
        for &InFlight(count) in counts {
            let sockets: &[&str] = if count <= baseline::DATAGRAM_COUNT_MAX { &["tcp", "udp"] } else { &["tcp"] };
            let work = echo(ECHO_LEN, count);
            let group = [self.sockets(sockets, &work), self.adapters(&work)].concat();
            stage = stage.with_group(Axis::InFlight, count as f64, group);
        }
        stage
    }

    fn over_size(&self, sizes: &[CallSize]) -> Stage {
        let title = "one call at a time by its size, that of its reply too".to_owned();
        let mut stage = self.stage("sweep_size", title, ONE_CALL);
        for &CallSize(len) in sizes {
            let sockets: &[&str] = if len <= baseline::DATAGRAM_LEN_MAX { &["udp", "tcp"] } else { &["tcp"] };
            let work = echo(len, 1);
            let group = [self.sockets(sockets, &work), self.adapters(&work)].concat();
            stage = stage.with_group(Axis::Octets, len as f64, group);
        }
        stage
    }

    fn over_rate(&self, rates: &[CallRate]) -> Stage {
        let title =
            format!("calls at a given rate: open loop, {ECHO_LEN} octets each way, times from when each was due");
        let stage = self.stage("sweep_rate", title, OPEN_LOOP);
        let mut stage = Stage { reference: Reference::Asked, ..stage };
        for &CallRate(rate) in rates {
            let work = format!("--work load --size {ECHO_LEN} --rate {rate} --times all");
            let mut group = [self.sockets(&["udp"], &work), self.adapters(&work)].concat();
            group.iter_mut().for_each(|entry| entry.limit = Some(rate));
            stage = stage.with_group(Axis::Rate, rate, group);
        }
        stage
    }

    fn over_loss(&self, losses: &[Percentage]) -> Stage {
        let (mbit, millis) = (LINK_RATE / 1_000_000, LINK_DELAY.as_millis());
        let title = format!("uploads over a link that loses datagrams: std, {mbit} Mbit/s, {millis} ms each way");
        let stage = self.stage("sweep_loss", title, LOSS);
        // A block has to last for many round trips, and each is as good as several short ones.
        let block_count = (self.blocks.count / LOSS_BLOCK_SHARE).max(stats::VALUE_COUNT_MIN);
        let mut stage = Stage { reference: Reference::Link, block_count, ..stage };
        for loss in losses {
            let group = Rung::laws().map(|rung| self.law(rung, *loss)).collect();
            stage = stage.with_group(Axis::Loss, f64::from(loss.per_million()) / 10_000.0, group);
        }
        stage
    }

    fn stage(&self, key: &'static str, title: String, quantities: &'static [Quantity]) -> Stage {
        let (reference, block_count) = (Reference::Limit, self.blocks.count);
        Stage { key, title, quantities, reference, over: None, block_count, entries: Vec::new() }
    }

    /// Makes plain sockets of this machine, both ends here.
    fn sockets(&self, transports: &[&str], work: &str) -> Vec<Entry> {
        let place = if self.to.is_some() { " (loopback)" } else { "" };
        let entry = |transport: &&str| {
            let [server, client] = ["server", "client"].map(|role| format!("bench baseline-peer {role} {transport}"));
            self.entry(format!("plain {transport}{place}"), self.started(&server), &client, work)
        };
        transports.iter().map(entry).collect()
    }

    fn adapters(&self, work: &str) -> Vec<Entry> {
        let entry = |runtime: &Runtime| {
            let runtime = runtime.name();
            let server = self.server(&format!("bench server --runtime {runtime}"));
            self.entry(runtime.to_owned(), server, &self.client(runtime), work)
        };
        self.runtimes.iter().map(entry).collect()
    }

    fn rung(&self, rung: Rung) -> Entry {
        let name = format!("{}, {} KiB", rung.title(), rung.message_len() / 1024);
        let work = format!("--work {} --msg {}", rung.work(), rung.message_len());
        self.on_rung(name, rung, &work)
    }

    /// Makes uploads that follow the law of a rung, over a link.
    fn law(&self, rung: Rung, loss: Percentage) -> Entry {
        let (len, count) = rung.upload();
        let secs = (self.blocks.len.0 * LOSS_BLOCK_FACTOR).as_secs_f64();
        let mut entry = self.on_rung(rung.name().to_owned(), rung, &format!("{} --secs {secs}", upload(len, count)));
        entry.contestant.network = Network::Relayed(link(loss));
        // What a link of this rate carries of datagrams of 1200 octets, which have headers, and some of which get lost.
        let passed = 1.0 - f64::from(loss.per_million()) / 1e6;
        entry.limit = Some(LINK_RATE as f64 / 8e6 * LINK_PAYLOAD_SHARE * passed);
        entry
    }

    fn on_rung(&self, series: String, rung: Rung, work: &str) -> Entry {
        let options = format!("--runtime {} --rung {}", Runtime::Std.name(), rung.name());
        let server = self.server(&format!("bench server {options}"));
        self.entry(series, server, &self.client(Runtime::Std.name()), &format!("--rung {} {work}", rung.name()))
    }

    fn server(&self, command: &str) -> Server {
        self.to.map_or_else(|| self.started(command), Server::Running)
    }

    fn started(&self, command: &str) -> Server {
        Server::Command(self.command(command))
    }

    fn client(&self, runtime: &str) -> String {
        // The server that is called from elsewhere is one of the built-in service.
        let program = if self.to.is_some() { format!("--program {}", service::PROGRAM) } else { String::new() };
        format!("bench client --runtime {runtime} {program}")
    }

    fn entry(&self, series: String, server: Server, client: &str, work: &str) -> Entry {
        let secs = self.blocks.len.0.as_secs_f64();
        // Of an option that stands there twice, the last one counts: work may say how long it takes.
        let client = self.command(&format!("{client} --warm {WARM_SECS} --secs {secs} {work}"));
        let contestant = Contestant { name: series.clone(), server, network: Network::Direct, client };
        Entry { series, x: None, limit: None, compared_with: None, contestant }
    }

    fn command(&self, words: &str) -> Vec<String> {
        [self.program].into_iter().chain(words.split_whitespace()).map(str::to_owned).collect()
    }
}

impl Stage {
    /// Adds contestants, all of which are compared with the first.
    fn with(mut self, entries: Vec<Entry>) -> Self {
        for mut entry in entries {
            entry.compared_with = (!self.entries.is_empty()).then_some(0);
            self.entries.push(entry);
        }
        self
    }

    /// Adds the contestants of one place on the axis, which are compared with the first of their place if nothing else is
    /// known to be the limit.
    fn with_group(mut self, axis: Axis, x: f64, group: Vec<Entry>) -> Self {
        self.over = Some(axis);
        let first = self.entries.len();
        for mut entry in group {
            entry.x = Some(x);
            entry.contestant.name = format!("{}, {}", entry.series, axis.place(x));
            entry.compared_with = (entry.limit.is_none() && self.entries.len() > first).then_some(first);
            self.entries.push(entry);
        }
        self
    }
}

fn echo(len: usize, count: usize) -> String {
    format!("--work echo --size {len} --inflight {count} --times all")
}

fn upload(len: usize, count: usize) -> String {
    format!("--work upload --size {len} --inflight {count}")
}

/// Returns a link that loses so many datagrams, and is otherwise a good one.
fn link(loss: Percentage) -> LinkConfig {
    LinkConfig {
        loss,
        burst_loss: None,
        delay: LINK_DELAY,
        jitter: Duration::ZERO,
        reorder: Percentage::default(),
        duplicate: Percentage::default(),
        corrupt: Percentage::default(),
        rate: Some(Rate::of_bits_per_second(LINK_RATE)),
        queue_len_max: LINK_QUEUE_LEN,
        mtu: 1500,
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

const OPEN_LOOP: &[Quantity] = &[
    quantity::CALL_RATE,
    quantity::P50,
    quantity::P99,
    quantity::P999,
    quantity::UNSENT,
    quantity::DATAGRAMS_PER_CALL,
];

const BULK: &[Quantity] =
    &[quantity::BULK_RATE, quantity::CLIENT_CPU_PER_GB, quantity::SERVER_CPU_PER_GB, quantity::DATAGRAMS_PER_MB];

const LADDER: &[Quantity] = &[quantity::BULK_RATE, quantity::SEND_P50, quantity::SEND_P99, quantity::DATAGRAMS_PER_MB];

const LOSS: &[Quantity] = &[quantity::BULK_RATE, quantity::DATAGRAMS_PER_MB];

/// Calls kept open where there are many.
pub(super) const INFLIGHT_COUNT: usize = 64;

/// Octets in a call of an upload; our choice.
const UPLOAD_LEN: usize = 256 << 10;

/// Calls of an upload kept open; our choice: 2 MiB under way.
const UPLOAD_COUNT: usize = 8;

/// Bits a second.
const LINK_RATE: u64 = 100_000_000;

/// One way.
const LINK_DELAY: Duration = Duration::from_millis(10);

/// Octets that wait for the link: what it carries in a round trip of 20 ms.
const LINK_QUEUE_LEN: u64 = 250_000;

/// Of 1200 octets and 28 of IP and UDP headers, what is left beside the headers of datagram and frame, about 22.
const LINK_PAYLOAD_SHARE: f64 = 1178.0 / 1228.0;

/// How much longer a block over a link is; our choice: 25 round trips if blocks have the length that they have unasked.
const LOSS_BLOCK_FACTOR: u32 = 10;

/// How many blocks each of those stands for; our choice.
const LOSS_BLOCK_SHARE: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::TimeSpan;

    #[test]
    fn a_plan_compares_each_contestant_with_the_first_at_the_same_work() {
        let stage = planner(None).over_in_flight(&[InFlight(8), InFlight(256)]);
        let names: Vec<&str> = stage.entries.iter().map(|entry| entry.contestant.name.as_str()).collect();
        // A receive buffer does not hold 256 calls of plain UDP.
        assert_eq!(names[..3], ["plain tcp, 8 in flight", "plain udp, 8 in flight", "mio, 8 in flight"]);
        assert_eq!(names[3..], ["plain tcp, 256 in flight", "mio, 256 in flight"]);
        let compared: Vec<_> = stage.entries.iter().map(|entry| entry.compared_with).collect();
        assert_eq!(compared, [None, Some(0), Some(0), None, Some(3)]);
    }

    #[test]
    fn what_is_lost_takes_its_share_of_what_a_link_carries() {
        let stage = planner(None).over_loss(&["0%".parse().unwrap(), "50%".parse().unwrap()]);
        let limits: Vec<f64> = stage.entries.iter().filter_map(|entry| entry.limit).collect();
        assert_eq!(limits.len(), 2 * Rung::laws().count());
        assert!((11.5..12.5).contains(&limits[0]) && (limits[0] / limits[limits.len() - 1] - 2.0).abs() < 1e-9);
        assert_eq!(stage.block_count, 10);
    }

    #[test]
    fn who_is_called_elsewhere_is_called_by_the_program_of_the_built_in_service() {
        let to = "192.0.2.1:4000".parse().unwrap();
        let stages = planner(Some(to)).comparison();
        assert_eq!(stages.iter().map(|stage| stage.key).collect::<Vec<_>>(), ["one_call", "many_calls", "upload"]);
        for stage in stages {
            for Entry { series, contestant: Contestant { server, client, .. }, .. } in stage.entries {
                let is_elsewhere = matches!(server, Server::Running(address) if address == to);
                let names_program = client.contains(&service::PROGRAM.to_string());
                assert_eq!((is_elsewhere, names_program), (series == "mio", series == "mio"), "{series}");
            }
        }
    }

    fn planner(to: Option<SocketAddr>) -> Planner<'static> {
        const BLOCKS: BlockArgs = BlockArgs { count: 31, len: TimeSpan(Duration::from_millis(50)) };
        Planner { program: "posthaste", blocks: &BLOCKS, runtimes: vec![Runtime::Mio], to }
    }
}
