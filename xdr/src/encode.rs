//! From values to octets.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;
use core::fmt;
use core::mem;

use sealed::Sealed;

use crate::Layout;
use crate::layout::{UNIT_LEN, padded_len};

/// A value with an encoding.
pub trait Encode: Layout {
    /// Writes the value, or counts what it takes: both by the same steps, so that they cannot disagree.
    ///
    /// # Errors
    /// If the value has no encoding (a bound, the depth), or the sink no room.
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError>;
}

/// What an [`Encode`] writes to: an [`Encoder`], or what counts for [`encoded_len`].
///
/// Every write takes a multiple of four octets.
pub trait Sink: Sized + Sealed {
    /// Writes `N` octets, a multiple of four.
    ///
    /// # Errors
    /// If there is no room.
    fn put<const N: usize>(&mut self, octets: [u8; N]) -> Result<(), EncodeError>;

    /// Writes octets, then zeros up to a multiple of four (RFC 4506 §4.9).
    ///
    /// # Errors
    /// If there is no room.
    fn put_opaque(&mut self, octets: &[u8]) -> Result<(), EncodeError>;

    /// Writes what has a fixed length with one look at what is left: to `write`, the room is known to the compiler.
    ///
    /// `write` has to write `len` octets.
    ///
    /// # Errors
    /// If there is no room, or `write` fails.
    fn run(&mut self, len: usize, write: impl FnOnce(&mut Self) -> Result<(), EncodeError>) -> Result<(), EncodeError>;

    /// Writes all items, one after the other, without their count (RFC 4506 §4.12).
    ///
    /// # Errors
    /// If there is no room, or an item has no encoding.
    #[inline]
    fn put_array<T: Encode>(&mut self, items: &[T]) -> Result<(), EncodeError> {
        if !T::LEN_IS_FIXED {
            self.nested(|sink| items.iter().try_for_each(|item| item.encode(sink)))
        } else if T::LEN_MIN > 0 {
            self.put_runs(items)
        } else {
            Ok(())
        }
    }

    /// Writes something that may hold itself.
    ///
    /// # Errors
    /// If [`Encoder::DEPTH_MAX`] levels are open, or `write` fails.
    #[inline]
    fn nested(&mut self, write: impl FnOnce(&mut Self) -> Result<(), EncodeError>) -> Result<(), EncodeError> {
        let depth_left = self.depth_left();
        *depth_left = depth_left.checked_sub(1).ok_or(EncodeError::TooDeep)?;
        write(self)?;
        *self.depth_left() += 1;
        Ok(())
    }

    /// Writes the count that comes before what has a variable length (RFC 4506 §4.10, §4.11, §4.13).
    ///
    /// # Errors
    /// If it is more than `count_max`, or there is no room.
    #[inline]
    fn put_count(&mut self, count: usize, count_max: u32) -> Result<(), EncodeError> {
        match u32::try_from(count) {
            Ok(count) if count <= count_max => self.put(count.to_be_bytes()),
            _ => Err(EncodeError::BoundExceeded),
        }
    }
}

/// Any [`Encode`], as an object: the values of a call, whatever their types.
pub trait Message {
    /// Returns how many octets the value takes.
    ///
    /// # Errors
    /// If the value has no encoding.
    fn encoded_len(&self) -> Result<usize, EncodeError>;

    /// Writes the value to all of `out`, which has [`encoded_len`](Self::encoded_len) octets.
    ///
    /// # Errors
    /// If the value has no encoding, or `out` another length.
    fn encode_to(&self, out: &mut [u8]) -> Result<(), EncodeError>;
}

impl<T: Encode> Message for T {
    fn encoded_len(&self) -> Result<usize, EncodeError> {
        encoded_len(self)
    }

    fn encode_to(&self, out: &mut [u8]) -> Result<(), EncodeError> {
        to_slice(self, out)
    }
}

/// Returns how many octets a value takes.
///
/// # Errors
/// If the value has no encoding.
#[inline]
pub fn encoded_len<T: Encode + ?Sized>(value: &T) -> Result<usize, EncodeError> {
    let mut counter = Counter { len: 0, depth_left: Encoder::DEPTH_MAX };
    value.encode(&mut counter)?;
    Ok(counter.len)
}

/// Writes a value to all of `out`, which has [`encoded_len`] octets.
///
/// # Errors
/// If the value has no encoding, or `out` another length.
#[inline]
pub fn to_slice<T: Encode + ?Sized>(value: &T, out: &mut [u8]) -> Result<(), EncodeError> {
    let mut encoder = Encoder::new(out);
    value.encode(&mut encoder)?;
    if encoder.room() == 0 { Ok(()) } else { Err(EncodeError::RoomLeft) }
}

/// Returns the octets of a value, allocated once.
///
/// # Errors
/// If the value has no encoding.
#[cfg(feature = "alloc")]
#[inline]
pub fn to_vec<T: Encode + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut octets = alloc::vec![0; encoded_len(value)?];
    to_slice(value, &mut octets)?;
    Ok(octets)
}

/// Writes to octets that are lent.
#[derive(Debug)]
pub struct Encoder<'a> {
    rest: &'a mut [u8],
    depth_left: u32,
}

impl<'a> Encoder<'a> {
    /// The levels that may be open at once: what optional data, arrays and lists hold is one deeper than they are.
    ///
    /// Chosen to fit a thread's stack; a decoder allows no more ([`Limits::depth_max`](crate::Limits::depth_max)).
    pub const DEPTH_MAX: u32 = 500;

