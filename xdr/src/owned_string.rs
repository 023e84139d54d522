//! Strings that own their octets.

use alloc::{borrow::Cow, boxed::Box, string::String, vec::Vec};
use core::fmt;
use core::str::Utf8Error;

use crate::bounded::{counted_decode, counted_encode, counted_layout};
use crate::{DecodeBounded, DecodeError, Decoder, EncodeBounded, EncodeError, Sink, XdrStr};

/// A `string` that owns its octets.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XdrString(Box<[u8]>);

impl XdrString {
    /// Returns the octets.
    pub const fn as_octets(&self) -> &[u8] {
        &self.0
    }

    /// Returns the octets, borrowed as a string.
    pub const fn as_xdr_str(&self) -> XdrStr<'_> {
        XdrStr(&self.0)
    }

    /// Returns the text, if it is UTF-8.
    ///
    /// # Errors
    /// Where it is not.
    pub const fn to_str(&self) -> Result<&str, Utf8Error> {
        self.as_xdr_str().to_str()
    }

    /// Returns the text, with replacement characters for what is not UTF-8.
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// Returns the octets, without a copy.
    pub fn into_octets(self) -> Box<[u8]> {
        self.0
    }
}

impl AsRef<[u8]> for XdrString {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Gives a string from what has octets.
macro_rules! from {
    ($($from:ty: $octets:expr),* $(,)?) => {$(
        impl From<$from> for XdrString {
            fn from(from: $from) -> Self {
                let octets: fn($from) -> Box<[u8]> = $octets;
                Self(octets(from))
            }
        }
    )*};
}

from! {
    &str: |text| text.as_bytes().into(),
    String: |text| text.into_bytes().into(),
    &[u8]: |octets| octets.into(),
    Vec<u8>: Box::from,
    Box<[u8]>: |octets| octets,
    XdrStr<'_>: |string| string.0.into(),
}

impl<'a> From<&'a XdrString> for XdrStr<'a> {
    fn from(string: &'a XdrString) -> Self {
        string.as_xdr_str()
    }
}

impl<'a> From<&'a String> for XdrStr<'a> {
    fn from(text: &'a String) -> Self {
        Self(text.as_bytes())
    }
}

impl PartialEq<str> for XdrString {
    fn eq(&self, text: &str) -> bool {
        *self.0 == *text.as_bytes()
    }
}

impl PartialEq<&str> for XdrString {
    fn eq(&self, text: &&str) -> bool {
        *self == **text
    }
}

impl fmt::Display for XdrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_xdr_str().fmt(f)
    }
}

impl fmt::Debug for XdrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_xdr_str().fmt(f)
    }
}

counted_layout!([] XdrString, [] String);
counted_encode!([] XdrString, [] String);
counted_decode!(['a] XdrString, ['a] String);

impl EncodeBounded for XdrString {
    #[inline]
    fn encode_bounded<S: Sink>(&self, sink: &mut S, count_max: u32) -> Result<(), EncodeError> {
        self.0.encode_bounded(sink, count_max)
    }
}

impl<'a> DecodeBounded<'a> for XdrString {
    #[inline]
    fn decode_bounded(decoder: &mut Decoder<'a>, count_max: u32) -> Result<Self, DecodeError> {
        DecodeBounded::decode_bounded(decoder, count_max).map(Self)
    }
}

impl EncodeBounded for String {
    #[inline]
    fn encode_bounded<S: Sink>(&self, sink: &mut S, count_max: u32) -> Result<(), EncodeError> {
        self.as_bytes().encode_bounded(sink, count_max)
    }
}

impl<'a> DecodeBounded<'a> for String {
    #[inline]
    fn decode_bounded(decoder: &mut Decoder<'a>, count_max: u32) -> Result<Self, DecodeError> {
        let text = <&str>::decode_bounded(decoder, count_max)?;
        decoder.allocate(text.len())?;
        Ok(text.into())
    }
}
