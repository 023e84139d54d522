//! Memory of its own for a long message that arrives, to be handed over without a copy.

use crate::config::Config;

/// What has arrived without a gap of a long whole flow, in memory of its own.
///
/// Beside it, the flow has a block of its length in the arena, as any other: so it counts against the same limits. What comes
/// beyond a gap waits there, and so does the beginning: the memory is allocated, once for all of the flow, when a sixteenth of
/// it has come. A peer that announces much and sends little makes nobody allocate. What was allocated is written once, from its start to
/// its end, and not cleared before.
///
/// Without the feature `bytes` there is none.
#[derive(Debug)]
pub struct OwnBody(Octets);

#[cfg(feature = "bytes")]
type Octets = alloc::vec::Vec<u8>;

#[cfg(feature = "bytes")]
impl OwnBody {
    /// Says whether a whole flow of `len` octets has one.
    #[must_use]
    pub const fn suits(len: usize, config: &Config) -> bool {
        len >= config.own_body_len_min
    }

    /// Makes one for a whole flow of `len` octets, if that has one.
    #[must_use]
    pub const fn new(len: usize, config: &Config) -> Option<Self> {
        if Self::suits(len, config) { Some(Self(Octets::new())) } else { None }
    }

    /// Returns what has arrived; `None` while that lies in the block.
    #[must_use]
    pub const fn octets(&self) -> Option<&[u8]> {
        if self.0.capacity() == 0 { None } else { Some(self.0.as_slice()) }
    }

    /// Takes what comes next: what waits in `block` up to `offset`, and `octets` behind that; false if all is to stay in the block.
    pub fn push(&mut self, block: &[u8], offset: usize, octets: &[u8]) -> bool {
        if self.0.capacity() == 0 {
            let is_believed = (offset + octets.len()).saturating_mul(BELIEVED_RATIO) >= block.len();
            // Without memory, it arrives as a shorter one does.
            if !is_believed || self.0.try_reserve_exact(block.len()).is_err() {
                return false;
            }
        }
        self.0.extend_from_slice(&block[self.0.len()..offset]);
        self.0.extend_from_slice(octets);
        true
    }
}

#[cfg(feature = "bytes")]
impl From<OwnBody> for bytes::Bytes {
    fn from(body: OwnBody) -> Self {
        body.0.into()
    }
}

/// How many times as long as what has come a message may say that it is, to be believed; a number we chose.
#[cfg(feature = "bytes")]
const BELIEVED_RATIO: usize = 16;

#[cfg(not(feature = "bytes"))]
#[derive(Debug)]
enum Octets {}

#[cfg(not(feature = "bytes"))]
impl OwnBody {
    /// No flow has one.
    #[must_use]
    pub const fn suits(_len: usize, _config: &Config) -> bool {
        false
    }

    /// Returns `None`.
    #[must_use]
    pub const fn new(_len: usize, _config: &Config) -> Option<Self> {
        None
    }

    /// There is none to ask.
    #[must_use]
    pub const fn octets(&self) -> Option<&[u8]> {
        match self.0 {}
    }

    /// There is none to ask.
    pub const fn push(&mut self, _block: &[u8], _offset: usize, _octets: &[u8]) -> bool {
        match self.0 {}
    }
}
