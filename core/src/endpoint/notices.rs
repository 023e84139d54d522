//! Frames without payload that tell what has changed: credit, resets, stops, cancels, probes of calls.

use super::scope::Scope;
use super::transmit::Added;
use crate::exchange::{Exchange, Notices, Party, Stage};
use crate::lane::Lane;
use crate::memory::{Broken, Sound};
use crate::peer;
use crate::sent::Content;
use crate::session::ChannelUse;
use crate::time::{Instant, nanos};
use crate::token::resume_proof;
use crate::wire::{CallState, Frame, Role, Seq, Writer};

impl Scope<'_, '_> {
    /// Writes what is to be announced to the peer, as far as there is room.
    #[inline(always)]
    pub(super) fn write_peer_notices(&mut self, record: u32, writer: &mut Writer<'_>) -> Result<(), Broken> {
        if self.peer.notices == 0 { Ok(()) } else { self.write_wanted_notices(record, writer) }
    }

    #[inline(never)]
    fn write_wanted_notices(&mut self, record: u32, writer: &mut Writer<'_>) -> Result<(), Broken> {
        let mut wanted = self.peer.notices;
        if self.peer.is_undecided {
            wanted &= peer::Notices::OF_NO_SESSION;
        }
        if !self.may_announce() {
            wanted &= !(peer::Notices::RELIABLE | peer::Notices::TAKEN);
        }
        let mut sent = 0;
        if self.is_asking() {
            let session = self.peer.session.id;
            let proof = resume_proof(&self.peer.session.secret, self.peer.conversation.local);
            if wanted & peer::Notices::RESUME == 0 || (Frame::Resume { session, proof }).encode(writer).is_err() {
                // Nothing goes without it.
                return Ok(());
            }
            sent |= peer::Notices::RESUME;
        }
        // Before all else: it tells whose the rest is.
        let session = wanted & (peer::Notices::SESSION | peer::Notices::SETTLED);
        if session != 0 && Frame::Session(self.granted_session()).encode(writer).is_ok() {
            sent |= session;
        }
        if wanted & peer::Notices::CREDIT != 0 {
            let limit = self.peer.session.returned.saturating_add(self.config.credit);
            if (Frame::Credit { limit }).encode(writer).is_ok() {
                self.peer.session.granted_by_us = self.peer.session.granted_by_us.max(limit);
                sent |= peer::Notices::CREDIT;
            }
        }
        if wanted & peer::Notices::DRAIN != 0 && Frame::Drain.encode(writer).is_ok() {
            sent |= peer::Notices::DRAIN;
        }
        // Whoever has one datagram under way waits for each acknowledgement.
        let every = Frame::AckFrequency { count: 1, delay_micros: 0 };
        if wanted & peer::Notices::ACK_FREQUENCY != 0 && every.encode(writer).is_ok() {
            sent |= peer::Notices::ACK_FREQUENCY;
        }
        let busy = Frame::Busy { after_millis: nanos(self.config.busy_after) / 1_000_000 };
        if wanted & peer::Notices::BUSY != 0 && busy.encode(writer).is_ok() {
            self.peer.notices &= !peer::Notices::BUSY;
        }
        if wanted & peer::Notices::PING != 0 && Frame::Ping.encode(writer).is_ok() {
            self.peer.notices &= !peer::Notices::PING;
        }
        if sent != 0 && self.memory.has_frame_room() {
            self.peer.notices &= !sent;
            self.add_frame(record, Content::Peer { notices: sent })?;
        }
        if wanted & peer::Notices::TAKEN != 0 && self.write_taken(record, writer)? {
            self.peer.notices &= !peer::Notices::TAKEN;
        }
        Ok(())
    }

    /// Writes TAKEN of the channels that are marked; says whether none is left.
    fn write_taken(&mut self, record: u32, writer: &mut Writer<'_>) -> Result<bool, Broken> {
        let mut is_done = true;
        let mut place = self.peer.session.channels.front();
        while let Some(index) = place {
            place = self.peer.session.channels.next(&self.memory.channels, index);
            let key = self.memory.channels.key_of(index).sound()?;
            let channel = self.memory.channels.at(index).sound()?;
            if channel.use_of != ChannelUse::Incoming || !channel.is_noticed {
                continue;
            }
            let frame = Frame::Taken { channel: channel.name, limit: channel.taken };
            if !self.may_announce() || frame.encode(writer).is_err() {
                return Ok(false);
            }
            if !self.memory.has_frame_room() {
                is_done = false;
                continue;
            }
            self.memory.channels.at_mut(index).sound()?.is_noticed = false;
            self.add_frame(record, Content::Channel { channel: key })?;
        }
        Ok(is_done)
    }

