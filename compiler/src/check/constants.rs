//! What the constants and the members of enums are worth.

use core::cell::Cell;
use std::collections::HashMap;

use alloc::sync::Arc;

use super::names::{Scope, path, paths};
use super::{Checker, builtin};
use crate::ast::{Definition, DefinitionKind, Value};
use crate::diagnostic::Diagnostic;
use crate::expression::evaluate;
use crate::lex::Lexer;
use crate::model::{Constant, ConstantValue, Docs, Name, Origin};
use crate::source::{FileId, Span};

/// All constants, members of enums among them.
#[derive(Default)]
pub(super) struct Constants<'t> {
    entries: Vec<Entry<'t>>,
    by_name: HashMap<String, usize>,
    /// The numbers of programs, versions and procedures: in C each is a `#define` of its name. The first of a name counts.
    numbers: HashMap<String, (Scope<'t>, &'t Value)>,
}

struct Entry<'t> {
    name: Name,
    namespace: Vec<String>,
    source: Source<'t>,
    state: State,
}

/// What says the value of a constant.
#[derive(Clone, Copy)]
pub(super) enum Source<'t> {
    /// It does itself.
    Value(&'t Value),
    /// It is the next after that of another entry, or 0.
    After(Option<usize>),
    /// The command line does.
    Given(i128),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    /// It is needed to evaluate itself, if it is met in this state.
    Evaluating,
    Known(ConstantValue),
    /// An error was told.
    Wrong,
}

impl State {
    fn integer(&self) -> Option<i128> {
        match self {
            Self::Known(ConstantValue::Integer(value)) => Some(*value),
            Self::Known(ConstantValue::Text(_)) | Self::Unknown | Self::Evaluating | Self::Wrong => None,
        }
    }
}

