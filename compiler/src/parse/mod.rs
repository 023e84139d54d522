//! Tokens to a syntax tree.
//!
//! A descent that follows the grammars of RFC 4506 §6.3 and RFC 5531 §12.2. The only thing that can nest in these are types without
//! a name, and their nesting is limited. After an error it goes on where a statement ends, so that a run tells several.

mod definition;
mod program;
mod specifier;

use alloc::rc::Rc;
use std::collections::HashMap;

use crate::annotation::notes;
use crate::ast::{Definition, Namespace, Notes, Specification, Value};
use crate::diagnostic::Diagnostic;
use crate::lex::{IDENTIFIER_LEN_MAX, Token, TokenKind, number, too_wide, unquote};
use crate::model::{Docs, Name};
use crate::options::Dialect;
use crate::preprocess::Preprocessor;
use crate::source::Span;

/// How deep types without a name may nest within each other, and namespaces; chosen by us.
pub const NESTING_MAX: usize = 32;

/// How much an interface may weigh: a definition 1, a part of one 3 more (a member, a field, a case), a struct or union 7 more, an
/// argument 4, a procedure 18, a version 72.
///
/// Chosen by us, like the weights, so that writing all of it in Rust takes about half a second and less than 100 MiB, whatever it
/// consists of. The heaviest that was tried, one of libvirt's, weighs a quarter of it.
pub const WEIGHT_MAX: usize = 3 << 14;

const DEFINITION_WEIGHT: usize = 1;
const PART_WEIGHT: usize = 3;
const BODY_WEIGHT: usize = 7;
const ARGUMENT_WEIGHT: usize = 4;
const PROCEDURE_WEIGHT: usize = 18;
const VERSION_WEIGHT: usize = 72;

/// What was read: the tree, and where the values of `%#define` stand.
pub(crate) struct Parsed {
    pub(crate) specification: Specification,
    pub(crate) completeness: Completeness,
    pub(crate) c_macros: HashMap<String, Span>,
}

/// Whether a tree has all that the source has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completeness {
    Whole,
    /// Something was skipped: what refers to it would seem wrong.
    Partial,
}

/// Reads all that `input` yields.
pub(crate) fn parse(input: Preprocessor<'_>) -> Parsed {
    let mut parser = Parser::new(input);
    parser.specification();
    let Parser { input, definitions, completeness, .. } = parser;
    let (percent_lines, c_macros) = input.finish();
    Parsed { specification: Specification { definitions, percent_lines }, completeness, c_macros }
}

/// What a rule of the grammar gives.
type Rule<T> = Result<T, Failed>;

/// An error was told, and what follows makes no sense.
struct Failed;

struct Parser<'a> {
    input: Preprocessor<'a>,
    /// The next token, not consumed.
    token: Token,
    /// The token that was consumed last.
    previous: Span,
    /// How many braces are open.
    braces: usize,
    /// How many types without a name are open.
    nesting: usize,
    weight: usize,
    doc_line_count: usize,
    namespaces: Vec<String>,
    namespace: Namespace,
    definitions: Vec<Definition>,
    completeness: Completeness,
}

impl<'a> Parser<'a> {
    fn new(mut input: Preprocessor<'a>) -> Self {
        let token = input.next();
        Self {
            input,
            previous: Span { end: token.span.start, ..token.span },
            token,
            braces: 0,
            nesting: 0,
            weight: 0,
            doc_line_count: 0,
            namespaces: Vec::new(),
            namespace: Rc::new([]),
            definitions: Vec::new(),
            completeness: Completeness::Whole,
        }
    }

    fn dialect(&self) -> Dialect {
        self.input.options().dialect
    }

    fn is_strict(&self) -> bool {
        self.dialect().is_strict()
    }

    /// Tells an error, with the way out if that is another dialect.
    fn refuse_in_strict(&mut self, span: Span, what: &str) {
        if self.is_strict() {
            let diagnostic = Diagnostic::error(span, format!("{what} in the strict dialect")).help(
                "write it as RFC 4506 and RFC 5531 have it, or choose the dialect it is written in: --dialect sun",
            );
            self.input.report(diagnostic);
        }
    }

