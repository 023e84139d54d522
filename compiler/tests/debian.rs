//! The interface files of Debian's package rpcsvc-proto, where it is installed.

use std::fs;

use posthaste_compiler::{Dialect, Options, load};
use posthaste_foreign::{Foreign, RPCSVC};

#[test]
fn every_interface_file_of_rpcsvc_proto_is_understood() {
    if !Foreign::Rpcsvc.is_here() {
        return;
    }
    for entry in fs::read_dir(RPCSVC).unwrap() {
        let path = entry.expect("the folder can be read").path();
        if path.extension().is_some_and(|extension| extension == "x") {
            let options = Options { dialect: Dialect::Sun, ..Options::default() };
            if let Err(report) = load(&path, &options) {
                panic!("{}:\n{report}", path.display());
            }
        }
    }
}
