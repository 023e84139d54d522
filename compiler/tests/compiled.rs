//! What is generated compiles with every warning denied, without unsafe code, and without what the standard library has
//! everywhere.
#![no_std]
#![deny(warnings)]
#![forbid(unsafe_code)]

extern crate std;

macro_rules! fixtures {
    ($($name:ident),* $(,)?) => { $(
        #[allow(clippy::use_self, clippy::wildcard_enum_match_arm, reason = "generated for everybody, not for our taste")]
        mod $name {
            include!(concat!("../fixtures/", stringify!($name), ".rs"));
        }
    )* };
}

fixtures!(
    arrays, calculator, enums, interface, list, many, names, nested, opaque, optional, recursive, scalars, streams,
    sun, terms, unions
);

#[test]
fn it_compiles() {}
