//! What the types consist of.

use std::collections::HashMap;

use super::names::{Scope, paths};
use super::{Checker, Work, builtin};
use crate::ast::{self, AnnotationKind, Declaration, Label, Shape, Specifier, UnionBody, Value};
use crate::diagnostic::Diagnostic;
use crate::model::{
    Arm, Bound, BoundBy, Case, DefaultArm, Definition, Docs, Enum, Field, List, Member, Name, Origin, Primitive, Size,
    Struct, Type, TypeDefinition, TypeId, Undeclared, Union,
};
use crate::source::Span;

impl<'t> Checker<'_, 't> {
    /// Fills the types that have names. Typedefs and enums come first, because unions look at what is behind them.
    pub(super) fn lower_types(&mut self) {
        let count = self.work.len();
        for index in 0..count {
            match self.work[index] {
                Work::Enum(members) => self.lower_enum(index, members),
                Work::Typedef(declaration) => self.lower_typedef(index, declaration),
                Work::Struct(_) | Work::Union(_) | Work::Nothing => {}
            }
        }
        self.break_typedef_cycles();
        for index in 0..count {
            match self.work[index] {
                Work::Struct(fields) => self.lower_struct(index, fields),
                Work::Union(body) => self.lower_union(index, body),
                Work::Enum(_) | Work::Typedef(_) | Work::Nothing => {}
            }
        }
        for index in 0..count {
            self.find_list(index);
        }
    }

    fn lower_enum(&mut self, index: usize, members: &[ast::Member]) {
        let scope = self.model.types[index].namespace.clone();
        let name = self.model.types[index].name.clone();
        if members.is_empty() {
            self.report(
                Diagnostic::error(name.span, format!("enum `{}` has no members", name.text)).help("give it one"),
            );
        }
        let mut lowered: Vec<Member> = Vec::with_capacity(members.len());
        let mut first_of: HashMap<i32, usize> = HashMap::new();
        for member in members {
            self.refuse_annotations(
                &member.notes.annotations,
                "annotations belong to procedures and to declarations with `<>`",
            );
            let Some(wide) = self.member_value(&scope, &member.name.text) else { continue };
            let Ok(value) = i32::try_from(wide) else {
                let diagnostic =
                    Diagnostic::error(member.name.span, format!("member `{}` has the value {wide}", member.name.text))
                        .help("the values of an enum are signed integers of 32 bits (RFC 4506 §4.3)");
                self.report(diagnostic);
                continue;
            };
            let alias_of = first_of.get(&value).copied();
            if let (Some(first), true) = (alias_of, self.is_strict()) {
                let diagnostic = Diagnostic::error(
                    member.name.span,
                    format!("member `{}` has the value {value} again", member.name.text),
                )
                .related(lowered[first].name.span, "first here")
                .help("a value can have one name only in the strict dialect");
                self.report(diagnostic);
            }
            first_of.entry(value).or_insert(lowered.len());
            lowered.push(Member { name: member.name.clone(), value, alias_of, docs: member.notes.docs.clone() });
        }
        self.model.types[index].definition =
            Definition::Enum(Enum { members: lowered, undeclared: Undeclared::Refused });
    }

    fn lower_typedef(&mut self, index: usize, declaration: &Declaration) {
        let scope = self.model.types[index].namespace.clone();
        let target = self.lower(declaration, &scope, Place::Typedef);
        self.model.types[index].definition = Definition::Alias(target);
    }

    /// Makes typedefs that name each other in a circle stand for something else, so that nobody runs in circles.
    fn break_typedef_cycles(&mut self) {
        // The number of the walk that reached it; 0 for none.
        let mut reached = vec![0_u32; self.model.types.len()];
        for start in 0..self.model.types.len() {
            let walk = start as u32 + 1;
            let mut index = start;
            while reached[index] == 0 {
                reached[index] = walk;
                let Definition::Alias(Type::Named(next)) = &self.model.types[index].definition else { break };
                index = next.0 as usize;
                if reached[index] == walk {
                    let name = self.model.types[index].name.clone();
                    let diagnostic = Diagnostic::error(name.span, format!("typedef `{}` stands for itself", name.text))
                        .help("one of the typedefs that name each other must name something else");
                    self.report(diagnostic);
                    self.model.types[index].definition = Definition::Alias(POISON);
                }
            }
        }
    }

    fn lower_struct(&mut self, index: usize, declarations: &[Declaration]) {
        let scope = self.model.types[index].namespace.clone();
        let mut fields: Vec<Field> = Vec::with_capacity(declarations.len());
        let mut seen: HashMap<&str, Span> = HashMap::new();
        for declaration in declarations {
            let ty = self.lower(declaration, &scope, Place::Field);
            // A void takes no octets and has no name (RFC 4506 §4.16).
            let Some(name) = &declaration.name else { continue };
            if let Some(first) = seen.insert(&name.text, name.span) {
                self.twice_within(name, "field", first);
            }
            fields.push(Field { name: name.clone(), ty, docs: declaration.notes.docs.clone() });
        }
        if declarations.is_empty() && self.is_strict() {
            let name = self.model.types[index].name.clone();
            let diagnostic = Diagnostic::error(name.span, format!("struct `{}` has no fields", name.text))
                .help("the strict dialect wants one; what holds nothing can be left out");
            self.report(diagnostic);
        }
        self.model.types[index].definition = Definition::Struct(Struct { fields, list: List::No });
    }

    fn twice_within(&mut self, name: &Name, what: &str, first: Span) {
        let diagnostic = Diagnostic::error(name.span, format!("{what} `{}` is there twice", name.text))
            .label("here again")
            .related(first, "first here")
            .help("rename one of them");
        self.report(diagnostic);
    }

    fn lower_union(&mut self, index: usize, body: &'t UnionBody) {
        let scope = self.model.types[index].namespace.clone();
        let own_name = self.model.types[index].name.clone();
        let discriminant_type = self.lower(&body.discriminant, &scope, Place::Discriminant);
        let discriminant = body.discriminant.name.clone().unwrap_or(own_name.clone());
        let values = self.discriminant(&discriminant_type, body.discriminant.span);
        let mut arms = Vec::with_capacity(body.arms.len());
        let mut default: Option<DefaultArm> = None;
        let mut seen_cases: HashMap<i128, Span> = HashMap::new();
        let mut seen_names: HashMap<&str, Span> = HashMap::new();
        for (position, arm) in body.arms.iter().enumerate() {
            let declaration = &arm.declaration;
            let ty = self.lower(declaration, &scope, Place::Arm);
            let name = declaration.name.clone().filter(|_| ty != Type::Void);
            if let Some(name) = declaration.name.as_ref().filter(|_| ty != Type::Void)
                && let Some(first) = seen_names.insert(&name.text, name.span)
            {
                self.twice_within(name, "arm", first);
            }
            let docs = declaration.notes.docs.clone();
            let mut cases = Vec::new();
            for label in &arm.labels {
                match label {
                    Label::Case(value) => cases.extend(self.case(&scope, value, &values, &mut seen_cases)),
                    Label::Default(span) => {
                        if let Some(first) = &default {
                            let diagnostic = Diagnostic::error(*span, "a union has one default")
                                .related(first.span, "first here")
                                .help("remove one of them");
                            self.report(diagnostic);
                        }
                        if self.is_strict() && position + 1 != body.arms.len() {
                            let diagnostic = Diagnostic::error(*span, "`default` is not the last case")
                                .help("the strict dialect wants it last (RFC 4506 §4.15)");
                            self.report(diagnostic);
                        }
                        default =
                            Some(DefaultArm { name: name.clone(), ty: ty.clone(), span: *span, docs: docs.clone() });
                    }
                }
            }
            // A label that falls through to the default says no more than the default.
            let is_default = arm.labels.iter().any(|label| matches!(label, Label::Default(_)));
            if !cases.is_empty() && !is_default {
                arms.push(Arm { cases, name, ty, docs });
            }
        }
        if body.arms.iter().all(|arm| arm.labels.iter().all(|label| matches!(label, Label::Default(_)))) {
            let diagnostic = Diagnostic::error(own_name.span, format!("union `{}` has no cases", own_name.text))
                .help("give it a `case`; what is always the same needs no union");
            self.report(diagnostic);
        }
        self.model.types[index].definition =
            Definition::Union(Union { discriminant, discriminant_type, arms, default });
    }

    /// Returns which values a discriminant can have, if it is one.
    fn discriminant(&mut self, ty: &Type, span: Span) -> Values {
        let resolved = self.model.resolve(ty);
        if let Type::Primitive(primitive) = resolved
            && primitive.encoded_len() == 4
            && let Some((min, max)) = primitive.range()
        {
            return Values::Range(min, max);
        }
        if let Type::Named(id) = resolved
            && let Definition::Enum(definition) = &self.model[*id].definition
        {
            // The first of several names of a value is the member; the others are aliases of it.
            let members = definition.members.iter().enumerate().filter(|(_, member)| member.alias_of.is_none());
            return Values::Enum(*id, members.map(|(index, member)| (member.value.into(), index)).collect());
        }
        let diagnostic = Diagnostic::error(span, "values of this type cannot choose an arm")
            .help("a discriminant is an int, an unsigned int, a bool or an enum (RFC 4506 §4.15)");
        self.report(diagnostic);
        Values::Unknown
    }

    fn case(
        &mut self,
        scope: Scope<'_>,
        value: &Value,
        values: &Values,
        seen: &mut HashMap<i128, Span>,
    ) -> Option<Case> {
        let number = self.number(scope, value)?;
        let span = value.span();
        let mut member = None;
        match values {
            Values::Unknown => return None,
            Values::Range(min, max) if number < *min || number > *max => {
                let diagnostic = Diagnostic::error(span, format!("the discriminant is never {number}"))
                    .help(format!("its type holds {min} to {max}"));
                self.report(diagnostic);
                return None;
            }
            Values::Range(..) => {}
            Values::Enum(id, members) => {
                member = members.get(&number).copied();
                if member.is_none() {
                    let of = self.model[*id].name.clone();
                    let message = format!("no member of enum `{}` has the value {number}", of.text);
                    let strict = self.is_strict();
                    let diagnostic =
                        if strict { Diagnostic::error(span, message) } else { Diagnostic::warning(span, message) };
                    self.report(
                        diagnostic
                            .related(of.span, "the enum")
                            .help("the case never comes up; remove it or add the member"),
                    );
                    i32::try_from(number).ok()?;
                }
            }
        }
        if let Some(first) = seen.insert(number, span) {
            let diagnostic = Diagnostic::error(span, format!("case {number} is there twice"))
                .label("here again")
                .related(first, "first here")
                .help("a value chooses one arm");
            self.report(diagnostic);
            return None;
        }
        let name = match value {
            Value::Name(name) => Some(name.text.clone()),
            Value::Integer(..) | Value::Text(..) => None,
        };
        Some(Case { value: i64::try_from(number).ok()?, name, member, span })
    }

    /// Sees whether a struct is an item of a linked list.
    fn find_list(&mut self, index: usize) {
        let id = TypeId(index as u32);
        let Definition::Struct(definition) = &self.model.types[index].definition else { return };
        let Some(last) = definition.fields.last() else { return };
        if let Type::Optional(target) = self.model.resolve(&last.ty)
            && *self.model.resolve(target) == Type::Named(id)
            && let Definition::Struct(definition) = &mut self.model.types[index].definition
        {
            definition.list = List::Linked;
        }
    }

    /// Returns the type that a declaration gives. What is wrong with it is told, and something else returned.
    pub(super) fn lower(&mut self, declaration: &Declaration, scope: Scope<'_>, place: Place) -> Type {
        let annotated = self.annotated_max(declaration);
        let base = match &declaration.specifier {
            Specifier::Void => {
                let allowed = matches!(place, Place::Field | Place::Arm | Place::Result);
                if !allowed
                    || !matches!(declaration.shape, Shape::Plain)
                    || declaration.name.is_some() && place != Place::Arm
                {
                    let diagnostic =
                        Diagnostic::error(declaration.span, "void has no values that something could hold")
                            .help("void stands alone: as a result, as no arguments, as what a case holds");
                    self.report(diagnostic);
                    return POISON;
                }
                return Type::Void;
            }
            Specifier::Opaque => return self.lower_opaque(declaration, scope, annotated),
            Specifier::String => return self.lower_string(declaration, scope, place, annotated),
            Specifier::Primitive(primitive) => Type::Primitive(*primitive),
            Specifier::Name(name) => self.named(scope, name),
            Specifier::Enum(..) | Specifier::Struct(..) | Specifier::Union(..) => {
                Type::Named(self.bodies[&(&raw const declaration.specifier)])
            }
        };
        match &declaration.shape {
            Shape::Plain => base,
            Shape::Optional => Type::Optional(Box::new(base)),
            Shape::Fixed(count) => Type::Array {
                element: Box::new(base),
                count: self.length(scope, count, "an array of length 0").unwrap_or(1),
            },
            Shape::Variable(max) => {
                let bound = self.bound(scope, max.as_ref(), annotated, declaration, "elements");
                Type::Vector { element: Box::new(base), bound }
            }
        }
    }

    fn lower_opaque(&mut self, declaration: &Declaration, scope: Scope<'_>, annotated: Option<u32>) -> Type {
        match &declaration.shape {
            Shape::Fixed(len) => Type::OpaqueFixed(self.length(scope, len, "opaque data of length 0").unwrap_or(1)),
            Shape::Variable(max) => Type::Opaque(self.bound(scope, max.as_ref(), annotated, declaration, "octets")),
            Shape::Plain | Shape::Optional => {
                let diagnostic = Diagnostic::error(declaration.span, "opaque data without a length")
                    .help("write opaque name[16] for a fixed length, opaque name<16> for a greatest one (RFC 4506 §4.9, §4.10)");
                self.report(diagnostic);
                POISON
            }
        }
    }

    fn lower_string(
        &mut self,
        declaration: &Declaration,
        scope: Scope<'_>,
        place: Place,
        annotated: Option<u32>,
    ) -> Type {
        match &declaration.shape {
            Shape::Variable(max) => Type::String(self.bound(scope, max.as_ref(), annotated, declaration, "octets")),
            // Sun's dialect has `string` alone as an argument and as a result, and so has an interface.
            Shape::Plain if matches!(place, Place::Argument | Place::Result) => {
                Type::String(self.bound(scope, None, annotated, declaration, "octets"))
            }
            Shape::Plain | Shape::Optional | Shape::Fixed(_) => {
                let help = match declaration.shape {
                    Shape::Fixed(_) => "strings have no fixed length: write string name<16>",
                    Shape::Optional => "define a type, `typedef string text<16>;`, and write text *name",
                    Shape::Plain | Shape::Variable(_) => "write string name<16> (RFC 4506 §4.11)",
                };
                self.report(Diagnostic::error(declaration.span, "a string without a greatest length").help(help));
                POISON
            }
        }
    }

    fn named(&mut self, scope: Scope<'_>, name: &Name) -> Type {
        if let Some(id) = paths(scope, &name.text).find_map(|path| self.type_names.get(&path).copied()) {
            return Type::Named(id);
        }
        if !self.is_strict() {
            if let Some(primitive) = self.encoded_in_c(&name.text).or_else(|| builtin::primitive(&name.text)) {
                return Type::Primitive(primitive);
            }
            let unbounded = Bound { max: self.options.unbounded_max, by: BoundBy::Compiler };
            if let Some(definition) = builtin::definition(name, unbounded) {
                return Type::Named(self.define_builtin(name, definition));
            }
        }
        // Each search goes through all names.
        if !self.diagnostics.is_full() && self.unknown.insert(format!("type {}", name.text)) {
            let is_c = builtin::is_type(&name.text) || matches!(name.text.as_str(), "char" | "short" | "long");
            let help = if is_c {
                "this type belongs to another dialect: --dialect sun".to_owned()
            } else {
                self.near_type(&name.text)
                    .map_or_else(|| self.how_to_define(&name.text), |near| format!("did you mean `{near}`?"))
            };
            self.report(Diagnostic::error(name.span, format!("there is no type `{}`", name.text)).help(help));
        }
        POISON
    }

    fn how_to_define(&self, name: &str) -> String {
        let help = "define it, or include the file that does";
        if self.is_strict() {
            return help.to_owned();
        }
        format!("{help}; for what a C header defines: -D {name}=TYPE, or HEADER.x in a folder of -I")
    }

    /// Returns the type that values have on the wire by `%#define xdr_NAME xdr_…`, with which a file tells the C that is made of it.
    fn encoded_in_c(&self, name: &str) -> Option<Primitive> {
        let span = *self.c_macros.get(&format!("xdr_{name}"))?;
        builtin::encoded_by(self.sources.text(span).split_whitespace().next()?)
    }

    /// Returns a type whose name differs in the case of its letters only.
    fn near_type(&self, name: &str) -> Option<&str> {
        let mut names = self.model.types.iter().map(|definition| definition.name.text.as_str());
        names.find(|known| known.eq_ignore_ascii_case(name))
    }

    /// Defines a type of C's headers, at its first use.
    fn define_builtin(&mut self, name: &Name, definition: Definition) -> TypeId {
        let id = TypeId(self.model.types.len() as u32);
        self.type_names.insert(name.text.clone(), id);
        self.model.types.push(TypeDefinition {
            name: name.clone(),
            namespace: Vec::new(),
            definition,
            parent: None,
            size: Size::fixed(0),
            cycle: None,
            docs: Docs::default(),
            origin: Origin::Dialect,
        });
        self.work.push(Work::Nothing);
        id
    }

    /// Returns a length that is part of a type.
    fn length(&mut self, scope: Scope<'_>, value: &Value, of_zero: &str) -> Option<u32> {
        let number = self.number(scope, value)?;
        let span = value.span();
        let Ok(len) = u32::try_from(number) else {
            let diagnostic =
                Diagnostic::error(span, format!("a length of {number}")).help("lengths lie within 0 and 4294967295");
            self.report(diagnostic);
            return None;
        };
        if len == 0 {
            self.report(Diagnostic::warning(span, format!("{of_zero} holds nothing")).help("leave it out"));
        }
        Some(len)
    }

    fn bound(
        &mut self,
        scope: Scope<'_>,
        declared: Option<&Value>,
        annotated: Option<u32>,
        declaration: &Declaration,
        unit: &str,
    ) -> Bound {
        let chosen = Bound { max: self.options.unbounded_max, by: BoundBy::Compiler };
        if let Some(declared) = declared {
            let max = self.length(scope, declared, &format!("a bound of 0 {unit}"));
            if annotated.is_some() {
                let diagnostic = Diagnostic::error(declaration.span, "`@max` beside a bound of the language")
                    .help("`@max` is for an empty `<>`; leave one of the two out");
                self.report(diagnostic);
            }
            return max.map_or(chosen, |max| Bound { max, by: BoundBy::Declaration });
        }
        if let Some(max) = annotated {
            return Bound { max, by: BoundBy::Annotation };
        }
        if self.origin(declaration.span) == Origin::File {
            let diagnostic = Diagnostic::warning(declaration.span, format!("no bound on the number of {unit}"))
                .label(format!("{} is assumed", chosen.max))
                .help("write the bound within `<>`, or in a comment: /* @max 64K */");
            self.report(diagnostic);
        }
        chosen
    }

    /// Returns the `@max` of a declaration.
    fn annotated_max(&mut self, declaration: &Declaration) -> Option<u32> {
        let mut max = None;
        for annotation in &declaration.notes.annotations {
            let takes_bound = match declaration.shape {
                Shape::Variable(_) => true,
                Shape::Plain => matches!(declaration.specifier, Specifier::String),
                Shape::Fixed(_) | Shape::Optional => false,
            };
            if let AnnotationKind::Max(number) = annotation.kind
                && takes_bound
                && max.is_none()
            {
                max = Some(number);
            } else {
                let help = "a declaration takes `@max`, once, if it has an empty `<>`";
                self.refuse_annotations(core::slice::from_ref(annotation), help);
            }
        }
        max
    }
}

/// What a declaration declares.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Field,
    Arm,
    Discriminant,
    Typedef,
    Argument,
    Result,
}

/// Which values a discriminant can have.
enum Values {
    /// From the first to the second.
    Range(i128, i128),
    /// Those of an enum: the index of the member by its value.
    Enum(TypeId, HashMap<i128, usize>),
    /// An error was told.
    Unknown,
}

/// What stands for a type that is wrong.
pub(super) const POISON: Type = Type::Primitive(Primitive::Int);
