//! Variable-length integers (RFC 9000 §16), in their shortest form only (protocol §2.2, §2.3).

/// The largest value, 2^62 − 1.
pub const VARINT_MAX: u64 = (1 << 62) - 1;

/// The longest encoding, in octets.
pub const VARINT_LEN_MAX: usize = 8;

/// Returns how many octets `value` takes: 1, 2, 4 or 8.
#[inline]
#[must_use]
pub const fn len_of(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Malformed, NoRoom, Reader, Writer};

    #[test]
    fn each_length_begins_and_ends_where_rfc_9000_says() {
        let edges = [(0, 1), (63, 1), (64, 2), (16_383, 2), (16_384, 4), (1_073_741_823, 4), (1_073_741_824, 8)];
        for (value, len) in edges.into_iter().chain([(VARINT_MAX, 8)]) {
            let mut out = [0xff; VARINT_LEN_MAX];
            let mut writer = Writer::new(&mut out);
            writer.varint(value).unwrap();
            assert_eq!(writer.written().len(), len);
            assert_eq!(len_of(value), len);
            assert_eq!(Reader::new(writer.written()).varint(), Ok(value));
        }
    }

    #[test]
    fn the_examples_of_rfc_9000_appendix_a_1_decode() {
        let examples: [(&[u8], u64); 4] = [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
        ];
        for (octets, value) in examples {
            assert_eq!(Reader::new(octets).varint(), Ok(value));
        }
    }

    #[test]
    fn a_longer_form_than_needed_is_malformed() {
        for octets in [&[0x40, 63][..], &[0x80, 0, 0x3f, 0xff], &[0xc0, 0, 0, 0, 0x3f, 0xff, 0xff, 0xff], &[0x40, 0x25]]
        {
            assert_eq!(Reader::new(octets).varint(), Err(Malformed::NotShortest));
        }
    }

    #[test]
    fn a_cut_integer_is_malformed_and_a_full_buffer_keeps_what_it_holds() {
        for octets in [&[][..], &[0x40], &[0x80, 1, 2], &[0xc0, 1, 2, 3, 4, 5, 6]] {
            assert_eq!(Reader::new(octets).varint(), Err(Malformed::Len));
        }
        let mut out = [0; 3];
        let mut writer = Writer::new(&mut out);
        assert_eq!(writer.varint(16_384), Err(NoRoom));
        assert!(writer.written().is_empty());
    }
}
