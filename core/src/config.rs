//! Every limit and every timing value of an endpoint, as run-time values, checked once.

use core::fmt;
use core::time::Duration;

use crate::congestion::Algorithm;
use crate::memory::payload_memory_min;

/// Limits and timing of an [`Endpoint`](crate::Endpoint): start from a preset, change fields, hand it over.
///
/// Each field has a hard maximum, named in its documentation; [`Config::check`] refuses what lies beyond. None is
/// "unlimited". Together they bound the memory: [`memory_bound`](crate::memory_bound).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Which of the sockets of one port this endpoint serves: the first octet of each conversation id and token. 0 if there is one.
    /// The endpoints of a port differ in this alone, and are made from one seed.
    pub socket: u8,
    /// The secret behind stateless resets. With a secret that survives restarts, peers learn of a restart at their next
    /// datagram; with `None` it is drawn from the seed.
    pub reset_secret: Option<[u8; 16]>,
    /// Opens sessions for others, and answers their calls. At most one in each direction: [`Accept`].
    pub accept: Accept,

    /// Sessions with peers, open and closing, in both directions. 1 to 2^24.
    pub peer_count_max: usize,
    /// Sessions that peers at one address (without the port) may hold here. In plain mode an address is the only identity.
    pub session_count_per_address_max: usize,
    /// Used tickets remembered until they expire, and as many used retry tokens. Without room for one more ticket, a returning
    /// peer takes one round trip more; so many new peers are served in the 10 s that a retry token lives. 1 to 2^24.
    pub used_ticket_count_max: usize,

    /// Handshakes of protected conversations under way at a time. Plain mode needs none. At most 2^24.
    pub handshake_count_max: usize,
    /// Protected conversations that may be moving to another address at a time; one more begins to move with a later datagram.
    /// Plain mode needs none. At most 2^24.
    pub move_count_max: usize,

    /// Exchanges (messages, calls) of all peers together, from acceptance to retirement, in both directions. At most 2^24.
    pub exchange_count_max: usize,
    /// Exchanges one peer may have open here at a time. 16 to 65 536 (protocol §6.4).
    pub exchange_window: usize,
    /// The longest message, request or reply that is received in one piece, in octets. 1200 to 2^30, at most [`Self::credit`].
    pub message_len_max: usize,
    /// A message, request or reply of at least this many octets that comes in one piece arrives in memory of its own, which is
    /// allocated once, for all of it, and handed over as `Bytes` without a copy
    /// ([`Endpoint::take_payload`](crate::Endpoint::take_payload)); a shorter one is cheaper copied. Until it is taken or released it
    /// counts as any other against [`Self::payload_memory`], which is held beside it: [`memory_bound`](crate::memory_bound) knows
    /// both. Above [`Self::message_len_max`], nothing is ever allocated.
    #[cfg(feature = "bytes")]
    pub own_body_len_min: usize,
    /// Octets that one peer may have under way to us, of all its flows. 4096 to 2^40.
    pub credit: u64,
    /// Octets that one stream may have under way, in each direction; each open stream holds that much memory. 0 refuses streams. At most 2^30.
    pub stream_window: usize,
    /// Streams that one peer may have begun here at a time; one more is refused, and its sender told. 0 to 65 535.
    pub stream_count_max: usize,
    /// Octets of memory for payloads of all peers: accepted for sending and not yet acknowledged, or arrived and not yet released;
    /// and for what is kept of each peer beside its slot: identity and token. At most 2^37.
    ///
    /// What we begin takes at most half of it, what peers begin at most seven eighths. Beside that, places for messages of
    /// [`Self::message_len_max`], rounded up to a power of two, are kept free: four from what we begin, three from what peers begin
    /// and from our replies to them. So one message or request of a peer, and one reply to a call of ours, find room even where the
    /// free octets are in pieces, unless the application holds what came before: two endpoints never wait for each other. At least
    /// five such places.
    pub payload_memory: usize,
    /// Runs of octets beyond a hole, for one message in reassembly. 1 to 1024; the peer is made to send again what finds no place.
    pub hole_count_max: usize,
    /// Datagrams in flight to all peers together. At most 2^24.
    pub sent_datagram_count_max: usize,
    /// Frames in flight to all peers together; one datagram of small calls holds many. The last one serves to cut what has become
    /// too long for its path. 2 to 2^24.
    pub sent_frame_count_max: usize,
    /// Ordered channels that one peer may use here. At most 65 536.
    pub channel_count_max: usize,
    /// Ordered channels of all peers together, in both directions. At most 2^24.
    pub channel_total_max: usize,
    /// The longest metadata block of a call or reply, in octets. At most 1024.
    pub metadata_len_max: usize,

    /// The longest datagram (UDP payload) that is sent or received, in octets. 1200 to 65 507.
    pub datagram_len_max: usize,
    /// Looks for a larger path MTU than 1200.
    pub path_mtu_discovery: PathMtuDiscovery,
    /// Marks datagrams as ECN-capable while the path proves that it carries the marks.
    pub ecn: EcnMarking,
    /// The congestion controller of each path.
    pub congestion: Algorithm,
    /// Octets per second that the endpoint sends at most, all peers together. `None` leaves it to the controllers.
    pub rate_max: Option<u64>,

    /// The round-trip time assumed before the first sample; the first retransmission comes after three times this.
    pub initial_rtt: Duration,
    /// How long an acknowledgement waits for something to ride on. At most 2^24 µs.
    pub ack_delay_max: Duration,
    /// The longest time between two probes of an unanswered path. At most 60 s.
    pub probe_interval_max: Duration,
    /// A conversation in which nothing was received for this long while something was awaited is lost.
    pub silence_timeout: Duration,
    /// A client that heard nothing for this long while something was awaited tries its session on a new conversation.
    pub resume_after: Duration,
    /// A conversation without traffic is forgotten after this time. At least 1 s.
    pub idle_timeout: Duration,
    /// A session without traffic ends after this time. At least [`Self::idle_timeout`].
    pub lease: Duration,
    /// The deadline of a call that names none.
    pub call_timeout: Duration,
    /// A message whose missing octets do not arrive for this long is given up.
    pub progress_timeout: Duration,
    /// How long a peer is asked to begin nothing when there is no room for what it begins. 1 ms to 60 s.
    pub busy_after: Duration,
}

