//! The Posthaste protocol as a state machine: no I/O, no clock, no threads, no allocator needed.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "alloc"))]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod ack;
pub mod aliases;
pub mod config;
pub mod congestion;
pub mod conversation;
pub mod crypto;
pub mod delivery_rate;
pub mod ecn;
pub mod endpoint;
pub mod exchange;
pub mod fingerprint;
pub mod footprint;
pub mod handshake;
pub mod ids;
pub mod incoming;
pub mod lane;
pub mod loss;
pub mod memory;
pub mod outcome;
pub mod outgoing;
pub mod own_body;
pub mod pacer;
pub mod path;
pub mod peer;
pub mod pmtu;
pub mod random;
pub mod routes;
pub mod rtt;
pub mod sent;
pub mod seq;
pub mod session;
pub mod siphash;
pub mod storage;
pub mod time;
pub mod token;
pub mod wire;

pub use config::{Config, ConfigError};
pub use endpoint::Endpoint;
pub use footprint::memory_bound;
pub use ids::{CallId, IncomingCallId, MessageId, PeerId, SendId, StaleId, StreamId};
pub use memory::Storage;
pub use outcome::{NotExecuted, Outcome, Unknown};
pub use time::Instant;
