//! `posthaste bench` without more: every adapter and every rung beside plain sockets.

mod circumstances;
mod json;
mod plan;
mod progress;
mod quantity;
mod table;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::Args;

use self::circumstances::Circumstances;
use self::plan::{Reference, Stage};
use self::progress::Progress;
use super::blocks::BlockArgs;
use super::driver::{self, Block};
use super::stats::Estimate;
use crate::failure::Failure;
use crate::output;
use crate::value::TimeSpan;

/// What to measure, and where to leave the figures.
#[derive(Args)]
pub(crate) struct SurveyArgs {
    #[command(flatten)]
    blocks: BlockArgs,
    /// Write all figures to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures, and prints the tables.
pub(crate) fn run(args: &SurveyArgs) -> Result<(), Failure> {
    let circumstances = Circumstances::find()?;
    let stages = Stage::all(&driver::this_program()?, args.blocks.len);
    let contestant_count: usize = stages.iter().map(|stage| stage.contestants.len()).sum();
    let mut progress = Progress::new(stages.len(), contestant_count * args.blocks.count);
    let mut results = Vec::with_capacity(stages.len());
    for stage in stages {
        progress.begin_stage(&stage.title);
        let cores = circumstances.cores;
        let blocks = driver::interleave(&stage.contestants, cores, args.blocks.count, || progress.end_block())?;
        results.push(StageResult { stage, blocks });
    }
    drop(progress);
    let survey = Survey { circumstances, block_len: args.blocks.len, block_count: args.blocks.count, results };
    if let Some(path) = &args.json {
        std::fs::write(path, survey.to_json())
            .map_err(|error| Failure::local(format_args!("cannot write {}", path.display()), &error))?;
    }
    output::print(&survey)
}

/// All that was measured.
struct Survey {
    circumstances: Circumstances,
    block_len: TimeSpan,
    block_count: usize,
    results: Vec<StageResult>,
}

/// What was measured in one stage: the blocks of each contestant.
struct StageResult {
    stage: Stage,
    blocks: Vec<Vec<Block>>,
}

impl Survey {
    /// Returns what a reader should know before the figures are believed.
    fn doubts(&self) -> Vec<String> {
        let mut doubts = self.circumstances.doubts();
        for result in &self.results {
            for (index, contestant) in result.stage.contestants.iter().enumerate() {
                let Some(Estimate { low, median, high }) = result.ratio(index) else { continue };
                if high - low > SPREAD_MAX * median {
                    doubts.push(format!(
                        "{}, {}: the interval is wider than a quarter of the ratio; measure again when the machine is idle, or with more --blocks",
                        contestant.name, result.stage.title
                    ));
                }
            }
        }
        doubts
    }
}

impl StageResult {
    /// Returns the ratio of a contestant to the first, by the first quantity; the first has none.
    fn ratio(&self, index: usize) -> Option<Estimate> {
        let quantity = self.stage.quantities.first().filter(|_| index > 0)?;
        let values = [index, 0].map(|index| quantity.of_all(&self.blocks[index]));
        let [Some(values), Some(references)] = values else { return None };
        Some(Estimate::of_ratios(&values, &references))
    }
}

impl Reference {
    /// Returns what the ratio is to.
    const fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::FirstRung => "first rung",
        }
    }
}

/// An interval wider than this part of its median is not to be relied upon; our choice.
const SPREAD_MAX: f64 = 0.25;