/// Whether an endpoint opens sessions for peers that ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Answers hellos: a server, or both.
    Peers,
    /// Answers none: a pure client, silent to strangers.
    Nobody,
}

/// Whether a path is searched for a larger datagram length (RFC 8899).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathMtuDiscovery {
    /// Probes up to `datagram_len_max`.
    On,
    /// Stays at 1200 octets.
    Off,
    /// Sends datagrams of this length without asking: for a path whose MTU is known.
    Known(usize),
}

/// Whether datagrams are marked as ECN-capable (RFC 3168).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcnMarking {
    /// Marks with ECT(0) while the path passes validation.
    On,
    /// Never marks.
    Off,
}

impl Config {
    /// The preset for paths that nobody knows: timeouts as RFC 8085 wants them, BBR, 1200 octets until proven otherwise.
    ///
    /// BBR by the figures of the simulator (`sim/tests/figures.rs`). With 1 % of loss each way and 20 ms it gets 135 MB/s across, and
    /// CUBIC 0.9. In front of 100 Mbit/s with a queue of 2 MiB, the 95th percentile of a call beside a bulk transfer is 30 ms, and
    /// 187 ms beside one by CUBIC. It leaves CUBIC and NewReno 35 to 47 % of a link that two share, as CUBIC leaves NewReno 36 to
    /// 50 %. It costs 2 % of a link that loses nothing at random: 0.91 of 100 Mbit/s against 0.93.
    #[must_use]
    pub const fn internet() -> Self {
        Self {
            socket: 0,
            reset_secret: None,
            accept: Accept::Peers,
            peer_count_max: 256,
            session_count_per_address_max: 64,
            used_ticket_count_max: 8192,
            handshake_count_max: 64,
            move_count_max: 64,
            exchange_count_max: 16_384,
            exchange_window: 1024,
            message_len_max: 1 << 20,
            #[cfg(feature = "bytes")]
            own_body_len_min: 16_384,
            credit: 4 << 20,
            stream_window: 1 << 20,
            stream_count_max: 16,
            payload_memory: 64 << 20,
            hole_count_max: 64,
            sent_datagram_count_max: 16_384,
            sent_frame_count_max: 65_536,
            channel_count_max: 256,
            channel_total_max: 4096,
            metadata_len_max: 512,
            datagram_len_max: 65_507,
            path_mtu_discovery: PathMtuDiscovery::On,
            ecn: EcnMarking::On,
            congestion: Algorithm::Bbr,
            rate_max: None,
            initial_rtt: Duration::from_nanos(333_333_333),
            ack_delay_max: Duration::from_millis(5),
            probe_interval_max: Duration::from_secs(60),
            silence_timeout: Duration::from_secs(15),
            resume_after: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(600),
            lease: Duration::from_secs(600),
            call_timeout: Duration::from_secs(10),
            progress_timeout: Duration::from_secs(10),
            busy_after: Duration::from_millis(100),
        }
    }

