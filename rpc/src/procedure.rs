//! Procedures, as their interface file describes them.

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

use posthaste_xdr::{Decode, DecodeError, Limits, Strictness};

/// What an interface file says about a procedure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Its name there.
    pub name: &'static str,
    /// The number of its program.
    pub program: u32,
    /// The number of the program's version.
    pub version: u32,
    /// Its own number.
    pub procedure: u32,
    /// What is promised about its execution (`@semantics`).
    pub semantics: Semantics,
    /// How long its caller waits (`@deadline`).
    pub timeout: Timeout,
    /// Whether it is answered (`@oneway`).
    pub reply: ReplyMode,
    /// What flows beside it (`@stream`).
    pub streams: Streams,
    /// The most octets that its arguments may take (`@max args`).
    pub arguments_len_max: u32,
    /// The most octets that its result may take (`@max result`).
    pub result_len_max: u32,
    /// The octets of memory that its arguments and its result may take for each of their own (`@memory`), and 256 besides.
    pub memory_factor: u32,
    /// Whether what means nothing is an error in its arguments and its result (`@lenient`).
    pub strictness: Strictness,
}

impl Signature {
    /// Returns what decoding its arguments may take.
    #[inline]
    #[must_use]
    pub fn arguments_limits(&self) -> Limits {
        self.limits(self.arguments_len_max)
    }

    /// Returns what decoding its result may take.
    #[inline]
    #[must_use]
    pub fn result_limits(&self) -> Limits {
        self.limits(self.result_len_max)
    }

    // Of a procedure that is known when this is compiled, they are known, too.
    #[inline]
    fn limits(&self, len_max: u32) -> Limits {
        let limits = Limits::default();
        Limits {
            len_max: len_max as usize,
            // Elements that take octets are paid for by these: no array is refused that an interface file has room for.
            work_max: limits.work_max.max(len_max / 4),
            memory_factor: self.memory_factor as usize,
            strictness: self.strictness,
            ..limits
        }
    }
}

/// How often a call is executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Semantics {
    /// Never twice.
    #[default]
    AtMostOnce,
    /// At least once if it returned.
    AtLeastOnce,
    /// One datagram, no repetition.
    Maybe,
    /// Once, across restarts of the callee.
    ExactlyOnce,
}

/// How long a caller waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Timeout {
    /// As long as the client's configuration says.
    #[default]
    Configured,
    /// This long.
    After(Duration),
    /// As long as the callee says that it is at work.
    Never,
}

/// Whether a call is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReplyMode {
    /// It is.
    #[default]
    Expected,
    /// One-way: it is not.
    Never,
}

/// Which streams go beside a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Streams {
    /// None.
    #[default]
    None,
    /// One from the caller.
    Upward,
    /// One to the caller.
    Downward,
    /// One each way.
    Both,
}

/// A procedure whose result is an `R`.
///
/// Generated for each procedure. Generated clients call with it, and whoever drives calls without one reads their results with it.
pub struct Procedure<R> {
    /// What its interface file says.
    pub signature: Signature,
    result: PhantomData<fn() -> R>,
}

impl<R> Procedure<R> {
    /// Makes a procedure of which its interface file says nothing special.
    #[must_use]
    pub const fn new(name: &'static str, program: u32, version: u32, procedure: u32) -> Self {
        let signature = Signature {
            name,
            program,
            version,
            procedure,
            semantics: Semantics::AtMostOnce,
            timeout: Timeout::Configured,
            reply: ReplyMode::Expected,
            streams: Streams::None,
            arguments_len_max: LEN_MAX,
            result_len_max: LEN_MAX,
            memory_factor: MEMORY_FACTOR,
            strictness: Strictness::Strict,
        };
        Self { signature, result: PhantomData }
    }

    /// Says how often a call of it may be executed.
    #[must_use]
    pub const fn with_semantics(mut self, semantics: Semantics) -> Self {
        self.signature.semantics = semantics;
        self
    }

    /// Says how long its callers wait.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Timeout) -> Self {
        self.signature.timeout = timeout;
        self
    }

    /// Says that it is not answered.
    #[must_use]
    pub const fn with_one_way(mut self) -> Self {
        self.signature.reply = ReplyMode::Never;
        self
    }

    /// Says what flows beside it.
    #[must_use]
    pub const fn with_streams(mut self, streams: Streams) -> Self {
        self.signature.streams = streams;
        self
    }

    /// Says how many octets its arguments may take.
    #[must_use]
    pub const fn with_arguments_len_max(mut self, len_max: u32) -> Self {
        self.signature.arguments_len_max = len_max;
        self
    }

    /// Says how many octets its result may take.
    #[must_use]
    pub const fn with_result_len_max(mut self, len_max: u32) -> Self {
        self.signature.result_len_max = len_max;
        self
    }

    /// Says how many octets of memory its arguments and its result may take for each of their own, and 256 besides.
    #[must_use]
    pub const fn with_memory_factor(mut self, factor: u32) -> Self {
        self.signature.memory_factor = factor;
        self
    }

    /// Says that what means nothing is no error in its arguments and its result: for peers that do not do better.
    #[must_use]
    pub const fn with_lenience(mut self) -> Self {
        self.signature.strictness = Strictness::Lenient;
        self
    }
}

impl<R: for<'a> Decode<'a>> Procedure<R> {
    /// Reads the octets of its result.
    ///
    /// # Errors
    /// If they are none; [`DecodeError::TooLong`] and the like if they take more than [`Signature::result_limits`].
    pub fn decode_result(&self, octets: &[u8]) -> Result<R, DecodeError> {
        posthaste_xdr::from_octets(octets, &self.signature.result_limits())
    }
}

/// As in a log: `add (536870913.1.2)`.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}.{}.{})", self.name, self.program, self.version, self.procedure)
    }
}

impl<R> Clone for Procedure<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Procedure<R> {}

impl<R> fmt::Debug for Procedure<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Procedure").field(&self.signature).finish()
    }
}

/// The most octets of arguments and of results, unless the interface file says something else; that of
/// [`Limits::default`](posthaste_xdr::Limits).
const LEN_MAX: u32 = 16 << 20;

/// Chosen, as that of [`Limits::default`](posthaste_xdr::Limits): whoever sends a megabyte takes no more than four.
const MEMORY_FACTOR: u32 = 4;
