//! What stands before the frames of a datagram (protocol §3).

use super::varint::{VARINT_MAX, len_of};
use super::{
    CHECKSUM_LEN, ConversationId, DATAGRAM_LEN_MAX, Epoch, HELLO_LEN_MIN, Malformed, NoRoom, Reader, Side, VERSION,
    Writer,
};

/// The longest token, in octets (protocol §3.1.3).
pub const TOKEN_LEN_MAX: usize = 128;

/// The longest header, in octets: a hello with the longest token and the longest number.
pub const HEADER_LEN_MAX: usize = 1 + 4 + 8 + 8 + 2 + TOKEN_LEN_MAX + 4;

pub(crate) const LONG: u8 = 0x80;
const EPOCH: u8 = 0x60;
const SERVER: u8 = 0x10;
pub(crate) const KEY_PHASE: u8 = 0x04;
const LONG_RESERVED: u8 = 0x0c;
const SHORT_RESERVED: u8 = 0x18;

/// What can be read of a datagram before its header is unmasked and its tag checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header<'a> {
    /// A datagram of the hello or handshake epoch.
    Long(LongHeader<'a>),
    /// A datagram of the data epoch.
    Short(ShortHeader),
    /// A datagram of the stateless epoch; [`super::Stateless::decode`] reads it.
    Stateless,
    /// The hello of a client in another version; the answer says which versions are spoken (protocol §3.3.4).
    UnknownVersion {
        /// The version of the hello.
        version: u32,
        /// The client's id, to which the answer goes.
        from: ConversationId,
    },
}

impl<'a> Header<'a> {
    /// Reads the form and the ids of a datagram.
    ///
    /// # Errors
    /// What is wrong with it: it is discarded.
    #[inline]
    pub fn peek(datagram: &'a [u8]) -> Result<Self, Malformed> {
        if datagram.len() > DATAGRAM_LEN_MAX {
            return Err(Malformed::Len);
        }
        let mut reader = Reader::new(datagram);
        let first = reader.u8()?;
        match (first & LONG != 0, first & EPOCH) {
            (false, 0x40) => {
                let to = ConversationId(*reader.array()?);
                // One octet of number, and the shortest tag.
                if reader.rest().len() < 1 + CHECKSUM_LEN {
                    Err(Malformed::Len)
                } else {
                    Ok(Self::Short(ShortHeader { to }))
                }
            }
            (true, 0x00) => Self::peek_long(first, Epoch::Hello, datagram.len(), &mut reader),
            (true, 0x20) => Self::peek_long(first, Epoch::Handshake, datagram.len(), &mut reader),
            (true, 0x60) => Ok(Self::Stateless),
            _ => Err(Malformed::Form),
        }
    }

    fn peek_long(first: u8, epoch: Epoch, datagram_len: usize, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let sender = if first & SERVER == 0 { Side::Client } else { Side::Server };
        let is_client_hello = epoch == Epoch::Hello && sender == Side::Client;
        if is_client_hello && datagram_len < HELLO_LEN_MIN {
            return Err(Malformed::Len);
        }
        let version = reader.u32()?;
        let (to, from) = (ConversationId(*reader.array()?), ConversationId(*reader.array()?));
        if from == ConversationId::UNKNOWN {
            return Err(Malformed::Range);
        }
        if version != VERSION {
            return if is_client_hello { Ok(Self::UnknownVersion { version, from }) } else { Err(Malformed::Version) };
        }
        let token = reader.counted()?;
        if token.len() > TOKEN_LEN_MAX || !(is_client_hello || token.is_empty()) {
            return Err(Malformed::Range);
        }
        if reader.rest().len() < 1 + CHECKSUM_LEN {
            return Err(Malformed::Len);
        }
        Ok(Self::Long(LongHeader { epoch, sender, to, from, token }))
    }
}

/// The header of a datagram of the hello or handshake epoch (protocol §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongHeader<'a> {
    /// [`Epoch::Hello`] or [`Epoch::Handshake`].
    pub epoch: Epoch,
    /// Who sends it.
    pub sender: Side,
    /// The receiver's id; [`ConversationId::UNKNOWN`] while the client does not know it.
    pub to: ConversationId,
    /// The sender's id.
    pub from: ConversationId,
    /// What proves the client's address; empty but in a hello of a client.
    pub token: &'a [u8],
}

