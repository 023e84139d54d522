//! `posthaste bench` itself: every adapter and every rung beside plain sockets, and sweeps.

mod circumstances;
mod plan;
mod progress;
mod sweep;

use core::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use self::circumstances::Circumstances;
use self::plan::{Planner, Stage};
use self::progress::Progress;
use self::sweep::SweepArgs;
use super::baseline::{BULK_LEN, ECHO_LEN};
use super::blocks::BlockArgs;
use super::driver::{self, Block};
use super::report::compare::Comparison;
use super::report::quantity::UNSENT;
use super::report::{Asked, Contestant, ContestantParts, Report, StageParts, page};
use crate::failure::{Code, Failure};
use crate::output;
use crate::plain::PlainArgs;
use crate::runtime::Runtime;
use crate::value::Address;

/// What to measure, and where to leave the figures.
#[derive(Args)]
pub(crate) struct SurveyArgs {
    /// Call a 'posthaste serve' that runs at this address, such as on another machine; plain sockets stay on this one
    #[arg(long, value_name = "ADDR")]
    to: Option<Address>,
    #[command(flatten)]
    plain: PlainArgs,
    /// Measure these adapters only, with commas between them [default: all]
    #[arg(long = "runtime", value_name = "NAMES", value_delimiter = ',')]
    runtimes: Vec<Runtime>,
    #[command(flatten)]
    blocks: BlockArgs,
    /// Measure nothing, and show what an earlier run left with --json
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "runtimes", "count", "len", "in_flight", "size", "rate", "loss", "all", "json"])]
    from: Option<PathBuf>,
    /// Say what became faster or slower since an earlier run left this file with --json
    #[arg(long, value_name = "OLD.json")]
    compare: Option<PathBuf>,
    /// Write all figures to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with plots to this file too: it needs nothing else, and may be sent to somebody
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    sweeps: SweepArgs,
}

/// Measures, and prints the tables. What was measured before something failed is kept, and the failure comes last.
pub(crate) fn run(args: &SurveyArgs) -> Result<(), Failure> {
    // Before anything is measured: a file that cannot be read would be learnt too late.
    let old = args.compare.as_deref().map(|path| Report::read(path).map(|report| (path, report))).transpose()?;
    let (report, failed) = match &args.from {
        Some(path) => (Report::read(path)?, Ok(())),
        None => measure(args)?,
    };
    let name = |path: &Path| path.file_name().unwrap_or_default().display().to_string();
    let comparison = old.map(|(path, old)| Comparison::new(&old, &name(path), &report));
    if let Some(path) = &args.json {
        write(path, &report.to_json())?;
    }
    if let Some(path) = &args.html {
        write(path, &page::render(&report, comparison.as_ref()))?;
    }
    output::print(&report)?;
    comparison.map_or(Ok(()), output::print)?;
    failed
}

impl SurveyArgs {
    /// Returns where a server runs already, if that is to be measured.
    ///
    /// # Errors
    /// If it is unknown, or on another machine and nobody consented.
    fn server(&self) -> Result<Option<SocketAddr>, Failure> {
        let Some(address) = &self.to else { return Ok(None) };
        let address = address.resolve()?;
        if address.port() == 0 {
            return Err(Failure::new(Code::Usage, "no server has port 0").hint("give --to the port of the server"));
        }
        self.plain.config(&[address])?;
        Ok(Some(address))
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::local(format_args!("cannot write '{}'", path.display()), &error))
}

