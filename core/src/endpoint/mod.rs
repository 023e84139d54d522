//! The protocol state of one UDP socket: its peers, their exchanges, their deadlines.

mod accepting;
mod brief;
mod calls;
mod commands;
mod event;
mod input;
mod keyring;
mod moving;
mod notices;
mod opening;
mod receive;
mod recovery;
mod request;
mod runs;
mod scope;
mod securing;
mod sending;
mod stateless;
mod streams;
mod timers;
mod transmit;
mod turns;
mod usage;
mod window;

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

pub use event::Event;
pub use input::{Arrival, Counters, Rejected};
pub use request::{
    Answer, Body, CallError, Delivery, Encode, IncomingCall, Message, Reply, ReplyError, Request, SendError,
    StreamError, Streamed, Streams,
};
pub use turns::Transmit;
pub use usage::Usage;

use crate::config::{Accept, Config, ConfigError};
use crate::congestion::{Algorithm, Controller};
use crate::conversation::Conversation;
use crate::crypto::{Crypto, Plain};
use crate::ids::PeerId;
use crate::memory::{Broken, Memory, Purpose, Sound, Storage};
use crate::outcome::Unknown;
use crate::pacer::Pacer;
use crate::path::Path;
use crate::peer::{self, Code, Peer, Stage};
use crate::pmtu::PathMtu;
use crate::random::Random;
use crate::routes::Routes;
use crate::rtt::Rtt;
use crate::siphash::{self, siphash_1_3};
use crate::storage::{Arena, Deadlines, Index, Key, Links, List, NumberHash, RangePool, Slots};
use crate::time::{Instant, earliest};
use crate::token::{TokenKeys, UsedTickets};
use crate::wire::{CloseCode, ConversationId, Parameters, SessionOutcome, Side};
use keyring::{Holder, Keyring};
use scope::Scope;

/// Protocol state of one UDP socket: its peers, its calls, its deadlines.
///
/// The contract (see the crate's documentation): time is an argument; inputs are `handle_*` and the commands; after any of
/// them, drain [`Endpoint::poll_event`], then [`Endpoint::poll_transmit`], then wait until [`Endpoint::poll_timeout`] or the next
/// datagram.
pub struct Endpoint<'s> {
    config: Config,
    now: Instant,
    incarnation: u64,
    random: Random,
    keyring: Keyring<'s>,
    tokens: TokenKeys,
    used_tickets: UsedTickets<'s>,
    memory: Memory<'s>,
    peers: Slots<'s, Peer>,
    paths: Slots<'s, Path>,
    /// The peer that was asked for last: a client mostly has one.
    recent: Option<Key>,
    by_address: Index<'s>,
    /// Keys `by_address` against chosen collisions.
    hash_key: siphash::Key,
    peer_deadlines: Deadlines<'s>,
    /// Whose place in the lists below is to be brought up to date before anybody looks at them: in a row of commands to one peer,
    /// once is enough.
    unsettled: Option<u32>,
    /// Whose deadline is to be computed before anybody looks at it, for the same reason, and since when: what has been due since
    /// then is due now.
    undated: Option<(u32, Instant)>,
    /// When deadlines were last acted on.
    timed_out_at: Instant,
    /// Who may have something to send.
    ready: List<peer::Ready>,
    /// Who had something to send that could not be booked, since the pools were full: first come, first told of room.
    crowded: List<peer::Ready>,
    eventful: List<peer::Eventful>,
    starved: List<peer::Starved>,
    answers: stateless::Answers,
    counters: Counters,
    sweep: timers::Sweep,
    rate_free_at: Instant,
    /// The most exchanges of late; see [`Endpoint::slice_count`].
    under_way_lately: u32,
    is_draining: bool,
}

/// Whom to talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote<'a> {
    /// Where it is.
    pub address: SocketAddr,
    /// Who it must be, as the crypto understands it; empty in plain mode.
    pub identity: &'a [u8],
}

