//! The Posthaste protocol as a state machine: no I/O, no clock, no threads, no allocator needed.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "alloc"))]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod random;
pub mod siphash;
pub mod storage;
pub mod time;
pub mod wire;

pub use time::Instant;
