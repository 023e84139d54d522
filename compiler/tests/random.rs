//! Interface files drawn at random: what is generated from them compiles with every warning denied, and reads and writes random
//! values octet for octet. Beside them, in the same crate: a file with the words of Rust wherever a name can stand, the fixtures, and
//! what Debian's package rpcsvc-proto has, where it is installed.
//!
//! `POSTHASTE_RANDOM_FILES` says how many (12), `POSTHASTE_SEED` replays a run.

extern crate alloc;

#[path = "random/files.rs"]
mod files;
#[path = "support/package.rs"]
mod package;
#[path = "random/values.rs"]
#[expect(dead_code, reason = "the tests of generated types change counts, too")]
mod values;
#[path = "random/words.rs"]
mod words;

use core::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use posthaste_compiler::model::{Definition, List, Model, Type, TypeId};
use posthaste_compiler::{Dialect, Options, load, load_text, rust, write_file};
use posthaste_foreign::{Foreign, RPCSVC};

use files::random_file;
use values::{Random, Value};
use words::file_of_words;

#[test]
fn what_is_generated_from_any_file_compiles_and_keeps_values() {
    let count = std::env::var("POSTHASTE_RANDOM_FILES").map_or(12, |count| count.parse().unwrap());
    let mut random = Random::of_this_run();
    println!("POSTHASTE_RANDOM_FILES={count}");

    let mut package = Package::default();
    for index in 0..count {
        if package.modules.len() == FILE_COUNT_MAX {
            core::mem::take(&mut package).run();
        }
        let model = random_model(&mut random);
        package.add(&format!("random_{index}"), &model, &mut random);
    }
    let options = Options { dialect: Dialect::Xdrpp, ..Options::default() };
    let words = load_text("words.x", file_of_words(), &options).unwrap_or_else(|report| panic!("{report}"));
    package.add("words", &words.model, &mut random);
    for (name, path) in installed().into_iter().chain(fixtures()) {
        let dialect = if name.starts_with("fixture_") { Dialect::Xdrpp } else { Dialect::Sun };
        let interface = load(&path, &Options { dialect, ..Options::default() });
        let interface = interface.unwrap_or_else(|report| panic!("{report}"));
        package.add(&name, &interface.model, &mut random);
    }
    for (name, dialect) in Dialect::ALL {
        for (file, path) in files_in(&here().join("tests/golden").join(name), name) {
            let options = Options { dialect, ..Options::default() };
            // Some are wrong on purpose.
            let Ok(interface) = load(&path, &options) else { continue };
            package.add(&file, &interface.model, &mut random);
        }
    }
    package.run();
}

