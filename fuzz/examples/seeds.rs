//! Writes the vectors, values in XDR and JSON and the compiler's interface files into `corpus/`, where the fuzzer begins.

use std::fs;
use std::io;
use std::path::Path;

use posthaste_fuzz::{interface_files, json_seeds, vectors, xdr_seeds};

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, _) in posthaste_fuzz::TARGETS {
        fs::create_dir_all(corpus.join(name))?;
    }
    for (at, vector) in vectors().iter().enumerate() {
        for (which, (name, octets)) in vector.inputs().into_iter().enumerate() {
            fs::write(corpus.join(name).join(format!("vector-{at}-{which}")), octets)?;
        }
    }
    for (seed, octets) in xdr_seeds().enumerate() {
        fs::write(corpus.join("xdr").join(format!("seed-{seed}")), octets)?;
    }
    for (seed, octets) in json_seeds().enumerate() {
        fs::write(corpus.join("json").join(format!("seed-{seed}")), octets)?;
    }
    for (at, octets) in interface_files().into_iter().enumerate() {
        fs::write(corpus.join("interface").join(format!("file-{at}")), octets)?;
    }
    Ok(())
}
