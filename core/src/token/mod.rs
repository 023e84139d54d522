//! Octets that only their maker can make: address tokens, reset tokens, proofs of a session.
//!
//! A server hands them out and keeps nothing: what it needs to know comes back inside the token, authenticated by a key that it
//! drew at its start. So a token dies with the incarnation that made it.

mod used;

pub use used::{TicketRefused, UsedTicket, UsedTickets};

use core::hint::black_box;
use core::net::SocketAddr;
use core::time::Duration;

use crate::siphash::{Key, siphash_2_4_128};
use crate::time::Instant;
use crate::wire::{ConversationId, ResetToken, SessionSecret};

/// Proof that somebody received it at an address, with the session that it may open (protocol §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it was made for.
    pub kind: TokenKind,
    /// When it was made; it lives from then on.
    pub issued_at: Instant,
    /// The id of the session that it opens, drawn by the server.
    pub session: u64,
}

/// What a token was made for, which decides what it is bound to (RFC 9000 §8.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// The answer to a hello: bound to address and port for 10 s (RFC 9000 §8.1.2).
    Retry,
    /// For the next visit: bound to the address for as long as the lease, since the port of a new socket differs (RFC 9000 §8.1.3).
    Ticket,
}

/// The keys of one incarnation of a server, at one of the sockets of its port.
///
/// They have no `Debug` and no `Clone`: who has them can make every token.
pub struct TokenKeys {
    socket: u8,
    tag: Key,
    mask: Key,
    reset: Key,
    lease: Duration,
}

impl TokenKeys {
    /// Derives the keys from one that was drawn at the start of this incarnation. Tickets live for `lease`.
    ///
    /// Each socket opens its own tokens alone: what was used before, only the one knows that took it.
    #[must_use]
    pub fn new(key: &Key, socket: u8, lease: Duration) -> Self {
        Self {
            socket,
            tag: siphash_2_4_128(key, b"posthaste token tag"),
            mask: siphash_2_4_128(key, b"posthaste token mask"),
            reset: siphash_2_4_128(key, b"posthaste reset"),
            lease,
        }
    }

    /// Replaces what reset tokens are made from by a secret that outlives this incarnation.
    #[must_use]
    pub fn with_reset_secret(mut self, secret: &Key) -> Self {
        self.reset = siphash_2_4_128(secret, b"posthaste reset");
        self
    }

    /// Returns the octets of a token for `address`.
    ///
    /// Socket, kind, tag, and the masked time and session. The socket stands in front, where whoever steers can read it
    /// ([`STEERING`](crate::wire::STEERING)). The tag is made of everything in clear, and the mask of the tag, so two
    /// tokens have one mask only if they are the same token (the construction of RFC 5297). Masked, because
    /// an observer could otherwise tell that two visits are of one client (RFC 9000 §8.1.4).
    #[must_use]
    pub fn seal(&self, token: &Token, address: SocketAddr) -> [u8; TOKEN_LEN] {
        let body = u128::from(token.issued_at.as_nanos()) << 64 | u128::from(token.session);
        let tag = self.tag(token.kind, address, body);
        let mut octets = [0; TOKEN_LEN];
        octets[..2].copy_from_slice(&[self.socket, token.kind.to_octet()]);
        octets[2..18].copy_from_slice(&tag);
        octets[18..].copy_from_slice(&(body ^ self.mask(&tag)).to_be_bytes());
        octets
    }

    /// Returns the token that `octets` are, if these keys made it for `address` and it is alive at `now`.
    ///
    /// `None` is all that anybody learns of a token that is forged, damaged, of another address or socket, expired, or made in
    /// the future. An IPv6 address that is a mapped IPv4 address is that IPv4 address.
    #[must_use]
    pub fn open(&self, now: Instant, address: SocketAddr, octets: &[u8]) -> Option<Token> {
        let octets: &[u8; TOKEN_LEN] = octets.try_into().ok()?;
        let [socket, kind, ..] = *octets;
        let kind = TokenKind::from_octet(kind).filter(|_| socket == self.socket)?;
        let tag = octets[2..].first_chunk()?;
        let body = u128::from_be_bytes(*octets.last_chunk()?) ^ self.mask(tag);
        if !secrets_are_equal(&self.tag(kind, address, body), tag) {
            return None;
        }
        let token = Token { kind, issued_at: Instant::from_nanos((body >> 64) as u64), session: body as u64 };
        let is_alive = token.issued_at <= now && now < token.issued_at.saturating_add(self.timeout(kind));
        is_alive.then_some(token)
    }

