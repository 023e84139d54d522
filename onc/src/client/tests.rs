use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;

use posthaste_core::Instant;
use posthaste_rpc::Procedure;

use super::*;
use crate::message::{NoCall, Reply};
use crate::record::put_record;

#[test]
fn a_reply_ends_its_call() {
    let mut client = datagrams();
    let id = client.call(at(0), SERVER, &request()).unwrap();
    let call = sent(&mut client, 0);
    client.handle_datagram(at(0), SERVER, &reply(call, Ok(b"good"))).unwrap();
    assert_eq!(client.poll_outcome(), Some((id, Ok(b"good".to_vec()))));
    assert_eq!((client.poll_outcome(), client.poll_timeout()), (None, None));
    assert_eq!(client.poll_transmit(at(9000)), None);
}

#[test]
fn a_refusal_is_told_as_it_is() {
    for refusal in [Refusal::NoSuchProgram, Refusal::NoSuchVersion { low: 1, high: 3 }, Refusal::GarbageArguments] {
        let mut client = datagrams();
        let id = client.call(at(0), SERVER, &request()).unwrap();
        let call = sent(&mut client, 0);
        client.handle_datagram(at(0), SERVER, &reply(call, Err(refusal))).unwrap();
        let failure = Failure::Refused(refusal);
        assert_eq!((client.poll_outcome(), failure.is_not_executed()), (Some((id, Err(failure))), true));
    }
    assert!(!Failure::Refused(Refusal::SystemError).is_not_executed());
}

#[test]
fn a_call_is_sent_again_after_longer_and_longer_waits_until_its_time_is_up() {
    let mut client = datagrams();
    let id = client.call(at(0), SERVER, &Request { timeout: Some(Duration::from_secs(100)), ..request() }).unwrap();
    let call = sent(&mut client, 0);
    let mut sent_at = vec![0];
    loop {
        let due = client.poll_timeout().unwrap();
        client.handle_timeout(due);
        let Some(transmit) = client.poll_transmit(due) else { break };
        assert_eq!(xid(transmit.datagram), call, "all attempts are the same call");
        sent_at.push(due.as_nanos() / 1_000_000);
    }
    let waits: Vec<u64> = sent_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, least) in waits.iter().zip([1000, 2000, 4000, 8000, 16_000, 30_000]) {
        assert!((least..=least + least / 2).contains(wait), "{waits:?}");
    }
    assert!(waits.iter().any(|wait| wait % 1000 != 0), "chance adds to them: {waits:?}");
    assert!((6..=8).contains(&sent_at.len()), "{sent_at:?}");
    assert_eq!(client.poll_outcome(), Some((id, Err(Failure::Unknown(Unknown::Deadline)))));
}

#[test]
fn a_call_waits_as_long_as_its_server_is_known_to_take() {
    let mut client = datagrams();
    // Nothing is known, and the first call is sent again before the reply comes.
    let (begin, waits) = answered(&mut client, 0, 3000);
    assert_eq!(waits.len(), 1, "{waits:?}");
    // That long it took at most, so the next one waits for it: a sample, from which the others have their margin.
    let mut now = begin;
    for _ in 0..20 {
        let waits;
        (now, waits) = answered(&mut client, now, 3000);
        assert_eq!(waits, [], "at {now} ms");
    }
    // The first wait follows the server both ways, but never below what is configured.
    for _ in 0..40 {
        (now, _) = answered(&mut client, now, 1);
    }
    let id = client.call(at(now), SERVER, &request()).unwrap();
    sent(&mut client, now);
    let wait = client.poll_timeout().unwrap().saturating_since(at(now));
    assert!((1000..=1500).contains(&wait.as_millis()), "{wait:?}");
    client.cancel(id);
}

#[test]
fn what_one_server_takes_says_nothing_of_another() {
    let mut client = datagrams();
    answered(&mut client, 0, 8000);
    let other = "192.0.2.9:111".parse().unwrap();
    client.call(at(20_000), other, &request()).unwrap();
    sent(&mut client, 20_000);
    let wait = client.poll_timeout().unwrap().saturating_since(at(20_000));
    assert!((1000..=1500).contains(&wait.as_millis()), "{wait:?}");
}

