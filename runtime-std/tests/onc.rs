//! ONC RPC over real sockets of this machine.

extern crate alloc;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Mutex;
use std::thread;

use posthaste_std::onc::portmap::{self, Program, Table, Version};
use posthaste_std::onc::{
    AuthSys, Claim, Client, ClientConfig, Credential, Failure, Incoming, NotSent, Refusal, Request, Server,
    ServerConfig, ServerOptions, Target, Transport, Unknown,
};

#[test]
fn a_null_call_goes_there_and_back_over_both_transports() {
    let server = serve();
    for transport in BOTH {
        assert_eq!(connect(&server, transport).call(&Request::new(target(0), &[])), Ok(vec![]), "{transport}");
    }
}

#[test]
fn a_server_at_all_addresses_answers_at_each_and_goes() {
    // Not every machine has IPv6.
    let Ok(server) = Server::serve("[::]:0", ServerOptions::default(), echo) else { return };
    for (host, transport) in ["127.0.0.1", "::1"].into_iter().flat_map(|host| BOTH.map(|transport| (host, transport))) {
        let client = Client::connect((host, server.local_addr().port()), transport, ClientConfig::default()).unwrap();
        assert_eq!(client.call(&Request::new(target(0), &[])), Ok(vec![]), "{host} {transport}");
    }
}

#[test]
fn a_server_that_its_own_handler_drops_goes() {
    for transport in BOTH {
        let place = Arc::new(Mutex::new(None::<Server>));
        let here = Arc::clone(&place);
        let handler = move |_: &Incoming<'_>, _: &mut Vec<u8>| {
            drop(here.lock().unwrap().take());
            Ok(())
        };
        let server = Server::serve("127.0.0.1:0", ServerOptions::default(), handler).unwrap();
        let client = connect(&server, transport);
        *place.lock().unwrap() = Some(server);
        let outcome = client.call(&Request::new(target(1), &[]));
        // Its connection went with the server, as a reply on it may have.
        let is_over = matches!(outcome, Ok(_) | Err(Failure::Unknown(Unknown::ConnectionLost)));
        assert!(transport == Transport::Tcp && is_over || outcome == Ok(vec![]), "{transport} {outcome:?}");
    }
}

#[test]
fn arguments_and_results_are_as_long_as_the_transport_carries() {
    let server = serve();
    for (transport, len) in [(Transport::Udp, 65_440), (Transport::Tcp, 1_000_000)] {
        let arguments: Vec<u8> = (0..len).map(|index| index as u8).collect();
        let results = connect(&server, transport).call(&Request::new(target(1), &arguments));
        assert!(results.as_ref() == Ok(&arguments), "{transport}: {:?}", results.map(|results| results.len()));
    }
    let long = vec![0; 1 << 20];
    let refused = connect(&server, Transport::Tcp).call(&Request::new(target(1), &long));
    assert_eq!(refused, Err(Failure::NotSent(NotSent::TooLarge { limit: (1 << 20) - 40 })));
}

#[test]
fn refusals_come_back_and_a_handler_that_panics_is_one() {
    let server = serve();
    for transport in BOTH {
        let client = connect(&server, transport);
        let refused = |target| client.call(&Request::new(target, &[])).unwrap_err();
        assert_eq!(refused(target(99)), Failure::Refused(Refusal::NoSuchProcedure));
        assert_eq!(refused(target(2)), Failure::Refused(Refusal::SystemError));
        let other = Target { version: 7, ..target(0) };
        assert_eq!(refused(other), Failure::Refused(Refusal::NoSuchVersion { low: 1, high: 1 }));
        assert_eq!(client.call(&Request::new(target(0), &[])), Ok(vec![]), "the server lives on");
    }
}

#[test]
fn the_server_sees_who_calls() {
    let claim = Claim::from(&AuthSys::new(b"here", 1000, 100, &[4, 20]).unwrap());
    let server = serve();
    for transport in BOTH {
        let config = ClientConfig { claim: claim.clone(), ..ClientConfig::default() };
        let client = Client::connect(server.local_addr(), transport, config).unwrap();
        assert_eq!(
            client.call(&Request::new(target(3), &[])),
            Ok([1000_u32.to_be_bytes(), 100_u32.to_be_bytes()].concat())
        );
    }
}

