//! An endpoint with live conversations under a rain of datagrams that no honest peer sends.
//!
//! Each test rains `POSTHASTE_HOSTILE_COUNT` datagrams from `POSTHASTE_HOSTILE_SEED`; in release mode ten million take half a minute.
#![cfg(feature = "alloc")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test names the events that concern it")]

#[path = "support/forger.rs"]
mod forger;
#[path = "support/limits.rs"]
mod limits;
#[path = "support/pair.rs"]
mod pair;

use core::mem::{self, Discriminant};
use core::net::SocketAddr;
use core::time::Duration;

use forger::{FORGER, Forger, descending, repair};
use limits::{small, within};
use pair::{CLIENT, Pair, SERVER};
use posthaste_core::ecn::Ecn;
use posthaste_core::endpoint::{
    Answer, Arrival, Body, Delivery, Event, Message, Rejected, Remote, Reply, Request, Streamed, Streams, Usage,
};
use posthaste_core::random::Random;
use posthaste_core::wire::checksum::crc32c;
use posthaste_core::wire::{
    Ack, Alias, CallState, Closer, Data, Description, Extent, Flow, Form, Frame, Metadata, Opening, Options, Outcome,
    Parameters, Procedure, Retired, Role, Scope, Semantics, Seq, Status, Writer,
};
use posthaste_core::{
    CallId, Config, Endpoint, IncomingCallId, Instant, MessageId, PeerId, SendId, Storage, StreamId, wire,
};

/// What is not authentic changes counters and nothing else: a twin that is spared it sends the same octets at the same times.
#[test]
fn a_datagram_that_is_not_authentic_changes_counters_only() {
    let mut random = Random::new(seed(1));
    let count = count_of(100_000);
    let (mut victims, mut twins) = (busy_pair(), busy_pair());
    let mut rained = 0;
    while rained < count {
        for pair in [&mut victims, &mut twins] {
            converse(pair);
        }
        assert_eq!(victims.server.sent, twins.server.sent);
        assert_eq!(victims.client.sent, twins.client.sent);
        let honest: Vec<Vec<u8>> = victims.client.sent.iter().chain(&victims.server.sent).cloned().collect();
        for pair in [&mut victims, &mut twins] {
            pair.client.sent.clear();
            pair.server.sent.clear();
        }
        for _ in 0..count.min(2000) {
            let now = victims.now;
            let (host, from) =
                if random.below(2) == 0 { (&mut victims.server, CLIENT) } else { (&mut victims.client, SERVER) };
            let from = if random.below(4) == 0 { FORGER } else { from };
            let (mut octets, tampered) = if random.below(2) == 0 {
                (garbage(&mut random), true)
            } else {
                let model = &honest[random.below(honest.len() as u64) as usize];
                let octets = tamper(&mut random, model, &honest);
                let tampered = octets != *model && !honest.contains(&octets);
                (octets, tampered)
            };
            if !tampered {
                continue;
            }
            let before = (host.endpoint.usage(), host.endpoint.poll_timeout());
            let arrival = Arrival { from, to: None, ecn: Ecn::NotEct };
            let result = host.endpoint.handle_datagram(now, arrival, &mut octets);
            assert!(result.is_err(), "{octets:?}");
            assert_eq!((host.endpoint.usage(), host.endpoint.poll_timeout()), before);
            assert_eq!(host.endpoint.poll_event(), None);
            rained += 1;
        }
        for (pair, twin) in [(&mut victims.client, &mut twins.client), (&mut victims.server, &mut twins.server)] {
            // The answers to strangers are stateless; they are taken so that the order of the others can be compared.
            let mut out = vec![0; pair.endpoint.config().datagram_len_max];
            while let Some(transmit) = pair.endpoint.poll_transmit(victims.now, &mut out) {
                assert!(out[0] >= 0xf0 && transmit.len < 43, "only stateless answers");
            }
            assert_eq!(twin.endpoint.poll_transmit(twins.now, &mut out), None);
            assert_eq!(pair.endpoint.counters().violations, 0);
        }
    }
}

