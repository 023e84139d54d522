//! What always holds, and what has to be seen for that to mean something.

use alloc::collections::BTreeSet;

use stateright::Property;

use crate::actions::Calls;
use crate::state::{Answer, Ask, Datagram, Execution, Intent, Link, Outcome, State};

/// The promises, checked in every state that can be reached.
pub fn kept() -> Vec<Property<Calls>> {
    vec![
        always(EXECUTED_AT_MOST_ONCE, |_, state| state.history.executions.iter().all(|&count| count <= 1)),
        always(OK_IS_THE_REPLY_OF_THE_ONLY_EXECUTION, |_, state| {
            every_outcome(state, |intent, outcome| match *outcome {
                Outcome::Ok(of) => of == Execution { intent, nth: 1 } && state.history.executions[intent] == 1,
                Outcome::NotExecuted | Outcome::ReplyLost | Outcome::Unknown => true,
            })
        }),
        always(NOT_EXECUTED_HOLDS_FOR_EVER, |_, state| {
            every_outcome(state, |intent, outcome| {
                *outcome != Outcome::NotExecuted || state.history.executions[intent] == 0
            })
        }),
        always(REPLY_LOST_MEANS_EXECUTED_ONCE, |_, state| {
            every_outcome(state, |intent, outcome| {
                *outcome != Outcome::ReplyLost || state.history.executions[intent] == 1
            })
        }),
        always(A_TRUSTED_SESSION_LIVES, |_, state| {
            state.client.session.as_ref().is_none_or(|attachment| {
                let Some(session) = state.server.sessions.get(&attachment.conversation.session) else {
                    return attachment.trust_left == 0
                        || attachment.conversation.incarnation != state.server.incarnation;
                };
                attachment.trust_left <= session.lease_left
            })
        }),
        always(AN_HONEST_CLIENT_BREAKS_NO_RULE, |_, state| state.history.broken.is_empty()),
    ]
}

/// The states of this list that have to be reached, so that no promise is kept for want of trying.
pub fn reached(names: &[&'static str]) -> Vec<Property<Calls>> {
    let all = interesting();
    names
        .iter()
        .map(|name| all.iter().find(|property| property.name == *name).expect("the state has a name").clone())
        .collect()
}

fn interesting() -> Vec<Property<Calls>> {
    vec![
        sometimes(OK, |_, state| some_call(state, |told, _| told.iter().any(is_ok))),
        sometimes(NOT_EXECUTED, |_, state| some_call(state, |told, _| told.contains(&Outcome::NotExecuted))),
        sometimes(REPLY_LOST, |_, state| some_call(state, |told, _| told.contains(&Outcome::ReplyLost))),
        sometimes(UNKNOWN_AND_EXECUTED, |_, state| {
            some_call(state, |told, executions| told.contains(&Outcome::Unknown) && executions == 1)
        }),
        sometimes(UNKNOWN_THEN_OK, |_, state| {
            some_call(state, |told, _| told.contains(&Outcome::Unknown) && told.iter().any(is_ok))
        }),
        sometimes(UNKNOWN_THEN_NOT_EXECUTED, |_, state| {
            some_call(state, |told, _| told.contains(&Outcome::Unknown) && told.contains(&Outcome::NotExecuted))
                && state.network.iter().any(|datagram| matches!(datagram, Datagram::ToServer(_, Ask::Resolve { .. })))
        }),
        sometimes(OK_OF_A_CALL_IN_THE_OPEN, |_, state| {
            state.network.iter().filter_map(intent_in_open).any(|intent| state.history.told[intent].iter().any(is_ok))
        }),
        sometimes(SECOND_SESSION, |_, state| {
            state.network.iter().any(|datagram| {
                matches!(datagram, Datagram::ToServer(conversation, Ask::Open { .. }) if conversation.session.index > 0)
            })
        }),
        sometimes(SESSION_FORGOTTEN, |_, state| {
            state.server.tickets_spent.iter().any(|id| !state.server.sessions.contains_key(id))
        }),
        sometimes(CALL_ANSWERED_AFTER_RESUME, |_, state| {
            state.client.session.as_ref().is_some_and(|attachment| {
                attachment.link == Link::Live
                    && attachment.conversation.number > 0
                    && some_call(state, |told, _| told.iter().any(is_ok))
            })
        }),
        sometimes(RECORDED_REPLY_AFTER_SERVER_RESTART, |_, state| {
            state.network.iter().any(|datagram| match datagram {
                Datagram::ToClient(conversation, Answer::Reply { of, .. }) => {
                    conversation.incarnation > conversation.session.issued_by && told_before(state, *of)
                }
                Datagram::Hello(_) | Datagram::Ticket(..) | Datagram::ToServer(..) | Datagram::ToClient(..) => false,
            })
        }),
        sometimes(EXCEPTION_USED, |_, state| {
            state.server.sessions.values().any(|session| session.retired.open.count() > 0)
        }),
        sometimes(ALL_RETIRED, |model, state| {
            let count = model.call_count;
            state
                .server
                .sessions
                .values()
                .any(|session| usize::from(session.retired.low) == count && session.retired.open.count() == 0)
        }),
    ]
}

fn every_outcome(state: &State, holds: impl Fn(Intent, &Outcome) -> bool) -> bool {
    state.history.told.iter().enumerate().all(|(intent, told)| told.iter().all(|outcome| holds(intent, outcome)))
}

fn some_call(state: &State, holds: impl Fn(&BTreeSet<Outcome>, u8) -> bool) -> bool {
    state.history.told.iter().zip(&state.history.executions).any(|(told, &executions)| holds(told, executions))
}

/// The call that opened its session along the way.
const fn intent_in_open(datagram: &Datagram) -> Option<Intent> {
    if let Datagram::ToServer(_, Ask::Open { first: Some(request) }) = datagram { Some(request.intent) } else { None }
}

/// Whether an earlier life of the server has sent the same reply.
fn told_before(state: &State, reply: Execution) -> bool {
    state.network.iter().any(|datagram| match datagram {
        Datagram::ToClient(conversation, Answer::Reply { of, .. }) => {
            conversation.incarnation == conversation.session.issued_by && *of == reply
        }
        Datagram::Hello(_) | Datagram::Ticket(..) | Datagram::ToServer(..) | Datagram::ToClient(..) => false,
    })
}

const fn is_ok(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Ok(_))
}

