//! Opening and resuming conversations, from both sides (protocol §4).

use core::time::Duration;

use super::runs::Run;
use super::scope::{Fault, Scope};
use super::transmit::{Added, new_record};
use crate::congestion::Algorithm;
use crate::conversation::Conversation;
use crate::crypto::seal_datagram;
use crate::exchange::{News, Party, Stage as ExchangeStage};
use crate::lane::Lane;
use crate::memory::{Broken, Purpose, Sound};
use crate::outcome::{NotExecuted, Outcome, Unknown};
use crate::outgoing::Kind;
use crate::peer::{self, Notices, Opening, Resume, Stage, Ticket};
use crate::sent::Content;
use crate::session::Session;
use crate::storage::Key;
use crate::time::Instant;
use crate::token::resume_proof;
use crate::wire::{
    CHECKSUM_LEN, ConversationId, Epoch, Frame, HELLO_LEN_MIN, LongHeader, NoRoom, Parameters, ResetReason, ResetToken,
    Role, Semantics, SessionOutcome, SessionSecret, Side, TruncatedNumber, Writer, frame,
};

impl Scope<'_, '_> {
    /// Starts an opening, with an id of its own for the conversation to come.
    pub(super) fn open(&mut self, local: ConversationId, resume: Resume) -> Result<(), Broken> {
        let now = self.now;
        let mut resume = resume;
        if resume == Resume::Yes && self.peer.session.incarnation == 0 {
            // A protected conversation that ends before the server has said how its session is called.
            self.end_session(Unknown::SessionLost)?;
            resume = Resume::No;
        }
        self.lose_all()?;
        self.peer.conversation = self.new_conversation(local, ConversationId::UNKNOWN);
        self.peer.side = Side::Client;
        self.peer.is_undecided = false;
        self.peer.outcome = SessionOutcome::Opened;
        self.peer.stage = Stage::Opening(Opening {
            hello_count: 0,
            hello_first: 0,
            sent_at: [now; 4],
            next_at: now,
            since: now,
            retry_count: 0,
            carried: None,
            resume,
        });
        if self.keyring.is_protected() && self.start_handshake().is_err() {
            return Err(Broken);
        }
        if resume == Resume::No {
            self.peer.parameters = Parameters { exchange_window: HELLO_EXCHANGE_COUNT_MAX, ..Parameters::default() };
            self.peer.session.granted_to_us = HELLO_CREDIT;
        }
        Ok(())
    }

    pub(super) fn new_conversation(&mut self, local: ConversationId, remote: ConversationId) -> Conversation {
        Conversation::new(local, remote, self.config.ack_delay_max, self.random)
    }

    /// Keeps a token in place of the one before. Without room for it there is none, and the next opening takes a round trip more.
    pub(super) fn keep_ticket(&mut self, token: &[u8], purpose: Purpose) {
        if let Some(block) = self.peer.ticket.take() {
            self.memory.arena.free(block);
        }
        if token.len() <= Ticket::LEN_MAX {
            self.peer.ticket = self.memory.keep(token, purpose).flatten();
        }
    }

    /// Returns the token that the peer gave, or that it was given; empty if there is none.
    pub(super) fn ticket(&self) -> &[u8] {
        self.peer.ticket.map_or(&[], |block| self.memory.arena.bytes(block))
    }

    /// Returns what a hello brings as its token: the one that the server gave, be it void; else, in order to resume, the octet that
    /// leads to the socket which has the session (protocol §4.19).
    pub(super) fn hello_token(&self) -> Ticket {
        match (self.ticket(), self.peer.stage) {
            ([], Stage::Opening(Opening { resume: Resume::Yes, .. })) => Ticket::new(&[self.peer.socket]),
            (ticket, _) => Ticket::new(ticket),
        }
    }

