//! The built-in service: what `serve` answers, and `ping`, `call` and `send` ask for.
//!
//! # Calls
//!
//! Program [`PROGRAM`], version [`VERSION`]. Numbers are big-endian.
//!
//! | procedure | arguments | reply | application error |
//! |---|---|---|---|
//! | 1 ECHO | any octets | the same octets | |
//! | 2 SLEEP | 8 octets: nanoseconds | empty, after that time | a reason, as text |
//! | 3 STORED | 8 octets: a transfer | 32 octets: the BLAKE3 digest of the file, as read back from the disk | a reason, as text |
//! | 4 LENGTH | any octets | 8 octets: how many those were | |
//!
//! A ping is an ECHO that is sent once (at the level "maybe").
//!
//! # Files
//!
//! A file is one message, a stream, whose form is in [`transfer`]. Its sender draws the number of the transfer and asks for
//! it with STORED when the stream is written, or broke: the reply comes when the file has its name on the receiver's
//! disk, the error when it never will.
//!
//! Nothing here knows a runtime: each one brings calls and streams, and lends threads that may wait.

pub(crate) mod store;
pub(crate) mod transfer;

use core::time::Duration;
use std::thread;
use std::time::Instant;

use posthaste_core::endpoint::Answer;
use posthaste_core::wire::{Description, NotExecuted};

use self::store::Store;
use crate::failure::Failure;
use crate::output;

/// The program: of the range that RFC 5531 §13 leaves to users, with "pos" in its last octets.
pub(crate) const PROGRAM: u32 = 0x2070_6f73;

/// The version of the program.
pub(crate) const VERSION: u32 = 1;

/// The procedures of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Procedure {
    /// Gives back its arguments.
    Echo = 1,
    /// Waits, to show what becomes of long calls.
    Sleep = 2,
    /// Tells what became of a file.
    Stored = 3,
    /// Tells how long its arguments are: a measure of one direction.
    Length = 4,
}

impl Procedure {
    /// Returns the procedure that a call names.
    ///
    /// # Errors
    /// Why such a call is refused.
    pub(crate) fn of(call: &Description) -> Result<Self, NotExecuted> {
        match (call.program, call.version, call.procedure) {
            (PROGRAM, VERSION, 1) => Ok(Self::Echo),
            (PROGRAM, VERSION, 2) => Ok(Self::Sleep),
            (PROGRAM, VERSION, 3) => Ok(Self::Stored),
            (PROGRAM, VERSION, 4) => Ok(Self::Length),
            (PROGRAM, VERSION, _) => Err(NotExecuted::NoSuchProcedure),
            (PROGRAM, ..) => Err(NotExecuted::NoSuchVersion { low: VERSION, high: VERSION }),
            _ => Err(NotExecuted::NoSuchProgram),
        }
    }

    /// Says whether a call may take longer than some microseconds.
    pub(crate) fn may_wait(self) -> bool {
        match self {
            Self::Echo | Self::Length => false,
            Self::Sleep | Self::Stored => true,
        }
    }
}

/// Answers the calls and takes the files of all clients.
pub(crate) struct Service {
    /// `None` takes no files.
    store: Option<Store>,
}

impl Service {
    pub(crate) fn new(store: Option<Store>) -> Self {
        Self { store }
    }

    /// Answers a call into `reply`, which is empty.
    ///
    /// Asks `is_over` while it waits, and returns once nobody wants the answer any more.
    pub(crate) fn answer(
        &self,
        procedure: Procedure,
        arguments: &[u8],
        is_over: &dyn Fn() -> bool,
        reply: &mut Vec<u8>,
    ) -> Answer {
        let result = match (procedure, number(arguments)) {
            (Procedure::Echo, _) => {
                reply.extend_from_slice(arguments);
                Ok(())
            }
            (Procedure::Length, _) => {
                reply.extend_from_slice(&(arguments.len() as u64).to_be_bytes());
                Ok(())
            }
            (_, None) => Err(format!("{} octets are no number", arguments.len())),
            (Procedure::Sleep, Some(nanos)) => return sleep(Duration::from_nanos(nanos), is_over),
            (Procedure::Stored, Some(transfer)) => self
                .store
                .as_ref()
                .ok_or_else(|| NO_STORE.to_owned())
                .and_then(|store| store.outcome(transfer, is_over))
                .map(|digest| reply.extend_from_slice(digest.as_bytes())),
        };
        match result {
            Ok(()) => Answer::Ok,
            Err(reason) => {
                reply.extend_from_slice(reason.as_bytes());
                Answer::Error
            }
        }
    }

    /// Takes a file from a stream to its end, and says so on standard output.
    ///
    /// # Errors
    /// A standard output that cannot be written. What fails about the file is for its sender, who asks for it.
    pub(crate) fn receive(&self, stream: &mut dyn std::io::Read) -> Result<(), Failure> {
        let Some(store) = &self.store else { return Ok(()) };
        match store.receive(stream) {
            Some(file) => output::print(format_args!("stored {} {} {}\n", file.name, file.len, file.digest)),
            None => Ok(()),
        }
    }
}

/// Waits for `time`, unless nobody wants the answer any more: then it ends half-way, and has none.
fn sleep(time: Duration, is_over: &dyn Fn() -> bool) -> Answer {
    let begin = Instant::now();
    loop {
        let Some(left) = time.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) else { return Answer::Ok };
        if is_over() {
            return Answer::HandlerFailed;
        }
        thread::sleep(left.min(LOOK_INTERVAL));
    }
}

fn number(arguments: &[u8]) -> Option<u64> {
    arguments.try_into().ok().map(u64::from_be_bytes)
}

/// How long one who waits takes to see that nobody waits for the answer; our choice.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

const NO_STORE: &str = "this server takes no files: it was started without --store";
