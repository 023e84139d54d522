//! ONC RPC, from its decoders to a client and a server.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| posthaste_fuzz::onc(octets));
