//! How many blocks a measurement takes, and how long they are.

use core::time::Duration;

use clap::Args;

use super::stats;
use crate::value::{QuantityError, TimeSpan};

/// The options of every measurement that takes turns.
#[derive(Args)]
pub(super) struct BlockArgs {
    /// How many blocks of each kind
    #[arg(long = "blocks", value_name = "COUNT", default_value = "31", value_parser = parse_count)]
    pub(super) count: usize,
    /// How long a block takes
    #[arg(long = "block", value_name = "TIME", default_value = "50ms", value_parser = parse_len)]
    pub(super) len: TimeSpan,
}

fn parse_count(text: &str) -> Result<usize, String> {
    let range = stats::VALUE_COUNT_MIN..=COUNT_MAX;
    let count = text.parse().ok().filter(|count| range.contains(count));
    count.ok_or_else(|| format!("from {} blocks, for an interval, to {}", range.start(), range.end()))
}

fn parse_len(text: &str) -> Result<TimeSpan, String> {
    let block_len: TimeSpan = text.parse().map_err(|error: QuantityError| error.to_string())?;
    // A shorter block could end before its first call.
    if block_len.0 < Duration::from_millis(1) { Err("a block takes at least 1ms".to_owned()) } else { Ok(block_len) }
}

const COUNT_MAX: usize = 1000;
