//! What the benches share: two endpoints in memory, with nothing between them but a buffer, and systems with sockets at the same
//! work.
#![forbid(unsafe_code)]

#[cfg(feature = "peers")]
extern crate alloc;

pub mod adapters;
#[cfg(feature = "peers")]
pub mod duel;
pub mod ends;
pub mod measure;
#[cfg(feature = "peers")]
mod options;
#[cfg(feature = "peers")]
pub mod peers;
pub mod stubs;

posthaste_rpc::interface!(pub mod calls);

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use posthaste_core::config::PathMtuDiscovery;
use posthaste_core::ecn::Ecn;
use posthaste_core::endpoint::{Answer, Arrival, Body, Delivery, Event, IncomingCall, Message, Remote, Request};
use posthaste_core::{Config, Endpoint, IncomingCallId, Instant, Outcome, PeerId, Storage};

/// A client and a server that hand each other datagrams at once, on a clock that ticks a microsecond a datagram.
///
/// Between the two lie any number of conversations: whatever address the client dials, the server sees it as the client's.
pub struct Pair {
    now: Instant,
    client: Endpoint<'static>,
    server: Endpoint<'static>,
    peers: Vec<PeerId>,
    /// Index of the peer whose turn it is.
    turn: usize,
    buffer: Vec<u8>,
}

/// How long the datagrams between the two may be.
#[derive(Clone, Copy, Debug)]
pub enum DatagramLen {
    /// What an Ethernet carries.
    Ethernet = 1472,
    /// What the loopback carries.
    Loopback = 65_507,
}

/// How far apart the peers are that take turns: more than a processor looks ahead, and a prime, so that each has its turn.
const STRIDE: usize = 7919;

impl Pair {
    /// Makes the two, with a conversation between them.
    ///
    /// # Panics
    /// If that does not work.
    #[must_use]
    pub fn new(datagram_len: DatagramLen) -> Self {
        let mut pair = Self::with_peers(datagram_len, 1);
        // Long enough for the round-trip time, the aliases and the windows to settle.
        for _ in 0..1000 {
            pair.echo(64, &[7; 32]);
        }
        pair
    }

