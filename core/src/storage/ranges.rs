//! Which octets of a message are there.

use core::ops::Range;

use super::{NONE, Store, count_of};

/// Memory for the ranges of many [`Ranges`]; 24 octets for each range.
pub struct RangePool<'s> {
    nodes: Store<'s, RangeNode>,
    /// First of the chain of vacant nodes.
    vacant_head: u32,
}

/// Room for one range, public so that a caller can lend an array of them.
#[derive(Clone, Copy, Debug)]
pub struct RangeNode {
    start: u64,
    end: u64,
    next: u32,
}

/// A set of numbers kept as sorted half-open ranges with gaps between them; 12 octets.
///
/// The ranges are a chain of nodes of one [`RangePool`], which every method takes and which must always be the same.
/// Who drops a set without [`clear`](Self::clear) loses its nodes. For a set of n ranges, inserting at or behind the
/// last range takes constant time and elsewhere O(n), for which the caller sets the limit: a received fragment mostly
/// continues the last range, and a repeated one mostly fills one of the first gaps.
#[derive(Debug)]
pub struct Ranges {
    /// The first range's node.
    head: u32,
    /// The last range's node.
    tail: u32,
    count: u32,
}

/// What an insertion changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inserted {
    /// How many numbers of the range were not in the set before; 0 for a duplicate.
    pub added: u64,
}

/// One range more would be above the limit of the set or of the pool; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl core::fmt::Display for Full {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("no room for one range more")
    }
}

impl core::error::Error for Full {}

impl RangeNode {
    /// A node that holds no range.
    pub const EMPTY: Self = Self { start: 0, end: 0, next: NONE };
}

impl Default for RangeNode {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<'s> RangePool<'s> {
    /// Makes a pool in which all nodes are vacant.
    ///
    /// # Panics
    /// If there are more than 2^32 - 2 nodes.
    #[must_use]
    pub fn new(mut nodes: Store<'s, RangeNode>) -> Self {
        let count = count_of(&nodes);
        for (node, next) in nodes.iter_mut().zip(1..) {
            *node = RangeNode { next: if next < count { next } else { NONE }, ..RangeNode::EMPTY };
        }
        Self { nodes, vacant_head: if count > 0 { 0 } else { NONE } }
    }

    /// Returns how many ranges there is room for.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        count_of(&self.nodes)
    }

    /// Returns the first node of a chain; `None` if the chain is empty.
    fn node(&self, index: u32) -> Option<&RangeNode> {
        self.nodes.get(index as usize)
    }

    /// Takes a vacant node and fills it.
    fn take(&mut self, node: RangeNode) -> Result<u32, Full> {
        let index = self.vacant_head;
        let vacant = self.nodes.get_mut(index as usize).ok_or(Full)?;
        self.vacant_head = core::mem::replace(vacant, node).next;
        Ok(index)
    }

    /// Gives a chain of nodes back, from `head` to `tail`.
    fn give_back(&mut self, head: u32, tail: u32) {
        if let Some(node) = self.nodes.get_mut(tail as usize) {
            node.next = core::mem::replace(&mut self.vacant_head, head);
        }
    }
}

impl Ranges {
    /// The empty set.
    pub const EMPTY: Self = Self { head: NONE, tail: NONE, count: 0 };

    /// Adds `range`, joining it with every range that it overlaps or touches.
    ///
    /// The set holds at most `count_max` ranges afterwards. An empty range adds nothing.
    ///
    /// # Errors
    /// [`Full`] if that makes one range more, and `count_max` are there or the pool is empty. A range that joins
    /// another never fails.
    pub fn insert(&mut self, pool: &mut RangePool<'_>, range: Range<u64>, count_max: u32) -> Result<Inserted, Full> {
        if range.is_empty() {
            return Ok(Inserted { added: 0 });
        }
        let (previous, index) = self.place_of(pool, range.start);
        match pool.node(index) {
            Some(node) if node.start <= range.end => Ok(self.join(pool, index, range)),
            _ => {
                if self.count >= count_max {
                    return Err(Full);
                }
                let added = range.end - range.start;
                let vacant = pool.take(RangeNode { start: range.start, end: range.end, next: index })?;
                match pool.nodes.get_mut(previous as usize) {
                    Some(node) => node.next = vacant,
                    None => self.head = vacant,
                }
                if index == NONE {
                    self.tail = vacant;
                }
                self.count += 1;
                Ok(Inserted { added })
            }
        }
    }

