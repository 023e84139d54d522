//! Serves the functions: `cargo run --bin server`.

use posthaste_chapter::Functions;
use posthaste_chapter::chapter::Service;
use posthaste_std::{Config, Rpc, Server};

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:4000".into());
    let server = Server::serve_insecure(address.as_str(), Config::lan(), Rpc(Service(Functions)))?;
    println!("{}", server.local_addr());
    loop {
        std::thread::park();
    }
}
