//! The checked model: what an interface file means.
//!
//! Constants are values, names are resolved to [`TypeId`]s, types without a name have one, annotations are read, lengths on
//! the wire are known. Everything here is in the order of the source, so that whatever is made of a model is the same each
//! time.

use core::ops::Index;
use core::time::Duration;

use crate::source::Span;

/// What an interface file and all it includes mean.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The constants, those of `--const` first.
    pub constants: Vec<Constant>,
    /// The types, each before those that were written inside it.
    pub types: Vec<TypeDefinition>,
    /// The programs, an `interface` among them.
    pub programs: Vec<Program>,
    /// The `%` lines, which are C for `rpcgen` to copy and nothing to anybody else.
    pub percent_lines: Vec<PercentLine>,
}

impl Model {
    /// Finds a type by its name in the source, with `::` between it and its namespaces.
    #[must_use]
    pub fn type_named(&self, name: &str) -> Option<TypeId> {
        let position = self.types.iter().position(|definition| definition.path() == name)?;
        Some(TypeId(position as u32))
    }

    /// Follows names of `typedef`s until something else is reached.
    #[must_use]
    pub fn resolve<'m>(&'m self, mut ty: &'m Type) -> &'m Type {
        // Ends: a checked model has no cycle of typedefs.
        while let Type::Named(id) = ty
            && let Definition::Alias(target) = &self[*id].definition
        {
            ty = target;
        }
        ty
    }

    /// Returns what a value of `ty` takes on the wire.
    #[must_use]
    pub fn size(&self, ty: &Type) -> Size {
        match ty {
            Type::Void => Size::fixed(0),
            Type::Primitive(primitive) => Size::fixed(primitive.encoded_len()),
            Type::Named(id) => self[*id].size,
            Type::OpaqueFixed(len) => Size::fixed(padded(*len)),
            Type::Opaque(bound) | Type::String(bound) => Size { min: 4, max: Some(4 + padded(bound.max)) },
            Type::Array { element, count } => self.size(element).times(u64::from(*count)),
            Type::Vector { element, bound } => {
                let all = self.size(element).times(u64::from(bound.max));
                Size { min: 4, max: all.max.map(|max| max.saturating_add(4)) }
            }
            Type::Optional(target) => {
                let size = self.size(target);
                Size { min: 4, max: size.max.map(|max| max.saturating_add(4)) }
            }
        }
    }

    /// Returns whether a value of `ty`, held by value inside a `container`, would hold a `container` again.
    ///
    /// Such a use needs an indirection (a `Box`) unless it has one already by being an element of a vector.
    #[must_use]
    pub fn closes_cycle(&self, container: TypeId, ty: &Type) -> bool {
        match ty {
            Type::Named(id) => self[container].cycle.is_some() && self[container].cycle == self[*id].cycle,
            Type::Array { element, .. } | Type::Vector { element, .. } => self.closes_cycle(container, element),
            Type::Optional(target) => self.closes_cycle(container, target),
            Type::Void | Type::Primitive(_) | Type::OpaqueFixed(_) | Type::Opaque(_) | Type::String(_) => false,
        }
    }
}

impl Index<TypeId> for Model {
    type Output = TypeDefinition;

    fn index(&self, id: TypeId) -> &TypeDefinition {
        &self.types[id.0 as usize]
    }
}

/// A name as the source writes it, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The identifier: letters, digits and underscores, not made anybody's style.
    pub text: String,
    /// Where it stands; for a name that was made up, where the thing stands that it was made up for.
    pub span: Span,
}

/// A line after `%`, without the `%`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PercentLine {
    /// The text, with what is no UTF-8 replaced.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// Where a definition comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The file itself, or one that it has with `#include`.
    File,
    /// Another interface file, whose C header the file has with `%#include`; only types and constants come that way, and only
    /// those that are used.
    Imported,
    /// The command line (`--const`).
    CommandLine,
    /// The dialect, which knows some names without a definition.
    Dialect,
}

