//! The syntax tree: what an interface file says, not yet what it means.
//!
//! Names are names, constants are as written, a type without a name has none. [`crate::model`] is what the checker makes of it.

use core::time::Duration;

use crate::model::{Docs, Name, PercentLine, Semantics, Stream};
use crate::source::Span;

/// An interface file with all that it includes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Specification {
    /// The definitions, in order.
    pub(crate) definitions: Vec<Definition>,
    /// The `%` lines.
    pub(crate) percent_lines: Vec<PercentLine>,
}

/// A definition, and how it came here.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    /// What is defined.
    pub(crate) kind: DefinitionKind,
    /// What it is called: the type, constant or program. None for an `interface` without a name.
    pub(crate) name: Option<Name>,
    /// The namespaces around it.
    pub(crate) namespace: Namespace,
    /// From its first word to its end.
    pub(crate) span: Span,
    /// What its comments say.
    pub(crate) notes: Notes,
}

/// The namespaces around a definition, outermost first; shared, because thousands of definitions have the same.
pub(crate) type Namespace = alloc::rc::Rc<[String]>;

/// What a [`Definition`] defines.
#[derive(Clone, Debug)]
pub(crate) enum DefinitionKind {
    /// `const NAME = value;`
    Constant(Value),
    /// `enum NAME { … };`
    Enum(Vec<Member>),
    /// `struct NAME { … };`
    Struct(Vec<Declaration>),
    /// `union NAME switch (…) { … };`
    Union(Box<UnionBody>),
    /// `typedef declaration;`
    Typedef(Box<Declaration>),
    /// `program NAME { … } = value;`
    Program(Box<ProgramBody>),
    /// `interface NAME { … };`
    Interface(Vec<Procedure>),
}

/// Something that stands for a number (or, in Sun's dialect, a text).
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A number as written, at most 64 bits wide.
    Integer(i128, Span),
    /// A name, perhaps with namespaces and `::`.
    Name(Name),
    /// A text in double quotes, without them.
    Text(String, Span),
}

impl Value {
    /// Returns where it stands.
    #[must_use]
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Integer(_, span) | Self::Text(_, span) => *span,
            Self::Name(name) => name.span,
        }
    }
}

/// A member of an enum.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: Name,
    /// Its value; Sun's dialect lets it count on from the one before.
    pub(crate) value: Option<Value>,
    /// What its comments say.
    pub(crate) notes: Notes,
}

/// The discriminant and cases of a union.
#[derive(Clone, Debug)]
pub(crate) struct UnionBody {
    /// The discriminant.
    pub(crate) discriminant: Declaration,
    /// The arms, the default among them.
    pub(crate) arms: Vec<Arm>,
}

/// An arm of a union.
#[derive(Clone, Debug)]
pub(crate) struct Arm {
    /// Its labels, at least one; several where cases fall through.
    pub(crate) labels: Vec<Label>,
    /// What it holds.
    pub(crate) declaration: Declaration,
}

/// A label of an [`Arm`].
#[derive(Clone, Debug)]
pub(crate) enum Label {
    /// `case value:`
    Case(Value),
    /// `default:`
    Default(Span),
}

/// A type and, mostly, the name of what has it.
#[derive(Clone, Debug)]
pub(crate) struct Declaration {
    /// The type before the name.
    pub(crate) specifier: Specifier,
    /// The name; none for void, and where arguments and results have none.
    pub(crate) name: Option<Name>,
    /// What stands around the name.
    pub(crate) shape: Shape,
    /// All of it.
    pub(crate) span: Span,
    /// What its comments say.
    pub(crate) notes: Notes,
}

/// What stands around the name of a [`Declaration`].
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// Nothing.
    Plain,
    /// `name[value]`
    Fixed(Value),
    /// `name<value>` or `name<>`
    Variable(Option<Value>),
    /// `*name`
    Optional,
}

/// The type before the name.
#[derive(Clone, Debug)]
pub(crate) enum Specifier {
    /// `void`
    Void,
    /// A type that the language has a word for.
    Primitive(crate::model::Primitive),
    /// `opaque`
    Opaque,
    /// `string`
    String,
    /// A name, perhaps after `struct`, `enum` or `union`, perhaps with namespaces and `::`.
    Name(Name),
    /// `enum { … }`, with a name if one stands before the brace.
    Enum(Option<Name>, Vec<Member>),
    /// `struct { … }`, with a name if one stands before the brace.
    Struct(Option<Name>, Vec<Declaration>),
    /// `union switch (…) { … }`, with a name if one stands before `switch`.
    Union(Option<Name>, Box<UnionBody>),
}

/// What stands within a program's braces, and its number.
#[derive(Clone, Debug)]
pub(crate) struct ProgramBody {
    /// The versions.
    pub(crate) versions: Vec<Version>,
    /// The number.
    pub(crate) number: Value,
}

/// `version NAME { … } = value;`
#[derive(Clone, Debug)]
pub(crate) struct Version {
    /// Its name.
    pub(crate) name: Name,
    /// Its procedures.
    pub(crate) procedures: Vec<Procedure>,
    /// Its number.
    pub(crate) number: Value,
    /// What its comments say.
    pub(crate) notes: Notes,
}

/// `result NAME(arguments) = value;`
#[derive(Clone, Debug)]
pub(crate) struct Procedure {
    /// What it returns.
    pub(crate) result: Declaration,
    /// Its name.
    pub(crate) name: Name,
    /// What it takes; empty for `void`.
    pub(crate) arguments: Vec<Declaration>,
    /// Its number; none in an interface, where its position says it.
    pub(crate) number: Option<Value>,
    /// What its comments say.
    pub(crate) notes: Notes,
}

/// What the comments at a definition say: to the reader and to the compiler.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// To the reader.
    pub(crate) docs: Docs,
    /// To the compiler, in order.
    pub(crate) annotations: Vec<Annotation>,
}

/// A line of a comment that begins with `@` and one of our words.
#[derive(Clone, Debug)]
pub(crate) struct Annotation {
    /// What it says.
    pub(crate) kind: AnnotationKind,
    /// Where it stands.
    pub(crate) span: Span,
}

/// What an [`Annotation`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnnotationKind {
    /// `@semantics at-most-once|at-least-once|exactly-once|maybe`
    Semantics(Semantics),
    /// `@deadline 5s`, or `@deadline none`
    Deadline(Option<Duration>),
    /// `@oneway`
    Oneway,
    /// `@stream`, `@stream args`, `@stream result`
    Stream(Stream),
    /// `@progress`
    Progress,
    /// `@max 64K`: of an empty `<>`, in octets or elements; of a procedure, in octets of its arguments and of its result.
    Max(u32),
    /// `@max args 64K`
    MaxArguments(u32),
    /// `@max result 64K`
    MaxResult(u32),
    /// `@memory 16`
    Memory(u32),
    /// `@lenient`
    Lenient,
    /// `@program 0x20000001`: the number of an interface.
    Program(u32),
    /// `@version 2`: the version of an interface.
    Version(u32),
}