/// Whatever an authentic peer says, the endpoint neither panics nor grows, and its books agree.
#[test]
fn no_lie_of_an_authentic_peer_breaks_the_books() {
    let count = count_of(30_000);
    let mut siege = Siege::new(seed(2));
    for _ in 0..count {
        siege.step();
    }
    assert!(siege.heard.len() > 8, "the lies were too plain: only {} kinds of events", siege.heard.len());
    assert!(siege.victim.counters().violations > 0);
    siege.lift();
}

/// Where a message lies is nobody's business but the application's: two victims of which one keeps all that it can in memory of its
/// own, and the other nothing, say and hold the same.
#[cfg(feature = "bytes")]
#[test]
fn no_peer_can_tell_where_its_messages_lie() {
    let mut twins = [1, usize::MAX].map(|own_body_len_min| {
        let mut config = small();
        config.own_body_len_min = own_body_len_min;
        Siege::with(seed(3), config)
    });
    for _ in 0..count_of(30_000) {
        let books = twins.each_mut().map(|siege| {
            siege.step();
            (siege.victim.usage(), *siege.victim.counters(), siege.victim.poll_timeout(), siege.said)
        });
        assert_eq!(books[0], books[1]);
    }
    twins.into_iter().for_each(Siege::lift);
}

/// A victim, a client and a server that lie to it, and an application that does what applications do.
struct Siege {
    random: Random,
    now: Instant,
    victim: Endpoint<'static>,
    client: Forger,
    server: Forger,
    peer: Option<PeerId>,
    /// How wild the numbers of the running conversations are, 0 to 3.
    wildness: u64,
    is_client_open: bool,
    is_server_open: bool,
    application: Application,
    out: Vec<u8>,
    /// What the victim has said, as a checksum.
    said: u32,
    /// The kinds of events that the application was told of.
    heard: Vec<Discriminant<Event>>,
}

/// What the application holds, and what it has let go.
#[derive(Default)]
struct Application {
    calls: Vec<IncomingCallId>,
    messages: Vec<MessageId>,
    released: Vec<MessageId>,
    streams: Vec<StreamId>,
    own_calls: Vec<CallId>,
    own_sends: Vec<SendId>,
    peers: Vec<PeerId>,
}

const LIAR: SocketAddr = SERVER;

impl Siege {
    fn new(seed: [u8; 32]) -> Self {
        Self::with(seed, small())
    }

