//! Universal addresses (RFC 5665 §5.2.3).

use alloc::format;
use alloc::string::String;
use core::net::{IpAddr, SocketAddr};

/// Writes an address as a universal one: the host, then the two octets of the port, all between dots.
#[must_use]
pub fn to_universal(address: SocketAddr) -> String {
    let [high, low] = address.port().to_be_bytes();
    format!("{}.{high}.{low}", address.ip())
}

/// Reads a universal address of UDP or TCP; `None` if it is none.
#[must_use]
pub fn from_universal(text: &str) -> Option<SocketAddr> {
    let (front, low) = text.rsplit_once('.')?;
    let (host, high) = front.rsplit_once('.')?;
    let ip: IpAddr = host.parse().ok()?;
    Some(SocketAddr::new(ip, u16::from_be_bytes([octet(high)?, octet(low)?])))
}

/// Reads a number that may have no sign, as the standard parser would allow.
fn octet(text: &str) -> Option<u8> {
    text.parse().ok().filter(|_| text.bytes().all(|digit| digit.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_universal_address_ends_in_the_octets_of_the_port() {
        for (address, text) in [
            ("127.0.0.1:111", "127.0.0.1.0.111"),
            ("0.0.0.0:65535", "0.0.0.0.255.255"),
            ("[::1]:2049", "::1.8.1"),
            ("[fe80::a]:256", "fe80::a.1.0"),
        ] {
            let address = address.parse().unwrap();
            assert_eq!((to_universal(address).as_str(), from_universal(text)), (text, Some(address)));
        }
    }

    #[test]
    fn what_is_no_universal_address_is_not_read() {
        for text in [
            "",
            ".",
            "..",
            "1.2",
            "127.0.0.1",
            "127.0.0.1.1",
            "127.0.0.1.256.1",
            "127.0.0.1.+1.1",
            "/run/rpcbind.sock",
            "::1.1",
            "127.0.0.1.1.1.1",
            "127.0.0.1.-1.1",
            "127.0.0.1. 1.1",
        ] {
            assert_eq!(from_universal(text), None, "{text}");
        }
    }
}
