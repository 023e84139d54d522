//! Octets of messages, each in one piece.

use core::fmt;
use core::ops::Range;

use super::Store;
use super::pair::Pair;

/// Contiguous blocks of octets out of one region: buddy allocation, trimmed.
///
/// Space is counted in units of [`UNIT_LEN`](Self::UNIT_LEN) octets. A request takes the smallest power of two of
/// units that holds it, at a multiple of its size, and gives the units it does not need back at once: rounding costs
/// at most 63 octets a block.
///
/// # Cost
///
/// For an arena of u units:
///
/// - [`alloc`](Self::alloc) and [`free`](Self::free) of up to 1024 octets take constant time while sizes are steady:
///   a freed block waits on a list of its size for the next request of that size. How many wait at most, the caller
///   decides.
/// - Otherwise they are O(log u): one way down a tree and one up, each at most log2(u) + 1 steps.
/// - [`alloc_beside`](Self::alloc_beside) costs no more while one vacant block holds all that is to be left. Otherwise it
///   looks for each place, in at most log2(u) steps.
/// - A request that finds no room first has all waiting blocks put back, each in O(log u), and then tries once more.
///   Each of these steps was saved by the `free` that let the block wait.
/// - [`bytes`](Self::bytes) is a slice operation.
/// - Memory: the region, 2 octets a unit (3 %; up to 4 octets if u is not a power of two) for the tree, and 4 octets
///   for each block that may wait.
///
/// # Fragmentation
///
/// A request of N units, N a power of two, fails only if each of the u / N places for it has at least one unit in use.
/// A block of at most N units is in one place, so at least u / N requests of N units succeed, less one for each live
/// block of at most N units and less the places that larger blocks fill; whatever happened before. For requests of one
/// size this means that at least half of the arena is usable, all of it for powers of two. In the worst case, small
/// blocks spread by chance over all places leave no room for a large one: who mixes sizes and must not fail takes the
/// small ones by [`alloc_beside`](Self::alloc_beside), which keeps places for the large ones. Requests go to the fullest
/// part of the arena where they fit, which makes this rare.
pub struct Arena<'s> {
    region: Store<'s, u8>,
    /// A complete binary tree: node 1 is the root, nodes 2n and 2n + 1 are the halves of node n, the last level are
    /// the units. Holds 1 + the order of the largest wholly vacant block below the node, 0 if there is none. Nothing
    /// is known below a node that is in use as a whole: its content is that of a wholly vacant node, for its return.
    vacancies: Store<'s, u8>,
    /// The root's order: 2^height units are in the tree. Those beyond the region are in use for ever.
    height: u32,
    unit_count: u32,
    used_unit_count: u32,
    waiting: Waiting<'s>,
}

/// A piece of an [`Arena`]; 8 octets.
///
/// It is a name, not an owner: it can be copied, and is of no meaning once it was freed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Block(Pair);

/// Room for blocks to come, whatever else is in the arena: for `count` of `len` octets each.
///
/// A place is a vacant power of two of units, at a multiple of its size. A block of at most `len` octets takes one or is
/// within one; so where `count` places are left, `count` such blocks find room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    order: u32,
    count: u32,
    /// How a vacant block that holds all of them is written in the tree.
    vacancy_of_all: u8,
}

impl Places {
    /// No places.
    pub const NONE: Self = Self::new(0, 0);

    /// Makes a demand for `count` places of `len` octets each.
    ///
    /// # Panics
    /// If such a place has more than 2^31 units.
    #[must_use]
    pub const fn new(len: usize, count: u32) -> Self {
        let order = len.div_ceil(UNIT_LEN).next_power_of_two().ilog2();
        Self { order, count, vacancy_of_all: vacancy(order + order_of(count)) }
    }
}

/// Freed blocks that the tree still counts as used: a stack for each size up to `WAITING_SIZE_MAX`.
struct Waiting<'s> {
    /// Their starts, one stack after the other.
    starts: Store<'s, u32>,
    stacks: [Stack; WAITING_SIZE_MAX],
}

/// Places of starts that wait, from `bottom` up to `top`; there is room up to `end`.
#[derive(Clone, Copy, Default)]
struct Stack {
    bottom: usize,
    top: usize,
    end: usize,
}

