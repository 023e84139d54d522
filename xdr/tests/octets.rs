//! Known octets of every type, both ways (RFC 4506 §4, §7).

#[path = "support/types.rs"]
mod types;

use core::fmt::Debug;

use posthaste_xdr::{
    Bounded, Decode, Encode, Limits, List, Message, Quadruple, UnsignedChar, XdrStr, XdrString, encoded_len,
    from_octets, to_slice, to_vec,
};
use types::{File, FileKind, FileType, Node, Number, NumberWide, Pair, Tree};

#[test]
fn integers_are_big_endian_twos_complement() {
    // RFC 4506 §4.1, §4.2, §4.5
    same(0_i32, b"\0\0\0\0");
    same(-1_i32, b"\xff\xff\xff\xff");
    same(i32::MIN, b"\x80\0\0\0");
    same(i32::MAX, b"\x7f\xff\xff\xff");
    same(0x0102_0304_u32, b"\x01\x02\x03\x04");
    same(u32::MAX, b"\xff\xff\xff\xff");
    same(-2_i64, b"\xff\xff\xff\xff\xff\xff\xff\xfe");
    same(i64::MIN, b"\x80\0\0\0\0\0\0\0");
    same(0x0102_0304_0506_0708_u64, b"\x01\x02\x03\x04\x05\x06\x07\x08");
}

#[test]
fn short_integers_of_suns_dialect_take_four_octets() {
    same(-1_i8, b"\xff\xff\xff\xff");
    same(i16::MIN, b"\xff\xff\x80\0");
    same(u16::MAX, b"\0\0\xff\xff");
    same(UnsignedChar(0x80), b"\0\0\0\x80");
    same([UnsignedChar(1), UnsignedChar(2)], b"\0\0\0\x01\0\0\0\x02");
}

#[test]
fn an_enum_is_its_integer_and_a_bool_0_or_1() {
    // RFC 4506 §4.3, §4.4
    same(FileKind::Text, b"\0\0\0\0");
    same(FileKind::Exec, b"\0\0\0\x02");
    same(false, b"\0\0\0\0");
    same(true, b"\0\0\0\x01");
}

