//! What there is: a client, a server, everything that was ever sent between them, and what really happened.
//!
//! Ids are small counters in place of random numbers. That is the canonical form of "drawn and never drawn twice", and
//! a number that an enemy cannot guess needs no more than to be absent from the model.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::rules::LEASE;

/// One life of the server, from a start to a crash (S1).
pub type Incarnation = u8;
/// A call's place in its session (S11).
pub type Seq = u8;
/// What the application wants done; the model's stand-in for a procedure and its arguments.
pub type Intent = usize;
/// Marks one hello of the client, so that its answer can be told from the answer to another (S6).
pub type Nonce = u8;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub client: Client,
    pub server: Server,
    /// Never forgets, and delivers anything at any time: so it loses, delays, reorders and repeats without end.
    pub network: BTreeSet<Datagram>,
    pub history: History,
    pub faults: Faults,
}

/// Faults and openings that may still happen: what bounds the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Faults {
    pub server_restarts: u8,
    pub client_restarts: u8,
    pub address_changes: u8,
    pub ticks: u8,
    /// Tickets that the server may still draw.
    pub tickets: u8,
}

impl Faults {
    /// One session, and a network that does its worst.
    pub const NONE: Self = Self { server_restarts: 0, client_restarts: 0, address_changes: 0, ticks: 0, tickets: 1 };
}

// ---- The client ----------------------------------------------------------------------------------------------------

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    pub hello_count: Nonce,
    /// The hello that still waits for its ticket.
    pub hello: Option<Nonce>,
    pub ticket: Option<SessionId>,
    pub session: Option<Attachment>,
    pub calls: Vec<Phase>,
}

/// The client's end of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attachment {
    pub conversation: Conversation,
    pub link: Link,
    pub next_seq: Seq,
    /// Ticks since the open or resume of this conversation was first sent.
    pub age: u8,
    /// Ticks for which the client still relies on the session (S31).
    pub trust_left: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    Opening,
    Live,
    Resuming,
}

/// A call as the client sees it.
///
/// ```text
/// Idle -> Open -> Definite -> Closed
///           |        ^           ^
///           +-> Unknown ---------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Idle,
    /// Sent `age` ticks ago, no outcome yet.
    Open {
        seq: Seq,
        age: u8,
    },
    /// The application was told *outcome unknown*; an answer may still turn it into a definite one.
    Unknown {
        seq: Seq,
        age: u8,
    },
    /// The application was told a definite outcome, and has yet to take it.
    Definite {
        seq: Seq,
    },
    /// Retired, or left behind with its session.
    Closed,
}

impl Phase {
    /// The number under which the client still wants, or still holds, an answer.
    pub const fn seq(self) -> Option<Seq> {
        match self {
            Self::Open { seq, .. } | Self::Unknown { seq, .. } | Self::Definite { seq } => Some(seq),
            Self::Idle | Self::Closed => None,
        }
    }
}

// ---- The server ----------------------------------------------------------------------------------------------------

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    pub incarnation: Incarnation,
    pub ticket_count: u8,
    pub tickets_spent: BTreeSet<SessionId>,
    pub sessions: BTreeMap<SessionId, Session>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    /// The conversation that it is attached to (S9).
    pub number: u8,
    pub lease_left: u8,
    pub retired: Watermark,
    /// Indexed by sequence number.
    pub slots: Vec<Slot>,
}

impl Session {
    pub fn attached_to(number: u8, slot_count: usize) -> Self {
        Self { number, lease_left: LEASE, retired: Watermark::default(), slots: vec![Slot::Empty; slot_count] }
    }
}

/// What the server knows of one call.
///
/// ```text
/// Empty -> Queued -> Running -> Done
///   |         |
///   +-> Tombstone
/// ```
/// Every state but `Running` goes back to `Empty` when the call is retired; its number is dead by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    Empty,
    Queued(Intent),
    Running(Intent),
    /// Reached by a mutant alone: the effect is committed and its record is not.
    Unrecorded(Execution),
    Done(Execution, Octets),
    Tombstone,
}

/// Whether the server still holds the octets of a reply (S15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Octets {
    Kept,
    Freed,
}

// ---- What passes between them --------------------------------------------------------------------------------------

/// Drawn by the server, unique among all of its lives because the life is part of it (S3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    pub issued_by: Incarnation,
    pub index: u8,
}

/// What every datagram after the hello belongs to: one life of the server and one address of the client (S2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conversation {
    pub incarnation: Incarnation,
    pub session: SessionId,
    pub number: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Datagram {
    Hello(Nonce),
    Ticket(Nonce, SessionId),
    ToServer(Conversation, Ask),
    ToClient(Conversation, Answer),
}

/// What the client sends in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    Open {
        first: Option<Request>,
    },
    Resume,
    Call(Request),
    Resolve {
        seq: Seq,
    },
    Retire(Watermark),
    /// The client's core holds the whole reply.
    Received {
        seq: Seq,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    pub seq: Seq,
    pub intent: Intent,
    pub retired: Watermark,
}

/// All numbers below `low` are retired, except those in `open` (S16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watermark {
    pub low: Seq,
    pub open: SeqSet,
}

impl Watermark {
    pub const fn retires(self, seq: Seq) -> bool {
        seq < self.low && !self.open.contains(seq)
    }
}

/// Sequence numbers below eight, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeqSet(u8);

impl SeqSet {
    pub const fn with(self, seq: Seq) -> Self {
        Self(self.0 | 1 << seq)
    }

    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub const fn contains(self, seq: Seq) -> bool {
        self.0 & 1 << seq != 0
    }

    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }
}

/// What the server sends in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    Opened,
    Resumed,
    Reply {
        seq: Seq,
        of: Execution,
    },
    ReplyLost {
        seq: Seq,
    },
    /// The call will never execute.
    Refused {
        seq: Seq,
    },
    /// No such conversation here; the server's life is `now`.
    Stale {
        now: Incarnation,
    },
}

// ---- What really happened ------------------------------------------------------------------------------------------

/// The truth, which neither side can see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct History {
    /// By intent.
    pub executions: Vec<u8>,
    /// By intent: every outcome that the application was told.
    pub told: Vec<BTreeSet<Outcome>>,
    pub broken: BTreeSet<Breach>,
}

/// The `nth` execution, counted from one, of an intent. A reply names the execution that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Execution {
    pub intent: Intent,
    pub nth: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    Ok(Execution),
    NotExecuted,
    ReplyLost,
    Unknown,
}

/// Something the server holds against a client that kept every rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Breach {
    WindowExceeded,
}
