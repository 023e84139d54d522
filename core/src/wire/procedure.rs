//! What a REQUEST asks to be called (protocol §6.17).

use core::num::NonZeroU16;

use super::varint::len_of;
use super::{Malformed, NoRoom, Reader, Writer};

/// The most aliases that a receiver can announce (protocol §6.11).
pub const ALIAS_COUNT_MAX: u16 = 256;

/// A short name for a [`Description`], defined once in a conversation; 1 to [`ALIAS_COUNT_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(NonZeroU16);

impl Alias {
    /// Makes an alias; `None` if it is not 1 to [`ALIAS_COUNT_MAX`].
    #[must_use]
    pub const fn new(alias: u16) -> Option<Self> {
        match NonZeroU16::new(alias) {
            Some(alias) if alias.get() <= ALIAS_COUNT_MAX => Some(Self(alias)),
            _ => None,
        }
    }

    /// Returns its number, from 1.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

/// What a REQUEST asks to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Procedure {
    /// What an earlier REQUEST of the conversation described.
    Alias(Alias),
    /// The full description, and the alias that it gets from then on.
    Full {
        /// What is called, and how.
        description: Description,
        /// Its alias, if it gets one.
        alias: Option<Alias>,
    },
}

/// What is called, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Description {
    /// The program.
    pub program: u32,
    /// The version of the program.
    pub version: u32,
    /// The procedure of the program.
    pub procedure: u32,
    /// The deadline from the start of the call, if the metadata has none; 0 is none.
    pub timeout_millis: u32,
    /// What is promised, and which streams the call has.
    pub options: Options,
}

/// What is promised about a call, and which streams it has.
// An octet on the wire. As long as its neighbours in a description, it leaves that without a gap: of a gap, nothing is written, and
// whoever moves all of it has to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options(u32);

/// How often a call is executed (semantics).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Semantics {
    /// Never twice.
    #[default]
    AtMostOnce = 0,
    /// At least once if it returned.
    AtLeastOnce = 1,
    /// One datagram, no repetition.
    Maybe = 2,
    /// Once, across restarts of the callee.
    ExactlyOnce = 3,
}

impl Options {
    const ONE_WAY: u32 = 1 << 2;
    const UPWARD: u32 = 1 << 3;
    const DOWNWARD: u32 = 1 << 4;

    /// Makes the options of a call with a reply and without streams.
    #[must_use]
    pub const fn new(semantics: Semantics) -> Self {
        Self(semantics as u32)
    }

    /// Adds that no reply is sent.
    #[must_use]
    pub const fn with_one_way(self) -> Self {
        Self(self.0 | Self::ONE_WAY)
    }

    /// Adds a stream from the caller.
    #[must_use]
    pub const fn with_upward(self) -> Self {
        Self(self.0 | Self::UPWARD)
    }

    /// Adds a stream to the caller.
    #[must_use]
    pub const fn with_downward(self) -> Self {
        Self(self.0 | Self::DOWNWARD)
    }

    /// Returns how often the call is executed.
    #[must_use]
    pub const fn semantics(self) -> Semantics {
        match self.0 & 3 {
            0 => Semantics::AtMostOnce,
            1 => Semantics::AtLeastOnce,
            2 => Semantics::Maybe,
            _ => Semantics::ExactlyOnce,
        }
    }

    /// Tells whether no reply is sent.
    #[must_use]
    pub const fn is_one_way(self) -> bool {
        self.0 & Self::ONE_WAY != 0
    }

    /// Tells whether the call has a stream from the caller.
    #[must_use]
    pub const fn has_upward(self) -> bool {
        self.0 & Self::UPWARD != 0
    }

    /// Tells whether the call has a stream to the caller.
    #[must_use]
    pub const fn has_downward(self) -> bool {
        self.0 & Self::DOWNWARD != 0
    }

    fn decode(octet: u8) -> Result<Self, Malformed> {
        if octet & !0x1f == 0 { Ok(Self(octet.into())) } else { Err(Malformed::Range) }
    }
}

impl Procedure {
    #[inline(always)]
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (is_described, alias) = Self::decode_first(reader)?;
        if !is_described {
            return Alias::new(alias).map(Self::Alias).ok_or(Malformed::Alias);
        }
        let alias = if alias == 0 { None } else { Some(Alias::new(alias).ok_or(Malformed::Alias)?) };
        Ok(Self::Full { description: reader.by_copy(Description::decode)?, alias })
    }

    #[inline(always)]
    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.varint(self.first())?;
        match self {
            Self::Alias(_) => Ok(()),
            Self::Full { description, .. } => description.encode(writer),
        }
    }

    /// Reads the short name, if that is all that comes; `None` if a description follows.
    #[inline(always)]
    pub(super) fn decode_alias(reader: &mut Reader<'_>) -> Result<Option<Alias>, Malformed> {
        let (is_described, alias) = Self::decode_first(reader)?;
        if is_described { Ok(None) } else { Alias::new(alias).map(Some).ok_or(Malformed::Alias) }
    }

    /// Reads whether a description follows, and the short name, or 0 if there is none.
    #[inline(always)]
    fn decode_first(reader: &mut Reader<'_>) -> Result<(bool, u16), Malformed> {
        let first = reader.varint()?;
        Ok((first & 1 != 0, u16::try_from(first >> 1).map_err(|_| Malformed::Alias)?))
    }

    pub(super) fn encoded_len(&self) -> usize {
        len_of(self.first())
            + match self {
                Self::Alias(_) => 0,
                Self::Full { description, .. } => description.encoded_len(),
            }
    }

    #[inline]
    fn first(&self) -> u64 {
        match *self {
            Self::Alias(alias) => u64::from(alias.get()) << 1,
            Self::Full { alias, .. } => u64::from(alias.map_or(0, Alias::get)) << 1 | 1,
        }
    }
}

impl Description {
    // Rare beside aliases: not to be inlined.
    #[cold]
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (program, version, procedure) = (reader.varint_u32()?, reader.varint_u32()?, reader.varint_u32()?);
        let options = Options::decode(reader.u8()?)?;
        Ok(Self { program, version, procedure, timeout_millis: reader.varint_u32()?, options })
    }

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.varint(u64::from(self.program))?;
        writer.varint(u64::from(self.version))?;
        writer.varint(u64::from(self.procedure))?;
        writer.u8(self.options.0 as u8)?;
        writer.varint(u64::from(self.timeout_millis))
    }

    fn encoded_len(&self) -> usize {
        1 + len_of(u64::from(self.program))
            + len_of(u64::from(self.version))
            + len_of(u64::from(self.procedure))
            + len_of(u64::from(self.timeout_millis))
    }
}
