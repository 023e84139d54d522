//! The portmapper, or rpcbind: the one program whose address everybody knows, which tells where the others listen (RFC 1833).
//!
//! A [`Query`] is what to ask it, and how to read what it answers; who has a client of any kind asks with that. A [`Table`] is a
//! portmapper of our own, for tests and for machines that have none.

mod address;
mod query;
mod table;

use alloc::string::{String, ToString};
use core::net::SocketAddr;

use posthaste_xdr::{
    Decode, DecodeBounded, DecodeError, Decoder, Encode, EncodeBounded, EncodeError, Layout, Sink, XdrStr,
};

pub use address::{from_universal, to_universal};
pub use query::{Inexpressible, Query, QueryError, dump, lookup, null, set, unset};
pub use table::{Table, TableError};

use crate::server::Transport;

/// The number of the portmapper's program (RFC 1833 §2.1 and §3.2).
pub const PROGRAM: u32 = 100_000;

/// The port of the portmapper, over UDP and TCP (RFC 1833 §2 and §3).
pub const PORT: u16 = 111;

/// A version of the portmapper's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// The portmapper of SunOS: ports of UDP and TCP over IPv4 (RFC 1833 §3).
    V2 = 2,
    /// The first rpcbind: universal addresses of any transport (RFC 1833 §2).
    V3 = 3,
    /// As [`Self::V3`], and more that is not used here.
    V4 = 4,
}

/// One version of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Program {
    /// The number of the program.
    pub number: u32,
    /// The version.
    pub version: u32,
}

/// Where one version of a program listens, as a portmapper knows it.
///
/// The texts come from whoever registered: they hold up to [`Registration::TEXT_LEN_MAX`] octets of anything, and
/// what was no UTF-8 is replaced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Registration {
    /// What listens.
    pub program: Program,
    /// The transport: `udp`, `tcp`, `udp6`, `tcp6`, `local`, or any other name (RFC 5665 §5.1).
    pub netid: String,
    /// The universal address (RFC 5665 §5.2.3), which [`from_universal`] reads.
    pub address: String,
    /// Who registered it; empty where that is not known.
    pub owner: String,
}

impl Version {
    /// All of them, the oldest first.
    pub const ALL: [Self; 3] = [Self::V2, Self::V3, Self::V4];
}

impl Registration {
    /// The most octets of each text; our choice.
    pub const TEXT_LEN_MAX: usize = 255;

    /// Makes the registration of a program that listens at `address`.
    #[must_use]
    pub fn new(program: Program, transport: Transport, address: SocketAddr) -> Self {
        Self {
            program,
            netid: netid(transport, address).to_string(),
            address: to_universal(address),
            owner: String::new(),
        }
    }
}

/// Returns the name of a transport over the family of an address (RFC 5665 §5.1).
#[must_use]
pub const fn netid(transport: Transport, address: SocketAddr) -> &'static str {
    match (transport, address) {
        (Transport::Udp, SocketAddr::V4(_)) => "udp",
        (Transport::Udp, SocketAddr::V6(_)) => "udp6",
        (Transport::Tcp, SocketAddr::V4(_)) => "tcp",
        (Transport::Tcp, SocketAddr::V6(_)) => "tcp6",
    }
}

/// `rpcb` of versions 3 and 4 (RFC 1833 §2.1).
impl Layout for Registration {
    const LEN_MIN: usize = 20;
    const LEN_IS_FIXED: bool = false;
}

impl Encode for Registration {
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        self.program.encode(sink)?;
        for text in [&self.netid, &self.address, &self.owner] {
            text.as_str().encode_bounded(sink, Self::TEXT_LEN_MAX as u32)?;
        }
        Ok(())
    }
}

impl<'a> Decode<'a> for Registration {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let program = Program::decode(decoder)?;
        let (netid, address, owner) = (text(decoder)?, text(decoder)?, text(decoder)?);
        Ok(Self { program, netid, address, owner })
    }
}

impl Layout for Program {
    const LEN_MIN: usize = 8;
    const LEN_IS_FIXED: bool = true;
}

impl Encode for Program {
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        [self.number, self.version].encode(sink)
    }
}

impl<'a> Decode<'a> for Program {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let [number, version] = Decode::decode(decoder)?;
        Ok(Self { number, version })
    }
}

/// `mapping` of version 2 (RFC 1833 §3.1).
struct Mapping {
    program: Program,
    /// A number of the Internet protocol.
    protocol: u32,
    port: u32,
}

impl Layout for Mapping {
    const LEN_MIN: usize = 16;
    const LEN_IS_FIXED: bool = true;
}

impl Encode for Mapping {
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        self.program.encode(sink)?;
        [self.protocol, self.port].encode(sink)
    }
}

impl<'a> Decode<'a> for Mapping {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let program = Program::decode(decoder)?;
        let [protocol, port] = Decode::decode(decoder)?;
        Ok(Self { program, protocol, port })
    }
}

/// Reads a text, whatever is in it.
fn text(decoder: &mut Decoder<'_>) -> Result<String, DecodeError> {
    XdrStr::decode_bounded(decoder, Registration::TEXT_LEN_MAX as u32).map(|text| text.to_string())
}

/// Returns the name of a protocol of version 2.
fn netid_of(protocol: u32) -> String {
    match protocol {
        IPPROTO_TCP => "tcp".to_string(),
        IPPROTO_UDP => "udp".to_string(),
        other => other.to_string(),
    }
}

/// Returns the protocol of version 2 of that name.
fn protocol_of(netid: &str) -> Option<u32> {
    match netid {
        "tcp" => Some(IPPROTO_TCP),
        "udp" => Some(IPPROTO_UDP),
        _ => None,
    }
}

// RFC 1833 §3.1: the numbers of RFC 790.
const IPPROTO_TCP: u32 = 6;
const IPPROTO_UDP: u32 = 17;

// RFC 1833 §2.1 and §3.2: the same numbers in all versions, though 3 is named GETPORT in the oldest.
const NULL: u32 = 0;
const SET: u32 = 1;
const UNSET: u32 = 2;
const GETADDR: u32 = 3;
const DUMP: u32 = 4;
/// Version 4 only.
const GETVERSADDR: u32 = 9;

#[cfg(test)]
mod tests;
