//! What really happened, seen from outside: the judge of all promises (semantics).

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use core::cell::RefCell;

use posthaste_core::Instant;
use posthaste_core::wire::Semantics;
use posthaste_sim::{Rng, sometimes};

/// The book that all applications of a run write into.
pub(crate) type Book = Rc<RefCell<Ledger>>;

/// Every call and message of a run, by the number that it carries in its octets.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    calls: BTreeMap<u64, CallRecord>,
    messages: BTreeMap<u64, MessageRecord>,
    /// The last position delivered on each channel of each sender's session.
    channels: BTreeMap<(u64, u64), u64>,
    pub(crate) server_crash_count: u64,
    /// How many sessions were lost or closed without anybody having asked for it.
    pub(crate) lost_session_count: u64,
}

#[derive(Debug)]
struct CallRecord {
    semantics: Semantics,
    is_one_way: bool,
    executed_count: u32,
    outcomes: Vec<Verdict>,
    fate: Fate,
}

#[derive(Debug)]
struct MessageRecord {
    /// The sender's session, the channel, and the position on it.
    ordered: Option<(u64, u64, u64)>,
    is_reliable: bool,
    len: usize,
    delivered_count: u32,
    outcome: Option<Verdict>,
    is_cancelled: bool,
    server_crash_count: u64,
    fate: Fate,
}

/// Whether whoever began something still waits for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Awaited,
    /// Its beginner crashed.
    Forgotten,
}

/// What the beginner of something was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ok,
    Error,
    Delivered,
    NotExecuted,
    ReplyLost,
    Unknown,
    Acknowledged,
    Failed,
}

impl Ledger {
    /// Enters a call that was accepted; returns its number.
    pub(crate) fn on_call(&mut self, id: u64, semantics: Semantics, is_one_way: bool) {
        let outcomes = Vec::new();
        self.calls.insert(id, CallRecord { semantics, is_one_way, executed_count: 0, outcomes, fate: Fate::Awaited });
    }

    /// Enters a message that was accepted.
    pub(crate) fn on_message(&mut self, id: u64, len: usize, is_reliable: bool, ordered: Option<(u64, u64, u64)>) {
        let server_crash_count = self.server_crash_count;
        let record = MessageRecord {
            ordered,
            is_reliable,
            len,
            delivered_count: 0,
            outcome: None,
            is_cancelled: false,
            server_crash_count,
            fate: Fate::Awaited,
        };
        self.messages.insert(id, record);
    }

    /// Notes that a message which was not sent yet goes on in another session of its sender.
    pub(crate) fn on_moved(&mut self, id: u64, sender: u64) {
        let message = self.messages.get_mut(&id).expect("the message was entered");
        if let Some(ordered) = &mut message.ordered {
            ordered.0 = sender;
        }
    }

    /// Notes that the sender gave a message up.
    pub(crate) fn on_message_cancelled(&mut self, id: u64) {
        self.messages.get_mut(&id).expect("the message was entered").is_cancelled = true;
    }

    /// Notes that a handler began.
    pub(crate) fn on_executed(&mut self, id: u64) {
        let call = self.calls.get_mut(&id).expect("only what was called is executed");
        call.executed_count += 1;
        if call.semantics != Semantics::AtLeastOnce {
            assert_eq!(call.executed_count, 1, "call {id} was executed again");
        }
        let is_denied = call.outcomes.contains(&Verdict::NotExecuted) && call.semantics != Semantics::AtLeastOnce;
        assert!(!is_denied, "call {id} is executed after it was called not executed");
    }

    /// Notes that a call ended.
    pub(crate) fn on_outcome(&mut self, id: u64, verdict: Verdict) {
        let call = self.calls.get_mut(&id).expect("only what was called ends");
        let is_open = call.outcomes.iter().all(|earlier| *earlier == Verdict::Unknown);
        assert!(is_open, "call {id} ended {:?} and then {verdict:?}", call.outcomes);
        sometimes!(
            call.outcomes.contains(&Verdict::Unknown) && verdict != Verdict::Unknown,
            "an unknown call was resolved"
        );
        call.outcomes.push(verdict);
        let (is_once, count) = (call.semantics != Semantics::AtLeastOnce, call.executed_count);
        match verdict {
            Verdict::Ok | Verdict::Error => {
                assert!(count == 1 || (count > 1 && !is_once), "call {id} is {verdict:?} and ran {count} times");
            }
            Verdict::ReplyLost => assert_eq!(count, 1, "the reply of call {id} is lost"),
            Verdict::NotExecuted => assert!(count == 0 || !is_once, "call {id} is not executed, and ran {count} times"),
            Verdict::Delivered => assert!(call.is_one_way, "call {id} has a reply"),
            Verdict::Unknown => {}
            Verdict::Acknowledged | Verdict::Failed => panic!("call {id} is no message"),
        }
    }

