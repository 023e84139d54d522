//! `posthaste gen` as a script or a Makefile sees it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

#[test]
fn a_file_becomes_rust_on_standard_output_or_where_it_is_asked_to() {
    let folder = Folder::new("out");
    let file = folder.write("sum.x", "interface { int add(int a, int b); };");
    let printed = generate(&[&file]);
    assert!(printed.status.success());
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(text.contains("pub fn add(&self, a: i32, b: i32) -> Result<i32, CallError>"), "{text}");

    // A folder gets a file of the same name.
    assert!(generate(&[&file, "-o", &folder.path("")]).status.success());
    assert_eq!(fs::read_to_string(folder.path("sum.rs")).unwrap(), text);
    let other = folder.path("other.rs");
    assert!(generate(&[&file, "--out", &other]).status.success());
    assert_eq!(fs::read_to_string(other).unwrap(), text);
}

#[test]
fn an_error_is_shown_with_its_place_and_leaves_what_is_there_as_it_is() {
    let folder = Folder::new("error");
    let file = folder.write("bad.x", "struct a {\n    intt x;\n};\n");
    let out = folder.write("bad.rs", "what was there");
    let output = generate(&[&file, "-o", &out]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("bad.x:2:5") && told.contains("^^^^"), "{told}");
    assert!(told.ends_with("has 1 error\nhint: nothing was written\n"), "{told}");
    assert_eq!(fs::read_to_string(out).unwrap(), "what was there");
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 2);
}

#[test]
fn a_file_that_is_not_there_or_an_option_that_is_wrong_has_a_status_of_its_own() {
    let folder = Folder::new("usage");
    let file = folder.write("a.x", "typedef opaque a[N];");
    let missing = folder.path("missing.x");
    for (args, status, told) in [
        (&[&missing[..]][..], 6, "cannot read"),
        (&[], 2, "required arguments were not provided"),
        (&[&file, "--dialect", "c"], 2, "no such dialect"),
        (&[&file, "--const", "N"], 2, "a value is missing"),
        (&[&file, "-o", "/nowhere/at/all.rs", "--const", "N=1"], 6, "cannot write"),
    ] {
        let output = generate(args);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{args:?}: {text}");
        assert!(text.contains(told), "{args:?}: {text}");
    }
    assert!(generate(&[&file, "--const", "N=0x10"]).status.success());
}

#[test]
fn names_that_are_others_in_rust_are_told() {
    let folder = Folder::new("names");
    let file = folder.write("names.x", "struct Option { int type; int fileName; int file_name; };");
    let output = generate(&[&file]);
    assert!(output.status.success());
    let told = String::from_utf8(output.stderr).unwrap();
    for name in ["`Option` is called `Option_` in Rust", "`type_`", "`file_name_2`"] {
        assert!(told.contains(name), "{name}\n{told}");
    }
}

#[test]
fn a_new_version_is_compared_with_the_old_one() {
    let folder = Folder::new("check");
    let old = folder.write("old.x", "interface a { int f(int a); };");
    let more = folder.write("more.x", "interface a { int f(int a); int g(int a); };");
    let other = folder.write("other.x", "interface a { hyper f(int a); };");
    let check = |new: &str| generate(&["--check", &old, new]);
    assert!(check(&old).status.success());
    assert!(check(&more).status.success());
    let output = check(&other);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("breaks"));
}

fn generate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_posthaste")).arg("gen").args(args).output().unwrap()
}

/// A folder that goes when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("posthaste-gen-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).into_os_string().into_string().unwrap()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
