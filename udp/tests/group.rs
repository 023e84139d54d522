//! Sockets that share one port.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::net::UdpSocket;
use std::thread;

use posthaste_core::wire::steering::{Instruction, Steering};
use posthaste_udp::{OffReason, Offload, Options, RecvBatch, Socket, TryOffload, Waiting};

#[test]
fn a_datagram_comes_to_the_socket_that_it_names_whoever_sends_it() {
    for steering in [TAUGHT, UNTAUGHT] {
        for ip in [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))] {
            let sockets = Socket::bind_group(ip, 4, &steering, &Options::default()).unwrap();
            let peers: Vec<_> = (0..20).map(|_| UdpSocket::bind((ip.ip(), 0)).unwrap()).collect();
            for peer in &peers {
                for index in 0..4 {
                    peer.send_to(&[index, 7], sockets[0].local_addr()).unwrap();
                }
            }

            let received = receive(&sockets, 80);

            for (index, datagrams) in received.iter().enumerate() {
                assert_eq!(datagrams.len(), peers.len(), "{steering:?}");
                assert!(datagrams.iter().all(|(_, payload)| *payload == [index as u8, 7]));
                for peer in &peers {
                    let from = peer.local_addr().unwrap();
                    assert_eq!(datagrams.iter().filter(|(it, _)| *it == from).count(), 1);
                }
            }
        }
    }
}

#[test]
fn what_names_no_socket_comes_to_one_that_stays_the_same() {
    for steering in [TAUGHT, UNTAUGHT] {
        let sockets = Socket::bind_group(LOCALHOST, 4, &steering, &Options::default()).unwrap();
        let peers: Vec<_> = (0..20).map(|_| UdpSocket::bind(LOCALHOST).unwrap()).collect();
        for round in 0..3 {
            for peer in &peers {
                peer.send_to(&[ANY, round], sockets[0].local_addr()).unwrap();
                // Nobody has this index.
                peer.send_to(&[4, round], sockets[0].local_addr()).unwrap();
            }
        }

        let received = receive(&sockets, 120);

        for peer in &peers {
            let from = peer.local_addr().unwrap();
            let counts = received.iter().map(|datagrams| datagrams.iter().filter(|(it, _)| *it == from).count());
            assert_eq!(counts.filter(|count| *count > 0).collect::<Vec<_>>(), [6]);
        }
    }
}

#[test]
fn the_system_brings_what_it_was_taught_to_without_a_detour() {
    let sockets = Socket::bind_group(LOCALHOST, 3, &TAUGHT, &Options::default()).unwrap();
    assert_eq!(sockets[0].report().steering, Offload::On);
    let peer = UdpSocket::bind(LOCALHOST).unwrap();
    for index in 0..3 {
        peer.send_to(&[index], sockets[0].local_addr()).unwrap();
    }

    for socket in &sockets {
        assert_eq!(receive(core::slice::from_ref(socket), 1)[0].len(), 1);
        assert_eq!(socket.counters().received_count, 1);
    }
}

#[test]
fn a_system_that_cannot_be_taught_says_why() {
    let sockets = Socket::bind_group(LOCALHOST, 2, &UNTAUGHT, &Options::default()).unwrap();
    assert!(matches!(sockets[1].report().steering, Offload::Off(OffReason::Failed { .. })));
    for (count, steering) in [(1, TryOffload::IfSupported), (2, TryOffload::Never)] {
        let options = Options { steering, ..Options::default() };
        let sockets = Socket::bind_group(LOCALHOST, count, &TAUGHT, &options).unwrap();
        assert_eq!(sockets[0].report().steering, Offload::Off(OffReason::NotAsked));
    }
}

#[test]
fn a_port_belongs_to_one_group() {
    let sockets = Socket::bind_group(LOCALHOST, 2, &TAUGHT, &Options::default()).unwrap();
    let taken = Socket::bind_group(sockets[0].local_addr(), 2, &TAUGHT, &Options::default());
    assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn a_port_has_1_to_256_sockets() {
    for count in [0, 257] {
        let error = Socket::bind_group(LOCALHOST, count, &TAUGHT, &Options::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn whoever_sleeps_is_woken_by_an_interrupt_and_by_what_is_passed_on() {
    for waiting in [Waiting::InRecv, Waiting::InPoll] {
        let options = Options { waiting, ..Options::default() };
        let sockets = Socket::bind_group(LOCALHOST, 2, &UNTAUGHT, &options).unwrap();
        let [one, other] = &sockets[..] else { unreachable!() };
        let mut batch = RecvBatch::new(1);
        one.interrupt().unwrap().raise();
        one.interrupt().unwrap().raise();
        assert_eq!(one.recv_timeout(&mut batch, None).unwrap(), 0);
        assert_eq!(one.recv(&mut batch).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        // It ends one sleep.
        assert_eq!(one.recv_timeout(&mut batch, Some(Duration::ZERO)).unwrap(), 0);

        thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                let mut batch = RecvBatch::new(1);
                while one.recv_timeout(&mut batch, None).unwrap() == 0 {}
                batch.next_datagram().unwrap().payload.to_vec()
            });
            // Until one comes to the other socket, which passes it on.
            let mut batch = RecvBatch::new(1);
            while !sleeper.is_finished() {
                let peer = UdpSocket::bind(LOCALHOST).unwrap();
                peer.send_to(&[0, 9], one.local_addr()).unwrap();
                if other.recv(&mut batch).is_ok() {
                    assert_eq!(batch.next_datagram(), None);
                }
            }
            assert_eq!(sleeper.join().unwrap(), [0, 9]);
        });
    }
}

/// Receives from all sockets in turn until `count` datagrams have come.
fn receive(sockets: &[Socket], count: usize) -> Vec<Vec<(SocketAddr, Vec<u8>)>> {
    let mut received = vec![Vec::new(); sockets.len()];
    let mut batch = RecvBatch::new(2);
    while received.iter().map(Vec::len).sum::<usize>() < count {
        for (socket, received) in sockets.iter().zip(&mut received) {
            if socket.recv(&mut batch).is_ok() {
                while let Some(datagram) = batch.next_datagram() {
                    received.push((datagram.from, datagram.payload.to_vec()));
                }
            }
        }
    }
    received
}

/// The first octet names the socket; 255 is any.
fn socket_of(datagram: &[u8]) -> Option<u8> {
    datagram.first().copied().filter(|index| *index != ANY)
}

const TAUGHT: Steering = Steering {
    socket_of,
    program: &[
        Instruction { code: 0x30, skip_if: 0, skip_else: 0, operand: 0 },
        Instruction { code: 0x16, skip_if: 0, skip_else: 0, operand: 0 },
    ],
};

/// No kernel takes a program without an end.
const UNTAUGHT: Steering = Steering { socket_of, program: &[] };

const ANY: u8 = 255;
const LOCALHOST: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
