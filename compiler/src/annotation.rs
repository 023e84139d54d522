//! Comments to documentation and annotations.

use core::time::Duration;

use crate::ast::{Annotation, AnnotationKind, Notes};
use crate::diagnostic::Diagnostic;
use crate::lex::number;
use crate::model::{Docs, Semantics, Stream};
use crate::source::{Sources, Span};

/// Reads comments: what they say to the reader and what to the compiler, and what is wrong with the latter.
pub(crate) fn notes(comments: &[Span], sources: &Sources, mut report: impl FnMut(Diagnostic)) -> Notes {
    let mut notes = Notes::default();
    let mut left = COMMENT_LEN_MAX;
    for comment in comments {
        if !notes.docs.0.is_empty() {
            // What stood before and what stands after are two paragraphs, unless lines of `//` make one.
            let slashes = sources.slice(*comment).starts_with(b"//");
            if !slashes {
                notes.docs.0.push(String::new());
            }
        }
        let mut comment = *comment;
        if comment.end - comment.start > left {
            comment.end = comment.start + left;
            let message = format!("comments of more than {} KiB, of which the rest is not read", COMMENT_LEN_MAX >> 10);
            report(Diagnostic::warning(Span { end: comment.start, ..comment }, message).help("shorten them"));
        }
        left -= comment.end - comment.start;
        for (span, line) in lines(comment, sources) {
            match annotation(&line) {
                Read::Text => notes.docs.0.push(line),
                Read::Annotation(kind) => notes.annotations.push(Annotation { kind, span }),
                Read::Wrong(message, help) => report(Diagnostic::error(span, message).help(help)),
                Read::Misspelt(word) => {
                    let message =
                        format!("no annotation is called `{}`", line.split_whitespace().next().unwrap_or_default());
                    report(Diagnostic::warning(span, message).help(format!("did you mean `@{word}`?")));
                    notes.docs.0.push(line);
                }
            }
        }
    }
    trim(&mut notes.docs);
    notes
}

/// How long the comments at one definition may be, in octets; chosen by us.
const COMMENT_LEN_MAX: u32 = 64 << 10;

/// Returns the lines of a comment without its marks, and where each stands.
fn lines(comment: Span, sources: &Sources) -> Vec<(Span, String)> {
    let text = sources.slice(comment);
    let mut lines = Vec::new();
    let mut start = comment.start;
    for line in text.split(|octet| *octet == b'\n') {
        let end = start + line.len() as u32;
        let mut inner = line;
        for mark in [&b"/*"[..], b"//"] {
            if start == comment.start {
                inner = inner.strip_prefix(mark).unwrap_or(inner);
            }
        }
        if end == comment.end {
            inner = inner.strip_suffix(b"*/").unwrap_or(inner);
        }
        inner = inner.trim_ascii();
        // A margin or a rule of stars, slashes or exclamation marks belongs to the frame.
        let margin = inner.iter().position(|octet| !matches!(octet, b'*' | b'!' | b'/')).unwrap_or(inner.len());
        let is_margin = inner.get(margin).is_none_or(u8::is_ascii_whitespace) || margin == 0;
        inner = if is_margin { &inner[margin..] } else { inner };
        // One space after the margin is the frame's, more are an indentation.
        let inner = without_stars_at_end(inner.strip_prefix(b" ").unwrap_or(inner));
        let trimmed = inner.trim_ascii_start();
        let offset = trimmed.as_ptr().addr() - line.as_ptr().addr();
        let from = if trimmed.is_empty() { start } else { start + offset as u32 };
        let span = Span { start: from, end: from + trimmed.len() as u32, ..comment };
        lines.push((span, printable(inner)));
        start = end + 1;
    }
    lines
}

/// Returns a line without the right side of a frame around the comment.
fn without_stars_at_end(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii_end();
    let stars = line.iter().rev().take_while(|octet| **octet == b'*').count();
    let text = &line[..line.len() - stars];
    if text.last().is_none_or(u8::is_ascii_whitespace) { text.trim_ascii_end() } else { line }
}

