//! The protocol compiler: interface files in, checked models out.
//!
//! What goes in is the RPC language of RFC 5531 §12 over XDR (RFC 4506), the dialects of it that existing systems are written
//! in ([`Dialect`]), and the small form `interface { int func1(int arg1); };`.
//!
//! ```text
//! source  ->  preprocess  ->  lex  ->  parse  ->  ast  ->  check  ->  model  ->  rust
//! ```
//!
//! A `build.rs` takes [`Build`]; [`generate`] is all of it at once. With the feature `json`, JSON is encoded and decoded by a model,
//! without stubs.
//!
//! Nothing in an interface file makes it panic, run long or take much memory, nor what is written of it: nesting, includes, macros,
//! sizes and the number of errors told are limited, by constants that say so. Nor does what a peer sends to a stub take much stack.
//!
//! ```
//! use posthaste_compiler::{Options, load_text};
//!
//! let interface = load_text("sum.x", "interface sum { int add(int a, int b); };", &Options::default()).unwrap();
//! let add = &interface.model.programs[0].versions[0].procedures[0];
//! assert_eq!((add.name.text.as_str(), add.number, add.arguments.len()), ("add", 1, 2));
//! ```
#![forbid(unsafe_code)]

extern crate alloc;

mod annotation;
mod ast;
mod build;
mod check;
pub mod compare;
mod diagnostic;
mod expression;
mod files;
mod generate;
#[cfg(feature = "json")]
pub mod json;
mod lex;
pub mod model;
mod options;
mod parse;
mod preprocess;
pub mod rust;
pub mod source;

use std::path::Path;

pub use build::{Build, BuildError};
pub use check::TYPE_DEPTH_MAX;
pub use diagnostic::{Diagnostic, ERROR_COUNT_MAX, Paint, Report, Severity, render_all};
pub use files::SOURCE_LEN_MAX;
pub use generate::{Generated, generate, write_file};
pub use lex::IDENTIFIER_LEN_MAX;
pub use options::{Dialect, OptionError, Options, UNBOUNDED_MAX, UnknownDialect};
pub use parse::{NESTING_MAX, WEIGHT_MAX};
pub use preprocess::{FILE_COUNT_MAX, INCLUDE_DEPTH_MAX};

use diagnostic::Diagnostics;
use files::Files;
use model::Model;
use parse::Completeness;
use preprocess::Preprocessor;
use source::{FileId, Purpose, Sources};

/// An interface file that was read and is right.
#[derive(Clone, Debug)]
pub struct Interface {
    /// What it means.
    pub model: Model,
    /// The files it consists of.
    pub sources: Sources,
    /// What is allowed in it and unwise.
    pub warnings: Vec<Diagnostic>,
}

/// Reads and checks an interface file.
///
/// # Errors
/// What is wrong with it: at most [`ERROR_COUNT_MAX`] errors, and the warnings.
pub fn load(path: &Path, options: &Options) -> Result<Interface, Report> {
    let mut sources = Sources::default();
    match Files::open(path, &options.include_dirs, &mut sources) {
        Ok((files, file)) => compile(files, sources, file, options),
        Err(error) => {
            let diagnostics = vec![Diagnostic::error_anywhere(error.to_string()).help(error.help())];
            Err(Report { sources, diagnostics })
        }
    }
}

/// Reads and checks the text of an interface file that lies in no folder, so that it can include nothing.
///
/// # Errors
/// As [`load`].
pub fn load_text(name: &str, text: impl AsRef<[u8]>, options: &Options) -> Result<Interface, Report> {
    let mut sources = Sources::default();
    let octets = text.as_ref();
    if octets.len() > SOURCE_LEN_MAX {
        let error = files::FileError::TooLarge;
        let diagnostics = vec![Diagnostic::error_anywhere(error.to_string()).help(error.help())];
        return Err(Report { sources, diagnostics });
    }
    let file = sources.add(name.to_owned(), octets.to_vec(), Purpose::Part, None);
    compile(Files::default(), sources, file, options)
}

fn compile(files: Files, mut sources: Sources, file: FileId, options: &Options) -> Result<Interface, Report> {
    let mut diagnostics = Diagnostics::default();
    let parsed = parse::parse(Preprocessor::new(options, files, &mut sources, &mut diagnostics, file));
    // What only follows from what was skipped is not worth telling.
    if diagnostics.is_full() || parsed.completeness == Completeness::Partial {
        return Err(Report { sources, diagnostics: diagnostics.into_list() });
    }
    let model = check::check(parsed, options, &sources, &mut diagnostics);
    if diagnostics.has_errors() {
        return Err(Report { sources, diagnostics: diagnostics.into_list() });
    }
    Ok(Interface { model, sources, warnings: diagnostics.into_list() })
}
