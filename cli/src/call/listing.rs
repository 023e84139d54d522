//! What an interface file lets one call.

use core::fmt;

use posthaste_compiler::model::{Bound, BoundBy, Model, Primitive, Procedure, Type};

/// Shows the programs, their versions, and the procedures of these, in the language of the file.
pub(super) struct Listing<'m>(pub(super) &'m Model);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for program in &self.0.programs {
            writeln!(f, "program {} = {:#010x}", program.path(), program.number)?;
            for version in &program.versions {
                writeln!(f, "  version {} = {}", version.name.text, version.number)?;
                for procedure in &version.procedures {
                    writeln!(f, "    {} = {}", self.signature(procedure), procedure.number)?;
                }
            }
        }
        Ok(())
    }
}

impl Listing<'_> {
    fn signature(&self, procedure: &Procedure) -> String {
        let arguments = procedure.arguments.iter().map(|argument| {
            self.declaration(&argument.ty, argument.name.as_ref().map_or("", |name| name.text.as_str()))
        });
        let arguments = match procedure.arguments[..] {
            [] => "void".to_owned(),
            _ => arguments.collect::<Vec<_>>().join(", "),
        };
        format!("{}({arguments})", self.declaration(&procedure.result, &procedure.name.text))
    }

    /// Writes `name`, which may be none, as something of a type.
    fn declaration(&self, ty: &Type, name: &str) -> String {
        let declared = match ty {
            Type::Void => format!("void {name}"),
            Type::Primitive(primitive) => format!("{} {name}", keyword(*primitive)),
            Type::Named(id) => format!("{} {name}", self.0[*id].path()),
            Type::OpaqueFixed(len) => format!("opaque {name}[{len}]"),
            Type::Opaque(bound) => format!("opaque {name}<{}>", max(*bound)),
            Type::String(bound) => format!("string {name}<{}>", max(*bound)),
            Type::Array { element, count } => format!("{}[{count}]", self.declaration(element, name)),
            Type::Vector { element, bound } => format!("{}<{}>", self.declaration(element, name), max(*bound)),
            Type::Optional(target) => self.declaration(target, &format!("*{name}")),
        };
        declared.trim_end().to_owned()
    }
}

fn max(bound: Bound) -> String {
    match bound.by {
        BoundBy::Declaration | BoundBy::Annotation => bound.max.to_string(),
        BoundBy::Compiler => String::new(),
    }
}

fn keyword(primitive: Primitive) -> &'static str {
    match primitive {
        Primitive::Bool => "bool",
        Primitive::Char => "char",
        Primitive::UnsignedChar => "unsigned char",
        Primitive::Short => "short",
        Primitive::UnsignedShort => "unsigned short",
        Primitive::Int => "int",
        Primitive::Unsigned => "unsigned int",
        Primitive::Hyper => "hyper",
        Primitive::UnsignedHyper => "unsigned hyper",
        Primitive::Float => "float",
        Primitive::Double => "double",
        Primitive::Quadruple => "quadruple",
    }
}
