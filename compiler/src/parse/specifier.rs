//! Declarations and the types before their names.

use super::{Failed, NESTING_MAX, Parser, Rule};
use crate::ast::{Declaration, Shape, Specifier};
use crate::diagnostic::Diagnostic;
use crate::lex::TokenKind;
use crate::model::Primitive;
use crate::source::Span;

/// Whether a declaration must have a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    Required,
    /// Arguments and results may have none.
    Optional,
}

impl Parser<'_> {
    /// Reads a declaration and the `;` after it.
    pub(super) fn declaration_statement(&mut self, of: &str, mut comments: Vec<Span>) -> Rule<Declaration> {
        let mut declaration = self.bare_declaration(of, &mut comments, Naming::Required)?;
        self.expect(b';', "after the declaration")?;
        self.trailing(&mut comments);
        declaration.notes = self.notes(&comments);
        Ok(declaration)
    }

    /// Reads a declaration within something longer.
    pub(super) fn declaration(&mut self, of: &str, mut comments: Vec<Span>, naming: Naming) -> Rule<Declaration> {
        let mut declaration = self.bare_declaration(of, &mut comments, naming)?;
        if naming == Naming::Optional {
            self.trailing(&mut comments);
        }
        declaration.notes = self.notes(&comments);
        Ok(declaration)
    }

    fn bare_declaration(&mut self, of: &str, comments: &mut Vec<Span>, naming: Naming) -> Rule<Declaration> {
        let start = self.token.span;
        let specifier = self.specifier(comments)?;
        let is_void = matches!(specifier, Specifier::Void) && !self.is(b'*');
        let optional = self.eat(b'*');
        let has_name = self.token.kind == TokenKind::Identifier;
        let name = match naming {
            Naming::Required if is_void && !has_name => None,
            Naming::Optional if !has_name => None,
            Naming::Required | Naming::Optional => Some(self.name(of)?),
        };
        let shape = if optional { Shape::Optional } else { self.shape()? };
        let span = start.to(self.previous);
        Ok(Declaration { specifier, name, shape, span, notes: crate::ast::Notes::default() })
    }

    /// Reads what stands after the name: `[value]`, `<value>`, `<>` or nothing.
    pub(super) fn shape(&mut self) -> Rule<Shape> {
        if self.eat(b'[') {
            if self.is(b']') {
                let diagnostic = Diagnostic::error(self.token.span, "an array of fixed length without a length")
                    .help("write the length, or `<>` for an array whose length is part of the value");
                self.input.report(diagnostic);
                return Err(Failed);
            }
            let len = self.value("the length of an array")?;
            self.expect(b']', "after the length")?;
            return Ok(Shape::Fixed(len));
        }
        if self.eat(b'<') {
            if self.eat(b'>') {
                return Ok(Shape::Variable(None));
            }
            let max = self.value("the greatest length")?;
            self.expect(b'>', "after the greatest length")?;
            return Ok(Shape::Variable(Some(max)));
        }
        Ok(Shape::Plain)
    }

    /// Reads a type. What its braces have for comments on their line speaks of whatever has the type.
    pub(super) fn specifier(&mut self, comments: &mut Vec<Span>) -> Rule<Specifier> {
        if self.token.kind != TokenKind::Identifier {
            return Err(self.unexpected(
                "a type",
                "write int, bool, string or another word of the language, or the name of a type",
            ));
        }
        let span = self.token.span;
        let word = self.word();
        let specifier = match word.as_str() {
            "void" => Specifier::Void,
            "opaque" => Specifier::Opaque,
            "string" => Specifier::String,
            "bool" => Specifier::Primitive(Primitive::Bool),
            "int" => Specifier::Primitive(Primitive::Int),
            "hyper" => Specifier::Primitive(Primitive::Hyper),
            "float" => Specifier::Primitive(Primitive::Float),
            "double" => Specifier::Primitive(Primitive::Double),
            "quadruple" => Specifier::Primitive(Primitive::Quadruple),
            "unsigned" => return self.unsigned(),
            "char" if !self.is_strict() => Specifier::Primitive(Primitive::Char),
            "short" if !self.is_strict() => return Ok(self.c_integer(Primitive::Short)),
            "long" if !self.is_strict() => return Ok(self.c_integer(Primitive::Int)),
            "enum" | "struct" | "union" => return self.tagged(&word, span, comments),
            _ => return Ok(Specifier::Name(self.path("a type")?)),
        };
        self.bump();
        Ok(specifier)
    }

    fn unsigned(&mut self) -> Rule<Specifier> {
        let span = self.token.span;
        self.bump();
        let (primitive, len) = if self.is_word("int") {
            (Primitive::Unsigned, 1)
        } else if self.is_word("hyper") {
            (Primitive::UnsignedHyper, 1)
        } else if self.is_strict() {
            self.refuse_in_strict(span, "`unsigned` without `int` or `hyper`");
            (Primitive::Unsigned, 0)
        } else if self.is_word("char") {
            (Primitive::UnsignedChar, 1)
        } else if self.is_word("short") {
            return Ok(self.c_integer(Primitive::UnsignedShort));
        } else if self.is_word("long") {
            return Ok(self.c_integer(Primitive::Unsigned));
        } else {
            (Primitive::Unsigned, 0)
        };
        if len == 1 {
            self.bump();
        }
        Ok(Specifier::Primitive(primitive))
    }

    /// Reads `long` or `short`, and the `int` that may follow.
    fn c_integer(&mut self, primitive: Primitive) -> Specifier {
        self.bump();
        self.eat_word("int");
        Specifier::Primitive(primitive)
    }

    /// Reads what begins with `enum`, `struct` or `union`: a body, or the name of a type.
    fn tagged(&mut self, word: &str, span: Span, comments: &mut Vec<Span>) -> Rule<Specifier> {
        self.bump();
        let has_body = |parser: &Self| if word == "union" { parser.is_word("switch") } else { parser.is(b'{') };
        let name = if has_body(self) { None } else { Some(self.path("a type")?) };
        if !has_body(self) {
            self.refuse_in_strict(span, &format!("`{word}` before the name of a type"));
            return Ok(Specifier::Name(name.expect("it has no body")));
        }
        if let Some(name) = &name {
            self.refuse_in_strict(name.span, "a type with a name within another");
        }
        if self.nesting == NESTING_MAX {
            let diagnostic = Diagnostic::error(span, format!("types nest deeper than {NESTING_MAX}"))
                .help("give the inner types names and define them on their own");
            self.input.report(diagnostic);
            return Err(Failed);
        }
        self.nesting += 1;
        let specifier = match word {
            "enum" => self.enum_body(comments).map(|members| Specifier::Enum(name, members)),
            "struct" => self.struct_body(comments).map(|fields| Specifier::Struct(name, fields)),
            _ => self.union_body(comments).map(|body| Specifier::Union(name, Box::new(body))),
        };
        self.nesting -= 1;
        specifier
    }
}
