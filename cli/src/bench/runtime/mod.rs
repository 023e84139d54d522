//! `posthaste bench server` and `client`: the ends of a measurement, through the public interface of an adapter.

mod blocking;

use clap::{Args, ValueEnum};

use super::convention::Options;
use crate::failure::Failure;

/// Be one end of a measurement, as the bench convention wants it.
#[derive(Args)]
pub(crate) struct PeerArgs {
    /// The options of the bench convention.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// The adapters that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// Blocking calls.
    Std,
}

impl Runtime {
    /// Returns the value of `--runtime` that names the adapter.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Std => "std",
        }
    }
}

/// Answers calls and takes messages until it is killed.
pub(crate) fn serve(args: &PeerArgs) -> Result<(), Failure> {
    let options = Options::parse(&args.options)?;
    options.end_with_input();
    match options.runtime()? {
        Runtime::Std => blocking::serve(options.addr()?),
    }
}

/// Works as the options say.
pub(crate) fn run_client(args: &PeerArgs) -> Result<(), Failure> {
    let options = Options::parse(&args.options)?;
    match options.runtime()? {
        Runtime::Std => blocking::run_client(&options.client()?),
    }
}

/// The program that the ends agree on.
const PROGRAM: u32 = 1;
const VERSION: u32 = 1;
/// Brings back its arguments.
const ECHO: u32 = 1;
/// Answers when the application has got as many octets in messages as the arguments say, a big-endian u64.
const COUNT: u32 = 2;

/// The channel of the messages of bulk.
const CHANNEL: u64 = 0;

/// Says whether datagrams are to leave singly, so that the kernel's counters are true.
fn joins_datagrams() -> bool {
    std::env::var_os("PEER_NO_GSO").is_none_or(|value| value != "1")
}
