//! The one path of every datagram through the crypto: seal and mask going out, unmask and open coming in.

use super::{Alert, BadTag, Crypto, Epoch, Generation, MASK_LEN, Plain, SAMPLE_LEN};

/// Returns the length of the tag at the end of a datagram of `epoch` (protocol §3.7).
#[must_use]
pub fn tag_len(crypto: &dyn Crypto, epoch: Epoch) -> usize {
    if is_sealed(crypto, epoch) { TAG_LEN_MAX } else { Plain::TAG_LEN }
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
    let header_len = header_len(crypto, epoch, datagram, number_offset).ok_or(Alert::INTERNAL_ERROR)?;
    if epoch == Epoch::Hello {
        return Plain.seal(slot, epoch, number, datagram, header_len);
    }
    crypto.seal(slot, epoch, number, datagram, header_len)?;
    if is_sealed(crypto, epoch) {
        let mask = crypto.seal_mask(slot, epoch, sample(datagram, number_offset).ok_or(Alert::INTERNAL_ERROR)?);
        mask_first(datagram, &mask);
        mask_number(&mut datagram[number_offset..header_len], &mask);
    }
    Ok(())
}

/// Takes the mask off the header of a received datagram, and returns the header's length.
///
/// The number field lies from `number_offset` to there; the caller expands it to the whole number. Nothing is proven yet: the
/// header, and the number most of all, may be anybody's until [`open_datagram`] succeeds.
///
/// # Errors
/// [`BadTag`] if the datagram is too short for its header and a tag.
pub fn unmask_header(
    crypto: &dyn Crypto,
    slot: u32,
    epoch: Epoch,
    datagram: &mut [u8],
    number_offset: usize,
) -> Result<usize, BadTag> {
    if !is_sealed(crypto, epoch) {
        return header_len(crypto, epoch, datagram, number_offset).ok_or(BadTag);
    }
    let mask = crypto.open_mask(slot, epoch, sample(datagram, number_offset).ok_or(BadTag)?);
    mask_first(datagram, &mask);
    let header_len = header_len(crypto, epoch, datagram, number_offset).ok_or(BadTag)?;
    mask_number(&mut datagram[number_offset..header_len], &mask);
    Ok(header_len)
}

/// Checks and opens a received datagram whose header is unmasked, and returns its frames.
///
/// # Errors
/// [`BadTag`] if it is not authentic; its octets are then undefined.
pub fn open_datagram<'d>(
    crypto: &dyn Crypto,
    slot: u32,
    epoch: Epoch,
    generation: Generation,
    number: u64,
    datagram: &'d mut [u8],
    header_len: usize,
) -> Result<&'d [u8], BadTag> {
    let frames_end =
        datagram.len().checked_sub(tag_len(crypto, epoch)).filter(|end| header_len <= *end).ok_or(BadTag)?;
    let crypto = if epoch == Epoch::Hello { &Plain } else { crypto };
    crypto.open(slot, epoch, generation, number, datagram, header_len)?;
    Ok(&datagram[header_len..frames_end])
}

/// Length of the longest tag, that of every AEAD of TLS 1.3 but the shortened ones (RFC 9001 §5.3).
pub const TAG_LEN_MAX: usize = 16;

fn is_sealed(crypto: &dyn Crypto, epoch: Epoch) -> bool {
    epoch != Epoch::Hello && crypto.is_protected()
}

/// Returns the length of an unmasked header, if the datagram has room for it and a tag.
fn header_len(crypto: &dyn Crypto, epoch: Epoch, datagram: &[u8], number_offset: usize) -> Option<usize> {
    let number_len = usize::from(datagram.first()? & 0b11) + 1;
    let header_len = number_offset.checked_add(number_len)?;
    (header_len.checked_add(tag_len(crypto, epoch))? <= datagram.len()).then_some(header_len)
}

/// Returns the sample as if the number field had its greatest length: its own length is still masked (RFC 9001 §5.4.2).
fn sample(datagram: &[u8], number_offset: usize) -> Option<&[u8; SAMPLE_LEN]> {
    datagram.get(number_offset..)?.get(NUMBER_LEN_MAX..)?.first_chunk()
}

/// Leaves alone what a receiver needs to find the keys: form, epoch and, in the long form, the side (RFC 9001 §5.4.1).
fn mask_first(datagram: &mut [u8], mask: &[u8; MASK_LEN]) {
    if let Some(first) = datagram.first_mut() {
        *first ^= mask[0] & if *first & LONG_FORM == 0 { 0b1_1111 } else { 0b1111 };
    }
}

fn mask_number(number: &mut [u8], mask: &[u8; MASK_LEN]) {
    for (octet, mask) in number.iter_mut().zip(&mask[1..]) {
        *octet ^= mask;
    }
}

const LONG_FORM: u8 = 0x80;
const NUMBER_LEN_MAX: usize = 4;
