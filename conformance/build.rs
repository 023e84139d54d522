//! Makes stubs of the interface files of the tests.

use posthaste_compiler::{Build, BuildError, Dialect};

fn main() -> Result<(), BuildError> {
    let build = Build::new().dialect(Dialect::Sun);
    ["calc", "mistaken", "rpcbind"].iter().try_for_each(|name| build.compile(format!("tests/onc/{name}.x")))
}
