//! Codes that say how something ended.

use core::fmt;

use super::{Malformed, NoRoom, Reader, Writer};

/// Why the protocol closed a conversation (protocol §6.9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CloseCode {
    /// Nothing is wrong.
    None = 0,
    /// The closer broke an invariant of its own.
    Internal = 1,
    /// A frame is unknown or malformed.
    Malformed = 2,
    /// A frame is not allowed in its epoch, role or state.
    NotAllowed = 3,
    /// A number was acknowledged that was skipped or never sent.
    Acknowledgement = 4,
    /// More was charged than a limit allows.
    Credit = 5,
    /// An exchange lies outside the window.
    Exchange = 6,
    /// A fragment contradicts an earlier one or its own total.
    Fragment = 7,
    /// An alias is undefined, out of range or defined twice.
    Alias = 8,
    /// A repeated request differs from the first.
    FalseRetry = 9,
    /// The other side wastes resources.
    Misbehaving = 10,
    /// The handshake or the keys failed.
    Crypto = 11,
    /// A parameter is out of range.
    Parameters = 12,
    /// The closer is going away.
    ShuttingDown = 13,
}

impl CloseCode {
    /// Returns the code with this number; an unknown one is read as [`Self::Internal`].
    #[must_use]
    pub const fn from_code(code: u64) -> Self {
        match code {
            0 => Self::None,
            2 => Self::Malformed,
            3 => Self::NotAllowed,
            4 => Self::Acknowledgement,
            5 => Self::Credit,
            6 => Self::Exchange,
            7 => Self::Fragment,
            8 => Self::Alias,
            9 => Self::FalseRetry,
            10 => Self::Misbehaving,
            11 => Self::Crypto,
            12 => Self::Parameters,
            13 => Self::ShuttingDown,
            _ => Self::Internal,
        }
    }

    /// Returns the number on the wire.
    #[must_use]
    pub const fn code(self) -> u64 {
        self as u64
    }
}

/// Why a flow ended before its end (protocol §6.5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ResetReason {
    /// The application gave it up.
    Cancelled = 0,
    /// It made no progress for too long.
    ProgressTimeout = 1,
    /// It is longer than the receiver takes.
    TooLarge = 2,
    /// The receiver had no room.
    NoRoom = 3,
    /// The receiver does not want it.
    NotWanted = 4,
}

impl ResetReason {
    /// Returns the reason with this number; an unknown one is read as [`Self::Cancelled`].
    #[must_use]
    pub const fn from_code(code: u64) -> Self {
        match code {
            1 => Self::ProgressTimeout,
            2 => Self::TooLarge,
            3 => Self::NoRoom,
            4 => Self::NotWanted,
            _ => Self::Cancelled,
        }
    }

    /// Returns the number on the wire.
    #[must_use]
    pub const fn code(self) -> u64 {
        self as u64
    }
}

/// What a REPLY says about its call (protocol §7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// It was executed; the data is the result.
    #[default]
    Ok = 0,
    /// It was executed; the data is the application's error.
    ApplicationError = 1,
    /// It was not executed and never will be; the data is a [`NotExecuted`].
    NotExecuted = 2,
    /// It was executed, and the reply is lost.
    ReplyLost = 3,
    /// The handler failed half-way: outcome unknown.
    HandlerFailed = 4,
}

impl Status {
    /// Returns the status with this number.
    ///
    /// # Errors
    /// `Range` if there is none.
    pub const fn from_code(code: u64) -> Result<Self, Malformed> {
        Ok(match code {
            0 => Self::Ok,
            1 => Self::ApplicationError,
            2 => Self::NotExecuted,
            3 => Self::ReplyLost,
            4 => Self::HandlerFailed,
            _ => return Err(Malformed::Range),
        })
    }

    /// Returns the number on the wire.
    #[must_use]
    pub const fn code(self) -> u64 {
        self as u64
    }
}

/// Why a call was not executed and never will be (protocol §7.2).
// As long as a word, its tag puts what follows it, and what any outcome has besides its kind, into a word of its own: an outcome is
// moved several times for each call, and what was written in two pieces and is read as one has to wait for the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum NotExecuted {
    /// The callee has too much to do.
    Busy,
    /// The deadline passed before it began.
    DeadlinePassed,
    /// It was cancelled before it began.
    Cancelled,
    /// The arguments could not be decoded.
    BadArguments,
    /// The callee does not know the program.
    NoSuchProgram,
    /// The callee knows other versions of the program.
    NoSuchVersion {
        /// The lowest version that it knows.
        low: u32,
        /// The highest version that it knows.
        high: u32,
    },
    /// The program has no such procedure.
    NoSuchProcedure,
    /// The request, or the reply that it would have, is too large.
    TooLarge,
    /// There is no room to keep the reply.
    ReplyNotKept,
    /// The callee begins no handler any more.
    Draining,
    /// The callee does not understand metadata that it must understand.
    Metadata,
    /// The caller closed its number before it began.
    Resolved,
}

