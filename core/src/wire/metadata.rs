//! What travels beside the arguments of a call and beside its reply (protocol §6.18).

use core::fmt;

use super::{Malformed, NoRoom, Reader, Writer};

/// The longest metadata that a receiver can announce, in octets (protocol §6.11).
pub const METADATA_LEN_MAX: usize = 4096;

/// The keys that the protocol knows (protocol §6.18).
pub mod key {
    /// The time that is left when the frame is sent: varint µs, 0 is none.
    pub const DEADLINE: u64 = 2;
    /// The priority of the reply: varint, 0 (highest) to 3.
    pub const PRIORITY: u64 = 4;
    /// The trace context: octets.
    pub const TRACE: u64 = 6;
    /// The authorisation: octets.
    pub const AUTHORISATION: u64 = 8;
    /// The Lamport time: varint.
    pub const LAMPORT: u64 = 10;
    /// The longest reply that the caller takes: varint octets.
    pub const MAX_REPLY: u64 = 13;
    /// The time to wait before trying again: varint ms.
    pub const AFTER: u64 = 14;
    /// The first key of the application.
    pub const APPLICATION: u64 = 128;
}

/// Checked items, in ascending order of key; at most [`METADATA_LEN_MAX`] octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metadata<'a>(&'a [u8]);

impl<'a> Metadata<'a> {
    /// No items.
    pub const EMPTY: Self = Self(&[]);

    /// Checks `octets`: they are items with ascending keys, and those with a known key have a value of its kind.
    ///
    /// # Errors
    /// What is wrong with them.
    #[inline]
    pub fn decode(octets: &'a [u8]) -> Result<Self, Malformed> {
        // Mostly there are none.
        if octets.is_empty() { Ok(Self::EMPTY) } else { Self::decode_items(octets) }
    }

    fn decode_items(octets: &'a [u8]) -> Result<Self, Malformed> {
        if octets.len() > METADATA_LEN_MAX {
            return Err(Malformed::Range);
        }
        let mut reader = Reader::new(octets);
        let mut key_min = 0;
        while !reader.is_empty() {
            let key = reader.varint()?;
            if key < key_min {
                return Err(Malformed::Order);
            }
            check_value(key, reader.counted()?)?;
            key_min = key + 1;
        }
        Ok(Self(octets))
    }

    /// Returns the octets on the wire.
    #[inline]
    #[must_use]
    pub const fn as_octets(&self) -> &'a [u8] {
        self.0
    }

    /// Returns keys and values, in ascending order of key.
    #[must_use]
    pub const fn items(&self) -> Items<'a> {
        Items(Reader::new(self.0))
    }

    /// Returns the value of `key`.
    #[inline]
    #[must_use]
    pub fn get(&self, key: u64) -> Option<&'a [u8]> {
        self.items().take_while(|&(found, _)| found <= key).find(|&(found, _)| found == key).map(|(_, value)| value)
    }

    /// Returns the value of a `key` whose value is an integer.
    #[inline]
    #[must_use]
    pub fn get_varint(&self, key: u64) -> Option<u64> {
        self.get(key).and_then(|value| integer(value).ok())
    }

    /// Returns the lowest key that must be understood and that the protocol does not know: a call with it is refused.
    ///
    /// Keys from [`key::APPLICATION`] on are for the application to understand.
    #[must_use]
    pub fn not_understood(&self) -> Option<u64> {
        self.items().map(|(key, _)| key).find(|&key| key < key::APPLICATION && key & 1 == 1 && key != key::MAX_REPLY)
    }
}

/// The items of a [`Metadata`].
#[derive(Clone, Debug)]
pub struct Items<'a>(Reader<'a>);

impl<'a> Iterator for Items<'a> {
    type Item = (u64, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<(u64, &'a [u8])> {
        // Checked items fail only where they end.
        Some((self.0.varint().ok()?, self.0.counted().ok()?))
    }
}

/// Writes items into memory that the caller lends.
#[derive(Debug)]
pub struct MetadataWriter<'a> {
    writer: Writer<'a>,
    key_min: u64,
}

impl<'a> MetadataWriter<'a> {
    /// Makes a writer of no items.
    #[must_use]
    pub fn new(out: &'a mut [u8]) -> Self {
        let len = out.len().min(METADATA_LEN_MAX);
        Self { writer: Writer::new(out.get_mut(..len).unwrap_or_default()), key_min: 0 }
    }

    /// Appends an item; keys ascend.
    ///
    /// # Errors
    /// [`PutError`]; nothing is appended then.
    pub fn put(&mut self, key: u64, value: &[u8]) -> Result<(), PutError> {
        if key < self.key_min {
            return Err(PutError::Order);
        }
        check_value(key, value).map_err(|_| PutError::Value)?;
        let put = self.writer.whole(|writer| {
            writer.varint(key)?;
            writer.counted(value)
        });
        put.map_err(|NoRoom| PutError::NoRoom)?;
        self.key_min = key.saturating_add(1);
        Ok(())
    }

    /// Appends an item whose value is an integer below 2^62; keys ascend.
    ///
    /// # Errors
    /// [`PutError`]; nothing is appended then.
    pub fn put_varint(&mut self, key: u64, value: u64) -> Result<(), PutError> {
        let mut octets = [0; super::varint::VARINT_LEN_MAX];
        let mut writer = Writer::new(&mut octets);
        writer.varint(value).map_err(|NoRoom| PutError::NoRoom)?;
        self.put(key, writer.written())
    }

    /// Returns the items.
    #[must_use]
    pub fn finish(self) -> Metadata<'a> {
        Metadata(self.writer.into_written())
    }
}

/// Why an item was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PutError {
    /// The memory, or [`METADATA_LEN_MAX`], is full: leave it out.
    NoRoom,
    /// The key is not above the one before: sort them.
    Order,
    /// The value is not of the kind that the known key has.
    Value,
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoom => "no room left for metadata",
            Self::Order => "metadata keys do not ascend",
            Self::Value => "metadata value does not fit its key",
        })
    }
}

impl core::error::Error for PutError {}

/// Checks that the value of a known key is of its kind.
fn check_value(key: u64, value: &[u8]) -> Result<(), Malformed> {
    match key {
        key::DEADLINE | key::LAMPORT | key::MAX_REPLY | key::AFTER => integer(value).map(|_| ()),
        key::PRIORITY if integer(value)? > 3 => Err(Malformed::Range),
        _ => Ok(()),
    }
}

fn integer(value: &[u8]) -> Result<u64, Malformed> {
    let mut reader = Reader::new(value);
    let integer = reader.varint()?;
    reader.finish()?;
    Ok(integer)
}
