use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use posthaste_core::Instant;
use proptest::collection::vec as some;
use proptest::prelude::*;

use super::reply_cache::{Known, ReplyCache};
use super::*;
use crate::client::StreamError;
use crate::message::{Auth, AuthStatus, AuthSys, Claim, Flavor, Reply};
use crate::record::put_record;

#[test]
fn a_call_is_answered_and_a_duplicate_gets_the_same_octets() {
    let mut server = datagrams();
    let call = call(1, b"four");
    let id = arrive(&mut server, 0, CLIENT, &call);
    let reply = server.reply(at(0), id, Ok(b"good")).unwrap().to_vec();
    assert_eq!(Reply::decode(&reply), Ok(Reply { xid: 1, outcome: Ok(b"good") }));
    // Whoever still asks is still answered.
    for millis in [0, 119_999, 239_998] {
        assert_eq!(server.handle_datagram(at(millis), CLIENT, &call), Ok(Arrival::Answer(&reply)));
    }
    // Forgotten, it is executed again.
    arrive(&mut server, 239_998 + 120_000, CLIENT, &call);
}

#[test]
fn a_duplicate_of_a_running_call_is_dropped() {
    let mut server = datagrams();
    let call = call(1, b"four");
    let id = arrive(&mut server, 0, CLIENT, &call);
    // However long it runs.
    assert_eq!(server.handle_datagram(at(1_000_000), CLIENT, &call), Err(Dropped::Running));
    assert!(server.reply(at(1_000_000), id, Ok(b"")).is_some());
    assert!(server.reply(at(1_000_000), id, Ok(b"")).is_none(), "it is answered once");
}

#[test]
fn what_differs_in_anything_is_another_call() {
    let mut server = datagrams();
    let original = call(1, b"four");
    let id = arrive(&mut server, 0, CLIENT, &original);
    server.reply(at(0), id, Ok(b"")).unwrap();
    arrive(&mut server, 0, "192.0.2.7:701".parse().unwrap(), &original);
    arrive(&mut server, 0, "192.0.2.8:700".parse().unwrap(), &original);
    arrive(&mut server, 0, CLIENT, &call(2, b"four"));
    arrive(&mut server, 0, CLIENT, &call(1, b"five"));
    arrive(&mut server, 0, CLIENT, &call(1, b"fourfour"));
    for word in 3..6 {
        let mut other = original.clone();
        other[word * 4 + 3] ^= 1;
        arrive(&mut server, 0, CLIENT, &other);
    }
    // Nobody gets the reply of another user.
    let claim = Claim::from(&AuthSys::new(b"", 1, 1, &[]).unwrap());
    let mut other = Vec::new();
    Call { credential: claim.auth(), ..Call::decode(&original).unwrap() }.encode(&mut other);
    arrive(&mut server, 0, CLIENT, &other);
}

#[test]
fn an_ipv4_client_of_a_dual_stack_socket_is_the_same_client() {
    let mut server = datagrams();
    let call = call(1, b"four");
    arrive(&mut server, 0, "[::ffff:192.0.2.7]:700".parse().unwrap(), &call);
    assert_eq!(server.handle_datagram(at(0), CLIENT, &call), Err(Dropped::Running));
}

#[test]
fn newer_replies_make_room_and_running_calls_stay() {
    let config = ServerConfig { remembered_count_max: 3, ..ServerConfig::default() };
    let mut server = DatagramServer::new(&config, [1; 32]);
    let calls = [1, 2, 3, 4, 5].map(|xid| call(xid, b"four"));
    let ids = [0, 1, 2].map(|index: usize| arrive(&mut server, 0, CLIENT, &calls[index]));
    assert_eq!(server.handle_datagram(at(0), CLIENT, &calls[3]), Err(Dropped::Full));
    server.reply(at(0), ids[1], Ok(b"")).unwrap();
    arrive(&mut server, 0, CLIENT, &calls[3]);
    // The one that was answered is forgotten, and those that run are not.
    assert_eq!(server.handle_datagram(at(0), CLIENT, &calls[0]), Err(Dropped::Running));
    assert_eq!(server.handle_datagram(at(0), CLIENT, &calls[1]), Err(Dropped::Full));
}

#[test]
fn another_version_of_the_protocol_and_unknown_flavors_are_refused_without_being_remembered() {
    let config = ServerConfig { remembered_count_max: 1, ..ServerConfig::default() };
    let mut server = DatagramServer::new(&config, [1; 32]);
    let mut old = call(1, b"");
    old[11] = 1;
    let mut unknown = Vec::new();
    let gss = Auth { flavor: Flavor(6), body: &[0; 20] };
    Call { credential: gss, ..Call::decode(&call(2, b"")).unwrap() }.encode(&mut unknown);
    for _ in 0..3 {
        assert_eq!(refusal(&mut server, &old), Refusal::RpcVersion { low: 2, high: 2 });
        assert_eq!(refusal(&mut server, &unknown), Refusal::Auth(AuthStatus::RejectedCredential));
    }
    arrive(&mut server, 0, CLIENT, &call(3, b""));
}

