//! How much memory an endpoint takes, known before it is made.

use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::exchange::Exchange;
use crate::handshake::Handshake;
use crate::incoming::Incoming;
use crate::outgoing::Outgoing;
use crate::own_body::OwnBody;
use crate::path::Path;
use crate::peer::{Moving, Peer};
use crate::routes::Route;
use crate::sent::{SentDatagram, SentFrame};
use crate::session::Channel;
use crate::storage::{Arena, DeadlineSlot, RangeNode, Slot};
use crate::token::UsedTicket;

/// How many elements each store of a [`Storage`](crate::Storage) has to have for a [`Config`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Peers, paths, their links and deadlines.
    pub peers: usize,
    /// Buckets of paths.
    pub path_buckets: usize,
    /// Exchanges, their links and deadlines, and flows in each direction.
    pub exchanges: usize,
    /// Buckets of exchanges.
    pub exchange_buckets: usize,
    /// Datagrams in flight.
    pub datagrams: usize,
    /// Frames in flight.
    pub frames: usize,
    /// Channels.
    pub channels: usize,
    /// Handshakes under way.
    pub handshakes: usize,
    /// Conversations that are moving.
    pub moves: usize,
    /// Runs of octets beyond holes.
    pub ranges: usize,
    /// Octets of messages.
    pub payload: usize,
    /// Octets of bookkeeping of these.
    pub payload_tree: usize,
    /// Blocks that wait to be used again.
    pub payload_waiting: usize,
    /// Used tickets, and their links.
    pub used_tickets: usize,
    /// Buckets of used tickets.
    pub used_ticket_buckets: usize,
}

impl Counts {
    /// Returns what a configuration asks for.
    #[must_use]
    pub const fn of(config: &Config) -> Self {
        let exchanges = config.exchange_count_max;
        let ranges = least(exchanges, RANGE_COUNT_MAX);
        Self {
            peers: config.peer_count_max,
            path_buckets: config.peer_count_max.next_power_of_two(),
            exchanges,
            exchange_buckets: exchanges.next_power_of_two(),
            datagrams: config.sent_datagram_count_max,
            frames: config.sent_frame_count_max,
            channels: config.channel_total_max,
            handshakes: config.handshake_count_max,
            moves: config.move_count_max,
            ranges: if ranges > config.hole_count_max { ranges } else { config.hole_count_max },
            payload: config.payload_memory,
            payload_tree: Arena::tree_len(config.payload_memory),
            payload_waiting: WAITING_SIZE_COUNT * least(exchanges, WAITING_BURST),
            used_tickets: 2 * config.used_ticket_count_max,
            used_ticket_buckets: (2 * config.used_ticket_count_max).next_power_of_two(),
        }
    }
}

/// Returns how many octets an endpoint takes with [`Storage::owned`](crate::Storage), whatever its peers do: itself, and all
/// its pools. Nothing is allocated after it was made but, with the feature `bytes`, the memory of long messages
/// (`Config::own_body_len_min`), which is in the bound.
///
/// The buffers that an adapter and a `Crypto` keep come on top.
#[must_use]
pub const fn memory_bound(config: &Config) -> usize {
    const LINK: usize = size_of::<u32>();
    let counts = Counts::of(config);
    let peer =
        size_of::<Slot<Peer>>() + size_of::<Slot<Path>>() + size_of::<DeadlineSlot>() + size_of::<Route>() + LINK;
    let exchange = size_of::<Slot<Exchange>>()
        + size_of::<Slot<Outgoing>>()
        + size_of::<Slot<Incoming>>()
        + size_of::<DeadlineSlot>()
        + LINK;
    let buckets = counts.path_buckets + counts.exchange_buckets + counts.used_ticket_buckets + counts.payload_waiting;
    let parts = [
        counts.peers.saturating_mul(peer),
        counts.exchanges.saturating_mul(exchange),
        counts.datagrams.saturating_mul(size_of::<Slot<SentDatagram>>()),
        counts.frames.saturating_mul(size_of::<Slot<SentFrame>>()),
        counts.channels.saturating_mul(size_of::<Slot<Channel>>()),
        counts.handshakes.saturating_mul(size_of::<Slot<Handshake>>()),
        counts.moves.saturating_mul(size_of::<Slot<Moving>>()),
        counts.ranges.saturating_mul(size_of::<RangeNode>()),
        counts.payload.saturating_add(counts.payload_tree),
        own_bodies_len_max(config),
        counts.used_tickets.saturating_mul(size_of::<UsedTicket>() + LINK),
        buckets.saturating_mul(LINK),
    ];
    let mut sum = size_of::<Endpoint<'_>>();
    let mut index = 0;
    while index < parts.len() {
        sum = sum.saturating_add(parts[index]);
        index += 1;
    }
    sum
}

