//! From an interface file to a file of Rust.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process;

use crate::rust::{self, Heavy, Reason, Renaming};
use crate::source::Sources;
use crate::{Diagnostic, Options, Report, load};

/// What was made of an interface file.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The Rust, ending with a newline.
    pub text: String,
    /// What is allowed in the interface file and unwise, which names are others in Rust, and which values are large.
    pub warnings: Vec<Diagnostic>,
    /// The files that were read.
    pub sources: Sources,
}

/// Reads and checks an interface file, and writes it in Rust.
///
/// # Errors
/// What is wrong with it.
pub fn generate(path: &Path, options: &Options) -> Result<Generated, Report> {
    let interface = load(path, options)?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let output = rust::write(&interface.model, &name);
    let mut warnings = interface.warnings;
    warnings.extend(output.renamings.iter().map(renamed));
    warnings.extend(output.heavy.iter().map(heavy));
    Ok(Generated { text: output.text, warnings, sources: interface.sources })
}

/// Puts `text` into a file, all of it or, at an error, nothing: it is written beside it and then moved there.
///
/// A file that has this text already is left as it is, so that nothing that depends on it is built again. A link stays: the file
/// that it leads to gets the text. What is no file, as a pipe or a terminal, is written to as it is.
///
/// # Errors
/// What the operating system says.
pub fn write_file(path: &Path, text: &str) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        // To move a file there would take the device away from everybody who uses it.
        return fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes());
    }
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::read(path).is_ok_and(|octets| octets == text.as_bytes()) {
        return Ok(());
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut beside = name.to_owned();
    beside.push(format!(".{}.tmp", process::id()));
    let beside = path.with_file_name(beside);
    let written = fs::File::create(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What is left of it is of no use.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn renamed(renaming: &Renaming) -> Diagnostic {
    let Renaming { name, wanted, given, reason } = renaming;
    let why = match reason {
        Reason::Keyword => format!("`{wanted}` is a word of Rust"),
        Reason::Reserved => format!("`{wanted}` is a name that generated code uses itself"),
        Reason::Taken => format!("`{wanted}` is taken by another name that becomes the same in Rust"),
    };
    Diagnostic::warning(name.span, format!("`{}` is called `{given}` in Rust", name.text)).label(why)
}

fn heavy(heavy: &Heavy) -> Diagnostic {
    let Heavy { name, stack_len } = heavy;
    Diagnostic::warning(name.span, format!("a value of type `{}` may not fit on a stack", name.text))
        .label(format!("to read one takes about {} KiB of it", stack_len.div_ceil(1024)))
        .help("its small fields are too many: with some of them in a struct of their own, which is no other encoding, it is less")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_or_not_at_all_and_only_if_it_changes() {
        let folder = std::env::temp_dir().join(format!("posthaste-write-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.rs");
        write_file(&path, "one").unwrap();
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        write_file(&path, "one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
        write_file(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        // A folder in its place stays, and nothing is left beside it.
        fs::create_dir(folder.join("b.rs")).unwrap();
        write_file(&folder.join("b.rs"), "one").unwrap_err();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one_and_a_pipe_is_written_to() {
        use std::os::unix::fs::{FileTypeExt as _, symlink};

        let folder = std::env::temp_dir().join(format!("posthaste-link-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (file, link, pipe) = (folder.join("a.rs"), folder.join("link.rs"), folder.join("pipe"));
        fs::write(&file, "one").unwrap();
        symlink(&file, &link).unwrap();
        write_file(&link, "two").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");

        assert!(process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Both ends, so that neither waits for the other to be opened.
        let mut ends = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
        write_file(&pipe, "one").unwrap();
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
        let mut octets = [0; 3];
        io::Read::read_exact(&mut ends, &mut octets).unwrap();
        assert_eq!(&octets, b"one");
        fs::remove_dir_all(&folder).unwrap();
    }
}