    /// Notes that a message was taken whole, and compares it.
    pub(crate) fn on_delivered(&mut self, id: u64, octets: &[u8]) {
        let message = self.messages.get_mut(&id).unwrap_or_else(|| panic!("nobody sent message {id}"));
        assert!(octets == content(id, message.len), "message {id} of {} octets arrived changed", message.len);
        message.delivered_count += 1;
        if message.is_reliable {
            assert_eq!(message.delivered_count, 1, "message {id} was delivered again");
        }
        if let Some((sender, channel, position)) = message.ordered {
            let last = self.channels.insert((sender, channel), position);
            assert!(last.is_none_or(|last| last < position), "message {id} came after {last:?} on {channel}");
        }
    }

    /// Notes what the sender of a message was told.
    pub(crate) fn on_message_outcome(&mut self, id: u64, verdict: Verdict) {
        let message = self.messages.get_mut(&id).expect("only what was sent ends");
        assert_eq!(message.outcome, None, "message {id} ended before, and then {verdict:?}");
        message.outcome = Some(verdict);
    }

    /// Notes that whoever began these numbers crashed, and waits for nothing any more.
    pub(crate) fn on_client_crash(&mut self, ids: impl Fn(u64) -> bool) {
        for (_, call) in self.calls.iter_mut().filter(|(id, _)| ids(**id)) {
            call.fate = Fate::Forgotten;
        }
        for (_, message) in self.messages.iter_mut().filter(|(id, _)| ids(**id)) {
            message.fate = Fate::Forgotten;
        }
    }

    /// Asserts what must hold when everything is over.
    ///
    /// `may_lose` says whether what goes along with a hello may be lost with its ticket (semantics S8).
    pub(crate) fn check(&self, may_lose: bool) {
        for (id, call) in &self.calls {
            let is_ended = call.fate == Fate::Forgotten || !call.outcomes.is_empty();
            assert!(is_ended, "call {id} ({:?}) never ended; it ran {} times", call.semantics, call.executed_count);
            if call.outcomes.contains(&Verdict::NotExecuted) && call.semantics != Semantics::AtLeastOnce {
                assert_eq!(call.executed_count, 0, "call {id} was called not executed");
            }
        }
        for (id, message) in &self.messages {
            let is_ended = message.fate == Fate::Forgotten || message.outcome.is_some();
            assert!(is_ended || !message.is_reliable, "message {id} never ended");
            let is_due = message.outcome == Some(Verdict::Acknowledged)
                && message.is_reliable
                && !message.is_cancelled
                && message.fate == Fate::Awaited
                && message.server_crash_count == self.server_crash_count;
            assert!(!is_due || message.delivered_count == 1, "message {id} is acknowledged and was not delivered");
            let is_lost = message.outcome == Some(Verdict::Failed) && message.is_reliable && !message.is_cancelled;
            assert!(
                !is_lost || self.lost_session_count > 0 || may_lose,
                "message {id} failed in a session that lives: {message:?}"
            );
        }
    }

    /// Describes a message that something is wrong with.
    pub(crate) fn describe(&self, id: u64) -> String {
        format!("{:?}", self.messages.get(&id))
    }

    /// Returns how many calls and messages there were.
    pub(crate) fn count(&self) -> usize {
        self.calls.len() + self.messages.len()
    }
}

/// Returns the octets of a message or request: its number, and what follows from it.
pub(crate) fn content(id: u64, len: usize) -> Vec<u8> {
    let mut dice = Rng::at(id, CONTENT, 0);
    let mut octets = id.to_be_bytes().to_vec();
    while octets.len() < len {
        octets.extend_from_slice(&dice.next_u64().to_le_bytes());
    }
    octets.truncate(len.max(8));
    octets
}

/// Returns the number that octets carry.
pub(crate) fn id_of(octets: &[u8]) -> u64 {
    let head = octets.get(..8).expect("whatever is sent carries its number");
    u64::from_be_bytes(head.try_into().expect("eight octets"))
}

/// Returns the only right reply to a request.
pub(crate) fn reply_to(procedure: u32, request: &[u8]) -> Vec<u8> {
    let id = id_of(request);
    let sum = request.iter().fold(id, |sum, octet| sum.rotate_left(5) ^ u64::from(*octet));
    let len = match procedure % 4 {
        0 => 0,
        1 => request.len(),
        2 => 40,
        _ => Rng::at(id, REPLY, 0).below(20_000) as usize,
    };
    if len == 0 { Vec::new() } else { content(sum, len) }
}

/// Says when a time is that lies `nanos` after `now`.
pub(crate) fn after(now: Instant, nanos: u64) -> Instant {
    Instant::from_nanos(now.as_nanos().saturating_add(nanos))
}

const CONTENT: u64 = 1;
const REPLY: u64 = 2;
