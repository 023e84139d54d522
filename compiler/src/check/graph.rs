//! Which types hold which: cycles, depth, lengths on the wire.

use std::collections::HashSet;

use super::Checker;
use crate::diagnostic::Diagnostic;
use crate::model::{Definition, Model, Origin, Size, Strictness, Type, TypeDefinition, TypeId, Undeclared};

/// How deep types may hold each other; chosen by us.
///
/// As deep as decoders of generated code go by default, and less than what `rustc` follows (`recursion_limit`). The types of a
/// cycle count one each.
pub const TYPE_DEPTH_MAX: usize = 64;

impl Checker<'_, '_> {
    /// Has the enums keep undeclared values that lenient procedures take or return, at whatever depth.
    pub(super) fn keep_undeclared(&mut self) {
        let versions = self.model.programs.iter().flat_map(|program| &program.versions);
        let lenient = versions
            .flat_map(|version| &version.procedures)
            .filter(|procedure| procedure.terms.strictness == Strictness::Lenient);
        let used = lenient.flat_map(|it| it.arguments.iter().map(|argument| &argument.ty).chain([&it.result]));
        let mut found: Vec<TypeId> = used.filter_map(edge).map(|edge| edge.to).collect();
        let mut seen = HashSet::new();
        while let Some(id) = found.pop() {
            if !seen.insert(id) {
                continue;
            }
            let definition = &mut self.model.types[id.0 as usize];
            if let Definition::Enum(declared) = &mut definition.definition {
                declared.undeclared = Undeclared::Kept;
            }
            found.extend(edges(definition).map(|edge| edge.to));
        }
    }

    /// Finds cycles and depths, and measures the types.
    pub(super) fn measure(&mut self) {
        let components = components(&self.model);
        self.mark_cycles(&components);
        self.refuse_endless();
        self.refuse_deep(&components);
        for component in &components {
            // Within a cycle, what is not measured yet counts as empty, which is no more than it is: each round comes nearer.
            let rounds = component.len().min(TYPE_DEPTH_MAX);
            for id in core::iter::repeat_n(component, rounds).flatten() {
                let size = size_of(&self.model, *id);
                let definition = &mut self.model.types[id.0 as usize];
                definition.size = if definition.cycle.is_some() { Size { max: None, ..size } } else { size };
            }
        }
        for index in 0..self.model.types.len() {
            let definition = &self.model.types[index];
            if definition.size.min > u64::from(u32::MAX) {
                let diagnostic = Diagnostic::error(
                    definition.name.span,
                    format!("a value of type `{}` is too long", definition.name.text),
                )
                .label(format!("at least {} octets", definition.size.min))
                .help("no message has more than 4294967295 octets");
                self.report(diagnostic);
            }
        }
    }

    fn mark_cycles(&mut self, components: &[Vec<TypeId>]) {
        let mut component_of = vec![0; self.model.types.len()];
        for (index, component) in components.iter().enumerate() {
            for id in component {
                component_of[id.0 as usize] = index;
            }
        }
        // Numbered by the place of their first type, not by the order in which they were found.
        let mut numbers = vec![None; components.len()];
        let mut count = 0;
        for (index, component) in component_of.into_iter().enumerate() {
            let id = TypeId(index as u32);
            let is_cycle = components[component].len() > 1 || edges(&self.model[id]).any(|edge| edge.to == id);
            if is_cycle {
                let number = *numbers[component].get_or_insert_with(|| {
                    count += 1;
                    count - 1
                });
                self.model.types[index].cycle = Some(number);
            }
        }
    }

