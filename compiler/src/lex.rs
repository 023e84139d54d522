//! Octets of one file to tokens.

use alloc::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::options::Dialect;
use crate::source::{FileId, Span};

/// The longest identifier, in octets; chosen by us.
pub const IDENTIFIER_LEN_MAX: usize = 255;

/// A token: what it is and where. Its text is looked up in the source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    /// Where its text stands: within a `#define` for what a macro stands for.
    pub(crate) text: Span,
    /// Where to point if there is something to say about it: for what a macro stands for, where the macro is used.
    pub(crate) span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Identifier,
    /// Digits with what clings to them; whether it is a number is seen when its value is asked for.
    Number,
    /// With its quotes.
    Text,
    /// `'c'`
    Character,
    /// One octet of punctuation.
    Punctuation(u8),
    /// `::`
    PathSeparator,
    /// From `#` to the end of the line, continued lines and comments included.
    Directive,
    /// From `%` to the end of the line, continued lines included.
    PercentLine,
    Comment,
    /// What begins no token, and was told.
    Stray,
    End,
}

/// Cuts a file into tokens.
#[derive(Debug)]
pub(crate) struct Lexer {
    pub(crate) file: FileId,
    octets: Arc<Vec<u8>>,
    position: usize,
    end: usize,
    dialect: Dialect,
    lines: Lines,
}

/// Whether `#` and `%` mean something at the start of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lines {
    Special,
    Ordinary,
}

impl Lexer {
    pub(crate) fn new(file: FileId, octets: Arc<Vec<u8>>, dialect: Dialect) -> Self {
        let position = if octets.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        Self { file, end: octets.len(), octets, position, dialect, lines: Lines::Special }
    }

    /// Cuts what lies within `span` alone, where no line is special.
    pub(crate) fn within(span: Span, octets: Arc<Vec<u8>>, dialect: Dialect) -> Self {
        let (position, end) = (span.start as usize, span.end as usize);
        Self { file: span.file, octets, position, end, dialect, lines: Lines::Ordinary }
    }

    /// Returns the next token, a comment perhaps.
    pub(crate) fn next(&mut self, diagnostics: &mut Diagnostics) -> Token {
        self.skip_white();
        let start = self.position;
        let Some(first) = self.at(start) else { return self.token(TokenKind::End, start) };
        let kind = match first {
            b'#' if self.lines == Lines::Special && self.is_first_on_line(start) => {
                self.skip_line(Comments::Skip);
                TokenKind::Directive
            }
            b'%' if self.lines == Lines::Special && self.starts_line(start) => {
                self.skip_line(Comments::Keep);
                TokenKind::PercentLine
            }
            b'/' if self.at(start + 1) == Some(b'*') => {
                if !self.skip_block_comment() {
                    let opening = Span { end: start as u32 + 2, ..self.span(start) };
                    diagnostics.push(
                        Diagnostic::error(opening, "this comment has no end")
                            .help("end it with `*/`; comments do not nest"),
                    );
                }
                TokenKind::Comment
            }
            b'/' if self.at(start + 1) == Some(b'/') && !self.dialect.is_strict() => {
                self.skip_to_line_end();
                TokenKind::Comment
            }
            b'"' | b'\'' => self.quoted(first, diagnostics),
            b'0'..=b'9' => self.word(TokenKind::Number),
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => self.identifier(diagnostics),
            b':' if self.at(start + 1) == Some(b':') => {
                self.position += 2;
                TokenKind::PathSeparator
            }
            b'{' | b'}' | b'(' | b')' | b'[' | b']' | b'<' | b'>' | b',' | b';' | b':' | b'=' | b'*' | b'-' => {
                self.position += 1;
                TokenKind::Punctuation(first)
            }
            b'!'..=b'~' if self.lines == Lines::Ordinary => {
                self.position += 1;
                TokenKind::Punctuation(first)
            }
            _ => self.stray(diagnostics),
        };
        self.token(kind, start)
    }