/// Measures one stage after the other, and ends early if one fails: then there are the report of those before, and why.
///
/// # Errors
/// If nothing was measured.
fn measure(args: &SurveyArgs) -> Result<(Report, Result<(), Failure>), Failure> {
    let to = args.server()?;
    let circumstances = Circumstances::find()?;
    let program = driver::this_program()?;
    let runtimes = if args.runtimes.is_empty() { Runtime::value_variants().to_vec() } else { args.runtimes.clone() };
    let planner = Planner { program: &program, blocks: &args.blocks, runtimes, to };
    let mut stages = Vec::new();
    if args.sweeps.all || args.sweeps.is_empty() {
        stages.extend(planner.comparison());
    }
    stages.extend(planner.sweeps(&args.sweeps.resolved()));

    let block_count = stages.iter().map(|stage| stage.entries.len() * stage.block_count).sum();
    let mut progress = Progress::new(stages.len(), block_count);
    let mut results = Vec::with_capacity(stages.len());
    let mut failed = Ok(());
    for stage in &stages {
        progress.begin_stage(&stage.title);
        let contestants: Vec<_> = stage.entries.iter().map(|entry| entry.contestant.clone()).collect();
        match driver::interleave(&contestants, circumstances.cores, stage.block_count, || progress.end_block()) {
            Ok(blocks) => results.push(result(stage, &blocks)),
            Err(failure) if results.is_empty() => return Err(failure),
            Err(failure) => {
                failed = Err(failure);
                break;
            }
        }
    }
    drop(progress);
    let asked = Asked {
        block_count: args.blocks.count,
        block_s: args.blocks.len.0.as_secs_f64(),
        call_octets: ECHO_LEN,
        inflight_count: plan::INFLIGHT_COUNT,
        bulk_message_octets: BULK_LEN,
        to: to.map(|address| address.to_string()),
    };
    let mut report = Report::new(circumstances.machine(), circumstances.socket(), asked, results);
    report.doubts = circumstances.doubts();
    report.doubts.extend(figure_doubts(&report));
    Ok((report, failed))
}

/// Puts the blocks of a stage to its entries.
fn result(stage: &Stage, blocks: &[Vec<Block>]) -> super::report::Stage {
    let parts = stage.entries.iter().zip(blocks).map(|(entry, blocks)| ContestantParts {
        name: &entry.contestant.name,
        series: &entry.series,
        x: entry.x,
        limit: entry.limit,
        compared_with: entry.compared_with,
        blocks,
    });
    super::report::Stage::new(&StageParts {
        key: stage.key,
        title: &stage.title,
        reference: stage.reference,
        over: stage.over,
        quantities: stage.quantities,
        contestants: parts.collect(),
    })
}

/// Returns what the figures say against themselves.
fn figure_doubts(report: &Report) -> Vec<String> {
    let is_unsteady = |contestant: &&Contestant| {
        contestant.ratio.is_some_and(|ratio| ratio.high - ratio.low > SPREAD_MAX * ratio.median)
    };
    let is_overloaded =
        |contestant: &&Contestant| contestant.estimate(&UNSENT).is_some_and(|unsent| unsent.median > UNSENT_MAX);
    let unsteady = places(report, is_unsteady).map(|places| {
        format!(
            "the interval is wider than a quarter of the ratio for {places}; measure when the machine is idle, or with more \
             --blocks"
        )
    });
    let overloaded = places(report, is_overloaded).map(|places| {
        format!(
            "calls were due and could not be sent in time for {places}: the rate is too high for them, and their times grow \
             with the length of a block"
        )
    });
    unsteady.into_iter().chain(overloaded).collect()
}

/// Says for how many contestants of each stage something holds; `None` if for none.
fn places(report: &Report, holds: impl Fn(&&Contestant) -> bool) -> Option<String> {
    let place = |stage: &super::report::Stage| {
        let (count, all) = (stage.contestants.iter().filter(&holds).count(), stage.contestants.len());
        (count > 0).then(|| format!("{count} of {all} at \"{}\"", stage.short_title()))
    };
    let places: Vec<String> = report.stages.iter().filter_map(place).collect();
    (!places.is_empty()).then(|| places.join(", "))
}

/// An interval wider than this part of its median is not to be relied upon; our choice.
const SPREAD_MAX: f64 = 0.25;

/// Per cent; our choice.
const UNSENT_MAX: f64 = 1.0;
