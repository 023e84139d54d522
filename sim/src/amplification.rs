//! The amplification limit, judged from outside: from what arrives, not from what the endpoint believes.

use alloc::collections::BTreeMap;
use core::net::{IpAddr, SocketAddr};

/// Counts what one endpoint got from and sent to each address until the address is proven.
///
/// An endpoint that answers strangers may send at most three times the octets it got from an address until it
/// knows that the address is the peer's own (RFC 9000 §8). The address *can* be known only after a round trip:
/// something from the endpoint reached the address, and something sent from there after that came back. That is
/// what this counts, whatever token or ticket the endpoint uses for its own proof. The port does not count: a ticket proves the
/// host, whose translator may have given it another port since (protocol §4.4).
#[derive(Clone, Debug, Default)]
pub struct Amplification {
    accounts: BTreeMap<IpAddr, Account>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    received_len: u64,
    sent_len: u64,
    progress: Progress,
}

/// `None --something arrived there--> Reached --something was sent from there--> Returning --it came--> Proven`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Progress {
    #[default]
    None,
    Reached,
    Returning,
    Proven,
}

impl Amplification {
    /// Counts a datagram of `len` octets that the endpoint received from `remote`.
    pub fn on_received(&mut self, remote: SocketAddr, len: usize) {
        let account = self.accounts.entry(remote.ip()).or_default();
        account.received_len += len as u64;
        if account.progress == Progress::Returning {
            account.progress = Progress::Proven;
        }
    }

    /// Counts a datagram of `len` octets that the endpoint sent to `remote`.
    ///
    /// # Panics
    /// If `remote` is not proven and this is more than three times what came from there.
    pub fn on_sent(&mut self, remote: SocketAddr, len: usize) {
        let account = self.accounts.entry(remote.ip()).or_default();
        account.sent_len += len as u64;
        assert!(
            account.progress == Progress::Proven || account.sent_len <= FACTOR_MAX * account.received_len,
            "amplification: {} octets sent to unproven {remote}, {} received",
            account.sent_len,
            account.received_len,
        );
    }

    /// Notes that a datagram from the endpoint reached the host that owns `remote`.
    pub fn on_reached(&mut self, remote: SocketAddr) {
        self.advance(remote, Progress::None, Progress::Reached);
    }

    /// Notes that the host that owns `remote` sent a datagram to the endpoint.
    pub fn on_answered(&mut self, remote: SocketAddr) {
        self.advance(remote, Progress::Reached, Progress::Returning);
    }

    fn advance(&mut self, remote: SocketAddr, from: Progress, to: Progress) {
        if let Some(account) = self.accounts.get_mut(&remote.ip()).filter(|account| account.progress == from) {
            account.progress = to;
        }
    }
}

/// RFC 9000 §8.1.
const FACTOR_MAX: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_times_what_came_may_go_to_a_stranger() {
        let mut limit = Amplification::default();
        limit.on_received(remote(), 100);
        limit.on_sent(remote(), 300);
    }

    #[test]
    #[should_panic(expected = "amplification: 301 octets sent to unproven 192.0.2.1:7, 100 received")]
    fn one_octet_more_is_a_violation() {
        let mut limit = Amplification::default();
        limit.on_received(remote(), 100);
        limit.on_sent(remote(), 301);
    }

    #[test]
    fn a_round_trip_lifts_the_limit() {
        let mut limit = Amplification::default();
        limit.on_received(remote(), 100);
        limit.on_sent(remote(), 50);
        limit.on_reached(remote());
        limit.on_answered(remote());
        limit.on_received(remote(), 100);
        limit.on_sent(remote(), 100_000);
    }

    #[test]
    #[should_panic(expected = "amplification")]
    fn more_from_one_who_never_saw_an_answer_lifts_nothing() {
        let mut limit = Amplification::default();
        limit.on_received(remote(), 100);
        limit.on_sent(remote(), 50);
        limit.on_answered(remote());
        limit.on_received(remote(), 100);
        limit.on_sent(remote(), 100_000);
    }

    fn remote() -> SocketAddr {
        "192.0.2.1:7".parse().unwrap()
    }
}
