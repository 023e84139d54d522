//! ONC RPC over real sockets of this machine, in one loop.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

use mio::{Events, Poll, Token};
use posthaste_mio::onc::{
    CallId, Client, ClientConfig, Failure, Incoming, NotSent, Outcome, Refusal, Request, Server, ServerConfig,
    ServerOptions, Target, Transport, Unknown,
};
use posthaste_rpc::{NotExecuted, Procedure};

#[test]
fn calls_of_one_client_are_under_way_together() {
    let mut turns = Turns::new(ServerOptions::default());
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut client = turns.connect(transport);
        let calls: Vec<CallId> =
            (0..40_u32).map(|index| client.call(&Request::new(target(1), &index.to_be_bytes())).unwrap()).collect();
        let mut outcomes: Vec<(CallId, Outcome)> = (0..40).map(|_| turns.outcome(&mut client)).collect();
        outcomes.sort_by_key(|(call, _)| calls.iter().position(|it| it == call));
        for (index, (call, outcome)) in outcomes.into_iter().enumerate() {
            assert_eq!((call, outcome), (calls[index], Ok((index as u32).to_be_bytes().to_vec())), "{transport}");
        }
    }
}

#[test]
fn a_server_at_all_addresses_answers_at_each() {
    // Not every machine has IPv6.
    let Ok(mut turns) = Turns::at("[::]:0", ServerOptions::default()) else { return };
    for host in ["127.0.0.1", "::1"] {
        for transport in [Transport::Udp, Transport::Tcp] {
            let address = (host.parse::<IpAddr>().unwrap(), turns.server.local_addr().port()).into();
            let mut client = turns.register(address, transport);
            client.call(&Request::new(target(0), &[])).unwrap();
            assert_eq!(turns.outcome(&mut client).1, Ok(vec![]), "{host} {transport}");
        }
    }
}

#[test]
fn long_arguments_and_results_pass_through_full_buffers() {
    let mut turns = Turns::new(ServerOptions::default());
    let mut client = turns.connect(Transport::Tcp);
    let arguments = vec![7; 1_000_000];
    for _ in 0..2 {
        client.call(&Request::new(target(1), &arguments)).unwrap();
    }
    for _ in 0..2 {
        assert!(turns.outcome(&mut client).1 == Ok(arguments.clone()));
    }
}

#[test]
fn refusals_come_back() {
    let mut turns = Turns::new(ServerOptions::default());
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut client = turns.connect(transport);
        client.call(&Request::new(target(9), &[])).unwrap();
        assert_eq!(turns.outcome(&mut client).1, Err(Failure::Refused(Refusal::NoSuchProcedure)));
    }
}

#[test]
fn a_procedure_of_a_stub_is_called_within_its_bounds() {
    let mut turns = Turns::new(ServerOptions::default());
    let mut client = turns.connect(Transport::Tcp);
    let Target { program, version, procedure } = target(1);
    let echo = Procedure::<u32>::new("echo", program, version, procedure).with_arguments_len_max(4);
    client.call_procedure(&echo, &7_u32).unwrap();
    assert_eq!(Client::read_result(&echo, turns.outcome(&mut client).1).unwrap(), 7);
    let refused = client.call_procedure(&echo, &7_u64);
    assert_eq!(refused, Err(NotExecuted::TooLarge { limit: Some(4) }));
}

#[test]
fn nobody_there_ends_the_calls() {
    let mut turns = Turns::new(ServerOptions::default());
    let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut client = turns.register(deaf.local_addr().unwrap(), Transport::Udp);
    let request = Request { timeout: Some(Duration::from_millis(50)), ..Request::new(target(0), &[]) };
    client.call(&request).unwrap();
    assert_eq!(turns.outcome(&mut client).1, Err(Failure::Unknown(Unknown::Deadline)));

    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut client = turns.register(gone, Transport::Tcp);
    client.call(&request).unwrap();
    assert_eq!(turns.outcome(&mut client).1, Err(Failure::NotSent(NotSent::Unreached)));
    assert_eq!(client.call(&request), Err(NotSent::Unreached));
}

#[test]
fn a_connection_ends_when_it_is_idle_sends_no_call_or_is_one_too_many() {
    let config = ServerConfig { idle_timeout: Duration::from_millis(30), ..ServerConfig::default() };
    let mut turns = Turns::new(ServerOptions { config, connection_count_max: 1 });
    assert_eq!(turns.server.token_count(), 3);
    let mut first = TcpStream::connect(turns.server.local_addr()).unwrap();
    let mut second = TcpStream::connect(turns.server.local_addr()).unwrap();
    turns.until_closed(&mut second);
    turns.until_closed(&mut first);
    let mut hostile = TcpStream::connect(turns.server.local_addr()).unwrap();
    hostile.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    turns.until_closed(&mut hostile);
    let mut client = turns.connect(Transport::Tcp);
    client.call(&Request::new(target(0), &[])).unwrap();
    assert_eq!(turns.outcome(&mut client).1, Ok(vec![]));
}

/// A loop with a server.
struct Turns {
    poll: Poll,
    ready: Events,
    server: Server,
}

impl Turns {
    fn new(options: ServerOptions) -> Self {
        Self::at("127.0.0.1:0", options).unwrap()
    }

    fn at(address: &str, options: ServerOptions) -> io::Result<Self> {
        let poll = Poll::new().unwrap();
        let mut server = Server::bind(address.parse().unwrap(), options)?;
        server.register(poll.registry(), Token(1)).unwrap();
        Ok(Self { poll, ready: Events::with_capacity(16), server })
    }

    fn connect(&self, transport: Transport) -> Client {
        self.register(self.server.local_addr(), transport)
    }

    fn register(&self, server: SocketAddr, transport: Transport) -> Client {
        let mut client = Client::connect(server, transport, ClientConfig::default()).unwrap();
        self.poll.registry().register(&mut client, Token(0), Client::INTERESTS).unwrap();
        client
    }

    fn outcome(&mut self, client: &mut Client) -> (CallId, Outcome) {
        loop {
            if let Some(outcome) = client.poll_outcome() {
                return outcome;
            }
            client.transmit();
            let timeout = [self.server.next_timeout(), client.next_timeout()].into_iter().flatten().min();
            self.turn(timeout, |event| {
                if event.token() == Token(0) {
                    client.handle_event(event);
                }
            });
            client.process();
        }
    }

    fn until_closed(&mut self, socket: &mut TcpStream) {
        socket.set_nonblocking(true).unwrap();
        // Closed with octets unread, it may be reset as well.
        while matches!(socket.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            let timeout = self.server.next_timeout().unwrap_or(Duration::MAX).min(Duration::from_millis(5));
            self.turn(Some(timeout), |_| ());
        }
    }

    fn turn(&mut self, timeout: Option<Duration>, mut others: impl FnMut(&mio::event::Event)) {
        self.poll.poll(&mut self.ready, timeout).unwrap();
        for event in &self.ready {
            others(event);
            self.server.handle_event(event);
        }
        self.server.process(&echo);
    }
}

fn echo(call: &Incoming<'_>, results: &mut Vec<u8>) -> Result<(), Refusal> {
    match call.target.procedure {
        0 => Ok(()),
        1 => {
            results.extend_from_slice(call.arguments);
            Ok(())
        }
        _ => Err(Refusal::NoSuchProcedure),
    }
}

fn target(procedure: u32) -> Target {
    Target { program: 0x2000_0001, version: 1, procedure }
}
