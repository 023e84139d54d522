//! Numbers with a unit, such as `10ms`, `5%` or `64KiB`: one grammar, a table for each kind.

use core::fmt;

/// A kind of quantity: its units, and how far it goes.
///
/// A value is a decimal number followed by a unit, nothing between them, and is kept as a whole number of the
/// smallest unit. Zero needs no unit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Quantity {
    /// What it is, with an article: `a time`.
    pub(crate) name: &'static str,
    /// How a value of it is written.
    pub(crate) example: &'static str,
    /// Units, largest first, each with its length in smallest units. Case is ignored. An empty name means that a bare
    /// number is understood.
    pub(crate) units: &'static [(&'static str, u64)],
    /// The largest value and how to write it.
    pub(crate) max: (u64, &'static str),
}

/// Why a text is not a quantity of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum QuantityError {
    /// It does not start with a decimal number.
    NotANumber(&'static Quantity),
    /// It is less than nothing.
    Negative(&'static Quantity),
    /// It has no unit, and without one could mean anything.
    UnitMissing(&'static Quantity),
    /// It has a unit that this kind does not know.
    UnitUnknown(&'static Quantity, String),
    /// It is above the largest value.
    TooLarge(&'static Quantity),
    /// It is not a whole number of the smallest unit.
    TooFine(&'static Quantity),
    /// It is zero where something is needed.
    Zero(&'static Quantity),
}

impl Quantity {
    /// Reads `text` as a whole number of the smallest unit.
    pub(crate) fn parse(&'static self, text: &str) -> Result<u64, QuantityError> {
        if text.starts_with('-') {
            return Err(QuantityError::Negative(self));
        }
        let number_len = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(number_len);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let all_digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return Err(QuantityError::NotANumber(self));
        }
        let fraction = fraction.trim_end_matches('0');
        let is_zero = fraction.is_empty() && whole.bytes().all(|digit| digit == b'0');
        let unit_len = match self.units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
            Some(&(_, unit_len)) => u128::from(unit_len),
            None if unit.is_empty() && is_zero => return Ok(0),
            None if unit.is_empty() => return Err(QuantityError::UnitMissing(self)),
            None => return Err(QuantityError::UnitUnknown(self, unit.to_owned())),
        };
        let whole: u64 = whole.parse().map_err(|_| QuantityError::TooLarge(self))?;
        let part = exact_part(fraction, unit_len).ok_or(QuantityError::TooFine(self))?;
        u64::try_from(u128::from(whole) * unit_len + part)
            .ok()
            .filter(|&value| value <= self.max.0)
            .ok_or(QuantityError::TooLarge(self))
    }

    /// Reads `text` like [`Self::parse`] and refuses zero.
    pub(crate) fn parse_nonzero(&'static self, text: &str) -> Result<u64, QuantityError> {
        self.parse(text).and_then(|value| if value == 0 { Err(QuantityError::Zero(self)) } else { Ok(value) })
    }

    /// Writes `value` in the largest unit in which it is a whole number.
    pub(crate) fn write(&self, value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit_len) = self
            .units
            .iter()
            .find(|(_, unit_len)| value != 0 && value.is_multiple_of(*unit_len))
            .or(self.units.last())
            .expect("a kind of quantity has units");
        write!(f, "{}{name}", value / unit_len)
    }
}

/// Returns the decimal digits behind the point as smallest units, if that is a whole number.
fn exact_part(fraction: &str, unit_len: u128) -> Option<u128> {
    if fraction.is_empty() {
        return Some(0);
    }
    let digits: u64 = fraction.parse().ok()?;
    let denominator = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let numerator = u128::from(digits) * unit_len;
    numerator.is_multiple_of(denominator).then(|| numerator / denominator)
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber(kind) => write!(f, "not {}, such as {}", kind.name, kind.example),
            Self::Negative(kind) => write!(f, "{} is not negative", kind.name),
            Self::UnitMissing(kind) => {
                write!(f, "the unit is missing: ")?;
                write_units(kind, f)
            }
            Self::UnitUnknown(kind, unit) => {
                write!(f, "'{unit}' is no unit of {}: ", kind.name)?;
                write_units(kind, f)
            }
            Self::TooLarge(kind) => write!(f, "{} is at most {}", kind.name, kind.max.1),
            Self::TooFine(kind) => write!(f, "too many decimals for {}", kind.name),
            Self::Zero(kind) => write!(f, "{} above zero is needed, such as {}", kind.name, kind.example),
        }
    }
}

fn write_units(kind: &Quantity, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let names: Vec<&str> = kind.units.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect();
    write!(f, "write {}", names.join(", "))
}

impl core::error::Error for QuantityError {}
