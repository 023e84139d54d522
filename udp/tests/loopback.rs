//! Sockets of this host that talk to each other.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::os::fd::AsRawFd;

use posthaste_core::ecn::Ecn;
use posthaste_udp::{
    Interrupt, Loss, OffReason, Offload, Options, PortUse, RecvBatch, SendBatch, Socket, TryOffload, Waiting,
};

#[test]
fn equal_datagrams_arrive_apart_and_in_order() {
    for pair in pairs() {
        // Runs limited by their count, and by their length.
        for len in [300, 1200] {
            let texts: Vec<Vec<u8>> = (0..100u8).map(|index| vec![index; len]).collect();

            pair.send(&texts, Ecn::NotEct);

            assert_eq!(pair.received(100), texts, "{pair:?}");
        }
    }
}

#[test]
fn mixed_and_empty_datagrams_arrive_as_they_were() {
    for pair in pairs() {
        let lens = [0, 1, 1, 0, 0, 700, 700, 700, 20, 700, 1200, 1200, 3, 1200, 0];
        let texts: Vec<Vec<u8>> = lens.iter().enumerate().map(|(index, &len)| vec![index as u8; len]).collect();

        pair.send(&texts, Ecn::NotEct);

        assert_eq!(pair.received(lens.len()), texts, "{pair:?}");
    }
}

#[test]
fn the_longest_datagram_arrives_whole() {
    for pair in pairs() {
        // The loopback's 65 536 octets, less the IPv6 and the UDP header.
        let len = 65_488;
        let mut outgoing = SendBatch::new(len);
        for octet in [1, 2] {
            outgoing.slot().unwrap().fill(octet);
            outgoing.commit(len, pair.server.local_addr(), None, Ecn::NotEct);
            pair.client.send(&mut outgoing).unwrap();
        }

        assert_eq!(pair.received(2), [vec![1; len], vec![2; len]], "{pair:?}");
    }
}

#[test]
fn codepoints_arrive_on_single_and_on_joined_datagrams() {
    for pair in pairs() {
        for ecn in [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce] {
            for count in [1, 20] {
                pair.send(&vec![vec![7; 100]; count], ecn);

                let codepoints = pair.receive(count, |datagram| datagram.ecn);

                assert_eq!(codepoints, vec![ecn; count], "{pair:?}");
            }
        }
    }
}

#[test]
fn joined_datagrams_cost_one_call() {
    let pair = Pair::bind(LOCALHOST_V4, &Options::default());
    assert_eq!(pair.client.report().gso, Offload::On);
    assert_eq!(pair.server.report().gro, Offload::On);

    pair.send(&vec![vec![1; 1000]; 60], Ecn::Ect0);
    pair.received(60);

    let (sent, received) = (pair.client.counters(), pair.server.counters());
    assert_eq!((sent.sent_count, sent.send_call_count), (60, 1));
    assert_eq!((received.received_count, received.recv_call_count), (60, 1));
}

#[test]
fn offloads_not_asked_for_stay_off() {
    let options = Options { gso: TryOffload::Never, gro: TryOffload::Never, ..Options::default() };
    let pair = Pair::bind(LOCALHOST_V4, &options);
    assert_eq!(pair.client.report().gso, Offload::Off(OffReason::NotAsked));
    assert_eq!(pair.client.report().gro, Offload::Off(OffReason::NotAsked));

    pair.send(&vec![vec![1; 1000]; 60], Ecn::Ect0);
    pair.received(60);

    assert_eq!(pair.client.counters().send_call_count, 60);
}

#[test]
fn the_local_address_is_told_and_an_answer_leaves_from_it() {
    // Linux takes the whole of 127/8 as its own, so that one host has two addresses.
    let asked = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    for wildcard in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
        let server = Socket::bind((wildcard, 0).into(), &Options::default()).unwrap();
        let client = Socket::bind((LOCALHOST_V4, 0).into(), &Options::default()).unwrap();
        send(&client, (asked, server.local_addr().port()).into(), None, &[vec![1]], Ecn::NotEct);

        let (to, from) = receive(&server, 1, |datagram| (datagram.to, datagram.from))[0];
        assert_eq!(to, Some(asked));
        assert_eq!(from, client.local_addr());

        send(&server, from, to, &[vec![2]], Ecn::NotEct);
        let answered_from = receive(&client, 1, |datagram| datagram.from)[0];
        assert_eq!(answered_from, SocketAddr::new(asked, server.local_addr().port()));
    }
}