    /// Makes the two, with `peer_count` conversations between them that have become idle.
    ///
    /// # Panics
    /// If that does not work.
    #[must_use]
    pub fn with_peers(datagram_len: DatagramLen, peer_count: usize) -> Self {
        let mut config = Config::lan();
        config.path_mtu_discovery = PathMtuDiscovery::Known(datagram_len as usize);
        config.peer_count_max = config.peer_count_max.max(peer_count);
        config.used_ticket_count_max = config.used_ticket_count_max.max(peer_count);
        // A silence follows each call, and the turn of a peer must come before its lease ends.
        config.lease = Duration::from_secs(1 << 22);
        config.idle_timeout = config.lease;
        let now = Instant::from_nanos(1);
        let endpoint = |seed| {
            let storage = Storage::owned(&config);
            Endpoint::new_insecure(config.clone(), storage, [seed; 32], now).expect("the configuration is valid")
        };
        let (client, server, buffer) = (endpoint(1), endpoint(2), vec![0; config.datagram_len_max]);
        let mut pair = Self { now, client, server, peers: Vec::new(), turn: 0, buffer };
        for host in 0..peer_count as u32 {
            let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0001 + host)), 2000);
            let peer = pair.client.peer(now, &Remote { address, identity: &[] }).expect("a slot is free");
            pair.turn = pair.peers.len();
            pair.peers.push(peer);
            pair.echo(1, &[7; 32]);
            pair.fall_silent();
        }
        pair
    }

    /// Makes one call to the next peer, and lets silence follow: three datagrams, however many peers there are.
    ///
    /// # Panics
    /// If the call is not answered with its own octets.
    pub fn echo_alone(&mut self, octets: &[u8]) {
        self.turn = (self.turn + STRIDE) % self.peers.len();
        self.echo(1, octets);
        self.fall_silent();
    }

    /// Asks both when they want to be woken, as a loop does whenever it has nothing else to do.
    #[must_use]
    pub fn next_timeout(&mut self) -> Option<Instant> {
        [self.client.poll_timeout(), self.server.poll_timeout()].into_iter().flatten().min()
    }

    /// Wakes both although nothing is due, and asks for their datagrams.
    pub fn wake(&mut self) {
        for endpoint in [&mut self.client, &mut self.server] {
            endpoint.handle_timeout(self.now);
            assert!(endpoint.poll_transmit(self.now, &mut self.buffer).is_none(), "nobody has anything to say");
        }
    }

    /// Makes `count` calls at once, and takes all replies; returns how many datagrams that took.
    ///
    /// # Panics
    /// If a call is not answered with its own octets.
    pub fn echo(&mut self, count: usize, octets: &[u8]) -> usize {
        for _ in 0..count {
            self.client
                .call(self.now, self.peers[self.turn], Request::new(1, 1, 1, octets))
                .expect("there is room for the calls");
        }
        let (mut answered, mut datagram_count) = (0, 0);
        while answered < count {
            datagram_count += self.carry();
            while let Some(event) = self.server.poll_event() {
                if let Event::CallReceived { call } = event {
                    self.server.begin(self.now, call).expect("the call is fresh");
                    self.server.reply(self.now, call, Answer::Ok, octets, &[]).expect("the call is open");
                }
            }
            while let Some(event) = self.client.poll_event() {
                if let Event::CallEnded { outcome: Outcome::Ok(reply), .. } = event {
                    assert_eq!(self.client.payload(reply).expect("the reply is there").len(), octets.len());
                    self.client.release(self.now, reply).expect("the reply is there");
                    answered += 1;
                } else if let Event::CallEnded { outcome, .. } = event {
                    panic!("{outcome:?}");
                }
            }
        }
        datagram_count
    }

    /// Makes one call, has `answer` answer it, and shows the reply to `read`.
    ///
    /// # Panics
    /// If it is not answered.
    pub fn call<T>(
        &mut self,
        request: Request<'_>,
        answer: impl FnOnce(Handling<'_>),
        read: impl FnOnce(&[u8]) -> T,
    ) -> T {
        self.client.call(self.now, self.peers[self.turn], request).expect("there is room for the call");
        let mut answer = Some(answer);
        loop {
            self.carry();
            while let Some(event) = self.server.poll_event() {
                if let Event::CallReceived { call } = event {
                    self.server.begin(self.now, call).expect("the call is fresh");
                    let handling = Handling { endpoint: &mut self.server, now: self.now, call };
                    answer.take().expect("there is one call")(handling);
                }
            }
            while let Some(event) = self.client.poll_event() {
                if let Event::CallEnded { outcome, .. } = event {
                    let Outcome::Ok(reply) = outcome else { panic!("{outcome:?}") };
                    let result = read(self.client.payload(reply).expect("the reply is there"));
                    self.client.release(self.now, reply).expect("the reply is there");
                    return result;
                }
            }
        }
    }

    /// Sends one message and has it received.
    ///
    /// # Panics
    /// If it does not arrive.
    pub fn send(&mut self, delivery: Delivery, octets: &[u8]) {
        self.queue(delivery, octets);
        loop {
            self.carry();
            while self.client.poll_event().is_some() {}
            while let Some(event) = self.server.poll_event() {
                if let Event::MessageReceived { message, .. } = event {
                    self.server.release(self.now, message).expect("the message is there");
                    return;
                }
            }
        }
    }

    /// Has `count` small datagrams arrive and then acknowledged at once; returns how long their sender takes over that.
    ///
    /// # Panics
    /// If it is not acknowledged.
    pub fn acknowledge(&mut self, count: usize) -> Duration {
        for _ in 0..count {
            self.queue(Delivery::Unreliable, &[7; 32]);
            carry_one_way(&mut self.now, &mut self.client, &mut self.server, &mut self.buffer);
            while let Some(event) = self.server.poll_event() {
                if let Event::MessageReceived { message, .. } = event {
                    self.server.release(self.now, message).expect("the message is there");
                }
            }
        }
        self.now = self.now.max(self.server.poll_timeout().expect("an acknowledgement is due"));
        self.server.handle_timeout(self.now);
        let transmit = self.server.poll_transmit(self.now, &mut self.buffer).expect("it is due now");
        let arrival = Arrival { from: transmit.to, to: None, ecn: Ecn::NotEct };
        let started = std::time::Instant::now();
        self.client.handle_datagram(self.now, arrival, &mut self.buffer[..transmit.len]).expect("it is whole");
        let elapsed = started.elapsed();
        while self.client.poll_event().is_some() {}
        elapsed
    }

    fn queue(&mut self, delivery: Delivery, octets: &[u8]) {
        let message = Message { delivery, priority: 1, body: Body::Copied(octets) };
        self.client.send(self.now, self.peers[self.turn], message).expect("there is room for the message");
    }

    /// Lets time go on until nobody waits for anything.
    fn fall_silent(&mut self) {
        while self.next_timeout().is_some() {
            self.carry();
        }
    }

    /// Carries datagrams until neither has one to send; at a standstill, time goes on to the next deadline.
    fn carry(&mut self) -> usize {
        let mut count = 0;
        loop {
            let before = count;
            count += carry_one_way(&mut self.now, &mut self.client, &mut self.server, &mut self.buffer);
            count += carry_one_way(&mut self.now, &mut self.server, &mut self.client, &mut self.buffer);
            if count == before {
                break;
            }
        }
        if count == 0 {
            self.now = self.now.max(self.next_timeout().expect("something is awaited"));
            self.client.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
        }
        count
    }
}

/// A call of a [`Pair`] that is to be answered.
pub struct Handling<'a> {
    endpoint: &'a mut Endpoint<'static>,
    now: Instant,
    call: IncomingCallId,
}

impl Handling<'_> {
    /// Returns the call, with its arguments.
    ///
    /// # Panics
    /// If it has been answered.
    #[inline]
    #[must_use]
    pub fn incoming(&self) -> IncomingCall<'_> {
        self.endpoint.incoming_call(self.call).expect("the call is open")
    }

    /// Answers the call.
    ///
    /// # Panics
    /// If it has been answered.
    pub fn reply(&mut self, answer: Answer, body: Body<'_>) {
        self.endpoint.reply_body(self.now, self.call, answer, body, &[]).expect("the call is open");
    }
}

/// Carries all datagrams that one side has to send; returns how many.
fn carry_one_way(now: &mut Instant, from: &mut Endpoint<'_>, to: &mut Endpoint<'_>, buffer: &mut [u8]) -> usize {
    let mut count = 0;
    while let Some(transmit) = from.poll_transmit(*now, buffer) {
        *now = now.saturating_add(Duration::from_micros(1));
        let arrival = Arrival { from: transmit.to, to: None, ecn: Ecn::NotEct };
        to.handle_datagram(*now, arrival, &mut buffer[..transmit.len]).expect("nothing is lost or damaged");
        count += 1;
    }
    count
}
