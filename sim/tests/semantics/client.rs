//! What the client does: at the application's wish, when a datagram comes, and when it restarts.

use core::mem;

use crate::rules::{EXCEPTION_COUNT_MAX, LEASE, Level, Mutant, Rules, TRUST};
use crate::state::{
    Answer, Ask, Attachment, Client, Conversation, Datagram, Incarnation, Intent, Link, Nonce, Outcome, Phase, Request,
    Seq, SeqSet, SessionId, State, Watermark,
};

/// The application's wishes.
impl State {
    /// Asks for a ticket, leaving behind a session that can no longer be relied on (S32).
    pub fn say_hello(&mut self) {
        self.client.leave_session();
        let nonce = self.client.hello_count;
        self.client.hello_count += 1;
        self.client.hello = Some(nonce);
        self.network.insert(Datagram::Hello(nonce));
    }

    /// Spends the ticket, with the first call in the same datagram if there is one (S7).
    pub fn open_session(&mut self, first: Option<Intent>) {
        let session = self.client.ticket.take().expect("an open needs a ticket");
        let conversation = Conversation { incarnation: session.issued_by, session, number: 0 };
        self.client.session =
            Some(Attachment { conversation, link: Link::Opening, next_seq: 0, age: 0, trust_left: 0 });
        let first = first.map(|intent| self.client.number(intent));
        self.client_sends(Ask::Open { first });
    }

    pub fn start_call(&mut self, rules: &Rules, intent: Intent) {
        let mut request = self.client.number(intent);
        if rules.breaks(Mutant::CallAheadOfWatermark) {
            request.retired = Watermark::default();
        }
        self.client_sends(Ask::Call(request));
    }

    /// The deadline passes, or the application cancels and does not wait for the answer (S26).
    pub fn give_up_waiting(&mut self, rules: &Rules, intent: Intent) {
        let Phase::Open { seq, age } = self.client.calls[intent] else { panic!("only an open call has a deadline") };
        self.client.calls[intent] = Phase::Unknown { seq, age };
        let outcome =
            if rules.breaks(Mutant::DeadlineMeansNotExecuted) { Outcome::NotExecuted } else { Outcome::Unknown };
        self.history.told[intent].insert(outcome);
    }

    pub fn resolve(&mut self, intent: Intent) {
        let seq = self.client.calls[intent].seq().expect("only a numbered call is resolved");
        self.client_sends(Ask::Resolve { seq });
    }

    /// The application took the outcome, or gave the call up (S29).
    pub fn retire(&mut self, intent: Intent) {
        self.client.calls[intent] = Phase::Closed;
        self.client_sends(Ask::Retire(self.client.watermark()));
    }
}

/// What happens to the client.
impl State {
    pub fn change_address(&mut self) {
        let attachment = self.client.session.as_ref().expect("only an attached client resumes");
        self.resume(attachment.conversation.incarnation);
    }

    pub fn restart_client(&mut self, rules: &Rules) {
        self.client.hello = None;
        self.client.ticket = None;
        match rules.level {
            Level::AtMostOnce if rules.breaks(Mutant::RestartedClientReusesSession) => {
                self.client.close_calls();
                if let Some(attachment) = &mut self.client.session {
                    attachment.next_seq = 0;
                }
            }
            // S10: nothing was stored, so the session is left to its lease.
            Level::AtMostOnce => self.client.leave_session(),
            // S10: session, numbers and arguments were stored before they were sent. What was not retired is asked again.
            Level::ExactlyOnce => {
                for phase in &mut self.client.calls {
                    if let Some(seq) = phase.seq() {
                        // When it was sent is forgotten: its answer says nothing about the lease.
                        *phase = Phase::Open { seq, age: LEASE };
                    }
                }
                if let Some(attachment) = &mut self.client.session {
                    attachment.trust_left = 0;
                    let incarnation = attachment.conversation.incarnation;
                    self.resume(incarnation);
                }
            }
        }
    }

    pub fn client_gets_ticket(&mut self, rules: &Rules, nonce: Nonce, ticket: SessionId) {
        let expected = match self.client.hello {
            Some(_) if rules.breaks(Mutant::TicketOfFormerLife) => true,
            hello => hello == Some(nonce),
        };
        if !expected {
            return;
        }
        self.client.hello = None;
        self.client.ticket =
            Some(if rules.breaks(Mutant::SessionChosenByClient) { SessionId { index: 0, ..ticket } } else { ticket });
    }

    /// Only what belongs to the client's conversation of the moment counts (S24).
    pub fn client_gets_answer(&mut self, rules: &Rules, conversation: Conversation, answer: Answer) {
        let Some(attachment) = &mut self.client.session else { return };
        if attachment.conversation != conversation {
            return;
        }
        if attachment.link == Link::Opening && !matches!(answer, Answer::Stale { .. }) {
            attachment.link = Link::Live;
        }
        match answer {
            Answer::Opened => attachment.trust(rules, attachment.age),
            Answer::Resumed => {
                attachment.trust(rules, attachment.age);
                if mem::replace(&mut attachment.link, Link::Live) == Link::Resuming {
                    self.send_open_calls_again(rules);
                }
            }
            Answer::Reply { seq, of } => {
                self.client_learns(rules, seq, Outcome::Ok(of));
                self.client_sends(Ask::Received { seq });
            }
            Answer::ReplyLost { seq } => self.client_learns(rules, seq, Outcome::ReplyLost),
            Answer::Refused { seq } => self.client_learns(rules, seq, Outcome::NotExecuted),
            Answer::Stale { now } => self.client_hears_stale(rules, conversation.incarnation, now),
        }
    }

