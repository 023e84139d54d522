//! Addresses: a host and a port.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;
use std::net::ToSocketAddrs;

use posthaste_std::onc::portmap;

use crate::failure::{Code, Failure};

/// `host:port`, the host being a name or an address; an IPv6 address stands in brackets, as in a URL (RFC 3986 §3.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// An address that needs no resolver.
    Numeric(SocketAddr),
    /// A name that the system's resolver has to look up.
    Named {
        /// 1 to 253 printable ASCII characters.
        host: String,
        /// From 0, which means any, to 65535.
        port: u16,
    },
}

/// An [`Address`] of a portmapper, whose port need not be given; nor, without a port, the brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostAddress(pub(crate) Address);

/// Where a server of ONC RPC is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OncAddress {
    /// At this port.
    Server(Address),
    /// Where the portmapper says that is here.
    Portmapper(HostAddress),
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AddressError {
    /// There is no port at the end.
    PortMissing,
    /// What stands behind the last colon is no port.
    PortInvalid(String),
    /// The host has colons and no brackets around them.
    BracketsMissing,
    /// What stands in brackets is no IPv6 address.
    Ipv6Invalid,
    /// There is nothing before the port.
    HostMissing,
    /// The host has a character that no name has.
    HostInvalid(char),
    /// The host is longer than any name.
    HostTooLong,
}

impl Address {
    /// Looks the address up; of several answers the first, which is the one the system prefers.
    ///
    /// # Errors
    /// [`Code::Connect`] if the name is unknown.
    pub(crate) fn resolve(&self) -> Result<SocketAddr, Failure> {
        self.resolve_all().map(|answers| answers[0])
    }

    /// Looks the address up; at least one answer, the one that the system prefers first.
    ///
    /// # Errors
    /// [`Code::Connect`] if the name is unknown.
    pub(crate) fn resolve_all(&self) -> Result<Vec<SocketAddr>, Failure> {
        let (host, port) = match self {
            Self::Numeric(address) => return Ok(vec![*address]),
            Self::Named { host, port } => (host.as_str(), *port),
        };
        let unknown = |reason: &dyn fmt::Display| {
            Failure::new(Code::Connect, format_args!("cannot find the host '{host}': {reason}"))
                .hint("check the name, or give the address in numbers")
        };
        let answers: Vec<_> = (host, port).to_socket_addrs().map_err(|error| unknown(&error))?.collect();
        if answers.is_empty() { Err(unknown(&"it has no address")) } else { Ok(answers) }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.starts_with('[') {
            return bracketed(text);
        }
        let (host, port_text) = text.rsplit_once(':').ok_or(AddressError::PortMissing)?;
        if host.contains(':') {
            return Err(AddressError::BracketsMissing);
        }
        let port = port(port_text)?;
        if host.is_empty() {
            return Err(AddressError::HostMissing);
        }
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(Self::Numeric(SocketAddr::new(ip, port)));
        }
        if host.len() > HOST_LEN_MAX {
            return Err(AddressError::HostTooLong);
        }
        match host.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.' | '_')) {
            Some(character) => Err(AddressError::HostInvalid(character)),
            None => Ok(Self::Named { host: host.to_owned(), port }),
        }
    }
}

impl FromStr for HostAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self(Address::Numeric(SocketAddr::new(ip, portmap::PORT))));
        }
        let has_port = text.rfind(':').is_some_and(|colon| text.rfind(']').is_none_or(|bracket| bracket < colon));
        if has_port { text.parse() } else { format!("{text}:{}", portmap::PORT).parse() }.map(Self)
    }
}

impl FromStr for OncAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.parse() {
            Ok(address) => Ok(Self::Server(address)),
            // A host without a port; what is neither is told as an address would be.
            Err(error) => text.parse().map(Self::Portmapper).map_err(|_| error),
        }
    }
}

fn bracketed(text: &str) -> Result<Address, AddressError> {
    let (_, behind) = text.split_once(']').ok_or(AddressError::Ipv6Invalid)?;
    port(behind.strip_prefix(':').ok_or(AddressError::PortMissing)?)?;
    text.parse().map(Address::Numeric).map_err(|_| AddressError::Ipv6Invalid)
}

