//! Optional data: `T *x`.

use crate::{Decode, DecodeError, Decoder, Encode, EncodeError, Layout, Sink};

/// `T *x`: a mark, then the value if it is there (RFC 4506 §4.19).
impl<T: Layout> Layout for Option<T> {
    const LEN_MIN: usize = bool::LEN_MIN;
    const LEN_IS_FIXED: bool = false;
}

impl<T: Encode> Encode for Option<T> {
    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        self.is_some().encode(sink)?;
        match self {
            None => Ok(()),
            Some(value) if T::LEN_IS_FIXED => value.encode(sink),
            Some(value) => sink.nested(|sink| value.encode(sink)),
        }
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Option<T> {
    #[inline]
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        if !bool::decode(decoder)? {
            return Ok(None);
        }
        if T::LEN_IS_FIXED { T::decode(decoder) } else { decoder.nested(T::decode) }.map(Some)
    }
}
