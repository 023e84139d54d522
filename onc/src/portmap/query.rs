//! What to ask a portmapper.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddr};

use posthaste_xdr::{Decode, DecodeError, Decoder, Encode};

use super::{
    DUMP, GETADDR, Mapping, NULL, PROGRAM, Program, Registration, SET, UNSET, Version, from_universal, netid_of,
    protocol_of, text, to_universal,
};
use crate::client::{Failure, Request};
use crate::message::{Target, append, decoder};

/// A call of the portmapper whose results are a `T`.
#[derive(Clone, Debug)]
pub struct Query<T> {
    target: Target,
    arguments: Vec<u8>,
    read: fn(&mut Decoder<'_>) -> Result<T, DecodeError>,
}

/// Why a query has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// The call brought no results.
    Call(Failure),
    /// The results are none of the query.
    Malformed,
}

/// Version 2 of the portmapper knows only ports of UDP and TCP over IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inexpressible;

impl<T> Query<T> {
    /// Returns the call to make.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        Request::new(self.target, &self.arguments)
    }

    /// Reads the results.
    ///
    /// # Errors
    /// [`QueryError::Malformed`] if they are none of this query.
    pub fn results(&self, results: &[u8]) -> Result<T, QueryError> {
        let mut decoder = decoder(results);
        let value = (self.read)(&mut decoder)?;
        decoder.finish()?;
        Ok(value)
    }
}

/// Asks whether the portmapper is there.
#[must_use]
pub fn null(version: Version) -> Query<()> {
    query(version, NULL, &(), |_| Ok(()))
}

/// Asks for all that the portmapper knows.
#[must_use]
pub fn dump(version: Version) -> Query<Vec<Registration>> {
    let read = match version {
        Version::V2 => |decoder: &mut Decoder<'_>| list::<Mapping>(decoder),
        Version::V3 | Version::V4 => |decoder: &mut Decoder<'_>| list::<Registration>(decoder),
    };
    query(version, DUMP, &(), read)
}

/// Asks for the port at which a program listens on the portmapper's host; the answer is `None` if it is not registered.
///
/// Versions 3 and 4 answer for the transport by which they are asked, whatever `netid` is (RFC 1833 §2.2.1). Any of them may answer
/// with the port of another version of the program.
///
/// # Errors
/// If the version does not know the transport.
pub fn lookup(version: Version, program: Program, netid: &str) -> Result<Query<Option<u16>>, Inexpressible> {
    let registration = Registration { program, netid: netid.to_string(), address: String::new(), owner: String::new() };
    match version {
        Version::V2 => {
            let mapping = Mapping { program, protocol: protocol_of(netid).ok_or(Inexpressible)?, port: 0 };
            Ok(query(version, GETADDR, &mapping, |decoder| {
                let port = u32::decode(decoder)?;
                let port = u16::try_from(port).map_err(|_| DecodeError::OutOfRange)?;
                Ok(Some(port).filter(|port| *port != 0))
            }))
        }
        Version::V3 | Version::V4 => Ok(query(version, GETADDR, &registration, |decoder| {
            let address = text(decoder)?;
            if address.is_empty() {
                return Ok(None);
            }
            // The host is the one that was asked: a portmapper sends nobody elsewhere.
            let address = from_universal(&address).ok_or(DecodeError::OutOfRange)?;
            Ok(Some(address.port()))
        })),
    }
}

/// Registers a program; the answer is whether it was, and not if another address is registered already.
///
/// # Errors
/// If the version does not know such an address.
pub fn set(version: Version, registration: &Registration) -> Result<Query<bool>, Inexpressible> {
    match version {
        Version::V2 => {
            let address = from_universal(&registration.address).filter(SocketAddr::is_ipv4).ok_or(Inexpressible)?;
            let protocol = protocol_of(&registration.netid).ok_or(Inexpressible)?;
            let mapping = Mapping { program: registration.program, protocol, port: address.port().into() };
            Ok(query(version, SET, &mapping, answer))
        }
        Version::V3 | Version::V4 => {
            let lens = [&registration.netid, &registration.address, &registration.owner].map(String::len);
            if lens.into_iter().any(|len| len > Registration::TEXT_LEN_MAX) {
                return Err(Inexpressible);
            }
            Ok(query(version, SET, registration, answer))
        }
    }
}

/// Removes all registrations of one version of a program; the answer is whether there were any.
#[must_use]
pub fn unset(version: Version, program: Program) -> Query<bool> {
    match version {
        Version::V2 => query(version, UNSET, &Mapping { program, protocol: 0, port: 0 }, answer),
        Version::V3 | Version::V4 => {
            // No netid means all of them (RFC 1833 §2.2.1).
            let all = Registration { program, netid: String::new(), address: String::new(), owner: String::new() };
            query(version, UNSET, &all, answer)
        }
    }
}

/// A port of version 2 is one of every address of its host.
impl From<Mapping> for Registration {
    fn from(mapping: Mapping) -> Self {
        // Nobody listens at a port beyond the last; zero says the same in the way of version 2.
        let port = u16::try_from(mapping.port).unwrap_or(0);
        Self {
            program: mapping.program,
            netid: netid_of(mapping.protocol),
            address: to_universal((Ipv4Addr::UNSPECIFIED, port).into()),
            owner: String::new(),
        }
    }
}

impl From<Failure> for QueryError {
    fn from(failure: Failure) -> Self {
        Self::Call(failure)
    }
}

impl From<DecodeError> for QueryError {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(failure) => failure.fmt(f),
            Self::Malformed => f.write_str("the results are not those of a portmapper"),
        }
    }
}

impl fmt::Display for Inexpressible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this version of the portmapper does not know such an address")
    }
}

impl core::error::Error for QueryError {}
impl core::error::Error for Inexpressible {}

fn query<T>(
    version: Version,
    procedure: u32,
    arguments: &impl Encode,
    read: fn(&mut Decoder<'_>) -> Result<T, DecodeError>,
) -> Query<T> {
    let mut octets = Vec::new();
    append(&mut octets, arguments);
    let target = Target { program: PROGRAM, version: version as u32, procedure };
    Query { target, arguments: octets, read }
}

/// Reads a yes or no.
fn answer(decoder: &mut Decoder<'_>) -> Result<bool, DecodeError> {
    bool::decode(decoder)
}

/// Reads a list, in which a sign that it is there comes before each item.
fn list<'a, T: Decode<'a> + Into<Registration>>(decoder: &mut Decoder<'a>) -> Result<Vec<Registration>, DecodeError> {
    let mut items = Vec::new();
    while bool::decode(decoder)? {
        items.push(T::decode(decoder)?.into());
    }
    Ok(items)
}
