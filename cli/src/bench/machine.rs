//! What the operating system does for a measurement: processes on cores of their own, and the time they used.
//!
//! Where a system offers neither, the measurement runs without.

use core::time::Duration;
use std::io;
use std::process::{Child, Command};
use std::time::Instant;

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

/// How busy others keep the machine, from when this is made.
pub(super) struct Watch {
    started_at: Instant,
    ticks: Option<Ticks>,
}

/// What others took while something was watched, in cores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Disturbance {
    /// By other processes of this machine.
    pub(super) others: f64,
    /// By the host of a virtual machine, for itself or other machines.
    pub(super) stolen: f64,
}

impl Watch {
    /// Begins to watch.
    pub(super) fn start() -> Self {
        Self { started_at: Instant::now(), ticks: Ticks::read() }
    }

    /// Returns what others took since; `None` where the system does not tell. Processes that this one has started count as
    /// others until they were waited for.
    pub(super) fn disturbance(&self) -> Option<Disturbance> {
        let (before, after) = (self.ticks?, Ticks::read()?);
        let elapsed = self.started_at.elapsed().as_secs_f64() * TICKS_PER_SECOND;
        let cores = |ticks: u64| ticks as f64 / elapsed;
        let used = after.used.saturating_sub(before.used);
        let ours = after.ours.saturating_sub(before.ours);
        Some(Disturbance {
            others: cores(used.saturating_sub(ours)),
            stolen: cores(after.stolen.saturating_sub(before.stolen)),
        })
    }
}

/// Processor time, in ticks of the kernel.
#[derive(Clone, Copy)]
struct Ticks {
    /// By all processes.
    used: u64,
    /// By this one, and those that it has waited for.
    ours: u64,
    /// By the host.
    stolen: u64,
}

impl Ticks {
    /// Reads the first line of `/proc/stat` and the times of this process (proc(5)).
    fn read() -> Option<Self> {
        let all = std::fs::read_to_string("/proc/stat").ok()?;
        let all: Vec<u64> = all.lines().next()?.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
        let own = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program may have spaces; it ends at the last bracket.
        let own: Vec<&str> = own.rsplit_once(')')?.1.split_whitespace().collect();
        let ours = own.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
        // User, nice and system. The time of interrupts is nobody's, most of it ours.
        Some(Self { used: all.get(..3)?.iter().sum(), ours, stolen: *all.get(7)? })
    }
}

/// The unit of processor times that Linux tells programs, whatever its own (times(2), `sysconf(_SC_CLK_TCK)`).
const TICKS_PER_SECOND: f64 = 100.0;

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
