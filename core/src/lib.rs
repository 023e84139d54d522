//! The Posthaste protocol as a state machine: no I/O, no clock, no threads, no allocator needed.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "alloc"))]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod ack;
pub mod congestion;
pub mod ecn;
pub mod loss;
pub mod pacer;
pub mod pmtu;
pub mod rtt;
pub mod seq;
pub mod time;

pub use time::Instant;
