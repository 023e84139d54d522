//! An endpoint under strangers and liars.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| posthaste_fuzz::endpoint(octets));
