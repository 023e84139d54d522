//! Flows that we receive: reassembly of fragments in any order, into one piece of memory each.

use core::ops::Range;

use crate::outgoing::Kind;
use crate::own_body::OwnBody;
use crate::storage::{Arena, Block, RangePool, Ranges};
use crate::time::Instant;
use crate::wire::Status;

/// A flow that we receive.
///
/// A whole flow lies in a block of its length. A stream lies in a ring of the window's length, in which the octet at
/// offset `o` is at `o` modulo that length; the credit that was granted never reaches beyond the ring.
#[derive(Debug)]
pub struct Incoming {
    /// The index of its exchange.
    pub exchange: u32,
    /// Whole or stream; fixed by the first fragment.
    pub kind: Kind,
    /// The offset of its end: the total of a whole flow, or what the last fragment told.
    pub end: Option<u64>,
    /// Where its octets are; `None` while it has none.
    pub body: Option<Block>,
    /// Where those of them lie that have arrived without a gap, if not in the block.
    pub own_body: Option<OwnBody>,
    /// Octets that have arrived without a gap from the start.
    pub prefix: u64,
    /// The end of what has arrived, gaps or not.
    pub highest: u64,
    /// What has arrived beyond the first gap.
    pub beyond: Ranges,
    /// Octets that the application has read.
    pub read: u64,
    /// Octets charged to the credit that we granted.
    pub charged: u64,
    /// Octets of `charged` that we have granted again.
    pub returned: u64,
    /// The offset up to which we said a stream may send.
    pub limit: u64,
    /// When an octet last arrived.
    pub arrived_at: Instant,
    /// What a reply says before its octets.
    pub status: Status,
    /// The encoded metadata items.
    pub metadata: Option<Block>,
    /// Whether its sender gave it up.
    pub is_abandoned: bool,
    /// Whether it counts among the streams that its sender began.
    pub is_counted: bool,
    /// Whether the application was told of it.
    pub is_announced: bool,
}

/// Why a fragment was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It contradicts what arrived before (protocol §6.16.6).
    Contradiction,
    /// There is no room to note one hole more; sent again later, it may fit.
    NoRoom,
}

impl Incoming {
    /// Makes a flow of which nothing has arrived. A whole one has a body of `end` octets unless that is 0.
    #[must_use]
    pub const fn new(exchange: u32, kind: Kind, end: Option<u64>, body: Option<Block>, now: Instant) -> Self {
        Self {
            exchange,
            kind,
            end,
            body,
            own_body: None,
            prefix: 0,
            highest: 0,
            beyond: Ranges::EMPTY,
            read: 0,
            charged: 0,
            returned: 0,
            limit: 0,
            arrived_at: now,
            status: Status::Ok,
            metadata: None,
            is_abandoned: false,
            is_counted: false,
            is_announced: false,
        }
    }

    /// Makes a flow that has arrived at once, and lies in `body`.
    #[must_use]
    pub fn entire(exchange: u32, len: u64, body: Option<Block>, now: Instant) -> Self {
        Self { prefix: len, highest: len, charged: len, ..Self::new(exchange, Kind::Whole, Some(len), body, now) }
    }