fn port(text: &str) -> Result<u16, AddressError> {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    // The standard parser would take a sign.
    text.parse().ok().filter(|_| digits).ok_or_else(|| AddressError::PortInvalid(text.to_owned()))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numeric(address) => write!(f, "{address}"),
            Self::Named { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortMissing => write!(f, "the port is missing: write host:port"),
            Self::PortInvalid(text) => write!(f, "'{text}' is no port: write a number from 0 to 65535"),
            Self::BracketsMissing => write!(f, "an IPv6 address stands in brackets: write [::1]:port"),
            Self::Ipv6Invalid => write!(f, "no IPv6 address in the brackets: write [::1]:port"),
            Self::HostMissing => write!(f, "the host is missing: write host:port"),
            Self::HostInvalid(character) if character.is_ascii() => {
                write!(f, "'{}' is in no host name", character.escape_default())
            }
            Self::HostInvalid(_) => write!(f, "a host name is written in ASCII: look for its form with xn--"),
            Self::HostTooLong => write!(f, "a host name has at most {HOST_LEN_MAX} characters"),
        }
    }
}

impl core::error::Error for AddressError {}

/// Characters in a name without its closing dot (RFC 1035 §2.3.4: 255 octets on the wire).
const HOST_LEN_MAX: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_is_written() {
        for text in ["127.0.0.1:0", "[::1]:4000", "[fe80::1%2]:1", "localhost:65535", "a-b_c.example:1", "1.2.3:4"] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn a_portmapper_is_at_its_port_unless_another_is_given() {
        for (text, address) in [
            ("localhost", "localhost:111"),
            ("127.0.0.1", "127.0.0.1:111"),
            ("::1", "[::1]:111"),
            ("[::1]", "[::1]:111"),
            ("[::1]:4000", "[::1]:4000"),
            ("localhost:4000", "localhost:4000"),
        ] {
            assert_eq!(text.parse::<HostAddress>().expect(text).to_string(), address);
        }
        for text in ["", ":", "localhost:", "localhost:x", "a b", "[::1", "::1:"] {
            assert!(text.parse::<HostAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_server_of_onc_rpc_without_a_port_is_known_to_a_portmapper() {
        for (text, address) in [("localhost", "localhost:111"), ("::1", "[::1]:111"), ("[::1]", "[::1]:111")] {
            let Ok(OncAddress::Portmapper(portmapper)) = text.parse() else { panic!("{text}") };
            assert_eq!(portmapper.to_string(), address);
        }
        for text in ["localhost:4000", "[::1]:4000"] {
            assert_eq!(text.parse(), Ok(OncAddress::Server(text.parse().unwrap())));
        }
        assert_eq!("localhost:x".parse::<OncAddress>(), Err(AddressError::PortInvalid("x".to_owned())));
    }

    #[test]
    fn numbers_need_no_resolver() {
        let address: Address = "[::1]:4000".parse().unwrap();
        assert_eq!(address.resolve().unwrap(), "[::1]:4000".parse().unwrap());
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        let long = format!("{}:1", "a".repeat(254));
        for (text, error) in [
            ("", AddressError::PortMissing),
            ("localhost", AddressError::PortMissing),
            ("[::1]", AddressError::PortMissing),
            ("[::1]4000", AddressError::PortMissing),
            (":4000", AddressError::HostMissing),
            ("localhost:", AddressError::PortInvalid(String::new())),
            ("localhost:abc", AddressError::PortInvalid("abc".to_owned())),
            ("localhost:65536", AddressError::PortInvalid("65536".to_owned())),
            ("localhost:+1", AddressError::PortInvalid("+1".to_owned())),
            ("localhost:-1", AddressError::PortInvalid("-1".to_owned())),
            ("[::1]:65536", AddressError::PortInvalid("65536".to_owned())),
            (":::", AddressError::BracketsMissing),
            ("::1:4000", AddressError::BracketsMissing),
            ("[::1", AddressError::Ipv6Invalid),
            ("[]:1", AddressError::Ipv6Invalid),
            ("[127.0.0.1]:1", AddressError::Ipv6Invalid),
            ("[::1]]:1", AddressError::PortMissing),
            ("a\nb:1", AddressError::HostInvalid('\n')),
            ("a b:1", AddressError::HostInvalid(' ')),
            ("bücher.example:1", AddressError::HostInvalid('ü')),
            (&long, AddressError::HostTooLong),
        ] {
            assert_eq!(text.parse::<Address>().expect_err(text), error, "{text}");
        }
    }
}
