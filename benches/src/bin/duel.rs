//! Posthaste against other systems, as the README of this folder says.

use std::process::ExitCode;
use std::{env, io};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match posthaste_benches::duel::run(&args, &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("duel: {error}");
            ExitCode::FAILURE
        }
    }
}
