//! A real TLS 1.3 handshake and its keys fit behind the trait `Crypto` and into our datagrams.

#![cfg(feature = "alloc")]

extern crate alloc;

#[path = "support/pair.rs"]
mod pair;
mod support;

use core::time::Duration;

use posthaste_core::crypto::{
    Alert, BadTag, Crypto, Generation, KeyPhase, KeyUpdate, Limits, open_datagram, seal_datagram, tag_len,
    unmask_header,
};
use posthaste_core::endpoint::Event;
use posthaste_core::time::Instant;
use posthaste_core::wire::{ConversationId, Epoch, LongHeader, Phase, ShortHeader, Side, TruncatedNumber, Writer};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData};
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use support::rustls_crypto::RustlsCrypto;

#[test]
fn both_sides_prove_themselves_by_certificates_however_the_octets_are_cut() {
    for piece_len in [1, 97, 1200] {
        let mut pair = Pair::with_certificates();
        let epochs = pair.shake_hands(piece_len).unwrap();
        assert_eq!(pair.crypto[CLIENT].peer_identity(SLOTS[CLIENT]), Some(pair.identities[SERVER].as_slice()));
        assert_eq!(pair.crypto[SERVER].peer_identity(SLOTS[SERVER]), Some(pair.identities[CLIENT].as_slice()));
        // With post-quantum keys either hello fills more than a datagram: what the server sends follows in all epochs.
        assert!(epochs[CLIENT][0] > 1200 && epochs[SERVER][0] > 1100, "hello epoch: {epochs:?}");
        assert!(epochs[CLIENT][1] > 0 && epochs[SERVER][1] > 0, "handshake epoch: {epochs:?}");
        assert!(
            epochs[CLIENT][2] == 0 && epochs[SERVER][2] > 0,
            "data epoch, where the server's tickets are: {epochs:?}"
        );
    }
}

/// The post-quantum client hello fills more than one datagram, and three of ten datagrams are lost.
#[test]
fn two_endpoints_call_each_other_over_tls_on_a_bad_network_and_change_their_keys() {
    let mut crypto = Pair::with_certificates().crypto.into_iter();
    let [client, server] = [(); 2].map(|()| {
        let limits = Limits { seals: 64, failed_opens: 1 << 20 };
        let crypto: Box<dyn Crypto> = Box::new(crypto.next().unwrap().with_limits(limits));
        crypto
    });
    let config = posthaste_core::Config::internet;
    let mut pair = pair::Pair::secured(config(), config(), client, server);
    let mut random = posthaste_core::random::Random::new([5; 32]);
    pair.fate = Box::new(move |_| if random.below(10) < 3 { pair::Fate::Lose } else { pair::Fate::Arrive });
    let peer = pair.dial_to(SERVER_NAME);
    for number in 0..200_u32 {
        let arguments = number.to_be_bytes();
        let request = posthaste_core::endpoint::Request::new(1, 1, 7, &arguments);
        pair.client.endpoint.call(pair.now, peer, request).unwrap();
        assert_eq!(pair::answer(&mut pair).1, arguments, "{number}");
    }
    for host in [&pair.client, &pair.server] {
        assert_eq!(host.endpoint.counters().broken, 0);
    }
}

