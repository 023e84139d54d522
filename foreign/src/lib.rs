//! Programs that nobody here wrote, for tests to speak with.
//!
//! Where one is not to be had, its tests say so, past what the test harness captures, and pass. `POSTHASTE_REQUIRED` names, between
//! commas, those that have to be there: then its tests fail. [`Foreign::name`] has the names.
#![forbid(unsafe_code)]

#[cfg(unix)]
mod network;
mod rpcbind;

use std::env;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;

#[cfg(unix)]
pub use network::{Who, in_a_network_of_its_own};
pub use rpcbind::Rpcbind;

/// What a test may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A browser.
    Chromium,
    /// A portmapper with its `rpcinfo`, and what gives them a network.
    Rpcbind,
    /// `rpcgen`, with what makes programs of its C.
    Rpcgen,
    /// The interface files in [`RPCSVC`].
    Rpcsvc,
    /// The right to a network for a test alone.
    Network,
}

impl Foreign {
    const ALL: [Self; 5] = [Self::Chromium, Self::Network, Self::Rpcbind, Self::Rpcgen, Self::Rpcsvc];

    /// Returns what `POSTHASTE_REQUIRED` calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Rpcbind => "rpcbind",
            Self::Rpcgen => "rpcgen",
            Self::Rpcsvc => "rpcsvc",
            Self::Network => "network",
        }
    }

    /// Says whether the test goes on; where it cannot, it is told why.
    ///
    /// # Panics
    /// If it is not here and has to be.
    #[must_use]
    pub fn is_here(self) -> bool {
        match self.missing() {
            None => true,
            Some(missing) => {
                self.go_without(missing);
                false
            }
        }
    }

    /// Says that the test cannot go on.
    fn go_without(self, why: &str) {
        assert!(!required().contains(&self), "{why}, and POSTHASTE_REQUIRED names {}", self.name());
        let line = format!("{}: {why}: NOT CHECKED\n", thread::current().name().unwrap_or("a test"));
        // Not by a macro of the standard library, whose lines nobody sees of a test that passes; and whole, between those of others.
        let _ = io::stderr().write_all(line.as_bytes());
    }

    /// Returns what is not installed.
    fn missing(self) -> Option<&'static str> {
        let has = |program| find(program).is_some();
        let needed: &[(bool, &str)] = match self {
            Self::Chromium => &[(CHROMIUM.into_iter().any(has), "there is no Chromium (Debian: chromium)")],
            Self::Rpcbind => &[
                (has("rpcbind") && has("rpcinfo"), "there is no rpcbind (Debian: rpcbind)"),
                (has("ip") && has("unshare"), "there is no ip or unshare (Debian: iproute2, util-linux)"),
            ],
            Self::Rpcgen => &[
                (has("rpcgen"), "there is no rpcgen (Debian: rpcsvc-proto)"),
                (has("cc"), "there is no C compiler (Debian: gcc)"),
                (Path::new("/usr/include/tirpc/rpc/rpc.h").exists(), "there is no libtirpc (Debian: libtirpc-dev)"),
            ],
            Self::Rpcsvc => &[(Path::new(RPCSVC).is_dir(), "there are no interface files (Debian: rpcsvc-proto)")],
            // Whether it is to be had, trying it tells.
            Self::Network => &[],
        };
        needed.iter().find(|(is_here, _)| !is_here).map(|(_, why)| *why)
    }
}

/// Finds a program, also among those for administrators, which not everybody's path has.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Finds a Chromium.
#[must_use]
pub fn find_chromium() -> Option<PathBuf> {
    CHROMIUM.into_iter().find_map(find)
}

/// Returns what has to be here.
fn required() -> Vec<Foreign> {
    let names = env::var("POSTHASTE_REQUIRED").unwrap_or_default();
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    let known = |name| Foreign::ALL.into_iter().find(|foreign| foreign.name() == name);
    names
        .map(|name| known(name).unwrap_or_else(|| panic!("POSTHASTE_REQUIRED names {name}, whatever that is")))
        .collect()
}

/// What distributions call it.
const CHROMIUM: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Where Debian has the interface files of its services.
pub const RPCSVC: &str = "/usr/include/rpcsvc";

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_missing_is_said_aloud_and_a_failure_where_it_is_required() {
        // Each time in a process of its own, which this test is then: the harness captures what it says, as it does with any other.
        if env::var_os(GOES_WITHOUT).is_some() {
            return Foreign::Network.go_without("there is none");
        }
        let name = "tests::what_is_missing_is_said_aloud_and_a_failure_where_it_is_required";
        for (required, is_well) in
            [("", true), ("chromium,rpcgen", true), ("rpcgen, network", false), ("networks", false)]
        {
            let mut again = Command::new(env::current_exe().unwrap());
            again.args(["--exact", name]).env(GOES_WITHOUT, "1").env("POSTHASTE_REQUIRED", required);
            let output = again.output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            let is_told = told.contains(&format!("{name}: there is none: NOT CHECKED"));
            assert_eq!((output.status.success(), is_told), (is_well, is_well), "{required}: {told}");
        }
    }

    /// Says to the test that it is to go without a network.
    const GOES_WITHOUT: &str = "POSTHASTE_TEST_GOES_WITHOUT";
}
