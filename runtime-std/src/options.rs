//! What a client or server can be told.

use core::time::Duration;

use posthaste_core::Config;
use posthaste_udp::Options as SocketOptions;

/// Limits, timing, socket and threads of a client or server. [`Config`] turns into it where nothing else is to be said.
#[derive(Clone, Debug)]
pub struct Options {
    /// The protocol's limits and timing.
    ///
    /// `credit`, and with it `message_len_max` and `stream_window`, are lowered to the receive buffer that the operating
    /// system grants: what a peer may have under way must fit where it arrives.
    pub config: Config,
    /// What to ask of the operating system, and how long a thread looks at the socket before it sleeps in it. Where the socket is waited
    /// for is decided here.
    pub socket: SocketOptions,
    /// How long a client waits for each address of its server.
    pub connect_timeout: Duration,
    /// The sockets of a server's port, 1 to 256: as many cores as it is to use. Each has an endpoint and threads of its own, to which
    /// all limits and counts apply, and a peer stays with one of them. A client has one.
    pub socket_count: usize,
    /// The threads that run handlers, unless a handler runs inline. At least 1 where there is a handler.
    pub worker_count: usize,
    /// Calls that wait for a worker; one more is refused as busy.
    pub queued_count_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: Config::default(),
            socket: SocketOptions::default(),
            connect_timeout: Duration::from_secs(3),
            socket_count: 1,
            worker_count: 4,
            queued_count_max: 256,
        }
    }
}

impl From<Config> for Options {
    fn from(config: Config) -> Self {
        Self { config, ..Self::default() }
    }
}