    // Tokens.

    fn bump(&mut self) {
        if self.is(b'{') {
            self.braces += 1;
        } else if self.is(b'}') {
            self.braces = self.braces.saturating_sub(1);
        }
        self.previous = self.token.span;
        self.token = if self.weight > WEIGHT_MAX { self.end() } else { self.input.next() };
    }

    fn end(&self) -> Token {
        Token { kind: TokenKind::End, ..self.token }
    }

    fn is(&self, punctuation: u8) -> bool {
        self.token.kind == TokenKind::Punctuation(punctuation)
    }

    fn is_word(&self, word: &str) -> bool {
        self.token.kind == TokenKind::Identifier && self.token_text() == word.as_bytes()
    }

    fn token_text(&self) -> &[u8] {
        self.input.sources().slice(self.token.text)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(self.token_text()).into_owned()
    }

    /// Returns the text of a word; of one that is too long, which was told already, the beginning.
    fn word(&self) -> String {
        let text = self.token_text();
        String::from_utf8_lossy(&text[..text.len().min(IDENTIFIER_LEN_MAX)]).into_owned()
    }

    fn eat(&mut self, punctuation: u8) -> bool {
        let is = self.is(punctuation);
        if is {
            self.bump();
        }
        is
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        if is {
            self.bump();
        }
        is
    }

    fn expect(&mut self, punctuation: u8, after: &str) -> Rule<()> {
        if self.eat(punctuation) {
            return Ok(());
        }
        Err(self.unexpected(
            &format!("`{}` {after}", char::from(punctuation)),
            "write it here, or correct what stands before it",
        ))
    }

    fn unexpected(&mut self, wanted: &str, help: &str) -> Failed {
        self.completeness = Completeness::Partial;
        let was_told = self.token.kind == TokenKind::Stray || self.weight > WEIGHT_MAX;
        if was_told {
            return Failed;
        }
        let found = if self.token.kind == TokenKind::End {
            "the end of the file".to_owned()
        } else {
            format!("`{}`", self.word().chars().take(FOUND_LEN_MAX).collect::<String>())
        };
        // What is missing at the end of a line is missing there, not at the start of the next.
        let between = Span { start: self.previous.end, end: self.token.span.start, ..self.previous };
        let ends_line = self.token.kind == TokenKind::End
            || between.file == self.token.span.file
                && between.start < between.end
                && self.input.sources().slice(between).contains(&b'\n');
        let span = if ends_line { Span { start: self.previous.end, ..self.previous } } else { self.token.span };
        let diagnostic = Diagnostic::error(span, format!("expected {wanted}, found {found}"));
        self.input.report(diagnostic.help(help));
        Failed
    }

    /// Weighs a definition or a part of one. Past the limit, the input is at its end.
    fn weigh(&mut self, weight: usize) {
        let was_within = self.weight <= WEIGHT_MAX;
        self.weight += weight;
        if was_within && self.weight > WEIGHT_MAX {
            let diagnostic =
                Diagnostic::error(self.token.span, "more definitions and parts of them than one interface may have")
                    .help("divide the interface among several files, without including one in the other");
            self.input.report(diagnostic);
            self.completeness = Completeness::Partial;
            self.token = self.end();
        }
    }

    // Names and values.

    fn name(&mut self, of: &str) -> Rule<Name> {
        if self.token.kind != TokenKind::Identifier {
            let help = "names are made of letters, digits and underscores, and do not begin with a digit";
            return Err(self.unexpected(&format!("the name of {of}"), help));
        }
        let text = self.text();
        let span = self.token.span;
        let reserved =
            RESERVED.contains(&text.as_str()) || self.is_strict() && RESERVED_IN_STRICT.contains(&text.as_str());
        if reserved {
            let diagnostic =
                Diagnostic::error(span, format!("expected the name of {of}, found the word `{text}` of the language"))
                    .help("choose another name");
            self.input.report(diagnostic);
            return Err(Failed);
        }
        if text.starts_with('_') {
            self.refuse_in_strict(span, "a name that begins with an underscore");
        }
        self.bump();
        Ok(Name { text, span })
    }

