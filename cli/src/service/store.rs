//! A directory that takes files from the network.

use alloc::collections::VecDeque;
use core::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use blake3::{Hash, Hasher};

use super::LOOK_INTERVAL;
use super::transfer::{Header, check_name, read_array};

/// A directory in which each file is whole: it is written under a temporary name, read back, compared, and only then gets
/// its own, in place of a file that had it.
///
/// A temporary file is locked while it is written. What a killed process left behind is therefore known, and removed by the
/// next one.
pub(crate) struct Store {
    directory: PathBuf,
    /// What became of the transfers that ended last, oldest first.
    outcomes: Mutex<VecDeque<(u64, Outcome)>>,
    changed: Condvar,
}

/// A file that was stored.
pub(crate) struct Stored {
    pub(crate) name: String,
    pub(crate) len: u64,
    pub(crate) digest: Hash,
}

/// What became of a transfer: the digest of the file on the disk, or why there is none.
type Outcome = Result<Hash, String>;

impl Store {
    /// Opens a directory, and removes what transfers that broke off left in it.
    ///
    /// # Errors
    /// What the operating system says if it is no directory that can be written.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let is_temporary = name
                .to_str()
                .is_some_and(|name| name.starts_with(TEMPORARY_PREFIX) && name.ends_with(TEMPORARY_SUFFIX));
            // One that is locked is being written by somebody else.
            if is_temporary && File::open(entry.path())?.try_lock().is_ok() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            outcomes: Mutex::new(VecDeque::with_capacity(OUTCOME_COUNT_MAX)),
            changed: Condvar::new(),
        })
    }

    /// Takes a file from a stream, and keeps what came of it. `None` if there is no file in the end.
    pub(crate) fn receive(&self, stream: &mut dyn Read) -> Option<Stored> {
        // Without a header nobody can ask.
        let header = Header::read(stream).ok()?;
        let outcome = self.take(&header, stream);
        let stored =
            outcome.as_ref().ok().map(|&digest| Stored { name: header.name.clone(), len: header.file_len, digest });
        let mut outcomes = self.lock();
        if outcomes.len() == OUTCOME_COUNT_MAX {
            outcomes.pop_front();
        }
        outcomes.push_back((header.transfer, outcome));
        drop(outcomes);
        self.changed.notify_all();
        stored
    }

    /// Returns what became of a transfer, and waits for it until `is_over`.
    ///
    /// # Errors
    /// Why the file was not stored.
    pub(crate) fn outcome(&self, transfer: u64, is_over: &dyn Fn() -> bool) -> Outcome {
        let mut outcomes = self.lock();
        loop {
            if let Some((_, outcome)) = outcomes.iter().find(|(known, _)| *known == transfer) {
                return outcome.clone();
            }
            if is_over() {
                return Err("the caller gave up".to_owned());
            }
            (outcomes, _) = self.changed.wait_timeout(outcomes, LOOK_INTERVAL).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn take(&self, header: &Header, stream: &mut dyn Read) -> Outcome {
        check_name(&header.name).map_err(|error| format!("the name '{}' is refused: {error}", header.name))?;
        let cannot = |error: io::Error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                format!("cannot store '{}': its stream ended early", header.name)
            } else {
                format!("cannot store '{}': {error}", header.name)
            }
        };
        let mut temporary = Temporary::create(&self.directory, header.transfer).map_err(cannot)?;
        copy(stream, &mut temporary.file, header.file_len).map_err(cannot)?;
        let announced = read_array(stream).map(Hash::from_bytes).map_err(cannot)?;
        if stream.read(&mut [0]).map_err(cannot)? != 0 {
            return Err(format!("cannot store '{}': there is more than was announced", header.name));
        }
        let digest = temporary.read_back().map_err(cannot)?;
        if digest != announced {
            return Err(format!("cannot store '{}': what is on the disk is not what was sent", header.name));
        }
        temporary.persist(&self.directory.join(&header.name)).map_err(cannot)?;
        Ok(digest)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, Outcome)>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.directory).finish()
    }
}

/// A file under a temporary name; removed with this.
struct Temporary {
    file: File,
    /// `None` once it has a name of its own.
    path: Option<PathBuf>,
}

impl Temporary {
    fn create(directory: &Path, transfer: u64) -> io::Result<Self> {
        let path = directory.join(format!("{TEMPORARY_PREFIX}{transfer:016x}{TEMPORARY_SUFFIX}"));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        let temporary = Self { file, path: Some(path) };
        temporary.file.try_lock()?;
        Ok(temporary)
    }

    /// Brings the file to the disk and returns the digest of what is there.
    fn read_back(&mut self) -> io::Result<Hash> {
        self.file.sync_data()?;
        self.file.rewind()?;
        let mut hasher = Hasher::new();
        io::copy(&mut self.file, &mut hasher)?;
        Ok(hasher.finalize())
    }

    fn persist(mut self, path: &Path) -> io::Result<()> {
        let temporary = self.path.as_deref().unwrap_or(path);
        fs::rename(temporary, path)?;
        self.path = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // If it stays, the next process removes it.
            let _ = fs::remove_file(path);
        }
    }
}

/// Copies exactly `len` octets.
fn copy(from: &mut dyn Read, to: &mut File, len: u64) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_LEN];
    let mut left = len;
    while left > 0 {
        let chunk_len = usize::try_from(left).map_or(CHUNK_LEN, |left| left.min(CHUNK_LEN));
        match from.read(&mut buffer[..chunk_len]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read_len) => {
                to.write_all(&buffer[..read_len])?;
                left -= read_len as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

const TEMPORARY_PREFIX: &str = ".posthaste-";
const TEMPORARY_SUFFIX: &str = ".part";

/// Octets that are read and written at a time; our choice.
pub(crate) const CHUNK_LEN: usize = 64 << 10;

/// Transfers whose outcome is remembered; our choice. Their senders ask at once.
const OUTCOME_COUNT_MAX: usize = 1024;
