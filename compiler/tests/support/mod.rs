//! A model in words, a line a thing.

use core::fmt::Write;

use posthaste_compiler::model::{
    Argument, Bound, BoundBy, ConstantValue, Definition, Docs, List, Model, Name, Terms, Type, TypeDefinition,
    Undeclared,
};

pub(crate) fn describe(model: &Model) -> String {
    let mut out = String::new();
    for constant in &model.constants {
        docs(&mut out, "", &constant.docs);
        let path = path(&constant.namespace, &constant.name);
        match &constant.value {
            ConstantValue::Integer(value) => writeln!(out, "const {path} = {value}"),
            ConstantValue::Text(text) => writeln!(out, "const {path} = {text:?}"),
        }
        .expect("strings take everything");
    }
    for definition in &model.types {
        describe_type(&mut out, model, definition);
    }
    for program in &model.programs {
        docs(&mut out, "", &program.docs);
        let path = path(&program.namespace, &program.name);
        line(&mut out, format!("{:?} {path} = {:#x}", program.form, program.number));
        for version in &program.versions {
            docs(&mut out, "  ", &version.docs);
            line(&mut out, format!("  version {} = {}", version.name.text, version.number));
            for procedure in &version.procedures {
                docs(&mut out, "    ", &procedure.docs);
                let arguments: Vec<String> =
                    procedure.arguments.iter().map(|argument| describe_argument(model, argument)).collect();
                let result = ty(model, &procedure.result);
                line(
                    &mut out,
                    format!("    {}: {}({}) -> {result}", procedure.number, procedure.name.text, arguments.join(", ")),
                );
                if procedure.terms != Terms::default() {
                    line(&mut out, format!("      {:?}", procedure.terms));
                }
            }
        }
    }
    for percent_line in &model.percent_lines {
        line(&mut out, format!("% {}", percent_line.text));
    }
    out
}

fn describe_type(out: &mut String, model: &Model, definition: &TypeDefinition) {
    docs(out, "", &definition.docs);
    let max = definition.size.max.map_or("any number of".to_owned(), |max| max.to_string());
    let mut tail = format!("  [{} to {max} octets", definition.size.min);
    if let Some(cycle) = definition.cycle {
        tail += &format!(", cycle {cycle}");
    }
    if let Some(parent) = definition.parent {
        tail += &format!(", within {}", model[parent].path());
    }
    tail += &format!(", {:?}]", definition.origin);
    let path = definition.path();
    match &definition.definition {
        Definition::Alias(target) => line(out, format!("typedef {path} = {}{tail}", ty(model, target))),
        Definition::Enum(definition) => {
            let kept = if definition.undeclared == Undeclared::Kept { " and whatever else" } else { "" };
            line(out, format!("enum {path}{kept}{tail}"));
            for member in &definition.members {
                docs(out, "  ", &member.docs);
                let alias = member.alias_of.map(|index| format!(" (as {})", definition.members[index].name.text));
                line(out, format!("  {} = {}{}", member.name.text, member.value, alias.unwrap_or_default()));
            }
        }
        Definition::Struct(definition) => {
            let list = if definition.list == List::Linked { " linked list" } else { "" };
            line(out, format!("struct {path}{list}{tail}"));
            for field in &definition.fields {
                docs(out, "  ", &field.docs);
                line(out, format!("  {}: {}", field.name.text, ty(model, &field.ty)));
            }
        }
        Definition::Union(union) => {
            let discriminant = format!("{}: {}", union.discriminant.text, ty(model, &union.discriminant_type));
            line(out, format!("union {path} by {discriminant}{tail}"));
            for arm in &union.arms {
                docs(out, "  ", &arm.docs);
                let cases: Vec<String> = arm
                    .cases
                    .iter()
                    .map(|case| {
                        let name = case.name.as_ref().map(|name| format!("{name}=")).unwrap_or_default();
                        let member = case.member.map(|member| format!(" (member {member})")).unwrap_or_default();
                        format!("{name}{}{member}", case.value)
                    })
                    .collect();
                line(out, format!("  {} => {}{}", cases.join(", "), named(&arm.name), ty(model, &arm.ty)));
            }
            if let Some(default) = &union.default {
                docs(out, "  ", &default.docs);
                line(out, format!("  default => {}{}", named(&default.name), ty(model, &default.ty)));
            }
        }
    }
}

fn describe_argument(model: &Model, argument: &Argument) -> String {
    format!("{}{}", named(&argument.name), ty(model, &argument.ty))
}

fn ty(model: &Model, ty: &Type) -> String {
    match ty {
        Type::Void => "void".into(),
        Type::Primitive(primitive) => format!("{primitive:?}").to_lowercase(),
        Type::Named(id) => model[*id].path(),
        Type::OpaqueFixed(len) => format!("opaque[{len}]"),
        Type::Opaque(max) => format!("opaque<{}>", bound(*max)),
        Type::String(max) => format!("string<{}>", bound(*max)),
        Type::Array { element, count } => format!("{}[{count}]", self::ty(model, element)),
        Type::Vector { element, bound: max } => format!("{}<{}>", self::ty(model, element), bound(*max)),
        Type::Optional(target) => format!("optional {}", self::ty(model, target)),
    }
}

fn bound(bound: Bound) -> String {
    match bound.by {
        BoundBy::Declaration => bound.max.to_string(),
        BoundBy::Annotation => format!("{} by annotation", bound.max),
        BoundBy::Compiler => format!("{} by the compiler", bound.max),
    }
}

fn named(name: &Option<Name>) -> String {
    name.as_ref().map(|name| format!("{}: ", name.text)).unwrap_or_default()
}

fn path(namespace: &[String], name: &Name) -> String {
    namespace.iter().map(|part| format!("{part}::")).collect::<String>() + &name.text
}

fn docs(out: &mut String, margin: &str, docs: &Docs) {
    for doc in &docs.0 {
        line(out, format!("{margin}/// {doc}"));
    }
}

fn line(out: &mut String, text: String) {
    out.push_str(text.trim_end());
    out.push('\n');
}
