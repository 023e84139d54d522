//! What is measured of a block: a figure with its name, its unit and its place in a table.

use crate::bench::driver::Block;

/// A figure of a block, which some contestants cannot tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quantity {
    /// Its name in the machine-readable result, with its unit; it stays.
    pub(super) key: &'static str,
    /// The two lines above its column.
    pub(super) heading: [&'static str; 2],
    /// Digits after the point in a table.
    pub(super) decimal_count: usize,
    /// Takes it from a block.
    pub(super) of: fn(&Block) -> Option<f64>,
}

pub(super) const CALL_RATE: Quantity = new("calls_per_s", ["", "calls/s"], 0, |block| Some(block.rate()));
pub(super) const BULK_RATE: Quantity = new("mb_per_s", ["", "MB/s"], 1, |block| Some(block.rate() / 1e6));

pub(super) const P50: Quantity = new("p50_us", ["latency us", "p50"], 1, |block| Some(block.done.latency?.p50));
pub(super) const P99: Quantity = new("p99_us", ["", "p99"], 1, |block| Some(block.done.latency?.p99));
pub(super) const P999: Quantity = new("p999_us", ["", "p99.9"], 1, |block| Some(block.done.latency?.p999));

/// How long sending a message holds up its sender.
pub(super) const SEND_P50: Quantity = new("send_p50_us", ["a send, us", "p50"], 1, P50.of);
pub(super) const SEND_P99: Quantity = new("send_p99_us", ["", "p99"], 1, P99.of);

// Nanoseconds for a call are milliseconds for a million, nanoseconds for an octet seconds for 10^9.
pub(super) const CLIENT_CPU_PER_CALL: Quantity =
    new("client_cpu_s_per_million_calls", ["CPU s / 10^6", "client"], 2, |block| {
        Some(block.cpu_nanos_each()?[0] / 1e3)
    });
pub(super) const SERVER_CPU_PER_CALL: Quantity =
    new("server_cpu_s_per_million_calls", ["", "server"], 2, |block| Some(block.cpu_nanos_each()?[1] / 1e3));
pub(super) const CLIENT_CPU_PER_GB: Quantity =
    new("client_cpu_s_per_gb", ["CPU s / GB", "client"], 2, |block| Some(block.cpu_nanos_each()?[0]));
pub(super) const SERVER_CPU_PER_GB: Quantity =
    new("server_cpu_s_per_gb", ["", "server"], 2, |block| Some(block.cpu_nanos_each()?[1]));

pub(super) const DATAGRAMS_PER_CALL: Quantity =
    new("datagrams_per_call", ["datagrams", "per call"], 2, Block::datagrams_each);
pub(super) const DATAGRAMS_PER_MB: Quantity =
    new("datagrams_per_mb", ["datagrams", "per MB"], 1, |block| Some(block.datagrams_each()? * 1e6));

impl Quantity {
    /// Takes it from each block; `None` if a block does not have it.
    pub(super) fn of_all(&self, blocks: &[Block]) -> Option<Vec<f64>> {
        blocks.iter().map(self.of).collect()
    }
}

const fn new(
    key: &'static str,
    heading: [&'static str; 2],
    decimal_count: usize,
    of: fn(&Block) -> Option<f64>,
) -> Quantity {
    Quantity { key, heading, decimal_count, of }
}
