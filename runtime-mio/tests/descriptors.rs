//! A process that may open no more files.

use std::env;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;

use mio::{Events, Poll, Token};
use posthaste_mio::onc::{Incoming, Server, ServerOptions};

#[test]
fn a_connection_that_came_while_no_file_could_be_opened_is_accepted_later() {
    if env::var_os(LIMITED).is_some() {
        return accept_later();
    }
    // Of a process of its own, which no other test shares.
    let script = "ulimit -n 64 && exec \"$0\" \"$@\"";
    let name = "a_connection_that_came_while_no_file_could_be_opened_is_accepted_later";
    let itself = env::current_exe().unwrap();
    let status = Command::new("sh").args(["-c", script]).arg(itself).args(["--exact", name]).env(LIMITED, "1").status();
    assert!(status.unwrap().success());
}

fn accept_later() {
    let (mut poll, mut ready) = (Poll::new().unwrap(), Events::with_capacity(16));
    let mut server = Server::bind("127.0.0.1:0".parse().unwrap(), ServerOptions::default()).unwrap();
    server.register(poll.registry(), Token(0)).unwrap();
    let mut client = TcpStream::connect(server.local_addr()).unwrap();
    client.set_nonblocking(true).unwrap();
    // A call of procedure 0.
    let words = [0x8000_0028_u32, 7, 0, 2, 1, 1, 0, 0, 0, 0, 0];
    client.write_all(&words.map(u32::to_be_bytes).concat()).unwrap();
    let mut others: Vec<File> = Vec::new();
    while let Ok(file) = File::open("/dev/zero") {
        others.push(file);
    }
    let mut turn = || {
        poll.poll(&mut ready, server.next_timeout()).unwrap();
        for event in &ready {
            server.handle_event(event);
        }
        server.process(&|_: &Incoming<'_>, _: &mut Vec<u8>| Ok(()));
    };
    // It is told of, and cannot be accepted.
    turn();
    drop(others);
    loop {
        turn();
        match client.read(&mut [0; 100]) {
            Ok(len) => return assert!(len > 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

const LIMITED: &str = "POSTHASTE_TEST_FEW_FILES";
