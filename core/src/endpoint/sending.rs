//! Messages and calls that are accepted for sending.

use super::request::{Body, Delivery, Reply, Request, SendError, Streams};
use super::scope::Scope;
use crate::exchange::{News, Party, Stage as ExchangeStage};
use crate::lane::Lane;
use crate::memory::{Broken, Purpose, Sound};
use crate::outgoing::{self, Kind, Outgoing};
use crate::peer::{PRIORITY_COUNT, Stage};
use crate::session::ChannelUse;
use crate::storage::{Block, Key};
use crate::time::{NANOS_PER_MILLI, nanos};
use crate::wire::varint::VARINT_MAX;
use crate::wire::{Description, Options, Role, Semantics};

impl Scope<'_, '_> {
    pub(super) fn send(
        &mut self,
        delivery: Delivery,
        priority: u8,
        kind: Kind,
        body: Body<'_>,
    ) -> Result<Result<Key, SendError>, Broken> {
        if let Delivery::Newest { key: name } | Delivery::Ordered { channel: name } = delivery
            && name > VARINT_MAX
        {
            return Ok(Err(SendError::OutOfRange));
        }
        let is_reliable = matches!(delivery, Delivery::Reliable | Delivery::Ordered { .. });
        if let Err(error) = self.check_body(&body, is_reliable) {
            return Ok(Err(error));
        }
        let mut channel = None;
        let role = match delivery {
            Delivery::Unreliable => Role::Unreliable,
            Delivery::Newest { .. } => Role::Newest,
            Delivery::Reliable => Role::Message,
            Delivery::Ordered { channel: name } => {
                let Ok(key) = self.channel(name, ChannelUse::Outgoing) else { return Ok(Err(SendError::Full)) };
                channel = Some((key, self.memory.channels.get(key).sound()?.next));
                Role::Ordered
            }
        };
        let Some((body, len)) = self.hold(body, kind) else { return Ok(Err(SendError::Full)) };
        let key = if is_reliable {
            self.begin()?
        } else {
            self.memory.add_exchange(self.index, Party::Us, None, ExchangeStage::Open, self.now)
        };
        let Some(key) = key else {
            self.let_go(body);
            return Ok(Err(SendError::Full));
        };
        self.exchange(key.index())?.channel = channel;
        if let Some((channel, _)) = channel {
            let channel = self.memory.channels.get_mut(channel).sound()?;
            channel.next += 1;
            channel.held.push_back(&mut self.memory.exchanges, key.index());
        }
        let newest = if let Delivery::Newest { key } = delivery {
            let order = self.peer.session.next_order;
            self.peer.session.next_order += 1;
            (key, order)
        } else {
            (0, 0)
        };
        if !is_reliable {
            self.peer.session.unnumbered.push_back(&mut self.memory.exchanges, key.index());
            if role == Role::Newest {
                self.drop_older(newest.0)?;
            }
        }
        let outgoing = Outgoing {
            body,
            len,
            newest,
            is_unreliable: !is_reliable,
            is_ended: kind == Kind::Whole,
            limit: self.stream_limit(kind),
            ..Outgoing::new(key.index(), role, kind, priority.min(PRIORITY_COUNT as u8 - 1))
        };
        self.add_outgoing(outgoing, Lane::Forward)?;
        Ok(Ok(key))
    }

