//! Posthaste against other systems: client and server as two processes on a core each, all systems in turns.
//!
//! Whatever else the machine does meets all of them alike, because each round has one block of each; a ratio is taken within
//! a round, and reported as the median over the rounds with its interval.

mod link;
mod machine;
mod pair;
mod stats;
mod target;

use core::fmt::Write as _;
use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use self::link::Link;
use self::machine::Setting;
use self::pair::{Block, Contestant, Pair, Work, limit};
pub use self::stats::Estimate;
use self::target::{Cost, Medium, Quantity, RATIOS, RUNTIMES};
use crate::options::Options;
use crate::peers::System;

/// Measures what the arguments say, and writes tables in Markdown.
///
/// # Errors
/// If a process cannot be started or does not obey the bench convention, or the arguments make no sense.
pub fn run(args: &[String], out: &mut impl Write) -> io::Result<()> {
    let duel = Duel::new(&Options::parse(args)?)?;
    match machine::enter_own_network() {
        Ok(()) => eprintln!("in a network of its own"),
        Err(error) => eprintln!("in the machine's network, whose counters tell of others, too: {error}"),
    }
    if duel.parts.contains("ratios") {
        duel.compare_all(duel.setting, out)?;
    }
    if duel.parts.contains("link") {
        match Link::make() {
            Ok(link) => {
                duel.compare_all(Setting { link: Some(&link), ..duel.setting }, out)?;
            }
            Err(error) => eprintln!("no {}: {error}", Medium::Ethernet),
        }
    }
    if duel.parts.contains("costs") {
        duel.count(out)?;
    }
    Ok(())
}

/// What is measured, and how.
struct Duel {
    ours: Vec<Contestant>,
    others: Vec<Contestant>,
    /// On the loopback.
    setting: Setting<'static>,
    block_count: usize,
    block_secs: String,
    /// Which of `ratios`, `link` and `costs`.
    parts: String,
}

impl Duel {
    fn new(options: &Options<'_>) -> io::Result<Self> {
        let this = env::current_exe()?;
        let path = |option, program| {
            io::Result::Ok(options.optional::<PathBuf>(option)?.unwrap_or_else(|| this.with_file_name(program)))
        };
        let (ours, peer) = (path("ours", "posthaste")?, path("peer", "peer")?);
        let text = |option, usual: &str| {
            io::Result::Ok(options.optional::<String>(option)?.unwrap_or_else(|| usual.to_owned()))
        };
        let (runtimes, systems) = (text("runtimes", &RUNTIMES.join(","))?, text("systems", "udp,tcp,enet,kcp")?);
        for system in systems.split(',') {
            system.parse::<System>().map_err(io::Error::other)?;
        }
        Ok(Self {
            ours: runtimes.split(',').map(|name| contestant(name, &ours, &["bench"], "--runtime")).collect(),
            others: systems.split(',').map(|name| contestant(name, &peer, &[], "--system")).collect(),
            setting: Setting::pick()?,
            block_count: options.optional("blocks")?.unwrap_or(31),
            block_secs: text("secs", "0.2")?,
            parts: text("parts", "ratios,link,costs")?,
        })
    }

    /// Compares all that is done over a medium.
    fn compare_all(&self, setting: Setting<'_>, out: &mut impl Write) -> io::Result<()> {
        setting.medium().works().iter().try_for_each(|work| self.compare(*work, setting, out))
    }

    /// Lets all do the same work in turns, and writes what each did and how ours stand beside the others.
    fn compare(&self, work: Work, setting: Setting<'_>, out: &mut impl Write) -> io::Result<()> {
        let medium = setting.medium();
        let contestants: Vec<&Contestant> = self.ours.iter().chain(&self.others).filter(|it| it.does(work)).collect();
        let options = [limit("--warm", "0.5"), limit("--secs", &self.block_secs)].concat();
        let start = |contestant: &&Contestant| {
            Pair::start(contestant, work, setting, &options, self.block_count)
                .map_err(|error| named(contestant, &error))
        };
        let mut pairs = contestants.iter().map(start).collect::<io::Result<Vec<_>>>()?;
        let mut blocks = vec![Vec::with_capacity(self.block_count); pairs.len()];
        for round in 1..=self.block_count {
            for ((pair, blocks), contestant) in pairs.iter_mut().zip(&mut blocks).zip(&contestants) {
                blocks.push(pair.run_block().map_err(|error| named(contestant, &error))?);
            }
            eprint!("\r{work}, {medium}: round {round} of {}", self.block_count);
        }
        eprintln!();
        let results: Vec<(&str, Vec<Block>)> =
            contestants.iter().map(|contestant| contestant.name.as_str()).zip(blocks).collect();
        write!(out, "\n### {work}, {medium}\n\n")?;
        out.write_all(absolute_table(work, &results).as_bytes())?;
        out.write_all(ratio_table(medium, work, &results).as_bytes())?;
        out.flush()
    }