#[test]
fn the_unspecified_ipv6_address_serves_both_families() {
    let server = Socket::bind((Ipv6Addr::UNSPECIFIED, 0).into(), &Options::default()).unwrap();
    for localhost in [LOCALHOST_V4, LOCALHOST_V6] {
        let client = Socket::bind((localhost, 0).into(), &Options::default()).unwrap();
        let texts = vec![vec![5; 50]; 10];
        send(&client, (localhost, server.local_addr().port()).into(), None, &texts, Ecn::Ect0);

        let arrived = receive(&server, 10, |datagram| (datagram.from, datagram.to, datagram.ecn));
        assert_eq!(arrived, vec![(client.local_addr(), Some(localhost), Ecn::Ect0); 10]);

        send(&server, client.local_addr(), Some(localhost), &texts, Ecn::Ce);
        assert_eq!(receive(&client, 10, |datagram| datagram.ecn), [Ecn::Ce; 10]);
    }
}

#[test]
fn what_cannot_be_sent_is_counted_and_costs_neither_its_neighbours_nor_an_offload() {
    for pair in pairs() {
        let server_addr = pair.server.local_addr();
        let foreign: IpAddr = match server_addr {
            SocketAddr::V4(_) => "192.0.2.1".parse().unwrap(),
            SocketAddr::V6(_) => "2001:db8::1".parse().unwrap(),
        };
        let before = pair.client.report();
        let mut outgoing = SendBatch::new(1200);
        let mut commit = |to, from| {
            for _ in 0..2 {
                outgoing.slot().unwrap()[..100].fill(1);
                outgoing.commit(100, to, from, Ecn::Ect1);
            }
        };
        commit(server_addr, None);
        commit(SocketAddr::new(server_addr.ip(), 0), None);
        commit(server_addr, Some(foreign));
        commit(server_addr, None);
        pair.client.send(&mut outgoing).unwrap();

        assert_eq!(pair.receive(4, |datagram| datagram.ecn), [Ecn::Ect1; 4], "{pair:?}");
        let counters = pair.client.counters();
        assert_eq!((counters.sent_count, counters.lost_counts.iter().sum::<u64>()), (4, 4), "{counters:?}");
        assert_eq!(pair.client.report(), before);
    }
}

#[test]
fn an_argument_that_the_system_refuses_costs_no_codepoint_afterwards() {
    let server = Socket::bind((LOCALHOST_V4, 0).into(), &Options::default()).unwrap();
    let client = Socket::bind((Ipv6Addr::UNSPECIFIED, 0).into(), &Options::default()).unwrap();
    // An IPv6 source for an IPv4 destination.
    send(&client, server.local_addr(), Some(LOCALHOST_V6), &[vec![1]], Ecn::Ect0);
    assert_eq!(client.counters().lost_count(Loss::BadAddress), 1);

    send(&client, server.local_addr(), None, &[vec![2], vec![3]], Ecn::Ect0);

    assert_eq!(receive(&server, 2, |datagram| datagram.ecn), [Ecn::Ect0; 2]);
    assert_eq!(client.report().gso, Offload::On);
}

#[test]
fn a_kernel_that_refuses_to_segment_gets_the_same_datagrams_singly() {
    let pair = Pair::bind(LOCALHOST_V4, &Options::default());
    // Linux segments only what it computes checksums for.
    set_option(&pair.client, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1);
    assert_eq!(pair.client.report().gso, ON);
    let texts: Vec<Vec<u8>> = (0..50u8).map(|index| vec![index; 400]).collect();

    pair.send(&texts, Ecn::Ect1);

    let arrived = pair.receive(50, |datagram| (datagram.ecn, datagram.payload.to_vec()));
    assert_eq!(arrived, texts.iter().map(|text| (Ecn::Ect1, text.clone())).collect::<Vec<_>>());
    let off = Offload::Off(OffReason::Failed { errno: libc::EINVAL });
    assert_eq!((pair.client.report().gso, pair.client.report().ecn), (off, ON));
    assert_eq!(pair.client.counters().lost_counts.iter().sum::<u64>(), 0);
}

