use alloc::vec;
use alloc::vec::Vec;

use proptest::collection::vec as some;
use proptest::prelude::*;

use super::*;
use crate::client::Arguments;
use crate::message::{Auth, AuthStatus, Refusal, Target};
use crate::server::Incoming;

#[test]
fn a_table_knows_itself_and_answers_in_all_versions() {
    let mut table = table();
    for version in Version::ALL {
        let itself = Program { number: PROGRAM, version: 2 };
        assert_eq!(ask(&mut table, HERE, &null(version)), Ok(()));
        assert_eq!(ask(&mut table, HERE, &lookup(version, itself, "tcp").unwrap()), Ok(Some(111)));
        assert_eq!(ask(&mut table, HERE, &dump(version)).unwrap().len(), 6);
    }
}

#[test]
fn what_is_set_is_found_until_it_is_unset() {
    for version in Version::ALL {
        let mut table = table();
        let registration = registration(1, 7000);
        let found = |table: &mut Table| ask(table, HERE, &lookup(version, registration.program, "tcp").unwrap());
        assert_eq!(found(&mut table), Ok(None));
        assert_eq!(ask(&mut table, HERE, &set(version, &registration).unwrap()), Ok(true));
        assert_eq!(found(&mut table), Ok(Some(7000)));
        // The same again changes nothing, and another port is another program's mistake.
        assert_eq!(ask(&mut table, HERE, &set(version, &registration).unwrap()), Ok(true));
        assert_eq!(ask(&mut table, HERE, &set(version, &self::registration(1, 7001)).unwrap()), Ok(false));
        assert_eq!(found(&mut table), Ok(Some(7000)));
        assert!(ask(&mut table, HERE, &dump(version)).unwrap().contains(&registration));
        assert_eq!(ask(&mut table, HERE, &unset(version, registration.program)), Ok(true));
        assert_eq!(ask(&mut table, HERE, &unset(version, registration.program)), Ok(false));
        assert_eq!(found(&mut table), Ok(None));
    }
}

#[test]
fn a_program_is_found_by_any_of_its_versions_but_the_right_one_comes_first() {
    let mut table = table();
    for (version, port) in [(2, 7002), (5, 7005)] {
        table.set(registration(version, port)).unwrap();
    }
    for (version, port) in [(2, 7002), (5, 7005), (0, 7005), (3, 7005), (9, 7005)] {
        let program = Program { number: 0x2000_0000, version };
        for asked in Version::ALL {
            assert_eq!(ask(&mut table, HERE, &lookup(asked, program, "tcp").unwrap()), Ok(Some(port)));
        }
    }
    let other = Program { number: 0x2000_0001, version: 2 };
    assert_eq!(ask(&mut table, HERE, &lookup(Version::V2, other, "tcp").unwrap()), Ok(None));
}

#[test]
fn only_this_machine_changes_the_table() {
    let mut table = table();
    let denied = Err(Refusal::Auth(AuthStatus::TooWeak));
    for version in Version::ALL {
        assert_eq!(ask(&mut table, ELSEWHERE, &set(version, &registration(1, 7000)).unwrap()), denied);
        let itself = Program { number: PROGRAM, version: 2 };
        assert_eq!(ask(&mut table, ELSEWHERE, &unset(version, itself)), denied);
    }
    assert_eq!(table.registrations().count(), 6);
}

#[test]
fn the_whole_table_goes_to_no_address_that_is_not_proven() {
    let mut table = table();
    for version in Version::ALL {
        let query = dump(version);
        let denied = answer(&mut table, Transport::Udp, ELSEWHERE, &query);
        assert_eq!(denied, Err(Refusal::Auth(AuthStatus::TooWeak)));
        assert!(answer(&mut table, Transport::Tcp, ELSEWHERE, &query).is_ok());
        assert!(answer(&mut table, Transport::Udp, HERE, &query).is_ok());
    }
}

#[test]
fn an_address_of_any_host_is_told_as_the_one_that_was_reached() {
    let mut table = table();
    table.set(registration(1, 7000)).unwrap();
    let wanted = Registration { address: "192.0.2.9.0.111".into(), ..registration(1, 0) };
    for procedure in [GETADDR, GETVERSADDR] {
        let mut arguments = Vec::new();
        crate::message::append(&mut arguments, &wanted);
        let target = Target { program: PROGRAM, version: 4, procedure };
        let mut results = Vec::new();
        table.answer(&incoming(Transport::Tcp, HERE, target, &arguments), &mut results).unwrap();
        let address = posthaste_xdr::from_octets::<XdrStr<'_>>(&results, &posthaste_xdr::Limits::default());
        assert_eq!(address, Ok(XdrStr(b"192.0.2.9.27.88")));
    }
}