/// A constant.
#[derive(Clone, Debug)]
pub struct Constant {
    /// Its name.
    pub name: Name,
    /// The namespaces around it, outermost first.
    pub namespace: Vec<String>,
    /// Its value.
    pub value: ConstantValue,
    /// What its comments say.
    pub docs: Docs,
    /// Where it comes from.
    pub origin: Origin,
}

/// The value of a [`Constant`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConstantValue {
    /// Within -2^63 and 2^64 - 1.
    Integer(i128),
    /// Text within double quotes, which Sun's dialect knows.
    Text(String),
}

/// Comments without their marks and annotations, a string a line; blank lines neither first nor last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Docs(pub Vec<String>);

/// Names one of [`Model::types`]: its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

/// A type with a name.
#[derive(Clone, Debug)]
pub struct TypeDefinition {
    /// Its name. A type that was written without one is called after its place: `parent_field`.
    pub name: Name,
    /// The namespaces around it, outermost first.
    pub namespace: Vec<String>,
    /// What it is.
    pub definition: Definition,
    /// The type inside which it was written, if it was.
    pub parent: Option<TypeId>,
    /// The length of its values on the wire.
    pub size: Size,
    /// The cycle that it lies on, by number: two types of the same cycle can hold each other.
    pub cycle: Option<u32>,
    /// What its comments say.
    pub docs: Docs,
    /// Where it comes from.
    pub origin: Origin,
}

impl TypeDefinition {
    /// Returns the name with its namespaces, `::` between them.
    #[must_use]
    pub fn path(&self) -> String {
        path(&self.namespace, &self.name)
    }
}

/// What a [`TypeDefinition`] defines.
#[derive(Clone, Debug)]
pub enum Definition {
    /// RFC 4506 §4.3.
    Enum(Enum),
    /// RFC 4506 §4.14.
    Struct(Struct),
    /// RFC 4506 §4.15.
    Union(Union),
    /// A `typedef`: another name for a type. Chains of them end, and not at themselves.
    Alias(Type),
}

impl Definition {
    /// Returns the types that a definition uses.
    pub(crate) fn uses(&self) -> Box<dyn Iterator<Item = &Type> + '_> {
        match self {
            Self::Enum(_) => Box::new(core::iter::empty()),
            Self::Alias(target) => Box::new(core::iter::once(target)),
            Self::Struct(fields) => Box::new(fields.fields.iter().map(|field| &field.ty)),
            Self::Union(union) => Box::new(core::iter::once(&union.discriminant_type).chain(self.arms())),
        }
    }

    /// Returns what the arms of a union hold; nothing for what is no union.
    pub(crate) fn arms(&self) -> impl Iterator<Item = &Type> {
        let union = match self {
            Self::Union(union) => Some(union),
            Self::Enum(_) | Self::Struct(_) | Self::Alias(_) => None,
        };
        let arms = union.into_iter().flat_map(|union| &union.arms).map(|arm| &arm.ty);
        arms.chain(union.and_then(|union| union.default.as_ref()).map(|default| &default.ty))
    }
}

/// An enumeration: signed 32-bit on the wire.
#[derive(Clone, Debug)]
pub struct Enum {
    /// The members, at least one, in the order of the source.
    pub members: Vec<Member>,
    /// What becomes of a value that is none of theirs.
    pub undeclared: Undeclared,
}

/// What becomes of a value of an [`Enum`] that was not declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Undeclared {
    /// It is an error.
    #[default]
    Refused,
    /// It is kept: an argument or the result of a procedure with `@lenient` may hold one.
    Kept,
}

/// A member of an [`Enum`].
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name: unique among all constants of its namespace.
    pub name: Name,
    /// Its value.
    pub value: i32,
    /// The earlier member that has the same value, by index: this one is another name for it.
    pub alias_of: Option<usize>,
    /// What its comments say.
    pub docs: Docs,
}

/// A structure: its fields one after the other.
#[derive(Clone, Debug)]
pub struct Struct {
    /// The fields; no names twice. None at all is possible in all dialects but strict.
    pub fields: Vec<Field>,
    /// That the last field is an optional of this very structure, directly or by way of typedefs: a linked list, which is
    /// encoded, decoded and dropped by a loop.
    pub list: List,
}

