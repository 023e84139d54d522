//! Frames that arrive: octets of flows, and what is announced about exchanges and credit.

use super::scope::{Fault, Scope};
use crate::aliases::AliasRefused;
use crate::exchange::{Brief, Exchange, News, Notices, Party, Stage};
use crate::fingerprint::fingerprint;
use crate::incoming::{Incoming, Refused};
use crate::lane::Lane;
use crate::memory::{Broken, Purpose, Sound};
use crate::outcome::{NotExecuted, Outcome};
use crate::outgoing::Kind;
use crate::own_body::OwnBody;
use crate::session::{ChannelUse, OpenList};
use crate::storage::{Block, Key};
use crate::wire::{self, Bare, CloseCode, Data, Description, Flow, Form, Procedure, ResetReason, Retired, Role};

impl Scope<'_, '_> {
    /// Takes a whole message, request or reply that says nothing but its octets.
    #[inline(always)]
    pub(super) fn on_bare(&mut self, bare: Bare<'_>) -> Result<(), Fault> {
        if self.take_briefly(bare)? { Ok(()) } else { self.on_data(&Data::from(bare)) }
    }

    /// Takes the octets of a flow.
    pub(super) fn on_data(&mut self, data: &Data<'_>) -> Result<(), Fault> {
        let role = data.flow.role();
        let (Some(lane), Some(seq)) = (Lane::of(role), data.flow.seq()) else { return self.on_unreliable(data) };
        let Some(index) = self.find_sent(role, seq.0)? else { return Ok(()) };
        if let Flow::Request { opening: Some(opening), .. } = data.flow {
            self.on_opening(index, opening.procedure)?;
        }
        let is_short = data.form == Form::Entire && !OwnBody::suits(data.data.len(), self.config);
        self.spell_out(index)?;
        if is_short && self.is_predicted(index, lane, &data.flow)? {
            return self.take_entire(index, lane, data.data);
        }
        let Some(flow) = self.flow_for(index, lane, data)? else { return self.on_repetition(index, data) };
        self.keep_head(flow, &data.flow)?;
        self.place(index, lane, flow, data)
    }

    /// Fixes what an exchange of the peer is by the first that is heard of it: a message does not turn into a call, nor a call into
    /// a message (protocol §6.16.6).
    pub(super) fn fix_role(&mut self, index: u32, role: Role) -> Result<(), Fault> {
        let first = if role == Role::Upward { Role::Request } else { role };
        let known = *self.exchange(index)?.role.get_or_insert(first);
        if known == first { Ok(()) } else { Err(Fault::Violation(CloseCode::Fragment)) }
    }

    /// Finds the exchange of a flow that the peer sends, and adds it if the peer begins it; `None` if it is over.
    fn find_sent(&mut self, role: Role, seq: u64) -> Result<Option<u32>, Fault> {
        if !leads_forward(role) {
            return self.find_called(seq);
        }
        if self.peer.session.is_retired(seq) {
            return Ok(None);
        }
        let index = self.find_or_add(seq)?;
        self.fix_role(index, role)?;
        Ok(Some(index))
    }

    /// Finds a call of ours that the peer answers; `None` if it is over. What was never sent has no answer.
    fn find_called(&self, seq: u64) -> Result<Option<u32>, Fault> {
        let Some(index) = self.memory.find(self.index, Party::Us, seq) else {
            let is_over = seq < self.peer.session.next_seq;
            return if is_over { Ok(None) } else { Err(Fault::Violation(CloseCode::Exchange)) };
        };
        let is_called = self.memory.exchanges.at(index).sound()?.is_call() && self.was_sent(index)?;
        if is_called { Ok(Some(index)) } else { Err(Fault::Violation(CloseCode::Exchange)) }
    }

    /// Says whether a flow that arrives in one frame is what its exchange waits for, with nothing to keep but its octets: what nearly
    /// all frames of small calls are, so that their way is short (as the header prediction of Jacobson's TCP).
    fn is_predicted(&self, index: u32, lane: Lane, head: &Flow<'_>) -> Result<bool, Broken> {
        let exchange = self.memory.exchanges.at(index).sound()?;
        let is_awaited = match head.role() {
            Role::Message | Role::Request => exchange.stage == Stage::Arriving,
            Role::Reply => exchange.stage == Stage::Open && exchange.awaits(lane),
            Role::Ordered | Role::Upward | Role::Downward | Role::Unreliable | Role::Newest => false,
        };
        let is_first = exchange.flow(lane).is_none() && !Exchange::is_marked(exchange.done | exchange.stopped, lane);
        Ok(is_awaited && is_first && head.metadata().is_none())
    }