/// Calls are under way in both directions of a lossy network when their conversation is lost, ten times.
#[test]
fn a_session_goes_on_in_another_tls_conversation_and_each_call_ends_once() {
    const COUNT: u32 = 100;
    let mut crypto = Pair::with_certificates().crypto.into_iter();
    let [client, server] = [(); 2].map(|()| Box::new(crypto.next().unwrap()));
    let config = posthaste_core::Config::internet;
    let mut pair = pair::Pair::secured(config(), config(), client, server);
    let peer = pair.dial_to(SERVER_NAME);
    let first = posthaste_core::endpoint::Request::new(1, 1, 7, b"first");
    pair.client.endpoint.call(pair.now, peer, first).unwrap();
    assert_eq!(pair::answer(&mut pair).1, b"first");
    let mut random = posthaste_core::random::Random::new([6; 32]);
    pair.fate = Box::new(move |_| if random.below(10) < 2 { pair::Fate::Lose } else { pair::Fate::Arrive });
    let mut executed = 0;
    for number in 0..COUNT {
        let arguments = number.to_be_bytes().repeat(500);
        let request = posthaste_core::endpoint::Request::new(1, 1, 7, &arguments);
        let request = posthaste_core::endpoint::Request { timeout: None, ..request };
        pair.client.endpoint.call(pair.now, peer, request).unwrap();
        if number % 10 == 5 {
            pair.client.endpoint.handle_address_change(pair.now);
        }
        pair.run_until(Duration::from_millis(30), |pair| {
            executed += pair.server.echo(pair.now);
            false
        });
    }
    let is_ended = |event: &Event| matches!(event, Event::CallEnded { .. });
    pair.run_until(Duration::from_secs(60), |pair| {
        executed += pair.server.echo(pair.now);
        pair.client.events.iter().filter(|event| is_ended(event)).count() >= COUNT as usize
    });
    let mut answered = vec![];
    for event in core::mem::take(&mut pair.client.events) {
        assert!(!matches!(event, Event::SessionLost { .. } | Event::Closed { .. }), "{event:?}");
        if let Event::CallEnded { outcome, .. } = event {
            let posthaste_core::Outcome::Ok(reply) = outcome else { panic!("{outcome:?}") };
            let octets = pair.client.endpoint.payload(reply).unwrap();
            answered.push(u32::from_be_bytes(*octets.first_chunk().unwrap()));
        }
    }
    answered.sort_unstable();
    assert_eq!((executed, answered), (COUNT as usize, (0..COUNT).collect::<Vec<_>>()));
    for host in [&pair.client, &pair.server] {
        assert_eq!((host.endpoint.counters().violations, host.endpoint.counters().broken), (0, 0));
        assert_eq!(host.endpoint.usage().peers, 1, "nothing is left of the conversations before");
    }
}

#[test]
fn both_sides_prove_themselves_by_raw_public_keys_in_less_than_a_kilobyte() {
    let mut pair = Pair::with_raw_keys();
    let epochs = pair.shake_hands(97).unwrap();
    assert_eq!(pair.crypto[CLIENT].peer_identity(SLOTS[CLIENT]), Some(pair.identities[SERVER].as_slice()));
    assert_eq!(pair.crypto[SERVER].peer_identity(SLOTS[SERVER]), Some(pair.identities[CLIENT].as_slice()));
    let sum = |side: [usize; 3]| side[0] + side[1];
    assert!(sum(epochs[CLIENT]) + sum(epochs[SERVER]) < 1024, "{epochs:?}");
}

#[test]
fn both_sides_get_the_parameters_and_the_same_secret_and_nothing_before_the_end() {
    let mut pair = Pair::with_raw_keys();
    assert_eq!(pair.crypto[CLIENT].export(SLOTS[CLIENT], b"label", &mut [0; 32]), Err(Alert::INTERNAL_ERROR));
    // The server has read the client's whole hello, and answered.
    pair.carry(CLIENT, 4096).unwrap();
    assert!(pair.crypto[SERVER].is_ready(SLOTS[SERVER], Epoch::Handshake));
    assert!(!pair.crypto[SERVER].is_ready(SLOTS[SERVER], Epoch::Data), "the client has not proven itself");
    assert_eq!(pair.crypto[SERVER].peer_parameters(SLOTS[SERVER]), None);
    assert_eq!(pair.crypto[SERVER].seal(SLOTS[SERVER], Epoch::Data, 0, &mut [0; 64], 9), Err(Alert::INTERNAL_ERROR));

    pair.shake_hands(4096).unwrap();
    assert_eq!(pair.crypto[CLIENT].peer_parameters(SLOTS[CLIENT]), Some(b"of the server".as_slice()));
    assert_eq!(pair.crypto[SERVER].peer_parameters(SLOTS[SERVER]), Some(b"of the client".as_slice()));
    let secrets = [CLIENT, SERVER].map(|end| {
        let mut secret = [0; 32];
        pair.crypto[end].export(SLOTS[end], b"label", &mut secret).unwrap();
        secret
    });
    assert_eq!(secrets[CLIENT], secrets[SERVER]);
}

