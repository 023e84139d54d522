//! Octets on the wire and what they mean, without state.

pub mod checksum;
