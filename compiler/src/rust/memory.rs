//! What types take in memory, and which parts of them lie elsewhere for it.
//!
//! Reading a value takes up to ten times its octets of stack in a debug build, and half of that in a release build; what it holds is
//! read on top of it. How deep that goes is chosen by a peer, as far as the limits of the decoder; so what one type takes is bounded
//! here: [`INLINE_LEN_MAX`], [`INLINE_LEN_MAX_ON_CYCLE`]. Types hold each other at most [`TYPE_DEPTH_MAX`](crate::TYPE_DEPTH_MAX)
//! deep, those of a cycle are gone through once for each of the decoder's 64 levels, and of these at most [`PER_LEVEL_MAX`] lie within
//! each other on one level. So it is less than 1 MiB, whatever the interface file, as long as what is no array, struct or union takes
//! no more than that of any struct: small fields cannot be elsewhere, and [`Heavy`] tells of a struct that has far too many of them,
//! by itself. (Of what was tried, a chain of 62 options took most, 0.6 MiB in a debug build; 0.2 MiB was the most in a release build.)
//! Writing, comparing and all else that is generated takes less.

use core::cmp::Reverse;

use crate::model::{Definition, List, Model, Name, Primitive, Type, TypeDefinition, TypeId, Undeclared};

/// A struct of so many small fields that reading a value of it may not fit on a stack.
#[derive(Clone, Debug)]
pub struct Heavy {
    /// Its name.
    pub name: Name,
    /// About how many octets of stack that takes in a debug build.
    pub stack_len: u64,
}

/// What the types of a model take in memory.
pub(super) struct Memory<'m> {
    model: &'m Model,
    /// Of each type, in octets, without what it owns elsewhere.
    lens: Vec<u64>,
    /// Of each struct, whether each of its fields lies elsewhere; nothing for other types.
    boxed: Vec<Vec<bool>>,
    /// How many structs of its cycle lie within each other in a value of each struct.
    heights: Vec<u32>,
}

impl<'m> Memory<'m> {
    pub(super) fn new(model: &'m Model) -> Self {
        let count = model.types.len();
        let (lens, boxed, heights) = (vec![0; count], vec![Vec::new(); count], vec![0; count]);
        let mut memory = Self { model, lens, boxed, heights };
        // A type comes after those that are written inside it, but not after all that it names.
        let mut known = vec![false; count];
        for id in (0..count).map(|index| TypeId(index as u32)) {
            memory.measure(id, &mut known);
        }
        memory
    }

    /// Says whether each field of a struct lies elsewhere.
    pub(super) fn boxed_fields(&self, id: TypeId) -> &[bool] {
        &self.boxed[id.0 as usize]
    }