/// Why there can be no peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// All slots are taken; one becomes free when a peer is closed.
    Full,
    /// The address cannot be sent to: port 0, or unspecified.
    Address,
    /// The identity is longer than 1024 octets.
    Identity,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "no slot is free for one peer more",
            Self::Address => "nothing can be sent to this address",
            Self::Identity => "the identity is longer than 1024 octets",
        })
    }
}

impl core::error::Error for OpenError {}

impl<'s> Endpoint<'s> {
    /// Makes an endpoint in plain mode: datagrams are checked by CRC32C, and whoever is on the path can read and forge them.
    ///
    /// For loopback and closed networks. `seed` must be drawn anew from a good source: all ids and tokens come from it, and two
    /// endpoints with one seed can be mistaken for each other. Only the endpoints of one port share it, and differ in
    /// [`Config::socket`]: so they are one server with one incarnation, and may read each other's tokens.
    ///
    /// # Errors
    /// The field of `config` that is out of range, or the store that is too small for what `config` asks: `storage`.
    pub fn new_insecure(
        config: Config,
        storage: Storage<'s>,
        seed: [u8; 32],
        now: Instant,
    ) -> Result<Self, ConfigError> {
        Self::with_holder(config, storage, Holder::Plain(Plain), seed, now)
    }

    /// Makes an endpoint whose handshakes and keys a caller's [`Crypto`] holds.
    ///
    /// # Errors
    /// As [`Endpoint::new_insecure`].
    pub fn new(
        config: Config,
        storage: Storage<'s>,
        crypto: &'s mut dyn Crypto,
        seed: [u8; 32],
        now: Instant,
    ) -> Result<Self, ConfigError> {
        Self::with_holder(config, storage, Holder::Lent(crypto), seed, now)
    }

    /// Makes an endpoint that owns its [`Crypto`].
    ///
    /// # Errors
    /// As [`Endpoint::new_insecure`].
    #[cfg(feature = "alloc")]
    pub fn new_owned(
        config: Config,
        storage: Storage<'s>,
        crypto: alloc::boxed::Box<dyn Crypto>,
        seed: [u8; 32],
        now: Instant,
    ) -> Result<Self, ConfigError> {
        Self::with_holder(config, storage, Holder::Owned(crypto), seed, now)
    }

    fn with_holder(
        config: Config,
        storage: Storage<'s>,
        holder: Holder<'s>,
        seed: [u8; 32],
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        storage.check(&config)?;
        let mut random = Random::new(seed);
        let hash_key = random.octets();
        let drawn: [u8; 16] = random.octets();
        let tokens = TokenKeys::new(&drawn, config.socket, config.lease);
        let tokens = match config.reset_secret {
            Some(secret) => tokens.with_reset_secret(&secret),
            None => tokens,
        };
        let incarnation = random.u64();
        // What was drawn so far is that of all sockets of the port.
        random.enter_stream(config.socket);
        let memory = Memory {
            exchanges: Slots::new(storage.exchanges),
            outgoing: Slots::new(storage.outgoing),
            incoming: Slots::new(storage.incoming),
            datagrams: Slots::new(storage.datagrams),
            frames: Slots::new(storage.frames),
            channels: Slots::new(storage.channels),
            handshakes: Slots::new(storage.handshakes),
            moves: Slots::new(storage.moves),
            arena: Arena::new(storage.payload, storage.payload_tree, storage.payload_waiting),
            spare: Purpose::spare(config.message_len_max),
            admitted: None,
            ranges: RangePool::new(storage.ranges),
            by_seq: Index::new(storage.exchange_buckets, storage.exchange_links),
            call_deadlines: Deadlines::new(storage.call_deadlines),
            timed: List::new(),
            eventful: List::new(),
            seq_hash: NumberHash::new(&hash_key),
        };
        let peers = Slots::new(storage.peers);
        Ok(Self {
            now,
            incarnation,
            random,
            keyring: Keyring::new(holder, Routes::new(storage.routes)),
            used_tickets: UsedTickets::new(
                storage.used_tickets,
                storage.used_ticket_buckets,
                storage.used_ticket_links,
                &tokens,
            ),
            tokens,
            memory,
            sweep: timers::Sweep::new(now, config.lease, peers.capacity()),
            peers,
            paths: Slots::new(storage.paths),
            recent: None,
            by_address: Index::new(storage.path_buckets, storage.path_links),
            hash_key,
            peer_deadlines: Deadlines::new(storage.peer_deadlines),
            unsettled: None,
            undated: None,
            timed_out_at: now,
            ready: List::new(),
            crowded: List::new(),
            eventful: List::new(),
            starved: List::new(),
            answers: stateless::Answers::new(),
            counters: Counters::default(),
            rate_free_at: now,
            under_way_lately: 0,
            is_draining: false,
            config,
        })
    }