    /// Tells of types that have no finite value: each value would hold another, without end.
    fn refuse_endless(&mut self) {
        let count = self.model.types.len();
        let mut finite = vec![false; count];
        // Who waits for whom, among the types of cycles; the others are finite once those are.
        let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); count];
        let mut missing = vec![0_usize; count];
        let mut ready = Vec::new();
        for (index, definition) in self.model.types.iter().enumerate() {
            let mut arms = definition.definition.arms().peekable();
            if arms.peek().is_some() {
                // A union is as finite as any of its arms.
                let held: Vec<Option<usize>> = arms.map(by_value).collect();
                missing[index] = usize::from(!held.contains(&None));
                for target in held.into_iter().flatten() {
                    waiting[target].push(index);
                }
            } else {
                for target in definition.definition.uses().filter_map(by_value) {
                    waiting[target].push(index);
                    missing[index] += 1;
                }
            }
            if missing[index] == 0 {
                finite[index] = true;
                ready.push(index);
            }
        }
        while let Some(index) = ready.pop() {
            for waiter in core::mem::take(&mut waiting[index]) {
                if !finite[waiter] {
                    missing[waiter] = missing[waiter].saturating_sub(1);
                    if missing[waiter] == 0 {
                        finite[waiter] = true;
                        ready.push(waiter);
                    }
                }
            }
        }
        let mut told = HashSet::new();
        for (index, finite) in finite.into_iter().enumerate() {
            let definition = &self.model.types[index];
            // What only holds an endless type is told with that, and what lies on the same cycle.
            if !finite && definition.cycle.is_some() && told.insert(definition.cycle) {
                let name = definition.name.clone();
                let diagnostic = Diagnostic::error(
                    name.span,
                    format!("a value of type `{}` would hold another, and so on", name.text),
                )
                .label("without end")
                .help("make it optional where it holds itself: `type *name`");
                self.report(diagnostic);
            }
        }
    }

    fn refuse_deep(&mut self, components: &[Vec<TypeId>]) {
        let mut depth = vec![0_usize; self.model.types.len()];
        for component in components {
            let below =
                component.iter().flat_map(|id| edges(&self.model[*id])).map(|edge| depth[edge.to.0 as usize]).max();
            let own = below.unwrap_or(0) + component.len();
            let deepest_before = below.unwrap_or(0) > TYPE_DEPTH_MAX;
            for id in component {
                depth[id.0 as usize] = own;
            }
            // One error for a chain, at its first link too many.
            if own > TYPE_DEPTH_MAX && !deepest_before {
                let first = component.iter().min().expect("components are not empty");
                let name = &self.model[*first].name;
                let diagnostic =
                    Diagnostic::error(name.span, format!("types hold each other deeper than {TYPE_DEPTH_MAX}"))
                        .label(format!("`{}` is the first that is too deep", name.text))
                        .help("hold fewer types within types, or shorten the chain of typedefs");
                self.report(diagnostic);
            }
        }
    }

    /// Drops what was imported, or known to the dialect, and is not used.
    pub(super) fn drop_unused_imports(&mut self) {
        let is_own = |origin: Origin| matches!(origin, Origin::File | Origin::CommandLine);
        self.model.constants.retain(|constant| is_own(constant.origin));
        let count = self.model.types.len();
        let mut used = vec![false; count];
        let mut pending: Vec<TypeId> = Vec::new();
        for (index, definition) in self.model.types.iter().enumerate() {
            if is_own(definition.origin) {
                pending.push(TypeId(index as u32));
            }
        }
        for procedure in
            self.model.programs.iter().flat_map(|program| &program.versions).flat_map(|version| &version.procedures)
        {
            let types = procedure.arguments.iter().map(|argument| &argument.ty).chain([&procedure.result]);
            pending.extend(types.filter_map(|ty| edge(ty).map(|edge| edge.to)));
        }
        while let Some(id) = pending.pop() {
            if !core::mem::replace(&mut used[id.0 as usize], true) {
                pending.extend(edges(&self.model[id]).map(|edge| edge.to));
                pending.extend(self.model[id].parent);
            }
        }
        if used.iter().all(|used| *used) {
            return;
        }
        let mut next = 0;
        let renumbered: Vec<TypeId> = used
            .iter()
            .map(|used| {
                let id = TypeId(next);
                next += u32::from(*used);
                id
            })
            .collect();
        let mut used = used.into_iter();
        self.model.types.retain(|_| used.next() == Some(true));
        renumber(&mut self.model, &renumbered);
    }
}

/// One type holds another.
#[derive(Clone, Copy)]
struct Edge {
    to: TypeId,
    hold: Hold,
}

/// How one type holds another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    ByValue,
    /// As one of some elements, of which there may be none.
    Vector,
    Optional,
}

fn edge(ty: &Type) -> Option<Edge> {
    match ty {
        Type::Named(to) => Some(Edge { to: *to, hold: Hold::ByValue }),
        Type::Array { element, count } if *count > 0 => edge(element),
        Type::Array { element, .. } | Type::Vector { element, .. } => {
            edge(element).map(|edge| Edge { hold: Hold::Vector, ..edge })
        }
        Type::Optional(target) => edge(target).map(|edge| Edge { hold: Hold::Optional, ..edge }),
        Type::Void | Type::Primitive(_) | Type::OpaqueFixed(_) | Type::Opaque(_) | Type::String(_) => None,
    }
}

fn edges(definition: &TypeDefinition) -> impl Iterator<Item = Edge> {
    definition.definition.uses().filter_map(edge)
}

/// Returns the type that each value of `ty` holds one of.
fn by_value(ty: &Type) -> Option<usize> {
    edge(ty).filter(|edge| edge.hold == Hold::ByValue).map(|edge| edge.to.0 as usize)
}

