//! Every rule broken on purpose, one at a time: a model that could not notice would prove nothing.
//!
//! Each test names the promise that breaks, the faults that it takes, and the number of steps of the shortest way there.

use stateright::{Checker, HasDiscoveries, Model};

use crate::actions::Calls;
use crate::properties::{
    A_TRUSTED_SESSION_LIVES, AN_HONEST_CLIENT_BREAKS_NO_RULE, EXECUTED_AT_MOST_ONCE, NOT_EXECUTED_HOLDS_FOR_EVER,
    OK_IS_THE_REPLY_OF_THE_ONLY_EXECUTION,
};
use crate::rules::Level::{AtMostOnce, ExactlyOnce};
use crate::rules::{Level, Mutant, Rules};
use crate::state::Faults;

#[test]
fn mutant_01_a_call_without_the_incarnation_executes_in_two_lives_of_the_server() {
    let faults = Faults { server_restarts: 1, ..Faults::NONE };
    assert_eq!(caught(Mutant::CallWithoutIncarnation, AtMostOnce, 1, faults), (EXECUTED_AT_MOST_ONCE, 9));
}

#[test]
fn mutant_02_a_refusal_without_a_tombstone_executes_later() {
    assert_eq!(caught(Mutant::RefusalWithoutTombstone, AtMostOnce, 1, Faults::NONE), (NOT_EXECUTED_HOLDS_FOR_EVER, 9));
}

#[test]
fn mutant_03_an_evicted_record_lets_a_duplicate_execute() {
    assert_eq!(caught(Mutant::RecordEvicted, AtMostOnce, 1, Faults::NONE), (EXECUTED_AT_MOST_ONCE, 10));
}

#[test]
fn mutant_04_a_session_created_on_the_fly_lets_a_duplicate_execute() {
    let faults = Faults { ticks: 2, ..Faults::NONE };
    assert_eq!(caught(Mutant::SessionCreatedOnTheFly, AtMostOnce, 1, faults), (EXECUTED_AT_MOST_ONCE, 11));
}

#[test]
fn mutant_05_a_session_chosen_by_the_client_comes_back_after_its_end() {
    let faults = Faults { ticks: 2, ..Faults::NONE };
    assert_eq!(caught(Mutant::SessionChosenByClient, AtMostOnce, 1, faults), (EXECUTED_AT_MOST_ONCE, 11));
}

#[test]
fn mutant_06_effect_and_record_in_two_commits_execute_twice() {
    let faults = Faults { server_restarts: 1, ..Faults::NONE };
    assert_eq!(caught(Mutant::EffectAndRecordApart, ExactlyOnce, 1, faults), (EXECUTED_AT_MOST_ONCE, 15));
}

#[test]
fn mutant_07_a_restarted_client_that_reuses_its_session_takes_an_old_reply() {
    let faults = Faults { client_restarts: 1, ..Faults::NONE };
    assert_eq!(
        caught(Mutant::RestartedClientReusesSession, AtMostOnce, 2, faults),
        (OK_IS_THE_REPLY_OF_THE_ONLY_EXECUTION, 11)
    );
}

#[test]
fn mutant_08_a_stale_conversation_told_as_not_executed_is_a_lie() {
    let faults = Faults { server_restarts: 1, ..Faults::NONE };
    assert_eq!(caught(Mutant::StaleMeansNotExecuted, AtMostOnce, 1, faults), (NOT_EXECUTED_HOLDS_FOR_EVER, 9));
}

#[test]
fn mutant_09_a_deadline_told_as_not_executed_is_a_lie() {
    assert_eq!(caught(Mutant::DeadlineMeansNotExecuted, AtMostOnce, 1, Faults::NONE), (NOT_EXECUTED_HOLDS_FOR_EVER, 7));
}

#[test]
fn mutant_10_resolving_without_a_tombstone_executes_later() {
    assert_eq!(caught(Mutant::ResolveWithoutTombstone, AtMostOnce, 1, Faults::NONE), (NOT_EXECUTED_HOLDS_FOR_EVER, 12));
}

