//! Either end of a measurement of another system: `peer server|client --system NAME …`, as the bench convention wants it.

use std::process::ExitCode;
use std::{env, io};

use posthaste_benches::peers::convention;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match convention::run(&args, io::stdin().lock(), &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer: {error}");
            ExitCode::FAILURE
        }
    }
}
