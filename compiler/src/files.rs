//! Which files may be read, and how much of them.

use core::fmt;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::preprocess::FILE_COUNT_MAX;
use crate::source::{FileId, Purpose, Sources, Span};

/// How many octets the files of one interface may have, all together; chosen by us.
pub const SOURCE_LEN_MAX: usize = 16 << 20;

/// Finds and reads the files of one interface: nothing outside of its folder and of the folders that the user names.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// The folders within which files are read, without links; none if the interface is in no file.
    roots: Vec<PathBuf>,
    /// What was read from a file.
    paths: HashMap<FileId, Found>,
    /// The files that are not at their end yet.
    open: Vec<FileId>,
    imported: HashSet<PathBuf>,
    file_count: usize,
    len: usize,
}

/// A file that exists, and may be read.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Without links.
    path: PathBuf,
    /// What to call it.
    name: String,
}

impl Files {
    /// Reads the interface file itself.
    pub(crate) fn open(
        path: &Path,
        include_dirs: &[PathBuf],
        sources: &mut Sources,
    ) -> Result<(Self, FileId), FileError> {
        let shown = path.display().to_string();
        let failed = |error: &io::Error| FileError::Unreadable(shown.clone(), error.to_string());
        let canonical = path.canonicalize().map_err(|error| failed(&error))?;
        let folder = canonical.parent().unwrap_or(&canonical).to_owned();
        let mut files = Self { roots: vec![folder], ..Self::default() };
        for dir in include_dirs {
            let root = dir
                .canonicalize()
                .map_err(|error| FileError::Unreadable(dir.display().to_string(), error.to_string()))?;
            files.roots.push(root);
        }
        let octets = files.octets(&canonical, &shown)?;
        let file = sources.add(shown.clone(), octets, Purpose::Part, None);
        files.enter(file, Found { path: canonical, name: shown });
        Ok((files, file))
    }

    /// Looks for what `#include` names: beside the file that includes, then in `include_dirs`.
    pub(crate) fn find(&self, from: FileId, path: &str, include_dirs: &[PathBuf]) -> Result<Found, FileError> {
        if self.roots.is_empty() {
            return Err(FileError::NoFolder);
        }
        let mut outside = false;
        for (shown, candidate) in self.candidates(from, path, include_dirs) {
            let Ok(canonical) = candidate.canonicalize() else { continue };
            if !self.is_within_roots(&canonical) {
                outside = true;
                continue;
            }
            if self.open.iter().any(|open| self.paths.get(open).is_some_and(|open| open.path == canonical)) {
                return Err(FileError::Cycle(path.to_owned()));
            }
            return Ok(Found { path: canonical, name: shown.display().to_string() });
        }
        Err(if outside || Path::new(path).is_absolute() {
            FileError::Outside(path.to_owned())
        } else {
            FileError::NotFound(path.to_owned())
        })
    }

    /// Looks for an interface file by the name of its C header, with its folders and without, once for each.
    pub(crate) fn find_import(&mut self, from: FileId, path: &str, include_dirs: &[PathBuf]) -> Option<Found> {
        let base = Path::new(path).file_name()?.to_str()?;
        let found = [path, base].iter().find_map(|path| self.find(from, path, include_dirs).ok())?;
        // What is a part already needs no import.
        let is_part = self.paths.values().any(|part| part.path == found.path);
        (!is_part && self.imported.insert(found.path.clone())).then_some(found)
    }

    /// Reads a file that was found. `None` if that would be an import of what has become a part meanwhile.
    pub(crate) fn read(
        &mut self,
        found: Found,
        purpose: Purpose,
        at: Span,
        sources: &mut Sources,
    ) -> Result<Option<FileId>, FileError> {
        if purpose == Purpose::Import && self.paths.values().any(|part| part.path == found.path) {
            return Ok(None);
        }
        let octets = self.octets(&found.path, &found.name)?;
        let file = sources.add(found.name.clone(), octets, purpose, Some(at));
        self.enter(file, found);
        Ok(Some(file))
    }

    /// Says that a file is at its end.
    pub(crate) fn leave(&mut self, file: FileId) {
        self.open.retain(|open| *open != file);
    }

    fn enter(&mut self, file: FileId, found: Found) {
        self.paths.insert(file, found);
        self.open.push(file);
    }

    /// Returns what to look for: by what name to show it, and by what name to open it.
    fn candidates(&self, from: FileId, path: &str, include_dirs: &[PathBuf]) -> Vec<(PathBuf, PathBuf)> {
        let beside = |name: &Path| name.with_file_name("").join(path);
        let beside = self.paths.get(&from).map(|from| (beside(Path::new(&from.name)), beside(&from.path)));
        beside.into_iter().chain(include_dirs.iter().map(|dir| (dir.join(path), dir.join(path)))).collect()
    }

    fn is_within_roots(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| path.starts_with(root))
    }

    fn octets(&mut self, path: &Path, shown: &str) -> Result<Vec<u8>, FileError> {
        self.file_count += 1;
        if self.file_count > FILE_COUNT_MAX {
            return Err(FileError::TooMany);
        }
        let failed = |error: &io::Error| FileError::Unreadable(shown.to_owned(), error.to_string());
        // What is no file may never end, or never begin.
        let metadata = fs::metadata(path).map_err(|error| failed(&error))?;
        if !metadata.is_file() {
            return Err(FileError::Unreadable(shown.to_owned(), "not a file".into()));
        }
        let left = SOURCE_LEN_MAX - self.len;
        let len = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        if len > left {
            return Err(FileError::TooLarge);
        }
        let mut octets = Vec::with_capacity(len + 1);
        // The file may grow meanwhile.
        let file = File::open(path).map_err(|error| failed(&error))?;
        file.take(left as u64 + 1).read_to_end(&mut octets).map_err(|error| failed(&error))?;
        if octets.len() > left {
            return Err(FileError::TooLarge);
        }
        self.len += octets.len();
        Ok(octets)
    }
}

/// Why a file is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileError {
    NotFound(String),
    Outside(String),
    Cycle(String),
    Unreadable(String, String),
    TooMany,
    TooLarge,
    NoFolder,
}

impl FileError {
    pub(crate) fn help(&self) -> String {
        match self {
            Self::NotFound(_) => {
                "files are looked for beside the file that includes them, then in the folders of -I".into()
            }
            Self::Outside(_) => "name its folder with -I if it may be read".into(),
            Self::Cycle(_) => "move what both files need to a third one".into(),
            Self::Unreadable(..) => "give the name of a file that can be read".into(),
            Self::TooMany => {
                format!("an interface may have {FILE_COUNT_MAX} files; a file that is included twice counts twice")
            }
            Self::TooLarge => format!("an interface may have {} MiB in all its files", SOURCE_LEN_MAX >> 20),
            Self::NoFolder => "put the interface into a file".into(),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(path) => write!(f, "there is no file `{path}`"),
            Self::Outside(path) => write!(f, "`{path}` lies outside of the folders that may be read"),
            Self::Cycle(path) => write!(f, "`{path}` includes itself"),
            Self::Unreadable(path, why) => write!(f, "cannot read `{path}`: {why}"),
            Self::TooMany => f.write_str("too many files"),
            Self::TooLarge => f.write_str("too large an interface"),
            Self::NoFolder => f.write_str("nothing can be included: this text is in no folder"),
        }
    }
}

impl core::error::Error for FileError {}
