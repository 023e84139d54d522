//! A network that a test has for itself.

use std::env;
use std::process::{Command, Stdio};

use crate::Foreign;

/// Who has to run a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever may make himself root in there.
    Anybody,
    /// Only who is root outside, too.
    Root,
}

/// Runs `test`, which is the test called `name`, where it has a network and a `/run` for itself; or says why it does not.
///
/// The test runs again, alone, in a process that is in there.
///
/// # Panics
/// If the test fails, or is not to be run and has to be.
pub fn in_a_network_of_its_own(name: &str, who: Who, test: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        let set_up = "ip link set lo up && mount -t tmpfs tmpfs /run";
        let status = Command::new("sh").args(["-c", set_up]).status().expect("there is a shell");
        assert!(status.success(), "the network cannot be set up");
        return test();
    }
    if !Foreign::Rpcbind.is_here() {
        return;
    }
    let is_root = nix::unistd::geteuid().is_root();
    let flags = if is_root { &["--net", "--mount"][..] } else { &["--net", "--mount", "--map-root-user"] };
    let mount = ["sh", "-c", "mount -t tmpfs tmpfs /run"];
    let tried = Command::new("unshare").args(flags).args(mount).stderr(Stdio::null()).status();
    if who == Who::Root && !is_root || !tried.is_ok_and(|status| status.success()) {
        return Foreign::Network.go_without("no network for the test alone is to be had");
    }
    let mut again = Command::new("unshare");
    let program = env::current_exe().expect("a test is a program");
    again.args(flags).arg(program).args(["--exact", name, "--nocapture"]).env(INSIDE, "1");
    assert!(again.status().expect("unshare was tried").success(), "{name} failed in its network");
}

/// Tells a test that it runs in a network of its own.
const INSIDE: &str = "POSTHASTE_TEST_INSIDE";