#[test]
fn who_is_not_who_was_asked_for_is_refused() {
    const ACCESS_DENIED: Alert = Alert(49);

    let mut other_name = Pair::with_certificates();
    other_name.start(b"another.example");
    assert_eq!(other_name.shake_hands(4096), Err((CLIENT, Alert::BAD_CERTIFICATE)));

    let mut other_authority = Pair::with_certificates();
    other_authority.crypto[CLIENT] = Pair::with_certificates().crypto.into_iter().next().unwrap();
    other_authority.start(SERVER_NAME);
    assert_eq!(other_authority.shake_hands(4096), Err((CLIENT, Alert::DECRYPT_ERROR)), "it has the name, not the key");

    let mut other_key = Pair::with_raw_keys();
    other_key.start(&other_key.identities[CLIENT].clone());
    assert_eq!(other_key.shake_hands(4096), Err((CLIENT, ACCESS_DENIED)));

    let mut other_client = Pair::with_raw_keys();
    other_client.crypto[CLIENT] = Pair::with_raw_keys().crypto.into_iter().next().unwrap();
    other_client.start(&other_client.identities[SERVER].clone());
    assert_eq!(other_client.shake_hands(4096), Err((SERVER, ACCESS_DENIED)));
}

#[test]
fn another_protocol_over_the_same_keys_is_refused() {
    const NO_APPLICATION_PROTOCOL: Alert = Alert(120);
    let mut pair = Pair::with_raw_keys();
    let [client, server] = pair.crypto;
    pair.crypto = [client.with_alpn(b"h3"), server];
    pair.start(&pair.identities[SERVER].clone());
    assert_eq!(pair.shake_hands(4096), Err((SERVER, NO_APPLICATION_PROTOCOL)));
}

#[test]
fn handshake_octets_of_the_wrong_epoch_are_refused() {
    for epoch in [Epoch::Handshake, Epoch::Data] {
        let mut pair = Pair::with_raw_keys();
        let mut hello = [0; 4096];
        let (_, len) = pair.crypto[CLIENT].write_handshake(SLOTS[CLIENT], &mut hello).unwrap().unwrap();
        let result = pair.crypto[SERVER].read_handshake(SLOTS[SERVER], epoch, &hello[..len]);
        assert_eq!(result, Err(Alert::UNEXPECTED_MESSAGE));
    }
}

#[test]
fn one_flipped_bit_anywhere_is_refused() {
    let mut pair = Pair::complete();
    for epoch in [Epoch::Hello, Epoch::Handshake, Epoch::Data] {
        for from in [CLIENT, SERVER] {
            let sealed = pair.seal(from, epoch, NUMBER, Phase::Zero);
            assert_eq!(pair.open(1 - from, epoch, Generation::Current, NUMBER, &sealed), Ok(FRAMES.to_vec()));
            for bit in 0..sealed.len() * 8 {
                let mut sealed = sealed.clone();
                sealed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(pair.open(1 - from, epoch, Generation::Current, NUMBER, &sealed), Err(BadTag));
            }
        }
    }
}

