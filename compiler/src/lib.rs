//! The protocol compiler: interface files in, checked models out.
//!
//! What goes in is the RPC language of RFC 5531 §12 over XDR (RFC 4506), the dialects of it that existing systems are written
//! in, and the small form `interface { int func1(int arg1); };`.
//!
//! ```text
//! source  ->  preprocess  ->  lex  ->  parse  ->  ast  ->  check  ->  model
//! ```
#![forbid(unsafe_code)]

extern crate alloc;

pub mod ast;
pub mod model;
pub mod source;
