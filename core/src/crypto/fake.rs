//! A cipher that behaves like one and protects nothing, for tests and simulation.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use super::{Alert, BadTag, Crypto, Generation, Limits, MASK_LEN, SAMPLE_LEN, TAG_LEN_MAX};
use crate::random::Random;
use crate::siphash::{Key, siphash_2_4_128};
use crate::wire::{Epoch, Side};

/// A cipher for tests: its octets on the wire have the shape of the real ones, and it is deterministic and fast.
///
/// Both sides send a nonce in the hello epoch, and then, in the handshake epoch, their parameters and identity with a proof that
/// they know both nonces; at last the server sends a ticket in the data epoch, as TLS does. Everybody who reads
/// the nonces knows the keys. In exchange it is strict with its user:
///
/// # Panics
/// [`seal`](Crypto::seal) panics if a number is not greater than all before it in the epoch, or the limit of seals is passed:
/// with a real cipher, either gives the keys away.
pub struct FakeCrypto {
    random: Random,
    identity: Vec<u8>,
    limits: Limits,
    hello_len: usize,
    peers: Vec<Option<Peer>>,
}

impl FakeCrypto {
    /// Makes a cipher whose nonces follow from `seed`, for an endpoint that proves to be `identity`.
    #[must_use]
    pub fn new(seed: [u8; 32], identity: &[u8]) -> Self {
        Self {
            random: Random::new(seed),
            identity: identity.to_vec(),
            limits: Limits { seals: u64::MAX, failed_opens: u64::MAX },
            hello_len: 0,
            peers: Vec::new(),
        }
    }

    /// Sets how often keys may be used, to make updates and exhaustion happen soon.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the least length of the octets in the hello epoch. Real ones with post-quantum keys have 1400, and do not fit into one datagram.
    #[must_use]
    pub fn with_hello_len(mut self, len: usize) -> Self {
        self.hello_len = len;
        self
    }

    fn peer(&self, slot: u32) -> Option<&Peer> {
        self.peers.get(slot as usize)?.as_ref()
    }

    fn peer_mut(&mut self, slot: u32) -> Option<&mut Peer> {
        self.peers.get_mut(slot as usize)?.as_mut()
    }
}

impl Crypto for FakeCrypto {
    fn is_protected(&self) -> bool {
        true
    }

    fn start(&mut self, slot: u32, side: Side, parameters: &[u8], identity: &[u8]) -> Result<(), Alert> {
        let mut hello = self.random.octets::<NONCE_LEN>().to_vec();
        hello.resize(self.hello_len.max(NONCE_LEN), 0);
        let mut peer = Peer {
            side,
            hello,
            proof: vec![],
            expected_identity: identity.to_vec(),
            stage: Stage::Hello,
            secret: None,
            generation: 0,
            sealed: [Sealed::default(); 3],
            unread: vec![],
            outgoing: VecDeque::new(),
            peer_parameters: vec![],
            peer_identity: vec![],
        };
        write_field(&mut peer.proof, parameters);
        write_field(&mut peer.proof, &self.identity);
        if side == Side::Client {
            peer.write(Epoch::Hello, &peer.hello.clone());
        }
        if self.peers.len() <= slot as usize {
            self.peers.resize_with(slot as usize + 1, || None);
        }
        self.peers[slot as usize] = Some(peer);
        Ok(())
    }

    fn read_handshake(&mut self, slot: u32, epoch: Epoch, octets: &[u8]) -> Result<(), Alert> {
        let peer = self.peer_mut(slot).ok_or(Alert::INTERNAL_ERROR)?;
        peer.unread.extend_from_slice(octets);
        while !peer.unread.is_empty() {
            if epoch != peer.stage.epoch() {
                return Err(Alert::UNEXPECTED_MESSAGE);
            }
            let Some((message, rest)) = read_field(&peer.unread) else { return Ok(()) };
            let (message, rest) = (message.to_vec(), rest.to_vec());
            peer.unread = rest;
            peer.read(&message)?;
        }
        Ok(())
    }

