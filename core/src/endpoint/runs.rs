//! Frames that carry payload: runs of octets of messages, requests and replies.

use super::scope::Scope;
use super::sending::UNRELIABLE_OVERHEAD;
use super::transmit::Added;
use crate::aliases::AliasState;
use crate::exchange::Exchange;
use crate::lane::Lane;
use crate::memory::{Broken, Sound};
use crate::outgoing::{Kind, Outgoing};
use crate::peer;
use crate::sent::{Content, InDatagram, InFlow, Last, SentFrame};
use crate::storage::List;
use crate::time::NANOS_PER_MILLI;
use crate::wire::{
    self, Bare, Data, Extent, Flow, Form, Frame, Metadata, MetadataWriter, NoRoom, Opening, Procedure, Role, Seq,
    Status, Writer,
};

impl Scope<'_, '_> {
    /// Writes octets of a flow that were never sent.
    pub(super) fn write_fresh(
        &mut self,
        record: u32,
        flow: u32,
        writer: &mut Writer<'_>,
        may_cut: bool,
    ) -> Result<Added, Broken> {
        if !self.memory.has_frame_room() {
            return Ok(Added::Full);
        }
        let outgoing = self.memory.outgoing.at(flow).sound()?;
        if outgoing.sent == 0 && !outgoing.is_end_sent {
            if !self.may_begin(outgoing)? {
                return Ok(Added::Blocked);
            }
            if self.write_entire(flow, writer)? {
                self.dequeue(flow)?;
                self.carry_entire(record, flow)?;
                return Ok(Added::Yes);
            }
        }
        self.write_pieces(record, flow, writer, may_cut)
    }

    /// Writes octets of a flow that were never sent, as a run that is booked as a frame of its own.
    pub(super) fn write_pieces(
        &mut self,
        record: u32,
        flow: u32,
        writer: &mut Writer<'_>,
        may_cut: bool,
    ) -> Result<Added, Broken> {
        let outgoing = self.memory.outgoing.at(flow).sound()?;
        let offset = outgoing.sent;
        let (len, last) = outgoing.fresh_run(self.fresh_len_max(flow)?);
        if len == 0 && last == Last::No {
            return Ok(Added::Blocked);
        }
        // A message that may get lost is never cut (protocol §6.16.4).
        let is_cuttable = outgoing.exchange_is_numbered();
        let (index, total) = (outgoing.exchange, outgoing.len);
        let (written, last, alias) =
            match self.write_run(flow, Run { offset, len, last }, may_cut && is_cuttable, writer)? {
                Ok(written) => written,
                Err(Added::Full) if !is_cuttable && total + UNRELIABLE_OVERHEAD > self.path.mtu.current() as u64 => {
                    // The path's MTU has become too small for it.
                    self.on_unreliable_lost(index, Lane::Forward)?;
                    return Ok(Added::Yes);
                }
                Err(added) => return Ok(added),
            };
        let content = Content::Run { flow, offset, len: written, last, alias };
        let frame = self.add_frame(record, content)?;
        self.dequeue(flow)?;
        let outgoing = self.memory.outgoing.at_mut(flow).sound()?;
        outgoing.frames.push_back(&mut self.memory.frames, frame);
        outgoing.sent += u64::from(written);
        outgoing.is_end_sent = last == Last::Yes;
        let charge = match outgoing.kind {
            Kind::Whole => outgoing.len,
            Kind::Stream => outgoing.sent,
        };
        if outgoing.exchange_is_numbered() {
            self.peer.session.charged_by_us += charge - outgoing.charged;
            outgoing.charged = charge;
        }
        let has_charged_all = outgoing.kind == Kind::Whole || outgoing.is_end_sent;
        if outgoing.role == Role::Ordered && has_charged_all {
            self.pass_turn(index)?;
        }
        self.queue(flow)?;
        Ok(Added::Yes)
    }