    /// Drops what waits to be sent and is older than a newest-only message with the same key.
    fn drop_older(&mut self, key: u64) -> Result<(), Broken> {
        for priority in 0..PRIORITY_COUNT {
            let mut place = self.peer.begun[priority].front();
            while let Some(flow) = place {
                place = self.peer.begun[priority].next(&self.memory.outgoing, flow);
                let outgoing = self.memory.outgoing.at(flow).sound()?;
                if outgoing.role == Role::Newest && outgoing.newest.0 == key {
                    let exchange = outgoing.exchange;
                    self.remove_outgoing(exchange, Lane::Forward)?;
                    self.exchange(exchange)?.stage = ExchangeStage::Over;
                    self.tell(exchange, News::FAILED)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn call(&mut self, request: &mut Request<'_>) -> Result<Result<Key, SendError>, Broken> {
        if let Err(error) = self.check_body(&request.body, true) {
            return Ok(Err(error));
        }
        if request.metadata.len() > crate::config::METADATA_LEN_MAX {
            return Ok(Err(SendError::TooLarge { limit: crate::config::METADATA_LEN_MAX as u64 }));
        }
        let mut options = Options::new(request.semantics);
        if request.reply == Reply::Never {
            options = options.with_one_way();
        }
        if matches!(request.streams, Streams::Upward | Streams::Both) {
            options = options.with_upward();
        }
        if matches!(request.streams, Streams::Downward | Streams::Both) {
            options = options.with_downward();
        }
        let timeout_millis = u32::try_from(nanos(self.config.call_timeout) / NANOS_PER_MILLI).unwrap_or(u32::MAX);
        let Request { program, version, procedure, .. } = *request;
        let procedure = Description { program, version, procedure, timeout_millis, options };
        match self.call_briefly(request, &procedure)? {
            Some(key) => Ok(Ok(key)),
            None => self.call_by_flows(request, procedure),
        }
    }

    /// Begins a call that is not brief, or of which there is no telling yet.
    #[inline(never)]
    fn call_by_flows(
        &mut self,
        request: &mut Request<'_>,
        procedure: Description,
    ) -> Result<Result<Key, SendError>, Broken> {
        let has_upward = procedure.options.has_upward();
        let needed = 1 + u32::from(has_upward);
        if self.memory.outgoing.capacity() - self.memory.outgoing.len() < needed {
            return Ok(Err(SendError::Full));
        }
        let Some((body, len)) = self.hold(request.body.take(), Kind::Whole) else { return Ok(Err(SendError::Full)) };
        let Some(metadata) = self.memory.keep(request.metadata, Purpose::Begin) else {
            self.let_go(body);
            return Ok(Err(SendError::Full));
        };
        let upward = if has_upward { self.hold(Body::Copied(&[]), Kind::Stream).map(Some) } else { Some(None) };
        let key = if upward.is_some() { self.begin()? } else { None };
        let (key, upward) = match (key, upward) {
            (Some(key), Some(upward)) => (key, upward),
            (_, upward) => {
                self.let_go(body);
                self.let_go(metadata.map_or(outgoing::Body::Empty, outgoing::Body::Held));
                if let Some(Some((ring, _))) = upward {
                    self.let_go(ring);
                }
                return Ok(Err(SendError::Full));
            }
        };
        self.exchange(key.index())?.procedure = Some(procedure);
        let priority = request.priority.min(PRIORITY_COUNT as u8 - 1);
        let outgoing = Outgoing {
            body,
            len,
            metadata,
            is_unreliable: request.semantics == Semantics::Maybe,
            ..Outgoing::new(key.index(), Role::Request, Kind::Whole, priority)
        };
        self.add_outgoing(outgoing, Lane::Forward)?;
        if let Some((body, _)) = upward {
            let limit = self.stream_limit(Kind::Stream);
            let stream = Outgoing { body, limit, ..Outgoing::new(key.index(), Role::Upward, Kind::Stream, priority) };
            self.add_outgoing(stream, Lane::Upward)?;
        }
        let timeout = request.timeout.map(|timeout| if timeout.is_zero() { self.config.call_timeout } else { timeout });
        self.set_timeout(key.index(), timeout)?;
        self.count_open_call();
        Ok(Ok(key))
    }

    /// Returns up to which offset a stream may send before its receiver says more.
    fn stream_limit(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Whole => u64::MAX,
            Kind::Stream => u64::from(self.peer.parameters.stream_window),
        }
    }

    fn check_body(&self, body: &Body<'_>, is_reliable: bool) -> Result<(), SendError> {
        let is_known = matches!(self.peer.stage, Stage::Open);
        let limit = if !is_reliable {
            // With room for header, head and tag.
            self.path.mtu.current() as u64 - UNRELIABLE_OVERHEAD
        } else if is_known {
            u64::from(self.peer.parameters.message_len_max)
        } else {
            (self.memory.arena.capacity() / 2) as u64
        };
        if body.len() as u64 > limit { Err(SendError::TooLarge { limit }) } else { Ok(()) }
    }

    /// Takes what we begin into memory: octets, or an empty ring for a stream.
    fn hold(&mut self, body: Body<'_>, kind: Kind) -> Option<(outgoing::Body, u64)> {
        if self.memory.outgoing.len() >= self.memory.outgoing.capacity() {
            return None;
        }
        if kind == Kind::Stream {
            let ring = self.memory.alloc(self.config.stream_window, Purpose::Begin)??;
            return Some((outgoing::Body::Held(ring), 0));
        }
        let len = body.len() as u64;
        Some((self.keep(body, Purpose::Begin)?, len))
    }

    /// Takes octets into memory: a copy, or a share.
    ///
    /// Always inlined: a call and its reply come by here, and mostly it is known by then where the octets are.
    #[inline(always)]
    pub(super) fn keep(&mut self, body: Body<'_>, purpose: Purpose) -> Option<outgoing::Body> {
        #[cfg(feature = "bytes")]
        if let Body::Shared(octets) = body {
            // What we begin is held as long as we like. How many replies are held is up to those who call and do not
            // acknowledge, so they count as if they were copied.
            let charge = if purpose == Purpose::Begin { None } else { self.memory.alloc(octets.len(), purpose)? };
            return Some(outgoing::Body::Shared { octets, charge });
        }
        Some(self.keep_copy(&body, purpose)?.map_or(outgoing::Body::Empty, outgoing::Body::Held))
    }

    /// Takes a copy of octets into memory.
    #[inline(always)]
    pub(super) fn keep_copy(&mut self, body: &Body<'_>, purpose: Purpose) -> Option<Option<Block>> {
        let block = self.memory.alloc(body.len(), purpose)?;
        if let Some(block) = block {
            body.write(self.memory.arena.bytes_mut(block));
        }
        Some(block)
    }

    pub(super) fn let_go(&mut self, body: outgoing::Body) {
        self.memory.free_octets(body, None);
    }
}

/// Room for header, head and tag of a datagram with one unreliable message.
pub(super) const UNRELIABLE_OVERHEAD: u64 = 64;
