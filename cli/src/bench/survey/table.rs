//! The figures for people: a table for each stage, medians of the blocks.

use core::fmt;

use posthaste_udp::Report;

use super::{StageResult, Survey};
use crate::bench::machine::Cores;
use crate::bench::stats::{self, Estimate};
use crate::value::Size;

impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "posthaste {}, {}, loopback, ", env!("CARGO_PKG_VERSION"), self.circumstances.system)?;
        match self.circumstances.cores {
            Some(Cores { client, server }) => writeln!(f, "client on core {client}, server on core {server}")?,
            None => writeln!(f, "not bound to cores")?,
        }
        let Report { recv_buffer, send_buffer, gso, gro, .. } = self.circumstances.report;
        let size = |len: usize| Size(len as u64);
        let (recv_len, send_len) = (size(recv_buffer.granted_len), size(send_buffer.granted_len));
        writeln!(f, "receive buffer {recv_len}, send buffer {send_len}, GSO {gso}, GRO {gro}")?;
        writeln!(
            f,
            "medians of {} blocks of {} each; ratios within a round, with the interval of their median (95 %)",
            self.block_count, self.block_len
        )?;
        for result in &self.results {
            write!(f, "\n{result}")?;
        }
        let doubts = self.doubts();
        if !doubts.is_empty() {
            writeln!(f, "\nNot to be relied upon:")?;
        }
        doubts.iter().try_for_each(|doubt| writeln!(f, "- {doubt}"))
    }
}

impl fmt::Display for StageResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = || self.stage.contestants.iter().map(|contestant| contestant.name.as_str());
        let name_width = names().map(str::len).max().unwrap_or_default().max(NAME_WIDTH_MIN);
        writeln!(f, "{}", self.stage.title)?;
        let ratio_heading = ["ratio to the".to_owned(), self.stage.reference.name().to_owned()];
        for (line, ratio) in ratio_heading.iter().enumerate() {
            write!(f, "{:name_width$}", "")?;
            for quantity in self.stage.quantities {
                write!(f, "{:>COLUMN_WIDTH$}", quantity.heading[line])?;
            }
            writeln!(f, "   {ratio}")?;
        }
        for (index, (name, blocks)) in names().zip(&self.blocks).enumerate() {
            write!(f, "{name:name_width$}")?;
            for quantity in self.stage.quantities {
                match quantity.of_all(blocks) {
                    Some(values) => {
                        let median = stats::median(&values);
                        write!(f, "{median:>COLUMN_WIDTH$.decimals$}", decimals = quantity.decimal_count)?;
                    }
                    None => write!(f, "{:>COLUMN_WIDTH$}", "-")?,
                }
            }
            match self.ratio(index) {
                Some(Estimate { low, median, high }) => writeln!(f, "   {median:.2} ({low:.2} to {high:.2})")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

const NAME_WIDTH_MIN: usize = 12;
const COLUMN_WIDTH: usize = 13;