    /// Returns the peer at an address, or takes a slot for it; nothing is sent before its first message or call.
    ///
    /// # Errors
    /// [`OpenError`]; nothing has changed then.
    pub fn peer(&mut self, now: Instant, remote: &Remote<'_>) -> Result<PeerId, OpenError> {
        self.advance(now);
        if remote.address.port() == 0 || remote.address.ip().is_unspecified() {
            return Err(OpenError::Address);
        }
        let is_recent = |key: &Key| self.peers.get(*key).is_some() && self.is_reached_at(key.index(), remote);
        if let Some(key) = self.recent.filter(is_recent) {
            return Ok(PeerId(key));
        }
        let path = self.find_path(remote.address).and_then(|path| self.paths.at(path));
        let open = path.and_then(|path| path.peers.iter(&self.peers).find(|index| self.is_reached_at(*index, remote)));
        if let Some(key) = open.and_then(|index| self.peers.key_of(index)) {
            self.recent = Some(key);
            return Ok(PeerId(key));
        }
        if remote.identity.len() > IDENTITY_LEN_MAX {
            return Err(OpenError::Identity);
        }
        let identity = self.memory.keep(remote.identity, Purpose::Begin).ok_or(OpenError::Full)?;
        let Some(key) = self.add_peer(remote.address, None) else {
            if let Some(block) = identity {
                self.memory.arena.free(block);
            }
            return Err(OpenError::Full);
        };
        if let Some(peer) = self.peers.get_mut(key) {
            peer.identity = identity;
        }
        Ok(PeerId(key))
    }

    /// Says whether a slot has a peer with which something may begin, and it is the one that is meant.
    fn is_reached_at(&self, index: u32, remote: &Remote<'_>) -> bool {
        let Some(peer) = self.peers.at(index) else { return false };
        let is_identified = || match peer.identity {
            Some(block) => self.memory.arena.bytes(block) == remote.identity,
            None => remote.identity.is_empty(),
        };
        self.paths.at(peer.path).is_some_and(|path| path.remote == remote.address)
            && !matches!(peer.stage, Stage::Closing(_) | Stage::Draining { .. })
            && peer.news & peer::News::CLOSED == 0
            && (peer.side == Side::Server || is_identified())
    }