    /// Takes a flow that arrives in one frame and is predicted.
    fn take_entire(&mut self, index: u32, lane: Lane, octets: &[u8]) -> Result<(), Fault> {
        let body = self.take_octets(lane, octets)?;
        let incoming = Incoming::entire(index, octets.len() as u64, body, self.now);
        let flow = self.memory.incoming.insert(incoming).sound()?.index();
        let exchange = self.exchange(index)?;
        exchange.flows[lane as usize] = Some(flow);
        match (lane, exchange.is_call()) {
            (Lane::Backward, _) => self.on_reply(index, flow),
            (_, true) => self.on_request(index, flow),
            (_, false) => self.on_message(index),
        }
    }

    /// Takes octets that are a whole flow into memory, and charges them. There is room for the flow's record then.
    #[inline(always)]
    pub(super) fn take_octets(&mut self, lane: Lane, octets: &[u8]) -> Result<Option<Block>, Fault> {
        let len = octets.len();
        if len > self.config.message_len_max {
            return Err(Fault::Violation(CloseCode::Fragment));
        }
        if self.memory.incoming.len() >= self.memory.incoming.capacity() {
            return Err(self.no_room());
        }
        let charged = self.peer.session.charged_by_them.saturating_add(len as u64);
        if charged > self.peer.session.granted_by_us {
            return Err(Fault::Violation(CloseCode::Credit));
        }
        let is_reply = lane == Lane::Backward;
        let room = if is_reply { self.memory.alloc(len, Purpose::Take) } else { self.memory.admit(len, None) };
        let Some(body) = room else { return Err(self.no_room()) };
        if let Some(block) = body {
            self.memory.arena.bytes_mut(block).copy_from_slice(octets);
        }
        self.peer.session.charged_by_them = charged;
        Ok(body)
    }

    /// Finds or makes the flow that a fragment belongs to; `None` if nothing more is wanted of it.
    fn flow_for(&mut self, index: u32, lane: Lane, data: &Data<'_>) -> Result<Option<u32>, Fault> {
        let exchange = self.memory.exchanges.at(index).sound()?;
        let (kind, end) = extent(data);
        if let Some(flow) = exchange.flow(lane) {
            let incoming = self.memory.incoming.at(flow).sound()?;
            let agrees = incoming.kind == kind && (kind == Kind::Stream || incoming.end == end);
            let channel =
                if let Flow::Ordered { channel, position, .. } = data.flow { Some((channel, position)) } else { None };
            let known =
                exchange.channel.and_then(|(key, position)| Some((self.memory.channels.get(key)?.name, position)));
            if !agrees || channel != known {
                return Err(Fault::Violation(CloseCode::Fragment));
            }
            if !incoming.is_abandoned {
                return Ok(Some(flow));
            }
            return self.on_unwanted(index, lane, flow, data);
        }
        let is_marked = Exchange::is_marked(exchange.done | exchange.stopped, lane);
        let is_over = exchange.stage == Stage::Over;
        let is_wanted = match lane {
            Lane::Forward => exchange.stage == Stage::Arriving,
            Lane::Backward => exchange.awaits(lane) && matches!(exchange.stage, Stage::Open | Stage::Unknown),
            Lane::Upward => !is_over,
            Lane::Downward => exchange.awaits(lane),
        };
        if is_wanted && !is_marked {
            return self.begin_flow(index, lane, data);
        }
        if lane == Lane::Upward && !is_marked {
            // The call was answered before its stream began.
            self.stop_incoming(index, lane, ResetReason::NotWanted)?;
        }
        let exchange = self.memory.exchanges.at(index).sound()?;
        if Exchange::is_marked(exchange.stopped, lane) {
            // It began before our STOP arrived; a record is kept for its charge.
            let flow = self.begin_refused(index, lane, kind, end)?;
            return self.on_unwanted(index, lane, flow, data);
        }
        Ok(None)
    }

