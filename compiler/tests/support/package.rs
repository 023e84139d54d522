//! A package beside the workspace, which Cargo builds and runs.

use std::path::Path;
use std::process::Command;

/// Runs the package in `folder`, which stays, so that what it depends on is built once; returns what it prints.
///
/// Nothing is fetched: whatever it depends on is one of this workspace or its dependencies.
pub(crate) fn run(folder: &Path, options: &[String]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--offline", "--quiet", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .args(options)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("RUSTFLAGS")
        // Nobody looks into it with a debugger, or changes it and builds it again.
        .envs([("CARGO_PROFILE_DEV_DEBUG", "none"), ("CARGO_INCREMENTAL", "0")])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let told: String = told.lines().take(200).flat_map(|line| [line, "\n"]).collect();
    assert!(output.status.success(), "{}: {told}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
