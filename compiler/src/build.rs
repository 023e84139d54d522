//! For a `build.rs`.

use core::fmt;
use std::env;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Dialect, Generated, Options, Paint, Report, generate, render_all, write_file};

/// Compiles interface files from a `build.rs`.
///
/// ```no_run
/// fn main() -> Result<(), posthaste_compiler::BuildError> {
///     posthaste_compiler::Build::new().compile("calculator.x")
/// }
/// ```
///
/// The stubs are then in a file in `OUT_DIR` that has the name of the interface file: `posthaste_rpc::interface!(mod calculator);`
/// makes a module of it.
#[derive(Clone, Debug, Default)]
pub struct Build {
    options: Options,
    out_dir: Option<PathBuf>,
}

impl Build {
    /// Makes a compiler of the strict dialect.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the language that the files are written in.
    #[must_use]
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.options.dialect = dialect;
        self
    }

    /// Defines a name for the preprocessor.
    #[must_use]
    pub fn define(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.options.defines.push((name.into(), text.into()));
        self
    }

    /// Defines a constant that the files use without defining it.
    #[must_use]
    pub fn constant(mut self, name: impl Into<String>, value: impl Into<i128>) -> Self {
        self.options.constants.push((name.into(), value.into()));
        self
    }

    /// Adds a folder in which includes are looked for.
    #[must_use]
    pub fn include(mut self, folder: impl Into<PathBuf>) -> Self {
        self.options.include_dirs.push(folder.into());
        self
    }

    /// Sets the bound of what has none in the files; [`UNBOUNDED_MAX`](crate::UNBOUNDED_MAX) otherwise.
    #[must_use]
    pub fn unbounded_max(mut self, max: u32) -> Self {
        self.options.unbounded_max = max;
        self
    }

    /// Writes to a folder that is not `OUT_DIR`.
    #[must_use]
    pub fn out_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(folder.into());
        self
    }

    /// Compiles an interface file, and tells Cargo what it depends on and which warnings there are.
    ///
    /// # Errors
    /// [`BuildError`]; nothing was written then.
    pub fn compile(&self, path: impl AsRef<Path>) -> Result<(), BuildError> {
        let path = path.as_ref();
        // Also after an error: else Cargo would not look again before something else changes.
        println!("cargo::rerun-if-changed={}", path.display());
        let Generated { text, warnings, sources } = generate(path, &self.options).map_err(BuildError::Interface)?;
        for name in sources.names() {
            println!("cargo::rerun-if-changed={name}");
        }
        for line in render_all(&warnings, &sources, Paint::Plain).lines() {
            println!("cargo::warning={line}");
        }
        let folder = match &self.out_dir {
            Some(folder) => folder.clone(),
            None => env::var_os("OUT_DIR").ok_or(BuildError::OutDir)?.into(),
        };
        let out = folder.join(path.with_extension("rs").file_name().ok_or(BuildError::OutDir)?);
        write_file(&out, &text).map_err(|error| BuildError::Write { path: out, error })
    }
}

/// Why an interface file was not compiled.
#[non_exhaustive]
pub enum BuildError {
    /// There is something wrong with it.
    Interface(Report),
    /// There is no `OUT_DIR`: this is no `build.rs`, and no other folder was given.
    OutDir,
    /// The result could not be written.
    Write {
        /// Where to.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(report) => write!(f, "the interface file has errors\n\n{report}"),
            Self::OutDir => f.write_str("OUT_DIR is not set"),
            Self::Write { path, error } => write!(f, "cannot write {}: {error}", path.display()),
        }
    }
}

/// As for people: a `main` that returns it shows it so.
impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for BuildError {}
