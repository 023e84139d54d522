//! Frames: what datagrams carry (protocol §6).

use super::header::TOKEN_LEN_MAX;
use super::varint::{VARINT_MAX, len_of};
use super::{
    Ack, Bare, ConversationId, Data, Epoch, Malformed, NoRoom, Parameters, Reader, ResetToken, Retired, Role, Seq,
    SessionSecret, Writer,
};

/// The longest reason that a CLOSE gives, in octets (protocol §6.9.2).
pub const CLOSE_REASON_LEN_MAX: usize = 256;

/// The most datagrams that an ACK_FREQUENCY lets one acknowledgement stand for (protocol §6.10.1).
pub const ACK_FREQUENCY_COUNT_MAX: u64 = 255;

/// A frame. What it carries is borrowed from the datagram.
///
/// Codes are kept as they are on the wire; the enumerations of [`super::code`] say how unknown ones are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Zero octets to the end of the datagram's frames.
    Padding {
        /// Their count, the type included; at least 1.
        len: usize,
    },
    /// Asks for an acknowledgement.
    Ping,
    /// Which datagrams arrived.
    Ack(Ack<'a>),
    /// How much the other side may charge in this session.
    Credit {
        /// The sum, in octets.
        limit: u64,
    },
    /// How far a stream may be sent.
    StreamCredit {
        /// The role of the stream.
        role: Role,
        /// Its exchange.
        seq: Seq,
        /// The offset up to which it may be sent.
        limit: u64,
    },
    /// Which exchanges are over.
    Retired(Retired<'a>),
    /// The sender of a flow ends it early.
    Reset {
        /// The role of the flow.
        role: Role,
        /// Its exchange.
        seq: Seq,
        /// A [`super::ResetReason`].
        reason: u64,
        /// What the flow has charged in all, in octets.
        charge: u64,
        /// The channel of an ORDERED message and its position there; `None` in every other role.
        place: Option<(u64, u64)>,
    },
    /// The receiver of a flow wants no more of it.
    Stop {
        /// The role of the flow.
        role: Role,
        /// Its exchange.
        seq: Seq,
        /// A [`super::ResetReason`].
        reason: u64,
    },
    /// How many messages the application took.
    Taken {
        /// The ordered channel.
        channel: u64,
        /// How many of its messages were taken.
        limit: u64,
    },
    /// Asks for the same octets from the address that this goes to.
    Challenge([u8; 8]),
    /// Answers a challenge.
    Response([u8; 8]),
    /// Gives the other side a further id.
    NewId {
        /// Its index, from 1.
        index: u64,
        /// The ids below this index are to be used no longer; at most `index`.
        retire: u64,
        /// The id; not [`ConversationId::UNKNOWN`].
        id: ConversationId,
        /// What will prove a reset of the id.
        reset_token: ResetToken,
    },
    /// An id is used no longer.
    RetireId {
        /// The index of the id.
        index: u64,
    },
    /// Ends the conversation.
    Close {
        /// Who closed, and what ends.
        scope: Scope,
        /// A [`super::CloseCode`], or the application's code.
        code: u64,
        /// What people may read: at most [`CLOSE_REASON_LEN_MAX`] octets that should be UTF-8.
        reason: &'a [u8],
    },
    /// The sender begins no handler from here on.
    Drain,
    /// How often the sender wants to be acknowledged.
    AckFrequency {
        /// Once for so many full-sized datagrams; 1 to 255.
        count: u8,
        /// After at most this time.
        delay_micros: u64,
    },
    /// The limits of the sender: items that [`Parameters::decode`] accepted.
    Parameters(&'a [u8]),
    /// What the server opened.
    Session(Session<'a>),
    /// Asks for an earlier session.
    Resume {
        /// The session.
        session: u64,
        /// What proves that it is the client's.
        proof: [u8; 16],
    },
    /// Octets of the cryptographic handshake.
    Handshake {
        /// Where they begin in the datagram's epoch.
        offset: u64,
        /// The octets.
        data: &'a [u8],
    },
    /// How much of the cryptographic handshake arrived.
    HandshakeAck {
        /// In which epoch.
        epoch: Epoch,
        /// How many octets, without a gap.
        offset: u64,
    },
    /// Asks that a call of the sender's be stopped.
    Cancel {
        /// The call.
        seq: Seq,
    },
    /// Asks what became of a call of the sender's.
    Ask {
        /// The call.
        seq: Seq,
    },
    /// Says what became of a call of the receiver's.
    Progress {
        /// The call.
        seq: Seq,
        /// Its state.
        state: CallState,
        /// How long it has been in that state.
        elapsed_millis: u64,
        /// What the handler says about its progress.
        progress: Option<u64>,
    },
    /// Closes the number of a call of the sender's.
    Resolve {
        /// The call.
        seq: Seq,
    },
    /// Asks the receiver to begin no exchange for a while.
    Busy {
        /// How long.
        after_millis: u64,
    },
    /// For private use; ignored by whoever does not know it.
    Private {
        /// The type, 0x70 to 0x7f.
        kind: u8,
        /// What it carries.
        data: &'a [u8],
    },
    /// Octets of a message, a call or a stream.
    Data(Data<'a>),
}

/// Who closed a conversation, and whether the session ends with it (protocol §6.9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Who closed.
    pub closer: Closer,
    /// Whether the session ends too.
    pub ends_session: bool,
}

/// Who closed a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closer {
    /// The protocol; the code is a [`super::CloseCode`].
    Protocol,
    /// The application; the code is its own.
    Application,
}

/// What the server opened (protocol §6.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session<'a> {
    /// The number of the datagram that is answered.
    pub answers: u64,
    /// Whether it is the session that was asked for.
    pub outcome: SessionOutcome,
    /// Which life of the server this is.
    pub incarnation: u64,
    /// The session.
    pub session: u64,
    /// What resumes it.
    pub secret: SessionSecret,
    /// How long it outlives its conversations.
    pub lease_millis: u64,
    /// What will prove a reset of the server's id.
    pub reset_token: ResetToken,
    /// A token for the next visit; at most [`TOKEN_LEN_MAX`] octets.
    pub ticket: &'a [u8],
}

/// Whether a session is the one that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SessionOutcome {
    /// None was asked for, and this one was opened.
    Opened = 0,
    /// It is the one that was asked for.
    Resumed = 1,
    /// The one that was asked for is unknown, and this one was opened.
    Unknown = 2,
}

