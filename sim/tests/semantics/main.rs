//! x
mod actions;
mod client;
mod mutants;
mod properties;
mod rules;
mod server;
mod state;

use actions::Calls;
use rules::*;
use state::Faults;
use stateright::{Checker, Model};

#[test]
fn probe() {
    let g = |k: &str, d: u8| std::env::var(k).ok().and_then(|v| v.parse().ok()).unwrap_or(d);
    let level = if g("EO", 0) == 1 { Level::ExactlyOnce } else { Level::AtMostOnce };
    let mut rules = Rules::of(level);
    rules.window = g("W", 2);
    if g("BIG", 0) == 1 {
        rules.reply_size = ReplySize::ExceedsCacheSlot;
    }
    let m = Calls {
        rules,
        call_count: g("CALLS", 2).into(),
        faults: Faults {
            server_restarts: g("SR", 0),
            client_restarts: g("CR", 0),
            address_changes: g("AC", 0),
            ticks: g("TICKS", 0),
            tickets: g("TICKETS", 1),
        },
        reached: vec![],
    };
    let t = std::time::Instant::now();
    let c = m.checker().threads(1).spawn_bfs().join();
    println!(
        "unique {} generated {} depth {} in {:?}",
        c.unique_state_count(),
        c.state_count(),
        c.max_depth(),
        t.elapsed()
    );
    for (n, p) in c.discoveries() {
        println!("{n}: {:#?}", p.into_actions());
    }
}