#[test]
fn what_the_program_does_not_have_is_refused_in_the_standard_way() {
    let mut table = table();
    let refusal = |table: &mut Table, program, version, procedure, arguments: &[u8]| {
        let target = Target { program, version, procedure };
        table.answer(&incoming(Transport::Udp, HERE, target, arguments), &mut Vec::new()).unwrap_err()
    };
    assert_eq!(refusal(&mut table, 1, 2, 0, &[]), Refusal::NoSuchProgram);
    for version in [0, 1, 5, u32::MAX] {
        assert_eq!(refusal(&mut table, PROGRAM, version, 0, &[]), Refusal::NoSuchVersion { low: 2, high: 4 });
    }
    // 5 passes a call on to another program, for whoever asks.
    for (version, procedure) in [(2, 5), (3, 5), (4, 5), (3, 9), (4, 10), (4, 99)] {
        assert_eq!(refusal(&mut table, PROGRAM, version, procedure, &[]), Refusal::NoSuchProcedure);
    }
    for (version, procedure, arguments) in
        [(2, 0, &[0; 4][..]), (2, 1, &[0; 12]), (2, 3, &[0; 20]), (3, 1, &[0; 8]), (4, 3, &[0xff; 40]), (2, 4, &[0; 4])]
    {
        assert_eq!(refusal(&mut table, PROGRAM, version, procedure, arguments), Refusal::GarbageArguments);
    }
}

#[test]
fn the_table_has_a_limit() {
    let mut table = Table::new(7, HERE);
    table.set(registration(1, 7000)).unwrap();
    assert_eq!(table.set(registration(2, 7000)), Err(TableError::Full));
    assert_eq!(table.set(registration(1, 7000)), Ok(()));
    let long = Registration { owner: "o".repeat(256), ..registration(3, 7000) };
    assert_eq!(self::table().set(long), Err(TableError::Full));
}

#[test]
fn version_2_knows_only_ports_of_ipv4() {
    let six = Registration { netid: "tcp6".into(), ..registration(1, 7000) };
    let local = Registration { address: "/run/x".into(), ..registration(1, 7000) };
    assert!(set(Version::V2, &six).is_err() && set(Version::V2, &local).is_err());
    assert!(set(Version::V4, &six).is_ok() && set(Version::V4, &local).is_ok());
    assert!(lookup(Version::V2, six.program, "tcp6").is_err());
    let long = Registration { owner: "o".repeat(256), ..registration(1, 7000) };
    assert!(set(Version::V3, &long).is_err());
}

#[test]
fn a_dump_of_version_2_becomes_registrations() {
    // Two of them: program 5, version 1, protocol 17, port 0x0801; and a protocol and a port that nobody has.
    let words = [1, 5, 1, 17, 0x0801, 1, 6, 2, 99, 70_000, 0];
    let octets: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_be_bytes()).collect();
    let expected = |number, version, netid: &str, address: &str| Registration {
        program: Program { number, version },
        netid: netid.into(),
        address: address.into(),
        owner: String::new(),
    };
    let known = vec![expected(5, 1, "udp", "0.0.0.0.8.1"), expected(6, 2, "99", "0.0.0.0.0.0")];
    assert_eq!(dump(Version::V2).results(&octets), Ok(known));
}

proptest! {
    #[test]
    fn a_hostile_portmapper_is_read_without_panic(words in some(prop_oneof![0_u32..4, any::<u32>()], 0..40)) {
        let octets: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let program = Program { number: 1, version: 1 };
        for version in Version::ALL {
            let _ = dump(version).results(&octets);
            let _ = lookup(version, program, "tcp").unwrap().results(&octets);
            let _ = unset(version, program).results(&octets);
        }
    }

    #[test]
    fn a_hostile_client_is_answered_without_panic(
        version in 1_u32..6,
        procedure in 0_u32..14,
        words in some(prop_oneof![0_u32..4, any::<u32>()], 0..24),
    ) {
        let arguments: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let target = Target { program: PROGRAM, version, procedure };
        let _ = table().answer(&incoming(Transport::Tcp, HERE, target, &arguments), &mut Vec::new());
    }
}

/// Asks a table over TCP, as a client would.
fn ask<T>(table: &mut Table, from: SocketAddr, query: &Query<T>) -> Result<T, Refusal> {
    answer(table, Transport::Tcp, from, query).map(|results| query.results(&results).expect("they are its results"))
}

fn answer<T>(table: &mut Table, transport: Transport, from: SocketAddr, query: &Query<T>) -> Result<Vec<u8>, Refusal> {
    let (request, mut results) = (query.request(), Vec::new());
    let Arguments::Octets(arguments) = request.arguments else { panic!("a query is written already") };
    table.answer(&incoming(transport, from, request.target, arguments), &mut results)?;
    Ok(results)
}

fn incoming(transport: Transport, from: SocketAddr, target: Target, arguments: &[u8]) -> Incoming<'_> {
    Incoming { from, transport, xid: 1, target, auth: Auth::NONE, arguments }
}

fn table() -> Table {
    Table::new(100, HERE)
}

fn registration(version: u32, port: u16) -> Registration {
    let program = Program { number: 0x2000_0000, version };
    Registration::new(program, Transport::Tcp, SocketAddr::from(([0, 0, 0, 0], port)))
}

const HERE: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 111);
const ELSEWHERE: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 7)), 700);