/// What a callee says about a call (protocol §7.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CallState {
    /// It never arrived.
    Unknown = 0,
    /// It waits for its handler.
    Queued = 1,
    /// Its handler runs.
    Running = 2,
    /// It is done.
    Done = 3,
}

const PADDING: u8 = 0x00;
const PING: u8 = 0x01;
const CREDIT: u8 = 0x04;
const STREAM_CREDIT: u8 = 0x05;
const RESET: u8 = 0x07;
const STOP: u8 = 0x08;
const TAKEN: u8 = 0x09;
const CHALLENGE: u8 = 0x0a;
const RESPONSE: u8 = 0x0b;
const NEW_ID: u8 = 0x0c;
const RETIRE_ID: u8 = 0x0d;
const CLOSE: u8 = 0x0e;
const DRAIN: u8 = 0x0f;
const ACK_FREQUENCY: u8 = 0x10;
const PARAMETERS: u8 = 0x11;
const SESSION: u8 = 0x12;
const RESUME: u8 = 0x13;
const HANDSHAKE: u8 = 0x14;
const HANDSHAKE_ACK: u8 = 0x15;
const CANCEL: u8 = 0x16;
const ASK: u8 = 0x17;
const PROGRESS: u8 = 0x18;
const RESOLVE: u8 = 0x19;
const BUSY: u8 = 0x1a;
const PRIVATE_MIN: u8 = 0x70;
const PRIVATE_MAX: u8 = 0x7f;