    fn with(seed: [u8; 32], config: Config) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let storage = Storage::owned(&config);
        Self {
            random: Random::new(seed),
            now,
            victim: Endpoint::new_insecure(config, storage, [3; 32], now).unwrap(),
            client: Forger::new(FORGER),
            server: Forger::new(LIAR),
            peer: None,
            wildness: 0,
            is_client_open: false,
            is_server_open: false,
            application: Application::default(),
            out: vec![0; 65_536],
            said: 0,
            heard: Vec::new(),
        }
    }

    fn step(&mut self) {
        match self.random.below(16) {
            0 => self.pass_time(),
            1..=3 => self.act(),
            4 | 5 => self.acknowledge(),
            _ => self.lie(),
        }
        self.collect();
        let usage = self.victim.usage();
        assert!(within(&usage, self.victim.config()), "{usage:?}");
        assert_eq!(self.victim.counters().broken, 0, "the books do not agree");
    }

    fn pass_time(&mut self) {
        let millis = [1, 10, 100, 1000, 20_000][self.random.below(5) as usize];
        self.now = self.now.saturating_add(Duration::from_millis(self.random.below(millis) + 1));
        if self.victim.poll_timeout().is_some_and(|at| at <= self.now) {
            self.victim.handle_timeout(self.now);
            assert!(self.victim.poll_timeout().is_none_or(|at| at > self.now), "no progress");
        }
    }

    fn acknowledge(&mut self) {
        let now = self.now;
        if self.random.below(2) == 0 {
            let _ = self.client.acknowledge(&mut self.victim, now);
        } else {
            let _ = self.server.acknowledge(&mut self.victim, now);
        }
    }

    /// Takes what the endpoint has to say.
    fn collect(&mut self) {
        while let Some(event) = self.victim.poll_event() {
            self.hear(event);
        }
        while let Some(transmit) = self.victim.poll_transmit(self.now, &mut self.out) {
            let forger = if transmit.to == FORGER { &mut self.client } else { &mut self.server };
            forger.hear(&self.out[..transmit.len]);
            self.said = self.said.rotate_left(1) ^ crc32c(&self.out[..transmit.len]);
        }
        while let Some(event) = self.victim.poll_event() {
            self.hear(event);
        }
    }

    fn hear(&mut self, event: Event) {
        let kind = mem::discriminant(&event);
        if !self.heard.contains(&kind) {
            self.heard.push(kind);
        }
        self.application.note(event);
    }

    fn lie(&mut self) {
        let is_client = self.is_client_open && self.random.below(3) > 0;
        let called = if is_client { &self.client.called } else { &self.server.called };
        let mut scratch = [0; 1500];
        let mut writer = Writer::new(&mut scratch);
        for _ in 0..=self.random.below(4) {
            write_lie(&mut self.random, self.wildness, called, &mut writer);
        }
        let frames = writer.written().to_vec();
        let forger = if is_client { &mut self.client } else { &mut self.server };
        let mut datagram = forger.datagram_with(|writer| writer.octets(&frames).unwrap());
        if self.wildness == 3 && self.random.below(8) == 0 {
            datagram = tamper(&mut self.random, &datagram, &[]);
            repair(&mut datagram);
        }
        let result = forger.deliver(&mut self.victim, self.now, datagram.clone());
        if matches!(result, Err(Rejected::Violation(_) | Rejected::Unknown)) {
            self.is_client_open &= !is_client;
            self.is_server_open &= is_client;
        }
        if self.random.below(16) == 0 {
            let _ = forger.deliver(&mut self.victim, self.now, datagram);
        }
        self.reopen();
    }

    /// Opens anew what the lies have closed.
    fn reopen(&mut self) {
        if (self.is_client_open && self.is_server_open) || self.random.below(8) != 0 {
            return;
        }
        self.collect();
        let now = self.now;
        if !self.is_client_open {
            self.is_client_open = true;
            // The slots of conversations that were closed come back after three probe timeouts.
            self.now = now.saturating_add(Duration::from_secs(self.random.below(4)));
            self.victim.handle_timeout(self.now);
            let now = self.now;
            self.wildness = self.random.below(4);
            let parameters = self.parameters();
            let items = forger::items_of(&parameters);
            self.client.ours.0[5..].copy_from_slice(&self.random.octets::<3>());
            let hello = self.client.hello(&[], 0, &[Frame::Parameters(&items)]);
            let _ = self.client.deliver(&mut self.victim, now, hello);
            let mut token = Vec::new();
            for answer in self.client.drain(&mut self.victim, now) {
                if let Ok(wire::Stateless::Retry { token: found, .. }) = wire::Stateless::decode(&answer) {
                    token = found.to_vec();
                }
            }
            let mut frames = vec![Frame::Parameters(&items)];
            let body = [5; 40];
            if self.random.below(2) == 0 {
                frames.push(data(request(0, 3), Form::Entire, &body));
            }
            let mut hello = self.client.hello(&token, 1, &frames);
            let _ = self.client.deliver(&mut self.victim, now, hello.clone());
            if self.random.below(4) == 0 {
                hello = tamper(&mut self.random, &hello, &[]);
                repair(&mut hello);
                let _ = self.client.deliver(&mut self.victim, now, hello);
            }
            for answer in self.client.drain(&mut self.victim, now) {
                self.client.take_answer(&answer);
            }
            (self.client.number, self.client.received, self.client.called) = (0, Vec::new(), Vec::new());
        }
        if let Ok(peer) = self.victim.peer(now, &Remote { address: LIAR, identity: &[] }) {
            self.peer = Some(peer);
        }
        let parameters = self.parameters();
        if let Some(peer) = self.peer {
            let _ = self.victim.call(now, peer, Request::new(1, 1, 1, &[5; 40]));
        }
        self.is_server_open |= self.server.accept(&mut self.victim, now, &parameters);
    }

    fn parameters(&mut self) -> Parameters {
        let random = &mut self.random;
        Parameters {
            message_len_max: [1200, 65_536, 1 << 30][random.below(3) as usize],
            credit: [1 << 30, 1 << 40, (1 << 62) - 1][random.below(3) as usize],
            exchange_window: [16, 64, 65_536][random.below(3) as usize],
            stream_window: [0, 1000, 1 << 20, 1 << 30][random.below(4) as usize],
            datagram_len_max: [1200, 65_507][random.below(2) as usize],
            ack_delay_max: Duration::from_micros([0, 5000, 1 << 24][random.below(3) as usize]),
            idle_timeout: Duration::from_secs(1 + random.below(1000)),
            alias_count_max: [0, 1, 256][random.below(3) as usize],
            channel_count_max: [0, 4, 65_536][random.below(3) as usize],
            metadata_len_max: [0, 512, 4096][random.below(3) as usize],
        }
    }

    /// Does what an application does, at random.
    fn act(&mut self) {
        let choice = self.random.below(14);
        let len = self.random.below(3000) as usize;
        match choice {
            0..=4 => self.serve(choice, len),
            5 | 6 => self.take(),
            7..=9 => self.stream(choice, len),
            10 | 11 => self.begin(len),
            12 => self.decide(),
            _ => self.manage(),
        }
    }

    /// Begins, answers or refuses a call.
    fn serve(&mut self, choice: u64, len: usize) {
        let Self { now, random, victim, application, .. } = self;
        let fate = if choice < 2 { Fate::Keep } else { Fate::Take };
        let Some(call) = pick(random, &mut application.calls, fate) else { return };
        match choice {
            0 | 1 => {
                let _ = victim.begin(*now, call);
                let _ = victim.incoming_call(call);
                #[cfg(feature = "bytes")]
                drop(victim.take_arguments(*now, call));
            }
            2 | 3 => {
                let _ = victim.begin(*now, call);
                let _ = victim.progress(call, 5);
                let status = [Answer::Ok, Answer::Error, Answer::HandlerFailed][random.below(3) as usize];
                if victim.reply(*now, call, status, &[7; 3000][..len], &[]).is_ok() {
                    assert!(victim.reply(*now, call, status, &[], &[]).is_err(), "a call is answered once");
                    assert!(victim.incoming_call(call).is_err());
                }
            }
            _ => drop(victim.refuse(*now, call, wire::NotExecuted::Busy)),
        }
    }

    /// Takes a message, and looks for those that were taken before.
    fn take(&mut self) {
        let Self { now, random, victim, application, .. } = self;
        if let Some(message) = pick(random, &mut application.messages, Fate::Take) {
            let _ = victim.payload(message);
            let _ = victim.metadata(message);
            #[cfg(feature = "bytes")]
            if random.below(2) == 0 {
                drop(victim.take_payload(*now, message));
            }
            let _ = victim.release(*now, message);
            assert!(victim.payload(message).is_err(), "a released message is stale");
            application.released.push(message);
        }
        for stale in &application.released {
            assert!(victim.payload(*stale).is_err(), "a stale id names nothing");
        }
        let forgotten = application.released.len().saturating_sub(32);
        application.released.drain(..forgotten);
    }

    /// Reads or writes a stream, or gives it up.
    fn stream(&mut self, choice: u64, len: usize) {
        let Self { now, random, victim, application, .. } = self;
        let fate = if choice == 9 { Fate::Take } else { Fate::Keep };
        let Some(stream) = pick(random, &mut application.streams, fate) else { return };
        if choice == 9 {
            let _ = victim.abandon(*now, stream);
            return;
        }
        let mut buffer = [7; 3000];
        match victim.read(*now, stream, &mut buffer[..len.max(1)]) {
            Ok(Streamed::Octets(_) | Streamed::Pending) => {}
            Ok(Streamed::End) | Err(_) => {
                let _ = victim.write(*now, stream, &buffer[..len]);
                if random.below(4) == 0 {
                    let _ = victim.finish(*now, stream);
                }
            }
        }
    }

    /// Makes up its mind about a call and a message of its own.
    fn decide(&mut self) {
        let Self { now, random, victim, application, .. } = self;
        if let Some(call) = pick(random, &mut application.own_calls, Fate::Keep) {
            match random.below(4) {
                0 => drop(victim.cancel(*now, call)),
                1 => drop(victim.resolve(*now, call, Duration::from_secs(1))),
                2 => drop(victim.forget(*now, call)),
                _ => {}
            }
        }
        if let Some(send) = pick(random, &mut application.own_sends, Fate::Take) {
            let _ = victim.cancel_send(*now, send);
        }
    }

    /// Flushes or closes a conversation, or moves to another address.
    fn manage(&mut self) {
        let Self { now, random, victim, application, .. } = self;
        match random.below(40) {
            0 => victim.handle_address_change(*now),
            1 => {
                if let Some(peer) = pick(random, &mut application.peers, Fate::Take) {
                    let _ = victim.close(*now, peer, 9);
                }
            }
            _ => {
                if let Some(peer) = pick(random, &mut application.peers, Fate::Keep) {
                    let _ = victim.flush(*now, peer);
                }
            }
        }
    }

    /// Begins something with one of the liars.
    fn begin(&mut self, len: usize) {
        let now = self.now;
        let Self { random, victim, application, .. } = self;
        let peer = match self.peer {
            Some(peer) if random.below(2) == 0 => peer,
            _ => match pick(random, &mut application.peers, Fate::Keep) {
                Some(peer) => peer,
                None => return,
            },
        };
        let buffer = [6; 3000];
        let delivery = match random.below(4) {
            0 => Delivery::Unreliable,
            1 => Delivery::Newest { key: random.below(3) },
            2 => Delivery::Reliable,
            _ => Delivery::Ordered { channel: random.below(3) },
        };
        match random.below(3) {
            0 => {
                let message = Message { delivery, priority: random.below(4) as u8, body: Body::Copied(&buffer[..len]) };
                application.own_sends.extend(victim.send(now, peer, message));
            }
            1 => {
                if let Ok((send, stream)) = victim.open_stream(now, peer, delivery, 1) {
                    let _ = victim.write(now, stream, &buffer[..len]);
                    application.own_sends.push(send);
                    application.streams.push(stream);
                }
            }
            _ => {
                let streams = [Streams::None, Streams::Upward, Streams::Downward, Streams::Both];
                let semantics = [Semantics::AtMostOnce, Semantics::AtLeastOnce, Semantics::Maybe];
                let request = Request {
                    streams: streams[random.below(4) as usize],
                    semantics: semantics[random.below(3) as usize],
                    reply: if random.below(5) == 0 { Reply::Never } else { Reply::Expected },
                    timeout: [None, Some(Duration::ZERO), Some(Duration::from_millis(5))][random.below(3) as usize],
                    ..Request::new(1, 1, random.below(12) as u32, &buffer[..len])
                };
                application.own_calls.extend(victim.call(now, peer, request));
            }
        }
        application.own_sends.truncate(64);
        application.own_calls.truncate(64);
    }

    /// Lets everything end: nothing may be left behind.
    fn lift(mut self) {
        let empty = Usage::default();
        for _ in 0..10_000 {
            self.collect();
            for peer in mem::take(&mut self.application.peers) {
                let _ = self.victim.close(self.now, peer, 0);
            }
            for message in mem::take(&mut self.application.messages) {
                let _ = self.victim.release(self.now, message);
            }
            if let Some(peer) = self.peer {
                let _ = self.victim.close(self.now, peer, 0);
            }
            if self.victim.usage() == empty {
                return;
            }
            self.now =
                self.victim.poll_timeout().unwrap_or(self.now).max(self.now.saturating_add(Duration::from_secs(1)));
            self.victim.handle_timeout(self.now);
        }
        panic!("something is left behind: {:?}", self.victim.usage());
    }
}

