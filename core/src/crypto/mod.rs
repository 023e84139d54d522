//! Integrity, secrecy and identity: what the core asks of a handshake and its keys, and the plain answer.
//!
//! The core decides *when*: it carries handshake octets and sends them again, bounds their buffers, picks the keys for each
//! datagram ([`KeyPhase`]) and updates them. An implementation of [`Crypto`] knows *how*, and never sees a clock, a frame
//! or an address. [`Plain`] is the implementation without a handshake; [`seal_datagram`], [`unmask_header`] and
//! [`open_datagram`] are the one path that every datagram takes, protected or not.

#[cfg(any(test, feature = "test-crypto"))]
mod fake;
mod key_phase;
mod plain;
mod seal;

#[cfg(any(test, feature = "test-crypto"))]
pub use fake::FakeCrypto;
pub use key_phase::{KeyPhase, KeyUpdate, KeyUpdateError, LimitReached};
pub use plain::Plain;
pub use seal::{TAG_LEN_MAX, open_datagram, seal_datagram, tag_len, unmask_header};

use core::error::Error;
use core::fmt;

use crate::wire::{Epoch, Side};

/// Holds the handshake and the keys of every conversation of one endpoint, each under the slot that its ids name.
///
/// The endpoint keeps one such object, so it needs neither a type parameter nor a box for each peer. A slot has a life:
/// [`start`](Self::start), handshake octets in both directions, [`forget`](Self::forget). Methods that name a
/// slot which was not started, or keys that are not there, answer as if there were no keys; they never panic, because
/// the network can bring such a call about.
///
/// Both sides of a conversation exchange handshake octets in three runs, one for each [`Epoch`], as TLS does over QUIC
/// (RFC 9001 §4). The hello epoch has no keys: its datagrams are always [`Plain`].
pub trait Crypto: Send {
    /// Tells whether there is a handshake at all.
    ///
    /// The answer never changes. If it is `false`, both epochs that exist (hello and data) carry a checksum and no mask.
    fn is_protected(&self) -> bool;

    /// Begins the handshake of a peer.
    ///
    /// `parameters` are the octets that the other side will read by [`peer_parameters`](Self::peer_parameters).
    /// `identity` says whom a client means to reach, in the form the implementation defines (a server name, the hash of a
    /// key); a server passes none, and learns by [`peer_identity`](Self::peer_identity) who came. A slot that was in use
    /// is forgotten first.
    ///
    /// # Errors
    /// An [`Alert`] if the arguments are refused or no slot can be had.
    fn start(&mut self, slot: u32, side: Side, parameters: &[u8], identity: &[u8]) -> Result<(), Alert>;

    /// Takes handshake octets of the other side, which arrive in order and without gaps in each epoch.
    ///
    /// Octets may be cut anywhere.
    ///
    /// # Errors
    /// An [`Alert`] closes the conversation. Octets of an epoch that the other side may not use at this point MUST be
    /// refused (RFC 9001 §4.1.3; RUSTSEC-2026-0285 shows what happens otherwise).
    fn read_handshake(&mut self, slot: u32, epoch: Epoch, octets: &[u8]) -> Result<(), Alert>;

    /// Writes the next handshake octets to the start of `out`, all of one epoch, and returns which and how many.
    ///
    /// `None` until more was read. Each octet is written once: the caller keeps it until the other side has it. `out` is not
    /// empty.
    ///
    /// # Errors
    /// An [`Alert`] closes the conversation.
    fn write_handshake(&mut self, slot: u32, out: &mut [u8]) -> Result<Option<(Epoch, usize)>, Alert>;

    /// Tells whether datagrams of `epoch` can be sealed and opened.
    ///
    /// The hello epoch always can. The data epoch can when the handshake is complete: the other side has proven who it is
    /// and that it holds the keys, so nothing is sent to or taken from anybody else (RFC 9001 §5.7).
    fn is_ready(&self, slot: u32, epoch: Epoch) -> bool;

    /// Returns the parameters of the other side, once the handshake is complete and vouches for them.
    fn peer_parameters(&self, slot: u32) -> Option<&[u8]>;

