//! Calls: how ours end, and how those of peers begin and are answered (semantics).

use core::time::Duration;

use super::request;
use super::scope::{Fault, Scope};
use crate::exchange::{Brief, News, Notices, Party, Stage};
use crate::fingerprint::fingerprint;
use crate::ids::MessageId;
use crate::lane::Lane;
use crate::memory::{Broken, Purpose, Sound};
use crate::outcome::{NotExecuted, Outcome, Unknown};
use crate::outgoing::{Body, Kind, Outgoing};
use crate::time::{NANOS_PER_MILLI, nanos};
use crate::wire::{self, Description, Metadata, Options, ResetReason, Role, Semantics, Status, Writer};

impl Scope<'_, '_> {
    /// Counts one open call of ours more; with the first one, the silence that makes us ask begins.
    pub(super) fn count_open_call(&mut self) {
        if self.peer.open_call_count == 0 {
            (self.peer.asked_at, self.peer.ask_count) = (self.now, 0);
        }
        self.peer.open_call_count += 1;
    }

    /// Ends a call of ours with an outcome, and tells the application.
    ///
    /// A definite outcome settles its flows at once; one that is unknown leaves the exchange open, so that it can be
    /// resolved until the application lets go of it.
    pub(super) fn end_call(&mut self, index: u32, outcome: Outcome) -> Result<(), Broken> {
        let now = self.now;
        self.spell_out(index)?;
        let exchange = self.memory.exchanges.at_mut(index).sound()?;
        if exchange.stage == Stage::Open {
            self.peer.open_call_count = self.peer.open_call_count.saturating_sub(1);
        }
        exchange.outcome = outcome;
        if exchange.deadline.is_some() {
            self.memory.clear_deadline(index)?;
        }
        let exchange = self.exchange(index)?;
        if matches!(outcome, Outcome::Unknown(_)) {
            exchange.enter(Stage::Unknown, now);
            return self.tell(index, News::ENDED);
        }
        exchange.enter(Stage::Over, now);
        exchange.deadline = None;
        if matches!(outcome, Outcome::ApplicationError(_) | Outcome::ReplyLost) && exchange.awaits(Lane::Downward) {
            // What its callee may have begun to send is of no use.
            self.stop_incoming(index, Lane::Downward, ResetReason::NotWanted)?;
        }
        if matches!(outcome, Outcome::NotExecuted(_)) {
            self.reset_outgoing(index, Lane::Forward, ResetReason::NotWanted)?;
            self.reset_outgoing(index, Lane::Upward, ResetReason::NotWanted)?;
            self.remove_incoming(index, Lane::Downward)?;
        } else {
            // It was executed, so its request has arrived as a whole: nothing of it is left to agree on.
            self.remove_outgoing(index, Lane::Forward)?;
        }
        self.tell(index, News::ENDED)
    }

    /// Acts on a reply that has arrived in full.
    pub(super) fn on_reply(&mut self, index: u32, flow: u32) -> Result<(), Fault> {
        let incoming = self.memory.incoming.at(flow).sound()?;
        let message = MessageId::in_incoming(self.memory.incoming.key_of(flow).sound()?);
        let outcome = match incoming.status {
            Status::Ok => Outcome::Ok(message),
            Status::ApplicationError => Outcome::ApplicationError(message),
            Status::NotExecuted => {
                let octets = incoming.octets(&self.memory.arena);
                let why = wire::NotExecuted::decode(octets).unwrap_or(wire::NotExecuted::Busy);
                Outcome::NotExecuted(NotExecuted::Refused(why))
            }
            Status::ReplyLost => Outcome::ReplyLost,
            Status::HandlerFailed => Outcome::Unknown(Unknown::HandlerFailed),
        };
        self.end_call(index, outcome)?;
        if !matches!(outcome, Outcome::Ok(_) | Outcome::ApplicationError(_)) {
            self.remove_incoming(index, Lane::Backward)?;
        }
        if matches!(outcome, Outcome::Unknown(_)) {
            // Nothing can be resolved: the callee does not know either.
            let now = self.now;
            self.exchange(index)?.enter(Stage::Over, now);
            self.reset_outgoing(index, Lane::Forward, ResetReason::NotWanted)?;
        }
        Ok(())
    }

    /// Gives up waiting for a call of ours, and asks the callee to stop.
    pub(super) fn give_up_call(&mut self, index: u32, why: Unknown) -> Result<(), Broken> {
        let exchange = self.exchange(index)?;
        if exchange.stage != Stage::Open {
            return Ok(());
        }
        if !self.was_sent(index)? {
            return self.end_unsent(index, NotExecuted::NeverSent);
        }
        self.notice(index, Notices::CANCEL)?;
        self.end_call(index, Outcome::Unknown(why))
    }

