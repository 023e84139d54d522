//! The calculator with threads: a call is a function that returns.

use posthaste_calculator::Calculator;
use posthaste_calculator::calculator::calculator_v1::{Client, Service};
use posthaste_std::{Config, Rpc, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::serve_insecure("127.0.0.1:0", Config::lan(), Rpc(Service(Calculator)))?;

    let client = Client::new(posthaste_std::Client::connect_insecure(server.local_addr(), Config::lan())?);
    println!("2 + 3 = {}", client.add(2, 3)?);
    println!("7 / 2 = {:?}", client.divide(7, 2)?);
    println!("7 / 0 = {:?}", client.divide(7, 0)?);
    println!("1 + 2 + 3 = {}", client.sum(&[1, 2, 3])?);
    Ok(())
}
