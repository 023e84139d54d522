//! Constants and types.

use alloc::collections::BTreeSet;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::docs;
use super::names::{Case, Renaming, Scope, ident};
use super::tidy::Text;
use super::types::{Place, Types, UNDECLARED, boxed_if};
use crate::model::{
    Arm, Case as Label, ConstantValue, Definition, Enum, Field, List, Model, Name, Primitive, Struct, Type, TypeId,
    Undeclared, Union,
};

/// Writes the constants.
pub(super) fn constants(types: &Types<'_>, model: &Model, text: &mut Text) {
    for (constant, name) in model.constants.iter().zip(&types.constants) {
        let docs = docs(&constant.docs, &format!("`{}`.", constant.name.text));
        text.items(match &constant.value {
            ConstantValue::Integer(value) => {
                let (ty, value) = integer(*value);
                quote!(#docs pub const #name: #ty = #value;)
            }
            ConstantValue::Text(text) => quote!(#docs pub const #name: &str = #text;),
        });
    }
}

/// Writes a type, with all that belongs to it.
pub(super) fn definition(types: &Types<'_>, index: usize, renamings: &mut Vec<Renaming>) -> Vec<TokenStream> {
    let id = TypeId(u32::try_from(index).expect("a model has fewer types than 2^32"));
    match &types.model[id].definition {
        Definition::Enum(it) => enumeration(types, id, it),
        Definition::Struct(it) => structure(types, id, it, renamings),
        Definition::Union(it) => union(types, id, it, renamings),
        Definition::Alias(target) => {
            let (docs, name) = (type_docs(types, id), types.name(id));
            let target = types.rust(target, Place::Closed, &TokenStream::new(), Some(id));
            vec![quote!(#docs pub type #name = #target;)]
        }
    }
}

fn type_docs(types: &Types<'_>, id: TypeId) -> TokenStream {
    let definition = &types.model[id];
    docs(&definition.docs, &format!("`{}`.", definition.path()))
}

fn enumeration(types: &Types<'_>, id: TypeId, it: &Enum) -> Vec<TokenStream> {
    let (docs, name) = (type_docs(types, id), types.name(id));
    let members = || it.members.iter().zip(types.members(id));
    let (mut declared, mut variants, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (member, variant) in members().filter(|(member, _)| member.alias_of.is_none()) {
        let docs = super::docs(&member.docs, &format!("`{}`.", member.name.text));
        let value = Literal::i32_unsuffixed(member.value);
        declared.push(match it.undeclared {
            Undeclared::Refused => quote!(#docs #variant = #value),
            Undeclared::Kept => quote!(#docs #variant),
        });
        variants.push(variant);
        values.push(value);
    }
    let aliases: Vec<_> = members()
        .filter_map(|(member, constant)| {
            let original = &types.members(id)[member.alias_of?];
            let docs = super::docs(&member.docs, &format!("`{}`, another name for the same.", member.name.text));
            Some(quote!(#docs pub const #constant: Self = Self::#original;))
        })
        .collect();
    let undeclared = ident(UNDECLARED);
    let (representation, encode, otherwise) = match it.undeclared {
        Undeclared::Refused => {
            (quote!(#[repr(i32)]), quote!((*self as i32).encode(sink)), quote!(_ => Err(DecodeError::UnknownEnum)))
        }
        Undeclared::Kept => {
            declared.push(quote!(#[doc = " A value that was not declared."] #undeclared(i32)));
            let encode = quote! {
                let value = match *self {
                    #(Self::#variants => #values,)*
                    // What was declared would be read as its member.
                    Self::#undeclared(#(#values)|*) => return Err(EncodeError::WrongArm),
                    Self::#undeclared(value) => value,
                };
                value.encode(sink)
            };
            let otherwise = quote!(value => decoder.unknown_enum(value).map(Self::#undeclared));
            (TokenStream::new(), encode, otherwise)
        }
    };
    let mut items = vec![quote! {
        #docs
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #representation
        pub enum #name { #(#declared),* }
    }];
    if !aliases.is_empty() {
        items.push(quote!(impl #name { #(#aliases)* }));
    }
    items.push(layout(name, 4, true));
    items.push(quote! {
        impl Encode for #name {
            #[inline]
            fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> { #encode }
        }
    });
    items.push(quote! {
        impl<'a> Decode<'a> for #name {
            #[inline]
            fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
                match i32::decode(decoder)? {
                    #(#values => Ok(Self::#variants),)*
                    #otherwise,
                }
            }
        }
    });
    items
}

fn structure(types: &Types<'_>, id: TypeId, it: &Struct, renamings: &mut Vec<Renaming>) -> Vec<TokenStream> {
    let (docs, name) = (type_docs(types, id), types.name(id));
    // The list has what leads to the next item.
    let fields = if it.list == List::Linked { &it.fields[..it.fields.len() - 1] } else { &it.fields[..] };
    let mut scope = Scope::new(&[]);
    let names: Vec<Ident> = fields.iter().map(|field| scope.take(Case::Snake, &field.name, renamings)).collect();
    let declared = fields.iter().zip(&names).zip(types.memory.boxed_fields(id)).map(|((field, name), is_boxed)| {
        let docs = super::docs(&field.docs, &format!("`{}`.", field.name.text));
        let ty = boxed_if(*is_boxed, types.rust(&field.ty, Place::Open, &TokenStream::new(), Some(id)));
        quote!(#docs pub #name: #ty)
    });
    let derives = derives(types, id);
    let sizes: Vec<_> = fields.iter().map(|field| types.model.size(&field.ty)).collect();
    let len_min = sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(size.min));
    let is_fixed = sizes.iter().all(|size| size.exact().is_some());
    let runs = runs(types, fields);
    let writes =
        runs.iter().map(|run| write_run(types, id, run, &fields[run.range.clone()], &names[run.range.clone()]));
    let (encode, decode) = if fields.is_empty() {
        (quote!(let _ = sink; Ok(())), quote!(let _ = decoder; Ok(Self {})))
    } else {
        let writes: Vec<_> = writes.collect();
        let (last, first) = writes.split_last().expect("there are fields");
        let locals: Vec<Ident> = names.iter().map(local).collect();
        let reads =
            runs.iter().map(|run| read_run(types, id, run, &fields[run.range.clone()], &locals[run.range.clone()]));
        let set = names.iter().zip(&locals).map(
            |(name, local)| {
                if name == local { quote!(#name) } else { quote!(#name: #local) }
            },
        );
        (quote!(#(#first?;)* #last), quote!(#(#reads)* Ok(Self { #(#set),* })))
    };
    let inline = if is_fixed { quote!(#[inline]) } else { TokenStream::new() };
    vec![
        quote!(#docs #derives pub struct #name { #(#declared),* }),
        layout(name, len_min, is_fixed),
        quote! {
            impl Encode for #name {
                #inline
                fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> { #encode }
            }
        },
        quote! {
            impl<'a> Decode<'a> for #name {
                #inline
                fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> { #decode }
            }
        },
    ]
}

/// Returns what a field is called while the fields after it are read.
fn local(field: &Ident) -> Ident {
    if field == "decoder" { ident("decoder_field") } else { field.clone() }
}

/// Fields that follow each other and are looked at as one, because their length is known.
struct Run {
    range: core::ops::Range<usize>,
    /// `None` for a single field.
    len: Option<u64>,
}

fn runs(types: &Types<'_>, fields: &[Field]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut open: Option<u64> = None;
    for (index, field) in fields.iter().enumerate() {
        let exact = types.model.size(&field.ty).exact().filter(|len| u32::try_from(*len).is_ok());
        match (open, exact, runs.last_mut()) {
            (Some(len), Some(more), Some(run))
                if len.saturating_add(more) <= RUN_LEN_MAX && run.range.len() < RUN_COUNT_MAX =>
            {
                run.range.end = index + 1;
                run.len = Some(len + more);
                open = run.len;
            }
            _ => {
                runs.push(Run { range: index..index + 1, len: None });
                open = exact;
            }
        }
    }
    runs
}

fn write_run(types: &Types<'_>, id: TypeId, run: &Run, fields: &[Field], names: &[Ident]) -> TokenStream {
    let write = |(field, name): (&Field, &Ident)| {
        let value = quote!(self.#name);
        let is_deeper = types.memory.opens_level(id, &field.ty);
        if is_deeper { types.encode_nested(&value, &field.ty) } else { types.encode(&value, &field.ty) }
    };
    let mut writes: Vec<_> = fields.iter().zip(names).map(write).collect();
    let last = writes.pop().expect("a run has fields");
    match run.len {
        Some(len) => {
            let len = Literal::u64_unsuffixed(len);
            quote!(sink.run(#len, |sink| { #(#writes?;)* #last }))
        }
        None => last,
    }
}

fn read_run(types: &Types<'_>, id: TypeId, run: &Run, fields: &[Field], names: &[Ident]) -> TokenStream {
    let reads = fields.iter().map(|field| {
        let is_deeper = types.memory.opens_level(id, &field.ty);
        if is_deeper { types.decode_nested(&field.ty) } else { types.decode(&field.ty) }
    });
    match run.len {
        Some(len) => {
            let len = Literal::u64_unsuffixed(len);
            quote!(let (#(#names),*) = decoder.run(#len, |decoder| Ok((#(#reads?),*)))?;)
        }
        None => quote!(#(let #names = #reads?;)*),
    }
}

/// What a union is made of, in Rust.
struct Variant<'m> {
    name: Ident,
    /// What chooses it, as a pattern and as a value; `None` for the default arm.
    label: Option<TokenStream>,
    ty: &'m Type,
    docs: TokenStream,
}

fn union(types: &Types<'_>, id: TypeId, it: &Union, renamings: &mut Vec<Renaming>) -> Vec<TokenStream> {
    let (docs, name) = (type_docs(types, id), types.name(id));
    let variants = variants(types, it, renamings);
    let is_open =
        matches!(types.model.resolve(&it.discriminant_type), Type::Named(_)) && choosing_enum(types, it).is_none();
    let discriminant =
        if is_open { quote!(i32) } else { types.rust(&it.discriminant_type, Place::Closed, &TokenStream::new(), None) };
    let payload = |variant: &Variant<'_>| {
        let ty = types.rust(variant.ty, Place::Open, &TokenStream::new(), Some(id));
        boxed_if(types.memory.is_boxed_arm(variant.ty, id), ty)
    };
    let declared = variants.iter().map(|variant| {
        let (docs, name, is_void) = (&variant.docs, &variant.name, *variant.ty == Type::Void);
        let payload = payload(variant);
        match (&variant.label, is_void) {
            (Some(_), true) => quote!(#docs #name),
            (Some(_), false) => quote!(#docs #name(#payload)),
            (None, true) => quote!(#docs #name(#discriminant)),
            (None, false) => quote!(#docs #name(#discriminant, #payload)),
        }
    });
    let derives = derives(types, id);
    let sizes: Vec<_> = variants.iter().map(|variant| types.model.size(variant.ty)).collect();
    let len_min = sizes.iter().map(|size| size.min).min().unwrap_or(0).saturating_add(4);
    let is_fixed = sizes.iter().all(|size| size.exact() == sizes[0].exact() && size.exact().is_some());
    let writes = variants.iter().map(|variant| write_variant(types, id, variant, &variants));
    let (reads, otherwise) = reads(types, id, it, &variants);
    let choose = variants.iter().map(|variant| {
        let (name, is_void) = (&variant.name, *variant.ty == Type::Void);
        match (&variant.label, is_void) {
            (Some(label), true) => quote!(Self::#name => #label),
            (Some(label), false) => quote!(Self::#name(_) => #label),
            (None, true) => quote!(Self::#name(discriminant) => *discriminant),
            (None, false) => quote!(Self::#name(discriminant, _) => *discriminant),
        }
    });
    vec![
        quote!(#docs #derives pub enum #name { #(#declared),* }),
        quote! {
                impl #name {
                /// Returns what says which arm it is.
                #[must_use]
                pub const fn discriminant(&self) -> #discriminant {
                    match self { #(#choose),* }
                }
            }
        },
        layout(name, len_min, is_fixed),
        quote! {
            impl Encode for #name {
                fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
                    self.discriminant().encode(sink)?;
                    match self { #(#writes),* }
                }
            }
        },
        quote! {
            impl<'a> Decode<'a> for #name {
                fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
                    match #discriminant::decode(decoder)? { #(#reads,)* #otherwise }
                }
            }
        },
    ]
}

/// Returns the variants of a union: one for each case, and one for all that is left.
fn variants<'m>(types: &Types<'m>, it: &'m Union, renamings: &mut Vec<Renaming>) -> Vec<Variant<'m>> {
    let mut scope = Scope::new(&[]);
    let mut variants = Vec::new();
    for arm in &it.arms {
        for case in &arm.cases {
            let Some(label) = label(types, it, case) else { continue };
            let (wanted, source) = variant_name(types, it, case);
            let name = scope.take_as(Case::Camel, wanted, &Name { text: source.clone(), span: case.span }, renamings);
            variants.push(Variant { name, label: Some(label), ty: &arm.ty, docs: arm_docs(arm, &source) });
        }
    }
    let Some(default) = &it.default else { return variants };
    let docs = |otherwise: &str| docs(&default.docs, otherwise);
    if matches!(types.model.resolve(&it.discriminant_type), Type::Primitive(Primitive::Bool)) {
        // There is one other value, or none.
        let taken: BTreeSet<i64> = it.arms.iter().flat_map(|arm| &arm.cases).map(|case| case.value).collect();
        for (value, text, label) in [(0, "False", quote!(false)), (1, "True", quote!(true))] {
            if !taken.contains(&value) {
                let docs = docs("All else.");
                variants.push(Variant { name: ident(text), label: Some(label), ty: &default.ty, docs });
            }
        }
    } else if !is_covered(types, it) {
        let name = Name { text: "default".to_owned(), span: default.span };
        let name = scope.take(Case::Camel, &name, renamings);
        variants.push(Variant { name, label: None, ty: &default.ty, docs: docs("Any other discriminant.") });
    }
    variants
}

fn arm_docs(arm: &Arm, source: &str) -> TokenStream {
    let otherwise = match &arm.name {
        Some(name) => format!("`{source}`: `{}`.", name.text),
        None => format!("`{source}`."),
    };
    docs(&arm.docs, &otherwise)
}

/// Returns what the variant for a case is called, and how the source calls the case.
fn variant_name(types: &Types<'_>, it: &Union, case: &Label) -> (String, String) {
    let source = case.name.clone().unwrap_or_else(|| case.value.to_string());
    let is_bool = matches!(types.model.resolve(&it.discriminant_type), Type::Primitive(Primitive::Bool));
    let wanted = match (choosing_enum(types, it), case.member) {
        (Some(id), Some(member)) => types.members(id)[member].to_string(),
        _ if is_bool => if case.value == 0 { "False" } else { "True" }.to_owned(),
        _ => match &case.name {
            Some(name) => Case::Camel.of(name),
            None if case.value < 0 => format!("Minus{}", case.value.unsigned_abs()),
            None => format!("Case{}", case.value),
        },
    };
    (wanted, source)
}

/// Returns the value of a case as a pattern and an expression; `None` if the discriminant cannot have it.
fn label(types: &Types<'_>, it: &Union, case: &Label) -> Option<TokenStream> {
    let resolved = types.model.resolve(&it.discriminant_type);
    let value = Literal::i64_unsuffixed(case.value);
    Some(if let Some(id) = choosing_enum(types, it) {
        let (name, member) = (types.name(id), &types.members(id)[case.member?]);
        quote!(#name::#member)
    } else if matches!(resolved, Type::Primitive(Primitive::Bool)) {
        let value = case.value != 0;
        quote!(#value)
    } else if matches!(resolved, Type::Primitive(Primitive::UnsignedChar)) {
        quote!(UnsignedChar(#value))
    } else {
        quote!(#value)
    })
}

/// Returns the enum that chooses the arm, if one does that can hold the values of all cases.
///
/// Sun's dialect has cases that are no member of their enum: C does not mind, and so whoever speaks with C has to read them.
fn choosing_enum(types: &Types<'_>, it: &Union) -> Option<TypeId> {
    let Type::Named(id) = types.model.resolve(&it.discriminant_type) else { return None };
    it.arms.iter().flat_map(|arm| &arm.cases).all(|case| case.member.is_some()).then_some(*id)
}

/// Says whether the cases of a union name all values that its discriminant has.
fn is_covered(types: &Types<'_>, it: &Union) -> bool {
    let cases: BTreeSet<i64> = it.arms.iter().flat_map(|arm| &arm.cases).map(|case| case.value).collect();
    let resolved = types.model.resolve(&it.discriminant_type);
    if let Some(id) = choosing_enum(types, it)
        && let Definition::Enum(enumeration) = &types.model[id].definition
    {
        return enumeration.undeclared == Undeclared::Refused
            && enumeration.members.iter().all(|member| cases.contains(&member.value.into()));
    }
    matches!(resolved, Type::Primitive(Primitive::Bool)) && cases.len() == 2
}

fn write_variant(types: &Types<'_>, id: TypeId, variant: &Variant<'_>, all: &[Variant<'_>]) -> TokenStream {
    let name = &variant.name;
    // What can hold itself grows deeper by it.
    let is_deeper = types.memory.closes_cycle(variant.ty, Some(id));
    let value = quote!(value);
    let written = if is_deeper { types.encode_nested(&value, variant.ty) } else { types.encode(&value, variant.ty) };
    let is_void = *variant.ty == Type::Void;
    if variant.label.is_some() {
        return if is_void { quote!(Self::#name => Ok(())) } else { quote!(Self::#name(value) => #written) };
    }
    let labels = all.iter().filter_map(|other| other.label.as_ref());
    let labels = quote!(#(#labels)|*);
    let wrong = quote!(Err(EncodeError::WrongArm));
    if is_void {
        quote! {
            Self::#name(#labels) => #wrong,
            Self::#name(_) => Ok(())
        }
    } else {
        quote! {
            Self::#name(#labels, _) => #wrong,
            Self::#name(_, value) => #written
        }
    }
}

/// Returns the arms of the match that reads a union, and the last one, which is for what has none.
fn reads(types: &Types<'_>, id: TypeId, it: &Union, variants: &[Variant<'_>]) -> (Vec<TokenStream>, TokenStream) {
    let value = |variant: &Variant<'_>| {
        // What can hold itself grows deeper by it.
        let is_deeper = types.memory.closes_cycle(variant.ty, Some(id));
        let read = if is_deeper { types.decode_nested(variant.ty) } else { types.decode(variant.ty) };
        quote!(#read?)
    };
    let (mut reads, mut otherwise) = (Vec::new(), None);
    for variant in variants {
        let (name, is_void, value) = (&variant.name, *variant.ty == Type::Void, value(variant));
        match (&variant.label, is_void) {
            (Some(label), true) => reads.push(quote!(#label => Ok(Self::#name))),
            (Some(label), false) => reads.push(quote!(#label => Ok(Self::#name(#value)))),
            (None, true) => otherwise = Some(quote!(discriminant => Ok(Self::#name(discriminant)))),
            (None, false) => otherwise = Some(quote!(discriminant => Ok(Self::#name(discriminant, #value)))),
        }
    }
    let is_bool = matches!(types.model.resolve(&it.discriminant_type), Type::Primitive(Primitive::Bool));
    let is_covered = is_covered(types, it) || is_bool && variants.len() == 2;
    let unknown = if is_covered { TokenStream::new() } else { quote!(_ => Err(DecodeError::UnknownArm)) };
    (reads, otherwise.unwrap_or(unknown))
}

fn layout(name: &Ident, len_min: u64, is_fixed: bool) -> TokenStream {
    let len_min = Literal::u64_unsuffixed(len_min);
    quote! {
        impl Layout for #name {
            const LEN_MIN: usize = #len_min;
            const LEN_IS_FIXED: bool = #is_fixed;
        }
    }
}

fn derives(types: &Types<'_>, id: TypeId) -> TokenStream {
    if types.is_hashable(id) {
        quote!(#[derive(Clone, Debug, PartialEq, Eq, Hash)])
    } else {
        quote!(#[derive(Clone, Debug, PartialEq)])
    }
}

/// Returns the smallest of the usual types for a constant, and its value.
fn integer(value: i128) -> (TokenStream, Literal) {
    if let Ok(value) = u32::try_from(value) {
        (quote!(u32), Literal::u32_unsuffixed(value))
    } else if let Ok(value) = i32::try_from(value) {
        (quote!(i32), Literal::i32_unsuffixed(value))
    } else if let Ok(value) = u64::try_from(value) {
        (quote!(u64), Literal::u64_unsuffixed(value))
    } else {
        (quote!(i64), Literal::i64_unsuffixed(i64::try_from(value).unwrap_or(i64::MIN)))
    }
}

/// Fields of so many octets are looked at as one; our choice.
const RUN_LEN_MAX: u64 = 1 << 20;

/// So many fields are looked at as one; our choice. The time that `rustc` takes grows with its cube.
const RUN_COUNT_MAX: usize = 16;