    /// Makes the flow of a first fragment, with all the memory that it will need.
    fn begin_flow(&mut self, index: u32, lane: Lane, data: &Data<'_>) -> Result<Option<u32>, Fault> {
        let (kind, end) = extent(data);
        let len = match (kind, end) {
            (Kind::Whole, Some(total)) if total <= self.config.message_len_max as u64 => total as usize,
            (Kind::Whole, _) => return Err(Fault::Violation(CloseCode::Fragment)),
            (Kind::Stream, _) => self.config.stream_window,
        };
        if let Flow::Ordered { channel, position, .. } = data.flow {
            let key = self.channel(channel, ChannelUse::Incoming)?;
            self.exchange(index)?.channel = Some((key, position));
        }
        if self.memory.incoming.len() >= self.memory.incoming.capacity() {
            return Err(self.no_room());
        }
        // Credit is charged by what arrives, and a stream of one octet reserves as much memory as any other.
        let is_counted = kind == Kind::Stream && lane.leads_forward();
        if is_counted && usize::from(self.peer.stream_count) >= self.config.stream_count_max {
            return self.refuse_stream(index, lane);
        }
        let room = match (kind, lane) {
            (Kind::Whole, Lane::Backward) => self.memory.alloc(len, Purpose::Take),
            (Kind::Whole, _) if self.is_next(index)? => self.memory.admit(len, None),
            _ => self.memory.alloc(len, Purpose::Arrive),
        };
        let body = match (room, kind) {
            (Some(body), Kind::Whole) => body,
            (Some(body @ Some(_)), Kind::Stream) => body,
            (None, Kind::Whole) => return Err(self.no_room()),
            // A stream holds its memory for long, so it is refused rather than made to wait.
            (None | Some(None), Kind::Stream) => return self.refuse_stream(index, lane),
        };
        let mut incoming = Incoming::new(index, kind, end.filter(|_| kind == Kind::Whole), body, self.now);
        incoming.own_body = if kind == Kind::Whole { OwnBody::new(len, self.config) } else { None };
        let flow = self.insert_flow(index, lane, incoming)?;
        self.memory.incoming.at_mut(flow).sound()?.is_counted = is_counted;
        self.peer.stream_count += u16::from(is_counted);
        Ok(Some(flow))
    }

    /// Says whether an exchange of the peer waits for no predecessor on its channel.
    fn is_next(&self, index: u32) -> Result<bool, Broken> {
        let Some((channel, position)) = self.memory.exchanges.at(index).sound()?.channel else { return Ok(true) };
        Ok(self.memory.channels.get(channel).sound()?.next == position)
    }

    /// Asks for the end of a stream that there is no room for. It stays unacknowledged, or its sender would take it for delivered.
    fn refuse_stream(&mut self, index: u32, lane: Lane) -> Result<Option<u32>, Fault> {
        self.stop_incoming(index, lane, ResetReason::NoRoom)?;
        Err(Fault::NoRoom)
    }

    /// Drops octets of a flow that was given up, on one of the two sides, but counts what they charge: should all of it have been
    /// sent when our STOP arrives, no RESET tells.
    fn on_unwanted(&mut self, index: u32, lane: Lane, flow: u32, data: &Data<'_>) -> Result<Option<u32>, Fault> {
        if let (Kind::Stream, _) = extent(data) {
            self.charge(flow, data.end())?;
        }
        let exchange = self.memory.exchanges.at(index).sound()?;
        match ResetReason::from_code(u64::from(exchange.reasons[lane as usize])) {
            // Nobody but this endpoint gave it up, so its sender must not hear that all of it has arrived.
            ResetReason::NoRoom | ResetReason::ProgressTimeout => Err(Fault::NoRoom),
            ResetReason::Cancelled | ResetReason::TooLarge | ResetReason::NotWanted => Ok(None),
        }
    }

    /// Makes a record without memory, to settle the charge of a flow that is not wanted.
    fn begin_refused(&mut self, index: u32, lane: Lane, kind: Kind, end: Option<u64>) -> Result<u32, Fault> {
        let mut incoming = Incoming::new(index, kind, end.filter(|_| kind == Kind::Whole), None, self.now);
        incoming.is_abandoned = true;
        self.insert_flow(index, lane, incoming)
    }

    fn insert_flow(&mut self, index: u32, lane: Lane, mut incoming: Incoming) -> Result<u32, Fault> {
        incoming.limit = self.config.stream_window as u64;
        let charge = if incoming.kind == Kind::Whole { incoming.end.unwrap_or(0) } else { 0 };
        let body = incoming.body;
        let Some(flow) = self.memory.incoming.insert(incoming).map(Key::index) else {
            if let Some(block) = body {
                self.memory.free_arrived(block);
            }
            return Err(Fault::NoRoom);
        };
        self.exchange(index)?.flows[lane as usize] = Some(flow);
        self.charge(flow, charge)?;
        Ok(flow)
    }

