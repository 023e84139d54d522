//! Standard output, whose reader may leave at any time.

use core::fmt;
use std::io::{self, Write};

use crate::failure::Failure;

/// Writes `text` to standard output and flushes it, so that a reader at the other end of a pipe sees it at once.
///
/// # Errors
/// [`Failure::reader_gone`] where a pipe was closed (`| head`): the caller passes it up and the command ends quietly.
pub(crate) fn print(text: impl fmt::Display) -> Result<(), Failure> {
    write(&mut io::stdout().lock(), text)
}

/// Writes `text` to `out`, which stands for standard output, like [`print()`].
pub(crate) fn write(out: &mut impl Write, text: impl fmt::Display) -> Result<(), Failure> {
    write!(out, "{text}").and_then(|()| out.flush()).map_err(|error| {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::reader_gone()
        } else {
            Failure::local("cannot write to standard output", &error)
        }
    })
}
