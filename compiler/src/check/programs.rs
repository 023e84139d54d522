//! Programs, versions, procedures: their numbers, arguments and annotations.

use std::collections::HashMap;

use super::Checker;
use super::names::{Scope, path};
use super::types::Place;
use crate::ast::{self, Annotation, AnnotationKind, DefinitionKind, Notes, Value};
use crate::diagnostic::Diagnostic;
use crate::model::{
    Argument, Deadline, Docs, Name, Origin, Procedure, Program, ProgramForm, Progress, Reply, Semantics, Stream,
    Strictness, Terms, Type, Version, interface_number,
};
use crate::source::{FileId, Span};

impl Checker<'_, '_> {
    /// Adds the program that a definition is, if it is one.
    pub(super) fn program(&mut self, definition: &ast::Definition) {
        // The file that imports another uses its types; it does not offer its programs.
        if self.origin(definition.span) != Origin::File {
            return;
        }
        let program = match &definition.kind {
            DefinitionKind::Program(body) => self.sun_program(definition, body),
            DefinitionKind::Interface(procedures) => self.interface(definition, procedures),
            DefinitionKind::Constant(_)
            | DefinitionKind::Enum(_)
            | DefinitionKind::Struct(_)
            | DefinitionKind::Union(_)
            | DefinitionKind::Typedef(_) => return,
        };
        let name = &program.name;
        if let Some(earlier) = self.program_names.insert(path(&program.namespace, &name.text), name.clone()) {
            self.twice(name, "program", &earlier);
        }
        // The versions of a program may be in several, as those of the portmapper are (RFC 1833 §2.1, §3.2); none twice.
        let taken = program.versions.iter().filter_map(|version| {
            self.program_numbers
                .insert((program.number, version.number), name.span)
                .filter(|earlier| *earlier != name.span)
        });
        if let Some(earlier) = taken.last() {
            self.same_number("program", name, program.number, earlier);
        }
        self.model.programs.push(program);
    }

    fn sun_program(&mut self, definition: &ast::Definition, body: &ast::ProgramBody) -> Program {
        let scope = &definition.namespace[..];
        let name = definition.name.clone().expect("programs have names");
        let number = self.protocol_number(scope, &body.number, "program");
        let outer = self.terms(&definition.notes, &Said::default(), Level::Program);
        let mut versions: Vec<Version> = Vec::with_capacity(body.versions.len());
        let mut names = HashMap::new();
        let mut numbers = HashMap::new();
        for version in &body.versions {
            let number = self.protocol_number(scope, &version.number, "version");
            if let Some(first) = names.insert(version.name.text.clone(), version.name.clone()) {
                self.twice(&version.name, "version", &first);
            }
            if let Some(first) = numbers.insert(number, version.name.span) {
                self.same_number("version", &version.name, number, first);
            }
            let terms = self.terms(&version.notes, &outer, Level::Version);
            let numbered = version.procedures.iter().map(|procedure| {
                let number = procedure.number.as_ref().expect("procedures of programs have numbers");
                (procedure, Number::Written(number))
            });
            let procedures = self.procedures(scope, numbered, &terms, &version.name);
            versions.push(Version { name: version.name.clone(), number, procedures, docs: version.notes.docs.clone() });
        }
        if versions.is_empty() {
            self.report(
                Diagnostic::error(name.span, format!("program `{}` has no versions", name.text)).help("give it one"),
            );
        }
        let (namespace, docs) = (scope.to_vec(), definition.notes.docs.clone());
        Program { name, namespace, number, form: ProgramForm::Program, versions, docs }
    }

    fn interface(&mut self, definition: &ast::Definition, procedures: &[ast::Procedure]) -> Program {
        let scope = &definition.namespace[..];
        let name = definition.name.clone().unwrap_or_else(|| Name { text: self.name_of_file(), span: definition.span });
        let mut number = interface_number(&name.text);
        let mut version = 1;
        for annotation in &definition.notes.annotations {
            if let AnnotationKind::Program(given) = annotation.kind {
                number = given;
            }
            if let AnnotationKind::Version(given) = annotation.kind {
                version = given;
            }
        }
        let terms = self.terms(&definition.notes, &Said::default(), Level::Interface);
        let version_name = Name { text: format!("V{version}"), span: name.span };
        let numbered = procedures.iter().zip(1..).map(|(procedure, position)| (procedure, Number::Position(position)));
        let procedures = self.procedures(scope, numbered, &terms, &name);
        let versions = vec![Version { name: version_name, number: version, procedures, docs: Docs::default() }];
        let (namespace, docs) = (scope.to_vec(), definition.notes.docs.clone());
        Program { name, namespace, number, form: ProgramForm::Interface, versions, docs }
    }

