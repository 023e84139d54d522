//! Frames that carry the octets of messages, calls and streams (protocol §6.16).

use super::varint::{VARINT_MAX, len_of};
use super::{Frame, Malformed, Metadata, NoRoom, Procedure, Reader, Seq, Status, Writer};

/// What kind of flow octets belong to (protocol §6.16.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// A reliable message.
    Message = 0,
    /// A reliable message, in order on a channel.
    Ordered = 1,
    /// The arguments of a call.
    Request = 2,
    /// The result of a call.
    Reply = 3,
    /// The stream of a call from its caller.
    Upward = 4,
    /// The stream of a call to its caller.
    Downward = 5,
    /// A message that may get lost.
    Unreliable = 6,
    /// A message that may get lost and gives way to newer ones.
    Newest = 7,
}

impl Role {
    /// Returns the role that three bits name.
    #[inline]
    const fn of_bits(bits: u8) -> Self {
        match bits & 7 {
            0 => Self::Message,
            1 => Self::Ordered,
            2 => Self::Request,
            3 => Self::Reply,
            4 => Self::Upward,
            5 => Self::Downward,
            6 => Self::Unreliable,
            _ => Self::Newest,
        }
    }

    /// Reads the role of a flow that can be reset or given credit: all but the last two (protocol §6.3.5).
    ///
    /// # Errors
    /// `Range` if it is none of these.
    pub(super) const fn decode_reliable(octet: u8) -> Result<Self, Malformed> {
        if octet <= Self::Downward as u8 { Ok(Self::of_bits(octet)) } else { Err(Malformed::Range) }
    }
}

/// Octets of one flow.
///
/// A [`Flow::Request`] has its opening, and a [`Flow::Reply`] may have its outcome, only where the offset is 0; elsewhere
/// they are not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// Which flow, and what the frame says about it.
    pub flow: Flow<'a>,
    /// Which part of the flow.
    pub form: Form,
    /// How the end of `data` is told.
    pub extent: Extent,
    /// The octets.
    pub data: &'a [u8],
}

/// Which flow octets belong to, and what the frame says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow<'a> {
    /// A reliable message.
    Message {
        /// The sender's exchange.
        seq: Seq,
    },
    /// A reliable message, in order on a channel.
    Ordered {
        /// The sender's exchange.
        seq: Seq,
        /// The channel.
        channel: u64,
        /// How many messages of the channel come before it.
        position: u64,
    },
    /// The arguments of a call.
    Request {
        /// The sender's exchange.
        seq: Seq,
        /// What is called; there if and only if the offset is 0.
        opening: Option<Opening<'a>>,
    },
    /// The result of a call.
    Reply {
        /// The receiver's exchange.
        seq: Seq,
        /// What became of the call, only where the offset is 0; without it, it was executed.
        outcome: Option<Outcome<'a>>,
    },
    /// The stream of a call from its caller.
    Upward {
        /// The sender's exchange.
        seq: Seq,
    },
    /// The stream of a call to its caller.
    Downward {
        /// The receiver's exchange.
        seq: Seq,
    },
    /// A message that may get lost.
    Unreliable,
    /// A message that may get lost and gives way to newer ones.
    Newest {
        /// Among which messages the newest counts.
        key: u64,
        /// How new it is.
        order: u64,
    },
}

/// What the first octets of a REQUEST come with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening<'a> {
    /// What is called.
    pub procedure: Procedure,
    /// What travels beside the arguments.
    pub metadata: Option<Metadata<'a>>,
}

/// What the first octets of a REPLY may come with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// What became of the call.
    pub status: Status,
    /// What travels beside the result.
    pub metadata: Metadata<'a>,
}

/// Which part of a flow octets are (protocol §6.16.2). Offsets are below 2^62.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// A whole flow.
    Entire,
    /// A fragment of a whole flow; at least one octet.
    Fragment {
        /// Where it begins.
        offset: u64,
        /// The length of the flow.
        total: u64,
    },
    /// A fragment of a stream; at least one octet.
    Stream {
        /// Where it begins.
        offset: u64,
    },
    /// The last fragment of a stream; maybe without octets.
    Last {
        /// Where it begins.
        offset: u64,
    },
}

impl Form {
    /// Returns where the octets begin in the flow.
    #[inline]
    #[must_use]
    pub const fn offset(self) -> u64 {
        match self {
            Self::Entire => 0,
            Self::Fragment { offset, .. } | Self::Stream { offset } | Self::Last { offset } => offset,
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Entire => 0,
            Self::Fragment { .. } => 1,
            Self::Stream { .. } => 2,
            Self::Last { .. } => 3,
        }
    }
}

/// How the end of a frame's data is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// By its length: other frames may follow.
    Counted,
    /// By the end of the datagram's frames: nothing may follow.
    Rest,
}

impl<'a> Flow<'a> {
    /// Returns the role.
    #[inline]
    #[must_use]
    pub const fn role(&self) -> Role {
        match self {
            Self::Message { .. } => Role::Message,
            Self::Ordered { .. } => Role::Ordered,
            Self::Request { .. } => Role::Request,
            Self::Reply { .. } => Role::Reply,
            Self::Upward { .. } => Role::Upward,
            Self::Downward { .. } => Role::Downward,
            Self::Unreliable => Role::Unreliable,
            Self::Newest { .. } => Role::Newest,
        }
    }