impl<'t> Checker<'_, 't> {
    /// Adds a constant and returns its index.
    pub(super) fn add_constant(&mut self, name: &Name, scope: Scope<'_>, source: Source<'t>) -> usize {
        let key = path(scope, &name.text);
        if let Some(earlier) = self.constants.by_name.get(&key) {
            let earlier = &self.constants.entries[*earlier];
            // In C that is a `#define` of the same text, and no harm.
            let same = match (source, earlier.source) {
                (Source::Value(Value::Integer(one, _)), Source::Value(Value::Integer(two, _))) => one == two,
                _ => false,
            };
            if !same || self.is_strict() {
                let earlier = earlier.name.clone();
                self.twice(name, "constant", &earlier);
            }
        }
        let index = self.constants.entries.len();
        let entry = Entry { name: name.clone(), namespace: scope.to_vec(), source, state: State::Unknown };
        self.constants.entries.push(entry);
        self.constants.by_name.entry(key).or_insert(index);
        index
    }

    /// Adds the number of a program, version or procedure, which has its name as a constant has.
    pub(super) fn add_number(&mut self, name: &Name, scope: Scope<'t>, value: &'t Value) {
        self.constants.numbers.entry(name.text.clone()).or_insert((scope, value));
    }

    /// Returns the name of the constant with this path, where it is defined.
    pub(super) fn constant_named(&self, path: &str) -> Option<&Name> {
        self.constants.by_name.get(path).map(|index| &self.constants.entries[*index].name)
    }

    /// Evaluates all constants, after adding those of the command line.
    pub(super) fn evaluate_constants(&mut self) {
        for (name, value) in &self.options.constants {
            if let Some(index) = self.constants.by_name.get(name) {
                let span = self.constants.entries[*index].name.span;
                let diagnostic = Diagnostic::error(span, format!("constant `{name}` is defined here and by --const"))
                    .help("leave one of the two out");
                self.report(diagnostic);
                continue;
            }
            let name = Name { text: name.clone(), span: NOWHERE };
            let index = self.constants.entries.len();
            self.constants.by_name.insert(name.text.clone(), index);
            let state = State::Known(ConstantValue::Integer(*value));
            let source = Source::Given(*value);
            self.constants.entries.push(Entry { name, namespace: Vec::new(), source, state });
        }
        for index in 0..self.constants.entries.len() {
            self.evaluate_constant(index);
        }
    }

    /// Evaluates one, after all that it depends on. A chain may be as long as the file: no recursion.
    fn evaluate_constant(&mut self, index: usize) {
        let mut pending = vec![index];
        while let Some(index) = pending.last().copied() {
            let entry = &self.constants.entries[index];
            if let State::Known(_) | State::Wrong = entry.state {
                pending.pop();
                continue;
            }
            let needed = match entry.source {
                Source::Value(Value::Name(name)) => self.find_constant(&entry.namespace, &name.text),
                Source::After(previous) => previous,
                Source::Value(_) | Source::Given(_) => None,
            };
            if let Some(needed) = needed
                && let State::Unknown | State::Evaluating = self.constants.entries[needed].state
            {
                if self.constants.entries[needed].state == State::Evaluating || needed == index {
                    self.cyclic(needed);
                    continue;
                }
                self.constants.entries[index].state = State::Evaluating;
                pending.push(needed);
                continue;
            }
            let state = self.value_of(index, needed);
            self.constants.entries[index].state = state;
            pending.pop();
        }
    }

    fn cyclic(&mut self, index: usize) {
        let entry = &mut self.constants.entries[index];
        entry.state = State::Wrong;
        let diagnostic =
            Diagnostic::error(entry.name.span, format!("constant `{}` is defined by itself", entry.name.text))
                .help("give one of the constants that name each other a number");
        self.report(diagnostic);
    }

    fn value_of(&mut self, index: usize, needed: Option<usize>) -> State {
        let entry = &self.constants.entries[index];
        let needed = needed.map(|needed| self.constants.entries[needed].state.clone());
        match (entry.source, needed) {
            (Source::Value(&Value::Integer(value, _)) | Source::Given(value), _) => {
                State::Known(ConstantValue::Integer(value))
            }
            (Source::Value(Value::Text(text, _)), _) => State::Known(ConstantValue::Text(text.clone())),
            (Source::Value(Value::Name(_)), Some(state)) => state,
            (Source::Value(Value::Name(name)), None) => {
                let namespace = entry.namespace.clone();
                self.constant_without_definition(&namespace, name)
                    .map_or(State::Wrong, |value| State::Known(ConstantValue::Integer(value)))
            }
            (Source::After(_), None) => State::Known(ConstantValue::Integer(0)),
            (Source::After(_), Some(State::Known(ConstantValue::Integer(value)))) => {
                State::Known(ConstantValue::Integer(value + 1))
            }
            (Source::After(_), Some(_)) => State::Wrong,
        }
    }

    fn find_constant(&self, scope: Scope<'_>, name: &str) -> Option<usize> {
        paths(scope, name).find_map(|path| self.constants.by_name.get(&path).copied())
    }

    /// Returns the number that a value stands for, or tells why there is none. Only after all constants are evaluated.
    pub(super) fn number(&mut self, scope: Scope<'_>, value: &Value) -> Option<i128> {
        match value {
            Value::Integer(number, _) => Some(*number),
            Value::Text(_, span) => {
                self.report(Diagnostic::error(*span, "expected a number, found a text").help("write the number"));
                None
            }
            Value::Name(name) => match self.find_constant(scope, &name.text) {
                None => self.constant_without_definition(scope, name),
                Some(index) => match &self.constants.entries[index].state {
                    State::Known(ConstantValue::Integer(number)) => Some(*number),
                    State::Known(ConstantValue::Text(_)) => {
                        let defined_at = self.constants.entries[index].name.span;
                        let diagnostic =
                            Diagnostic::error(name.span, format!("expected a number, but `{}` is a text", name.text))
                                .related(defined_at, "defined here")
                                .help("write the number, or the name of a constant that is one");
                        self.report(diagnostic);
                        None
                    }
                    State::Unknown | State::Evaluating | State::Wrong => None,
                },
            },
        }
    }

    /// Returns the value of a member of an enum, if there is one without an error.
    pub(super) fn member_value(&self, scope: Scope<'_>, name: &str) -> Option<i128> {
        let index = *self.constants.by_name.get(&path(scope, name))?;
        self.constants.entries[index].state.integer()
    }

    /// Returns what a name is worth that nobody defined in the language, but perhaps in C.
    fn constant_without_definition(&mut self, scope: Scope<'_>, name: &Name) -> Option<i128> {
        let text = name.text.as_str();
        match text {
            "TRUE" => return Some(1),
            "FALSE" => return Some(0),
            _ => {}
        }
        let work = Cell::new(0);
        let known = self.c_value(scope, text, &work).or_else(|| builtin::constant(text)).filter(|_| !self.is_strict());
        if known.is_none() && self.unknown.insert(format!("constant {text}")) {
            let help = if self.type_names.contains_key(text) {
                "this is the name of a type; a number is needed here".to_owned()
            } else {
                format!("define it with `const`, or give its value if a C header defines it: --const {text}=…")
            };
            let diagnostic = Diagnostic::error(name.span, format!("there is no constant `{text}`")).help(help);
            self.report(diagnostic);
        }
        known
    }

    /// Evaluates what a `%#define` gives a name, by other such and by constants.
    fn c_value(&self, scope: Scope<'_>, name: &str, work: &Cell<u32>) -> Option<i128> {
        work.set(work.get() + 1);
        if work.get() > C_WORK_MAX {
            return None;
        }
        if let Some(index) = self.find_constant(scope, name) {
            return self.constants.entries[index].state.integer();
        }
        if let Some((scope, value)) = self.constants.numbers.get(name) {
            return match value {
                Value::Integer(number, _) => Some(*number),
                Value::Name(other) => self.c_value(scope, &other.text, work),
                Value::Text(..) => None,
            };
        }
        let span = *self.c_macros.get(name)?;
        let octets = Arc::clone(self.sources.octets(span.file));
        let mut lexer = Lexer::within(span, octets, self.options.dialect);
        let mut lookup = |name: &str| self.c_value(scope, name, work);
        evaluate(&mut lexer, self.sources, &mut lookup, &|_| false).ok()
    }

    /// Puts what is a constant by itself, no member of an enum, into the model.
    pub(super) fn finish_constants(&mut self, definitions: &[Definition]) {
        for (name, value) in &self.options.constants {
            let name = Name { text: name.clone(), span: NOWHERE };
            let value = ConstantValue::Integer(*value);
            let (namespace, docs) = (Vec::new(), Docs::default());
            self.model.constants.push(Constant { name, namespace, value, docs, origin: Origin::CommandLine });
        }
        for definition in definitions {
            let (DefinitionKind::Constant(_), Some(name)) = (&definition.kind, &definition.name) else { continue };
            let index = self.constants.by_name[&path(&definition.namespace, &name.text)];
            let entry = &self.constants.entries[index];
            // One that gave way to another of the same name is not there.
            if let (State::Known(value), true) = (&entry.state, entry.name.span == name.span) {
                self.model.constants.push(Constant {
                    name: name.clone(),
                    namespace: definition.namespace.to_vec(),
                    value: value.clone(),
                    docs: definition.notes.docs.clone(),
                    origin: self.origin(name.span),
                });
            }
        }
    }
}

/// The place of what was given on the command line.
const NOWHERE: Span = Span { file: FileId(0), start: 0, end: 0 };

/// How many names may be looked up for the value of one `%#define`; chosen by us. Bounds depth and work.
const C_WORK_MAX: u32 = 64;