impl<'a> Frame<'a> {
    /// Reads the next frame; form only, not whether it is allowed where it is.
    ///
    /// Always inlined: what stands in nearly every datagram is read where it is wanted, and not put together in one place and taken
    /// apart in another.
    ///
    /// # Errors
    /// What is wrong with it.
    #[inline(always)]
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        match reader.u8()? {
            kind @ Data::KIND_MIN.. => Data::decode(kind, reader),
            kind @ (Ack::KIND | Ack::KIND_ECN) => Ok(Self::Ack(Ack::decode(kind, reader)?)),
            Retired::KIND => Ok(Self::Retired(Retired::decode(reader)?)),
            kind => Self::decode_other(kind, reader),
        }
    }

    /// Checks the form of the next frame, and returns its type: [`Self::decode`] where nobody takes what was read.
    #[inline]
    pub(super) fn check(reader: &mut Reader<'a>) -> Result<u8, Malformed> {
        let kind = *reader.rest().first().ok_or(Malformed::Len)?;
        if Bare::decode(reader)?.is_none() {
            reader.by_copy(Self::decode)?;
        }
        Ok(kind)
    }

    /// Writes the frame.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit; nothing is written then.
    #[inline]
    pub fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        if let Self::Padding { len } = *self {
            // The last frame: there is always room for it in the count.
            return writer.whole(|writer| encode_padding(len, writer));
        }
        writer.frame(|writer| {
            if let Self::Data(data) = self {
                data.encode(writer)
            } else if let Self::Ack(ack) = self {
                ack.encode(writer)
            } else {
                self.encode_other(writer)
            }
        })
    }

    /// Returns how many octets [`Self::encode`] writes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Padding { len } => *len,
            Self::Ping | Self::Drain => 1,
            Self::Ack(ack) => ack.encoded_len(),
            Self::Credit { limit } => 1 + len_of(*limit),
            Self::StreamCredit { seq, limit, .. } => 2 + len_of(seq.0) + len_of(*limit),
            Self::Retired(retired) => retired.encoded_len(),
            Self::Reset { seq, reason, charge, place, .. } => {
                let place_len = place.map_or(0, |(channel, position)| len_of(channel) + len_of(position));
                2 + len_of(seq.0) + len_of(*reason) + len_of(*charge) + place_len
            }
            Self::Stop { seq, reason, .. } => 2 + len_of(seq.0) + len_of(*reason),
            Self::Taken { channel, limit } => 1 + len_of(*channel) + len_of(*limit),
            Self::Challenge(_) | Self::Response(_) => 1 + 8,
            Self::NewId { index, retire, .. } => 1 + len_of(*index) + len_of(*retire) + 8 + 16,
            Self::RetireId { index } => 1 + len_of(*index),
            Self::Close { code, reason, .. } => 2 + len_of(*code) + counted_len(reason),
            Self::AckFrequency { count, delay_micros } => 1 + len_of(u64::from(*count)) + len_of(*delay_micros),
            Self::Parameters(items) => 1 + counted_len(items),
            Self::Session(session) => session.encoded_len(),
            Self::Resume { .. } => 1 + 8 + 16,
            Self::Handshake { offset, data } => 1 + len_of(*offset) + counted_len(data),
            Self::HandshakeAck { offset, .. } => 2 + len_of(*offset),
            Self::Cancel { seq } | Self::Ask { seq } | Self::Resolve { seq } => 1 + len_of(seq.0),
            Self::Progress { seq, elapsed_millis, progress, .. } => {
                2 + len_of(seq.0) + len_of(*elapsed_millis) + len_of(progress_field(*progress))
            }
            Self::Busy { after_millis } => 1 + len_of(*after_millis),
            Self::Private { data, .. } => 1 + counted_len(data),
            Self::Data(data) => data.encoded_len(),
        }
    }

    /// Returns the type on the wire.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Padding { .. } => PADDING,
            Self::Ping => PING,
            Self::Ack(ack) => ack.kind(),
            Self::Credit { .. } => CREDIT,
            Self::StreamCredit { .. } => STREAM_CREDIT,
            Self::Retired(_) => Retired::KIND,
            Self::Reset { .. } => RESET,
            Self::Stop { .. } => STOP,
            Self::Taken { .. } => TAKEN,
            Self::Challenge(_) => CHALLENGE,
            Self::Response(_) => RESPONSE,
            Self::NewId { .. } => NEW_ID,
            Self::RetireId { .. } => RETIRE_ID,
            Self::Close { .. } => CLOSE,
            Self::Drain => DRAIN,
            Self::AckFrequency { .. } => ACK_FREQUENCY,
            Self::Parameters(_) => PARAMETERS,
            Self::Session(_) => SESSION,
            Self::Resume { .. } => RESUME,
            Self::Handshake { .. } => HANDSHAKE,
            Self::HandshakeAck { .. } => HANDSHAKE_ACK,
            Self::Cancel { .. } => CANCEL,
            Self::Ask { .. } => ASK,
            Self::Progress { .. } => PROGRESS,
            Self::Resolve { .. } => RESOLVE,
            Self::Busy { .. } => BUSY,
            Self::Private { kind, .. } => *kind,
            Self::Data(data) => data.kind(),
        }
    }

    fn decode_other(kind: u8, reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(match kind {
            PADDING => {
                let padding = reader.take_rest();
                if padding.iter().any(|&octet| octet != 0) {
                    return Err(Malformed::Range);
                }
                Self::Padding { len: 1 + padding.len() }
            }
            PING => Self::Ping,
            CREDIT => Self::Credit { limit: reader.varint()? },
            STREAM_CREDIT => Self::StreamCredit { role: role(reader)?, seq: seq(reader)?, limit: reader.varint()? },
            RESET => {
                let role = role(reader)?;
                Self::Reset {
                    role,
                    seq: seq(reader)?,
                    reason: reader.varint()?,
                    charge: reader.varint()?,
                    place: if role == Role::Ordered { Some((reader.varint()?, reader.varint()?)) } else { None },
                }
            }
            STOP => Self::Stop { role: role(reader)?, seq: seq(reader)?, reason: reader.varint()? },
            TAKEN => Self::Taken { channel: reader.varint()?, limit: reader.varint()? },
            CHALLENGE => Self::Challenge(*reader.array()?),
            RESPONSE => Self::Response(*reader.array()?),
            NEW_ID => decode_new_id(reader)?,
            RETIRE_ID => Self::RetireId { index: reader.varint()? },
            CLOSE => decode_close(reader)?,
            DRAIN => Self::Drain,
            ACK_FREQUENCY => decode_ack_frequency(reader)?,
            PARAMETERS => {
                let items = reader.counted()?;
                Parameters::decode(items)?;
                Self::Parameters(items)
            }
            SESSION => Self::Session(Session::decode(reader)?),
            RESUME => Self::Resume { session: reader.u64()?, proof: *reader.array()? },
            HANDSHAKE => decode_handshake(reader)?,
            HANDSHAKE_ACK => decode_handshake_ack(reader)?,
            CANCEL => Self::Cancel { seq: seq(reader)? },
            ASK => Self::Ask { seq: seq(reader)? },
            PROGRESS => decode_progress(reader)?,
            RESOLVE => Self::Resolve { seq: seq(reader)? },
            BUSY => Self::Busy { after_millis: reader.varint()? },
            PRIVATE_MIN..=PRIVATE_MAX => Self::Private { kind, data: reader.counted()? },
            _ => return Err(Malformed::UnknownFrame),
        })
    }

    fn encode_other(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.u8(self.kind())?;
        match *self {
            Self::Ping | Self::Drain => Ok(()),
            Self::Data(_) | Self::Ack(_) | Self::Padding { .. } => {
                debug_assert!(false, "written by `encode`");
                Ok(())
            }
            Self::Retired(retired) => retired.encode(writer),
            Self::Session(session) => session.encode(writer),
            Self::Credit { limit } => writer.varint(limit),
            Self::StreamCredit { role, seq, limit } => {
                encode_flow(role, seq, writer)?;
                writer.varint(limit)
            }
            Self::Reset { role, seq, reason, charge, place } => {
                encode_flow(role, seq, writer)?;
                writer.varint(reason)?;
                writer.varint(charge)?;
                let Some((channel, position)) = place else { return Ok(()) };
                writer.varint(channel)?;
                writer.varint(position)
            }
            Self::Stop { role, seq, reason } => {
                encode_flow(role, seq, writer)?;
                writer.varint(reason)
            }
            Self::Taken { channel, limit } => {
                writer.varint(channel)?;
                writer.varint(limit)
            }
            Self::Challenge(octets) | Self::Response(octets) => writer.octets(&octets),
            Self::NewId { index, retire, id, reset_token } => {
                writer.varint(index)?;
                writer.varint(retire)?;
                writer.octets(&id.0)?;
                writer.octets(&reset_token.0)
            }
            Self::RetireId { index } => writer.varint(index),
            Self::Close { scope, code, reason } => {
                writer.u8(scope.bits())?;
                writer.varint(code)?;
                writer.counted(reason)
            }
            Self::AckFrequency { count, delay_micros } => {
                writer.varint(u64::from(count))?;
                writer.varint(delay_micros)
            }
            Self::Parameters(items) => writer.counted(items),
            Self::Resume { session, proof } => {
                writer.u64(session)?;
                writer.octets(&proof)
            }
            Self::Handshake { offset, data } => {
                writer.varint(offset)?;
                writer.counted(data)
            }
            Self::HandshakeAck { epoch, offset } => {
                writer.u8(epoch as u8)?;
                writer.varint(offset)
            }
            Self::Cancel { seq } | Self::Ask { seq } | Self::Resolve { seq } => writer.varint(seq.0),
            Self::Progress { seq, state, elapsed_millis, progress } => {
                writer.varint(seq.0)?;
                writer.u8(state as u8)?;
                writer.varint(elapsed_millis)?;
                writer.varint(progress_field(progress))
            }
            Self::Busy { after_millis } => writer.varint(after_millis),
            Self::Private { data, .. } => writer.counted(data),
        }
    }
}

