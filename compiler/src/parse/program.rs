//! Programs (RFC 5531 §12) and interfaces.

use super::specifier::Naming;
use super::{ARGUMENT_WEIGHT, PROCEDURE_WEIGHT, Parser, Rule, VERSION_WEIGHT};
use crate::ast::{Declaration, DefinitionKind, Procedure, ProgramBody, Shape, Specifier, Value, Version};
use crate::source::Span;

impl Parser<'_> {
    pub(super) fn program(&mut self, mut comments: Vec<Span>) -> Rule<()> {
        let start = self.token.span;
        self.bump();
        let name = self.name("a program")?;
        self.expect(b'{', "before the versions of the program")?;
        self.trailing(&mut comments);
        let versions = self.statements(Self::version)?;
        self.expect(b'}', "after the versions of the program")?;
        let number = self.assigned_number("the number of the program")?;
        let body = ProgramBody { versions, number };
        self.define(DefinitionKind::Program(Box::new(body)), Some(name), start, comments)
    }

    pub(super) fn interface(&mut self, mut comments: Vec<Span>) -> Rule<()> {
        self.weigh(VERSION_WEIGHT);
        let start = self.token.span;
        self.bump();
        let name = if self.is(b'{') { None } else { Some(self.name("an interface")?) };
        self.expect(b'{', "before the procedures of the interface")?;
        self.trailing(&mut comments);
        let procedures = self.statements(|parser| parser.procedure(Form::Interface))?;
        self.expect(b'}', "after the procedures of the interface")?;
        self.define(DefinitionKind::Interface(procedures), name, start.to(self.previous), comments)
    }

    fn version(&mut self) -> Rule<Version> {
        self.weigh(VERSION_WEIGHT);
        let mut comments = self.leading();
        if !self.eat_word("version") {
            return Err(self.unexpected("`version`", "a program consists of versions: version NAME { … } = 1;"));
        }
        let name = self.name("a version")?;
        self.expect(b'{', "before the procedures of the version")?;
        self.trailing(&mut comments);
        let procedures = self.statements(|parser| parser.procedure(Form::Program))?;
        self.expect(b'}', "after the procedures of the version")?;
        let number = self.assigned_number("the number of the version")?;
        self.expect(b';', "after the number of the version")?;
        self.trailing(&mut comments);
        let notes = self.notes(&comments);
        Ok(Version { name, procedures, number, notes })
    }

    fn procedure(&mut self, form: Form) -> Rule<Procedure> {
        self.weigh(PROCEDURE_WEIGHT);
        let mut comments = self.leading();
        let result = self.result(form)?;
        let name = self.name("a procedure")?;
        self.expect(b'(', "after the name of the procedure")?;
        let arguments = self.arguments(form)?;
        let number = match form {
            Form::Program => Some(self.assigned_number("the number of the procedure")?),
            Form::Interface => None,
        };
        self.expect(b';', "after the procedure")?;
        self.trailing(&mut comments);
        let notes = self.notes(&comments);
        Ok(Procedure { result, name, arguments, number, notes })
    }

    /// Reads the type of a result: what stands before the name of the procedure.
    fn result(&mut self, form: Form) -> Rule<Declaration> {
        let start = self.token.span;
        let mut comments = Vec::new();
        let specifier = self.specifier(&mut comments)?;
        let shape = if self.eat(b'*') { Shape::Optional } else { self.shape()? };
        let span = start.to(self.previous);
        if form == Form::Program && !matches!((&specifier, &shape), (_, Shape::Plain)) {
            self.refuse_in_strict(span, "a result that is more than the name of a type");
        }
        let notes = self.notes(&comments);
        Ok(Declaration { specifier, name: None, shape, span, notes })
    }

    fn arguments(&mut self, form: Form) -> Rule<Vec<Declaration>> {
        let mut arguments = Vec::new();
        if self.is(b')') {
            if form == Form::Program {
                self.refuse_in_strict(self.token.span, "no arguments without `void`");
            }
            self.bump();
            return Ok(arguments);
        }
        loop {
            self.weigh(ARGUMENT_WEIGHT);
            let comments = self.leading();
            let argument = self.declaration("an argument", comments, Naming::Optional)?;
            let is_type_alone = argument.name.is_none() && matches!(argument.shape, Shape::Plain);
            if form == Form::Program && !is_type_alone {
                self.refuse_in_strict(argument.span, "an argument that is more than the name of a type");
            }
            arguments.push(argument);
            if !self.eat(b',') {
                break;
            }
        }
        self.expect(b')', "or `,` after an argument")?;
        // `(void)` says that there are none; a void among others is told by the checker.
        if let [Declaration { specifier: Specifier::Void, shape: Shape::Plain, name: None, .. }] = &arguments[..] {
            arguments.clear();
        }
        Ok(arguments)
    }

    fn assigned_number(&mut self, of: &str) -> Rule<Value> {
        self.expect(b'=', &format!("before {of}"))?;
        let value = self.value(of)?;
        if let Value::Name(name) = &value {
            self.refuse_in_strict(name.span, &format!("{of} given by the name of a constant"));
        }
        Ok(value)
    }
}

/// What a procedure belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Program,
    Interface,
}