    /// Keeps what only the first octets of a request or reply say.
    fn keep_head(&mut self, flow: u32, head: &Flow<'_>) -> Result<(), Fault> {
        if let Flow::Reply { outcome: Some(outcome), .. } = head {
            self.memory.incoming.at_mut(flow).sound()?.status = outcome.status;
        }
        let Some(octets) = head.metadata().map(|metadata| metadata.as_octets()) else { return Ok(()) };
        if octets.len() > self.config.metadata_len_max {
            return Err(Fault::Violation(CloseCode::NotAllowed));
        }
        let incoming = self.memory.incoming.at(flow).sound()?;
        if incoming.metadata.is_none() {
            let room = if head.role() == Role::Reply {
                self.memory.alloc(octets.len(), Purpose::Complete)
            } else {
                self.memory.admit(octets.len(), incoming.body)
            };
            let Some(block) = room else { return Err(self.no_room()) };
            if let Some(block) = block {
                self.memory.arena.bytes_mut(block).copy_from_slice(octets);
            }
            self.memory.incoming.at_mut(flow).sound()?.metadata = block;
        }
        Ok(())
    }

    /// Puts a fragment where it belongs, and acts on what that completes.
    fn place(&mut self, index: u32, lane: Lane, flow: u32, data: &Data<'_>) -> Result<(), Fault> {
        let now = self.now;
        let (kind, end) = extent(data);
        let range = data.form.offset()..data.end();
        let incoming = self.memory.incoming.at_mut(flow).sound()?;
        incoming.admit(&range, end).map_err(fault)?;
        if kind == Kind::Stream {
            if range.end > incoming.limit {
                return Err(Fault::Violation(CloseCode::Credit));
            }
            self.charge(flow, range.end)?;
        }
        let incoming = self.memory.incoming.at_mut(flow).sound()?;
        let before = incoming.prefix;
        let held = incoming.beyond.count();
        // What fills the first hole, or leaves none, needs nothing of the pool.
        let holes = if range.start > before { self.holes_beside(held) } else { 0 };
        let incoming = self.memory.incoming.at_mut(flow).sound()?;
        incoming.put(&mut self.memory.arena, &mut self.memory.ranges, range.start, data.data, holes).map_err(fault)?;
        self.peer.run_count = self.peer.run_count - held + incoming.beyond.count();
        incoming.end = incoming.end.or(end);
        incoming.arrived_at = now;
        if incoming.awaits_octets() {
            // Given up when nothing comes for long; our own application's slowness does not count.
            self.peer.stalled_at.get_or_insert(now.saturating_add(self.config.progress_timeout));
        }
        let (is_complete, has_more) = (incoming.is_complete(), incoming.prefix > before || incoming.is_complete());
        match kind {
            Kind::Whole if is_complete => self.on_whole(index, lane, flow),
            Kind::Stream if has_more => {
                self.put_off_deadline(index)?;
                self.on_stream(index, lane, flow)
            }
            Kind::Whole | Kind::Stream => Ok(()),
        }
    }

    /// Returns how many holes a flow may have that has `held` runs beyond holes: one peer leaves most of the pool to the others.
    fn holes_beside(&self, held: u32) -> u32 {
        let hole_count_max = self.config.hole_count_max as u32;
        let quota = (self.memory.ranges.capacity() / QUOTA_SHARE).max(hole_count_max);
        hole_count_max.min(held + quota.saturating_sub(self.peer.run_count))
    }

    /// Acts on a whole flow that has arrived in full.
    fn on_whole(&mut self, index: u32, lane: Lane, flow: u32) -> Result<(), Fault> {
        let exchange = self.memory.exchanges.at(index).sound()?;
        // A repetition completes nothing: its flow is still held, and its exchange has moved on.
        match (lane, exchange.stage, exchange.is_call()) {
            (Lane::Backward, Stage::Open | Stage::Unknown, true) => self.on_reply(index, flow),
            (Lane::Forward, Stage::Arriving, true) => self.on_request(index, flow),
            (Lane::Forward, Stage::Arriving, false) => self.on_message(index),
            _ => Ok(()),
        }
    }

    /// Acts on octets of a stream that can be read.
    fn on_stream(&mut self, index: u32, lane: Lane, flow: u32) -> Result<(), Fault> {
        let exchange = self.memory.exchanges.at(index).sound()?;
        match (lane, exchange.stage) {
            (Lane::Forward, Stage::Arriving) => self.on_message(index),
            (Lane::Forward, Stage::Held) => Ok(()),
            _ => {
                self.memory.incoming.at_mut(flow).sound()?.is_announced = true;
                Ok(self.tell(index, News::READABLE << lane as u16)?)
            }
        }
    }

