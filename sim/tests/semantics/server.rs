//! What the server does: when a datagram comes, when a handler runs, when a lease ends, and when it restarts.

use crate::rules::{LEASE, Level, Mutant, ReplySize, Rules};
use crate::state::{
    Answer, Ask, Breach, Conversation, Datagram, Execution, Nonce, Octets, Request, Seq, Server, Session, SessionId,
    Slot, State, Watermark,
};

/// Datagrams.
impl State {
    /// Answers a hello with a ticket and remembers nothing of it but that its number is drawn (S4).
    pub fn server_gets_hello(&mut self, nonce: Nonce) {
        if self.faults.tickets == 0 {
            return;
        }
        self.faults.tickets -= 1;
        let ticket = SessionId { issued_by: self.server.incarnation, index: self.server.ticket_count };
        self.server.ticket_count += 1;
        self.network.insert(Datagram::Ticket(nonce, ticket));
    }

    pub fn server_gets_ask(&mut self, rules: &Rules, conversation: Conversation, ask: Ask) {
        let Some(id) = self.server_finds(rules, conversation, ask) else {
            let stale = Answer::Stale { now: self.server.incarnation };
            self.network.insert(Datagram::ToClient(conversation, stale));
            return;
        };
        let session = self.server.sessions.get_mut(&id).expect("a session that was found is there");
        if matches!(ask, Ask::Resume) && conversation.number > session.number {
            session.move_to(rules, conversation.number);
        }
        if conversation.number != session.number {
            // S9: the session has left this conversation, and the client listens to it no longer.
            return;
        }
        session.lease_left = LEASE;
        match ask {
            Ask::Open { first } => {
                self.server_sends(id, Answer::Opened);
                if let Some(request) = first {
                    self.server_takes_call(rules, id, request);
                }
            }
            Ask::Resume => self.server_sends(id, Answer::Resumed),
            Ask::Call(request) => self.server_takes_call(rules, id, request),
            Ask::Resolve { seq } => self.server_resolves(rules, id, seq),
            Ask::Retire(watermark) => session.hear(rules, watermark),
            Ask::Received { seq } => session.slots[usize::from(seq)].free_octets(),
        }
    }

    /// The session that a datagram belongs to; nothing but a fresh ticket ever makes one (S2, S5, S8).
    fn server_finds(&mut self, rules: &Rules, conversation: Conversation, ask: Ask) -> Option<SessionId> {
        let mut id = conversation.session;
        if rules.breaks(Mutant::CallWithoutIncarnation) {
            id.issued_by = self.server.incarnation;
        } else if conversation.incarnation != self.server.incarnation {
            return None;
        }
        let known = self.server.sessions.contains_key(&id);
        let ticket_shown = matches!(ask, Ask::Open { .. });
        let may_create = match rules.mutant {
            Some(Mutant::SessionCreatedOnTheFly) => !known,
            Some(Mutant::SessionChosenByClient) => !known && ticket_shown,
            Some(Mutant::TicketAcceptedTwice) => ticket_shown,
            Some(Mutant::ResumedIntoEmptySession) if ask == Ask::Resume => !known,
            _ => ticket_shown && !self.server.tickets_spent.contains(&id),
        };
        if may_create {
            self.server.tickets_spent.insert(id);
            let session = Session::attached_to(conversation.number, self.history.executions.len());
            self.server.sessions.insert(id, session);
        }
        (known || may_create).then_some(id)
    }

    fn server_takes_call(&mut self, rules: &Rules, id: SessionId, request: Request) {
        let session = self.server.session_mut(id);
        session.hear(rules, request.retired);
        if request.seq >= session.retired.low + rules.window {
            self.history.broken.insert(Breach::WindowExceeded);
            return;
        }
        if session.retired.retires(request.seq) {
            return;
        }
        let slot = session.slot_mut(request.seq);
        if *slot == Slot::Empty {
            *slot = Slot::Queued(request.intent);
        }
        self.server_tells(id, request.seq);
    }

    /// Makes sure that a call which has not begun never will, and says what became of it (S27).
    fn server_resolves(&mut self, rules: &Rules, id: SessionId, seq: Seq) {
        let session = self.server.session_mut(id);
        if session.retired.retires(seq) {
            return;
        }
        let slot = session.slot_mut(seq);
        if matches!(slot, Slot::Empty | Slot::Queued(_)) {
            if rules.breaks(Mutant::ResolveWithoutTombstone) {
                *slot = Slot::Empty;
                self.server_sends(id, Answer::Refused { seq });
                return;
            }
            *slot = Slot::Tombstone;
        }
        self.server_tells(id, seq);
    }

    /// Answers from the record, if there is one (S11).
    fn server_tells(&mut self, id: SessionId, seq: Seq) {
        match *self.server.session_mut(id).slot_mut(seq) {
            Slot::Empty | Slot::Queued(_) | Slot::Running(_) | Slot::Unrecorded(_) => {}
            Slot::Done(of, Octets::Kept) => self.server_sends(id, Answer::Reply { seq, of }),
            Slot::Done(_, Octets::Freed) => self.server_sends(id, Answer::ReplyLost { seq }),
            Slot::Tombstone => self.server_sends(id, Answer::Refused { seq }),
        }
    }

    fn server_sends(&mut self, id: SessionId, answer: Answer) {
        let number = self.server.session_mut(id).number;
        let conversation = Conversation { incarnation: self.server.incarnation, session: id, number };
        self.network.insert(Datagram::ToClient(conversation, answer));
    }
}