/// The frames of a datagram, one after the other; ends after the first that is malformed.
#[derive(Clone, Debug)]
pub struct Frames<'a>(Reader<'a>);

impl<'a> Frames<'a> {
    /// Reads the octets between the header and the tag.
    #[inline]
    #[must_use]
    pub const fn new(frames: &'a [u8]) -> Self {
        Self(Reader::new(frames))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let frame = Frame::decode(&mut self.0);
        if frame.is_err() {
            self.0.take_rest();
        }
        Some(frame)
    }
}

impl Scope {
    fn decode(octet: u8) -> Result<Self, Malformed> {
        let closer = if octet & 1 == 0 { Closer::Protocol } else { Closer::Application };
        if octet & !3 == 0 { Ok(Self { closer, ends_session: octet & 2 != 0 }) } else { Err(Malformed::Range) }
    }

    const fn bits(self) -> u8 {
        self.closer as u8 | (self.ends_session as u8) << 1
    }
}

impl<'a> Session<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let session = Self {
            answers: reader.varint()?,
            outcome: match reader.u8()? {
                0 => SessionOutcome::Opened,
                1 => SessionOutcome::Resumed,
                2 => SessionOutcome::Unknown,
                _ => return Err(Malformed::Range),
            },
            incarnation: reader.u64()?,
            session: reader.u64()?,
            secret: SessionSecret(*reader.array()?),
            lease_millis: reader.varint()?,
            reset_token: ResetToken(*reader.array()?),
            ticket: reader.counted()?,
        };
        if session.ticket.len() > TOKEN_LEN_MAX { Err(Malformed::Range) } else { Ok(session) }
    }

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.varint(self.answers)?;
        writer.u8(self.outcome as u8)?;
        writer.u64(self.incarnation)?;
        writer.u64(self.session)?;
        writer.octets(&self.secret.0)?;
        writer.varint(self.lease_millis)?;
        writer.octets(&self.reset_token.0)?;
        writer.counted(self.ticket)
    }

    const fn encoded_len(&self) -> usize {
        2 + len_of(self.answers) + 8 + 8 + 16 + len_of(self.lease_millis) + 16 + counted_len(self.ticket)
    }
}