    /// Writes a flow as one frame that says nothing but its octets, as the frames of nearly all small calls are; says whether it is
    /// such a flow, and fits.
    fn write_entire(&mut self, flow: u32, writer: &mut Writer<'_>) -> Result<bool, Broken> {
        let outgoing = self.memory.outgoing.at(flow).sound()?;
        let exchange = self.memory.exchanges.at(outgoing.exchange).sound()?;
        let Some(seq) = exchange.seq.map(Seq).filter(|_| outgoing.kind == Kind::Whole && outgoing.metadata.is_none())
        else {
            return Ok(false);
        };
        let octets = outgoing.run(&self.memory.arena, 0, outgoing.len as u32);
        let bare = if outgoing.role == Role::Message {
            Bare::Message { seq, octets }
        } else if outgoing.role == Role::Reply && outgoing.status == Status::Ok {
            Bare::Reply { seq, octets }
        } else if outgoing.role == Role::Request {
            let Some(alias) = self.brief_alias(exchange)? else { return Ok(false) };
            Bare::Request { seq, alias, octets }
        } else {
            return Ok(false);
        };
        Ok(bare.encode(writer).is_ok())
    }

    /// Books a flow as carried by a datagram, all of it in one frame.
    fn carry_entire(&mut self, record: u32, flow: u32) -> Result<(), Broken> {
        let outgoing = self.memory.outgoing.at_mut(flow).sound()?;
        let len = outgoing.len;
        (outgoing.sent, outgoing.is_end_sent, outgoing.datagram) = (len, true, record);
        self.peer.session.charged_by_us += len - core::mem::replace(&mut outgoing.charged, len);
        let datagram = self.memory.datagrams.at_mut(record).sound()?;
        <List<InDatagram>>::push_back(&mut datagram.flows, &mut self.memory.outgoing, flow);
        Ok(())
    }

    /// Writes a flow again that one frame had carried and that was lost: in such a frame, or in runs that are booked as others are.
    pub(super) fn write_lost_flow(&mut self, record: u32, flow: u32, writer: &mut Writer<'_>) -> Result<Added, Broken> {
        if self.write_entire(flow, writer)? {
            self.dequeue(flow)?;
            self.memory.leave_carrier(flow)?;
            self.carry_entire(record, flow)?;
            return Ok(Added::Yes);
        }
        if !self.memory.has_frame_room() {
            return Ok(Added::Full);
        }
        let outgoing = self.memory.outgoing.at(flow).sound()?;
        let carrier = Some(outgoing.datagram).filter(|_| outgoing.carried.is_linked());
        let content = Content::Run { flow, offset: 0, len: outgoing.len as u32, last: Last::Yes, alias: 0 };
        let frame = self.memory.frames.insert(SentFrame::new(content)).sound()?.index();
        self.dequeue(flow)?;
        self.memory.leave_carrier(flow)?;
        let outgoing = self.memory.outgoing.at_mut(flow).sound()?;
        outgoing.frames.push_back(&mut self.memory.frames, frame);
        if let Some(carrier) = carrier {
            // It may turn out that it has arrived after all.
            self.memory.frames.at_mut(frame).sound()?.datagram = carrier;
            self.link_to_datagram(carrier, frame)?;
        }
        self.peer.lost.push_back(&mut self.memory.frames, frame);
        self.write_lost(record, frame, writer)
    }

    /// Writes a frame that was lost again, or as much of it as fits.
    pub(super) fn write_lost(&mut self, record: u32, frame: u32, writer: &mut Writer<'_>) -> Result<Added, Broken> {
        if !self.memory.has_frame_room() {
            self.rejoin(frame)?;
        }
        let Content::Run { flow, offset, len, last, .. } = self.memory.frames.at(frame).sound()?.content else {
            return Err(Broken);
        };
        let run = writer.whole(|writer| match self.write_run(flow, Run { offset, len, last }, true, writer) {
            // The rest would need a frame of its own.
            Ok(Ok((written, ended, _)))
                if (written, ended) != (len, last) && self.memory.frames.vacancy().is_none() =>
            {
                Err(Ok(Added::Full))
            }
            Ok(Ok(run)) => Ok(run),
            Ok(Err(added)) => Err(Ok(added)),
            Err(broken) => Err(Err(broken)),
        });
        let (written, last_written, alias) = match run {
            Ok(run) => run,
            Err(unwritten) => return unwritten,
        };
        self.memory.leave_datagram(frame)?;
        self.peer.lost.remove(&mut self.memory.frames, frame);
        if written < len || last_written != last {
            // The rest is a frame of its own, lost as before.
            let rest = Content::Run { flow, offset: offset + u64::from(written), len: len - written, last, alias: 0 };
            let Some(key) = self.memory.frames.insert(SentFrame::new(rest)) else { return Err(Broken) };
            let outgoing = self.memory.outgoing.at_mut(flow).sound()?;
            <List<InFlow>>::insert_after(&mut outgoing.frames, &mut self.memory.frames, frame, key.index());
            self.peer.lost.push_front(&mut self.memory.frames, key.index());
        }
        let entry = self.memory.frames.at_mut(frame).sound()?;
        entry.content = Content::Run { flow, offset, len: written, last: last_written, alias };
        entry.datagram = record;
        self.link_to_datagram(record, frame)?;
        Ok(Added::Yes)
    }

