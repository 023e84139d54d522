//! The short form of nearly all frames where messages and calls are small.

use super::{Alias, Data, Extent, Flow, Form, Malformed, NoRoom, Opening, Procedure, Reader, Role, Seq, Writer};

/// A whole message, request or reply in one frame that says nothing but its octets, and after which others may follow.
///
/// As [`Data`] it would be carried about with room for all that others say. What is here stays in registers, which is why its
/// functions are always inlined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare<'a> {
    /// A reliable message.
    Message {
        /// Its number.
        seq: Seq,
        /// All of it.
        octets: &'a [u8],
    },
    /// The arguments of a call of what has a short name.
    Request {
        /// Its number.
        seq: Seq,
        /// What is called.
        alias: Alias,
        /// All of them.
        octets: &'a [u8],
    },
    /// The result of a call.
    Reply {
        /// Its number.
        seq: Seq,
        /// All of it.
        octets: &'a [u8],
    },
}

impl<'a> Bare<'a> {
    /// Reads the next frame, if it is one of these; `None` if it is not, and nothing is read then.
    ///
    /// # Errors
    /// What is wrong with it.
    #[inline(always)]
    pub fn decode(reader: &mut Reader<'a>) -> Result<Option<Self>, Malformed> {
        let mut ahead = *reader;
        let kind = ahead.u8()?;
        if !matches!(kind, MESSAGE | REQUEST | REPLY) {
            return Ok(None);
        }
        let seq = Seq(ahead.varint()?);
        let bare = if kind == REQUEST {
            let Some(alias) = Procedure::decode_alias(&mut ahead)? else { return Ok(None) };
            Self::Request { seq, alias, octets: ahead.counted()? }
        } else if kind == REPLY {
            Self::Reply { seq, octets: ahead.counted()? }
        } else {
            Self::Message { seq, octets: ahead.counted()? }
        };
        *reader = ahead;
        Ok(Some(bare))
    }

    /// Writes the frame.
    ///
    /// # Errors
    /// [`NoRoom`] if it does not fit; nothing is written then.
    #[inline(always)]
    pub fn encode(&self, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
        let mut frame = writer.begin_frame()?;
        match self {
            Self::Message { seq, .. } => {
                frame.u8(MESSAGE)?;
                frame.varint(seq.0)?;
            }
            Self::Request { seq, alias, .. } => {
                frame.u8(REQUEST)?;
                frame.varint(seq.0)?;
                Procedure::Alias(*alias).encode(&mut frame)?;
            }
            Self::Reply { seq, .. } => {
                frame.u8(REPLY)?;
                frame.varint(seq.0)?;
            }
        }
        let octets = self.octets();
        frame.varint(octets.len() as u64)?;
        frame.octets(octets)?;
        let len = frame.len();
        writer.end_frame(len);
        Ok(())
    }

    /// Returns the octets.
    #[inline(always)]
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        match self {
            Self::Message { octets, .. } | Self::Request { octets, .. } | Self::Reply { octets, .. } => octets,
        }
    }
}

impl<'a> From<Bare<'a>> for Data<'a> {
    fn from(bare: Bare<'a>) -> Self {
        let flow = match bare {
            Bare::Message { seq, .. } => Flow::Message { seq },
            Bare::Request { seq, alias, .. } => {
                Flow::Request { seq, opening: Some(Opening { procedure: Procedure::Alias(alias), metadata: None }) }
            }
            Bare::Reply { seq, .. } => Flow::Reply { seq, outcome: None },
        };
        Self { flow, form: Form::Entire, extent: Extent::Counted, data: bare.octets() }
    }
}

const MESSAGE: u8 = kind(Role::Message);
const REQUEST: u8 = kind(Role::Request);
const REPLY: u8 = kind(Role::Reply);

const fn kind(role: Role) -> u8 {
    Data::KIND_MIN | (role as u8) << 4 | Data::COUNTED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Description, Frame, Options};

    #[test]
    fn the_short_form_and_the_long_one_are_the_same_frame() {
        let seq = Seq(70_000);
        let bares = [
            Bare::Message { seq, octets: b"" },
            Bare::Request { seq, alias: Alias::new(3).unwrap(), octets: b"arguments" },
            Bare::Reply { seq, octets: &[7; 300] },
        ];
        for bare in bares {
            let (mut short, mut long) = ([0; 400], [0; 400]);
            let (mut writer, mut long_writer) = (Writer::new(&mut short), Writer::new(&mut long));
            bare.encode(&mut writer).unwrap();
            Frame::Data(bare.into()).encode(&mut long_writer).unwrap();
            assert_eq!(writer.written(), long_writer.written());
            assert_eq!((writer.frame_count(), long_writer.frame_count()), (1, 1));

            let mut reader = Reader::new(writer.written());
            assert_eq!(Bare::decode(&mut reader), Ok(Some(bare)));
            assert!(reader.is_empty());
            assert_eq!(Frame::decode(&mut Reader::new(writer.written())), Ok(Frame::Data(bare.into())));
            for len in 0..writer.len() {
                assert!(Bare::decode(&mut Reader::new(&writer.written()[..len])).is_err(), "{len} octets of {bare:?}");
                let mut short = [0; 400];
                let mut too_short = Writer::new(&mut short[..len]);
                assert_eq!(bare.encode(&mut too_short), Err(NoRoom));
                assert!(too_short.is_empty());
            }
        }
    }

    #[test]
    fn a_frame_that_says_more_is_left_to_be_read_as_what_it_is() {
        let seq = Seq(1);
        let fragment = Form::Fragment { offset: 0, total: 100 };
        let description =
            Description { program: 7, version: 1, procedure: 900, timeout_millis: 5000, options: Options::default() };
        let procedure = Procedure::Full { description, alias: Alias::new(3) };
        let opening = Some(Opening { procedure, metadata: None });
        let (request, rest) = (Flow::Request { seq, opening }, Flow::Request { seq, opening: None });
        let frames = [
            Frame::Ping,
            Frame::Cancel { seq },
            Frame::Data(Data { flow: Flow::Message { seq }, form: fragment, extent: Extent::Counted, data: b"part" }),
            Frame::Data(Data { flow: Flow::Message { seq }, form: Form::Entire, extent: Extent::Rest, data: b"last" }),
            Frame::Data(Data { flow: request, form: Form::Entire, extent: Extent::Counted, data: b"arguments" }),
            Frame::Data(Data {
                flow: rest,
                form: Form::Fragment { offset: 7, total: 100 },
                extent: Extent::Counted,
                data: b"part",
            }),
        ];
        for frame in frames {
            let mut octets = [0; 64];
            let mut writer = Writer::new(&mut octets);
            frame.encode(&mut writer).unwrap();
            let mut reader = Reader::new(writer.written());
            assert_eq!(Bare::decode(&mut reader), Ok(None));
            assert_eq!(Frame::decode(&mut reader), Ok(frame));
        }
    }
}