    /// Hands a message to the application when its channel's turn has come.
    fn on_message(&mut self, index: u32) -> Result<(), Fault> {
        let now = self.now;
        let Some((key, position)) = self.memory.exchanges.at(index).sound()?.channel else {
            self.exchange(index)?.enter(Stage::Ready, now);
            return Ok(self.tell(index, News::MESSAGE_RECEIVED)?);
        };
        let channel = self.memory.channels.get_mut(key).sound()?;
        if position < channel.next {
            return Err(Fault::Violation(CloseCode::Fragment));
        }
        Ok(self.hold_place(index, key, position)?)
    }

    /// Keeps a message, or the place of one that its sender gave up, until its turn on its channel.
    fn hold_place(&mut self, index: u32, key: Key, position: u64) -> Result<(), Broken> {
        let now = self.now;
        let channel = self.memory.channels.get_mut(key).sound()?;
        // Kept in order of position; what arrives is nearly always the last.
        let mut place = channel.held.back();
        while let Some(before) = place {
            let held = self.memory.exchanges.at(before).sound()?;
            if held.channel.is_some_and(|(_, held)| held < position) {
                break;
            }
            place = channel.held.previous(&self.memory.exchanges, before);
        }
        match place {
            Some(before) => channel.held.insert_after(&mut self.memory.exchanges, before, index),
            None => channel.held.push_front(&mut self.memory.exchanges, index),
        }
        self.exchange(index)?.enter(Stage::Held, now);
        self.release_held(key)
    }

    /// Hands over the messages of a channel whose turn has come.
    pub(super) fn release_held(&mut self, key: Key) -> Result<(), Broken> {
        loop {
            let channel = self.memory.channels.get_mut(key).sound()?;
            let Some(index) = channel.held.front() else { return Ok(()) };
            let exchange = self.memory.exchanges.at(index).sound()?;
            if exchange.channel.is_none_or(|(_, position)| position != channel.next) {
                return Ok(());
            }
            let flow = exchange.flow(Lane::Forward);
            channel.held.remove(&mut self.memory.exchanges, index);
            let now = self.now;
            let Some(flow) = flow else {
                channel.next += 1;
                self.exchange(index)?.enter(Stage::Over, now);
                self.finish(index)?;
                continue;
            };
            let is_stream = self.memory.incoming.at(flow).sound()?.kind == Kind::Stream;
            self.exchange(index)?.enter(Stage::Ready, now);
            self.tell(index, News::MESSAGE_RECEIVED)?;
            if is_stream {
                // The next one's turn comes when this one has been read to its end.
                return Ok(());
            }
            self.memory.channels.get_mut(key).sound()?.next += 1;
        }
    }

    /// Takes a message that may get lost: it is handed over at once, or dropped.
    fn on_unreliable(&mut self, data: &Data<'_>) -> Result<(), Fault> {
        if let Flow::Newest { key, order } = data.flow {
            let channel = match self.channel(key, ChannelUse::Newest) {
                Ok(channel) => self.memory.channels.get_mut(channel).sound()?,
                Err(Fault::NoRoom) => return Ok(()),
                Err(violation) => return Err(violation),
            };
            if order < channel.next {
                return Ok(());
            }
            channel.next = order.saturating_add(1);
        }
        let len = data.data.len();
        let is_over_quota = self.is_at_quota() || u64::from(self.peer.unnumbered_len) + len as u64 > self.config.credit;
        let is_full = self.memory.incoming.len() >= self.memory.incoming.capacity();
        if len > self.config.message_len_max || is_over_quota || is_full {
            return Ok(());
        }
        let Some(body) = self.memory.alloc(len, Purpose::Begin) else { return Ok(()) };
        // On the list of the peer's exchanges, so that it goes with the peer.
        let Some(index) = self.add_theirs(None, Stage::Ready) else {
            if let Some(block) = body {
                self.memory.arena.free(block);
            }
            return Ok(());
        };
        let mut incoming = Incoming::new(index, Kind::Whole, Some(len as u64), body, self.now);
        incoming.own_body = OwnBody::new(len, self.config);
        incoming.put(&mut self.memory.arena, &mut self.memory.ranges, 0, data.data, 0).map_err(fault)?;
        let flow = self.memory.incoming.insert(incoming).sound()?.index();
        self.peer.unnumbered_len += len as u32;
        self.exchange(index)?.flows[Lane::Forward as usize] = Some(flow);
        Ok(self.tell(index, News::MESSAGE_RECEIVED)?)
    }

