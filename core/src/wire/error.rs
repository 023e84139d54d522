//! What is wrong with octets, or with the room for them.

use core::fmt;

use super::CloseCode;

/// Why octets are not a datagram or a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Malformed {
    /// The octets end inside a field, or go on where they must end.
    Len,
    /// A variable-length integer is longer than its value needs (protocol §2.3).
    NotShortest,
    /// A bit that must be zero is not, or a field has a value outside its range (protocol §5.7).
    Range,
    /// A list has more entries than its field may hold (protocol §6.2.2, §6.4.1).
    Count,
    /// The ids or keys of items do not ascend (protocol §6.11.1, §6.18.1).
    Order,
    /// The first octet names no form, or its form does not fit its epoch (protocol §3.4, §3.3.7).
    Form,
    /// The datagram is of a version that is not spoken here.
    Version,
    /// The checksum is not that of the octets before it (protocol §3.7).
    Checksum,
    /// No frame has this type (protocol §6).
    UnknownFrame,
    /// There is no frame in the datagram, or there are more than its length allows (protocol §5.1).
    FrameCount,
    /// There is more than one ACK or ACK_ECN in the datagram (protocol §6.2.7).
    AckCount,
    /// A fragment ends beyond its flow's total, or at or above 2^62 (protocol §6.16.6).
    Fragment,
    /// An alias is not among those that any receiver can announce (protocol §6.17.5).
    Alias,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Len => "octets end inside a field or go on after the last",
            Self::NotShortest => "integer not in its shortest form",
            Self::Range => "field out of range",
            Self::Count => "list too long",
            Self::Order => "items not in ascending order",
            Self::Form => "unknown form of datagram",
            Self::Version => "unknown version",
            Self::Checksum => "wrong checksum",
            Self::UnknownFrame => "unknown frame",
            Self::FrameCount => "no frame, or too many",
            Self::AckCount => "more than one acknowledgement",
            Self::Fragment => "fragment beyond the end of its flow",
            Self::Alias => "alias out of range",
        })
    }
}

impl core::error::Error for Malformed {}

/// Why the frames of an authentic datagram must not be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// The octets are not frames.
    Malformed(Malformed),
    /// A frame is not allowed in this epoch from this side (protocol §5.5).
    NotAllowed,
}

impl Violation {
    /// Returns the code that the conversation is closed with in the handshake and data epochs (protocol §5.4).
    ///
    /// In the hello epoch the datagram is discarded instead (protocol §5.3).
    #[must_use]
    pub const fn code(self) -> CloseCode {
        match self {
            Self::NotAllowed => CloseCode::NotAllowed,
            Self::Malformed(Malformed::Fragment) => CloseCode::Fragment,
            Self::Malformed(Malformed::Alias) => CloseCode::Alias,
            Self::Malformed(_) => CloseCode::Malformed,
        }
    }
}

impl From<Malformed> for Violation {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::NotAllowed => f.write_str("frame not allowed here"),
        }
    }
}

impl core::error::Error for Violation {}

/// There is no room for what was to be written; nothing was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no room left to write")
    }
}

impl core::error::Error for NoRoom {}
