//! The values that options take, each with its grammar.

mod address;
mod claim;
mod quantity;

use core::fmt;
use core::hash::BuildHasher;
use core::num::{NonZeroU32, NonZeroU64};
use core::str::FromStr;
use core::time::Duration;
use std::hash::RandomState;

pub(crate) use self::address::{Address, AddressError, HostAddress, OncAddress};
pub(crate) use self::claim::parse_claim;
use self::quantity::Quantity;
pub(crate) use self::quantity::QuantityError;

/// A share of all, from `0%` to `100%`, in steps of a millionth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Percentage(u32);

impl Percentage {
    /// Returns the share in millionths.
    pub(crate) fn per_million(self) -> u32 {
        self.0
    }
}

impl FromStr for Percentage {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let millionths = PERCENTAGE.parse(text)?;
        Ok(Self(u32::try_from(millionths).expect("the table ends at a million")))
    }
}

impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / PER_CENT, self.0 % PER_CENT);
        if part == 0 {
            return write!(f, "{whole}%");
        }
        write!(f, "{whole}.{}%", format!("{part:04}").trim_end_matches('0'))
    }
}

/// A length of time, such as `10ms`, at most a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimeSpan(pub(crate) Duration);

impl TimeSpan {
    /// Reads a time like [`str::parse`] and refuses zero.
    pub(crate) fn parse_nonzero(text: &str) -> Result<Self, QuantityError> {
        TIME.parse_nonzero(text).map(|nanos| Self(Duration::from_nanos(nanos)))
    }
}

impl FromStr for TimeSpan {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        TIME.parse(text).map(|nanos| Self(Duration::from_nanos(nanos)))
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TIME.write(posthaste_core::time::nanos(self.0), f)
    }
}

/// A data rate above zero, such as `100mbit`, in bits per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate(NonZeroU64);

impl Rate {
    /// Makes a rate.
    ///
    /// # Panics
    /// If it is zero.
    pub(crate) const fn of_bits_per_second(bits: u64) -> Self {
        Self(NonZeroU64::new(bits).expect("a rate is above zero"))
    }

    /// Returns the bits per second.
    pub(crate) fn bits_per_second(self) -> u64 {
        self.0.get()
    }
}

impl FromStr for Rate {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        RATE.parse_nonzero(text).map(|bits| Self(NonZeroU64::new(bits).expect("zero was refused")))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RATE.write(self.0.get(), f)
    }
}

/// A number of octets, such as `1500` or `64KiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        SIZE.parse(text).map(Self)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SIZE.write(self.0, f)
    }
}

/// Losses that come in rows, such as `1%:8`: the chance of each datagram to begin a row, and the mean length of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BurstLoss {
    /// How likely a datagram outside of a row begins one.
    pub(crate) start: Percentage,
    /// How many datagrams a row takes on average.
    pub(crate) mean_count: NonZeroU32,
}

impl FromStr for BurstLoss {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (start, count) = text.split_once(':').ok_or("not a chance and a mean count, such as 1%:8")?;
        let start = start.parse().map_err(|error: QuantityError| error.to_string())?;
        let mean_count = count.parse().map_err(|_| format!("'{count}' is no count of datagrams from 1"))?;
        Ok(Self { start, mean_count })
    }
}

impl fmt::Display for BurstLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.start, self.mean_count)
    }
}

/// Where a generator starts: the same seed gives the same draws. Decimal, or hexadecimal after `0x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    /// Draws a seed from the operating system.
    pub(crate) fn random() -> Self {
        // The standard library keys its hash maps from the system's generator; this borrows such a key.
        Self(RandomState::new().hash_one(0))
    }
}

impl FromStr for Seed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
        // The standard parser would take a sign.
        if !digits.starts_with(|c: char| c.is_digit(radix)) {
            return Err("not a whole number, such as 7 or 0x1f");
        }
        u64::from_str_radix(digits, radix).map(Self).map_err(|_| "not a whole number below 2^64")
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Millionths in a hundredth.
const PER_CENT: u32 = 10_000;

static PERCENTAGE: Quantity = Quantity {
    name: "a percentage",
    example: "0.1%",
    units: &[("%", PER_CENT as u64)],
    max: (100 * PER_CENT as u64, "100%"),
};

