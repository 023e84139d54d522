//! Whether a new version of an interface still speaks with the old one.
//!
//! Two sides that were made from different versions meet in both directions: an old client calls a new server, a new client an
//! old server. What counts is what travels: numbers, the order of fields, lengths. Names do not travel.

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;
use std::collections::HashSet;

use crate::model::{
    Argument, Bound, Definition, Enum, Model, Name, Primitive, Procedure, Program, ProgramForm, Reply, Struct, Type,
    TypeId, Union, Version,
};
use crate::source::{Sources, Span};

/// What a [`Change`] does to sides that do not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Nothing: both go on as before.
    Safe,
    /// Some values, or some calls, that one side takes for right are refused by the other.
    Limits,
    /// What one side sends, the other refuses or takes for something else.
    Breaks,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safe => "safe",
            Self::Limits => "limits",
            Self::Breaks => "breaks",
        })
    }
}

/// A difference between two versions of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it does.
    pub verdict: Verdict,
    /// What differs: `PROGRAM.VERSION.PROCEDURE`, or a type and perhaps a part of it.
    pub place: String,
    /// How it differs.
    pub what: String,
    /// Why the verdict is as it is.
    pub why: &'static str,
    /// Where it stands in the old version, if it does.
    pub old: Option<Span>,
    /// Where it stands in the new version, if it does.
    pub new: Option<Span>,
}

/// All that differs between two versions of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The differences, in the order of the old version, what is added after what is there.
    pub changes: Vec<Change>,
}

impl Comparison {
    /// Returns the worst verdict of all; [`Verdict::Safe`] if nothing differs.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.changes.iter().map(|change| change.verdict).max().unwrap_or(Verdict::Safe)
    }

    /// Returns the text for people: two lines a change.
    #[must_use]
    pub fn render(&self, old: &Sources, new: &Sources) -> String {
        let mut text = String::new();
        for change in &self.changes {
            let place = |sources: &Sources, span: Option<Span>| {
                span.map(|span| {
                    let position = sources.position(span);
                    format!("{}:{}:{}", sources.name(span.file), position.line, position.column)
                })
            };
            let places = [place(old, change.old), place(new, change.new)].into_iter().flatten().collect::<Vec<_>>();
            text += &format!("{}: {}: {}\n", change.verdict, change.place, change.what);
            text += &format!("    {} ({})\n", change.why, places.join(", "));
        }
        text
    }
}

/// Compares two versions of an interface.
#[must_use]
pub fn compare(old: &Model, new: &Model) -> Comparison {
    let mut comparer = Comparer { old, new, seen: HashSet::new(), changes: Vec::new() };
    comparer.programs();
    comparer.types_without_procedures();
    Comparison { changes: comparer.changes }
}

struct Comparer<'m> {
    old: &'m Model,
    new: &'m Model,
    /// The types that were compared, or are being: each pair is told of once.
    seen: HashSet<(TypeId, TypeId)>,
    changes: Vec<Change>,
}

/// What is compared, and where it stands.
#[derive(Clone)]
struct Place {
    name: String,
    old: Option<Span>,
    new: Option<Span>,
}

impl Place {
    fn new(name: String, old: &Name, new: &Name) -> Self {
        Self { name, old: Some(old.span), new: Some(new.span) }
    }

    fn part(&self, part: &str, old: Span, new: Span) -> Self {
        Self { name: format!("{}{part}", self.name), old: Some(old), new: Some(new) }
    }
}

/// Returns what has the number of a program in another model: of several, the one of its name.
fn counterpart<'m>(program: &Program, model: &'m Model) -> Option<&'m Program> {
    let mut of_number = model.programs.iter().filter(|other| other.number == program.number);
    of_number.clone().find(|other| other.name.text == program.name.text).or_else(|| of_number.next())
}

/// Returns the versions with the number of a program, which may be in several programs.
fn versions(model: &Model, number: u32) -> impl Iterator<Item = &Version> {
    model.programs.iter().filter(move |program| program.number == number).flat_map(|program| &program.versions)
}