    pub(super) fn write_exchange_notices(
        &mut self,
        record: u32,
        index: u32,
        writer: &mut Writer<'_>,
    ) -> Result<Added, Broken> {
        if !self.may_announce() {
            return Ok(Added::Blocked);
        }
        let wanted = self.notices_due(index)?;
        let exchange = self.memory.exchanges.at(index).sound()?;
        let seq = Seq(exchange.seq.sound()?);
        let mut sent = 0;
        for lane in Lane::ALL {
            for kind in [Notices::RESET, Notices::STOP, Notices::CREDIT] {
                let bit = kind << lane as u16;
                if wanted & bit != 0
                    && let Some(frame) = self.lane_frame(index, lane, kind, seq)?
                {
                    if frame.encode(writer).is_err() {
                        return Ok(Added::Full);
                    }
                    sent |= bit;
                }
            }
        }
        let exchange = self.memory.exchanges.at(index).sound()?;
        let calls = [
            (Notices::CANCEL, Frame::Cancel { seq }),
            (Notices::RESOLVE, Frame::Resolve { seq }),
            (Notices::ASK, Frame::Ask { seq }),
            (Notices::PROGRESS, progress_frame(exchange, seq, self.now)),
        ];
        for (bit, frame) in calls {
            if wanted & bit != 0 {
                if frame.encode(writer).is_err() {
                    return Ok(Added::Full);
                }
                sent |= bit;
            }
        }
        let key = self.memory.exchanges.key_of(index).sound()?;
        let is_booked = self.memory.has_frame_room();
        let exchange = self.exchange(index)?;
        exchange.notices &= if is_booked { !wanted } else { !wanted | sent & Notices::RELIABLE };
        let is_over = exchange.notices == 0;
        self.peer.noticed.remove(&mut self.memory.exchanges, index);
        if !is_over {
            self.peer.noticed.push_back(&mut self.memory.exchanges, index);
        }
        if is_booked && sent & Notices::RELIABLE != 0 {
            self.add_frame(record, Content::Exchange { exchange: key, notices: sent & Notices::RELIABLE })?;
        }
        Ok(Added::Yes)
    }

    /// Says whether what must arrive may be announced. Where it cannot be booked it goes with each probe, and remains due: what holds
    /// the frames may stay unacknowledged until it has arrived.
    fn may_announce(&self) -> bool {
        self.memory.has_frame_room() || self.peer.conversation.probes_due > 0
    }

    /// Returns what the peer may be told of an exchange: of one of ours nothing while its number lies beyond the peer's window, and
    /// nothing but its end before its beginning was sent.
    fn notices_due(&self, index: u32) -> Result<u16, Broken> {
        let exchange = self.memory.exchanges.at(index).sound()?;
        let window = u64::from(self.peer.parameters.exchange_window);
        Ok(match exchange.begun_by {
            Party::Us if exchange.seq.sound()? >= self.peer.session.low_sent.saturating_add(window) => 0,
            Party::Us if !self.was_sent(index)? => exchange.notices & Notices::RESET,
            Party::Us | Party::Them => exchange.notices,
        })
    }

    /// Makes the announcement about one lane of an exchange; `None` if it has become needless.
    fn lane_frame(&mut self, index: u32, lane: Lane, kind: u16, seq: Seq) -> Result<Option<Frame<'static>>, Broken> {
        let exchange = self.memory.exchanges.at(index).sound()?;
        let reason = u64::from(exchange.reasons[lane as usize]);
        let flow = exchange.flow(lane);
        let role = self.role_of(index, lane)?;
        Ok(match kind {
            Notices::RESET => {
                let charge = match flow {
                    Some(flow) => self.memory.outgoing.at(flow).sound()?.charged,
                    None => 0,
                };
                let place = match (role, exchange.channel) {
                    (Role::Ordered, Some((key, position))) => {
                        Some((self.memory.channels.get(key).sound()?.name, position))
                    }
                    _ => None,
                };
                Some(Frame::Reset { role, seq, reason, charge, place })
            }
            Notices::STOP => Some(Frame::Stop { role, seq, reason }),
            _ => match flow {
                Some(flow) => {
                    let incoming = self.memory.incoming.at_mut(flow).sound()?;
                    incoming.limit = incoming.read.saturating_add(self.config.stream_window as u64);
                    Some(Frame::StreamCredit { role, seq, limit: incoming.limit })
                }
                None => None,
            },
        })
    }

    fn role_of(&self, index: u32, lane: Lane) -> Result<Role, Broken> {
        let exchange = self.memory.exchanges.at(index).sound()?;
        Ok(match lane {
            Lane::Forward if exchange.role.is_some() => exchange.role.sound()?,
            Lane::Forward if exchange.is_call() => Role::Request,
            Lane::Forward if exchange.channel.is_some() => Role::Ordered,
            Lane::Forward => Role::Message,
            Lane::Backward => Role::Reply,
            Lane::Upward => Role::Upward,
            Lane::Downward => Role::Downward,
        })
    }
}

fn progress_frame(exchange: &Exchange, seq: Seq, now: Instant) -> Frame<'static> {
    let state = match exchange.stage {
        Stage::Arriving | Stage::Held => CallState::Unknown,
        Stage::Queued | Stage::Ready => CallState::Queued,
        Stage::Running => CallState::Running,
        Stage::Over | Stage::Open | Stage::Unknown => CallState::Done,
    };
    let elapsed_millis = nanos(now.saturating_since(exchange.since)) / 1_000_000;
    Frame::Progress { seq, state, elapsed_millis, progress: exchange.progress.checked_sub(1) }
}