    /// Returns the next thing that the application is to know; call until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.next_event()
    }

    /// Says whether [`Endpoint::poll_event`] has something: for a loop that takes in datagrams until its application has work.
    #[must_use]
    pub fn has_event(&self) -> bool {
        let unsettled = || self.unsettled.and_then(|index| self.peers.at(index));
        !self.memory.eventful.is_empty() || !self.eventful.is_empty() || unsettled().is_some_and(|peer| peer.news != 0)
    }

    /// Returns when [`Endpoint::handle_timeout`] is to be called; `None` if nothing is scheduled.
    ///
    /// What [`Endpoint::poll_transmit`] has ready by now is not: it may wait until the socket has room.
    #[must_use]
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        self.set_places();
        self.set_deadline();
        debug_assert!(self.is_nobody_forgotten(), "a peer that waits for something is not woken");
        let peers = self.peer_deadlines.first().map(|(at, _)| at);
        let calls = self.memory.first_deadline().map(|(at, _)| at);
        // Due already, it is for `poll_transmit` to see.
        let rate = self.rate_deadline().filter(|at| *at > self.now).filter(|_| self.has_transmit());
        earliest([peers, calls, rate])
    }

    /// Returns what was counted since the start.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns the limits and timing.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the number of peers, of whatever stage.
    #[must_use]
    pub const fn peer_count(&self) -> u32 {
        self.peers.len()
    }

    /// Takes the later of two clock readings: time never goes back.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Borrows everything that concerns one peer.
    ///
    /// Always inlined, as it would be put together in one place and moved to another.
    #[inline(always)]
    fn scope(&mut self, index: u32) -> Result<Scope<'_, 's>, Broken> {
        let peer = self.peers.at_mut(index).sound()?;
        let path = self.paths.at_mut(peer.path).sound()?;
        Ok(Scope {
            now: self.now,
            index,
            config: &self.config,
            peer,
            path,
            memory: &mut self.memory,
            random: &mut self.random,
            keyring: &mut self.keyring,
            counters: &mut self.counters,
        })
    }

    /// Runs work on one peer and settles what follows from it: its place among those with something to send or to tell, its
    /// deadline. A broken invariant closes the conversation, and nothing else suffers.
    fn with<T>(&mut self, index: u32, work: impl FnOnce(&mut Scope<'_, 's>) -> Result<T, Broken>) -> Option<T> {
        let result = self.scope(index).and_then(|mut scope| work(&mut scope));
        match result {
            Ok(value) => {
                self.settle(index);
                Some(value)
            }
            Err(Broken) => {
                self.break_off(index);
                None
            }
        }
    }

    /// Notes that a peer's place among those with something to send or to tell may have changed, and its deadline too.
    #[inline]
    fn settle(&mut self, index: u32) {
        if self.unsettled != Some(index) {
            self.set_places();
            self.unsettled = Some(index);
        }
        self.move_deadline(index);
    }

    /// Gives the peer that may want them its places among those with something to send, to tell, or to wait for.
    #[inline]
    fn set_places(&mut self) {
        if let Some(index) = self.unsettled.take() {
            self.set_places_of(index);
        }
    }

    fn set_places_of(&mut self, index: u32) {
        let Some(peer) = self.peers.at(index) else { return };
        let path = peer.path;
        let has_news = peer.news != 0 && !peer.eventful.is_linked();
        let is_hungry = peer.is_starved && !peer.starved.is_linked();
        if has_news {
            self.eventful.push_back(&mut self.peers, index);
        }
        if is_hungry {
            self.starved.push_back(&mut self.peers, index);
        }
        self.give_turn(index);
        self.wake_path(path);
    }

    /// Notes that a peer's deadline may have moved.
    fn move_deadline(&mut self, index: u32) {
        if self.undated.is_none_or(|(undated, _)| undated != index) {
            self.set_deadline();
            self.undated = Some((index, self.now));
        }
    }

    /// Computes the deadline that may have moved.
    fn set_deadline(&mut self) {
        let Some((index, since)) = self.undated.take() else { return };
        match self.deadline_of(index, since) {
            Some(at) => self.peer_deadlines.set(index, at),
            None => self.peer_deadlines.clear(index),
        }
    }

    /// Computes when a peer has to be woken, as of `now`.
    fn deadline_of(&mut self, index: u32, now: Instant) -> Option<Instant> {
        let at = self.scope(index).ok().and_then(|scope| Scope { now, ..scope }.deadline())?;
        // What the last timeout left due is for the one that comes next, and that comes later: time always goes on.
        Some(at.max(self.timed_out_at.saturating_add(Duration::from_nanos(1))))
    }

    /// Says whether those of the first peers are woken that wait for something.
    ///
    /// When is not looked at: what others measure on a path that they share makes a peer's time-outs shorter, and those that run are left.
    fn is_nobody_forgotten(&mut self) -> bool {
        (0..self.peers.capacity().min(CHECKED_COUNT)).all(|index| {
            // Whose time is over goes when the application has heard of it.
            let is_told =
                |peer: &Peer| peer.news == 0 || !matches!(peer.stage, Stage::Closing(_) | Stage::Draining { .. });
            let waits = self.peers.at(index).is_some_and(is_told) && self.deadline_of(index, self.now).is_some();
            !waits || self.peer_deadlines.get(index).is_some()
        })
    }

    /// Closes a conversation whose books do not agree.
    fn break_off(&mut self, index: u32) {
        self.counters.broken += 1;
        self.close_with(index, Code::Protocol(CloseCode::Internal));
    }

    fn find_path(&self, address: SocketAddr) -> Option<u32> {
        self.by_address.find(self.address_hash(address.ip()), |index| {
            self.paths.at(index).is_some_and(|path| path.remote == address)
        })
    }

    fn address_hash(&self, ip: IpAddr) -> u64 {
        match ip {
            IpAddr::V4(ip) => siphash_1_3(&self.hash_key, &ip.octets()),
            IpAddr::V6(ip) => siphash_1_3(&self.hash_key, &ip.octets()),
        }
    }

    /// Takes a slot for a peer, and one for its path unless there is one.
    fn add_peer(&mut self, address: SocketAddr, local: Option<IpAddr>) -> Option<Key> {
        self.peers.vacancy()?;
        let path = match self.find_path(address) {
            Some(path) => path,
            None => {
                let path = self.new_path(address, local);
                let key = self.paths.insert(path)?;
                self.by_address.insert(self.address_hash(address.ip()), key.index());
                key.index()
            }
        };
        let key = self.peers.vacancy()?;
        let id = self.draw_id(key.index());
        let peer = self.new_peer(path, id);
        let key = self.peers.insert(peer)?;
        self.paths.at_mut(path)?.peers.push_back(&mut self.peers, key.index());
        Some(key)
    }

    fn new_path(&mut self, remote: SocketAddr, local: Option<IpAddr>) -> Path {
        use crate::config::PathMtuDiscovery;
        let rtt = Rtt::new(self.config.initial_rtt);
        let mut mtu = PathMtu::new(self.config.datagram_len_max);
        if let PathMtuDiscovery::Known(len) = self.config.path_mtu_discovery {
            mtu.on_known(len);
        }
        let mut controller = Controller::new(self.config.congestion, mtu.current(), self.config.window_max());
        if self.config.congestion == Algorithm::Bbr {
            controller = controller.with_seed(self.random.u64() as u32);
        }
        let pacer = Pacer::new(&controller, &rtt);
        Path {
            remote,
            local,
            rtt,
            controller,
            pacer,
            mtu,
            in_flight: 0,
            is_filled: false,
            is_held: false,
            is_full: false,
            peers: List::new(),
        }
    }

    /// Makes a peer of which nothing is known; `id` names its conversation to come.
    fn new_peer(&mut self, path: u32, id: ConversationId) -> Peer {
        let delay = self.config.ack_delay_max;
        Peer {
            stage: Stage::Idle,
            side: Side::Client,
            socket: 0,
            path,
            session: opening::no_session(self.config.credit),
            conversation: Conversation::new(id, ConversationId::UNKNOWN, delay, &mut self.random),
            begun_at: self.now,
            parameters: Parameters::default(),
            queues: [const { List::new() }; peer::PRIORITY_COUNT],
            begun: [const { List::new() }; peer::PRIORITY_COUNT],
            briefs: List::new(),
            lost: List::new(),
            lost_flows: List::new(),
            noticed: List::new(),
            notices: 0,
            news: 0,
            busy_until: None,
            is_draining: false,
            is_undecided: false,
            is_untold: false,
            is_refusing: false,
            flush_to: None,
            received_at: self.now,
            answered_at: Instant::ORIGIN,
            awaiting_since: None,
            stalled_at: None,
            is_starved: false,
            is_crowded: false,
            asked_at: Instant::ORIGIN,
            ask_count: 0,
            open_call_count: 0,
            stream_count: 0,
            run_count: 0,
            unnumbered_len: 0,
            open_reply_count: 0,
            lease_millis: u32::try_from(self.config.lease.as_millis()).unwrap_or(u32::MAX),
            hello_number: 0,
            outcome: SessionOutcome::Opened,
            ticket: None,
            identity: None,
            moving: None,
            response: None,
            handshake: None,
            ready: Links::UNLINKED,
            eventful: Links::UNLINKED,
            starved: Links::UNLINKED,
            on_path: Links::UNLINKED,
        }
    }

    /// Puts a peer on the path that its datagrams come from.
    fn move_peer(&mut self, index: u32, address: SocketAddr, local: Option<IpAddr>) -> Result<(), Broken> {
        let old = self.peers.at(index).sound()?.path;
        if self.paths.at(old).sound()?.remote == address {
            return Ok(());
        }
        let path = match self.find_path(address) {
            Some(path) => path,
            None => {
                let path = self.new_path(address, local);
                let key = self.paths.insert(path).ok_or(Broken)?;
                self.by_address.insert(self.address_hash(address.ip()), key.index());
                key.index()
            }
        };
        self.leave_path(index)?;
        self.paths.at_mut(path).sound()?.peers.push_back(&mut self.peers, index);
        self.peers.at_mut(index).sound()?.path = path;
        Ok(())
    }

    /// Takes a peer off its path, which goes when nobody uses it any more.
    fn leave_path(&mut self, index: u32) -> Result<(), Broken> {
        let path = self.peers.at(index).sound()?.path;
        let entry = self.paths.at_mut(path).sound()?;
        entry.peers.remove(&mut self.peers, index);
        if entry.peers.is_empty() {
            let address = entry.remote;
            self.by_address.remove(self.address_hash(address.ip()), path);
            self.paths.vacate(path).sound()?;
        } else {
            // What it had in flight there was given up.
            self.wake_path(path);
        }
        Ok(())
    }

    fn draw_id(&mut self, index: u32) -> ConversationId {
        let route = self.keyring.route_of(index).unwrap_or(index);
        draw_id(self.config.socket, route, &mut self.random)
    }

    /// Frees a peer's slot and everything that belongs to it.
    fn remove_peer(&mut self, index: u32) -> Result<(), Broken> {
        let mut scope = self.scope(index)?;
        scope.lose_all()?;
        scope.end_all(Unknown::SessionLost)?;
        scope.drop_handshake()?;
        for block in [scope.peer.identity.take(), scope.peer.ticket.take()].into_iter().flatten() {
            scope.memory.arena.free(block);
        }
        let (crypto, route) = scope.keyring.of(index)?;
        crypto.forget(route);
        let peer = self.peers.at(index).sound()?;
        let (is_eventful, is_starved) = (peer.eventful.is_linked(), peer.starved.is_linked());
        self.leave_turns(index);
        if is_eventful {
            self.eventful.remove(&mut self.peers, index);
        }
        if is_starved {
            self.starved.remove(&mut self.peers, index);
        }
        self.unsettled.take_if(|unsettled| *unsettled == index);
        self.undated.take_if(|(undated, _)| *undated == index);
        self.peer_deadlines.clear(index);
        self.leave_path(index)?;
        self.peers.vacate(index).sound()
    }

    const fn accepts(&self) -> bool {
        matches!(self.config.accept, Accept::Peers)
    }
}

/// Draws a conversation id: the socket, the peer's route, and 32 bits that nobody can guess (protocol §4.1).
fn draw_id(socket: u8, route: u32, random: &mut Random) -> ConversationId {
    let route = route.to_be_bytes();
    loop {
        let drawn: [u8; 4] = random.octets();
        let id = ConversationId([socket, route[1], route[2], route[3], drawn[0], drawn[1], drawn[2], drawn[3]]);
        // All zero means "unknown".
        if id != ConversationId::UNKNOWN {
            return id;
        }
    }
}

/// Longer than any server name or key; a number we chose.
const IDENTITY_LEN_MAX: usize = 1024;

/// Peers whose deadlines a debug build checks; a number we chose: each is looked at anew each time.
const CHECKED_COUNT: u32 = 8;
