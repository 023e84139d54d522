//! RETIRED: which exchanges are over (protocol §6.4).

use super::varint::len_of;
use super::{Malformed, NoRoom, Reader, Seq, Writer};

/// The most exchanges that a RETIRED may list (protocol §6.4.1).
pub const RETIRED_COUNT_MAX: usize = 16;

/// Says that nothing more is wanted of the exchanges below `low`, but for those listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retired<'a> {
    /// The lowest exchange that is not retired as a whole.
    pub low: Seq,
    /// The distances, checked to lie above 0.
    distances: &'a [u8],
    count: u8,
}

impl<'a> Retired<'a> {
    /// The type of the frame.
    pub const KIND: u8 = 0x06;

    /// Writes a RETIRED; `listed` are the exchanges below `low` that are still wanted, highest first.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit, if more than [`RETIRED_COUNT_MAX`] are listed or if they do not descend: leaving
    /// one out would retire it.
    pub fn write(low: Seq, listed: impl IntoIterator<Item = Seq>, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.whole_frame(|writer| {
            writer.u8(Self::KIND)?;
            writer.varint(low.0)?;
            // At most 16, which is one octet; replaced when it is known.
            let count_at = writer.len();
            writer.u8(0)?;
            let mut above = low.0;
            let mut count = 0;
            for seq in listed {
                if usize::from(count) == RETIRED_COUNT_MAX {
                    return Err(NoRoom);
                }
                writer.varint(above.checked_sub(1).and_then(|top| top.checked_sub(seq.0)).ok_or(NoRoom)?)?;
                above = seq.0;
                count += 1;
            }
            writer.patch(count_at, count);
            Ok(())
        })
    }

    /// Returns the exchanges below `low` that are still wanted, highest first.
    #[must_use]
    pub const fn listed(&self) -> Listed<'a> {
        Listed { above: self.low.0, distances: Reader::new(self.distances) }
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let low = Seq(reader.varint()?);
        let count = reader.varint()?;
        if count > RETIRED_COUNT_MAX as u64 {
            return Err(Malformed::Count);
        }
        let before = *reader;
        let mut above = low.0;
        for _ in 0..count {
            above = read_below(above, reader)?;
        }
        let len = before.rest().len() - reader.rest().len();
        Ok(Self { low, distances: before.rest().get(..len).unwrap_or_default(), count: count as u8 })
    }

    /// Writes everything after the type.
    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.varint(self.low.0)?;
        writer.u8(self.count)?;
        writer.octets(self.distances)
    }

    pub(super) fn encoded_len(&self) -> usize {
        2 + len_of(self.low.0) + self.distances.len()
    }
}

/// The exchanges that a [`Retired`] lists, highest first.
#[derive(Clone, Debug)]
pub struct Listed<'a> {
    above: u64,
    distances: Reader<'a>,
}

impl Iterator for Listed<'_> {
    type Item = Seq;

    fn next(&mut self) -> Option<Seq> {
        // A checked list fails only where it ends.
        self.above = read_below(self.above, &mut self.distances).ok()?;
        Some(Seq(self.above))
    }
}

fn read_below(above: u64, reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    let distance = reader.varint()?;
    above.checked_sub(1).and_then(|top| top.checked_sub(distance)).ok_or(Malformed::Range)
}
