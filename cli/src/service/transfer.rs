//! The stream that carries a file.
//!
//! ```text
//! transfer   8 octets   drawn by the sender
//! file_len   8 octets
//! name_len   2 octets   1 to 255
//! name       UTF-8, of one path component
//! file       file_len octets
//! digest     32 octets  BLAKE3 of the file
//! ```
//!
//! Numbers are big-endian. A stream that ends earlier or later carries no file.

use core::fmt;
use std::io::{self, Read};

/// What precedes the octets of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) transfer: u64,
    pub(crate) file_len: u64,
    /// A name as it came, checked by nobody.
    pub(crate) name: String,
}

impl Header {
    /// Returns the octets of the header.
    ///
    /// # Panics
    /// If the name is longer than 65 535 octets.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let name_len = u16::try_from(self.name.len()).expect("no system has longer names");
        let mut octets = Vec::with_capacity(FIXED_LEN + self.name.len());
        octets.extend_from_slice(&self.transfer.to_be_bytes());
        octets.extend_from_slice(&self.file_len.to_be_bytes());
        octets.extend_from_slice(&name_len.to_be_bytes());
        octets.extend_from_slice(self.name.as_bytes());
        octets
    }

    /// Reads a header from the begin of a stream. A name that is too long or no UTF-8 is read as an empty one.
    ///
    /// # Errors
    /// What the stream says.
    pub(crate) fn read(stream: &mut dyn Read) -> io::Result<Self> {
        let transfer = u64::from_be_bytes(read_array(stream)?);
        let file_len = u64::from_be_bytes(read_array(stream)?);
        let name_len = usize::from(u16::from_be_bytes(read_array(stream)?));
        let mut name = [0; NAME_LEN_MAX];
        let name = match name.get_mut(..name_len) {
            Some(name) => {
                stream.read_exact(name)?;
                core::str::from_utf8(name).unwrap_or_default()
            }
            None => "",
        };
        Ok(Self { transfer, file_len, name: name.to_owned() })
    }
}

/// Why a name is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameError {
    /// It is empty, too long, or no UTF-8.
    Malformed,
    /// It begins with a dot: it is hidden, or leads out of the directory.
    Dot,
    /// It has a character that separates paths, or one that is not printed.
    Forbidden(char),
}

/// Checks that a name that came from elsewhere names a file in the directory that it is put in, on any system.
///
/// # Errors
/// [`NameError`].
pub(crate) fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        return Err(NameError::Malformed);
    }
    if name.starts_with('.') {
        return Err(NameError::Dot);
    }
    match name.chars().find(|&character| character.is_control() || matches!(character, '/' | '\\' | ':')) {
        Some(character) => Err(NameError::Forbidden(character)),
        None => Ok(()),
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => write!(f, "a name has 1 to {NAME_LEN_MAX} octets of UTF-8"),
            Self::Dot => f.write_str("a name does not begin with a dot"),
            Self::Forbidden(character) => write!(f, "a name has no '{}'", character.escape_default()),
        }
    }
}

/// Reads exactly as many octets as the array has.
pub(crate) fn read_array<const LEN: usize>(stream: &mut dyn Read) -> io::Result<[u8; LEN]> {
    let mut octets = [0; LEN];
    stream.read_exact(&mut octets)?;
    Ok(octets)
}

/// What common file systems allow.
const NAME_LEN_MAX: usize = 255;

/// Octets before the name.
const FIXED_LEN: usize = 8 + 8 + 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_as_it_was_written() {
        let header = Header { transfer: 7, file_len: 1 << 40, name: "grüße.txt".to_owned() };
        assert_eq!(Header::read(&mut &header.encode()[..]).unwrap(), header);
    }

    #[test]
    fn a_header_that_is_cut_off_is_an_error() {
        let octets = Header { transfer: 7, file_len: 1, name: "a.txt".to_owned() }.encode();
        for len in 0..octets.len() {
            assert!(Header::read(&mut &octets[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_or_no_text_is_read_as_none() {
        let long = Header { transfer: 7, file_len: 1, name: "a".repeat(256) };
        assert_eq!(Header::read(&mut &long.encode()[..]).unwrap().name, "");
        let mut octets = Header { transfer: 7, file_len: 1, name: "a".to_owned() }.encode();
        *octets.last_mut().unwrap() = 0xff;
        assert_eq!(Header::read(&mut &octets[..]).unwrap().name, "");
    }

    #[test]
    fn names_that_could_lead_elsewhere_are_refused() {
        for name in
            ["", ".", "..", ".hidden", "../a", "a/b", "/a", "a\\b", "c:", "a\0b", "a\nb", "a\x1b[2J", &"a".repeat(256)]
        {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        for name in ["a", "a..b", "a b", "grüße.txt", "~", "-rf", &"a".repeat(255)] {
            assert_eq!(check_name(name), Ok(()), "{name:?}");
        }
    }
}