    /// Returns who the other side proved to be, once the handshake is complete: the certificate, or the public key with its
    /// type. `None` of one that proved nothing.
    fn peer_identity(&self, slot: u32) -> Option<&[u8]>;

    /// Fills `out` with a secret that only both ends of this conversation know (RFC 8446 §7.5).
    ///
    /// # Errors
    /// An [`Alert`] while the handshake is not complete.
    fn export(&self, slot: u32, label: &[u8], out: &mut [u8]) -> Result<(), Alert>;

    /// Seals a datagram in place by the current keys: header as associated data, frames encrypted, tag at the end.
    ///
    /// `datagram` is the header (up to `frames_offset`), the frames, and room for the tag ([`tag_len`]). `number`
    /// was not used before in this epoch. The header is masked later, by [`seal_mask`](Self::seal_mask).
    ///
    /// # Errors
    /// An [`Alert`] if there are no keys.
    fn seal(
        &mut self,
        slot: u32,
        epoch: Epoch,
        number: u64,
        datagram: &mut [u8],
        frames_offset: usize,
    ) -> Result<(), Alert>;

    /// Checks and opens a datagram in place, whose header is unmasked.
    ///
    /// # Errors
    /// [`BadTag`] if the datagram was not sealed by the other side with these keys, this number and this header. Its octets are
    /// then undefined. No state changes: what anybody may forge must not move a key or a counter (RUSTSEC-2024-0011).
    fn open(
        &self,
        slot: u32,
        epoch: Epoch,
        generation: Generation,
        number: u64,
        datagram: &mut [u8],
        frames_offset: usize,
    ) -> Result<(), BadTag>;

    /// Returns the mask of the header of a datagram to send, from a sample of its sealed octets (RFC 9001 §5.4).
    fn seal_mask(&self, slot: u32, epoch: Epoch, sample: &[u8; SAMPLE_LEN]) -> [u8; MASK_LEN];

    /// Returns the mask of the header of a received datagram. It does not depend on the generation of keys.
    fn open_mask(&self, slot: u32, epoch: Epoch, sample: &[u8; SAMPLE_LEN]) -> [u8; MASK_LEN];

    /// Moves the data epoch on by one generation, for both directions: next becomes current, current becomes previous.
    ///
    /// Derives the generation after that at once: done at the next update, it would show by the time it takes (RFC 9001 §9.5).
    fn update(&mut self, slot: u32);

    /// Returns how often the keys of the data epoch may be used. Constant while the slot is in use.
    fn limits(&self, slot: u32) -> Limits;

    /// Erases all that is known of a slot. Harmless if there is nothing.
    fn forget(&mut self, slot: u32);
}

/// Which keys of the data epoch, counted from those in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generation {
    /// Those before the last update.
    Previous,
    /// Those that seal.
    Current,
    /// Those after the next update.
    Next,
}

/// How often keys may be used before they must be replaced (RFC 9001 §6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Datagrams sealed by one generation of keys.
    pub seals: u64,
    /// Datagrams that failed to open, over all generations.
    pub failed_opens: u64,
}

/// Why a handshake or its keys failed: a TLS alert description (RFC 8446 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Alert(pub u8);

impl Alert {
    /// A message that is not allowed at this point.
    pub const UNEXPECTED_MESSAGE: Self = Self(10);
    /// An identity that is not the one that was asked for.
    pub const BAD_CERTIFICATE: Self = Self(42);
    /// A message that cannot be read.
    pub const DECODE_ERROR: Self = Self(50);
    /// A proof that does not prove.
    pub const DECRYPT_ERROR: Self = Self(51);
    /// A fault on this side.
    pub const INTERNAL_ERROR: Self = Self(80);
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handshake failed with alert {}", self.0)
    }
}

impl Error for Alert {}

/// Says that a datagram is not authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadTag;

impl fmt::Display for BadTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("datagram is not authentic")
    }
}

impl Error for BadTag {}

/// Length of the sample that a header mask is made from (RFC 9001 §5.4.2).
pub const SAMPLE_LEN: usize = 16;

/// Length of a header mask: the first octet, and the longest number field (RFC 9001 §5.4.1).
pub const MASK_LEN: usize = 5;
