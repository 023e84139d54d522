//! Octets of chance and counts that are wrong, decoded as every generated type: nothing panics, and nothing takes more memory than
//! four times what came.
//!
//! `POSTHASTE_HOSTILE_COUNT` says how many octet strings of chance (100 000); ten million take ten seconds in a release build.
//! `POSTHASTE_SEED` replays a run.

#[path = "../../compiler/tests/random/values.rs"]
#[expect(dead_code, reason = "the tests of the compiler draw whole files, too")]
mod values;

use core::fmt::Write as _;
use std::env;

use posthaste_compiler::model::Model;
use posthaste_heap as heap;
use posthaste_rpc::xdr::{DecodeError, Limits, Strictness};
use posthaste_torture::{INTERFACES, Interface, Subject, stub_limits};

use values::{Counted, Random, Value};

#[test]
fn octets_of_chance_take_no_more_than_four_times_their_length() {
    let count = env::var("POSTHASTE_HOSTILE_COUNT").map_or(100_000_u64, |count| count.parse().unwrap());
    let mut random = Random::of_this_run();
    println!("POSTHASTE_HOSTILE_COUNT={count}");

    let models: Vec<Model> = INTERFACES.iter().map(Interface::model).collect();
    let mut subjects = Vec::new();
    for (interface, model) in INTERFACES.iter().zip(&models) {
        subjects.extend(interface.types().map(|(subject, ty)| (subject, model, ty)));
    }
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
                octets = Value::random(model, ty, &mut random).octets;
                mutate(&mut random, &mut octets);
            }
        }
        let [strict, _] = probe(subject, &octets);
        right_count += u64::from(strict.is_ok());
    }
    println!("{right_count} of {count} octet strings were values of one of {} types", subjects.len());
}

#[test]
fn a_wrong_count_is_refused_or_is_another_value_and_takes_no_more_than_its_octets_allow() {
    let mut random = Random::of_this_run();
    let (mut count, mut right_count) = (0, 0);
    for interface in INTERFACES {
        let model = interface.model();
        for (subject, ty) in interface.types() {
            for _ in 0..VALUE_COUNT {
                let Value { mut octets, counts } = Value::random(&model, &ty, &mut random);
                for counted in counts {
                    for edge in edges(counted) {
                        octets[counted.offset..][..4].copy_from_slice(&edge.to_be_bytes());
                        right_count += u32::from(probe_count(subject, &octets, edge, counted.count_max));
                        count += 1;
                    }
                    octets[counted.offset..][..4].copy_from_slice(&counted.count.to_be_bytes());
                }
            }
        }
    }
    println!("{right_count} of {count} values with a wrong count were other values");
    assert!(right_count > 0 && right_count < count);
}

/// Returns whether octets with another count are a value.
fn probe_count(subject: &Subject, octets: &[u8], count: u32, count_max: u32) -> bool {
    let results = probe(subject, octets);
    if count > count_max {
        // Vectors of mostly empty vectors may end before the count.
        let is_refused = |result| matches!(result, Err(DecodeError::BoundExceeded | DecodeError::TooMuchMemory));
        assert!(results.into_iter().all(is_refused), "{}: {results:?}, {}", subject.name, hex(octets));
    }
    if results[0].is_ok() {
        let written = (subject.recode)(octets, &stub_limits());
        assert_eq!(written.as_deref(), Ok(octets), "{}: {}", subject.name, hex(octets));
    }
    results[0].is_ok()
}

#[test]
fn what_takes_no_octets_takes_work() {
    let interface = INTERFACES.iter().find(|interface| interface.name == "fixture_nothing").unwrap();
    let recode = |name: &str, counts: &[u32]| {
        let subject = interface.subjects.iter().find(|subject| subject.name == name).unwrap();
        let octets: Vec<u8> = counts.iter().flat_map(|count| count.to_be_bytes()).collect();
        (subject.recode)(&octets, &stub_limits()).map(|written| assert_eq!(written, octets))
    };
    let work_max = stub_limits().work_max;
    for name in ["crowd", "blanks"] {
        assert_eq!(recode(name, &[work_max]), Ok(()));
        for count in [work_max + 1, 1 << 31, u32::MAX] {
            assert_eq!(recode(name, &[count]), Err(DecodeError::TooMuchWork), "{count} in {name}");
        }
    }
    // Each of these takes 1000 more, however few they are.
    assert_eq!(recode("halls", &[work_max / 1001]), Ok(()));
    for count in [work_max / 1001 + 1, work_max, u32::MAX] {
        assert_eq!(recode("halls", &[count]), Err(DecodeError::TooMuchWork), "{count}");
    }
    // All of them share what there is.
    assert_eq!(recode("crowds", &[3, work_max / 2, work_max / 2 - 3, 0]), Ok(()));
    assert_eq!(recode("crowds", &[3, work_max / 2, work_max / 2 - 3, 1]), Err(DecodeError::TooMuchWork));
}

/// Decodes octets, strictly and leniently, and looks at what that takes.
fn probe(subject: &Subject, octets: &[u8]) -> [Result<(), DecodeError>; 2] {
    [Strictness::Strict, Strictness::Lenient].map(|strictness| {
        let limits = Limits { strictness, work_max: WORK_MAX, ..stub_limits() };
        let (result, growth) = heap::growth(|| (subject.probe)(octets, &limits));
        if growth > 4 * octets.len() + 256 {
            panic!("{growth} octets for {} of {}: {}", octets.len(), subject.name, hex(octets));
        }
        result
    })
}

/// Returns what a count may be that is not what it was.
fn edges(Counted { count, count_max, .. }: Counted) -> impl Iterator<Item = u32> {
    let near = [count, count_max].into_iter().flat_map(|it| [it.saturating_sub(1), it, it.saturating_add(1)]);
    near.chain(EDGES).filter(move |edge| *edge != count)
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

/// More than the elements that there are octets for; those that take none are soon over.
const WORK_MAX: u32 = 10_000;

/// Of each type, for counts that are wrong.
const VALUE_COUNT: usize = 50;
