//! What a relay did, as a table.

use core::fmt;

use super::proxy::{DirectionCounters, ProxyCounters};
use crate::value::Seed;

/// Shows the counters of a relay, one line each, and the seed that repeats its faults.
pub(super) struct Report {
    pub(super) counters: ProxyCounters,
    pub(super) seed: Seed,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = &self.counters;
        writeln!(f, "{:<12} {:>14} {:>14}", "datagrams", "to server", "to clients")?;
        for (name, count) in ROWS {
            writeln!(f, "{name:<12} {:>14} {:>14}", count(&counters.up), count(&counters.down))?;
        }
        writeln!(
            f,
            "clients {}, evicted {}, datagrams without a socket {}, seed {}",
            counters.client_count, counters.evicted_count, counters.unserved_count, self.seed
        )
    }
}

type Row = (&'static str, fn(&DirectionCounters) -> u64);

/// Received and duplicated, less the rows down to `not sent`, are sent.
const ROWS: [Row; 11] = [
    ("received", |counters| counters.link.received),
    ("duplicated", |counters| counters.link.duplicated),
    ("too large", |counters| counters.link.too_large),
    ("queue full", |counters| counters.link.queue_full),
    ("lost", |counters| counters.link.lost),
    ("lost in rows", |counters| counters.link.lost_in_row),
    ("memory full", |counters| counters.not_held),
    ("not sent", |counters| counters.not_sent),
    ("sent", |counters| counters.sent),
    ("reordered", |counters| counters.link.reordered),
    ("corrupted", |counters| counters.link.corrupted),
];
