//! Portmappers and `rpcinfo` that nobody here wrote: those of Debian (packages rpcbind, iproute2, util-linux).
//!
//! The port of a portmapper is fixed, so each test runs again, alone, in a network of its own, and nothing outside is touched.
#![cfg(target_os = "linux")]

use core::net::SocketAddr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use posthaste_foreign::{Rpcbind, Who, find, in_a_network_of_its_own};
use posthaste_std::onc::portmap::{self, Program, Registration, Table, Version};
use posthaste_std::onc::{
    AuthStatus, Client, ClientConfig, Credential, Incoming, Refusal, Server, ServerOptions, Transport,
};

#[test]
fn rpcbind_is_asked_and_changed_in_all_versions() {
    // It gives up its rights, which only the real root can.
    in_a_network_of_its_own("rpcbind_is_asked_and_changed_in_all_versions", Who::Root, || {
        let _rpcbind = Rpcbind::start();
        for version in Version::ALL {
            for transport in BOTH {
                change(version, transport);
            }
        }
    });
}

#[test]
fn what_is_registered_with_rpcbind_is_found_by_both_rpcinfos() {
    let name = "what_is_registered_with_rpcbind_is_found_by_both_rpcinfos";
    in_a_network_of_its_own(name, Who::Root, || {
        let _rpcbind = Rpcbind::start();
        let program = serve_program();
        let client = connect(Transport::Udp);
        for transport in BOTH {
            let registration = Registration::new(PROGRAM, transport, program.local_addr());
            assert_eq!(client.query(&portmap::set(Version::V4, &registration).unwrap()), Ok(true));
        }
        be_found_by_rpcinfo();
        be_listed_by_ours();
        be_called_without_a_port();
        assert_eq!(client.query(&portmap::unset(Version::V4, PROGRAM)), Ok(true));
    });
}

#[test]
fn a_portmapper_of_our_own_is_asked_by_rpcinfo() {
    in_a_network_of_its_own("a_portmapper_of_our_own_is_asked_by_rpcinfo", Who::Anybody, || {
        let program = serve_program();
        let mut table = Table::new(100, PORTMAPPER);
        for transport in BOTH {
            table.set(Registration::new(PROGRAM, transport, program.local_addr())).unwrap();
        }
        let table = Mutex::new(table);
        let answer = move |call: &Incoming<'_>, results: &mut Vec<u8>| table.lock().unwrap().answer(call, results);
        let _portmapper = Server::serve(PORTMAPPER, ServerOptions::default(), answer).unwrap();
        be_found_by_rpcinfo();
        be_listed_by_ours();
        be_called_without_a_port();
    });
}

/// Registers a program, finds it, and removes it.
fn change(version: Version, transport: Transport) {
    let client = connect(transport);
    assert_eq!(client.query(&portmap::null(version)), Ok(()));
    let registration = Registration::new(PROGRAM, transport, "0.0.0.0:4000".parse().unwrap());
    let found = || client.query(&portmap::lookup(version, PROGRAM, &registration.netid).unwrap());
    let is_listed = || {
        let known = client.query(&portmap::dump(version)).unwrap();
        known
            .iter()
            .any(|it| (it.program, &it.netid, &it.address) == (PROGRAM, &registration.netid, &registration.address))
    };
    assert_eq!((found(), is_listed()), (Ok(None), false), "{version:?} {transport}");
    assert_eq!(client.query(&portmap::set(version, &registration).unwrap()), Ok(true));
    assert_eq!((found(), is_listed()), (Ok(Some(4000)), true), "{version:?} {transport}");
    assert_eq!(client.query(&portmap::unset(version, PROGRAM)), Ok(true));
    assert_eq!((found(), is_listed()), (Ok(None), false), "{version:?} {transport}");
}

