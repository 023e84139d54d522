//! What may happen next: the model as the checker sees it.

use alloc::collections::{BTreeMap, BTreeSet};

use stateright::{Model, Property};

use crate::properties;
use crate::rules::{LEASE, Mutant, Rules};
use crate::state::{
    Client, Datagram, Faults, History, Intent, Link, Octets, Phase, Seq, Server, SessionId, Slot, State,
};

/// The rules, how far to look, and which states have to be seen on the way.
#[derive(Clone, Debug)]
pub struct Calls {
    pub rules: Rules,
    pub call_count: usize,
    pub faults: Faults,
    pub reached: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    SayHello,
    OpenSession { first: Option<Intent> },
    StartCall(Intent),
    GiveUpWaiting(Intent),
    Resolve(Intent),
    Retire(Intent),
    ChangeAddress,
    RestartClient,

    Deliver(Datagram),
    Tick,

    BeginHandler(SessionId, Seq),
    FinishHandler(SessionId, Seq),
    Record(SessionId, Seq),
    Refuse(SessionId, Seq),
    Evict(SessionId, Seq),
    ForgetSession(SessionId),
    RestartServer,
}

impl Model for Calls {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            client: Client {
                hello_count: 0,
                hello: None,
                ticket: None,
                session: None,
                calls: vec![Phase::Idle; self.call_count],
            },
            server: Server {
                incarnation: 0,
                ticket_count: 0,
                tickets_spent: BTreeSet::new(),
                sessions: BTreeMap::new(),
            },
            network: BTreeSet::new(),
            history: History {
                executions: vec![0; self.call_count],
                told: vec![BTreeSet::new(); self.call_count],
                broken: BTreeSet::new(),
            },
            faults: self.faults,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.client_actions(&state.client, actions);
        self.server_actions(&state.server, actions);
        actions.extend(state.network.iter().copied().map(Action::Deliver));
        fault_actions(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let rules = &self.rules;
        let mut state = last.clone();
        match action {
            Action::SayHello => state.say_hello(),
            Action::OpenSession { first } => state.open_session(first),
            Action::StartCall(intent) => state.start_call(rules, intent),
            Action::GiveUpWaiting(intent) => state.give_up_waiting(rules, intent),
            Action::Resolve(intent) => state.resolve(intent),
            Action::Retire(intent) => state.retire(intent),
            Action::ChangeAddress => {
                state.faults.address_changes -= 1;
                state.change_address();
            }
            Action::RestartClient => {
                state.faults.client_restarts -= 1;
                state.restart_client(rules);
            }
            Action::Deliver(Datagram::Hello(nonce)) => state.server_gets_hello(nonce),
            Action::Deliver(Datagram::Ticket(nonce, ticket)) => state.client_gets_ticket(rules, nonce, ticket),
            Action::Deliver(Datagram::ToServer(conversation, ask)) => state.server_gets_ask(rules, conversation, ask),
            Action::Deliver(Datagram::ToClient(conversation, answer)) => {
                state.client_gets_answer(rules, conversation, answer);
            }
            Action::Tick => {
                state.faults.ticks -= 1;
                state.tick();
            }
            Action::BeginHandler(id, seq) => state.begin_handler(rules, id, seq),
            Action::FinishHandler(id, seq) => state.finish_handler(rules, id, seq),
            Action::Record(id, seq) => state.record(id, seq),
            Action::Refuse(id, seq) => state.refuse(rules, id, seq),
            Action::Evict(id, seq) => state.evict(id, seq),
            Action::ForgetSession(id) => state.forget_session(id),
            Action::RestartServer => {
                state.faults.server_restarts -= 1;
                state.restart_server(rules);
            }
        }
        // A step that changes nothing is none: most datagrams that come again.
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::kept().into_iter().chain(properties::reached(&self.reached)).collect()
    }
}

impl Calls {
    fn client_actions(&self, client: &Client, actions: &mut Vec<Action>) {
        // Intents are alike, so trying them in one order tries them all.
        let next = client.calls.iter().position(|phase| *phase == Phase::Idle);
        if client.ticket.is_some() {
            actions.push(Action::OpenSession { first: None });
            actions.extend(next.map(|intent| Action::OpenSession { first: Some(intent) }));
        } else if client.hello.is_none() && client.needs_session() && next.is_some() {
            actions.push(Action::SayHello);
        }
        if client.can_call(&self.rules) {
            actions.extend(next.map(Action::StartCall));
        }
        let live = client.session.as_ref().is_some_and(|attachment| attachment.link == Link::Live);
        for (intent, phase) in client.calls.iter().enumerate() {
            match phase {
                Phase::Open { .. } => actions.push(Action::GiveUpWaiting(intent)),
                Phase::Unknown { .. } if live => actions.extend([Action::Resolve(intent), Action::Retire(intent)]),
                Phase::Definite { .. } if live => actions.push(Action::Retire(intent)),
                Phase::Idle | Phase::Unknown { .. } | Phase::Definite { .. } | Phase::Closed => {}
            }
        }
    }

    fn server_actions(&self, server: &Server, actions: &mut Vec<Action>) {
        for (&id, session) in &server.sessions {
            for (slot, seq) in session.slots.iter().zip(0..) {
                match slot {
                    Slot::Queued(_) => actions.extend([Action::BeginHandler(id, seq), Action::Refuse(id, seq)]),
                    Slot::Running(_) => actions.push(Action::FinishHandler(id, seq)),
                    Slot::Unrecorded(_) => actions.push(Action::Record(id, seq)),
                    Slot::Done(_, Octets::Kept) if self.rules.breaks(Mutant::RecordEvicted) => {
                        actions.push(Action::Evict(id, seq));
                    }
                    Slot::Empty | Slot::Done(..) | Slot::Tombstone => {}
                }
            }
            if session.lease_left == 0 {
                actions.push(Action::ForgetSession(id));
            }
        }
    }
}

fn fault_actions(state: &State, actions: &mut Vec<Action>) {
    let live = state.client.session.as_ref().is_some_and(|attachment| attachment.link == Link::Live);
    let Faults { server_restarts, client_restarts, address_changes, ticks, tickets: _ } = state.faults;
    let faults = [
        (server_restarts > 0, Action::RestartServer),
        (client_restarts > 0, Action::RestartClient),
        (address_changes > 0 && live, Action::ChangeAddress),
        (ticks > 0, Action::Tick),
    ];
    actions.extend(faults.into_iter().filter_map(|(may_happen, action)| may_happen.then_some(action)));
}

impl State {
    /// Lets time pass on both sides. Clocks that run apart are what the client's shorter share is for (S31).
    fn tick(&mut self) {
        let grow = |age: &mut u8| *age = (*age + 1).min(LEASE);
        if let Some(attachment) = &mut self.client.session {
            attachment.trust_left = attachment.trust_left.saturating_sub(1);
            grow(&mut attachment.age);
        }
        for phase in &mut self.client.calls {
            if let Phase::Open { age, .. } | Phase::Unknown { age, .. } = phase {
                grow(age);
            }
        }
        for session in self.server.sessions.values_mut() {
            session.lease_left = session.lease_left.saturating_sub(1);
        }
    }
}
