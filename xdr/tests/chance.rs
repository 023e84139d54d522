//! Values and octets of chance: what is written is read again as it was, and what is read took no more than it may.
//!
//! With `POSTHASTE_NIGHTLY`, much more is tried.

#[path = "support/everything.rs"]
mod everything;
#[path = "support/random.rs"]
mod random;
#[path = "support/types.rs"]
mod types;

use std::env;

use everything::Everything;
use posthaste_heap as heap;
use posthaste_xdr::{Bounded, Decode, Encode, Limits, List, Strictness, XdrString, encoded_len, from_octets, to_vec};
use random::Random;
use types::{File, Node, Number, Pair, Tree};

#[test]
fn what_is_written_is_read_again() {
    let count = if cfg!(miri) { 2 } else { 2000 };
    for seed in 0..count {
        let value = Random::new(seed).everything();
        let octets = to_vec(&value).unwrap();
        assert_eq!(encoded_len(&value), Ok(octets.len()));
        assert!(octets.len().is_multiple_of(4));
        // Vectors of vectors may take more than four octets of memory for each.
        let limits = Limits { memory_factor: 8, ..Limits::default() };
        let read: Everything = from_octets(&octets, &limits).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        // Floats that are no numbers equal nothing, but look the same.
        assert_eq!(format!("{read:?}"), format!("{value:?}"), "seed {seed}");
        assert_eq!(to_vec(&read).unwrap(), octets, "seed {seed}");
    }
}

#[test]
fn octets_of_chance_take_no_more_than_four_times_their_length() {
    for_each_seed(|random| {
        let len = random.below(400);
        let mut octets = random.octets(len);
        // What is small is more often a count or a mark that is let through.
        for word in octets.chunks_exact_mut(4).filter(|_| random.below(3) > 0) {
            word.copy_from_slice(&[0, 0, 0, word[3] % 8]);
        }
        octets
    });
}

#[test]
fn encodings_with_wrong_lengths_take_no_more_than_four_times_their_length() {
    let edges = [0, 1, 2, 3, 4, 5, 255, 256, 1 << 16, i32::MAX as u32, 1 << 31, u32::MAX - 1, u32::MAX];
    for_each_seed(|random| {
        let mut octets = to_vec(&random.everything()).unwrap();
        for _ in 0..random.below(4) {
            let word = 4 * random.below(octets.len() / 4);
            let edge = match random.below(edges.len() + 1) {
                0 => (octets.len() as u32 - word as u32) / (1 + random.below(40) as u32),
                index => edges[index - 1],
            };
            octets[word..word + 4].copy_from_slice(&edge.to_be_bytes());
        }
        let len = octets.len() - random.below(2) * random.below(octets.len());
        octets.truncate(len);
        octets
    });
}

#[test]
fn what_is_mostly_empty_takes_no_more_than_four_times_its_length() {
    let counts = [0, 1, 2, 3, 10, 31, 32, 33, 100, 1000];
    for &count in if cfg!(miri) { &counts[..3] } else { &counts } {
        // A count, and as many counts of nothing, arms without a body, marks of nothing.
        let mut octets = to_vec(&vec![0_u32; count]).unwrap();
        read_all(&octets);
        // The same as a list, each node with an empty string; and as one of longer nodes.
        octets = to_vec(&List(vec![(0_u32, 0_u32); count])).unwrap();
        read_all(&octets);
        octets = to_vec(&List(vec![(0_u32, 8_u32, 0_u64); count])).unwrap();
        read_all(&octets);
    }
}

/// Reads what `make` makes of many seeds.
fn for_each_seed(make: impl Fn(&mut Random) -> Vec<u8>) {
    let count = match env::var_os("POSTHASTE_NIGHTLY") {
        _ if cfg!(miri) => 1,
        None => 20_000,
        Some(_) => 400_000,
    };
    for seed in 0..count {
        let octets = make(&mut Random::new(seed));
        read_all(&octets);
    }
}

/// Reads octets as values of many types.
fn read_all(octets: &[u8]) {
    read::<Everything>(octets);
    read::<File>(octets);
    read::<Tree>(octets);
    read::<List<Node>>(octets);
    read::<List<Vec<u8>>>(octets);
    read::<List<List<(u32, Option<Box<[u8; 3]>>)>>>(octets);
    read::<Vec<Everything>>(octets);
    read::<Vec<Pair>>(octets);
    read::<Vec<Number>>(octets);
    read::<Vec<Vec<u8>>>(octets);
    read::<Vec<Vec<Vec<u64>>>>(octets);
    read::<Vec<String>>(octets);
    read::<Vec<Option<Box<[u64; 100]>>>>(octets);
    read::<Vec<Option<[u64; 100]>>>(octets);
    read::<Vec<Box<u32>>>(octets);
    read::<Vec<[(); 9]>>(octets);
    read::<Box<[Bounded<XdrString, 8>]>>(octets);
    read::<(&[u8], &str, [Option<&[u8]>; 3])>(octets);
}

/// Reads octets as a value, strictly and not, and checks what it took; what was read strictly is written as it was.
fn read<'a, T: Decode<'a> + Encode>(octets: &'a [u8]) {
    for strictness in [Strictness::Strict, Strictness::Lenient] {
        let limits = Limits { strictness, ..Limits::default() };
        let (value, growth) = heap::growth(|| from_octets::<T>(octets, &limits));
        assert!(growth <= 4 * octets.len() + 256, "{growth} octets for {}: {octets:?}", octets.len());
        if let (Ok(value), Strictness::Strict) = (value, strictness) {
            assert_eq!(to_vec(&value).as_deref(), Ok(octets));
        }
    }
}