fn role(reader: &mut Reader<'_>) -> Result<Role, Malformed> {
    reader.u8().and_then(Role::decode_reliable)
}

fn seq(reader: &mut Reader<'_>) -> Result<Seq, Malformed> {
    reader.varint().map(Seq)
}

fn decode_new_id<'a>(reader: &mut Reader<'a>) -> Result<Frame<'a>, Malformed> {
    let (index, retire) = (reader.varint()?, reader.varint()?);
    let id = ConversationId(*reader.array()?);
    if index == 0 || retire > index || id == ConversationId::UNKNOWN {
        return Err(Malformed::Range);
    }
    Ok(Frame::NewId { index, retire, id, reset_token: ResetToken(*reader.array()?) })
}

fn decode_close<'a>(reader: &mut Reader<'a>) -> Result<Frame<'a>, Malformed> {
    let (scope, code, reason) = (Scope::decode(reader.u8()?)?, reader.varint()?, reader.counted()?);
    if reason.len() > CLOSE_REASON_LEN_MAX { Err(Malformed::Range) } else { Ok(Frame::Close { scope, code, reason }) }
}

fn decode_ack_frequency<'a>(reader: &mut Reader<'a>) -> Result<Frame<'a>, Malformed> {
    let count = reader.varint_up_to(ACK_FREQUENCY_COUNT_MAX)? as u8;
    if count == 0 { Err(Malformed::Range) } else { Ok(Frame::AckFrequency { count, delay_micros: reader.varint()? }) }
}

