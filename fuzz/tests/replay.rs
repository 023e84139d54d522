//! Every target takes every vector, everything that was found once, and octets of chance.

use std::fs;
use std::path::Path;

use posthaste_fuzz::{TARGETS, interface, interface_files, vectors};

#[test]
fn every_target_takes_every_vector() {
    for vector in vectors() {
        for (_, run) in TARGETS {
            run(&vector.octets);
        }
        for (name, octets) in vector.inputs() {
            let (_, run) = TARGETS.into_iter().find(|(target, _)| *target == name).expect("it is the name of a target");
            run(&octets);
        }
    }
}

#[test]
fn every_value_in_xdr_is_written_as_it_was_read() {
    posthaste_fuzz::xdr_seeds().for_each(|octets| posthaste_fuzz::xdr(&octets));
}

#[test]
fn every_value_in_json_comes_back() {
    posthaste_fuzz::json_seeds().for_each(|octets| posthaste_fuzz::json(&octets));
}

#[test]
fn every_interface_file_is_taken_whole_and_damaged() {
    let inputs = interface_files();
    assert!(!inputs.is_empty());
    for octets in &inputs {
        interface(octets);
        for at in (0..octets.len()).step_by(7) {
            interface(&octets[..at]);
            let mut damaged = octets.clone();
            damaged[at] = damaged[at].wrapping_add(1);
            interface(&damaged);
            damaged.remove(at);
            interface(&damaged);
            // Some of this and some of another.
            let other = &inputs[at % inputs.len()];
            interface(&[&octets[..at], &other[other.len() / 2..]].concat());
        }
    }
}

#[test]
fn what_was_found_once_is_not_found_again() {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("found");
    for (name, run) in TARGETS {
        for entry in fs::read_dir(found.join(name)).into_iter().flatten() {
            run(&fs::read(entry.expect("the folder can be read").path()).expect("it is a file"));
        }
    }
}

#[test]
fn no_octets_of_chance_find_anything() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut octet = || {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    };
    for round in 0..500 {
        let octets: Vec<u8> = (0..round * 4).map(|_| octet()).collect();
        for (_, run) in TARGETS {
            run(&octets);
        }
    }
}
