//! Arrays: elements of one type, one after the other.

use core::array;

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
        if T::LEN_IS_FIXED && T::LEN_MIN > 0 {
            decoder.run(Self::LEN_MIN, elements)
        } else {
            // Elements without octets take work all the same.
            decoder.work(u32::try_from(N).unwrap_or(u32::MAX))?;
            decoder.nested(elements)
        }
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

/// Reads `N` elements.
#[inline]
fn elements<'a, T: Decode<'a>, const N: usize>(decoder: &mut Decoder<'a>) -> Result<[T; N], DecodeError> {
    let mut result = Ok(());
    let elements: [Option<T>; N] = array::from_fn(|_| {
        if result.is_err() {
            return None;
        }
        match T::decode(decoder) {
            Ok(element) => Some(element),
            Err(error) => {
                result = Err(error);
                None
            }
        }
    });
    result.map(|()| elements.map(|element| element.expect("none failed")))
}
