//! Strings: octets that are mostly text.

use core::fmt::{self, Write};
use core::str::{self, Utf8Error};

use crate::bounded::{counted_decode, counted_encode, counted_layout};
use crate::{DecodeBounded, DecodeError, Decoder, EncodeBounded, EncodeError, Sink};

/// A borrowed `string`: octets, by convention ASCII (RFC 4506 §4.11), in practice anything.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XdrStr<'a>(pub &'a [u8]);

impl<'a> XdrStr<'a> {
    /// Returns the text, if it is UTF-8.
    ///
    /// # Errors
    /// Where it is not.
    pub const fn to_str(self) -> Result<&'a str, Utf8Error> {
        str::from_utf8(self.0)
    }
}

impl<'a> From<&'a str> for XdrStr<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl<'a> From<&'a [u8]> for XdrStr<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self(octets)
    }
}

impl PartialEq<str> for XdrStr<'_> {
    fn eq(&self, text: &str) -> bool {
        self.0 == text.as_bytes()
    }
}

impl PartialEq<&str> for XdrStr<'_> {
    fn eq(&self, text: &&str) -> bool {
        self.0 == text.as_bytes()
    }
}

/// Writes the text, with a replacement character for what is not UTF-8.
impl fmt::Display for XdrStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

/// Writes a literal, with escapes for what is no printable ASCII.
impl fmt::Debug for XdrStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl EncodeBounded for XdrStr<'_> {
    #[inline]
    fn encode_bounded<S: Sink>(&self, sink: &mut S, count_max: u32) -> Result<(), EncodeError> {
        self.0.encode_bounded(sink, count_max)
    }
}

counted_layout!(['a] XdrStr<'a>, [] str);
counted_encode!(['a] XdrStr<'a>, [] str);
counted_decode!(['a] XdrStr<'a>, ['a] &'a str);

impl<'a> DecodeBounded<'a> for XdrStr<'a> {
    #[inline]
    fn decode_bounded(decoder: &mut Decoder<'a>, count_max: u32) -> Result<Self, DecodeError> {
        DecodeBounded::decode_bounded(decoder, count_max).map(Self)
    }
}

impl EncodeBounded for str {
    #[inline]
    fn encode_bounded<S: Sink>(&self, sink: &mut S, count_max: u32) -> Result<(), EncodeError> {
        self.as_bytes().encode_bounded(sink, count_max)
    }
}

impl<'a> DecodeBounded<'a> for &'a str {
    #[inline]
    fn decode_bounded(decoder: &mut Decoder<'a>, count_max: u32) -> Result<Self, DecodeError> {
        let octets = <&[u8]>::decode_bounded(decoder, count_max)?;
        str::from_utf8(octets).map_err(|_| DecodeError::NotUtf8)
    }
}
