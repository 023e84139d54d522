//! What `ping`, `send` and `call` share: finding the server and connecting to it.

use core::net::SocketAddr;
use std::io;

use clap::Args;
use posthaste_std::onc::{self, ClientConfig, Target, Transport};
use posthaste_std::{Client, ConnectError, Options};

use crate::failure::{Code, Failure};
use crate::plain::PlainArgs;
use crate::value::{Address, TimeSpan};

/// How the server is reached.
#[derive(Args)]
pub(crate) struct ConnectArgs {
    /// How long each address of the server is tried
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = TimeSpan::parse_nonzero, global = true)]
    connect_timeout: TimeSpan,
    #[command(flatten)]
    plain: PlainArgs,
}

impl ConnectArgs {
    /// Connects to a server; each of its addresses is tried until one answers.
    ///
    /// # Errors
    /// [`Code::Usage`] if it is on another machine and nobody consented, [`Code::Connect`] if it is unknown or does not
    /// answer, [`Code::Local`] if there is no socket to be had.
    pub(crate) fn connect(&self, server: &Address) -> Result<Client, Failure> {
        let addresses = resolve(server)?;
        let config = self.plain.config(&addresses)?;
        let options = Options { connect_timeout: self.connect_timeout.0, ..Options::from(config) };
        Client::connect_insecure(&addresses[..], options).map_err(|error| failure(server, &error))
    }

    /// Connects to a server of ONC RPC that has a program; each of its addresses is tried until one answers.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); over UDP, nobody is asked where there is but one address.
    pub(crate) fn connect_onc(
        &self,
        server: &Address,
        transport: Transport,
        (program, version): (u32, u32),
    ) -> Result<onc::Client, Failure> {
        let addresses = resolve(server)?;
        self.plain.config(&addresses)?;
        let config = ClientConfig { timeout: self.connect_timeout.0, ..ClientConfig::default() };
        let connect = |address| onc::Client::connect(address, transport, config.clone()).map_err(|e| e.to_string());
        let mut last = "it has no address".to_owned();
        for address in &addresses {
            let client = connect(address);
            let ping = onc::Request::new(Target { program, version, procedure: 0 }, &[]);
            // Over UDP, only an answer tells that somebody is there.
            let connected = match (transport, &client) {
                (Transport::Udp, Ok(asked)) if addresses.len() > 1 => match asked.call(&ping) {
                    Err(error @ onc::Failure::Unknown(_)) => Err(error.to_string()),
                    _ => client,
                },
                _ => client,
            };
            match connected {
                Ok(client) => return Ok(client),
                Err(error) => last = error,
            }
        }
        Err(Failure::new(Code::Connect, format_args!("cannot connect to {server} over {transport}: {last}"))
            .hint("check that the server runs, and that its port is open ('rpcinfo' lists the ports of a host)"))
    }
}

fn resolve(server: &Address) -> Result<Vec<SocketAddr>, Failure> {
    let addresses = server.resolve_all()?;
    if addresses.iter().any(|address| address.port() == 0) {
        return Err(Failure::new(Code::Usage, "no server has port 0").hint("give the port of the server"));
    }
    Ok(addresses)
}

fn failure(server: &Address, error: &ConnectError) -> Failure {
    if let ConnectError::Unreachable(attempts) = error
        && attempts.iter().all(|attempt| attempt.error.kind() != io::ErrorKind::TimedOut)
    {
        return Failure::new(Code::Local, format_args!("cannot reach {server} from here: {error}"))
            .hint("check the network of this machine");
    }
    Failure::new(Code::Connect, format_args!("cannot connect to {server}: {error}"))
        .hint("check that the server runs, and that its UDP port is open")
}
