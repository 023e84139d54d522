//! From tokens to text that is a pleasure to read.

use proc_macro2::TokenStream;
use quote::quote;

/// Text that grows by an item at a time: the tokens of all at once would be many times the text.
pub(super) struct Text {
    text: String,
    /// The blocks that are open.
    depth: usize,
    /// Whether nothing stands in the innermost block.
    is_empty: bool,
}

impl Text {
    pub(super) fn new(head: String) -> Self {
        Self { text: head, depth: 0, is_empty: false }
    }

    /// Writes items, with a blank line before each.
    pub(super) fn items(&mut self, items: TokenStream) {
        self.push(&spaced(&unparse(items)));
    }

    /// Begins a block: whatever is between `head` and braces.
    pub(super) fn open(&mut self, head: &TokenStream) {
        let text = unparse(quote!(#head {}));
        self.push(text.strip_suffix("{}\n").expect("a block is empty at first"));
        self.text.push_str("{\n");
        self.depth += 1;
        self.is_empty = true;
    }

    pub(super) fn close(&mut self) {
        self.depth -= 1;
        self.is_empty = false;
        self.push_lines("}\n");
    }

    /// Writes a block of functions, each with documentation: `docs` are of the block, and `head` is all else before its braces, on
    /// one line.
    pub(super) fn block(&mut self, docs: &TokenStream, head: &TokenStream, members: impl Iterator<Item = TokenStream>) {
        self.open(&quote!(#docs #head));
        let mut members = members.peekable();
        while members.peek().is_some() {
            let mut some = TokenStream::new();
            some.extend(members.by_ref().take(MEMBER_COUNT));
            let text = unparse(quote!(#head { #some }));
            let lines: Vec<&str> = text.lines().collect();
            let inner = lines.get(1..lines.len() - 1).unwrap_or_default();
            let inner: String =
                inner.iter().flat_map(|line| [line.strip_prefix("    ").unwrap_or(line), "\n"]).collect();
            self.push(&spaced(&inner));
        }
        self.close();
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if !self.is_empty {
            self.text.push('\n');
        }
        self.is_empty = false;
        self.push_lines(text);
    }

    fn push_lines(&mut self, text: &str) {
        for line in text.split_inclusive('\n') {
            if line != "\n" {
                self.text.extend(core::iter::repeat_n("    ", self.depth));
            }
            self.text.push_str(line);
        }
    }
}

fn unparse(items: TokenStream) -> String {
    prettyplease::unparse(&syn::parse2(items).expect("what is generated is Rust"))
}

/// Puts a blank line between a block that ends and an item that begins, which the printer leaves out.
fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    let mut previous = "";
    for line in text.lines() {
        let begins = begins_item(line.trim_start());
        let is_documented = line.trim_start().starts_with("///");
        let after_block = previous.ends_with('}') && indent(previous) == indent(line);
        let after_item = previous.ends_with(';') && (is_documented || begins && !is_short(previous, line));
        if begins && (after_block || after_item) {
            out.push('\n');
        }
        out.push_str(line);
        out.push('\n');
        previous = line;
    }
    out
}

fn begins_item(line: &str) -> bool {
    ["///", "#[", "pub ", "impl", "fn ", "async fn ", "use "].iter().any(|start| line.starts_with(start))
}

/// Says whether two lines are items of one line each, which stand better together.
fn is_short(previous: &str, line: &str) -> bool {
    let is_line = |line: &str| line.trim_start().starts_with("pub const ") || line.trim_start().starts_with("fn ");
    is_line(previous) && is_line(line)
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// So many functions of a block are written at a time: its head costs as much as one of them, and all at once too much memory.
const MEMBER_COUNT: usize = 16;