/// Returns text without what commands a terminal or reorders what is read.
fn printable(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets)
        .chars()
        .map(|c| match c {
            '\t' => ' ',
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

fn trim(docs: &mut Docs) {
    while docs.0.last().is_some_and(|line| line.trim().is_empty()) {
        docs.0.pop();
    }
    let blank = docs.0.iter().take_while(|line| line.trim().is_empty()).count();
    docs.0.drain(..blank);
    docs.0.dedup_by(|later, earlier| later.is_empty() && earlier.is_empty());
}

/// What a line of a comment is.
enum Read {
    Text,
    Annotation(AnnotationKind),
    /// With what is wrong and what to do.
    Wrong(String, &'static str),
    /// With what was meant.
    Misspelt(&'static str),
}

fn annotation(line: &str) -> Read {
    let mut words = line.split_whitespace();
    let Some(word) = words.next().and_then(|word| word.strip_prefix('@')) else { return Read::Text };
    let values: Vec<&str> = words.collect();
    let wrong = |what: &str, help| Read::Wrong(format!("`@{word}` {what}"), help);
    let kind = match (word, &values[..]) {
        ("semantics", ["at-most-once"]) => AnnotationKind::Semantics(Semantics::AtMostOnce),
        ("semantics", ["at-least-once"]) => AnnotationKind::Semantics(Semantics::AtLeastOnce),
        ("semantics", ["exactly-once"]) => AnnotationKind::Semantics(Semantics::ExactlyOnce),
        ("semantics", ["maybe"]) => AnnotationKind::Semantics(Semantics::Maybe),
        ("semantics", _) => {
            return wrong("wants one of four words", "write at-most-once, at-least-once, exactly-once or maybe");
        }
        ("deadline", ["none"]) => AnnotationKind::Deadline(None),
        ("deadline", [value]) => match duration(value) {
            Some(duration) => AnnotationKind::Deadline(Some(duration)),
            None => return wrong("wants a duration", "write for example 5s, 250ms, 2m, 1h or none"),
        },
        ("deadline", _) => return wrong("wants a duration", "write for example 5s, 250ms, 2m, 1h or none"),
        ("oneway", []) => AnnotationKind::Oneway,
        ("progress", []) => AnnotationKind::Progress,
        ("lenient", []) => AnnotationKind::Lenient,
        ("oneway" | "progress" | "lenient", _) => {
            return wrong("takes no value", "put what is meant for the reader on a line of its own");
        }
        ("stream", []) => AnnotationKind::Stream(Stream::Both),
        ("stream", ["args"]) => AnnotationKind::Stream(Stream::Arguments),
        ("stream", ["result"]) => AnnotationKind::Stream(Stream::Result),
        ("stream", _) => return wrong("wants `args`, `result` or nothing", "without a word, both flow in pieces"),
        ("max", [.., value]) => match (quantity(value), &values[..values.len() - 1]) {
            (Some(max), []) => AnnotationKind::Max(max),
            (Some(max), ["args"]) => AnnotationKind::MaxArguments(max),
            (Some(max), ["result"]) => AnnotationKind::MaxResult(max),
            _ => return wrong("wants a number of at most 32 bits", MAX_HELP),
        },
        ("memory", [value]) => match quantity(value) {
            Some(factor) if factor > 0 => AnnotationKind::Memory(factor),
            _ => return wrong("wants a number of at least 1", MEMORY_HELP),
        },
        ("memory", _) => return wrong("wants a number of at least 1", MEMORY_HELP),
        ("max", []) => return wrong("wants a number of at most 32 bits", MAX_HELP),
        ("program" | "version", [value]) => match (quantity(value), word) {
            (Some(number), "program") => AnnotationKind::Program(number),
            (Some(number), _) => AnnotationKind::Version(number),
            // Other tools have versions that are no numbers.
            (None, _) => return Read::Text,
        },
        _ => return WORDS.iter().find(|known| is_near(word, known)).map_or(Read::Text, |known| Read::Misspelt(known)),
    };
    Read::Annotation(kind)
}

const MAX_HELP: &str = "write for example 255, 64K or 1M; for a procedure, args or result before it";

const MEMORY_HELP: &str =
    "write how many octets of memory each octet of an encoding may take: 4 unless told otherwise, 16 is much";

const WORDS: [&str; 8] = ["semantics", "deadline", "oneway", "stream", "progress", "max", "memory", "lenient"];

/// Reads a duration: an integer and one of the units ms, s, m, h.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let count: u64 = text[..digits].parse().ok()?;
    let millis = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    // Zero is no deadline that a call could keep.
    count.checked_mul(millis).filter(|millis| *millis > 0).map(Duration::from_millis)
}

/// Reads a number as the language has it, perhaps with K, M or G for powers of 1024 after it.
fn quantity(text: &str) -> Option<u32> {
    let (digits, unit) = match text.strip_suffix(['K', 'M', 'G']) {
        Some(digits) if text.ends_with('K') => (digits, 1_u128 << 10),
        Some(digits) if text.ends_with('M') => (digits, 1 << 20),
        Some(digits) => (digits, 1 << 30),
        None => (text, 1),
    };
    let value = u128::try_from(number(digits).ok()?).ok()?;
    u32::try_from(value * unit).ok()
}

/// Returns whether one is the other with one letter wrong, missing, too many, or two in the wrong order.
fn is_near(word: &str, known: &str) -> bool {
    let (a, b) = (word.as_bytes(), known.as_bytes());
    // Short words are near to too many.
    if b.len() < 5 || word == known {
        return false;
    }
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[same..], &b[same..]);
    let rest = |slice: &[u8], from: usize| slice.get(from..).map(<[u8]>::to_vec);
    rest(a, 1) == rest(b, 1) && a.len() == b.len()
        || rest(a, 1).is_some_and(|a| a == b)
        || rest(b, 1).is_some_and(|b| a == b)
        || a.len() == b.len() && a.len() >= 2 && a[0] == b[1] && a[1] == b[0] && a[2..] == b[2..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Purpose;

    #[test]
    fn the_frame_of_a_comment_is_no_documentation() {
        assert_eq!(docs("/* one line */"), ["one line"]);
        assert_eq!(docs("/**\n * Two\n *   lines.\n *\n */"), ["Two", "  lines."]);
        assert_eq!(docs("/*\n * #####\n */"), ["#####"]);
        assert_eq!(docs("/*****\n plain \n *****/"), ["plain"]);
        assert_eq!(docs("// slashes\r"), ["slashes"]);
        assert_eq!(docs("/**/"), [""; 0]);
        assert_eq!(docs("/* *x may be null */"), ["*x may be null"]);
    }

    #[test]
    fn annotations_are_read_at_the_start_of_a_line_only() {
        assert_eq!(read("/* @semantics maybe */"), [AnnotationKind::Semantics(Semantics::Maybe)]);
        assert_eq!(
            read("/*\n * Adds.\n * @deadline 250ms\n * @max args 64K\n * @oneway */"),
            [
                AnnotationKind::Deadline(Some(Duration::from_millis(250))),
                AnnotationKind::MaxArguments(65536),
                AnnotationKind::Oneway
            ]
        );
        assert_eq!(read("/* mail to a@oneway */"), []);
        assert_eq!(read("/* @(#)nis.x 1.3 */"), []);
        assert_eq!(read("/* @generate: both */"), []);
    }

    #[test]
    fn a_wrong_or_misspelt_annotation_is_told() {
        for text in [
            "/* @semantics twice */",
            "/* @deadline 5 */",
            "/* @deadline 0s */",
            "/* @max 5G */",
            "/* @oneway maybe */",
            "/* @memory 0 */",
            "/* @memory */",
            "/* @lenient yes */",
        ] {
            assert_eq!(told(text), 1, "{text}");
        }
        for text in ["/* @semantic maybe */", "/* @deadlien 5s */", "/* @onewayy */"] {
            assert_eq!(told(text), 1, "{text}");
        }
    }

    fn docs(text: &str) -> Vec<String> {
        run(text).0.docs.0
    }

    fn read(text: &str) -> Vec<AnnotationKind> {
        run(text).0.annotations.iter().map(|annotation| annotation.kind).collect()
    }

    fn told(text: &str) -> usize {
        run(text).1
    }

    fn run(text: &str) -> (Notes, usize) {
        let mut sources = Sources::default();
        let file = sources.add("a.x".into(), text.as_bytes().to_vec(), Purpose::Part, None);
        let mut told = 0;
        let notes = notes(&[Span { file, start: 0, end: text.len() as u32 }], &sources, |_| told += 1);
        (notes, told)
    }
}
