//! Generated types, to be put to the test: those of `torture.x` beside what `rpcgen` makes of them (`tests/rpcgen.rs`), and those of
//! every interface file at hand under octets of chance (`tests/chance.rs`).
//!
//! That this compiles says that what is generated has no warnings: from `torture.x`, from the compiler's fixtures, and from the
//! interface files of Debian's package rpcsvc-proto, where it is installed.
#![deny(warnings)]
#![forbid(unsafe_code)]

use std::path::Path;

use posthaste_compiler::model::{Model, Type, TypeId};
use posthaste_compiler::{Options, load};
use posthaste_rpc::Procedure;
use posthaste_rpc::xdr::{Decode, DecodeError, Encode, Limits, List, from_octets, to_vec};

include!(concat!(env!("OUT_DIR"), "/interfaces.rs"));

/// An interface file and its types.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    /// The name of the module.
    pub name: &'static str,
    /// Where the file is.
    pub path: &'static str,
    /// The dialect that it is written in.
    pub dialect: &'static str,
    /// Its types, in the order of [`Model::types`].
    pub subjects: &'static [Subject],
}

impl Interface {
    /// Reads the file again.
    ///
    /// # Panics
    /// If it is no longer what it was.
    #[must_use]
    pub fn model(&self) -> Model {
        let dialect = self.dialect.parse().expect("it was compiled with it");
        let interface = load(Path::new(self.path), &Options { dialect, ..Options::default() });
        interface.unwrap_or_else(|report| panic!("{report}")).model
    }

    /// Returns each type, and what the model calls it.
    pub fn types(&self) -> impl Iterator<Item = (&'static Subject, Type)> + use<> {
        self.subjects.iter().zip((0..).map(|index| Type::Named(TypeId(index))))
    }
}

/// A generated type, seen as octets.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Its name in the interface file.
    pub name: &'static str,
    /// Decodes a value, and drops it.
    pub probe: fn(&[u8], &Limits) -> Result<(), DecodeError>,
    /// Decodes a value, and encodes it.
    pub recode: fn(&[u8], &Limits) -> Result<Vec<u8>, DecodeError>,
}

impl Subject {
    const fn of<T: for<'a> Decode<'a> + Encode>(name: &'static str) -> Self {
        Self {
            name,
            probe: |octets, limits| from_octets::<T>(octets, limits).map(drop),
            recode: |octets, limits| {
                let value = from_octets::<T>(octets, limits)?;
                Ok(to_vec(&value).expect("what was decoded keeps its bounds"))
            },
        }
    }
}

/// Returns what stubs allow to be decoded, unless the interface file says something else.
#[must_use]
pub fn stub_limits() -> Limits {
    Procedure::<()>::new("", 0, 0, 0).signature.result_limits()
}

#[cfg(test)]
mod tests {
    use posthaste_foreign::{Foreign, RPCSVC};

    use super::*;

    #[test]
    fn every_interface_file_of_rpcsvc_proto_compiles() {
        if !Foreign::Rpcsvc.is_here() {
            return;
        }
        let is_interface = |path: &Path| path.extension().is_some_and(|extension| extension == "x");
        let entries = std::fs::read_dir(RPCSVC).unwrap();
        let count = entries.filter(|entry| entry.as_ref().is_ok_and(|entry| is_interface(&entry.path()))).count();
        assert_eq!(INTERFACES.iter().filter(|interface| interface.name.starts_with("rpcsvc_")).count(), count);
    }
}
