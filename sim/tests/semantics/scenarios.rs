//! The rules as they are keep every promise, whatever goes wrong.
//!
//! One search that lets everything go wrong at once would never end. Each test lets some things go wrong, looks at every
//! state that can be reached, and names states that have to be among them. The number of states is asserted, because
//! it is a fact about the rules: a change that moves it has changed what was checked.

use std::env;

use stateright::{Checker, Model};

use crate::actions::Calls;
use crate::properties::{
    ALL_RETIRED, CALL_ANSWERED_AFTER_RESUME, EXCEPTION_USED, NOT_EXECUTED, OK, OK_OF_A_CALL_IN_THE_OPEN,
    RECORDED_REPLY_AFTER_SERVER_RESTART, REPLY_LOST, SECOND_SESSION, SESSION_FORGOTTEN, UNKNOWN_AND_EXECUTED,
    UNKNOWN_THEN_NOT_EXECUTED, UNKNOWN_THEN_OK,
};
use crate::rules::{Level, ReplySize, Rules};
use crate::state::Faults;

#[test]
fn at_most_once_holds_when_the_server_restarts() {
    let reached =
        [OK, NOT_EXECUTED, UNKNOWN_AND_EXECUTED, UNKNOWN_THEN_OK, UNKNOWN_THEN_NOT_EXECUTED, OK_OF_A_CALL_IN_THE_OPEN];
    let faults = Faults { server_restarts: 1, tickets: 2, ..Faults::NONE };
    promises_hold(AT_MOST_ONCE, 2, faults, &reached, 252_346);
}

#[test]
fn at_most_once_holds_when_the_address_changes_and_replies_are_too_large_to_keep() {
    let rules = Rules { reply_size: ReplySize::ExceedsCacheSlot, ..AT_MOST_ONCE };
    let faults = Faults { address_changes: 1, ..Faults::NONE };
    let reached = [REPLY_LOST, CALL_ANSWERED_AFTER_RESUME, EXCEPTION_USED, ALL_RETIRED];
    promises_hold(rules, 2, faults, &reached, 488_735);
}

#[test]
fn at_most_once_holds_when_leases_end() {
    let faults = Faults { ticks: 2, tickets: 2, ..Faults::NONE };
    let reached = [OK, SESSION_FORGOTTEN, SECOND_SESSION, UNKNOWN_AND_EXECUTED];
    promises_hold(AT_MOST_ONCE, 2, faults, &reached, 1_263_598);
}

#[test]
fn at_most_once_holds_when_the_client_restarts() {
    let faults = Faults { client_restarts: 1, tickets: 2, ..Faults::NONE };
    let reached = [OK, SECOND_SESSION, UNKNOWN_THEN_OK];
    promises_hold(AT_MOST_ONCE, 2, faults, &reached, 323_245);
}

#[test]
fn at_most_once_holds_in_a_window_that_is_always_full() {
    let rules = Rules { window: 1, ..AT_MOST_ONCE };
    promises_hold(rules, 3, Faults::NONE, &[OK, ALL_RETIRED], 100_302);
}

#[test]
fn exactly_once_holds_when_the_server_restarts() {
    let faults = Faults { server_restarts: 1, ..Faults::NONE };
    let reached = [OK, NOT_EXECUTED, RECORDED_REPLY_AFTER_SERVER_RESTART, EXCEPTION_USED, ALL_RETIRED];
    promises_hold(EXACTLY_ONCE, 2, faults, &reached, 414_156);
}

#[test]
fn exactly_once_holds_when_both_sides_restart_and_the_address_changes() {
    let faults = Faults { server_restarts: 1, client_restarts: 1, address_changes: 1, ..Faults::NONE };
    let reached = [RECORDED_REPLY_AFTER_SERVER_RESTART, REPLY_LOST, UNKNOWN_THEN_OK, CALL_ANSWERED_AFTER_RESUME];
    promises_hold(EXACTLY_ONCE, 1, faults, &reached, 1_214_890);
}

#[test]
fn exactly_once_holds_when_both_sides_restart_and_leases_end() {
    let faults = Faults { server_restarts: 1, client_restarts: 1, ticks: 2, ..Faults::NONE };
    let reached = [RECORDED_REPLY_AFTER_SERVER_RESTART, SESSION_FORGOTTEN, UNKNOWN_AND_EXECUTED, REPLY_LOST];
    promises_hold(EXACTLY_ONCE, 1, faults, &reached, 819_585);
}

#[test]
fn nightly_at_most_once_holds_when_everything_happens_to_one_call() {
    let faults = Faults { server_restarts: 1, client_restarts: 1, address_changes: 1, ticks: 2, tickets: 2 };
    nightly(AT_MOST_ONCE, 1, faults, 2_529_216);
}

#[test]
fn nightly_at_most_once_holds_for_two_calls_when_the_server_restarts_and_the_address_changes() {
    let faults = Faults { server_restarts: 1, address_changes: 1, ..Faults::NONE };
    nightly(AT_MOST_ONCE, 2, faults, 2_369_944);
}

#[test]
fn nightly_at_most_once_holds_for_two_calls_when_both_sides_restart() {
    let faults = Faults { server_restarts: 1, client_restarts: 1, tickets: 2, ..Faults::NONE };
    nightly(AT_MOST_ONCE, 2, faults, 1_462_335);
}

#[test]
fn nightly_at_most_once_holds_for_three_calls() {
    nightly(AT_MOST_ONCE, 3, Faults::NONE, 1_410_736);
}

#[test]
fn nightly_exactly_once_holds_for_two_calls_when_the_client_restarts() {
    let faults = Faults { client_restarts: 1, ..Faults::NONE };
    nightly(EXACTLY_ONCE, 2, faults, 1_900_178);
}

#[test]
fn nightly_exactly_once_holds_when_the_server_restarts_twice() {
    let faults = Faults { server_restarts: 2, client_restarts: 1, ..Faults::NONE };
    nightly(EXACTLY_ONCE, 1, faults, 1_801_471);
}

/// Explores larger bounds, when the environment asks for them.
fn nightly(rules: Rules, call_count: usize, faults: Faults, state_count: usize) {
    if env::var_os("POSTHASTE_NIGHTLY").is_some() {
        promises_hold(rules, call_count, faults, &[OK, NOT_EXECUTED], state_count);
    }
}

/// Explores every state within the bounds, and holds the document to their number.
fn promises_hold(rules: Rules, call_count: usize, faults: Faults, reached: &[&'static str], state_count: usize) {
    let model = Calls { rules, call_count, faults, reached: reached.to_vec() };
    // One thread: the tests of this file already run side by side.
    let checker = model.checker().threads(1).spawn_bfs().join();
    checker.assert_properties();
    assert_eq!(checker.unique_state_count(), state_count);
    assert!(DOCUMENT.contains(&format!("| {state_count} |")), "docs/semantics.md names another number");
}

const DOCUMENT: &str = include_str!("../../../docs/semantics.md");
const AT_MOST_ONCE: Rules = Rules::of(Level::AtMostOnce);
const EXACTLY_ONCE: Rules = Rules::of(Level::ExactlyOnce);