#[test]
fn what_is_no_call_gets_no_answer() {
    let mut server = datagrams();
    let mut reply = Vec::new();
    Reply { xid: 1, outcome: Ok(&[]) }.encode(&mut reply);
    let long = call(1, &vec![0; 1 << 20]);
    for datagram in [&b""[..], b"x", b"GET / HTTP/1.1\r\n\r\n", &[0; 36], &[0xff; 64], &reply, &long] {
        assert_eq!(server.handle_datagram(at(0), CLIENT, datagram), Err(Dropped::Malformed));
    }
}

#[test]
fn refusals_are_no_longer_than_the_shortest_call() {
    for refusal in [Refusal::RpcVersion { low: 2, high: 2 }, Refusal::NoSuchVersion { low: 1, high: 9 }] {
        let mut reply = Vec::new();
        Reply { xid: 1, outcome: Err(refusal) }.encode(&mut reply);
        assert!(reply.len() <= call(1, b"").len());
    }
}

#[test]
fn results_too_long_for_a_datagram_are_an_error_of_the_system() {
    let mut server = datagrams();
    let id = arrive(&mut server, 0, CLIENT, &call(1, b""));
    let reply = server.reply(at(0), id, Ok(&vec![0; 65_484])).unwrap();
    assert_eq!(Reply::decode(reply).unwrap().outcome, Err(Refusal::SystemError));
    let id = arrive(&mut server, 0, CLIENT, &call(2, b""));
    assert_eq!(server.reply(at(0), id, Ok(&vec![0; 65_480])).unwrap().len(), 65_504);
}

#[test]
fn pipelined_calls_of_a_connection_come_one_by_one_and_are_answered_in_any_order() {
    let mut connection = connection();
    let mut stream = Vec::new();
    for xid in 1..=3 {
        put_record(&mut stream, |out| out.extend_from_slice(&call(xid, &[xid as u8; 4])));
    }
    let mut received = Vec::new();
    for mut piece in stream.chunks(7) {
        while let Some(call) = connection.handle_octets(at(0), &mut piece).unwrap() {
            received.push((call.xid, call.call.unwrap().arguments.to_vec()));
        }
    }
    assert_eq!(received, [(1, vec![1; 4]), (2, vec![2; 4]), (3, vec![3; 4])]);
    for xid in [2, 3, 1] {
        connection.reply(at(0), xid, Ok(&[]));
    }
    let sent = connection.poll_transmit().unwrap();
    let xids: Vec<_> = sent.chunks(28).map(|record| Reply::decode(&record[4..]).unwrap().xid).collect();
    assert_eq!(xids, [2, 3, 1]);
    connection.handle_transmitted(at(0), 3 * 28);
    assert_eq!(connection.poll_transmit(), None);
}

#[test]
fn a_connection_tells_what_to_refuse_and_ends_where_no_call_is() {
    let mut connection = connection();
    let mut stream = Vec::new();
    let mut old = call(9, b"");
    old[11] = 3;
    put_record(&mut stream, |out| out.extend_from_slice(&old));
    put_record(&mut stream, |out| out.extend_from_slice(b"GET / HTTP/1.1\r\n"));
    let mut input = &stream[..];
    let refused = Received { xid: 9, call: Err(Refusal::RpcVersion { low: 2, high: 2 }) };
    assert_eq!(connection.handle_octets(at(0), &mut input), Ok(Some(refused)));
    assert_eq!(connection.handle_octets(at(0), &mut input), Err(StreamError::Malformed));
}

#[test]
fn a_connection_reads_no_more_while_much_is_under_way() {
    let config = ServerConfig { running_count_max: 1, outgoing_len_max: 20, ..ServerConfig::default() };
    let mut connection = Connection::new(config, CLIENT, at(0));
    assert!(connection.wants_input());
    receive(&mut connection, 0, 1);
    assert!(!connection.wants_input());
    connection.reply(at(0), 1, Ok(b"four"));
    assert!(!connection.wants_input(), "its reply is not taken yet");
    connection.handle_transmitted(at(0), 12);
    assert!(connection.wants_input());
}

#[test]
fn a_connection_ends_when_idle_or_slow_and_not_while_a_call_runs() {
    let mut connection = connection();
    assert_eq!(connection.poll_timeout(), Some(at(300_000)));
    // Part of a call, and then octet by octet.
    connection.handle_octets(at(1000), &mut &[0x80, 0][..]).unwrap();
    connection.handle_octets(at(20_000), &mut &[0][..]).unwrap();
    assert_eq!(connection.poll_timeout(), Some(at(31_000)));

    // Each call has its own time, however long there was none.
    let mut connection = self::connection();
    receive(&mut connection, 5000, 1);
    assert_eq!(connection.handle_octets(at(5000), &mut &[][..]), Ok(None));
    connection.reply(at(5000), 1, Ok(&[]));
    connection.handle_transmitted(at(5000), 28);
    connection.handle_octets(at(100_000), &mut &[0x80, 0][..]).unwrap();
    assert_eq!(connection.poll_timeout(), Some(at(130_000)));

    let mut connection = self::connection();
    receive(&mut connection, 5000, 1);
    assert_eq!(connection.poll_timeout(), None);
    connection.reply(at(900_000), 1, Ok(b"four"));
    // A reply that is not taken.
    assert_eq!(connection.poll_timeout(), Some(at(930_000)));
    connection.handle_transmitted(at(901_000), 1);
    assert_eq!(connection.poll_timeout(), Some(at(930_000)));
    connection.handle_transmitted(at(902_000), 31);
    assert_eq!(connection.poll_timeout(), Some(at(1_202_000)));

    // One that is never without replies to take, and takes them, goes on.
    let mut connection = self::connection();
    connection.reply(at(0), 1, Ok(&[]));
    for second in 1..100 {
        connection.reply(at(second * 1000), 1, Ok(&[]));
        connection.handle_transmitted(at(second * 1000), 28);
        assert!(connection.poll_timeout().unwrap() > at(second * 1000 + 28_000), "{second} s");
    }
}