    /// Returns the next directive, whatever else there is before it.
    pub(crate) fn next_directive(&mut self, diagnostics: &mut Diagnostics) -> Token {
        loop {
            self.skip_white();
            let start = self.position;
            match self.at(start) {
                None => return self.token(TokenKind::End, start),
                Some(b'#') if self.is_first_on_line(start) => {
                    self.skip_line(Comments::Skip);
                    return self.token(TokenKind::Directive, start);
                }
                Some(b'%') if self.starts_line(start) => self.skip_line(Comments::Keep),
                Some(b'/') if self.at(start + 1) == Some(b'*') => {
                    if !self.skip_block_comment() {
                        diagnostics.push(
                            Diagnostic::error(self.span(start), "this comment has no end")
                                .help("end it with `*/`; comments do not nest"),
                        );
                    }
                }
                Some(b'/') if self.at(start + 1) == Some(b'/') => self.skip_to_line_end(),
                Some(_) => self.position += 1,
            }
        }
    }

    fn at(&self, position: usize) -> Option<u8> {
        self.octets[..self.end].get(position).copied()
    }

    fn span(&self, start: usize) -> Span {
        Span { file: self.file, start: start as u32, end: self.position as u32 }
    }

    fn token(&self, kind: TokenKind, start: usize) -> Token {
        let span = self.span(start);
        Token { kind, text: span, span }
    }

    fn starts_line(&self, position: usize) -> bool {
        position == 0 || self.octets[position - 1] == b'\n' || position == 3 && self.octets.starts_with(BYTE_ORDER_MARK)
    }

    fn is_first_on_line(&self, position: usize) -> bool {
        let before = self.octets[..position].iter().rposition(|octet| !matches!(octet, b' ' | b'\t'));
        before.is_none_or(|before| self.starts_line(before + 1))
    }

    fn skip_white(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) = self.at(self.position) {
            self.position += 1;
        }
    }

    fn skip_to_line_end(&mut self) {
        let rest = &self.octets[self.position..self.end];
        self.position += rest.iter().position(|octet| *octet == b'\n').unwrap_or(rest.len());
    }

    /// Skips to the end of the line, and of the lines that it is continued on by `\`.
    fn skip_line(&mut self, comments: Comments) {
        while let Some(octet) = self.at(self.position) {
            match octet {
                b'\n' => {
                    let before = &self.octets[..self.position];
                    let before = before.strip_suffix(b"\r").unwrap_or(before);
                    if !before.ends_with(b"\\") {
                        return;
                    }
                    self.position += 1;
                }
                b'/' if comments == Comments::Skip && self.at(self.position + 1) == Some(b'*') => {
                    // Without an end it goes to the end of the file, as in C.
                    let _ = self.skip_block_comment();
                }
                _ => self.position += 1,
            }
        }
    }

    /// Skips a comment and returns whether it has an end.
    fn skip_block_comment(&mut self) -> bool {
        let body = self.position + 2;
        let rest = &self.octets[body..self.end];
        match rest.windows(2).position(|two| two == b"*/") {
            Some(len) => {
                self.position = body + len + 2;
                true
            }
            None => {
                self.position = self.end;
                false
            }
        }
    }

    fn word(&mut self, kind: TokenKind) -> TokenKind {
        while self.at(self.position).is_some_and(|octet| octet.is_ascii_alphanumeric() || octet == b'_') {
            self.position += 1;
        }
        kind
    }

    fn identifier(&mut self, diagnostics: &mut Diagnostics) -> TokenKind {
        let start = self.position;
        let kind = self.word(TokenKind::Identifier);
        if self.position - start > IDENTIFIER_LEN_MAX {
            let beginning = Span { end: start as u32 + 16, ..self.span(start) };
            diagnostics.push(
                Diagnostic::error(beginning, format!("this name has {} octets", self.position - start))
                    .help(format!("names may have up to {IDENTIFIER_LEN_MAX}")),
            );
        }
        kind
    }

    fn quoted(&mut self, quote: u8, diagnostics: &mut Diagnostics) -> TokenKind {
        let start = self.position;
        self.position += 1;
        loop {
            match self.at(self.position) {
                Some(b'\\') if self.at(self.position + 1).is_some_and(|next| next != b'\n') => self.position += 2,
                Some(octet) if octet == quote => {
                    self.position += 1;
                    return if quote == b'"' { TokenKind::Text } else { TokenKind::Character };
                }
                None | Some(b'\n') => {
                    let opening = Span { end: start as u32 + 1, ..self.span(start) };
                    diagnostics.push(
                        Diagnostic::error(opening, "this text has no end")
                            .help("close the quotes on the line where they are opened"),
                    );
                    return TokenKind::Stray;
                }
                Some(_) => self.position += 1,
            }
        }
    }

    /// Skips and reports what begins no token.
    fn stray(&mut self, diagnostics: &mut Diagnostics) -> TokenKind {
        let start = self.position;
        let rest = &self.octets[start..self.end];
        // What is not ASCII goes together, as the word that it mostly is.
        let len = rest.iter().take_while(|octet| !octet.is_ascii()).count().max(1);
        let text = core::str::from_utf8(&rest[..len]);
        self.position += len;
        let span = self.span(start);
        let mut kind = TokenKind::Stray;
        let (message, help) = match text {
            Err(_) => (format!("octet 0x{:02x} is no UTF-8", rest[0]), "save the file as UTF-8"),
            Ok("\0") => {
                // It is no text, and has more of them.
                self.position = self.end;
                ("octet 0x00 in an interface file".into(), "save the file as UTF-8")
            }
            Ok("%") => ("stray `%`".into(), "a line for C has its `%` in the first column"),
            Ok("/") if self.at(start + 1) == Some(b'/') => {
                self.skip_to_line_end();
                kind = TokenKind::Comment;
                (
                    "`//` begins no comment in the strict dialect".into(),
                    "write `/* … */`, or choose another dialect: --dialect sun",
                )
            }
            Ok(text) if text.chars().all(|c| c.is_alphabetic()) => {
                (format!("stray `{text}`"), "names are made of the letters a to z, digits and underscores")
            }
            Ok(text) if text.len() == 1 && !text.contains(char::is_control) => (format!("stray `{text}`"), STRAY_HELP),
            Ok(text) => (
                format!("stray character {}", text.chars().take(1).flat_map(char::escape_unicode).collect::<String>()),
                STRAY_HELP,
            ),
        };
        diagnostics.push(Diagnostic::error(span, message).help(help));
        kind
    }
}

