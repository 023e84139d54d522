//! A socket and the endpoint behind it, as an adapter drives them.

use core::time::Duration;

use posthaste_core::endpoint::{Answer, Event, Remote, Request};
use posthaste_core::{Config, Endpoint, Outcome};
use posthaste_udp::{
    BindError, Clock, Options, RecvBatch, SendBatch, Socket, Waiting, bind_group_insecure, bind_insecure,
};

#[test]
fn what_one_endpoint_has_to_send_another_one_gets() {
    let clock = Clock::start();
    let (mut client, mut server) = (Side::open(), Side::open());
    let remote = Remote { address: server.socket.local_addr(), identity: &[] };
    let peer = client.endpoint.peer(clock.now(), &remote).unwrap();
    // More than a batch holds.
    let arguments = vec![7; 200_000];
    client.endpoint.call(clock.now(), peer, Request::new(1, 1, 1, &arguments)).unwrap();

    let reply = loop {
        client.turn(clock);
        server.turn(clock);
        while let Some(event) = server.endpoint.poll_event() {
            if let Event::CallReceived { call } = event {
                let now = clock.now();
                server.endpoint.begin(now, call).unwrap();
                let octets = server.endpoint.incoming_call(call).unwrap().arguments.to_vec();
                server.endpoint.reply(now, call, Answer::Ok, &octets, &[]).unwrap();
            }
        }
        let mut events = core::iter::from_fn(|| client.endpoint.poll_event());
        if let Some(Event::CallEnded { outcome, .. }) = events.find(|event| matches!(event, Event::CallEnded { .. })) {
            let Outcome::Ok(reply) = outcome else { panic!("{outcome}") };
            break client.endpoint.payload(reply).unwrap().to_vec();
        }
    };
    assert_eq!(reply, arguments);
}

#[test]
fn each_endpoint_of_a_port_knows_which_it_is() {
    let bound = bind_group_insecure(LOCALHOST.parse().unwrap(), 3, &Config::lan(), &Options::default()).unwrap();

    let port = bound[0].0.local_addr();
    for (index, (socket, endpoint)) in bound.iter().enumerate() {
        assert_eq!((socket.local_addr(), usize::from(endpoint.config().socket)), (port, index));
    }
}

#[test]
fn a_configuration_that_is_out_of_range_opens_no_socket() {
    let mut config = Config::lan();
    config.datagram_len_max = 0;
    let occupied = std::net::UdpSocket::bind(LOCALHOST).unwrap();
    let addr = occupied.local_addr().unwrap();

    let Err(refused) = bind_insecure(addr, config, &Options::default()) else { panic!("it is bound") };

    assert!(matches!(refused, BindError::Config(_)), "{refused}");
    assert_eq!(std::io::Error::from(refused).kind(), std::io::ErrorKind::InvalidInput);
}

struct Side {
    socket: Socket,
    endpoint: Endpoint<'static>,
    incoming: RecvBatch,
    outgoing: SendBatch,
}

impl Side {
    fn open() -> Self {
        let options = Options { waiting: Waiting::InPoll, ..Options::default() };
        let (socket, endpoint) = bind_insecure(LOCALHOST.parse().unwrap(), Config::lan(), &options).unwrap();
        let outgoing = SendBatch::new(endpoint.config().datagram_len_max);
        Self { socket, endpoint, incoming: RecvBatch::new(1), outgoing }
    }

    /// Sends what is ready, and takes in what has come.
    fn turn(&mut self, clock: Clock) {
        match self.socket.send_all(clock.now(), &mut self.endpoint, &mut self.outgoing) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            result => result.unwrap(),
        }
        self.socket.recv_timeout(&mut self.incoming, Some(Duration::from_millis(1))).unwrap();
        while let Some(datagram) = self.incoming.next_datagram() {
            self.endpoint.handle_datagram(clock.now(), datagram.arrival(), datagram.payload).unwrap();
        }
        let now = clock.now();
        if self.endpoint.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.endpoint.handle_timeout(now);
        }
    }
}

const LOCALHOST: &str = "127.0.0.1:0";
