//! `posthaste bench`: what this machine can do, measured in a way that two runs agree.
//!
//! Contestants run as processes of their own and take turns in short blocks, so that whatever else the machine does meets
//! all of them alike. What is reported is the median of the blocks, or of ratios within a round, with its interval.

mod baseline;
mod convention;
mod driver;
mod machine;
mod runtime;
mod stats;

use clap::Subcommand;

use crate::failure::Failure;

#[derive(Subcommand)]
pub(crate) enum BenchCommand {
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
pub(crate) fn run(command: &BenchCommand) -> Result<(), Failure> {
    match command {
        BenchCommand::Baseline(args) => baseline::run(args),
        BenchCommand::BaselinePeer(args) => baseline::run_peer(args),
        BenchCommand::Server(args) => runtime::serve(args),
        BenchCommand::Client(args) => runtime::run_client(args),
    }
}