#[test]
fn mutant_11_a_ticket_accepted_twice_executes_its_call_twice() {
    assert_eq!(caught(Mutant::TicketAcceptedTwice, AtMostOnce, 1, Faults::NONE), (EXECUTED_AT_MOST_ONCE, 8));
}

#[test]
fn mutant_12_a_lease_counted_from_receipt_outlives_the_session() {
    let faults = Faults { ticks: 2, ..Faults::NONE };
    assert_eq!(caught(Mutant::LeaseCountedFromReceipt, AtMostOnce, 1, faults), (A_TRUSTED_SESSION_LIVES, 8));
}

#[test]
fn mutant_13_an_exactly_once_tombstone_outside_the_store_is_forgotten() {
    let faults = Faults { server_restarts: 1, client_restarts: 1, ..Faults::NONE };
    assert_eq!(caught(Mutant::TombstoneOutsideStore, ExactlyOnce, 1, faults), (NOT_EXECUTED_HOLDS_FOR_EVER, 16));
}

#[test]
fn mutant_14_a_late_watermark_that_is_obeyed_opens_a_retired_number() {
    assert_eq!(caught(Mutant::LateWatermarkObeyed, AtMostOnce, 2, Faults::NONE), (NOT_EXECUTED_HOLDS_FOR_EVER, 11));
}

#[test]
fn mutant_15_a_call_ahead_of_its_watermark_looks_like_a_breach() {
    let rules = Rules { window: 1, mutant: Some(Mutant::CallAheadOfWatermark), ..Rules::of(AtMostOnce) };
    let model = Calls { rules, call_count: 2, faults: Faults::NONE, reached: Vec::new() };
    assert_eq!(shortest_counterexample(&model), (AN_HONEST_CLIENT_BREAKS_NO_RULE, 10));
}

#[test]
fn mutant_16_a_ticket_of_a_former_life_takes_an_old_reply() {
    let faults = Faults { client_restarts: 1, ..Faults::NONE };
    assert_eq!(caught(Mutant::TicketOfFormerLife, AtMostOnce, 2, faults), (OK_IS_THE_REPLY_OF_THE_ONLY_EXECUTION, 12));
}

#[test]
fn mutant_17_a_lease_counted_from_the_latest_copy_outlives_the_session() {
    let faults = Faults { address_changes: 1, ticks: 2, ..Faults::NONE };
    assert_eq!(caught(Mutant::LeaseCountedFromLatestCopy, AtMostOnce, 1, faults), (A_TRUSTED_SESSION_LIVES, 13));
}

#[test]
fn mutant_18_a_refused_open_repeated_under_another_ticket_executes_its_call_twice() {
    let faults = Faults { server_restarts: 1, tickets: 2, ..Faults::NONE };
    assert_eq!(caught(Mutant::RefusedOpenRepeated, AtMostOnce, 1, faults), (EXECUTED_AT_MOST_ONCE, 15));
}

#[test]
fn mutant_19_a_resume_into_an_empty_session_executes_its_calls_twice() {
    let faults = Faults { address_changes: 1, ticks: 2, ..Faults::NONE };
    assert_eq!(caught(Mutant::ResumedIntoEmptySession, AtMostOnce, 1, faults), (EXECUTED_AT_MOST_ONCE, 15));
}

/// The promise that the mutant breaks first, and in how many steps.
fn caught(mutant: Mutant, level: Level, call_count: usize, faults: Faults) -> (&'static str, usize) {
    shortest_counterexample(&Calls {
        rules: Rules { mutant: Some(mutant), ..Rules::of(level) },
        call_count,
        faults,
        reached: Vec::new(),
    })
}

/// Looks one step further each time, so that what is found first is the shortest there is.
fn shortest_counterexample(model: &Calls) -> (&'static str, usize) {
    (0..=STEP_COUNT_MAX)
        .find_map(|steps| {
            // The checker counts states, not steps, and stops short of the depth that it is given.
            let checker = model.clone().checker().target_max_depth(steps + 2);
            let checker = checker.finish_when(HasDiscoveries::AnyFailures).threads(1).spawn_bfs().join();
            let broken = checker.discoveries().into_keys().min();
            broken.map(|promise| (promise, steps))
        })
        .expect("the mutant gets away")
}

const STEP_COUNT_MAX: usize = 24;
