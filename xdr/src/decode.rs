//! From octets to values.

use core::fmt;

use crate::Layout;
use crate::layout::{UNIT_LEN, padded_len};

/// A value that can be read, and may borrow from the octets.
pub trait Decode<'a>: Layout + Sized {
    /// Reads a value.
    ///
    /// # Errors
    /// If the next octets are none, or a limit is reached. What the decoder reads after an error is of no meaning.
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError>;

    /// Reads a value to a place of its own, and pays for that memory: how a `Box` is read.
    ///
    /// An array is read to where it stays, however long it is. All else is on the stack before it is there.
    ///
    /// # Errors
    /// As of [`Decode::decode`].
    #[cfg(feature = "alloc")]
    #[inline]
    fn decode_boxed(decoder: &mut Decoder<'a>) -> Result<alloc::boxed::Box<Self>, DecodeError> {
        decoder.allocate(size_of::<Self>())?;
        // No `?`, which would move the value once more.
        match Self::decode(decoder) {
            Ok(value) => Ok(alloc::boxed::Box::new(value)),
            Err(error) => Err(error),
        }
    }
}

/// Reads the value that `octets` are, to the last of them.
///
/// # Errors
/// If they are none, or a limit is reached.
#[inline]
pub fn from_octets<'a, T: Decode<'a>>(octets: &'a [u8], limits: &Limits) -> Result<T, DecodeError> {
    let mut decoder = Decoder::new(octets, limits)?;
    let value = T::decode(&mut decoder);
    // Looked at where it lies: taken out of its `Result` and put into another, it would be moved twice.
    if value.is_ok() {
        decoder.finish()?;
    }
    value
}

/// What decoding may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The octets of a whole encoding. Default: 16 MiB (chosen).
    pub len_max: usize,
    /// The levels that may be open at once, at most [`Limits::DEPTH_MAX`]: what optional data, arrays and lists hold is one
    /// deeper than they are. Lists do not grow deeper with their length. Default: 64 (chosen).
    pub depth_max: u32,
    /// The elements of arrays and lists, all together and however short they are. Default: 1 000 000 (chosen).
    pub work_max: u32,
    /// The octets that may be allocated for each octet of the encoding, and 256 besides. Default: 4 (chosen).
    ///
    /// An array of mostly empty things takes more: a `Vec` is 24 octets in memory where 4 say that it is empty.
    pub memory_factor: usize,
    /// Whether what means nothing is an error. Default: strict.
    pub strictness: Strictness,
}

impl Limits {
    /// The most that `depth_max` can be: a stack is no longer for being asked to.
    pub const DEPTH_MAX: u32 = 500;

    /// The octets that may be allocated whatever the length of the encoding (chosen).
    pub const MEMORY_MIN: usize = 256;
}

impl Default for Limits {
    fn default() -> Self {
        Self { len_max: 16 << 20, depth_max: 64, work_max: 1_000_000, memory_factor: 4, strictness: Strictness::Strict }
    }
}

/// Whether what means nothing is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Padding is zero, a `bool` is 0 or 1, an enum has a value that was declared, and nothing follows: what is read is written
    /// again as it was.
    Strict,
    /// Padding and what follows are ignored, a `bool` is true unless it is 0, and an enum may have a value that was not declared
    /// if its type can hold it ([`Decoder::unknown_enum`]). For peers that do not do better.
    Lenient,
}

/// Reads octets that are lent, within limits.
#[derive(Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    depth_left: u32,
    work_left: u32,
    memory_left: usize,
    strictness: Strictness,
}

impl<'a> Decoder<'a> {
    /// Reads `octets` from their start.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] if they are more than the limits allow.
    #[inline]
    pub fn new(octets: &'a [u8], limits: &Limits) -> Result<Self, DecodeError> {
        if octets.len() > limits.len_max {
            return Err(DecodeError::TooLong);
        }
        Ok(Self {
            rest: octets,
            depth_left: limits.depth_max.min(Limits::DEPTH_MAX),
            work_left: limits.work_max,
            memory_left: octets.len().saturating_mul(limits.memory_factor).saturating_add(Limits::MEMORY_MIN),
            strictness: limits.strictness,
        })
    }