/// Returns how many octets messages in memory of their own take at most: each has a block of its length in the pool, too.
const fn own_bodies_len_max(config: &Config) -> usize {
    if OwnBody::suits(config.message_len_max, config) { config.payload_memory } else { 0 }
}

/// Declares a type that holds the memory of an endpoint for a constant [`Config`]: for those who have no allocator.
///
/// The type has a `const fn new`, so that it may lie in a `static`, and a method `lend`, which gives it to an endpoint as its
/// [`Storage`](crate::Storage).
///
/// ```
/// use posthaste_core::{Config, Endpoint, Instant, storage_for};
///
/// const CONFIG: Config = Config::bare();
/// storage_for! {
///     /// All memory of the endpoint.
///     struct Memory for CONFIG;
/// }
///
/// let mut memory = const { Memory::new() };
/// let endpoint = Endpoint::new_insecure(CONFIG, memory.lend(), [7; 32], Instant::ORIGIN).unwrap();
/// assert_eq!(endpoint.peer_count(), 0);
/// ```
#[macro_export]
macro_rules! storage_for {
    ($(#[$doc:meta])* $visibility:vis struct $name:ident for $config:expr;) => {
        $crate::storage_for! {
            @fields $(#[$doc])* $visibility struct $name for $config;
            peers: $crate::storage::Slot<$crate::peer::Peer> = peers, $crate::storage::Slot::EMPTY;
            paths: $crate::storage::Slot<$crate::path::Path> = peers, $crate::storage::Slot::EMPTY;
            path_buckets: u32 = path_buckets, 0;
            path_links: u32 = peers, 0;
            routes: $crate::routes::Route = peers, $crate::routes::Route::EMPTY;
            peer_deadlines: $crate::storage::DeadlineSlot = peers, $crate::storage::DeadlineSlot::EMPTY;
            exchanges: $crate::storage::Slot<$crate::exchange::Exchange> = exchanges, $crate::storage::Slot::EMPTY;
            exchange_buckets: u32 = exchange_buckets, 0;
            exchange_links: u32 = exchanges, 0;
            call_deadlines: $crate::storage::DeadlineSlot = exchanges, $crate::storage::DeadlineSlot::EMPTY;
            outgoing: $crate::storage::Slot<$crate::outgoing::Outgoing> = exchanges, $crate::storage::Slot::EMPTY;
            incoming: $crate::storage::Slot<$crate::incoming::Incoming> = exchanges, $crate::storage::Slot::EMPTY;
            datagrams: $crate::storage::Slot<$crate::sent::SentDatagram> = datagrams, $crate::storage::Slot::EMPTY;
            frames: $crate::storage::Slot<$crate::sent::SentFrame> = frames, $crate::storage::Slot::EMPTY;
            channels: $crate::storage::Slot<$crate::session::Channel> = channels, $crate::storage::Slot::EMPTY;
            handshakes: $crate::storage::Slot<$crate::handshake::Handshake> = handshakes, $crate::storage::Slot::EMPTY;
            moves: $crate::storage::Slot<$crate::peer::Moving> = moves, $crate::storage::Slot::EMPTY;
            ranges: $crate::storage::RangeNode = ranges, $crate::storage::RangeNode::EMPTY;
            payload: u8 = payload, 0;
            payload_tree: u8 = payload_tree, 0;
            payload_waiting: u32 = payload_waiting, 0;
            used_tickets: $crate::token::UsedTicket = used_tickets, $crate::token::UsedTicket::EMPTY;
            used_ticket_buckets: u32 = used_ticket_buckets, 0;
            used_ticket_links: u32 = used_tickets, 0;
        }
    };
    (@fields $(#[$doc:meta])* $visibility:vis struct $name:ident for $config:expr;
     $($field:ident: $type:ty = $count:ident, $empty:expr;)*) => {
        $(#[$doc])*
        $visibility struct $name {
            $($field: [$type; $crate::footprint::Counts::of(&$config).$count],)*
        }

        impl $name {
            /// Makes memory in which nothing is.
            #[must_use]
            $visibility const fn new() -> Self {
                Self { $($field: [const { $empty }; $crate::footprint::Counts::of(&$config).$count],)* }
            }

            /// Lends it to an endpoint.
            #[must_use]
            $visibility const fn lend(&mut self) -> $crate::Storage<'_> {
                $crate::Storage { $($field: $crate::storage::Store::lent(&mut self.$field),)* }
            }
        }
    };
}

const fn least(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

/// Holes are rare, and whoever finds no room for one sends again.
const RANGE_COUNT_MAX: usize = 4096;
/// Sizes of blocks that may wait to be used again: 64 to 1024 octets.
const WAITING_SIZE_COUNT: usize = 16;
/// Blocks of one size that may wait: as many as the calls that one peer may have under way by default.
const WAITING_BURST: usize = 1024;
