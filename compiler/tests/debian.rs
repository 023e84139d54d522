//! The interface files of Debian's package rpcsvc-proto, where it is installed.

use std::fs;
use std::path::Path;

use posthaste_compiler::{Dialect, Options, load};

#[test]
fn every_interface_file_of_rpcsvc_proto_is_understood() {
    let folder = Path::new("/usr/include/rpcsvc");
    let mut count = 0;
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("the folder can be read").path();
        if path.extension().is_some_and(|extension| extension == "x") {
            let options = Options { dialect: Dialect::Sun, ..Options::default() };
            if let Err(report) = load(&path, &options) {
                panic!("{}:\n{report}", path.display());
            }
            count += 1;
        }
    }
    if count == 0 {
        eprintln!("rpcsvc-proto is not installed: NOT CHECKED");
    }
}
