//! ONC RPC: decoders that take any octets, and a client and a server with a network between them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use posthaste_core::Instant;
use posthaste_onc::client::{CallId, ClientConfig, DatagramClient, Outcome, Request, StreamClient};
use posthaste_onc::message::{Auth, AuthSys, Call, Reply, Target};
use posthaste_onc::portmap::{self, Program, Table, Version};
use posthaste_onc::record::RecordReader;
use posthaste_onc::server::{Arrival, Connection, DatagramServer, Incoming, ServerConfig, Transport};

use crate::tape::Tape;

/// Reads octets as everything that they might be, then as what happens to a client and a server.
pub fn onc(octets: &[u8]) {
    messages(octets);
    hostile(octets);
    portmappers(octets);
    datagrams(&mut Tape::new(octets));
    stream(&mut Tape::new(octets));
}

fn messages(octets: &[u8]) {
    let mut again = Vec::new();
    if let Ok(call) = Call::decode(octets) {
        call.encode(&mut again);
        assert_eq!((&again[..], again.len()), (octets, call.encoded_len()));
        let _ = call.credential.credential();
    }
    if let Ok(reply) = Reply::decode(octets) {
        again.clear();
        reply.encode(&mut again);
        // Without the verifier that it may have had.
        assert_eq!(Reply::decode(&again), Ok(reply));
    }
    if let Ok(claim) = AuthSys::from_body(octets) {
        assert_eq!(claim.to_body(), octets);
    }
}

/// Gives octets to whoever takes octets.
fn hostile(octets: &[u8]) {
    let mut reader = RecordReader::new(RECORD_LEN_MAX);
    let mut input = octets;
    while let Ok(Some(record)) = reader.read(&mut input) {
        assert!(record.len() <= RECORD_LEN_MAX);
    }
    let mut client = DatagramClient::new(ClientConfig::default(), [1; 32]);
    assert!(client.handle_datagram(NOW, SERVER, octets).is_err(), "nothing was asked");
    if let Ok(Arrival::Answer(answer)) =
        DatagramServer::new(&ServerConfig::default(), [2; 32]).handle_datagram(NOW, CLIENT, octets)
    {
        assert!(answer.len() <= octets.len(), "a refusal is no longer than what it answers");
    }
    let mut connection = Connection::new(ServerConfig::default(), CLIENT, NOW);
    let mut input = octets;
    while let Ok(Some(received)) = connection.handle_octets(NOW, &mut input) {
        let (xid, outcome) = (received.xid, received.call.map(|_| &[][..]));
        connection.reply(NOW, xid, outcome);
    }
    let _ = StreamClient::new(ClientConfig::default(), 0).handle_octets(octets);
}

fn portmappers(octets: &[u8]) {
    let program = Program { number: 1, version: 1 };
    for version in Version::ALL {
        let _ = portmap::dump(version).results(octets);
        let _ = portmap::lookup(version, program, "udp").expect("every version knows UDP").results(octets);
    }
    let Some((selector, arguments)) = octets.split_first() else { return };
    let mut table = Table::new(8, SERVER);
    let version = u32::from(selector % 8);
    let target = Target { program: portmap::PROGRAM, version, procedure: u32::from(selector / 8) };
    let call = Incoming { from: CLIENT, transport: Transport::Udp, xid: 0, target, auth: Auth::NONE, arguments };
    let mut results = Vec::new();
    if table.answer(&call, &mut results).is_ok() {
        assert!(results.len().is_multiple_of(4));
    }
    assert!(table.registrations().count() <= 8);
}

