//! The side that answers.
//!
//! [`DatagramServer`] answers over UDP, and remembers what it answered; a [`Connection`] is one of TCP. Neither has a socket or a
//! clock, nor knows any program: octets and the time go in, calls come out, replies go in, octets come out. What answers
//! the calls is a [`Service`].

mod connection;
mod datagram;
mod reply_cache;
mod rpc;
mod service;

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

pub use connection::{Connection, Received};
pub use datagram::{Arrival, DatagramServer, Dropped, IncomingId};
pub use rpc::{AsyncRpc, Rpc};
pub use service::{AsyncService, Service};

use crate::message::{Auth, Call, RPC_VERSION, Refusal, Target};

/// Limits and timing of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The longest call and the longest reply, in octets with their headers. Over UDP, a datagram's own limit holds as well.
    pub message_len_max: usize,
    /// Calls over UDP that are remembered: those under way, and those answered, of which those not heard of for longest make room.
    pub remembered_count_max: usize,
    /// Octets of their replies.
    pub remembered_len_max: usize,
    /// How long an answered call is remembered since it arrived last, longer than clients wait before they send it again.
    pub remembered_timeout: Duration,
    /// Calls of a connection that are under way; further ones are not read.
    pub running_count_max: usize,
    /// Octets that wait for a connection to take them, beside one reply; while there are more, nothing is read.
    pub outgoing_len_max: usize,
    /// How long a connection may be without any call.
    pub idle_timeout: Duration,
    /// How long a call may take to arrive over a connection, and a reply to be taken.
    pub message_timeout: Duration,
}

/// A call that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming<'a> {
    /// Where from. Over UDP, anybody can write there what he likes.
    pub from: SocketAddr,
    /// Over what it came.
    pub transport: Transport,
    /// What the caller tells its replies by.
    pub xid: u32,
    /// What is called.
    pub target: Target,
    /// Who the caller claims to be: `AUTH_NONE` or `AUTH_SYS`, and well formed.
    pub auth: Auth<'a>,
    /// The arguments in XDR.
    pub arguments: &'a [u8],
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One message in each datagram; both may get lost, and the address of the caller is not proven.
    Udp,
    /// Records in a stream.
    Tcp,
}

impl Default for ServerConfig {
    /// 1 MiB a message; 1024 calls and 4 MiB remembered for two minutes; a connection without calls for five minutes, a
    /// message in half a minute.
    fn default() -> Self {
        Self {
            message_len_max: 1 << 20,
            remembered_count_max: 1024,
            remembered_len_max: 4 << 20,
            remembered_timeout: Duration::from_secs(120),
            running_count_max: 64,
            outgoing_len_max: 1 << 20,
            idle_timeout: Duration::from_secs(300),
            message_timeout: Duration::from_secs(30),
        }
    }
}

impl<'a> Incoming<'a> {
    /// Looks at a call for what every program has in common.
    fn screen(from: SocketAddr, transport: Transport, call: &Call<'a>) -> Result<Self, Refusal> {
        call.credential.credential().map_err(Refusal::Auth)?;
        let &Call { xid, target, credential: auth, arguments, .. } = call;
        Ok(Self { from, transport, xid, target, auth, arguments })
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

/// Brings an address into the form in which it is compared: an IPv4 peer of a dual-stack socket is an IPv4 address, and the flow
/// label says nothing about the peer.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => address,
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(ip) => SocketAddr::from((ip, v6.port())),
            None => SocketAddr::V6(core::net::SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id())),
        },
    }
}

/// To a call of another version of ONC RPC.
const RPC_MISMATCH: Refusal = Refusal::RpcVersion { low: RPC_VERSION, high: RPC_VERSION };

#[cfg(test)]
mod tests;