    /// Takes the front ranges away if they reach `base`, the number up to which everything was taken, and returns how
    /// far everything is there: the end of what was taken away, or `base`.
    pub fn pop_front_if_contiguous(&mut self, pool: &mut RangePool<'_>, base: u64) -> u64 {
        let mut base = base;
        while let Some(RangeNode { start, end, next }) = pool.node(self.head).copied().filter(|node| node.start <= base)
        {
            debug_assert!(start < end);
            base = base.max(end);
            pool.give_back(self.head, self.head);
            self.head = next;
            self.count -= 1;
            if next == NONE {
                self.tail = NONE;
            }
        }
        base
    }

    /// Takes all ranges away, in constant time.
    pub fn clear(&mut self, pool: &mut RangePool<'_>) {
        pool.give_back(self.head, self.tail);
        *self = Self::EMPTY;
    }

    /// Says whether every number of `range` is in the set; an empty range is.
    #[must_use]
    pub fn contains(&self, pool: &RangePool<'_>, range: Range<u64>) -> bool {
        range.is_empty() || self.overlaps(pool, range.clone()).next() == Some(range)
    }

    /// Iterates over the parts of `range` that are in the set, in ascending order.
    pub fn overlaps(&self, pool: &RangePool<'_>, range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let Range { start, end } = range;
        self.iter_from(pool, self.place_of(pool, start).1)
            .take_while(move |held| held.start < end)
            .map(move |held| held.start.max(start)..held.end.min(end))
            .filter(|part| !part.is_empty())
    }

    /// Returns the first gap at or after `offset`: what is not in the set, up to the next range or `u64::MAX`.
    #[must_use]
    pub fn first_gap_after(&self, pool: &RangePool<'_>, offset: u64) -> Range<u64> {
        match pool.node(self.place_of(pool, offset).1) {
            None => offset..u64::MAX,
            Some(node) if offset < node.start => offset..node.start,
            Some(node) => node.end..pool.node(node.next).map_or(u64::MAX, |next| next.start),
        }
    }

    /// Iterates over the ranges in ascending order.
    pub fn iter(&self, pool: &RangePool<'_>) -> impl Iterator<Item = Range<u64>> {
        self.iter_from(pool, self.head)
    }

    /// Returns how many ranges the set has.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Says whether the set has no range.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the first node that ends at or after `start`, or `NONE`, and the node before it if that is the last.
    ///
    /// The node before is needed to link a range in front of the node that was found.
    fn place_of(&self, pool: &RangePool<'_>, start: u64) -> (u32, u32) {
        if let Some(tail) = pool.node(self.tail).filter(|tail| tail.end < start) {
            debug_assert_eq!(tail.next, NONE);
            return (self.tail, NONE);
        }
        // Nothing is ever linked in front of a range that starts before it, so its predecessor does not matter.
        if pool.node(self.tail).is_some_and(|tail| tail.start <= start) {
            return (NONE, self.tail);
        }
        let (mut previous, mut index) = (NONE, self.head);
        while let Some(node) = pool.node(index).filter(|node| node.end < start) {
            (previous, index) = (index, node.next);
        }
        (previous, index)
    }

    /// Joins `range` with the node at `index`, which it overlaps or touches, and with the nodes behind as far as it
    /// reaches.
    fn join(&mut self, pool: &mut RangePool<'_>, index: u32, range: Range<u64>) -> Inserted {
        let mut joined = pool.nodes[index as usize];
        let mut held_len = joined.end - joined.start;
        while let Some(next) = pool.node(joined.next).copied().filter(|next| next.start <= range.end) {
            held_len += next.end - next.start;
            pool.give_back(joined.next, joined.next);
            self.count -= 1;
            joined.end = next.end;
            joined.next = next.next;
        }
        joined.start = joined.start.min(range.start);
        joined.end = joined.end.max(range.end);
        pool.nodes[index as usize] = joined;
        if joined.next == NONE {
            self.tail = index;
        }
        Inserted { added: joined.end - joined.start - held_len }
    }

    fn iter_from(&self, pool: &RangePool<'_>, index: u32) -> impl Iterator<Item = Range<u64>> {
        core::iter::successors(pool.node(index), |node| pool.node(node.next)).map(|node| node.start..node.end)
    }
}

