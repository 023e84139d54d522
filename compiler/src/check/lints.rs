//! What is allowed and unwise. (An empty `<>` is told where its bound is made up.)

use std::collections::HashSet;

use super::Checker;
use super::graph::cycles_without_optional;
use crate::diagnostic::Diagnostic;
use crate::model::{Definition, Origin, Type, Undeclared, Union};

impl Checker<'_, '_> {
    pub(super) fn lint(&mut self) {
        for id in cycles_without_optional(&self.model) {
            let definition = &self.model[id];
            if definition.origin == Origin::File {
                let diagnostic = Diagnostic::warning(
                    definition.name.span,
                    format!("type `{}` holds itself, not by way of optional data", definition.name.text),
                )
                .help("`type *name` says plainly where it ends; what nests deeper than a decoder's limit is refused");
                self.report(diagnostic);
            }
        }
        let warnings: Vec<Diagnostic> = self
            .model
            .types
            .iter()
            .filter(|definition| definition.origin == Origin::File)
            .filter_map(|definition| {
                let Definition::Union(union) = &definition.definition else { return None };
                let without_case = self.values_without_case(union)?;
                let diagnostic = Diagnostic::warning(
                    definition.name.span,
                    format!("union `{}` has no default", definition.name.text),
                )
                .label(without_case)
                .help("without `default`, a value without a case is an error, also one that a later version adds");
                Some(diagnostic)
            })
            .collect();
        for warning in warnings {
            self.report(warning);
        }
    }

    /// Returns which values of the discriminant have no case, in words.
    fn values_without_case(&self, union: &Union) -> Option<String> {
        let (Type::Named(id), None) = (self.model.resolve(&union.discriminant_type), &union.default) else {
            return None;
        };
        let Definition::Enum(discriminant) = &self.model[*id].definition else { return None };
        let cases: HashSet<i64> = union.arms.iter().flat_map(|arm| &arm.cases).map(|case| case.value).collect();
        let mut without_case = discriminant
            .members
            .iter()
            .filter(|member| member.alias_of.is_none() && !cases.contains(&i64::from(member.value)));
        let first = without_case.next().map(|member| &member.name.text);
        Some(match (first, without_case.count()) {
            (None, _) if discriminant.undeclared == Undeclared::Refused => return None,
            (None, _) => "what was not declared is kept, and has no case".to_owned(),
            (Some(first), 0) => format!("`{first}` has no case"),
            (Some(first), 1) => format!("`{first}` has no case, nor has one other"),
            (Some(first), others) => format!("`{first}` has no case, nor have {others} others"),
        })
    }
}
