//! `posthaste relay`: a bad network between any two UDP programs.
//!
//! Payloads pass, IP headers do not: ECN marks and the time to live end here.

mod background;
mod delay_line;
mod link;
mod prng;
mod proxy;
mod report;
mod watched;

use core::net::SocketAddr;
use core::num::NonZeroUsize;

use clap::Args;

pub(crate) use self::background::Background;
pub(crate) use self::link::LinkConfig;
use self::proxy::{Proxy, ProxyConfig};
use self::report::Report;
use crate::failure::{Code, Failure};
use crate::output;
use crate::value::{Address, BurstLoss, Percentage, Rate, Seed, Size, TimeSpan};

/// Relay UDP datagrams over a bad network of your choice.
///
/// Stands between any UDP clients and a server, and loses, delays, reorders, repeats and corrupts what passes, in both
/// directions alike. Ends with Ctrl-C and a table of what it did.
#[derive(Args)]
pub(crate) struct RelayArgs {
    /// Where clients send to; port 0 picks a free one
    #[arg(long, value_name = "ADDR")]
    listen: Address,
    /// The server
    #[arg(long, value_name = "ADDR")]
    to: Address,
    /// Datagrams lost, each for itself
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    loss: Percentage,
    /// Datagrams lost in rows: how many begin a row, and its mean length, such as 1%:8
    #[arg(long, value_name = "SHARE:COUNT")]
    burst_loss: Option<BurstLoss>,
    /// One-way delay in each direction
    #[arg(long, value_name = "TIME", default_value = "0ms")]
    delay: TimeSpan,
    /// Additional delay of each datagram, drawn evenly up to this; does not reorder
    #[arg(long, value_name = "TIME", default_value = "0ms")]
    jitter: TimeSpan,
    /// Datagrams held back by a quarter of the delay and 1 ms
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    reorder: Percentage,
    /// Datagrams that arrive twice
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    duplicate: Percentage,
    /// Datagrams with one bit flipped
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    corrupt: Percentage,
    /// Data rate in each direction, shared by all clients; IP and UDP headers count [default: no limit]
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// Octets that may wait for the rate, the rest is dropped
    #[arg(long, value_name = "SIZE", default_value = "256KiB")]
    queue: Size,
    /// The longest datagram that passes, with its IP and UDP headers
    #[arg(long, value_name = "SIZE", default_value = "1500")]
    mtu: Size,
    /// Makes the same faults again: each client's n-th datagram meets what it met before [default: random]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<Seed>,
    /// Clients served at a time; one more evicts the one that was silent for longest
    #[arg(long, value_name = "COUNT", default_value = "1024")]
    clients: NonZeroUsize,
    /// Memory for what is under way; more is dropped
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    memory: Size,
}

/// Relays until a signal ends it, then prints what became of the datagrams.
pub(crate) fn run(args: &RelayArgs) -> Result<(), Failure> {
    let config = args.config()?;
    let (to, seed) = (config.to, config.seed);
    let listen = args.listen.resolve()?;
    let mut proxy = Proxy::bind(listen, config).map_err(|error| {
        Failure::local(format_args!("cannot listen on {}", args.listen), &error)
            .hint("port 0 picks a free port; the address must be one of this machine")
    })?;
    let stopper = proxy.stopper();
    ctrlc::set_handler(move || stopper.stop())
        .map_err(|error| Failure::new(Code::Local, format_args!("cannot wait for signals: {error}")))?;
    let address = proxy.local_address().map_err(|error| Failure::local("cannot read the socket's address", &error))?;
    if is_itself(address, to) {
        return Err(Failure::new(Code::Usage, "the relay would send to itself")
            .hint("give --to the address of the server, not that of the relay"));
    }
    output::print(format_args!("relay {address} -> {to}\n"))?;
    proxy.run().map_err(|error| Failure::local("cannot wait for datagrams", &error))?;
    output::print(Report { counters: proxy.counters(), seed: Seed(seed) })
}

/// Returns whether what is sent to `to` comes in at `listen`: datagrams would go round for ever.
fn is_itself(listen: SocketAddr, to: SocketAddr) -> bool {
    let is_any_of_this_machine = listen.ip().is_unspecified() && to.ip().is_loopback();
    listen.port() == to.port() && (listen.ip() == to.ip() || is_any_of_this_machine)
}

impl RelayArgs {
    fn config(&self) -> Result<ProxyConfig, Failure> {
        let to = self.to.resolve()?;
        if to.port() == 0 {
            return Err(Failure::new(Code::Usage, "no server has port 0").hint("give --to the port of the server"));
        }
        let link = LinkConfig {
            loss: self.loss,
            burst_loss: self.burst_loss,
            delay: self.delay.0,
            jitter: self.jitter.0,
            reorder: self.reorder,
            duplicate: self.duplicate,
            corrupt: self.corrupt,
            rate: self.rate,
            queue_len_max: self.queue.0,
            mtu: self.mtu.0,
        };
        Ok(ProxyConfig {
            to,
            link,
            seed: self.seed.unwrap_or_else(Seed::random).0,
            client_count_max: self.clients.get(),
            held_len_max: self.memory.0,
        })
    }
}
