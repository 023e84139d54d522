//! A portmapper of our own.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use posthaste_xdr::{Decode, Encode};

use super::{
    DUMP, GETADDR, GETVERSADDR, Mapping, NULL, PROGRAM, Program, Registration, SET, UNSET, Version, from_universal,
    netid, netid_of, protocol_of, to_universal,
};
use crate::message::{AuthStatus, Refusal, append, decoder};
use crate::server::{Incoming, Transport};

/// The table of a portmapper, which answers in versions 2, 3 and 4; what only version 4 has is not there, but for `GETVERSADDR`.
///
/// Only callers of this machine may change it. Its whole content is told to others only over TCP: over UDP, a few octets with a
/// forged address would send many to a victim. Calls are not passed on to other programs (`CALLIT`) for the same reason.
#[derive(Debug)]
pub struct Table {
    count_max: usize,
    /// Address and owner, by program and netid.
    registrations: BTreeMap<(Program, String), (String, String)>,
}

/// Why something was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// Another address is registered for the program and the transport.
    Taken,
    /// There are as many registrations as may be, or a text is longer than [`Registration::TEXT_LEN_MAX`].
    Full,
}

impl Table {
    /// Makes a table of at most `count_max` registrations that knows only the portmapper itself, at `address`.
    #[must_use]
    pub fn new(count_max: usize, address: SocketAddr) -> Self {
        let mut table = Self { count_max: count_max.max(OWN_COUNT), registrations: BTreeMap::new() };
        for version in Version::ALL {
            let program = Program { number: PROGRAM, version: version as u32 };
            for transport in [Transport::Udp, Transport::Tcp] {
                table.set(Registration::new(program, transport, address)).expect("there is room for itself");
            }
        }
        table
    }

    /// Registers a program. What is registered already in the same way stays.
    ///
    /// # Errors
    /// Why it was not.
    pub fn set(&mut self, registration: Registration) -> Result<(), TableError> {
        let Registration { program, netid, address, owner } = registration;
        if [&netid, &address, &owner].iter().any(|text| text.len() > Registration::TEXT_LEN_MAX) {
            return Err(TableError::Full);
        }
        let is_full = self.registrations.len() >= self.count_max;
        let key = (program, netid);
        match self.registrations.get(&key) {
            Some((known, _)) if *known == address => Ok(()),
            Some(_) => Err(TableError::Taken),
            None if is_full => Err(TableError::Full),
            None => {
                self.registrations.insert(key, (address, owner));
                Ok(())
            }
        }
    }

    /// Removes what is registered of one version of a program, for one transport or for all; says whether there was anything.
    pub fn unset(&mut self, program: Program, netid: Option<&str>) -> bool {
        let count = self.registrations.len();
        self.registrations.retain(|(known, its_netid), _| *known != program || netid.is_some_and(|it| it != its_netid));
        self.registrations.len() < count
    }

    /// Returns all that is registered.
    pub fn registrations(&self) -> impl Iterator<Item = Registration> {
        self.registrations.iter().map(|((program, netid), (address, owner))| Registration {
            program: *program,
            netid: netid.clone(),
            address: address.clone(),
            owner: owner.clone(),
        })
    }

    /// Answers a call, as a [`Service`](crate::server::Service) does.
    ///
    /// # Errors
    /// What the caller is told where there are no results.
    pub fn answer(&mut self, call: &Incoming<'_>, results: &mut Vec<u8>) -> Result<(), Refusal> {
        if call.target.program != PROGRAM {
            return Err(Refusal::NoSuchProgram);
        }
        let known = Version::ALL.into_iter().find(|version| *version as u32 == call.target.version);
        let [lowest, .., highest] = Version::ALL.map(|version| version as u32);
        match known.ok_or(Refusal::NoSuchVersion { low: lowest, high: highest })? {
            Version::V2 => self.answer_mapping(call, results),
            Version::V3 | Version::V4 => self.answer_registration(call, results),
        }
    }

    fn answer_mapping(&mut self, call: &Incoming<'_>, results: &mut Vec<u8>) -> Result<(), Refusal> {
        match call.target.procedure {
            NULL => void(call),
            SET => {
                let mapping: Mapping = arguments(call)?;
                admit_change(call)?;
                let is_known = protocol_of(&netid_of(mapping.protocol)).is_some() && mapping.port <= u16::MAX.into();
                append(results, &(is_known && self.set(mapping.into()).is_ok()));
                Ok(())
            }
            UNSET => {
                // Protocol and port are not looked at (RFC 1833 §3.2).
                let mapping: Mapping = arguments(call)?;
                admit_change(call)?;
                let [udp, tcp] = ["udp", "tcp"].map(|netid| self.unset(mapping.program, Some(netid)));
                append(results, &(udp || tcp));
                Ok(())
            }
            GETADDR => {
                let mapping: Mapping = arguments(call)?;
                let found = self.find(mapping.program, &netid_of(mapping.protocol)).and_then(from_universal);
                append(results, &found.map_or(0, |address| u32::from(address.port())));
                Ok(())
            }
            DUMP => {
                void(call)?;
                admit_dump(call)?;
                let mappings = self.registrations.iter().filter_map(|((program, netid), (address, _))| {
                    let (protocol, port) = (protocol_of(netid)?, from_universal(address)?.port().into());
                    Some(Mapping { program: *program, protocol, port })
                });
                append_list(results, mappings);
                Ok(())
            }
            _ => Err(Refusal::NoSuchProcedure),
        }
    }

