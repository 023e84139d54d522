//! The rules of sessions and calls, checked by going through every way in which they can meet a bad network.
//!
//! `docs/semantics.md` states the promises and the rules, each with a number (S1 …) that the code here cites. One client and
//! one server follow them. The network between them keeps all that was ever sent and delivers any of it at any time, so it
//! loses, delays, reorders and repeats without end. Both sides may crash, the address may change, leases may run out. The checker
//! visits every state that can be reached within stated bounds, and looks for one in which a promise is broken.
//!
//! Read it as a story: what is checked ([`rules`]), what there is ([`state`]), what each side does ([`client`],
//! [`server`]), what may happen next ([`actions`]), what must hold ([`properties`]). Then the result: the rules keep their
//! promises ([`scenarios`]), and each rule that was broken on purpose breaks a promise ([`mutants`]).
//!
//! Together, the tests visit 4.9 million states in about a minute of processor time. With `POSTHASTE_NIGHTLY` set they go on to
//! larger bounds.

#![expect(unreachable_pub, reason = "a test has no outside that its modules could be reached from")]

extern crate alloc;

mod actions;
mod client;
mod mutants;
mod properties;
mod rules;
mod scenarios;
mod server;
mod state;
