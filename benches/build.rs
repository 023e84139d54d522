//! Makes the stubs that are measured.

use posthaste_compiler::{Build, BuildError, Dialect};

fn main() -> Result<(), BuildError> {
    // The dialect that includes other files, as `rpcgen` does.
    Build::new().dialect(Dialect::Sun).compile("interfaces/calls.x")
}
