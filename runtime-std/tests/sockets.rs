//! A server with several sockets on one port.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::HashSet;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use posthaste_std::{
    Answer, Client, Config, Delivery, Handler, Incoming, Inline, Options, ReceiveError, Request, Server,
};

#[test]
fn thousands_of_clients_are_spread_over_the_sockets_and_each_call_is_executed_once() {
    let executed = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&executed);
    let server = serve(Inline(move |call: &Incoming<'_>, reply: &mut Vec<u8>| {
        assert!(seen.lock().unwrap().insert(call.arguments().to_vec()), "executed before");
        echo(call, reply)
    }));

    thread::scope(|scope| {
        for thread in 0..4 {
            let server = &server;
            scope.spawn(move || {
                for client in 0..CLIENT_COUNT / 4 {
                    let name = (thread * CLIENT_COUNT + client) << 8;
                    let client = connect(server);
                    for call in 0..2 {
                        let arguments = (name + call).to_be_bytes();
                        assert_eq!(client.call(1, 1, 1, &arguments).unwrap(), arguments);
                    }
                }
            });
        }
    });

    assert_eq!(executed.lock().unwrap().len() as u64, 2 * CLIENT_COUNT);
    let received: Vec<_> = server.socket_counters().map(|counters| counters.received_count).collect();
    // A client sends four datagrams and more; the share of a socket comes by chance, and never is half of what it might be.
    assert!(received.len() == SOCKET_COUNT && received.iter().all(|count| *count > CLIENT_COUNT / 2), "{received:?}");
}

#[test]
fn a_session_goes_on_at_its_socket_though_the_address_of_the_client_changes() {
    let executed = Arc::new(AtomicUsize::new(0));
    let (begun, beginnings) = mpsc::channel();
    let (release, gate) = mpsc::channel::<()>();
    let (gate, count) = (Mutex::new(gate), Arc::clone(&executed));
    let server = serve(move |call: &Incoming<'_>, reply: &mut Vec<u8>| {
        count.fetch_add(1, Ordering::Relaxed);
        begun.send(()).unwrap();
        gate.lock().unwrap().recv().unwrap();
        echo(call, reply)
    });
    let nat = Nat::in_front_of(server.local_addr());
    let mut config = Config::lan();
    config.resume_after = Duration::from_millis(100);
    let client = Client::connect_insecure(nat.address, config).unwrap();

    // Each of the addresses is spread to another socket than that of the session with a probability of three quarters.
    for round in 0..8_u64 {
        let pending = client.start(&Request::new(1, 1, 1, &round.to_be_bytes())).unwrap();
        beginnings.recv().unwrap();
        nat.change_address();
        release.send(()).unwrap();
        // Another session would know nothing of this call.
        assert_eq!(pending.wait().unwrap(), round.to_be_bytes());
    }

    assert_eq!(executed.load(Ordering::Relaxed), 8);
}

#[test]
fn messages_of_all_sockets_are_received_in_one_place() {
    let server = serve(Inline(echo));
    let clients: Vec<_> = (0..32).map(|_| connect(&server)).collect();
    let mut octets = Vec::new();
    assert!(matches!(server.receive_into(&mut octets, Some(Duration::ZERO)), Err(ReceiveError::TimedOut)));

    let received = thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let mut received = HashSet::new();
            while received.len() < clients.len() {
                server.receive_into(&mut octets, None).unwrap();
                assert!(received.insert(octets.clone()));
            }
            received
        });
        for (index, client) in clients.iter().enumerate() {
            client.send(Delivery::Reliable, &[index as u8]).unwrap();
        }
        receiver.join().unwrap()
    });

    assert_eq!(received.len(), clients.len());
}