#[test]
fn the_mask_leaves_alone_what_the_receiver_finds_the_keys_by() {
    let mut pair = Pair::complete();
    for (epoch, masked_bits) in [(Epoch::Handshake, 0b1111), (Epoch::Data, 0b1_1111)] {
        let mut masked = vec![0; number_offset(epoch) + 3];
        for number in NUMBER..NUMBER + 64 {
            let plain = header(epoch, number, Phase::Zero);
            let sealed = pair.seal(CLIENT, epoch, number, Phase::Zero);
            for (sum, (plain, sealed)) in masked.iter_mut().zip(plain.iter().zip(&sealed)) {
                *sum |= plain ^ sealed;
            }
        }
        let (clear, number) = masked.split_at(number_offset(epoch));
        assert_eq!(clear[0], masked_bits);
        assert!(clear[1..].iter().all(|octet| *octet == 0), "version, ids and token");
        assert_eq!(number, [0xff; 3]);
    }
}

#[test]
fn the_keys_of_one_generation_open_nothing_of_another() {
    let mut pair = Pair::complete();
    let sealed = pair.seal(CLIENT, Epoch::Data, 0, Phase::Zero);
    for generation in [Generation::Previous, Generation::Next] {
        assert_eq!(pair.open(SERVER, Epoch::Data, generation, 0, &sealed), Err(BadTag));
    }
    pair.crypto[SERVER].update(SLOTS[SERVER]);
    assert_eq!(pair.open(SERVER, Epoch::Data, Generation::Current, 0, &sealed), Err(BadTag));
    assert_eq!(pair.open(SERVER, Epoch::Data, Generation::Previous, 0, &sealed), Ok(FRAMES.to_vec()));
    pair.crypto[SERVER].update(SLOTS[SERVER]);
    assert_eq!(pair.open(SERVER, Epoch::Data, Generation::Previous, 0, &sealed), Err(BadTag));
}

#[test]
fn keys_are_updated_while_datagrams_overtake_each_other() {
    const UPDATE_COUNT: usize = 20;
    let mut pair = Pair::complete();
    let limits = Limits { seals: 16, failed_opens: 16 };
    let mut phases = [KeyPhase::new(limits), KeyPhase::new(limits)];
    let mut late = [None, None];
    let mut largest_received = [None; 2];
    let mut update_count = 0;
    for number in 0.. {
        let now = Instant::ORIGIN.saturating_add(PTO * number as u32);
        for (from, to) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
            if phases[from].begin_seal(now, number).unwrap() == KeyUpdate::Due {
                pair.crypto[from].update(SLOTS[from]);
                update_count += 1;
            }
            let ack = largest_received[from];
            if let Some(largest) = ack {
                phases[from].on_ack_sent(largest);
            }
            let phase = phases[from].phase();
            let sent = Sent { number, phase, ack, sealed: pair.seal(from, Epoch::Data, number, phase) };
            // Every third datagram comes after the one behind it.
            let arrivals = if number % 3 == 0 { [late[to].replace(sent), None] } else { [Some(sent), late[to].take()] };
            for Sent { number, phase, ack, sealed } in arrivals.into_iter().flatten() {
                let generation = phases[to].generation(now, phase, number);
                assert_eq!(pair.open(to, Epoch::Data, generation, number, &sealed), Ok(FRAMES.to_vec()));
                phases[to].on_opened(now, PTO, generation, number).unwrap();
                if generation == Generation::Next {
                    pair.crypto[to].update(SLOTS[to]);
                }
                if let Some(largest) = ack {
                    phases[to].on_ack_received(generation, largest).unwrap();
                }
                largest_received[to] = largest_received[to].max(Some(number));
            }
        }
        if update_count == UPDATE_COUNT {
            return;
        }
    }
}

#[test]
fn one_object_holds_many_peers() {
    let mut pair = Pair::complete();
    pair.crypto[SERVER].start(5, Side::Server, b"", b"").unwrap();
    pair.crypto[SERVER].forget(4);
    assert!(!pair.crypto[SERVER].is_ready(5, Epoch::Handshake));
    let sealed = pair.seal(CLIENT, Epoch::Data, 0, Phase::Zero);
    assert_eq!(pair.open(SERVER, Epoch::Data, Generation::Current, 0, &sealed), Ok(FRAMES.to_vec()));
    pair.crypto[SERVER].forget(SLOTS[SERVER]);
    assert_eq!(pair.open(SERVER, Epoch::Data, Generation::Current, 0, &sealed), Err(BadTag));
}