    /// Returns how long a token of `kind` lives.
    #[must_use]
    pub const fn timeout(&self, kind: TokenKind) -> Duration {
        match kind {
            TokenKind::Retry => RETRY_TIMEOUT,
            TokenKind::Ticket => self.lease,
        }
    }

    /// Returns the token by which the owner of a conversation id can say that it knows it no longer (RFC 9000 §10.3.2).
    #[must_use]
    pub fn reset_token(&self, id: ConversationId) -> ResetToken {
        ResetToken(siphash_2_4_128(&self.reset, &id.0))
    }

    fn tag(&self, kind: TokenKind, address: SocketAddr, body: u128) -> [u8; 16] {
        let ip = match address.ip() {
            core::net::IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            core::net::IpAddr::V6(ip) => ip,
        };
        let port = match kind {
            TokenKind::Retry => address.port(),
            TokenKind::Ticket => 0,
        };
        let mut input = [0; 36];
        input[..2].copy_from_slice(&[self.socket, kind.to_octet()]);
        input[2..18].copy_from_slice(&ip.octets());
        input[18..20].copy_from_slice(&port.to_be_bytes());
        input[20..].copy_from_slice(&body.to_be_bytes());
        siphash_2_4_128(&self.tag, &input)
    }

    fn mask(&self, tag: &[u8; 16]) -> u128 {
        u128::from_be_bytes(siphash_2_4_128(&self.mask, tag))
    }
}

impl TokenKind {
    const fn to_octet(self) -> u8 {
        match self {
            Self::Retry => 0,
            Self::Ticket => 1,
        }
    }

    const fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            0 => Some(Self::Retry),
            1 => Some(Self::Ticket),
            _ => None,
        }
    }
}

/// Returns the proof that a client knows the secret of the session that it resumes on its new conversation `id` (protocol §6.12).
#[must_use]
pub fn resume_proof(secret: &SessionSecret, id: ConversationId) -> [u8; 16] {
    siphash_2_4_128(&secret.0, &id.0)
}

/// Compares a proof or reset token that a peer sent with what it ought to be, in a time that does not tell where they differ.
#[must_use]
pub fn secrets_are_equal(ours: &[u8; 16], theirs: &[u8; 16]) -> bool {
    let difference = ours.iter().zip(theirs).fold(0, |sum, (ours, theirs)| sum | (ours ^ theirs));
    // Keeps the compiler from leaving the loop at the first difference.
    black_box(difference) == 0
}

/// Length of a token; the protocol has room for 128 octets.
pub const TOKEN_LEN: usize = 34;