    /// Ends a call that never left this endpoint.
    pub(super) fn end_unsent(&mut self, index: u32, why: NotExecuted) -> Result<(), Broken> {
        self.remove_outgoing(index, Lane::Forward)?;
        self.remove_outgoing(index, Lane::Upward)?;
        // The peer has never heard of it and owes nothing.
        self.exchange(index)?.done = u8::MAX;
        self.end_call(index, Outcome::NotExecuted(why))
    }

    /// Says whether any part of an exchange of ours was ever handed to the network.
    pub(super) fn was_sent(&self, index: u32) -> Result<bool, Broken> {
        let exchange = self.memory.exchanges.at(index).sound()?;
        if exchange.brief != Brief::No {
            return Ok(exchange.brief != Brief::Queued);
        }
        let Some(flow) = exchange.flow(Lane::Forward) else { return Ok(true) };
        let outgoing = self.memory.outgoing.at(flow).sound()?;
        Ok(outgoing.sent > 0 || outgoing.is_end_sent)
    }

    /// Hands a call of the peer to the application, or refuses it.
    pub(super) fn on_request(&mut self, index: u32, flow: u32) -> Result<(), Fault> {
        let incoming = self.memory.incoming.at(flow).sound()?;
        let fingerprint = fingerprint(incoming.octets(&self.memory.arena));
        let metadata = incoming.metadata.map_or(&[][..], |block| self.memory.arena.bytes(block));
        let metadata = Metadata::decode(metadata).unwrap_or(Metadata::EMPTY);
        let is_understood = metadata.not_understood().is_none();
        let left = metadata.get_varint(wire::metadata::key::DEADLINE);
        let now = self.now;
        let exchange = self.exchange(index)?;
        let procedure = exchange.procedure.sound()?;
        exchange.set_timeout(now, callee_timeout(&procedure, left));
        exchange.fingerprint = fingerprint;
        exchange.enter(Stage::Queued, now);
        if !is_understood {
            return Ok(self.refuse(index, wire::NotExecuted::Metadata)?);
        }
        if self.is_refusing() {
            return Ok(self.refuse(index, wire::NotExecuted::Draining)?);
        }
        let is_wanted = self.exchange(index)?.reasons[Lane::Downward as usize] == 0;
        if procedure.options.has_downward() && is_wanted && !self.add_downward(index)? {
            return Ok(self.refuse(index, wire::NotExecuted::Busy)?);
        }
        self.memory.incoming.at_mut(flow).sound()?.is_announced = true;
        Ok(self.tell(index, News::CALL_RECEIVED)?)
    }

    /// Says whether no call of the peer is handed to the application any more.
    pub(super) const fn is_refusing(&self) -> bool {
        self.peer.notices & crate::peer::Notices::DRAIN != 0 || self.peer.is_refusing
    }

    /// Takes the arguments of a call of the peer, and grants what they charged again; their record stays, for its metadata.
    #[cfg(feature = "bytes")]
    pub(super) fn take_arguments(&mut self, index: u32) -> Result<bytes::Bytes, Broken> {
        let exchange = self.exchange(index)?;
        if exchange.brief == Brief::Arrived {
            let body = exchange.body.take();
            return Ok(body.map_or(bytes::Bytes::new(), |block| {
                let octets = bytes::Bytes::copy_from_slice(self.memory.arena.bytes(block));
                self.memory.free_arrived(block);
                self.return_credit(block.len() as u64);
                octets
            }));
        }
        let Some(flow) = exchange.flow(Lane::Forward) else { return Ok(bytes::Bytes::new()) };
        let incoming = self.memory.incoming.at_mut(flow).sound()?;
        let charged = incoming.charged - incoming.returned;
        incoming.returned = incoming.charged;
        let octets = self.memory.take_arrived(flow)?;
        self.return_credit(charged);
        Ok(octets)
    }

    /// Gives a call of the peer the stream to its caller; says whether there was room.
    fn add_downward(&mut self, index: u32) -> Result<bool, Broken> {
        if self.memory.outgoing.len() >= self.memory.outgoing.capacity() {
            return Ok(false);
        }
        let Some(Some(ring)) = self.memory.alloc(self.config.stream_window, Purpose::Arrive) else { return Ok(false) };
        let limit = u64::from(self.peer.parameters.stream_window);
        let body = Body::Held(ring);
        let stream = Outgoing { body, limit, ..Outgoing::new(index, Role::Downward, Kind::Stream, REPLY_PRIORITY) };
        self.add_outgoing(stream, Lane::Downward)?;
        Ok(true)
    }

    /// Closes the number of a call of the peer that has not begun, with the reason as its reply: the tombstone.
    pub(super) fn refuse(&mut self, index: u32, why: wire::NotExecuted) -> Result<(), Broken> {
        let mut octets = [0; wire::NotExecuted::LEN_MAX];
        let mut writer = Writer::new(&mut octets);
        why.encode(&mut writer).map_err(|_| Broken)?;
        let len = writer.len();
        // Whoever holds the event of this call finds it stale.
        self.exchange(index)?.news = 0;
        self.answer(index, Status::NotExecuted, &mut request::Body::Copied(&octets[..len]), &[])
    }

