//! The calculator with tasks: a call is a future.

use posthaste_calculator::Calculator;
use posthaste_calculator::calculator::calculator_v1::{AsyncClient, Service};
use posthaste_smol::{Config, Server};
use smol::future;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    smol::block_on(async {
        let server = Server::bind_insecure("127.0.0.1:0".parse()?, Config::lan())?;
        let service = Service(Calculator);
        let serving = async { Err(server.serve_rpc(16, &service).await.into()) };

        let client = AsyncClient::new(posthaste_smol::Client::connect_insecure(server.local_addr(), Config::lan())?);
        let calling = async {
            // Both are under way at once.
            let (sum, quotient) = future::try_zip(client.add(2, 3), client.divide(7, 2)).await?;
            println!("2 + 3 = {sum}");
            println!("7 / 2 = {quotient:?}");
            println!("7 / 0 = {:?}", client.divide(7, 0).await?);
            println!("1 + 2 + 3 = {}", client.sum(&[1, 2, 3]).await?);
            Ok(())
        };
        future::or(calling, serving).await
    })
}