#[test]
fn a_server_with_several_sockets_calls_its_clients_and_shuts_down() {
    // Each handler calls back, from a thread of its socket that is not the one that receives.
    let server = serve(|call: &Incoming<'_>, reply: &mut Vec<u8>| {
        reply.extend(call.peer().call(1, 1, 1, call.arguments()).unwrap());
        Answer::Ok
    });
    let clients: Vec<_> =
        (0..16).map(|_| Client::connect_insecure_with(server.local_addr(), small(), Inline(echo)).unwrap()).collect();
    for (index, client) in clients.iter().enumerate() {
        assert_eq!(client.call(1, 1, 1, &[index as u8]).unwrap(), [index as u8]);
    }

    server.shut_down(Duration::from_secs(10));

    let mut octets = Vec::new();
    assert!(matches!(server.receive_into(&mut octets, None), Err(ReceiveError::Closed)));
}

#[test]
fn a_count_of_sockets_that_is_out_of_range_is_refused() {
    for socket_count in [0, 257] {
        let options = Options { socket_count, ..Config::lan().into() };
        let error = Server::serve_insecure(LOCALHOST, options, echo).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}

/// Stands between a client and a server, and sends on behalf of the client from an address that it can change.
struct Nat {
    address: SocketAddr,
    back: Arc<Mutex<UdpSocket>>,
    front: Arc<UdpSocket>,
    client: Arc<Mutex<Option<SocketAddr>>>,
    is_over: Arc<AtomicBool>,
}

impl Nat {
    fn in_front_of(server: SocketAddr) -> Self {
        let front = Arc::new(socket());
        let nat = Self {
            address: front.local_addr().unwrap(),
            back: Arc::new(Mutex::new(socket())),
            front,
            client: Arc::default(),
            is_over: Arc::default(),
        };
        let (back, client) = (Arc::clone(&nat.back), Arc::clone(&nat.client));
        nat.relay(Arc::clone(&nat.front), move |octets, from| {
            *client.lock().unwrap() = Some(from);
            let _ = back.lock().unwrap().send_to(octets, server);
        });
        nat.listen();
        nat
    }

    /// What the server sends to the address before is lost from here on.
    fn change_address(&self) {
        *self.back.lock().unwrap() = socket();
        self.listen();
    }

    fn listen(&self) {
        let back = self.back.lock().unwrap().try_clone().unwrap();
        let address = back.local_addr().unwrap();
        let (front, client, current) = (Arc::clone(&self.front), Arc::clone(&self.client), Arc::clone(&self.back));
        self.relay(Arc::new(back), move |octets, _| {
            let is_current = current.lock().unwrap().local_addr().unwrap() == address;
            if let Some(client) = client.lock().unwrap().filter(|_| is_current) {
                let _ = front.send_to(octets, client);
            }
        });
    }

    fn relay(&self, from: Arc<UdpSocket>, to: impl Fn(&[u8], SocketAddr) + Send + 'static) {
        let is_over = Arc::clone(&self.is_over);
        thread::spawn(move || {
            let mut octets = vec![0; 65_536];
            while !is_over.load(Ordering::Relaxed) {
                if let Ok((len, from)) = from.recv_from(&mut octets) {
                    to(&octets[..len], from);
                }
            }
        });
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind(LOCALHOST).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    socket
}

fn serve(handler: impl Handler) -> Server {
    let mut config = Config::lan();
    config.peer_count_max = 4096;
    config.session_count_per_address_max = 4096;
    let options = Options { socket_count: SOCKET_COUNT, ..config.into() };
    Server::serve_insecure(LOCALHOST, options, handler).unwrap()
}

fn connect(server: &Server) -> Client {
    Client::connect_insecure(server.local_addr(), small()).unwrap()
}

/// Limits of a client of which there are many.
fn small() -> Config {
    let mut config = Config::bare();
    config.initial_rtt = Config::lan().initial_rtt;
    config
}

fn echo(call: &Incoming<'_>, reply: &mut Vec<u8>) -> Answer {
    reply.extend_from_slice(call.arguments());
    Answer::Ok
}

const LOCALHOST: &str = "127.0.0.1:0";
const SOCKET_COUNT: usize = 4;
const CLIENT_COUNT: u64 = 2000;