    /// Keeps which procedure a request asks for.
    fn on_opening(&mut self, index: u32, procedure: Procedure) -> Result<(), Fault> {
        let description = self.resolve(&procedure)?;
        let exchange = self.exchange(index)?;
        match exchange.procedure {
            None => exchange.procedure = Some(description),
            Some(known) if known != description => return Err(Fault::Violation(CloseCode::FalseRetry)),
            Some(_) => {}
        }
        Ok(())
    }

    /// Returns what a request asks to be called; an alias is defined or looked up.
    pub(super) fn resolve(&mut self, procedure: &Procedure) -> Result<Description, Fault> {
        let aliases = &mut self.peer.conversation.aliases_in;
        match *procedure {
            Procedure::Alias(alias) => aliases.get(alias).copied().ok_or(Fault::Violation(CloseCode::Alias)),
            Procedure::Full { ref description, alias } => {
                if let Some(alias) = alias {
                    aliases.define(alias, description).map_err(|AliasRefused| Fault::Violation(CloseCode::Alias))?;
                }
                Ok(*description)
            }
        }
    }

    /// Looks whether the repetition of a request that is known is a repetition indeed (protocol §7.3).
    fn on_repetition(&mut self, index: u32, data: &Data<'_>) -> Result<(), Fault> {
        let exchange = self.memory.exchanges.at(index).sound()?;
        let is_known = matches!(exchange.stage, Stage::Queued | Stage::Running | Stage::Over);
        let is_request = data.flow.role() == Role::Request && data.form == Form::Entire;
        if is_request && is_known && exchange.fingerprint != 0 && exchange.fingerprint != fingerprint(data.data) {
            return Err(Fault::Violation(CloseCode::FalseRetry));
        }
        match exchange.flow(Lane::Backward) {
            // Who asks again has not got the reply, unless it is under way.
            Some(reply) if is_request && is_known => Ok(self.repeat_overdue(reply)?),
            _ => Ok(()),
        }
    }

    /// Takes the peer's word for which of its exchanges are retired (protocol §6.4).
    pub(super) fn on_retired(&mut self, retired: &Retired<'_>) -> Result<(), Fault> {
        let session = &mut self.peer.session;
        let low = retired.low.0;
        if low < session.low {
            return Ok(());
        }
        let (old_low, old_open) = (session.low, session.open.clone());
        let mut open = OpenList::EMPTY;
        for seq in retired.listed() {
            // What was retired once stays so, whatever a list that was overtaken says.
            if (seq.0 >= old_low || old_open.contains(seq.0)) && !open.push(seq.0) {
                return Err(Fault::Violation(CloseCode::Malformed));
            }
        }
        session.low = low;
        session.open.clone_from(&open);
        for seq in old_open.seqs() {
            if !open.contains(*seq) {
                self.retire(*seq)?;
            }
        }
        // Nothing of the peer has a number beyond the window, however high the watermark jumps.
        let high = low.min(old_low.saturating_add(self.config.exchange_window as u64));
        if high.saturating_sub(old_low) <= u64::from(self.peer.session.their_count) {
            for seq in (old_low..high).filter(|seq| !open.contains(*seq)) {
                self.retire(seq)?;
            }
            return Ok(());
        }
        // Our records are fewer than the peer's numbers: nobody makes us count.
        let mut place = self.peer.session.theirs.front();
        while let Some(index) = place {
            place = self.peer.session.theirs.next(&self.memory.exchanges, index);
            let seq = self.memory.exchanges.at(index).sound()?.seq;
            if let Some(seq) = seq.filter(|seq| (old_low..high).contains(seq) && !open.contains(*seq)) {
                self.retire(seq)?;
            }
        }
        Ok(())
    }

