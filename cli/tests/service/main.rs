//! `serve`, and what calls it, as a script sees them.
#![cfg(unix)]

extern crate alloc;

mod calls;
mod files;
mod process;
mod runtimes;

/// The numbers of the built-in service, as it documents them.
const PROGRAM: u32 = 0x2070_6f73;
const ECHO: u32 = 1;
const SLEEP: u32 = 2;
const STORED: u32 = 3;
const LENGTH: u32 = 4;