fn decode_handshake<'a>(reader: &mut Reader<'a>) -> Result<Frame<'a>, Malformed> {
    let (offset, data) = (reader.varint()?, reader.counted()?);
    // An offset is below 2^62 and a datagram is short, so the sum fits.
    if offset + data.len() as u64 > VARINT_MAX { Err(Malformed::Range) } else { Ok(Frame::Handshake { offset, data }) }
}

fn decode_handshake_ack<'a>(reader: &mut Reader<'a>) -> Result<Frame<'a>, Malformed> {
    let epoch = match reader.u8()? {
        0 => Epoch::Hello,
        1 => Epoch::Handshake,
        2 => Epoch::Data,
        _ => return Err(Malformed::Range),
    };
    Ok(Frame::HandshakeAck { epoch, offset: reader.varint()? })
}

fn decode_progress<'a>(reader: &mut Reader<'a>) -> Result<Frame<'a>, Malformed> {
    let seq = seq(reader)?;
    let state = match reader.u8()? {
        0 => CallState::Unknown,
        1 => CallState::Queued,
        2 => CallState::Running,
        3 => CallState::Done,
        _ => return Err(Malformed::Range),
    };
    let (elapsed_millis, progress) = (reader.varint()?, reader.varint()?.checked_sub(1));
    Ok(Frame::Progress { seq, state, elapsed_millis, progress })
}

fn encode_flow(role: Role, seq: Seq, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
    writer.u8(role as u8)?;
    writer.varint(seq.0)
}

fn encode_padding(len: usize, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
    const ZEROES: [u8; 64] = [0; 64];
    let mut left = len;
    while left > 0 {
        let part = left.min(ZEROES.len());
        writer.octets(ZEROES.get(..part).unwrap_or_default())?;
        left -= part;
    }
    Ok(())
}

/// Returns 0, or 1 + the value that the handler gave; values beyond the range of a varint saturate.
fn progress_field(progress: Option<u64>) -> u64 {
    progress.map_or(0, |value| value.saturating_add(1).min(VARINT_MAX))
}

const fn counted_len(octets: &[u8]) -> usize {
    len_of(octets.len() as u64) + octets.len()
}
