//! Octets that wait for a connection to take them.

use alloc::vec::Vec;

#[derive(Debug)]
pub(crate) struct Outgoing {
    octets: Vec<u8>,
    /// Octets at the front that were taken already.
    taken_len: usize,
    /// Offset in the stream of the first of `octets`.
    offset: u64,
}

impl Outgoing {
    pub(crate) const fn new() -> Self {
        Self { octets: Vec::new(), taken_len: 0, offset: 0 }
    }

    /// Returns where to append what is to be sent.
    pub(crate) const fn octets_mut(&mut self) -> &mut Vec<u8> {
        &mut self.octets
    }

    /// Returns how many octets wait.
    pub(crate) const fn len(&self) -> usize {
        self.octets.len() - self.taken_len
    }

    /// Returns how many octets of the stream were taken.
    pub(crate) const fn begin_offset(&self) -> u64 {
        self.offset + self.taken_len as u64
    }

    /// Returns how many octets of the stream were taken or wait.
    pub(crate) const fn end_offset(&self) -> u64 {
        self.offset + self.octets.len() as u64
    }

    pub(crate) fn poll_transmit(&self) -> Option<&[u8]> {
        Some(&self.octets[self.taken_len..]).filter(|octets| !octets.is_empty())
    }

    pub(crate) fn handle_transmitted(&mut self, len: usize) {
        self.taken_len += len;
        assert!(self.taken_len <= self.octets.len(), "no more is taken than was offered");
        // Moved down no more often than it pays for: each octet is moved once at most, on average.
        if self.taken_len * 2 >= self.octets.len() {
            self.octets.drain(..self.taken_len);
            self.offset += self.taken_len as u64;
            self.taken_len = 0;
            if self.octets.is_empty() {
                self.octets.shrink_to(KEPT_CAPACITY);
            }
        }
    }
}

/// The memory that is kept while nothing waits, in octets; our choice.
const KEPT_CAPACITY: usize = 16 * 1024;