    /// Says whether all of it has arrived.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.end == Some(self.prefix)
    }

    /// Says whether there is a gap in what has arrived.
    #[must_use]
    pub const fn has_hole(&self) -> bool {
        self.prefix < self.highest
    }

    /// Says whether octets are missing that its sender may send: a whole flow that is not complete, or a hole.
    #[must_use]
    pub fn awaits_octets(&self) -> bool {
        !self.is_abandoned
            && match self.kind {
                Kind::Whole => !self.is_complete(),
                Kind::Stream => self.has_hole(),
            }
    }

    /// Says whether a fragment may be put where it belongs, without changing anything.
    ///
    /// # Errors
    /// [`Refused::Contradiction`] if it ends beyond the end, or an end lies elsewhere than known or before something
    /// that has arrived.
    pub fn admit(&self, range: &Range<u64>, end: Option<u64>) -> Result<(), Refused> {
        let agrees = match (self.end, end) {
            (Some(known), Some(told)) => known == told,
            (None, Some(told)) => told >= self.highest,
            (_, None) => true,
        };
        let fits = self.end.or(end).is_none_or(|end| range.end <= end);
        if agrees && fits { Ok(()) } else { Err(Refused::Contradiction) }
    }

    /// Puts the octets of a fragment, which [`Incoming::admit`] let through and the credit covers, where they belong.
    ///
    /// Octets that were there already are compared and not written again; those that the application has read are
    /// not looked at.
    ///
    /// # Errors
    /// [`Refused::Contradiction`] if an octet differs from the one held; [`Refused::NoRoom`] if it would leave one hole
    /// more than `hole_count_max` or than the pool has room for. Nothing has changed then.
    pub fn put(
        &mut self,
        arena: &mut Arena<'_>,
        pool: &mut RangePool<'_>,
        offset: u64,
        octets: &[u8],
        hole_count_max: u32,
    ) -> Result<(), Refused> {
        let range = offset..offset + octets.len() as u64;
        let Some(block) = self.body.filter(|_| range.end > self.read) else { return Ok(()) };
        let is_next = range.start == self.prefix && !self.has_hole();
        let mut ring = Ring { kind: self.kind, memory: arena.bytes_mut(block), own_body: self.own_body.as_mut() };
        if is_next {
            // As it was sent: there is nothing to compare.
            ring.append(range.start, octets);
            (self.prefix, self.highest) = (range.end, range.end);
            return Ok(());
        }
        let part = |part: Range<u64>| &octets[(part.start - offset) as usize..(part.end - offset) as usize];
        let known = range.start.max(self.read)..range.end.min(self.prefix);
        if !known.is_empty() && !ring.holds(known.start, part(known.clone())) {
            return Err(Refused::Contradiction);
        }
        if !self.beyond.overlaps(pool, range.clone()).all(|held| ring.holds(held.start, part(held.clone()))) {
            return Err(Refused::Contradiction);
        }
        let fresh = range.start.max(self.prefix)..range.end;
        if fresh.is_empty() {
            return Ok(());
        }
        if fresh.start == self.prefix {
            ring.write(fresh.start, part(fresh.clone()));
            self.prefix = self.beyond.pop_front_if_contiguous(pool, fresh.end);
            ring.append(self.prefix, &[]);
        } else {
            self.beyond.insert(pool, fresh.clone(), hole_count_max).map_err(|_| Refused::NoRoom)?;
            ring.write(fresh.start, part(fresh.clone()));
        }
        self.highest = self.highest.max(range.end);
        Ok(())
    }

    /// Returns the octets of a whole flow that has arrived. Those of a stream are read: what else is in its memory may be anybody's.
    #[must_use]
    pub fn octets<'a>(&'a self, arena: &'a Arena<'_>) -> &'a [u8] {
        let own = self.own_body.as_ref().and_then(OwnBody::octets);
        match (self.kind, own, self.body) {
            (Kind::Whole, Some(own), _) => own,
            (Kind::Whole, None, Some(block)) => arena.bytes(block),
            (Kind::Stream, _, _) | (Kind::Whole, None, None) => &[],
        }
    }

    /// Takes the octets of a whole flow that has arrived: as they lie if they have memory of their own, and else a copy. There are
    /// none from here on, and the block is to be freed.
    #[cfg(feature = "bytes")]
    pub fn take(&mut self, arena: &Arena<'_>) -> (bytes::Bytes, Option<Block>) {
        let own_body = self.own_body.take_if(|own| own.octets().is_some());
        let octets = own_body.map_or_else(|| bytes::Bytes::copy_from_slice(self.octets(arena)), Into::into);
        (octets, self.body.take())
    }

    /// Copies what can be read from a stream into `out` and moves on; returns the number of octets.
    pub fn read(&mut self, arena: &Arena<'_>, out: &mut [u8]) -> usize {
        let Some(block) = self.body else { return 0 };
        let memory = arena.bytes(block);
        let len = (self.prefix - self.read).min(out.len() as u64) as usize;
        let start = (self.read % memory.len() as u64) as usize;
        let first = len.min(memory.len() - start);
        out[..first].copy_from_slice(&memory[start..start + first]);
        out[first..len].copy_from_slice(&memory[..len - first]);
        self.read += len as u64;
        len
    }
}

