//! One peer: its session, the conversation that serves it, and what waits to be sent.

use core::net::{IpAddr, SocketAddr};
use core::num::NonZero;

use crate::conversation::Conversation;
use crate::exchange::{Briefly, Exchange};
use crate::outgoing::{Outgoing, Queued};
use crate::sent::InLost;
use crate::session::Session;
use crate::storage::{Block, Linked, Links, List};
use crate::time::{Instant, NANOS_PER_MILLI};
use crate::wire::{CloseCode, Parameters, SessionOutcome, Side};

/// State of one peer.
///
/// The fields lie in memory as they are written here, and so do those of the structures within: what each datagram touches
/// is together in the middle, from the end of the conversation to the beginning of the session. Among ten thousand peers, the cost of a
/// datagram is that of the cache lines which it fetches.
#[derive(Debug)]
#[repr(C)]
pub struct Peer {
    /// What does not.
    pub conversation: Conversation,
    /// The index of the path.
    pub path: u32,
    pub(crate) ready: Links,
    pub(crate) eventful: Links,
    pub(crate) starved: Links,
    pub(crate) on_path: Links,
    /// Frames that were lost.
    pub lost: List<InLost>,
    /// Flows of which one frame carried all, and that were lost.
    pub lost_flows: List<Queued>,
    /// Exchanges with something to announce.
    pub noticed: List<Noticed>,
    /// Flows with something to send that never was, by priority.
    ///
    /// These wait for the peer's credit and window, in order: what is behind the first must not take the room that it waits for.
    pub queues: [List<Queued>; PRIORITY_COUNT],
    /// Flows that have begun and have more to send, by priority. They need no further credit, so nothing may hold them up: the
    /// credit that others wait for comes back when they are done.
    pub begun: [List<Queued>; PRIORITY_COUNT],
    /// Brief calls and replies that wait to be sent, all accepted before what is in the queue of their priority.
    pub briefs: List<Briefly>,
    /// How long the server keeps the session without traffic, in milliseconds.
    pub lease_millis: u32,
    /// When an authentic datagram was last received.
    pub received_at: Instant,
    /// When the last datagram was sent that the peer acknowledged: the peer's lease runs at least from here.
    pub answered_at: Instant,
    /// Since when something is awaited from the peer without a word from it.
    pub awaiting_since: Option<Instant>,
    /// When to look whether a flow that we receive makes no progress.
    pub stalled_at: Option<Instant>,
    /// For how long nothing new is to be begun, because the peer asked so.
    pub busy_until: Option<Instant>,
    /// When open calls were last asked about.
    pub asked_at: Instant,
    /// Before which seq everything must be acknowledged for the application to be told; before 0 there is nothing.
    pub flush_to: Option<NonZero<u64>>,
    /// Server: when the conversation began. Of two that ask for one session, the later one has it.
    pub begun_at: Instant,
    /// What the peer announced, or what holds until it did.
    pub parameters: Parameters,
    /// How many of our calls are open.
    pub open_call_count: u32,
    /// How many replies of ours are not acknowledged.
    pub open_reply_count: u32,
    /// How many runs of octets beyond holes there are in its flows.
    pub run_count: u32,
    /// How many octets its messages without a number hold here.
    pub unnumbered_len: u32,
    /// How many streams that the peer began hold memory here.
    pub stream_count: u16,
    /// What is to be announced beside the exchanges; bits of [`Notices`].
    pub notices: u16,
    /// What the application is to be told; bits of [`News`].
    pub news: u16,
    /// Which side of the conversation we are.
    pub side: Side,
    /// Client: which of the sockets of the server's port has the session.
    pub socket: u8,
    /// How often in a row they were asked about.
    pub ask_count: u8,
    /// Whether it is open which session a protected conversation serves: a client that asks for the one before waits for the
    /// answer, and a server for the first datagram, which asks or does not. Nothing of any session is said until then
    /// (protocol §4.16).
    pub is_undecided: bool,
    /// Server: whether the client may not know yet which session a protected conversation serves. Each datagram says so until then
    /// (protocol §4.16).
    pub is_untold: bool,
    /// Whether we refuse calls, because we drain.
    pub is_refusing: bool,
    /// Whether it is to be granted credit as soon as there is memory.
    pub is_starved: bool,
    /// Whether its place is among those who wait for room in the pools, and not among those who are ready.
    pub is_crowded: bool,
    /// A challenge that is to be answered.
    pub response: Option<Response>,
    /// The index of the move under way, in a protected conversation.
    pub moving: Option<u32>,
    /// The handshake under way, if there is one.
    pub handshake: Option<u32>,
    /// What the conversation has come to.
    pub stage: Stage,
    /// What outlives the conversation.
    pub session: Session,
    /// Server: the number of the hello that is to be answered.
    pub hello_number: u32,
    /// What the server's answer says of the session.
    pub outcome: SessionOutcome,
    /// Whether the peer begins no calls of ours any more.
    pub is_draining: bool,
    /// A token for the next opening, if there was room to keep it.
    pub ticket: Option<Block>,
    /// Who the peer must be, as the crypto understands it.
    pub identity: Option<Block>,
}

