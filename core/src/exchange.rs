//! Exchanges: messages and calls, each with its flows, from acceptance to retirement.

use crate::lane::Lane;
use crate::outcome::{Outcome, Unknown};
use crate::storage::{Block, Key, Linked, Links};
use crate::time::Instant;
use crate::wire::{Description, Role};

/// A reliable message, or a call with its reply and streams (protocol §1.5); or, without a seq, an unreliable message.
#[derive(Debug)]
pub struct Exchange {
    /// The index of the peer.
    pub peer: u32,
    /// Who began it.
    pub begun_by: Party,
    /// Its number among those that the same side began in this session; `None` for an unreliable message.
    pub seq: Option<u64>,
    /// What it has come to.
    pub stage: Stage,
    /// Its flows, by [`Lane`]: indices among the outgoing or the incoming flows, as [`Exchange::is_outgoing`] tells.
    pub flows: [Option<u32>; 4],
    /// How far it is, while its flows have no records.
    pub brief: Brief,
    /// Of a brief call: the octets that are held, and the length of the flow that they are of.
    pub body: Option<Block>,
    /// Of a brief call: the length of what arrived last, or is sent.
    pub len: u32,
    /// Of a brief call: the datagram that carries it.
    pub datagram: u32,
    /// Theirs: the role of its first flow, once something of it has arrived.
    pub role: Option<Role>,
    /// Which procedure it calls; `None` for a message.
    pub procedure: Option<Description>,
    /// How many nanoseconds the caller waits: from the beginning, or from the last progress of a stream of the call.
    pub timeout: Option<u64>,
    /// When the caller gives up.
    pub deadline: Option<Instant>,
    /// What our call came to, once it is over or unknown.
    pub outcome: Outcome,
    /// The fingerprint of the request, to tell a repetition from another request with the same number.
    pub fingerprint: u32,
    /// When its stage was entered; what PROGRESS tells.
    pub since: Instant,
    /// What the handler says of its progress, plus 1; or what the callee said. 0 is nothing.
    pub progress: u64,
    /// The channel of a message in order, and its position there.
    pub channel: Option<(Key, u64)>,
    /// What is to be announced to the peer.
    pub notices: u16,
    /// The reasons given with RESET and STOP.
    pub reasons: [u8; 4],
    /// What the application is to be told.
    pub news: u16,
    /// Lanes on which an incoming flow came to its end; bits by [`Lane`].
    pub done: u8,
    /// Lanes on which we asked the peer to stop, and wait for its RESET; bits by [`Lane`].
    pub stopped: u8,
    /// Whether its beginner wants nothing more of it.
    pub is_retired: bool,
    pub(crate) by_seq: Links,
    pub(crate) noticed: Links,
    pub(crate) eventful: Links,
    pub(crate) timed: Links,
    pub(crate) held: Links,
    /// In its peer's queue of brief calls, or in a datagram.
    pub(crate) briefly: Links,
}

/// How far a brief call is: one whose request and reply are one frame each and say nothing but their octets, as those of nearly all
/// small calls. One of the two is held at a time, by the exchange itself, and takes the place of one record of a flow.
///
/// ```text
/// ours:   Queued --sent--> Carried --acknowledged--> Settled --reply--> Arrived --released--> Settled
/// theirs: Arrived --answered--> Queued --sent--> Carried --acknowledged--> Settled
/// ```
///
/// Where anything else befalls it - a loss, a cancel, a reply with more to say - it is spelled out: its flows get their records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brief {
    /// Its flows have records, if it has any.
    No,
    /// The request of a call of theirs, or the reply to ours, is here.
    Arrived,
    /// The request of a call of ours, or the reply to theirs, waits in its peer's queue.
    Queued,
    /// A datagram in flight carries it.
    Carried,
    /// It was acknowledged, or released: nothing is held, and no flow has a record.
    Settled,
}

/// Marks the queue of brief calls with something to send, and the list of those that one datagram carries.
#[derive(Debug)]
pub enum Briefly {}

