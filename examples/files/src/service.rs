//! What the procedures of `files.x` do.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use posthaste_rpc::xdr::XdrStr;
use posthaste_rpc::{Call, Failure, WriteStream};

use crate::files::{
    Attributes, AttributesResult, LenResult, Page, PageResult, Problem, RANGE_LEN_MAX, RangeResult, files_v1,
};
use crate::root::Root;

/// Serves what is in a folder.
#[derive(Debug)]
pub struct Files(pub Root);

impl files_v1::Server for Files {
    fn lookup(&self, _: &dyn Call, path: XdrStr<'_>) -> Result<AttributesResult, Failure> {
        Ok(self.0.find(path.0).map(|(_, attributes)| attributes).into())
    }

    fn list(&self, _: &dyn Call, path: XdrStr<'_>, after: XdrStr<'_>) -> Result<PageResult, Failure> {
        Ok(self.0.list(path.0, after.0).into())
    }

    fn read(&self, _: &dyn Call, path: XdrStr<'_>, offset: u64, count: u32) -> Result<RangeResult, Failure> {
        let found = self.0.file(path.0);
        Ok(found.and_then(|(file, attributes)| read_range(&file, attributes.len, offset, count)).into())
    }

    fn fetch(&self, call: &dyn Call, path: XdrStr<'_>) -> Result<LenResult, Failure> {
        // A transport without streams has none. Of what is not sent, the reader of the stream learns that it was given up.
        let stream = call.take_downward().ok_or(Failure::BadArguments)?;
        Ok(self.0.file(path.0).and_then(|(file, attributes)| send(file, attributes.len, stream)).into())
    }
}

fn read_range(file: &File, len: u64, offset: u64, count: u32) -> Result<Vec<u8>, Problem> {
    // The operating system has no name for offsets that no file reaches.
    if offset >= len {
        return Ok(Vec::new());
    }
    let mut octets = vec![0; count.min(RANGE_LEN_MAX) as usize];
    let len = file.read_at(&mut octets, offset).map_err(|_| Problem::Failed)?;
    octets.truncate(len);
    Ok(octets)
}

fn send(file: File, len: u64, mut stream: Box<dyn WriteStream>) -> Result<u64, Problem> {
    // Writing waits while the reader does not read.
    let sent = io::copy(&mut file.take(len), &mut stream).map_err(|_| Problem::Failed)?;
    stream.finish().map_err(|_| Problem::Failed)?;
    Ok(sent)
}

/// Makes each result of `files.x` one of Rust, and back.
macro_rules! results {
    ($($name:ident($type:ty)),*) => {$(
        impl From<Result<$type, Problem>> for $name {
            fn from(result: Result<$type, Problem>) -> Self {
                result.map_or_else(Self::False, Self::True)
            }
        }

        impl From<$name> for Result<$type, Problem> {
            fn from(result: $name) -> Self {
                match result {
                    $name::True(value) => Ok(value),
                    $name::False(problem) => Err(problem),
                }
            }
        }
    )*};
}

results!(AttributesResult(Attributes), PageResult(Page), RangeResult(Vec<u8>), LenResult(u64));
