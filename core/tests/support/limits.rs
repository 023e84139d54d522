//! A configuration whose limits are soon reached, and whether an endpoint keeps to them.

use posthaste_core::Config;
use posthaste_core::endpoint::Usage;

/// Says whether an endpoint keeps to its limits.
pub(crate) fn within(usage: &Usage, config: &Config) -> bool {
    usage.peers as usize <= config.peer_count_max
        && usage.exchanges as usize <= config.exchange_count_max
        && usage.incoming as usize <= config.exchange_count_max
        && usage.outgoing as usize <= config.exchange_count_max
        && usage.datagrams as usize <= config.sent_datagram_count_max
        && usage.frames as usize <= config.sent_frame_count_max
        && usage.channels as usize <= config.channel_total_max
        && usage.payload_octets <= config.payload_memory
}

/// A configuration whose limits are soon reached.
pub(crate) fn small() -> Config {
    let mut config = Config::internet();
    config.peer_count_max = 8;
    config.session_count_per_address_max = 4;
    config.used_ticket_count_max = 16;
    config.exchange_count_max = 64;
    config.exchange_window = 32;
    config.message_len_max = 4096;
    #[cfg(feature = "bytes")]
    {
        config.own_body_len_min = 500;
    }
    config.credit = 16_384;
    config.stream_window = 2048;
    config.payload_memory = 65_536;
    config.hole_count_max = 4;
    config.sent_datagram_count_max = 24;
    config.sent_frame_count_max = 40;
    config.channel_count_max = 4;
    config.channel_total_max = 8;
    config
}
