use posthaste_compiler::{Build, BuildError, Dialect};

fn main() -> Result<(), BuildError> {
    // Arguments have names in this dialect.
    Build::new().dialect(Dialect::Xdrpp).compile("files.x")
}
