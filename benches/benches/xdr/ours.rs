//! `mixed.x` as the compiler makes it.

use posthaste_xdr::{Decode, DecodeBounded, DecodeError, Decoder, Encode, EncodeBounded, EncodeError, Layout, Sink};

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(i32)]
pub(crate) enum Color {
    Red = 0,
    Green = 1,
    Blue = 2,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: i32,
    pub(crate) y: i32,
    pub(crate) time: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Red(f64),
    Green(Point),
    Default(Color),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mixed {
    pub(crate) number: i32,
    pub(crate) flags: u32,
    pub(crate) offset: i64,
    pub(crate) ratio: f64,
    pub(crate) weight: f32,
    pub(crate) ready: bool,
    pub(crate) name: String,
    pub(crate) data: Vec<u8>,
    pub(crate) digest: [u8; 16],
    pub(crate) points: Vec<Point>,
    pub(crate) outline: Shape,
    pub(crate) origin: Option<Box<Point>>,
}

impl Layout for Color {
    const LEN_MIN: usize = 4;
    const LEN_IS_FIXED: bool = true;
}

impl Encode for Color {
    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        (*self as i32).encode(sink)
    }
}

impl<'a> Decode<'a> for Color {
    #[inline]
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        match i32::decode(decoder)? {
            0 => Ok(Self::Red),
            1 => Ok(Self::Green),
            2 => Ok(Self::Blue),
            _ => Err(DecodeError::UnknownEnum),
        }
    }
}

impl Layout for Point {
    const LEN_MIN: usize = 16;
    const LEN_IS_FIXED: bool = true;
}

impl Encode for Point {
    #[inline]
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.run(16, |sink| {
            self.x.encode(sink)?;
            self.y.encode(sink)?;
            self.time.encode(sink)
        })
    }
}

impl<'a> Decode<'a> for Point {
    #[inline]
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        decoder.run(16, |decoder| {
            Ok(Self { x: Decode::decode(decoder)?, y: Decode::decode(decoder)?, time: Decode::decode(decoder)? })
        })
    }
}

impl Layout for Shape {
    const LEN_MIN: usize = 4;
    const LEN_IS_FIXED: bool = false;
}

impl Encode for Shape {
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        match self {
            Self::Red(radius) => {
                Color::Red.encode(sink)?;
                radius.encode(sink)
            }
            Self::Green(corner) => {
                Color::Green.encode(sink)?;
                corner.encode(sink)
            }
            Self::Default(Color::Red | Color::Green) => Err(EncodeError::WrongArm),
            Self::Default(which) => which.encode(sink),
        }
    }
}

impl<'a> Decode<'a> for Shape {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        match Color::decode(decoder)? {
            Color::Red => Ok(Self::Red(Decode::decode(decoder)?)),
            Color::Green => Ok(Self::Green(Decode::decode(decoder)?)),
            which @ Color::Blue => Ok(Self::Default(which)),
        }
    }
}

impl Layout for Mixed {
    const LEN_MIN: usize = 72;
    const LEN_IS_FIXED: bool = false;
}

impl Encode for Mixed {
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.run(32, |sink| {
            self.number.encode(sink)?;
            self.flags.encode(sink)?;
            self.offset.encode(sink)?;
            self.ratio.encode(sink)?;
            self.weight.encode(sink)?;
            self.ready.encode(sink)
        })?;
        self.name.encode_bounded(sink, 255)?;
        self.data.encode_bounded(sink, 4096)?;
        self.digest.encode(sink)?;
        self.points.encode_bounded(sink, 64)?;
        self.outline.encode(sink)?;
        self.origin.encode(sink)
    }
}

impl<'a> Decode<'a> for Mixed {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let (number, flags, offset, ratio, weight, ready) = decoder.run(32, Decode::decode)?;
        Ok(Self {
            number,
            flags,
            offset,
            ratio,
            weight,
            ready,
            name: DecodeBounded::decode_bounded(decoder, 255)?,
            data: DecodeBounded::decode_bounded(decoder, 4096)?,
            digest: Decode::decode(decoder)?,
            points: DecodeBounded::decode_bounded(decoder, 64)?,
            outline: Decode::decode(decoder)?,
            origin: Decode::decode(decoder)?,
        })
    }
}