#[test]
fn many_threads_call_at_once() {
    let server = serve();
    thread::scope(|scope| {
        for index in 0..8_u32 {
            let server = &server;
            scope.spawn(move || {
                let client = connect(server, BOTH[index as usize % 2]);
                for call in 0..50_u32 {
                    let arguments = (index << 16 | call).to_be_bytes();
                    assert_eq!(client.call(&Request::new(target(1), &arguments)), Ok(arguments.to_vec()));
                }
            });
        }
    });
}

#[test]
fn a_call_that_is_lost_is_sent_again_and_executed_once() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let server = Server::serve("127.0.0.1:0", ServerOptions::default(), move |_: &Incoming<'_>, _: &mut Vec<u8>| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    })
    .unwrap();
    // Loses the first reply: the second call is a duplicate.
    let relay = UdpSocket::bind("127.0.0.1:0").unwrap();
    let back = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = relay.local_addr().unwrap();
    let server_address = server.local_addr();
    let relaying = thread::spawn(move || {
        let mut buffer = [0; 256];
        let mut calls = Vec::new();
        for attempt in 0..2 {
            let (len, from) = relay.recv_from(&mut buffer).unwrap();
            calls.push(buffer[..len].to_vec());
            back.send_to(&buffer[..len], server_address).unwrap();
            let (len, _) = back.recv_from(&mut buffer).unwrap();
            if attempt == 1 {
                relay.send_to(&buffer[..len], from).unwrap();
            }
        }
        assert_eq!(calls[0], calls[1]);
    });
    let config = ClientConfig { retransmit_timeout: Duration::from_millis(20), ..ClientConfig::default() };
    let client = Client::connect(address, Transport::Udp, config).unwrap();
    assert_eq!(client.call(&Request::new(target(0), &[])), Ok(vec![]));
    relaying.join().unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[test]
fn nobody_there_is_an_unknown_outcome_over_udp_and_no_connection_over_tcp() {
    let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
    let client = Client::connect(deaf.local_addr().unwrap(), Transport::Udp, ClientConfig::default()).unwrap();
    let request = Request { timeout: Some(Duration::from_millis(50)), ..Request::new(target(0), &[]) };
    assert_eq!(client.call(&request), Err(Failure::Unknown(Unknown::Deadline)));
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(Client::connect(gone, Transport::Tcp, ClientConfig::default()).is_err());
}

#[test]
fn a_connection_that_was_lost_is_opened_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::connect(listener.local_addr().unwrap(), Transport::Tcp, ClientConfig::default()).unwrap();
    drop(listener.accept().unwrap());
    let serving = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut call = [0; 44];
        socket.read_exact(&mut call).unwrap();
        let mut reply = vec![0x80, 0, 0, 24];
        reply.extend_from_slice(&call[4..8]);
        reply.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        // In two pieces, with the mark cut.
        socket.write_all(&reply[..3]).unwrap();
        socket.write_all(&reply[3..]).unwrap();
        // The second call finds no reply, only the end.
        socket.read_exact(&mut call).unwrap();
    });
    let call = || client.call(&Request::new(target(0), &[]));
    assert_eq!(call(), Ok(vec![]));
    assert_eq!(call(), Err(Failure::Unknown(Unknown::ConnectionLost)));
    serving.join().unwrap();
    assert_eq!(call(), Err(Failure::NotSent(NotSent::Unreached)));
}

#[test]
fn what_is_no_call_ends_the_connection_and_gets_no_datagram() {
    let server = serve();
    for hostile in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[0x80, 0, 0, 4, 1, 2, 3, 4]] {
        let mut socket = TcpStream::connect(server.local_addr()).unwrap();
        socket.write_all(hostile).unwrap();
        // Closed with octets unread, it may be reset as well.
        assert!(matches!(socket.read(&mut [0; 64]), Ok(0) | Err(_)));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(hostile, server.local_addr()).unwrap();
    }
    assert_eq!(connect(&server, Transport::Udp).call(&Request::new(target(0), &[])), Ok(vec![]));
}