    /// Returns the name of the interface file as an identifier: what an interface without a name is called.
    fn name_of_file(&self) -> String {
        let name = self.sources.name(FileId(0));
        let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let stem = base.split('.').next().unwrap_or_default();
        let text: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        if text.starts_with(|c: char| c.is_ascii_alphabetic()) { text } else { format!("interface{text}") }
    }

    fn procedures<'p>(
        &mut self,
        scope: Scope<'_>,
        procedures: impl Iterator<Item = (&'p ast::Procedure, Number<'p>)>,
        outer: &Said,
        holder: &Name,
    ) -> Vec<Procedure> {
        let mut lowered: Vec<Procedure> = Vec::new();
        let mut names = HashMap::new();
        let mut numbers = HashMap::new();
        for (procedure, number) in procedures {
            let name = &procedure.name;
            let number = match number {
                Number::Written(value) => self.protocol_number(scope, value, "procedure"),
                Number::Position(position) => position,
            };
            if let Some(first) = names.insert(name.text.as_str(), name.clone()) {
                self.twice(name, "procedure", &first);
            }
            if let Some(first) = numbers.insert(number, name.span) {
                self.same_number("procedure", name, number, first);
            }
            let arguments = self.arguments(scope, procedure);
            let result = self.lower(&procedure.result, scope, Place::Result);
            let terms = self.terms(&procedure.notes, outer, Level::Procedure).terms;
            if terms.reply == Reply::Oneway && result != Type::Void {
                let diagnostic =
                    Diagnostic::error(name.span, format!("`{}` is one-way and returns something", name.text))
                        .help("without a reply there is no result: make it void, or remove `@oneway`");
                self.report(diagnostic);
            }
            if terms.reply == Reply::Oneway && terms.progress == Progress::Reported {
                let diagnostic =
                    Diagnostic::error(name.span, format!("`{}` is one-way and reports progress", name.text))
                        .help("nobody waits for it: remove `@oneway` or `@progress`");
                self.report(diagnostic);
            }
            if number == 0 && (!arguments.is_empty() || result != Type::Void) {
                let diagnostic = Diagnostic::warning(name.span, "procedure 0 takes or returns something").help(
                    "by convention it does nothing, so that anybody can ask whether a server is there (RFC 5531 §12.1)",
                );
                self.report(diagnostic);
            }
            let docs = procedure.notes.docs.clone();
            lowered.push(Procedure { name: name.clone(), number, arguments, result, terms, docs });
        }
        if lowered.is_empty() {
            self.report(
                Diagnostic::error(holder.span, format!("`{}` has no procedures", holder.text)).help("give it one"),
            );
        }
        lowered
    }

    fn arguments(&mut self, scope: Scope<'_>, procedure: &ast::Procedure) -> Vec<Argument> {
        let mut names: HashMap<&str, &Name> = HashMap::new();
        let mut arguments = Vec::with_capacity(procedure.arguments.len());
        for argument in &procedure.arguments {
            if let Some(name) = &argument.name
                && let Some(first) = names.insert(&name.text, name)
            {
                self.twice(name, "argument", first);
            }
            let ty = self.lower(argument, scope, Place::Argument);
            arguments.push(Argument { name: argument.name.clone(), ty, span: argument.span });
        }
        arguments
    }

    /// Returns the number of a program, version or procedure.
    fn protocol_number(&mut self, scope: Scope<'_>, value: &Value, of: &str) -> u32 {
        let Some(number) = self.number(scope, value) else { return 0 };
        u32::try_from(number).unwrap_or_else(|_| {
            let diagnostic = Diagnostic::error(value.span(), format!("{of} number {number}"))
                .help("numbers lie within 0 and 4294967295 (RFC 5531 §12.2)");
            self.report(diagnostic);
            0
        })
    }

    fn same_number(&mut self, what: &str, name: &Name, number: u32, first: Span) {
        let diagnostic =
            Diagnostic::error(name.span, format!("{what} `{}` has the number {number} of another", name.text))
                .label("here again")
                .related(first, "first here")
                .help("give it another number");
        self.report(diagnostic);
    }

    /// Reads annotations; what they do not say is as `outer` has it.
    fn terms(&mut self, notes: &Notes, outer: &Said, level: Level) -> Said {
        let Said { mut terms, semantics: mut semantics_at } = outer.clone();
        let mut seen: Vec<&Annotation> = Vec::new();
        for annotation in &notes.annotations {
            let same = |earlier: &&&Annotation| {
                core::mem::discriminant(&earlier.kind) == core::mem::discriminant(&annotation.kind)
            };
            if let Some(first) = seen.iter().find(same) {
                let diagnostic =
                    Diagnostic::error(annotation.span, "this is said twice").related(first.span, "first here");
                self.report(diagnostic.help("leave one of the two out"));
            }
            seen.push(annotation);
            match (annotation.kind, level) {
                (AnnotationKind::Semantics(semantics), _) => {
                    terms.semantics = semantics;
                    semantics_at = Some(annotation.span);
                }
                (AnnotationKind::Deadline(deadline), _) => {
                    terms.deadline = deadline.map_or(Deadline::None, Deadline::After)
                }
                (AnnotationKind::Oneway, Level::Procedure) => terms.reply = Reply::Oneway,
                (AnnotationKind::Stream(stream), Level::Procedure) => terms.stream = stream,
                (AnnotationKind::Progress, Level::Procedure) => terms.progress = Progress::Reported,
                (AnnotationKind::Max(max), _) => {
                    terms.arguments_len_max = Some(max);
                    terms.result_len_max = Some(max);
                }
                (AnnotationKind::MaxArguments(max), _) => terms.arguments_len_max = Some(max),
                (AnnotationKind::MaxResult(max), _) => terms.result_len_max = Some(max),
                (AnnotationKind::Memory(factor), _) => terms.memory_factor = Some(factor),
                (AnnotationKind::Lenient, _) => terms.strictness = Strictness::Lenient,
                (AnnotationKind::Program(_) | AnnotationKind::Version(_), Level::Interface) => {}
                (AnnotationKind::Program(_) | AnnotationKind::Version(_), _) => {
                    self.refuse_annotations(
                        core::slice::from_ref(annotation),
                        "`@program` and `@version` are for an interface, which has no place for its numbers",
                    );
                }
                (AnnotationKind::Oneway | AnnotationKind::Stream(_) | AnnotationKind::Progress, _) => {
                    self.refuse_annotations(
                        core::slice::from_ref(annotation),
                        "write it at each procedure that it is meant for",
                    );
                }
            }
        }
        let said = Said { terms, semantics: semantics_at };
        if let Some(stream) = seen.iter().find(|annotation| matches!(annotation.kind, AnnotationKind::Stream(_))) {
            self.refuse_contradictions(&said, stream);
        }
        said
    }

    /// Tells of annotations that a stream cannot be kept together with, wherever they were said.
    fn refuse_contradictions(&mut self, said: &Said, stream: &Annotation) {
        let terms = &said.terms;
        if let (Some(semantics), Semantics::AtMostOnce | Semantics::ExactlyOnce) = (said.semantics, terms.semantics) {
            let diagnostic = Diagnostic::error(stream.span, "a stream with at-most-once or exactly-once semantics")
                .related(semantics, "promised here")
                .help(
                    "these need whole arguments and a whole reply; remove `@stream`, or choose at-least-once or maybe",
                );
            self.report(diagnostic);
        }
        if terms.reply == Reply::Oneway && terms.stream != Stream::Arguments {
            let diagnostic = Diagnostic::error(stream.span, "a stream of results from a one-way procedure")
                .help("write `@stream args`, or remove `@oneway`");
            self.report(diagnostic);
        }
    }
}

/// Terms, and where those were said that do not go with all others.
#[derive(Clone, Default)]
struct Said {
    terms: Terms,
    /// `None` where nobody said anything: the default promises less than `@semantics at-most-once`, and so goes with streams.
    semantics: Option<Span>,
}

/// What says the number of a procedure.
enum Number<'v> {
    Written(&'v Value),
    Position(u32),
}

/// What annotations stand at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Program,
    Interface,
    Version,
    Procedure,
}
