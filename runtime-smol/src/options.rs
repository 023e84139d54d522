//! What a client or server can be told.

use posthaste_core::Config;

/// Limits, timing and socket of a client or server. [`Config`] turns into it where nothing else is to be said.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The protocol's limits and timing.
    ///
    /// `credit`, `message_len_max` and `stream_window` are lowered to the receive buffer that the operating system grants.
    pub config: Config,
    /// What to ask of the operating system. Where the socket is waited for is decided here.
    pub socket: posthaste_udp::Options,
}

impl From<Config> for Options {
    fn from(config: Config) -> Self {
        Self { config, ..Self::default() }
    }
}