#[test]
fn a_datagram_too_long_for_the_path_is_counted_and_not_fragmented() {
    // The longest that the header can tell of, and one that the loopback would have to fragment.
    for (localhost, len) in [(LOCALHOST_V4, 65_508), (LOCALHOST_V6, 65_489)] {
        let pair = Pair::bind(localhost, &Options::default());
        let mut outgoing = SendBatch::new(len);
        outgoing.commit(len, pair.server.local_addr(), None, Ecn::NotEct);

        pair.client.send(&mut outgoing).unwrap();

        assert_eq!(pair.client.counters().lost_count(Loss::TooBig), 1, "{localhost}");
    }
}

#[test]
fn fragmentation_is_forbidden_in_both_families() {
    let v4 = Socket::bind((LOCALHOST_V4, 0).into(), &Options::default()).unwrap();
    assert_eq!(option(&v4, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER), libc::IP_PMTUDISC_PROBE);

    let both = Socket::bind((Ipv6Addr::UNSPECIFIED, 0).into(), &Options::default()).unwrap();
    assert_eq!(option(&both, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER), libc::IP_PMTUDISC_PROBE);
    assert_eq!(option(&both, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER), libc::IPV6_PMTUDISC_PROBE);
    assert_eq!(option(&both, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG), 1);
}

#[test]
fn a_peer_that_is_gone_does_not_stop_the_socket() {
    for pair in pairs() {
        let gone = Socket::bind((pair.server.local_addr().ip(), 0).into(), &Options::default()).unwrap().local_addr();
        for _ in 0..3 {
            send(&pair.client, gone, None, &[vec![1; 10]], Ecn::NotEct);
            pair.send(&[vec![2; 10]], Ecn::NotEct);
        }

        assert_eq!(pair.received(3), vec![vec![2; 10]; 3], "{pair:?}");
    }
}

#[test]
fn the_granted_buffer_holds_what_it_promises() {
    let options = Options { recv_buffer_len: 100_000, ..Options::default() };
    let pair = Pair::bind(LOCALHOST_V4, &options);
    let granted = pair.server.report().recv_buffer;
    assert_eq!((granted.asked_len, granted.granted_len), (100_000, 100_000));

    // One datagram a call and nobody reading: the worst that the protocol's full datagrams can do.
    let sender =
        Socket::bind((LOCALHOST_V4, 0).into(), &Options { gso: TryOffload::Never, ..Options::default() }).unwrap();
    let texts: Vec<_> = (0..granted.granted_len / 1200).map(|index| vec![index as u8; 1200]).collect();
    send(&sender, pair.server.local_addr(), None, &texts, Ecn::NotEct);

    assert_eq!(pair.received(texts.len()), texts);
}

#[test]
fn a_buffer_that_is_not_granted_shows() {
    let options = Options { recv_buffer_len: 1 << 30, send_buffer_len: 1 << 30, ..Options::default() };
    let report = Socket::bind((LOCALHOST_V4, 0).into(), &options).unwrap().report();

    for buffer in [report.recv_buffer, report.send_buffer] {
        assert_eq!(buffer.asked_len, 1 << 30);
        assert!((1..=1 << 30).contains(&buffer.granted_len), "{buffer}");
    }
}

#[test]
fn linux_grants_every_offload() {
    for localhost in [LOCALHOST_V4, LOCALHOST_V6] {
        let report = Socket::bind((localhost, 0).into(), &Options::default()).unwrap().report();

        assert_eq!((report.gso, report.gro, report.ecn, report.dont_fragment), (ON, ON, ON, ON), "{report}");
    }
}

