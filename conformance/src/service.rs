//! What every server does, whichever adapter runs it.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use posthaste_core::endpoint::Answer;
use posthaste_core::wire::{Description, NotExecuted};

/// The program of all procedures; its version is 1.
pub const PROGRAM: u32 = 7;
/// Answers with its arguments.
pub const ECHO: u32 = 1;
/// Answers with its arguments as an application error.
pub const FAIL: u32 = 2;
/// Answers when its caller has cancelled it.
pub const HANG: u32 = 3;
/// Calls its caller with the arguments, and answers with that reply.
pub const CALL_BACK: u32 = 4;
/// Panics.
pub const PANIC: u32 = 5;
/// Adds 1 to the tally.
pub const TALLY: u32 = 6;
/// Answers with a [`Summary`].
pub const SUMMARY: u32 = 7;
/// Sends the stream from its caller back on that to its caller, and answers with its length.
pub const COPY: u32 = 8;
/// Answers when its server is told to shut down; counts as hanging until then.
pub const LINGER: u32 = 9;

/// What a server has seen.
#[derive(Debug, Default)]
pub struct Record {
    tally: AtomicU64,
    hanging: AtomicU64,
    is_ending: AtomicBool,
    cancelled: AtomicU64,
    messages: Mutex<Messages>,
}

#[derive(Debug, Default)]
struct Messages {
    count: u64,
    len: u64,
    digest: u64,
    /// Messages that came on a channel and are not the successor of the one before.
    disorder_count: u64,
    last: u64,
}

/// What a server tells of its record: numbers in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Executions of [`TALLY`].
    pub tally: u64,
    /// Executions of [`HANG`] and [`LINGER`] that have begun.
    pub hanging: u64,
    /// Those of them that were cancelled.
    pub cancelled: u64,
    /// Messages received.
    pub message_count: u64,
    /// Their octets.
    pub message_len: u64,
    /// The sum of their digests, which does not depend on their order.
    pub message_digest: u64,
    /// Messages on a channel that came out of order.
    pub disorder_count: u64,
}

/// What a handler is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Answer.
    Answer(Answer),
    /// Answer when the caller cancels.
    Hang,
    /// Call the caller.
    CallBack,
    /// Answer when the server is told to shut down.
    Linger,
    /// Copy from stream to stream.
    Copy,
    /// Panic, where the adapter is the one who runs handlers.
    Panic,
}

impl Record {
    /// Says whether a call is to be refused.
    ///
    /// # Errors
    /// Why.
    pub fn admit(procedure: &Description) -> Result<(), NotExecuted> {
        match (procedure.program, procedure.version, procedure.procedure) {
            (PROGRAM, 1, ECHO..=LINGER) => Ok(()),
            (PROGRAM, 1, _) => Err(NotExecuted::NoSuchProcedure),
            (PROGRAM, _, _) => Err(NotExecuted::NoSuchVersion { low: 1, high: 1 }),
            _ => Err(NotExecuted::NoSuchProgram),
        }
    }

    /// Runs what is common to all handlers, and writes the reply.
    pub fn handle(&self, procedure: u32, arguments: &[u8], reply: &mut Vec<u8>) -> Task {
        match procedure {
            ECHO => reply.extend_from_slice(arguments),
            FAIL => {
                reply.extend_from_slice(arguments);
                return Task::Answer(Answer::Error);
            }
            HANG => {
                self.hanging.fetch_add(1, Ordering::SeqCst);
                return Task::Hang;
            }
            CALL_BACK => return Task::CallBack,
            PANIC => return Task::Panic,
            COPY => return Task::Copy,
            LINGER => {
                self.hanging.fetch_add(1, Ordering::SeqCst);
                return Task::Linger;
            }
            TALLY => {
                self.tally.fetch_add(1, Ordering::SeqCst);
            }
            _ => self.summary().encode(reply),
        }
        Task::Answer(Answer::Ok)
    }

    /// Lets those that linger answer.
    pub fn end(&self) {
        self.is_ending.store(true, Ordering::SeqCst);
    }

    /// Says whether the server was told to shut down.
    pub fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::SeqCst)
    }

    /// Notes that a hanging call was cancelled.
    pub fn cancelled(&self) {
        self.cancelled.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes a message. One that comes on a channel begins with its number.
    pub fn message(&self, channel: Option<u64>, octets: &[u8]) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.count += 1;
        messages.len += octets.len() as u64;
        messages.digest = messages.digest.wrapping_add(digest(octets));
        if channel.is_some() {
            let number = octets.first_chunk().map_or(0, |octets| u64::from_le_bytes(*octets));
            messages.disorder_count += u64::from(number != messages.last + 1);
            messages.last = number;
        }
    }

    fn summary(&self) -> Summary {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        Summary {
            tally: self.tally.load(Ordering::SeqCst),
            hanging: self.hanging.load(Ordering::SeqCst),
            cancelled: self.cancelled.load(Ordering::SeqCst),
            message_count: messages.count,
            message_len: messages.len,
            message_digest: messages.digest,
            disorder_count: messages.disorder_count,
        }
    }
}

impl Summary {
    fn encode(&self, out: &mut Vec<u8>) {
        let numbers = [
            self.tally,
            self.hanging,
            self.cancelled,
            self.message_count,
            self.message_len,
            self.message_digest,
            self.disorder_count,
        ];
        for number in numbers {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// Reads a reply.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn decode(octets: &[u8]) -> Self {
        let mut numbers = octets.chunks_exact(8).map(|octets| u64::from_le_bytes(octets.try_into().expect("8 octets")));
        let mut next = || numbers.next().expect("a summary has seven numbers");
        Self {
            tally: next(),
            hanging: next(),
            cancelled: next(),
            message_count: next(),
            message_len: next(),
            message_digest: next(),
            disorder_count: next(),
        }
    }
}

/// Returns 64 bits that depend on every octet and its place (FNV-1a).
#[must_use]
pub fn digest(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3))
}
