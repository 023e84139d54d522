//! One network path: what is known of it, shared by all conversations that use it.

use core::net::{IpAddr, SocketAddr};

use crate::congestion::Controller;
use crate::pacer::Pacer;
use crate::peer::OnPath;
use crate::pmtu::PathMtu;
use crate::rtt::Rtt;
use crate::storage::List;

/// What was learnt about a path.
#[derive(Clone, Debug)]
pub struct Estimates {
    rtt: Rtt,
    controller: Controller,
    pacer: Pacer,
    mtu: PathMtu,
}

/// State of one path: a remote address and port, and the local address that a server's datagrams to it come from.
///
/// One controller, one round-trip estimate and one pacer serve all conversations on the path (RFC 8085 §3.1), so that
/// opening more conversations gives no larger share of the link.
#[derive(Debug)]
#[repr(C)]
pub struct Path {
    /// Where datagrams go.
    pub remote: SocketAddr,
    /// Where those of a server come from, if the adapter told: where it was asked.
    pub local: Option<IpAddr>,
    /// Whether a datagram was sent that a larger path MTU would have let be longer.
    pub is_filled: bool,
    /// Whether the pacer held a datagram back since the last one went out.
    pub is_held: bool,
    /// Whether a peer waits until the window has room, which datagrams of any other peer may have filled.
    pub is_full: bool,
    /// The peers that use it.
    pub peers: List<OnPath>,
    /// Octets in flight, of all conversations.
    pub in_flight: u64,
    /// The round-trip time.
    pub rtt: Rtt,
    /// Spreads datagrams over the round trip.
    pub pacer: Pacer,
    /// The length of datagrams.
    pub mtu: PathMtu,
    /// The congestion controller.
    pub controller: Controller,
}

impl Path {
    /// Says whether the window has room for a datagram that is worth its header.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.controller.allows(self.in_flight, ALLOWANCE_MIN)
    }

    /// Returns what was learnt.
    #[must_use]
    pub fn estimates(&self) -> Estimates {
        Estimates {
            rtt: self.rtt,
            controller: self.controller.clone(),
            pacer: self.pacer.clone(),
            mtu: self.mtu.clone(),
        }
    }

    /// Takes over what was learnt elsewhere, if nothing was learnt here.
    pub fn adopt(&mut self, known: Estimates) {
        if !self.rtt.has_sample() {
            let Estimates { rtt, controller, pacer, mtu } = known;
            (self.rtt, self.controller, self.pacer, self.mtu) = (rtt, controller, pacer, mtu);
        }
    }
}

/// Below this a datagram is not worth its header; what the window leaves is saved up.
const ALLOWANCE_MIN: usize = 256;
