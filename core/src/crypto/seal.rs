//! The one path of every datagram through the crypto: seal and mask going out, unmask and open coming in.

use super::{Alert, BadTag, Crypto, Generation, MASK_LEN, Plain, SAMPLE_LEN};
use crate::wire::header::{KEY_PHASE, LONG, reserved_bits};
use crate::wire::{CHECKSUM_LEN, Epoch, Malformed, NumberField};

/// Returns the length of the tag at the end of a datagram of `epoch` (protocol §3.7).
#[must_use]
pub fn tag_len(crypto: &dyn Crypto, epoch: Epoch) -> usize {
    if is_sealed(crypto, epoch) { TAG_LEN_MAX } else { CHECKSUM_LEN }
}

/// Seals a datagram in place and masks its header (RFC 9001 §5.3, §5.4).
///
/// `datagram` is a complete header whose number field begins at `number_offset`, the frames, and room for the tag
/// ([`tag_len`]). In a protected epoch the number field and the frames are at least 4 octets together (protocol §3.10).
/// `number` is the whole number of which the field holds the end.
///
/// # Errors
/// [`Alert::INTERNAL_ERROR`] if the datagram is too short, or an alert of the keys. The datagram must then not be sent.
pub fn seal_datagram(
    crypto: &mut dyn Crypto,
    slot: u32,
    epoch: Epoch,
    number: u64,
    datagram: &mut [u8],
    number_offset: usize,
) -> Result<(), Alert> {
    let field = NumberField::read(datagram, number_offset).map_err(|_| Alert::INTERNAL_ERROR)?;
    if epoch == Epoch::Hello {
        return Plain.seal(slot, epoch, number, datagram, field.frames_offset);
    }
    crypto.seal(slot, epoch, number, datagram, field.frames_offset)?;
    if is_sealed(crypto, epoch) {
        let mask = crypto.seal_mask(slot, epoch, sample(datagram, number_offset).ok_or(Alert::INTERNAL_ERROR)?);
        mask_first(datagram, &mask);
        mask_number(&mut datagram[number_offset..field.frames_offset], &mask);
    }
    Ok(())
}

/// Takes the mask off the header of a received datagram, and reads the end of it.
///
/// Nothing is proven yet: the header, and the number most of all, may be anybody's until [`open_datagram`] succeeds.
///
/// # Errors
/// [`Malformed::Len`] if the datagram is too short for its header and a tag: it is discarded.
pub fn unmask_header(
    crypto: &dyn Crypto,
    slot: u32,
    epoch: Epoch,
    datagram: &mut [u8],
    number_offset: usize,
) -> Result<NumberField, Malformed> {
    if !is_sealed(crypto, epoch) {
        return NumberField::read(datagram, number_offset);
    }
    let mask = crypto.open_mask(slot, epoch, sample(datagram, number_offset).ok_or(Malformed::Len)?);
    mask_first(datagram, &mask);
    // Only the unmasked first octet tells how long the field is that is unmasked next.
    let number_len = NumberField::read(datagram, number_offset)?.number.len_octets();
    mask_number(&mut datagram[number_offset..number_offset + number_len], &mask);
    NumberField::read(datagram, number_offset)
}

/// Checks and opens a received datagram whose header is unmasked, and returns its frames.
///
/// # Errors
/// [`BadTag`] if it is not authentic, or a reserved bit of its header is set. Its octets are then undefined. Reserved bits come
/// last: looked at sooner, they would tell by the time it takes what the mask is (RFC 9000 §17.2, RFC 9001 §9.5).
pub fn open_datagram<'d>(
    crypto: &dyn Crypto,
    slot: u32,
    epoch: Epoch,
    generation: Generation,
    number: u64,
    datagram: &'d mut [u8],
    frames_offset: usize,
) -> Result<&'d [u8], BadTag> {
    let is_sealed = is_sealed(crypto, epoch);
    let frames_end = datagram.len().checked_sub(tag_len(crypto, epoch)).filter(|end| frames_offset <= *end);
    let frames_end = frames_end.ok_or(BadTag)?;
    let crypto = if epoch == Epoch::Hello { &Plain } else { crypto };
    crypto.open(slot, epoch, generation, number, datagram, frames_offset)?;
    let first = *datagram.first().ok_or(BadTag)?;
    // Without keys there is no phase (protocol §3.2.1).
    let zero = reserved_bits(first) | if is_sealed { 0 } else { KEY_PHASE };
    if first & zero == 0 { Ok(&datagram[frames_offset..frames_end]) } else { Err(BadTag) }
}

