//! Who gets a conversation, and who has to wait for one.
#![cfg(feature = "alloc")]

#[path = "support/forger.rs"]
mod forger;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use forger::{Forger, items_of};
use posthaste_core::endpoint::Rejected;
use posthaste_core::wire::{Frame, Parameters, Stateless};
use posthaste_core::{Config, Endpoint, Instant, Storage};

/// Tokens that are remembered as used are few: whoever holds all that one address may does not use up those of others.
#[test]
fn an_address_at_its_limit_uses_up_no_tokens() {
    let mut victim = server(|config| (config.session_count_per_address_max, config.used_ticket_count_max) = (1, 2));
    let mut greedy = Forger::new(at(1, 1));
    let hello = with_token(&mut greedy, &mut victim, START);
    let _first = Forger::open(&mut victim, START, at(1, 2), &Parameters::default());
    for _ in 0..5 {
        assert_eq!(greedy.deliver(&mut victim, START, hello.clone()), Err(Rejected::NoRoom));
    }
    let _other = Forger::open(&mut victim, START, at(2, 1), &Parameters::default());
}

/// Without room to remember that its token was used, a new peer is made to wait, and is served when there is some.
#[test]
fn a_new_peer_waits_for_room_to_remember_its_token() {
    let mut victim = server(|config| config.used_ticket_count_max = 2);
    for ip in 1..=2 {
        Forger::open(&mut victim, START, at(ip, 1), &Parameters::default());
    }
    let mut late = Forger::new(at(3, 1));
    let hello = with_token(&mut late, &mut victim, START);
    assert_eq!(late.deliver(&mut victim, START, hello), Err(Rejected::NoRoom));
    assert!(late.drain(&mut victim, START).is_empty(), "another token would help nobody");
    late.reopen(&mut victim, START.saturating_add(Duration::from_secs(10)), &Parameters::default());
}

/// Makes a hello with the token that the server gives for one without.
fn with_token(forger: &mut Forger, victim: &mut Endpoint<'_>, now: Instant) -> Vec<u8> {
    let items = items_of(&Parameters::default());
    let hello = forger.hello(&[], 0, &[Frame::Parameters(&items)]);
    forger.deliver(victim, now, hello).unwrap();
    let retry = forger.drain(victim, now).pop().expect("a retry");
    let Ok(Stateless::Retry { token, .. }) = Stateless::decode(&retry) else { panic!("{retry:?}") };
    forger.hello(token, 1, &[Frame::Parameters(&items)])
}

fn server<T>(limit: impl FnOnce(&mut Config) -> T) -> Endpoint<'static> {
    let mut config = Config::bare();
    limit(&mut config);
    let storage = Storage::owned(&config);
    Endpoint::new_insecure(config, storage, [1; 32], START).unwrap()
}

fn at(ip: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 1, ip)), port)
}

const START: Instant = Instant::from_nanos(1_000_000_000);
