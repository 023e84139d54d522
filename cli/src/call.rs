//! `posthaste call`: one call of the built-in service.

use core::time::Duration;

use clap::{Args, Subcommand};
use posthaste_std::{CallError, Request};

use crate::client::ConnectArgs;
use crate::escape::Escaped;
use crate::failure::{Code, Failure};
use crate::interrupts::Interrupts;
use crate::output;
use crate::service::{PROGRAM, Procedure, VERSION};
use crate::value::{Address, TimeSpan};

/// Call a procedure of a server once.
///
/// Ctrl-C cancels the call and tells what came of it; a second one ends the command at once.
#[derive(Args)]
pub(crate) struct CallArgs {
    /// The server
    #[arg(value_name = "ADDR")]
    server: Address,
    /// How long the reply may take [default: 10s, and for a sleep that much longer than it]
    #[arg(long, value_name = "TIME", value_parser = TimeSpan::parse_nonzero, global = true)]
    timeout: Option<TimeSpan>,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(subcommand)]
    procedure: CallCommand,
}

#[derive(Subcommand)]
enum CallCommand {
    /// Send a text, and print what comes back
    Echo {
        /// The text
        text: String,
    },
    /// Have the server wait, to see what becomes of a long call
    Sleep {
        /// How long the server waits
        time: TimeSpan,
    },
}

/// Makes the call and prints its reply.
pub(crate) fn run(args: &CallArgs) -> Result<(), Failure> {
    let (procedure, arguments, duration) = match &args.procedure {
        CallCommand::Echo { text } => (Procedure::Echo, text.as_bytes().to_vec(), Duration::ZERO),
        CallCommand::Sleep { time } => {
            (Procedure::Sleep, posthaste_core::time::nanos(time.0).to_be_bytes().to_vec(), time.0)
        }
    };
    let timeout = args.timeout.map_or(TIMEOUT + duration, |timeout| timeout.0);
    let client = args.connect.connect(&args.server)?;
    let interrupts = Interrupts::listen(Code::Unknown)?;
    let request = Request { timeout: Some(timeout), ..Request::new(PROGRAM, VERSION, procedure as u32, &arguments) };
    let mut reply = Vec::new();
    let call = client.start(&request).map_err(CallError::Refused)?;
    interrupts.conclude(call, &mut reply)?;
    match procedure {
        Procedure::Sleep => output::print(format_args!("slept {}\n", TimeSpan(duration))),
        Procedure::Echo | Procedure::Stored | Procedure::Length => {
            output::print(format_args!("{}\n", Escaped(&String::from_utf8_lossy(&reply))))
        }
    }
}

/// How long a reply may take beyond what the procedure takes; the protocol's own default.
const TIMEOUT: Duration = Duration::from_secs(10);