fn size_of(model: &Model, id: TypeId) -> Size {
    match &model[id].definition {
        Definition::Enum(_) => Size::fixed(4),
        Definition::Alias(target) => model.size(target),
        Definition::Struct(definition) => {
            definition.fields.iter().fold(Size::fixed(0), |size, field| size.plus(model.size(&field.ty)))
        }
        Definition::Union(union) => {
            let arms = model[id].definition.arms().map(|ty| model.size(ty)).reduce(Size::or).unwrap_or(Size::fixed(0));
            arms.plus(model.size(&union.discriminant_type))
        }
    }
}

/// Returns the strongly connected components, each after those that it holds (Tarjan's algorithm, without recursion).
fn components(model: &Model) -> Vec<Vec<TypeId>> {
    const UNSEEN: u32 = u32::MAX;
    let count = model.types.len();
    let mut index_of = vec![UNSEEN; count];
    let mut low = vec![0_u32; count];
    let mut on_stack = vec![false; count];
    let mut stack: Vec<usize> = Vec::new();
    let mut components = Vec::new();
    let mut next_index = 0;
    for root in 0..count {
        if index_of[root] != UNSEEN {
            continue;
        }
        // A type, and those that it holds and that are not visited yet.
        let mut path: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut entered = Some(root);
        loop {
            if let Some(node) = entered.take() {
                index_of[node] = next_index;
                low[node] = next_index;
                next_index += 1;
                stack.push(node);
                on_stack[node] = true;
                let targets = edges(&model.types[node]).map(|edge| edge.to.0 as usize).collect();
                path.push((node, targets));
            }
            let Some((node, targets)) = path.last_mut() else { break };
            let node = *node;
            if let Some(target) = targets.pop() {
                if index_of[target] == UNSEEN {
                    entered = Some(target);
                } else if on_stack[target] {
                    low[node] = low[node].min(index_of[target]);
                }
                continue;
            }
            path.pop();
            if let Some((parent, _)) = path.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
            if low[node] == index_of[node] {
                let start = stack.iter().rposition(|member| *member == node).expect("it is on the stack");
                let component: Vec<TypeId> = stack.drain(start..).map(|member| TypeId(member as u32)).collect();
                for member in &component {
                    on_stack[member.0 as usize] = false;
                }
                components.push(component);
            }
        }
    }
    components
}

/// Returns the first type of each cycle that does not pass through optional data.
pub(super) fn cycles_without_optional(model: &Model) -> Vec<TypeId> {
    // Whatever can be taken away, leaf by leaf, when optional data does not count, lies on no such cycle.
    let count = model.types.len();
    let mut held_by: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut holds = vec![0_usize; count];
    for (index, definition) in model.types.iter().enumerate() {
        for edge in edges(definition).filter(|edge| edge.hold != Hold::Optional) {
            let same_cycle = definition.cycle.is_some() && model[edge.to].cycle == definition.cycle;
            if same_cycle {
                held_by[edge.to.0 as usize].push(index);
                holds[index] += 1;
            }
        }
    }
    let mut leaves: Vec<usize> = (0..count).filter(|index| holds[*index] == 0).collect();
    while let Some(leaf) = leaves.pop() {
        for holder in core::mem::take(&mut held_by[leaf]) {
            holds[holder] -= 1;
            if holds[holder] == 0 {
                leaves.push(holder);
            }
        }
    }
    let mut told = HashSet::new();
    let mut firsts = Vec::new();
    for (index, definition) in model.types.iter().enumerate() {
        if holds[index] > 0 && told.insert(definition.cycle) {
            firsts.push(TypeId(index as u32));
        }
    }
    firsts
}

fn renumber(model: &mut Model, renumbered: &[TypeId]) {
    let one = |ty: &mut Type| match ty {
        Type::Named(id) => *id = renumbered[id.0 as usize],
        Type::Array { element, .. } | Type::Vector { element, .. } | Type::Optional(element) => {
            if let Type::Named(id) = &mut **element {
                *id = renumbered[id.0 as usize];
            }
        }
        Type::Void | Type::Primitive(_) | Type::OpaqueFixed(_) | Type::Opaque(_) | Type::String(_) => {}
    };
    for definition in &mut model.types {
        if let Some(parent) = &mut definition.parent {
            *parent = renumbered[parent.0 as usize];
        }
        match &mut definition.definition {
            Definition::Enum(_) => {}
            Definition::Alias(target) => one(target),
            Definition::Struct(definition) => definition.fields.iter_mut().for_each(|field| one(&mut field.ty)),
            Definition::Union(union) => {
                one(&mut union.discriminant_type);
                union.arms.iter_mut().for_each(|arm| one(&mut arm.ty));
                union.default.iter_mut().for_each(|default| one(&mut default.ty));
            }
        }
    }
    for procedure in
        model.programs.iter_mut().flat_map(|program| &mut program.versions).flat_map(|version| &mut version.procedures)
    {
        procedure.arguments.iter_mut().for_each(|argument| one(&mut argument.ty));
        one(&mut procedure.result);
    }
}
