//! What `ping`, `send` and `call` share: finding the server and connecting to it.

use core::net::SocketAddr;
use std::io;

use clap::Args;
use posthaste_std::onc::portmap::{self, Program};
use posthaste_std::onc::{self, Claim, ClientConfig, Target, Transport};
use posthaste_std::{Client, ConnectError, Options};

use crate::failure::{Code, Failure};
use crate::plain::PlainArgs;
use crate::portmapper;
use crate::value::{Address, HostAddress, OncAddress, TimeSpan};

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
        server: &OncAddress,
        transport: Transport,
        claim: Claim,
        program: Program,
    ) -> Result<onc::Client, Failure> {
        let config = ClientConfig { timeout: self.connect_timeout.0, ..ClientConfig::default() };
        let (name, addresses) = match server {
            OncAddress::Server(server) => {
                let addresses = resolve(server)?;
                self.plain.config(&addresses)?;
                (server.to_string(), addresses)
            }
            OncAddress::Portmapper(portmapper) => {
                let portmappers = resolve(&portmapper.0)?;
                self.plain.config(&portmappers)?;
                let server = look_up_any(&portmappers, transport, &config, program)
                    .map_err(|reason| not_registered(portmapper, &reason))?;
                (server.to_string(), vec![server])
            }
        };
        let config = ClientConfig { claim, ..config };
        let connect = |address| onc::Client::connect(address, transport, config.clone()).map_err(|e| e.to_string());
        let mut last = "it has no address".to_owned();
        for address in &addresses {
            let client = connect(address);
            let target = Target { program: program.number, version: program.version, procedure: 0 };
            // Over UDP, only an answer tells that somebody is there.
            let connected = match (transport, &client) {
                (Transport::Udp, Ok(asked)) if addresses.len() > 1 => match asked.call(&onc::Request::new(target, &[]))
                {
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
        Err(Failure::new(Code::Connect, format_args!("cannot connect to {name} over {transport}: {last}"))
            .hint("check that the server runs, and that its port is open ('rpcinfo' lists the ports of a host)"))
    }
}

/// Asks portmappers, one after the other, where a program listens.
fn look_up_any(
    portmappers: &[SocketAddr],
    transport: Transport,
    config: &ClientConfig,
    program: Program,
) -> Result<SocketAddr, String> {
    let mut last = "it has no address".to_owned();
    for address in portmappers {
        match look_up(*address, transport, config, program) {
            Ok(server) => return Ok(server),
            Err(reason) => last = reason,
        }
    }
    Err(last)
}

/// Asks a portmapper where a program listens, by the transport that it is to be called by: newer versions answer for that one.
fn look_up(
    portmapper: SocketAddr,
    transport: Transport,
    config: &ClientConfig,
    program: Program,
) -> Result<SocketAddr, String> {
    let client = onc::Client::connect(portmapper, transport, config.clone()).map_err(|error| error.to_string())?;
    let netid = portmap::netid(transport, portmapper);
    let port = portmapper::ask(&client, |version| portmap::lookup(version, program, netid));
    match port.map_err(|error| error.to_string())? {
        // A portmapper sends us to no other host.
        Some(port) if port != 0 => Ok(SocketAddr::new(portmapper.ip(), port)),
        _ => {
            let Program { number, version } = program;
            Err(format!("version {version} of program {number} is not registered over {transport}"))
        }
    }
}

fn not_registered(portmapper: &HostAddress, reason: &str) -> Failure {
    Failure::new(Code::Connect, format_args!("no port from the portmapper at {portmapper}: {reason}"))
        .hint("'posthaste rpcinfo' lists what it knows; HOST:PORT calls without it")
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
