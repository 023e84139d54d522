//! Serves a folder: `files-server FOLDER [ADDRESS [ADDRESS OF ONC RPC]]`.

use std::path::Path;
use std::sync::Arc;

use posthaste_files::files::files_v1::Service;
use posthaste_files::{Files, Root};
use posthaste_std::{Config, Options, Rpc, Server, onc};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: files-server FOLDER [ADDRESS [ADDRESS OF ONC RPC]]")?;
    let address = arguments.next().unwrap_or("127.0.0.1:4000".into());
    let service = Arc::new(Service(Files(Root::open(Path::new(&folder))?)));

    // A file that is being sent takes a worker for as long as its reader needs.
    let options = Options { worker_count: 16, ..Config::lan().into() };
    let server = Server::serve_insecure(address.as_str(), options, Rpc(Arc::clone(&service)))?;
    println!("{}", server.local_addr());

    let _classic = match arguments.next() {
        Some(address) => {
            let server = onc::Server::serve(address, onc::ServerOptions::default(), onc::Rpc(service))?;
            println!("{}", server.local_addr());
            Some(server)
        }
        None => None,
    };
    loop {
        std::thread::park();
    }
}