impl Block {
    const fn new(start: u32, len: u32) -> Self {
        Self(Pair::new(start, len))
    }

    /// Returns the first unit.
    const fn start(self) -> u32 {
        self.0.high()
    }

    /// Returns the number of octets that were asked for.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.low() as usize
    }

    /// Says whether the block has no octets.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns as many octets in another place.
    const fn at(self, start: u32) -> Self {
        Self::new(start, self.0.low())
    }

    const fn unit_count(self) -> u32 {
        // Without a remainder, and with 64 bits, which do not overflow: asked three times a message.
        ((self.len() as u64 + UNIT_LEN as u64 - 1) >> UNIT_LEN.ilog2()) as u32
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("start", &self.start()).field("len", &self.len()).finish()
    }
}

impl<'s> Arena<'s> {
    /// Space is given out in multiples of this many octets: a cache line.
    pub const UNIT_LEN: usize = UNIT_LEN;

    /// Makes an arena in which all is vacant, out of a region and [`tree_len`](Self::tree_len) octets for the tree.
    ///
    /// Octets of the region beyond a multiple of [`UNIT_LEN`](Self::UNIT_LEN) are not used. `waiting` is shared
    /// evenly by the 16 sizes of blocks that may wait; it may be empty. As many blocks of a size should be able to
    /// wait as are freed in a row before the next are asked for.
    ///
    /// # Panics
    /// If the tree's store is too short, or the region has more than 2^31 units (128 GiB).
    #[must_use]
    pub fn new(region: Store<'s, u8>, tree: Store<'s, u8>, waiting: Store<'s, u32>) -> Self {
        assert!(tree.len() >= Self::tree_len(region.len()), "the tree needs Arena::tree_len octets");
        let unit_count = region.len() / UNIT_LEN;
        let mut arena = Self {
            height: height(unit_count),
            unit_count: unit_count as u32,
            used_unit_count: 0,
            region,
            vacancies: tree,
            waiting: Waiting::new(waiting),
        };
        let first_unit = 1 << arena.height;
        arena.vacancies[first_unit..first_unit + unit_count].fill(1);
        arena.vacancies[first_unit + unit_count..].fill(0);
        for node in (1..first_unit).rev() {
            arena.vacancies[node] = arena.vacancy_of_halves(node, arena.height - node.ilog2());
        }
        arena
    }

    /// Returns how many octets the tree of a region of `region_len` octets takes.
    ///
    /// # Panics
    /// If the region has more than 2^31 units (128 GiB).
    #[must_use]
    pub const fn tree_len(region_len: usize) -> usize {
        let unit_count = region_len / UNIT_LEN;
        assert!(unit_count <= 1 << 31, "an arena has at most 2^31 units");
        2 << height(unit_count)
    }

    /// Takes a block of `len` octets, whose content is whatever was there before.
    ///
    /// `None` if there is no contiguous room for it. A block of no octets takes no room.
    #[must_use]
    pub fn alloc(&mut self, len: usize) -> Option<Block> {
        self.alloc_beside(len, Places::NONE)
    }

    /// As [`alloc`](Self::alloc), but leaves places vacant: `None` if fewer than `spare` would be left.
    #[inline]
    #[must_use]
    pub fn alloc_beside(&mut self, len: usize, spare: Places) -> Option<Block> {
        let block = Block::new(0, u32::try_from(len).ok()?);
        let count = block.unit_count();
        if count == 0 {
            return Some(block);
        }
        // Mostly a block of this size waits, and one vacant block holds all that is to be left.
        if self.vacancies[1] >= spare.vacancy_of_all
            && let Some(start) = self.waiting.pop(count)
        {
            self.used_unit_count += count;
            return Some(block.at(start));
        }
        self.take_beside(block, spare)
    }

    /// Takes a block that must be cut out of the tree, or leave places that are not in one piece.
    #[inline(never)]
    fn take_beside(&mut self, block: Block, spare: Places) -> Option<Block> {
        let count = block.unit_count();
        let start = self.waiting.pop(count).or_else(|| self.take(count));
        let start = start.and_then(|start| self.leaving(spare, count, start)).or_else(|| {
            self.flush();
            self.take(count).and_then(|start| self.leaving(spare, count, start))
        })?;
        self.used_unit_count += count;
        Some(block.at(start))
    }