#[test]
fn a_port_is_shared_only_by_those_who_say_so() {
    let shared = Options { port_use: PortUse::Shared, ..Options::default() };
    let first = Socket::bind((LOCALHOST_V4, 0).into(), &shared).unwrap();

    assert!(Socket::bind(first.local_addr(), &shared).is_ok());
    let alone = Socket::bind(first.local_addr(), &Options::default());
    assert_eq!(alone.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn a_look_brings_what_a_sleep_brings() {
    for pair in pairs() {
        for ecn in [Ecn::NotEct, Ecn::Ect1] {
            for texts in [vec![vec![7; 20]], vec![vec![8; 100]; 20], vec![vec![]]] {
                let told =
                    [Socket::recv, |socket: &Socket, incoming: &mut RecvBatch| socket.recv_timeout(incoming, None)]
                        .map(|receive| {
                            pair.send(&texts, ecn);
                            let (mut incoming, mut told) = (RecvBatch::new(1), Vec::new());
                            while told.len() < texts.len() {
                                receive(&pair.server, &mut incoming).unwrap();
                                while let Some(datagram) = incoming.next_datagram() {
                                    told.push((datagram.from, datagram.to, datagram.ecn, datagram.payload.to_vec()));
                                }
                            }
                            told
                        });

                assert_eq!(told[0], told[1], "{pair:?}");
                assert!(told[0].iter().all(|(from, ..)| *from == pair.client.local_addr()), "{pair:?}");
            }
        }
    }
}

#[test]
fn an_empty_socket_would_block() {
    for waiting in WAYS_OF_WAITING {
        let pair = Pair::bind(LOCALHOST_V4, &Options { waiting, ..Options::default() });
        let mut incoming = RecvBatch::new(4);
        pair.send(&[vec![1], vec![2]], Ecn::NotEct);
        assert_eq!(pair.server.recv(&mut incoming).unwrap(), 2);

        let received = pair.server.recv(&mut incoming);

        assert_eq!(received.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(incoming.next_datagram().is_none(), "what was not taken is gone");
    }
}

#[test]
fn datagrams_of_many_peers_come_in_one_call() {
    let server = Socket::bind((LOCALHOST_V4, 0).into(), &Options::default()).unwrap();
    let clients: Vec<_> =
        (0..20).map(|_| Socket::bind((LOCALHOST_V4, 0).into(), &Options::default()).unwrap()).collect();
    for client in &clients {
        send(client, server.local_addr(), None, &[vec![1; 10]], Ecn::NotEct);
    }

    let mut incoming = RecvBatch::new(32);
    assert_eq!(server.recv(&mut incoming).unwrap(), 20);
    assert!(!incoming.is_full());

    for client in &clients {
        assert_eq!(incoming.next_datagram().unwrap().from, client.local_addr());
    }

    send(&clients[0], server.local_addr(), None, &[vec![1; 10]], Ecn::NotEct);
    let mut incoming = RecvBatch::new(1);
    assert_eq!(server.recv(&mut incoming).unwrap(), 1);
    assert!(incoming.is_full());
}

#[test]
fn a_wait_without_a_datagram_ends_with_none() {
    for waiting in WAYS_OF_WAITING {
        let pair = Pair::bind(LOCALHOST_V4, &Options { waiting, ..Options::default() });
        let mut incoming = RecvBatch::new(1);
        pair.send(&[vec![1]], Ecn::NotEct);
        // Shorter and longer than the sleep of a receive call, before and after a sleep in vain.
        for micros in [0, 100, 20_000, 20_000, 100] {
            let timeout = Some(Duration::from_micros(micros));
            while pair.server.recv_timeout(&mut incoming, timeout).unwrap() > 0 {}

            assert!(incoming.next_datagram().is_none());
        }
        pair.send(&[vec![2]], Ecn::NotEct);

        assert_eq!(pair.server.recv_timeout(&mut incoming, None).unwrap(), 1);
        assert_eq!(incoming.next_datagram().unwrap().payload, [2]);
    }
}

#[test]
fn a_sleeping_receiver_is_woken_by_a_datagram() {
    for waiting in WAYS_OF_WAITING {
        let options = Options { waiting, ..Options::default() };
        let pair = Pair::bind(LOCALHOST_V4, &options);
        std::thread::scope(|scope| {
            let woken = scope.spawn(|| {
                let mut incoming = RecvBatch::new(1);
                pair.server.recv_timeout(&mut incoming, None).unwrap()
            });
            pair.send(&[vec![1]], Ecn::NotEct);
            assert_eq!(woken.join().unwrap(), 1);
        });
    }
}

#[test]
fn a_wait_ends_with_an_interrupt_or_a_datagram_and_takes_none() {
    let pair = Pair::bind(LOCALHOST_V4, &Options::default());
    let interrupt = Interrupt::new().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let waiting = scope.spawn(|| pair.server.wait(&interrupt, None));
            interrupt.raise();
            waiting.join().unwrap().unwrap();
        }
        // Raised before and more often than it is waited for, it ends one wait.
        (0..10_000).for_each(|_| interrupt.raise());
        pair.server.wait(&interrupt, None).unwrap();
        let waiting = scope.spawn(|| pair.server.wait(&interrupt, None));
        pair.send(&[vec![1]], Ecn::NotEct);
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(pair.received(1), [[1]]);
}

const LOCALHOST_V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOCALHOST_V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const ON: Offload = Offload::On;
const WAYS_OF_WAITING: [Waiting; 2] = [Waiting::InRecv, Waiting::InPoll];

/// Two sockets of one address; the client sends to the server.
#[derive(Debug)]
struct Pair {
    client: Socket,
    server: Socket,
}

impl Pair {
    fn bind(localhost: IpAddr, options: &Options) -> Self {
        Self {
            client: Socket::bind((localhost, 0).into(), options).unwrap(),
            server: Socket::bind((localhost, 0).into(), options).unwrap(),
        }
    }

    fn send(&self, texts: &[Vec<u8>], ecn: Ecn) {
        send(&self.client, self.server.local_addr(), None, texts, ecn);
    }

    fn receive<T>(&self, count: usize, of: impl Fn(posthaste_udp::Datagram<'_>) -> T) -> Vec<T> {
        receive(&self.server, count, of)
    }

    fn received(&self, count: usize) -> Vec<Vec<u8>> {
        self.receive(count, |datagram| datagram.payload.to_vec())
    }
}

/// A pair for each family, way of waiting and choice of offloads.
fn pairs() -> impl Iterator<Item = Pair> {
    let choices = [TryOffload::IfSupported, TryOffload::Never];
    [LOCALHOST_V4, LOCALHOST_V6].into_iter().flat_map(move |localhost| {
        WAYS_OF_WAITING.into_iter().flat_map(move |waiting| {
            choices.into_iter().flat_map(move |gso| {
                choices
                    .into_iter()
                    .map(move |gro| Pair::bind(localhost, &Options { waiting, gso, gro, ..Options::default() }))
            })
        })
    })
}

fn send(socket: &Socket, to: SocketAddr, from: Option<IpAddr>, texts: &[Vec<u8>], ecn: Ecn) {
    let mut outgoing = SendBatch::new(1200);
    for text in texts {
        if outgoing.slot().is_none() {
            socket.send(&mut outgoing).unwrap();
        }
        outgoing.slot().unwrap()[..text.len()].copy_from_slice(text);
        outgoing.commit(text.len(), to, from, ecn);
    }
    socket.send(&mut outgoing).unwrap();
}

/// Takes `count` datagrams, and fails if more come along.
fn receive<T>(socket: &Socket, count: usize, of: impl Fn(posthaste_udp::Datagram<'_>) -> T) -> Vec<T> {
    let mut incoming = RecvBatch::new(4);
    let mut taken = Vec::new();
    while taken.len() < count {
        let came = socket.recv_timeout(&mut incoming, Some(Duration::from_secs(10))).unwrap();
        assert!(came > 0, "{} of {count} datagrams came", taken.len());
        while let Some(datagram) = incoming.next_datagram() {
            taken.push(of(datagram));
        }
    }
    assert_eq!(taken.len(), count);
    taken
}

fn set_option(socket: &Socket, level: i32, name: i32, value: i32) {
    // SAFETY: the kernel reads one integer at the pointer.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), OPTION_LEN) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

fn option(socket: &Socket, level: i32, name: i32) -> i32 {
    let (mut value, mut len) = (0, OPTION_LEN);
    // SAFETY: the kernel writes at most `len` octets, one integer, at the pointer.
    let result = unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut len) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
    value
}

const OPTION_LEN: libc::socklen_t = size_of::<i32>() as libc::socklen_t;