    fn write_handshake(&mut self, slot: u32, out: &mut [u8]) -> Result<Option<(Epoch, usize)>, Alert> {
        let peer = self.peer_mut(slot).ok_or(Alert::INTERNAL_ERROR)?;
        let Some((epoch, octets)) = peer.outgoing.front_mut() else { return Ok(None) };
        let (epoch, len) = (*epoch, octets.len().min(out.len()));
        for (to, from) in out.iter_mut().zip(octets.drain(..len)) {
            *to = from;
        }
        if octets.is_empty() {
            peer.outgoing.pop_front();
        }
        Ok(Some((epoch, len)))
    }

    fn is_ready(&self, slot: u32, epoch: Epoch) -> bool {
        self.peer(slot).is_some_and(|peer| peer.is_ready(epoch))
    }

    fn peer_parameters(&self, slot: u32) -> Option<&[u8]> {
        self.peer(slot).filter(|peer| peer.stage == Stage::Complete).map(|peer| peer.peer_parameters.as_slice())
    }

    fn peer_identity(&self, slot: u32) -> Option<&[u8]> {
        self.peer(slot).filter(|peer| peer.stage == Stage::Complete).map(|peer| peer.peer_identity.as_slice())
    }

    fn export(&self, slot: u32, label: &[u8], out: &mut [u8]) -> Result<(), Alert> {
        let peer = self.peer(slot).filter(|peer| peer.stage == Stage::Complete).ok_or(Alert::INTERNAL_ERROR)?;
        let secret = peer.secret.ok_or(Alert::INTERNAL_ERROR)?;
        let stream = KeyStream::new(&siphash_2_4_128(&secret, &[b"export ", label].concat()));
        out.iter_mut().zip(stream).for_each(|(octet, random)| *octet = random);
        Ok(())
    }

    fn seal(
        &mut self,
        slot: u32,
        epoch: Epoch,
        number: u64,
        datagram: &mut [u8],
        frames_offset: usize,
    ) -> Result<(), Alert> {
        // The limits are those of the data epoch.
        let limit = if epoch == Epoch::Data { self.limits.seals } else { u64::MAX };
        let peer = self.peer_mut(slot).ok_or(Alert::INTERNAL_ERROR)?;
        let key = peer.key(peer.side, epoch, peer.generation, number).ok_or(Alert::INTERNAL_ERROR)?;
        peer.sealed[epoch as usize].count(number, limit);
        let (content, tag) = datagram.split_last_chunk_mut::<TAG_LEN_MAX>().ok_or(Alert::INTERNAL_ERROR)?;
        crypt(&key, content.get_mut(frames_offset..).ok_or(Alert::INTERNAL_ERROR)?);
        *tag = siphash_2_4_128(&key, content);
        Ok(())
    }

    fn open(
        &self,
        slot: u32,
        epoch: Epoch,
        generation: Generation,
        number: u64,
        datagram: &mut [u8],
        frames_offset: usize,
    ) -> Result<(), BadTag> {
        let peer = self.peer(slot).ok_or(BadTag)?;
        let generation = match generation {
            Generation::Previous => peer.generation.checked_sub(1).ok_or(BadTag)?,
            Generation::Current => peer.generation,
            Generation::Next => peer.generation + 1,
        };
        let key = peer.key(peer.side.other(), epoch, generation, number).ok_or(BadTag)?;
        let (content, tag) = datagram.split_last_chunk_mut::<TAG_LEN_MAX>().ok_or(BadTag)?;
        if *tag != siphash_2_4_128(&key, content) {
            return Err(BadTag);
        }
        crypt(&key, content.get_mut(frames_offset..).ok_or(BadTag)?);
        Ok(())
    }

    fn seal_mask(&self, slot: u32, epoch: Epoch, sample: &[u8; SAMPLE_LEN]) -> [u8; MASK_LEN] {
        self.peer(slot).map_or([0; MASK_LEN], |peer| peer.mask(peer.side, epoch, sample))
    }

