//! What is compared, and how it is to come out.

use core::fmt;
use std::io;

use super::machine::Setting;
use super::pair::{self, Block, Contestant, Work};
use crate::peers::System;

/// The adapters, in the order of all bounds.
pub(super) const RUNTIMES: [&str; 3] = ["std", "mio", "smol"];

/// A quantity of a block whose ratio to another system's matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// Calls, or octets, a second.
    Rate,
    /// Microseconds within which half of the calls are answered.
    P50,
    /// Processor seconds of both sides for a call, or an octet.
    Cpu,
}

/// What lies between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    /// Nothing.
    Loopback,
    /// A link with an Ethernet's MTU.
    Ethernet,
}

/// A ratio and its bounds.
pub(super) struct Ratio {
    pub(super) medium: Medium,
    pub(super) work: Work,
    pub(super) quantity: Quantity,
    pub(super) against: System,
    pub(super) bounds: [f64; 3],
}

/// What a call costs that is counted rather than timed.
pub(super) struct Cost {
    pub(super) what: String,
    pub(super) value: f64,
    /// The most that it is to be, for each adapter that has a bound.
    most: [Option<f64>; 3],
}

impl Quantity {
    /// Returns its value in each block, if it has one.
    pub(super) fn values(self, blocks: &[Block]) -> Option<Vec<f64>> {
        let value = |block: &Block| match self {
            Self::Rate => Some(block.amount / block.secs),
            Self::P50 => block.p50,
            Self::Cpu => Some(block.cpu.as_secs_f64() / block.amount),
        };
        blocks.iter().map(value).collect()
    }

    /// Returns on which side of the bound a ratio is to be, and whether it is.
    pub(super) fn judge(self, ratio: f64, bound: f64) -> (&'static str, bool) {
        match self {
            Self::Rate => ("≥", ratio >= bound),
            Self::P50 | Self::Cpu => ("≤", ratio <= bound),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rate => "rate",
            Self::P50 => "p50",
            Self::Cpu => "CPU",
        })
    }
}

impl Cost {
    /// Counts all of them.
    pub(super) fn count(contestant: &Contestant, setting: Setting<'_>) -> io::Result<Vec<Self>> {
        let [client, server] = pair::system_calls_per_call(contestant, setting)?;
        let most = [Some(2.0), Some(4.0), None];
        let mut costs = vec![
            Self { what: "system calls of the client, 1 in flight".to_owned(), value: client, most },
            Self { what: "system calls of the server, 1 in flight".to_owned(), value: server, most },
        ];
        for (in_flight, datagram_count_max, len_max) in
            [(1, 2.0, Some(190.0)), (64, 0.15, None), (512, 0.03, Some(95.0))]
        {
            let (datagram_count, len) = pair::traffic_per_call(contestant, in_flight, setting)?;
            let (what, most) = (format!("datagrams, {in_flight} in flight"), [Some(datagram_count_max); 3]);
            costs.push(Self { what, value: datagram_count, most });
            let what = format!("octets on the wire, {in_flight} in flight");
            costs.push(Self { what, value: len, most: [len_max; 3] });
        }
        let value = pair::memory_per_idle_peer(contestant, setting)?;
        costs.push(Self {
            what: "octets of the server's memory for an idle peer".to_owned(),
            value,
            most: [Some(2048.0); 3],
        });
        Ok(costs)
    }

    /// Returns the most that it is to be for an adapter, and whether it is.
    pub(super) fn judge(&self, runtime_index: usize) -> Option<(f64, bool)> {
        let most = self.most[runtime_index]?;
        // What happens once in a hundred calls is not what a call costs.
        Some((most, self.value <= most * 1.01))
    }
}

/// What is promised.
pub(super) const RATIOS: [Ratio; 12] = {
    use Medium::{Ethernet, Loopback};
    use Quantity::{Cpu, P50, Rate};
    use System::{Enet, Kcp, Tcp, Udp};
    [
        ratio(Loopback, ALONE, P50, Udp, [1.05, 1.07, 1.15]),
        ratio(Loopback, ALONE, Cpu, Udp, [1.15, 1.2, 1.4]),
        ratio(Loopback, Work::Spinning, P50, Udp, [1.4; 3]),
        ratio(Loopback, SOME, Rate, Enet, [1.5, 1.5, 1.1]),
        ratio(Loopback, SOME, Rate, Kcp, [1.5, 1.5, 1.1]),
        ratio(Loopback, SOME, Rate, Tcp, [1.5, 1.5, 1.1]),
        ratio(Loopback, SOME, Cpu, Tcp, [1.5, 1.5, 2.0]),
        ratio(Loopback, MANY, Rate, Tcp, [0.8, 0.8, 0.6]),
        ratio(Loopback, MANY, Cpu, Tcp, [3.0, 3.0, 4.0]),
        ratio(Loopback, Work::Bulk, Rate, Tcp, [1.2, 1.2, 1.0]),
        ratio(Ethernet, SOME, Rate, Tcp, [0.9; 3]),
        ratio(Ethernet, Work::Bulk, Rate, Tcp, [0.7; 3]),
    ]
};

const fn ratio(medium: Medium, work: Work, quantity: Quantity, against: System, bounds: [f64; 3]) -> Ratio {
    Ratio { medium, work, quantity, against, bounds }
}

impl Medium {
    /// Returns the kinds of work that are done over it.
    pub(super) const fn works(self) -> &'static [Work] {
        match self {
            Self::Loopback => &[ALONE, Work::Spinning, Work::Threads, SOME, MANY, Work::Bulk],
            Self::Ethernet => &[SOME, Work::Bulk],
        }
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::Ethernet => "link with an MTU of 1500",
        })
    }
}

const ALONE: Work = Work::Echo { in_flight: 1 };
const SOME: Work = Work::Echo { in_flight: 64 };
const MANY: Work = Work::Echo { in_flight: 512 };
