//! Arrays and opaque data that are owned.

use alloc::{boxed::Box, vec::Vec};

use crate::bounded::{counted_decode, counted_encode, counted_layout};
use crate::{Decode, DecodeBounded, DecodeError, Decoder, Encode, EncodeBounded, EncodeError, Layout, Sink};

counted_layout!([T: Layout] Vec<T>);
counted_encode!([T: Encode] Vec<T>);
counted_decode!(['a, T: Decode<'a>] Vec<T>, ['a, T: Decode<'a>] Box<[T]>);

impl<T: Encode> EncodeBounded for Vec<T> {
    #[inline]
    fn encode_bounded<S: Sink>(&self, sink: &mut S, count_max: u32) -> Result<(), EncodeError> {
        self.as_slice().encode_bounded(sink, count_max)
    }
}

impl<'a, T: Decode<'a>> DecodeBounded<'a> for Vec<T> {
    #[inline]
    fn decode_bounded(decoder: &mut Decoder<'a>, count_max: u32) -> Result<Self, DecodeError> {
        let count = decoder.take_count(count_max, T::LEN_MIN)?;
        vec(decoder, count)
    }
}

impl<'a, T: Decode<'a>> DecodeBounded<'a> for Box<[T]> {
    #[inline]
    fn decode_bounded(decoder: &mut Decoder<'a>, count_max: u32) -> Result<Self, DecodeError> {
        Vec::decode_bounded(decoder, count_max).map(Vec::into_boxed_slice)
    }
}

/// Reads `count` elements into memory that is allocated once.
#[inline]
pub(crate) fn vec<'a, T: Decode<'a>>(decoder: &mut Decoder<'a>, count: usize) -> Result<Vec<T>, DecodeError> {
    decoder.allocate(count.saturating_mul(size_of::<T>()))?;
    let mut items = Vec::with_capacity(count);
    decoder.elements(count, |item| items.push(item))?;
    Ok(items)
}

counted_layout!([] Vec<u8>);
counted_encode!([] Vec<u8>);
counted_decode!(['a] Vec<u8>, ['a] Box<[u8]>);

impl EncodeBounded for Vec<u8> {
    #[inline]
    fn encode_bounded<S: Sink>(&self, sink: &mut S, count_max: u32) -> Result<(), EncodeError> {
        self.as_slice().encode_bounded(sink, count_max)
    }
}

impl<'a> DecodeBounded<'a> for Vec<u8> {
    #[inline]
    fn decode_bounded(decoder: &mut Decoder<'a>, count_max: u32) -> Result<Self, DecodeError> {
        <Box<[u8]>>::decode_bounded(decoder, count_max).map(Self::from)
    }
}

impl<'a> DecodeBounded<'a> for Box<[u8]> {
    #[inline]
    fn decode_bounded(decoder: &mut Decoder<'a>, count_max: u32) -> Result<Self, DecodeError> {
        let octets = <&[u8]>::decode_bounded(decoder, count_max)?;
        decoder.allocate(octets.len())?;
        Ok(octets.into())
    }
}
