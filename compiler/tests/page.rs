//! The page that goes from an empty folder to a running call does: `docs/stubs.md`.

#[path = "support/package.rs"]
mod package;

use std::fs;
use std::path::Path;

use posthaste_compiler::write_file;

#[test]
fn the_files_of_the_page_make_a_program_that_prints_what_the_page_says() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(here.join("../docs/stubs.md")).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    fs::create_dir_all(folder.join("src")).unwrap();
    let mut printed = None;
    for (name, text) in steps(&page) {
        match name {
            "cargo run" => printed = Some(text),
            "Cargo.toml" => write_file(&folder.join(name), &format!("{MANIFEST}\n{text}")).unwrap(),
            _ => write_file(&folder.join(name), &text).unwrap(),
        }
    }
    // Of what others made, the versions that are at hand.
    fs::copy(here.join("../Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    // Of ours, that which is here: none may have been published.
    let options = [("rpc", "rpc"), ("std", "runtime-std"), ("compiler", "compiler")].map(|(name, path)| {
        let path = here.join("..").join(path).canonicalize().unwrap();
        format!("--config=patch.crates-io.posthaste-{name}.path={path:?}")
    });
    assert_eq!(Some(package::run(&folder, &options)), printed);
}

/// Returns the blocks of code of the first section, each with what it is: the first thing between backticks of its step.
fn steps(page: &str) -> Vec<(&str, String)> {
    let section = page.split("\n## ").nth(1).unwrap();
    let mut parts = section.split("\n```");
    let mut steps = Vec::new();
    while let (Some(before), Some(block)) = (parts.next(), parts.next()) {
        let step = before.rsplit_once("**").unwrap().1;
        let name = step.split('`').nth(1).unwrap();
        // The rest of the line is its language.
        let (_, text) = block.split_once('\n').unwrap();
        steps.push((name, format!("{text}\n")));
    }
    steps
}

/// What `cargo new` writes, and that it is not of the workspace in whose folder it lies.
const MANIFEST: &str = r#"[workspace]

[package]
name = "calculator"
version = "0.1.0"
edition = "2024"
"#;