#[test]
fn clients_that_begin_together_do_not_send_again_together() {
    let times: Vec<_> = (0..8)
        .map(|seed| {
            let mut client = DatagramClient::new(ClientConfig::default(), [seed; 32]);
            client.call(at(0), SERVER, &request()).unwrap();
            sent(&mut client, 0);
            client.poll_timeout()
        })
        .collect();
    assert!(times.windows(2).all(|pair| pair[0] != pair[1]), "{times:?}");
}

#[test]
fn a_call_that_may_not_be_repeated_is_sent_once() {
    let mut client = datagrams();
    let request = Request { retransmission: Retransmission::Never, ..request() };
    let id = client.call(at(0), SERVER, &request).unwrap();
    sent(&mut client, 0);
    assert_eq!(client.poll_timeout(), Some(at(10_000)));
    client.handle_timeout(at(10_000));
    assert_eq!(client.poll_transmit(at(10_000)), None);
    assert_eq!(client.poll_outcome(), Some((id, Err(Failure::Unknown(Unknown::Deadline)))));
}

#[test]
fn a_call_that_never_left_is_told_apart() {
    let mut client = datagrams();
    let id = client.call(at(0), SERVER, &request()).unwrap();
    client.handle_timeout(at(10_000));
    assert_eq!(client.poll_outcome(), Some((id, Err(Failure::NotSent(NotSent::Unreached)))));
    assert_eq!(client.poll_transmit(at(10_000)), None);
}

#[test]
fn a_reply_counts_only_from_where_the_call_went() {
    let mut client = datagrams();
    client.call(at(0), SERVER, &request()).unwrap();
    let call = sent(&mut client, 0);
    let reply = reply(call, Ok(b"evil"));
    for from in ["192.0.2.1:112", "192.0.2.2:111", "[::1]:111"] {
        assert_eq!(client.handle_datagram(at(0), from.parse().unwrap(), &reply), Err(Rejected::WrongAddress), "{from}");
    }
    assert_eq!(client.poll_outcome(), None);
    client.handle_datagram(at(0), "[::ffff:192.0.2.1]:111".parse().unwrap(), &reply).unwrap();
}

#[test]
fn a_guess_at_the_xid_is_rejected_and_changes_nothing() {
    let mut client = datagrams();
    client.call(at(0), SERVER, &request()).unwrap();
    let call = sent(&mut client, 0);
    let timeout = client.poll_timeout();
    for guess in (0..1000_u32).map(|step| call.wrapping_add(1 + step * 4_294_967)) {
        assert_eq!(client.handle_datagram(at(0), SERVER, &reply(guess, Ok(b""))), Err(Rejected::NotAwaited));
    }
    assert_eq!((client.poll_outcome(), client.poll_timeout()), (None, timeout));
}

#[test]
fn a_call_that_was_not_sent_yet_has_no_reply() {
    let [mut client, mut twin] = [datagrams(), datagrams()];
    client.call(at(0), SERVER, &request()).unwrap();
    twin.call(at(0), SERVER, &request()).unwrap();
    let call = sent(&mut twin, 0);
    assert_eq!(client.handle_datagram(at(0), SERVER, &reply(call, Ok(b""))), Err(Rejected::NotAwaited));
    assert_eq!(sent(&mut client, 0), call);
}

#[test]
fn a_reply_that_comes_twice_ends_one_call() {
    let mut client = datagrams();
    client.call(at(0), SERVER, &request()).unwrap();
    let reply = reply(sent(&mut client, 0), Ok(b""));
    client.handle_datagram(at(0), SERVER, &reply).unwrap();
    assert_eq!(client.handle_datagram(at(0), SERVER, &reply), Err(Rejected::NotAwaited));
    assert!(client.poll_outcome().is_some() && client.poll_outcome().is_none());
}

#[test]
fn xids_begin_anywhere_and_go_up() {
    let firsts: Vec<u32> = (0..4)
        .map(|seed| {
            let mut client = DatagramClient::new(ClientConfig::default(), [seed; 32]);
            let xids: Vec<u32> = (0..3)
                .map(|_| {
                    client.call(at(0), SERVER, &request()).unwrap();
                    sent(&mut client, 0)
                })
                .collect();
            assert_eq!(xids, [xids[0], xids[0].wrapping_add(1), xids[0].wrapping_add(2)]);
            xids[0]
        })
        .collect();
    assert!(firsts.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > 1000), "{firsts:?}");
}