/// One of the two sides, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// This endpoint.
    Us,
    /// The peer.
    Them,
}

/// What an exchange has come to.
///
/// ```text
/// ours, message:  Open --acknowledged or failed--> Over
/// ours, call:     Open --reply or definite end--> Over          Open --deadline, cancel, silence--> Unknown --resolve--> Open
/// theirs, message: Arriving --complete--> Held (its channel's turn) --> Ready --taken--> Over
/// theirs, call:   Arriving --complete--> Queued --begin--> Running --reply--> Over
///                        \------------------\--refused, cancelled, resolved--> Over (the reply is the tombstone)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Ours: under way.
    Open,
    /// Ours: a call whose outcome is unknown; it can be resolved until the application lets go of it.
    Unknown,
    /// Theirs: its first flow is not complete.
    Arriving,
    /// Theirs: a complete message that waits for its predecessors on the channel.
    Held,
    /// Theirs: a message that the application may take.
    Ready,
    /// Theirs: a call that was handed to the application and not begun.
    Queued,
    /// Theirs: a call whose handler runs.
    Running,
    /// Nothing more will come of it; the record remains until it is retired and nobody holds any of its flows.
    Over,
}

/// Bits of what is to be announced about an exchange. Lane-wise bits are shifted left by the lane.
#[derive(Debug)]
pub enum Notices {}

impl Notices {
    /// RESET of the lane 0; `<< lane` for others.
    pub const RESET: u16 = 1;
    /// STOP.
    pub const STOP: u16 = 1 << 4;
    /// STREAM_CREDIT.
    pub const CREDIT: u16 = 1 << 8;
    /// CANCEL.
    pub const CANCEL: u16 = 1 << 12;
    /// RESOLVE.
    pub const RESOLVE: u16 = 1 << 13;
    /// ASK; not repeated when lost, the asking timer does that.
    pub const ASK: u16 = 1 << 14;
    /// PROGRESS; not repeated when lost, the asker asks again.
    pub const PROGRESS: u16 = 1 << 15;
    /// Those that must arrive.
    pub const RELIABLE: u16 = !(Self::ASK | Self::PROGRESS);
}

/// Bits of what the application is to be told about an exchange, in the order in which it is told.
#[derive(Debug)]
pub enum News {}

impl News {
    /// A call arrived.
    pub const CALL_RECEIVED: u16 = 1;
    /// A whole message arrived, or a stream began.
    pub const MESSAGE_RECEIVED: u16 = 1 << 1;
    /// There is more to read on a lane; `<< lane`.
    pub const READABLE: u16 = 1 << 2;
    /// There is room to write on a lane again; `<< lane`.
    pub const WRITABLE: u16 = 1 << 6;
    /// The callee said how far it is.
    pub const PROGRESS: u16 = 1 << 10;
    /// The peer wants the call cancelled.
    pub const CANCELLED: u16 = 1 << 11;
    /// Our message was acknowledged.
    pub const ACKNOWLEDGED: u16 = 1 << 12;
    /// Our message will not be delivered, or nobody knows.
    pub const FAILED: u16 = 1 << 13;
    /// Our call has an outcome.
    pub const ENDED: u16 = 1 << 14;
}

impl Exchange {
    /// Stands for the peer of an exchange whose session is gone.
    pub const ORPHAN: u32 = u32::MAX;
    /// The outcome of what has come to nothing so far; whoever loses contact loses the exchange too.
    const UNANSWERED: Outcome = Outcome::Unknown(Unknown::ConnectionLost);

