//! What is known about the length of a type's encodings without a value.

/// What is known about the length of a type's encodings without a value.
///
/// A struct adds its members, a union takes the shortest of its arms; all else is in this crate.
pub trait Layout {
    /// The octets that every encoding has at least, a multiple of four.
    ///
    /// A decoder refuses a count of elements that cannot all be in the octets that are left.
    const LEN_MIN: usize;

    /// Whether every encoding has `LEN_MIN` octets.
    ///
    /// Such types hold no optional data and nothing of variable length, so they cannot recur, and a run of them is taken at once
    /// ([`Sink::run`](crate::Sink::run), [`Decoder::run`](crate::Decoder::run)).
    const LEN_IS_FIXED: bool;
}

impl<T: Layout + ?Sized> Layout for &T {
    const LEN_MIN: usize = T::LEN_MIN;
    const LEN_IS_FIXED: bool = T::LEN_IS_FIXED;
}

#[cfg(feature = "alloc")]
impl<T: Layout + ?Sized> Layout for alloc::boxed::Box<T> {
    const LEN_MIN: usize = T::LEN_MIN;
    const LEN_IS_FIXED: bool = T::LEN_IS_FIXED;
}

/// Returns `len` and the padding that makes it a multiple of four (RFC 4506 §3), if that is a `usize`.
pub(crate) const fn padded_len(len: usize) -> Option<usize> {
    match len.checked_add(UNIT_LEN - 1) {
        Some(len) => Some(len / UNIT_LEN * UNIT_LEN),
        None => None,
    }
}

/// The basic block: every encoding is a multiple of it (RFC 4506 §3).
pub(crate) const UNIT_LEN: usize = 4;
