//! Streams that are written and read, and messages that are taken.

use super::request::{StreamError, Streamed};
use super::scope::Scope;
use crate::exchange::{Exchange, Notices, Stage as ExchangeStage};
use crate::ids::StreamId;
use crate::lane::Lane;
use crate::memory::{Broken, Sound};
use crate::outgoing::{self, Kind};
use crate::peer;

impl Scope<'_, '_> {
    pub(super) fn write(&mut self, flow: u32, octets: &[u8]) -> Result<Result<usize, StreamError>, Broken> {
        let base = self.base_of(flow)?;
        let outgoing = self.memory.outgoing.at_mut(flow).sound()?;
        if outgoing.is_reset {
            return Ok(Err(StreamError::Abandoned));
        }
        let outgoing::Body::Held(ring) = outgoing.body else { return Ok(Err(StreamError::Stale)) };
        if outgoing.is_ended || outgoing.kind == Kind::Whole {
            return Ok(Err(StreamError::Stale));
        }
        let capacity = ring.len() as u64;
        let room = capacity - (outgoing.len - base);
        let len = room.min(octets.len() as u64) as usize;
        let start = (outgoing.len % capacity) as usize;
        let first = len.min(capacity as usize - start);
        let memory = self.memory.arena.bytes_mut(ring);
        memory[start..start + first].copy_from_slice(&octets[..first]);
        memory[..len - first].copy_from_slice(&octets[first..len]);
        outgoing.len += len as u64;
        outgoing.has_waiting_writer = len < octets.len();
        self.queue(flow)?;
        Ok(Ok(len))
    }

    /// Returns the lowest offset of a stream that is not acknowledged.
    fn base_of(&self, flow: u32) -> Result<u64, Broken> {
        let outgoing = self.memory.outgoing.at(flow).sound()?;
        let Some(frame) = outgoing.frames.front() else { return Ok(outgoing.sent) };
        let crate::sent::Content::Run { offset, .. } = self.memory.frames.at(frame).sound()?.content else {
            return Err(Broken);
        };
        Ok(offset)
    }

    pub(super) fn read(
        &mut self,
        stream: StreamId,
        flow: u32,
        out: &mut [u8],
    ) -> Result<Result<Streamed, StreamError>, Broken> {
        let StreamId { exchange, lane } = stream;
        if self.exchange(exchange.index())?.is_outgoing(lane) {
            return Ok(Err(StreamError::Stale));
        }
        let incoming = self.memory.incoming.at_mut(flow).sound()?;
        let len = incoming.read(&self.memory.arena, out);
        let (is_abandoned, is_over) = (incoming.is_abandoned, incoming.end == Some(incoming.read));
        if is_abandoned {
            // A stream that we stopped ourselves stays until the RESET of its sender has settled its charge.
            if !Exchange::is_marked(self.exchange(exchange.index())?.stopped, lane) {
                self.remove_incoming(exchange.index(), lane)?;
                self.end_message(exchange.index())?;
            }
            return Ok(Err(StreamError::Abandoned));
        }
        if len > 0 {
            let incoming = self.memory.incoming.at_mut(flow).sound()?;
            incoming.returned += len as u64;
            let window = self.config.stream_window as u64;
            // A grant is worth a frame when it opens a quarter of the window.
            let is_worth_it = incoming.end.is_none() && incoming.read + window - incoming.limit >= window / 4;
            self.return_credit(len as u64);
            if is_worth_it {
                self.notice(exchange.index(), Notices::CREDIT << lane as u16)?;
            }
            return Ok(Ok(Streamed::Octets(len)));
        }
        if !is_over {
            return Ok(Ok(Streamed::Pending));
        }
        self.remove_incoming(exchange.index(), lane)?;
        self.end_message(exchange.index())?;
        Ok(Ok(Streamed::End))
    }

    /// Ends a message of the peer that was taken to its end, and lets its channel go on.
    pub(super) fn end_message(&mut self, index: u32) -> Result<(), Broken> {
        let now = self.now;
        let exchange = self.exchange(index)?;
        if exchange.stage == ExchangeStage::Ready && exchange.flow(Lane::Forward).is_none() {
            exchange.enter(ExchangeStage::Over, now);
            if let Some((key, position)) = exchange.channel {
                let channel = self.memory.channels.get_mut(key).sound()?;
                channel.taken = channel.taken.max(position + 1);
                channel.is_noticed = true;
                // A stream's successor waited for it to be read.
                channel.next = channel.next.max(position + 1);
                self.peer.notices |= peer::Notices::TAKEN;
                self.release_held(key)?;
            }
        }
        self.finish(index)
    }

    pub(super) fn release(&mut self, index: u32, flow: u32) -> Result<(), Broken> {
        let exchange = self.exchange(index)?;
        // Flows of the two directions are numbered apart.
        let holds = |lane: &Lane| exchange.flow(*lane) == Some(flow) && !exchange.is_outgoing(*lane);
        let lane = Lane::ALL.into_iter().find(holds).sound()?;
        if matches!(exchange.stage, ExchangeStage::Queued | ExchangeStage::Running) && lane == Lane::Forward {
            // The record stays for repetitions to be compared with; only the octets go.
            self.remove_incoming(index, lane)?;
            return Ok(());
        }
        self.remove_incoming(index, lane)?;
        self.end_message(index)
    }
}
