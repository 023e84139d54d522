//! The `posthaste` command.
//!
//! What it promises to scripts: results on standard output, at most one line of reason and one of advice on standard
//! error, an exit status that says what became of the work (listed in `--help`), never a backtrace.

extern crate alloc;

mod bench;
mod escape;
mod failure;
mod output;
mod relay;
mod value;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

/// Messages and remote calls over UDP, and the tools to try and measure them.
#[derive(Parser)]
#[command(version, after_help = EXIT_STATUS, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Relay(relay::RelayArgs),
    /// Measure this machine.
    #[command(subcommand)]
    Bench(bench::BenchCommand),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run() -> Result<(), Failure> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // `--help` and `--version` come this way too, and are answers.
        Err(error) if !error.use_stderr() => return output::print(error.render()),
        Err(error) => return Err(Failure::from(error)),
    };
    match cli.command {
        Command::Relay(args) => relay::run(&args),
        Command::Bench(command) => bench::run(&command),
    }
}

const EXIT_STATUS: &str = "\
Exit status:
  0  ok
  1  the application answered with an error
  2  wrong usage
  3  not executed, and never will be
  4  outcome unknown
  5  cannot connect
  6  a local file or socket failed";
