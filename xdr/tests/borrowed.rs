//! What works without an allocator: the crate knows none here if it is built without features.

use posthaste_xdr::{
    Decode, DecodeBounded, DecodeError, Decoder, Encode, EncodeBounded, EncodeError, Layout, Limits, Sink, XdrStr,
    encoded_len, from_octets, to_slice,
};

/// `struct entry { unsigned hyper id; string name<16>; opaque data<64>; int *parent; bool flags[2]; };`
#[derive(Debug, PartialEq)]
struct Entry<'a> {
    id: u64,
    name: XdrStr<'a>,
    data: &'a [u8],
    parent: Option<i32>,
    flags: [bool; 2],
}

impl Layout for Entry<'_> {
    const LEN_MIN: usize = 28;
    const LEN_IS_FIXED: bool = false;
}

impl Encode for Entry<'_> {
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        self.id.encode(sink)?;
        self.name.encode_bounded(sink, 16)?;
        self.data.encode_bounded(sink, 64)?;
        self.parent.encode(sink)?;
        self.flags.encode(sink)
    }
}

impl<'a> Decode<'a> for Entry<'a> {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: Decode::decode(decoder)?,
            name: DecodeBounded::decode_bounded(decoder, 16)?,
            data: DecodeBounded::decode_bounded(decoder, 64)?,
            parent: Decode::decode(decoder)?,
            flags: Decode::decode(decoder)?,
        })
    }
}

#[test]
fn a_struct_with_data_of_variable_length_needs_no_allocator() {
    let entry = Entry { id: 7, name: "a name".into(), data: &[1, 2, 3], parent: Some(-1), flags: [true, false] };
    let mut out = [0; 64];
    let out = &mut out[..encoded_len(&entry).unwrap()];
    to_slice(&entry, out).unwrap();
    assert_eq!(
        out,
        b"\0\0\0\0\0\0\0\x07\0\0\0\x06a name\0\0\0\0\0\x03\x01\x02\x03\0\0\0\0\x01\xff\xff\xff\xff\0\0\0\x01\0\0\0\0"
    );
    assert_eq!(from_octets(out, &Limits { memory_factor: 0, ..Limits::default() }), Ok(entry));
}

#[test]
fn borrowed_values_lie_in_the_octets() {
    let octets = b"\0\0\0\x03abc\0\0\0\0\x02de\0\0".as_slice();
    let (opaque, text): (&[u8], &str) = from_octets(octets, &Limits::default()).unwrap();
    assert_eq!((opaque, text), (&b"abc"[..], "de"));
    assert!(octets.as_ptr_range().contains(&opaque.as_ptr()) && octets.as_ptr_range().contains(&text.as_ptr()));
}

#[test]
fn slices_are_written_with_their_count() {
    let mut out = [0; 16];
    to_slice(&(&[1_u32, 2][..], XdrStr(b"")), &mut out).unwrap();
    assert_eq!(out, *b"\0\0\0\x02\0\0\0\x01\0\0\0\x02\0\0\0\0");
}
