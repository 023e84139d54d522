//! What lies within frames: parameters, metadata, reasons.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| posthaste_fuzz::items(octets));
