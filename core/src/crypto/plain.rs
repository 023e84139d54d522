//! The unprotected mode: a checksum against accidents, nothing against enemies.

use super::{Alert, BadTag, Crypto, Generation, Limits, MASK_LEN, SAMPLE_LEN};
use crate::wire::checksum::crc32c;
use crate::wire::{CHECKSUM_LEN, Epoch, Side};

/// The unprotected mode: 4 octets of CRC32C at the end of each datagram, no handshake, no keys, no mask.
///
/// Finds what the network damaged. Anybody who can write a datagram can write its checksum, so it proves nothing about the
/// sender: for loopback and closed networks. Also guards the hello epoch of protected conversations.
///
/// The part of the number that a datagram leaves out is in its tag (protocol §3.7), as it is in the nonce of an AEAD: a copy
/// that comes so late that the receiver takes its number for another one is not authentic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Crypto for Plain {
    fn is_protected(&self) -> bool {
        false
    }

    fn start(&mut self, _: u32, _: Side, _: &[u8], _: &[u8]) -> Result<(), Alert> {
        Ok(())
    }

    fn read_handshake(&mut self, _: u32, _: Epoch, _: &[u8]) -> Result<(), Alert> {
        Err(Alert::UNEXPECTED_MESSAGE)
    }

    fn write_handshake(&mut self, _: u32, _: &mut [u8]) -> Result<Option<(Epoch, usize)>, Alert> {
        Ok(None)
    }

    fn is_ready(&self, _: u32, epoch: Epoch) -> bool {
        epoch != Epoch::Handshake
    }

    fn peer_parameters(&self, _: u32) -> Option<&[u8]> {
        None
    }

    fn peer_identity(&self, _: u32) -> Option<&[u8]> {
        None
    }

    fn export(&self, _: u32, _: &[u8], _: &mut [u8]) -> Result<(), Alert> {
        Err(Alert::INTERNAL_ERROR)
    }

    fn seal(&mut self, _: u32, epoch: Epoch, number: u64, datagram: &mut [u8], _: usize) -> Result<(), Alert> {
        let (content, tag) = datagram.split_last_chunk_mut::<CHECKSUM_LEN>().ok_or(Alert::INTERNAL_ERROR)?;
        *tag = checksum(epoch, number, content).to_be_bytes();
        Ok(())
    }

    fn open(
        &self,
        _: u32,
        epoch: Epoch,
        _: Generation,
        number: u64,
        datagram: &mut [u8],
        _: usize,
    ) -> Result<(), BadTag> {
        let (content, tag) = datagram.split_last_chunk::<CHECKSUM_LEN>().ok_or(BadTag)?;
        if checksum(epoch, number, content) == u32::from_be_bytes(*tag) { Ok(()) } else { Err(BadTag) }
    }

    fn seal_mask(&self, _: u32, _: Epoch, _: &[u8; SAMPLE_LEN]) -> [u8; MASK_LEN] {
        [0; MASK_LEN]
    }

    fn open_mask(&self, _: u32, _: Epoch, _: &[u8; SAMPLE_LEN]) -> [u8; MASK_LEN] {
        [0; MASK_LEN]
    }

    fn update(&mut self, _: u32) {}

    fn limits(&self, _: u32) -> Limits {
        Limits { seals: u64::MAX, failed_opens: u64::MAX }
    }

    fn forget(&mut self, _: u32) {}
}

/// Returns the tag of a datagram with everything before it: of the data epoch, with what its number field leaves out.
fn checksum(epoch: Epoch, number: u64, content: &[u8]) -> u32 {
    let left_out = match (epoch, content.first()) {
        (Epoch::Data, Some(first)) => number >> (8 * (u32::from(first & 0x03) + 1)),
        _ => 0,
    };
    // The highest bits of 62 tell nothing more: no receiver is 2^40 datagrams behind.
    crc32c(content) ^ left_out as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_crc32c_in_network_order() {
        // RFC 3720 §B.4: the CRC32C of 32 zero octets is aa 36 91 8a, given there in little-endian order.
        let mut datagram = [0; 36];
        Plain.seal(0, Epoch::Data, 0, &mut datagram, 10).unwrap();
        assert_eq!(datagram[32..], [0x8a, 0x91, 0x36, 0xaa]);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let mut sealed = [0x5a; 64];
        Plain.seal(0, Epoch::Data, 0, &mut sealed, 10).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut datagram = sealed;
            datagram[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Plain.open(0, Epoch::Data, Generation::Current, 0, &mut datagram, 10), Err(BadTag));
        }
        assert_eq!(Plain.open(0, Epoch::Data, Generation::Current, 0, &mut sealed, 10), Ok(()));
    }

    #[test]
    fn a_number_that_is_expanded_to_another_one_is_found_out() {
        let mut datagram = [0x40; 64];
        Plain.seal(0, Epoch::Data, 9, &mut datagram, 10).unwrap();
        assert_eq!(Plain.open(0, Epoch::Data, Generation::Current, 265, &mut datagram, 10), Err(BadTag));
        assert_eq!(Plain.open(0, Epoch::Data, Generation::Current, 9, &mut datagram, 10), Ok(()));
    }

    #[test]
    fn a_datagram_shorter_than_the_tag_is_not_authentic() {
        assert_eq!(Plain.open(0, Epoch::Data, Generation::Current, 0, &mut [0; 3], 0), Err(BadTag));
    }

    #[test]
    fn there_is_nothing_to_shake_hands_about() {
        assert!(Plain.is_ready(7, Epoch::Data) && !Plain.is_ready(7, Epoch::Handshake));
        assert_eq!(Plain.write_handshake(7, &mut [0; 64]), Ok(None));
        assert_eq!(Plain.read_handshake(7, Epoch::Hello, &[1]), Err(Alert::UNEXPECTED_MESSAGE));
    }
}