impl Application {
    fn note(&mut self, event: Event) {
        match event {
            Event::CallReceived { call } => self.calls.push(call),
            Event::MessageReceived { message, .. } => self.messages.push(message),
            Event::StreamReceived { stream, .. } | Event::Readable { stream } | Event::Writable { stream }
                if !self.streams.contains(&stream) =>
            {
                self.streams.push(stream);
            }
            Event::Connected { peer } => self.peers.push(peer),
            Event::CallEnded {
                outcome: posthaste_core::Outcome::Ok(message) | posthaste_core::Outcome::ApplicationError(message),
                ..
            } => self.messages.push(message),
            _ => {}
        }
        let forgotten = self.streams.len().saturating_sub(64);
        self.streams.drain(..forgotten);
    }
}

#[derive(PartialEq)]
enum Fate {
    Keep,
    Take,
}

fn pick<T: Copy>(random: &mut Random, things: &mut Vec<T>, fate: Fate) -> Option<T> {
    let index = random.below(things.len() as u64) as usize;
    let thing = *things.get(index)?;
    if fate == Fate::Take {
        things.swap_remove(index);
    }
    Some(thing)
}

/// Writes one frame, which may be nonsense; leaves it out if it does not fit.
fn write_lie(random: &mut Random, wildness: u64, called: &[u64], writer: &mut Writer<'_>) {
    let seq = Seq(number(random, wildness, 24));
    let role = [Role::Message, Role::Ordered, Role::Request, Role::Reply, Role::Upward, Role::Downward]
        [random.below(6) as usize];
    let octets = [9; 600];
    let octets = &octets[..[0, 1, 16, 64, 600][random.below(5) as usize].max(usize::from(wildness < 3))];
    let _ = match random.below(22) {
        0 => Frame::Ping.encode(writer),
        1 => {
            let low = number(random, wildness, 30);
            let mut listed: Vec<u64> = (0..random.below(4)).map(|_| random.below(low.max(1))).collect();
            listed.retain(|seq| *seq < low);
            let listed = descending(&listed).into_iter().flat_map(|range| range.rev());
            Retired::write(Seq(low), listed.map(Seq), writer)
        }
        2 => Frame::Credit { limit: number(random, wildness, 1 << 24) }.encode(writer),
        3 => Frame::StreamCredit { role, seq, limit: number(random, wildness, 1 << 24) }.encode(writer),
        4 | 5 => {
            let place = (role == Role::Ordered).then(|| (seq.0 % 3, number(random, wildness, 4)));
            let charge = number(random, wildness, 700);
            Frame::Reset { role, seq, reason: random.below(6), charge, place }.encode(writer)
        }
        6 | 7 => Frame::Stop { role, seq, reason: random.below(6) }.encode(writer),
        8 => Frame::Taken { channel: random.below(4), limit: number(random, wildness, 8) }.encode(writer),
        9 => Frame::Cancel { seq }.encode(writer),
        10 => Frame::Ask { seq }.encode(writer),
        11 => Frame::Resolve { seq }.encode(writer),
        12 => Frame::Progress { seq, state: CallState::Running, elapsed_millis: 5, progress: Some(random.below(9)) }
            .encode(writer),
        13 if wildness > 0 => match random.below(12) {
            0 => Frame::Drain.encode(writer),
            1 => Frame::Busy { after_millis: number(random, wildness, 1000) }.encode(writer),
            2 => Frame::AckFrequency { count: 9, delay_micros: number(random, wildness, 1000) }.encode(writer),
            3 => Frame::Close { scope: Scope { closer: Closer::Protocol, ends_session: true }, code: 5, reason: &[] }
                .encode(writer),
            4 => Frame::Challenge([5; 8]).encode(writer),
            5 => Frame::Private { kind: 0x70, data: octets }.encode(writer),
            6 => Frame::RetireId { index: number(random, wildness, 3) }.encode(writer),
            7 => {
                let high = number(random, wildness, 40);
                let first = random.below(3).min(high);
                Ack::write(number(random, wildness, 5000), [high - first..=high], None, writer).map(|_| ())
            }
            _ => Ok(()),
        },
        _ => write_data(random, wildness, seq.0, called, octets, writer),
    };
}

