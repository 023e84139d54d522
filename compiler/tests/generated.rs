//! What is generated from the interface files in `fixtures/`, one for each feature of the language.
//!
//! `POSTHASTE_BLESS=1` writes what is generated beside them.

use std::fs;
use std::path::{Path, PathBuf};

use posthaste_compiler::{Options, load, rust};

#[test]
fn each_fixture_gives_what_was_approved() {
    let is_blessed = std::env::var_os("POSTHASTE_BLESS").is_some();
    let mut changed = Vec::new();
    for path in fixtures() {
        let generated = generate(&path);
        let golden = path.with_extension("rs");
        if fs::read_to_string(&golden).ok().as_ref() != Some(&generated) {
            if is_blessed {
                fs::write(&golden, &generated).unwrap();
            }
            changed.push(golden);
        }
    }
    assert!(is_blessed || changed.is_empty(), "POSTHASTE_BLESS=1 approves of {changed:?}");
}

#[test]
fn the_same_file_gives_the_same_octets() {
    for path in fixtures() {
        assert_eq!(generate(&path), generate(&path));
    }
}

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "x")).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn generate(path: &Path) -> String {
    // Whoever needs another dialect says so in the first line.
    let text = fs::read_to_string(path).unwrap();
    let dialect = text.strip_prefix("/* --dialect ").and_then(|rest| rest.split(' ').next()).unwrap_or("strict");
    let options = Options { dialect: dialect.parse().unwrap(), ..Options::default() };
    let interface = load(path, &options).unwrap_or_else(|report| panic!("{}:\n{report}", path.display()));
    rust::write(&interface.model, path.file_name().unwrap().to_str().unwrap()).text
}
