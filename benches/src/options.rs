//! Options of the programs here: `--name value`, as the bench convention has them.

use core::str::FromStr;
use std::io;

/// The options of a program, by name: each has one value, the last of several counts, and unknown ones are ignored.
pub(crate) struct Options<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Options<'a> {
    /// Takes the arguments apart.
    ///
    /// # Errors
    /// If one that should be a name does not start with `--`, or a value is missing.
    pub(crate) fn parse(args: &'a [String]) -> io::Result<Self> {
        let pairs = args.chunks(2).map(|pair| match pair {
            [name, value] if name.starts_with("--") => Ok((&name[2..], value.as_str())),
            _ => Err(usage(&format!("'{}' is no option with one value", pair.join(" ")))),
        });
        pairs.collect::<io::Result<_>>().map(Self)
    }

    /// Says whether an option is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(option, _)| *option == name)
    }

    /// Returns the value of an option that has to be there.
    ///
    /// # Errors
    /// If it is not, or is no such value.
    pub(crate) fn required<T: FromStr>(&self, name: &str) -> io::Result<T> {
        self.optional(name)?.ok_or_else(|| usage(&format!("--{name} is missing")))
    }

    /// Returns the value of an option, if it is there.
    ///
    /// # Errors
    /// If it is no such value.
    pub(crate) fn optional<T: FromStr>(&self, name: &str) -> io::Result<Option<T>> {
        let Some((_, value)) = self.0.iter().rev().find(|(option, _)| *option == name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| usage(&format!("'{value}' is no value for --{name}")))
    }
}

/// Returns the error of who gave arguments that make no sense.
#[must_use]
pub(crate) fn usage(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