fn write_data(
    random: &mut Random,
    wildness: u64,
    seq: u64,
    called: &[u64],
    octets: &[u8],
    writer: &mut Writer<'_>,
) -> Result<(), wire::NoRoom> {
    // A message or call keeps to its kind by its number, so that conversations live for a while.
    let role = if wildness > 1 { random.below(8) } else { seq % 8 };
    let offset = if random.below(3) == 0 { 0 } else { number(random, wildness, 1200) };
    let total = if wildness > 1 { number(random, wildness, 2000) } else { 1800 };
    let seq = match called.get(random.below(called.len() as u64) as usize) {
        Some(seq) if matches!(role, 3 | 5) => *seq,
        None if matches!(role, 3 | 5) && wildness < 3 => return Ok(()),
        _ => seq,
    };
    let form = match if wildness > 2 { random.below(4) } else { seq / 8 } {
        _ if wildness < 3 && role == 7 => Form::Entire,
        0 | 1 if wildness < 3 && matches!(role, 4 | 5) => Form::Stream { offset },
        0 => Form::Entire,
        1 => Form::Fragment { offset, total },
        _ if wildness < 3 && matches!(role, 2 | 3 | 6) => Form::Fragment { offset, total },
        2 => Form::Stream { offset },
        _ if random.below(4) == 0 => Form::Last { offset: 1800 },
        _ => Form::Stream { offset },
    };
    let flow = match role {
        0 => Flow::Message { seq: Seq(seq) },
        1 => Flow::Ordered { seq: Seq(seq), channel: seq % 3, position: number(random, wildness.saturating_sub(1), 4) },
        2 | 6 => request(seq, random.below(if wildness > 1 { 32 } else { 1 })),
        3 => {
            let statuses =
                [Status::Ok, Status::ApplicationError, Status::NotExecuted, Status::ReplyLost, Status::HandlerFailed];
            let outcome = Outcome { status: statuses[random.below(5) as usize], metadata: Metadata::EMPTY };
            Flow::Reply { seq: Seq(seq), outcome: (random.below(2) == 0).then_some(outcome) }
        }
        4 => Flow::Upward { seq: Seq(seq) },
        5 => Flow::Downward { seq: Seq(seq) },
        7 if random.below(2) == 0 => Flow::Newest { key: random.below(6), order: number(random, wildness, 9) },
        _ => Flow::Unreliable,
    };
    Frame::Data(Data { flow, form, extent: Extent::Counted, data: octets }).encode(writer)
}

