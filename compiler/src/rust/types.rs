//! Which Rust type stands for a type of the model, and how it is written and read.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::memory::Memory;
use super::names::{self, Case, Renaming, Scope, ident};
use crate::model::{Bound, Definition, Enum, Member, Model, Primitive, Type, TypeId, Undeclared};

/// The types of a model, with their Rust names.
pub(super) struct Types<'m> {
    pub(super) model: &'m Model,
    /// Of each type.
    names: Vec<Ident>,
    /// Of each member of each enum, and nothing for other types.
    members: Vec<Vec<Ident>>,
    pub(super) memory: Memory<'m>,
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
        Self { model, names: named, members, memory: Memory::new(model), floats: floats(model), constants }
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
                if self.memory.is_item(*id) { quote!((#named, List<#named>)) } else { named }
            }
            Type::OpaqueFixed(len) => {
                let count = Literal::u32_unsuffixed(*len);
                boxed_if(self.memory.is_boxed_array(ty), quote!([u8; #count]))
            }
            Type::Opaque(bound) => bounded(quote!(Vec<u8>), bound),
            Type::String(bound) => bounded(quote!(XdrString), bound),
            Type::Array { element, count } => {
                let element = self.rust(element, Place::Closed, path, container);
                let count = Literal::u32_unsuffixed(*count);
                boxed_if(self.memory.is_boxed_array(ty), quote!([#element; #count]))
            }
            Type::Vector { element, bound } => {
                let element = self.rust(element, Place::Closed, path, container);
                bounded(quote!(Vec<#element>), bound)
            }
            Type::Optional(target) => {
                if let Some(id) = self.memory.item(target) {
                    let name = self.name(id);
                    return quote!(List<#path #name>);
                }
                let inner = self.rust(target, Place::Closed, path, container);
                let inner = boxed_if(self.memory.is_boxed(target, container), inner);
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
        match open_bound(ty) {
            Some(max) => quote!(DecodeBounded::decode_bounded(decoder, #max)),
            None => quote!(Decode::decode(decoder)),
        }
    }

    /// As [`Types::encode`], one level deeper.
    pub(super) fn encode_nested(&self, value: &TokenStream, ty: &Type) -> TokenStream {
        let written = self.encode(value, ty);
        quote!(sink.nested(|sink| #written))
    }

    /// As [`Types::decode`], one level deeper.
    pub(super) fn decode_nested(&self, ty: &Type) -> TokenStream {
        if open_bound(ty).is_none() {
            return quote!(decoder.nested(Decode::decode));
        }
        let read = self.decode(ty);
        quote!(decoder.nested(|decoder| #read))
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

pub(super) fn boxed_if(is_boxed: bool, ty: TokenStream) -> TokenStream {
    if is_boxed { quote!(Box<#ty>) } else { ty }
}

/// Says of each type whether it holds a float, at whatever depth.
fn floats(model: &Model) -> Vec<bool> {
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); model.types.len()];
    let mut floats = vec![false; model.types.len()];
    let mut found = Vec::new();
    for (index, definition) in model.types.iter().enumerate() {
        for ty in definition.definition.uses().map(innermost) {
            if let Some(id) = ty.named() {
                users[id.0 as usize].push(index);
            } else if matches!(ty, Type::Primitive(Primitive::Float | Primitive::Double)) {
                found.push(index);
            }
        }
    }
    while let Some(index) = found.pop() {
        if !core::mem::replace(&mut floats[index], true) {
            found.extend(&users[index]);
        }
    }
    floats
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

/// What an enum has for values that were not declared.
pub(super) const UNDECLARED: &str = "Undeclared";