    fn retire(&mut self, seq: u64) -> Result<(), Fault> {
        let Some(index) = self.memory.find(self.index, Party::Them, seq) else { return Ok(()) };
        let exchange = self.exchange(index)?;
        exchange.is_retired = true;
        let stopped = exchange.stopped;
        for lane in [Lane::Forward, Lane::Upward] {
            // All of it was on its way when our STOP arrived: no RESET is to come.
            if Exchange::is_marked(stopped, lane) {
                self.remove_incoming(index, lane)?;
            }
        }
        let exchange = self.exchange(index)?;
        match exchange.stage {
            // The caller has its reply, or wants none.
            Stage::Over => {
                match exchange.brief {
                    Brief::No => self.remove_outgoing(index, Lane::Backward)?,
                    Brief::Settled => {}
                    Brief::Arrived | Brief::Queued | Brief::Carried => self.drop_brief(index)?,
                }
                return Ok(self.finish(index)?);
            }
            // A message or request of which the rest will never come.
            Stage::Arriving => {
                exchange.stage = Stage::Over;
                for lane in Lane::ALL {
                    if !self.exchange(index)?.is_outgoing(lane) {
                        self.remove_incoming(index, lane)?;
                    }
                }
            }
            // The handler or the application still holds it.
            Stage::Queued | Stage::Running | Stage::Held | Stage::Ready | Stage::Open | Stage::Unknown => {}
        }
        Ok(self.end_message(index)?)
    }

    /// Acts on RESET: the peer has given up a flow that it was sending to us.
    pub(super) fn on_reset(
        &mut self,
        role: Role,
        seq: u64,
        charge: u64,
        place: Option<(u64, u64)>,
    ) -> Result<(), Fault> {
        let Some(lane) = Lane::of(role) else { return Err(Fault::Violation(CloseCode::Malformed)) };
        let Some(index) = self.find_sent(role, seq)? else { return Ok(()) };
        self.spell_out(index)?;
        let exchange = self.memory.exchanges.at(index).sound()?;
        let known = exchange.channel.and_then(|(key, position)| Some((self.memory.channels.get(key)?.name, position)));
        if known.is_some() && known != place {
            return Err(Fault::Violation(CloseCode::Fragment));
        }
        // The reply of a one-way call is nothing that could end.
        let is_nothing = !lane.leads_forward() && exchange.flow(lane).is_none() && !exchange.awaits(lane);
        if Exchange::is_marked(exchange.done, lane) || is_nothing {
            return Ok(());
        }
        // All of it is here, and perhaps in use: there is nothing left to give up.
        if let Some(flow) = exchange.flow(lane)
            && self.memory.incoming.at(flow).sound()?.is_complete()
        {
            return Ok(());
        }
        let flow = match exchange.flow(lane) {
            Some(flow) => flow,
            None => self.insert_flow(index, lane, Incoming::new(index, Kind::Stream, None, None, self.now))?,
        };
        self.charge(flow, charge)?;
        let exchange = self.exchange(index)?;
        let (stage, was_stopped) = (exchange.stage, Exchange::is_marked(exchange.stopped, lane));
        // Of the streams beside a call the application knows before anything of them has arrived.
        let is_announced =
            self.memory.incoming.at(flow).sound()?.is_announced || matches!(lane, Lane::Upward | Lane::Downward);
        match (stage, lane) {
            (Stage::Held, Lane::Forward) => {
                // Its place on the channel remains, and is passed over.
                self.remove_incoming(index, lane)?;
                let (key, _) = self.exchange(index)?.channel.sound()?;
                return Ok(self.release_held(key)?);
            }
            (Stage::Arriving, Lane::Forward) => {
                self.remove_incoming(index, lane)?;
                return self.pass_over(index, place);
            }
            _ if is_announced && !was_stopped => {
                // The application learns it when it reads on.
                let incoming = self.memory.incoming.at_mut(flow).sound()?;
                incoming.is_abandoned = true;
                self.tell(index, News::READABLE << lane as u16)?;
                return Ok(());
            }
            (Stage::Open, Lane::Backward) => {
                self.remove_incoming(index, lane)?;
                self.end_call(index, Outcome::ReplyLost)?;
            }
            _ => self.remove_incoming(index, lane)?,
        }
        Ok(self.end_message(index)?)
    }

    /// Ends a message that its sender gave up before all of it arrived; its channel goes on without it.
    fn pass_over(&mut self, index: u32, place: Option<(u64, u64)>) -> Result<(), Fault> {
        if let Some((name, position)) = place {
            let key = self.channel(name, ChannelUse::Incoming)?;
            if position >= self.memory.channels.get(key).sound()?.next {
                self.exchange(index)?.channel = Some((key, position));
                return Ok(self.hold_place(index, key, position)?);
            }
        }
        self.exchange(index)?.stage = Stage::Over;
        Ok(self.finish(index)?)
    }