impl Comparer<'_> {
    fn tell(&mut self, verdict: Verdict, place: &Place, what: String, why: &'static str) {
        self.changes.push(Change { verdict, place: place.name.clone(), what, why, old: place.old, new: place.new });
    }

    fn programs(&mut self) {
        let (old, new) = (self.old, self.new);
        for program in &old.programs {
            match counterpart(program, new) {
                Some(other) => self.program(program, other),
                None => self.program_gone(program),
            }
        }
        for program in &new.programs {
            if old.programs.iter().any(|other| other.number == program.number) {
                self.versions_added(program);
                continue;
            }
            let place = Place { name: program.name.text.clone(), old: None, new: Some(program.name.span) };
            self.tell(
                Verdict::Safe,
                &place,
                format!("program {} is added", program.number),
                "old clients do not call it",
            );
        }
    }

    fn program_gone(&mut self, program: &Program) {
        let renumbered = self.new.programs.iter().find(|other| other.name.text == program.name.text);
        let place = Place {
            name: program.name.text.clone(),
            old: Some(program.name.span),
            new: renumbered.map(|program| program.name.span),
        };
        match renumbered {
            Some(other) => {
                let what = format!("the program had the number {} and has {}", program.number, other.number);
                self.tell(Verdict::Breaks, &place, what, "calls of the other side are refused: no such program");
            }
            None => {
                let by_name = program.form == ProgramForm::Interface;
                let why = if by_name {
                    "calls of old clients are refused: no such program (an interface that is renamed keeps its number by @program)"
                } else {
                    "calls of old clients are refused: no such program"
                };
                self.tell(Verdict::Breaks, &place, format!("program {} is gone", program.number), why);
            }
        }
    }

    fn program(&mut self, old: &Program, new: &Program) {
        let place = Place::new(old.name.text.clone(), &old.name, &new.name);
        self.renamed(&place, &old.name, &new.name);
        let new_model = self.new;
        for version in &old.versions {
            let name = format!("{}.{}", old.name.text, version.name.text);
            match versions(new_model, old.number).find(|other| other.number == version.number) {
                Some(other) => self.version(&Place::new(name, &version.name, &other.name), version, other),
                None => {
                    let place = Place { name, old: Some(version.name.span), new: None };
                    let what = format!("version {} is gone", version.number);
                    self.tell(Verdict::Breaks, &place, what, "calls of old clients are refused: version out of range");
                }
            }
        }
    }

    fn versions_added(&mut self, program: &Program) {
        let old = self.old;
        for version in &program.versions {
            if versions(old, program.number).any(|other| other.number == version.number) {
                continue;
            }
            let name = format!("{}.{}", program.name.text, version.name.text);
            let place = Place { name, old: None, new: Some(version.name.span) };
            let what = format!("version {} is added", version.number);
            self.tell(
                Verdict::Safe,
                &place,
                what,
                "old clients do not call it; old servers refuse it and name their own",
            );
        }
    }

    fn version(&mut self, place: &Place, old: &Version, new: &Version) {
        self.renamed(place, &old.name, &new.name);
        for procedure in &old.procedures {
            let name = format!("{}.{}", place.name, procedure.name.text);
            match new.procedures.iter().find(|other| other.number == procedure.number) {
                Some(other) => self.procedure(&Place::new(name, &procedure.name, &other.name), procedure, other, new),
                None => {
                    let moved = new.procedures.iter().find(|other| other.name.text == procedure.name.text);
                    let place = Place { name, old: Some(procedure.name.span), new: moved.map(|moved| moved.name.span) };
                    self.tell(
                        Verdict::Breaks,
                        &place,
                        format!("procedure {} is gone", procedure.number),
                        "calls of old clients are refused: no such procedure",
                    );
                }
            }
        }
        for procedure in new
            .procedures
            .iter()
            .filter(|procedure| old.procedures.iter().all(|other| other.number != procedure.number))
        {
            let name = format!("{}.{}", place.name, procedure.name.text);
            let place = Place { name, old: None, new: Some(procedure.name.span) };
            let what = format!("procedure {} is added", procedure.number);
            self.tell(
                Verdict::Safe,
                &place,
                what,
                "old clients do not call it; old servers refuse it: no such procedure",
            );
        }
    }

    fn procedure(&mut self, place: &Place, old: &Procedure, new: &Procedure, holder: &Version) {
        // The name went to another number, so that this is another procedure: what its types are does not matter.
        if old.name.text != new.name.text
            && let Some(moved) = holder.procedures.iter().find(|other| other.name.text == old.name.text)
        {
            let what = format!("the procedure had the number {} and has {}", old.number, moved.number);
            self.tell(Verdict::Breaks, place, what, "calls of the other side run another procedure");
            return;
        }
        self.renamed(place, &old.name, &new.name);
        self.arguments(place, old, new);
        let result = place.part(" result", old.name.span, new.name.span);
        self.ty(&result, &old.result, &new.result);
        self.terms(place, old, new);
    }

    fn arguments(&mut self, place: &Place, old: &Procedure, new: &Procedure) {
        // One after the other on the wire, a structure and its fields are the same.
        let (old_types, new_types) =
            (self.fields_of(&old.arguments, new, self.old), self.fields_of(&new.arguments, old, self.new));
        if old_types.len() != new_types.len() {
            let what = format!("it took {} and takes {}", count(&old_types), count(&new_types));
            self.tell(Verdict::Breaks, place, what, "a server refuses what is missing or left over: garbage arguments");
            return;
        }
        for (index, (one, two)) in old_types.iter().zip(&new_types).enumerate() {
            let argument = place.part(&format!(" argument {}", index + 1), old.name.span, new.name.span);
            self.ty(&argument, one, two);
        }
    }

    /// Returns the types of the arguments; of a structure alone, those of its fields, if the other side has not one alone.
    fn fields_of<'a>(&self, arguments: &'a [Argument], other: &Procedure, model: &'a Model) -> Vec<&'a Type> {
        if let [argument] = arguments
            && other.arguments.len() != 1
            && let Type::Named(id) = model.resolve(&argument.ty)
            && let Definition::Struct(definition) = &model[*id].definition
        {
            return definition.fields.iter().map(|field| &field.ty).collect();
        }
        arguments.iter().map(|argument| &argument.ty).collect()
    }

    fn terms(&mut self, place: &Place, old: &Procedure, new: &Procedure) {
        let (old, new) = (&old.terms, &new.terms);
        if old.reply != new.reply {
            let what =
                if new.reply == Reply::Oneway { "it is one-way, and was not" } else { "it was one-way, and is not" };
            self.tell(Verdict::Breaks, place, what.into(), "one side waits for a reply that the other does not send");
        }
        if old.stream != new.stream {
            let what = format!("its stream was {:?} and is {:?}", old.stream, new.stream).to_lowercase();
            self.tell(Verdict::Breaks, place, what, "one side waits for pieces that the other does not send");
        }
        if old.semantics != new.semantics {
            let what = format!("its semantics were {:?} and are {:?}", old.semantics, new.semantics);
            self.tell(Verdict::Limits, place, what, "until both sides have the new version, the weaker promise holds");
        }
        if old.arguments_len_max != new.arguments_len_max || old.result_len_max != new.result_len_max {
            let what = "the greatest lengths of its arguments or its result differ".into();
            self.tell(Verdict::Limits, place, what, "what is longer than one side takes is refused by it");
        }
        if old.memory_factor != new.memory_factor {
            let what = "the memory that its arguments and its result may take differs".into();
            self.tell(Verdict::Limits, place, what, "what takes more than one side allows is refused by it");
        }
        if old.strictness != new.strictness {
            let what = format!("it was {:?} and is {:?}", old.strictness, new.strictness).to_lowercase();
            self.tell(Verdict::Limits, place, what, "what means nothing is refused by the side that is strict");
        }
        if old.deadline != new.deadline {
            let what = format!("its deadline was {:?} and is {:?}", old.deadline, new.deadline);
            self.tell(Verdict::Safe, place, what, "each client chooses its own");
        }
    }

    fn renamed(&mut self, place: &Place, old: &Name, new: &Name) {
        if old.text != new.text {
            let what = format!("it was called `{}` and is called `{}`", old.text, new.text);
            self.tell(Verdict::Safe, place, what, "names do not travel");
        }
    }

    /// Compares what no procedure uses: somebody may store it, or send it by other means.
    fn types_without_procedures(&mut self) {
        let (old, new) = (self.old, self.new);
        let by_path: BTreeMap<String, TypeId> =
            new.types.iter().enumerate().map(|(index, definition)| (definition.path(), TypeId(index as u32))).collect();
        let compared: HashSet<TypeId> = self.seen.iter().map(|(old, _)| *old).collect();
        for (index, definition) in old.types.iter().enumerate() {
            let id = TypeId(index as u32);
            let Some(other) = by_path.get(&definition.path()) else {
                let place = Place { name: definition.path(), old: Some(definition.name.span), new: None };
                if !compared.contains(&id) {
                    let why = "no procedure uses it; whoever stores its values needs the old version to read them";
                    self.tell(Verdict::Safe, &place, "the type is gone".into(), why);
                }
                continue;
            };
            let place = Place::new(definition.path(), &definition.name, &new[*other].name);
            self.ty(&place, &Type::Named(id), &Type::Named(*other));
        }
    }

    /// Compares two types by what their values are on the wire.
    fn ty(&mut self, place: &Place, old: &Type, new: &Type) {
        let (old_named, new_named) = (named(self.old, old), named(self.new, new));
        if let (Some(one), Some(two)) = (old_named, new_named) {
            if !self.seen.insert((one, two)) {
                return;
            }
            // What differs within a type is told of the type, not of all its uses.
            let place = Place::new(self.old[one].path(), &self.old[one].name, &self.new[two].name);
            match (&self.old[one].definition, &self.new[two].definition) {
                (Definition::Enum(old), Definition::Enum(new)) => return self.enums(&place, old, new),
                (Definition::Struct(old), Definition::Struct(new)) => return self.structs(&place, old, new),
                (Definition::Union(old), Definition::Union(new)) => return self.unions(&place, old, new),
                _ => {}
            }
        }
        let (old, new) = (Wire::of(self.old, old), Wire::of(self.new, new));
        self.wires(place, &old, &new);
    }

    fn wires(&mut self, place: &Place, old: &Wire<'_>, new: &Wire<'_>) {
        match (old, new) {
            (Wire::Octets(old), Wire::Octets(new)) => self.bounds(place, *old, *new, "octets"),
            (Wire::Some(old_element, old), Wire::Some(new_element, new)) => {
                self.bounds(place, *old, *new, "elements");
                self.ty(place, old_element, new_element);
            }
            (Wire::Array(old_element, old), Wire::Array(new_element, new)) if old == new => {
                self.ty(place, old_element, new_element);
            }
            (Wire::Word(old), Wire::Word(new)) if old != new => {
                let what = format!("it was {old} and is {new}");
                self.tell(
                    Verdict::Limits,
                    place,
                    what,
                    "the same four octets; values that only one side knows are refused",
                );
            }
            (Wire::Words(old), Wire::Words(new)) if old != new => {
                let what = format!("it was {old} and is {new}");
                self.tell(
                    Verdict::Limits,
                    place,
                    what,
                    "the same eight octets; values that only one side knows are refused",
                );
            }
            _ if old == new => {}
            _ => {
                let what = format!("it was {old} and is {new}");
                self.tell(Verdict::Breaks, place, what, "the octets of one mean something else to the other");
            }
        }
    }

    fn bounds(&mut self, place: &Place, old: u32, new: u32, unit: &str) {
        if old != new {
            let what = format!("it had up to {old} {unit} and has up to {new}");
            self.tell(Verdict::Limits, place, what, "what has more than one side takes is refused by it");
        }
    }

    fn enums(&mut self, place: &Place, old: &Enum, new: &Enum) {
        let values = |of: &Enum| -> BTreeMap<i32, Name> {
            of.members.iter().rev().map(|member| (member.value, member.name.clone())).collect()
        };
        let (old, new) = (values(old), values(new));
        for (value, name) in &old {
            let place = |new: Option<&Name>| Place {
                name: format!("{}.{}", place.name, name.text),
                old: Some(name.span),
                new: new.map(|name| name.span),
            };
            match new.get(value) {
                Some(other) => self.renamed(&place(Some(other)), name, other),
                None => self.tell(
                    Verdict::Limits,
                    &place(None),
                    format!("value {value} is gone"),
                    "the new side refuses it",
                ),
            }
        }
        for (value, name) in new.iter().filter(|(value, _)| !old.contains_key(value)) {
            let place = Place { name: format!("{}.{}", place.name, name.text), old: None, new: Some(name.span) };
            self.tell(Verdict::Limits, &place, format!("value {value} is added"), "the old side refuses it");
        }
    }

    fn structs(&mut self, place: &Place, old: &Struct, new: &Struct) {
        if old.fields.len() != new.fields.len() {
            let what = format!("it had {} fields and has {}", old.fields.len(), new.fields.len());
            self.tell(
                Verdict::Breaks,
                place,
                what,
                "what follows is read from the wrong place, or is missing or left over",
            );
            return;
        }
        for (old, new) in old.fields.iter().zip(&new.fields) {
            let field = place.part(&format!(".{}", old.name.text), old.name.span, new.name.span);
            self.renamed(&field, &old.name, &new.name);
            self.ty(&field, &old.ty, &new.ty);
        }
    }

    fn unions(&mut self, place: &Place, old: &Union, new: &Union) {
        let discriminant =
            place.part(&format!(".{}", old.discriminant.text), old.discriminant.span, new.discriminant.span);
        self.ty(&discriminant, &old.discriminant_type, &new.discriminant_type);
        let values: BTreeSet<i64> =
            [old, new].iter().flat_map(|of| &of.arms).flat_map(|arm| &arm.cases).map(|case| case.value).collect();
        for value in values {
            let (one, two) = (chosen(old, value), chosen(new, value));
            let at = |of: Option<(&Type, Span)>| of.map(|(_, span)| span);
            let case = Place { name: format!("{} case {value}", place.name), old: at(one), new: at(two) };
            match (one, two) {
                (Some((one, _)), Some((two, _))) => self.ty(&case, one, two),
                (Some(_), None) => {
                    self.tell(Verdict::Limits, &case, "the case is gone".into(), "the new side refuses it")
                }
                (None, Some(_)) => {
                    self.tell(Verdict::Limits, &case, "the case is added".into(), "the old side refuses it")
                }
                (None, None) => {}
            }
        }
        match (&old.default, &new.default) {
            (Some(one), Some(two)) => {
                let default =
                    Place { name: format!("{} default", place.name), old: Some(one.span), new: Some(two.span) };
                self.ty(&default, &one.ty, &two.ty);
            }
            (Some(one), None) => {
                let default = Place { name: format!("{} default", place.name), old: Some(one.span), new: None };
                self.tell(
                    Verdict::Limits,
                    &default,
                    "the default is gone".into(),
                    "the new side refuses all other values",
                );
            }
            (None, Some(two)) => {
                let default = Place { name: format!("{} default", place.name), old: None, new: Some(two.span) };
                self.tell(
                    Verdict::Limits,
                    &default,
                    "a default is added".into(),
                    "the old side refuses all other values",
                );
            }
            (None, None) => {}
        }
    }
}

