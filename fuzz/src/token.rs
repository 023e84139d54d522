//! Tokens: whoever did not get one has none, and each opens one session.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use posthaste_core::Instant;
use posthaste_core::storage::Store;
use posthaste_core::token::{TOKEN_LEN, TicketRefused, Token, TokenKeys, TokenKind, UsedTicket, UsedTickets};

use crate::tape::Tape;

/// Makes, changes and opens tokens, then uses some.
pub fn token(octets: &[u8]) {
    let keys = TokenKeys::new(&[7; 16], 0, LEASE);
    let mut tape = Tape::new(octets);
    let (now, address) = (Instant::from_nanos(tape.number()), address(&mut tape));
    assert_eq!(keys.open(now, address, octets), None, "a token that nobody made");
    let kind = [TokenKind::Retry, TokenKind::Ticket][tape.below(2)];
    let token = Token { kind, issued_at: Instant::from_nanos(tape.number()), session: tape.number() };
    let sealed = keys.seal(&token, address);
    let is_alive = token.issued_at <= now && now < token.issued_at.saturating_add(keys.timeout(kind));
    assert_eq!(keys.open(now, address, &sealed), is_alive.then_some(token));
    let mut changed = sealed;
    for _ in 0..tape.below(4) {
        changed[tape.below(TOKEN_LEN)] ^= tape.octet();
    }
    let elsewhere = self::address(&mut tape);
    let is_there = elsewhere.ip() == address.ip() && (kind == TokenKind::Ticket || elsewhere == address);
    let expected = (changed == sealed && is_alive && is_there).then_some(token);
    assert_eq!(keys.open(now, elsewhere, &changed), expected);
    use_up(&mut tape, &keys);
}

/// Uses tokens beside a list of those that were used.
fn use_up(tape: &mut Tape<'_>, keys: &TokenKeys) {
    let room = 1 + tape.below(8);
    let mut used = UsedTickets::new(
        Store::owned_with(2 * room, |_| UsedTicket::EMPTY),
        Store::owned_with((2 * room).next_power_of_two(), |_| u32::MAX),
        Store::owned_with(2 * room, |_| u32::MAX),
        keys,
    );
    let mut model: Vec<(Token, Instant)> = Vec::new();
    let mut now = Instant::from_nanos(1);
    while !tape.is_empty() {
        now = now.saturating_add(tape.time());
        model.retain(|(_, until)| *until > now);
        let kind = [TokenKind::Retry, TokenKind::Ticket][tape.below(2)];
        let token = Token { kind, issued_at: now, session: u64::from(tape.octet()) };
        let expected = if model.iter().any(|(used, _)| used.session == token.session) {
            Err(TicketRefused::Used)
        } else if model.iter().filter(|(used, _)| used.kind == kind).count() == room {
            Err(TicketRefused::Full)
        } else {
            model.push((token, now.saturating_add(keys.timeout(kind))));
            Ok(())
        };
        assert_eq!(used.insert(now, &token), expected);
    }
}

fn address(tape: &mut Tape<'_>) -> SocketAddr {
    let ip = Ipv6Addr::from(u128::from(tape.number()) << 64 | u128::from(tape.number()));
    SocketAddr::new(IpAddr::V6(ip), u16::from(tape.octet()) + 1)
}

const LEASE: Duration = Duration::from_secs(600);
