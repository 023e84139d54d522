//! What every pair of adapters must be able to do.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::net::UdpSocket;
use std::thread;

use posthaste_core::config::PathMtuDiscovery;
use posthaste_core::endpoint::{Body, Delivery, Reply, Request};
use posthaste_core::{Config, NotExecuted, Unknown, wire};

use crate::random::Random;
use crate::relay::Relay;
use crate::service::{CALL_BACK, COPY, ECHO, FAIL, HANG, LINGER, PANIC, PROGRAM, SUMMARY, Summary, TALLY, digest};
use crate::{Client, Failure, Server};

const ANY_V4: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const ANY_V6: SocketAddr = SocketAddr::new(core::net::IpAddr::V6(Ipv6Addr::LOCALHOST), 0);

fn config() -> Config {
    Config::lan()
}

fn pair<C: Client, S: Server>() -> (C, S) {
    let server = S::start(ANY_V4, config());
    (C::connect(server.local_addr(), config()), server)
}

fn request(procedure: u32, arguments: &[u8]) -> Request<'_> {
    Request::new(PROGRAM, 1, procedure, arguments)
}

fn summary<C: Client>(client: &mut C) -> Summary {
    Summary::decode(&client.call(request(SUMMARY, &[])).expect("the server answers"))
}

/// Echoes of every size come back unchanged.
pub fn calls_of_every_size_are_answered<C: Client, S: Server>() {
    let (mut client, _server) = pair::<C, S>();
    let mut random = Random::new(1);
    for len in [0, 1, 31, 1000, 1200, 5000, 65_507, 100_000, 200_000, 1 << 20] {
        let arguments = random.octets(len);
        match client.call(request(ECHO, &arguments)) {
            Ok(reply) => assert!(reply == arguments, "an echo of {len} octets"),
            // Where the system grants less of a receive buffer, the limit is announced.
            Err(Failure::Refused(_) | Failure::NotExecuted(NotExecuted::TooLarge { .. })) => assert!(len > 200_000),
            Err(failure) => panic!("{len} octets: {failure:?}"),
        }
    }
}

/// The same over IPv6.
pub fn calls_go_over_ipv6<C: Client, S: Server>() {
    let server = S::start(ANY_V6, config());
    let mut client = C::connect(server.local_addr(), config());
    let arguments = Random::new(2).octets(3000);
    assert_eq!(client.call(request(ECHO, &arguments)), Ok(arguments));
}

/// Many calls at a time, each with its own reply.
pub fn many_calls_in_flight_get_their_own_replies<C: Client, S: Server>() {
    let (mut client, _server) = pair::<C, S>();
    let mut random = Random::new(3);
    // More than the window of exchanges, so that some wait for room.
    let arguments: Vec<_> = (0..3000).map(|index| random.octets(8 + index % 100)).collect();
    let replies = client.call_all(ECHO, &arguments);
    assert_eq!(replies.len(), arguments.len());
    for (reply, arguments) in replies.into_iter().zip(arguments) {
        assert_eq!(reply, Ok(arguments));
    }
}

/// An application error reaches the caller with its octets.
pub fn an_application_error_comes_with_its_octets<C: Client, S: Server>() {
    let (mut client, _server) = pair::<C, S>();
    assert_eq!(client.call(request(FAIL, b"no")), Err(Failure::Application(b"no".to_vec())));
}

/// What the server does not know is refused, and was not executed.
pub fn refusals_name_their_reason<C: Client, S: Server>() {
    let (mut client, _server) = pair::<C, S>();
    let refused = |why| Err(Failure::NotExecuted(NotExecuted::Refused(why)));
    assert_eq!(client.call(Request::new(PROGRAM, 1, 99, &[])), refused(wire::NotExecuted::NoSuchProcedure));
    let versions = wire::NotExecuted::NoSuchVersion { low: 1, high: 1 };
    assert_eq!(client.call(Request::new(PROGRAM, 2, ECHO, &[])), refused(versions));
    assert_eq!(client.call(Request::new(1, 1, ECHO, &[])), refused(wire::NotExecuted::NoSuchProgram));
}

/// A handler that does not return by the deadline leaves an unknown outcome; a panic does, too, and the server goes on.
pub fn a_deadline_and_a_panic_leave_the_outcome_unknown<C: Client, S: Server>() {
    let (mut client, _server) = pair::<C, S>();
    assert_eq!(client.call(request(ECHO, &[])), Ok(Vec::new()));
    let hang = Request { timeout: Some(Duration::from_millis(50)), ..request(HANG, &[]) };
    let result = client.call(hang);
    // The server knows the deadline, too: its handler may be told, and answer, a moment before the caller gives up.
    let is_true = matches!(&result, Err(Failure::Unknown(Unknown::Deadline))) || result == Ok(Vec::new());
    assert!(is_true, "{result:?}");
    assert_eq!(client.call(request(PANIC, &[])), Err(Failure::Unknown(Unknown::HandlerFailed)));
    assert_eq!(client.call(request(ECHO, b"alive")), Ok(b"alive".to_vec()));
}

