//! What a call costs in allocations: nothing, once its buffers are there.

use mio::{Events, Interest, Poll, Token};
use posthaste_heap as heap;
use posthaste_mio::{Answer, Config, Endpoint, Event, Outcome, PeerId, Request, SocketOptions};
use support::sleep;

mod support;

/// Calls allocate nothing on either side, whether alone or with others in flight.
fn main() {
    for inflight in [1, 64] {
        let mut turns = Turns::new();
        // Buffers grow.
        turns.call(2000, inflight);
        let ((), allocated) = heap::watch_all(|| turns.call(10_000, inflight));
        assert_eq!(allocated.count, 0);
    }
}

/// A client and a server in one loop.
struct Turns {
    client: Endpoint,
    server: Endpoint,
    peer: PeerId,
    poll: Poll,
    ready: Events,
    arguments: Vec<u8>,
}

impl Turns {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let bind = |token| {
            let address = "127.0.0.1:0".parse().unwrap();
            let mut endpoint = Endpoint::bind_insecure(address, Config::lan(), &SocketOptions::default()).unwrap();
            poll.registry().register(&mut endpoint, token, Interest::READABLE).unwrap();
            endpoint
        };
        let (mut client, server) = (bind(CLIENT), bind(Token(1)));
        let peer = client.peer(server.local_addr()).unwrap();
        Self { client, server, peer, poll, ready: Events::with_capacity(4), arguments: Vec::new() }
    }

    /// Makes `count` calls, and keeps `inflight` of them open.
    fn call(&mut self, count: usize, inflight: usize) {
        let (mut begun_count, mut ended_count) = (0, 0);
        while ended_count < count {
            while begun_count < count && begun_count - ended_count < inflight {
                self.client.call(self.peer, Request::new(1, 1, 7, &[7; 32])).unwrap();
                self.client.transmit_slice().unwrap();
                begun_count += 1;
            }
            ended_count += self.turn();
        }
    }

    /// Takes one turn of the loop, and returns how many calls ended in it.
    fn turn(&mut self) -> usize {
        self.client.transmit().unwrap();
        self.server.transmit().unwrap();
        let timeout = [self.client.next_timeout(), self.server.next_timeout()].into_iter().flatten().min();
        sleep(&mut self.poll, &mut self.ready, timeout);
        for event in &self.ready {
            if event.token() == CLIENT { &mut self.client } else { &mut self.server }.handle_event(event);
        }
        self.server.process().unwrap();
        while let Some(event) = self.server.poll_event() {
            if let Event::CallReceived { call } = event {
                self.server.begin(call).unwrap();
                self.arguments.clear();
                self.arguments.extend_from_slice(self.server.incoming_call(call).unwrap().arguments);
                self.server.reply(call, Answer::Ok, &self.arguments, &[]).unwrap();
            }
        }
        self.client.process().unwrap();
        let mut ended_count = 0;
        while let Some(event) = self.client.poll_event() {
            if let Event::CallEnded { outcome, .. } = event {
                let Outcome::Ok(reply) = outcome else { panic!("{outcome}") };
                assert_eq!(self.client.payload(reply).unwrap(), [7; 32]);
                self.client.release(reply).unwrap();
                ended_count += 1;
            }
        }
        ended_count
    }
}

const CLIENT: Token = Token(0);