#[test]
fn the_table_of_calls_has_a_limit_that_outcomes_count_towards() {
    let config = ClientConfig { call_count_max: 2, ..ClientConfig::default() };
    let mut client = DatagramClient::new(config, [1; 32]);
    let first = client.call(at(0), SERVER, &request()).unwrap();
    client.call(at(0), SERVER, &request()).unwrap();
    assert_eq!(client.call(at(0), SERVER, &request()), Err(NotSent::Full));
    let call = sent(&mut client, 0);
    client.handle_datagram(at(0), SERVER, &reply(call, Ok(b""))).unwrap();
    assert_eq!(client.call(at(0), SERVER, &request()), Err(NotSent::Full));
    assert_eq!(client.poll_outcome(), Some((first, Ok(vec![]))));
    assert!(client.call(at(0), SERVER, &request()).is_ok());
}

#[test]
fn a_cancelled_call_is_neither_sent_nor_told() {
    let mut client = datagrams();
    let id = client.call(at(0), SERVER, &request()).unwrap();
    client.cancel(id);
    assert_eq!(client.poll_transmit(at(0)), None);
    assert_eq!((client.poll_timeout(), client.poll_outcome()), (None, None));
}

#[test]
fn a_call_too_long_for_a_datagram_is_refused_with_its_limit() {
    let mut client = datagrams();
    let arguments = vec![0; 65_480];
    let request = Request::new(TARGET, &arguments);
    assert_eq!(client.call(at(0), SERVER, &request), Err(NotSent::TooLarge { limit: 65_467 }));
    let request = Request::new(TARGET, &arguments[..65_464]);
    assert!(client.call(at(0), SERVER, &request).is_ok());
}

#[test]
fn the_claim_travels_with_the_call() {
    let claim = crate::message::AuthSys::new(b"here", 7, 8, &[9]).unwrap();
    let config = ClientConfig { claim: Claim::from(&claim), ..ClientConfig::default() };
    let mut client = DatagramClient::new(config, [1; 32]);
    client.call(at(0), SERVER, &request()).unwrap();
    let datagram = client.poll_transmit(at(0)).unwrap().datagram;
    let credential = Call::decode(datagram).unwrap().credential.credential();
    assert_eq!(credential, Ok(crate::message::Credential::Sys(claim)));
}

#[test]
fn replies_of_a_connection_come_in_any_order() {
    let mut client = StreamClient::new(ClientConfig::default(), u32::MAX);
    let ids: Vec<_> = (0..3).map(|_| client.call(at(0), &request()).unwrap()).collect();
    let taken = client.poll_transmit().unwrap().len();
    client.handle_transmitted(taken);
    assert_eq!((taken, client.poll_transmit()), (3 * 48, None));
    let mut stream = Vec::new();
    for call in [1, u32::MAX, 0] {
        put_record(&mut stream, |out| out.extend_from_slice(&reply(call, Ok(&call.to_be_bytes()))));
    }
    for octet in stream {
        client.handle_octets(&[octet]).unwrap();
    }
    let outcomes: Vec<_> = core::iter::from_fn(|| client.poll_outcome()).collect();
    let expected = [(ids[2], 1_u32), (ids[0], u32::MAX), (ids[1], 0)];
    assert_eq!(outcomes, expected.map(|(id, results)| (id, Ok(results.to_be_bytes().to_vec()))));
}

#[test]
fn a_lost_connection_tells_what_was_sent_from_what_was_not() {
    let mut client = StreamClient::new(ClientConfig::default(), 1);
    let ids: Vec<_> = (0..3).map(|_| client.call(at(0), &request()).unwrap()).collect();
    // The second has begun.
    client.handle_transmitted(48 + 1);
    client.handle_closed();
    let outcomes: Vec<_> = core::iter::from_fn(|| client.poll_outcome()).collect();
    let (lost, unsent) = (Failure::Unknown(Unknown::ConnectionLost), Failure::NotSent(NotSent::Unreached));
    assert_eq!(outcomes, [(ids[0], Err(lost)), (ids[1], Err(lost)), (ids[2], Err(unsent))]);
}

