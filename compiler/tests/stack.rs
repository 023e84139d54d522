//! A peer chooses how deep the values are that it sends, up to the limit of the decoder; whatever they are made of, a thread with a
//! small stack can read, write, clone, compare, print, hash and drop them.

mod large {
    include!("../fixtures/large.rs");
}

use core::fmt::Debug;
use core::hash::{Hash, Hasher};
use std::hash::DefaultHasher;
use std::thread;

use large::{Disk, Folder, One, Page, Room, Tree};
use posthaste_rpc::Procedure;
use posthaste_rpc::xdr::{Decode, DecodeError, Encode, to_vec};

/// A fourth of what threads have by default, and an eighth in a release build, whose frames are smaller.
const STACK_LEN: usize = if cfg!(debug_assertions) { 1 << 19 } else { 1 << 18 };

const LEVEL_COUNT: usize = 64;

#[test]
fn trees_of_long_octet_strings_fit_on_a_small_stack() {
    let start = [&[7; 4200][..], &[0, 0, 0, 1]].concat();
    let end = [&[7; 4200][..], &[0; 12]].concat();
    check::<Page>(|count| [start.repeat(count), end.clone(), vec![0; 8 * count]].concat(), LEVEL_COUNT);
}

#[test]
fn vectors_of_structs_within_structs_fit_on_a_small_stack() {
    let start = [&[7; 1008][..], &[0; 7], &[1]].concat();
    // The innermost has an array, too, though an empty one.
    check::<Room>(|count| [start.repeat(count), vec![7; 1008], vec![0; 8]].concat(), LEVEL_COUNT - 1);
}

#[test]
fn lists_of_lists_fit_on_a_small_stack() {
    let start = [&[7; 1092][..], &[0, 0, 0, 1]].concat();
    // The innermost has a list, too, though an empty one; then each list ends.
    check::<Folder>(|count| [start.repeat(count), vec![7; 1092], vec![0; 4 + 4 * count]].concat(), LEVEL_COUNT - 1);
}

#[test]
fn arms_and_arrays_fit_on_a_small_stack() {
    let leaf = [0, 0, 0, 9];
    let start = [&[0; 4][..], &[7; 1000]].concat();
    // The innermost has an array, too.
    check::<Tree>(|count| [start.repeat(count), leaf.to_vec(), leaf.repeat(6 * count)].concat(), LEVEL_COUNT - 1);
    // Through the array: each step is two levels deeper, and leaves the other elements behind it.
    let step = [&start[..], &leaf].concat();
    check::<Tree>(|count| [step.repeat(count), leaf.to_vec(), leaf.repeat(5 * count)].concat(), LEVEL_COUNT / 2);
}

#[test]
fn structs_within_each_other_on_one_level_fit_on_a_small_stack() {
    check::<One>(
        |count| [[0, 0, 0, 1].repeat(count), vec![0; 4], vec![7; 200 * (count + 1)]].concat(),
        LEVEL_COUNT / 2 - 1,
    );
}

#[test]
fn arrays_longer_than_the_stack_are_read_anywhere() {
    let octets = [&[0, 0, 0, 2], &vec![7; 8_000_000][..]].concat();
    on_small_stack(|| assert!(to_vec(&read::<Disk>(&octets).unwrap().clone()).unwrap() == octets));
}

/// Tries a value as deep as the limits allow, and one that is deeper.
fn check<T: for<'a> Decode<'a> + Encode + Clone + Eq + Debug + Hash>(octets: impl Fn(usize) -> Vec<u8>, count: usize) {
    let (deep, deeper) = (octets(count), octets(count + 1));
    on_small_stack(|| try_all::<T>(&deep));
    on_small_stack(|| assert_eq!(read::<T>(&deeper), Err(DecodeError::TooDeep)));
}

fn try_all<T: for<'a> Decode<'a> + Encode + Clone + Eq + Debug + Hash>(octets: &[u8]) {
    let value = read::<T>(octets).unwrap();
    assert!(to_vec(&value).unwrap() == octets);
    let clone = value.clone();
    assert!(value == clone);
    drop(clone);
    assert!(format!("{value:?}").len() > octets.len());
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    assert_ne!(hasher.finish(), 0);
}

/// Reads as a stub does.
fn read<T: for<'a> Decode<'a>>(octets: &[u8]) -> Result<T, DecodeError> {
    Procedure::<T>::new("", 0, 0, 0).with_memory_factor(16).decode_result(octets)
}

fn on_small_stack(run: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_LEN).spawn_scoped(scope, run).unwrap();
        thread.join().unwrap();
    });
}
