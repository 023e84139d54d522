//! Why the command ends without success: an exit status, a reason, and advice.

use core::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use posthaste_rpc as rpc;
use posthaste_std::CallError;

use crate::escape::Escaped;

/// The end of a command that did not succeed.
///
/// Reason and advice may hold text from anywhere: they are escaped and kept to one line when they are shown.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    what: String,
    hint: Option<String>,
}

/// What a failure means to the script that started the command; the number is the exit status.
///
/// The whole table is in `posthaste --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The application on the other side answered with an error.
    Application = 1,
    /// The command line is wrong; nothing was done.
    Usage = 2,
    /// The work was not done, and never will be.
    NotExecuted = 3,
    /// Nobody here knows whether the work was done.
    Unknown = 4,
    /// The other side could not be found or reached.
    Connect = 5,
    /// A file, socket or process of this machine failed.
    Local = 6,
    /// The reader of standard output left: what a shell reports for a program that SIGPIPE ended. Shown to nobody.
    ReaderGone = 141,
}

impl Failure {
    /// Makes a failure from its parts; `what` is one sentence without a full stop.
    pub(crate) fn new(code: Code, what: impl fmt::Display) -> Self {
        Self { code, what: what.to_string(), hint: None }
    }

    /// Makes a failure of something on this machine.
    pub(crate) fn local(what: impl fmt::Display, error: &io::Error) -> Self {
        Self::new(Code::Local, format_args!("{what}: {error}"))
    }

    /// Makes the quiet failure of a command whose output nobody reads any more.
    pub(crate) fn reader_gone() -> Self {
        Self::new(Code::ReaderGone, "the reader of standard output left")
    }

    /// Adds what the user could do about it.
    pub(crate) fn hint(self, hint: impl fmt::Display) -> Self {
        Self { hint: Some(hint.to_string()), ..self }
    }

    /// Shows reason and advice on standard error and returns the exit status.
    pub(crate) fn report(&self) -> ExitCode {
        if self.code != Code::ReaderGone {
            // Nobody is left to tell where standard error is closed too.
            let _ = write!(io::stderr().lock(), "{self}");
        }
        ExitCode::from(self.code as u8)
    }
}

/// One line for the reason, one for the advice if there is some.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", Escaped(&self.what))?;
        match &self.hint {
            Some(hint) => writeln!(f, "hint: {}", Escaped(hint)),
            None => Ok(()),
        }
    }
}

/// Says what became of a call, and whether it may be made again.
impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match &error {
            CallError::Application(text) => {
                let shown_len = text.len().min(REMOTE_TEXT_LEN_MAX);
                let text = String::from_utf8_lossy(&text[..shown_len]);
                Self::new(Code::Application, format_args!("the server answered with an error: {text}"))
            }
            CallError::NotExecuted(_) => {
                Self::new(Code::NotExecuted, error).hint("it never will be: the same call may safely be made again")
            }
            CallError::Refused(why) => Self::new(Code::NotExecuted, format_args!("not executed, not even sent: {why}")),
            CallError::ReplyLost => Self::new(Code::Unknown, error).hint("look at the state of the server"),
            CallError::Unknown(_) => Self::new(Code::Unknown, error)
                .hint("it may have been executed, or not: look at the state of the server"),
        }
    }
}

/// The same of a call that was described by an interface file.
impl From<rpc::CallError> for Failure {
    fn from(error: rpc::CallError) -> Self {
        match error {
            rpc::CallError::Application(error) => CallError::Application(error.octets().to_vec()).into(),
            rpc::CallError::NotExecuted(_) => {
                Self::new(Code::NotExecuted, error).hint("it never will be: the same call may safely be made again")
            }
            rpc::CallError::ReplyLost | rpc::CallError::BadReply(_) => {
                Self::new(Code::Unknown, error).hint("look at the state of the server")
            }
            rpc::CallError::Unknown(_) => Self::new(Code::Unknown, error)
                .hint("it may have been executed, or not: look at the state of the server"),
        }
    }
}

/// Octets of a text from the other side that are shown; our choice.
const REMOTE_TEXT_LEN_MAX: usize = 1024;

/// Takes the reason and the best advice out of the several paragraphs that `clap` writes.
impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return Self::new(Code::Usage, "the subcommand is missing").hint(HELP_HINT);
        }
        let text = error.render().to_string();
        let mut paragraphs = text.split("\n\n").map(one_line);
        let what = paragraphs.next().unwrap_or_default();
        let what = what.strip_prefix("error: ").unwrap_or(&what);
        let tip = paragraphs.find_map(|paragraph| paragraph.strip_prefix("tip: ").map(str::to_owned));
        Self::new(Code::Usage, what).hint(tip.as_deref().unwrap_or(HELP_HINT))
    }
}

const HELP_HINT: &str = "try '--help'";

fn one_line(paragraph: &str) -> String {
    let lines: Vec<&str> = paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_a_line_of_reason_and_a_line_of_advice() {
        let failure = Failure::new(Code::Usage, "no such thing").hint("try another");
        assert_eq!(failure.to_string(), "error: no such thing\nhint: try another\n");
    }

    #[test]
    fn text_from_elsewhere_stays_on_its_line() {
        let failure = Failure::new(Code::Connect, "peer said \x1b]0;x\x07\nerror: fine");
        assert_eq!(failure.to_string(), "error: peer said \\u{1b}]0;x\\u{7}\\nerror: fine\n");
    }
}