    /// Builds the next hello of a client, when it is due.
    pub(super) fn build_hello(&mut self, out: &mut [u8]) -> Result<Option<usize>, Broken> {
        let now = self.now;
        let Stage::Opening(opening) = self.peer.stage else { return Err(Broken) };
        if now < opening.next_at {
            return Ok(None);
        }
        let token = self.hello_token();
        let header = LongHeader {
            epoch: Epoch::Hello,
            sender: Side::Client,
            to: ConversationId::UNKNOWN,
            from: self.peer.conversation.local,
            token: token.octets(),
        };
        let mut writer = Writer::new(&mut out[..HELLO_LEN_MIN - CHECKSUM_LEN]);
        let number = u64::from(opening.hello_count);
        let truncated = TruncatedNumber::new(number, number).sound()?;
        header.encode(truncated, &mut writer).map_err(|_| Broken)?;
        write_parameters(&self.announced(), &mut writer).map_err(|_| Broken)?;
        let mut carried = opening.carried;
        if opening.resume == Resume::Yes {
            let (session, secret) = (self.peer.session.id, self.peer.session.secret);
            let proof = resume_proof(&secret, self.peer.conversation.local);
            Frame::Resume { session, proof }.encode(&mut writer).map_err(|_| Broken)?;
        } else if !token.octets().is_empty() {
            carried = self.write_carried(carried, &mut writer)?;
        }
        let padding = writer.room();
        if padding > 0 {
            Frame::Padding { len: padding }.encode(&mut writer).map_err(|_| Broken)?;
        }
        let number_offset = header.number_offset();
        let (crypto, route) = self.keyring.of(self.index)?;
        seal_datagram(crypto, route, Epoch::Hello, number, &mut out[..HELLO_LEN_MIN], number_offset)
            .map_err(|_| Broken)?;
        // Three times the round trip that is assumed, before the first sample (protocol §4.10).
        let timeout = self.path.rtt.probe_timeout(Duration::ZERO).saturating_mul(1 << opening.hello_count.min(16));
        let mut sent_at = opening.sent_at;
        sent_at[opening.hello_count as usize % 4] = now;
        self.peer.stage = Stage::Opening(Opening {
            hello_count: opening.hello_count.saturating_add(1),
            sent_at,
            next_at: now.saturating_add(timeout.min(self.config.probe_interval_max).min(HELLO_INTERVAL_MAX)),
            carried,
            ..opening
        });
        self.peer.awaiting_since.get_or_insert(now);
        Ok(Some(HELLO_LEN_MIN))
    }

    /// Writes the exchanges that ride on a hello: chosen once, and repeated unchanged (protocol §4.6).
    fn write_carried(&mut self, carried: Option<u32>, writer: &mut Writer<'_>) -> Result<Option<u32>, Broken> {
        if let Some(record) = carried {
            let mut place = self.memory.datagrams.at(record).sound()?.frames.front();
            while let Some(index) = place {
                place = self.memory.datagrams.at(record).sound()?.frames.next(&self.memory.frames, index);
                self.repeat_run(index, writer)?;
            }
            return Ok(carried);
        }
        let Some(record) = self.memory.datagrams.insert(new_record(0, self.now)).map(Key::index) else {
            return Ok(None);
        };
        self.spell_out_queued()?;
        for priority in 0..peer::PRIORITY_COUNT {
            while let Some(flow) = self.peer.queues[priority].front() {
                let outgoing = self.memory.outgoing.at(flow).sound()?;
                let carried = &self.memory.datagrams.at(record).sound()?.frames;
                let may_ride = matches!(outgoing.role, Role::Message | Role::Ordered | Role::Request)
                    && outgoing.kind == Kind::Whole
                    && !outgoing.is_unreliable
                    && outgoing.len as usize + FRAME_HEAD_LEN <= writer.room()
                    && carried.iter(&self.memory.frames).count() < HELLO_EXCHANGE_COUNT_MAX as usize;
                if !may_ride || !self.carry(record, flow, writer)? {
                    break;
                }
            }
        }
        Ok(Some(record))
    }