    /// Ends a call of the peer with a reply, and frees what the request held.
    pub(super) fn answer(
        &mut self,
        index: u32,
        status: Status,
        body: &mut request::Body<'_>,
        metadata: &[u8],
    ) -> Result<(), Broken> {
        if status == Status::Ok && metadata.is_empty() && self.answer_briefly(index, body)? {
            return Ok(());
        }
        self.spell_out(index)?;
        // The reply has at least the room of its request.
        self.drop_request(index)?;
        let len = body.len() as u64;
        let kept = self.keep(body.take(), Purpose::Finish);
        let metadata = self.memory.keep(metadata, Purpose::Finish);
        let (body, metadata, len, status) = match (kept, metadata) {
            (Some(body), Some(metadata)) => (body, metadata, len, status),
            // The handler has run, and this says so without needing memory (semantics, *reply lost*).
            (body, metadata) => {
                self.memory.free_octets(body.unwrap_or(Body::Empty), metadata.flatten());
                // A refusal without its reason is still one.
                let status = if status == Status::NotExecuted { status } else { Status::ReplyLost };
                (Body::Empty, None, 0, status)
            }
        };
        self.answer_held(index, status, body, len, metadata)
    }

    /// Frees what the request of a call held, and wants no more of its stream.
    fn drop_request(&mut self, index: u32) -> Result<(), Broken> {
        for lane in [Lane::Forward, Lane::Upward] {
            let exchange = self.exchange(index)?;
            if exchange.flow(lane).is_some() || (lane == Lane::Upward && exchange.awaits(lane)) {
                self.stop_incoming(index, lane, ResetReason::NotWanted)?;
            }
        }
        Ok(())
    }

    /// As [`Scope::answer`], with octets that are held already.
    pub(super) fn answer_held(
        &mut self,
        index: u32,
        status: Status,
        body: Body,
        len: u64,
        metadata: Option<crate::storage::Block>,
    ) -> Result<(), Broken> {
        let now = self.now;
        debug_assert!(self.exchange(index)?.brief == Brief::No, "a brief call is answered briefly, or spelled out");
        if status != Status::Ok {
            self.reset_outgoing(index, Lane::Downward, ResetReason::Cancelled)?;
        }
        let exchange = self.exchange(index)?;
        exchange.enter(Stage::Over, now);
        let is_one_way = exchange.is_one_way();
        let options = exchange.procedure.map(|procedure| procedure.options);
        let is_maybe = options.is_some_and(|options| options.semantics() == Semantics::Maybe);
        let is_wanted = !exchange.is_retired && !is_one_way;
        let stopped_reply = exchange.reasons[Lane::Backward as usize] != 0;
        if !is_wanted || stopped_reply {
            self.let_go(body);
            self.let_go(metadata.map_or(Body::Empty, Body::Held));
            if status != Status::Ok && is_one_way && options.is_some_and(Options::has_downward) {
                // Without a reply, nothing else tells the caller that its stream does not come; it may have none here yet.
                self.notice(index, Notices::RESET << Lane::Downward as u16)?;
            }
            return self.finish(index);
        }
        let outgoing = Outgoing {
            body,
            len,
            metadata,
            status,
            // The RESET of a reply that was lost says that the handler ran, so one that says the contrary must arrive.
            is_unreliable: is_maybe && status != Status::NotExecuted,
            ..Outgoing::new(index, Role::Reply, Kind::Whole, REPLY_PRIORITY)
        };
        self.add_outgoing(outgoing, Lane::Backward)?;
        Ok(())
    }

    /// Acts on CANCEL: what has not begun never will; the handler of what runs is told.
    pub(super) fn on_cancel(&mut self, seq: u64) -> Result<(), Fault> {
        self.close_number(seq, wire::NotExecuted::Cancelled)
    }

    /// Acts on RESOLVE: what has not begun never will; of what runs, the caller is told so (protocol §7.7).
    pub(super) fn on_resolve(&mut self, seq: u64) -> Result<(), Fault> {
        self.close_number(seq, wire::NotExecuted::Resolved)
    }