/// What a type is on the wire, as far as it is not a structure or a union on both sides.
#[derive(PartialEq)]
enum Wire<'m> {
    Nothing,
    /// Four octets that are a number.
    Word(&'static str),
    /// Eight octets that are a number.
    Words(&'static str),
    /// A number that is no integer.
    Real(&'static str),
    /// So many octets, always.
    Fixed(u32),
    /// A length and up to so many octets.
    Octets(u32),
    Array(&'m Type, u32),
    /// A count and up to so many elements: optional data is the same with up to one (RFC 4506 §4.19).
    Some(&'m Type, u32),
    Struct(usize),
    Union,
}

impl<'m> Wire<'m> {
    fn of(model: &'m Model, ty: &'m Type) -> Self {
        match model.resolve(ty) {
            Type::Void => Self::Nothing,
            Type::Primitive(primitive) => Self::of_primitive(*primitive),
            Type::OpaqueFixed(len) => Self::Fixed(*len),
            Type::Opaque(Bound { max, .. }) | Type::String(Bound { max, .. }) => Self::Octets(*max),
            Type::Array { element, count } => Self::Array(element, *count),
            Type::Vector { element, bound } => Self::Some(element, bound.max),
            Type::Optional(target) => Self::Some(target, 1),
            Type::Named(id) => match &model[*id].definition {
                Definition::Enum(_) => Self::Word("an enum"),
                Definition::Struct(definition) => Self::Struct(definition.fields.len()),
                Definition::Union(_) => Self::Union,
                Definition::Alias(_) => unreachable!("resolve follows aliases"),
            },
        }
    }

    fn of_primitive(primitive: Primitive) -> Self {
        match primitive {
            Primitive::Bool => Self::Word("a bool"),
            Primitive::Char => Self::Word("a char"),
            Primitive::UnsignedChar => Self::Word("an unsigned char"),
            Primitive::Short => Self::Word("a short"),
            Primitive::UnsignedShort => Self::Word("an unsigned short"),
            Primitive::Int => Self::Word("an int"),
            Primitive::Unsigned => Self::Word("an unsigned int"),
            Primitive::Hyper => Self::Words("a hyper"),
            Primitive::UnsignedHyper => Self::Words("an unsigned hyper"),
            Primitive::Float => Self::Real("a float"),
            Primitive::Double => Self::Real("a double"),
            // Nobody computes with it: it is as good as opaque.
            Primitive::Quadruple => Self::Fixed(16),
        }
    }
}

impl fmt::Display for Wire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("void"),
            Self::Word(name) | Self::Words(name) | Self::Real(name) => f.write_str(name),
            Self::Fixed(len) => write!(f, "{len} octets"),
            Self::Octets(max) => write!(f, "a length and up to {max} octets"),
            Self::Array(_, count) => write!(f, "an array of {count}"),
            Self::Some(_, 1) => f.write_str("optional"),
            Self::Some(_, max) => write!(f, "a count and up to {max} elements"),
            Self::Struct(count) => write!(f, "a struct of {count} fields"),
            Self::Union => f.write_str("a union"),
        }
    }
}

/// Returns the type behind typedefs, if it has a definition of its own.
fn named(model: &Model, ty: &Type) -> Option<TypeId> {
    let Type::Named(id) = model.resolve(ty) else { return None };
    Some(*id)
}

/// Returns what a value chooses, and where that stands.
fn chosen(union: &Union, value: i64) -> Option<(&Type, Span)> {
    let case = |case: &&crate::model::Case| case.value == value;
    let arm = union.arms.iter().find_map(|arm| arm.cases.iter().find(case).map(|case| (&arm.ty, case.span)));
    arm.or(union.default.as_ref().map(|default| (&default.ty, default.span)))
}

fn count(types: &[&Type]) -> String {
    match types.len() {
        0 => "no arguments".into(),
        1 => "one argument".into(),
        count => format!("{count} arguments"),
    }
}
