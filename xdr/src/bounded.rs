//! The bound of what has a variable length: `x<BOUND>`.

use core::ops::{Deref, DerefMut};

use crate::{Decode, DecodeError, Decoder, Encode, EncodeError, Layout, Sink};

/// What has a count before it, to be written within the bound of its declaration.
pub trait EncodeBounded: Encode {
    /// Writes the value.
    ///
    /// # Errors
    /// [`EncodeError::BoundExceeded`] if it has more than `count_max` elements; as [`Encode::encode`].
    fn encode_bounded<S: Sink>(&self, sink: &mut S, count_max: u32) -> Result<(), EncodeError>;
}

/// What has a count before it, to be read within the bound of its declaration.
pub trait DecodeBounded<'a>: Decode<'a> {
    /// Reads a value.
    ///
    /// # Errors
    /// [`DecodeError::BoundExceeded`] if it has more than `count_max` elements; as [`Decode::decode`].
    fn decode_bounded(decoder: &mut Decoder<'a>, count_max: u32) -> Result<Self, DecodeError>;
}

/// Something of variable length with its bound, for places that have no argument for it: elements of arrays, and options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bounded<T, const COUNT_MAX: u32>(pub T);

impl<T, const COUNT_MAX: u32> Deref for Bounded<T, COUNT_MAX> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T, const COUNT_MAX: u32> DerefMut for Bounded<T, COUNT_MAX> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T, const COUNT_MAX: u32> From<T> for Bounded<T, COUNT_MAX> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T: Layout, const COUNT_MAX: u32> Layout for Bounded<T, COUNT_MAX> {
    const LEN_MIN: usize = T::LEN_MIN;
    const LEN_IS_FIXED: bool = T::LEN_IS_FIXED;
}

impl<T: EncodeBounded, const COUNT_MAX: u32> Encode for Bounded<T, COUNT_MAX> {
    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        self.0.encode_bounded(sink, COUNT_MAX)
    }
}

impl<'a, T: DecodeBounded<'a>, const COUNT_MAX: u32> Decode<'a> for Bounded<T, COUNT_MAX> {
    #[inline]
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        T::decode_bounded(decoder, COUNT_MAX).map(Self)
    }
}

/// Gives types the layout of what has a count.
macro_rules! counted_layout {
    ($([$($parameters:tt)*] $type:ty),* $(,)?) => {$(
        impl<$($parameters)*> $crate::Layout for $type {
            const LEN_MIN: usize = <u32 as $crate::Layout>::LEN_MIN;
            const LEN_IS_FIXED: bool = false;
        }
    )*};
}
pub(crate) use counted_layout;

/// Writes types with a count in the bound of `x<>`, which is that of a count (RFC 4506 §4.10, §4.11, §4.13).
macro_rules! counted_encode {
    ($([$($parameters:tt)*] $type:ty),* $(,)?) => {$(
        impl<$($parameters)*> $crate::Encode for $type {
            #[inline]
            fn encode<Out: $crate::Sink>(&self, sink: &mut Out) -> Result<(), $crate::EncodeError> {
                $crate::EncodeBounded::encode_bounded(self, sink, u32::MAX)
            }
        }
    )*};
}
pub(crate) use counted_encode;

/// Reads types with a count in the bound of `x<>`.
macro_rules! counted_decode {
    ($([$lifetime:lifetime $($parameters:tt)*] $type:ty),* $(,)?) => {$(
        impl<$lifetime $($parameters)*> $crate::Decode<$lifetime> for $type {
            #[inline]
            fn decode(decoder: &mut $crate::Decoder<$lifetime>) -> Result<Self, $crate::DecodeError> {
                <Self as $crate::DecodeBounded<$lifetime>>::decode_bounded(decoder, u32::MAX)
            }
        }
    )*};
}
pub(crate) use counted_decode;

impl<T: EncodeBounded + ?Sized> EncodeBounded for &T {
    #[inline]
    fn encode_bounded<S: Sink>(&self, sink: &mut S, count_max: u32) -> Result<(), EncodeError> {
        (**self).encode_bounded(sink, count_max)
    }
}

#[cfg(feature = "alloc")]
impl<T: EncodeBounded + ?Sized> EncodeBounded for alloc::boxed::Box<T> {
    #[inline]
    fn encode_bounded<S: Sink>(&self, sink: &mut S, count_max: u32) -> Result<(), EncodeError> {
        (**self).encode_bounded(sink, count_max)
    }
}
