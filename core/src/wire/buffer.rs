//! Cursors over octets to read and octets to write.

use super::varint::VARINT_MAX;
use super::{Malformed, NoRoom};

/// Reads fields from the front of a slice, and borrows from it.
///
/// After an error the cursor stands anywhere; the datagram is done with.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Makes a cursor at the start of `octets`.
    #[inline]
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    /// Reads one octet.
    ///
    /// # Errors
    /// `Len` if there is none.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.rest.split_first().ok_or(Malformed::Len)?;
        self.rest = rest;
        Ok(first)
    }

    /// Reads a big-endian integer of 4 octets.
    ///
    /// # Errors
    /// `Len` if there are fewer.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(|octets| u32::from_be_bytes(*octets))
    }

    /// Reads a big-endian integer of 8 octets.
    ///
    /// # Errors
    /// `Len` if there are fewer.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(|octets| u64::from_be_bytes(*octets))
    }

    /// Reads a variable-length integer (protocol §2.2).
    ///
    /// # Errors
    /// `Len` if it is cut, `NotShortest` if fewer octets would do.
    #[inline(always)]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        match self.rest.split_first() {
            Some((&first, rest)) if first < 0x40 => {
                self.rest = rest;
                Ok(u64::from(first))
            }
            Some((&first, _)) => self.long_varint(first),
            None => Err(Malformed::Len),
        }
    }

    /// Reads a variable-length integer that is at most `max`.
    ///
    /// # Errors
    /// As [`Self::varint`], and `Range` if it is greater.
    #[inline]
    pub fn varint_up_to(&mut self, max: u64) -> Result<u64, Malformed> {
        self.varint().and_then(|value| if value <= max { Ok(value) } else { Err(Malformed::Range) })
    }

    /// Reads a variable-length integer below 2^32.
    ///
    /// # Errors
    /// As [`Self::varint`], and `Range` if it is greater.
    #[inline]
    pub fn varint_u32(&mut self) -> Result<u32, Malformed> {
        self.varint().and_then(|value| u32::try_from(value).map_err(|_| Malformed::Range))
    }

    /// Reads a fixed number of octets.
    ///
    /// # Errors
    /// `Len` if there are fewer.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Malformed::Len)?;
        self.rest = rest;
        Ok(array)
    }

    /// Reads `len` octets.
    ///
    /// # Errors
    /// `Len` if there are fewer.
    #[inline]
    pub fn octets(&mut self, len: u64) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(len).map_err(|_| Malformed::Len)?;
        let (octets, rest) = self.rest.split_at_checked(len).ok_or(Malformed::Len)?;
        self.rest = rest;
        Ok(octets)
    }

    /// Reads a variable-length integer and as many octets as it says.
    ///
    /// # Errors
    /// As [`Self::varint`], and `Len` if there are fewer octets.
    #[inline(always)]
    pub fn counted(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.varint()?;
        self.octets(len)
    }

    /// Reads everything that is left.
    #[inline]
    pub fn take_rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// Returns what is left, and leaves it there.
    #[inline]
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Tells whether nothing is left.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// `Len` if something is.
    #[inline]
    pub fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Len) }
    }

    /// Reads with a copy, and catches up with it.
    ///
    /// For calls of functions that are not inlined: who keeps the address of its cursor to itself may have it in registers.
    #[inline]
    pub(super) fn by_copy<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Malformed>) -> Result<T, Malformed> {
        let mut copy = *self;
        let value = read(&mut copy)?;
        *self = copy;
        Ok(value)
    }

    #[inline(always)]
    fn long_varint(&mut self, first: u8) -> Result<u64, Malformed> {
        let (value, least) = match first >> 6 {
            1 => (u64::from(u16::from_be_bytes(*self.array()?) & 0x3fff), 1 << 6),
            2 => (u64::from(self.u32()? & 0x3fff_ffff), 1 << 14),
            _ => (self.u64()? & VARINT_MAX, 1 << 30),
        };
        if value < least { Err(Malformed::NotShortest) } else { Ok(value) }
    }
}

/// Writes fields to the front of a slice.
///
/// What does not fit is refused and leaves no trace.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
    frame_count: usize,
}

