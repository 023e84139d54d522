//! Record marking: messages in a stream of octets (RFC 5531 §11).
//!
//! A record is one message, in one fragment or several; each begins with a word of four octets that holds its length
//! and, in the highest bit, whether it is the last of its record.

use alloc::vec::Vec;
use core::fmt;
use core::mem;

/// Puts records together from a stream that arrives in pieces.
#[derive(Debug)]
pub struct RecordReader {
    record_len_max: usize,
    /// What has arrived of the record.
    record: Vec<u8>,
    state: State,
}

/// ```text
/// Mark ──length──▶ Fragment ──more to come──▶ Mark
///  ▲                  └───────last───────▶ Complete
///  └───────────────next read──────────────────┘
/// ```
#[derive(Debug)]
enum State {
    /// So many octets of a mark have arrived.
    Mark { octets: [u8; MARK_LEN], len: usize },
    /// So many octets of a fragment have not.
    Fragment { rest_len: usize, is_last: bool },
    /// The record is whole, and has been handed out.
    Complete,
}

/// The peer sends a record that is longer than the limit. Where the next one begins is not known: close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordTooLong {
    /// The limit, in octets.
    pub limit: usize,
}

impl RecordReader {
    /// Makes a reader at the beginning of a stream, for records of at most `record_len_max` octets.
    #[must_use]
    pub const fn new(record_len_max: usize) -> Self {
        Self { record_len_max, record: Vec::new(), state: State::START }
    }

    /// Takes octets from the front of `input`, and returns a record when one is whole; `None` when all of `input` is taken.
    ///
    /// What is kept grows with what arrives, and not by what a mark announces.
    ///
    /// # Errors
    /// If a record is too long, as soon as its marks say so.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<&[u8]>, RecordTooLong> {
        loop {
            match &mut self.state {
                State::Complete => {
                    self.record.clear();
                    // One long record must not hold its memory for as long as the connection lives.
                    self.record.shrink_to(KEPT_CAPACITY);
                    self.state = State::START;
                }
                State::Mark { octets, len } => {
                    let front = take(input, MARK_LEN - *len);
                    octets[*len..][..front.len()].copy_from_slice(front);
                    *len += front.len();
                    if *len < MARK_LEN {
                        return Ok(None);
                    }
                    let mark = u32::from_be_bytes(*octets);
                    let (rest_len, is_last) = ((mark & !LAST) as usize, mark & LAST != 0);
                    if rest_len > self.record_len_max - self.record.len() {
                        return Err(RecordTooLong { limit: self.record_len_max });
                    }
                    self.state = State::Fragment { rest_len, is_last };
                }
                State::Fragment { rest_len, is_last } => {
                    let front = take(input, *rest_len);
                    self.record.extend_from_slice(front);
                    *rest_len -= front.len();
                    if *rest_len > 0 {
                        return Ok(None);
                    }
                    if mem::replace(is_last, false) {
                        self.state = State::Complete;
                        return Ok(Some(&self.record));
                    }
                    self.state = State::START;
                }
            }
        }
    }

    /// Says whether part of a record has arrived.
    #[must_use]
    pub const fn is_within_record(&self) -> bool {
        match self.state {
            State::Mark { len, .. } => len > 0 || !self.record.is_empty(),
            State::Fragment { .. } => true,
            State::Complete => false,
        }
    }
}

impl State {
    const START: Self = Self::Mark { octets: [0; MARK_LEN], len: 0 };
}

impl fmt::Display for RecordTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a record is longer than {} octets", self.limit)
    }
}

impl core::error::Error for RecordTooLong {}

/// Appends a record to `out`, in one fragment; `encode` appends the message.
///
/// # Panics
/// If the message has 2^31 octets or more.
pub fn put_record(out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend_from_slice(&[0; MARK_LEN]);
    encode(out);
    let len = u32::try_from(out.len() - begin - MARK_LEN).ok().filter(|len| len & LAST == 0);
    let len = len.expect("a message fits a record");
    out[begin..][..MARK_LEN].copy_from_slice(&(LAST | len).to_be_bytes());
}

/// Takes at most `len_max` octets from the front of `input`.
fn take<'a>(input: &mut &'a [u8], len_max: usize) -> &'a [u8] {
    let (front, rest) = input.split_at(len_max.min(input.len()));
    *input = rest;
    front
}

/// The octets of a mark.
const MARK_LEN: usize = 4;

/// In a mark: the fragment is the last of its record.
const LAST: u32 = 1 << 31;

/// The memory that is kept from one record to the next, in octets; our choice.
const KEPT_CAPACITY: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::collection::vec as some;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_is_one_fragment_behind_its_mark() {
        let mut out = vec![7];
        put_record(&mut out, |out| out.extend_from_slice(b"abcd"));
        assert_eq!(out, [7, 0x80, 0, 0, 4, b'a', b'b', b'c', b'd']);
    }

    #[test]
    fn an_empty_record_and_empty_fragments_are_taken() {
        let mut reader = RecordReader::new(4);
        let mut input = &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, b'a', 0x80, 0, 0, 0][..];
        assert_eq!(reader.read(&mut input), Ok(Some(&b""[..])));
        assert_eq!(reader.read(&mut input), Ok(Some(&b"a"[..])));
        assert_eq!((reader.read(&mut input), input), (Ok(None), &[][..]));
        assert!(!reader.is_within_record());
    }

    #[test]
    fn a_record_that_is_too_long_is_refused_by_its_mark() {
        for input in [&[0x80, 0, 0, 5][..], &[0xff; 4], &[0, 0, 0, 3, 1, 2, 3, 0x80, 0, 0, 2]] {
            let mut reader = RecordReader::new(4);
            assert_eq!(reader.read(&mut &*input), Err(RecordTooLong { limit: 4 }));
        }
    }

    #[test]
    fn memory_grows_with_what_arrives() {
        let mut reader = RecordReader::new(usize::MAX >> 1);
        assert_eq!(reader.read(&mut &[0xff, 0xff, 0xff, 0xff, 1, 2][..]), Ok(None));
        assert!(reader.is_within_record() && reader.record.capacity() <= 64);
    }

    proptest! {
        #[test]
        fn records_arrive_whole_however_they_are_cut(
            records in some(some(any::<u8>(), 0..40), 0..6),
            fragment_len in 1_usize..16,
            piece_len in 1_usize..16,
        ) {
            let mut stream = Vec::new();
            for record in &records {
                let mut fragments = record.chunks(fragment_len).peekable();
                if record.is_empty() {
                    put_record(&mut stream, |_| ());
                }
                while let Some(fragment) = fragments.next() {
                    let last = if fragments.peek().is_none() { LAST } else { 0 };
                    stream.extend_from_slice(&(last | fragment.len() as u32).to_be_bytes());
                    stream.extend_from_slice(fragment);
                }
            }
            let mut reader = RecordReader::new(40);
            let mut read = Vec::new();
            for mut piece in stream.chunks(piece_len) {
                while let Some(record) = reader.read(&mut piece).unwrap() {
                    read.push(record.to_vec());
                }
            }
            prop_assert_eq!(read, records);
            prop_assert!(!reader.is_within_record());
        }

        #[test]
        fn octets_of_chance_never_exceed_the_limit(octets in some(any::<u8>(), 0..200), limit in 0_usize..64) {
            let mut reader = RecordReader::new(limit);
            let mut input = &octets[..];
            while let Ok(Some(record)) = reader.read(&mut input) {
                prop_assert!(record.len() <= limit);
            }
            prop_assert!(reader.record.len() <= limit);
        }
    }
}