/// A client and a server, and a network that loses, repeats and reorders.
fn datagrams(tape: &mut Tape<'_>) {
    // Everything is remembered, so nothing runs twice.
    let forever = ServerConfig { remembered_timeout: Duration::MAX, ..ServerConfig::default() };
    let mut client = DatagramClient::new(ClientConfig::default(), [1; 32]);
    let mut server = DatagramServer::new(&forever, [2; 32]);
    let (mut to_server, mut to_client, mut running) = (Vec::new(), Vec::new(), Vec::new());
    let mut calls: HashMap<CallId, u8> = HashMap::new();
    let mut execution_counts: HashMap<u32, usize> = HashMap::new();
    let mut now = NOW;
    for _ in 0..500 {
        if tape.is_empty() {
            break;
        }
        match tape.below(8) {
            0 => {
                let argument = tape.octet();
                if let Ok(call) = client.call(now, SERVER, &Request::new(TARGET, &[argument; 4])) {
                    assert_eq!(calls.insert(call, argument), None);
                }
            }
            1 => to_server.extend(client.poll_transmit(now).map(|transmit| transmit.datagram.to_vec())),
            2 => {
                let Some(datagram) = tape.take(&mut to_server) else { continue };
                match server.handle_datagram(now, CLIENT, &datagram) {
                    Ok(Arrival::Call(id, call)) => {
                        *execution_counts.entry(call.xid).or_default() += 1;
                        running.push((id, call.arguments.to_vec()));
                    }
                    Ok(Arrival::Answer(reply)) => to_client.push(reply.to_vec()),
                    Err(_) => {}
                }
                // The network may have it once more.
                if tape.below(2) == 0 {
                    to_server.push(datagram);
                }
            }
            3 => {
                let Some((id, arguments)) = tape.take(&mut running) else { continue };
                to_client.extend(server.reply(now, id, Ok(&arguments)).map(<[u8]>::to_vec));
            }
            4 => {
                let Some(datagram) = tape.take(&mut to_client) else { continue };
                assert!(client.handle_datagram(now, CLIENT, &datagram).is_err(), "it comes from elsewhere");
                let _ = client.handle_datagram(now, SERVER, &datagram);
            }
            5 => drop((tape.take(&mut to_server), tape.take(&mut to_client))),
            6 => {
                now = now.saturating_add(tape.time());
                client.handle_timeout(now);
                assert!(client.poll_timeout().is_none_or(|timeout| timeout > now));
            }
            _ => {
                let Some((call, outcome)) = client.poll_outcome() else { continue };
                judge(call, outcome, &mut calls);
            }
        }
    }
    assert!(execution_counts.values().all(|count| *count == 1), "a call ran twice");
}

/// A client and a server, and a connection that cuts where it likes.
fn stream(tape: &mut Tape<'_>) {
    let mut client = StreamClient::new(ClientConfig::default(), 7);
    let mut connection = Connection::new(ServerConfig::default(), CLIENT, NOW);
    let mut calls: HashMap<CallId, u8> = HashMap::new();
    let mut running: Vec<(u32, Vec<u8>)> = Vec::new();
    while !tape.is_empty() {
        match tape.below(4) {
            0 => {
                let argument = tape.octet();
                if let Ok(call) = client.call(NOW, &Request::new(TARGET, &[argument; 4])) {
                    assert_eq!(calls.insert(call, argument), None);
                }
            }
            1 => {
                let Some(octets) = client.poll_transmit() else { continue };
                let mut input = &octets[..octets.len().min(1 + tape.len(60))];
                let len = input.len();
                while let Some(received) = connection.handle_octets(NOW, &mut input).expect("a client sends calls") {
                    running.push((received.xid, received.call.expect("they are in order").arguments.to_vec()));
                }
                client.handle_transmitted(len);
            }
            2 => {
                let Some((xid, arguments)) = tape.take(&mut running) else { continue };
                connection.reply(NOW, xid, Ok(&arguments));
            }
            _ => {
                let Some(octets) = connection.poll_transmit() else { continue };
                let octets = octets[..octets.len().min(1 + tape.len(60))].to_vec();
                client.handle_octets(&octets).expect("a server sends replies");
                connection.handle_transmitted(NOW, octets.len());
                while let Some((call, outcome)) = client.poll_outcome() {
                    judge(call, outcome, &mut calls);
                }
            }
        }
    }
}

/// Checks that what came of a call is what was sent with it.
fn judge(call: CallId, outcome: Outcome, calls: &mut HashMap<CallId, u8>) {
    let argument = calls.remove(&call).expect("each call ends once");
    if let Ok(results) = outcome {
        assert_eq!(results, [argument; 4]);
    }
}

const NOW: Instant = Instant::ORIGIN;
const RECORD_LEN_MAX: usize = 100;
const TARGET: Target = Target { program: 1, version: 2, procedure: 3 };
const CLIENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)), 700);
const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 111);
