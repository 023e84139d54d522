//! The limits of the machine, as a table.

use core::fmt;

use crate::bench::convention::{Amount, Percentiles};
use crate::bench::driver::Block;
use crate::bench::machine::Cores;
use crate::bench::stats::{self, Estimate};
use crate::value::TimeSpan;

/// Shows what each kind of work reached, and UDP as a ratio to TCP where both do the same.
pub(super) struct Table<'a> {
    /// The kinds of work: UDP and TCP in pairs, then bulk.
    pub(super) names: Vec<&'a str>,
    /// The blocks of each.
    pub(super) blocks: &'a [Vec<Block>],
    /// Where the processes ran.
    pub(super) cores: Option<Cores>,
    /// How long a block took.
    pub(super) block_len: TimeSpan,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let block_count = self.blocks.first().map_or(0, Vec::len);
        write!(f, "loopback, {block_count} blocks of {} each, ", self.block_len)?;
        match self.cores {
            Some(Cores { client, server }) => writeln!(f, "client on core {client}, server on core {server}")?,
            None => writeln!(f, "not bound to cores")?,
        }
        writeln!(f, "{:<22} {:>28} {:>24} {:>19}", "", "median", "latency us", "CPU us per call")?;
        writeln!(
            f,
            "{:<22} {:>28} {:>8}{:>8}{:>8} {:>9} {:>9}",
            "", "and its 95 % interval", "p50", "p99", "p99.9", "client", "server"
        )?;
        for (name, blocks) in self.names.iter().zip(self.blocks) {
            writeln!(f, "{name:<22} {}", Row(blocks))?;
        }
        for (names, blocks) in self.names.chunks_exact(2).zip(self.blocks.chunks_exact(2)) {
            let [over, under] = [0, 1].map(|index| blocks[index].iter().map(Block::rate).collect::<Vec<f64>>());
            let Estimate { low, median, high } = Estimate::of_ratios(&over, &under);
            writeln!(f, "{} to {}: {median:.2} ({low:.2} to {high:.2})", names[0], names[1])?;
        }
        Ok(())
    }
}

/// The figures of one kind of work: calls per second with times per call, or MiB per second with times per MiB.
struct Row<'a>(&'a [Block]);

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latencies: Vec<Percentiles> = self.0.iter().filter_map(|block| block.done.latency).collect();
        let is_bulk = self.0.iter().any(|block| matches!(block.done.amount, Amount::Octets(_)));
        let (unit_len, unit) = if is_bulk { (MIB, "MiB/s") } else { (1.0, "/s") };

        let rates: Vec<f64> = self.0.iter().map(|block| block.rate() / unit_len).collect();
        let Estimate { low, median, high } = Estimate::of(&rates);
        let rate = format!("{median:.0} {unit} ({low:.0} to {high:.0})");
        write!(f, "{rate:>28}")?;

        let percentiles: [fn(&Percentiles) -> f64; 3] = [|l| l.p50, |l| l.p99, |l| l.p999];
        for (index, percentile) in percentiles.iter().enumerate() {
            let gap = if index == 0 { " " } else { "" };
            let values: Vec<f64> = latencies.iter().map(percentile).collect();
            match is_bulk {
                true => write!(f, "{gap}{:>8}", "-")?,
                false => write!(f, "{gap}{:>8.1}", stats::median(&values))?,
            }
        }
        for end in 0..2 {
            let nanos: Option<Vec<f64>> = self.0.iter().map(|block| block.cpu_nanos_each()[end]).collect();
            match nanos {
                Some(nanos) => write!(f, " {:>9.2}", stats::median(&nanos) * unit_len / 1000.0)?,
                None => write!(f, " {:>9}", "-")?,
            }
        }
        Ok(())
    }
}

const MIB: f64 = 1_048_576.0;
