use std::thread;

use super::*;
use crate::value::Percentage;

#[test]
fn without_faults_everything_arrives_in_order_in_both_directions() {
    let server = endpoint();
    let client = endpoint();
    let counters = relay(config(&server), |address| {
        for number in 0..100u32 {
            client.send_to(&number.to_be_bytes(), address).unwrap();
            let (datagram, upstream) = receive(&server);
            assert_eq!(datagram, number.to_be_bytes());
            server.send_to(&[datagram, b"!".to_vec()].concat(), upstream).unwrap();
            let (reply, from) = receive(&client);
            assert_eq!((&reply[..4], reply[4], from), (&number.to_be_bytes()[..], b'!', address));
        }
    });
    assert_eq!((counters.up.sent, counters.down.sent, counters.client_count), (100, 100, 1));
}

#[test]
fn clients_are_kept_apart() {
    let server = endpoint();
    let clients: Vec<UdpSocket> = (0..50).map(|_| endpoint()).collect();
    let counters = relay(config(&server), |address| {
        for (index, client) in clients.iter().enumerate() {
            client.send_to(&[index as u8], address).unwrap();
        }
        let mut upstreams = Vec::new();
        for _ in &clients {
            let (datagram, upstream) = receive(&server);
            server.send_to(&datagram, upstream).unwrap();
            upstreams.push(upstream);
        }
        for (index, client) in clients.iter().enumerate() {
            assert_eq!(receive(client).0, [index as u8]);
        }
        upstreams.sort();
        upstreams.dedup();
        assert_eq!(upstreams.len(), clients.len());
    });
    assert_eq!((counters.client_count, counters.evicted_count), (50, 0));
}

#[test]
fn one_client_too_many_evicts_the_one_that_was_silent_for_longest() {
    let server = endpoint();
    let [first, second, third] = [(); 3].map(|()| endpoint());
    let counters = relay(ProxyConfig { client_count_max: 2, ..config(&server) }, |address| {
        let upstream_of = |client: &UdpSocket| {
            client.send_to(b"x", address).unwrap();
            receive(&server).1
        };
        let (upstream_first, upstream_second) = (upstream_of(&first), upstream_of(&second));
        assert_eq!(upstream_of(&first), upstream_first);
        upstream_of(&third);
        assert_eq!(upstream_of(&first), upstream_first);
        assert_ne!(upstream_of(&second), upstream_second);
    });
    assert_eq!((counters.client_count, counters.evicted_count), (4, 2));
}

#[test]
fn a_datagram_longer_than_the_mtu_vanishes() {
    let server = endpoint();
    let client = endpoint();
    let counters = relay(with_link(&server, |link| link.mtu = 1500), |address| {
        client.send_to(&[1; 1500 - 28 + 1], address).unwrap();
        client.send_to(&[2; 1500 - 28], address).unwrap();
        assert_eq!(receive(&server).0, [2; 1472]);
    });
    assert_eq!((counters.up.link.received, counters.up.link.too_large, counters.up.sent), (2, 1, 1));
}

#[test]
fn duplicates_arrive_and_are_counted() {
    let server = endpoint();
    let client = endpoint();
    let counters = relay(with_link(&server, |link| link.duplicate = percent("100%")), |address| {
        for number in 0..10u8 {
            client.send_to(&[number], address).unwrap();
            assert_eq!([receive(&server).0, receive(&server).0], [[number], [number]]);
        }
    });
    assert_eq!((counters.up.link.duplicated, counters.up.sent), (10, 20));
}

#[test]
fn a_corrupted_datagram_differs_in_one_bit_from_what_was_sent() {
    let server = endpoint();
    let client = endpoint();
    let link = |link: &mut LinkConfig| (link.corrupt, link.duplicate) = (percent("100%"), percent("100%"));
    let counters = relay(with_link(&server, link), |address| {
        client.send_to(&[0; 100], address).unwrap();
        for _ in 0..2 {
            let flipped: u32 = receive(&server).0.iter().map(|octet| octet.count_ones()).sum();
            assert_eq!(flipped, 1);
        }
    });
    assert_eq!(counters.up.link.corrupted, 2);
}

