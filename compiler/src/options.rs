//! How an interface file is to be read.

use core::fmt;
use core::str::FromStr;
use std::path::PathBuf;

use crate::lex::number;

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

impl Options {
    /// Adds a definition as the command line has it: `NAME`, which stands for 1, or `NAME=TEXT`.
    ///
    /// # Errors
    /// If there is no name, or it is none.
    pub fn define(&mut self, text: &str) -> Result<(), OptionError> {
        let (name, value) = text.split_once('=').unwrap_or((text, "1"));
        self.defines.push((identifier(name)?, value.to_owned()));
        Ok(())
    }

    /// Adds a constant as the command line has it: `NAME=VALUE`, the value decimal, hexadecimal or octal as in the language.
    ///
    /// # Errors
    /// If there is no name or no value, or they are none.
    pub fn constant(&mut self, text: &str) -> Result<(), OptionError> {
        let (name, value) = text.split_once('=').ok_or(OptionError::NoValue)?;
        let (sign, magnitude) = value.strip_prefix('-').map_or((1, value), |magnitude| (-1, magnitude));
        let value = sign * number(magnitude).map_err(|_| OptionError::NoNumber)?;
        if value < i64::MIN.into() {
            return Err(OptionError::NoNumber);
        }
        self.constants.push((identifier(name)?, value));
        Ok(())
    }
}

fn identifier(name: &str) -> Result<String, OptionError> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = name.starts_with(|c: char| is_word(c) && !c.is_ascii_digit());
    if begins && name.chars().all(is_word) { Ok(name.to_owned()) } else { Err(OptionError::NoName) }
}

/// Why an option of the command line is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionError {
    /// What stands before `=` is no name.
    NoName,
    /// There is no `=`.
    NoValue,
    /// What stands after `=` is no number of at most 64 bits.
    NoNumber,
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoName => "a name is made of letters, digits and underscores, and does not begin with a digit",
            Self::NoValue => "a value is missing: NAME=VALUE",
            Self::NoNumber => "the value is no number of at most 64 bits",
        })
    }
}

impl core::error::Error for OptionError {}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_written_as_on_the_command_line() {
        let mut options = Options::default();
        for (text, expected) in [
            ("A=1", Ok(())),
            ("_B=-0x10", Ok(())),
            ("C", Err(OptionError::NoValue)),
            ("D=", Err(OptionError::NoNumber)),
            ("E=08", Err(OptionError::NoNumber)),
            ("F=-9223372036854775809", Err(OptionError::NoNumber)),
            ("=1", Err(OptionError::NoName)),
            ("1G=1", Err(OptionError::NoName)),
            ("h-i=1", Err(OptionError::NoName)),
        ] {
            assert_eq!(options.constant(text), expected, "{text}");
        }
        assert_eq!(options.constants, [("A".into(), 1), ("_B".into(), -16)]);
        assert_eq!(
            [options.define("A"), options.define("B=x y"), options.define("")],
            [Ok(()), Ok(()), Err(OptionError::NoName)]
        );
        assert_eq!(options.defines, [("A".into(), "1".into()), ("B".into(), "x y".into())]);
    }

    #[test]
    fn dialects_are_known_by_their_names() {
        for (name, dialect) in Dialect::ALL {
            assert_eq!((name.parse(), dialect.to_string().as_str()), (Ok(dialect), name));
        }
        assert_eq!("ansi".parse::<Dialect>(), Err(UnknownDialect));
    }
}
