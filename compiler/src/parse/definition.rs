//! Definitions: constants, types, namespaces, pragmas.

use alloc::rc::Rc;

use super::specifier::Naming;
use super::{BODY_WEIGHT, Completeness, DEFINITION_WEIGHT, Failed, NESTING_MAX, PART_WEIGHT, Parser, Rule};
use crate::ast::{
    Arm, Declaration, Definition, DefinitionKind, Label, Member, Notes, Shape, Specifier, UnionBody, Value,
};
use crate::diagnostic::Diagnostic;
use crate::lex::TokenKind;
use crate::model::Name;
use crate::options::Dialect;
use crate::source::Span;

impl Parser<'_> {
    /// Reads definitions to the end of the input.
    pub(super) fn specification(&mut self) {
        while self.token.kind != TokenKind::End {
            let start = self.token.span;
            if self.definition().is_err() {
                if self.token.span == start && self.token.kind != TokenKind::End {
                    self.bump();
                }
                self.recover_definition();
            }
        }
        if !self.namespaces.is_empty() {
            let _ = self.unexpected("`}` at the end of the namespace", "close what was opened with `{`");
        }
    }

    /// Skips to where a definition can begin.
    fn recover_definition(&mut self) {
        self.completeness = Completeness::Partial;
        let depth = self.namespaces.len();
        while self.token.kind != TokenKind::End {
            if self.begins_definition() {
                // Whatever is still open was meant to be closed.
                self.braces = depth;
                return;
            }
            if self.is(b'}') && self.braces <= depth && depth > 0 {
                return;
            }
            let ends = self.is(b';') && self.braces <= depth;
            self.bump();
            if ends {
                return;
            }
        }
    }

    fn definition(&mut self) -> Rule<()> {
        let comments = self.leading();
        let start = self.token.span;
        if self.is(b'}') && !self.namespaces.is_empty() {
            self.bump();
            self.eat(b';');
            self.namespaces.pop();
            self.namespace = self.namespaces.as_slice().into();
            return Ok(());
        }
        if self.is(b';') {
            self.refuse_in_strict(start, "a `;` after nothing");
            self.bump();
            return Ok(());
        }
        if self.token.kind != TokenKind::Identifier {
            return Err(self.unexpected("a definition", DEFINITION_HELP));
        }
        self.weigh(DEFINITION_WEIGHT);
        match self.word().as_str() {
            "const" => self.constant(comments),
            "enum" => self.enum_definition(comments),
            "struct" => self.struct_definition(comments),
            "union" => self.union_definition(comments),
            "typedef" => self.typedef(comments),
            "program" => self.program(comments),
            "interface" => self.interface(comments),
            "namespace" if self.dialect() == Dialect::Xdrpp => self.namespace(),
            "pragma" if self.dialect() == Dialect::Linux => self.pragma(),
            word => {
                let help = match word {
                    "namespace" => "namespaces belong to another dialect: --dialect xdrpp",
                    "pragma" => "pragmas belong to another dialect: --dialect linux",
                    "version" => {
                        "a version lies within a program: program NAME { version NAME { … } = 1; } = 0x20000001;"
                    }
                    _ => DEFINITION_HELP,
                };
                let diagnostic = Diagnostic::error(start, format!("expected a definition, found `{word}`")).help(help);
                self.input.report(diagnostic);
                Err(Failed)
            }
        }
    }

    /// Ends a definition: the `;` and the comments around it.
    pub(super) fn define(
        &mut self,
        kind: DefinitionKind,
        name: Option<Name>,
        start: Span,
        mut comments: Vec<Span>,
    ) -> Rule<()> {
        self.expect(b';', "at the end of the definition")?;
        self.trailing(&mut comments);
        let notes = self.notes(&comments);
        self.add(kind, name, start, notes);
        Ok(())
    }

    fn add(&mut self, kind: DefinitionKind, name: Option<Name>, start: Span, notes: Notes) {
        let span = start.to(self.previous);
        self.definitions.push(Definition { kind, name, namespace: Rc::clone(&self.namespace), span, notes });
    }

    fn constant(&mut self, comments: Vec<Span>) -> Rule<()> {
        let start = self.token.span;
        self.bump();
        let name = self.name("a constant")?;
        self.expect(b'=', "after the name of the constant")?;
        let value = self.value("the value of a constant")?;
        if let Value::Name(other) = &value {
            self.refuse_in_strict(other.span, "a constant that is given by another");
        }
        self.define(DefinitionKind::Constant(value), Some(name), start, comments)
    }

    fn enum_definition(&mut self, mut comments: Vec<Span>) -> Rule<()> {
        let start = self.token.span;
        self.bump();
        let name = self.name("an enum")?;
        let members = self.enum_body(&mut comments)?;
        self.define(DefinitionKind::Enum(members), Some(name), start, comments)
    }

    fn struct_definition(&mut self, mut comments: Vec<Span>) -> Rule<()> {
        let start = self.token.span;
        self.bump();
        // Before it had typedefs for that, the language had `struct *NAME { … }` (RFC 1094 §A.5, RFC 1833 §3.1).
        let shape = if !self.is_strict() && self.eat(b'*') { Shape::Optional } else { Shape::Plain };
        let name = self.name("a struct")?;
        if self.forward_declaration() {
            return Ok(());
        }
        let fields = self.struct_body(&mut comments)?;
        let kind = match shape {
            Shape::Optional => {
                let specifier = Specifier::Struct(None, fields);
                let span = start.to(self.previous);
                let notes = Notes::default();
                DefinitionKind::Typedef(Box::new(Declaration {
                    specifier,
                    name: Some(name.clone()),
                    shape,
                    span,
                    notes,
                }))
            }
            Shape::Plain | Shape::Fixed(_) | Shape::Variable(_) => DefinitionKind::Struct(fields),
        };
        self.define(kind, Some(name), start, comments)
    }

    fn union_definition(&mut self, mut comments: Vec<Span>) -> Rule<()> {
        let start = self.token.span;
        self.bump();
        let name = self.name("a union")?;
        if self.forward_declaration() {
            return Ok(());
        }
        let body = self.union_body(&mut comments)?;
        self.define(DefinitionKind::Union(Box::new(body)), Some(name), start, comments)
    }

    /// Skips the `;` of `struct NAME;`, which says nothing: definitions may stand in any order.
    fn forward_declaration(&mut self) -> bool {
        !self.is_strict() && self.eat(b';')
    }

    fn typedef(&mut self, comments: Vec<Span>) -> Rule<()> {
        let start = self.token.span;
        self.bump();
        let mut declaration = self.declaration_statement("a typedef", comments)?;
        let name = declaration.name.clone();
        // The annotations stay with the declaration, whose bound they may give.
        let notes = Notes { docs: core::mem::take(&mut declaration.notes.docs), annotations: Vec::new() };
        self.add(DefinitionKind::Typedef(Box::new(declaration)), name, start, notes);
        Ok(())
    }

    fn namespace(&mut self) -> Rule<()> {
        self.bump();
        let name = self.name("a namespace")?;
        if self.namespaces.len() == NESTING_MAX {
            let message = format!("namespaces nest deeper than {NESTING_MAX}");
            self.input.report(Diagnostic::error(name.span, message).help("put them side by side"));
            return Err(Failed);
        }
        self.expect(b'{', "after the name of the namespace")?;
        self.namespaces.push(name.text);
        self.namespace = self.namespaces.as_slice().into();
        Ok(())
    }

    /// Skips words for the kernel's generator: they say what C to write, nothing of the protocol.
    fn pragma(&mut self) -> Rule<()> {
        self.bump();
        while self.token.kind == TokenKind::Identifier {
            self.bump();
        }
        self.expect(b';', "after the pragma")
    }

    // Bodies, of types with a name and without.

    pub(super) fn enum_body(&mut self, comments: &mut Vec<Span>) -> Rule<Vec<Member>> {
        self.expect(b'{', "before the members of the enum")?;
        self.trailing(comments);
        let mut members = Vec::new();
        while !self.is(b'}') {
            let (member, divided) = self.member()?;
            members.push(member);
            if !divided {
                break;
            }
            if self.is(b'}') {
                self.refuse_in_strict(self.previous, "a `,` after the last member of an enum");
            }
        }
        self.discard_comments();
        self.expect(b'}', "or `,` after a member of an enum")?;
        Ok(members)
    }

    /// Reads a member and the comma after it, if there is one.
    fn member(&mut self) -> Rule<(Member, bool)> {
        self.weigh(PART_WEIGHT);
        let mut comments = self.leading();
        let name = self.name("a member of an enum")?;
        let value = if self.eat(b'=') {
            Some(self.value("the value of a member")?)
        } else {
            self.refuse_in_strict(name.span, "a member of an enum without a value");
            None
        };
        let divided = self.eat(b',');
        self.trailing(&mut comments);
        let notes = self.notes(&comments);
        Ok((Member { name, value, notes }, divided))
    }

    pub(super) fn struct_body(&mut self, comments: &mut Vec<Span>) -> Rule<Vec<Declaration>> {
        self.weigh(BODY_WEIGHT);
        self.expect(b'{', "before the fields of the struct")?;
        self.trailing(comments);
        let fields = self.statements(|parser| {
            parser.weigh(PART_WEIGHT);
            let comments = parser.leading();
            parser.declaration_statement("a field", comments)
        })?;
        self.expect(b'}', "after the fields of the struct")?;
        Ok(fields)
    }

    pub(super) fn union_body(&mut self, comments: &mut Vec<Span>) -> Rule<UnionBody> {
        if !self.eat_word("switch") {
            return Err(self.unexpected("`switch` after the name of the union", UNION_HELP));
        }
        self.weigh(BODY_WEIGHT);
        self.expect(b'(', "after `switch`")?;
        let discriminant = self.declaration("the discriminant", Vec::new(), Naming::Required)?;
        self.expect(b')', "after the discriminant")?;
        self.expect(b'{', "before the cases of the union")?;
        self.trailing(comments);
        let arms = self.statements(Self::arm)?;
        self.expect(b'}', "after the cases of the union")?;
        Ok(UnionBody { discriminant, arms })
    }

    fn arm(&mut self) -> Rule<Arm> {
        let mut comments = self.leading();
        let mut labels = Vec::new();
        loop {
            self.weigh(PART_WEIGHT);
            let span = self.token.span;
            if self.eat_word("case") {
                labels.push(Label::Case(self.value("the value of a case")?));
                self.expect(b':', "after the value of the case")?;
            } else if self.eat_word("default") {
                labels.push(Label::Default(span));
                self.expect(b':', "after `default`")?;
            } else if labels.is_empty() {
                return Err(self.unexpected("`case` or `default`", UNION_HELP));
            } else {
                break;
            }
        }
        // The comments before the label and before the declaration speak of the same.
        comments.extend(self.leading());
        let declaration = self.declaration_statement("what a case holds", comments)?;
        Ok(Arm { labels, declaration })
    }
}

const DEFINITION_HELP: &str = "definitions begin with const, enum, struct, union, typedef, program or interface";

const UNION_HELP: &str = "write union NAME switch (int NAME) { case 1: int NAME; default: void; }";
