//! The core allocates nothing: in memory that the caller lends, and after it was made in memory of its own.
#![expect(clippy::disallowed_types, reason = "the memory of a test is static, and is lent through a lock")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test names the events that concern it")]

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::sync::Mutex;

use posthaste_core::ecn::Ecn;
use posthaste_core::endpoint::{Answer, Arrival, Delivery, Event, Remote, Request, Streamed};
use posthaste_core::{Config, Endpoint, Instant, Outcome, PeerId, StreamId, storage_for};
use posthaste_heap as heap;

const CONFIG: Config = Config::bare();

storage_for! {
    /// All memory of one endpoint.
    struct Memory for CONFIG;
}

static CLIENT_MEMORY: Mutex<Memory> = Mutex::new(Memory::new());
static SERVER_MEMORY: Mutex<Memory> = Mutex::new(Memory::new());

#[test]
fn calls_and_a_stream_cross_a_lossy_link_without_a_heap() {
    let (mut client, mut server) = (CLIENT_MEMORY.lock().unwrap(), SERVER_MEMORY.lock().unwrap());
    let mut link = Link::new(1200, 10);
    let ((), allocated) = heap::watch(|| {
        let start = Instant::from_nanos(1_000_000_000);
        let client = Endpoint::new_insecure(CONFIG, client.lend(), [1; 32], start).unwrap();
        let server = Endpoint::new_insecure(CONFIG, server.lend(), [2; 32], start).unwrap();
        let mut pair = Pair::new(client, server, start);
        pair.call(&mut link, 100);
        pair.transfer(&mut link, 1 << 20);
    });
    assert!(link.lost_count > 50, "{}", link.lost_count);
    assert_eq!(allocated.count, 0);
}

#[cfg(feature = "alloc")]
#[test]
fn nothing_is_allocated_in_ten_thousand_calls_and_in_sixty_four_mebibytes() {
    let start = Instant::from_nanos(1_000_000_000);
    let make = |seed| {
        let config = Config::internet();
        Endpoint::new_insecure(config.clone(), posthaste_core::Storage::owned(&config), [seed; 32], start).unwrap()
    };
    let mut pair = Pair::new(make(1), make(2), start);
    let mut link = Link::new(65_507, 0);
    let ((), allocated) = heap::watch(|| {
        pair.call(&mut link, 10_000);
        pair.transfer(&mut link, 64 << 20);
    });
    assert_eq!(allocated.count, 0);
}

#[cfg(feature = "alloc")]
#[test]
fn an_endpoint_allocates_once_and_exactly_what_the_bound_says() {
    let mut large = Config::internet();
    large.peer_count_max = 1000;
    large.exchange_count_max = 3000;
    for config in [Config::internet(), Config::lan(), Config::bare(), large] {
        let (endpoint, allocated) = heap::watch(|| {
            let storage = posthaste_core::Storage::owned(&config);
            Endpoint::new_insecure(config.clone(), storage, [1; 32], Instant::ORIGIN).unwrap()
        });
        // The memory of long messages is allocated when they come.
        let is_more_to_come = cfg!(feature = "bytes") && config.message_len_max >= 16_384;
        let to_come = if is_more_to_come { config.payload_memory } else { 0 };
        assert_eq!(allocated.octets + size_of_val(&endpoint) + to_come, posthaste_core::memory_bound(&config));
    }
}

/// What a peer costs who says nothing: its slot, its path, its deadline and its place in the index. Its token, and the identity
/// that it must have, are in the memory for payloads.
#[cfg(feature = "alloc")]
#[test]
fn an_idle_peer_takes_no_more_than_two_kibibytes() {
    let bound = |peer_count_max| {
        let mut config = Config::bare();
        config.peer_count_max = peer_count_max;
        posthaste_core::memory_bound(&config)
    };
    let each = bound(1001) - bound(1000);
    println!("{each} octets a peer");
    assert!(each <= 2048, "{each}");
}

/// Two endpoints on a virtual clock, in fixed memory.
struct Pair<'m> {
    now: Instant,
    client: Endpoint<'m>,
    server: Endpoint<'m>,
    peer: PeerId,
    replied_count: usize,
    upload: Option<StreamId>,
    download: Option<StreamId>,
    downloaded: u64,
    is_downloaded: bool,
    buffer: [u8; 4096],
}

const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 1);
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 2);
const DELAY: Duration = Duration::from_millis(5);

impl<'m> Pair<'m> {
    fn new(mut client: Endpoint<'m>, server: Endpoint<'m>, now: Instant) -> Self {
        let peer = client.peer(now, &Remote { address: SERVER, identity: &[] }).unwrap();
        Self {
            now,
            client,
            server,
            peer,
            replied_count: 0,
            upload: None,
            download: None,
            downloaded: 0,
            is_downloaded: false,
            buffer: [0; 4096],
        }
    }

    /// Makes calls one after the other.
    fn call(&mut self, link: &mut Link, count: usize) {
        for done in 0..count {
            self.client.call(self.now, self.peer, Request::new(1, 1, 1, &[done as u8; 32])).unwrap();
            while self.replied_count <= done {
                self.step(link);
            }
        }
    }

    /// Sends a stream from the client to the server.
    fn transfer(&mut self, link: &mut Link, len: u64) {
        let (_, stream) = self.client.open_stream(self.now, self.peer, Delivery::Reliable, 1).unwrap();
        self.upload = Some(stream);
        let mut written = 0;
        while !self.is_downloaded {
            if let Some(stream) = self.upload {
                let octets = pattern(written, (len - written).min(4096) as usize);
                written += self.client.write(self.now, stream, octets).unwrap() as u64;
                if written == len {
                    self.client.finish(self.now, stream).unwrap();
                    self.upload = None;
                }
            }
            self.step(link);
        }
        assert_eq!(self.downloaded, len);
    }

