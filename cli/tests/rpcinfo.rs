//! `posthaste rpcinfo` against a portmapper of our own, and against what is none.

extern crate alloc;

use alloc::sync::Arc;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::thread;

use posthaste_std::onc::portmap::{Program, Registration, Table};
use posthaste_std::onc::{Incoming, Refusal, Server, ServerOptions, Transport};

#[test]
fn what_the_portmapper_knows_is_listed_and_called() {
    let program = serve_program();
    let portmapper = serve_portmapper(&program);
    let output = rpcinfo(&[&portmapper.local_addr().to_string()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{text}");
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["PROGRAM", "VERSION", "NETID", "ADDRESS", "SERVICE", "OWNER", "PING"]);
    let row = |program: &str, version: &str, netid: &str| {
        rows.iter().find(|row| row[..3] == [program, version, netid]).expect("it is listed").clone()
    };
    // Six for the portmapper itself, and what was registered.
    assert_eq!(rows.len(), 1 + 6 + 3);
    assert_eq!(row("100000", "4", "tcp").last(), Some(&"ms"));
    assert_eq!(row("536870912", "1", "udp").last(), Some(&"ms"));
    assert!(row("536870912", "7", "tcp").join(" ").ends_with("the server has the program in versions 1 to 1"));
    assert_eq!(row("536870912", "1", "local").last(), Some(&"-"));
}

#[test]
fn json_tells_the_same() {
    let program = serve_program();
    let portmapper = serve_portmapper(&program);
    let output = rpcinfo(&["--json", &portmapper.local_addr().to_string()]);
    let entries: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), entries.len()), (Some(0), 9));
    let entry = entries.iter().find(|entry| entry["program"] == 0x2000_0000 && entry["netid"] == "udp").unwrap();
    assert_eq!((&entry["version"], &entry["ping_error"]), (&1.into(), &serde_json::Value::Null));
    assert!(entry["ping_seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_host_without_a_portmapper_is_status_5() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = rpcinfo(&["--timeout", "100ms", &gone.to_string()]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), text.lines().count()), (Some(5), 2), "{text}");
    assert!(text.contains("does not answer, over udp: outcome unknown: the deadline passed"), "{text}");
}

#[test]
fn wrong_usage_is_status_2() {
    for args in [&[][..], &["localhost:0"], &["a b"], &["localhost", "--timeout", "0s"]] {
        assert_eq!(rpcinfo(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_hostile_portmapper_is_status_5() {
    for answer in [&b"\xff\xff\xff\xff"[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", b""] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serving = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.read_exact(&mut [0; 44]).unwrap();
            socket.write_all(answer).unwrap();
        });
        let output = rpcinfo(&["--timeout", "100ms", &address.to_string()]);
        assert_eq!(output.status.code(), Some(5), "{:?}", String::from_utf8_lossy(&output.stderr));
        serving.join().unwrap();
    }
}

/// Serves version 1 of a program that has nothing but procedure 0.
fn serve_program() -> Server {
    let answer = |call: &Incoming<'_>, _: &mut Vec<u8>| match (call.target.version, call.target.procedure) {
        (1, 0) => Ok(()),
        (1, _) => Err(Refusal::NoSuchProcedure),
        _ => Err(Refusal::NoSuchVersion { low: 1, high: 1 }),
    };
    Server::serve("127.0.0.1:0", ServerOptions::default(), answer).unwrap()
}

/// Serves a portmapper that knows itself, version 1 of the program over UDP and elsewhere, and a version that there is not.
fn serve_portmapper(program: &Server) -> Server {
    let table = Arc::new(Mutex::new(None::<Table>));
    let shared = Arc::clone(&table);
    let answer = move |call: &Incoming<'_>, results: &mut Vec<u8>| {
        shared.lock().unwrap().as_mut().expect("it is filled before anybody asks").answer(call, results)
    };
    let server = Server::serve("127.0.0.1:0", ServerOptions::default(), answer).unwrap();
    let mut known = Table::new(10, server.local_addr());
    let register = |version, transport| {
        Registration::new(Program { number: 0x2000_0000, version }, transport, program.local_addr())
    };
    let local = Registration { netid: "local".into(), address: "/run/x".into(), ..register(1, Transport::Udp) };
    for registration in [register(1, Transport::Udp), register(7, Transport::Tcp), local] {
        known.set(registration).unwrap();
    }
    *table.lock().unwrap() = Some(known);
    server
}

fn rpcinfo(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_posthaste")).arg("rpcinfo").args(args).output().unwrap()
}