    /// Returns the exchange; `None` for what may get lost.
    #[inline]
    #[must_use]
    pub const fn seq(&self) -> Option<Seq> {
        match *self {
            Self::Message { seq }
            | Self::Ordered { seq, .. }
            | Self::Request { seq, .. }
            | Self::Reply { seq, .. }
            | Self::Upward { seq }
            | Self::Downward { seq } => Some(seq),
            Self::Unreliable | Self::Newest { .. } => None,
        }
    }

    /// Returns the metadata that a frame at offset 0 carries.
    #[inline]
    #[must_use]
    pub const fn metadata(&self) -> Option<Metadata<'a>> {
        if let Self::Request { opening: Some(opening), .. } = *self {
            opening.metadata
        } else if let Self::Reply { outcome: Some(outcome), .. } = *self {
            Some(outcome.metadata)
        } else {
            None
        }
    }
}

impl<'a> Data<'a> {
    /// The least type of a data frame.
    pub const KIND_MIN: u8 = 0x80;
    pub(super) const COUNTED: u8 = 2;
    const METADATA: u8 = 1;

    /// Returns where the octets end in the flow.
    #[inline]
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.form.offset().saturating_add(self.data.len() as u64)
    }

    /// Writes everything but the octets, `data.len()` of which the caller writes right after.
    ///
    /// For octets that do not lie in one piece.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit, or if the octets would not fit after it.
    #[inline]
    pub fn encode_head(&self, data_len: usize, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.whole(|writer| self.encode_fields(data_len, writer))
    }

    /// As [`Self::encode_head`], for who takes back what does not fit.
    ///
    /// Always inlined, or the kind of flow would not be known.
    #[inline(always)]
    fn encode_fields(&self, data_len: usize, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        writer.u8(self.kind())?;
        if let Flow::Newest { key, order } = self.flow {
            writer.varint(key)?;
            writer.varint(order)?;
        }
        if let Some(seq) = self.flow.seq() {
            writer.varint(seq.0)?;
        }
        if let Flow::Ordered { channel, position, .. } = self.flow {
            writer.varint(channel)?;
            writer.varint(position)?;
        }
        match self.form {
            Form::Entire => {}
            Form::Fragment { offset, total } => {
                writer.varint(offset)?;
                writer.varint(total)?;
            }
            Form::Stream { offset } | Form::Last { offset } => writer.varint(offset)?,
        }
        if self.form.offset() == 0 {
            self.encode_first(writer)?;
        }
        if self.extent == Extent::Counted {
            writer.varint(data_len as u64)?;
        }
        if writer.room() < data_len { Err(NoRoom) } else { Ok(()) }
    }

    /// Returns how many octets of data fit into `room` octets with the rest of the frame; `None` if that does not fit.
    #[must_use]
    pub fn data_len_max(&self, room: usize) -> Option<usize> {
        let room = room.checked_sub(self.head_len())?;
        match self.extent {
            Extent::Rest => Some(room),
            // The longest data whose length takes 1, 2 or 4 octets, and these octets themselves.
            Extent::Counted => [(1, 0x3f), (2, 0x3fff), (4, 0x3fff_ffff)]
                .into_iter()
                .filter_map(|(length_len, data_len_max)| Some(room.checked_sub(length_len)?.min(data_len_max)))
                .max(),
        }
    }

    /// Reads what follows the type.
    #[inline(never)]
    pub(super) fn decode(kind: u8, reader: &mut Reader<'a>) -> Result<Frame<'a>, Malformed> {
        reader.by_copy(|reader| Self::decode_fields(kind, reader))
    }

    /// Reads the fields one after the other, as protocol §6.16 lists them.
    fn decode_fields(kind: u8, reader: &mut Reader<'a>) -> Result<Frame<'a>, Malformed> {
        let role = Role::of_bits(kind >> 4);
        let (key, order) = if role == Role::Newest { (reader.varint()?, reader.varint()?) } else { (0, 0) };
        let seq = Seq(if matches!(role, Role::Unreliable | Role::Newest) { 0 } else { reader.varint()? });
        let (channel, position) = if role == Role::Ordered { (reader.varint()?, reader.varint()?) } else { (0, 0) };
        let form = match kind >> 2 & 3 {
            0 => Form::Entire,
            1 => Form::Fragment { offset: reader.varint()?, total: reader.varint()? },
            2 => Form::Stream { offset: reader.varint()? },
            _ => Form::Last { offset: reader.varint()? },
        };
        check_form(role, form)?;
        let is_first = form.offset() == 0;
        let has_metadata = kind & Self::METADATA != 0;
        if has_metadata && !(is_first && matches!(role, Role::Request | Role::Reply)) {
            return Err(Malformed::Range);
        }
        let has_status = has_metadata && role == Role::Reply;
        let procedure = if is_first && role == Role::Request { Some(Procedure::decode(reader)?) } else { None };
        let status = if has_status { Status::from_code(reader.varint()?)? } else { Status::Ok };
        let metadata = if has_metadata { Some(Metadata::decode(reader.counted()?)?) } else { None };
        let (extent, data) = if kind & Self::COUNTED != 0 {
            (Extent::Counted, reader.counted()?)
        } else {
            (Extent::Rest, reader.take_rest())
        };
        check_end(form, data.len() as u64)?;
        let flow = match role {
            Role::Message => Flow::Message { seq },
            Role::Ordered => Flow::Ordered { seq, channel, position },
            Role::Request => Flow::Request { seq, opening: procedure.map(|procedure| Opening { procedure, metadata }) },
            Role::Reply => Flow::Reply { seq, outcome: metadata.map(|metadata| Outcome { status, metadata }) },
            Role::Upward => Flow::Upward { seq },
            Role::Downward => Flow::Downward { seq },
            Role::Unreliable => Flow::Unreliable,
            Role::Newest => Flow::Newest { key, order },
        };
        Ok(Frame::Data(Self { flow, form, extent, data }))
    }

    #[inline(always)]
    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        self.encode_fields(self.data.len(), writer)?;
        writer.octets(self.data)
    }

    pub(super) fn encoded_len(&self) -> usize {
        let length_len = if self.extent == Extent::Counted { len_of(self.data.len() as u64) } else { 0 };
        self.head_len() + length_len + self.data.len()
    }

    #[inline]
    pub(super) fn kind(&self) -> u8 {
        let counted = if self.extent == Extent::Counted { Self::COUNTED } else { 0 };
        let metadata = if self.form.offset() == 0 && self.flow.metadata().is_some() { Self::METADATA } else { 0 };
        Self::KIND_MIN | (self.flow.role() as u8) << 4 | self.form.bits() << 2 | counted | metadata
    }

    /// Writes what only the first octets of a flow come with.
    #[inline(always)]
    fn encode_first(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        if let Flow::Request { opening, .. } = &self.flow {
            debug_assert!(opening.is_some(), "a request begins with what is called");
            if let Some(opening) = opening {
                opening.procedure.encode(writer)?;
            }
        }
        if let Flow::Reply { outcome: Some(outcome), .. } = &self.flow {
            writer.varint(outcome.status.code())?;
        }
        match self.flow.metadata() {
            Some(metadata) => writer.counted(metadata.as_octets()),
            None => Ok(()),
        }
    }

    /// Returns the length of everything before the length of the data, in octets.
    fn head_len(&self) -> usize {
        let flow_len = if let Flow::Ordered { channel, position, .. } = self.flow {
            len_of(channel) + len_of(position)
        } else if let Flow::Newest { key, order } = self.flow {
            len_of(key) + len_of(order)
        } else {
            0
        };
        let form_len = match self.form {
            Form::Entire => 0,
            Form::Fragment { offset, total } => len_of(offset) + len_of(total),
            Form::Stream { offset } | Form::Last { offset } => len_of(offset),
        };
        let first_len = if self.form.offset() == 0 { self.first_len() } else { 0 };
        1 + self.flow.seq().map_or(0, |seq| len_of(seq.0)) + flow_len + form_len + first_len
    }

    fn first_len(&self) -> usize {
        let before = if let Flow::Request { opening: Some(opening), .. } = &self.flow {
            opening.procedure.encoded_len()
        } else if let Flow::Reply { outcome: Some(outcome), .. } = &self.flow {
            len_of(outcome.status.code())
        } else {
            0
        };
        let metadata = self.flow.metadata().map(|metadata| metadata.as_octets().len());
        before + metadata.map_or(0, |len| len_of(len as u64) + len)
    }
}

