//! Arrays: elements of one type, one after the other.

use crate::bounded::{counted_encode, counted_layout};
use crate::{Decode, DecodeError, Decoder, Encode, EncodeBounded, EncodeError, Layout, Sink};

/// `T x[N]` (RFC 4506 §4.12).
impl<T: Layout, const N: usize> Layout for [T; N] {
    const LEN_MIN: usize = T::LEN_MIN * N;
    const LEN_IS_FIXED: bool = T::LEN_IS_FIXED;
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.put_array(self)
    }
}

impl<'a, T: Decode<'a>, const N: usize> Decode<'a> for [T; N] {
    #[inline]
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        if T::LEN_MIN == 0 {
            // Elements without octets take work all the same.
            decoder.work(u32::try_from(N).unwrap_or(u32::MAX))?;
        }
        let mut elements = [const { None }; N];
        let mut places = elements.iter_mut();
        decoder.elements(N, |element: T| {
            if let Some(place) = places.next() {
                *place = Some(element);
            }
        })?;
        Ok(elements.map(|element| element.expect("as many were read")))
    }

    #[cfg(feature = "alloc")]
    fn decode_boxed(decoder: &mut Decoder<'a>) -> Result<alloc::boxed::Box<Self>, DecodeError> {
        decoder.work(u32::try_from(N).unwrap_or(u32::MAX))?;
        let elements = crate::vec::vec(decoder, N)?.into_boxed_slice();
        Ok(elements.try_into().unwrap_or_else(|_| unreachable!("as many were read")))
    }
}

counted_layout!([T: Layout] [T]);
counted_encode!([T: Encode] [T]);

/// `T x<>` (RFC 4506 §4.13).
impl<T: Encode> EncodeBounded for [T] {
    #[inline]
    fn encode_bounded<S: Sink>(&self, sink: &mut S, count_max: u32) -> Result<(), EncodeError> {
        sink.put_count(self.len(), count_max)?;
        sink.put_array(self)
    }
}