    /// Ends: nothing may be left.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] if something is, unless lenient.
    #[inline]
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { self.forgive(DecodeError::Trailing) }
    }

    /// Returns the octets that are not read yet.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads `N` octets, a multiple of four.
    ///
    /// # Errors
    /// If fewer are left.
    #[inline]
    pub fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        const { assert!(N.is_multiple_of(UNIT_LEN), "everything is a multiple of four octets") };
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads `len` octets and their padding (RFC 4506 §4.9).
    ///
    /// # Errors
    /// If fewer are left, or the padding is not zero, unless lenient.
    #[inline]
    pub fn take_opaque(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let padded = self.split(padded_len(len).ok_or(DecodeError::Truncated)?)?;
        if let Some(last) = padded.last_chunk::<UNIT_LEN>() {
            let padding = u32::from_be_bytes(*last) & padding_mask(len);
            if padding != 0 {
                self.forgive(DecodeError::Padding)?;
            }
        }
        Ok(&padded[..len])
    }

    /// Reads what has a fixed length with one look at what is left: to `read`, the room is known to the compiler.
    ///
    /// `read` has to read `len` octets.
    ///
    /// # Errors
    /// If fewer are left, or `read` fails.
    #[inline]
    pub fn run<T>(
        &mut self,
        len: usize,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let mut inner = Self { rest: self.split(len)?, ..*self };
        let value = read(&mut inner)?;
        debug_assert!(inner.rest.is_empty(), "a run is read whole");
        *self = Self { rest: self.rest, ..inner };
        Ok(value)
    }

    /// Reads something that may hold itself.
    ///
    /// # Errors
    /// [`DecodeError::TooDeep`] if as many levels are open as the limits allow; if `read` fails.
    #[inline]
    pub fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, DecodeError>) -> Result<T, DecodeError> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or(DecodeError::TooDeep)?;
        let value = read(self)?;
        self.depth_left += 1;
        Ok(value)
    }

    /// Reads the count of elements that follow, of which each has at least `len_min` octets, and pays for their work
    /// (RFC 4506 §4.13).
    ///
    /// # Errors
    /// If it is more than `count_max`, than can be in the octets that are left, or than the limits allow.
    #[inline]
    pub fn take_count(&mut self, count_max: u32, len_min: usize) -> Result<usize, DecodeError> {
        let count = u32::decode(self)?;
        if count > count_max {
            return Err(DecodeError::BoundExceeded);
        }
        self.work(count)?;
        match usize::try_from(count) {
            Ok(count) if count.checked_mul(len_min).is_some_and(|len| len <= self.rest.len()) => Ok(count),
            _ => Err(DecodeError::Truncated),
        }
    }

    /// Pays for work, by the element.
    ///
    /// # Errors
    /// [`DecodeError::TooMuchWork`] if it is more than is left.
    #[inline]
    pub fn work(&mut self, units: u32) -> Result<(), DecodeError> {
        self.work_left = self.work_left.checked_sub(units).ok_or(DecodeError::TooMuchWork)?;
        Ok(())
    }

    /// Pays for memory, before it is allocated.
    ///
    /// # Errors
    /// [`DecodeError::TooMuchMemory`] if it is more than is left.
    #[inline]
    pub fn allocate(&mut self, octets: usize) -> Result<(), DecodeError> {
        self.memory_left = self.memory_left.checked_sub(octets).ok_or(DecodeError::TooMuchMemory)?;
        Ok(())
    }

    /// Judges a value of an enum that was not declared, for a type that can hold it.
    ///
    /// ```
    /// # use posthaste_xdr::{Decode, DecodeError, Decoder};
    /// enum Color {
    ///     Red,
    ///     Unknown(i32),
    /// }
    ///
    /// fn color(decoder: &mut Decoder<'_>) -> Result<Color, DecodeError> {
    ///     match i32::decode(decoder)? {
    ///         2 => Ok(Color::Red),
    ///         value => decoder.unknown_enum(value).map(Color::Unknown),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`DecodeError::UnknownEnum`], unless lenient. A type that cannot hold the value gives that error in any case.
    #[inline]
    pub fn unknown_enum(&self, value: i32) -> Result<i32, DecodeError> {
        self.forgive(DecodeError::UnknownEnum).map(|()| value)
    }

    /// Returns the error, unless lenient.
    #[inline]
    pub(crate) fn forgive(&self, error: DecodeError) -> Result<(), DecodeError> {
        match self.strictness {
            Strictness::Strict => Err(error),
            Strictness::Lenient => Ok(()),
        }
    }

    /// Reads `len` octets.
    #[inline]
    pub(crate) fn split(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads `count` elements, and hands each to `take`.
    #[inline]
    pub(crate) fn elements<T: Decode<'a>>(&mut self, count: usize, mut take: impl FnMut(T)) -> Result<(), DecodeError> {
        if !T::LEN_IS_FIXED || T::LEN_MIN == 0 {
            return self.nested(|decoder| (0..count).try_for_each(|_| T::decode(decoder).map(&mut take)));
        }
        let octets = self.split(count.checked_mul(T::LEN_MIN).ok_or(DecodeError::Truncated)?)?;
        let mut inner = Self { rest: &[], ..*self };
        // The compiler knows how long a chunk is, and looks at no length within.
        for chunk in octets.chunks_exact(T::LEN_MIN) {
            inner.rest = chunk;
            take(T::decode(&mut inner)?);
            debug_assert!(inner.rest.is_empty(), "a run is read whole");
        }
        *self = Self { rest: self.rest, ..inner };
        Ok(())
    }

    /// Gives back what was paid for memory that is free again.
    #[cfg(feature = "alloc")]
    pub(crate) fn free(&mut self, octets: usize) {
        self.memory_left = self.memory_left.saturating_add(octets);
    }
}

