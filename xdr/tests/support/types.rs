//! Types as the compiler makes them, one for each thing that can be declared.

use posthaste_xdr::{
    Decode, DecodeBounded, DecodeError, Decoder, Encode, EncodeBounded, EncodeError, Layout, Sink, UnsignedChar,
    XdrString,
};

/// `enum filekind { TEXT = 0, DATA = 1, EXEC = 2 };` (RFC 4506 §7)
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(i32)]
pub(crate) enum FileKind {
    Text = 0,
    Data = 1,
    Exec = 2,
}

impl Layout for FileKind {
    const LEN_MIN: usize = 4;
    const LEN_IS_FIXED: bool = true;
}

impl Encode for FileKind {
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        (*self as i32).encode(sink)
    }
}

impl<'a> Decode<'a> for FileKind {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        match i32::decode(decoder)? {
            0 => Ok(Self::Text),
            1 => Ok(Self::Data),
            2 => Ok(Self::Exec),
            _ => Err(DecodeError::UnknownEnum),
        }
    }
}

/// `union filetype switch (filekind kind)` with an arm that is void, one each of two strings (RFC 4506 §7).
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FileType {
    Text,
    Data(XdrString),
    Exec(XdrString),
}

impl Layout for FileType {
    const LEN_MIN: usize = 4;
    const LEN_IS_FIXED: bool = false;
}

impl Encode for FileType {
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        match self {
            Self::Text => FileKind::Text.encode(sink),
            Self::Data(creator) => {
                FileKind::Data.encode(sink)?;
                creator.encode_bounded(sink, 255)
            }
            Self::Exec(interpretor) => {
                FileKind::Exec.encode(sink)?;
                interpretor.encode_bounded(sink, 255)
            }
        }
    }
}

impl<'a> Decode<'a> for FileType {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        Ok(match FileKind::decode(decoder)? {
            FileKind::Text => Self::Text,
            FileKind::Data => Self::Data(DecodeBounded::decode_bounded(decoder, 255)?),
            FileKind::Exec => Self::Exec(DecodeBounded::decode_bounded(decoder, 255)?),
        })
    }
}

/// `struct file { string filename<255>; filetype type; string owner<32>; opaque data<65535>; };` (RFC 4506 §7)
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct File {
    pub(crate) filename: XdrString,
    pub(crate) kind: FileType,
    pub(crate) owner: XdrString,
    pub(crate) data: Vec<u8>,
}

impl Layout for File {
    const LEN_MIN: usize = 16;
    const LEN_IS_FIXED: bool = false;
}

impl Encode for File {
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        self.filename.encode_bounded(sink, 255)?;
        self.kind.encode(sink)?;
        self.owner.encode_bounded(sink, 32)?;
        self.data.encode_bounded(sink, 65535)
    }
}

impl<'a> Decode<'a> for File {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            filename: DecodeBounded::decode_bounded(decoder, 255)?,
            kind: Decode::decode(decoder)?,
            owner: DecodeBounded::decode_bounded(decoder, 32)?,
            data: DecodeBounded::decode_bounded(decoder, 65535)?,
        })
    }
}

/// `union number switch (int which) { case 1: case 2: hyper wide; case 3: number_pair pair; default: void; };`
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Number {
    Wide(NumberWide, i64),
    Pair(Box<Pair>),
    Default(i32),
}

/// The labels that fall through to one arm.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(i32)]
pub(crate) enum NumberWide {
    One = 1,
    Two = 2,
}

impl Layout for Number {
    const LEN_MIN: usize = 4;
    const LEN_IS_FIXED: bool = false;
}

impl Encode for Number {
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        match self {
            Self::Wide(which, wide) => {
                (*which as i32).encode(sink)?;
                wide.encode(sink)
            }
            Self::Pair(pair) => {
                3_i32.encode(sink)?;
                pair.encode(sink)
            }
            Self::Default(1..=3) => Err(EncodeError::WrongArm),
            Self::Default(which) => which.encode(sink),
        }
    }
}

impl<'a> Decode<'a> for Number {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        Ok(match i32::decode(decoder)? {
            1 => Self::Wide(NumberWide::One, Decode::decode(decoder)?),
            2 => Self::Wide(NumberWide::Two, Decode::decode(decoder)?),
            3 => Self::Pair(Decode::decode(decoder)?),
            which => Self::Default(which),
        })
    }
}

/// `struct pair { unsigned char left; double right; opaque tag[3]; bool sure; };`: a run, with padding in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pair {
    pub(crate) left: UnsignedChar,
    pub(crate) right: f64,
    pub(crate) tag: [u8; 3],
    pub(crate) sure: bool,
}

impl Layout for Pair {
    const LEN_MIN: usize = 20;
    const LEN_IS_FIXED: bool = true;
}

impl Encode for Pair {
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.run(20, |sink| {
            self.left.encode(sink)?;
            self.right.encode(sink)?;
            self.tag.encode(sink)?;
            self.sure.encode(sink)
        })
    }
}

impl<'a> Decode<'a> for Pair {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        decoder.run(20, |decoder| {
            Ok(Self {
                left: Decode::decode(decoder)?,
                right: Decode::decode(decoder)?,
                tag: Decode::decode(decoder)?,
                sure: Decode::decode(decoder)?,
            })
        })
    }
}

/// `struct node { int value; string name<8>; node *next; };` without `next`, in a [`List`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: i32,
    pub(crate) name: XdrString,
}

impl Layout for Node {
    const LEN_MIN: usize = 8;
    const LEN_IS_FIXED: bool = false;
}

impl Encode for Node {
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        self.value.encode(sink)?;
        self.name.encode_bounded(sink, 8)
    }
}

impl<'a> Decode<'a> for Node {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        Ok(Self { value: Decode::decode(decoder)?, name: DecodeBounded::decode_bounded(decoder, 8)? })
    }
}

/// `struct tree { int value; tree *left; tree children<>; };`: what does recur.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tree {
    pub(crate) value: i32,
    pub(crate) left: Option<Box<Self>>,
    pub(crate) children: Box<[Self]>,
}

impl Layout for Tree {
    const LEN_MIN: usize = 12;
    const LEN_IS_FIXED: bool = false;
}

impl Encode for Tree {
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        self.value.encode(sink)?;
        self.left.encode(sink)?;
        self.children.encode(sink)
    }
}

impl<'a> Decode<'a> for Tree {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        Ok(Self { value: Decode::decode(decoder)?, left: Decode::decode(decoder)?, children: Decode::decode(decoder)? })
    }
}