    /// Acts on STOP: the peer wants no more of a flow that we send.
    pub(super) fn on_stop(&mut self, role: Role, seq: u64, reason: u64) -> Result<(), Fault> {
        let Some(lane) = Lane::of(role) else { return Err(Fault::Violation(CloseCode::Malformed)) };
        let index = if leads_forward(role) {
            let Some(index) = self.memory.find(self.index, Party::Us, seq) else { return Ok(()) };
            index
        } else {
            if self.peer.session.is_retired(seq) {
                return Ok(());
            }
            self.find_or_add(seq)?
        };
        self.spell_out(index)?;
        let exchange = self.exchange(index)?;
        if exchange.flow(lane).is_none() {
            // Nothing of it was sent, and nothing will be: the RESET says so, so that the peer can settle. A call whose request has
            // been overtaken is not over for that.
            exchange.reasons[lane as usize] = ResetReason::NotWanted.code() as u8;
            return Ok(self.notice(index, Notices::RESET << lane as u16)?);
        }
        let is_our_first = exchange.begun_by == Party::Us && lane == Lane::Forward && exchange.stage == Stage::Open;
        let (is_call, is_one_way) = (exchange.is_call(), exchange.is_one_way());
        self.reset_outgoing(index, lane, ResetReason::from_code(reason))?;
        if self.exchange(index)?.flow(lane).is_none() {
            // Nothing of it was sent; the peer waits for its end all the same.
            self.notice(index, Notices::RESET << lane as u16)?;
        }
        if is_our_first && !is_call {
            self.exchange(index)?.stage = Stage::Over;
            self.tell(index, News::FAILED)?;
        } else if is_our_first && is_one_way && reason == ResetReason::ProgressTimeout.code() {
            // Its callee has refused it (protocol §6.5.3), and no reply says so.
            let why = NotExecuted::Refused(wire::NotExecuted::DeadlinePassed);
            self.end_call(index, Outcome::NotExecuted(why))?;
        }
        Ok(self.finish(index)?)
    }

    /// Takes credit for all flows.
    pub(super) fn on_credit(&mut self, limit: u64) {
        let session = &mut self.peer.session;
        session.granted_to_us = session.granted_to_us.max(limit);
    }

    /// Takes credit for one stream.
    pub(super) fn on_stream_credit(&mut self, role: Role, seq: u64, limit: u64) -> Result<(), Fault> {
        let Some(lane) = Lane::of(role) else { return Err(Fault::Violation(CloseCode::Malformed)) };
        let begun_by = if leads_forward(role) { Party::Us } else { Party::Them };
        let Some(index) = self.memory.find(self.index, begun_by, seq) else { return Ok(()) };
        self.spell_out(index)?;
        let Some(flow) = self.memory.exchanges.at(index).sound()?.flow(lane) else { return Ok(()) };
        let outgoing = self.memory.outgoing.at_mut(flow).sound()?;
        if outgoing.kind == Kind::Stream {
            outgoing.limit = outgoing.limit.max(limit);
            self.queue(flow)?;
        }
        Ok(())
    }

    /// Takes the peer's word for how many messages of a channel its application has taken.
    pub(super) fn on_taken(&mut self, name: u64, limit: u64) {
        let channels = &mut self.peer.session.channels;
        let found = channels.iter(&self.memory.channels).find(|index| {
            self.memory
                .channels
                .at(*index)
                .is_some_and(|channel| channel.name == name && channel.use_of == ChannelUse::Outgoing)
        });
        if let Some(channel) = found.and_then(|index| self.memory.channels.at_mut(index))
            && limit <= channel.next
            && limit > channel.taken
        {
            channel.taken = limit;
            channel.is_noticed = true;
            self.peer.news |= crate::peer::News::TAKEN;
        }
    }
}

/// The part of the runs beyond holes that one peer may take; a number we chose.
const QUOTA_SHARE: u32 = 8;

/// Says whether the one who began the exchange sends on a role.
fn leads_forward(role: Role) -> bool {
    Lane::of(role).is_some_and(Lane::leads_forward)
}

/// Returns whether a fragment is of a whole flow, and the end of the flow if it tells one.
fn extent(data: &Data<'_>) -> (Kind, Option<u64>) {
    match data.form {
        Form::Entire => (Kind::Whole, Some(data.data.len() as u64)),
        Form::Fragment { total, .. } => (Kind::Whole, Some(total)),
        Form::Stream { .. } => (Kind::Stream, None),
        Form::Last { .. } => (Kind::Stream, Some(data.end())),
    }
}

fn fault(refused: Refused) -> Fault {
    match refused {
        Refused::Contradiction => Fault::Violation(CloseCode::Fragment),
        Refused::NoRoom => Fault::NoRoom,
    }
}
