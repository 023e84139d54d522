//! Servers with several sockets on one port, and a client whose address changes.

extern crate alloc;

use alloc::sync::Arc;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::HashSet;
use std::io;
use std::net::UdpSocket;
use std::sync::Mutex;
use std::thread;

use mio::{Events, Interest, Poll, Token};
use posthaste_mio::{Endpoint, Event};
use posthaste_std::{Answer, Client, Config, Incoming, Inline, Options};
use posthaste_udp::TryOffload;

#[test]
fn a_session_stays_with_its_blocking_endpoint_wherever_its_client_goes() {
    for steering in STEERINGS {
        let net = Net::new();
        let executed = net.executed.clone();
        let handler = Inline(move |call: &Incoming<'_>, reply: &mut Vec<u8>| {
            executed.add(call.arguments());
            reply.extend_from_slice(call.arguments());
            Answer::Ok
        });
        let options = Options { socket_count: SOCKET_COUNT, socket: options(steering), ..Config::lan().into() };
        let server = posthaste_std::Server::serve_insecure(LOCALHOST, options, handler).unwrap();
        net.call_from_many_addresses(server.local_addr());
    }
}

#[test]
fn a_session_stays_with_its_smol_endpoint_wherever_its_client_goes() {
    for steering in STEERINGS {
        let net = Net::new();
        let options = posthaste_smol::Options { config: Config::lan(), socket: options(steering) };
        let addr = LOCALHOST.parse().unwrap();
        let servers = posthaste_smol::Server::bind_group_insecure(addr, SOCKET_COUNT, options).unwrap();
        let addr = servers[0].local_addr();
        let (stop, is_stopped) = smol::channel::bounded::<()>(1);
        thread::scope(|scope| {
            for server in servers {
                let (executed, is_stopped) = (net.executed.clone(), is_stopped.clone());
                scope.spawn(move || {
                    let serving = server.serve(4, async |call| {
                        executed.add(&call.to_vec());
                        let arguments = call.to_vec();
                        call.reply(&arguments).unwrap();
                    });
                    smol::block_on(smol::future::or(is_stopped.recv(), async { panic!("{:?}", serving.await) }))
                        .unwrap_err();
                });
            }
            net.call_from_many_addresses(addr);
            drop(stop);
        });
    }
}

#[test]
fn a_session_stays_with_its_mio_endpoint_wherever_its_client_goes() {
    for steering in STEERINGS {
        let net = Net::new();
        let addr = LOCALHOST.parse().unwrap();
        let endpoints = Endpoint::bind_group_insecure(addr, SOCKET_COUNT, &Config::lan(), &options(steering)).unwrap();
        let addr = endpoints[0].local_addr();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for endpoint in endpoints {
                let (executed, is_over) = (net.executed.clone(), &is_over);
                scope.spawn(move || serve(endpoint, &executed, is_over));
            }
            net.call_from_many_addresses(addr);
            is_over.store(true, Ordering::Relaxed);
        });
    }
}

fn serve(mut endpoint: Endpoint, executed: &Executed, is_over: &AtomicBool) {
    let mut poll = Poll::new().unwrap();
    let mut ready = Events::with_capacity(4);
    poll.registry().register(&mut endpoint, Token(0), Interest::READABLE).unwrap();
    while !is_over.load(Ordering::Relaxed) {
        let timeout = endpoint.next_timeout().map_or(LOOK_AROUND, |timeout| timeout.min(LOOK_AROUND));
        match poll.poll(&mut ready, Some(timeout)) {
            // Whoever is stopped and goes on has slept enough (signal(7)).
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => result.unwrap(),
        }
        ready.iter().for_each(|event| endpoint.handle_event(event));
        endpoint.process().unwrap();
        while let Some(event) = endpoint.poll_event() {
            if let Event::CallReceived { call } = event {
                endpoint.begin(call).unwrap();
                let arguments = endpoint.incoming_call(call).unwrap().arguments.to_vec();
                executed.add(&arguments);
                endpoint.reply(call, Answer::Ok, &arguments, &[]).unwrap();
            }
        }
        endpoint.transmit().unwrap();
    }
}

/// What a server has executed.
#[derive(Clone, Default)]
struct Executed(Arc<Mutex<HashSet<Vec<u8>>>>);

impl Executed {
    fn add(&self, arguments: &[u8]) {
        assert!(self.0.lock().unwrap().insert(arguments.to_vec()), "{arguments:?} was executed before");
    }
}

/// A translator of addresses between a client and its server.
struct Net {
    executed: Executed,
    front: Arc<UdpSocket>,
    /// Where the server sees the client.
    back: Arc<Mutex<Arc<UdpSocket>>>,
    client: Arc<Mutex<Option<SocketAddr>>>,
    is_over: Arc<AtomicBool>,
}

impl Net {
    fn new() -> Self {
        Self {
            executed: Executed::default(),
            front: socket(),
            back: Arc::new(Mutex::new(socket())),
            client: Arc::default(),
            is_over: Arc::default(),
        }
    }

    /// Has a client call from one address after the other. Chance would have each of them spread to another socket than that of the
    /// session three times of four.
    fn call_from_many_addresses(&self, server: SocketAddr) {
        let (back, client) = (Arc::clone(&self.back), Arc::clone(&self.client));
        self.carry(Arc::clone(&self.front), move |octets, from| {
            *client.lock().unwrap() = Some(from);
            let _ = back.lock().unwrap().send_to(octets, server);
        });
        self.change_address();
        let mut config = Config::lan();
        config.resume_after = Duration::from_millis(50);
        let client = Client::connect_insecure(self.front.local_addr().unwrap(), config).unwrap();
        for round in 0..ADDRESS_COUNT {
            // In another session, nobody could say what became of the call.
            assert_eq!(client.call(1, 1, 1, &[round]).unwrap(), [round]);
            self.change_address();
        }
        assert_eq!(self.executed.0.lock().unwrap().len(), usize::from(ADDRESS_COUNT));
    }

    /// What the server sends to the address before is lost from here on.
    fn change_address(&self) {
        let back = socket();
        *self.back.lock().unwrap() = Arc::clone(&back);
        let (front, client, current) = (Arc::clone(&self.front), Arc::clone(&self.client), Arc::clone(&self.back));
        self.carry(Arc::clone(&back), move |octets, _| {
            let is_current = Arc::ptr_eq(&back, &current.lock().unwrap());
            if let Some(client) = client.lock().unwrap().filter(|_| is_current) {
                let _ = front.send_to(octets, client);
            }
        });
    }

    fn carry(&self, from: Arc<UdpSocket>, to: impl Fn(&[u8], SocketAddr) + Send + 'static) {
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

impl Drop for Net {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn socket() -> Arc<UdpSocket> {
    let socket = UdpSocket::bind(LOCALHOST).unwrap();
    socket.set_read_timeout(Some(LOOK_AROUND)).unwrap();
    Arc::new(socket)
}

fn options(steering: TryOffload) -> posthaste_udp::Options {
    posthaste_udp::Options { steering, ..posthaste_udp::Options::default() }
}

const STEERINGS: [TryOffload; 2] = [TryOffload::IfSupported, TryOffload::Never];
const LOCALHOST: &str = "127.0.0.1:0";
const SOCKET_COUNT: usize = 4;
const ADDRESS_COUNT: u8 = 8;
/// How often a thread without anything to do looks whether it is over.
const LOOK_AROUND: Duration = Duration::from_millis(20);