    /// Counts what a call costs that is no time, and writes it beside what it is to be.
    fn count(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\n### What a call costs\n\n| system | of what | count | to be |\n|---|---|--:|--:|")?;
        for contestant in self.ours.iter().chain(&self.others) {
            let name = &contestant.name;
            let runtime = RUNTIMES.iter().position(|runtime| runtime == name);
            for cost in Cost::count(contestant, self.setting).map_err(|error| named(contestant, &error))? {
                let verdict = runtime.and_then(|index| cost.judge(index));
                let verdict = verdict.map_or_else(String::new, |(most, met)| format!("≤ {most}{}", mark(met)));
                writeln!(out, "| {name} | {} | {:.3} | {verdict} |", cost.what, cost.value)?;
            }
        }
        out.flush()
    }
}

/// Writes what each did by itself.
fn absolute_table(work: Work, results: &[(&str, Vec<Block>)]) -> String {
    let (rate_unit, counted, _) = unit(work);
    let mut table = format!("| system | {rate_unit} | p50 µs | CPU ns per {counted} |\n|---|--:|--:|--:|\n");
    for (name, blocks) in results {
        let of = |quantity: Quantity| quantity.values(blocks).map(Estimate::of);
        let rate = of(Quantity::Rate).map(|rate| format!("{:.1}", Scaled(rate, unit(work).2)));
        let p50 = of(Quantity::P50).map(|p50| format!("{p50:.1}"));
        let cpu = of(Quantity::Cpu).map(|cpu| format!("{:.2}", Scaled(cpu, 1e-9)));
        let [rate, p50, cpu] = [rate, p50, cpu].map(Option::unwrap_or_default);
        let _ = writeln!(table, "| {name} | {rate} | {p50} | {cpu} |");
    }
    table
}

/// Writes how ours stand beside the others, if anything is promised of that.
fn ratio_table(medium: Medium, work: Work, results: &[(&str, Vec<Block>)]) -> String {
    let mut lines = String::new();
    let of = |name: &str| results.iter().find(|(found, _)| *found == name).map(|(_, blocks)| blocks);
    for ratio in RATIOS.iter().filter(|ratio| ratio.medium == medium && ratio.work == work) {
        for (index, runtime) in RUNTIMES.iter().enumerate() {
            let (Some(ours), Some(theirs)) = (of(runtime), of(ratio.against.name())) else { continue };
            let (Some(above), Some(below)) = (ratio.quantity.values(ours), ratio.quantity.values(theirs)) else {
                continue;
            };
            let (estimate, bound) = (Estimate::of_ratios(above, below), ratio.bounds[index]);
            let (sign, met) = ratio.quantity.judge(estimate.median, bound);
            let (against, quantity) = (ratio.against.name(), ratio.quantity);
            let _ =
                writeln!(lines, "| {runtime} | {against} | {quantity} | {estimate} | {sign} {bound}{} |", mark(met));
        }
    }
    if lines.is_empty() {
        return lines;
    }
    format!("\n| ours | against | quantity | ratio | to be |\n|---|---|---|--:|--:|\n{lines}")
}

/// An estimate in another unit.
struct Scaled(Estimate, f64);

impl core::fmt::Display for Scaled {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self(Estimate { low, median, high }, unit) = *self;
        Estimate { low: low / unit, median: median / unit, high: high / unit }.fmt(f)
    }
}

/// Returns what rates are written in, what is counted, and how many a second the unit is.
const fn unit(work: Work) -> (&'static str, &'static str, f64) {
    match work {
        Work::Echo { .. } | Work::Spinning | Work::Threads => ("thousand calls/s", "call", 1e3),
        Work::Bulk => ("MB/s", "octet", 1e6),
    }
}

const fn mark(met: bool) -> &'static str {
    if met { "" } else { " **missed**" }
}

fn contestant(name: &str, program: &Path, before: &[&str], chosen_by: &str) -> Contestant {
    let command = |role: &str| {
        let program = program.to_string_lossy().into_owned();
        let args = before.iter().copied().chain([role, chosen_by, name]).map(str::to_owned);
        core::iter::once(program).chain(args).collect()
    };
    Contestant { name: name.to_owned(), server: command("server"), client: command("client") }
}

fn named(contestant: &Contestant, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", contestant.name))
}