/// Why octets were not decoded.
// As wide as a pointer: in a `Result` it lies where a value's first one does, and if it were narrower, that would be taken apart and
// put together again, octet by octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(usize)]
pub enum DecodeError {
    /// The octets end before the value does, or a count says so.
    Truncated,
    /// Something follows the value.
    Trailing,
    /// Padding is not zero.
    Padding,
    /// A `bool`, or the mark of optional data, is neither 0 nor 1.
    UnknownBool,
    /// An enum has a value that was not declared.
    UnknownEnum,
    /// The discriminant of a union belongs to no arm, and there is no default.
    UnknownArm,
    /// A number is out of the range of its type: those of Sun's dialect are shorter than their four octets.
    OutOfRange,
    /// A string that has to be UTF-8 is not.
    NotUtf8,
    /// A count is more than was declared.
    BoundExceeded,
    /// The encoding is longer than [`Limits::len_max`].
    TooLong,
    /// More levels are open than [`Limits::depth_max`].
    TooDeep,
    /// More elements than [`Limits::work_max`].
    TooMuchWork,
    /// More memory than [`Limits::memory_factor`] allows for an encoding of this length.
    TooMuchMemory,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the octets end before the value does",
            Self::Trailing => "octets follow the value",
            Self::Padding => "padding is not zero",
            Self::UnknownBool => "a boolean is neither 0 nor 1",
            Self::UnknownEnum => "the value of an enum was not declared",
            Self::UnknownArm => "the discriminant of a union belongs to no arm",
            Self::OutOfRange => "a number is out of range",
            Self::NotUtf8 => "a string is not UTF-8",
            Self::BoundExceeded => "more elements than declared",
            Self::TooLong => "more octets than allowed (in an interface file, `@max` says how many)",
            Self::TooDeep => "nested deeper than allowed",
            Self::TooMuchWork => "more elements than allowed",
            Self::TooMuchMemory => {
                "more memory than so few octets are allowed (in an interface file, `@memory` allows more)"
            }
        })
    }
}

impl core::error::Error for DecodeError {}

#[cfg(feature = "alloc")]
impl<'a, T: Decode<'a>> Decode<'a> for alloc::boxed::Box<T> {
    #[inline]
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        T::decode_boxed(decoder)
    }
}

/// Returns the bits of the last four octets that are padding of `len` octets.
#[inline]
const fn padding_mask(len: usize) -> u32 {
    // One octet of data leaves 24 bits of padding, three leave 8, four (or none in the last block) leave none.
    match len % UNIT_LEN {
        0 => 0,
        1 => 0x00ff_ffff,
        2 => 0x0000_ffff,
        _ => 0x0000_00ff,
    }
}
