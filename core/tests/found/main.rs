//! What the simulator found, each told by two endpoints.
#![cfg(feature = "alloc")]
#![expect(clippy::wildcard_enum_match_arm, reason = "each test looks at some of the events")]

mod calls;
mod messages;
#[path = "../support/pair.rs"]
mod pair;
mod recovery;
mod sessions;

use core::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
