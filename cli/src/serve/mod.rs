//! `posthaste serve`: the built-in service on a UDP port.

mod blocking;
mod readiness;
mod tasks;

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::path::PathBuf;
use std::thread;

use clap::{Args, value_parser};

use crate::failure::{Code, Failure};
use crate::interrupts::Interrupts;
use crate::output;
use crate::plain::PlainArgs;
use crate::runtime::Runtime;
use crate::service::Service;
use crate::service::store::Store;
use crate::value::Address;

/// Answer pings and calls, and take files.
///
/// Prints the address that it listens on, and a line for each file. Ctrl-C ends it when the calls under way are answered,
/// at most 10 s later; a second one ends it at once.
#[derive(Args)]
pub(crate) struct ServeArgs {
    /// Where to listen; port 0 picks a free one
    #[arg(long, value_name = "ADDR")]
    listen: Address,
    /// What drives the protocol
    #[arg(long, value_name = "NAME", value_enum, default_value_t = Runtime::Std)]
    runtime: Runtime,
    /// How many sockets share the port: as many cores as are to be used
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = value_parser!(u16).range(1..=256))]
    sockets: u16,
    /// Take files, and put them into this directory; one that has the name of another takes its place
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    #[command(flatten)]
    plain: PlainArgs,
}

/// Serves until a signal ends it.
pub(crate) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let addresses = args.listen.resolve_all()?;
    let config = args.plain.config(&addresses)?;
    let store = match &args.store {
        Some(directory) => Some(Store::open(directory).map_err(|error| {
            Failure::local(format_args!("cannot store files in '{}'", directory.display()), &error)
                .hint("give --store a directory that you may write")
        })?),
        None => None,
    };
    let service = Arc::new(Service::new(store));
    let socket_count = usize::from(args.sockets);
    match args.runtime {
        Runtime::Std => blocking::serve(&args.listen, &addresses, socket_count, config, &service),
        Runtime::Mio => readiness::serve(&args.listen, &addresses, socket_count, &config, &service),
        Runtime::Smol => tasks::serve(&args.listen, &addresses, socket_count, &config, &service),
    }
}

/// Serves at each socket on a thread of its own, the first on this one. If one ends, all do.
fn serve_each<S: Send>(
    sockets: Vec<S>,
    interrupts: &Interrupts,
    serve: impl Fn(S) -> Result<(), Failure> + Sync,
) -> Result<(), Failure> {
    let serve = |socket| {
        let served = serve(socket);
        interrupts.raise();
        served
    };
    thread::scope(|scope| {
        let mut sockets = sockets.into_iter();
        let first = sockets.next();
        let others: Vec<_> = sockets.map(|socket| scope.spawn(move || serve(socket))).collect();
        let served = first.map_or(Ok(()), serve);
        others.into_iter().fold(served, |served, other| served.and(other.join().expect("no loop panics")))
    })
}

/// Tells where the server listens: scripts wait for this line.
fn announce(address: SocketAddr) -> Result<(), Failure> {
    output::print(format_args!("serving {address}\n"))
}

fn cannot_listen(listen: &Address, error: &dyn fmt::Display) -> Failure {
    Failure::new(Code::Local, format_args!("cannot listen on {listen}: {error}"))
        .hint("port 0 picks a free port; the address must be one of this machine")
}

/// Listens to signals; the second one leaves calls without an answer.
fn interrupts() -> Result<Interrupts, Failure> {
    Interrupts::listen(Code::Unknown)
}

/// Binds to the first of several addresses that can be had.
fn bind_first<S, E: fmt::Display>(
    listen: &Address,
    addresses: &[SocketAddr],
    mut bind: impl FnMut(SocketAddr) -> Result<S, E>,
) -> Result<S, Failure> {
    let mut failure = None;
    for &address in addresses {
        match bind(address) {
            Ok(server) => return Ok(server),
            Err(error) => failure = Some(cannot_listen(listen, &error)),
        }
    }
    Err(failure.expect("a name that was found has an address"))
}

/// Calls that may wait at a time; our choice.
const WAITING_COUNT_MAX: usize = 32;

/// Files that are taken at a time; our choice. More wait in their streams.
const FILE_COUNT_MAX: usize = 16;

/// How long the sender of a file may be silent; our choice. One that was killed holds up nobody for longer.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How long calls under way may take when the server ends; our choice.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