/// Has Debian's `rpcinfo` find the program and call it.
fn be_found_by_rpcinfo() {
    let number = PROGRAM.number.to_string();
    for args in [&["-p", "127.0.0.1"][..], &["127.0.0.1"], &["-s", "127.0.0.1"]] {
        let (listing, is_ok) = rpcinfo(args);
        assert!(is_ok && listing.contains("100000") && listing.contains(&number), "{args:?}: {listing}");
    }
    for transport in ["udp", "tcp"] {
        let (told, is_ok) = rpcinfo(&["-T", transport, "127.0.0.1", &number, "1"]);
        assert!(is_ok && told.contains("version 1 ready and waiting"), "{told}");
        // Without a version, it asks for one that nobody has, and is told which there are.
        let (told, is_ok) = rpcinfo(&["-T", transport, "127.0.0.1", &number]);
        assert!(is_ok && told.contains("version 1 ready and waiting"), "{told}");
        let (told, is_ok) = rpcinfo(&["-T", transport, "127.0.0.1", &number, "7"]);
        assert!(!is_ok && told.contains("low version = 1, high version = 1"), "{told}");
        let (told, is_ok) = rpcinfo(&["-T", transport, "127.0.0.1", "536870999", "1"]);
        assert!(!is_ok && told.contains("not registered"), "{told}");
    }
}

/// Has `posthaste rpcinfo` list the program and call it.
fn be_listed_by_ours() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_posthaste")).args(["rpcinfo", "--json", "127.0.0.1"]).output().unwrap();
    let entries: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    for number in [PROGRAM.number, portmap::PROGRAM] {
        for netid in ["udp", "tcp"] {
            let entry = entries.iter().find(|entry| entry["program"] == number && entry["netid"] == netid);
            assert!(entry.expect("it is listed")["ping_seconds"].is_f64(), "{entries:?}");
        }
    }
}

/// Has `posthaste call` ask the portmapper where the program is, and claim to be somebody.
fn be_called_without_a_port() {
    let source = "program OURS { version V { unsigned WHO(void) = 1; } = 1; } = 0x20000042;
        program OTHER { version V { void NULL(void) = 0; } = 1; } = 0x20000043;";
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("portmapper-{}.x", std::process::id()));
    fs::write(&file, source).unwrap();
    for transport in ["udp", "tcp"] {
        let call = |procedure: &str, options: &[&str]| {
            let mut call = Command::new(env!("CARGO_BIN_EXE_posthaste"));
            call.args(["call", "127.0.0.1"]).arg(&file).args([procedure, "--dialect", "sun", "--onc", transport]);
            let output = call.args(options).output().unwrap();
            let [text, errors] = [output.stdout, output.stderr].map(|octets| String::from_utf8(octets).unwrap());
            (output.status.code().unwrap(), text, errors)
        };
        let (status, text, errors) = call("OURS.1.WHO", &["--auth-sys", "1000:100,4@here"]);
        assert_eq!((status, &text[..]), (0, "1000\n"), "{transport}: {errors}");
        let (status, _, errors) = call("OURS.1.WHO", &[]);
        assert!(status == 3 && errors.contains("does not let this caller"), "{transport}: {errors}");
        let (status, _, errors) = call("OTHER.1.0", &[]);
        let reason = format!("version 1 of program 536870979 is not registered over {transport}");
        assert!(status == 5 && errors.contains(&reason), "{transport}: {errors}");
    }
    fs::remove_file(file).unwrap();
}

/// Runs Debian's `rpcinfo`; returns all that it says, and whether it was content.
fn rpcinfo(args: &[&str]) -> (String, bool) {
    let output = Command::new(find("rpcinfo").unwrap()).args(args).output().unwrap();
    let told = [output.stdout, output.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned()).concat();
    (told, output.status.success())
}

/// Serves version 1 of a program whose procedure 1 tells who called it, if he says so.
fn serve_program() -> Server {
    let answer = |call: &Incoming<'_>, results: &mut Vec<u8>| match (call.target.version, call.target.procedure) {
        (1, 0) => Ok(()),
        (1, 1) => match call.auth.credential() {
            Ok(Credential::Sys(claim)) => {
                assert_eq!((claim.gid(), claim.other_gids(), claim.machine_name()), (100, &[4][..], &b"here"[..]));
                results.extend_from_slice(&claim.uid().to_be_bytes());
                Ok(())
            }
            _ => Err(Refusal::Auth(AuthStatus::TooWeak)),
        },
        (1, _) => Err(Refusal::NoSuchProcedure),
        _ => Err(Refusal::NoSuchVersion { low: 1, high: 1 }),
    };
    Server::serve("127.0.0.1:0", ServerOptions::default(), answer).unwrap()
}

fn connect(transport: Transport) -> Client {
    Client::connect(PORTMAPPER, transport, ClientConfig::default()).unwrap()
}

const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];
const PORTMAPPER: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), portmap::PORT);
const PROGRAM: Program = Program { number: 0x2000_0042, version: 1 };
