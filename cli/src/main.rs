//! The `posthaste` command.
//!
//! What it promises to scripts: results on standard output; on standard error at most one line of reason, one of advice,
//! and a warning that was asked for (and what there is to say of an interface file); an exit status that says what became of the work (listed in `--help`); never a
//! backtrace.

extern crate alloc;

mod bench;
mod call;
mod client;
mod escape;
mod failure;
mod generate;
mod interface;
mod interrupts;
mod output;
mod ping;
mod plain;
mod portmapper;
mod relay;
mod rpcinfo;
mod runtime;
mod send;
mod serve;
mod service;
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
    Serve(serve::ServeArgs),
    Ping(ping::PingArgs),
    Send(send::SendArgs),
    Call(call::CallArgs),
    Gen(generate::GenArgs),
    Relay(relay::RelayArgs),
    Rpcinfo(rpcinfo::RpcinfoArgs),
    Bench(bench::BenchArgs),
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
        Command::Serve(args) => serve::run(&args),
        Command::Ping(args) => ping::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Call(args) => call::run(&args),
        Command::Gen(args) => generate::run(&args),
        Command::Relay(args) => relay::run(&args),
        Command::Rpcinfo(args) => rpcinfo::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}

const EXIT_STATUS: &str = "\
Exit status:
  0  ok
  1  the application answered with an error, or an interface file has errors
  2  wrong usage
  3  not executed, and never will be
  4  outcome unknown
  5  cannot connect
  6  a local file or socket failed";