    /// A definite answer counts even when the application was told *unknown* before (S28).
    fn client_learns(&mut self, rules: &Rules, answered: Seq, outcome: Outcome) {
        for (intent, phase) in self.client.calls.iter_mut().enumerate() {
            let (Phase::Open { seq, age } | Phase::Unknown { seq, age }) = *phase else { continue };
            if seq == answered {
                *phase = Phase::Definite { seq };
                self.history.told[intent].insert(outcome);
                self.client.session.as_mut().expect("answers come in a conversation").trust(rules, age);
            }
        }
    }

    /// The session may live on in a store that a later life of the server has opened; otherwise it is gone (S25).
    fn client_hears_stale(&mut self, rules: &Rules, asked: Incarnation, now: Incarnation) {
        if rules.level == Level::ExactlyOnce && now != asked {
            self.resume(now);
            return;
        }
        if rules.breaks(Mutant::RefusedOpenRepeated) && self.client.is_opening() {
            self.client.forget_open_calls();
        }
        let outcome = if rules.breaks(Mutant::StaleMeansNotExecuted) { Outcome::NotExecuted } else { Outcome::Unknown };
        for (phase, told) in self.client.calls.iter().zip(&mut self.history.told) {
            if matches!(phase, Phase::Open { .. }) {
                told.insert(outcome);
            }
        }
        self.client.leave_session();
    }

    /// Asks for the session on a conversation of its own, which replaces the one before (S9).
    fn resume(&mut self, incarnation: Incarnation) {
        let attachment = self.client.session.as_mut().expect("only an attached client resumes");
        attachment.conversation.incarnation = incarnation;
        attachment.conversation.number += 1;
        attachment.link = Link::Resuming;
        attachment.age = 0;
        self.client_sends(Ask::Resume);
    }

    fn send_open_calls_again(&mut self, rules: &Rules) {
        for intent in 0..self.client.calls.len() {
            if let Phase::Open { seq, age } = &mut self.client.calls[intent] {
                if rules.breaks(Mutant::LeaseCountedFromLatestCopy) {
                    *age = 0;
                }
                let seq = *seq;
                let retired = self.client.watermark();
                self.client_sends(Ask::Call(Request { seq, intent, retired }));
            }
        }
    }

    fn client_sends(&mut self, ask: Ask) {
        let attachment = self.client.session.as_ref().expect("a client asks within a session");
        self.network.insert(Datagram::ToServer(attachment.conversation, ask));
    }
}

impl Client {
    /// Whether the next call may use the session (S7, S19, S32).
    pub fn can_call(&self, rules: &Rules) -> bool {
        self.session.as_ref().is_some_and(|attachment| {
            attachment.link == Link::Live
                && attachment.trust_left > 0
                && attachment.next_seq < self.watermark().low + rules.window
        })
    }

    /// Whether another session has to come first (S32). Open calls still hold on to the one there is.
    pub fn needs_session(&self) -> bool {
        self.session.as_ref().is_none_or(|attachment| {
            attachment.link == Link::Live
                && attachment.trust_left == 0
                && !self.calls.iter().any(|phase| matches!(phase, Phase::Open { .. }))
        })
    }

    /// The highest watermark whose exceptions fit the frame (S16).
    pub fn watermark(&self) -> Watermark {
        let mut watermark = Watermark::default();
        let mut open = SeqSet::default();
        let next_seq = self.session.as_ref().map_or(0, |attachment| attachment.next_seq);
        for seq in 0..next_seq {
            if self.calls.iter().any(|phase| phase.seq() == Some(seq)) {
                open = open.with(seq);
            } else if open.count() <= EXCEPTION_COUNT_MAX {
                watermark = Watermark { low: seq + 1, open };
            }
        }
        watermark
    }

    fn number(&mut self, intent: Intent) -> Request {
        let retired = self.watermark();
        let attachment = self.session.as_mut().expect("a call is numbered by its session");
        let seq = attachment.next_seq;
        attachment.next_seq += 1;
        self.calls[intent] = Phase::Open { seq, age: 0 };
        Request { seq, intent, retired }
    }

    fn is_opening(&self) -> bool {
        self.session.as_ref().is_some_and(|attachment| attachment.link == Link::Opening)
    }

    /// Lets open calls begin anew, as if they had never been sent. No rule allows it.
    fn forget_open_calls(&mut self) {
        for phase in &mut self.calls {
            if matches!(phase, Phase::Open { .. }) {
                *phase = Phase::Idle;
            }
        }
    }

    fn leave_session(&mut self) {
        self.session = None;
        self.close_calls();
    }

    fn close_calls(&mut self) {
        for phase in &mut self.calls {
            if *phase != Phase::Idle {
                *phase = Phase::Closed;
            }
        }
    }
}

impl Attachment {
    /// Relies on the session a little longer, because the server answered what was sent `age` ticks ago (S31).
    fn trust(&mut self, rules: &Rules, age: u8) {
        let age = if rules.breaks(Mutant::LeaseCountedFromReceipt) { 0 } else { age };
        self.trust_left = self.trust_left.max(TRUST.saturating_sub(age));
    }
}
