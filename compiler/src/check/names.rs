//! Who is called what.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::constants::Source;
use super::{Checker, Work, builtin, is_type};
use crate::ast::{
    Declaration, Definition, DefinitionKind, Member, Namespace, Procedure, Shape, Specification, Specifier, UnionBody,
    Value,
};
use crate::diagnostic::Diagnostic;
use crate::model::{Definition as Meaning, Docs, Name, Origin, Size, Type, TypeDefinition, TypeId};
use crate::options::Dialect;

/// Drops typedefs that say nothing: `typedef struct name name;`, by which C makes a name of a tag, where here the tag is one; and
/// those that are there again, word for word.
pub(super) fn drop_idle_typedefs(specification: &mut Specification, dialect: Dialect) {
    if dialect.is_strict() {
        return;
    }
    let mut firsts: HashMap<(Namespace, String), Declaration> = HashMap::new();
    specification.definitions.retain(|definition| {
        let DefinitionKind::Typedef(declaration) = &definition.kind else { return true };
        let Some(name) = &declaration.name else { return true };
        match firsts.entry((definition.namespace.clone(), name.text.clone())) {
            Entry::Occupied(first) => !is_same(first.get(), declaration),
            Entry::Vacant(place) => {
                place.insert((**declaration).clone());
                true
            }
        }
    });
    let is_idle = |definition: &Definition| {
        let DefinitionKind::Typedef(declaration) = &definition.kind else { return false };
        let (Specifier::Name(of), Shape::Plain) = (&declaration.specifier, &declaration.shape) else { return false };
        declaration.name.as_ref().is_some_and(|name| name.text == of.text)
    };
    let defined: HashSet<String> = specification
        .definitions
        .iter()
        .filter(|definition| is_type(definition) && !is_idle(definition))
        .filter_map(|definition| definition.name.as_ref().map(|name| name.text.clone()))
        .collect();
    let is_known = |name: &str| defined.contains(name) || builtin::is_type(name);
    specification.definitions.retain(|definition| {
        !(is_idle(definition) && definition.name.as_ref().is_some_and(|name| is_known(&name.text)))
    });
}

/// Whether two declarations of one name are the same, word for word.
fn is_same(one: &Declaration, two: &Declaration) -> bool {
    let same_value = |one: &Value, two: &Value| match (one, two) {
        (Value::Integer(one, _), Value::Integer(two, _)) => one == two,
        (Value::Name(one), Value::Name(two)) => one.text == two.text,
        _ => false,
    };
    let same_specifier = match (&one.specifier, &two.specifier) {
        (Specifier::Opaque, Specifier::Opaque) | (Specifier::String, Specifier::String) => true,
        (Specifier::Primitive(one), Specifier::Primitive(two)) => one == two,
        (Specifier::Name(one), Specifier::Name(two)) => one.text == two.text,
        _ => false,
    };
    let same_shape = match (&one.shape, &two.shape) {
        (Shape::Plain, Shape::Plain)
        | (Shape::Optional, Shape::Optional)
        | (Shape::Variable(None), Shape::Variable(None)) => true,
        (Shape::Fixed(one), Shape::Fixed(two)) | (Shape::Variable(Some(one)), Shape::Variable(Some(two))) => {
            same_value(one, two)
        }
        _ => false,
    };
    same_specifier && same_shape && one.notes.annotations.is_empty() && two.notes.annotations.is_empty()
}

/// Where a name is looked for: the namespaces, outermost first.
pub(super) type Scope<'s> = &'s [String];

/// Puts namespaces before a name.
pub(super) fn path(scope: Scope<'_>, name: &str) -> String {
    let mut path = String::new();
    for part in scope {
        path.push_str(part);
        path.push_str("::");
    }
    path.push_str(name);
    path
}

/// Returns what a name may stand for in a scope: the nearest namespace first.
pub(super) fn paths(scope: Scope<'_>, name: &str) -> impl Iterator<Item = String> {
    (0..=scope.len()).rev().map(move |len| path(&scope[..len], name))
}