    /// Gives a block back, which must be one that [`alloc`](Self::alloc) returned, once.
    pub fn free(&mut self, block: Block) {
        let count = block.unit_count();
        if count == 0 {
            return;
        }
        debug_assert!(self.is_live(block), "{block:?} was freed before");
        self.used_unit_count = self.used_unit_count.saturating_sub(count);
        if !self.waiting.push(count, block.start()) {
            self.mark(block.start(), count, Use::Vacant);
        }
    }

    /// Makes a block hold `len` octets instead, of whatever content, if it takes as much room as before.
    #[must_use]
    pub const fn refit(&self, block: Block, len: usize) -> Option<Block> {
        if len == 0 || len > u32::MAX as usize {
            return None;
        }
        let refitted = Block::new(block.start(), len as u32);
        if refitted.unit_count() == block.unit_count() { Some(refitted) } else { None }
    }

    /// Returns the octets of a block.
    ///
    /// # Panics
    /// If the block is another arena's and reaches beyond this one.
    #[inline(always)]
    #[must_use]
    pub fn bytes_mut(&mut self, block: Block) -> &mut [u8] {
        debug_assert!(block.is_empty() || self.is_marked(block.start()), "{block:?} was freed");
        &mut self.region[range_of(block)]
    }

    /// Returns the octets of a block.
    ///
    /// # Panics
    /// If the block is another arena's and reaches beyond this one.
    #[inline(always)]
    #[must_use]
    pub fn bytes(&self, block: Block) -> &[u8] {
        debug_assert!(block.is_empty() || self.is_marked(block.start()), "{block:?} was freed");
        &self.region[range_of(block)]
    }

    /// Returns how many octets live blocks take, each rounded up to units.
    #[must_use]
    pub const fn used(&self) -> usize {
        self.used_unit_count as usize * UNIT_LEN
    }

    /// Returns how many octets there are in all.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.unit_count as usize * UNIT_LEN
    }

    /// Returns `start`, or puts the `count` units that were taken there back if too little is left beside them.
    fn leaving(&mut self, spare: Places, count: u32, start: u32) -> Option<u32> {
        // Mostly all of it is in one vacant block.
        let is_left = self.vacancies[1] >= spare.vacancy_of_all
            || self.count_vacant(1, self.height, spare.order, spare.count) >= spare.count;
        if !is_left {
            self.mark(start, count, Use::Vacant);
        }
        is_left.then_some(start)
    }

    /// Counts the vacant blocks of an order in a node of order `node_order`, up to `count_max`.
    fn count_vacant(&self, node: usize, node_order: u32, order: u32, count_max: u32) -> u32 {
        let largest = self.vacancies[node];
        if count_max == 0 || largest < vacancy(order) {
            return 0;
        }
        if largest == vacancy(node_order) {
            return count_max.min(1 << (node_order - order).min(31));
        }
        let left = self.count_vacant(2 * node, node_order - 1, order, count_max);
        left + self.count_vacant(2 * node + 1, node_order - 1, order, count_max - left)
    }

    /// Puts all waiting blocks back into the tree.
    fn flush(&mut self) {
        for count in 1..=WAITING_SIZE_MAX as u32 {
            while let Some(start) = self.waiting.pop(count) {
                self.mark(start, count, Use::Vacant);
            }
        }
    }

    /// Takes `count` units off the tree and returns the first.
    fn take(&mut self, count: u32) -> Option<u32> {
        let wanted = vacancy(order_of(count));
        if self.vacancies[1] < wanted {
            return None;
        }
        let mut node = 1;
        for _ in order_of(count)..self.height {
            // The fuller half that still has room, to keep large blocks whole; the left one if they are alike.
            let (left, right) = (self.vacancies[2 * node], self.vacancies[2 * node + 1]);
            let is_left = left >= wanted && (right < wanted || left <= right);
            node = if is_left { 2 * node } else { 2 * node + 1 };
        }
        let start = (node << order_of(count)) as u32 - (1 << self.height);
        self.mark(start, count, Use::Used);
        Some(start)
    }

    /// Marks the first `count` units of the block at `start`, whose size is the next power of two, and corrects the
    /// nodes above.
    fn mark(&mut self, start: u32, count: u32, usage: Use) {
        let mut order = order_of(count);
        let mut node = ((1 << self.height) + start as usize) >> order;
        let mut rest = count;
        // Down to the last of the blocks whose sizes are the binary digits of `count`.
        while rest < 1 << order {
            order -= 1;
            node *= 2;
            if rest > 1 << order {
                self.vacancies[node] = usage.vacancy(order);
                rest -= 1 << order;
                node += 1;
            }
        }
        self.vacancies[node] = usage.vacancy(order);
        while node > 1 {
            node /= 2;
            order += 1;
            let vacancy = self.vacancy_of_halves(node, order);
            // Above the block, a node that stays as it is hides the change from all nodes above.
            if vacancy == self.vacancies[node] && order > order_of(count) {
                return;
            }
            self.vacancies[node] = vacancy;
        }
    }

    /// Returns the vacancy of a node of the given order that follows from its halves.
    fn vacancy_of_halves(&self, node: usize, order: u32) -> u8 {
        let (left, right) = (self.vacancies[2 * node], self.vacancies[2 * node + 1]);
        let whole_half = vacancy(order - 1);
        if left == whole_half && right == whole_half { vacancy(order) } else { left.max(right) }
    }

    /// Says whether a block is neither vacant nor waiting; for assertions, as it cannot tell a block from its
    /// successor.
    fn is_live(&self, block: Block) -> bool {
        let count = block.unit_count();
        count == 0 || self.is_marked(block.start()) && !self.waiting.contains(count, block.start())
    }

    /// Says whether a unit is in use: whether it or a node above it is so as a whole.
    fn is_marked(&self, unit: u32) -> bool {
        let mut node = (1 << self.height) + unit as usize;
        let mut is_marked = self.vacancies[node] == 0;
        while node > 1 {
            node /= 2;
            is_marked |= self.vacancies[node] == 0;
        }
        is_marked
    }
}

