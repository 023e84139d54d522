//! What sweeps go over.

use core::fmt::Display;
use core::str::FromStr;

use clap::Args;

use crate::value::{Percentage, QuantityError, Size};

/// The sweeps that can be asked for. Without values, each goes over some that tell much.
#[derive(Args, Clone)]
#[command(next_help_heading = "Sweeps; those that are given are measured, and nothing else")]
pub(super) struct SweepArgs {
    /// Closed loop: so many calls kept open on one conversation [without values: 1,4,16,64,256]
    #[arg(long, value_name = "COUNTS", num_args = 0..=1, default_missing_value = IN_FLIGHT)]
    pub(super) in_flight: Option<List<InFlight>>,
    /// One call at a time, with so many octets each way [without values: 32,512,4KiB,32KiB]
    #[arg(long, value_name = "SIZES", num_args = 0..=1, default_missing_value = SIZE)]
    pub(super) size: Option<List<CallSize>>,
    /// Open loop: so many calls a second [without values: 1000,10000,50000,200000]
    ///
    /// They are due at even distances whatever becomes of those before, and the time of a call counts from when it was due:
    /// a slow answer is not left out because nobody asked meanwhile (coordinated omission).
    #[arg(long, value_name = "RATES", num_args = 0..=1, default_missing_value = RATE)]
    pub(super) rate: Option<List<CallRate>>,
    /// Uploads by each law of congestion control, so many datagrams lost each way [without values: 0%,0.1%,1%,2%,5%]
    ///
    /// They pass a relay of 100 Mbit/s and 10 ms each way. Blocks are ten times as long as elsewhere, and a third as many.
    #[arg(long, value_name = "SHARES", num_args = 0..=1, default_missing_value = LOSS)]
    pub(super) loss: Option<List<Percentage>>,
    /// All of these, and before them what is measured without any
    #[arg(long, conflicts_with_all = ["in_flight", "size", "rate", "loss"])]
    pub(super) all: bool,
}

impl SweepArgs {
    /// Returns whether no sweep was asked for.
    pub(super) fn is_empty(&self) -> bool {
        !self.all && self.in_flight.is_none() && self.size.is_none() && self.rate.is_none() && self.loss.is_none()
    }

    /// Puts the values of each sweep in the place of `--all`.
    pub(super) fn resolved(&self) -> Self {
        if !self.all {
            return self.clone();
        }
        Self {
            in_flight: Some(known(IN_FLIGHT)),
            size: Some(known(SIZE)),
            rate: Some(known(RATE)),
            loss: Some(known(LOSS)),
            all: true,
        }
    }
}

/// Reads values that stand in this file.
fn known<T: FromStr<Err: Display> + PartialEq>(text: &str) -> List<T> {
    text.parse().expect("the values of this file are right")
}

const IN_FLIGHT: &str = "1,4,16,64,256";
const SIZE: &str = "32,512,4KiB,32KiB";
const RATE: &str = "1000,10000,50000,200000";
const LOSS: &str = "0%,0.1%,1%,2%,5%";

/// Calls kept open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InFlight(pub(super) usize);

impl FromStr for InFlight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let count = text.parse().ok().filter(|count| (1..=IN_FLIGHT_MAX).contains(count));
        count.map(Self).ok_or_else(|| format!("from 1 call to {IN_FLIGHT_MAX}"))
    }
}

/// Octets in a call and in its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CallSize(pub(super) usize);

impl FromStr for CallSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Size(len) = text.parse().map_err(|error: QuantityError| error.to_string())?;
        let len = usize::try_from(len).ok().filter(|len| (1..=CALL_LEN_MAX).contains(len));
        len.map(Self).ok_or_else(|| format!("from 1 octet to {}", Size(CALL_LEN_MAX as u64)))
    }
}

/// Calls a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CallRate(pub(super) f64);

impl FromStr for CallRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rate = text.parse().ok().filter(|rate| (RATE_MIN..=RATE_MAX).contains(rate));
        rate.map(Self).ok_or_else(|| format!("from {RATE_MIN} calls a second to {RATE_MAX}"))
    }
}

/// So many calls of 32 octets are always taken by a socket of plain TCP, both of whose ends write before they read.
const IN_FLIGHT_MAX: usize = 1024;

/// As for [`IN_FLIGHT_MAX`].
const CALL_LEN_MAX: usize = 64 << 10;

/// A slower one leaves too many blocks without a call.
const RATE_MIN: f64 = 1.0;

/// More than a core begins.
const RATE_MAX: f64 = 10_000_000.0;

/// Values with commas between them: at least one, each once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T: FromStr<Err: Display> + PartialEq> FromStr for List<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut values = Vec::new();
        for text in text.split(',') {
            let value = text.trim().parse().map_err(|error: T::Err| format!("'{text}': {error}"))?;
            if values.contains(&value) {
                return Err(format!("'{text}' stands there twice"));
            }
            values.push(value);
        }
        Ok(Self(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_between_commas_each_once() {
        assert_eq!("1,64".parse(), Ok(List(vec![InFlight(1), InFlight(64)])));
        assert_eq!("32, 4KiB".parse(), Ok(List(vec![CallSize(32), CallSize(4096)])));
        assert_eq!("0.5".parse::<List<CallRate>>().unwrap_err(), "'0.5': from 1 calls a second to 10000000");
        for text in ["", "1,", "1,1", "0", "1025", "x"] {
            assert!(text.parse::<List<InFlight>>().is_err(), "{text}");
        }
        for text in ["0", "65KiB", "1GB"] {
            assert!(text.parse::<List<CallSize>>().is_err(), "{text}");
        }
        for text in ["0", "NaN", "-1", "1e8"] {
            assert!(text.parse::<List<CallRate>>().is_err(), "{text}");
        }
    }

    #[test]
    fn all_sweeps_have_values() {
        let none = SweepArgs { in_flight: None, size: None, rate: None, loss: None, all: false };
        assert!(none.is_empty() && none.resolved().is_empty());
        let all = SweepArgs { all: true, ..none }.resolved();
        assert!(all.in_flight.is_some() && all.size.is_some() && all.rate.is_some() && all.loss.is_some());
    }
}
