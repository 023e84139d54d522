//! ACK and ACK_ECN: which datagrams arrived (protocol §6.2; RFC 9000 §19.3).

use core::ops::RangeInclusive;

use super::varint::len_of;
use super::{Malformed, NoRoom, Reader, Writer};

/// The most ranges below the first (protocol §6.2.2).
pub const ACK_RANGE_COUNT_MAX: usize = 31;

/// Which datagrams arrived, and how long ago the latest of them did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The largest number acknowledged.
    pub largest: u64,
    /// The time from the receipt of `largest` to the sending of the ACK.
    pub delay_micros: u64,
    /// How many numbers directly below `largest` are acknowledged too.
    first: u64,
    /// Pairs of gap and len, checked to lie above 0.
    pairs: &'a [u8],
    count: u8,
    /// How many datagrams arrived with each ECN codepoint: an ACK_ECN.
    pub ecn: Option<EcnCounts>,
}

/// How many datagrams arrived with each ECN codepoint since the conversation began (protocol §6.2.5; RFC 9000 §19.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EcnCounts {
    /// Those with ECT(0).
    pub ect0: u64,
    /// Those with ECT(1).
    pub ect1: u64,
    /// Those with CE.
    pub ce: u64,
}

impl<'a> Ack<'a> {
    /// The type of an ACK.
    pub const KIND: u8 = 0x02;
    /// The type of an ACK_ECN.
    pub const KIND_ECN: u8 = 0x03;

    /// Writes an ACK, or an ACK_ECN if there are counts, and returns how many ranges it holds.
    ///
    /// `ranges` come highest first, with at least one number between each and the one before. Those beyond
    /// 1 + [`ACK_RANGE_COUNT_MAX`], and those for which there is no room, are left out.
    ///
    /// # Errors
    /// [`NoRoom`] if not even the first range fits, or if there is none.
    #[inline]
    pub fn write(
        delay_micros: u64,
        ranges: impl IntoIterator<Item = RangeInclusive<u64>>,
        ecn: Option<EcnCounts>,
        writer: &mut Writer<'_>,
    ) -> Result<usize, NoRoom> {
        writer.frame(|writer| {
            let mut ranges = ranges.into_iter();
            let first = ranges.next().ok_or(NoRoom)?;
            debug_assert!(first.start() <= first.end(), "a range holds a number");
            writer.u8(if ecn.is_some() { Self::KIND_ECN } else { Self::KIND })?;
            writer.varint(*first.end())?;
            writer.varint(delay_micros)?;
            // At most 31, which is one octet; replaced when it is known.
            let count_at = writer.len();
            writer.u8(0)?;
            writer.varint(first.end().saturating_sub(*first.start()))?;
            let count = write_pairs(*first.start(), ranges, ecn.map_or(0, EcnCounts::encoded_len), writer);
            writer.patch(count_at, count);
            if let Some(ecn) = ecn {
                ecn.encode(writer)?;
            }
            Ok(usize::from(count) + 1)
        })
    }

