//! Files to one stream of tokens: directives, includes, macros, `%` lines.

use alloc::sync::Arc;
use core::cell::Cell;
use std::collections::HashMap;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::expression::evaluate;
use crate::files::{Files, Found};
use crate::lex::{Lexer, Token, TokenKind};
use crate::model::PercentLine;
use crate::options::Options;
use crate::source::{FileId, Purpose, Sources, Span};

/// How deep includes may nest; chosen by us.
pub const INCLUDE_DEPTH_MAX: usize = 32;

/// How many files may be read for one interface; chosen by us.
pub const FILE_COUNT_MAX: usize = 1000;

/// How many tokens macros may come to, all in all, so that ten lines of macros of macros are no million of tokens; chosen by us.
const MACRO_TOKEN_COUNT_MAX: usize = 100_000;

/// How deep macros may stand for macros.
const MACRO_DEPTH_MAX: u32 = 32;

/// Reads an interface file, does what its directives say and yields what is left.
pub(crate) struct Preprocessor<'a> {
    options: &'a Options,
    files: Files,
    sources: &'a mut Sources,
    diagnostics: &'a mut Diagnostics,
    stack: Vec<Frame>,
    /// The interface files behind the C headers that were named; read when the rest is done.
    imports: Vec<(Found, Span)>,
    macros: HashMap<String, Macro>,
    /// What `%#define` defines, for C: integers that sizes may be given by.
    c_macros: HashMap<String, Span>,
    /// What macros stand for, the next token last.
    expansion: Vec<Token>,
    macro_token_count: usize,
    /// The comments since they were last asked for.
    comments: Vec<Span>,
    percent_lines: Vec<PercentLine>,
}

/// A file that is being read.
struct Frame {
    lexer: Lexer,
    conditionals: Vec<Conditional>,
}

/// An `#if` that awaits its `#endif`.
struct Conditional {
    span: Span,
    /// Whether a branch of it has been read.
    taken: bool,
    has_else: bool,
}

/// A `#define`.
#[derive(Clone)]
enum Macro {
    /// It stands for these.
    Tokens(Arc<[Token]>),
    /// It has parameters.
    Function(Span),
}

impl<'a> Preprocessor<'a> {
    /// Begins with the file that `files` was made for and `sources` has already.
    pub(crate) fn new(
        options: &'a Options,
        files: Files,
        sources: &'a mut Sources,
        diagnostics: &'a mut Diagnostics,
        file: FileId,
    ) -> Self {
        let mut preprocessor = Self {
            options,
            files,
            sources,
            diagnostics,
            stack: Vec::new(),
            imports: Vec::new(),
            macros: HashMap::new(),
            c_macros: HashMap::new(),
            expansion: Vec::new(),
            macro_token_count: 0,
            comments: Vec::new(),
            percent_lines: Vec::new(),
        };
        preprocessor.define_initially();
        preprocessor.push(file);
        preprocessor
    }

    /// Returns the next token: no directive, no `%` line, no comment. After too many errors, the end.
    pub(crate) fn next(&mut self) -> Token {
        loop {
            if let Some(token) = self.expansion.pop() {
                return token;
            }
            let frame = self.stack.last_mut().expect("the first file is never popped");
            let mut token = frame.lexer.next(self.diagnostics);
            if self.diagnostics.is_full() {
                token.kind = TokenKind::End;
                return token;
            }
            match token.kind {
                TokenKind::Comment => self.comment(token.span),
                TokenKind::PercentLine => self.percent_line(token.span),
                TokenKind::Directive => self.directive(token.span),
                TokenKind::Identifier if !self.macros.is_empty() => {
                    if !self.expand(token, 0, token.span) {
                        return token;
                    }
                    self.expansion.reverse();
                }
                TokenKind::End => {
                    if !self.pop() {
                        return token;
                    }
                }
                TokenKind::Identifier
                | TokenKind::Number
                | TokenKind::Text
                | TokenKind::Character
                | TokenKind::Punctuation(_)
                | TokenKind::PathSeparator
                | TokenKind::Stray => return token,
            }
        }
    }

    /// Takes the comments since the last time.
    pub(crate) fn comments(&mut self) -> &mut Vec<Span> {
        &mut self.comments
    }