/// A call that is given up reaches its handler as a cancellation.
pub fn a_cancelled_call_reaches_its_handler<C: Client, S: Server>() {
    let (mut client, _server) = pair::<C, S>();
    let hanging = client.start_call(HANG);
    while summary(&mut client).hanging == 0 {}
    client.cancel(hanging);
    while summary(&mut client).cancelled == 0 {}
}

/// One-way calls are executed once each.
pub fn one_way_calls_are_executed_once<C: Client, S: Server>() {
    let (mut client, _server) = pair::<C, S>();
    for _ in 0..10 {
        let tally = Request { reply: Reply::Never, ..request(TALLY, &[]) };
        assert_eq!(client.call(tally), Ok(Vec::new()));
    }
    while summary(&mut client).tally < 10 {}
    assert_eq!(summary(&mut client).tally, 10);
}

/// Messages arrive once each, those of a channel in their order.
pub fn messages_arrive_once_and_in_order<C: Client, S: Server>() {
    let (mut client, _server) = pair::<C, S>();
    let mut random = Random::new(4);
    let mut sum = 0_u64;
    let mut len = 0;
    for number in 1..=500_u64 {
        let mut ordered = number.to_le_bytes().to_vec();
        ordered.extend(random.octets(number as usize % 3000));
        let unordered = random.octets(number as usize % 700);
        for (delivery, octets) in [(Delivery::Ordered { channel: 3 }, ordered), (Delivery::Reliable, unordered)] {
            sum = sum.wrapping_add(digest(&octets));
            len += octets.len() as u64;
            client.send(delivery, &octets);
        }
    }
    client.flush();
    // Acknowledged means that the peer's core has all of it; the application takes it a moment later.
    while summary(&mut client).message_count < 1000 {}
    let seen = summary(&mut client);
    assert_eq!((seen.message_count, seen.message_len, seen.message_digest), (1000, len, sum));
    assert_eq!(seen.disorder_count, 0);
}

/// Messages that are larger together than all memory wait for room, and go on by themselves when there is some.
pub fn messages_wait_for_room<C: Client, S: Server>() {
    let mut config = config();
    config.payload_memory = 12 << 20;
    let server = S::start(ANY_V4, config.clone());
    let mut client = C::connect(server.local_addr(), config);
    let mut octets = Random::new(7).octets(1 << 20);
    let mut sum = 0_u64;
    for number in 1..=36_u64 {
        octets[..8].copy_from_slice(&number.to_le_bytes());
        sum = sum.wrapping_add(digest(&octets));
        client.send(Delivery::Ordered { channel: 3 }, &octets);
    }
    client.flush();
    while summary(&mut client).message_count < 36 {}
    let seen = summary(&mut client);
    assert_eq!((seen.message_count, seen.message_digest, seen.disorder_count), (36, sum, 0));
}

/// Streams carry more than any window, both ways at a time.
pub fn streams_go_both_ways<C: Client, S: Server>() {
    let (mut client, _server) = pair::<C, S>();
    let octets = Random::new(5).octets(5_000_000);
    assert!(client.echo_stream(&octets) == octets);
}

/// A call carries streams both ways, beside its reply.
pub fn a_call_carries_streams_both_ways<C: Client, S: Server>() {
    let (mut client, _server) = pair::<C, S>();
    let octets = Random::new(7).octets(2_000_000);
    for octets in [&octets[..], &[]] {
        let (reply, returned) = client.stream_call(COPY, octets);
        assert_eq!(reply, Ok((octets.len() as u64).to_le_bytes().to_vec()));
        assert!(returned.is_some_and(|returned| returned == octets));
    }
}

/// Streams that a handler does not want end, and its reply arrives.
pub fn a_handler_that_wants_no_streams_ends_them<C: Client, S: Server>() {
    let (mut client, _server) = pair::<C, S>();
    let octets = Random::new(8).octets(2_000_000);
    assert_eq!(client.stream_call(ECHO, &octets), (Ok(Vec::new()), None));
    let (failure, returned) = client.stream_call(FAIL, &octets);
    assert_eq!((failure, returned), (Err(Failure::Application(Vec::new())), None));
}