    fn open_mask(&self, slot: u32, epoch: Epoch, sample: &[u8; SAMPLE_LEN]) -> [u8; MASK_LEN] {
        self.peer(slot).map_or([0; MASK_LEN], |peer| peer.mask(peer.side.other(), epoch, sample))
    }

    fn update(&mut self, slot: u32) {
        if let Some(peer) = self.peer_mut(slot) {
            peer.generation += 1;
            peer.sealed[Epoch::Data as usize].count = 0;
        }
    }

    fn limits(&self, _: u32) -> Limits {
        self.limits
    }

    fn forget(&mut self, slot: u32) {
        if let Some(peer) = self.peers.get_mut(slot as usize) {
            *peer = None;
        }
    }
}

/// One handshake and its keys.
struct Peer {
    side: Side,
    /// What this side sends in the hello epoch: its nonce, and zeros.
    hello: Vec<u8>,
    /// What this side sends in the handshake epoch, but for the proof itself: parameters and identity.
    proof: Vec<u8>,
    /// Empty if anybody will do.
    expected_identity: Vec<u8>,
    stage: Stage,
    secret: Option<Key>,
    generation: u64,
    /// What was sealed in each epoch.
    sealed: [Sealed; 3],
    unread: Vec<u8>,
    outgoing: VecDeque<(Epoch, Vec<u8>)>,
    peer_parameters: Vec<u8>,
    peer_identity: Vec<u8>,
}

/// The message that a side waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Hello,
    Proof,
    Complete,
}

impl Stage {
    const fn epoch(self) -> Epoch {
        match self {
            Self::Hello => Epoch::Hello,
            Self::Proof => Epoch::Handshake,
            Self::Complete => Epoch::Data,
        }
    }
}

impl Peer {
    fn read(&mut self, message: &[u8]) -> Result<(), Alert> {
        match (self.stage, self.side) {
            (Stage::Hello, side) => {
                let (ours, theirs) = (self.nonce(), message.first_chunk::<NONCE_LEN>().ok_or(Alert::DECODE_ERROR)?);
                let (client, server) = if side == Side::Client { (&ours, theirs) } else { (theirs, &ours) };
                self.secret = Some(siphash_2_4_128(b"anybody knows it", &[*client, *server].concat()));
                self.stage = Stage::Proof;
                if side == Side::Server {
                    self.write(Epoch::Hello, &self.hello.clone());
                    self.write_proof();
                }
            }
            (Stage::Proof, side) => {
                self.read_proof(message)?;
                self.stage = Stage::Complete;
                match side {
                    Side::Client => self.write_proof(),
                    Side::Server => self.write(Epoch::Data, b"ticket"),
                }
            }
            (Stage::Complete, Side::Client) => {}
            (Stage::Complete, Side::Server) => return Err(Alert::UNEXPECTED_MESSAGE),
        }
        Ok(())
    }

    fn write(&mut self, epoch: Epoch, message: &[u8]) {
        let mut octets = vec![];
        write_field(&mut octets, message);
        self.outgoing.push_back((epoch, octets));
    }

    fn write_proof(&mut self) {
        let content = self.proof.clone();
        if let Some(proof) = self.proof_of(self.side, &content) {
            self.write(Epoch::Handshake, &[content.as_slice(), &proof].concat());
        }
    }

    fn read_proof(&mut self, message: &[u8]) -> Result<(), Alert> {
        let (content, proof) = message.split_last_chunk().ok_or(Alert::DECODE_ERROR)?;
        if self.proof_of(self.side.other(), content) != Some(*proof) {
            return Err(Alert::DECRYPT_ERROR);
        }
        let (parameters, rest) = read_field(content).ok_or(Alert::DECODE_ERROR)?;
        let (identity, _) = read_field(rest).ok_or(Alert::DECODE_ERROR)?;
        if !self.expected_identity.is_empty() && self.expected_identity != identity {
            return Err(Alert::BAD_CERTIFICATE);
        }
        self.peer_parameters = parameters.to_vec();
        self.peer_identity = identity.to_vec();
        Ok(())
    }

