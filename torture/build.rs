//! Generates a module for each interface file that there is: the torture file, the fixtures of the compiler, and what Debian's package
//! rpcsvc-proto has, where it is installed.

use core::fmt::Write as _;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use posthaste_compiler::model::{Definition, List, Model};
use posthaste_compiler::{Dialect, Options, load, rust, write_file};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo says where to"));
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("Cargo says where"));
    let mut modules = String::new();
    let mut list = String::new();
    let files = [("", here.clone()), ("fixture_", here.join("../compiler/fixtures")), ("rpcsvc_", RPCSVC.into())];
    for (prefix, path) in
        files.iter().flat_map(|(prefix, folder)| interface_files(folder).map(move |path| (prefix, path)))
    {
        println!("cargo::rerun-if-changed={}", path.display());
        let name = format!("{prefix}{}", path.file_stem().expect("it has a name").display());
        let dialect = dialect(&path, prefix);
        let interface = load(&path, &Options { dialect, ..Options::default() });
        let interface = interface.unwrap_or_else(|report| panic!("{}:\n{report}", path.display()));
        let text = rust::write(&interface.model, &name).text;
        write_file(&out.join(format!("{name}.rs")), &text).expect("OUT_DIR can be written to");
        writeln!(modules, "posthaste_rpc::interface!(\n    /// Generated from `{}`.", path.display())
            .expect("memory does not fail");
        writeln!(modules, "    pub mod {name}\n);").expect("memory does not fail");
        writeln!(
            list,
            "Interface {{ name: {name:?}, path: {path:?}, dialect: \"{dialect}\", subjects: &[\n{}] }},",
            subjects(&name, &interface.model, &text)
        )
        .expect("memory does not fail");
    }
    let text = format!("{modules}\n/// All that was generated.\npub const INTERFACES: &[Interface] = &[\n{list}];\n");
    write_file(&out.join("interfaces.rs"), &text).expect("OUT_DIR can be written to");
}

/// Returns the interface files in a folder, if there is one, by their names.
fn interface_files(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    // A file that comes or goes changes the folder.
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "x")).collect();
    paths.sort();
    paths.into_iter()
}

/// Returns the dialect of a file: a fixture that is not strict says so in its first line.
fn dialect(path: &Path, prefix: &str) -> Dialect {
    if prefix != "fixture_" {
        return Dialect::Sun;
    }
    let text = fs::read_to_string(path).expect("it can be read");
    let name = text.strip_prefix("/* --dialect ").and_then(|rest| rest.split(' ').next());
    name.map_or(Dialect::Strict, |name| name.parse().expect("it names a dialect"))
}

/// Writes an element for each type of a model, in its order, which is that of the definitions in the generated text.
fn subjects(module: &str, model: &Model, text: &str) -> String {
    let starts = ["    pub struct ", "    pub enum ", "    pub type "];
    let names = text.lines().filter_map(|line| starts.iter().find_map(|start| line.strip_prefix(start)));
    let names: Vec<&str> = names.filter_map(|rest| rest.split([' ', '{', ';']).next()).collect();
    assert_eq!(names.len(), model.types.len(), "each type of {module} is defined once");
    let mut list = String::new();
    for (index, name) in names.into_iter().enumerate() {
        let path = format!("{module}::{name}");
        // The list that follows an item is beside it.
        let is_item = matches!(&model.types[index].definition, Definition::Struct(it) if it.list == List::Linked);
        let ty = if is_item { format!("({path}, List<{path}>)") } else { path };
        writeln!(list, "    Subject::of::<{ty}>({:?}),", model.types[index].path()).expect("memory does not fail");
    }
    list
}

/// Where Debian has the interface files of its services.
const RPCSVC: &str = "/usr/include/rpcsvc";