#[test]
fn floats_are_the_octets_of_ieee_754() {
    // RFC 4506 §4.6, §4.7, §4.8
    same(1.0_f32, b"\x3f\x80\0\0");
    same(-0.0_f32, b"\x80\0\0\0");
    same(f32::INFINITY, b"\x7f\x80\0\0");
    same(-2.5_f64, b"\xc0\x04\0\0\0\0\0\0");
    same(f64::MIN_POSITIVE, b"\0\x10\0\0\0\0\0\0");
    same(Quadruple(*b"\x3f\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), b"\x3f\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
}

#[test]
fn a_nan_keeps_its_payload() {
    for bits in [0x7fc0_0001_u32, 0xffc1_2345, 0x7fff_ffff] {
        let octets = bits.to_be_bytes();
        assert_eq!(read::<f32>(&octets).to_bits(), bits);
        assert_eq!(to_vec(&f32::from_bits(bits)).unwrap(), octets);
    }
    for bits in [0x7ff8_0000_0000_0001_u64, 0xfff8_1234_5678_9abc] {
        let octets = bits.to_be_bytes();
        assert_eq!(read::<f64>(&octets).to_bits(), bits);
        assert_eq!(to_vec(&f64::from_bits(bits)).unwrap(), octets);
    }
}

#[test]
fn opaque_data_is_padded_to_four_octets() {
    // RFC 4506 §4.9, §4.10
    same(*b"", b"");
    same(*b"a", b"a\0\0\0");
    same(*b"ab", b"ab\0\0");
    same(*b"abc", b"abc\0");
    same(*b"abcd", b"abcd");
    same(*b"abcde", b"abcde\0\0\0");
    same(b"".as_slice(), b"\0\0\0\0");
    same(b"abc".as_slice(), b"\0\0\0\x03abc\0");
    same(b"abcd".to_vec(), b"\0\0\0\x04abcd");
    same(Box::<[u8]>::from(*b"abcde"), b"\0\0\0\x05abcde\0\0\0");
}

#[test]
fn a_string_is_its_octets_whatever_they_are() {
    // RFC 4506 §4.11
    same(XdrStr(b""), b"\0\0\0\0");
    same(XdrStr(b"sillyprog"), b"\0\0\0\x09sillyprog\0\0\0");
    same(XdrString::from("john"), b"\0\0\0\x04john");
    same(XdrString::from(&b"\xff\0x"[..]), b"\0\0\0\x03\xff\0x\0");
    same("gr\u{fc}n", b"\0\0\0\x05gr\xc3\xbcn\0\0\0");
    same(String::from("lisp"), b"\0\0\0\x04lisp");
    same(Bounded::<XdrString, 4>("john".into()), b"\0\0\0\x04john");
}

#[test]
fn arrays_are_their_elements_after_a_count_if_it_varies() {
    // RFC 4506 §4.12, §4.13
    same([1_i32, -1], b"\0\0\0\x01\xff\xff\xff\xff");
    same([[1_u32, 2], [3, 4]], b"\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04");
    same([XdrString::from("a"), "bc".into()], b"\0\0\0\x01a\0\0\0\0\0\0\x02bc\0\0");
    same(Vec::<u32>::new(), b"\0\0\0\0");
    same(vec![7_u64], b"\0\0\0\x01\0\0\0\0\0\0\0\x07");
    same(vec![*b"abc", *b"def"], b"\0\0\0\x02abc\0def\0");
    same(Box::<[XdrString]>::from([XdrString::from("a")]), b"\0\0\0\x01\0\0\0\x01a\0\0\0");
    same(vec![(), (), ()], b"\0\0\0\x03");
    assert_eq!(to_vec(&[1_u32, 2][..]).unwrap(), b"\0\0\0\x02\0\0\0\x01\0\0\0\x02");
}

#[test]
fn long_arrays_are_read_into_the_heap() {
    // Longer than the stack of a test, wherever they stand.
    const COUNT: usize = if cfg!(miri) { 100 } else { 1_000_000 };
    type Numbers = Box<[u32; COUNT]>;
    type Octets = Box<[u8; 4 * COUNT]>;
    let octets: Vec<u8> = (0..=2 * COUNT as u32).flat_map(u32::to_be_bytes).collect();
    let limits = Limits::default();
    let (numbers, rest): (Numbers, (Octets, u32)) = posthaste_xdr::from_octets(&octets, &limits).unwrap();
    assert!(numbers.iter().copied().eq(0..COUNT as u32));
    assert_eq!(rest.0[..], octets[4 * COUNT..8 * COUNT]);
    assert_eq!(to_vec(&(numbers, rest)).unwrap(), octets);
    let octets = [&[0, 0, 0, 1], &octets[..8 * COUNT]].concat();
    let read: Option<(Numbers, Octets)> = posthaste_xdr::from_octets(&octets, &limits).unwrap();
    assert_eq!(to_vec(&read).unwrap(), octets);
}

#[test]
fn a_struct_is_its_members_and_void_is_nothing() {
    // RFC 4506 §4.14, §4.16
    same((), b"");
    same((1_u32, -1_i64, true), b"\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x01");
    let pair = Pair { left: UnsignedChar(9), right: 1.0, tag: *b"abc", sure: true };
    same(pair, b"\0\0\0\x09\x3f\xf0\0\0\0\0\0\0abc\0\0\0\0\x01");
}

#[test]
fn a_union_is_its_discriminant_and_its_arm() {
    // RFC 4506 §4.15
    same(Number::Wide(NumberWide::One, -1), b"\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff");
    same(Number::Wide(NumberWide::Two, 1), b"\0\0\0\x02\0\0\0\0\0\0\0\x01");
    same(Number::Default(-9), b"\xff\xff\xff\xf7");
    same(FileType::Text, b"\0\0\0\0");
    same(FileType::Data("me".into()), b"\0\0\0\x01\0\0\0\x02me\0\0");
}

#[test]
fn optional_data_has_a_mark() {
    // RFC 4506 §4.19
    same(None::<u32>, b"\0\0\0\0");
    same(Some(7_u32), b"\0\0\0\x01\0\0\0\x07");
    same(Some(Box::new(XdrString::from("a"))), b"\0\0\0\x01\0\0\0\x01a\0\0\0");
    same(Some(Some(Some(()))), b"\0\0\0\x01\0\0\0\x01\0\0\0\x01");
}

#[test]
fn a_list_has_a_mark_before_each_node_and_one_at_the_end() {
    // RFC 4506 §4.19
    same(List::<Node>::default(), b"\0\0\0\0");
    let nodes = List(vec![Node { value: 1, name: "a".into() }, Node { value: 2, name: "".into() }]);
    same(nodes, b"\0\0\0\x01\0\0\0\x01\0\0\0\x01a\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\0");
    same(List(vec![1_u64]), b"\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0");
}

#[test]
fn what_holds_itself_is_written_in_order() {
    let leaf = |value| Tree { value, left: None, children: Box::default() };
    let tree = Tree { value: 1, left: Some(Box::new(leaf(2))), children: Box::new([leaf(3)]) };
    let left = b"\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\0".as_slice();
    let children = b"\0\0\0\x01\0\0\0\x03\0\0\0\0\0\0\0\0".as_slice();
    same(tree, &[b"\0\0\0\x01", left, children].concat());
}

#[test]
fn the_example_of_the_specification_is_as_it_says() {
    // RFC 4506 §7
    let file = File {
        filename: "sillyprog".into(),
        kind: FileType::Exec("lisp".into()),
        owner: "john".into(),
        data: b"(quit)".into(),
    };
    let octets = b"\0\0\0\x09sillyprog\0\0\0\0\0\0\x02\0\0\0\x04lisp\0\0\0\x04john\0\0\0\x06(quit)\0\0";
    assert_eq!(octets.len(), 48);
    same(file, octets);
}

#[test]
fn any_value_is_a_message() {
    let messages: [&dyn Message; 3] = [&7_u32, &"abc", &(true, vec![1_i64])];
    for (message, len) in messages.into_iter().zip([4, 8, 16]) {
        assert_eq!(message.encoded_len(), Ok(len));
        let mut out = vec![0; len];
        assert_eq!(message.encode_to(&mut out), Ok(()));
        assert!(out.iter().any(|octet| *octet != 0));
    }
}

#[test]
fn strings_print_as_what_they_are() {
    let string = XdrString::from(&b"a\"b\xff\x1b"[..]);
    assert_eq!(format!("{string:?}"), r#""a\"b\xff\x1b""#);
    assert_eq!(string.to_string(), "a\"b\u{fffd}\x1b");
    assert_eq!(string.to_string_lossy(), string.to_string());
    assert!(string.to_str().is_err());
    assert_eq!(XdrString::from("ab").to_str(), Ok("ab"));
    assert_eq!(XdrStr::from("ab"), "ab");
    assert_eq!(XdrString::from(XdrStr::from("ab")), "ab");
}

/// Both ways, into memory of exactly the length that was told beforehand.
fn same<'a, T: Encode + Decode<'a> + Debug + PartialEq>(value: T, octets: &'a [u8]) {
    assert_eq!(encoded_len(&value), Ok(octets.len()), "{value:?}");
    let mut out = vec![0xaa; octets.len()];
    assert_eq!(to_slice(&value, &mut out), Ok(()), "{value:?}");
    assert_eq!(out, octets, "{value:?}");
    assert!(T::LEN_MIN <= octets.len());
    assert!(!T::LEN_IS_FIXED || T::LEN_MIN == octets.len());
    assert_eq!(read::<T>(octets), value);
}

fn read<'a, T: Decode<'a>>(octets: &'a [u8]) -> T {
    from_octets(octets, &Limits::default()).expect("it is an encoding")
}