impl<'t> Checker<'_, 't> {
    /// Gives every type an id and every constant a place.
    pub(super) fn name_all(&mut self, definitions: &'t [Definition]) {
        for definition in definitions {
            self.name_definition(definition);
        }
    }

    fn name_definition(&mut self, definition: &'t Definition) {
        if !matches!(definition.kind, DefinitionKind::Program(_) | DefinitionKind::Interface(_)) {
            let help = "annotations belong to procedures and to declarations with `<>`";
            self.refuse_annotations(&definition.notes.annotations, help);
        }
        let scope = &definition.namespace[..];
        let Some(name) = &definition.name else {
            self.name_without_name(definition);
            return;
        };
        let named = |work| Naming { scope, name, parent: None, docs: &definition.notes.docs, work };
        match &definition.kind {
            DefinitionKind::Constant(value) => {
                self.add_constant(name, scope, Source::Value(value));
            }
            DefinitionKind::Enum(members) => {
                self.add_type(named(Work::Enum(members)));
                self.name_members(members, scope);
            }
            DefinitionKind::Struct(fields) => {
                let id = self.add_type(named(Work::Struct(fields)));
                self.name_within_all(fields, scope, id);
            }
            DefinitionKind::Union(body) => {
                let id = self.add_type(named(Work::Union(body)));
                self.name_within_union(body, scope, id);
            }
            DefinitionKind::Typedef(declaration) => self.name_typedef(declaration, named(Work::Typedef(declaration))),
            DefinitionKind::Program(body) => {
                self.add_number(name, scope, &body.number);
                for version in &body.versions {
                    self.add_number(&version.name, scope, &version.number);
                    for procedure in &version.procedures {
                        let number = procedure.number.as_ref().expect("procedures of programs have numbers");
                        self.add_number(&procedure.name, scope, number);
                        self.name_within_procedure(procedure, scope);
                    }
                }
            }
            DefinitionKind::Interface(_) => self.name_without_name(definition),
        }
    }

    fn name_without_name(&mut self, definition: &'t Definition) {
        if let DefinitionKind::Interface(procedures) = &definition.kind {
            for procedure in procedures {
                self.name_within_procedure(procedure, &definition.namespace);
            }
        } else {
            let diagnostic = Diagnostic::error(definition.span, "this defines nothing: a name is missing")
                .help("write the name that it is to have, or remove it");
            self.report(diagnostic);
        }
    }

    /// Names a typedef; what is written within it takes its name if nothing stands around that (RFC 4506 §4.18).
    fn name_typedef(&mut self, declaration: &'t Declaration, naming: Naming<'_, 't>) {
        let is_plain = matches!(declaration.shape, Shape::Plain);
        let scope = naming.scope;
        let work = match body(&declaration.specifier) {
            Some((None, work)) if is_plain => work,
            _ => naming.work,
        };
        let id = self.add_type(Naming { work, ..naming });
        match work {
            Work::Enum(members) => self.name_members(members, scope),
            Work::Struct(fields) => self.name_within_all(fields, scope, id),
            Work::Union(body) => self.name_within_union(body, scope, id),
            Work::Typedef(declaration) => self.name_within(declaration, scope, Some(id), None),
            Work::Nothing => {}
        }
    }

    fn name_within_all(&mut self, declarations: &'t [Declaration], scope: Scope<'_>, parent: TypeId) {
        for declaration in declarations {
            self.name_within(declaration, scope, Some(parent), declaration.name.as_ref());
        }
    }

    fn name_within_union(&mut self, body: &'t UnionBody, scope: Scope<'_>, parent: TypeId) {
        self.name_within(&body.discriminant, scope, Some(parent), body.discriminant.name.as_ref());
        for arm in &body.arms {
            self.name_within(&arm.declaration, scope, Some(parent), arm.declaration.name.as_ref());
        }
    }

    fn name_within_procedure(&mut self, procedure: &'t Procedure, scope: Scope<'_>) {
        let result = Name { text: format!("{}_result", procedure.name.text), span: procedure.result.span };
        self.name_within(&procedure.result, scope, None, Some(&result));
        for (index, argument) in procedure.arguments.iter().enumerate() {
            let own = argument.name.as_ref().map_or(format!("arg{}", index + 1), |name| name.text.clone());
            let name = Name { text: format!("{}_{own}", procedure.name.text), span: argument.span };
            self.name_within(argument, scope, None, Some(&name));
        }
    }

    /// Names what is written within a declaration: by itself if it has a name, or else after the declaration.
    fn name_within(
        &mut self,
        declaration: &'t Declaration,
        scope: Scope<'_>,
        parent: Option<TypeId>,
        place: Option<&Name>,
    ) {
        let Some((own, work)) = body(&declaration.specifier) else { return };
        let made_up = own.is_none().then(|| {
            let parts = [parent.map(|parent| &self.model[parent].name.text), place.map(|place| &place.text)];
            let text = parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("_");
            // A typedef of an array of what is written within it: the elements need a name of their own.
            let text = if place.is_none() { format!("{text}_item") } else { text };
            Name { text, span: declaration.span }
        });
        let docs = &declaration.notes.docs;
        let name = own.or(made_up.as_ref()).expect("what has no name of its own has one made up");
        let id = self.add_type(Naming { scope, name, parent, docs, work });
        self.bodies.insert(&raw const declaration.specifier, id);
        match work {
            Work::Enum(members) => self.name_members(members, scope),
            Work::Struct(fields) => self.name_within_all(fields, scope, id),
            Work::Union(body) => self.name_within_union(body, scope, id),
            Work::Typedef(_) | Work::Nothing => {}
        }
    }

    fn add_type(&mut self, naming: Naming<'_, 't>) -> TypeId {
        let Naming { scope, name, parent, docs, work } = naming;
        let id = TypeId(self.model.types.len() as u32);
        let origin = self.origin(name.span);
        let key = path(scope, &name.text);
        if let Some(earlier) = self.type_names.get(&key) {
            self.twice(name, "type", &self.model[*earlier].name.clone());
        } else {
            self.type_names.insert(key, id);
        }
        self.model.types.push(TypeDefinition {
            name: name.clone(),
            namespace: scope.to_vec(),
            definition: Meaning::Alias(Type::Void),
            parent,
            size: Size::fixed(0),
            cycle: None,
            docs: docs.clone(),
            origin,
        });
        self.work.push(work);
        id
    }

    fn name_members(&mut self, members: &'t [Member], scope: Scope<'_>) {
        let mut previous = None;
        for member in members {
            let source = match &member.value {
                Some(value) => Source::Value(value),
                None => Source::After(previous),
            };
            previous = Some(self.add_constant(&member.name, scope, source));
        }
    }

    /// Tells of names that are those of a type and of a constant: both share one space (RFC 4506 §6.4).
    pub(super) fn refuse_types_as_constants(&mut self) {
        for index in 0..self.model.types.len() {
            let definition = &self.model.types[index];
            if let Some(constant) = self.constant_named(&definition.path()) {
                let (name, constant) = (definition.name.clone(), constant.clone());
                self.twice(&name, "type", &constant);
            }
        }
    }

    /// Tells that a name is given twice, unless one of the two is imported: imports give way.
    pub(super) fn twice(&mut self, name: &Name, what: &str, earlier: &Name) {
        if self.origin(name.span) == Origin::Imported {
            return;
        }
        let diagnostic = Diagnostic::error(name.span, format!("{what} `{}` is defined twice", name.text))
            .label("here again")
            .related(earlier.span, "first here")
            .help("rename one of them");
        self.report(diagnostic);
    }
}

/// Returns the body that a specifier has, and the name that stands before it.
fn body(specifier: &Specifier) -> Option<(Option<&Name>, Work<'_>)> {
    match specifier {
        Specifier::Enum(name, members) => Some((name.as_ref(), Work::Enum(members))),
        Specifier::Struct(name, fields) => Some((name.as_ref(), Work::Struct(fields))),
        Specifier::Union(name, body) => Some((name.as_ref(), Work::Union(body))),
        Specifier::Void | Specifier::Primitive(_) | Specifier::Opaque | Specifier::String | Specifier::Name(_) => None,
    }
}

/// What there is to say of a type by whoever names it.
struct Naming<'s, 't> {
    scope: Scope<'s>,
    name: &'s Name,
    parent: Option<TypeId>,
    docs: &'s Docs,
    work: Work<'t>,
}
