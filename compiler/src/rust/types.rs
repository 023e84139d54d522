//! Which Rust type stands for a type of the model, and how it is written and read.

use alloc::collections::BTreeSet;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::names::{self, Case, Renaming, Scope, ident};
use crate::model::{Bound, Definition, Enum, List, Member, Model, Primitive, Type, TypeId, Undeclared};

/// The types of a model, with their Rust names.
pub(super) struct Types<'m> {
    pub(super) model: &'m Model,
    /// Of each type.
    names: Vec<Ident>,
    /// Of each member of each enum, and nothing for other types.
    members: Vec<Vec<Ident>>,
    /// What each type takes in memory.
    memory: Vec<u64>,
    /// Whether each holds a float, which has no order and no hash.
    floats: Vec<bool>,
    /// The names that the types and constants of the file have.
    pub(super) constants: Vec<Ident>,
}

/// Where a type stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where whoever writes and reads it can tell its bound: a field, an arm.
    Open,
    /// Where its type has to tell it: an element, an option, a typedef.
    Closed,
}

impl<'m> Types<'m> {
    pub(super) fn new(model: &'m Model, renamings: &mut Vec<Renaming>) -> Self {
        // One scope for both: a struct of one name and a constant of the same would be confused by readers if not by Rust.
        let mut scope = Scope::new(names::TYPES);
        let constants =
            model.constants.iter().map(|constant| scope.take(Case::Screaming, &constant.name, renamings)).collect();
        let named = model.types.iter().map(|definition| scope.take(Case::Camel, &definition.name, renamings)).collect();
        let members = model.types.iter().map(|definition| match &definition.definition {
            Definition::Enum(enumeration) => members(&definition.name.text, enumeration, renamings),
            Definition::Struct(_) | Definition::Union(_) | Definition::Alias(_) => Vec::new(),
        });
        let members = members.collect();
        let mut types =
            Self { model, names: named, members, memory: vec![0; model.types.len()], floats: Vec::new(), constants };
        // A type comes after those that are written inside it, but not after all that it names.
        let mut known = BTreeSet::new();
        for index in 0..model.types.len() {
            types.measure(index, &mut known);
        }
        types.floats = (0..model.types.len()).map(|index| types.find_float(index, &mut BTreeSet::new())).collect();
        types
    }

    /// Returns the name of a type.
    pub(super) fn name(&self, id: TypeId) -> &Ident {
        &self.names[id.0 as usize]
    }

    /// Says whether there is a type of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Returns the variants that stand for the members of an enum.
    pub(super) fn members(&self, id: TypeId) -> &[Ident] {
        &self.members[id.0 as usize]
    }

    /// Says whether values of a type can be compared for equality in every case, and hashed.
    pub(super) fn is_hashable(&self, id: TypeId) -> bool {
        !self.floats[id.0 as usize]
    }

