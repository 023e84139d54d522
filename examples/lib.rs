//! One small program for each rung of the ladder, beside this file. Its doc tests are the programs in the project's README.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