    /// What each exchange is before anything is known of it. It is put into its place first and made what it is there: of what is
    /// written in small pieces and then moved in large ones, each move waits for the writes.
    pub const BLANK: Self = Self {
        peer: Self::ORPHAN,
        begun_by: Party::Us,
        seq: None,
        stage: Stage::Open,
        flows: [None; 4],
        brief: Brief::No,
        body: None,
        len: 0,
        datagram: u32::MAX,
        role: None,
        procedure: None,
        timeout: None,
        deadline: None,
        outcome: Self::UNANSWERED,
        fingerprint: 0,
        since: Instant::ORIGIN,
        progress: 0,
        channel: None,
        notices: 0,
        reasons: [0; 4],
        news: 0,
        done: 0,
        stopped: 0,
        is_retired: false,
        by_seq: Links::UNLINKED,
        noticed: Links::UNLINKED,
        eventful: Links::UNLINKED,
        timed: Links::UNLINKED,
        held: Links::UNLINKED,
        briefly: Links::UNLINKED,
    };

    /// Says whether a lane bears a mark of `done` or `stopped`.
    #[must_use]
    pub const fn is_marked(marks: u8, lane: Lane) -> bool {
        marks & (1 << lane as u8) != 0
    }

    /// Returns the flow of a lane; the call must not be brief, unless it is settled.
    #[must_use]
    pub const fn flow(&self, lane: Lane) -> Option<u32> {
        debug_assert!(matches!(self.brief, Brief::No | Brief::Settled), "a brief call has no records of flows");
        self.flows[lane as usize]
    }

    /// Says whether nothing is held of any of its flows.
    #[must_use]
    pub fn has_no_flow(&self) -> bool {
        match self.brief {
            Brief::No => self.flows == [None; 4],
            Brief::Settled => {
                debug_assert!(self.flows == [None; 4], "a call is spelled out before a flow of it gets a record");
                true
            }
            Brief::Arrived | Brief::Queued | Brief::Carried => false,
        }
    }

    /// Returns on which lane a brief call moves: a request until it has arrived, and then its reply.
    #[must_use]
    pub const fn brief_lane(&self) -> Lane {
        match (self.begun_by, self.brief) {
            (Party::Us, Brief::Arrived) | (Party::Them, Brief::Queued | Brief::Carried | Brief::Settled) => {
                Lane::Backward
            }
            _ => Lane::Forward,
        }
    }

    /// Says whether we are the sender on a lane.
    #[must_use]
    pub const fn is_outgoing(&self, lane: Lane) -> bool {
        matches!(self.begun_by, Party::Us) == lane.leads_forward()
    }

    /// Says whether it is a call.
    #[must_use]
    pub const fn is_call(&self) -> bool {
        self.procedure.is_some()
    }

    /// Says whether it is a call that has no reply.
    #[must_use]
    pub fn is_one_way(&self) -> bool {
        self.procedure.is_some_and(|procedure| procedure.options.is_one_way())
    }

    /// Says whether a flow from the peer is still to come on a lane on which none has begun.
    #[must_use]
    pub fn awaits(&self, lane: Lane) -> bool {
        if self.is_outgoing(lane) || Self::is_marked(self.done, lane) {
            return false;
        }
        let options = self.procedure.map(|procedure| procedure.options);
        match lane {
            Lane::Forward => self.stage == Stage::Arriving,
            Lane::Backward => options.is_some_and(|options| !options.is_one_way()),
            Lane::Upward => options.is_some_and(|options| options.has_upward()),
            Lane::Downward => options.is_some_and(|options| options.has_downward()),
        }
    }

    /// Says whether our call was given up, and what it came to is asked for.
    #[must_use]
    pub fn is_resolving(&self) -> bool {
        self.stage == Stage::Open && self.outcome != Self::UNANSWERED
    }

    /// Lets its caller wait for so many nanoseconds from here on.
    pub fn set_timeout(&mut self, now: Instant, timeout: Option<u64>) {
        self.timeout = timeout;
        self.deadline = timeout.map(|timeout| now.saturating_add_nanos(timeout));
    }

    /// Enters a stage.
    pub const fn enter(&mut self, stage: Stage, now: Instant) {
        self.stage = stage;
        self.since = now;
    }
}

impl Linked<Briefly> for Exchange {
    fn links(&self) -> Links {
        self.briefly
    }
    fn links_mut(&mut self) -> &mut Links {
        &mut self.briefly
    }
}
