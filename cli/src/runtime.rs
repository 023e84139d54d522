//! The adapters that the command runs on.

use clap::ValueEnum;

/// The adapter that drives the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// Blocking calls on threads.
    Std,
    /// A readiness loop.
    Mio,
    /// Asynchronous tasks.
    Smol,
}

impl Runtime {
    /// Returns the value of `--runtime` that names the adapter.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Std => "std",
            Self::Mio => "mio",
            Self::Smol => "smol",
        }
    }
}
