//! One form for each address: the protocol above never sees an IPv4-mapped IPv6 address.

use core::net::{IpAddr, SocketAddr, SocketAddrV6};

/// Which form of address the operating system wants from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn of(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(_) => Self::V6,
        }
    }

    /// Returns `address` as a socket of this family takes it: an IPv6 socket wants IPv4 peers mapped
    /// (RFC 4291 §2.5.5.2).
    pub(crate) fn native(self, address: SocketAddr) -> SocketAddr {
        match (self, address) {
            (Self::V6, SocketAddr::V4(v4)) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
            (Self::V4 | Self::V6, address) => address,
        }
    }
}

/// Returns `address` with an IPv4-mapped IPv6 address as the IPv4 address it means.
///
/// The flow label is dropped: it is no part of who the peer is (RFC 6437 §2), and two datagrams of one peer must
/// have equal addresses. The scope of a link-local address stays, because without it no answer finds the way.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => address,
        SocketAddr::V6(v6) => match v6.ip().to_canonical() {
            IpAddr::V4(ip) => SocketAddr::new(ip.into(), v6.port()),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, v6.port(), 0, v6.scope_id()).into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_becomes_an_ipv4_address_and_back() {
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:7".parse().unwrap();
        let plain: SocketAddr = "192.0.2.1:7".parse().unwrap();

        assert_eq!(canonical(mapped), plain);
        assert_eq!(Family::V6.native(plain), mapped);
        assert_eq!(Family::V4.native(plain), plain);
    }

    #[test]
    fn the_flow_label_is_dropped_and_the_scope_kept() {
        let ip = "fe80::1".parse().unwrap();
        let labelled = SocketAddrV6::new(ip, 7, 0xabcd, 3);

        assert_eq!(canonical(labelled.into()), SocketAddrV6::new(ip, 7, 0, 3).into());
    }
}
