//! From a model to Rust.
//!
//! [`write()`] gives the text of one file: types at its top, and a module for each version of each program with a client, an async
//! client, server traits and dispatch. The text is the same whenever the model is, has no inner attributes (so that it can be
//! `include!`d), is no business of anybody's lints, and needs nothing but `posthaste-rpc`.

mod definitions;
mod memory;
mod names;
mod programs;
mod tidy;
mod types;

pub use memory::Heavy;
pub use names::{Reason, Renaming};

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Docs, Model};
use tidy::Text;
use types::Types;

/// Rust that was generated.
#[derive(Clone, Debug)]
pub struct Output {
    /// The text of a file.
    pub text: String,
    /// The names that are others in Rust than the reader of the interface file would expect.
    pub renamings: Vec<Renaming>,
    /// The structs that may not fit on a stack.
    pub heavy: Vec<Heavy>,
}

/// Writes what an interface file defines in Rust; `source` is the name of the file, for the first line.
#[must_use]
pub fn write(model: &Model, source: &str) -> Output {
    let mut renamings = Vec::new();
    let types = Types::new(model, &mut renamings);
    // Whatever a file name may hold: it stays on its line.
    let source: String = source.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let head = format!("// Generated from {source} by the Posthaste compiler: edit that file, not this one.\n");
    let mut text = Text::new(head);
    if model.constants.is_empty() && model.types.is_empty() && model.programs.is_empty() {
        return Output { text: text.into_text(), renamings, heavy: Vec::new() };
    }
    enclose(&mut text, &programs::enclosure_name(&source));
    definitions::constants(&types, model, &mut text);
    for index in 0..model.types.len() {
        for item in definitions::definition(&types, index, &mut renamings) {
            text.items(item);
        }
    }
    programs::programs(&types, model, &source, &mut renamings, &mut text);
    text.close();
    Output { text: text.into_text(), renamings, heavy: types.memory.heavy() }
}

/// Begins one module for all, into which no lint looks, and takes it out again: a file that is included has no place for attributes
/// of its own.
///
/// It is formatted, but no two projects have the same `rustfmt.toml`: in each, `cargo fmt` has to accept what it did not write.
fn enclose(text: &mut Text, name: &str) {
    let name = names::ident(name);
    let reason = "names, comments and lists of arguments are those of the interface file";
    text.items(quote! {
        #[rustfmt::skip]
        #[allow(clippy::restriction, unreachable_pub, unused_imports, reason = "not every program needs all of it")]
        pub use self::#name::*;
    });
    text.open(&quote! {
        #[rustfmt::skip]
        #[allow(
            clippy::all, clippy::nursery, clippy::pedantic, clippy::restriction, dead_code, missing_docs, rustdoc::all,
            unreachable_pub,
            unused_imports, reason = #reason
        )]
        mod #name
    });
    text.items(quote!(
        use ::posthaste_rpc::stub::*;
    ));
}

/// Returns comments as documentation; `otherwise` where there are none.
fn docs(docs: &Docs, otherwise: &str) -> TokenStream {
    let lines: Vec<String> = if docs.0.iter().all(|line| line.trim().is_empty()) {
        otherwise.lines().map(|line| format!(" {line}")).collect()
    } else {
        docs.0.iter().map(|line| doc_line(line)).collect()
    };
    quote!(#(#[doc = #lines])*)
}

/// Returns a line of a comment as one of documentation.
fn doc_line(line: &str) -> String {
    let harmless = |c: &char| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let text: String = line.trim().chars().map(|c| if c == '\t' { ' ' } else { c }).filter(harmless).collect();
    // A block of code would be tested as Rust.
    let text = text.replace("```", "'''").replace("~~~", "---");
    if text.is_empty() { text } else { format!(" {}", escaped(&text)) }
}

/// Returns plain text as Markdown, in which brackets are links and tags, except within backticks.
fn escaped(text: &str) -> String {
    // Without a partner on its line, a backtick opens nothing.
    let has_code = text.matches('`').count().is_multiple_of(2);
    let mut is_code = false;
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        is_code ^= c == '`' && has_code;
        if matches!(c, '\\' | '[' | ']' | '<' | '>') && !is_code {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_text_and_not_markdown() {
        assert_eq!(doc_line("\tchars[3] of <host> in `a[1]`"), r" chars\[3\] of \<host\> in `a[1]`");
        assert_eq!(doc_line(r"a\[b` it's [c]"), r" a\\\[b` it's \[c\]");
        assert_eq!(doc_line("```"), " '''");
    }
}