    fn repeat_run(&mut self, index: u32, writer: &mut Writer<'_>) -> Result<(), Broken> {
        let Content::Run { flow, offset, len, last, .. } = self.memory.frames.at(index).sound()?.content else {
            return Err(Broken);
        };
        // It fitted before; should the deadline's digits have grown, the data epoch brings it.
        let _ = self.write_run(flow, Run { offset, len, last }, false, writer)?;
        Ok(())
    }

    fn carry(&mut self, record: u32, flow: u32, writer: &mut Writer<'_>) -> Result<bool, Broken> {
        let may_begin = self.may_begin(self.memory.outgoing.at(flow).sound()?)?;
        Ok(may_begin && self.write_pieces(record, flow, writer, false)? == Added::Yes)
    }

    /// Returns when an opening acts next.
    pub(super) fn opening_deadline(&self, opening: &Opening) -> Instant {
        let since = self.peer.awaiting_since.unwrap_or(opening.since);
        let end = since.saturating_add(self.config.silence_timeout);
        let next = match self.peer.handshake {
            // In a protected opening the handshake has a timer of its own.
            Some(_) => self.handshake_deadline(),
            None => (!self.peer.has_turn()).then_some(opening.next_at),
        };
        next.map_or(end, |next| next.min(end))
    }

    /// Takes the server's answer: the conversation is open.
    pub(super) fn on_answer(
        &mut self,
        remote: ConversationId,
        parameters: Parameters,
        session: &frame::Session<'_>,
    ) -> Result<(), Fault> {
        let Stage::Opening(opening) = self.peer.stage else { return Ok(()) };
        let behind = u64::from(opening.hello_count).saturating_sub(session.answers);
        if (1..=4).contains(&behind) {
            // The answer says which hello it answers, so the sample is unambiguous (RFC 8085 §3.1.1).
            let sent_at = opening.sent_at[session.answers as usize % 4];
            self.on_answered(sent_at, Duration::ZERO);
            self.path.pacer.update(&self.path.controller, &self.path.rtt);
            self.peer.answered_at = sent_at;
        }
        let is_resumed = opening.resume == Resume::Yes && session.outcome == SessionOutcome::Resumed;
        if !is_resumed {
            if opening.resume == Resume::Yes {
                self.end_session(Unknown::SessionLost)?;
            }
            self.adopt_session(Session::new(session.session, session.incarnation, session.secret, self.config.credit));
        }
        self.peer.conversation.remote = remote;
        self.peer.socket = remote.socket();
        self.peer.conversation.reset_token = Some(session.reset_token);
        self.keep_ticket(session.ticket, Purpose::Arrive);
        self.peer.lease_millis = u32::try_from(session.lease_millis).unwrap_or(u32::MAX);
        self.adopt(parameters)?;
        self.peer.stage = Stage::Open;
        self.peer.awaiting_since = None;
        if let Some(record) = opening.carried {
            // The answer acknowledges all that the hello carried (protocol §4.6).
            self.peer.conversation.sent.push_back(&mut self.memory.datagrams, record);
            self.settle_datagram(record)?;
        }
        if is_resumed {
            self.announce_anew()?;
        }
        self.peer.news |= peer::News::CONNECTED;
        Ok(())
    }

    /// Takes over what the peer announced.
    pub(super) fn adopt(&mut self, parameters: Parameters) -> Result<(), Broken> {
        self.peer.parameters = parameters;
        self.peer.session.granted_to_us = self.peer.session.granted_to_us.max(parameters.credit);
        self.path.mtu.on_peer_limit(usize::from(parameters.datagram_len_max));
        if self.config.congestion == Algorithm::StopAndWait {
            self.peer.notices |= Notices::ACK_FREQUENCY;
        }
        let mut place = self.peer.session.ours.front();
        while let Some(index) = place {
            place = self.peer.session.ours.next(&self.memory.exchanges, index);
            self.check_len(index)?;
        }
        self.admit_anew()
    }

