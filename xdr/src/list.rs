//! Linked lists: `struct T { …; T *next; }`.

use alloc::vec::{self, Vec};
use core::ops::{Deref, DerefMut};
use core::slice;

use crate::bounded::counted_decode;
use crate::{Decode, DecodeBounded, DecodeError, Decoder, Encode, EncodeBounded, EncodeError, Layout, Sink};

/// What `T *x` is where `T` ends with `T *next`: a list, in which each node has a mark before it (RFC 4506 §4.19).
///
/// `T` is the node without `next`. The nodes lie in an array, so that nothing recurs, however long the list: neither encoding nor
/// decoding, nor what Rust derives, nor the drop. The bound of [`EncodeBounded`] and [`DecodeBounded`] is one on nodes; no
/// declaration has one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for List<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(nodes: Vec<T>) -> Self {
        Self(nodes)
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(nodes: I) -> Self {
        Self(Vec::from_iter(nodes))
    }
}

impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: Layout> Layout for List<T> {
    const LEN_MIN: usize = bool::LEN_MIN;
    const LEN_IS_FIXED: bool = false;
}

impl<T: Encode> Encode for List<T> {
    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.nested(|sink| {
            for node in &self.0 {
                true.encode(sink)?;
                node.encode(sink)?;
            }
            false.encode(sink)
        })
    }
}

impl<T: Encode> EncodeBounded for List<T> {
    #[inline]
    fn encode_bounded<S: Sink>(&self, sink: &mut S, count_max: u32) -> Result<(), EncodeError> {
        if u32::try_from(self.len()).is_ok_and(|count| count <= count_max) {
            self.encode(sink)
        } else {
            Err(EncodeError::BoundExceeded)
        }
    }
}

counted_decode!(['a, T: Decode<'a>] List<T>);

impl<'a, T: Decode<'a>> DecodeBounded<'a> for List<T> {
    fn decode_bounded(decoder: &mut Decoder<'a>, count_max: u32) -> Result<Self, DecodeError> {
        decoder.nested(|decoder| {
            let mut nodes = Vec::new();
            let mut count_left = count_max;
            while bool::decode(decoder)? {
                decoder.work(1)?;
                count_left = count_left.checked_sub(1).ok_or(DecodeError::BoundExceeded)?;
                if nodes.len() == nodes.capacity() {
                    grow(&mut nodes, decoder)?;
                }
                nodes.push(T::decode(decoder)?);
            }
            Ok(Self(nodes))
        })
    }
}

/// Makes room for a fourth more: twice as much could be more memory than the nodes that come are worth.
fn grow<T>(nodes: &mut Vec<T>, decoder: &mut Decoder<'_>) -> Result<(), DecodeError> {
    let (old, more) = (nodes.len(), 1 + nodes.len() / 4);
    // For a moment there may be both the old array and the one that it is copied to.
    decoder.allocate((old + more).saturating_mul(size_of::<T>()))?;
    nodes.reserve_exact(more);
    decoder.free(old * size_of::<T>());
    Ok(())
}