static TIME: Quantity = Quantity {
    name: "a time",
    example: "10ms",
    units: &[
        ("h", 3_600_000_000_000),
        ("min", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ],
    max: (24 * 3_600_000_000_000, "24h"),
};

static RATE: Quantity = Quantity {
    name: "a rate",
    example: "100mbit",
    units: &[("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)],
    max: (1_000_000_000_000, "1000gbit"),
};

static SIZE: Quantity = Quantity {
    name: "a size",
    example: "64KiB",
    units: &[
        ("GiB", 1 << 30),
        ("GB", 1_000_000_000),
        ("MiB", 1 << 20),
        ("MB", 1_000_000),
        ("KiB", 1 << 10),
        ("kB", 1_000),
        ("", 1),
        ("B", 1),
    ],
    max: (1 << 40, "1024GiB"),
};

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: FromStr<Err: fmt::Display> + fmt::Debug>(text: &str) -> String {
        text.parse::<T>().expect_err(text).to_string()
    }

    #[test]
    fn a_value_reads_back_as_it_is_written() {
        for text in ["0%", "5%", "0.1%", "0.0001%", "12.5%", "100%"] {
            assert_eq!(text.parse::<Percentage>().unwrap().to_string(), text);
        }
        for text in ["500us", "10ms", "2s", "90s", "5min", "1h", "1ns"] {
            assert_eq!(text.parse::<TimeSpan>().unwrap().to_string(), text);
        }
        for text in ["9600bit", "100mbit", "1gbit"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in ["1500", "10kB", "256KiB", "64MiB", "2GiB", "0"] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size.to_string().parse::<Size>().unwrap(), size);
            assert!(text == "0" || size.to_string() == text, "{text} became {size}");
        }
        for text in ["0", "18446744073709551615"] {
            assert_eq!(text.parse::<Seed>().unwrap().to_string(), text);
        }
        assert_eq!("1%:8".parse::<BurstLoss>().unwrap().to_string(), "1%:8");
    }

    #[test]
    fn units_have_their_lengths() {
        assert_eq!("1.5ms".parse(), Ok(TimeSpan(Duration::from_micros(1500))));
        assert_eq!("0".parse(), Ok(TimeSpan(Duration::ZERO)));
        assert_eq!("0.1%".parse::<Percentage>().unwrap().per_million(), 1_000);
        assert_eq!("9600bit".parse::<Rate>().unwrap().bits_per_second(), 9_600);
        assert_eq!("1Gbit".parse::<Rate>().unwrap().bits_per_second(), 1_000_000_000);
        assert_eq!("256KiB".parse(), Ok(Size(262_144)));
        assert_eq!("10KB".parse(), Ok(Size(10_000)));
        assert_eq!("0.5KiB".parse(), Ok(Size(512)));
        assert_eq!("0x1F".parse(), Ok(Seed(31)));
    }

    #[test]
    fn what_is_no_time_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "not a time, such as 10ms"),
            ("NaN", "not a time, such as 10ms"),
            ("inf", "not a time, such as 10ms"),
            ("ms", "not a time, such as 10ms"),
            (".5s", "not a time, such as 10ms"),
            ("5.s", "not a time, such as 10ms"),
            ("1.2.3s", "not a time, such as 10ms"),
            ("+1s", "not a time, such as 10ms"),
            ("-1", "a time is not negative"),
            ("-1ms", "a time is not negative"),
            ("5", "the unit is missing: write h, min, s, ms, us, ns"),
            ("5x", "'x' is no unit of a time: write h, min, s, ms, us, ns"),
            ("1e9", "'e9' is no unit of a time: write h, min, s, ms, us, ns"),
            ("5 ms", "' ms' is no unit of a time: write h, min, s, ms, us, ns"),
            ("25h", "a time is at most 24h"),
            ("99999999999999999999999s", "a time is at most 24h"),
            ("0.5ns", "too many decimals for a time"),
            ("0.00000000000000000000000000000000000000000000001s", "too many decimals for a time"),
        ] {
            assert_eq!(refused::<TimeSpan>(text), reason, "{text}");
        }
    }

    #[test]
    fn what_is_no_percentage_rate_size_or_seed_is_refused() {
        assert_eq!(refused::<Percentage>("100.0001%"), "a percentage is at most 100%");
        assert_eq!(refused::<Percentage>("5"), "the unit is missing: write %");
        assert_eq!(refused::<Percentage>("0.00001%"), "too many decimals for a percentage");
        assert_eq!(refused::<Rate>("0bit"), "a rate above zero is needed, such as 100mbit");
        assert_eq!(refused::<Rate>("100M"), "'M' is no unit of a rate: write gbit, mbit, kbit, bit");
        assert_eq!(refused::<Size>("1.5"), "too many decimals for a size");
        assert_eq!(refused::<Size>("1025GiB"), "a size is at most 1024GiB");
        assert_eq!(refused::<Seed>("+1"), "not a whole number, such as 7 or 0x1f");
        assert_eq!(refused::<Seed>("0x"), "not a whole number, such as 7 or 0x1f");
        assert_eq!(refused::<Seed>("18446744073709551616"), "not a whole number below 2^64");
        assert_eq!(refused::<BurstLoss>("1%"), "not a chance and a mean count, such as 1%:8");
        assert_eq!(refused::<BurstLoss>("1%:0"), "'0' is no count of datagrams from 1");
    }
}