/// What the conversation with a peer has come to.
///
/// ```text
///            demand            answer            close by us
/// Idle ----------------> Opening -----> Open ---------------------> Closing --3 PTO--> gone
///   ^                      ^ |            | \---close by the peer--> Draining --3 PTO--> gone
///   |  idle, lease over    | | no answer  |
///   +----------------------|-+            | silence, change of address, reset
///   |                      +--------------+ (client)
///   +-------------------------------------+ (server: Suspended, until the client resumes or the lease ends)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Client: no conversation; the next demand opens one.
    Idle,
    /// Client: the hello is out.
    Opening(Opening),
    /// Server: the handshake of a protected conversation is under way.
    Securing,
    /// Datagrams flow.
    Open,
    /// Server: the conversation is lost, and the session waits for the client to resume it.
    Suspended,
    /// We closed; further datagrams of the peer are answered with the same CLOSE.
    Closing(Closing),
    /// The peer closed; we are silent.
    Draining {
        /// When the slot is given up.
        until: Instant,
    },
}

/// An opening under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// How many hellos were sent: the number of the next.
    pub hello_count: u32,
    /// The first hello with the token of today.
    pub hello_first: u32,
    /// When the last four were sent, by number modulo 4.
    pub sent_at: [Instant; 4],
    /// When the next hello goes out.
    pub next_at: Instant,
    /// When the opening began.
    pub since: Instant,
    /// How many retries were accepted.
    pub retry_count: u8,
    /// The datagram record that holds the frames which the hellos carry.
    pub carried: Option<u32>,
    /// Whether it asks for the session to go on.
    pub resume: Resume,
}

/// Whether an opening asks for the session to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// A session of its own.
    No,
    /// The session that there was.
    Yes,
}

/// A close under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// What is told.
    pub code: Code,
    /// When the slot is given up.
    pub until: Instant,
    /// Datagrams received since; the CLOSE is repeated when it is a power of two.
    pub received_count: u32,
    /// Whether the CLOSE is to be sent.
    pub is_due: bool,
}

/// A move under way: the address is challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moving {
    /// Where the newest datagram came from.
    pub address: SocketAddr,
    /// Where it came to.
    pub local: Option<IpAddr>,
    /// What has to come back from there.
    pub data: [u8; 8],
    /// Octets received from there.
    pub received: u64,
    /// Octets sent there.
    pub sent: u64,
    /// When the challenge is sent, again or for the first time.
    pub next_at: Instant,
    /// How often it was sent.
    pub attempts: u8,
    /// Whether the answer came.
    pub is_proven: bool,
}

/// The answer to a challenge, and where the challenge came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// What the challenge bore.
    pub data: [u8; 8],
    /// Where the challenge came to.
    pub local: Option<IpAddr>,
    /// Where it came from.
    pub from: Place,
}

/// From which of the addresses of a peer something came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// That of its path.
    Path,
    /// The one that it may be moving to.
    Elsewhere,
}

/// Why a conversation was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// By the protocol.
    Protocol(CloseCode),
    /// By the application, with a number of its own.
    Application(u64),
}

/// A token that opens a session, taken out of where it lay: a datagram or the arena.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    octets: [u8; Self::LEN_MAX],
    len: u8,
}

impl Ticket {
    /// The longest token (protocol §3.1.3).
    pub const LEN_MAX: usize = 128;
    /// No token.
    pub const NONE: Self = Self { octets: [0; Self::LEN_MAX], len: 0 };

    /// Keeps a token; one that is too long is none.
    #[must_use]
    pub fn new(token: &[u8]) -> Self {
        let mut ticket = Self::NONE;
        if let Some(place) = ticket.octets.get_mut(..token.len()) {
            place.copy_from_slice(token);
            ticket.len = token.len() as u8;
        }
        ticket
    }

    /// Returns the token; empty if there is none.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }
}

/// Bits of what is to be announced to a peer, beside its exchanges.
#[derive(Debug)]
pub enum Notices {}

