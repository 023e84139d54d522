//! Calls the functions: `cargo run --bin client`.

use posthaste_chapter::chapter::Client;
use posthaste_std::Config;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:4000".into());
    let client = Client::new(posthaste_std::Client::connect_insecure(address.as_str(), Config::lan())?);
    println!("func1(20) = {}", client.func1(20)?);
    println!("func2(20, 3) = {}", client.func2(20, 3)?);
    // Neither call waits for the other.
    let (first, second) = (client.start_func1(1)?, client.start_func2(2, 3)?);
    println!("func1(1) = {}, func2(2, 3) = {}", first.wait()?, second.wait()?);
    Ok(())
}