/// Whether a structure is an item of a linked list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum List {
    /// Its last field is the optional next item.
    Linked,
    /// It is none.
    No,
}

/// A field of a [`Struct`].
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: Name,
    /// Its type; never void.
    pub ty: Type,
    /// What its comments say.
    pub docs: Docs,
}

/// A discriminated union: the discriminant, then the arm that it chooses.
#[derive(Clone, Debug)]
pub struct Union {
    /// The name of the discriminant.
    pub discriminant: Name,
    /// Its type. [`Model::resolve`] makes it [`Primitive::Int`], [`Primitive::Unsigned`], [`Primitive::Bool`], one of the narrow
    /// primitives, or an enum.
    pub discriminant_type: Type,
    /// The arms, at least one; no value chooses two of them.
    pub arms: Vec<Arm>,
    /// What any other value chooses; without it any other value is an error.
    pub default: Option<DefaultArm>,
}

/// What some values of the discriminant choose.
#[derive(Clone, Debug)]
pub struct Arm {
    /// The values, at least one; several where cases fall through.
    pub cases: Vec<Case>,
    /// The name of what follows; none for void.
    pub name: Option<Name>,
    /// What follows the discriminant.
    pub ty: Type,
    /// What its comments say.
    pub docs: Docs,
}

/// What all values choose that no [`Arm`] names.
#[derive(Clone, Debug)]
pub struct DefaultArm {
    /// The name of what follows; none for void.
    pub name: Option<Name>,
    /// What follows the discriminant.
    pub ty: Type,
    /// Where `default` stands.
    pub span: Span,
    /// What its comments say.
    pub docs: Docs,
}

/// One value of a discriminant.
#[derive(Clone, Debug)]
pub struct Case {
    /// The value; 0 or 1 for a bool.
    pub value: i64,
    /// How the source calls it, if by a name: a constant, `TRUE`, `FALSE`, or a member of an enum.
    pub name: Option<String>,
    /// The member of the discriminant's enum with this value (the first), if the discriminant is an enum that has one.
    pub member: Option<usize>,
    /// Where it stands.
    pub span: Span,
}

/// A type as it is used: by a field, an arm, an argument, a result, a typedef.
///
/// At most two deep: one array or optional around something that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Nothing. Only as a result and in unions.
    Void,
    /// A number or a truth value.
    Primitive(Primitive),
    /// A type with a name.
    Named(TypeId),
    /// `opaque name[len]`, in octets.
    OpaqueFixed(u32),
    /// `opaque name<max>`, in octets.
    Opaque(Bound),
    /// `string name<max>`, in octets; which octets is the application's business (RFC 4506 §4.11).
    String(Bound),
    /// `element name[count]`.
    Array {
        /// What there are `count` of.
        element: Box<Self>,
        /// How many, always.
        count: u32,
    },
    /// `element name<max>`, in elements.
    Vector {
        /// What there are some of.
        element: Box<Self>,
        /// How many there may be.
        bound: Bound,
    },
    /// `target *name`.
    Optional(Box<Self>),
}

impl Type {
    /// Returns which type with a name it is, if it is one.
    #[must_use]
    pub const fn named(&self) -> Option<TypeId> {
        if let Self::Named(id) = self { Some(*id) } else { None }
    }
}

/// A type that needs no definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Primitive {
    /// RFC 4506 §4.4.
    Bool,
    /// Sun's `char`: 8 bits, signed, in four octets.
    Char,
    /// Sun's `unsigned char`: 8 bits in four octets.
    UnsignedChar,
    /// Sun's `short`: 16 bits, signed, in four octets.
    Short,
    /// Sun's `unsigned short`: 16 bits in four octets.
    UnsignedShort,
    /// RFC 4506 §4.1, and Sun's `long`.
    Int,
    /// RFC 4506 §4.2, and Sun's `unsigned long`.
    Unsigned,
    /// RFC 4506 §4.5.
    Hyper,
    /// RFC 4506 §4.5.
    UnsignedHyper,
    /// RFC 4506 §4.6.
    Float,
    /// RFC 4506 §4.7.
    Double,
    /// RFC 4506 §4.8.
    Quadruple,
}