/// Checks that a role may have a form (protocol §6.16.4).
#[inline]
const fn check_form(role: Role, form: Form) -> Result<(), Malformed> {
    let fits = match role {
        Role::Message | Role::Ordered => true,
        Role::Request | Role::Reply => matches!(form, Form::Entire | Form::Fragment { .. }),
        Role::Upward | Role::Downward => matches!(form, Form::Stream { .. } | Form::Last { .. }),
        Role::Unreliable | Role::Newest => matches!(form, Form::Entire),
    };
    if fits { Ok(()) } else { Err(Malformed::Range) }
}

/// Checks that a fragment has octets, and that they lie inside its flow (protocol §6.16.5, §6.16.6).
#[inline]
const fn check_end(form: Form, data_len: u64) -> Result<(), Malformed> {
    // An offset is below 2^62 and a datagram is short, so the sum fits.
    let (end, end_max, len_min) = match form {
        Form::Entire => return Ok(()),
        Form::Fragment { offset, total } => (offset + data_len, total, 1),
        Form::Stream { offset } => (offset + data_len, VARINT_MAX, 1),
        Form::Last { offset } => (offset + data_len, VARINT_MAX, 0),
    };
    if data_len < len_min {
        Err(Malformed::Len)
    } else if end > end_max {
        Err(Malformed::Fragment)
    } else {
        Ok(())
    }
}
