//! What is in flight: datagrams that were sent and not yet acknowledged, and the frames in them.
//!
//! Each run of octets of a flow, and each announcement, that must arrive is one [`SentFrame`] from its first transmission
//! until it is acknowledged. It is in the datagram that carried it last; when that datagram is lost the frame is also
//! queued, and moves to the datagram that carries it next. So nothing is ever in flight twice in the books, and a
//! flow is acknowledged when it has no frame left.
//!
//! A flow of which one frame carries all, as nearly all small calls and replies are, is in its datagram itself, and needs no
//! [`SentFrame`]; it gets one when it no longer goes out in such a frame.

use crate::delivery_rate::Snapshot;
use crate::exchange::Briefly;
use crate::storage::{Key, Linked, Links, List};
use crate::time::Instant;

/// A datagram of the data epoch that was sent and neither acknowledged nor forgotten.
#[derive(Debug)]
pub struct SentDatagram {
    /// The datagram number.
    pub number: u64,
    /// When it was handed out.
    pub sent_at: Instant,
    /// Its length in octets, tag included.
    pub len: u32,
    /// What the congestion controller wants to know of it again.
    pub snapshot: Snapshot,
    /// What became of it.
    pub fate: Fate,
    /// Whether it asks for an acknowledgement.
    pub is_eliciting: bool,
    /// Whether it was marked as ECN-capable.
    pub is_marked: bool,
    /// Whether it only probes the path MTU.
    pub is_mtu_probe: bool,
    /// Whether the sender had nothing more to send when this went out.
    pub is_app_limited: bool,
    /// The largest number that its ACK frame acknowledged.
    pub acknowledges: Option<u64>,
    /// The low watermark that it announced, or 0.
    pub low: u64,
    /// The frames that it carries.
    pub frames: List<InDatagram>,
    /// The flows that it carries whole, in one frame each.
    pub flows: List<InDatagram>,
    /// The brief calls that it carries.
    pub briefs: List<Briefly>,
    pub(crate) in_flight: Links,
}

impl SentDatagram {
    /// Says whether nothing that it carries waits for its acknowledgement.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.flows.is_empty() && self.briefs.is_empty()
    }
}

/// What the sender knows of a sent datagram.
///
/// ```text
/// InFlight --lost--> Lost --acknowledged after all (the loss was false)--> gone
///     \--acknowledged--> gone            \--too old to matter--> gone
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Neither acknowledged nor lost; counts against the window.
    InFlight,
    /// Declared lost; kept for a while to notice when that was wrong.
    Lost,
}

/// A frame that must arrive.
#[derive(Debug)]
pub struct SentFrame {
    /// What it carries.
    pub content: Content,
    /// The datagram that carried it last.
    pub datagram: u32,
    pub(crate) in_datagram: Links,
    pub(crate) in_flow: Links,
    pub(crate) in_lost: Links,
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A run of octets of a flow.
    Run {
        /// The index of the flow among those outgoing.
        flow: u32,
        /// The offset of the first octet.
        offset: u64,
        /// The number of octets.
        len: u32,
        /// Whether the flow ends with this run.
        last: Last,
        /// The alias that the frame defines, or 0.
        alias: u16,
    },
    /// Announcements about one exchange; the bits of [`Notices`](crate::exchange::Notices).
    Exchange {
        /// The exchange.
        exchange: Key,
        /// The announcements.
        notices: u16,
    },
    /// Announcements about the session or conversation; the bits of [`Notices`](crate::peer::Notices).
    Peer {
        /// The announcements.
        notices: u16,
    },
    /// How many messages of a channel were taken.
    Channel {
        /// The channel.
        channel: Key,
    },
}

/// Whether a run is the end of its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// More follows.
    No,
    /// The flow ends here.
    Yes,
}

/// Marks the list of datagrams in flight on one conversation, by number.
#[derive(Debug)]
pub enum InFlight {}
/// Marks the list of frames, and that of whole flows, that one datagram carries.
#[derive(Debug)]
pub enum InDatagram {}
/// Marks the list of frames of one flow, by offset.
#[derive(Debug)]
pub enum InFlow {}
/// Marks the queue of lost frames of one peer.
#[derive(Debug)]
pub enum InLost {}

impl SentFrame {
    /// Makes a frame that is in no datagram yet.
    #[must_use]
    pub const fn new(content: Content) -> Self {
        Self {
            content,
            datagram: u32::MAX,
            in_datagram: Links::UNLINKED,
            in_flow: Links::UNLINKED,
            in_lost: Links::UNLINKED,
        }
    }
}

impl Linked<InFlight> for SentDatagram {
    fn links(&self) -> Links {
        self.in_flight
    }
    fn links_mut(&mut self) -> &mut Links {
        &mut self.in_flight
    }
}

impl Linked<InDatagram> for SentFrame {
    fn links(&self) -> Links {
        self.in_datagram
    }
    fn links_mut(&mut self) -> &mut Links {
        &mut self.in_datagram
    }
}

impl Linked<InFlow> for SentFrame {
    fn links(&self) -> Links {
        self.in_flow
    }
    fn links_mut(&mut self) -> &mut Links {
        &mut self.in_flow
    }
}

impl Linked<InLost> for SentFrame {
    fn links(&self) -> Links {
        self.in_lost
    }
    fn links_mut(&mut self) -> &mut Links {
        &mut self.in_lost
    }
}