    /// Returns the ranges of acknowledged numbers, highest first.
    #[inline]
    #[must_use]
    pub fn ranges(&self) -> Ranges<'a> {
        Ranges { next: Some(self.largest.saturating_sub(self.first)..=self.largest), pairs: Reader::new(self.pairs) }
    }

    /// Says whether [`Self::ranges`] are but one.
    #[inline]
    #[must_use]
    pub const fn has_one_range(&self) -> bool {
        self.count == 0
    }

    #[inline]
    pub(super) fn decode(kind: u8, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let largest = reader.varint()?;
        let delay_micros = reader.varint()?;
        let count = reader.varint()?;
        let first = reader.varint()?;
        if count > ACK_RANGE_COUNT_MAX as u64 {
            return Err(Malformed::Count);
        }
        let lowest = largest.checked_sub(first).ok_or(Malformed::Range)?;
        let pairs = if count == 0 { &[] } else { read_pairs(lowest, count, reader)? };
        let ecn = if kind == Self::KIND_ECN { Some(EcnCounts::decode(reader)?) } else { None };
        Ok(Self { largest, delay_micros, first, pairs, count: count as u8, ecn })
    }

    #[inline]
    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.u8(self.kind())?;
        writer.varint(self.largest)?;
        writer.varint(self.delay_micros)?;
        writer.u8(self.count)?;
        writer.varint(self.first)?;
        writer.octets(self.pairs)?;
        match self.ecn {
            Some(ecn) => ecn.encode(writer),
            None => Ok(()),
        }
    }

    pub(super) fn encoded_len(&self) -> usize {
        2 + len_of(self.largest)
            + len_of(self.delay_micros)
            + len_of(self.first)
            + self.pairs.len()
            + self.ecn.map_or(0, EcnCounts::encoded_len)
    }

    #[inline]
    pub(super) const fn kind(&self) -> u8 {
        if self.ecn.is_some() { Self::KIND_ECN } else { Self::KIND }
    }
}

impl EcnCounts {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { ect0: reader.varint()?, ect1: reader.varint()?, ce: reader.varint()? })
    }

    fn encode(self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.varint(self.ect0)?;
        writer.varint(self.ect1)?;
        writer.varint(self.ce)
    }

    fn encoded_len(self) -> usize {
        len_of(self.ect0) + len_of(self.ect1) + len_of(self.ce)
    }
}

/// The ranges of an [`Ack`], highest first; at most 1 + [`ACK_RANGE_COUNT_MAX`].
#[derive(Clone, Debug)]
pub struct Ranges<'a> {
    next: Option<RangeInclusive<u64>>,
    pairs: Reader<'a>,
}

impl Iterator for Ranges<'_> {
    type Item = RangeInclusive<u64>;

    #[inline]
    fn next(&mut self) -> Option<RangeInclusive<u64>> {
        let range = self.next.take()?;
        self.next = if self.pairs.is_empty() { None } else { read_pair(*range.start(), &mut self.pairs).ok() };
        Some(range)
    }
}

/// Checks `count` pairs below `lowest`, and returns their octets.
fn read_pairs<'a>(lowest: u64, count: u64, reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let before = *reader;
    let mut lowest = lowest;
    for _ in 0..count {
        lowest = *read_pair(lowest, reader)?.start();
    }
    let len = before.rest().len() - reader.rest().len();
    Ok(before.rest().get(..len).unwrap_or_default())
}

fn read_pair(lowest: u64, reader: &mut Reader<'_>) -> Result<RangeInclusive<u64>, Malformed> {
    let (gap, len) = (reader.varint()?, reader.varint()?);
    // Both are below 2^62, so the sum fits.
    let end = lowest.checked_sub(gap + 2).ok_or(Malformed::Range)?;
    let start = end.checked_sub(len).ok_or(Malformed::Range)?;
    Ok(start..=end)
}

/// Writes the ranges below `lowest` that leave room for `reserve` octets, and returns their count.
fn write_pairs(
    lowest: u64,
    ranges: impl Iterator<Item = RangeInclusive<u64>>,
    reserve: usize,
    writer: &mut Writer<'_>,
) -> u8 {
    let mut lowest = lowest;
    let mut count = 0;
    for range in ranges.take(ACK_RANGE_COUNT_MAX) {
        let (Some(gap), Some(len)) = (
            lowest.checked_sub(2).and_then(|top| top.checked_sub(*range.end())),
            range.end().checked_sub(*range.start()),
        ) else {
            debug_assert!(false, "ranges descend and do not touch");
            break;
        };
        if writer.room() < len_of(gap) + len_of(len) + reserve {
            break;
        }
        let written = writer.varint(gap).and_then(|()| writer.varint(len));
        debug_assert!(written.is_ok(), "there is room");
        lowest = *range.start();
        count += 1;
    }
    count
}
