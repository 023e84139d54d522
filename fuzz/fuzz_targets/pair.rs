//! Two endpoints and the network between them.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| posthaste_fuzz::pair(octets));
