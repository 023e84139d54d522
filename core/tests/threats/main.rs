//! What strangers and liars send, and what comes of it: one test for each kind of harm.
#![cfg(feature = "alloc")]

mod acks;
mod admission;
#[path = "../support/forger.rs"]
mod forger;
mod lies;
#[path = "../support/pair.rs"]
mod pair;
mod queues;
mod reactions;
mod sizes;
mod strangers;
mod time;

use forger::{FORGER, Forger};
use posthaste_core::wire::Parameters;
use posthaste_core::{Config, Endpoint, Instant, Storage};

const START: Instant = Instant::from_nanos(1_000_000_000);

/// Makes a server, and a forger with a conversation there.
fn open() -> (Endpoint<'static>, Forger) {
    let mut victim = server(Config::internet(), 3);
    let forger = Forger::open(&mut victim, START, FORGER, &generous());
    while victim.poll_event().is_some() {}
    (victim, forger)
}

fn server(config: Config, seed: u32) -> Endpoint<'static> {
    let storage = Storage::owned(&config);
    let mut octets = [0; 32];
    octets[..4].copy_from_slice(&seed.to_be_bytes());
    Endpoint::new_insecure(config, storage, octets, START).unwrap()
}

/// Returns how many rounds a test makes: what is asked for where the code is optimised, a tenth of it elsewhere.
fn count_of(count: u64) -> u64 {
    if cfg!(debug_assertions) { count / 10 } else { count }
}

fn generous() -> Parameters {
    Parameters { credit: 1 << 40, stream_window: 1 << 20, exchange_window: 1024, ..Parameters::default() }
}