/// Length of the longest tag, that of every AEAD of TLS 1.3 but the shortened ones (RFC 9001 §5.3).
pub const TAG_LEN_MAX: usize = 16;

fn is_sealed(crypto: &dyn Crypto, epoch: Epoch) -> bool {
    epoch != Epoch::Hello && crypto.is_protected()
}

/// Returns the sample as if the number field had its greatest length: its own length is still masked (RFC 9001 §5.4.2).
fn sample(datagram: &[u8], number_offset: usize) -> Option<&[u8; SAMPLE_LEN]> {
    datagram.get(number_offset..)?.get(NUMBER_LEN_MAX..)?.first_chunk()
}

/// Leaves alone what a receiver needs to find the keys: form, epoch and, in the long form, the side (RFC 9001 §5.4.1).
fn mask_first(datagram: &mut [u8], mask: &[u8; MASK_LEN]) {
    if let Some(first) = datagram.first_mut() {
        *first ^= mask[0] & if *first & LONG == 0 { 0b1_1111 } else { 0b1111 };
    }
}

fn mask_number(number: &mut [u8], mask: &[u8; MASK_LEN]) {
    for (octet, mask) in number.iter_mut().zip(&mask[1..]) {
        *octet ^= mask;
    }
}

const NUMBER_LEN_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ShortHeader;

    #[test]
    fn a_plain_datagram_is_closed_by_its_checksum_and_not_masked() {
        let mut datagram = *b"\x40to-whom!\x07frames....";
        seal_datagram(&mut Plain, 0, Epoch::Data, 7, &mut datagram, NUMBER_OFFSET).unwrap();
        assert_eq!(datagram[..16], *b"\x40to-whom!\x07frames");
        let field = unmask_header(&Plain, 0, Epoch::Data, &mut datagram, NUMBER_OFFSET).unwrap();
        assert_eq!(open(&mut datagram, field.frames_offset), Ok(b"frames".as_slice()));
    }

    #[test]
    fn reserved_bits_are_refused_under_a_right_tag() {
        // In plain mode the key phase is reserved too.
        for bit in [0x04, 0x08, 0x10] {
            let mut datagram = *b"\x40to-whom!\x07frames....";
            datagram[0] |= bit;
            seal_datagram(&mut Plain, 0, Epoch::Data, 7, &mut datagram, NUMBER_OFFSET).unwrap();
            assert_eq!(open(&mut datagram, NUMBER_OFFSET + 1), Err(BadTag));
        }
    }

    #[test]
    fn a_datagram_without_room_for_header_and_tag_is_refused() {
        let mut datagram = *b"\x43to-whom!numbtag";
        assert_eq!(open(&mut datagram, NUMBER_OFFSET + 4), Err(BadTag));
        let field = unmask_header(&Plain, 0, Epoch::Data, &mut datagram[..12], NUMBER_OFFSET);
        assert_eq!(field, Err(Malformed::Len));
        let sealed = seal_datagram(&mut Plain, 0, Epoch::Data, 7, &mut datagram[..12], NUMBER_OFFSET);
        assert_eq!(sealed, Err(Alert::INTERNAL_ERROR));
    }

    fn open(datagram: &mut [u8], frames_offset: usize) -> Result<&[u8], BadTag> {
        open_datagram(&Plain, 0, Epoch::Data, Generation::Current, 7, datagram, frames_offset)
    }

    const NUMBER_OFFSET: usize = ShortHeader::NUMBER_OFFSET;
}