/// A call that is refused ends its streams.
pub fn a_refused_call_ends_its_streams<C: Client, S: Server>() {
    let (mut client, _server) = pair::<C, S>();
    let octets = Random::new(9).octets(2_000_000);
    let refused = NotExecuted::Refused(wire::NotExecuted::NoSuchProcedure);
    assert_eq!(client.stream_call(99, &octets), (Err(Failure::NotExecuted(refused)), None));
    assert_eq!(client.call(request(ECHO, b"alive")), Ok(b"alive".to_vec()));
}

/// The server calls its client while it answers it.
pub fn the_server_calls_its_client<C: Client, S: Server>() {
    let (mut client, _server) = pair::<C, S>();
    for text in [&b"once"[..], b"twice"] {
        assert_eq!(client.call(request(CALL_BACK, text)), Ok(text.to_vec()));
    }
}

/// When the server stops, what it was executing is unknown.
pub fn a_server_that_stops_leaves_the_outcome_unknown<C: Client, S: Server>() {
    let (mut client, server) = pair::<C, S>();
    let hanging = client.start_call(HANG);
    while summary(&mut client).hanging == 0 {}
    drop(server);
    let result = client.wait(hanging);
    // It is told, by the server or by what the handler left behind, and does not find out by the silence.
    let is_told = matches!(result, Err(Failure::Unknown(Unknown::Closed | Unknown::HandlerFailed)));
    assert!(is_told, "{result:?}");
}

/// A server that shuts down answers what it is executing, over a network that loses datagrams, too, and refuses the rest.
pub fn a_server_that_shuts_down_answers_first<C: Client, S: Server>() {
    for lost_percent in [0, 20, 20, 20] {
        let server = S::start(ANY_V4, config());
        let relay = Relay::start(server.local_addr(), lost_percent);
        let mut client = C::connect(relay.addr(), config());
        let lingering: Vec<_> = (0..3).map(|_| client.start_call(LINGER)).collect();
        while summary(&mut client).hanging < 3 {}
        thread::scope(|scope| {
            let ending = scope.spawn(move || server.shut_down());
            for call in lingering {
                assert_eq!(client.wait(call), Ok(Vec::new()));
            }
            // Some clients only say what they have received while they wait for something.
            while !ending.is_finished() {
                let _ = client.call(Request { timeout: Some(Duration::from_millis(20)), ..request(ECHO, &[]) });
            }
        });
    }
}

/// Datagrams without octets, of one octet and of nonsense, sent as fast as a thread can, keep no call from its reply.
pub fn a_flood_of_empty_datagrams_delays_no_call<C: Client, S: Server>() {
    let (mut client, server) = pair::<C, S>();
    let flooder = UdpSocket::bind(ANY_V4).expect("a socket");
    flooder.connect(server.local_addr()).expect("an address");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for datagram in [&[][..], &[0x40], &[0x40; 40]] {
                    // A full buffer, or a server that is gone, is no concern of a flood.
                    let _ = flooder.send(datagram);
                }
            }
        });
        for count in 0..100_u32 {
            // What the flood pushes out of the receive buffer is sent again.
            let reply = client.call(Request { timeout: None, ..request(ECHO, &count.to_be_bytes()) });
            assert_eq!(reply, Ok(count.to_be_bytes().to_vec()));
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

/// Four MiB there and back over a network that loses one datagram in twenty each way; with `POSTHASTE_NIGHTLY` in the environment,
/// sixty-four.
pub fn a_large_stream_survives_a_lossy_network<C: Client, S: Server>() {
    // As on most networks: with the datagrams of the loopback, too few would be sent for any to be lost.
    let mut config = config();
    config.path_mtu_discovery = PathMtuDiscovery::Off;
    let server = S::start(ANY_V4, config.clone());
    let relay = Relay::start(server.local_addr(), 5);
    let mut client = C::connect(relay.addr(), config);
    let len = if std::env::var_os("POSTHASTE_NIGHTLY").is_some() { 64 << 20 } else { 4 << 20 };
    let octets = Random::new(6).octets(len);
    let returned = client.echo_stream(&octets);
    assert_eq!((returned.len(), digest(&returned)), (octets.len(), digest(&octets)));
    assert!(relay.lost_count() > 100, "{} datagrams were lost", relay.lost_count());
}

/// Makes a message of `octets`.
#[must_use]
pub const fn message(delivery: Delivery, octets: &[u8]) -> posthaste_core::endpoint::Message<'_> {
    posthaste_core::endpoint::Message { delivery, priority: 1, body: Body::Copied(octets) }
}