    fn answer_registration(&mut self, call: &Incoming<'_>, results: &mut Vec<u8>) -> Result<(), Refusal> {
        match call.target.procedure {
            NULL => void(call),
            SET => {
                let registration: Registration = arguments(call)?;
                admit_change(call)?;
                append(results, &self.set(registration).is_ok());
                Ok(())
            }
            UNSET => {
                let Registration { program, netid, .. } = arguments(call)?;
                admit_change(call)?;
                append(results, &self.unset(program, Some(&*netid).filter(|netid| !netid.is_empty())));
                Ok(())
            }
            GETADDR => {
                let wanted: Registration = arguments(call)?;
                // The transport is the one by which it is asked (RFC 1833 §2.2.1).
                let found = self.find(wanted.program, netid(call.transport, call.from));
                append(results, &*as_reached(found, &wanted));
                Ok(())
            }
            GETVERSADDR if call.target.version == Version::V4 as u32 => {
                let wanted: Registration = arguments(call)?;
                let key = (wanted.program, netid(call.transport, call.from).into());
                let found = self.registrations.get(&key).map(|(address, _)| address.as_str());
                append(results, &*as_reached(found, &wanted));
                Ok(())
            }
            DUMP => {
                void(call)?;
                admit_dump(call)?;
                append_list(results, self.registrations());
                Ok(())
            }
            _ => Err(Refusal::NoSuchProcedure),
        }
    }

    /// Returns where a program listens, in that version or, as portmappers do, in any other: who listens there tells which
    /// ones it has.
    fn find(&self, program: Program, netid: &str) -> Option<&str> {
        let of_program = self
            .registrations
            .range((Program { version: 0, ..program }, String::new())..)
            .take_while(|((it, _), _)| it.number == program.number)
            .filter(|((_, its_netid), _)| its_netid == netid);
        let exact = of_program.clone().find(|((it, _), _)| *it == program);
        exact.or_else(|| of_program.last()).map(|(_, (address, _))| address.as_str())
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Taken => "another address is registered",
            Self::Full => "there is no room",
        })
    }
}

impl core::error::Error for TableError {}

/// Appends items as a list by pointers, a sign that it is there before each (RFC 1833 §2.1 and §3.1).
fn append_list(results: &mut Vec<u8>, items: impl Iterator<Item: Encode>) {
    for item in items {
        append(results, &true);
        append(results, &item);
    }
    append(results, &false);
}

/// Returns an address as the caller can reach it: at the address that he used, if the program listens at all of them.
fn as_reached(found: Option<&str>, wanted: &Registration) -> String {
    let Some(found) = found else { return String::new() };
    let (Some(address), Some(used)) = (from_universal(found), from_universal(&wanted.address)) else {
        return found.into();
    };
    let ip = if address.ip().is_unspecified() { used.ip() } else { address.ip() };
    to_universal(SocketAddr::new(ip, address.port()))
}

/// Reads the arguments of a call.
fn arguments<'a, T: Decode<'a>>(call: &Incoming<'a>) -> Result<T, Refusal> {
    let mut decoder = decoder(call.arguments);
    let value = T::decode(&mut decoder).map_err(|_| Refusal::GarbageArguments)?;
    decoder.finish().map_err(|_| Refusal::GarbageArguments)?;
    Ok(value)
}

/// Reads that there are no arguments.
fn void(call: &Incoming<'_>) -> Result<(), Refusal> {
    arguments::<()>(call)
}

/// Lets callers of this machine change the table.
fn admit_change(call: &Incoming<'_>) -> Result<(), Refusal> {
    if call.from.ip().is_loopback() { Ok(()) } else { Err(Refusal::Auth(AuthStatus::TooWeak)) }
}

/// Lets those see the whole table who are where they say that they are.
fn admit_dump(call: &Incoming<'_>) -> Result<(), Refusal> {
    let is_proven = call.transport == Transport::Tcp || call.from.ip().is_loopback();
    if is_proven { Ok(()) } else { Err(Refusal::Auth(AuthStatus::TooWeak)) }
}

/// Those of the portmapper itself.
const OWN_COUNT: usize = 6;
