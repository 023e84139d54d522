//! What is accepted can be sent: a size that fits nowhere is refused at once, and never closes a conversation.

use core::time::Duration;

use posthaste_core::Config;
use posthaste_core::config::PathMtuDiscovery;
use posthaste_core::endpoint::{Body, Delivery, Event, Message, Request, SendError};
use posthaste_core::wire::MetadataWriter;
use posthaste_core::wire::metadata::key;

use crate::pair::{Pair, answer};

#[test]
fn a_message_of_any_length_and_delivery_is_refused_or_arrives() {
    let deliveries = [
        Delivery::Unreliable,
        Delivery::Newest { key: 1 },
        Delivery::Newest { key: (1 << 62) - 1 },
        Delivery::Reliable,
        Delivery::Ordered { channel: 0 },
        Delivery::Ordered { channel: (1 << 62) - 1 },
    ];
    for delivery in deliveries {
        let mut pair = opened();
        let mut refused_from = None;
        for len in 0..=DATAGRAM_LEN + 50 {
            let body = vec![len as u8; len];
            let peer = pair.dial();
            let message = Message { delivery, priority: 1, body: Body::Copied(&body) };
            match pair.client.endpoint.send(pair.now, peer, message) {
                Ok(_) => assert!(arrives(&mut pair, &body), "{delivery:?} of {len} octets"),
                Err(SendError::TooLarge { .. }) => {
                    refused_from.get_or_insert(len);
                }
                Err(error) => panic!("{delivery:?} of {len} octets: {error}"),
            }
            assert!(refused_from.is_none_or(|from| from <= len), "whatever is longer is refused, too");
        }
        let must_fit = matches!(delivery, Delivery::Unreliable | Delivery::Newest { .. });
        assert_eq!(refused_from.is_some(), must_fit, "{delivery:?}");
        assert!(refused_from.is_none_or(|from| from > DATAGRAM_LEN - 100), "{delivery:?} from {refused_from:?}");
        assert!(pair.client.sent.iter().all(|datagram| datagram.len() <= DATAGRAM_LEN));
    }
}

#[test]
fn a_call_of_any_length_with_any_metadata_is_answered() {
    for metadata_len in [0, 1, 62, 63, 64, 200, 500] {
        let mut pair = opened();
        let mut items = [0; 512];
        let mut writer = MetadataWriter::new(&mut items);
        if metadata_len > 0 {
            writer.put(key::TRACE, &vec![7; metadata_len]).unwrap();
        }
        let items = writer.finish();
        for len in DATAGRAM_LEN - metadata_len - 100..=DATAGRAM_LEN - metadata_len + 50 {
            let body = vec![len as u8; len];
            let peer = pair.dial();
            let request = Request { metadata: items.as_octets(), ..Request::new(1, 1, 1, &body) };
            pair.client.endpoint.call(pair.now, peer, request).unwrap();
            assert_eq!(answer(&mut pair).1, body, "{len} octets and {metadata_len} of metadata");
        }
    }
}

/// Makes two endpoints with a conversation between them, and datagrams that stay short.
fn opened() -> Pair {
    let mut config = Config::internet();
    config.path_mtu_discovery = PathMtuDiscovery::Off;
    let mut pair = Pair::with(config.clone(), config);
    let peer = pair.dial();
    pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 1, b"open")).unwrap();
    answer(&mut pair);
    pair
}

fn arrives(pair: &mut Pair, octets: &[u8]) -> bool {
    pair.run_until(Duration::from_secs(1), |pair| {
        let message = pair
            .server
            .take(|event| if let Event::MessageReceived { message, .. } = event { Some(*message) } else { None });
        message.is_some_and(|message| {
            let is_whole = pair.server.endpoint.payload(message) == Ok(octets);
            pair.server.endpoint.release(pair.now, message).unwrap();
            is_whole
        })
    })
}

/// The longest datagram where the path is not searched for longer ones.
const DATAGRAM_LEN: usize = 1200;
