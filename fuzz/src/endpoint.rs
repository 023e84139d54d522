//! One endpoint, with strangers that send anything and two peers that lie: it neither panics nor grows, and its books agree.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use posthaste_core::ecn::Ecn;
use posthaste_core::endpoint::{Arrival, Rejected, Remote, Request, Usage};
use posthaste_core::wire::Parameters;
use posthaste_core::{Endpoint, Instant, Storage};

use crate::application::Application;
use crate::forger::{FORGER, Forger, repair};
use crate::limits::{small, within};
use crate::tape::Tape;

/// Drives the endpoint by operations: an octet says which, and its operands follow.
pub fn endpoint(octets: &[u8]) {
    let mut tape = Tape::new(octets);
    let mut siege = Siege::new();
    while !tape.is_empty() {
        siege.step(&mut tape);
    }
    siege.lift();
}

struct Siege {
    now: Instant,
    victim: Endpoint<'static>,
    /// A peer that has called the victim.
    client: Forger,
    /// A peer that the victim calls.
    server: Forger,
    application: Application,
    out: Vec<u8>,
}

const SERVER: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 4000);
const STRANGER: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 77)), 7777);

impl Siege {
    fn new() -> Self {
        let config = small();
        let now = Instant::from_nanos(1_000_000_000);
        let storage = Storage::owned(&config);
        let out = vec![0; config.datagram_len_max];
        let mut victim = Endpoint::new_insecure(config, storage, [3; 32], now).expect("the configuration is valid");
        let client = Forger::open(&mut victim, now, FORGER, &generous());
        let server = Forger::new(SERVER);
        let mut siege = Self { now, victim, client, server, application: Application::default(), out };
        siege.call_server();
        siege.collect();
        siege
    }

    fn step(&mut self, tape: &mut Tape<'_>) {
        match tape.below(16) {
            0 => self.rain(tape, false),
            1 => self.rain(tape, true),
            2 => self.knock(tape),
            3..=6 => self.lie(tape),
            7 => self.acknowledge(tape),
            8 | 9 => self.pass(tape.time()),
            10 if !self.client.try_reopen(&mut self.victim, self.now, &generous()) => {}
            11 => self.call_server(),
            _ => self.application.act(tape, &mut self.victim, self.now),
        }
        self.collect();
        let usage = self.victim.usage();
        assert!(within(&usage, self.victim.config()), "{usage:?}");
        assert_eq!(self.victim.counters().broken, 0, "the books do not agree");
    }

    /// Sends octets of the tape, from anywhere; a fuzzer does not guess CRC32C.
    fn rain(&mut self, tape: &mut Tape<'_>, is_repaired: bool) {
        let from = [STRANGER, FORGER, SERVER][tape.below(3)];
        let mut octets = tape.octets(1500).to_vec();
        let id = [None, Some(self.client.theirs), Some(self.server.theirs)][tape.below(3)];
        if let (Some(id), Some(field)) = (id, octets.get_mut(1..9)) {
            field.copy_from_slice(&id.0);
        }
        if is_repaired {
            octets.extend([0; 4]);
            repair(&mut octets);
        }
        self.deliver(from, &mut octets);
    }

    /// Sends a hello with a ticket and whatever frames.
    fn knock(&mut self, tape: &mut Tape<'_>) {
        self.client.ours.0[6] = tape.octet();
        let token = if tape.octet() == 0 { Vec::new() } else { self.client.ticket.clone() };
        let (number, frames) = (tape.number() >> 40, tape.octets(600));
        let mut hello = self.client.hello(&token, number, &[]);
        let frames_offset = 1 + 4 + 16 + if token.is_empty() { 1 } else { 1 + token.len() } + 1;
        if let Some(field) = hello.get_mut(frames_offset..frames_offset + frames.len()) {
            field.copy_from_slice(frames);
        }
        repair(&mut hello);
        self.deliver(FORGER, &mut hello);
    }

    /// Sends frames of the tape in a conversation that is open.
    fn lie(&mut self, tape: &mut Tape<'_>) {
        let is_client = tape.below(3) > 0;
        let skipped = if tape.octet() < 240 { 0 } else { tape.number() >> 36 };
        let frames = tape.octets(1400);
        let forger = if is_client { &mut self.client } else { &mut self.server };
        forger.number = (forger.number + skipped).min((1 << 31) - 2);
        let mut datagram = forger.datagram_with(|writer| writer.octets(frames).expect("there is room"));
        let from = forger.address;
        self.deliver(from, &mut datagram.clone());
        if tape.octet() < 16 {
            self.deliver(from, &mut datagram);
        }
    }

    fn deliver(&mut self, from: SocketAddr, octets: &mut [u8]) {
        let before = self.victim.usage();
        let arrival = Arrival { from, to: None, ecn: Ecn::NotEct };
        let result = self.victim.handle_datagram(self.now, arrival, octets);
        if let Err(Rejected::Malformed(_) | Rejected::NotAuthentic | Rejected::Unknown) = result {
            // Less it may be: each datagram that arrives also looks after one peer, whose lease may be over.
            let after = self.victim.usage();
            assert!(after.peers <= before.peers && after.exchanges <= before.exchanges, "{result:?}");
            assert!(after.incoming <= before.incoming && after.payload_octets <= before.payload_octets, "{result:?}");
        }
    }

    fn acknowledge(&mut self, tape: &mut Tape<'_>) {
        let forger = if tape.below(2) == 0 { &mut self.client } else { &mut self.server };
        let _ = forger.acknowledge(&mut self.victim, self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.saturating_add(time);
        if self.victim.poll_timeout().is_some_and(|at| at <= self.now) {
            self.victim.handle_timeout(self.now);
            assert!(self.victim.poll_timeout().is_none_or(|at| at > self.now), "no progress");
        }
    }

    /// Lets the victim call the server, which answers its hello.
    fn call_server(&mut self) {
        let Ok(peer) = self.victim.peer(self.now, &Remote { address: SERVER, identity: &[] }) else { return };
        self.application.know(peer);
        let _ = self.victim.call(self.now, peer, Request::new(1, 1, 1, &[5; 40]));
        self.server.accept(&mut self.victim, self.now, &generous());
    }

    /// Takes what the victim has to say.
    fn collect(&mut self) {
        while let Some(event) = self.victim.poll_event() {
            self.application.note(event);
        }
        while let Some(transmit) = self.victim.poll_transmit(self.now, &mut self.out) {
            let datagram = &self.out[..transmit.len];
            self.client.hear(datagram);
            self.server.hear(datagram);
        }
        assert_eq!(self.victim.poll_event(), None, "sending makes no event");
    }

    /// Lets everything end: nothing may be left behind.
    fn lift(mut self) {
        for _ in 0..1000 {
            self.application.leave(&mut self.victim, self.now);
            self.collect();
            if self.victim.usage() == Usage::default() {
                return;
            }
            let next = self.victim.poll_timeout().unwrap_or(self.now);
            self.now = next.max(self.now.saturating_add(Duration::from_secs(1)));
            self.victim.handle_timeout(self.now);
            // The peers that no timer looks after are looked after, one a datagram, when their leases are over.
            self.deliver(STRANGER, &mut [0x40; 20]);
        }
        panic!("something is left behind: {:?}", self.victim.usage());
    }
}

fn generous() -> Parameters {
    Parameters { credit: 1 << 40, stream_window: 1 << 20, exchange_window: 1024, ..Parameters::default() }
}
