//! Source files and places within them.

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