pub const EXECUTED_AT_MOST_ONCE: &str = "a call is executed at most once";
pub const OK_IS_THE_REPLY_OF_THE_ONLY_EXECUTION: &str = "ok brings the reply of the only execution of this call";
pub const NOT_EXECUTED_HOLDS_FOR_EVER: &str = "what was told as not executed never is";
pub const REPLY_LOST_MEANS_EXECUTED_ONCE: &str = "reply lost means executed once";
pub const A_TRUSTED_SESSION_LIVES: &str = "a session that the client relies on lives at the server";
pub const AN_HONEST_CLIENT_BREAKS_NO_RULE: &str = "an honest client is never found to break a rule";

pub const OK: &str = "ok";
pub const NOT_EXECUTED: &str = "not executed";
pub const REPLY_LOST: &str = "reply lost";
pub const UNKNOWN_AND_EXECUTED: &str = "unknown, and executed";
pub const UNKNOWN_THEN_OK: &str = "unknown, then ok";
pub const UNKNOWN_THEN_NOT_EXECUTED: &str = "unknown, then resolved as not executed";
pub const OK_OF_A_CALL_IN_THE_OPEN: &str = "ok of a call that opened its session";
pub const SECOND_SESSION: &str = "second session in one life of the server";
pub const SESSION_FORGOTTEN: &str = "session forgotten at the end of its lease";
pub const CALL_ANSWERED_AFTER_RESUME: &str = "answered call, resumed session";
pub const RECORDED_REPLY_AFTER_SERVER_RESTART: &str = "reply of one life of the server told again by the next";
pub const EXCEPTION_USED: &str = "an open call below the low watermark";
pub const ALL_RETIRED: &str = "every call retired";

fn always(name: &'static str, condition: fn(&Calls, &State) -> bool) -> Property<Calls> {
    Property::always(name, condition)
}

fn sometimes(name: &'static str, condition: fn(&Calls, &State) -> bool) -> Property<Calls> {
    Property::sometimes(name, condition)
}
