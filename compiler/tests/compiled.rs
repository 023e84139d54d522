//! What is generated compiles with every warning denied, Clippy's of any group among them, without unsafe code, and without what the
//! standard library has everywhere; as a file that anybody includes, with no word about lints around it.
//!
//! As an example of posthaste-rpc, it is built for bare metal, where nothing else is linked.
#![no_std]
#![deny(warnings, missing_docs, clippy::all, clippy::nursery, clippy::pedantic, clippy::restriction)]
#![forbid(unsafe_code)]
#![allow(
    clippy::arbitrary_source_item_ordering,
    clippy::blanket_clippy_restriction_lints,
    clippy::min_ident_chars,
    clippy::missing_docs_in_private_items,
    clippy::tests_outside_test_module,
    reason = "about this file, and not about what is included"
)]

#[cfg(test)]
extern crate std;

macro_rules! fixtures {
    ($($name:ident),* $(,)?) => { $(
        /// As it is.
        pub mod $name {
            include!(concat!("../fixtures/", stringify!($name), ".rs"));
        }
    )* };
}

fixtures!(
    arrays, c, calculator, enums, interface, large, limits, list, many, names, nested, nothing, opaque, optional,
    progress, recursive, scalars, streams, sun, terms, unions, zero
);

#[test]
fn it_compiles() {}