impl LongHeader<'_> {
    /// Returns where the number begins.
    #[inline]
    #[must_use]
    pub const fn number_offset(&self) -> usize {
        1 + 4 + 8 + 8 + len_of(self.token.len() as u64) + self.token.len()
    }

    /// Writes the header.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit.
    ///
    /// # Panics
    /// If the epoch is [`Epoch::Data`], which has the short form.
    pub fn encode(&self, number: TruncatedNumber, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        assert!(self.epoch != Epoch::Data, "the data epoch has the short form");
        let epoch = if self.epoch == Epoch::Hello { 0x00 } else { 0x20 };
        let sender = if self.sender == Side::Client { 0 } else { SERVER };
        writer.whole(|writer| {
            writer.u8(LONG | epoch | sender | (number.len - 1))?;
            writer.u32(VERSION)?;
            writer.octets(&self.to.0)?;
            writer.octets(&self.from.0)?;
            writer.counted(self.token)?;
            number.encode(writer)
        })
    }
}

/// The header of a datagram of the data epoch (protocol §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortHeader {
    /// The receiver's id.
    pub to: ConversationId,
}

impl ShortHeader {
    /// Where the number begins.
    pub const NUMBER_OFFSET: usize = 1 + ConversationId::LEN;

    /// Writes the header.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit.
    #[inline]
    pub fn encode(&self, phase: Phase, number: TruncatedNumber, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        let phase = if phase == Phase::One { KEY_PHASE } else { 0 };
        writer.whole(|writer| {
            writer.u8(0x40 | phase | (number.len - 1))?;
            writer.octets(&self.to.0)?;
            number.encode(writer)
        })
    }
}

/// Which of two generations of keys protects a datagram of the data epoch (protocol §9.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The first keys, and every second after them; always in an unprotected epoch.
    #[default]
    Zero,
    /// The others.
    One,
}

impl Phase {
    /// Returns the other phase.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Zero => Self::One,
            Self::One => Self::Zero,
        }
    }
}

/// The part of a header that may be masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberField {
    /// The low-order part of the datagram number.
    pub number: TruncatedNumber,
    /// The key phase; `Zero` outside of the data epoch.
    pub phase: Phase,
    /// Where the frames begin.
    pub frames_offset: usize,
}

impl NumberField {
    /// Reads the number of an unmasked datagram that [`Header::peek`] accepted, at the offset that its header gives.
    ///
    /// Does not look at the reserved bits: [`open_datagram`](crate::crypto::open_datagram) does, once the tag proved right.
    ///
    /// # Errors
    /// What is wrong with it: the datagram is discarded.
    #[inline]
    pub fn read(datagram: &[u8], number_offset: usize) -> Result<Self, Malformed> {
        let first = *datagram.first().ok_or(Malformed::Len)?;
        let is_long = first & LONG != 0;
        let len = (first & 3) + 1;
        let frames_offset = number_offset + usize::from(len);
        let field = datagram.get(number_offset..frames_offset).ok_or(Malformed::Len)?;
        let value = field.iter().fold(0, |value, &octet| value << 8 | u32::from(octet));
        let phase = if !is_long && first & KEY_PHASE != 0 { Phase::One } else { Phase::Zero };
        Ok(Self { number: TruncatedNumber { value, len }, phase, frames_offset })
    }
}

/// Returns which bits of the first octet must be zero, unmasked (protocol §3.1.2, §3.2.2).
pub(crate) const fn reserved_bits(first: u8) -> u8 {
    if first & LONG != 0 { LONG_RESERVED } else { SHORT_RESERVED }
}

/// The low-order 1 to 4 octets of a datagram number (RFC 9000 §17.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruncatedNumber {
    value: u32,
    len: u8,
}

impl TruncatedNumber {
    /// Truncates `number` such that a receiver who lacks everything from `unacked` on can expand it; `None` if 4 octets
    /// are too few (protocol §3.2.7; RFC 9000 §A.2).
    ///
    /// `unacked` is the lowest number not yet acknowledged, at most `number`.
    #[inline]
    #[must_use]
    pub const fn new(number: u64, unacked: u64) -> Option<Self> {
        // Twice the distance must be less than the span of the field.
        let distance = number.saturating_sub(unacked).saturating_add(1);
        let len = match distance {
            0..=0x7f => 1,
            0x80..=0x7fff => 2,
            0x8000..=0x7f_ffff => 3,
            0x80_0000..=0x7fff_ffff => 4,
            _ => return None,
        };
        Some(Self { value: number as u32 & Self::mask(len), len })
    }