    fn nonce(&self) -> [u8; NONCE_LEN] {
        core::array::from_fn(|index| self.hello[index])
    }

    fn is_ready(&self, epoch: Epoch) -> bool {
        match epoch {
            Epoch::Hello => true,
            Epoch::Handshake => self.secret.is_some(),
            Epoch::Data => self.stage == Stage::Complete,
        }
    }

    fn proof_of(&self, by: Side, content: &[u8]) -> Option<[u8; 16]> {
        Some(siphash_2_4_128(&self.secret?, &[&[by as u8], content].concat()))
    }

    /// Returns the key of one datagram. Only the data epoch has generations.
    fn key(&self, by: Side, epoch: Epoch, generation: u64, number: u64) -> Option<Key> {
        let secret = self.secret.filter(|_| epoch != Epoch::Hello && self.is_ready(epoch))?;
        let mut input = [0; 18];
        input[0] = by as u8;
        input[1] = epoch as u8;
        if epoch == Epoch::Data {
            input[2..10].copy_from_slice(&generation.to_be_bytes());
        }
        input[10..].copy_from_slice(&number.to_be_bytes());
        Some(siphash_2_4_128(&secret, &input))
    }

    fn mask(&self, by: Side, epoch: Epoch, sample: &[u8; SAMPLE_LEN]) -> [u8; MASK_LEN] {
        // No datagram has this number, so the key is the mask's alone.
        let mask = self.key(by, epoch, 0, u64::MAX).map_or([0; 16], |key| siphash_2_4_128(&key, sample));
        core::array::from_fn(|index| mask[index])
    }
}

/// What one epoch's keys have sealed.
#[derive(Clone, Copy, Default)]
struct Sealed {
    highest: Option<u64>,
    count: u64,
}

impl Sealed {
    fn count(&mut self, number: u64, limit: u64) {
        assert!(self.highest < Some(number), "number {number} was used already");
        assert!(self.count < limit, "the keys sealed {limit} datagrams already");
        self.highest = Some(number);
        self.count += 1;
    }
}

/// Encrypts or decrypts: it is the same.
fn crypt(key: &Key, octets: &mut [u8]) {
    octets.iter_mut().zip(KeyStream::new(key)).for_each(|(octet, random)| *octet ^= random);
}

/// Octets without end that look random (the generator of Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014).
struct KeyStream {
    state: u64,
    word: u64,
    left: u32,
}

impl KeyStream {
    fn new(key: &Key) -> Self {
        Self { state: u128::from_le_bytes(*key) as u64, word: 0, left: 0 }
    }
}

impl Iterator for KeyStream {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.left == 0 {
            self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = self.state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            self.word = word ^ (word >> 31);
            self.left = 8;
        }
        let octet = self.word as u8;
        self.word >>= 8;
        self.left -= 1;
        Some(octet)
    }
}

fn write_field(out: &mut Vec<u8>, field: &[u8]) {
    let len = u16::try_from(field.len()).expect("a test keeps its fields below 64 KiB");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(field);
}

