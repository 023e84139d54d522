//! Either end of a measurement of another system: `peer server|client --system NAME …`, as the bench convention wants it.

use std::env;
use std::io::{self, BufReader};
use std::process::ExitCode;

use posthaste_benches::peers::convention;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    // Not locked: a server has a thread that waits for the end of its input.
    let lines = BufReader::new(io::stdin());
    match convention::run(&args, lines, &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer: {error}");
            ExitCode::FAILURE
        }
    }
}
