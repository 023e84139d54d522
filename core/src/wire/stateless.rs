//! Answers of a server that keeps no state (protocol §3.3).

use super::checksum::crc32c;
use super::header::TOKEN_LEN_MAX;
use super::{CHECKSUM_LEN, ConversationId, Malformed, NoRoom, Reader, ResetToken, VERSION, Writer};

/// The shortest short-form datagram that a reset answers, in octets (protocol §3.3.5).
pub const RESET_TRIGGER_LEN_MIN: usize = 43;

const RETRY: u8 = 0xf0;
const VERSIONS: u8 = 0xf1;
const RESET: u8 = 0xf2;

/// A datagram of the stateless epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stateless<'a> {
    /// Asks the client to send its hello again, with a token.
    Retry {
        /// The client's id.
        to: ConversationId,
        /// The number of the hello that it answers.
        answers: u64,
        /// The token, 1 to 128 octets.
        token: &'a [u8],
    },
    /// Says which versions the server speaks.
    Version {
        /// The client's id.
        to: ConversationId,
        /// The versions.
        versions: Versions<'a>,
    },
    /// Says that no conversation has an id.
    Reset {
        /// The id that the answered datagram bore.
        id: ConversationId,
        /// What proves that the owner of the id says so.
        token: ResetToken,
    },
}

/// One or more versions that a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions<'a>(&'a [u8]);

impl<'a> Versions<'a> {
    /// The only version that this crate speaks.
    pub const OURS: Versions<'static> = Versions(&VERSION.to_be_bytes());

    /// Returns the versions.
    pub fn iter(&self) -> impl Iterator<Item = u32> + 'a {
        let (versions, _) = self.0.as_chunks();
        versions.iter().map(|octets| u32::from_be_bytes(*octets))
    }
}

impl<'a> Stateless<'a> {
    /// Reads a whole datagram, and checks its tag.
    ///
    /// # Errors
    /// What is wrong with it: it is discarded.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let (covered, tag) = datagram.split_last_chunk::<CHECKSUM_LEN>().ok_or(Malformed::Len)?;
        if crc32c(covered) != u32::from_be_bytes(*tag) {
            return Err(Malformed::Checksum);
        }
        let mut reader = Reader::new(covered);
        let stateless = match reader.u8()? {
            RETRY => {
                if reader.u32()? != VERSION {
                    return Err(Malformed::Version);
                }
                let to = ConversationId(*reader.array()?);
                let answers = reader.varint()?;
                let token = reader.counted()?;
                if token.is_empty() || token.len() > TOKEN_LEN_MAX {
                    return Err(Malformed::Range);
                }
                Self::Retry { to, answers, token }
            }
            VERSIONS => {
                let to = ConversationId(*reader.array()?);
                let versions = reader.take_rest();
                if versions.is_empty() || !versions.len().is_multiple_of(size_of::<u32>()) {
                    return Err(Malformed::Len);
                }
                Self::Version { to, versions: Versions(versions) }
            }
            RESET => Self::Reset { id: ConversationId(*reader.array()?), token: ResetToken(*reader.array()?) },
            _ => return Err(Malformed::Form),
        };
        reader.finish()?;
        Ok(stateless)
    }

    /// Writes the whole datagram with its tag to the start of `out`, and returns its length.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit. The length of `out` also keeps it shorter than what it answers (protocol §3.3.2).
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let mut writer = Writer::new(out);
        match *self {
            Self::Retry { to, answers, token } => {
                writer.u8(RETRY)?;
                writer.u32(VERSION)?;
                writer.octets(&to.0)?;
                writer.varint(answers)?;
                writer.counted(token)?;
            }
            Self::Version { to, versions } => {
                writer.u8(VERSIONS)?;
                writer.octets(&to.0)?;
                writer.octets(versions.0)?;
            }
            Self::Reset { id, token } => {
                writer.u8(RESET)?;
                writer.octets(&id.0)?;
                writer.octets(&token.0)?;
            }
        }
        writer.u32(crc32c(writer.written()))?;
        Ok(writer.len())
    }
}