    /// Joins a lost run with those that follow it and are lost as well: each time that something leaves less room for it, one is cut.
    fn rejoin(&mut self, frame: u32) -> Result<(), Broken> {
        loop {
            let entry = self.memory.frames.at(frame).sound()?;
            let Content::Run { flow, offset, len, last: Last::No, alias } = entry.content else { return Ok(()) };
            let next = self.memory.outgoing.at(flow).sound()?.frames.next(&self.memory.frames, frame);
            let Some((next, follower)) = next.and_then(|next| Some((next, self.memory.frames.at(next)?))) else {
                return Ok(());
            };
            let is_lost = follower.in_lost.is_linked();
            let Content::Run { offset: start, len: more, last, .. } = follower.content else { return Err(Broken) };
            if !is_lost || start != offset + u64::from(len) {
                return Ok(());
            }
            // An acknowledgement that comes late after all would be of one of them alone.
            self.memory.leave_datagram(frame)?;
            self.memory.drop_frame(&mut self.peer.lost, next)?;
            self.memory.frames.at_mut(frame).sound()?.content =
                Content::Run { flow, offset, len: len.saturating_add(more), last, alias };
        }
    }

    /// Returns how many octets more of a flow the session's credit covers.
    fn fresh_len_max(&self, flow: u32) -> Result<usize, Broken> {
        let outgoing = self.memory.outgoing.at(flow).sound()?;
        Ok(match outgoing.kind {
            // Charged as a whole before its first octet.
            Kind::Whole => usize::MAX,
            Kind::Stream => {
                let session = &self.peer.session;
                let left = session.granted_to_us.saturating_sub(session.charged_by_us);
                usize::try_from(left).unwrap_or(usize::MAX)
            }
        })
    }

    /// Says whether a flow of which nothing was sent may begin: the peer's window of exchanges and its credit must have room.
    pub(super) fn may_begin(&self, outgoing: &Outgoing) -> Result<bool, Broken> {
        if !outgoing.exchange_is_numbered() {
            return Ok(true);
        }
        let charge = match outgoing.kind {
            Kind::Whole => outgoing.len,
            Kind::Stream => 0,
        };
        Ok(self.has_leave(self.memory.exchanges.at(outgoing.exchange).sound()?, charge))
    }

    /// Says whether a flow of an exchange may begin that charges so many octets at once.
    pub(super) fn has_leave(&self, exchange: &Exchange, charge: u64) -> bool {
        let session = &self.peer.session;
        if session.charged_by_us.saturating_add(charge) > session.granted_to_us {
            return false;
        }
        if !exchange.is_outgoing(Lane::Forward) {
            return true;
        }
        let window = u64::from(self.peer.parameters.exchange_window);
        let is_in_window = exchange.seq.is_none_or(|seq| seq < session.low_sent.saturating_add(window));
        let is_held_back = self.peer.busy_until.is_some_and(|until| self.now < until);
        is_in_window && !is_held_back
    }

    /// Writes a data frame with at most a run's octets; returns how many, whether the flow ends with them, and the alias that the
    /// frame defines.
    pub(super) fn write_run(
        &mut self,
        flow: u32,
        run: Run,
        may_split: bool,
        writer: &mut Writer<'_>,
    ) -> Result<Result<(u32, Last, u16), Added>, Broken> {
        if run.offset > 0 || self.is_plain(flow)? {
            return self.write_run_with(None, flow, run, may_split, writer);
        }
        self.write_run_with_metadata(flow, run, may_split, writer)
    }

