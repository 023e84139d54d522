//! The figures for people at a terminal: a table for each stage, medians of the blocks.

use core::fmt;

use super::{Contestant, Report, Stage, Support};
use crate::bench::stats::Estimate;
use crate::value::Size;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.place())?;
        let size = |len: usize| Size(len as u64);
        let (recv_len, send_len) =
            (size(self.socket.recv_buffer.granted_octets), size(self.socket.send_buffer.granted_octets));
        let (gso, gro) = (&self.socket.gso, &self.socket.gro);
        writeln!(f, "receive buffer {recv_len}, send buffer {send_len}, GSO {gso}, GRO {gro}")?;
        writeln!(
            f,
            "medians of {} blocks of {} ms each; ratios within a round, with the interval of their median (95 %)",
            self.asked.block_count,
            self.asked.block_s * 1000.0
        )?;
        for stage in &self.stages {
            write!(f, "\n{stage}")?;
        }
        if !self.doubts.is_empty() {
            writeln!(f, "\nNot to be relied upon:")?;
        }
        self.doubts.iter().try_for_each(|doubt| writeln!(f, "- {doubt}"))
    }
}

impl Report {
    /// Says who measured where.
    pub(super) fn place(&self) -> String {
        let place = match &self.asked.to {
            Some(server) => format!("to {server}"),
            None => "loopback".to_owned(),
        };
        let cores = match (self.machine.client_core, self.machine.server_core) {
            (Some(client), Some(_)) if self.asked.to.is_some() => format!("client on core {client}"),
            (Some(client), Some(server)) => format!("client on core {client}, server on core {server}"),
            _ => "not bound to cores".to_owned(),
        };
        format!("posthaste {}, {}, {place}, {cores}", self.posthaste_version, self.machine.system)
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            None => f.write_str(if self.on { "on" } else { "off" }),
            Some(reason) => f.write_str(reason),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name_width = self.contestants.iter().map(|contestant| contestant.name.chars().count()).max();
        let name_width = name_width.unwrap_or_default().max(NAME_WIDTH_MIN);
        writeln!(f, "{}", self.title)?;
        let ratio_heading = ["ratio to the", self.reference.name()];
        for (line, ratio) in ratio_heading.iter().enumerate() {
            write!(f, "{:name_width$}", "")?;
            for quantity in self.quantities() {
                write!(f, "{:>COLUMN_WIDTH$}", quantity.heading[line])?;
            }
            writeln!(f, "   {ratio}")?;
        }
        for contestant in &self.contestants {
            write!(f, "{:name_width$}", contestant.name)?;
            self.write_figures(contestant, f)?;
        }
        match self.expectation() {
            Some(expectation) => writeln!(f, "{expectation}"),
            None => Ok(()),
        }
    }
}

impl Stage {
    fn write_figures(&self, contestant: &Contestant, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for quantity in self.quantities() {
            match contestant.estimate(quantity) {
                Some(Estimate { median, .. }) => {
                    write!(f, "{median:>COLUMN_WIDTH$.decimals$}", decimals = quantity.decimal_count)?;
                }
                None => write!(f, "{:>COLUMN_WIDTH$}", "-")?,
            }
        }
        match contestant.ratio {
            Some(Estimate { low, median, high }) => writeln!(f, "   {median:.2} ({low:.2} to {high:.2})"),
            None => writeln!(f),
        }
    }
}

const NAME_WIDTH_MIN: usize = 12;
const COLUMN_WIDTH: usize = 13;