/// Returns the first field and what follows it, if the whole of it is there.
fn read_field(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = octets.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

const NONCE_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{open_datagram, seal_datagram, tag_len, unmask_header};
    use crate::wire::{Malformed, ShortHeader};

    #[test]
    fn both_sides_learn_who_the_other_is_however_the_octets_are_cut() {
        for piece_len in [1, 7, 97, 4096] {
            for hello_len in [0, 1400] {
                let [mut client, mut server] = pair().map(|end| end.with_hello_len(hello_len));
                start(&mut client, &mut server, b"server");
                shake_hands(&mut client, &mut server, piece_len).unwrap();
                assert_eq!(client.peer_identity(0), Some(b"server".as_slice()));
                assert_eq!(server.peer_identity(3), Some(b"client".as_slice()));
                assert_eq!(client.peer_parameters(0), Some(b"of the server".as_slice()));
                assert_eq!(server.peer_parameters(3), Some(b"of the client".as_slice()));
                let mut secrets = [[0; 40]; 2];
                client.export(0, b"label", &mut secrets[0]).unwrap();
                server.export(3, b"label", &mut secrets[1]).unwrap();
                assert_eq!(secrets[0], secrets[1]);
            }
        }
    }

    #[test]
    fn the_wrong_server_is_refused() {
        let [mut client, mut server] = pair();
        start(&mut client, &mut server, b"another");
        assert_eq!(shake_hands(&mut client, &mut server, 4096), Err(Alert::BAD_CERTIFICATE));
        assert!(!client.is_ready(0, Epoch::Data) && client.peer_identity(0).is_none());
    }

    #[test]
    fn handshake_octets_of_the_wrong_epoch_are_refused() {
        let [mut client, mut server] = pair();
        start(&mut client, &mut server, b"");
        let mut hello = [0; 64];
        let (_, len) = client.write_handshake(0, &mut hello).unwrap().unwrap();
        assert_eq!(server.read_handshake(3, Epoch::Handshake, &hello[..len]), Err(Alert::UNEXPECTED_MESSAGE));
    }

    #[test]
    fn a_datagram_opens_at_the_other_side_and_nowhere_else() {
        let [mut client, mut server] = complete_pair();
        let sealed = seal(&mut client, 0, 5);
        assert_eq!(open(&server, 3, Generation::Current, 5, sealed), Ok(*FRAMES));
        assert_eq!(open(&client, 0, Generation::Current, 5, sealed), Err(BadTag), "reflected");
        assert_eq!(open(&server, 3, Generation::Current, 6, sealed), Err(BadTag), "another number");
        assert_eq!(open(&server, 3, Generation::Next, 5, sealed), Err(BadTag));
        for bit in 0..sealed.len() * 8 {
            let mut sealed = sealed;
            sealed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&server, 3, Generation::Current, 5, sealed), Err(BadTag));
        }
        server.forget(3);
        assert_eq!(open(&server, 3, Generation::Current, 5, sealed), Err(BadTag));
    }

    #[test]
    fn an_update_keeps_the_previous_keys() {
        let [mut client, mut server] = complete_pair();
        let late = seal(&mut client, 0, 0);
        client.update(0);
        let updated = seal(&mut client, 0, 1);
        assert_eq!(open(&server, 3, Generation::Next, 1, updated), Ok(*FRAMES));
        server.update(3);
        assert_eq!(open(&server, 3, Generation::Current, 1, updated), Ok(*FRAMES));
        assert_eq!(open(&server, 3, Generation::Previous, 0, late), Ok(*FRAMES));
    }

    #[test]
    #[should_panic(expected = "number 7 was used already")]
    fn using_a_number_twice_is_a_bug() {
        let [mut client, _] = complete_pair();
        seal(&mut client, 0, 7);
        seal(&mut client, 0, 7);
    }

    #[test]
    #[should_panic(expected = "sealed 16 datagrams already")]
    fn passing_the_limit_of_seals_is_a_bug() {
        let [client, mut server] = pair();
        let mut client = client.with_limits(Limits { seals: 16, failed_opens: 16 });
        start(&mut client, &mut server, b"");
        shake_hands(&mut client, &mut server, 4096).unwrap();
        for number in 0..17 {
            seal(&mut client, 0, number);
        }
    }

    #[test]
    fn a_slot_that_was_not_started_has_no_keys_and_does_not_panic() {
        let mut crypto = FakeCrypto::new([0; 32], b"");
        assert!(!crypto.is_ready(9, Epoch::Data));
        assert_eq!(open(&crypto, 9, Generation::Current, 0, [0x40; DATAGRAM_LEN]), Err(BadTag));
        assert_eq!(crypto.seal(9, Epoch::Data, 0, &mut [0; 64], 13), Err(Alert::INTERNAL_ERROR));
        crypto.update(9);
        crypto.forget(9);
    }

    #[test]
    fn a_datagram_too_short_for_its_header_and_a_tag_is_refused() {
        let [client, _] = complete_pair();
        for len in 0..NUMBER_OFFSET + 4 + 16 {
            let mut datagram = [0x43; DATAGRAM_LEN];
            let field = unmask_header(&client, 0, Epoch::Data, &mut datagram[..len], NUMBER_OFFSET);
            assert_eq!(field, Err(Malformed::Len));
        }
    }

    fn pair() -> [FakeCrypto; 2] {
        [FakeCrypto::new([1; 32], b"client"), FakeCrypto::new([2; 32], b"server")]
    }

    fn complete_pair() -> [FakeCrypto; 2] {
        let [mut client, mut server] = pair();
        start(&mut client, &mut server, b"server");
        shake_hands(&mut client, &mut server, 4096).unwrap();
        [client, server]
    }

    fn start(client: &mut FakeCrypto, server: &mut FakeCrypto, identity: &[u8]) {
        client.start(0, Side::Client, b"of the client", identity).unwrap();
        server.start(3, Side::Server, b"of the server", b"").unwrap();
    }

    fn shake_hands(client: &mut FakeCrypto, server: &mut FakeCrypto, piece_len: usize) -> Result<(), Alert> {
        while carry((client, 0), (server, 3), piece_len)? | carry((server, 3), (client, 0), piece_len)? {}
        assert!(client.is_ready(0, Epoch::Data) && server.is_ready(3, Epoch::Data));
        Ok(())
    }

    /// Carries all octets that are ready, and tells whether there were any.
    fn carry(from: (&mut FakeCrypto, u32), to: (&mut FakeCrypto, u32), piece_len: usize) -> Result<bool, Alert> {
        let mut piece = vec![0; piece_len];
        let mut moved = false;
        while let Some((epoch, len)) = from.0.write_handshake(from.1, &mut piece)? {
            to.0.read_handshake(to.1, epoch, &piece[..len])?;
            moved = true;
        }
        Ok(moved)
    }

    fn seal(crypto: &mut FakeCrypto, slot: u32, number: u64) -> [u8; DATAGRAM_LEN] {
        let mut datagram = [0; DATAGRAM_LEN];
        datagram[0] = 0x41;
        datagram[NUMBER_OFFSET..HEADER_LEN].copy_from_slice(&(number as u16).to_be_bytes());
        datagram[HEADER_LEN..HEADER_LEN + FRAMES.len()].copy_from_slice(FRAMES);
        assert_eq!(tag_len(crypto, Epoch::Data), DATAGRAM_LEN - HEADER_LEN - FRAMES.len());
        seal_datagram(crypto, slot, Epoch::Data, number, &mut datagram, NUMBER_OFFSET).unwrap();
        datagram
    }

    fn open(
        crypto: &FakeCrypto,
        slot: u32,
        generation: Generation,
        number: u64,
        mut datagram: [u8; DATAGRAM_LEN],
    ) -> Result<[u8; 4], BadTag> {
        let field = unmask_header(crypto, slot, Epoch::Data, &mut datagram, NUMBER_OFFSET).unwrap();
        open_datagram(crypto, slot, Epoch::Data, generation, number, &mut datagram, field.frames_offset)
            .map(|frames| frames.try_into().unwrap())
    }

    const FRAMES: &[u8; 4] = b"ping";
    const NUMBER_OFFSET: usize = ShortHeader::NUMBER_OFFSET;
    const HEADER_LEN: usize = NUMBER_OFFSET + 2;
    const DATAGRAM_LEN: usize = HEADER_LEN + FRAMES.len() + TAG_LEN_MAX;
}
