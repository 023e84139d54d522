//! Time that jumps, and time in which nothing happens.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use posthaste_core::wire::Frame;
use posthaste_core::{Config, Instant, memory_bound};

use crate::forger::Forger;
use crate::lies::call;
use crate::{START, generous, open, server};

#[test]
fn a_clock_that_jumps_makes_timers_run_once() {
    let century = Duration::from_secs(100 * 365 * 86_400);
    let (mut victim, mut forger) = open();
    let datagram = call(&mut forger, 0, &[1; 9]);
    forger.deliver(&mut victim, START, datagram).unwrap();
    let mut now = START;
    for jump in [Duration::ZERO, Duration::from_secs(3600), century, century, century, century, century, century] {
        now = now.saturating_add(jump);
        victim.handle_timeout(now);
        victim.handle_timeout(now.saturating_sub(Duration::from_secs(1)));
        forger.drain(&mut victim, now);
        while victim.poll_event().is_some() {}
        let at_end = now == now.saturating_add(Duration::from_nanos(1));
        assert!(at_end || victim.poll_timeout().is_none_or(|at| at > now));
    }
    victim.handle_timeout(Instant::from_nanos(u64::MAX));
    assert_eq!(victim.counters().broken, 0);
}

/// Nobody's timer runs for those who say nothing, and each of them takes 2 KiB, and a place for its ticket.
#[test]
fn a_hundred_thousand_idle_peers_set_no_timer_in_little_memory() {
    const COUNT: u32 = 100_000;
    let mut config = Config::bare();
    config.used_ticket_count_max = 16_384;
    let few = memory_bound(&config);
    config.peer_count_max = COUNT as usize;
    // The ticket of each; peers get at most seven eighths.
    config.payload_memory += COUNT as usize * 64 * 8 / 7;
    let per_peer = (memory_bound(&config) - few) / COUNT as usize;
    assert!(per_peer <= 2048 + 128, "{per_peer} octets for a peer");

    let mut victim = server(config, 3);
    let mut now = START;
    let mut last = None;
    for peer in 0..COUNT {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + peer)), 9);
        let mut forger = Forger::open(&mut victim, now, address, &generous());
        forger.say(&mut victim, now, &[Frame::Ping]).unwrap();
        now = victim.poll_timeout().expect("an acknowledgement is due");
        victim.handle_timeout(now);
        assert_eq!(forger.drain(&mut victim, now).len(), 1, "the acknowledgement");
        while victim.poll_event().is_some() {}
        last = Some(forger);
    }
    assert_eq!((victim.usage().peers, victim.poll_timeout()), (COUNT, None));
    assert!(!last.expect("there are many").ticket.is_empty());
}
