//! What is read from where: folders, limits, and where errors are shown.

use std::fs;
use std::path::{Path, PathBuf};

use posthaste_compiler::{Dialect, FILE_COUNT_MAX, INCLUDE_DEPTH_MAX, Interface, Options, Report, load, load_text};

#[test]
fn a_file_that_is_not_there_is_told_without_a_place() {
    let folder = Folder::new("missing");
    let report = folder.load("missing.x", &sun()).unwrap_err();
    assert!(report.to_string().starts_with("error: cannot read `"), "{report}");
}

#[test]
fn a_folder_is_no_file() {
    let folder = Folder::new("folder");
    fs::create_dir(folder.path("inner.x")).expect("it can be made");
    assert!(folder.load("inner.x", &sun()).unwrap_err().to_string().contains("not a file"));
}

#[test]
fn includes_are_found_beside_the_file_first_and_then_in_the_folders_of_the_options() {
    let folder = Folder::new("search");
    folder.write("main/main.x", "#include \"here.x\"\n#include \"there.x\"\n#include <both.x>\n");
    folder.write("main/here.x", "const HERE = 1;");
    folder.write("main/both.x", "const BOTH = 1;");
    folder.write("other/there.x", "const THERE = 2;\n#include \"beside_there.x\"\n");
    folder.write("other/beside_there.x", "const BESIDE = 3;");
    folder.write("other/both.x", "const BOTH = 2;");
    let options = Options { include_dirs: vec![folder.path("other")], ..sun() };
    let interface = folder.load("main/main.x", &options).expect("all are found");
    let names: Vec<&str> = interface.model.constants.iter().map(|constant| constant.name.text.as_str()).collect();
    assert_eq!(names, ["HERE", "THERE", "BESIDE", "BOTH"]);
    assert_eq!(interface.model.constants[3].value, posthaste_compiler::model::ConstantValue::Integer(1));
}

#[test]
fn nothing_outside_of_the_folders_is_read() {
    let folder = Folder::new("outside");
    folder.write("secret.x", "const SECRET = 1;");
    let secret = folder.path("secret.x");
    for include in ["../secret.x", "inner/../../secret.x", secret.to_str().expect("it is UTF-8"), "/etc/passwd"] {
        folder.write("main/main.x", &format!("#include \"{include}\"\n"));
        fs::create_dir_all(folder.path("main/inner")).expect("it can be made");
        let report = folder.load("main/main.x", &sun()).unwrap_err();
        assert!(report.to_string().contains("outside of the folders that may be read"), "{include}: {report}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_does_not_lead_outside() {
    let folder = Folder::new("link");
    folder.write("secret.x", "const SECRET = 1;");
    folder.write("main/main.x", "#include \"link.x\"\n");
    std::os::unix::fs::symlink(folder.path("secret.x"), folder.path("main/link.x")).expect("it can be made");
    assert!(folder.load("main/main.x", &sun()).unwrap_err().to_string().contains("outside of the folders"));
}

#[test]
fn includes_nest_as_deep_as_the_limit_and_no_deeper() {
    let folder = Folder::new("depth");
    for depth in 0..1000 {
        folder.write(&format!("{depth}.x"), &format!("#include \"{}.x\"\n", depth + 1));
    }
    folder.write("1000.x", "const END = 1;");
    let deepest = 1000 - INCLUDE_DEPTH_MAX;
    assert!(folder.load(&format!("{deepest}.x"), &sun()).is_ok());
    for too_deep in [deepest - 1, 0] {
        let report = folder.load(&format!("{too_deep}.x"), &sun()).unwrap_err();
        assert_eq!(report.diagnostics.len(), 1);
        assert!(report.diagnostics[0].message.contains("deeper than 32"), "{report}");
    }
}

#[test]
fn includes_that_double_at_each_level_end_at_the_limit_of_files() {
    let folder = Folder::new("doubling");
    for depth in 0..INCLUDE_DEPTH_MAX - 1 {
        folder.write(&format!("{depth}.x"), &format!("#include \"{0}.x\"\n#include \"{0}.x\"\n", depth + 1));
    }
    folder.write(&format!("{}.x", INCLUDE_DEPTH_MAX - 1), "");
    let report = folder.load("0.x", &sun()).unwrap_err();
    assert!(report.diagnostics[0].message.contains("too many files"), "{report}");
    assert!(report.diagnostics[0].help.as_ref().is_some_and(|help| help.contains(&FILE_COUNT_MAX.to_string())));
}

#[test]
fn a_file_of_100_mb_is_refused_without_being_read() {
    let folder = Folder::new("large");
    let file = fs::File::create(folder.path("large.x")).expect("it can be made");
    file.set_len(100 << 20).expect("it can be sparse");
    assert!(folder.load("large.x", &sun()).unwrap_err().to_string().contains("too large an interface"));
    folder.write("main.x", "#include \"large.x\"\n");
    assert!(folder.load("main.x", &sun()).unwrap_err().to_string().contains("too large an interface"));
}

#[test]
fn an_import_is_the_interface_file_of_a_header_beside_or_in_the_folders() {
    let folder = Folder::new("import");
    folder.write("main/main.x", "%#include <rpcsvc/types.h>\n%#include \"gone.h\"\nstruct s { shared a; };");
    folder.write(
        "other/rpcsvc/types.x",
        "#include \"deeper.x\"\nstruct shared { deeper a; };\nstruct unused { int a; };",
    );
    folder.write("other/rpcsvc/deeper.x", "typedef int deeper;");
    let options = Options { include_dirs: vec![folder.path("other")], ..sun() };
    let interface = folder.load("main/main.x", &options).expect("the header has an interface file");
    let names: Vec<&str> = interface.model.types.iter().map(|definition| definition.name.text.as_str()).collect();
    assert_eq!(names, ["s", "deeper", "shared"]);
}

#[test]
fn an_imported_file_may_include_the_one_that_imports_it() {
    let folder = Folder::new("mutual");
    folder.write("main.x", "%#include \"other.h\"\nstruct s { shared a; };");
    folder.write("other.x", "#include \"main.x\"\nstruct shared { int a; };");
    let interface = folder.load("main.x", &sun()).expect("what is there twice gives way");
    assert_eq!(interface.model.types.len(), 2);
}

#[test]
fn a_text_includes_nothing() {
    let report = load_text("text.x", "#include \"main.x\"\n", &sun()).unwrap_err();
    assert!(report.to_string().contains("this text is in no folder"), "{report}");
}

#[test]
fn definitions_of_the_command_line_are_there_before_the_first_line() {
    let options = Options { defines: vec![("A".into(), "3".into()), ("RPC_XDR".into(), "1".into())], ..sun() };
    let text = "#ifdef RPC_XDR\nconst X = A;\n#endif\n#ifdef RPC_HDR\nconst H = A;\n#endif\n";
    let interface = load_text("text.x", text, &options).expect("it is right");
    assert_eq!(interface.model.constants.len(), 1, "another pass than the one for the header is chosen");
}

fn sun() -> Options {
    Options { dialect: Dialect::Sun, ..Options::default() }
}

/// A folder that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("it can be made");
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("it can be made");
        fs::write(path, text).expect("it can be written");
    }

    fn load(&self, name: &str, options: &Options) -> Result<Interface, Report> {
        load(&self.path(name), options)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