#[test]
fn sealing_and_masking_are_those_of_rfc_9001() {
    // RFC 9001 §A.1 and §A.3: the server's Initial, whose number field begins at octet 18.
    let id = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
    let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap().quic_suite().unwrap();
    let mut pair = Pair::with_raw_keys();
    for (end, side) in [(CLIENT, rustls::Side::Client), (SERVER, rustls::Side::Server)] {
        pair.crypto[end].set_handshake_keys(SLOTS[end], suite.keys(&id, side, rustls::quic::Version::V1));
    }
    let header = octets("c1000000010008f067a5502a4262b50040750001");
    let frames = octets(
        "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a045a1200130100002e
         00330024001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00020304",
    );
    let protected = octets(
        "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb38cc5a99f5ede
         4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06ed
         bb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee",
    );

    let mut datagram = [header.as_slice(), &frames, &[0; 16]].concat();
    seal_datagram(&mut pair.crypto[SERVER], SLOTS[SERVER], Epoch::Handshake, 1, &mut datagram, 18).unwrap();
    assert_eq!(datagram, protected);

    let client = &pair.crypto[CLIENT];
    let frames_offset =
        unmask_header(client, SLOTS[CLIENT], Epoch::Handshake, &mut datagram, 18).unwrap().frames_offset;
    assert_eq!(datagram[..frames_offset], header);
    let generation = Generation::Current;
    let opened = open_datagram(client, SLOTS[CLIENT], Epoch::Handshake, generation, 1, &mut datagram, frames_offset);
    assert_eq!(opened, Ok(frames.as_slice()));
}

/// A client and a server, each with the other in one of its slots.
struct Pair {
    crypto: [RustlsCrypto; 2],
    identities: [Vec<u8>; 2],
}

impl Pair {
    fn with_certificates() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        let [(client, client_key), (server, server_key)] =
            ["client.example", SERVER_NAME_TEXT].map(|name| certificate(name, &issuer));
        let identities = [client.to_vec(), server.to_vec()];
        let crypto = [(client, client_key), (server, server_key)]
            .map(|(leaf, key)| RustlsCrypto::with_certificates(authority.clone(), vec![leaf], key));
        let mut pair = Self { crypto, identities };
        pair.start(SERVER_NAME);
        pair
    }

    fn with_raw_keys() -> Self {
        let keys = [0; 2].map(|_| KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap());
        let identities = keys.each_ref().map(KeyPair::subject_public_key_info);
        let trusted = SubjectPublicKeyInfoDer::from(identities[CLIENT].clone());
        let crypto = keys.map(|key| RustlsCrypto::with_raw_keys(&private_key(&key), vec![trusted.clone()]));
        let mut pair = Self { crypto, identities };
        pair.start(&pair.identities[SERVER].clone());
        pair
    }

    fn complete() -> Self {
        let mut pair = Self::with_raw_keys();
        pair.shake_hands(4096).unwrap();
        pair
    }

    fn start(&mut self, server: &[u8]) {
        self.crypto[CLIENT].start(SLOTS[CLIENT], Side::Client, b"of the client", server).unwrap();
        self.crypto[SERVER].start(SLOTS[SERVER], Side::Server, b"of the server", b"").unwrap();
    }

    /// Returns how many octets each side sent in each epoch, or who refused and how.
    fn shake_hands(&mut self, piece_len: usize) -> Result<[[usize; 3]; 2], (usize, Alert)> {
        let mut sent = [[0; 3]; 2];
        loop {
            let moved = [self.carry(CLIENT, piece_len)?, self.carry(SERVER, piece_len)?];
            if moved == [[0; 3]; 2] {
                break;
            }
            for (sent, moved) in sent.as_flattened_mut().iter_mut().zip(moved.as_flattened()) {
                *sent += moved;
            }
        }
        assert!([CLIENT, SERVER].iter().all(|end| self.crypto[*end].is_ready(SLOTS[*end], Epoch::Data)));
        Ok(sent)
    }

    /// Carries all handshake octets that `from` has ready, in pieces; returns how many there were in each epoch.
    fn carry(&mut self, from: usize, piece_len: usize) -> Result<[usize; 3], (usize, Alert)> {
        let mut piece = vec![0; piece_len];
        let mut moved = [0; 3];
        let to = 1 - from;
        while let Some((epoch, len)) =
            self.crypto[from].write_handshake(SLOTS[from], &mut piece).map_err(|alert| (from, alert))?
        {
            self.crypto[to].read_handshake(SLOTS[to], epoch, &piece[..len]).map_err(|alert| (to, alert))?;
            moved[epoch as usize] += len;
        }
        Ok(moved)
    }

    fn seal(&mut self, from: usize, epoch: Epoch, number: u64, phase: Phase) -> Vec<u8> {
        let mut datagram = header(epoch, number, phase);
        datagram.extend_from_slice(FRAMES);
        datagram.resize(datagram.len() + tag_len(&self.crypto[from], epoch), 0);
        seal_datagram(&mut self.crypto[from], SLOTS[from], epoch, number, &mut datagram, number_offset(epoch)).unwrap();
        datagram
    }

    fn open(
        &self,
        to: usize,
        epoch: Epoch,
        generation: Generation,
        number: u64,
        sealed: &[u8],
    ) -> Result<Vec<u8>, BadTag> {
        let mut datagram = sealed.to_vec();
        let (crypto, slot) = (&self.crypto[to], SLOTS[to]);
        let field = unmask_header(crypto, slot, epoch, &mut datagram, number_offset(epoch)).unwrap();
        open_datagram(crypto, slot, epoch, generation, number, &mut datagram, field.frames_offset).map(<[u8]>::to_vec)
    }
}

