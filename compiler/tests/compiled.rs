//! What is generated compiles with every warning denied.
#![deny(warnings)]

macro_rules! fixtures {
    ($($name:ident),* $(,)?) => { $(
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
