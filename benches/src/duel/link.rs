//! A link with an Ethernet's MTU, to a network that holds nobody else.

use core::net::{IpAddr, Ipv4Addr};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::process::{self, Command};

use nix::sched::{CloneFlags, setns, unshare};

/// A network beyond a pair of virtual Ethernet devices: one of the two is there, the other one in the network of who made it.
///
/// Both end with this and with the last process there.
#[derive(Debug)]
pub(super) struct Link {
    here: File,
    there: File,
}

impl Link {
    /// The address at the far end.
    pub(super) const FAR_END: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    /// Makes the network, and the link from that of this thread, which is to be its own.
    ///
    /// # Errors
    /// If that is not allowed: it takes the rights of an administrator.
    pub(super) fn make() -> io::Result<Self> {
        let here = network_of_thread()?;
        unshare(CloneFlags::CLONE_NEWNET)?;
        let there = network_of_thread();
        setns(&here, CloneFlags::CLONE_NEWNET)?;
        let link = Self { here, there: there? };
        let network = format!("/proc/{}/fd/{}", process::id(), link.there.as_raw_fd());
        let pair = ["type", "veth", "peer", "name", FAR_NAME, "mtu", MTU, "netns", &network];
        ip(&[&["link", "add", NEAR_NAME, "mtu", MTU][..], &pair].concat())?;
        set_up(NEAR_NAME, NEAR_NETWORK)?;
        link.beyond(|| set_up(FAR_NAME, FAR_NETWORK))?;
        Ok(link)
    }

    /// Does some work in the network beyond; a process that it starts stays there.
    pub(super) fn beyond<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        setns(&self.there, CloneFlags::CLONE_NEWNET)?;
        let result = work();
        setns(&self.here, CloneFlags::CLONE_NEWNET)?;
        result
    }
}

fn network_of_thread() -> io::Result<File> {
    File::open("/proc/thread-self/ns/net")
}

fn set_up(device: &str, network: &str) -> io::Result<()> {
    ip(&["address", "add", network, "dev", device])?;
    ip(&["link", "set", device, "up"])
}

/// Has the system's own program set up networks.
pub(super) fn ip(args: &[&str]) -> io::Result<()> {
    let status = Command::new("ip").args(args).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("ip {}: {status}", args.join(" ")))) }
}

const NEAR_NAME: &str = "near";
const FAR_NAME: &str = "far";

/// Of those that RFC 5737 leaves to documentation.
const NEAR_NETWORK: &str = "192.0.2.1/24";
const FAR_NETWORK: &str = "192.0.2.2/24";

/// An Ethernet's.
const MTU: &str = "1500";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::UdpSocket;

    use super::*;
    use crate::duel::machine;

    #[test]
    fn what_crosses_the_link_whole_is_as_long_as_an_ethernet_carries() {
        if let Err(error) = machine::enter_own_network() {
            eprintln!("the link is NOT CHECKED: {error}");
            return;
        }
        let link = Link::make().unwrap();
        let far = link.beyond(|| UdpSocket::bind((Link::FAR_END, 0))).unwrap();
        let near = UdpSocket::bind("0.0.0.0:0").unwrap();
        near.connect(far.local_addr().unwrap()).unwrap();
        let mut buffer = [0; 2000];
        // Headers of IP and UDP have 28 octets.
        for (len, fragment_count) in [(1472, 0), (1473, 2)] {
            near.send(&buffer[..len]).unwrap();
            assert_eq!(far.recv_from(&mut buffer).unwrap(), (len, near.local_addr().unwrap()));
            let counters = fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
            assert_eq!(machine::counter(&counters, "Ip:", "FragCreates"), Some(fragment_count));
        }
    }
}
