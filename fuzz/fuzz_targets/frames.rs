//! Frames of any epoch and side.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| posthaste_fuzz::frames(octets));
