//! What the operating system does for a measurement, and tells of it.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::fs;
use std::io;
use std::process::{Child, Command};

use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::time::ClockId;
use nix::unistd::Pid;

use super::link::{self, Link};
use super::target::Medium;

/// Where the two ends run: each on a core of its own, and the server beyond a link, if there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting<'l> {
    pub(super) client_core: usize,
    pub(super) server_core: usize,
    pub(super) link: Option<&'l Link>,
}

impl Setting<'_> {
    /// Picks the first and the last core that this process may use, on the loopback.
    pub(super) fn pick() -> io::Result<Self> {
        let allowed = sched_getaffinity(THIS_THREAD)?;
        let mut cores = (0..CpuSet::count()).filter(|core| allowed.is_set(*core) == Ok(true));
        let client_core = cores.next().ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { client_core, server_core: cores.next_back().unwrap_or(client_core), link: None })
    }

    /// Returns what lies between the two.
    pub(super) fn medium(&self) -> Medium {
        self.link.map_or(Medium::Loopback, |_| Medium::Ethernet)
    }

    /// Returns the address of the server.
    pub(super) fn server_ip(&self) -> IpAddr {
        self.link.map_or(Ipv4Addr::LOCALHOST.into(), |_| Link::FAR_END)
    }

    /// Does some work in the server's network.
    pub(super) fn at_server<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.link {
            Some(link) => link.beyond(work),
            None => work(),
        }
    }
}

/// Starts a process that runs on `core` alone, with all threads that it will have.
pub(super) fn spawn_on(core: usize, command: &mut Command) -> io::Result<Child> {
    // A child inherits the cores of the thread that starts it.
    let before = sched_getaffinity(THIS_THREAD)?;
    let mut only = CpuSet::new();
    only.set(core)?;
    sched_setaffinity(THIS_THREAD, &only)?;
    let child = command.spawn();
    sched_setaffinity(THIS_THREAD, &before)?;
    child
}

/// Returns the processor time that all threads of a process used, in the system and outside.
pub(super) fn cpu_time(process: &Child) -> io::Result<Duration> {
    Ok(ClockId::pid_cpu_clock_id(pid(process)?)?.now()?.into())
}

/// Returns the memory of a process that is not swapped out, in octets.
pub(super) fn memory_len(process: &Child) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or(io::ErrorKind::NotFound)?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().map_err(io::Error::other)?;
    Ok(kibibytes << 10)
}

/// Moves this thread, and whatever it starts, to a network without anybody else, whose counters tell of nothing else.
///
/// # Errors
/// If that is not allowed: it takes the rights of an administrator.
pub(super) fn enter_own_network() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    link::ip(&["link", "set", "lo", "up"])
}

/// What went out to the network since it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traffic {
    /// UDP datagrams and TCP segments.
    pub(super) datagram_count: u64,
    /// Octets of them with all headers from IP's.
    pub(super) len: u64,
}

impl Traffic {
    /// Reads the counters of this thread's network.
    pub(super) fn read() -> io::Result<Self> {
        let (snmp, netstat) =
            (fs::read_to_string("/proc/thread-self/net/snmp")?, fs::read_to_string("/proc/thread-self/net/netstat")?);
        let counter = |text, group, name| {
            counter(text, group, name).ok_or_else(|| io::Error::other(format!("the system does not count {name}")))
        };
        Ok(Self {
            datagram_count: counter(&snmp, "Udp:", "OutDatagrams")? + counter(&snmp, "Tcp:", "OutSegs")?,
            len: counter(&netstat, "IpExt:", "OutOctets")?,
        })
    }

    /// Returns what went out after `before`.
    pub(super) const fn since(self, before: Self) -> Self {
        Self { datagram_count: self.datagram_count - before.datagram_count, len: self.len - before.len }
    }
}

/// A group has a line of names and one of values.
pub(super) fn counter(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(group)).map(str::split_whitespace);
    let (names, values) = (lines.next()?, lines.next()?);
    names.zip(values).find(|(found, _)| *found == name)?.1.parse().ok()
}

fn pid(process: &Child) -> io::Result<Pid> {
    i32::try_from(process.id()).map(Pid::from_raw).map_err(io::Error::other)
}

const THIS_THREAD: Pid = Pid::from_raw(0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_group_and_name() {
        let text = "Udp: InDatagrams OutDatagrams\nUdp: 7 8\nUdpLite: InDatagrams OutDatagrams\nUdpLite: 1 2\n";
        assert_eq!(counter(text, "Udp:", "OutDatagrams"), Some(8));
        assert_eq!(counter(text, "Udp:", "OutOctets"), None);
        assert_eq!(counter(text, "Tcp:", "OutSegs"), None);
    }
}
