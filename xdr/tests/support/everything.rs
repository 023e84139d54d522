//! A struct with everything in it.

use posthaste_xdr::{
    Bounded, Decode, DecodeError, Decoder, Encode, EncodeError, Layout, List, Quadruple, Sink, UnsignedChar, XdrString,
};

use super::types::{File, Node, Number, Pair, Tree};

/// Everything in one struct.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Everything {
    pub(crate) integers: (i32, u32, i64, u64),
    pub(crate) shorts: (i8, i16, u16, UnsignedChar),
    pub(crate) truth: bool,
    pub(crate) quadruple: Quadruple,
    pub(crate) fixed_opaque: [u8; 5],
    pub(crate) opaque: Vec<u8>,
    pub(crate) text: String,
    pub(crate) names: Box<[Bounded<XdrString, 8>]>,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) triple: [Number; 3],
    pub(crate) numbers: Vec<u32>,
    pub(crate) grid: [[i32; 2]; 3],
    pub(crate) maybe: Option<u64>,
    pub(crate) file: Option<Box<File>>,
    pub(crate) list: List<Node>,
    pub(crate) tree: Tree,
}

/// Gives a struct what its members have, in their order.
macro_rules! members {
    ($name:ty: $($member:ident: $type:ty),* $(,)?) => {
        impl Layout for $name {
            const LEN_MIN: usize = 0 $(+ <$type>::LEN_MIN)*;
            const LEN_IS_FIXED: bool = true $(&& <$type>::LEN_IS_FIXED)*;
        }

        impl Encode for $name {
            fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
                $(self.$member.encode(sink)?;)*
                Ok(())
            }
        }

        impl<'a> Decode<'a> for $name {
            fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
                Ok(Self { $($member: <$type>::decode(decoder)?),* })
            }
        }
    };
}

members!(
    Everything:
    integers: (i32, u32, i64, u64),
    shorts: (i8, i16, u16, UnsignedChar),
    truth: bool,
    quadruple: Quadruple,
    fixed_opaque: [u8; 5],
    opaque: Vec<u8>,
    text: String,
    names: Box<[Bounded<XdrString, 8>]>,
    pairs: Vec<Pair>,
    triple: [Number; 3],
    numbers: Vec<u32>,
    grid: [[i32; 2]; 3],
    maybe: Option<u64>,
    file: Option<Box<File>>,
    list: List<Node>,
    tree: Tree,
);
