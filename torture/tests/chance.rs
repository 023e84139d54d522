//! Octets of chance, decoded as every generated type: nothing panics, and nothing takes more memory than four times what came.
//!
//! `POSTHASTE_HOSTILE_COUNT` says how many octet strings: 100 000, or with `POSTHASTE_NIGHTLY` ten million, which take a minute and a
//! half. `POSTHASTE_SEED` replays a run.

#[path = "../../compiler/tests/random/values.rs"]
#[expect(dead_code, reason = "the tests of the compiler draw whole files, too")]
mod values;

use core::fmt::Write as _;
use std::env;

use posthaste_compiler::model::{Model, Type, TypeId};
use posthaste_heap as heap;
use posthaste_rpc::xdr::{Limits, Strictness};
use posthaste_torture::{INTERFACES, Subject, stub_limits};

use values::{Random, random_value};

#[test]
fn octets_of_chance_take_no_more_than_four_times_their_length() {
    let count = if env::var_os("POSTHASTE_NIGHTLY").is_some() { 10_000_000 } else { 100_000 };
    let count: u64 = env::var("POSTHASTE_HOSTILE_COUNT").map_or(count, |count| count.parse().unwrap());
    let seed = env::var("POSTHASTE_SEED").map_or_else(|_| u64::from(std::process::id()), |seed| seed.parse().unwrap());
    println!("POSTHASTE_SEED={seed} POSTHASTE_HOSTILE_COUNT={count}");

    let models: Vec<Model> = INTERFACES.iter().map(|interface| interface.model()).collect();
    let mut subjects = Vec::new();
    for (interface, model) in INTERFACES.iter().zip(&models) {
        let types = (0..).map(|index| Type::Named(TypeId(index)));
        subjects.extend(interface.subjects.iter().zip(types).map(|(subject, ty)| (subject, model, ty)));
    }
    let mut random = Random::new(seed);
    let mut octets = Vec::new();
    let mut right_count = 0;
    for number in 0..count {
        // Each in its turn, so that each is tried.
        let (subject, model, ty) = &subjects[number as usize % subjects.len()];
        octets.clear();
        match random.below(4) {
            0 => words(&mut random, &mut octets),
            1 => empties(&mut random, &mut octets),
            _ => {
                random_value(model, ty, &mut random, 0, &mut octets);
                mutate(&mut random, &mut octets);
            }
        }
        right_count += u64::from(probe(subject, &octets, Strictness::Strict));
        probe(subject, &octets, Strictness::Lenient);
    }
    println!("{right_count} of {count} octet strings were values of one of {} types", subjects.len());
}

/// Decodes octets, looks at what that took, and returns whether they were a value.
fn probe(subject: &Subject, octets: &[u8], strictness: Strictness) -> bool {
    let limits = Limits { strictness, ..stub_limits() };
    let (result, growth) = heap::growth(|| (subject.probe)(octets, &limits));
    if growth > 4 * octets.len() + 256 {
        panic!("{growth} octets for {} of {}: {}", octets.len(), subject.name, hex(octets));
    }
    result.is_ok()
}

/// Draws words, of which most are small: a count or a mark that is let through.
fn words(random: &mut Random, octets: &mut Vec<u8>) {
    for _ in 0..random.below(64) {
        let word = if random.one_in(3) { random.next() as u32 } else { random.below(8) as u32 };
        octets.extend(word.to_be_bytes());
    }
    octets.extend((0..random.below(4)).map(|_| 0));
}

/// Draws zeros after a count or two of about as many: what is empty is larger in memory than anywhere else.
fn empties(random: &mut Random, octets: &mut Vec<u8>) {
    octets.resize(4 * (1 + random.below(400) as usize), 0);
    for _ in 0..=random.below(2) {
        let at = 4 * random.below(8) as usize;
        if let Some(word) = octets.get_mut(at..at + 4) {
            word.copy_from_slice(&(random.below(500) as u32 >> random.below(4)).to_be_bytes());
        }
    }
}

/// Changes a few octets or counts, and perhaps the length.
fn mutate(random: &mut Random, octets: &mut Vec<u8>) {
    for _ in 0..random.below(4) {
        let word_count = octets.len() as u64 / 4;
        if word_count == 0 {
            break;
        }
        let at = 4 * random.below(word_count) as usize;
        match random.below(4) {
            0 => octets[at + random.below(4) as usize] ^= 1 << random.below(8),
            1 => octets[at..at + 4].copy_from_slice(&(random.next() as u32).to_be_bytes()),
            2 => octets[at..at + 4].copy_from_slice(&EDGES[random.below(EDGES.len() as u64) as usize].to_be_bytes()),
            // A count of about what is left.
            _ => {
                let left = (octets.len() - at) as u32 >> random.below(5);
                octets[at..at + 4].copy_from_slice(&left.to_be_bytes());
            }
        }
    }
    match random.below(6) {
        0 => octets.truncate(random.below(octets.len() as u64 + 1) as usize),
        1 => octets.extend_from_within(..octets.len().min(64)),
        _ => {}
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").expect("memory does not fail");
        text
    })
}

const EDGES: [u32; 10] = [0, 1, 2, 255, 1 << 16, i32::MAX as u32, 1 << 31, (1 << 30) + 1, u32::MAX - 1, u32::MAX];