/// The memory of a flow, addressed by offset.
struct Ring<'a> {
    kind: Kind,
    memory: &'a mut [u8],
    own_body: Option<&'a mut OwnBody>,
}

impl Ring<'_> {
    fn start(&self, offset: u64) -> usize {
        match self.kind {
            Kind::Whole => offset as usize,
            Kind::Stream => (offset % self.memory.len() as u64) as usize,
        }
    }

    /// Writes what comes behind octets that lie without a gap.
    fn append(&mut self, offset: u64, octets: &[u8]) {
        if !self.own_body.as_mut().is_some_and(|own| own.push(self.memory, offset as usize, octets)) {
            self.write(offset, octets);
        }
    }

    fn write(&mut self, offset: u64, octets: &[u8]) {
        let start = self.start(offset);
        let first = octets.len().min(self.memory.len() - start);
        self.memory[start..start + first].copy_from_slice(&octets[..first]);
        self.memory[..octets.len() - first].copy_from_slice(&octets[first..]);
    }

    fn holds(&self, offset: u64, octets: &[u8]) -> bool {
        let start = self.start(offset);
        let own = self.own_body.as_ref().and_then(|own| own.octets()?.get(start..start + octets.len()));
        if let Some(own) = own {
            return own == octets;
        }
        let first = octets.len().min(self.memory.len() - start);
        self.memory[start..start + first] == octets[..first] && self.memory[..octets.len() - first] == octets[first..]
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::iter;

    use super::*;
    use crate::random::Random;
    use crate::storage::{RangeNode, Store};

    /// Teardrop and its kin: whatever fragments come in whatever order, the octets are those of the message, or the fragment that
    /// says otherwise is refused.
    #[test]
    fn all_orders_of_up_to_five_fragments_give_the_message_or_a_contradiction() {
        // Each of the ten ranges between the quarters of a message of 16 octets, true and false.
        let ranges: Vec<_> = (0..4).flat_map(|start| (start + 1..=4).map(move |end| 4 * start..4 * end)).collect();
        let kind_count = 2 * ranges.len();
        for length in 1..=5 {
            // With five fragments, only the first and the last may be false: else there are three million orders.
            for order in 0..kind_count.pow(length) {
                let kinds: Vec<_> = (0..length).map(|place| order / kind_count.pow(place) % kind_count).collect();
                let middle = kinds.get(1..kinds.len().saturating_sub(1)).unwrap_or(&[]);
                if length == 5 && middle.iter().any(|kind| *kind >= ranges.len()) {
                    continue;
                }
                with_flow(Kind::Whole, 16, |flow, arena, pool| {
                    let mut model = Model::default();
                    for kind in &kinds {
                        let range = ranges[kind % ranges.len()].clone();
                        let octets: Vec<_> =
                            range.clone().map(|at| octet(at) ^ u8::from(*kind >= ranges.len())).collect();
                        let result = flow.put(arena, pool, range.start, &octets, 4);
                        assert_eq!(result, model.put(range.start, &octets), "{kinds:?}");
                        assert_eq!(
                            (flow.prefix, flow.highest),
                            (model.prefix(), model.octets.len() as u64),
                            "{kinds:?}"
                        );
                    }
                    for (at, held) in model.octets.iter().enumerate() {
                        let place = if at < flow.prefix as usize {
                            flow.octets(arena)
                        } else {
                            arena.bytes(flow.body.unwrap())
                        };
                        assert!(held.is_none_or(|octet| place[at] == octet), "{kinds:?}");
                    }
                });
            }
        }
    }

    #[test]
    fn a_stream_is_read_as_it_was_written_whatever_the_order() {
        let mut random = Random::new([5; 32]);
        for _ in 0..2000 {
            with_flow(Kind::Stream, 48, |flow, arena, pool| {
                let mut model = Model::default();
                let mut read = 0;
                while read < 300 {
                    // The credit never reaches beyond the ring.
                    let start = read + random.below(48);
                    let len = random.below(read + 48 - start) + 1;
                    let octets: Vec<_> = (start..start + len).map(octet).collect();
                    if flow.put(arena, pool, start, &octets, 3) == Ok(()) {
                        model.put(start, &octets).unwrap();
                    }
                    assert_eq!(flow.prefix, model.prefix());
                    let mut out = [0; 20];
                    let count = flow.read(arena, &mut out[..random.below(20) as usize]);
                    assert!(out[..count].iter().copied().eq((read..).map(octet).take(count)));
                    read += count as u64;
                }
            });
        }
    }

    #[test]
    fn one_hole_more_than_allowed_changes_nothing() {
        with_flow(Kind::Whole, 16, |flow, arena, pool| {
            for start in [2, 6] {
                flow.put(arena, pool, start, &[octet(start)], 2).unwrap();
            }
            assert_eq!(flow.put(arena, pool, 10, &[octet(10)], 2), Err(Refused::NoRoom));
            assert_eq!(flow.highest, 7);
            flow.put(arena, pool, 7, &[octet(7)], 2).unwrap();
        });
    }

    /// What has arrived, octet by octet.
    #[derive(Default)]
    struct Model {
        octets: Vec<Option<u8>>,
    }

    impl Model {
        fn put(&mut self, start: u64, octets: &[u8]) -> Result<(), Refused> {
            let (start, end) = (start as usize, start as usize + octets.len());
            let held = self.octets.iter().skip(start);
            if held.zip(octets).any(|(held, octet)| held.is_some_and(|held| held != *octet)) {
                return Err(Refused::Contradiction);
            }
            self.octets.resize(self.octets.len().max(end), None);
            self.octets[start..end].iter_mut().zip(octets).for_each(|(place, octet)| *place = Some(*octet));
            Ok(())
        }

        fn prefix(&self) -> u64 {
            self.octets.iter().take_while(|octet| octet.is_some()).count() as u64
        }
    }

    fn octet(at: u64) -> u8 {
        (at * 7 + 1) as u8
    }

    /// Runs a test with a flow that lies in the arena and, if it may, with one in memory of its own.
    fn with_flow(kind: Kind, len: usize, mut test: impl FnMut(&mut Incoming, &mut Arena<'_>, &mut RangePool<'_>)) {
        let end = (kind == Kind::Whole).then_some(len as u64);
        for own_body in iter::once(None).chain(end.and_then(|_| own_body(len)).map(Some)) {
            let (mut region, mut tree, mut nodes) = ([0; 64], [0; 4], [RangeNode::EMPTY; 8]);
            let mut arena = Arena::new(Store::lent(&mut region), Store::lent(&mut tree), Store::lent(&mut []));
            let mut pool = RangePool::new(Store::lent(&mut nodes));
            let body = arena.alloc(len);
            let mut flow = Incoming { own_body, ..Incoming::new(0, kind, end, body, Instant::ORIGIN) };
            test(&mut flow, &mut arena, &mut pool);
        }
    }

    fn own_body(len: usize) -> Option<OwnBody> {
        let config = crate::Config {
            #[cfg(feature = "bytes")]
            own_body_len_min: 1,
            ..crate::Config::internet()
        };
        OwnBody::new(len, &config)
    }
}