#[test]
fn a_connection_too_many_is_closed_and_one_that_is_idle_makes_room() {
    let config = ServerConfig { idle_timeout: Duration::from_millis(50), ..ServerConfig::default() };
    let options = ServerOptions { config, connection_count_max: 1, ..ServerOptions::default() };
    let server = Server::serve("127.0.0.1:0", options, echo).unwrap();
    let mut first = TcpStream::connect(server.local_addr()).unwrap();
    // Ends by itself.
    assert_eq!(first.read(&mut [0]).unwrap(), 0);
    let call = || {
        let client = Client::connect(server.local_addr(), Transport::Tcp, ClientConfig::default()).ok()?;
        client.call(&Request::new(target(0), &[])).ok()
    };
    // Its thread has yet to say that it is gone.
    while call().is_none() {}
}

#[test]
fn a_server_that_goes_takes_its_threads_and_connections_with_it() {
    let server = serve();
    let clients = BOTH.map(|transport| connect(&server, transport));
    for client in &clients {
        client.call(&Request::new(target(0), &[])).unwrap();
    }
    let address = server.local_addr();
    drop(server);
    let _free = (TcpListener::bind(address), UdpSocket::bind(address).unwrap());
}

#[test]
fn a_portmapper_of_our_own_is_set_and_asked() {
    let address = "127.0.0.1:0";
    let table = std::sync::Mutex::new(Table::new(100, "127.0.0.1:111".parse().unwrap()));
    let server = Server::serve(address, ServerOptions::default(), move |call: &Incoming<'_>, results: &mut Vec<u8>| {
        table.lock().unwrap().answer(call, results)
    })
    .unwrap();
    let program = Program { number: 0x2000_0001, version: 1 };
    for (version, transport) in Version::ALL.into_iter().zip([Transport::Udp, Transport::Tcp, Transport::Udp]) {
        let client = connect(&server, transport);
        let registration = portmap::Registration::new(program, transport, "0.0.0.0:4000".parse().unwrap());
        assert_eq!(client.query(&portmap::set(version, &registration).unwrap()), Ok(true));
        let lookup = portmap::lookup(version, program, &registration.netid).unwrap();
        assert_eq!(client.query(&lookup), Ok(Some(4000)));
        assert!(client.query(&portmap::dump(version)).unwrap().contains(&registration));
        assert_eq!(client.query(&portmap::unset(version, program)), Ok(true));
    }
}

fn serve() -> Server {
    Server::serve("127.0.0.1:0", ServerOptions::default(), echo).unwrap()
}

fn connect(server: &Server, transport: Transport) -> Client {
    Client::connect(server.local_addr(), transport, ClientConfig::default()).unwrap()
}

fn echo(call: &Incoming<'_>, results: &mut Vec<u8>) -> Result<(), Refusal> {
    match (call.target.version, call.target.procedure) {
        (1, 0) => (),
        (1, 1) => results.extend_from_slice(call.arguments),
        (1, 2) => panic!("a handler that fails"),
        (1, 3) => {
            let Ok(Credential::Sys(claim)) = call.auth.credential() else { panic!("it comes with a claim") };
            assert_eq!((claim.machine_name(), claim.other_gids()), (&b"here"[..], &[4, 20][..]));
            results.extend_from_slice(&claim.uid().to_be_bytes());
            results.extend_from_slice(&claim.gid().to_be_bytes());
        }
        (1, _) => return Err(Refusal::NoSuchProcedure),
        _ => return Err(Refusal::NoSuchVersion { low: 1, high: 1 }),
    }
    Ok(())
}

fn target(procedure: u32) -> Target {
    Target { program: 0x2000_0001, version: 1, procedure }
}

const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];