fn request(seq: u64, options: u64) -> Flow<'static> {
    let semantics = [Semantics::AtMostOnce, Semantics::AtLeastOnce, Semantics::Maybe, Semantics::ExactlyOnce];
    let mut set = Options::new(semantics[options as usize % 4]);
    if options & 4 != 0 {
        set = set.with_one_way();
    }
    if options & 8 != 0 {
        set = set.with_upward();
    }
    if options & 16 != 0 {
        set = set.with_downward();
    }
    let description = Description { program: 1, version: 1, procedure: 1, timeout_millis: 1000, options: set };
    let alias = if options == 0 { Alias::new(1) } else { None };
    let opening = Opening { procedure: Procedure::Full { description, alias }, metadata: None };
    Flow::Request { seq: Seq(seq), opening: Some(opening) }
}

fn data<'a>(flow: Flow<'a>, form: Form, data: &'a [u8]) -> Frame<'a> {
    Frame::Data(Data { flow, form, extent: Extent::Counted, data })
}

/// Draws a number below `bound`, or, the wilder the likelier, one at an edge.
fn number(random: &mut Random, wildness: u64, bound: u64) -> u64 {
    let edges = [0, 1, bound - 1, bound, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, (1 << 62) - 1];
    if random.below(40) < wildness * wildness { edges[random.below(8) as usize] } else { random.below(bound) }
}

