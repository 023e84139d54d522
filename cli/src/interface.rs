//! Interface files: what `gen` and `call` share.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use posthaste_compiler::source::Sources;
use posthaste_compiler::{
    Diagnostic, Dialect, Interface, OptionError, Options, Paint, Report, Severity, UNBOUNDED_MAX, load, render_all,
};

use crate::failure::{Code, Failure};

/// How an interface file is to be read.
#[derive(Args)]
#[command(next_help_heading = "Reading the interface file")]
pub(crate) struct LanguageArgs {
    /// Define a name for the preprocessor
    #[arg(short = 'D', long = "define", value_name = "NAME[=TEXT]", value_parser = parsed(Options::define))]
    defines: Vec<String>,
    /// Define a constant that the file uses and a C header defines
    #[arg(long = "const", value_name = "NAME=VALUE", value_parser = parsed(Options::constant))]
    constants: Vec<String>,
    /// Look for includes in this folder, too
    #[arg(short = 'I', long = "include", value_name = "DIR")]
    include_dirs: Vec<PathBuf>,
    /// The language of the file: strict, sun, xdrpp or linux
    #[arg(long, value_name = "DIALECT", default_value = "strict")]
    dialect: Dialect,
    /// The bound of what has none in the file, in octets or elements
    #[arg(long, value_name = "N", default_value_t = UNBOUNDED_MAX)]
    unbounded_max: u32,
}

impl LanguageArgs {
    pub(crate) fn options(&self) -> Options {
        let mut options = Options {
            dialect: self.dialect,
            include_dirs: self.include_dirs.clone(),
            unbounded_max: self.unbounded_max,
            ..Options::default()
        };
        for text in &self.defines {
            options.define(text).expect(LOOKED_AT);
        }
        for text in &self.constants {
            options.constant(text).expect(LOOKED_AT);
        }
        options
    }
}

/// Reads an interface file, whose warnings are no business of whoever uses it.
///
/// # Errors
/// [`Code::Local`] if it cannot be read, [`Code::Application`] if it is wrong, which was shown then.
pub(crate) fn read(file: &Path, options: &Options) -> Result<Interface, Failure> {
    look_at(file)?;
    load(file, options).map_err(|report| has_errors(file, &report))
}

/// Makes sure that a file can be read: one that cannot is no interface file with errors.
pub(crate) fn look_at(file: &Path) -> Result<(), Failure> {
    let look = |error| Failure::local(format_args!("cannot read {}", file.display()), &error);
    fs::File::open(file).map(drop).map_err(look)
}

/// Shows what is wrong with an interface file, and says so.
pub(crate) fn has_errors(file: &Path, report: &Report) -> Failure {
    show(&report.render(paint()));
    let errors = report.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    let count = errors.count();
    let what = format!("{} has {count} error{}", file.display(), if count == 1 { "" } else { "s" });
    Failure::new(Code::Application, what)
}

/// Shows the warnings of an interface file.
pub(crate) fn show_warnings(warnings: &[Diagnostic], sources: &Sources) {
    show(&render_all(warnings, sources, paint()));
}

fn paint() -> Paint {
    if io::stderr().is_terminal() { Paint::Colored } else { Paint::Plain }
}

fn show(text: &str) {
    // Nobody is left to tell where standard error is closed.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Returns what looks at a value while the command line is read, so that a wrong one is told as any other.
fn parsed(
    read: fn(&mut Options, &str) -> Result<(), OptionError>,
) -> impl Fn(&str) -> Result<String, OptionError> + Clone {
    move |text| read(&mut Options::default(), text).map(|()| text.to_owned())
}

const LOOKED_AT: &str = "the command line was looked at";
