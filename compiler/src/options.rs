//! How an interface file is to be read.

use core::fmt;
use core::str::FromStr;
use std::path::PathBuf;

/// How an interface file is to be read.
#[derive(Clone, Debug)]
pub struct Options {
    /// The language it is written in.
    pub dialect: Dialect,
    /// What the preprocessor has defined before the first line (`-D NAME` and `-D NAME=TEXT`).
    ///
    /// Without `RPC_HDR`, `RPC_XDR`, `RPC_SVC`, `RPC_CLNT` or `RPC_TBL` among them, `RPC_HDR` is defined: of the passes of `rpcgen`,
    /// that is the one that declares what an interface consists of.
    pub defines: Vec<(String, String)>,
    /// Constants that the file uses and does not define, mostly because a C header does (`--const NAME=VALUE`).
    pub constants: Vec<(String, i128)>,
    /// Where to look for includes, after the folder of the file that includes (`-I DIR`).
    ///
    /// Nothing is read outside of these and of the folder of the interface file.
    pub include_dirs: Vec<PathBuf>,
    /// The bound of an empty `<>` that has no `@max`: octets of a string or an opaque, elements of an array.
    pub unbounded_max: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dialect: Dialect::Strict,
            defines: Vec::new(),
            constants: Vec::new(),
            include_dirs: Vec::new(),
            unbounded_max: UNBOUNDED_MAX,
        }
    }
}

/// The bound of an empty `<>` where nobody says otherwise; chosen by us.
pub const UNBOUNDED_MAX: u32 = 1 << 20;

/// A way to write interface files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// RFC 4506 and RFC 5531 §12 to the letter, and the small form `interface { … };`.
    #[default]
    Strict,
    /// What `rpcgen` takes, with a preprocessor, `%` lines and the types of C.
    Sun,
    /// Sun's, and what xdrpp takes: `namespace`.
    Xdrpp,
    /// Sun's, and what the kernel's xdrgen takes: `pragma`.
    Linux,
}

impl Dialect {
    /// All of them, by the name of the command line.
    pub const ALL: [(&'static str, Self); 4] =
        [("strict", Self::Strict), ("sun", Self::Sun), ("xdrpp", Self::Xdrpp), ("linux", Self::Linux)];

    pub(crate) fn is_strict(self) -> bool {
        self == Self::Strict
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _) = Self::ALL.iter().find(|(_, dialect)| dialect == self).expect("all are listed");
        f.write_str(name)
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, UnknownDialect> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, dialect)| *dialect).ok_or(UnknownDialect)
    }
}

/// No dialect has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownDialect;

impl fmt::Display for UnknownDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such dialect: there are strict, sun, xdrpp and linux")
    }
}

impl core::error::Error for UnknownDialect {}