/// Handlers.
impl State {
    pub fn begin_handler(&mut self, rules: &Rules, id: SessionId, seq: Seq) {
        let slot = self.server.session_mut(id).slot_mut(seq);
        let Slot::Queued(intent) = *slot else { panic!("only a queued call begins") };
        *slot = Slot::Running(intent);
        if rules.level == Level::AtMostOnce {
            self.history.executions[intent] += 1;
        }
    }

    /// Ends the handler. At exactly-once, this step is the commit of effect and record in one (S21).
    pub fn finish_handler(&mut self, rules: &Rules, id: SessionId, seq: Seq) {
        let Slot::Running(intent) = *self.server.session_mut(id).slot_mut(seq) else {
            panic!("only a running call finishes")
        };
        if rules.level == Level::ExactlyOnce {
            self.history.executions[intent] += 1;
        }
        let execution = Execution { intent, nth: self.history.executions[intent] };
        if rules.breaks(Mutant::EffectAndRecordApart) {
            *self.server.session_mut(id).slot_mut(seq) = Slot::Unrecorded(execution);
        } else {
            self.record_execution(id, seq, execution);
        }
    }

    /// Commits a record that its effect has run ahead of. No rule allows it.
    pub fn record(&mut self, id: SessionId, seq: Seq) {
        let Slot::Unrecorded(execution) = *self.server.session_mut(id).slot_mut(seq) else {
            panic!("only an effect without a record is recorded late")
        };
        self.record_execution(id, seq, execution);
    }

    /// Records an execution, then sends its reply.
    fn record_execution(&mut self, id: SessionId, seq: Seq, execution: Execution) {
        let session = self.server.session_mut(id);
        let retired = session.retired.retires(seq);
        // S18: nobody will ask for a retired call again.
        *session.slot_mut(seq) = if retired { Slot::Empty } else { Slot::Done(execution, Octets::Kept) };
        self.server_tells(id, seq);
    }

    /// Refuses a call that has not begun: overload, bad arguments, its deadline passed, cancelled (S13).
    pub fn refuse(&mut self, rules: &Rules, id: SessionId, seq: Seq) {
        let slot = self.server.session_mut(id).slot_mut(seq);
        *slot = if rules.breaks(Mutant::RefusalWithoutTombstone) { Slot::Empty } else { Slot::Tombstone };
        self.server_sends(id, Answer::Refused { seq });
    }

    /// Makes room at the cost of a record that is still wanted. No rule allows it.
    pub fn evict(&mut self, id: SessionId, seq: Seq) {
        *self.server.session_mut(id).slot_mut(seq) = Slot::Empty;
    }
}

/// Ends.
impl State {
    /// Drops a session whose lease is over; its number never comes back (S33).
    pub fn forget_session(&mut self, id: SessionId) {
        self.server.sessions.remove(&id);
    }

    /// Keeps what the level's store holds: nothing, or sessions with their watermarks and records (S22).
    pub fn restart_server(&mut self, rules: &Rules) {
        self.server.incarnation += 1;
        self.server.ticket_count = 0;
        self.server.tickets_spent.clear();
        match rules.level {
            Level::AtMostOnce => self.server.sessions.clear(),
            Level::ExactlyOnce => {
                for session in self.server.sessions.values_mut() {
                    session.lease_left = LEASE;
                    session.slots.iter_mut().for_each(|slot| slot.survive_crash(rules));
                }
            }
        }
    }
}

impl Server {
    fn session_mut(&mut self, id: SessionId) -> &mut Session {
        self.sessions.get_mut(&id).expect("the caller found the session")
    }
}

impl Session {
    fn slot_mut(&mut self, seq: Seq) -> &mut Slot {
        &mut self.slots[usize::from(seq)]
    }

    /// Takes the client's word for what it no longer wants. A watermark only ever retires (S16, S17).
    fn hear(&mut self, rules: &Rules, said: Watermark) {
        if said.low > self.retired.low || rules.breaks(Mutant::LateWatermarkObeyed) {
            self.retired = said;
        } else if said.low == self.retired.low {
            self.retired.open = self.retired.open.and(said.open);
        }
        for (slot, seq) in self.slots.iter_mut().zip(0..) {
            // S18: a handler that runs is not stopped, and keeps its slot until it returns.
            if self.retired.retires(seq) && !matches!(slot, Slot::Running(_)) {
                *slot = Slot::Empty;
            }
        }
    }

    /// Leaves its conversation for another. The records go along; a reply too large for its cache slot does not (S15).
    fn move_to(&mut self, rules: &Rules, number: u8) {
        self.number = number;
        if rules.reply_size == ReplySize::ExceedsCacheSlot {
            self.slots.iter_mut().for_each(Slot::free_octets);
        }
    }
}

impl Slot {
    fn free_octets(&mut self) {
        if let Self::Done(_, octets) = self {
            *octets = Octets::Freed;
        }
    }

    fn survive_crash(&mut self, rules: &Rules) {
        *self = match *self {
            Self::Empty | Self::Queued(_) | Self::Running(_) | Self::Unrecorded(_) => Self::Empty,
            Self::Tombstone if rules.breaks(Mutant::TombstoneOutsideStore) => Self::Empty,
            recorded @ (Self::Done(..) | Self::Tombstone) => recorded,
        }
    }
}
