//! What is measured of a block: a figure with its name, its unit and its place in a table.

use crate::bench::driver::Block;

/// A figure of a block, which some contestants cannot tell.
#[derive(Clone, Copy, Debug)]
pub(in crate::bench) struct Quantity {
    /// Its name in documents, with its unit; it stays.
    pub(in crate::bench) key: &'static str,
    /// Its name in a sentence.
    pub(in crate::bench) name: &'static str,
    pub(in crate::bench) unit: Unit,
    /// The two lines above its column.
    pub(in crate::bench) heading: [&'static str; 2],
    /// Digits after the point in a table.
    pub(in crate::bench) decimal_count: usize,
    /// Takes it from a block.
    pub(in crate::bench) of: fn(&Block) -> Option<f64>,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Unit {
    CallsPerSecond,
    MegabytesPerSecond,
    Micros,
    /// Seconds of processor time for a million calls, which are microseconds for one, or for a gigabyte.
    CpuSeconds,
    Datagrams,
    Percent,
}

/// Which of two figures is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Better {
    Less,
    More,
}

pub(in crate::bench) const CALL_RATE: Quantity =
    new("calls_per_s", "calls a second", Unit::CallsPerSecond, ["", "calls/s"], 0, |block| Some(block.rate()));
pub(in crate::bench) const BULK_RATE: Quantity =
    new("mb_per_s", "goodput", Unit::MegabytesPerSecond, ["", "MB/s"], 2, |block| Some(block.rate() / 1e6));

pub(in crate::bench) const P50: Quantity =
    new("p50_us", "median latency", Unit::Micros, ["latency us", "p50"], 1, |block| Some(block.done.latency?.p50));
pub(in crate::bench) const P99: Quantity =
    new("p99_us", "p99 latency", Unit::Micros, ["", "p99"], 1, |block| Some(block.done.latency?.p99));
pub(in crate::bench) const P999: Quantity =
    new("p999_us", "p99.9 latency", Unit::Micros, ["", "p99.9"], 1, |block| Some(block.done.latency?.p999));

/// How long sending a message holds up its sender.
pub(in crate::bench) const SEND_P50: Quantity =
    new("send_p50_us", "median time of a send", Unit::Micros, ["a send, us", "p50"], 1, P50.of);
pub(in crate::bench) const SEND_P99: Quantity =
    new("send_p99_us", "p99 of a send", Unit::Micros, ["", "p99"], 1, P99.of);

// Nanoseconds for a call are milliseconds for a million, nanoseconds for an octet seconds for 10^9.
pub(in crate::bench) const CLIENT_CPU_PER_CALL: Quantity = new(
    "client_cpu_s_per_million_calls",
    "CPU of the client per million calls",
    Unit::CpuSeconds,
    ["CPU s / 10^6", "client"],
    2,
    |block| Some(block.cpu_nanos_each()[0]? / 1e3),
);
pub(in crate::bench) const SERVER_CPU_PER_CALL: Quantity = new(
    "server_cpu_s_per_million_calls",
    "CPU of the server per million calls",
    Unit::CpuSeconds,
    ["", "server"],
    2,
    |block| Some(block.cpu_nanos_each()[1]? / 1e3),
);
pub(in crate::bench) const CLIENT_CPU_PER_GB: Quantity =
    new("client_cpu_s_per_gb", "CPU of the client per GB", Unit::CpuSeconds, ["CPU s / GB", "client"], 2, |block| {
        block.cpu_nanos_each()[0]
    });
pub(in crate::bench) const SERVER_CPU_PER_GB: Quantity =
    new("server_cpu_s_per_gb", "CPU of the server per GB", Unit::CpuSeconds, ["", "server"], 2, |block| {
        block.cpu_nanos_each()[1]
    });

pub(in crate::bench) const DATAGRAMS_PER_CALL: Quantity = new(
    "datagrams_per_call",
    "datagrams per call",
    Unit::Datagrams,
    ["datagrams", "per call"],
    2,
    Block::datagrams_each,
);
pub(in crate::bench) const DATAGRAMS_PER_MB: Quantity =
    new("datagrams_per_mb", "datagrams per MB", Unit::Datagrams, ["datagrams", "per MB"], 1, |block| {
        Some(block.datagrams_each()? * 1e6)
    });

/// Calls of an open loop that could not be sent within their block.
pub(in crate::bench) const UNSENT: Quantity =
    new("unsent_percent", "calls not sent in time", Unit::Percent, ["not sent", "in time %"], 1, Block::unsent_percent);

static ALL: [Quantity; 14] = [
    CALL_RATE,
    BULK_RATE,
    P50,
    P99,
    P999,
    SEND_P50,
    SEND_P99,
    CLIENT_CPU_PER_CALL,
    SERVER_CPU_PER_CALL,
    CLIENT_CPU_PER_GB,
    SERVER_CPU_PER_GB,
    DATAGRAMS_PER_CALL,
    DATAGRAMS_PER_MB,
    UNSENT,
];

impl Quantity {
    /// Returns the quantity with this key.
    pub(in crate::bench) fn named(key: &str) -> Option<&'static Self> {
        ALL.iter().find(|quantity| quantity.key == key)
    }