    pub(crate) fn sources(&self) -> &Sources {
        self.sources
    }

    pub(crate) fn options(&self) -> &'a Options {
        self.options
    }

    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Ends it and returns what it kept aside: the `%` lines, and where the values of `%#define` stand.
    pub(crate) fn finish(self) -> (Vec<PercentLine>, HashMap<String, Span>) {
        (self.percent_lines, self.c_macros)
    }

    fn push(&mut self, file: FileId) {
        let lexer = Lexer::new(file, Arc::clone(self.sources.octets(file)), self.options.dialect);
        self.stack.push(Frame { lexer, conditionals: Vec::new() });
    }

    /// Goes on after the end of a file and returns whether there is something to go on with.
    fn pop(&mut self) -> bool {
        let frame = self.stack.last_mut().expect("the first file is never popped");
        for conditional in frame.conditionals.drain(..) {
            self.diagnostics.push(
                Diagnostic::error(conditional.span, "this condition has no `#endif`")
                    .help("every `#if` ends in the file it begins in"),
            );
        }
        let ended = frame.lexer.file;
        self.files.leave(ended);
        if self.stack.len() > 1 {
            self.stack.pop();
            return true;
        }
        while let Some((found, at)) = (!self.imports.is_empty()).then(|| self.imports.remove(0)) {
            self.macros.clear();
            self.define_initially();
            if let Some(file) = self.read(found, Purpose::Import, at) {
                // It takes the place of the file that has ended, so that the first is never popped.
                self.stack.clear();
                self.push(file);
                return true;
            }
        }
        false
    }

    fn define_initially(&mut self) {
        let passes = ["RPC_HDR", "RPC_XDR", "RPC_SVC", "RPC_CLNT", "RPC_TBL"];
        let header = ("RPC_HDR".to_owned(), "1".to_owned());
        let chosen = self.options.defines.iter().any(|(name, _)| passes.contains(&name.as_str()));
        let header = (!chosen && !self.options.dialect.is_strict()).then_some(&header);
        for (name, text) in self.options.defines.iter().chain(header) {
            let octets = text.clone().into_bytes();
            let len = octets.len() as u32;
            let file = self.sources.add(format!("-D {name}"), octets, Purpose::Part, None);
            let body = self.tokens(Span { file, start: 0, end: len });
            self.macros.insert(name.clone(), Macro::Tokens(body.into()));
        }
    }

    /// Cuts a part of a directive into tokens.
    fn tokens(&mut self, span: Span) -> Vec<Token> {
        let mut lexer = self.lexer_within(span);
        let mut tokens = Vec::new();
        loop {
            let token = lexer.next(self.diagnostics);
            if token.kind == TokenKind::End {
                return tokens;
            }
            // After a backslash the line goes on.
            if !matches!(token.kind, TokenKind::Comment | TokenKind::Punctuation(b'\\')) {
                tokens.push(token);
            }
        }
    }

    fn lexer_within(&self, span: Span) -> Lexer {
        Lexer::within(span, Arc::clone(self.sources.octets(span.file)), self.options.dialect)
    }

    fn comment(&mut self, span: Span) {
        // Nothing has so much to say; a file may consist of comments.
        if self.comments.len() == COMMENT_COUNT_MAX {
            self.comments.drain(..COMMENT_COUNT_MAX / 2);
        }
        self.comments.push(span);
    }

    /// Replaces a name by what it stands for, in order at the end of `expansion`, and returns whether it stands for anything.
    fn expand(&mut self, token: Token, depth: u32, used_at: Span) -> bool {
        let name = core::str::from_utf8(self.sources.slice(token.text)).expect("identifiers are ASCII");
        let body = match self.macros.get(name) {
            None => return false,
            Some(Macro::Function(defined_at)) => {
                let diagnostic = Diagnostic::error(used_at, format!("`{name}` is a macro with parameters"))
                    .related(*defined_at, "defined here")
                    .help("only macros without parameters are understood; write out what it stands for");
                self.diagnostics.push(diagnostic);
                return false;
            }
            Some(Macro::Tokens(body)) => Arc::clone(body),
        };
        self.macro_token_count += body.len();
        if depth == MACRO_DEPTH_MAX || self.macro_token_count > MACRO_TOKEN_COUNT_MAX {
            let message = format!("macro `{name}` stands for too much, or for itself");
            self.diagnostics.push(Diagnostic::error(used_at, message).help("use `const`"));
            return false;
        }
        for token in body.iter() {
            let token = Token { span: used_at, ..*token };
            if token.kind != TokenKind::Identifier || !self.expand(token, depth + 1, used_at) {
                self.expansion.push(token);
            }
        }
        true
    }

    /// Keeps a line for C, and what our side can use of it.
    fn percent_line(&mut self, span: Span) {
        if self.options.dialect.is_strict() {
            let percent = Span { end: span.start + 1, ..span };
            let diagnostic = Diagnostic::error(percent, "a line for C (`%`) in the strict dialect")
                .help("remove it, or choose the dialect it is written in: --dialect sun");
            self.diagnostics.push(diagnostic);
            return;
        }
        let body = Span { start: span.start + 1, ..span };
        if self.percent_lines.len() == PERCENT_LINE_COUNT_MAX {
            let diagnostic = Diagnostic::error(span, format!("more than {PERCENT_LINE_COUNT_MAX} lines for C (`%`)"))
                .help("put C into a file of its own");
            self.diagnostics.push(diagnostic);
            return;
        }
        if self.sources.purpose(span.file) == Purpose::Part {
            self.percent_lines.push(PercentLine { text: self.sources.text(body).trim_end().to_owned(), span });
        }
        let text = self.sources.slice(body);
        let skipped = text.iter().position(|octet| !matches!(octet, b' ' | b'\t'));
        if let Some(skipped) = skipped.filter(|skipped| text[*skipped] == b'#') {
            self.c_directive(Span { start: body.start + skipped as u32 + 1, ..body });
        }
    }

    fn c_directive(&mut self, span: Span) {
        let (word, rest) = self.split_word(span);
        match word.as_str() {
            "define" => {
                let (name, rest) = self.split_word(rest);
                if self.sources.slice(rest).first() != Some(&b'(') {
                    self.c_macros.insert(name, rest);
                }
            }
            "include" => {
                let Some((path, _)) = quoted_path(&self.sources.text(rest)) else { return };
                let Some(stem) = path.strip_suffix(".h") else { return };
                if let Some(found) = self.files.find_import(span.file, &format!("{stem}.x"), &self.options.include_dirs)
                {
                    self.imports.push((found, rest));
                }
            }
            _ => {}
        }
    }

    fn directive(&mut self, span: Span) {
        if self.options.dialect.is_strict() {
            let hash = Span { end: span.start + 1, ..span };
            let diagnostic =
                Diagnostic::error(hash, "a directive (`#`) in the strict dialect, which has no preprocessor")
                    .help("remove it, or choose the dialect it is written in: --dialect sun");
            self.diagnostics.push(diagnostic);
            return;
        }
        let (word, rest) = self.split_word(Span { start: span.start + 1, ..span });
        let named = Span { end: rest.start, ..span };
        match word.as_str() {
            "define" => self.define(rest),
            "undef" => {
                let (name, _) = self.split_word(rest);
                self.macros.remove(&name);
            }
            "include" => self.include(rest),
            "if" | "ifdef" | "ifndef" => {
                let holds = self.condition(&word, named, rest);
                let frame = self.stack.last_mut().expect("a file is being read");
                frame.conditionals.push(Conditional { span: named, taken: holds, has_else: false });
                if !holds {
                    self.skip_branch();
                }
            }
            "elif" | "else" | "endif" => self.end_branch(&word, named),
            "error" => {
                let message = format!("#error {}", self.sources.text(rest).trim());
                let help = "the file refuses to be read with these definitions (-D)";
                self.diagnostics.push(Diagnostic::error(named, message.trim_end()).help(help));
            }
            "warning" => {
                let message = format!("#warning {}", self.sources.text(rest).trim());
                let help = "the file warns of being read with these definitions (-D)";
                self.diagnostics.push(Diagnostic::warning(named, message.trim_end()).help(help));
            }
            // What another preprocessor or a version control system left behind. A directive without a word does nothing.
            "" | "pragma" | "ident" | "line" => {}
            _ if word.bytes().all(|octet| octet.is_ascii_digit()) => {}
            _ => {
                let diagnostic = Diagnostic::error(named, format!("unknown directive `#{word}`"))
                    .help("there are #define, #undef, #include, #if, #ifdef, #ifndef, #elif, #else and #endif");
                self.diagnostics.push(diagnostic);
            }
        }
    }

    /// Splits the first word, a name or a number, from the rest, and both from white space.
    fn split_word(&self, span: Span) -> (String, Span) {
        let text = self.sources.slice(span);
        let white = |octet: &u8| matches!(octet, b' ' | b'\t');
        let start = text.iter().position(|octet| !white(octet)).unwrap_or(text.len());
        let word = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'_';
        let end = text[start..].iter().position(|octet| !word(octet)).map_or(text.len(), |len| start + len);
        let name = String::from_utf8_lossy(&text[start..end]).into_owned();
        let skipped = text[end..].iter().position(|octet| !white(octet)).unwrap_or(text.len() - end);
        // What has parameters has its parenthesis right after the name.
        let rest = if text.get(end + skipped) == Some(&b'(') && skipped > 0 { end } else { end + skipped };
        (name, Span { start: span.start + rest as u32, ..span })
    }

    fn define(&mut self, rest: Span) {
        let (name, body) = self.split_word(rest);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            self.diagnostics
                .push(Diagnostic::error(rest, "a name is missing after `#define`").help("write #define NAME TEXT"));
            return;
        }
        let value = if self.sources.slice(body).first() == Some(&b'(') {
            Macro::Function(Span { end: body.start, ..rest })
        } else {
            Macro::Tokens(self.tokens(body).into())
        };
        self.macros.insert(name, value);
    }

    fn include(&mut self, rest: Span) {
        let Some((path, len)) = quoted_path(&self.sources.text(rest)) else {
            let diagnostic =
                Diagnostic::error(rest, "a file is missing after `#include`").help("write #include \"file.x\"");
            self.diagnostics.push(diagnostic);
            return;
        };
        let at = Span { end: rest.start + len as u32, ..rest };
        if self.stack.len() > INCLUDE_DEPTH_MAX {
            let diagnostic = Diagnostic::error(at, format!("includes nest deeper than {INCLUDE_DEPTH_MAX}"))
                .help("a file that includes itself by way of others never ends");
            self.diagnostics.push(diagnostic);
            return;
        }
        match self.files.find(rest.file, &path, &self.options.include_dirs) {
            Ok(found) => {
                let purpose = self.sources.purpose(rest.file);
                if let Some(file) = self.read(found, purpose, at) {
                    self.push(file);
                }
            }
            Err(error) => {
                self.diagnostics.push(Diagnostic::error(at, error.to_string()).help(error.help()));
            }
        }
    }

    fn read(&mut self, found: Found, purpose: Purpose, at: Span) -> Option<FileId> {
        match self.files.read(found, purpose, at, self.sources) {
            Ok(file) => file,
            Err(error) => {
                self.diagnostics.push(Diagnostic::error(at, error.to_string()).help(error.help()));
                None
            }
        }
    }

    /// Returns whether an `#if`, `#ifdef`, `#ifndef` or `#elif` holds.
    fn condition(&mut self, word: &str, named: Span, rest: Span) -> bool {
        if let "ifdef" | "ifndef" = word {
            let (name, _) = self.split_word(rest);
            if name.is_empty() {
                self.diagnostics.push(
                    Diagnostic::error(named, format!("a name is missing after `#{word}`"))
                        .help("write the name to ask for"),
                );
            }
            return self.macros.contains_key(&name) == (word == "ifdef");
        }
        let mut lexer = self.lexer_within(rest);
        let work = Cell::new(0);
        let mut lookup = |name: &str| Some(self.macro_value(name, &work));
        let defined = |name: &str| self.macros.contains_key(name);
        match evaluate(&mut lexer, self.sources, &mut lookup, &defined) {
            Ok(value) => value != 0,
            Err(message) => {
                let diagnostic = Diagnostic::error(named, format!("this condition says nothing: {message}"))
                    .help("conditions are made of integers, names, defined(NAME) and the operators of C");
                self.diagnostics.push(diagnostic);
                false
            }
        }
    }

    /// Returns the number that a name stands for in a condition; as in C, what is not known is 0.
    fn macro_value(&self, name: &str, work: &Cell<u32>) -> i128 {
        work.set(work.get() + 1);
        let Some(Macro::Tokens(body)) = self.macros.get(name) else { return 0 };
        let (Some(first), Some(last)) = (body.first(), body.last()) else { return 0 };
        if work.get() > CONDITION_WORK_MAX {
            return 0;
        }
        let mut lookup = |name: &str| Some(self.macro_value(name, work));
        let defined = |name: &str| self.macros.contains_key(name);
        evaluate(&mut self.lexer_within(first.text.to(last.text)), self.sources, &mut lookup, &defined).unwrap_or(0)
    }

    /// Does what `#elif`, `#else` and `#endif` say at the end of a branch that was read.
    fn end_branch(&mut self, word: &str, named: Span) {
        let conditionals = &mut self.stack.last_mut().expect("a file is being read").conditionals;
        match conditionals.last_mut() {
            None => {
                self.diagnostics.push(
                    Diagnostic::error(named, format!("`#{word}` without an `#if`"))
                        .help("remove it; conditions do not reach beyond their file"),
                );
            }
            Some(_) if word == "endif" => {
                conditionals.pop();
            }
            Some(conditional) => {
                if conditional.has_else {
                    let message = format!("`#{word}` after `#else`");
                    self.diagnostics.push(
                        Diagnostic::error(named, message)
                            .related(conditional.span, "of this condition")
                            .help("an `#if` has one `#else`, and it is the last"),
                    );
                }
                conditional.has_else |= word == "else";
                self.skip_branch();
            }
        }
    }

    /// Skips to the branch to read of the innermost condition, or past its end.
    fn skip_branch(&mut self) {
        let mut nested = 0_u32;
        loop {
            let frame = self.stack.last_mut().expect("a file is being read");
            let token = frame.lexer.next_directive(self.diagnostics);
            if token.kind == TokenKind::End {
                return;
            }
            let (word, rest) = self.split_word(Span { start: token.span.start + 1, ..token.span });
            let named = Span { end: rest.start, ..token.span };
            match word.as_str() {
                "if" | "ifdef" | "ifndef" => nested += 1,
                "endif" if nested > 0 => nested -= 1,
                "endif" => {
                    let frame = self.stack.last_mut().expect("a file is being read");
                    frame.conditionals.pop();
                    return;
                }
                "else" | "elif" if nested == 0 => {
                    let is_else = word == "else";
                    let frame = self.stack.last_mut().expect("a file is being read");
                    let conditional = frame.conditionals.last_mut().expect("its branch is being skipped");
                    if conditional.has_else {
                        let message = format!("`#{word}` after `#else`");
                        self.diagnostics.push(
                            Diagnostic::error(named, message)
                                .related(conditional.span, "of this condition")
                                .help("an `#if` has one `#else`, and it is the last"),
                        );
                    }
                    conditional.has_else |= is_else;
                    if conditional.taken {
                        continue;
                    }
                    if is_else || self.condition("elif", named, rest) {
                        let frame = self.stack.last_mut().expect("a file is being read");
                        frame.conditionals.last_mut().expect("its branch is being skipped").taken = true;
                        return;
                    }
                }
                _ => {}
            }
        }
    }
}

/// Reads `"path"` or `<path>` and returns the path and the length of all that.
fn quoted_path(text: &str) -> Option<(String, usize)> {
    let close = match text.as_bytes().first()? {
        b'"' => '"',
        b'<' => '>',
        _ => return None,
    };
    let len = text[1..].find(close)?;
    let path = &text[1..1 + len];
    (!path.is_empty()).then(|| (path.to_owned(), len + 2))
}

/// How many names may be looked up for one condition; chosen by us. Bounds depth and work.
const CONDITION_WORK_MAX: u32 = 64;

const PERCENT_LINE_COUNT_MAX: usize = 1 << 16;

const COMMENT_COUNT_MAX: usize = 1024;
