//! Numbers, booleans, and what has their length.

use crate::{Decode, DecodeError, Decoder, Encode, EncodeError, Layout, Sink};

/// Gives types the layout of what always has the same length.
macro_rules! fixed_layout {
    ($($type:ty => $len:literal),*) => {$(
        impl Layout for $type {
            const LEN_MIN: usize = $len;
            const LEN_IS_FIXED: bool = true;
        }
    )*};
}

fixed_layout!(i32 => 4, u32 => 4, i64 => 8, u64 => 8, f32 => 4, f64 => 8, Quadruple => 16, bool => 4);
fixed_layout!(i8 => 4, i16 => 4, u16 => 4, UnsignedChar => 4);

/// Gives types their own big-endian octets (RFC 4506 §4.1, §4.2, §4.5, §4.6, §4.7).
macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Encode for $number {
            #[inline]
            fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
                sink.put(self.to_be_bytes())
            }
        }

        impl Decode<'_> for $number {
            #[inline]
            fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                decoder.take().map(|octets| Self::from_be_bytes(*octets))
            }
        }
    )*};
}

// The octets of a float are those of its bits: a NaN keeps its payload.
numbers!(i32, u32, i64, u64, f32, f64);

/// Gives the short integers of Sun's dialect four octets.
macro_rules! short_numbers {
    ($($number:ty => $wire:ty),*) => {$(
        impl Encode for $number {
            #[inline]
            fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
                <$wire>::from(*self).encode(sink)
            }
        }

        impl Decode<'_> for $number {
            #[inline]
            fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                Self::try_from(<$wire>::decode(decoder)?).map_err(|_| DecodeError::OutOfRange)
            }
        }
    )*};
}

short_numbers!(i8 => i32, i16 => i32, u16 => u32, UnsignedChar => u32);

/// An `unsigned char` of Sun's dialect: four octets, where the `u8` of opaque data is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnsignedChar(pub u8);

impl From<UnsignedChar> for u32 {
    #[inline]
    fn from(char: UnsignedChar) -> Self {
        Self::from(char.0)
    }
}

impl TryFrom<u32> for UnsignedChar {
    type Error = core::num::TryFromIntError;

    #[inline]
    fn try_from(number: u32) -> Result<Self, Self::Error> {
        u8::try_from(number).map(Self)
    }
}

/// A quadruple-precision float, as its octets: there is no such number in Rust (RFC 4506 §4.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Quadruple(pub [u8; 16]);

impl Encode for Quadruple {
    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.put(self.0)
    }
}

impl Decode<'_> for Quadruple {
    #[inline]
    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        decoder.take().map(|octets| Self(*octets))
    }
}

/// 0 is false, 1 is true (RFC 4506 §4.4).
impl Encode for bool {
    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        u32::from(*self).encode(sink)
    }
}

impl Decode<'_> for bool {
    #[inline]
    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match u32::decode(decoder)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => decoder.forgive(DecodeError::UnknownBool).map(|()| true),
        }
    }
}