    /// As [`Scope::write_run`], for the first octets of a flow that has metadata. Apart, because the room to put them together is a
    /// kilobyte to be cleared.
    #[inline(never)]
    fn write_run_with_metadata(
        &mut self,
        flow: u32,
        run: Run,
        may_split: bool,
        writer: &mut Writer<'_>,
    ) -> Result<Result<(u32, Last, u16), Added>, Broken> {
        let mut scratch = [0; SCRATCH_LEN];
        let metadata = self.metadata_of(flow, &mut scratch)?;
        self.write_run_with(Some(metadata), flow, run, may_split, writer)
    }

    fn write_run_with(
        &mut self,
        metadata: Option<Metadata<'_>>,
        flow: u32,
        run: Run,
        may_split: bool,
        writer: &mut Writer<'_>,
    ) -> Result<Result<(u32, Last, u16), Added>, Broken> {
        let Run { offset, len, last } = run;
        let outgoing = self.memory.outgoing.at(flow).sound()?;
        let (kind, total) = (outgoing.kind, outgoing.len);
        let is_entire = kind == Kind::Whole && offset == 0 && u64::from(len) == total;
        let (head, alias) = self.head_of(flow, offset, metadata)?;
        let outgoing = self.memory.outgoing.at(flow).sound()?;
        if is_entire {
            let octets = outgoing.run(&self.memory.arena, offset, len);
            let data = Data { flow: head, form: Form::Entire, extent: Extent::Counted, data: octets };
            if Frame::Data(data).encode(writer).is_ok() {
                return Ok(Ok((len, Last::Yes, alias)));
            }
            // What fits into one datagram is not cut.
            let is_short = (len as usize) + HEAD_LEN_MAX < self.path.mtu.current();
            if is_short && writer.len() > QUIET_LEN_MAX {
                return Ok(Err(Added::Full));
            }
        }
        if !may_split {
            return Ok(Err(Added::Full));
        }
        let form = |last| match (kind, last) {
            (Kind::Whole, _) => Form::Fragment { offset, total },
            (Kind::Stream, Last::No) => Form::Stream { offset },
            (Kind::Stream, Last::Yes) => Form::Last { offset },
        };
        // A frame to the end of the datagram saves its length. Where the run ends so little before it that the length has no room,
        // the run is cut.
        let rest = Data { flow: head, form: form(last), extent: Extent::Rest, data: &[] };
        let counted = Data { extent: Extent::Counted, ..rest };
        let room = |data: &Data<'_>| data.data_len_max(writer.room()).unwrap_or(0);
        let (frame, room) = if (len as usize) < room(&rest) { (counted, room(&counted)) } else { (rest, room(&rest)) };
        let written = len.min(u32::try_from(room).unwrap_or(u32::MAX));
        if written < len && (written as usize) < FRAGMENT_LEN_MIN {
            return Ok(Err(Added::Full));
        }
        let last = if written == len { last } else { Last::No };
        let data = Data { form: form(last), data: outgoing.run(&self.memory.arena, offset, written), ..frame };
        Ok(match Frame::Data(data).encode(writer) {
            Ok(()) => Ok((written, last, alias)),
            Err(NoRoom) => Err(Added::Full),
        })
    }

