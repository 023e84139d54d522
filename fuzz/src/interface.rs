//! Interface files: whatever stands in one, it is read or refused, and what is read keeps what the model promises.

use std::fs;
use std::path::{Path, PathBuf};

use posthaste_compiler::compare::compare;
use posthaste_compiler::model::{Definition, List, Model, Type, TypeId};
use posthaste_compiler::{Dialect, ERROR_COUNT_MAX, Options, Paint, Severity, load_text, render_all};

/// Reads an interface file: the first octet chooses the dialect, the rest is the text.
pub fn interface(octets: &[u8]) {
    let Some((first, text)) = octets.split_first() else { return };
    let (_, dialect) = Dialect::ALL[usize::from(*first) % Dialect::ALL.len()];
    let options = Options { dialect, ..Options::default() };
    match load_text("fuzz.x", text, &options) {
        Ok(interface) => {
            check(&interface.model);
            assert!(
                interface
                    .warnings
                    .iter()
                    .all(|warning| warning.severity == Severity::Warning && warning.help.is_some())
            );
            let told = render_all(&interface.warnings, &interface.sources, Paint::Colored);
            assert_eq!(told.is_empty(), interface.warnings.is_empty());
            assert_eq!(compare(&interface.model, &interface.model).changes, [], "nothing differs from itself");
        }
        Err(report) => {
            let errors = report.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
            assert!((1..=ERROR_COUNT_MAX).contains(&errors), "{errors} errors");
            assert!(report.diagnostics.iter().all(|diagnostic| diagnostic.help.is_some()), "{report}");
            assert!(report.render(Paint::Colored).contains("error"));
        }
    }
}

/// Returns the interface files that the compiler is tested with, as inputs of [`interface`].
pub fn interface_files() -> Vec<Vec<u8>> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compiler/tests/golden");
    let mut inputs = Vec::new();
    for (index, (name, _)) in Dialect::ALL.iter().enumerate() {
        for folder in [golden.join(name), golden.join(name).join("refused")] {
            let mut paths: Vec<PathBuf> = fs::read_dir(folder)
                .into_iter()
                .flatten()
                .map(|entry| entry.expect("the folder can be read").path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "x"))
                .collect();
            paths.sort();
            for path in paths {
                let mut octets = vec![index as u8];
                octets.extend(fs::read(path).expect("it is a file"));
                inputs.push(octets);
            }
        }
    }
    inputs
}

/// Checks what those rely on who make something of a model.
fn check(model: &Model) {
    for (index, definition) in model.types.iter().enumerate() {
        assert!(definition.size.max.is_none_or(|max| definition.size.min <= max));
        assert!(definition.parent.is_none_or(|parent| (parent.0 as usize) < model.types.len()));
        match &definition.definition {
            Definition::Enum(definition) => {
                assert!(!definition.members.is_empty());
                for (index, member) in definition.members.iter().enumerate() {
                    let first = definition.members.iter().position(|other| other.value == member.value);
                    assert_eq!(member.alias_of.or(Some(index)), first);
                }
            }
            Definition::Struct(definition) => {
                for field in &definition.fields {
                    use_of(model, &field.ty);
                    assert_ne!(field.ty, Type::Void);
                }
                if definition.list == List::Linked {
                    let last = &definition.fields.last().expect("a list has a next item").ty;
                    let Type::Optional(next) = model.resolve(last) else { panic!("the next item is optional") };
                    assert_eq!(*model.resolve(next), Type::Named(TypeId(index as u32)));
                }
            }
            Definition::Union(union) => {
                use_of(model, &union.discriminant_type);
                let arms = union.arms.iter().map(|arm| (&arm.name, &arm.ty));
                let default = union.default.iter().map(|default| (&default.name, &default.ty));
                for (name, ty) in arms.chain(default) {
                    use_of(model, ty);
                    assert_eq!(name.is_none(), *ty == Type::Void);
                }
                let mut values: Vec<i64> =
                    union.arms.iter().flat_map(|arm| &arm.cases).map(|case| case.value).collect();
                values.sort_unstable();
                assert!(values.windows(2).all(|two| two[0] < two[1]), "a value chooses one arm");
            }
            Definition::Alias(target) => use_of(model, target),
        }
    }
    for version in model.programs.iter().flat_map(|program| &program.versions) {
        assert!(!version.procedures.is_empty());
        for procedure in &version.procedures {
            use_of(model, &procedure.result);
            for argument in &procedure.arguments {
                use_of(model, &argument.ty);
                assert_ne!(argument.ty, Type::Void);
            }
        }
    }
}

/// Checks a type where it is used: it exists, is not deeper than it may be, and void only where it says so.
fn use_of(model: &Model, ty: &Type) {
    if let Type::Named(id) = model.resolve(ty) {
        assert!(!matches!(model[*id].definition, Definition::Alias(_)));
    }
    assert!(model.size(ty).max.is_none_or(|max| model.size(ty).min <= max));
    let element = match ty {
        Type::Array { element, .. } | Type::Vector { element, .. } | Type::Optional(element) => element,
        Type::Void | Type::Primitive(_) | Type::Named(_) | Type::OpaqueFixed(_) | Type::Opaque(_) | Type::String(_) => {
            return;
        }
    };
    assert!(matches!(**element, Type::Primitive(_) | Type::Named(_)), "an array is of something with a name");
}
