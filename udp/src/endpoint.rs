//! What every adapter does with a socket and the endpoint behind it.

use core::fmt;
use core::net::SocketAddr;
use std::io;

use posthaste_core::endpoint::Arrival;
use posthaste_core::wire::STEERING;
use posthaste_core::{Config, ConfigError, Endpoint, Instant, Storage};

use crate::recv::Datagram;
use crate::send::SendBatch;
use crate::socket::{Options, Socket};

/// Opens a socket on `addr`, and an endpoint in plain mode for it: whoever is on the path can read and forge datagrams.
///
/// What a peer may have under way to us is lowered to the receive buffer that the operating system grants:
/// [`Config::fit_recv_buffer`]. The clock of the endpoint shows [`Instant::ORIGIN`].
///
/// # Errors
/// [`BindError`]; as [`Socket::bind`].
pub fn bind_insecure(
    addr: SocketAddr,
    config: Config,
    options: &Options,
) -> Result<(Socket, Endpoint<'static>), BindError> {
    config.check()?;
    on_socket(Socket::bind(addr, options)?, config, draw_seed()?)
}

/// As [`bind_insecure`], for `socket_count` sockets on one port, 1 to 256, and an endpoint for each.
///
/// # Errors
/// [`BindError`]; as [`Socket::bind_group`].
pub fn bind_group_insecure(
    addr: SocketAddr,
    socket_count: usize,
    config: &Config,
    options: &Options,
) -> Result<Vec<(Socket, Endpoint<'static>)>, BindError> {
    config.check()?;
    let sockets = Socket::bind_group(addr, socket_count, &STEERING, options)?;
    // They are one server, and read each other's tokens.
    let seed = draw_seed()?;
    let on = |(index, socket)| {
        let mut config = config.clone();
        config.socket = index;
        on_socket(socket, config, seed)
    };
    (0..=u8::MAX).zip(sockets).map(on).collect()
}

impl Socket {
    /// Sends every datagram that `endpoint` has, through `batch`.
    ///
    /// # Errors
    /// As [`send`](Self::send): what a full send buffer did not take stays in the batch, and goes first the next time.
    pub fn send_all(&self, now: Instant, endpoint: &mut Endpoint<'_>, batch: &mut SendBatch) -> io::Result<()> {
        let mut is_all = false;
        loop {
            self.send(batch)?;
            if is_all {
                return Ok(());
            }
            is_all = fill(now, endpoint, batch);
        }
    }
}

impl Datagram<'_> {
    /// Returns where it comes from, as the endpoint wants to know it.
    #[must_use]
    pub const fn arrival(&self) -> Arrival {
        Arrival { from: self.from, to: self.to, ecn: self.ecn }
    }
}

/// Why there is no endpoint.
#[derive(Debug)]
pub enum BindError {
    /// A field of the configuration is out of its range.
    Config(ConfigError),
    /// The operating system gave no socket, or no random seed.
    Io(io::Error),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for BindError {}

impl From<ConfigError> for BindError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<io::Error> for BindError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A configuration that is out of range is [`InvalidInput`](io::ErrorKind::InvalidInput).
impl From<BindError> for io::Error {
    fn from(error: BindError) -> Self {
        match error {
            BindError::Config(error) => Self::new(io::ErrorKind::InvalidInput, error),
            BindError::Io(error) => error,
        }
    }
}

fn on_socket(socket: Socket, mut config: Config, seed: [u8; 32]) -> Result<(Socket, Endpoint<'static>), BindError> {
    config.fit_recv_buffer(socket.report().recv_buffer.granted_len);
    let storage = Storage::owned(&config);
    let endpoint = Endpoint::new_insecure(config, storage, seed, Instant::ORIGIN)?;
    Ok((socket, endpoint))
}

/// Draws a seed from the operating system's entropy: the one thing that neither the core nor the standard library can make.
///
/// # Errors
/// If it has none to give.
pub fn draw_seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

/// Fills the batch, which is empty, with datagrams; true if those are all.
fn fill(now: Instant, endpoint: &mut Endpoint<'_>, batch: &mut SendBatch) -> bool {
    while let Some(slot) = batch.slot() {
        let Some(transmit) = endpoint.poll_transmit(now, slot) else { return true };
        batch.commit(transmit.len, transmit.to, transmit.from, transmit.ecn);
    }
    false
}
