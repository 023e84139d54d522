//! One interface file a feature, and what is made of each: the model in words, or what is told.
//!
//! `tests/golden/DIALECT/NAME.x` is compared with `NAME.txt` beside it. `POSTHASTE_BLESS=1` writes these; read what changed.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use posthaste_compiler::{Dialect, Options, Paint, load, render_all};

#[test]
fn every_interface_file_means_what_its_golden_file_says() {
    compare("", |outcome, path| assert!(outcome.is_ok(), "{} is right:\n{}", path.display(), text(outcome)));
}

#[test]
fn every_wrong_interface_file_is_refused_as_its_golden_file_says() {
    compare("refused", |outcome, path| assert!(outcome.is_err(), "{} is wrong:\n{}", path.display(), text(outcome)));
}

#[test]
fn the_same_file_means_the_same_each_time() {
    for (name, dialect) in Dialect::ALL {
        for path in interface_files(&Path::new("tests/golden").join(name)) {
            assert_eq!(text(&outcome(&path, dialect)), text(&outcome(&path, dialect)));
        }
    }
}

fn compare(folder: &str, expect: impl Fn(&Outcome, &Path)) {
    let mut wrong = Vec::new();
    for (name, dialect) in Dialect::ALL {
        for path in interface_files(&Path::new("tests/golden").join(name).join(folder)) {
            let outcome = outcome(&path, dialect);
            expect(&outcome, &path);
            let golden = path.with_extension("txt");
            if std::env::var_os("POSTHASTE_BLESS").is_some() {
                fs::write(&golden, text(&outcome)).expect("the golden file can be written");
            }
            if fs::read_to_string(&golden).unwrap_or_default() != text(&outcome) {
                wrong.push(format!("{}:\n{}", path.display(), text(&outcome)));
            }
        }
    }
    assert!(wrong.is_empty(), "not as the golden files say (POSTHASTE_BLESS=1 writes them):\n{}", wrong.join("\n"));
}

fn interface_files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "x"))
        .collect();
    paths.sort();
    paths
}

type Outcome = Result<String, String>;

fn text(outcome: &Outcome) -> &str {
    match outcome {
        Ok(text) | Err(text) => text,
    }
}

fn outcome(path: &Path, dialect: Dialect) -> Outcome {
    let constants = if dialect == Dialect::Sun { vec![("FROM_THE_COMMAND_LINE".into(), 12)] } else { Vec::new() };
    let options = Options { dialect, constants, ..Options::default() };
    match load(path, &options) {
        Ok(interface) => {
            assert!(interface.warnings.iter().all(|warning| warning.help.is_some()), "each warning says what to do");
            let warnings = render_all(&interface.warnings, &interface.sources, Paint::Plain);
            let divider = if warnings.is_empty() { "" } else { "\n" };
            Ok(format!("{warnings}{divider}{}", support::describe(&interface.model)))
        }
        Err(report) => {
            let helpless = report.diagnostics.iter().find(|diagnostic| diagnostic.help.is_none());
            assert!(helpless.is_none(), "each error says what to do: {helpless:?}");
            Err(report.to_string())
        }
    }
}
