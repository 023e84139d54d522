//! Octets on the wire and what they mean, without state.
//!
//! A datagram is read in this order: [`Header::peek`] gives its form and ids, by which the keys are found; once the header
//! is unmasked, [`NumberField::read`] gives the number; once the tag proved right, [`check()`] looks at all frames before
//! [`Frames`] hands them out one by one. Nothing is copied: what is decoded borrows from the datagram.

pub mod ack;
pub mod bare;
pub mod buffer;
pub mod check;
pub mod checksum;
pub mod code;
pub mod data;
pub mod error;
pub mod frame;
pub mod header;
pub mod id;
pub mod metadata;
pub mod parameters;
pub mod procedure;
pub mod retired;
pub mod stateless;
pub mod steering;
pub mod varint;

pub use ack::{Ack, EcnCounts};
pub use bare::Bare;
pub use buffer::{Reader, Writer};
pub use check::{Carrier, Summary, allowed, check};
pub use code::{CloseCode, NotExecuted, ResetReason, Status};
pub use data::{Data, Extent, Flow, Form, Opening, Outcome, Role};
pub use error::{Malformed, NoRoom, Violation};
pub use frame::{CallState, Closer, Frame, Frames, Scope, Session, SessionOutcome};
pub use header::{Header, LongHeader, NumberField, Phase, ShortHeader, TruncatedNumber};
pub use id::{ConversationId, Epoch, ResetToken, Seq, SessionSecret, Side};
pub use metadata::{Metadata, MetadataWriter};
pub use parameters::Parameters;
pub use procedure::{Alias, Description, Options, Procedure, Semantics};
pub use retired::Retired;
pub use stateless::Stateless;
pub use steering::{STEERING, Steering};

/// The version of the protocol that this crate speaks (protocol §3.1).
pub const VERSION: u32 = 0x5048_0001;

/// The longest datagram, in octets: what fits into one UDP datagram over IPv6 (protocol §3.1).
pub const DATAGRAM_LEN_MAX: usize = 65_527;

/// The shortest hello of a client, in octets (protocol §3.1.5; RFC 9000 §14.1).
pub const HELLO_LEN_MIN: usize = 1200;

/// The length of the tag in an unprotected epoch, in octets (protocol §3.7).
pub const CHECKSUM_LEN: usize = 4;

#[cfg(test)]
mod tests;