    /// Lets both sides say what they have to say, and goes on to the next moment at which something happens.
    fn step(&mut self, link: &mut Link) {
        self.listen();
        let now = self.now;
        link.take(now, CLIENT, &mut self.client);
        link.take(now, SERVER, &mut self.server);
        self.listen();
        let deadlines = [self.client.poll_timeout(), self.server.poll_timeout(), link.next_at()];
        if let Some(next) = deadlines.into_iter().flatten().min() {
            self.now = now.max(next);
        }
        link.give(self.now, &mut self.client, &mut self.server);
        for endpoint in [&mut self.client, &mut self.server] {
            if endpoint.poll_timeout().is_some_and(|at| at <= self.now) {
                endpoint.handle_timeout(self.now);
            }
        }
    }

    fn listen(&mut self) {
        while let Some(event) = self.client.poll_event() {
            if let Event::CallEnded { outcome, .. } = event {
                let Outcome::Ok(reply) = outcome else { panic!("{outcome:?}") };
                assert_eq!(self.client.payload(reply).unwrap(), [self.replied_count as u8; 32]);
                self.client.release(self.now, reply).unwrap();
                self.replied_count += 1;
            }
        }
        while let Some(event) = self.server.poll_event() {
            match event {
                Event::CallReceived { call } => {
                    self.server.begin(self.now, call).unwrap();
                    let mut reply = [0; 32];
                    reply.copy_from_slice(self.server.incoming_call(call).unwrap().arguments);
                    self.server.reply(self.now, call, Answer::Ok, &reply, &[]).unwrap();
                }
                Event::StreamReceived { stream, .. } => self.download = Some(stream),
                _ => {}
            }
        }
        while let Some(stream) = self.download {
            match self.server.read(self.now, stream, &mut self.buffer).unwrap() {
                Streamed::Octets(len) => {
                    assert!(self.buffer[..len] == *pattern(self.downloaded, len));
                    self.downloaded += len as u64;
                }
                Streamed::Pending => break,
                Streamed::End => {
                    self.download = None;
                    self.is_downloaded = true;
                }
            }
        }
    }
}

/// Returns what a stream holds from an offset on.
fn pattern(offset: u64, len: usize) -> &'static [u8] {
    static OCTETS: [u8; 251 + 4096] = {
        let mut octets = [0; 251 + 4096];
        let mut index = 0;
        while index < octets.len() {
            octets[index] = (index % 251) as u8;
            index += 1;
        }
        octets
    };
    let start = (offset % 251) as usize;
    &OCTETS[start..start + len]
}

/// A link with room for a fixed number of datagrams, which loses what finds no room, and a share of the rest.
struct Link {
    octets: Vec<u8>,
    datagram_len_max: usize,
    flying: [Option<Flying>; SLOT_COUNT],
    lost_one_in: u64,
    sent_count: u64,
    lost_count: u64,
}

#[derive(Clone, Copy)]
struct Flying {
    at: Instant,
    /// Which came first.
    number: u64,
    to: SocketAddr,
    len: usize,
}

const SLOT_COUNT: usize = 64;

impl Link {
    fn new(datagram_len_max: usize, lost_one_in: u64) -> Self {
        Self {
            octets: vec![0; datagram_len_max * SLOT_COUNT],
            datagram_len_max,
            flying: [None; SLOT_COUNT],
            lost_one_in,
            sent_count: 0,
            lost_count: 0,
        }
    }

    fn take(&mut self, now: Instant, from: SocketAddr, endpoint: &mut Endpoint<'_>) {
        // Where there is no free slot, a datagram falls on one that flies: the queue of a router is finite, too.
        loop {
            let slot = self.flying.iter().position(Option::is_none).unwrap_or(SLOT_COUNT - 1);
            let place = &mut self.octets[slot * self.datagram_len_max..][..self.datagram_len_max];
            let Some(transmit) = endpoint.poll_transmit(now, place) else { return };
            assert!(transmit.to != from);
            self.sent_count += 1;
            self.lost_count += u64::from(self.flying[slot].is_some());
            let is_lost = self.lost_one_in > 0 && self.sent_count.is_multiple_of(self.lost_one_in);
            self.lost_count += u64::from(is_lost);
            let flying =
                Flying { at: now.saturating_add(DELAY), number: self.sent_count, to: transmit.to, len: transmit.len };
            self.flying[slot] = (!is_lost).then_some(flying);
        }
    }

    fn next_at(&self) -> Option<Instant> {
        self.flying.iter().flatten().map(|flying| flying.at).min()
    }

    fn give<'m>(&mut self, now: Instant, client: &mut Endpoint<'m>, server: &mut Endpoint<'m>) {
        let due = |flying: &Option<Flying>| flying.filter(|flying| flying.at <= now).map(|flying| flying.number);
        while let Some(first) = self.flying.iter().filter_map(due).min() {
            let slot = self.flying.iter().position(|flying| flying.is_some_and(|flying| flying.number == first));
            let slot = slot.expect("it was found before");
            let Flying { to, len, .. } = self.flying[slot].take().expect("it was found before");
            let (endpoint, from) = if to == CLIENT { (&mut *client, SERVER) } else { (&mut *server, CLIENT) };
            let arrival = Arrival { from, to: None, ecn: Ecn::NotEct };
            let _ = endpoint.handle_datagram(now, arrival, &mut self.octets[slot * self.datagram_len_max..][..len]);
        }
    }
}