    fn is_reserved(&self, word: &str) -> bool {
        RESERVED.contains(&word) || self.is_strict() && RESERVED_IN_STRICT.contains(&word)
    }

    /// Reads a name, perhaps with namespaces before it.
    fn path(&mut self, of: &str) -> Rule<Name> {
        let mut name = self.name(of)?;
        while self.token.kind == TokenKind::PathSeparator && self.dialect() == Dialect::Xdrpp {
            self.bump();
            let part = self.name(of)?;
            name.text.push_str("::");
            name.text.push_str(&part.text);
            name.span = name.span.to(part.span);
        }
        Ok(name)
    }

    fn value(&mut self, of: &str) -> Rule<Value> {
        if self.token.kind == TokenKind::Identifier && !self.is_reserved(&self.word()) {
            return Ok(Value::Name(self.path(of)?));
        }
        let span = self.token.span;
        let sign = if self.eat(b'-') { -1 } else { 1 };
        if self.token.kind == TokenKind::Number {
            return Ok(self.number(sign, span));
        }
        if sign == 1 && matches!(self.token.kind, TokenKind::Character | TokenKind::Text) {
            return Ok(self.quoted());
        }
        Err(self.unexpected(of, "write a number, or the name of a constant"))
    }

    /// Reads a number whose sign, if it has one, stands at the start of `span`.
    fn number(&mut self, sign: i128, span: Span) -> Value {
        let text = self.word();
        let span = span.to(self.token.span);
        self.bump();
        let value = number(&text)
            .map(|magnitude| sign * magnitude)
            .and_then(|value| if value >= i64::MIN.into() { Ok(value) } else { Err(too_wide()) });
        let value = value.unwrap_or_else(|(what, help)| {
            self.input.report(Diagnostic::error(span, what).help(help));
            0
        });
        Value::Integer(value, span)
    }

    /// Reads a text, or a character, which is a number.
    fn quoted(&mut self) -> Value {
        let span = self.token.span;
        let is_text = self.token.kind == TokenKind::Text;
        self.refuse_in_strict(span, if is_text { "a text as a constant" } else { "a character as a constant" });
        let text = unquote(&self.text());
        self.bump();
        if is_text {
            return Value::Text(text, span);
        }
        let mut characters = text.chars();
        let (Some(character), None) = (characters.next(), characters.next()) else {
            let diagnostic = Diagnostic::error(span, "expected one character within the quotes");
            self.input.report(diagnostic.help("a text stands in double quotes"));
            return Value::Integer(0, span);
        };
        Value::Integer(u32::from(character).into(), span)
    }

    // Comments.

    /// Takes the comments right before the next token: those from which no blank line divides it.
    fn leading(&mut self) -> Vec<Span> {
        let mut comments = core::mem::take(self.input.comments());
        let mut next = self.token.span;
        let mut first = comments.len();
        while first > 0 && self.adjoin(comments[first - 1], next) {
            first -= 1;
            next = comments[first];
        }
        comments.split_off(first)
    }

    /// Takes the comments within what was just read, and those after it on its last line.
    fn trailing(&mut self, notes: &mut Vec<Span>) {
        let previous = self.previous;
        let comments = core::mem::take(self.input.comments());
        let next_begins_something = matches!(self.token.kind, TokenKind::Identifier);
        let mut rest = Vec::new();
        for comment in comments {
            let within = comment.file == previous.file && comment.start < previous.end;
            let after = rest.is_empty()
                && self.same_line(previous, comment)
                && !(next_begins_something && self.same_line(comment, self.token.span));
            if within || after { notes.push(comment) } else { rest.push(comment) }
        }
        *self.input.comments() = rest;
    }

    /// Forgets the comments before the next token.
    fn discard_comments(&mut self) {
        self.input.comments().clear();
    }

