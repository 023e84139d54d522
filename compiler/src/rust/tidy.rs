//! From tokens to text that is a pleasure to read.

use proc_macro2::TokenStream;
use quote::quote;

/// Writes items with a blank line between them, and between what stands inside of them.
pub(super) fn format(items: Vec<TokenStream>) -> String {
    let mut text = String::new();
    for item in items {
        let file = syn::parse2(quote!(#item)).expect("what is generated is Rust");
        text.push('\n');
        text.push_str(&spaced(&prettyplease::unparse(&file)));
    }
    text
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
