//! Every error, strict and lenient, and every limit.

#[path = "support/types.rs"]
mod types;

use core::fmt::Debug;
use std::thread;

use posthaste_xdr::{
    Bounded, DecodeBounded, DecodeError, Decoder, EncodeBounded, EncodeError, Encoder, Limits, List, Strictness,
    UnsignedChar, XdrStr, XdrString, encoded_len, from_octets, to_slice, to_vec,
};
use types::{File, FileKind, FileType, Node, Number, Pair, Tree};

const LENIENT: Limits = Limits { strictness: Strictness::Lenient, ..LIMITS };
const LIMITS: Limits =
    Limits { len_max: 1 << 20, depth_max: 8, work_max: 100, memory_factor: 4, strictness: Strictness::Strict };

#[test]
fn every_prefix_is_truncated() {
    let octets = to_vec(&("abc", vec![1_u64, 2], Some(7_u32), *b"abcde", List(vec![1_i32]))).unwrap();
    for len in 0..octets.len() {
        let result = from_octets::<(XdrStr<'_>, Vec<u64>, Option<u32>, [u8; 5], List<i32>)>(&octets[..len], &LIMITS);
        assert_eq!(result, Err(DecodeError::Truncated), "{len} octets");
    }
}

#[test]
fn what_follows_is_an_error_unless_lenient() {
    let mut octets = to_vec(&(7_u32, "abc")).unwrap();
    for _ in 0..64 {
        octets.push(0);
        assert_eq!(from_octets::<(u32, &str)>(&octets, &LIMITS), Err(DecodeError::Trailing));
        assert_eq!(from_octets::<(u32, &str)>(&octets, &LENIENT), Ok((7, "abc")));
    }
}

#[test]
fn padding_that_is_not_zero_is_an_error_unless_lenient() {
    for len in 0..9_u8 {
        let octets = to_vec(&vec![0xff_u8; usize::from(len)]).unwrap();
        for at in 4 + usize::from(len)..octets.len() {
            for bit in 0..8 {
                let mut octets = octets.clone();
                octets[at] |= 1 << bit;
                assert_eq!(from_octets::<&[u8]>(&octets, &LIMITS), Err(DecodeError::Padding));
                assert_eq!(from_octets::<&[u8]>(&octets, &LENIENT), Ok(&octets[4..4 + usize::from(len)]));
            }
        }
    }
    assert_eq!(from_octets::<[u8; 3]>(b"abc\x01", &LIMITS), Err(DecodeError::Padding));
    assert_eq!(from_octets::<Vec<[u8; 1]>>(b"\0\0\0\x01a\0\x01\0", &LIMITS), Err(DecodeError::Padding));
}

#[test]
fn a_bool_and_a_mark_of_2_are_errors_unless_lenient() {
    let octets = b"\0\0\0\x02\0\0\0\0".as_slice();
    assert_eq!(from_octets::<(bool, u32)>(octets, &LIMITS), Err(DecodeError::UnknownBool));
    assert_eq!(from_octets::<Option<u32>>(octets, &LIMITS), Err(DecodeError::UnknownBool));
    assert_eq!(from_octets::<List<()>>(octets, &LIMITS), Err(DecodeError::UnknownBool));
    assert_eq!(from_octets::<(bool, u32)>(octets, &LENIENT), Ok((true, 0)));
    assert_eq!(from_octets::<Option<u32>>(octets, &LENIENT), Ok(Some(0)));
    assert_eq!(from_octets::<List<()>>(octets, &LENIENT), Ok(List(vec![()])));
}

#[test]
fn an_unknown_value_of_an_enum_is_an_error_unless_its_type_can_hold_it() {
    let octets = b"\0\0\0\x07".as_slice();
    assert_eq!(from_octets::<FileKind>(octets, &LIMITS), Err(DecodeError::UnknownEnum));
    assert_eq!(from_octets::<FileKind>(octets, &LENIENT), Err(DecodeError::UnknownEnum));
    assert_eq!(from_octets::<FileType>(octets, &LIMITS), Err(DecodeError::UnknownEnum));
    let unknown = |limits| Decoder::new(octets, limits).unwrap().unknown_enum(7);
    assert_eq!(unknown(&LIMITS), Err(DecodeError::UnknownEnum));
    assert_eq!(unknown(&LENIENT), Ok(7));
}

#[test]
fn a_short_number_has_to_be_in_its_range() {
    assert_eq!(from_octets::<i8>(b"\0\0\0\x80", &LENIENT), Err(DecodeError::OutOfRange));
    assert_eq!(from_octets::<i16>(b"\xff\xff\x7f\xff", &LIMITS), Err(DecodeError::OutOfRange));
    assert_eq!(from_octets::<u16>(b"\0\x01\0\0", &LIMITS), Err(DecodeError::OutOfRange));
    assert_eq!(from_octets::<UnsignedChar>(b"\0\0\x01\0", &LIMITS), Err(DecodeError::OutOfRange));
}

#[test]
fn text_has_to_be_utf_8_where_the_type_says_so() {
    let octets = b"\0\0\0\x01\xff\0\0\0".as_slice();
    assert_eq!(from_octets::<&str>(octets, &LENIENT), Err(DecodeError::NotUtf8));
    assert_eq!(from_octets::<String>(octets, &LIMITS), Err(DecodeError::NotUtf8));
    assert_eq!(from_octets(octets, &LIMITS), Ok(XdrStr(b"\xff")));
}

#[test]
fn a_bound_holds_both_ways() {
    let text = b"\0\0\0\x04abcd".as_slice();
    bound(&b"abcd".to_vec(), 4, text);
    bound(&Box::<[u8]>::from(*b"abcd"), 4, text);
    bound(&b"abcd".as_slice(), 4, text);
    bound(&XdrString::from("abcd"), 4, text);
    bound(&XdrStr(b"abcd"), 4, text);
    bound(&"abcd", 4, text);
    bound(&String::from("abcd"), 4, text);
    let numbers = b"\0\0\0\x03\0\0\0\x01\0\0\0\x02\0\0\0\x03".as_slice();
    bound(&vec![1_u32, 2, 3], 3, numbers);
    bound(&Box::<[i32]>::from([1, 2, 3]), 3, numbers);
    bound(&List(vec![(); 3]), 3, b"\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\0");
    bound(&vec![(); 3], 3, b"\0\0\0\x03");
    let octets = to_vec(&"abcd").unwrap();
    assert_eq!(from_octets::<Bounded<&str, 3>>(&octets, &LIMITS), Err(DecodeError::BoundExceeded));
    assert_eq!(encoded_len(&Bounded::<_, 3>("abcd")), Err(EncodeError::BoundExceeded));
    assert_eq!(encoded_len(&Bounded::<_, 4>("abcd")), Ok(8));
}

#[test]
fn a_count_beyond_the_octets_left_is_refused_before_it_is_believed() {
    for count in [1, 2, 3, 1 << 16, i32::MAX as u32, 1 << 31, u32::MAX - 4, u32::MAX - 1, u32::MAX] {
        let octets = to_vec(&count).unwrap();
        let limits = &Limits { work_max: u32::MAX, ..LIMITS };
        assert_eq!(from_octets::<Vec<u8>>(&octets, limits), Err(DecodeError::Truncated));
        assert_eq!(from_octets::<XdrString>(&octets, limits), Err(DecodeError::Truncated));
        assert_eq!(from_octets::<Vec<u32>>(&octets, limits), Err(DecodeError::Truncated));
        assert_eq!(from_octets::<Vec<Vec<u64>>>(&octets, limits), Err(DecodeError::Truncated));
        assert_eq!(from_octets::<Vec<[[u64; 1000]; 1000]>>(&octets, limits), Err(DecodeError::Truncated));
        assert_eq!(from_octets::<Vec<File>>(&octets, limits), Err(DecodeError::Truncated));
    }
}

#[test]
fn elements_without_octets_take_work() {
    let octets = to_vec(&u32::MAX).unwrap();
    assert_eq!(from_octets::<Vec<()>>(&octets, &Limits::default()), Err(DecodeError::TooMuchWork));
    assert_eq!(from_octets::<Vec<[u8; 0]>>(&octets, &Limits::default()), Err(DecodeError::TooMuchWork));
    assert_eq!(from_octets::<Vec<[u32; 0]>>(&octets, &Limits::default()), Err(DecodeError::TooMuchWork));
    assert_eq!(from_octets::<[(); 1000]>(&[], &LIMITS), Err(DecodeError::TooMuchWork));
    assert_eq!(from_octets::<Vec<[(); 20]>>(b"\0\0\0\x05", &LIMITS), Err(DecodeError::TooMuchWork));
    assert_eq!(from_octets::<Vec<[(); 20]>>(b"\0\0\0\x04", &LIMITS), Ok(vec![[(); 20]; 4]));
}

#[test]
fn work_is_that_of_all_elements_together() {
    let value = (vec![1_u32; 50], List(vec![2_u32; 30]), vec![vec![3_u32; 9]; 2]);
    let octets = to_vec(&value).unwrap();
    let read = |work_max| from_octets::<(Vec<u32>, List<u32>, Vec<Vec<u32>>)>(&octets, &Limits { work_max, ..LIMITS });
    assert_eq!(read(100).as_ref(), Ok(&value));
    assert_eq!(read(99), Err(DecodeError::TooMuchWork));
}

#[test]
fn an_encoding_may_be_too_long() {
    let limits = &Limits { len_max: 8, ..LIMITS };
    assert_eq!(from_octets::<u64>(&[0; 8], limits), Ok(0));
    assert_eq!(from_octets::<[u32; 3]>(&[0; 12], limits), Err(DecodeError::TooLong));
}

#[test]
fn levels_are_counted_when_reading_and_writing() {
    let read = |depth, depth_max| from_octets::<Tree>(&octets_of_chain(depth), &Limits { depth_max, ..LIMITS });
    // The empty array of the leaf is a level, too.
    assert_eq!(read(7, 8), Ok(chain(7)));
    assert_eq!(read(8, 8), Err(DecodeError::TooDeep));
    assert_eq!(read(63, Limits::default().depth_max), Ok(chain(63)));
    assert_eq!(read(64, Limits::default().depth_max), Err(DecodeError::TooDeep));
    assert_eq!(read(499, u32::MAX), Ok(chain(499)));
    assert_eq!(read(500, u32::MAX), Err(DecodeError::TooDeep));
    assert_eq!(to_vec(&chain(499)).unwrap(), octets_of_chain(499));
    assert_eq!(encoded_len(&chain(500)), Err(EncodeError::TooDeep));
    assert_eq!(to_slice(&chain(500), &mut octets_of_chain(500)), Err(EncodeError::TooDeep));
}

#[test]
fn a_million_marks_are_an_error_and_no_overflow_of_the_stack() {
    let octets = octets_of_chain(if cfg!(miri) { 1_000 } else { 1_000_000 });
    on_a_small_stack(move || assert_eq!(from_octets::<Tree>(&octets, &Limits::default()), Err(DecodeError::TooDeep)));
}

#[test]
fn a_long_list_recurs_nowhere() {
    let count: i32 = if cfg!(miri) { 200 } else { 1_000_000 };
    on_a_small_stack(move || {
        let list: List<Node> = (0..count).map(|value| Node { value, name: "ab".into() }).collect();
        let octets = to_vec(&list).unwrap();
        assert_eq!(octets.len(), 16 * list.len() + 4);
        let read = from_octets::<List<Node>>(&octets, &Limits::default()).unwrap();
        let copy = read.clone();
        drop(list);
        assert!(copy == read);
        assert!(format!("{copy:?}").ends_with("}])"));
    });
}

#[test]
fn memory_is_bounded_by_the_octets() {
    // A `Vec` is three words, 24 octets for most, where 4 octets say that it is empty.
    let factor = size_of::<Vec<u8>>() / 4;
    let value = vec![Vec::<u8>::new(); 1000];
    let octets = to_vec(&value).unwrap();
    let read =
        |memory_factor| from_octets::<Vec<Vec<u8>>>(&octets, &Limits { memory_factor, work_max: u32::MAX, ..LIMITS });
    assert_eq!(read(factor - 1), Err(DecodeError::TooMuchMemory));
    assert_eq!(read(factor), Ok(value));
    let thrifty = vec![XdrString::default(); 1000];
    assert_eq!(from_octets::<Vec<XdrString>>(&octets, &Limits::default()), Ok(thrifty));
}

#[test]
fn everything_that_is_owned_is_paid_for() {
    let limits = Limits { memory_factor: 0, ..LIMITS };
    let text = |len: usize| to_vec(&"a".repeat(len)).unwrap();
    assert_eq!(from_octets::<Vec<u8>>(&text(256), &limits).map(|octets| octets.len()), Ok(256));
    assert_eq!(from_octets::<Vec<u8>>(&text(257), &limits), Err(DecodeError::TooMuchMemory));
    assert_eq!(from_octets::<Box<[u8]>>(&text(257), &limits), Err(DecodeError::TooMuchMemory));
    assert_eq!(from_octets::<XdrString>(&text(257), &limits), Err(DecodeError::TooMuchMemory));
    assert_eq!(from_octets::<String>(&text(257), &limits), Err(DecodeError::TooMuchMemory));
    assert_eq!(from_octets::<&str>(&text(257), &limits).map(str::len), Ok(257));
    assert_eq!(from_octets::<Box<[u32; 65]>>(&[0; 260], &limits), Err(DecodeError::TooMuchMemory));
    assert_eq!(from_octets::<[Box<[u32; 1]>; 65]>(&[0; 260], &limits), Err(DecodeError::TooMuchMemory));
    assert_eq!(from_octets::<Box<[u8; 260]>>(&[0; 260], &limits), Err(DecodeError::TooMuchMemory));
    assert_eq!(from_octets::<Box<(u64, [u8; 252])>>(&[0; 260], &limits), Err(DecodeError::TooMuchMemory));
}

#[test]
fn memory_that_lists_grow_out_of_is_paid_for_once() {
    let list: List<u64> = (0..if cfg!(miri) { 100 } else { 10_000 }).collect();
    let octets = to_vec(&(&list, &list, &list, &list)).unwrap();
    let read = from_octets::<[List<u64>; 4]>(&octets, &Limits::default()).unwrap();
    assert!(read.iter().all(|read| *read == list));
}

#[test]
fn the_room_has_to_be_exact() {
    let value = ("abc", vec![Pair { left: UnsignedChar(1), right: 0.5, tag: [7; 3], sure: true }; 3], Some(1_u64));
    let len = encoded_len(&value).unwrap();
    for room in 0..len {
        assert_eq!(to_slice(&value, &mut vec![0; room]), Err(EncodeError::NoRoom), "{room} of {len}");
    }
    assert_eq!(to_slice(&value, &mut vec![0; len]), Ok(()));
    assert_eq!(to_slice(&value, &mut vec![0; len + 1]), Err(EncodeError::RoomLeft));
}

#[test]
fn a_default_arm_may_not_carry_the_discriminant_of_another() {
    assert_eq!(encoded_len(&Number::Default(2)), Err(EncodeError::WrongArm));
    assert_eq!(encoded_len(&Number::Default(4)), Ok(4));
}

#[test]
fn errors_say_what_is_wrong() {
    let errors: [Box<dyn core::error::Error>; 4] = [
        Box::new(DecodeError::Truncated),
        Box::new(DecodeError::TooMuchMemory),
        Box::new(EncodeError::BoundExceeded),
        Box::new(EncodeError::NoRoom),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(text.len() > 10 && !text.ends_with('.') && text.starts_with(char::is_lowercase), "{text}");
    }
}

/// Writes and reads something of `count` elements, in a bound that holds them and in one that does not.
fn bound<'a, T: EncodeBounded + DecodeBounded<'a> + Debug + PartialEq>(value: &T, count: u32, octets: &'a [u8]) {
    assert_eq!(to_vec(value).unwrap(), octets);
    let mut out = vec![0; octets.len()];
    let mut write = |count_max| value.encode_bounded(&mut Encoder::new(&mut out), count_max);
    assert_eq!(write(count), Ok(()));
    assert_eq!(write(count - 1), Err(EncodeError::BoundExceeded));
    let read = |count_max| T::decode_bounded(&mut Decoder::new(octets, &LIMITS).unwrap(), count_max);
    assert_eq!(read(count).as_ref(), Ok(value));
    assert_eq!(read(count - 1), Err(DecodeError::BoundExceeded));
}

/// Returns a tree of so many levels below the first, by `left` alone.
fn chain(depth: usize) -> Tree {
    let leaf = || Tree { value: 0, left: None, children: Box::default() };
    (0..depth).fold(leaf(), |below, _| Tree { left: Some(Box::new(below)), ..leaf() })
}

/// Returns the octets of such a tree: on each level a value, a mark, the level below, and no children.
fn octets_of_chain(depth: usize) -> Vec<u8> {
    [[0, 0, 0, 0, 0, 0, 0, 1].repeat(depth), vec![0; 4 * (3 + depth)]].concat()
}

/// Runs something with the stack of a small thread, in which what recurs with its input does not come far.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(64 << 10).spawn(work).expect("there is memory").join().expect("it holds");
}