/// What becomes of units that are marked.
#[derive(Clone, Copy)]
enum Use {
    Used,
    Vacant,
}

impl Use {
    /// Returns the vacancy of a node that is marked as a whole.
    const fn vacancy(self, order: u32) -> u8 {
        match self {
            Self::Used => 0,
            Self::Vacant => vacancy(order),
        }
    }
}

impl<'s> Waiting<'s> {
    /// Makes empty stacks that share `starts` evenly.
    fn new(starts: Store<'s, u32>) -> Self {
        let height = starts.len() / WAITING_SIZE_MAX;
        let mut stacks = [Stack::default(); WAITING_SIZE_MAX];
        for (stack, size_index) in stacks.iter_mut().zip(0..) {
            let bottom = size_index * height;
            *stack = Stack { bottom, top: bottom, end: bottom + height };
        }
        Self { starts, stacks }
    }

    /// Adds a block of `count` units, unless its stack is full or there is none for its size.
    fn push(&mut self, count: u32, start: u32) -> bool {
        let Some(stack) = self.stacks.get_mut(count as usize - 1).filter(|stack| stack.top < stack.end) else {
            return false;
        };
        self.starts[stack.top] = start;
        stack.top += 1;
        true
    }

    /// Takes the block of `count` units that was freed last: its octets are the likeliest to be in the cache.
    fn pop(&mut self, count: u32) -> Option<u32> {
        let stack = self.stacks.get_mut(count as usize - 1).filter(|stack| stack.top > stack.bottom)?;
        stack.top -= 1;
        self.starts.get(stack.top).copied()
    }

    fn contains(&self, count: u32, start: u32) -> bool {
        let stack = self.stacks.get(count as usize - 1);
        stack.is_some_and(|stack| self.starts[stack.bottom..stack.top].contains(&start))
    }
}

fn range_of(block: Block) -> Range<usize> {
    let start = block.start() as usize * UNIT_LEN;
    start..start + block.len()
}

/// Returns the order of the smallest block that holds `count` units.
const fn order_of(count: u32) -> u32 {
    count.next_power_of_two().ilog2()
}

/// Returns how a wholly vacant block of an order is written in the tree.
const fn vacancy(order: u32) -> u8 {
    order as u8 + 1
}

const fn height(unit_count: usize) -> u32 {
    unit_count.next_power_of_two().ilog2()
}

const UNIT_LEN: usize = 64;

