//! `posthaste gen`: from an interface file to Rust, and whether a new version of one still speaks with the old one.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use posthaste_compiler::compare::{Verdict, compare};
use posthaste_compiler::{
    Dialect, OptionError, Options, Paint, Report, Severity, UNBOUNDED_MAX, load, render_all, write_file,
};

use crate::failure::{Code, Failure};
use crate::output;

/// Make Rust stubs of an interface file.
///
/// What is wrong with the file is shown with the place; nothing is written then.
#[derive(Args)]
pub(crate) struct GenArgs {
    /// The interface file
    #[arg(value_name = "FILE.x", required_unless_present = "check")]
    file: Option<PathBuf>,
    /// Write nothing, and tell whether a new version of an interface file still speaks with the old one: status 1 if not
    #[arg(long, num_args = 2, value_names = ["OLD.x", "NEW.x"], conflicts_with_all = ["file", "out"])]
    check: Option<Vec<PathBuf>>,
    /// Where to write; a folder gets a file of the same name [default: standard output]
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
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

/// Compiles the file, or compares two.
pub(crate) fn run(args: &GenArgs) -> Result<(), Failure> {
    match (&args.check, &args.file) {
        (Some(files), _) => check(&files[0], &files[1], &args.options()),
        (None, Some(file)) => generate(file, args.out.as_deref(), &args.options()),
        (None, None) => Err(Failure::new(Code::Usage, "the interface file is missing").hint("try '--help'")),
    }
}

fn generate(file: &Path, out: Option<&Path>, options: &Options) -> Result<(), Failure> {
    look_at(file)?;
    let generated = posthaste_compiler::generate(file, options)
        .map_err(|report| has_errors(file, &report).hint("nothing was written"))?;
    show(&render_all(&generated.warnings, &generated.sources, paint()));
    let Some(out) = out else { return output::print(&generated.text) };
    let out = if out.is_dir() { out.join(rust_name(file)?) } else { out.to_owned() };
    write_file(&out, &generated.text)
        .map_err(|error| Failure::local(format_args!("cannot write {}", out.display()), &error))
}

fn check(old: &Path, new: &Path, options: &Options) -> Result<(), Failure> {
    let read = |file: &Path| {
        look_at(file)?;
        load(file, options).map_err(|report| has_errors(file, &report))
    };
    let (before, after) = (read(old)?, read(new)?);
    let comparison = compare(&before.model, &after.model);
    output::print(comparison.render(&before.sources, &after.sources))?;
    match comparison.verdict() {
        Verdict::Safe | Verdict::Limits => Ok(()),
        Verdict::Breaks => {
            let what = format!("{} does not speak with {}", new.display(), old.display());
            Err(Failure::new(Code::Application, what).hint("give it a new version number"))
        }
    }
}

/// Makes sure that a file can be read: one that cannot is no interface file with errors.
fn look_at(file: &Path) -> Result<(), Failure> {
    let look = |error| Failure::local(format_args!("cannot read {}", file.display()), &error);
    fs::File::open(file).map(drop).map_err(look)
}

/// Shows what is wrong with an interface file, and says so.
fn has_errors(file: &Path, report: &Report) -> Failure {
    show(&report.render(paint()));
    let errors = report.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    let count = errors.count();
    let what = format!("{} has {count} error{}", file.display(), if count == 1 { "" } else { "s" });
    Failure::new(Code::Application, what)
}

/// Returns the name of the file of Rust for an interface file.
fn rust_name(file: &Path) -> Result<PathBuf, Failure> {
    let name = file.file_name().map(|name| Path::new(name).with_extension("rs"));
    name.ok_or_else(|| Failure::new(Code::Usage, "the interface file has no name"))
}

impl GenArgs {
    fn options(&self) -> Options {
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

/// Returns what looks at a value while the command line is read, so that a wrong one is told as any other.
fn parsed(
    read: fn(&mut Options, &str) -> Result<(), OptionError>,
) -> impl Fn(&str) -> Result<String, OptionError> + Clone {
    move |text| read(&mut Options::default(), text).map(|()| text.to_owned())
}

const LOOKED_AT: &str = "the command line was looked at";

fn paint() -> Paint {
    if io::stderr().is_terminal() { Paint::Colored } else { Paint::Plain }
}

/// Shows diagnostics.
fn show(text: &str) {
    // Nobody is left to tell where standard error is closed.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
