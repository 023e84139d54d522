//! What the fuzz targets check: each function takes octets, and panics if something does not hold that must.

mod application;
mod endpoint;
#[path = "../../core/tests/support/forger.rs"]
mod forger;
mod interface;
mod json;
#[path = "../../core/tests/support/limits.rs"]
mod limits;
mod onc;
mod pair;
mod tape;
mod token;
mod vectors;
mod wire;
mod xdr;

pub use endpoint::endpoint;
pub use interface::{interface, interface_files};
pub use json::{json, json_seeds};
pub use onc::onc;
pub use pair::pair;
pub use token::token;
pub use vectors::vectors;
pub use wire::{datagram, frames, items};
pub use xdr::{xdr, xdr_seeds};

/// A name of a target, and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 10] = [
    ("frames", frames),
    ("datagram", datagram),
    ("items", items),
    ("token", token),
    ("endpoint", endpoint),
    ("pair", pair),
    ("xdr", xdr),
    ("interface", interface),
    ("json", json),
    ("onc", onc),
];
