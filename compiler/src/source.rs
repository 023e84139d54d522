//! Source files and places within them.

use alloc::sync::Arc;

/// Names one of the [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// A stretch of one source file, in octets from its start.
///
/// Twelve octets, so that every node of a tree can afford one; lines and columns are counted when somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Offset of the first octet.
    pub start: u32,
    /// Offset after the last octet.
    pub end: u32,
}

impl Span {
    /// Returns the stretch from the start of `self` to the end of `last`.
    ///
    /// What begins in one file and ends in another is given by its beginning alone.
    #[must_use]
    pub fn to(self, last: Self) -> Self {
        if self.file == last.file && last.end > self.end { Self { end: last.end, ..self } } else { self }
    }
}

/// A place as people count: from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters; an octet that belongs to none counts as one.
    pub column: usize,
}

/// The files that were read for one interface file: itself first, then what it includes, in that order.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

/// Why a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It is what was asked for, or a part of that.
    Part,
    /// It is the interface file behind a C header.
    Import,
}

#[derive(Clone, Debug)]
struct Source {
    name: String,
    octets: Arc<Vec<u8>>,
    purpose: Purpose,
    included_at: Option<Span>,
}

impl Sources {
    /// Returns the name of a file, as the user gave it or as it was found.
    #[must_use]
    pub fn name(&self, file: FileId) -> &str {
        &self.file(file).name
    }

    /// Returns the names of all files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    /// Returns the place of the first octet of `span`.
    #[must_use]
    pub fn position(&self, span: Span) -> Position {
        let before = &self.octets(span.file)[..span.start as usize];
        let line_start = before.iter().rposition(|octet| *octet == b'\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.iter().filter(|octet| **octet == b'\n').count() + 1,
            column: String::from_utf8_lossy(&before[line_start..]).chars().count() + 1,
        }
    }

    /// Returns the octets of `span`, with what is no UTF-8 replaced.
    #[must_use]
    pub fn text(&self, span: Span) -> String {
        String::from_utf8_lossy(self.slice(span)).into_owned()
    }

    pub(crate) fn add(&mut self, name: String, octets: Vec<u8>, purpose: Purpose, included_at: Option<Span>) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).expect("the count of includes is limited"));
        self.files.push(Source { name, octets: Arc::new(octets), purpose, included_at });
        id
    }

    pub(crate) fn octets(&self, file: FileId) -> &Arc<Vec<u8>> {
        &self.file(file).octets
    }

    pub(crate) fn slice(&self, span: Span) -> &[u8] {
        &self.octets(span.file)[span.start as usize..span.end as usize]
    }

    pub(crate) fn purpose(&self, file: FileId) -> Purpose {
        self.file(file).purpose
    }

    /// Returns where the file is included, if it is.
    pub(crate) fn included_at(&self, file: FileId) -> Option<Span> {
        self.file(file).included_at
    }

    fn file(&self, file: FileId) -> &Source {
        &self.files[file.0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let mut sources = Sources::default();
        let file = sources.add("a.x".into(), "ab\nää x\r\n\u{7fff}y".as_bytes().to_vec(), Purpose::Part, None);
        let at = |start| sources.position(Span { file, start, end: start });
        assert_eq!(at(0), Position { line: 1, column: 1 });
        assert_eq!(at(3), Position { line: 2, column: 1 });
        assert_eq!(at(8), Position { line: 2, column: 4 });
        assert_eq!(at(14), Position { line: 3, column: 2 });
    }
}
