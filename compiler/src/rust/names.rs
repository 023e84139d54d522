//! Names as Rust writes them, each once.

use alloc::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, Span};

use crate::model::Name;

/// A name that could not be taken as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renaming {
    /// The name in the interface file.
    pub name: Name,
    /// What it would be in Rust.
    pub wanted: String,
    /// What it is.
    pub given: String,
    /// Why.
    pub reason: Reason,
}

/// Why a name was not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is a word of the language.
    Keyword,
    /// Generated code uses it for something else.
    Reserved,
    /// Another name becomes the same in Rust.
    Taken,
}

/// How a kind of name is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// `LikeThis`: types and variants.
    Camel,
    /// `like_this`: functions, fields, arguments and modules.
    Snake,
    /// `LIKE_THIS`: constants.
    Screaming,
}

/// The names that are taken in one place.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    reserved: &'static [&'static str],
    taken: BTreeSet<String>,
    /// The number that each name that is wanted again would get next: a hostile file wants one very often.
    next: BTreeMap<String, u32>,
}

impl Scope {
    pub(super) const fn new(reserved: &'static [&'static str]) -> Self {
        Self { reserved, taken: BTreeSet::new(), next: BTreeMap::new() }
    }

    /// Lets nobody have a name.
    pub(super) fn reserve(&mut self, name: String) {
        self.taken.insert(name);
    }

    /// Takes a name: the one wanted, or the next that is free.
    pub(super) fn take(&mut self, case: Case, name: &Name, renamings: &mut Vec<Renaming>) -> Ident {
        let wanted = case.of(&name.text);
        self.take_as(case, wanted, name, renamings)
    }

    /// Takes a name that was made from that of the source.
    pub(super) fn take_as(&mut self, case: Case, wanted: String, name: &Name, renamings: &mut Vec<Renaming>) -> Ident {
        let reason = self.reason_against(&wanted);
        let Some(reason) = reason else {
            self.taken.insert(wanted.clone());
            return ident(&wanted);
        };
        let mut given = format!("{wanted}_");
        if reason == Reason::Taken || self.reason_against(&given).is_some() {
            let mut number = self.next.get(&wanted).copied().unwrap_or(2);
            given = case.numbered(&wanted, number);
            while self.reason_against(&given).is_some() {
                number += 1;
                given = case.numbered(&wanted, number);
            }
            self.next.insert(wanted.clone(), number + 1);
        }
        self.taken.insert(given.clone());
        let ident = ident(&given);
        renamings.push(Renaming { name: name.clone(), wanted, given, reason });
        ident
    }

    fn reason_against(&self, name: &str) -> Option<Reason> {
        if is_keyword(name) {
            Some(Reason::Keyword)
        } else if self.reserved.contains(&name) {
            Some(Reason::Reserved)
        } else if self.taken.contains(name) {
            Some(Reason::Taken)
        } else {
            None
        }
    }
}

impl Case {
    /// Writes a name of an interface file in this way.
    pub(super) fn of(self, name: &str) -> String {
        let words = words(name);
        let mut written = match self {
            Self::Camel => words.iter().map(|word| capitalized(word)).collect(),
            Self::Snake => words.join("_").to_ascii_lowercase(),
            Self::Screaming => words.join("_").to_ascii_uppercase(),
        };
        if !written.starts_with(|c: char| c.is_ascii_alphabetic()) {
            written.insert(0, if self == Self::Snake { 'x' } else { 'X' });
        }
        written
    }

    fn numbered(self, name: &str, number: u32) -> String {
        match self {
            // Rust wants no underscore in there, and a digit before the number would make another one of it.
            Self::Camel if name.ends_with(|c: char| c.is_ascii_digit()) => format!("{name}N{number}"),
            Self::Camel => format!("{name}{number}"),
            Self::Snake | Self::Screaming => format!("{name}_{number}"),
        }
    }
}

/// Returns an identifier.
pub(super) fn ident(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}

/// Splits a name where its words meet: at underscores, between `aB`, `1B`, and before the last of `ABc`.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    for part in name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()) {
        let octets = part.as_bytes();
        let is_mixed = octets.iter().any(u8::is_ascii_lowercase);
        let mut start = 0;
        for index in 1..octets.len() {
            let (before, here) = (octets[index - 1], octets[index]);
            let is_rise = !before.is_ascii_uppercase() && here.is_ascii_uppercase();
            // `IDs` and `NFSv3` are one word: one small letter does not make another.
            let is_acronym_end = before.is_ascii_uppercase()
                && here.is_ascii_uppercase()
                && octets.get(index + 1..index + 3).is_some_and(|next| next.iter().all(u8::is_ascii_lowercase));
            if is_mixed && (is_rise || is_acronym_end) {
                words.push(part[start..index].to_owned());
                start = index;
            }
        }
        words.push(part[start..].to_owned());
    }
    words
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
}

fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

/// The words that Rust keeps for itself, or may (The Rust Reference, "Keywords", edition 2024), and `_`.
const KEYWORDS: &[&str] = &[
    "Self", "_", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do",
    "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super",
    "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// What the code of types is made of. The modules of versions reach types by `super::`, and need no other names for theirs.
pub(super) const TYPES: &[&str] = &[
    "Bounded",
    "Box",
    "Decode",
    "DecodeBounded",
    "DecodeError",
    "Decoder",
    "Encode",
    "EncodeBounded",
    "EncodeError",
    "Err",
    "Layout",
    "List",
    "None",
    "Ok",
    "Option",
    "Quadruple",
    "Result",
    "S",
    "Sink",
    "Some",
    "UnsignedChar",
    "Vec",
    "XdrString",
];

/// The constants of every version.
pub(super) const VERSION_CONSTANTS: &[&str] = &["NULL", "PROCEDURES", "PROGRAM", "VERSION"];

/// What every client has; and what Rust, which tries methods that take a value before those that borrow it, finds for every value.
pub(super) const METHODS: &[&str] = &["clone", "fmt", "into", "new", "null", "try_into", "with_timeout"];

/// What a method has beside the arguments of its procedure.
pub(super) const ARGUMENTS: &[&str] = &["call"];

/// The same where the handler tells how far it is.
pub(super) const ARGUMENTS_WITH_PROGRESS: &[&str] = &["call", "progress"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_rust_writes_its_kind() {
        for (name, camel, snake, screaming) in [
            ("nfs_fh3", "NfsFh3", "nfs_fh3", "NFS_FH3"),
            ("NFS3ERR_PERM", "Nfs3errPerm", "nfs3err_perm", "NFS3ERR_PERM"),
            ("GETATTR3args", "Getattr3args", "getattr3args", "GETATTR3ARGS"),
            ("fileName", "FileName", "file_name", "FILE_NAME"),
            ("HTTPServer", "HttpServer", "http_server", "HTTP_SERVER"),
            ("IDs", "Ids", "ids", "IDS"),
            ("NFSv3Server", "Nfsv3Server", "nfsv3_server", "NFSV3_SERVER"),
            ("__leading", "Leading", "leading", "LEADING"),
            ("_3com", "X3com", "x3com", "X3COM"),
            ("_", "X", "x", "X"),
        ] {
            assert_eq!(Case::Camel.of(name), camel);
            assert_eq!(Case::Snake.of(name), snake);
            assert_eq!(Case::Screaming.of(name), screaming);
        }
    }
}