/// Returns octets of chance, sometimes behind a first octet that looks right.
fn garbage(random: &mut Random) -> Vec<u8> {
    let len = [0, 1, 9, 13, 42, 43, 1199, 1200, 1500, 9000][random.below(10) as usize] + random.below(20) as usize;
    let mut octets = vec![0; len];
    random.fill(&mut octets);
    if let Some(first) = octets.first_mut()
        && random.below(2) == 0
    {
        *first = [0x40, 0x43, 0x80, 0x90, 0xa0, 0xf0, 0xf1, 0xf2][random.below(8) as usize];
    }
    octets
}

/// Flips, cuts, lengthens, repeats or splices a datagram.
fn tamper(random: &mut Random, model: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = model.to_vec();
    for _ in 0..=random.below(3) {
        let len = octets.len() as u64;
        let at = random.below(len) as usize;
        match random.below(6) {
            0 if len > 0 => octets[at] ^= 1 << random.below(8),
            1 if len > 0 => octets[at] = random.below(256) as u8,
            2 => octets.truncate(at),
            3 => octets.extend((0..random.below(30)).map(|_| 0)),
            4 if len > 0 => {
                let end = at + random.below(len - at as u64) as usize;
                octets.drain(at..end);
            }
            _ if !others.is_empty() => {
                let other = &others[random.below(others.len() as u64) as usize];
                let from = random.below(other.len() as u64) as usize;
                octets.truncate(at);
                octets.extend_from_slice(&other[from..]);
            }
            _ => {}
        }
    }
    octets
}