    /// Takes it from each block; `None` if a block does not have it.
    pub(in crate::bench) fn of_all(&self, blocks: &[Block]) -> Option<Vec<f64>> {
        blocks.iter().map(self.of).collect()
    }

    /// Shows a value with its unit, to three digits.
    pub(in crate::bench) fn shown(&self, value: f64) -> String {
        self.unit.shown(value)
    }
}

impl Unit {
    /// Returns which of two figures is better.
    pub(in crate::bench) const fn better(self) -> Better {
        match self {
            Self::CallsPerSecond | Self::MegabytesPerSecond => Better::More,
            Self::Micros | Self::CpuSeconds | Self::Datagrams | Self::Percent => Better::Less,
        }
    }

    /// Shows a value with its unit.
    pub(in crate::bench) fn shown(self, value: f64) -> String {
        match self {
            Self::CallsPerSecond => format!("{} calls/s", self.short(value)),
            Self::MegabytesPerSecond if value >= 1000.0 => format!("{} GB/s", digits(value / 1000.0)),
            Self::MegabytesPerSecond => format!("{} MB/s", digits(value)),
            Self::Micros => self.short(value),
            Self::CpuSeconds => format!("{} s", digits(value)),
            Self::Datagrams => digits(value),
            Self::Percent => format!("{} %", digits(value)),
        }
    }

    /// Shows a value as briefly as an axis needs it.
    pub(in crate::bench) fn short(self, value: f64) -> String {
        match self {
            Self::CallsPerSecond if value >= 1e6 => format!("{} M", digits(value / 1e6)),
            Self::CallsPerSecond if value >= 1e3 => format!("{} k", digits(value / 1e3)),
            Self::Micros if value >= 1e6 => format!("{} s", digits(value / 1e6)),
            Self::Micros if value >= 1e3 => format!("{} ms", digits(value / 1e3)),
            Self::Micros => format!("{} µs", digits(value)),
            Self::CallsPerSecond | Self::MegabytesPerSecond | Self::CpuSeconds | Self::Datagrams | Self::Percent => {
                digits(value)
            }
        }
    }
}

/// Writes a number with three digits, or those before its point.
pub(in crate::bench) fn digits(value: f64) -> String {
    let decimal_count = match value.abs() {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimal_count$}");
    if decimal_count == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

const fn new(
    key: &'static str,
    name: &'static str,
    unit: Unit,
    heading: [&'static str; 2],
    decimal_count: usize,
    of: fn(&Block) -> Option<f64>,
) -> Quantity {
    Quantity { key, name, unit, heading, decimal_count, of }
}
