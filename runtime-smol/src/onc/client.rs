//! The side that calls.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use posthaste_onc::client::{ClientConfig, NotSent, Outcome, Request};
use posthaste_onc::portmap::{Query, QueryError};
use posthaste_onc::server::Transport;
use posthaste_rpc::{self as rpc, AsyncCallError, AsyncCaller};

use super::line::{Datagrams, Line, Stream};

/// A client of one server. Any number of its calls may be under way; a TCP connection that was lost is opened again by the next
/// call.
pub struct Client {
    server: SocketAddr,
    lines: Lines,
}

/// What calls go out by.
enum Lines {
    Udp(Box<Line<Datagrams>>),
    Tcp { config: ClientConfig, connection: Mutex<Arc<Line<Stream>>> },
}

impl Client {
    /// Makes a client of the server at `server`.
    ///
    /// # Errors
    /// What the operating system says. Over UDP, nothing is sent yet: whether anybody is there, the first call will tell.
    pub async fn connect(server: SocketAddr, transport: Transport, config: ClientConfig) -> io::Result<Self> {
        let lines = match transport {
            Transport::Udp => Lines::Udp(Box::new(Line::open(server, config)?)),
            Transport::Tcp => {
                let line = Line::connect(server, config.clone()).await?;
                Lines::Tcp { config, connection: Mutex::new(Arc::new(line)) }
            }
        };
        Ok(Self { server, lines })
    }

    /// Returns the address of the server.
    #[must_use]
    pub const fn server(&self) -> SocketAddr {
        self.server
    }

    /// Makes a call and returns its results in XDR. Dropping the future cancels the call.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn call(&self, request: &Request<'_>) -> Outcome {
        match &self.lines {
            Lines::Udp(line) => line.call(request).await,
            Lines::Tcp { config, connection } => {
                let mut line = Arc::clone(&lock(connection));
                if line.is_closed() {
                    let another = Line::connect(self.server, config.clone()).await.map_err(|_| NotSent::Unreached)?;
                    line = Arc::new(another);
                    // Of those that calls opened at once, the last is kept; the others end with their calls.
                    *lock(connection) = Arc::clone(&line);
                }
                line.call(request).await
            }
        }
    }

    /// Asks a portmapper.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn query<T>(&self, query: &Query<T>) -> Result<T, QueryError> {
        query.results(&self.call(&query.request()).await?)
    }
}

/// What generated async clients call with.
impl AsyncCaller for Client {
    async fn call<T>(&self, request: rpc::Request<'_>, read: impl FnOnce(&[u8]) -> T) -> Result<T, AsyncCallError> {
        let request = Request::from_stub(&request).map_err(AsyncCallError::NotExecuted)?;
        Ok(read(&self.call(&request).await?))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.server).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
