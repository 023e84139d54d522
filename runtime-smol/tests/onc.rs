//! ONC RPC over real sockets of this machine.

use core::net::IpAddr;
use core::time::Duration;
use std::net::{TcpListener, UdpSocket};

use posthaste_smol::onc::{
    AsyncService, Client, ClientConfig, Failure, Incoming, NotSent, Refusal, Request, Server, ServerOptions, Target,
    Transport, Unknown,
};
use smol::Async;
use smol::future::{self, FutureExt};
use smol::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn calls_of_one_client_are_under_way_together_and_return_in_any_order() {
    serving(async |server| {
        for transport in [Transport::Udp, Transport::Tcp] {
            let client = connect(server, transport).await;
            let calls: Vec<_> = (0..40_u32)
                .map(|index| {
                    let client = &client;
                    async move {
                        let arguments = index.to_be_bytes();
                        assert_eq!(client.call(&Request::new(target(1), &arguments)).await, Ok(arguments.to_vec()));
                    }
                })
                .collect();
            all(calls).await;
        }
    });
}

#[test]
fn a_server_at_all_addresses_answers_at_each() {
    // Not every machine has IPv6.
    let Ok(server) = Server::bind("[::]:0".parse().unwrap(), ServerOptions::default()) else { return };
    let calling = async {
        for host in ["127.0.0.1", "::1"] {
            for transport in [Transport::Udp, Transport::Tcp] {
                let address = (host.parse::<IpAddr>().unwrap(), server.local_addr().port()).into();
                let client = Client::connect(address, transport, ClientConfig::default()).await.unwrap();
                assert_eq!(client.call(&Request::new(target(0), &[])).await, Ok(vec![]), "{host} {transport}");
            }
        }
    };
    smol::block_on(calling.or(async { match server.serve(&Echo).await {} }));
}

#[test]
fn a_call_that_waits_holds_up_no_other_over_udp() {
    serving(async |server| {
        let client = connect(server, Transport::Udp).await;
        // Never answered.
        let request = Request::new(target(3), &[]);
        let waiting = async {
            let outcome = client.call(&request).await;
            panic!("{outcome:?}");
        };
        let other = async { assert_eq!(client.call(&Request::new(target(0), &[])).await, Ok(vec![])) };
        future::or(other, waiting).await;
    });
}

#[test]
fn refusals_come_back_and_a_handler_that_panics_is_one() {
    serving(async |server| {
        for transport in [Transport::Udp, Transport::Tcp] {
            let client = connect(server, transport).await;
            for (procedure, refusal) in [(2, Refusal::SystemError), (99, Refusal::NoSuchProcedure)] {
                let refused = client.call(&Request::new(target(procedure), &[])).await;
                assert_eq!(refused, Err(Failure::Refused(refusal)), "{transport}");
            }
            assert_eq!(client.call(&Request::new(target(0), &[])).await, Ok(vec![]), "the server lives on");
        }
    });
}

#[test]
fn long_arguments_and_results_pass() {
    serving(async |server| {
        for (transport, len) in [(Transport::Udp, 65_440), (Transport::Tcp, 1_000_000)] {
            let arguments = vec![7; len];
            let results = connect(server, transport).await.call(&Request::new(target(1), &arguments)).await;
            assert!(results == Ok(arguments), "{transport}");
        }
    });
}

#[test]
fn nobody_there_is_an_unknown_outcome_over_udp_and_no_connection_over_tcp() {
    smol::block_on(async {
        let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
        let config = ClientConfig::default();
        let client = Client::connect(deaf.local_addr().unwrap(), Transport::Udp, config.clone()).await.unwrap();
        let request = Request { timeout: Some(Duration::from_millis(50)), ..Request::new(target(0), &[]) };
        assert_eq!(client.call(&request).await, Err(Failure::Unknown(Unknown::Deadline)));
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(Client::connect(gone, Transport::Tcp, config).await.is_err());
    });
}

#[test]
fn a_connection_that_was_lost_is_opened_again() {
    smol::block_on(async {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
        let address = listener.get_ref().local_addr().unwrap();
        let client = Client::connect(address, Transport::Tcp, ClientConfig::default()).await.unwrap();
        drop(listener.accept().await.unwrap());
        let call = || async { client.call(&Request::new(target(0), &[])).await };
        let serving = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut octets = [0; 44];
            socket.read_exact(&mut octets).await.unwrap();
            let mut reply = vec![0x80, 0, 0, 24];
            reply.extend_from_slice(&octets[4..8]);
            reply.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            socket.write_all(&reply).await.unwrap();
            // The second call finds no reply, only the end.
            socket.read_exact(&mut octets).await.unwrap();
            drop(socket);
            drop(listener);
        };
        let calling = async {
            assert_eq!(call().await, Ok(vec![]));
            assert_eq!(call().await, Err(Failure::Unknown(Unknown::ConnectionLost)));
        };
        future::zip(calling, serving).await;
        assert_eq!(call().await, Err(Failure::NotSent(NotSent::Unreached)));
    });
}

struct Echo;

impl AsyncService for Echo {
    async fn answer(&self, call: &Incoming<'_>, results: &mut Vec<u8>) -> Result<(), Refusal> {
        match call.target.procedure {
            0 => (),
            // Gives the others their turn.
            1 => {
                future::yield_now().await;
                results.extend_from_slice(call.arguments);
            }
            2 => panic!("a handler that fails"),
            3 => future::pending().await,
            _ => return Err(Refusal::NoSuchProcedure),
        }
        Ok(())
    }
}

/// Runs a test beside a server.
fn serving(test: impl AsyncFnOnce(&Server)) {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), ServerOptions::default()).unwrap();
    smol::block_on(test(&server).or(async { match server.serve(&Echo).await {} }));
}

async fn connect(server: &Server, transport: Transport) -> Client {
    Client::connect(server.local_addr(), transport, ClientConfig::default()).await.unwrap()
}

async fn all(futures: Vec<impl Future<Output = ()>>) {
    let executor = smol::LocalExecutor::new();
    let tasks: Vec<_> = futures.into_iter().map(|future| executor.spawn(future)).collect();
    executor
        .run(async {
            for task in tasks {
                task.await;
            }
        })
        .await;
}

fn target(procedure: u32) -> Target {
    Target { program: 0x2000_0001, version: 1, procedure }
}