impl<'a> Writer<'a> {
    /// Makes a cursor at the start of `out`.
    #[inline]
    #[must_use]
    pub const fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0, frame_count: 0 }
    }

    /// Writes one frame, or nothing.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit, or if a datagram that fills the buffer may have no more frames (protocol §5.1).
    #[inline]
    pub fn frame<T>(&mut self, write: impl FnOnce(&mut Writer<'_>) -> Result<T, NoRoom>) -> Result<T, NoRoom> {
        let mut frame = self.begin_frame()?;
        let written = write(&mut frame)?;
        let len = frame.len;
        self.end_frame(len);
        Ok(written)
    }

    /// Returns a cursor for one frame more; what it writes counts from [`Self::end_frame`] on.
    #[inline(always)]
    pub(super) const fn begin_frame(&mut self) -> Result<Writer<'_>, NoRoom> {
        if self.frame_count >= self.out.len().div_ceil(8) {
            return Err(NoRoom);
        }
        Ok(Writer { out: self.out, len: self.len, frame_count: self.frame_count })
    }

    /// Takes over the frame that the cursor of [`Self::begin_frame`] has written, up to `len`.
    #[inline(always)]
    pub(super) const fn end_frame(&mut self, len: usize) {
        self.len = len;
        self.frame_count += 1;
    }

    /// Returns how many frames were written.
    #[must_use]
    pub const fn frame_count(&self) -> usize {
        self.frame_count
    }

    /// Writes one octet.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit.
    #[inline]
    pub fn u8(&mut self, value: u8) -> Result<(), NoRoom> {
        *self.out.get_mut(self.len).ok_or(NoRoom)? = value;
        self.len += 1;
        Ok(())
    }

    /// Writes a big-endian integer of 4 octets.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit.
    #[inline]
    pub fn u32(&mut self, value: u32) -> Result<(), NoRoom> {
        self.array(value.to_be_bytes())
    }

    /// Writes a big-endian integer of 8 octets.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit.
    #[inline]
    pub fn u64(&mut self, value: u64) -> Result<(), NoRoom> {
        self.array(value.to_be_bytes())
    }

    /// Writes a variable-length integer in its shortest form.
    ///
    /// A value of 2^62 or more is a mistake of the caller; it is written as 2^62 − 1.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit.
    #[inline]
    pub fn varint(&mut self, value: u64) -> Result<(), NoRoom> {
        if value < 0x40 {
            self.u8(value as u8)
        } else {
            let room = self.out.get_mut(self.len..).ok_or(NoRoom)?;
            self.len += write_long_varint(value, room)?;
            Ok(())
        }
    }

    /// Writes `octets`.
    ///
    /// # Errors
    /// [`NoRoom`] if they do not fit.
    #[inline]
    pub fn octets(&mut self, octets: &[u8]) -> Result<(), NoRoom> {
        let room = self.out.get_mut(self.len..).and_then(|room| room.get_mut(..octets.len())).ok_or(NoRoom)?;
        room.copy_from_slice(octets);
        self.len += octets.len();
        Ok(())
    }

    /// Writes the length of `octets` as a variable-length integer, and `octets`.
    ///
    /// # Errors
    /// [`NoRoom`] if they do not fit.
    #[inline]
    pub fn counted(&mut self, octets: &[u8]) -> Result<(), NoRoom> {
        self.whole(|writer| {
            writer.varint(octets.len() as u64)?;
            writer.octets(octets)
        })
    }

    /// Writes all that `write` writes, or nothing if it fails.
    ///
    /// # Errors
    /// That of `write`.
    #[inline]
    pub fn whole<T, E>(&mut self, write: impl FnOnce(&mut Writer<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut writer = Writer { out: self.out, len: self.len, frame_count: self.frame_count };
        let written = write(&mut writer)?;
        (self.len, self.frame_count) = (writer.len, writer.frame_count);
        Ok(written)
    }

    /// Replaces the octet at `offset`, which was written before.
    #[inline]
    pub(super) fn patch(&mut self, offset: usize, value: u8) {
        debug_assert!(offset < self.len, "only what was written is replaced");
        if let Some(octet) = self.out.get_mut(offset) {
            *octet = value;
        }
    }

    /// Returns how many octets were written.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Tells whether nothing was written.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns how many octets there is still room for.
    #[inline]
    #[must_use]
    pub const fn room(&self) -> usize {
        self.out.len() - self.len
    }

    /// Returns what was written.
    #[inline]
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.out.get(..self.len).unwrap_or_default()
    }

    /// Returns what was written, for as long as the slice is lent.
    #[inline]
    #[must_use]
    pub fn into_written(self) -> &'a [u8] {
        self.out.get(..self.len).unwrap_or_default()
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self, octets: [u8; N]) -> Result<(), NoRoom> {
        let room = self.out.get_mut(self.len..).and_then(<[u8]>::first_chunk_mut).ok_or(NoRoom)?;
        *room = octets;
        self.len += N;
        Ok(())
    }
}

/// Writes an integer of more than one octet, and returns its length.
///
/// Gets the room, not the writer, whose address stays with who writes: so it may live in registers.
fn write_long_varint(value: u64, room: &mut [u8]) -> Result<usize, NoRoom> {
    debug_assert!(value <= VARINT_MAX, "a caller keeps its values below 2^62");
    let mut writer = Writer::new(room);
    match value {
        0..=0x3fff => writer.array((value as u16 | 1 << 14).to_be_bytes()),
        0x4000..=0x3fff_ffff => writer.array((value as u32 | 2 << 30).to_be_bytes()),
        _ => writer.array((value.min(VARINT_MAX) | 3 << 62).to_be_bytes()),
    }?;
    Ok(writer.len)
}