/// Largest number of units for which freed blocks wait for a request of the same size. Our choice: it covers small
/// calls.
const WAITING_SIZE_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::random::Random;

    #[test]
    fn a_block_takes_no_more_than_its_units() {
        with_arena(64 * 16, |arena| {
            let block = arena.alloc(64 * 9).unwrap();
            assert_eq!((block.len(), arena.used()), (64 * 9, 64 * 9));
            // What is left of the sixteen units after nine is a block of one, of two and of four.
            for count in [4, 2, 1] {
                assert!(arena.alloc(64 * count).is_some());
            }
            assert_eq!(arena.alloc(1), None);
            assert_eq!(arena.used(), arena.capacity());
        });
    }

    #[test]
    fn one_octet_takes_a_unit_and_none_takes_nothing() {
        with_arena(64 * 2, |arena| {
            let (one, none) = (arena.alloc(1).unwrap(), arena.alloc(0).unwrap());
            assert_eq!(arena.used(), 64);
            assert!(none.is_empty());
            assert!(arena.bytes(none).is_empty());
            arena.free(none);
            arena.free(one);
            assert_eq!(arena.used(), 0);
        });
    }

    #[test]
    fn a_large_request_gets_what_small_blocks_left_waiting() {
        with_arena(64 * 64, |arena| {
            let blocks: Vec<_> = (0..64).map(|_| arena.alloc(32).unwrap()).collect();
            assert_eq!(arena.alloc(1), None);
            blocks.into_iter().for_each(|block| arena.free(block));
            let whole = arena.alloc(arena.capacity()).unwrap();
            assert_eq!(arena.bytes(whole).len(), 64 * 64);
        });
    }

    #[test]
    fn what_leaves_places_is_refused_where_it_would_take_one_of_them() {
        with_arena(64 * 16, |arena| {
            let spare = Places::new(64 * 4, 2);
            let blocks: Vec<_> = core::iter::from_fn(|| arena.alloc_beside(64 * 3, spare)).collect();
            assert_eq!(blocks.len(), 2);
            // Beside these there is room that is part of no place.
            assert!(arena.alloc_beside(64, spare).is_some());
            assert!(arena.alloc_beside(64, spare).is_some());
            assert_eq!(arena.alloc_beside(64, spare), None);
            assert_eq!(core::iter::from_fn(|| arena.alloc(64 * 4)).count(), 2);
            arena.free(blocks[0]);
            assert_eq!(arena.alloc_beside(64, spare), None, "the places are in use");
        });
    }

    /// Each of them waits in another place, and is of no use to those who leave it free.
    #[test]
    fn blocks_that_wait_take_no_place() {
        with_arena(64 * 64, |arena| {
            let blocks: Vec<_> = (0..64).map(|_| arena.alloc(64).unwrap()).collect();
            for block in blocks.into_iter().step_by(16) {
                arena.free(block);
            }
            assert_eq!(arena.alloc_beside(64, Places::new(64, 4)), None);
            assert!(arena.alloc_beside(64, Places::new(64, 3)).is_some());
        });
    }

    #[test]
    fn requests_of_one_size_fill_all_places_in_which_no_block_is_left() {
        let mut random = Random::new([6; 32]);
        with_arena(64 * 256, |arena| {
            let mut small: Vec<_> = (0..120).map(|_| arena.alloc(random.below(100) as usize).unwrap()).collect();
            while small.len() > 5 {
                arena.free(small.swap_remove(random.below(small.len() as u64) as usize));
            }
            let count = core::iter::from_fn(|| arena.alloc(64 * 9)).count();
            assert!(count >= 256 / 16 - small.len(), "each of the small blocks is in the way of one at most");
        });
    }

    #[test]
    fn an_arena_has_at_most_what_its_region_has() {
        for region_len in [0, 1, 63, 64, 127, 64 * 3 + 5, 64 * 100, 64 * 127] {
            with_arena(region_len, |arena| {
                assert_eq!(arena.capacity(), region_len / 64 * 64);
                assert_eq!(arena.alloc(arena.capacity() + 1), None);
                assert_eq!(arena.alloc(usize::MAX), None);
                let blocks: Vec<_> = core::iter::from_fn(|| arena.alloc(64)).collect();
                assert_eq!(blocks.len(), region_len / 64);
            });
        }
    }

    #[test]
    #[should_panic(expected = "was freed before")]
    fn freeing_twice_is_the_callers_bug() {
        with_arena(64 * 4, |arena| {
            let block = arena.alloc(64).unwrap();
            arena.free(block);
            arena.free(block);
        });
    }

    #[test]
    #[should_panic(expected = "was freed before")]
    fn freeing_a_large_block_twice_is_the_callers_bug() {
        with_arena(64 * 64, |arena| {
            let block = arena.alloc(64 * 40).unwrap();
            arena.free(block);
            arena.free(block);
        });
    }

    #[test]
    fn blocks_never_overlap_and_all_octets_come_back() {
        for (seed, unit_count) in [(1, 64), (2, 100), (3, 127), (4, 1_000), (5, 1_024)] {
            with_arena(64 * unit_count, |arena| {
                let mut random = Random::new([seed; 32]);
                let largest = largest_len(arena);
                let mut live: Vec<(Block, u8)> = Vec::new();
                // Which units a naive allocator would see in use.
                let mut is_used = vec![false; unit_count];
                for step in 0..5_000 {
                    let is_alloc = random.below(100) < if step % 1_000 < 500 { 70 } else { 40 };
                    if is_alloc {
                        let len = match random.below(3) {
                            0 => 32,
                            1 => random.below(2_000),
                            _ => random.below(64 * 64),
                        };
                        // Every second one leaves places, as a naive allocator would count them.
                        let drawn = (64 * random.below(20) as usize, random.below(6) as u32);
                        let (spare_len, spare_count) = if step % 2 == 0 { drawn } else { (0, 0) };
                        match arena.alloc_beside(len as usize, Places::new(spare_len, spare_count)) {
                            Some(block) => {
                                let mark = random.u64() as u8;
                                arena.bytes_mut(block).fill(mark);
                                for unit in units_of(block) {
                                    assert!(!core::mem::replace(&mut is_used[unit], true), "{block:?} overlaps");
                                }
                                live.push((block, mark));
                                let is_left = count_places(&is_used, spare_len) >= spare_count as usize;
                                assert!(is_left || block.is_empty(), "{spare_count} of {spare_len} are not left");
                            }
                            None => {
                                let is_full =
                                    count_places(&is_used, spare_len.max(len as usize)) <= spare_count as usize;
                                assert!(is_full, "{len} octets would fit beside {spare_count} of {spare_len}");
                            }
                        }
                    } else if !live.is_empty() {
                        let (block, mark) = live.swap_remove(random.below(live.len() as u64) as usize);
                        assert!(arena.bytes(block).iter().all(|octet| *octet == mark));
                        is_used[units_of(block)].fill(false);
                        arena.free(block);
                    }
                    assert_eq!(arena.used(), is_used.iter().filter(|used| **used).count() * 64);
                }
                live.into_iter().for_each(|(block, _)| arena.free(block));
                assert_eq!(arena.used(), 0);
                assert_eq!(largest_len(arena), largest);
                assert_eq!(core::iter::from_fn(|| arena.alloc(64)).count(), unit_count);
            });
        }
    }

    /// Runs `test` with an arena over memory that was never initialised to anything sensible.
    fn with_arena(region_len: usize, test: impl FnOnce(&mut Arena<'_>)) {
        let mut region = vec![0xAA; region_len];
        let mut tree = vec![0xAA; Arena::tree_len(region_len) + 3];
        let mut waiting = [0xAA; 16 * 4 + 3];
        test(&mut Arena::new(Store::lent(&mut region), Store::lent(&mut tree), Store::lent(&mut waiting)));
    }

    /// Counts the aligned runs of vacant units that hold `len` octets: what buddy allocation promises to find.
    fn count_places(is_used: &[bool], len: usize) -> usize {
        let size = len.div_ceil(64).next_power_of_two();
        is_used.chunks_exact(size).filter(|place| !place.contains(&true)).count()
    }

    /// Returns the length of the largest request that succeeds.
    fn largest_len(arena: &mut Arena<'_>) -> usize {
        let block = (0..=arena.capacity()).rev().step_by(64).find_map(|len| arena.alloc(len)).unwrap();
        arena.free(block);
        block.len()
    }

    fn units_of(block: Block) -> Range<usize> {
        block.start() as usize..(block.start() + block.unit_count()) as usize
    }
}