    /// Ends an exchange of ours that was accepted before it was known that the peer takes nothing of its length; gives
    /// streams their first credit.
    fn check_len(&mut self, index: u32) -> Result<(), Broken> {
        self.spell_out(index)?;
        for lane in [Lane::Forward, Lane::Upward] {
            let Some(flow) = self.memory.exchanges.at(index).sound()?.flow(lane) else { continue };
            let limit = u64::from(self.peer.parameters.message_len_max);
            let stream_window = u64::from(self.peer.parameters.stream_window);
            let outgoing = self.memory.outgoing.at_mut(flow).sound()?;
            let is_begun = outgoing.sent > 0 || outgoing.is_end_sent;
            match outgoing.kind {
                Kind::Stream => {
                    outgoing.limit = if is_begun { outgoing.limit.max(stream_window) } else { stream_window };
                    self.queue(flow)?;
                }
                Kind::Whole if outgoing.len > limit && !is_begun => {
                    let exchange = self.exchange(index)?;
                    if exchange.is_call() {
                        return self.end_unsent(index, NotExecuted::TooLarge { limit });
                    }
                    exchange.stage = ExchangeStage::Over;
                    self.reset_outgoing(index, lane, ResetReason::TooLarge)?;
                    return self.tell(index, News::FAILED);
                }
                Kind::Whole => {}
            }
        }
        Ok(())
    }

