//! `posthaste bench`: what this machine can do, measured in a way that two runs agree.
//!
//! Contestants run as processes of their own and take turns in short blocks, so that whatever else the machine does meets
//! all of them alike. What is reported is the median of the blocks, or of ratios within a round, with its interval.

mod baseline;
mod blocks;
mod convention;
mod driver;
mod load;
mod machine;
mod report;
mod runtime;
mod stats;
mod survey;

use clap::{Args, Subcommand};

use crate::failure::Failure;

/// Measure every adapter and every rung of the ladder beside plain sockets.
///
/// Client and server are two processes on loopback, each on a core of its own, and all take turns in short blocks. A
/// ratio is the median over the rounds of turns, with the interval that holds the true median with 95 % confidence. The
/// plain sockets say what could be expected of this machine in the same run; what makes figures doubtful (a busy machine,
/// small socket buffers, a missing offload) stands below them.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, after_long_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    survey: survey::SurveyArgs,
    #[command(subcommand)]
    command: Option<BenchCommand>,
}

#[derive(Subcommand)]
enum BenchCommand {
    Baseline(baseline::BaselineArgs),
    /// One end of a baseline, as the bench convention wants it.
    #[command(hide = true)]
    BaselinePeer(baseline::PeerArgs),
    /// Answer the client of a measurement, as the bench convention wants it.
    Server(runtime::PeerArgs),
    /// Call the server of a measurement, as the bench convention wants it.
    Client(runtime::PeerArgs),
}

/// Runs one of the measurements.
pub(crate) fn run(args: &BenchArgs) -> Result<(), Failure> {
    match &args.command {
        None => survey::run(&args.survey),
        Some(BenchCommand::Baseline(args)) => baseline::run(args),
        Some(BenchCommand::BaselinePeer(args)) => baseline::run_peer(args),
        Some(BenchCommand::Server(args)) => runtime::serve(args),
        Some(BenchCommand::Client(args)) => runtime::run_client(args),
    }
}

const EXAMPLES: &str = "\
Examples:
  posthaste bench                                    compare all, in under a minute
  posthaste bench --all --html bench.html            with every sweep, and plots; some minutes
  posthaste bench --rate 1000,20000 --runtime std    latency under a load that does not wait for answers
  posthaste bench --json before.json                 keep the figures, and after a change:
  posthaste bench --compare before.json
  posthaste serve --listen 0.0.0.0:4000 --insecure   on one machine, and on another one:
  posthaste bench --to HOST:4000 --insecure";