#[test]
fn what_is_generated_from_any_file_is_left_as_it_is_by_any_rustfmt() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("formatted");
    fs::create_dir_all(&folder).unwrap();
    let mut random = Random::of_this_run();
    let mut paths: Vec<_> = files_in(&here().join("fixtures"), "").into_iter().map(|it| it.1).collect();
    paths.iter_mut().for_each(|path| assert!(path.set_extension("rs")));
    for index in 0..8 {
        let path = folder.join(format!("random_{index}.rs"));
        write_file(&path, &rust::write(&random_model(&mut random), "random.x").text).unwrap();
        paths.push(path);
    }
    // As most projects have it; as this one has it; narrower than anything is.
    for config in ["max_width=100", "max_width=120,use_small_heuristics=Max", "max_width=40,hard_tabs=true"] {
        let rustfmt = std::env::var_os("RUSTFMT").unwrap_or("rustfmt".into());
        let output =
            Command::new(rustfmt).args(["--check", "--edition", "2024", "--config", config]).args(&paths).output();
        let output = output.expect("rustfmt is a component of the toolchain");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{config}: {told}{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn random_model(random: &mut Random) -> Model {
    let text = random_file(random);
    let options = Options { dialect: Dialect::Xdrpp, ..Options::default() };
    load_text("random.x", &text, &options).unwrap_or_else(|report| panic!("{text}\n{report}")).model
}

/// A package with a module for each interface file.
#[derive(Default)]
struct Package {
    modules: Vec<(String, String)>,
    checks: String,
}

impl Package {
    fn add(&mut self, name: &str, model: &Model, random: &mut Random) {
        let text = rust::write(model, name).text;
        // The types stand in the order of the model.
        let starts = ["    pub struct ", "    pub enum ", "    pub type "];
        let names = text.lines().filter_map(|line| starts.iter().find_map(|start| line.strip_prefix(start)));
        let names: Vec<&str> = names.map(|rest| rest.split([' ', '{', ';']).next().unwrap()).collect();
        assert_eq!(names.len(), model.types.len(), "{text}");
        for (index, rust_name) in names.iter().enumerate() {
            let ty = Type::Named(TypeId(index as u32));
            // What ends a list is not in its item; another name for one has it.
            let is_item = matches!(&model.types[index].definition, Definition::Struct(it) if it.list == List::Linked);
            for _ in 0..VALUE_COUNT {
                let Value { octets, .. } = Value::random(model, &ty, random);
                let path = format!("{name}::{rust_name}");
                let ty = if is_item { format!("({path}, List<{path}>)") } else { path };
                writeln!(self.checks, "    check::<{ty}>(\"{ty}\", \"{}\");", hex(&octets)).unwrap();
            }
        }
        self.modules.push((name.to_owned(), text));
    }

    /// Writes the package, and runs it.
    fn run(&self) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("random");
        let rpc = here().join("../rpc").canonicalize().unwrap();
        fs::create_dir_all(folder.join("src")).unwrap();
        let manifest = MANIFEST.replace("{rpc}", rpc.to_str().unwrap());
        write_file(&folder.join("Cargo.toml"), &manifest).unwrap();
        let mut main = HEAD.to_owned();
        for (name, text) in &self.modules {
            write_file(&folder.join(format!("src/{name}.rs")), text).unwrap();
            writeln!(main, "mod {name};").unwrap();
        }
        writeln!(main, "\nfn main() {{\n{}}}", self.checks).unwrap();
        write_file(&folder.join("src/main.rs"), &main).unwrap();
        print!("{}", package::run(&folder, &[]));
    }
}

fn fixtures() -> Vec<(String, PathBuf)> {
    files_in(&here().join("fixtures"), "fixture").into_iter().filter(|(name, _)| name != "fixture_sun").collect()
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn installed() -> Vec<(String, PathBuf)> {
    if Foreign::Rpcsvc.is_here() { files_in(Path::new(RPCSVC), "installed") } else { Vec::new() }
}

fn files_in(folder: &Path, prefix: &str) -> Vec<(String, PathBuf)> {
    let paths = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "x"));
    let mut named: Vec<_> =
        paths.map(|path| (format!("{prefix}_{}", path.file_stem().unwrap().to_str().unwrap()), path)).collect();
    named.sort();
    named
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |text, octet| text + &format!("{octet:02x}"))
}

const MANIFEST: &str = r#"[package]
name = "random"
version = "0.0.0"
edition = "2024"

[dependencies]
posthaste-rpc = { path = "{rpc}" }

[workspace]
"#;

const HEAD: &str = r#"#![deny(warnings)]
#![forbid(unsafe_code)]
#![allow(unused_imports)]

use posthaste_rpc::Procedure;
use posthaste_rpc::xdr::{Decode, DecodeError, Encode, List, from_octets, to_vec};

fn check<T: for<'a> Decode<'a> + Encode + Clone + PartialEq + core::fmt::Debug>(name: &str, hex: &str) {
    let octet = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let octets: Vec<u8> = (0..hex.len()).step_by(2).map(octet).collect();
    // What stubs allow; and, of mostly empty things, with `@memory 16`.
    let mut limits = Procedure::<T>::new("", 0, 0, 0).signature.result_limits();
    if from_octets::<T>(&octets, &limits).err() == Some(DecodeError::TooMuchMemory) {
        println!("not without @memory: {name}, {} octets", octets.len());
        limits.memory_factor = 16;
    }
    let value: T = from_octets(&octets, &limits).unwrap_or_else(|error| panic!("{name} {hex}: {error}"));
    assert_eq!(to_vec(&value).unwrap(), octets, "{name}");
    assert!(octets.len() >= T::LEN_MIN && (!T::LEN_IS_FIXED || octets.len() == T::LEN_MIN), "{name}");
    assert!(from_octets::<T>(&[&octets[..], &[0; 4]].concat(), &limits).is_err(), "{name}");
    if let Some((_, cut)) = octets.split_last() {
        assert!(from_octets::<T>(cut, &limits).is_err(), "{name}");
    }
    // Anything may come of these, but no panic.
    for index in (0..octets.len()).step_by(1 + octets.len() / 64) {
        let mut other = octets.clone();
        other[index] = !other[index];
        drop(from_octets::<T>(&other, &limits));
    }
}

"#;

/// Random files of one package: the compiler takes three gigabytes for so many.
const FILE_COUNT_MAX: usize = 200;

/// Random values of each type.
const VALUE_COUNT: usize = 4;
