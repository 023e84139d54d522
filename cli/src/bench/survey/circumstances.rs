//! Where a measurement took place, and what of that makes its figures doubtful.

use core::net::{Ipv4Addr, SocketAddr};
use std::io;

use posthaste_core::ecn::Ecn;
use posthaste_udp::{Buffer, Offload, Options, Report, SendBatch, Socket};

use crate::bench::machine::{self, Cores};
use crate::failure::Failure;

/// The machine, the build, and what the system grants to a socket as the adapters open it.
pub(super) struct Circumstances {
    /// Where the two ends run.
    pub(super) cores: Option<Cores>,
    /// Cores that this process may use.
    pub(super) core_count: usize,
    /// The operating system and its version.
    pub(super) system: String,
    /// What a socket is granted.
    pub(super) report: Report,
    /// How this program was compiled.
    pub(super) build: Build,
}

/// How a program was compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Build {
    /// For use.
    Release,
    /// For debugging.
    Debug,
}

impl Circumstances {
    /// Looks around.
    ///
    /// # Errors
    /// If there is no socket to be had.
    pub(super) fn find() -> Result<Self, Failure> {
        let report = probe_socket().map_err(|error| Failure::local("cannot open a socket", &error))?;
        Ok(Self {
            cores: Cores::pick(),
            core_count: machine::core_count(),
            system: machine::system(),
            report,
            build: if cfg!(debug_assertions) { Build::Debug } else { Build::Release },
        })
    }

    /// Returns what makes the figures doubtful, a sentence each.
    pub(super) fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.build == Build::Debug {
            doubts.push("this is a debug build: its figures say nothing; use --release".to_owned());
        }
        match self.cores {
            None => doubts.push("this system does not bind processes to cores: figures stray more".to_owned()),
            Some(Cores { client, server }) if client == server => {
                doubts.push(format!("there is one core, and both ends share it: core {client}"));
            }
            Some(_) => {}
        }
        for (name, offload) in [("GSO", self.report.gso), ("GRO", self.report.gro)] {
            if offload != Offload::On {
                doubts.push(format!("{name} is {offload}: each datagram costs a system call's work of its own"));
            }
        }
        for (name, Buffer { asked_len, granted_len }) in
            [("receive", self.report.recv_buffer), ("send", self.report.send_buffer)]
        {
            if granted_len < asked_len {
                doubts.push(format!(
                    "the {name} buffer is smaller than asked, {granted_len} octets of {asked_len}: less may be under way"
                ));
            }
        }
        doubts
    }
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
