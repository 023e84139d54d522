//! Where a measurement takes place, and what of that makes its figures doubtful.

use core::net::{Ipv4Addr, SocketAddr};
use std::io;

use posthaste_core::ecn::Ecn;
use posthaste_udp::{Buffer, Offload, Options, Report, SendBatch, Socket};

use crate::bench::machine::{self, Cores, Disturbance, Watch};
use crate::bench::report;
use crate::failure::Failure;

/// The machine, and what the system grants to a socket as the adapters open it.
pub(super) struct Circumstances {
    /// Where the two ends run.
    pub(super) cores: Option<Cores>,
    /// What a socket is granted.
    report: Report,
    watch: Watch,
}

impl Circumstances {
    /// Looks around, and begins to watch what others do.
    ///
    /// # Errors
    /// If there is no socket to be had.
    pub(super) fn find() -> Result<Self, Failure> {
        let report = probe_socket().map_err(|error| Failure::local("cannot open a socket", &error))?;
        Ok(Self { cores: Cores::pick(), report, watch: Watch::start() })
    }

    /// Describes the machine.
    pub(super) fn machine(&self) -> report::Machine {
        report::Machine::this(machine::system(), machine::core_count(), self.cores)
    }

    /// Describes the socket.
    pub(super) fn socket(&self) -> report::Socket {
        self.report.into()
    }

    /// Returns what makes the figures doubtful that were measured until now, a sentence each.
    pub(super) fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if cfg!(debug_assertions) {
            doubts.push("this is a debug build: its figures say nothing; use --release".to_owned());
        }
        doubts.extend(core_doubt(self.cores));
        doubts.extend(self.watch.disturbance().into_iter().flat_map(disturbance_doubts));
        doubts.extend(socket_doubts(&self.report));
        doubts
    }
}

fn core_doubt(cores: Option<Cores>) -> Option<String> {
    match cores {
        None => Some("this system does not bind processes to cores: figures stray more".to_owned()),
        Some(Cores { client, server }) if client == server => {
            Some(format!("there is one core, and both ends share it: core {client}"))
        }
        Some(_) => None,
    }
}

fn disturbance_doubts(Disturbance { others, stolen }: Disturbance) -> Vec<String> {
    let mut doubts = Vec::new();
    if others > OTHERS_MAX {
        doubts.push(format!(
            "the machine is busy: other programs took {others:.2} of a core meanwhile; measure again when it is idle"
        ));
    }
    if stolen > STOLEN_MAX {
        doubts.push(format!("the host of this virtual machine took {stolen:.2} of a core from it meanwhile"));
    }
    doubts
}

fn socket_doubts(report: &Report) -> Vec<String> {
    let mut doubts = Vec::new();
    for (name, offload) in [("GSO", report.gso), ("GRO", report.gro)] {
        if offload != Offload::On {
            doubts.push(format!("{name} is {offload}: each datagram costs a system call's work of its own"));
        }
    }
    for (name, sysctl, Buffer { asked_len, granted_len }) in
        [("receive", "net.core.rmem_max", report.recv_buffer), ("send", "net.core.wmem_max", report.send_buffer)]
    {
        if granted_len < asked_len {
            doubts.push(format!(
                "the {name} buffer is smaller than asked, {granted_len} octets of {asked_len}: less may be under way \
                 (on Linux, raise {sysctl})"
            ));
        }
    }
    doubts
}

/// Opens a socket as the adapters do. It sends some joined datagrams to itself: an offload may be granted and fail in use.
fn probe_socket() -> io::Result<Report> {
    let socket = Socket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &Options::default())?;
    let mut batch = SendBatch::new(PROBE_LEN);
    while let Some(slot) = batch.slot() {
        slot.fill(0);
        batch.commit(PROBE_LEN, socket.local_addr(), None, Ecn::NotEct);
    }
    socket.send(&mut batch)?;
    Ok(socket.report())
}

const PROBE_LEN: usize = 1200;

/// Cores; our choice: what a desktop does in the background is less.
const OTHERS_MAX: f64 = 0.1;

/// Cores; our choice.
const STOLEN_MAX: f64 = 0.02;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_figures_doubtful_is_said() {
        assert_eq!(core_doubt(Some(Cores { client: 0, server: 1 })), None);
        assert!(core_doubt(Some(Cores { client: 0, server: 0 })).unwrap().contains("one core"));
        assert!(core_doubt(None).unwrap().contains("does not bind"));

        assert_eq!(disturbance_doubts(Disturbance { others: 0.05, stolen: 0.01 }), Vec::<String>::new());
        let busy = disturbance_doubts(Disturbance { others: 1.5, stolen: 0.1 }).join("\n");
        assert!(busy.contains("other programs took 1.50 of a core") && busy.contains("took 0.10 of a core"), "{busy}");

        let mut report = probe_socket().unwrap();
        let full = |asked_len| Buffer { asked_len, granted_len: 4096 };
        (report.recv_buffer, report.send_buffer, report.gso, report.gro) =
            (full(8192), full(4096), Offload::Off(posthaste_udp::OffReason::Unsupported), Offload::On);
        let doubts = socket_doubts(&report);
        assert_eq!(doubts.len(), 2, "{doubts:?}");
        assert!(doubts[0].starts_with("GSO is off (not supported)"), "{doubts:?}");
        assert!(doubts[1].starts_with("the receive buffer is smaller than asked, 4096 octets of 8192"), "{doubts:?}");
    }

    #[test]
    fn an_idle_watch_says_little_and_never_less_than_nothing() {
        let circumstances = Circumstances::find().unwrap();
        if let Some(Disturbance { others, stolen }) = circumstances.watch.disturbance() {
            assert!(others >= 0.0 && stolen >= 0.0);
        }
    }
}