    /// The preset for one machine room or one machine: as [`Config::internet`], with a first timeout of 30 ms, and CUBIC.
    ///
    /// RFC 8085 §3.1.1 asks for 1 s where the path is unknown; here its round-trip time is known to be small. Nothing is lost at random
    /// and no queue is deep, so both controllers fill the link alike, and CUBIC has less to do with each acknowledgement.
    #[must_use]
    pub const fn lan() -> Self {
        let mut config = Self::internet();
        config.initial_rtt = Duration::from_millis(10);
        config.congestion = Algorithm::Cubic;
        config
    }

    /// The preset for machines without an allocator: a few peers and short messages, in less than 90 KiB.
    #[must_use]
    pub const fn bare() -> Self {
        Self {
            peer_count_max: 4,
            session_count_per_address_max: 2,
            handshake_count_max: 0,
            move_count_max: 0,
            used_ticket_count_max: 8,
            exchange_count_max: 48,
            exchange_window: 16,
            message_len_max: 4096,
            credit: 8192,
            stream_window: 4096,
            stream_count_max: 16,
            payload_memory: 32_768,
            hole_count_max: 8,
            sent_datagram_count_max: 32,
            sent_frame_count_max: 64,
            channel_count_max: 4,
            channel_total_max: 8,
            metadata_len_max: 64,
            datagram_len_max: 1200,
            path_mtu_discovery: PathMtuDiscovery::Off,
            ..Self::internet()
        }
    }

    /// Lowers what a peer may have under way to the receive buffer that the operating system granted.
    ///
    /// Datagrams beyond it would be lost on our own doorstep, and the peer would take that for congestion. For adapters.
    pub const fn fit_recv_buffer(&mut self, granted_len: usize) {
        if self.credit > granted_len as u64 {
            self.credit = granted_len as u64;
        }
        if self.message_len_max > granted_len {
            self.message_len_max = granted_len;
        }
        if self.stream_window > granted_len {
            self.stream_window = granted_len;
        }
    }

    /// Returns the largest congestion window that makes sense: what the peer may ever grant.
    pub(crate) const fn window_max(&self) -> u64 {
        self.payload_memory as u64
    }

