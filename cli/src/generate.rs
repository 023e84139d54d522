//! `posthaste gen`: from an interface file to Rust, and whether a new version of one still speaks with the old one.

use std::path::{Path, PathBuf};

use clap::Args;
use posthaste_compiler::compare::{Verdict, compare};
use posthaste_compiler::{Options, write_file};

use crate::failure::{Code, Failure};
use crate::interface::{LanguageArgs, has_errors, look_at, read, show_warnings};
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
    #[command(flatten)]
    language: LanguageArgs,
}

/// Compiles the file, or compares two.
pub(crate) fn run(args: &GenArgs) -> Result<(), Failure> {
    match (&args.check, &args.file) {
        (Some(files), _) => check(&files[0], &files[1], &args.language.options()),
        (None, Some(file)) => generate(file, args.out.as_deref(), &args.language.options()),
        (None, None) => Err(Failure::new(Code::Usage, "the interface file is missing").hint("try '--help'")),
    }
}

fn generate(file: &Path, out: Option<&Path>, options: &Options) -> Result<(), Failure> {
    look_at(file)?;
    let generated = posthaste_compiler::generate(file, options)
        .map_err(|report| has_errors(file, &report).hint("nothing was written"))?;
    show_warnings(&generated.warnings, &generated.sources);
    let Some(out) = out else { return output::print(&generated.text) };
    let out = if out.is_dir() { out.join(rust_name(file)?) } else { out.to_owned() };
    write_file(&out, &generated.text)
        .map_err(|error| Failure::local(format_args!("cannot write {}", out.display()), &error))
}

fn check(old: &Path, new: &Path, options: &Options) -> Result<(), Failure> {
    let (before, after) = (read(old, options)?, read(new, options)?);
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

/// Returns the name of the file of Rust for an interface file.
fn rust_name(file: &Path) -> Result<PathBuf, Failure> {
    let name = file.file_name().map(|name| Path::new(name).with_extension("rs"));
    name.ok_or_else(|| Failure::new(Code::Usage, "the interface file has no name"))
}
