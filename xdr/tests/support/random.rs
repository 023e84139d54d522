//! Values and octets of chance, the same for the same seed.

use core::iter;

use posthaste_xdr::{Bounded, List, Quadruple, UnsignedChar, XdrString};

use super::everything::Everything;
use super::types::{File, FileType, Node, Number, NumberWide, Pair, Tree};

/// xorshift64*
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // A state of zero stays zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 32) as usize % bound
    }

    pub(crate) fn octets(&mut self, len: usize) -> Vec<u8> {
        iter::repeat_with(|| self.next() as u8).take(len).collect()
    }

    pub(crate) fn everything(&mut self) -> Everything {
        Everything {
            integers: (self.next() as i32, self.next() as u32, self.next() as i64, self.next()),
            shorts: (self.next() as i8, self.next() as i16, self.next() as u16, UnsignedChar(self.next() as u8)),
            truth: self.coin(),
            quadruple: Quadruple(self.array()),
            fixed_opaque: self.array(),
            opaque: self.up_to(99),
            text: self.vec(9, |random| char::from(random.next() as u8)).into_iter().collect(),
            names: self.vec(5, |random| Bounded(random.string(8))).into(),
            pairs: self.vec(9, Self::pair),
            triple: [self.number(), self.number(), self.number()],
            numbers: self.vec(30, |random| random.next() as u32),
            grid: [[self.next() as i32; 2], [self.next() as i32; 2], [self.next() as i32; 2]],
            maybe: self.coin().then(|| self.next()),
            file: self.coin().then(|| Box::new(self.file())),
            list: List(self.vec(20, |random| Node { value: random.next() as i32, name: random.string(8) })),
            tree: self.tree(4),
        }
    }

    fn pair(&mut self) -> Pair {
        // Any bits: a NaN has to stay what it is.
        let right = f64::from_bits(self.next());
        Pair { left: UnsignedChar(self.next() as u8), right, tag: self.array(), sure: self.coin() }
    }

    fn number(&mut self) -> Number {
        match self.below(4) {
            0 => Number::Wide(NumberWide::One, self.next() as i64),
            1 => Number::Wide(NumberWide::Two, self.next() as i64),
            2 => Number::Pair(Box::new(self.pair())),
            _ => Number::Default(-(self.below(1 << 30) as i32)),
        }
    }

    fn file(&mut self) -> File {
        let kind = match self.below(3) {
            0 => FileType::Text,
            1 => FileType::Data(self.string(255)),
            _ => FileType::Exec(self.string(255)),
        };
        File { filename: self.string(255), kind, owner: self.string(32), data: self.up_to(2000) }
    }

    fn tree(&mut self, depth_max: usize) -> Tree {
        let value = self.next() as i32;
        if depth_max == 0 {
            return Tree { value, left: None, children: Box::default() };
        }
        let left = self.coin().then(|| Box::new(self.tree(depth_max - 1)));
        Tree { value, left, children: self.vec(3, |random| random.tree(depth_max - 1)).into() }
    }

    fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.octets(N).try_into().expect("there are as many")
    }

    fn up_to(&mut self, len_max: usize) -> Vec<u8> {
        let len = self.below(len_max + 1);
        self.octets(len)
    }

    fn string(&mut self, len_max: usize) -> XdrString {
        self.up_to(len_max).into()
    }

    fn vec<T>(&mut self, count_max: usize, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(count_max + 1)).map(|_| item(self)).collect()
    }
}