    /// Checks every field against its range and against the others.
    ///
    /// # Errors
    /// The first field that is out of range; nothing else is looked at then.
    pub const fn check(&self) -> Result<(), ConfigError> {
        const fn within(value: usize, low: usize, high: usize, field: &'static str) -> Result<(), ConfigError> {
            if value < low || value > high { Err(ConfigError { field }) } else { Ok(()) }
        }
        const fn lasting(value: Duration, low: Duration, field: &'static str) -> Result<(), ConfigError> {
            // A year is longer than any network waits, and keeps sums of durations far from the end of time.
            if value.as_nanos() < low.as_nanos() || value.as_secs() > 365 * 86_400 {
                Err(ConfigError { field })
            } else {
                Ok(())
            }
        }
        macro_rules! check {
            ($($check:expr;)*) => { $(if let Err(error) = $check { return Err(error); })* };
        }
        let granularity = Duration::from_micros(1);
        check! {
            within(self.peer_count_max, 1, POOL_MAX, "peer_count_max");
            within(self.session_count_per_address_max, 1, POOL_MAX, "session_count_per_address_max");
            within(self.used_ticket_count_max, 1, POOL_MAX, "used_ticket_count_max");
            within(self.handshake_count_max, 0, POOL_MAX, "handshake_count_max");
            within(self.move_count_max, 0, POOL_MAX, "move_count_max");
            within(self.exchange_count_max, 1, POOL_MAX, "exchange_count_max");
            within(self.exchange_window, 16, 65_536, "exchange_window");
            within(self.message_len_max, DATAGRAM_LEN_MIN, 1 << 30, "message_len_max");
            within(self.stream_window, 0, 1 << 30, "stream_window");
            within(self.stream_count_max, 0, 65_535, "stream_count_max");
            within(self.hole_count_max, 1, 1024, "hole_count_max");
            within(self.sent_datagram_count_max, 2, POOL_MAX, "sent_datagram_count_max");
            within(self.sent_frame_count_max, 2, POOL_MAX, "sent_frame_count_max");
            within(self.channel_count_max, 0, 65_536, "channel_count_max");
            within(self.channel_total_max, 0, POOL_MAX, "channel_total_max");
            within(self.metadata_len_max, 0, METADATA_LEN_MAX, "metadata_len_max");
            within(self.datagram_len_max, DATAGRAM_LEN_MIN, 65_507, "datagram_len_max");
            lasting(self.initial_rtt, granularity, "initial_rtt");
            lasting(self.ack_delay_max, Duration::ZERO, "ack_delay_max");
            lasting(self.probe_interval_max, granularity, "probe_interval_max");
            lasting(self.silence_timeout, granularity, "silence_timeout");
            lasting(self.resume_after, granularity, "resume_after");
            lasting(self.idle_timeout, Duration::from_secs(1), "idle_timeout");
            lasting(self.lease, self.idle_timeout, "lease");
            lasting(self.call_timeout, granularity, "call_timeout");
            lasting(self.progress_timeout, granularity, "progress_timeout");
            lasting(self.busy_after, Duration::from_millis(1), "busy_after");
        }
        if self.ack_delay_max.as_micros() > 1 << 24 {
            return Err(ConfigError { field: "ack_delay_max" });
        }
        if self.probe_interval_max.as_secs() > 60 {
            return Err(ConfigError { field: "probe_interval_max" });
        }
        if self.busy_after.as_secs() > 60 {
            return Err(ConfigError { field: "busy_after" });
        }
        // What was started must be able to finish: the credit holds at least one whole message.
        if self.credit < 4096 || self.credit < self.message_len_max as u64 || self.credit > 1 << 40 {
            return Err(ConfigError { field: "credit" });
        }
        if (self.payload_memory as u64) < payload_memory_min(self.message_len_max)
            || self.payload_memory as u64 > 1 << 37
        {
            return Err(ConfigError { field: "payload_memory" });
        }
        if let PathMtuDiscovery::Known(len) = self.path_mtu_discovery
            && (len < DATAGRAM_LEN_MIN || len > self.datagram_len_max)
        {
            return Err(ConfigError { field: "path_mtu_discovery" });
        }
        Ok(())
    }
}

impl Default for Config {
    /// [`Config::internet`].
    fn default() -> Self {
        Self::internet()
    }
}

/// A field of [`Config`] is out of its range, or contradicts another one; the field's documentation says what it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The name of the field.
    pub field: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is out of its range", self.field)
    }
}

impl core::error::Error for ConfigError {}

/// Slots of one pool: an index with a generation fits into the ids that go over the network (protocol §4.1).
const POOL_MAX: usize = 1 << 24;

/// The longest metadata block that an endpoint sends or takes; a number we chose: a trace context and a signed token.
pub const METADATA_LEN_MAX: usize = 1024;

/// The floor of RFC 8899 §5.1.2 and RFC 9000 §14: every path carries this many octets of UDP payload.
pub const DATAGRAM_LEN_MIN: usize = 1200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_are_valid() {
        assert_eq!(Config::internet().check(), Ok(()));
        assert_eq!(Config::lan().check(), Ok(()));
        assert_eq!(Config::bare().check(), Ok(()));
    }

    #[test]
    fn a_message_larger_than_the_credit_is_refused() {
        let config = Config { message_len_max: 2 << 20, credit: 1 << 20, ..Config::internet() };
        assert_eq!(config.check(), Err(ConfigError { field: "credit" }));
    }

    #[test]
    fn nobody_may_have_more_under_way_than_the_receive_buffer_holds() {
        let mut config = Config::internet();
        config.fit_recv_buffer(64 << 20);
        assert_eq!(config, Config::internet());
        config.fit_recv_buffer(100_000);
        assert_eq!((config.credit, config.message_len_max, config.stream_window), (100_000, 100_000, 100_000));
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn a_known_path_mtu_lies_between_the_floor_and_the_ceiling() {
        for len in [1199, 65_508] {
            let config = Config { path_mtu_discovery: PathMtuDiscovery::Known(len), ..Config::internet() };
            assert_eq!(config.check(), Err(ConfigError { field: "path_mtu_discovery" }));
        }
    }

    #[test]
    fn the_error_names_the_field() {
        let config = Config { hole_count_max: 0, ..Config::internet() };
        assert_eq!(std::format!("{}", config.check().unwrap_err()), "`hole_count_max` is out of its range");
    }
}