/// Long enough for the client's answer and some repetitions, short enough that an address did not change hands.
const RETRY_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use core::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn a_token_opens_for_the_address_it_was_made_for() {
        for kind in KINDS {
            let token = Token { kind, issued_at: ISSUED_AT, session: 0xfeed_f00d_dead_beef };
            let octets = keys().seal(&token, address(1, 1000));
            assert_eq!(keys().open(ISSUED_AT, address(1, 1000), &octets), Some(token));
            assert_eq!(keys().open(ISSUED_AT, address(2, 1000), &octets), None);
        }
    }

    #[test]
    fn a_retry_is_bound_to_the_port_and_a_ticket_is_not() {
        assert_eq!(open_at(TokenKind::Retry, ISSUED_AT, address(1, 1001)), None);
        assert!(open_at(TokenKind::Ticket, ISSUED_AT, address(1, 1001)).is_some());
    }

    #[test]
    fn a_retry_lives_ten_seconds_and_a_ticket_as_long_as_the_lease() {
        for (kind, timeout) in [(TokenKind::Retry, Duration::from_secs(10)), (TokenKind::Ticket, LEASE)] {
            let end = ISSUED_AT.saturating_add(timeout);
            assert!(open_at(kind, end.saturating_sub(Duration::from_nanos(1)), address(1, 1000)).is_some());
            assert_eq!(open_at(kind, end, address(1, 1000)), None);
            assert_eq!(open_at(kind, ISSUED_AT.saturating_sub(Duration::from_nanos(1)), address(1, 1000)), None);
        }
    }

    #[test]
    fn a_mapped_address_is_the_address() {
        let mapped = SocketAddr::new(IpAddr::V6(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped()), 1000);
        assert!(open_at(TokenKind::Retry, ISSUED_AT, mapped).is_some());
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_refused() {
        for kind in KINDS {
            let octets = sealed(kind);
            for bit in 0..octets.len() * 8 {
                let mut octets = octets;
                octets[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(keys().open(ISSUED_AT, address(1, 1000), &octets), None);
            }
            for len in 0..octets.len() {
                assert_eq!(keys().open(ISSUED_AT, address(1, 1000), &octets[..len]), None);
            }
            assert_eq!(keys().open(ISSUED_AT, address(1, 1000), &[octets.as_slice(), &[0]].concat()), None);
        }
    }

    #[test]
    fn another_incarnation_refuses() {
        let other = TokenKeys::new(&[8; 16], 3, LEASE);
        assert_eq!(other.open(ISSUED_AT, address(1, 1000), &sealed(TokenKind::Ticket)), None);
    }

    #[test]
    fn another_socket_refuses_whatever_the_token_calls_itself() {
        let other = TokenKeys::new(&[7; 16], 4, LEASE);
        let mut octets = sealed(TokenKind::Ticket);
        assert_eq!(other.open(ISSUED_AT, address(1, 1000), &octets), None);
        octets[0] = 4;
        assert_eq!(other.open(ISSUED_AT, address(1, 1000), &octets), None);
    }

    #[test]
    fn a_ticket_tells_an_observer_neither_its_time_nor_its_session() {
        let token = Token { kind: TokenKind::Ticket, issued_at: ISSUED_AT, session: 1 };
        let first = keys().seal(&token, address(1, 1000));
        let second = keys().seal(&Token { session: 2, ..token }, address(1, 1000));
        // Socket and kind in front are in clear; of the rest, two unrelated rows of octets agree in few places.
        assert!(first[2..].iter().zip(&second[2..]).filter(|(a, b)| a == b).count() < 4);
    }

    #[test]
    fn golden_values_hold() {
        assert_eq!(sealed(TokenKind::Retry), GOLDEN_RETRY);
        assert_eq!(sealed(TokenKind::Ticket), GOLDEN_TICKET);
        let id = ConversationId(*b"conv-id!");
        assert_eq!(keys().reset_token(id).0, GOLDEN_RESET);
        let secret = SessionSecret(core::array::from_fn(|index| index as u8));
        assert_eq!(resume_proof(&secret, id), GOLDEN_PROOF);
    }

    fn sealed(kind: TokenKind) -> [u8; TOKEN_LEN] {
        keys().seal(&Token { kind, issued_at: ISSUED_AT, session: 0xfeed_f00d_dead_beef }, address(1, 1000))
    }

    fn open_at(kind: TokenKind, now: Instant, address: SocketAddr) -> Option<Token> {
        keys().open(now, address, &sealed(kind))
    }

    fn keys() -> TokenKeys {
        TokenKeys::new(&[7; 16], 3, LEASE)
    }

    fn address(host: u8, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), port)
    }

    const KINDS: [TokenKind; 2] = [TokenKind::Retry, TokenKind::Ticket];
    const LEASE: Duration = Duration::from_secs(600);
    const ISSUED_AT: Instant = Instant::from_nanos(5_000_000_000);

    // Computed by a second implementation, written for the purpose from the specifications of SipHash and of this file.
    const GOLDEN_RETRY: [u8; 34] = [
        0x03, 0x00, 0x2c, 0x68, 0xd7, 0xf2, 0xab, 0x5d, 0x0a, 0x89, 0x91, 0x81, 0x18, 0x72, 0x8d, 0x47, 0x3f, 0xff,
        0x9c, 0x84, 0x26, 0xb9, 0xc6, 0x2b, 0x8f, 0x8a, 0x6a, 0xec, 0xac, 0xfb, 0x10, 0x26, 0x44, 0xa3,
    ];
    const GOLDEN_TICKET: [u8; 34] = [
        0x03, 0x01, 0x3c, 0xcd, 0x6b, 0x83, 0xc9, 0x20, 0x53, 0x35, 0x7d, 0xfe, 0xb7, 0xd8, 0xe8, 0x1d, 0x71, 0xbb,
        0x76, 0xcf, 0x59, 0xb1, 0x6a, 0x71, 0x1b, 0x1b, 0xb0, 0xde, 0xe3, 0xb1, 0x53, 0xee, 0x4c, 0x4b,
    ];
    const GOLDEN_RESET: [u8; 16] =
        [0xc7, 0xb7, 0x60, 0xec, 0xa2, 0x68, 0x3f, 0xc1, 0xe4, 0xa0, 0x93, 0x3b, 0xeb, 0x73, 0xb1, 0x91];
    const GOLDEN_PROOF: [u8; 16] =
        [0xf4, 0x2d, 0x4d, 0x1d, 0x44, 0x8f, 0xe5, 0x04, 0xcb, 0x3f, 0xfb, 0xf2, 0x9c, 0xfe, 0x3e, 0xfd];
}
