//! Octets of the fuzzer, read as operands.

use core::time::Duration;

/// What is left of the fuzzer's octets; at its end, every operand is zero.
pub(crate) struct Tape<'a>(&'a [u8]);

impl<'a> Tape<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn octet(&mut self) -> u8 {
        let Some((&octet, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        octet
    }

    /// Returns a number below `bound`, which is at most 256.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.octet()) % bound
    }

    /// Returns a number of any magnitude: small ones are as likely as large ones.
    pub(crate) fn number(&mut self) -> u64 {
        let bits = self.below(65) as u32;
        let octets = [0; 8].map(|_: u8| self.octet());
        u64::from_be_bytes(octets).checked_shr(64 - bits).unwrap_or(0)
    }

    /// Returns a length up to `max`, which is below 65 536.
    pub(crate) fn len(&mut self, max: usize) -> usize {
        usize::from(u16::from_be_bytes([self.octet(), self.octet()])) % (max + 1)
    }

    /// Returns up to `len_max` octets, with their count before them.
    pub(crate) fn octets(&mut self, len_max: usize) -> &'a [u8] {
        let len = self.len(len_max).min(self.0.len());
        let (octets, rest) = self.0.split_at(len);
        self.0 = rest;
        octets
    }

    /// Returns a time from a nanosecond to half an hour.
    pub(crate) fn time(&mut self) -> Duration {
        Duration::from_nanos(1 << self.below(41)) + Duration::from_micros(u64::from(self.octet()))
    }

    /// Takes one of some things out, if there is one.
    pub(crate) fn take<T>(&mut self, things: &mut Vec<T>) -> Option<T> {
        let at = self.octet();
        if things.is_empty() { None } else { Some(things.swap_remove(usize::from(at) % things.len())) }
    }

    /// Returns one of some things, if there is one.
    pub(crate) fn pick<T: Copy>(&mut self, things: &[T]) -> Option<T> {
        let at = self.octet();
        things.get(usize::from(at).checked_rem(things.len())?).copied()
    }
}