impl Default for Ranges {
    fn default() -> Self {
        Self::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::random::Random;

    #[test]
    fn neighbours_become_one_range() {
        let mut memory = [RangeNode::EMPTY; 4];
        let mut pool = RangePool::new(Store::lent(&mut memory));
        let mut ranges = Ranges::EMPTY;
        for (range, added) in [(10..20, 10), (30..40, 10), (20..30, 10), (5..50, 15), (5..50, 0), (7..7, 0)] {
            assert_eq!(ranges.insert(&mut pool, range, 4), Ok(Inserted { added }));
        }
        assert!(ranges.iter(&pool).eq(core::iter::once(5..50)));
    }

    #[test]
    fn a_refused_range_changes_nothing_and_one_that_joins_is_never_refused() {
        let mut memory = [RangeNode::EMPTY; 3];
        let mut pool = RangePool::new(Store::lent(&mut memory));
        let (mut ranges, mut others) = (Ranges::EMPTY, Ranges::EMPTY);
        ranges.insert(&mut pool, 0..1, 2).unwrap();
        ranges.insert(&mut pool, 4..5, 2).unwrap();
        assert_eq!(ranges.insert(&mut pool, 8..9, 2), Err(Full), "the set's limit");
        others.insert(&mut pool, 0..1, 9).unwrap();
        assert_eq!(ranges.insert(&mut pool, 2..3, 9), Err(Full), "the pool's limit");
        assert!(ranges.iter(&pool).eq([0..1, 4..5]));
        assert_eq!(ranges.insert(&mut pool, 1..4, 2), Ok(Inserted { added: 3 }));
        assert_eq!(others.insert(&mut pool, 2..3, 9), Ok(Inserted { added: 1 }), "the node is back in the pool");
    }

    #[test]
    fn the_whole_number_line_is_one_range() {
        let mut memory = [RangeNode::EMPTY; 2];
        let mut pool = RangePool::new(Store::lent(&mut memory));
        let mut ranges = Ranges::EMPTY;
        ranges.insert(&mut pool, u64::MAX - 1..u64::MAX, 2).unwrap();
        assert_eq!(ranges.insert(&mut pool, 0..u64::MAX, 2), Ok(Inserted { added: u64::MAX - 1 }));
        assert_eq!(ranges.pop_front_if_contiguous(&mut pool, 0), u64::MAX);
        assert!(ranges.is_empty());
    }

    #[test]
    fn any_sequence_of_operations_on_two_sets_agrees_with_arrays_of_flags() {
        const LEN: u64 = 64;
        let mut random = Random::new([5; 32]);
        let mut memory = [RangeNode::EMPTY; 12];
        let mut pool = RangePool::new(Store::lent(&mut memory));
        let mut sets = [Ranges::EMPTY, Ranges::EMPTY];
        let mut models = [[false; LEN as usize]; 2];
        let mut refused_count = 0;
        for _ in 0..40_000 {
            let which = random.below(2) as usize;
            let (set, model) = (&mut sets[which], &mut models[which]);
            let start = random.below(LEN);
            let end = start + random.below((LEN - start).min(6) + 1);
            let flags = start as usize..end as usize;
            match random.below(20) {
                0 => {
                    set.clear(&mut pool);
                    *model = [false; LEN as usize];
                }
                1 => {
                    let base = set.pop_front_if_contiguous(&mut pool, start);
                    while let Some(run) = runs(model).first().filter(|run| run.start <= start) {
                        model[run.start as usize..run.end as usize].fill(false);
                    }
                    assert!(base >= start);
                }
                _ => {
                    let added = model[flags.clone()].iter().filter(|flag| !**flag).count() as u64;
                    let mut wanted = *model;
                    wanted[flags].fill(true);
                    match set.insert(&mut pool, start..end, 8) {
                        Ok(inserted) => {
                            *model = wanted;
                            assert_eq!(inserted.added, added);
                        }
                        Err(Full) => {
                            refused_count += 1;
                            let count: usize = models.iter().map(|model| runs(model).len()).sum();
                            assert!(runs(&wanted).len() > 8 || count == 12);
                        }
                    }
                }
            }
            for (set, model) in sets.iter().zip(&models) {
                let runs = runs(model);
                assert!(set.iter(&pool).eq(runs.iter().cloned()));
                assert_eq!(set.count() as usize, runs.len());
                assert_eq!(set.contains(&pool, start..end), (start..end).all(|at| model[at as usize]));
                let held: Vec<u64> = set.overlaps(&pool, start..end).flatten().collect();
                assert!((start..end).filter(|at| model[*at as usize]).eq(held));
                let gap = set.first_gap_after(&pool, start);
                let first = (start..LEN).find(|at| !model[*at as usize]).unwrap_or(LEN);
                let end = (first..LEN).find(|at| model[*at as usize]).unwrap_or(u64::MAX);
                assert_eq!(gap, first..end);
            }
        }
        assert!(refused_count > 100, "the limits were reached");
    }

    /// Returns the runs of set flags.
    fn runs(model: &[bool]) -> Vec<Range<u64>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for (at, _) in (0..).zip(model).filter(|(_, flag)| **flag) {
            match runs.last_mut().filter(|run| run.end == at) {
                Some(run) => run.end = at + 1,
                None => runs.push(at..at + 1),
            }
        }
        runs
    }
}