const STRAY_HELP: &str = "remove it: nothing in the language begins with it";

/// What becomes of comments on a line that is skipped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comments {
    /// They are skipped with it, however many lines they have.
    Skip,
    /// They are nothing special.
    Keep,
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Reads a number without a sign: decimal, `0x` hexadecimal or `0` octal, at most 64 bits wide.
///
/// # Errors
/// What is wrong with it, and what to do about it.
pub(crate) fn number(text: &str) -> Result<i128, (String, &'static str)> {
    let lower = text.to_ascii_lowercase();
    let (radix, digits) = match lower.strip_prefix("0x") {
        Some(digits) => (16, digits),
        None if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        None => (10, lower.as_str()),
    };
    if let Some(wrong) = digits.chars().find(|c| !c.is_digit(radix)) {
        let suffix = digits.trim_start_matches(|c: char| c.is_digit(radix));
        if matches!(suffix, "u" | "l" | "ul" | "lu" | "ll" | "ull") {
            return Err((format!("a number with the suffix `{suffix}` of C"), "leave the suffix out"));
        }
        return Err(match radix {
            8 if wrong.is_ascii_digit() => (
                format!("`{wrong}` is no octal digit"),
                "a number that begins with 0 is octal; leave the 0 out for a decimal one",
            ),
            _ => (format!("`{wrong}` in a number"), "names begin with a letter; numbers have digits only"),
        });
    }
    if digits.is_empty() {
        return Err(("a number without digits".into(), "write hexadecimal numbers like 0x1f"));
    }
    let value = u64::from_str_radix(digits, radix).map_err(|_| too_wide())?;
    Ok(value.into())
}

/// Returns what is wrong with a number that is too large or too small, and what to do about it.
pub(crate) fn too_wide() -> (String, &'static str) {
    ("a number of more than 64 bits".to_owned(), "constants lie within -2^63 and 2^64 - 1")
}

/// Reads what stands within quotes, escapes of C included.
pub(crate) fn unquote(quoted: &str) -> String {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some('0') => text.push('\0'),
                Some(other) => text.push(other),
                None => {}
            },
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_hexadecimal_or_octal() {
        for (text, value) in
            [("0", 0), ("17", 17), ("0x1F", 31), ("0XFFFFFFFFFFFFFFFF", i128::from(u64::MAX)), ("0170000", 0o170_000)]
        {
            assert_eq!(number(text), Ok(value), "{text}");
        }
        for text in ["08", "0x", "0xg", "1a", "12UL", "18446744073709551616", "0x1ffffffffffffffffffffffffffffffffffff"]
        {
            assert!(number(text).is_err(), "{text}");
        }
    }
}