fn busy_pair() -> Pair {
    let mut pair = Pair::new();
    let _ = pair.dial();
    pair
}

/// Lets a pair exchange a few calls and messages, and come to rest.
fn converse(pair: &mut Pair) {
    let peer = pair.dial();
    for len in [0, 32, 5000] {
        let body = vec![len as u8; len];
        pair.client.endpoint.call(pair.now, peer, Request::new(1, 1, 1, &body)).unwrap();
        let message = Message { delivery: Delivery::Reliable, priority: 0, body: Body::Copied(&body) };
        pair.client.endpoint.send(pair.now, peer, message).unwrap();
    }
    pair.run_until(Duration::from_secs(1), |pair| {
        pair.server.echo(pair.now);
        for host in [&mut pair.client, &mut pair.server] {
            while let Some(event) = host.events.pop_front() {
                if let Event::MessageReceived { message, .. }
                | Event::CallEnded { outcome: posthaste_core::Outcome::Ok(message), .. } = event
                {
                    host.endpoint.release(pair.now, message).unwrap();
                }
            }
        }
        false
    });
}

fn count_of(default: u64) -> u64 {
    std::env::var("POSTHASTE_HOSTILE_COUNT").map_or(default, |count| count.parse().expect("a count of datagrams"))
}

fn seed(test: u8) -> [u8; 32] {
    let text = std::env::var("POSTHASTE_HOSTILE_SEED").unwrap_or_default();
    let mut seed = [test; 32];
    seed.iter_mut().zip(text.bytes()).for_each(|(octet, given)| *octet ^= given);
    seed
}
