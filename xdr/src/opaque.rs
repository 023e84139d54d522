//! Opaque data: octets as they are.

use crate::bounded::{counted_decode, counted_encode, counted_layout};
use crate::layout::padded_len;
use crate::{Decode, DecodeBounded, DecodeError, Decoder, Encode, EncodeBounded, EncodeError, Layout, Sink};

/// `opaque x[N]` (RFC 4506 §4.9).
impl<const N: usize> Layout for [u8; N] {
    const LEN_MIN: usize = padded_len(N).expect("an array of this length cannot be");
    const LEN_IS_FIXED: bool = true;
}

impl<const N: usize> Encode for [u8; N] {
    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.put_opaque(self)
    }
}

impl<'a, const N: usize> Decode<'a> for [u8; N] {
    #[inline]
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        decoder.take_opaque(N).map(|octets| octets.try_into().expect("as many were taken"))
    }

    #[cfg(feature = "alloc")]
    fn decode_boxed(decoder: &mut Decoder<'a>) -> Result<alloc::boxed::Box<Self>, DecodeError> {
        let octets = decoder.take_opaque(N)?;
        decoder.allocate(N)?;
        Ok(alloc::boxed::Box::<[u8]>::from(octets).try_into().expect("as many were taken"))
    }
}

counted_layout!([][u8]);
counted_encode!([][u8]);
counted_decode!(['a] &'a [u8]);

/// `opaque x<>` (RFC 4506 §4.10).
impl EncodeBounded for [u8] {
    #[inline]
    fn encode_bounded<S: Sink>(&self, sink: &mut S, count_max: u32) -> Result<(), EncodeError> {
        sink.put_count(self.len(), count_max)?;
        sink.put_opaque(self)
    }
}

impl<'a> DecodeBounded<'a> for &'a [u8] {
    #[inline]
    fn decode_bounded(decoder: &mut Decoder<'a>, count_max: u32) -> Result<Self, DecodeError> {
        let len = u32::decode(decoder)?;
        if len > count_max {
            return Err(DecodeError::BoundExceeded);
        }
        decoder.take_opaque(usize::try_from(len).map_err(|_| DecodeError::Truncated)?)
    }
}
