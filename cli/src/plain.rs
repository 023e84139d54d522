//! Plain mode: what is said is neither secret nor signed, and so stays on this machine unless asked for otherwise.

use core::net::SocketAddr;
use std::io::{self, Write};

use clap::Args;
use posthaste_core::Config;

use crate::failure::{Code, Failure};

/// Whether plain mode may leave this machine.
#[derive(Args, Clone, Copy)]
pub(crate) struct PlainArgs {
    /// Allow other machines: anybody on the path can read and forge what is said
    #[arg(long, global = true)]
    insecure: bool,
}

impl PlainArgs {
    /// Checks that `addresses` may be used in plain mode, and returns limits and timing that suit them.
    ///
    /// Other machines have to be asked for; a warning is shown then.
    ///
    /// # Errors
    /// [`Code::Usage`] if one of the addresses is not of this machine alone and `--insecure` was not given.
    pub(crate) fn config(self, addresses: &[SocketAddr]) -> Result<Config, Failure> {
        let Some(exposed) = addresses.iter().find(|address| !address.ip().to_canonical().is_loopback()) else {
            return Ok(limited(Config::lan()));
        };
        if !self.insecure {
            let what = format_args!("{exposed} can be reached by other machines, and nothing protects what is said");
            return Err(Failure::new(Code::Usage, what).hint(
                "give --insecure if everybody on the path may read and forge it; loopback addresses need no consent",
            ));
        }
        // Nobody is left to warn where standard error is closed.
        let _ = writeln!(io::stderr(), "warning: plain mode: anybody on the path can read and forge what is said");
        Ok(limited(Config::internet()))
    }
}

/// Lowers the memory that payloads may take to what a command should need.
fn limited(mut config: Config) -> Config {
    config.payload_memory = PAYLOAD_MEMORY;
    config
}

/// Octets; our choice: a process that sends or receives files stays well below 64 MiB.
const PAYLOAD_MEMORY: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_needs_no_consent_in_any_of_its_forms() {
        for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(config(&[address], false).is_ok(), "{address}");
        }
    }

    #[test]
    fn other_addresses_need_consent() {
        for addresses in [&["192.0.2.1:1"][..], &["0.0.0.0:1"], &["[::]:1"], &["127.0.0.1:1", "[2001:db8::1]:1"]] {
            assert!(config(addresses, false).is_err(), "{addresses:?}");
            assert!(config(addresses, true).is_ok(), "{addresses:?}");
        }
    }

    fn config(addresses: &[&str], insecure: bool) -> Result<Config, Failure> {
        let addresses: Vec<SocketAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        PlainArgs { insecure }.config(&addresses)
    }
}