    /// Announces again what the other side may have missed with the conversation before (protocol §4.12).
    pub(super) fn announce_anew(&mut self) -> Result<(), Broken> {
        self.peer.notices |= Notices::CREDIT;
        self.peer.session.low_sent = 0;
        self.peer.session.low_acked = 0;
        let mut place = self.peer.session.channels.front();
        while let Some(index) = place {
            place = self.peer.session.channels.next(&self.memory.channels, index);
            let channel = self.memory.channels.at_mut(index).sound()?;
            if channel.use_of == crate::session::ChannelUse::Incoming && channel.taken > 0 {
                channel.is_noticed = true;
                self.peer.notices |= Notices::TAKEN;
            }
        }
        for begun_by in [Party::Us, Party::Them] {
            let mut place = self.peer.session.list(begun_by).front();
            while let Some(index) = place {
                place = self.peer.session.list(begun_by).next(&self.memory.exchanges, index);
                self.spell_out(index)?;
                for lane in Lane::ALL {
                    let exchange = self.memory.exchanges.at(index).sound()?;
                    let Some(flow) = exchange.flow(lane).filter(|_| !exchange.is_outgoing(lane)) else { continue };
                    let incoming = self.memory.incoming.at_mut(flow).sound()?;
                    // Nothing of it could come between the conversations.
                    incoming.arrived_at = self.now;
                    if incoming.kind == Kind::Stream {
                        self.notice(index, crate::exchange::Notices::CREDIT << lane as u16)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Begins another session; what was never sent goes on in it.
    pub(super) fn adopt_session(&mut self, session: Session) {
        let old = core::mem::replace(&mut self.peer.session, session);
        self.peer.session.ours = old.ours;
        self.peer.session.unnumbered = old.unnumbered;
        self.peer.session.channels = old.channels;
        self.peer.session.next_order = old.next_order;
        self.peer.session.charged_by_us = old.charged_by_us;
        self.peer.session.next_seq = old.next_seq;
        self.peer.session.admitted = old.admitted;
        self.peer.session.granted_to_us = old.granted_to_us;
        debug_assert!(old.theirs.is_empty(), "the peer's exchanges ended with the session");
    }

    /// Ends a session on this side: what was sent in it has an unknown outcome, what was not sent stays for the next one.
    pub(super) fn end_session(&mut self, why: Unknown) -> Result<(), Broken> {
        self.lose_all()?;
        while let Some(index) = self.peer.session.theirs.front() {
            self.discard_theirs(index)?;
        }
        let mut seq = 0;
        let mut place = self.peer.session.ours.front();
        while let Some(index) = place {
            place = self.peer.session.ours.next(&self.memory.exchanges, index);
            self.spell_out(index)?;
            let exchange = self.memory.exchanges.at(index).sound()?;
            let flow = exchange.flow(Lane::Forward);
            let is_unsent = exchange.stage == ExchangeStage::Open && !self.was_sent(index)?;
            if is_unsent || (flow.is_some() && self.may_repeat(index)?) {
                if let Some(flow) = flow {
                    self.rewind(flow)?;
                }
                // What had arrived in answer belongs to an execution in the session that is lost.
                self.remove_incoming(index, Lane::Backward)?;
                self.remove_incoming(index, Lane::Downward)?;
                self.exchange(index)?.done = 0;
                self.memory.renumber(index, seq)?;
                seq += 1;
                continue;
            }
            self.lose_exchange(index, why)?;
        }
        self.begin_channels()?;
        self.peer.session.charged_by_us = 0;
        self.peer.session.granted_to_us = HELLO_CREDIT;
        self.peer.session.next_seq = seq;
        self.admit_anew()?;
        self.peer.flush_to = None;
        self.peer.is_draining = false;
        self.peer.news |= peer::News::SESSION_LOST;
        Ok(())
    }

    /// Begins anew all channels on which we have something to send, for the messages that go on in the next session, and
    /// removes the others.
    fn begin_channels(&mut self) -> Result<(), Broken> {
        let mut place = self.peer.session.channels.front();
        while let Some(index) = place {
            place = self.peer.session.channels.next(&self.memory.channels, index);
            self.memory.channels.at_mut(index).sound()?.begin();
        }
        let mut place = self.peer.session.ours.front();
        while let Some(index) = place {
            place = self.peer.session.ours.next(&self.memory.exchanges, index);
            let Some((key, position)) = &mut self.memory.exchanges.at_mut(index).sound()?.channel else { continue };
            let channel = self.memory.channels.get_mut(*key).sound()?;
            *position = channel.next;
            channel.next += 1;
        }
        let mut place = self.peer.session.channels.front();
        while let Some(index) = place {
            place = self.peer.session.channels.next(&self.memory.channels, index);
            if self.memory.channels.at(index).sound()?.next == 0 {
                self.peer.session.channels.remove(&mut self.memory.channels, index);
                self.memory.channels.vacate(index).sound()?;
            }
        }
        Ok(())
    }

    /// Ends an exchange of ours that a lost session leaves open.
    fn lose_exchange(&mut self, index: u32, why: Unknown) -> Result<(), Broken> {
        self.spell_out(index)?;
        let exchange = self.memory.exchanges.at_mut(index).sound()?;
        let (stage, is_call) = (exchange.stage, exchange.is_call());
        // A reply that the application was told of stays until it releases it, unless it gave it up.
        let reply = exchange.flow(Lane::Backward).and_then(|flow| self.memory.incoming.at(flow));
        let is_told = matches!(exchange.outcome, Outcome::Ok(_) | Outcome::ApplicationError(_));
        let has_reply = stage == ExchangeStage::Over && is_told && reply.is_some_and(|reply| !reply.is_abandoned);
        exchange.done = u8::MAX;
        exchange.stopped = 0;
        self.remove_outgoing(index, Lane::Forward)?;
        self.remove_outgoing(index, Lane::Upward)?;
        if !has_reply {
            self.remove_incoming(index, Lane::Backward)?;
        }
        self.remove_incoming(index, Lane::Downward)?;
        let exchange = self.exchange(index)?;
        if exchange.noticed.is_linked() {
            self.peer.noticed.remove(&mut self.memory.exchanges, index);
        }
        let exchange = self.exchange(index)?;
        exchange.notices = 0;
        match (stage, is_call) {
            (ExchangeStage::Open, true) => self.end_call(index, Outcome::Unknown(why))?,
            (ExchangeStage::Open, false) => self.tell(index, News::FAILED)?,
            _ => {}
        }
        self.exchange(index)?.stage = ExchangeStage::Over;
        self.peer.session.ours.remove(&mut self.memory.exchanges, index);
        self.memory.orphan(index)
    }

    /// Gives up an opening that nobody answered.
    pub(super) fn give_up_opening(&mut self, why: Unknown) -> Result<(), Broken> {
        let Stage::Opening(_) = self.peer.stage else { return Ok(()) };
        self.take_carried();
        self.peer.stage = Stage::Idle;
        self.peer.awaiting_since = None;
        self.end_all(why)?;
        self.peer.news |= peer::News::CLOSED;
        Ok(())
    }

    /// Puts the record of what a hello carried among those of the conversation, with which it ends.
    pub(super) fn take_carried(&mut self) {
        if let Stage::Opening(Opening { carried: Some(record), .. }) = self.peer.stage {
            self.peer.conversation.sent.push_back(&mut self.memory.datagrams, record);
        }
    }

    /// Ends every exchange; what was never sent will not be sent.
    pub(super) fn end_all(&mut self, why: Unknown) -> Result<(), Broken> {
        self.end_session(why)?;
        self.peer.news &= !peer::News::SESSION_LOST;
        while let Some(index) = self.peer.session.ours.front() {
            let exchange = self.exchange(index)?;
            if exchange.is_call() {
                self.end_unsent(index, NotExecuted::NeverSent)?;
            } else {
                exchange.stage = ExchangeStage::Over;
                self.remove_outgoing(index, Lane::Forward)?;
                self.tell(index, News::FAILED)?;
            }
            self.peer.session.ours.remove(&mut self.memory.exchanges, index);
            self.memory.orphan(index)?;
        }
        self.peer.session.next_seq = 0;
        self.peer.session.admitted = 0;
        self.begin_channels()?;
        while let Some(index) = self.peer.session.unnumbered.front() {
            self.peer.session.unnumbered.remove(&mut self.memory.exchanges, index);
            self.remove_outgoing(index, Lane::Forward)?;
            let exchange = self.exchange(index)?;
            // What is over has its end among the news already, though nobody has taken them yet.
            if core::mem::replace(&mut exchange.stage, ExchangeStage::Over) == ExchangeStage::Open {
                self.tell(index, News::FAILED)?;
            }
            self.memory.orphan(index)?;
        }
        Ok(())
    }

    /// Takes back what a hello carried whose token was refused.
    ///
    /// The server may have executed it in a session that it no longer knows, so only what may be executed again goes out again
    /// (semantics S8). Of what was cancelled since, the next session hears nothing: its charge was that of the one before.
    pub(super) fn disown_carried(&mut self, record: u32) -> Result<(), Broken> {
        let mut place = self.peer.session.ours.front();
        while let Some(index) = place {
            place = self.peer.session.ours.next(&self.memory.exchanges, index);
            self.spell_out(index)?;
            let Some(flow) = self.memory.exchanges.at(index).sound()?.flow(Lane::Forward) else { continue };
            if !self.was_sent(index)? {
                continue;
            }
            if self.may_repeat(index)? {
                self.rewind(flow)?;
            } else {
                self.lose_exchange(index, Unknown::SessionLost)?;
            }
        }
        self.memory.datagrams.vacate(record).sound()?;
        self.peer.session.charged_by_us = 0;
        // What was taken back leaves no place on its channel for the others to wait for.
        self.begin_channels()
    }

    /// Says whether a call may be executed again in another session: one that was given up is not wanted any more.
    fn may_repeat(&self, index: u32) -> Result<bool, Broken> {
        let exchange = self.memory.exchanges.at(index).sound()?;
        let semantics = exchange.procedure.map(|procedure| procedure.options.semantics());
        let is_wanted = exchange.stage == ExchangeStage::Open && !exchange.is_resolving();
        Ok(is_wanted && semantics == Some(Semantics::AtLeastOnce))
    }

    /// Makes a flow as if nothing of it had been sent.
    fn rewind(&mut self, flow: u32) -> Result<(), Broken> {
        self.dequeue(flow)?;
        self.memory.drop_runs(&mut self.peer.lost, flow)?;
        let outgoing = self.memory.outgoing.at_mut(flow).sound()?;
        outgoing.sent = 0;
        outgoing.is_end_sent = false;
        outgoing.charged = 0;
        self.queue(flow)
    }

    /// Builds the server's answer to a hello.
    pub(super) fn build_answer(&mut self, out: &mut [u8]) -> Result<usize, Broken> {
        let header = LongHeader {
            epoch: Epoch::Hello,
            sender: Side::Server,
            to: self.peer.conversation.remote,
            from: self.peer.conversation.local,
            token: &[],
        };
        let mut writer = Writer::new(out);
        header.encode(TruncatedNumber::new(0, 0).sound()?, &mut writer).map_err(|_| Broken)?;
        write_parameters(&self.announced(), &mut writer).map_err(|_| Broken)?;
        Frame::Session(self.granted_session()).encode(&mut writer).map_err(|_| Broken)?;
        let len = writer.len() + CHECKSUM_LEN;
        let out = out.get_mut(..len).ok_or(Broken)?;
        let (crypto, route) = self.keyring.of(self.index)?;
        seal_datagram(crypto, route, Epoch::Hello, 0, out, header.number_offset()).map_err(|_| Broken)?;
        self.peer.notices &= !Notices::ANSWER;
        Ok(len)
    }

    /// Returns what the server says of the session.
    pub(super) fn granted_session(&self) -> frame::Session<'_> {
        frame::Session {
            answers: u64::from(self.peer.hello_number),
            outcome: self.peer.outcome,
            incarnation: self.peer.session.incarnation,
            session: self.peer.session.id,
            secret: self.peer.session.secret,
            lease_millis: self.config.lease.as_millis() as u64,
            reset_token: self.peer.conversation.reset_token.unwrap_or(ResetToken([0; 16])),
            ticket: self.ticket(),
        }
    }

    /// Returns what we announce.
    pub(super) fn announced(&self) -> Parameters {
        let config = self.config;
        Parameters {
            message_len_max: config.message_len_max as u32,
            // What a session that goes on was granted beyond this, CREDIT says: it may turn out to be another one.
            credit: config.credit,
            exchange_window: config.exchange_window as u32,
            stream_window: config.stream_window as u32,
            datagram_len_max: config.datagram_len_max as u16,
            ack_delay_max: config.ack_delay_max,
            idle_timeout: config.idle_timeout,
            alias_count_max: crate::aliases::Aliases::COUNT_MAX as u16,
            channel_count_max: config.channel_count_max as u32,
            metadata_len_max: config.metadata_len_max as u16,
        }
    }
}

fn write_parameters(parameters: &Parameters, writer: &mut Writer<'_>) -> Result<(), NoRoom> {
    let mut items = [0; Parameters::LEN_MAX];
    let mut inner = Writer::new(&mut items);
    parameters.encode(&mut inner)?;
    Frame::Parameters(inner.written()).encode(writer)
}

/// Returns a session that nobody issued yet.
pub(super) fn no_session(credit: u64) -> Session {
    let mut session = Session::new(0, 0, SessionSecret([0; 16]), credit);
    session.granted_to_us = HELLO_CREDIT;
    session
}

/// What every server grants at least, so that a hello can carry exchanges (protocol §4.5).
pub(super) const HELLO_CREDIT: u64 = 4096;
/// How many exchanges a hello carries at most, and how far every server's window reaches at least (protocol §4.5).
const HELLO_EXCHANGE_COUNT_MAX: u32 = 16;
/// More than the longest head of an entire frame of a hello.
const FRAME_HEAD_LEN: usize = 64;
/// Hellos go on at least this often, so that a server that comes back is found soon; a number we chose.
const HELLO_INTERVAL_MAX: Duration = Duration::from_secs(3);