    /// Returns the Rust type for `ty`; `path` leads to the module of the types, and `container` is the type that it is part of.
    pub(super) fn rust(&self, ty: &Type, place: Place, path: &TokenStream, container: Option<TypeId>) -> TokenStream {
        let bounded = |bare: TokenStream, bound: &Bound| match place {
            Place::Closed if bound.max < u32::MAX => {
                let max = Literal::u32_unsuffixed(bound.max);
                quote!(Bounded<#bare, #max>)
            }
            Place::Closed | Place::Open => bare,
        };
        match ty {
            Type::Void => quote!(()),
            Type::Primitive(primitive) => rust_primitive(*primitive),
            Type::Named(id) => {
                let name = self.name(*id);
                let named = quote!(#path #name);
                if self.is_item(*id) { quote!((#named, List<#named>)) } else { named }
            }
            Type::OpaqueFixed(len) => {
                let count = Literal::u32_unsuffixed(*len);
                boxed_if(self.is_boxed_array(ty), quote!([u8; #count]))
            }
            Type::Opaque(bound) => bounded(quote!(Vec<u8>), bound),
            Type::String(bound) => bounded(quote!(XdrString), bound),
            Type::Array { element, count } => {
                let element = self.rust(element, Place::Closed, path, container);
                let count = Literal::u32_unsuffixed(*count);
                boxed_if(self.is_boxed_array(ty), quote!([#element; #count]))
            }
            Type::Vector { element, bound } => {
                let element = self.rust(element, Place::Closed, path, container);
                bounded(quote!(Vec<#element>), bound)
            }
            Type::Optional(target) => {
                if let Some(id) = self.item(target) {
                    let name = self.name(id);
                    return quote!(List<#path #name>);
                }
                let inner = self.rust(target, Place::Closed, path, container);
                let inner = boxed_if(self.is_boxed(target, container), inner);
                quote!(Option<#inner>)
            }
        }
    }

    /// Returns what writes `value` to `sink`, as an expression of a result.
    pub(super) fn encode(&self, value: &TokenStream, ty: &Type) -> TokenStream {
        match open_bound(ty) {
            Some(max) => quote!(#value.encode_bounded(sink, #max)),
            None => quote!(#value.encode(sink)),
        }
    }

    /// Returns what reads a value from `decoder`, as an expression of a result.
    pub(super) fn decode(&self, ty: &Type) -> TokenStream {
        let resolved = self.model.resolve(ty);
        if self.is_boxed_array(resolved) {
            let is_opaque = matches!(resolved, Type::OpaqueFixed(_));
            return if is_opaque { quote!(decoder.take_boxed_opaque()) } else { quote!(decoder.take_boxed_array()) };
        }
        match open_bound(ty) {
            Some(max) => quote!(DecodeBounded::decode_bounded(decoder, #max)),
            None => quote!(Decode::decode(decoder)),
        }
    }

    /// Returns the item of a linked list that `ty` is, if it is one.
    pub(super) fn item(&self, ty: &Type) -> Option<TypeId> {
        named_as(self.model.resolve(ty)).filter(|id| self.is_item(*id))
    }

    fn is_item(&self, id: TypeId) -> bool {
        matches!(&self.model[id].definition, Definition::Struct(it) if it.list == List::Linked)
    }

    /// Says whether what an option or an arm holds lies elsewhere: because it holds itself, or is large.
    ///
    /// What is large is out of proportion to the four octets that say that it is not there: an array of such would take many times
    /// the memory of its encoding.
    pub(super) fn is_boxed(&self, target: &Type, container: Option<TypeId>) -> bool {
        self.closes_cycle(target, container)
            || (self.memory_of(target) > INLINE_LEN_MAX && !self.is_boxed_array(self.model.resolve(target)))
    }

    pub(super) fn closes_cycle(&self, target: &Type, container: Option<TypeId>) -> bool {
        container.is_some_and(|container| self.model.closes_cycle(container, target))
    }

    fn is_boxed_array(&self, ty: &Type) -> bool {
        let len = if let Type::OpaqueFixed(len) = ty {
            u64::from(*len)
        } else if let Type::Array { element, count } = ty {
            // What takes no memory takes an octet while it is read: whether it is there yet.
            self.memory_of(element).max(1).saturating_mul(u64::from(*count))
        } else {
            0
        };
        len > ARRAY_LEN_MAX
    }

    /// Returns about how many octets a value takes in memory, without what it owns elsewhere.
    fn memory_of(&self, ty: &Type) -> u64 {
        match ty {
            Type::Void => 0,
            Type::Primitive(Primitive::Char | Primitive::UnsignedChar | Primitive::Bool) => 1,
            Type::Primitive(Primitive::Short | Primitive::UnsignedShort) => 2,
            Type::Primitive(_) => self.model.size(ty).min,
            Type::Named(id) if self.is_item(*id) => self.memory[id.0 as usize].saturating_add(VEC_LEN),
            Type::Named(id) => self.memory[id.0 as usize],
            Type::OpaqueFixed(_) | Type::Array { .. } if self.is_boxed_array(ty) => POINTER_LEN,
            Type::OpaqueFixed(len) => u64::from(*len),
            Type::Array { element, count } => self.memory_of(element).saturating_mul(u64::from(*count)),
            Type::Opaque(_) | Type::Vector { .. } => VEC_LEN,
            Type::String(_) => 2 * POINTER_LEN,
            Type::Optional(target) if self.item(target).is_some() => VEC_LEN,
            // Boxed, or with a word that says whether it is there.
            Type::Optional(target) => match self.memory_of(target) {
                len if len > INLINE_LEN_MAX => POINTER_LEN,
                len => len + POINTER_LEN,
            },
        }
    }

    fn measure(&mut self, index: usize, known: &mut BTreeSet<usize>) {
        if !known.insert(index) {
            return;
        }
        let model = self.model;
        let parts: Vec<&Type> = match &model.types[index].definition {
            Definition::Enum(it) => {
                self.memory[index] = if it.undeclared == Undeclared::Kept { 8 } else { 4 };
                return;
            }
            Definition::Struct(it) => it.fields.iter().map(|field| &field.ty).collect(),
            Definition::Union(it) => {
                it.arms.iter().map(|arm| &arm.ty).chain(it.default.iter().map(|default| &default.ty)).collect()
            }
            Definition::Alias(target) => vec![target],
        };
        // What is on the way already holds this one, and is a pointer at some place between.
        for part in &parts {
            if let Some(id) = named_as(innermost(part)) {
                self.measure(id.0 as usize, known);
            }
        }
        let lens = parts.iter().map(|part| self.memory_of(part));
        self.memory[index] = match &model.types[index].definition {
            Definition::Struct(it) => {
                let skipped = if it.list == List::Linked { 1 } else { 0 };
                let lens = lens.take(parts.len() - skipped);
                lens.fold(0_u64, |sum, len| sum.saturating_add(len.next_multiple_of(4)))
            }
            Definition::Union(_) => {
                lens.map(|len| if len > INLINE_LEN_MAX { POINTER_LEN } else { len }).max().unwrap_or(0) + POINTER_LEN
            }
            Definition::Enum(_) | Definition::Alias(_) => lens.sum(),
        };
    }

    fn find_float(&self, index: usize, seen: &mut BTreeSet<usize>) -> bool {
        if !seen.insert(index) {
            return false;
        }
        let mut holds = |ty: &Type| {
            let ty = innermost(ty);
            matches!(ty, Type::Primitive(Primitive::Float | Primitive::Double))
                || named_as(ty).is_some_and(|id| self.find_float(id.0 as usize, seen))
        };
        match &self.model.types[index].definition {
            Definition::Enum(_) => false,
            Definition::Struct(it) => it.fields.iter().any(|field| holds(&field.ty)),
            Definition::Union(it) => {
                it.arms.iter().any(|arm| holds(&arm.ty)) || it.default.iter().any(|default| holds(&default.ty))
            }
            Definition::Alias(target) => holds(target),
        }
    }
}

/// Returns the bound of something that is written down where it is used.
pub(super) fn open_bound(ty: &Type) -> Option<Literal> {
    let (Type::Opaque(bound) | Type::String(bound) | Type::Vector { bound, .. }) = ty else { return None };
    (bound.max < u32::MAX).then(|| Literal::u32_unsuffixed(bound.max))
}

/// Returns the variants for the members of an enum: without its own name before theirs.
fn members(name: &str, declared: &Enum, renamings: &mut Vec<Renaming>) -> Vec<Ident> {
    let prefix = Case::Screaming.of(name) + "_";
    let mut scope = Scope::new(if declared.undeclared == Undeclared::Kept { &[UNDECLARED] } else { &[] });
    let mut constants = Scope::new(&[]);
    let name = |member: &Member| {
        if member.alias_of.is_some() {
            return constants.take(Case::Screaming, &member.name, renamings);
        }
        let screaming = Case::Screaming.of(&member.name.text);
        let rest = screaming.strip_prefix(&prefix).filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
        let wanted = Case::Camel.of(rest.unwrap_or(&member.name.text));
        scope.take_as(Case::Camel, wanted, &member.name, renamings)
    };
    declared.members.iter().map(name).collect()
}

pub(super) fn rust_primitive(primitive: Primitive) -> TokenStream {
    let name = match primitive {
        Primitive::Bool => "bool",
        Primitive::Char => "i8",
        Primitive::UnsignedChar => "UnsignedChar",
        Primitive::Short => "i16",
        Primitive::UnsignedShort => "u16",
        Primitive::Int => "i32",
        Primitive::Unsigned => "u32",
        Primitive::Hyper => "i64",
        Primitive::UnsignedHyper => "u64",
        Primitive::Float => "f32",
        Primitive::Double => "f64",
        Primitive::Quadruple => "Quadruple",
    };
    let name = ident(name);
    quote!(#name)
}

fn boxed_if(is_boxed: bool, ty: TokenStream) -> TokenStream {
    if is_boxed { quote!(Box<#ty>) } else { ty }
}

/// Returns what `ty` is made of in the end.
fn innermost(ty: &Type) -> &Type {
    match ty {
        Type::Array { element: inner, .. } | Type::Vector { element: inner, .. } | Type::Optional(inner) => {
            innermost(inner)
        }
        Type::Void | Type::Primitive(_) | Type::Named(_) | Type::OpaqueFixed(_) | Type::Opaque(_) | Type::String(_) => {
            ty
        }
    }
}

fn named_as(ty: &Type) -> Option<TypeId> {
    if let Type::Named(id) = ty { Some(*id) } else { None }
}

/// The longest array that lies where its owner does, in octets: a frame of the stack is not to be as large as an interface file
/// likes.
const ARRAY_LEN_MAX: u64 = 4096;

/// What an enum has for values that were not declared.
pub(super) const UNDECLARED: &str = "Undeclared";

/// The longest value that lies within an option or union: a vector and a number or two. With it, those take at most ten times
/// their shortest encoding, and are not far beyond what stubs allow for all of an encoding.
const INLINE_LEN_MAX: u64 = VEC_LEN + 8;

const POINTER_LEN: u64 = 8;
const VEC_LEN: u64 = 24;