#[test]
fn a_seed_loses_the_datagrams_that_its_link_says() {
    let server = endpoint();
    let client = endpoint();
    let config = with_link(&server, |link| {
        link.loss = percent("30%");
        link.burst_loss = Some("5%:3".parse().unwrap());
    });
    let mut link = Link::new(config.link.clone());
    let mut faults = Faults::new(fault_seeds(config.seed, 1)[0]);
    let mut passes = || link.handle_datagram(Instant::ORIGIN, 29, &mut faults).next().is_some();
    let counters = relay(config, |address| {
        for number in 0..=255u8 {
            client.send_to(&[number], address).unwrap();
            if passes() {
                assert_eq!(receive(&server).0, [number]);
            }
        }
        // The last one may be lost, and then nothing has shown yet that the relay received it.
        while !passes() {
            client.send_to(b"end", address).unwrap();
        }
        client.send_to(b"end", address).unwrap();
        assert_eq!(receive(&server).0, b"end");
    });
    assert_eq!(counters.up.link, link.counters());
}

#[test]
fn what_is_under_way_at_the_end_was_not_sent_and_what_has_no_room_is_not_held() {
    let server = endpoint();
    let client = endpoint();
    let config = with_link(&server, |link| link.delay = Duration::from_secs(3600));
    let mut proxy = Proxy::bind(loopback(), ProxyConfig { held_len_max: 10_000, ..config }).unwrap();
    for octets in [&[0; 6_000][..], &[0; 6_000][..], &[0; 3_000][..]] {
        client.send_to(octets, proxy.local_address().unwrap()).unwrap();
        take_turn(&mut proxy);
    }
    let up = proxy.counters().up;
    assert_eq!((up.link.received, up.not_sent, up.not_held, up.sent), (3, 2, 1, 0));
}

#[test]
fn a_server_that_is_not_there_is_a_lost_datagram_and_no_error() {
    let server = endpoint();
    let client = endpoint();
    let mut proxy = Proxy::bind(loopback(), config(&server)).unwrap();
    drop(server);
    for _ in 0..3 {
        client.send_to(b"lost", proxy.local_address().unwrap()).unwrap();
        take_turn(&mut proxy);
        // Here the refusal of the datagram comes back.
        take_turn(&mut proxy);
    }
    let up = proxy.counters().up;
    assert_eq!((up.link.received, up.sent + up.not_sent), (3, 3));
}

/// Runs `scenario` against a relay and returns its counters at the end.
fn relay(config: ProxyConfig, scenario: impl FnOnce(SocketAddr)) -> ProxyCounters {
    let mut proxy = Proxy::bind(loopback(), config).unwrap();
    let (address, stopper) = (proxy.local_address().unwrap(), proxy.stopper());
    thread::scope(|scope| {
        let relay = scope.spawn(|| proxy.run().unwrap());
        // The relay is stopped when the scenario fails too; else a failed test would never end.
        let result = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| scenario(address)));
        stopper.stop();
        relay.join().unwrap();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    proxy.counters()
}

/// Lets a relay do what there is to do, once something is.
fn take_turn(proxy: &mut Proxy) {
    proxy.turn(&mut Events::new(), &mut vec![0; DATAGRAM_LEN_MAX]).unwrap();
    proxy.send_due();
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Opens a socket on which waiting for a datagram that never comes is an error.
fn endpoint() -> UdpSocket {
    let socket = UdpSocket::bind(loopback()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; DATAGRAM_LEN_MAX];
    let (len, from) = socket.recv_from(&mut buffer).expect("a datagram within 20 s");
    buffer.truncate(len);
    (buffer, from)
}

fn config(server: &UdpSocket) -> ProxyConfig {
    let to = server.local_addr().unwrap();
    ProxyConfig { to, link: LinkConfig::perfect(), seed: 7, client_count_max: 1024, held_len_max: 1 << 20 }
}

fn with_link(server: &UdpSocket, change: impl FnOnce(&mut LinkConfig)) -> ProxyConfig {
    let mut config = config(server);
    change(&mut config.link);
    config
}

fn percent(text: &str) -> Percentage {
    text.parse().unwrap()
}
