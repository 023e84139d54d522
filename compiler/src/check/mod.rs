//! A syntax tree to a model: names are resolved, constants evaluated, rules checked.
//!
//! The passes, each of which finds what the one before left:
//! 1. `names`: who is called what, types without a name among them;
//! 2. `constants`: what the constants and members of enums are worth;
//! 3. `types`: what the types consist of;
//! 4. `graph`: which types hold which, how deep, how long on the wire;
//! 5. `programs`: numbers, arguments, annotations, and what these say of types;
//! 6. `lints`: what is allowed and unwise.

mod builtin;
mod constants;
mod graph;
mod lints;
mod names;
mod programs;
mod types;

use std::collections::{HashMap, HashSet};

use crate::ast::{self, Annotation, DefinitionKind, Specifier};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Model, Name, Origin, TypeId};
use crate::options::Options;
use crate::parse::Parsed;
use crate::source::{Purpose, Sources, Span};

pub use graph::TYPE_DEPTH_MAX;

/// Checks `parsed` and returns what it means; of use only if no error was told.
pub(crate) fn check(parsed: Parsed, options: &Options, sources: &Sources, diagnostics: &mut Diagnostics) -> Model {
    let Parsed { mut specification, c_macros, .. } = parsed;
    names::drop_idle_typedefs(&mut specification, options.dialect);
    // What the file itself says comes first, so that imports give way to it.
    let is_part = |span: Span| sources.purpose(span.file) == Purpose::Part;
    specification.definitions.sort_by_key(|definition| !is_part(definition.span));
    let percent_lines = core::mem::take(&mut specification.percent_lines);
    let mut checker = Checker {
        options,
        sources,
        diagnostics,
        c_macros,
        model: Model { percent_lines, ..Model::default() },
        type_names: HashMap::new(),
        constants: constants::Constants::default(),
        bodies: HashMap::new(),
        work: Vec::new(),
        program_names: HashMap::new(),
        program_numbers: HashMap::new(),
        unknown: HashSet::new(),
    };
    checker.name_all(&specification.definitions);
    checker.refuse_types_as_constants();
    checker.evaluate_constants();
    checker.lower_types();
    checker.measure();
    for definition in &specification.definitions {
        checker.program(definition);
    }
    checker.keep_undeclared();
    checker.finish_constants(&specification.definitions);
    // Of what is wrong, there is no use in saying that it is unwise.
    if !checker.diagnostics.has_errors() {
        checker.lint();
    }
    checker.drop_unused_imports();
    checker.model
}

struct Checker<'a, 't> {
    options: &'a Options,
    sources: &'a Sources,
    diagnostics: &'a mut Diagnostics,
    /// What `%#define` gives names in C.
    c_macros: HashMap<String, Span>,
    model: Model,
    /// The types by their names with namespaces.
    type_names: HashMap<String, TypeId>,
    constants: constants::Constants<'t>,
    /// The types that are written within others, by the node of the tree that is their body.
    bodies: HashMap<*const Specifier, TypeId>,
    /// What the types of the model are made from, by index.
    work: Vec<Work<'t>>,
    /// Where the programs are, by name with namespaces, and by their number and that of each version.
    program_names: HashMap<String, Name>,
    program_numbers: HashMap<(u32, u32), Span>,
    /// The names that were told to be unknown: once is enough.
    unknown: HashSet<String>,
}

/// What a type is made from.
#[derive(Clone, Copy)]
enum Work<'t> {
    Enum(&'t [ast::Member]),
    Struct(&'t [ast::Declaration]),
    Union(&'t ast::UnionBody),
    Typedef(&'t ast::Declaration),
    /// It is made already.
    Nothing,
}

impl Checker<'_, '_> {
    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn is_strict(&self) -> bool {
        self.options.dialect.is_strict()
    }

    fn origin(&self, span: Span) -> Origin {
        match self.sources.purpose(span.file) {
            Purpose::Part => Origin::File,
            Purpose::Import => Origin::Imported,
        }
    }

    /// Tells of annotations that say nothing where they stand.
    fn refuse_annotations(&mut self, annotations: &[Annotation], wanted: &str) {
        for annotation in annotations {
            let diagnostic = Diagnostic::error(annotation.span, "this annotation says nothing here").help(wanted);
            self.report(diagnostic);
        }
    }
}

/// Returns whether a definition is a type.
fn is_type(definition: &ast::Definition) -> bool {
    match definition.kind {
        DefinitionKind::Enum(_) | DefinitionKind::Struct(_) | DefinitionKind::Union(_) | DefinitionKind::Typedef(_) => {
            true
        }
        DefinitionKind::Constant(_) | DefinitionKind::Program(_) | DefinitionKind::Interface(_) => false,
    }
}