impl Primitive {
    /// Returns how many octets it takes on the wire.
    #[must_use]
    pub fn encoded_len(self) -> u64 {
        match self {
            Self::Bool
            | Self::Char
            | Self::UnsignedChar
            | Self::Short
            | Self::UnsignedShort
            | Self::Int
            | Self::Unsigned
            | Self::Float => 4,
            Self::Hyper | Self::UnsignedHyper | Self::Double => 8,
            Self::Quadruple => 16,
        }
    }

    /// Returns the least and the greatest value of an integer or a bool.
    #[must_use]
    pub fn range(self) -> Option<(i128, i128)> {
        match self {
            Self::Bool => Some((0, 1)),
            Self::Char => Some((i8::MIN.into(), i8::MAX.into())),
            Self::UnsignedChar => Some((0, u8::MAX.into())),
            Self::Short => Some((i16::MIN.into(), i16::MAX.into())),
            Self::UnsignedShort => Some((0, u16::MAX.into())),
            Self::Int => Some((i32::MIN.into(), i32::MAX.into())),
            Self::Unsigned => Some((0, u32::MAX.into())),
            Self::Hyper => Some((i64::MIN.into(), i64::MAX.into())),
            Self::UnsignedHyper => Some((0, u64::MAX.into())),
            Self::Float | Self::Double | Self::Quadruple => None,
        }
    }
}

/// How many octets or elements there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bound {
    /// The greatest number.
    pub max: u32,
    /// Who says so.
    pub by: BoundBy,
}

/// Who says how great a [`Bound`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BoundBy {
    /// `<max>` in the source.
    Declaration,
    /// `@max` in a comment at an empty `<>`.
    Annotation,
    /// Nobody: an empty `<>` gets the compiler's own bound, because a length without a bound is somebody else's to choose.
    Compiler,
}

/// How many octets a value takes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// No value takes fewer; for types that do not hold themselves, some take no more.
    pub min: u64,
    /// The most; `None` if values can be longer than any number (recursion).
    pub max: Option<u64>,
}

impl Size {
    /// Returns the size of something that always takes `len` octets.
    #[must_use]
    pub fn fixed(len: u64) -> Self {
        Self { min: len, max: Some(len) }
    }

    /// Returns the length if all values have the same.
    #[must_use]
    pub fn exact(self) -> Option<u64> {
        self.max.filter(|max| *max == self.min)
    }

    /// Returns the size of `count` such values. Saturates.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        let max = if count == 0 { Some(0) } else { self.max.map(|max| max.saturating_mul(count)) };
        Self { min: self.min.saturating_mul(count), max }
    }

    /// Returns the size of one or the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let max = self.max.zip(other.max).map(|(one, two)| one.max(two));
        Self { min: self.min.min(other.min), max }
    }

    /// Returns the size of one after the other. Saturates.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let max = self.max.zip(other.max).map(|(one, two)| one.saturating_add(two));
        Self { min: self.min.saturating_add(other.min), max }
    }
}

/// A program: RFC 5531 §12, or an `interface`.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name; an `interface` without one is called after its file.
    pub name: Name,
    /// The namespaces around it, outermost first.
    pub namespace: Vec<String>,
    /// Its number: unique in the model.
    pub number: u32,
    /// How it was written.
    pub form: ProgramForm,
    /// Its versions, at least one; numbers and names unique.
    pub versions: Vec<Version>,
    /// What its comments say.
    pub docs: Docs,
}

impl Program {
    /// Returns the name with its namespaces, `::` between them.
    #[must_use]
    pub fn path(&self) -> String {
        path(&self.namespace, &self.name)
    }
}

/// How a [`Program`] was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProgramForm {
    /// `program NAME { version … } = number;`
    Program,
    /// `interface NAME { … };`, whose procedures are numbered from 1 by position, in version 1 unless `@version` says
    /// otherwise, of the program that `@program` says, or else [`interface_number`] of its name.
    Interface,
}

