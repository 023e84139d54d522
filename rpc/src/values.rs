//! What a call carries, before it is octets.

use core::fmt;

use posthaste_xdr::{EncodeError, Message};

/// Arguments or a result that are not written down yet.
///
/// The transport makes room for them where they are to lie, and has them written there: nothing is copied.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    message: &'a (dyn Message + Sync),
    len: usize,
}

impl<'a> Values<'a> {
    /// Measures them.
    ///
    /// # Errors
    /// If they break a bound of the interface file.
    #[inline]
    pub fn new(message: &'a (dyn Message + Sync)) -> Result<Self, EncodeError> {
        Ok(Self { message, len: message.encoded_len()? })
    }

    /// Returns how many octets they take.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "nobody asks whether there are none")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Writes them to `out`.
    ///
    /// # Panics
    /// If `out` has another length.
    pub fn write(&self, out: &mut [u8]) {
        assert_eq!(out.len(), self.len, "they are written to as many octets as they take");
        self.message.encode_to(out).expect("what was measured can be written");
    }
}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").field("len", &self.len).finish_non_exhaustive()
    }
}