    /// Returns the number that is nearest to the one after `largest`, the largest received (RFC 9000 §A.3).
    #[inline]
    #[must_use]
    pub const fn expand(self, largest: Option<u64>) -> u64 {
        let expected = match largest {
            // Below 2^62, so that the number is too.
            Some(largest) if largest < VARINT_MAX => largest + 1,
            Some(_) => VARINT_MAX,
            None => 0,
        };
        let span = 1_u64 << (8 * self.len);
        let candidate = expected & !(span - 1) | self.value as u64;
        if candidate + span / 2 <= expected && candidate < (1 << 62) - span {
            candidate + span
        } else if candidate > expected + span / 2 && candidate >= span {
            candidate - span
        } else {
            candidate
        }
    }

    /// Returns the length of the field, 1 to 4 octets.
    #[must_use]
    pub const fn len_octets(self) -> usize {
        self.len as usize
    }

    #[inline]
    fn encode(self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        let [a, b, c, d] = self.value.to_be_bytes();
        match self.len {
            1 => writer.u8(d),
            2 => writer.array([c, d]),
            3 => writer.array([b, c, d]),
            _ => writer.array([a, b, c, d]),
        }
    }

    const fn mask(len: u8) -> u32 {
        u32::MAX >> (32 - 8 * len as u32)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_truncated_and_expanded_as_rfc_9000_says() {
        // RFC 9000 §A.2 and §A.3.
        let number = TruncatedNumber::new(0xac_5c02, 0xab_e8b4).unwrap();
        assert_eq!(number, TruncatedNumber { value: 0x5c02, len: 2 });
        assert_eq!(TruncatedNumber::new(0xac_e8fe, 0xab_e8b4).unwrap().len_octets(), 3);
        assert_eq!(TruncatedNumber { value: 0x9b32, len: 2 }.expand(Some(0xa82f_30ea)), 0xa82f_9b32);
    }

    #[test]
    fn a_truncated_number_expands_to_the_nearest() {
        assert_eq!(TruncatedNumber { value: 0xff, len: 1 }.expand(Some(0x100)), 0xff);
        assert_eq!(TruncatedNumber { value: 0, len: 1 }.expand(Some(0xff)), 0x100);
        assert_eq!(TruncatedNumber { value: 0xff, len: 1 }.expand(None), 0xff);
        assert_eq!(TruncatedNumber { value: u32::MAX, len: 4 }.expand(Some(VARINT_MAX)), VARINT_MAX);
    }

    #[test]
    fn every_number_within_the_window_is_expanded_to_itself() {
        for unacked in [0, 1, 100, 0xfffe, 0x1_0000, (1 << 40) - 3, (1 << 62) - 5000] {
            for distance in [0, 1, 2, 126, 127, 128, 1000, 4000] {
                let number = unacked + distance;
                let truncated = TruncatedNumber::new(number, unacked).unwrap();
                // The receiver may have anything from just before `unacked` to just before `number`.
                for largest in [unacked.checked_sub(1), number.checked_sub(1)] {
                    assert_eq!(truncated.expand(largest), number);
                }
            }
        }
    }

    #[test]
    fn a_distance_that_four_octets_cannot_bridge_is_refused() {
        assert!(TruncatedNumber::new((1 << 31) - 2, 0).is_some());
        assert!(TruncatedNumber::new((1 << 31) - 1, 0).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// RFC 9000 §17.1: the peer's largest lies anywhere from the last it acknowledged to just before `number`.
        #[test]
        fn expansion_undoes_truncation(acked in 0..VARINT_MAX, ahead in 1u64..(1 << 31) - 1, progress in 0u64..1 << 31) {
            let number = acked.saturating_add(ahead).min(VARINT_MAX);
            let received = acked + progress % (number - acked).max(1);
            let truncated = TruncatedNumber::new(number, (acked + 1).min(number)).unwrap();
            prop_assert_eq!(truncated.expand(Some(received)), number);
        }

        #[test]
        fn expansion_gives_a_number_for_any_octets(octets: u32, len in 1u8..5, largest: Option<u64>) {
            let value = octets & TruncatedNumber::mask(len);
            let number = TruncatedNumber { value, len }.expand(largest);
            prop_assert!(number <= VARINT_MAX);
            prop_assert_eq!(number as u32 & TruncatedNumber::mask(len), value);
        }
    }
}