    /// Makes sure that a call that has not begun never will, and says so.
    ///
    /// The number is closed even if its REQUEST has not arrived: a late duplicate finds the tombstone
    /// (semantics; a refusal without one is a lie).
    fn close_number(&mut self, seq: u64, why: wire::NotExecuted) -> Result<(), Fault> {
        if self.peer.session.is_retired(seq) {
            return Ok(());
        }
        let index = self.find_or_add(seq)?;
        self.spell_out(index)?;
        self.fix_role(index, Role::Request)?;
        let exchange = self.exchange(index)?;
        match exchange.stage {
            Stage::Arriving | Stage::Queued => {
                if exchange.flow(Lane::Forward).is_none() {
                    // It is not wanted, but what it charges has to be settled.
                    exchange.stopped |= 1 << Lane::Forward as u8;
                }
                Ok(self.refuse(index, why)?)
            }
            Stage::Running if why == wire::NotExecuted::Resolved => Ok(self.notice(index, Notices::PROGRESS)?),
            Stage::Running => Ok(self.tell(index, News::CANCELLED)?),
            Stage::Over | Stage::Held | Stage::Ready | Stage::Open | Stage::Unknown => Ok(()),
        }
    }

    /// Finds an exchange that the peer began, or adds it if its number lies in the window.
    pub(super) fn find_or_add(&mut self, seq: u64) -> Result<u32, Fault> {
        if let Some(index) = self.memory.find(self.index, Party::Them, seq) {
            return Ok(index);
        }
        self.admit_theirs(seq)?;
        Ok(self.add_theirs(Some(seq), Stage::Arriving).sound()?)
    }

    /// Checks that the peer may begin an exchange with a number that is not known, and that there is room for it.
    pub(super) fn admit_theirs(&mut self, seq: u64) -> Result<(), Fault> {
        if seq >= self.peer.session.low.saturating_add(self.config.exchange_window as u64) {
            return Err(Fault::Violation(wire::CloseCode::Exchange));
        }
        let is_full = self.memory.exchanges.len() >= self.memory.exchanges.capacity();
        if is_full || self.is_at_quota() { Err(self.no_room()) } else { Ok(()) }
    }

    /// Acts on ASK: the runtime answers, whatever the handler does (protocol §7.6).
    pub(super) fn on_ask(&mut self, seq: u64) -> Result<(), Fault> {
        // If nothing of it has arrived, its datagrams were lost, and loss recovery brings them again.
        match self.memory.find(self.index, Party::Them, seq) {
            Some(index) => Ok(self.notice(index, Notices::PROGRESS)?),
            None => Ok(()),
        }
    }

    /// Acts on PROGRESS about a call of ours.
    pub(super) fn on_progress(&mut self, seq: u64, progress: u64) -> Result<(), Fault> {
        let Some(index) = self.memory.find(self.index, Party::Us, seq) else { return Ok(()) };
        let exchange = self.exchange(index)?;
        if exchange.stage == Stage::Open && exchange.is_call() {
            exchange.progress = progress;
            self.tell(index, News::PROGRESS)?;
        }
        Ok(())
    }

    /// Acts on the deadline of a call of ours, unless its streams have put it off.
    pub(super) fn on_call_deadline(&mut self, index: u32) -> Result<(), Broken> {
        let now = self.now;
        match self.exchange(index)?.deadline.filter(|at| *at > now) {
            Some(_) => self.memory.set_deadline(index),
            None => self.give_up_call(index, Unknown::Deadline),
        }
    }

    /// Takes note that a stream of an exchange made progress: the timeout of a call counts from here, on either side (semantics S35).
    pub(super) fn put_off_deadline(&mut self, index: u32) -> Result<(), Broken> {
        let now = self.now;
        let exchange = self.exchange(index)?;
        if matches!(exchange.stage, Stage::Open | Stage::Queued | Stage::Running) {
            // The timer of a call of ours still stands earlier, and is moved when it fires: that is rarer than progress.
            self.memory.keep_deadline(index)?;
            let exchange = self.exchange(index)?;
            exchange.set_timeout(now, exchange.timeout);
        }
        Ok(())
    }

    /// Sets how long a call of ours waits from here on.
    pub(super) fn set_timeout(&mut self, index: u32, timeout: Option<Duration>) -> Result<(), Broken> {
        let now = self.now;
        let exchange = self.exchange(index)?;
        exchange.set_timeout(now, timeout.map(nanos));
        self.memory.set_deadline(index)
    }
}

/// The priority of replies: that of what this side begins without choosing another.
pub(super) const REPLY_PRIORITY: u8 = 1;

/// Returns how many nanoseconds a call of the peer has: what is left of its deadline in microseconds if the request says so, and else
/// what its procedure's description says. No timeout is told as 0.
pub(super) fn callee_timeout(procedure: &Description, left: Option<u64>) -> Option<u64> {
    let nanos = match left {
        Some(micros) => micros.saturating_mul(1000),
        None => u64::from(procedure.timeout_millis) * NANOS_PER_MILLI,
    };
    if nanos > 0 { Some(nanos.min(DEADLINE_MAX_NANOS)) } else { None }
}

/// A deadline further off than an hour is read as an hour from here.
const DEADLINE_MAX_NANOS: u64 = 3_600_000_000_000;
