//! `posthaste call`: one call, of the built-in service or of what an interface file describes.

mod builtin;
mod described;
mod listing;

use core::str::FromStr;
use core::time::Duration;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use posthaste_std::onc::{Claim, Transport};

use crate::client::ConnectArgs;
use crate::failure::{Code, Failure};
use crate::interface::{self, LanguageArgs};
use crate::output;
use crate::value::{AddressError, TimeSpan, parse_claim};

use self::described::ProcedurePath;

/// Call a procedure of a server once.
///
/// The procedure is one of the built-in service (echo, sleep), or one of an interface file: its arguments are JSON then, and so is what
/// is printed.
///
/// Ctrl-C cancels the call and tells what came of it; a second one ends the command at once. With --onc, the first one does.
#[derive(Args)]
#[command(
    override_usage = "posthaste call [OPTIONS] <ADDR> <FILE.x> <PROGRAM.VERSION.PROCEDURE> [JSON]\n       \
                      posthaste call [OPTIONS] <FILE.x> --list\n       \
                      posthaste call [OPTIONS] <ADDR> <COMMAND>",
    after_long_help = JSON_HELP,
    subcommand_help_heading = "Commands (the built-in service)"
)]
pub(crate) struct CallArgs {
    /// The server, as HOST:PORT; with --onc, HOST alone asks its portmapper for the port. --list needs none
    #[arg(value_name = "ADDR")]
    server: String,
    /// The interface file; one without a dot in its name is written ./FILE
    #[arg(value_name = "FILE.x", value_parser = parse_file)]
    file: Option<PathBuf>,
    /// The procedure: three names or numbers, as in CALCULATOR.1.ADD
    #[arg(value_name = "PROGRAM.VERSION.PROCEDURE")]
    procedure: Option<ProcedurePath>,
    /// The argument, or an array of them where there are several; nothing where there are none
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    arguments: Option<String>,
    /// List the procedures of the interface file, and call none
    #[arg(long, conflicts_with_all = ["procedure", "onc"])]
    list: bool,
    /// Call by ONC RPC over UDP or TCP: for systems that already exist
    #[arg(long, value_name = "TRANSPORT", requires = "file")]
    onc: Option<OncTransport>,
    /// Claim to be this user (AUTH_SYS; nothing proves it): UID:GID, then ,GID for each group more, then @MACHINE [default: nobody]
    #[arg(long, value_name = "USER", requires = "onc", value_parser = parse_claim)]
    auth_sys: Option<Claim>,
    /// How long the reply may take [default: what the interface file says, or else 10s, and for a sleep that much longer than it]
    #[arg(long, value_name = "TIME", value_parser = TimeSpan::parse_nonzero, global = true)]
    timeout: Option<TimeSpan>,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    language: LanguageArgs,
    #[command(subcommand)]
    builtin: Option<Builtin>,
}

#[derive(Clone, Subcommand)]
enum Builtin {
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

#[derive(Clone, Copy, ValueEnum)]
enum OncTransport {
    Udp,
    Tcp,
}

/// Makes the call and prints its reply, or lists what could be called.
pub(crate) fn run(args: &CallArgs) -> Result<(), Failure> {
    if args.list {
        let file = args.file.clone().unwrap_or_else(|| PathBuf::from(&args.server));
        let interface = interface::read(&file, &args.language.options())?;
        return output::print(listing::Listing(&interface.model));
    }
    match (&args.builtin, &args.file, &args.procedure) {
        (Some(procedure), ..) => builtin::call(args, procedure),
        (None, Some(file), Some(path)) => {
            let interface = interface::read(file, &args.language.options())?;
            described::call(args, &interface.model, path)
        }
        (None, Some(_), None) => Err(Failure::new(Code::Usage, "<PROGRAM.VERSION.PROCEDURE> is missing")
            .hint("--list shows what the interface file has")),
        (None, None, _) => {
            Err(Failure::new(Code::Usage, "an interface file, or a subcommand, is missing").hint(HELP_HINT))
        }
    }
}

impl CallArgs {
    /// Reads where the server is, which the way to call it has a say in.
    fn server<A: FromStr<Err = AddressError>>(&self) -> Result<A, Failure> {
        self.server.parse().map_err(|error| {
            let what = format_args!("invalid value '{}' for '<ADDR>': {error}", self.server);
            Failure::new(Code::Usage, what).hint(HELP_HINT)
        })
    }
}

impl From<OncTransport> for Transport {
    fn from(transport: OncTransport) -> Self {
        match transport {
            OncTransport::Udp => Self::Udp,
            OncTransport::Tcp => Self::Tcp,
        }
    }
}

/// Tells interface files from misspelled procedures of the built-in service.
fn parse_file(text: &str) -> Result<PathBuf, &'static str> {
    if text.contains(['.', '/', '\\']) { Ok(text.into()) } else { Err("neither a subcommand nor an interface file") }
}

const HELP_HINT: &str = "try '--help'";

/// How long a reply may take if nobody says otherwise; the protocol's own default.
const TIMEOUT: Duration = Duration::from_secs(10);

const JSON_HELP: &str = "\
JSON by the interface file:
  integers               numbers, exact up to 64 bits; bool is true or false
  float, double          numbers, \"NaN\", \"Infinity\", \"-Infinity\"
  opaque, quadruple      a string of hexadecimal digits
  string                 a string; {\"hex\": \"ff00\"} where it is not UTF-8
  enum                   the name of the member, as a string
  arrays, linked lists   arrays
  struct                 an object of all fields
  union                  {\"CASE\": value}, null for void
  *optional              null or the value
  several arguments      an array of them

Examples:
  posthaste call calculator.x --dialect xdrpp --list
  posthaste call 127.0.0.1:4000 calculator.x --dialect xdrpp CALCULATOR.1.ADD '[2, 3]'
  posthaste call 127.0.0.1:4000 calculator.x --dialect xdrpp --onc tcp CALCULATOR.1.SUM '[1, 2, 3]'
  posthaste call nfs.example mount.x --dialect sun --onc udp --auth-sys 1000:100 MOUNTPROG.1.MOUNTPROC_EXPORT";