proptest! {
    /// Against the simplest thing that could do the same.
    #[test]
    fn the_cache_does_as_its_model(
        steps in some((0_u64..8, 0_u32..8, 0_usize..4, any::<bool>()), 0..200),
        count_max in 1_usize..6,
        len_max in 0_usize..12,
    ) {
        let config = ServerConfig {
            remembered_count_max: count_max,
            remembered_len_max: len_max,
            remembered_timeout: Duration::from_nanos(20),
            ..ServerConfig::default()
        };
        let mut cache = ReplyCache::new(&config);
        let mut running = BTreeSet::new();
        let mut answered: Vec<(u64, u32, Vec<u8>)> = Vec::new();
        let mut now = 0;
        for (passed, xid, len, ends) in steps {
            now += passed;
            answered.retain(|(until, ..)| *until > now);
            let id = datagrams_id(xid);
            let instant = Instant::from_nanos(now);
            if ends {
                let reply = vec![xid as u8; len];
                prop_assert_eq!(cache.end(instant, id, &reply), running.remove(&xid).then(|| {
                    answered.push((now + 20, xid, reply.clone()));
                    answered.sort();
                    while answered.iter().map(|(.., reply)| reply.len()).sum::<usize>() > len_max {
                        answered.remove(0);
                    }
                }).is_some());
                continue;
            }
            let known = cache.begin(instant, id);
            if let Some((until, _, reply)) = answered.iter_mut().find(|(_, it, _)| *it == xid) {
                prop_assert_eq!(known, Known::Answered(reply));
                *until = now + 20;
                answered.sort();
            } else if running.contains(&xid) {
                prop_assert_eq!(known, Known::Running);
            } else if running.len() == count_max {
                prop_assert_eq!(known, Known::Full);
            } else {
                prop_assert_eq!(known, Known::Unknown);
                if running.len() + answered.len() == count_max {
                    answered.remove(0);
                }
                running.insert(xid);
            }
        }
    }

    #[test]
    fn octets_of_chance_are_taken_without_panic(pieces in some(some(prop_oneof![0_u8..3, any::<u8>()], 0..80), 0..8)) {
        let mut server = datagrams();
        let mut connection = connection();
        for piece in &pieces {
            let _ = server.handle_datagram(at(0), CLIENT, piece);
            let mut input = &piece[..];
            while let Ok(Some(_)) = connection.handle_octets(at(0), &mut input) {}
        }
    }
}

fn datagrams() -> DatagramServer {
    DatagramServer::new(&ServerConfig::default(), [1; 32])
}

fn connection() -> Connection {
    Connection::new(ServerConfig::default(), CLIENT, at(0))
}

/// Makes an id as those of calls that differ in their xid alone.
fn datagrams_id(xid: u32) -> IncomingId {
    arrive(&mut datagrams(), 0, CLIENT, &call(xid, b""))
}

fn arrive(server: &mut DatagramServer, millis: u64, from: SocketAddr, datagram: &[u8]) -> IncomingId {
    match server.handle_datagram(at(millis), from, datagram) {
        Ok(Arrival::Call(id, _)) => id,
        other => panic!("{other:?}"),
    }
}

fn receive(connection: &mut Connection, millis: u64, xid: u32) {
    let mut stream = Vec::new();
    put_record(&mut stream, |out| out.extend_from_slice(&call(xid, b"")));
    assert!(connection.handle_octets(at(millis), &mut &stream[..]).unwrap().is_some());
}

fn refusal(server: &mut DatagramServer, datagram: &[u8]) -> Refusal {
    match server.handle_datagram(at(0), CLIENT, datagram) {
        Ok(Arrival::Answer(reply)) => Reply::decode(reply).unwrap().outcome.unwrap_err(),
        other => panic!("{other:?}"),
    }
}

fn call(xid: u32, arguments: &[u8]) -> Vec<u8> {
    let target = Target { program: 0x2000_0000, version: 1, procedure: 4 };
    let mut octets = Vec::new();
    Call { xid, target, credential: Auth::NONE, verifier: Auth::NONE, arguments }.encode(&mut octets);
    octets
}

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

const CLIENT: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 7)), 700);
