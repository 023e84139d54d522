//! The fingerprint of a run.

use core::net::{IpAddr, SocketAddr};

use posthaste_core::Instant;

/// A running 64-bit hash over every event of a run: when, between whom, which octets.
///
/// Two runs with equal hashes took the same course. The hash is the same on every platform; it withstands no enemy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    hash: u64,
    event_count: u64,
}

impl Trace {
    /// Starts a trace.
    #[must_use]
    pub const fn new() -> Self {
        Self { hash: SEED, event_count: 0 }
    }

    /// Adds an event without octets, such as a timer of a node.
    pub const fn mark(&mut self, at: Instant, kind: u64, subject: u64) {
        self.event_count += 1;
        self.fold(at.as_nanos());
        self.fold(kind);
        self.fold(subject);
    }

    /// Adds a datagram that was sent or that arrived.
    pub fn datagram(&mut self, at: Instant, kind: u64, from: SocketAddr, to: SocketAddr, octets: &[u8]) {
        self.mark(at, kind, octets.len() as u64);
        self.address(from);
        self.address(to);
        self.octets(octets);
    }

    /// Returns the hash so far.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// Returns how many events were added.
    #[must_use]
    pub const fn event_count(&self) -> u64 {
        self.event_count
    }

    fn address(&mut self, address: SocketAddr) {
        match address.ip() {
            IpAddr::V4(ip) => self.fold(u64::from(ip.to_bits())),
            IpAddr::V6(ip) => {
                let bits = ip.to_bits();
                self.fold(bits as u64);
                self.fold((bits >> 64) as u64);
            }
        }
        self.fold(u64::from(address.port()));
    }

    fn octets(&mut self, octets: &[u8]) {
        // Four lanes, because one chain of dependent multiplications takes longer than the rest of an event.
        let mut lanes = [self.hash; 4];
        let (blocks, rest) = octets.as_chunks::<32>();
        for block in blocks {
            let (words, _) = block.as_chunks::<8>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane = step(*lane, u64::from_le_bytes(*word));
            }
        }
        for word in rest.chunks(8) {
            let mut padded = [0; 8];
            padded[..word.len()].copy_from_slice(word);
            lanes[0] = step(lanes[0], u64::from_le_bytes(padded));
        }
        for lane in lanes {
            self.fold(lane);
        }
    }

    const fn fold(&mut self, word: u64) {
        self.hash = step(self.hash, word);
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

const fn step(hash: u64, word: u64) -> u64 {
    // The rotation brings the well-mixed high bits down to where the next multiplication spreads them.
    (hash ^ word).wrapping_mul(MULTIPLIER).rotate_left(29)
}

/// Any odd number with about as many ones as zeros does.
const MULTIPLIER: u64 = 0x9fb2_1c65_1e98_df25;
const SEED: u64 = 0x5bd1_e995_97f4_a7c5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_an_event_changes_the_hash() {
        let a: SocketAddr = "10.0.0.1:1".parse().unwrap();
        let b: SocketAddr = "[2001:db8::1]:2".parse().unwrap();
        let hash = |at, kind, from, to, octets: &[u8]| {
            let mut trace = Trace::new();
            trace.datagram(Instant::from_nanos(at), kind, from, to, octets);
            trace.hash()
        };
        let mut all: Vec<u64> = vec![
            hash(1, 1, a, b, b"octets"),
            hash(2, 1, a, b, b"octets"),
            hash(1, 2, a, b, b"octets"),
            hash(1, 1, b, a, b"octets"),
            hash(1, 1, a, b, b"octets\0"),
        ];
        for index in 0..100 {
            let mut octets = [0; 100];
            octets[index] = 1;
            all.push(hash(1, 1, a, b, &octets));
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 105);
    }

    #[test]
    fn the_hash_is_the_same_on_every_platform() {
        let mut trace = Trace::new();
        trace.datagram(
            Instant::from_nanos(5),
            1,
            "10.0.0.1:1".parse().unwrap(),
            "10.0.0.2:2".parse().unwrap(),
            &[7; 41],
        );
        assert_eq!((trace.hash(), trace.event_count()), (17_259_840_315_117_772_737, 1));
    }
}
