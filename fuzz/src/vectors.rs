//! The vectors, as octets that the targets understand.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// A vector: a whole datagram, or frames and the places in which they may be tried.
pub struct Vector {
    /// Its octets.
    pub octets: Vec<u8>,
    /// Whether it is frames alone.
    pub is_frames: bool,
}

impl Vector {
    /// Returns the name of a target and its input, for each target that can do something with the vector.
    #[must_use]
    pub fn inputs(&self) -> Vec<(&'static str, Vec<u8>)> {
        if !self.is_frames {
            return vec![("datagram", self.octets.clone())];
        }
        let carried = (0..6).map(|carrier| ("frames", [&[carrier], self.octets.as_slice()].concat()));
        let len = (self.octets.len() as u16).to_be_bytes();
        // Told to a server, then to a client (operation, side, number, length, octets, once).
        let told = [1, 0].map(|side| ("endpoint", [&[3, side, 0], &len[..], &self.octets, &[255]].concat()));
        carried.chain(told).chain([("items", self.octets.clone())]).collect()
    }
}

/// Reads all vectors.
///
/// # Panics
/// If they are not there.
#[must_use]
pub fn vectors() -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors");
    let mut vectors = Vec::new();
    for file in ["frames.json", "datagrams.json", "invalid.json"] {
        let text = fs::read_to_string(folder.join(file)).expect("vectors lie beside the crates");
        let values: Vec<Value> = serde_json::from_str(&text).expect("they are JSON");
        for value in values {
            let hex = value["hex"].as_str().expect("each has octets");
            let octets = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
            vectors.push(Vector {
                octets: octets.map(|octet| octet.expect("hexadecimal")).collect(),
                is_frames: file == "frames.json" || value.get("carrier").is_some(),
            });
        }
    }
    vectors
}
