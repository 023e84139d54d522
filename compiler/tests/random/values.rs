//! Random values, as their octets (RFC 4506).

use std::env;

use posthaste_compiler::model::{Bound, Definition, Model, Primitive, Type};

/// SplitMix64: a small generator with known sequences.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Starts with `POSTHASTE_SEED`, or elsewhere in each run, and says where.
    pub(crate) fn of_this_run() -> Self {
        let seed = env::var("POSTHASTE_SEED");
        let seed = seed.map_or_else(|_| u64::from(std::process::id()), |seed| seed.parse().expect("it is a number"));
        println!("POSTHASTE_SEED={seed}");
        Self::new(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Draws a number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn of<'t, T: ?Sized>(&mut self, things: &[&'t T]) -> &'t T {
        things[self.below(things.len() as u64) as usize]
    }
}

/// The octets of a value, and where there are counts in them.
#[derive(Debug, Default)]
pub(crate) struct Value {
    pub(crate) octets: Vec<u8>,
    pub(crate) counts: Vec<Counted>,
}

/// A word that says how many octets or elements follow it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) offset: usize,
    pub(crate) count: u32,
    pub(crate) count_max: u32,
}

impl Value {
    /// Draws a value.
    pub(crate) fn random(model: &Model, ty: &Type, random: &mut Random) -> Self {
        let mut value = Self::default();
        append(model, ty, random, 0, &mut value);
        value
    }

    fn count(&mut self, count: u32, bound: &Bound) {
        self.counts.push(Counted { offset: self.octets.len(), count, count_max: bound.max });
        self.octets.extend(count.to_be_bytes());
    }
}

fn append(model: &Model, ty: &Type, random: &mut Random, depth: u32, value: &mut Value) {
    let out = &mut value.octets;
    match ty {
        Type::Void => {}
        Type::Primitive(primitive) => random_primitive(*primitive, random, out),
        Type::OpaqueFixed(len) => random_octets(*len as usize, random, out),
        Type::Opaque(bound) | Type::String(bound) => {
            let len = random.below(u64::from(bound.max.min(9)) + 1) as u32;
            value.count(len, bound);
            let out = &mut value.octets;
            let start = out.len();
            random_octets(len as usize, random, out);
            if let Type::String(_) = ty {
                // To C, a string ends at a zero.
                out[start..][..len as usize].iter_mut().for_each(|octet| *octet = (*octet).max(1));
            }
        }
        Type::Array { element, count } => {
            (0..*count).for_each(|_| append(model, element, random, depth + 1, value));
        }
        Type::Vector { element, bound } => {
            let is_open = depth < DEPTH_MAX;
            let count = if is_open { random.below(u64::from(bound.max.min(3)) + 1) as u32 } else { 0 };
            value.count(count, bound);
            (0..count).for_each(|_| append(model, element, random, depth + 1, value));
        }
        Type::Optional(target) => {
            let is_there = depth < DEPTH_MAX && !random.one_in(3);
            out.extend(u32::from(is_there).to_be_bytes());
            if is_there {
                append(model, target, random, depth + 1, value);
            }
        }
        Type::Named(id) => match &model[*id].definition {
            Definition::Enum(it) => {
                let member = &it.members[random.below(it.members.len() as u64) as usize];
                out.extend(member.value.to_be_bytes());
            }
            Definition::Struct(it) => {
                it.fields.iter().for_each(|field| append(model, &field.ty, random, depth + 1, value));
            }
            Definition::Alias(target) => append(model, target, random, depth, value),
            Definition::Union(it) => {
                let mut arms: Vec<(i64, &Type)> = Vec::new();
                for arm in &it.arms {
                    arms.extend(arm.cases.iter().map(|case| (case.value, &arm.ty)));
                }
                if let Some(default) = &it.default {
                    let others = others(model, &it.discriminant_type, random);
                    let free = others.into_iter().find(|value| arms.iter().all(|(taken, _)| taken != value));
                    arms.extend(free.map(|value| (value, &default.ty)));
                }
                if depth >= DEPTH_MAX {
                    // There is an end to every type: the arms that cannot go on for ever, or else the shortest.
                    let is_finite = |ty: &Type| model.size(ty).max.is_some();
                    let shortest = arms.iter().map(|(_, ty)| model.size(ty).min).min().unwrap();
                    match arms.iter().any(|(_, ty)| is_finite(ty)) {
                        true => arms.retain(|(_, ty)| is_finite(ty)),
                        false => arms.retain(|(_, ty)| model.size(ty).min == shortest),
                    }
                }
                let (discriminant, ty) = arms[random.below(arms.len() as u64) as usize];
                out.extend((discriminant as u32).to_be_bytes());
                append(model, ty, random, depth + 1, value);
            }
        },
    }
}

/// Returns values that a discriminant may have.
fn others(model: &Model, ty: &Type, random: &mut Random) -> Vec<i64> {
    let resolved = model.resolve(ty);
    if let Type::Named(id) = resolved {
        let Definition::Enum(it) = &model[*id].definition else { return Vec::new() };
        return it.members.iter().map(|member| member.value.into()).collect();
    }
    if matches!(resolved, Type::Primitive(Primitive::Bool)) {
        return vec![0, 1];
    }
    if matches!(resolved, Type::Primitive(Primitive::Unsigned)) {
        return (0..20).map(|_| random.below(1 << 32) as i64).collect();
    }
    (0..20).map(|_| i64::from(random.next() as i8)).collect()
}

fn random_primitive(primitive: Primitive, random: &mut Random, out: &mut Vec<u8>) {
    let bits = random.next();
    match primitive {
        Primitive::Bool => out.extend(((bits & 1) as u32).to_be_bytes()),
        Primitive::Char => out.extend(i32::from(bits as i8).to_be_bytes()),
        Primitive::UnsignedChar => out.extend(u32::from(bits as u8).to_be_bytes()),
        Primitive::Short => out.extend(i32::from(bits as i16).to_be_bytes()),
        Primitive::UnsignedShort => out.extend(u32::from(bits as u16).to_be_bytes()),
        Primitive::Int | Primitive::Unsigned | Primitive::Float => out.extend((bits as u32).to_be_bytes()),
        Primitive::Hyper | Primitive::UnsignedHyper | Primitive::Double => out.extend(bits.to_be_bytes()),
        Primitive::Quadruple => out.extend([bits.to_be_bytes(), random.next().to_be_bytes()].concat()),
    }
}

fn random_octets(len: usize, random: &mut Random, out: &mut Vec<u8>) {
    out.extend((0..len).map(|_| random.next() as u8));
    out.extend(core::iter::repeat_n(0, len.next_multiple_of(4) - len));
}

const DEPTH_MAX: u32 = 5;
