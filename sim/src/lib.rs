//! A deterministic network for Posthaste endpoints.
//!
//! Many endpoints, one virtual clock, one seed: the same seed gives the same run, event for event, and [`Trace`]
//! proves it with a hash. Time jumps from event to event, so an hour of silence costs nothing.
//!
//! From the bottom up:
//! - [`LinkConfig`] says what one direction of a path does to datagrams: delay, rate, queue, loss, and so on;
//! - [`Network`] carries datagrams between addresses over such links, through address changes and eavesdroppers;
//! - [`World`] runs [`Node`]s on the network, each with its own clock, and checks the contract after every event;
//! - [`Host`] is the node with the real endpoint, and an [`Application`] on top of it;
//! - [`Schedule`] draws faults from a seed and [`sweep`] runs a scenario over many seeds, shrinks what fails and
//!   prints the line that replays it;
//! - [`sometimes!`] counts how often the interesting happened over all seeds;
//! - [`Ideal`] is the goodput that a sender without flaws would reach, to judge a real one by.
#![forbid(unsafe_code)]

extern crate alloc;

mod amplification;
mod clock;
pub mod coverage;
mod faults;
mod host;
mod ideal;
mod link;
mod network;
mod rng;
mod sweep;
mod trace;
mod world;

pub use amplification::Amplification;
pub use clock::Clock;
pub use faults::{Fault, LinkFault, Schedule, Side, Way};
pub use host::{Application, Host, Protection};
pub use ideal::{Controller, Ideal};
pub use link::{Burst, Corrupt, Duplicate, EcnPolicy, LinkConfig, Outage, Ppm};
pub use network::{Counters, Datagram, Delivery, Network, Replay, Tap};
pub use posthaste_core::Instant;
pub use posthaste_core::ecn::Ecn;
pub use rng::Rng;
pub use sweep::sweep;
pub use trace::Trace;
pub use world::{Arrival, Node, NodeId, Transmit, World};