    /// Says whether each of some arguments lies elsewhere when they are decoded.
    pub(super) fn boxed_arguments<'t>(&self, arguments: impl Iterator<Item = &'t Type>) -> Vec<bool> {
        self.boxed(&arguments.collect::<Vec<_>>(), None).0
    }

    /// Says whether what an option holds lies elsewhere: because it holds itself, or is large.
    ///
    /// What is large is out of proportion to the four octets that say that it is not there: an array of such would take many times
    /// the memory of its encoding.
    pub(super) fn is_boxed(&self, target: &Type, container: Option<TypeId>) -> bool {
        self.closes_cycle(target, container) || self.len_of(target, None) > OPTION_LEN_MAX
    }

    /// The same of an arm. An array of any number of elements lies elsewhere by itself, and an option decides for itself.
    pub(super) fn is_boxed_arm(&self, arm: &Type, container: TypeId) -> bool {
        !matches!(arm, Type::Optional(_) | Type::Vector { .. }) && self.is_boxed(arm, Some(container))
    }

    pub(super) fn closes_cycle(&self, target: &Type, container: Option<TypeId>) -> bool {
        container.is_some_and(|container| self.model.closes_cycle(container, target))
    }

    /// Says whether an array lies elsewhere wherever it stands.
    pub(super) fn is_boxed_array(&self, ty: &Type) -> bool {
        match ty {
            Type::OpaqueFixed(len) => u64::from(*len) > INLINE_LEN_MAX,
            // What takes nothing takes a mark while it is read.
            Type::Array { element, count } => {
                self.len_of(element, None).max(1).saturating_mul(u64::from(*count)) > INLINE_LEN_MAX
            }
            Type::Void
            | Type::Primitive(_)
            | Type::Named(_)
            | Type::Opaque(_)
            | Type::String(_)
            | Type::Vector { .. }
            | Type::Optional(_) => false,
        }
    }

    /// Says whether a field is one level deeper than the struct that it lies in: what is on one level would be too much otherwise.
    pub(super) fn opens_level(&self, container: TypeId, field: &Type) -> bool {
        let level = |height: u32| height / PER_LEVEL_MAX;
        let height = self.height_of(field, container);
        height.is_some_and(|height| level(height) != level(self.heights[container.0 as usize]))
    }

    pub(super) fn is_item(&self, id: TypeId) -> bool {
        matches!(&self.model[id].definition, Definition::Struct(it) if it.list == List::Linked)
    }

    /// Returns the item of a linked list that `ty` is, if it is one.
    pub(super) fn item(&self, ty: &Type) -> Option<TypeId> {
        self.model.resolve(ty).named().filter(|id| self.is_item(*id))
    }

    /// Returns the types whose small fields are so many that reading a value is too much for a usual stack.
    pub(super) fn heavy(&self) -> Vec<Heavy> {
        let heavy = |(definition, len): (&TypeDefinition, &u64)| {
            let level_count = if definition.cycle.is_some() { LEVEL_COUNT } else { 1 };
            let stack_len = len.saturating_mul(STACK_FACTOR * level_count);
            let is_struct = matches!(definition.definition, Definition::Struct(_));
            (is_struct && stack_len > STACK_LEN_MAX).then(|| Heavy { name: definition.name.clone(), stack_len })
        };
        self.model.types.iter().zip(&self.lens).filter_map(heavy).collect()
    }

    fn measure(&mut self, id: TypeId, known: &mut [bool]) {
        if core::mem::replace(&mut known[id.0 as usize], true) {
            return;
        }
        let model = self.model;
        let definition = &model[id].definition;
        for part in definition.uses() {
            if let Some(held) = self.inline(part, id) {
                self.measure(held, known);
            }
        }
        let index = id.0 as usize;
        self.lens[index] = match definition {
            Definition::Enum(it) if it.undeclared == Undeclared::Kept => 8,
            Definition::Enum(_) => 4,
            Definition::Alias(target) => self.len_of(target, Some(id)),
            Definition::Struct(it) => {
                let skipped = if it.list == List::Linked { 1 } else { 0 };
                let fields: Vec<&Type> = it.fields[..it.fields.len() - skipped].iter().map(|field| &field.ty).collect();
                self.heights[index] =
                    fields.iter().filter_map(|field| self.height_of(field, id)).max().map_or(0, |height| height + 1);
                let (boxed, len) = self.boxed(&fields, Some(id));
                self.boxed[index] = boxed;
                len
            }
            Definition::Union(_) => {
                let len = |arm| if self.is_boxed_arm(arm, id) { POINTER_LEN } else { self.len_of(arm, Some(id)) };
                definition.arms().map(len).max().unwrap_or(0) + POINTER_LEN
            }
        };
    }

    /// Returns what has to be measured before a type that `part` is a part of: what may lie within it.
    fn inline(&self, part: &Type, container: TypeId) -> Option<TypeId> {
        match part {
            Type::Named(id) => Some(*id),
            Type::Array { element, .. } => self.inline(element, container),
            Type::Optional(target) if !self.closes_cycle(target, Some(container)) => self.inline(target, container),
            Type::Optional(_)
            | Type::Vector { .. }
            | Type::Void
            | Type::Primitive(_)
            | Type::OpaqueFixed(_)
            | Type::Opaque(_)
            | Type::String(_) => None,
        }
    }

    /// Decides which parts lie elsewhere, the largest first, and returns how many octets are left in one place.
    fn boxed(&self, parts: &[&Type], container: Option<TypeId>) -> (Vec<bool>, u64) {
        let is_on_cycle = container.is_some_and(|id| self.model[id].cycle.is_some());
        let len_max = if is_on_cycle { INLINE_LEN_MAX_ON_CYCLE } else { INLINE_LEN_MAX };
        let lens: Vec<u64> = parts.iter().map(|part| self.len_of(part, container).next_multiple_of(4)).collect();
        let mut sum = lens.iter().fold(0_u64, |sum, len| sum.saturating_add(*len));
        let mut boxed = vec![false; parts.len()];
        let is_large = |index: &usize| {
            let resolved = self.model.resolve(parts[*index]);
            lens[*index] > OPTION_LEN_MAX
                && matches!(resolved, Type::Named(_) | Type::Array { .. } | Type::OpaqueFixed(_))
        };
        let mut large: Vec<usize> = (0..parts.len()).filter(is_large).collect();
        large.sort_by_key(|index| Reverse(lens[*index]));
        for index in large {
            if sum > len_max {
                boxed[index] = true;
                sum -= lens[index] - POINTER_LEN;
            }
        }
        (boxed, sum)
    }

    /// Returns about how many octets a value takes in memory, without what it owns elsewhere.
    fn len_of(&self, ty: &Type, container: Option<TypeId>) -> u64 {
        match ty {
            Type::Void => 0,
            Type::Primitive(Primitive::Char | Primitive::UnsignedChar | Primitive::Bool) => 1,
            Type::Primitive(Primitive::Short | Primitive::UnsignedShort) => 2,
            Type::Primitive(_) => self.model.size(ty).min,
            Type::Named(id) if self.is_item(*id) => self.lens[id.0 as usize].saturating_add(VEC_LEN),
            Type::Named(id) => self.lens[id.0 as usize],
            Type::OpaqueFixed(_) | Type::Array { .. } if self.is_boxed_array(ty) => POINTER_LEN,
            Type::OpaqueFixed(len) => u64::from(*len),
            Type::Array { element, count } => self.len_of(element, None).saturating_mul(u64::from(*count)),
            Type::Opaque(_) | Type::Vector { .. } => VEC_LEN,
            Type::String(_) => 2 * POINTER_LEN,
            Type::Optional(target) if self.item(target).is_some() => VEC_LEN,
            Type::Optional(target) if self.is_boxed(target, container) => POINTER_LEN,
            // With a word that says whether it is there.
            Type::Optional(target) => self.len_of(target, None) + POINTER_LEN,
        }
    }

    /// Returns the height of a field that lies in a struct and may hold such a struct again, but by way of a deeper level.
    fn height_of(&self, field: &Type, container: TypeId) -> Option<u32> {
        let resolved = self.model.resolve(field);
        let held = resolved.named().filter(|_| self.closes_cycle(resolved, Some(container)))?;
        Some(self.heights[held.0 as usize])
    }
}

/// The most that lies within a struct, and an array wherever it stands, in octets: of more, the largest fields lie elsewhere.
/// Chosen so that nothing usual does.
const INLINE_LEN_MAX: u64 = 1024;

/// The same of a struct that may hold itself, of which there are as many on the stack as a peer likes.
const INLINE_LEN_MAX_ON_CYCLE: u64 = 256;

/// How many structs of a cycle lie within each other on one level. What is usual has two: a union, a struct in its arm.
const PER_LEVEL_MAX: u32 = 4;

/// The longest value that lies within an option or union: a vector and a number or two. With it, those take at most ten times
/// their shortest encoding, and are not far beyond what stubs allow for all of an encoding.
const OPTION_LEN_MAX: u64 = VEC_LEN + 8;

/// The octets of stack that reading takes for each octet of the value, measured in a debug build.
const STACK_FACTOR: u64 = 10;

/// Of the 2 MiB that a thread usually has, what one type may take: our choice.
const STACK_LEN_MAX: u64 = 1 << 20;

/// The levels that stubs read.
const LEVEL_COUNT: u64 = 64;

const POINTER_LEN: u64 = 8;
const VEC_LEN: u64 = 24;