impl Notices {
    /// CREDIT.
    pub const CREDIT: u16 = 1;
    /// DRAIN.
    pub const DRAIN: u16 = 1 << 1;
    /// TAKEN, of those channels that are marked.
    pub const TAKEN: u16 = 1 << 2;
    /// PING.
    pub const PING: u16 = 1 << 3;
    /// The server's answer to a hello.
    pub const ANSWER: u16 = 1 << 4;
    /// BUSY; not repeated when lost, what finds no room again asks for it again.
    pub const BUSY: u16 = 1 << 5;
    /// SESSION, in a protected conversation, before it is known whether the client asks for another one.
    pub const SESSION: u16 = 1 << 6;
    /// ACK_FREQUENCY.
    pub const ACK_FREQUENCY: u16 = 1 << 7;
    /// RESUME, in a protected conversation.
    pub const RESUME: u16 = 1 << 8;
    /// SESSION, once that is settled (protocol §4.16).
    pub const SETTLED: u16 = 1 << 9;
    /// Those that must arrive.
    pub const RELIABLE: u16 =
        Self::CREDIT | Self::DRAIN | Self::SESSION | Self::ACK_FREQUENCY | Self::RESUME | Self::SETTLED;
    /// Those that are of no session.
    pub const OF_NO_SESSION: u16 = Self::PING | Self::SESSION | Self::ACK_FREQUENCY | Self::RESUME;
}

/// Bits of what the application is to be told about a peer.
#[derive(Debug)]
pub enum News {}

impl News {
    /// The peer answers.
    pub const CONNECTED: u16 = 1;
    /// Everything up to the flush was acknowledged.
    pub const FLUSHED: u16 = 1 << 1;
    /// The peer begins no calls any more.
    pub const DRAINING: u16 = 1 << 2;
    /// The peer took messages of a channel.
    pub const TAKEN: u16 = 1 << 3;
    /// The session is lost; the peer remains, and the next demand opens another.
    pub const SESSION_LOST: u16 = 1 << 4;
    /// The conversation was closed.
    pub const CLOSED: u16 = 1 << 5;
}

/// Queues by priority.
pub const PRIORITY_COUNT: usize = 4;

/// Marks the list of peers with something to send.
#[derive(Debug)]
pub enum Ready {}
/// Marks the list of peers of which the application is to be told.
#[derive(Debug)]
pub enum Eventful {}
/// Marks the list of peers that wait for memory before they are granted more.
#[derive(Debug)]
pub enum Starved {}
/// Marks the list of peers on one path.
#[derive(Debug)]
pub enum OnPath {}
/// Marks the list of exchanges with something to announce.
#[derive(Debug)]
pub enum Noticed {}

impl Peer {
    /// Lets two peers change conversations, and what is known by them; the sessions stay, and so do the paths.
    pub const fn swap_conversations(&mut self, other: &mut Self) {
        use core::mem::swap;
        swap(&mut self.conversation, &mut other.conversation);
        swap(&mut self.begun_at, &mut other.begun_at);
        swap(&mut self.parameters, &mut other.parameters);
        swap(&mut self.handshake, &mut other.handshake);
        swap(&mut self.moving, &mut other.moving);
        swap(&mut self.response, &mut other.response);
        swap(&mut self.ticket, &mut other.ticket);
        swap(&mut self.received_at, &mut other.received_at);
        swap(&mut self.awaiting_since, &mut other.awaiting_since);
    }

    /// Says whether it takes turns in sending, rather than waiting for room or for something to send.
    #[must_use]
    pub const fn has_turn(&self) -> bool {
        self.ready.is_linked() && !self.is_crowded
    }

    /// Says whether the server may have forgotten the session that we opened. It counts its lease from what it received, which was
    /// later than what it answered last: at three quarters it still lives.
    #[must_use]
    pub fn may_be_forgotten(&self, now: Instant) -> bool {
        let lease = u64::from(self.lease_millis) * (NANOS_PER_MILLI / 4 * 3);
        self.side == Side::Client
            && self.answered_at > Instant::ORIGIN
            && now > self.answered_at.saturating_add_nanos(lease)
    }

    /// Returns the queue that a flow is in, or belongs into.
    pub fn queue_of(&mut self, flow: &Outgoing) -> &mut List<Queued> {
        // What was sent to its end has nothing fresh to wait with.
        if flow.is_end_sent {
            return &mut self.lost_flows;
        }
        let queues = if flow.is_begun() { &mut self.begun } else { &mut self.queues };
        &mut queues[usize::from(flow.priority)]
    }
}

macro_rules! linked {
    ($type:ty, $($marker:ty => $field:ident),*) => {
        $(impl Linked<$marker> for $type {
            fn links(&self) -> Links {
                self.$field
            }
            fn links_mut(&mut self) -> &mut Links {
                &mut self.$field
            }
        })*
    };
}

linked!(Peer, Ready => ready, Eventful => eventful, Starved => starved, OnPath => on_path);
linked!(Exchange, Noticed => noticed);