/// Returns the program number of an `interface` of this name that has no `@program`.
///
/// In the range that RFC 5531 §8.3 leaves to its users (0x20000000 to 0x3fffffff): the low 29 bits of the FNV-1a hash of the
/// name, 32 bits wide. Renaming an interface therefore makes it another program; `@program` keeps the number.
#[must_use]
pub fn interface_number(name: &str) -> u32 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, octet| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193));
    0x2000_0000 | hash & 0x1fff_ffff
}

/// A version of a [`Program`].
#[derive(Clone, Debug)]
pub struct Version {
    /// Its name; `V1` for version 1 of an interface.
    pub name: Name,
    /// Its number.
    pub number: u32,
    /// Its procedures; numbers and names unique. Procedure 0 is among them only if the source has it.
    pub procedures: Vec<Procedure>,
    /// What its comments say.
    pub docs: Docs,
}

/// A procedure of a [`Version`].
#[derive(Clone, Debug)]
pub struct Procedure {
    /// Its name.
    pub name: Name,
    /// Its number.
    pub number: u32,
    /// Its arguments, one after the other on the wire; none for `void`.
    pub arguments: Vec<Argument>,
    /// What it returns.
    pub result: Type,
    /// What its annotations promise.
    pub terms: Terms,
    /// What its comments say.
    pub docs: Docs,
}

/// An argument of a [`Procedure`].
#[derive(Clone, Debug)]
pub struct Argument {
    /// Its name, if the source gives one.
    pub name: Option<Name>,
    /// Its type; never void.
    pub ty: Type,
    /// Where it stands.
    pub span: Span,
}

/// What is promised of calls of a procedure, by annotations in its comments, or else in those of its version or program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// `@semantics`.
    pub semantics: Semantics,
    /// `@deadline`.
    pub deadline: Deadline,
    /// `@oneway`, or a reply.
    pub reply: Reply,
    /// `@stream`: what flows in pieces while the call is open.
    pub stream: Stream,
    /// `@progress`: the handler tells how far it is.
    pub progress: Progress,
    /// `@max args N`: the most octets that the encoded arguments may take.
    pub arguments_len_max: Option<u32>,
    /// `@max result N`: the most octets that the encoded result may take.
    pub result_len_max: Option<u32>,
    /// `@memory N`: the octets of memory that each octet of arguments or result may take.
    pub memory_factor: Option<u32>,
    /// `@lenient`.
    pub strictness: Strictness,
}

/// How often a call may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Semantics {
    /// One datagram, no retry: zero or one time.
    Maybe,
    /// At least once if it returned; may be repeated anywhere, any time.
    AtLeastOnce,
    /// Never more than once.
    #[default]
    AtMostOnce,
    /// Once, with the record of it committed together with the effect.
    ExactlyOnce,
}

/// How long a call may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Deadline {
    /// As long as the client's configuration says.
    #[default]
    Configured,
    /// `@deadline 5s`: as long as this, unless the caller says otherwise.
    After(Duration),
    /// `@deadline none`: as long as the server answers that it is at work.
    None,
}

/// Whether a call is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reply {
    /// It is.
    #[default]
    Expected,
    /// `@oneway`: it is not, and the result is void.
    Oneway,
}

/// What of a call flows in pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Nothing.
    #[default]
    No,
    /// `@stream args`: pieces from the client.
    Arguments,
    /// `@stream result`: pieces from the server.
    Result,
    /// `@stream`: both.
    Both,
}

/// Whether arguments and results that mean nothing are errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strictness {
    /// They are.
    #[default]
    Strict,
    /// `@lenient`: padding and what follows are ignored, and an enum may have a value that was not declared.
    Lenient,
}

/// Whether a handler reports its progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Progress {
    /// It does not.
    #[default]
    Silent,
    /// `@progress`: it does.
    Reported,
}

fn path(namespace: &[String], name: &Name) -> String {
    let mut path = String::new();
    for part in namespace {
        path.push_str(part);
        path.push_str("::");
    }
    path.push_str(&name.text);
    path
}

/// Returns `len` with the octets that pad it to a multiple of four (RFC 4506 §3).
fn padded(len: u32) -> u64 {
    u64::from(len).next_multiple_of(4)
}