/// A datagram under way, with what its octets say.
struct Sent {
    number: u64,
    phase: Phase,
    ack: Option<u64>,
    sealed: Vec<u8>,
}

/// Returns a header with a number of three octets.
fn header(epoch: Epoch, number: u64, phase: Phase) -> Vec<u8> {
    let mut octets = [0; 64];
    let mut writer = Writer::new(&mut octets);
    let truncated = TruncatedNumber::new(number, number.saturating_sub(1 << 20)).unwrap();
    if epoch == Epoch::Data {
        ShortHeader { to: ID }.encode(phase, truncated, &mut writer).unwrap();
    } else {
        long_header(epoch).encode(truncated, &mut writer).unwrap();
    }
    writer.written().to_vec()
}

fn long_header(epoch: Epoch) -> LongHeader<'static> {
    LongHeader { epoch, sender: Side::Client, to: ID, from: ID, token: b"" }
}

fn number_offset(epoch: Epoch) -> usize {
    if epoch == Epoch::Data { ShortHeader::NUMBER_OFFSET } else { long_header(epoch).number_offset() }
}

fn certificate(name: &str, issuer: &Issuer<'_, KeyPair>) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, issuer).unwrap();
    (leaf.der().clone(), private_key(&key))
}

fn private_key(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::try_from(key.serialize_der()).unwrap()
}

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

const CLIENT: usize = 0;
const SERVER: usize = 1;
/// The slots are of no meaning to the other side, so they differ.
const SLOTS: [u32; 2] = [0, 3];
const SERVER_NAME_TEXT: &str = "server.example";
const SERVER_NAME: &[u8] = SERVER_NAME_TEXT.as_bytes();
const FRAMES: &[u8] = b"twelve frames";
const ID: ConversationId = ConversationId([1, 2, 3, 4, 5, 6, 7, 8]);
/// Far enough from the first that the number field has three octets.
const NUMBER: u64 = 1 << 20;
const PTO: Duration = Duration::from_millis(100);