impl NotExecuted {
    /// The longest encoding, in octets: a why and two versions.
    pub const LEN_MAX: usize = 17;

    /// Reads the data of a REPLY with the status [`Status::NotExecuted`]; an unknown why is read as [`Self::Busy`].
    ///
    /// # Errors
    /// What is wrong with the octets, if they are no such data.
    pub fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(data);
        let why = match reader.varint()? {
            1 => Self::Busy,
            2 => Self::DeadlinePassed,
            3 => Self::Cancelled,
            4 => Self::BadArguments,
            5 => Self::NoSuchProgram,
            6 => Self::NoSuchVersion { low: reader.varint_u32()?, high: reader.varint_u32()? },
            7 => Self::NoSuchProcedure,
            8 => Self::TooLarge,
            9 => Self::ReplyNotKept,
            10 => Self::Draining,
            11 => Self::Metadata,
            12 => Self::Resolved,
            // What follows an unknown why is unknown too.
            _ => return Ok(Self::Busy),
        };
        reader.finish()?;
        Ok(why)
    }

    /// Writes the data of a REPLY with the status [`Status::NotExecuted`].
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit.
    pub fn encode(self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.whole(|writer| {
            writer.u8(self.code())?;
            if let Self::NoSuchVersion { low, high } = self {
                writer.varint(u64::from(low))?;
                writer.varint(u64::from(high))?;
            }
            Ok(())
        })
    }

    const fn code(self) -> u8 {
        match self {
            Self::Busy => 1,
            Self::DeadlinePassed => 2,
            Self::Cancelled => 3,
            Self::BadArguments => 4,
            Self::NoSuchProgram => 5,
            Self::NoSuchVersion { .. } => 6,
            Self::NoSuchProcedure => 7,
            Self::TooLarge => 8,
            Self::ReplyNotKept => 9,
            Self::Draining => 10,
            Self::Metadata => 11,
            Self::Resolved => 12,
        }
    }
}

impl fmt::Display for NotExecuted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the callee has too much to do",
            Self::DeadlinePassed => "the deadline passed before it began",
            Self::Cancelled => "it was cancelled before it began",
            Self::BadArguments => "the arguments could not be decoded",
            Self::NoSuchProgram => "the callee does not know the program",
            Self::NoSuchVersion { low, high } => {
                return write!(f, "the callee knows the program in versions {low} to {high}");
            }
            Self::NoSuchProcedure => "the program has no such procedure",
            Self::TooLarge => "the request is too large, or the reply would be",
            Self::ReplyNotKept => "there is no room to keep the reply",
            Self::Draining => "the callee begins no handler any more",
            Self::Metadata => "the callee does not understand metadata that it must understand",
            Self::Resolved => "the caller closed its number before it began",
        })
    }
}

impl core::error::Error for NotExecuted {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_code_is_read_as_the_document_says() {
        assert_eq!(CloseCode::from_code(14), CloseCode::Internal);
        assert_eq!(ResetReason::from_code(5), ResetReason::Cancelled);
        assert_eq!(Status::from_code(5), Err(Malformed::Range));
        assert_eq!(NotExecuted::decode(&[13, 1, 2, 3]), Ok(NotExecuted::Busy));
    }

    #[test]
    fn every_code_is_read_as_it_was_written() {
        for code in 0..14 {
            assert_eq!(CloseCode::from_code(code).code(), code);
        }
        for code in 0..5 {
            assert_eq!(ResetReason::from_code(code).code(), code);
            assert_eq!(Status::from_code(code).unwrap().code(), code);
        }
        for code in 1..13 {
            let data = if code == 6 { &[6, 1, 0x7f, 0xff][..] } else { &[code][..] };
            let why = NotExecuted::decode(data).unwrap();
            let mut out = [0; NotExecuted::LEN_MAX];
            let mut writer = Writer::new(&mut out);
            why.encode(&mut writer).unwrap();
            assert_eq!(writer.written(), data);
        }
    }

    #[test]
    fn a_why_with_octets_too_few_or_too_many_is_malformed() {
        for data in [&[][..], &[6], &[6, 1], &[1, 0], &[6, 1, 2, 3]] {
            assert_eq!(NotExecuted::decode(data), Err(Malformed::Len));
        }
    }
}