#[test]
fn a_connection_that_takes_nothing_fills_up() {
    let config = ClientConfig { outgoing_len_max: 100, ..ClientConfig::default() };
    let mut client = StreamClient::new(config, 1);
    for _ in 0..3 {
        let id = client.call(at(0), &request()).unwrap();
        client.cancel(id);
    }
    assert_eq!(client.call(at(0), &request()), Err(NotSent::Full));
    client.handle_transmitted(48);
    assert!(client.call(at(0), &request()).is_ok());
}

#[test]
fn a_late_reply_over_a_connection_is_no_error_and_no_reply_is() {
    let mut client = StreamClient::new(ClientConfig::default(), 1);
    let id = client.call(at(0), &request()).unwrap();
    client.handle_timeout(at(10_000));
    assert_eq!(client.poll_outcome(), Some((id, Err(Failure::Unknown(Unknown::Deadline)))));
    let mut stream = Vec::new();
    put_record(&mut stream, |out| out.extend_from_slice(&reply(1, Ok(b""))));
    assert_eq!(client.handle_octets(&stream), Ok(()));
    stream.clear();
    put_record(&mut stream, |out| out.extend_from_slice(b"GET / HTTP/1.1\r\n"));
    assert_eq!(client.handle_octets(&stream), Err(StreamError::Malformed));
    let long = StreamError::TooLong(RecordTooLong { limit: 1 << 20 });
    assert_eq!(StreamClient::new(ClientConfig::default(), 1).handle_octets(b"HTTP/1.1 400"), Err(long));
}

fn datagrams() -> DatagramClient {
    DatagramClient::new(ClientConfig::default(), [1; 32])
}

fn request() -> Request<'static> {
    Request::new(TARGET, b"four")
}

#[test]
fn a_message_is_the_same_whether_its_arguments_were_written_or_are_those_of_a_stub() {
    let procedure = Procedure::<()>::new("p", TARGET.program, TARGET.version, TARGET.procedure);
    let arguments = (7_u32,);
    let stub = posthaste_rpc::Request::new(&procedure.signature, &arguments).unwrap();
    let messages = [Request::from_stub(&stub).unwrap(), Request::new(TARGET, &[0, 0, 0, 7])].map(|request| {
        let (mut datagrams, mut stream) = (datagrams(), StreamClient::new(ClientConfig::default(), 1));
        datagrams.call(at(0), SERVER, &request).unwrap();
        stream.call(at(0), &request).unwrap();
        let datagram = datagrams.poll_transmit(at(0)).unwrap().datagram.to_vec();
        (datagram, stream.poll_transmit().unwrap().to_vec())
    });
    assert_eq!(messages[0], messages[1]);
}

/// Makes a call that the server answers after so long, all in milliseconds; returns when that was, and when it was sent again.
fn answered(client: &mut DatagramClient, begin: u64, pace: u64) -> (u64, Vec<u64>) {
    client.call(at(begin), SERVER, &request()).unwrap();
    let call = sent(client, begin);
    let (end, mut again) = (begin + pace, Vec::new());
    while let Some(due) = client.poll_timeout().filter(|due| *due < at(end)) {
        client.handle_timeout(due);
        if client.poll_transmit(due).is_some() {
            again.push(due.as_nanos() / 1_000_000);
        }
    }
    client.handle_datagram(at(end), SERVER, &reply(call, Ok(b""))).unwrap();
    assert!(client.poll_outcome().is_some());
    (end, again)
}

/// Sends the next datagram and returns its xid.
fn sent(client: &mut DatagramClient, millis: u64) -> u32 {
    xid(client.poll_transmit(at(millis)).expect("something is to be sent").datagram)
}

fn xid(datagram: &[u8]) -> u32 {
    match Call::decode(datagram) {
        Ok(call) => call.xid,
        Err(NoCall::Malformed | NoCall::RpcVersion { .. }) => panic!("a client sends calls"),
    }
}

fn reply(xid: u32, outcome: Result<&[u8], Refusal>) -> Vec<u8> {
    let mut octets = Vec::new();
    Reply { xid, outcome }.encode(&mut octets);
    octets
}

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

const SERVER: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1)), 111);
const TARGET: Target = Target { program: 1, version: 2, procedure: 3 };