    fn notes(&mut self, comments: &[Span]) -> Notes {
        let mut told = Vec::new();
        let mut notes = notes(comments, self.input.sources(), |diagnostic| told.push(diagnostic));
        for diagnostic in told {
            self.input.report(diagnostic);
        }
        // A line of documentation may be as short as one octet, and takes more than one to keep.
        let before = self.doc_line_count;
        self.doc_line_count += notes.docs.0.len();
        if self.doc_line_count > DOC_LINE_COUNT_MAX {
            notes.docs = Docs::default();
            if before <= DOC_LINE_COUNT_MAX {
                let message =
                    format!("more than {DOC_LINE_COUNT_MAX} lines of documentation, of which the rest is not read");
                self.input.report(Diagnostic::warning(comments[0], message).help("shorten the comments"));
            }
        }
        notes
    }

    fn adjoin(&self, one: Span, next: Span) -> bool {
        self.between(one, next).is_some_and(|gap| {
            gap.iter().all(u8::is_ascii_whitespace) && gap.iter().filter(|octet| **octet == b'\n').count() < 2
        })
    }

    fn same_line(&self, one: Span, next: Span) -> bool {
        self.between(one, next).is_some_and(|gap| !gap.contains(&b'\n'))
    }

    fn between(&self, one: Span, next: Span) -> Option<&[u8]> {
        let gap = Span { start: one.end, end: next.start, ..one };
        (one.file == next.file && gap.start <= gap.end).then(|| self.input.sources().slice(gap))
    }

    // Going on after an error.

    /// Reads statements up to a closing brace, which it leaves. Skips those that are wrong.
    fn statements<T>(&mut self, mut statement: impl FnMut(&mut Self) -> Rule<T>) -> Rule<Vec<T>> {
        let depth = self.braces;
        let mut all = Vec::new();
        loop {
            if self.is(b'}') {
                self.discard_comments();
                return Ok(all);
            }
            if self.token.kind == TokenKind::End {
                return Err(self.unexpected("`}`", "close what was opened with `{`"));
            }
            match statement(self) {
                Ok(one) => all.push(one),
                Err(Failed) => self.recover(depth)?,
            }
        }
    }

    /// Skips to the end of a statement within `depth` braces: past its `;`, or to the `}` after it.
    fn recover(&mut self, depth: usize) -> Rule<()> {
        self.completeness = Completeness::Partial;
        loop {
            let lost = self.braces < depth || self.begins_definition();
            if lost || self.token.kind == TokenKind::End {
                return Err(Failed);
            }
            if self.braces == depth && (self.eat(b';') || self.is(b'}')) {
                return Ok(());
            }
            self.bump();
        }
    }

    /// Returns whether the next token is one that begins a definition, and in the first column.
    fn begins_definition(&self) -> bool {
        let start = self.token.span.start as usize;
        let octets = self.input.sources().octets(self.token.span.file);
        // A type without a name that is the type of a field looks the same, but for its name.
        let after = octets[self.token.span.end as usize..].iter().find(|octet| !octet.is_ascii_whitespace());
        self.token.kind == TokenKind::Identifier
            && (start == 0 || octets[start - 1] == b'\n')
            && DEFINING.iter().any(|word| self.is_word(word))
            && (after != Some(&b'{') || self.is_word("interface"))
    }
}

/// The words that begin definitions.
const DEFINING: [&str; 8] = ["const", "enum", "interface", "namespace", "program", "struct", "typedef", "union"];

/// The words that are no names (RFC 4506 §6.4).
const RESERVED: [&str; 17] = [
    "bool", "case", "const", "default", "double", "enum", "float", "hyper", "int", "opaque", "string", "struct",
    "switch", "typedef", "union", "unsigned", "void",
];

/// Further words that are no names by the letter (RFC 4506 §6.4, RFC 5531 §12.3), where others take them.
const RESERVED_IN_STRICT: [&str; 3] = ["quadruple", "program", "version"];

/// How many lines of documentation an interface may have; chosen by us.
const DOC_LINE_COUNT_MAX: usize = 1 << 17;

const FOUND_LEN_MAX: usize = 40;