    /// Writes to `out` from its start.
    #[inline]
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { rest: out, depth_left: Self::DEPTH_MAX }
    }

    /// Returns how many octets are not written yet.
    #[inline]
    pub fn room(&self) -> usize {
        self.rest.len()
    }

    /// Takes the next `len` octets of the room.
    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a mut [u8], EncodeError> {
        // Asked first: otherwise the room is stored as empty at each step, for the case that there is none.
        if len > self.rest.len() {
            return Err(EncodeError::NoRoom);
        }
        let (taken, rest) = mem::take(&mut self.rest).split_at_mut(len);
        self.rest = rest;
        Ok(taken)
    }
}

impl Sink for Encoder<'_> {
    #[inline]
    fn put<const N: usize>(&mut self, octets: [u8; N]) -> Result<(), EncodeError> {
        const { assert!(N.is_multiple_of(UNIT_LEN), "everything is a multiple of four octets") };
        self.take(N)?.copy_from_slice(&octets);
        Ok(())
    }

    #[inline]
    fn put_opaque(&mut self, octets: &[u8]) -> Result<(), EncodeError> {
        let out = self.take(padded_len(octets.len()).ok_or(EncodeError::NoRoom)?)?;
        // One store for the padding, whatever its length; the octets go over it.
        if let Some(last) = out.last_chunk_mut::<UNIT_LEN>() {
            *last = [0; UNIT_LEN];
        }
        out[..octets.len()].copy_from_slice(octets);
        Ok(())
    }

    #[inline]
    fn run(&mut self, len: usize, write: impl FnOnce(&mut Self) -> Result<(), EncodeError>) -> Result<(), EncodeError> {
        let mut inner = Self { rest: self.take(len)?, depth_left: self.depth_left };
        write(&mut inner)?;
        debug_assert!(inner.rest.is_empty(), "a run is written whole");
        Ok(())
    }
}

impl Sealed for Encoder<'_> {
    #[inline]
    fn depth_left(&mut self) -> &mut u32 {
        &mut self.depth_left
    }

    #[inline]
    fn put_runs<T: Encode>(&mut self, items: &[T]) -> Result<(), EncodeError> {
        let out = self.take(items.len().checked_mul(T::LEN_MIN).ok_or(EncodeError::NoRoom)?)?;
        // The compiler knows how long a chunk is, and looks at no length within.
        for (item, chunk) in items.iter().zip(out.chunks_exact_mut(T::LEN_MIN)) {
            let mut inner = Encoder { rest: chunk, depth_left: self.depth_left };
            item.encode(&mut inner)?;
            debug_assert!(inner.rest.is_empty(), "a run is written whole");
        }
        Ok(())
    }
}

/// Counts octets and keeps none.
struct Counter {
    len: usize,
    depth_left: u32,
}

impl Counter {
    #[inline]
    fn add(&mut self, len: usize) {
        // What is lent may be counted many times, and then be more than there is memory.
        self.len = self.len.saturating_add(len);
    }
}

impl Sink for Counter {
    #[inline]
    fn put<const N: usize>(&mut self, _: [u8; N]) -> Result<(), EncodeError> {
        self.add(N);
        Ok(())
    }

    #[inline]
    fn put_opaque(&mut self, octets: &[u8]) -> Result<(), EncodeError> {
        self.add(padded_len(octets.len()).unwrap_or(usize::MAX));
        Ok(())
    }

    #[inline]
    fn run(&mut self, len: usize, _: impl FnOnce(&mut Self) -> Result<(), EncodeError>) -> Result<(), EncodeError> {
        self.add(len);
        Ok(())
    }
}

impl Sealed for Counter {
    #[inline]
    fn depth_left(&mut self) -> &mut u32 {
        &mut self.depth_left
    }

    #[inline]
    fn put_runs<T: Encode>(&mut self, items: &[T]) -> Result<(), EncodeError> {
        self.add(items.len().saturating_mul(T::LEN_MIN));
        Ok(())
    }
}

/// Why a value was not encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// Something has more elements than its declaration allows, or than a count can say: the value has no encoding.
    BoundExceeded,
    /// More than [`Encoder::DEPTH_MAX`] levels hold each other.
    TooDeep,
    /// The default arm of a union carries the discriminant of another arm, or what an enum has for undeclared values a declared
    /// one.
    WrongArm,
    /// The octets lent are fewer than [`encoded_len`].
    NoRoom,
    /// The octets lent are more than [`encoded_len`].
    RoomLeft,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BoundExceeded => "more elements than declared",
            Self::TooDeep => "nested too deep",
            Self::WrongArm => "a declared value stands in the place of undeclared ones",
            Self::NoRoom => "fewer octets lent than the value takes",
            Self::RoomLeft => "more octets lent than the value takes",
        })
    }
}

impl core::error::Error for EncodeError {}

impl<T: Encode + ?Sized> Encode for &T {
    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        (**self).encode(sink)
    }
}

#[cfg(feature = "alloc")]
impl<T: Encode + ?Sized> Encode for alloc::boxed::Box<T> {
    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        (**self).encode(sink)
    }
}

mod sealed {
    use super::{Encode, EncodeError};

    /// An [`Encode`] may rely on what a sink does.
    pub trait Sealed {
        /// The levels that may still be opened.
        fn depth_left(&mut self) -> &mut u32;

        /// Writes items of a fixed length that is not zero, with one look at what is left for all of them.
        fn put_runs<T: Encode>(&mut self, items: &[T]) -> Result<(), EncodeError>;
    }
}