    /// Makes what stands before the octets of a frame.
    fn head_of<'b>(
        &mut self,
        flow: u32,
        offset: u64,
        metadata: Option<Metadata<'b>>,
    ) -> Result<(Flow<'b>, u16), Broken> {
        let outgoing = self.memory.outgoing.at(flow).sound()?;
        let exchange = self.memory.exchanges.at(outgoing.exchange).sound()?;
        let seq = Seq(exchange.seq.unwrap_or(0));
        let mut alias = 0;
        let head = match outgoing.role {
            Role::Message => Flow::Message { seq },
            Role::Ordered => {
                let (key, position) = exchange.channel.sound()?;
                Flow::Ordered { seq, channel: self.memory.channels.get(key).sound()?.name, position }
            }
            Role::Request => {
                let opening = if offset == 0 {
                    let description = exchange.procedure.sound()?;
                    let procedure = self.name_procedure(&description);
                    if let Procedure::Full { alias: Some(name), .. } = procedure {
                        alias = name.get();
                    }
                    Some(Opening { procedure, metadata })
                } else {
                    None
                };
                Flow::Request { seq, opening }
            }
            Role::Reply => {
                let is_plain = outgoing.status == Status::Ok && metadata.is_none();
                let outcome = (offset == 0 && !is_plain)
                    .then(|| wire::Outcome { status: outgoing.status, metadata: metadata.unwrap_or(Metadata::EMPTY) });
                Flow::Reply { seq, outcome }
            }
            Role::Upward => Flow::Upward { seq },
            Role::Downward => Flow::Downward { seq },
            Role::Unreliable => Flow::Unreliable,
            Role::Newest => Flow::Newest { key: outgoing.newest.0, order: outgoing.newest.1 },
        };
        Ok((head, alias))
    }

    fn name_procedure(&mut self, description: &wire::Description) -> Procedure {
        let count_max = self.peer.parameters.alias_count_max;
        // In a hello nothing can be acknowledged one by one, so nothing is defined there.
        if matches!(self.peer.stage, peer::Stage::Opening(_)) {
            return Procedure::Full { description: *description, alias: None };
        }
        match self.peer.conversation.aliases_out.name(description, count_max) {
            Some((alias, AliasState::Known)) => Procedure::Alias(alias),
            Some((alias, AliasState::Offered)) => Procedure::Full { description: *description, alias: Some(alias) },
            None => Procedure::Full { description: *description, alias: None },
        }
    }

    /// Says whether a flow needs no metadata: the application gave none, and what is left of the deadline is what the procedure's
    /// description says.
    fn is_plain(&self, flow: u32) -> Result<bool, Broken> {
        let outgoing = self.memory.outgoing.at(flow).sound()?;
        let exchange = self.memory.exchanges.at(outgoing.exchange).sound()?;
        Ok(outgoing.metadata.is_none() && (outgoing.role != Role::Request || self.time_left(exchange)?.is_none()))
    }

    /// Returns how many microseconds are left of the deadline of a call, unless it is as many as the procedure's description says,
    /// in the milliseconds that it counts.
    pub(super) fn time_left(&self, exchange: &Exchange) -> Result<Option<u64>, Broken> {
        let told = u64::from(exchange.procedure.sound()?.timeout_millis) * NANOS_PER_MILLI;
        let Some(deadline) = exchange.deadline else { return Ok((told > 0).then_some(0)) };
        let left = deadline.as_nanos().saturating_sub(self.now.as_nanos()).max(1);
        let is_told = left <= told && told - left < NANOS_PER_MILLI;
        Ok((!is_told).then(|| left.div_ceil(1000)))
    }

    /// Puts together the metadata of a request or reply: what is left of the deadline, and what the application gave.
    fn metadata_of<'b>(&self, flow: u32, scratch: &'b mut [u8; SCRATCH_LEN]) -> Result<Metadata<'b>, Broken> {
        let outgoing = self.memory.outgoing.at(flow).sound()?;
        let given = outgoing.metadata.map_or(&[][..], |block| self.memory.arena.bytes(block));
        let mut metadata = MetadataWriter::new(scratch);
        if outgoing.role == Role::Request
            && let Some(left) = self.time_left(self.memory.exchanges.at(outgoing.exchange).sound()?)?
        {
            metadata.put_varint(wire::metadata::key::DEADLINE, left).map_err(|_| Broken)?;
        }
        for (key, value) in Metadata::decode(given).map_err(|_| Broken)?.items() {
            metadata.put(key, value).map_err(|_| Broken)?;
        }
        Ok(metadata.finish())
    }
}

/// Octets of a flow in a row.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) offset: u64,
    pub(super) len: u32,
    pub(super) last: Last,
}

/// A piece of a flow shorter than this goes into the next datagram, unless the flow ends with it.
pub(super) const FRAGMENT_LEN_MIN: usize = 64;
/// The longest head of a data frame without metadata: type, seq, offset, total, a procedure in full, length.
const HEAD_LEN_MAX: usize = 96;
/// A datagram no longer than this holds little more than a header and an acknowledgement.
pub(super) const QUIET_LEN_MAX: usize = 64;
/// The longest metadata that is sent, and a deadline.
const SCRATCH_LEN: usize = crate::config::METADATA_LEN_MAX + 16;
