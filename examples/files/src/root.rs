//! A folder that no path leads out of.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use posthaste_rpc::xdr::Bounded;

use crate::files::{Attributes, ENTRY_COUNT_MAX, Entry, Kind, NAME_LEN_MAX, Page, Problem};

/// An open folder, and all that is in it.
///
/// A path is walked from here, one name at a time, and each name is looked up in a folder that is open: there is no moment at which
/// somebody who moves folders about could lead the walk elsewhere. No name is `..`, and no link is followed, not even one that stays
/// inside. What is mounted in the folder is part of it. What is neither a file nor a folder is not there.
#[derive(Debug)]
pub struct Root(File);

impl Root {
    /// Opens a folder; `path` is the server's own and may be a link.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        File::open(path.join(".")).map(Self)
    }

    /// Opens what a path names.
    ///
    /// # Errors
    /// If there is nothing, or nothing that may be read.
    pub fn find(&self, path: &[u8]) -> Result<(File, Attributes), Problem> {
        let mut found = open_at(&self.0, b".")?;
        // No names at all is not one that is empty.
        for name in path.split(|&octet| octet == b'/').skip(usize::from(path.is_empty())) {
            if matches!(name, b"" | b"." | b"..") || name.contains(&0) {
                return Err(Problem::BadPath);
            }
            found = open_at(&found.0, name)?;
        }
        Ok(found)
    }

    /// Opens a file.
    ///
    /// # Errors
    /// As [`Root::find`]; if it is a folder.
    pub fn file(&self, path: &[u8]) -> Result<(File, Attributes), Problem> {
        self.find(path).and_then(|found| if found.1.kind == Kind::File { Ok(found) } else { Err(Problem::NotAFile) })
    }

    /// Lists what is in a folder, from the first name after `after`.
    ///
    /// Reads all of the folder and keeps a page of it: names that come and go between two calls move no others.
    ///
    /// # Errors
    /// As [`Root::find`]; if it is a file.
    pub fn list(&self, path: &[u8], after: &[u8]) -> Result<Page, Problem> {
        let (folder, attributes) = self.find(path)?;
        if attributes.kind != Kind::Folder {
            return Err(Problem::NotAFolder);
        }
        let mut page = BTreeMap::new();
        let mut is_last = true;
        let entries = Dir::from_fd(folder.try_clone().map_err(|_| Problem::Failed)?.into()).map_err(problem)?;
        for entry in entries {
            let entry = entry.map_err(problem)?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || name <= after || name.len() > NAME_LEN_MAX as usize {
                continue;
            }
            // What is gone by now, or not served, is left out.
            if let Ok(attributes) = look_at(&folder, name) {
                page.insert(name.to_vec(), attributes);
            }
            if page.len() > ENTRY_COUNT_MAX as usize {
                page.pop_last();
                is_last = false;
            }
        }
        let entry = |(name, attributes): (Vec<u8>, _)| Entry { name: Bounded(name.into()), attributes };
        Ok(Page { entries: page.into_iter().map(entry).collect(), is_last })
    }
}

/// Opens what has this name in a folder.
fn open_at(folder: &File, name: &[u8]) -> Result<(File, Attributes), Problem> {
    // Before it is opened, because that alone wakes whoever waits at the other end of a pipe, and what a device does.
    look_at(folder, name)?;
    // If it became a link or a pipe in between, it is neither followed nor waited for.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = File::from(openat(folder, name, flags, Mode::empty()).map_err(problem)?);
    let attributes = attributes(&fstat(&file).map_err(problem)?)?;
    Ok((file, attributes))
}

/// Tells what has this name in a folder, without opening it.
fn look_at(folder: impl AsFd, name: &[u8]) -> Result<Attributes, Problem> {
    attributes(&fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(problem)?)
}

fn attributes(stat: &FileStat) -> Result<Attributes, Problem> {
    let kind = match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => Kind::File,
        SFlag::S_IFDIR => Kind::Folder,
        _ => return Err(Problem::NotFound),
    };
    Ok(Attributes { kind, len: stat.st_size.unsigned_abs(), modified: stat.st_mtime })
}

/// Tells callers no more than they need.
fn problem(error: Errno) -> Problem {
    match error {
        // `ENOTDIR`: a file has no names in it. `ELOOP`: it became a link in between.
        Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG => Problem::NotFound,
        Errno::EACCES | Errno::EPERM => Problem::Denied,
        _ => Problem::Failed,
    }
}
