//! What the operating system does for a measurement: processes on cores of their own, and the time they used.
//!
//! Where a system offers neither, the measurement runs without.

use core::time::Duration;
use std::io;
use std::process::{Child, Command};

/// The cores on which the two ends run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cores {
    pub(super) client: usize,
    pub(super) server: usize,
}

impl Cores {
    /// Picks the first and the last core that this process may use; the same for both if there is only one.
    ///
    /// `None` where processes cannot be bound to cores.
    pub(super) fn pick() -> Option<Self> {
        let allowed = allowed_cores();
        Some(Self { client: *allowed.first()?, server: *allowed.last()? })
    }
}

/// Returns how many cores this process may use.
pub(super) fn core_count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the operating system's name and version.
#[cfg(target_os = "linux")]
pub(super) fn system() -> String {
    match nix::sys::utsname::uname() {
        Ok(name) => format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy()),
        Err(_) => std::env::consts::OS.to_owned(),
    }
}

/// Returns the operating system's name.
#[cfg(not(target_os = "linux"))]
pub(super) fn system() -> String {
    std::env::consts::OS.to_owned()
}

/// Starts a process that runs on `core` alone.
#[cfg(target_os = "linux")]
pub(super) fn spawn_on(core: Option<usize>, command: &mut Command) -> io::Result<Child> {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    let Some(core) = core else { return command.spawn() };
    // A child inherits the cores of the thread that starts it, so it is bound before its first instruction, with every
    // thread that it will start.
    let this_thread = Pid::from_raw(0);
    let before = sched_getaffinity(this_thread)?;
    let mut only = CpuSet::new();
    only.set(core)?;
    sched_setaffinity(this_thread, &only)?;
    let child = command.spawn();
    sched_setaffinity(this_thread, &before)?;
    child
}

/// Returns the processor time, user and system, that all threads of the process used so far.
#[cfg(target_os = "linux")]
pub(super) fn cpu_time(child: &Child) -> Option<Duration> {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).ok()?);
    Some(nix::time::ClockId::pid_cpu_clock_id(pid).ok()?.now().ok()?.into())
}

#[cfg(target_os = "linux")]
fn allowed_cores() -> Vec<usize> {
    use nix::sched::{CpuSet, sched_getaffinity};

    let Ok(allowed) = sched_getaffinity(nix::unistd::Pid::from_raw(0)) else { return Vec::new() };
    (0..CpuSet::count()).filter(|core| allowed.is_set(*core) == Ok(true)).collect()
}

/// Starts a process; this system does not bind it to a core.
#[cfg(not(target_os = "linux"))]
pub(super) fn spawn_on(_core: Option<usize>, command: &mut Command) -> io::Result<Child> {
    command.spawn()
}

/// Returns nothing: this system does not tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn cpu_time(_child: &Child) -> Option<Duration> {
    None
}

#[cfg(not(target_os = "linux"))]
fn allowed_cores() -> Vec<usize> {
    Vec::new()
}
