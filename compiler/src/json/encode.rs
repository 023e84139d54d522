//! From JSON to octets.

use core::fmt::Display;

use serde_json::{Map, Value};

use super::{
    BOOL_NAMES, DEPTH_MAX, HEX, JsonError, case_name, chosen, discriminant_enum, discriminant_primitive, item_fields,
    list_fields,
};
use crate::model::{Definition, Enum, Field, Model, Primitive, Type, TypeId, Undeclared, Union};

pub(super) fn encode(model: &Model, ty: &Type, value: &Value) -> Result<Vec<u8>, JsonError> {
    let mut writer = Writer::new(model);
    writer.value(ty, value)?;
    Ok(writer.octets)
}

/// Encodes an array whose items have a type each, without a count.
pub(super) fn row(model: &Model, types: &[&Type], value: &Value) -> Result<Vec<u8>, JsonError> {
    let mut writer = Writer::new(model);
    let Some(items) = value.as_array().filter(|items| items.len() == types.len()) else {
        return Err(expected(format_args!("an array of the {} arguments", types.len()), value));
    };
    for (index, (ty, item)) in types.iter().zip(items).enumerate() {
        writer.value(ty, item).map_err(|error| error.in_item(index))?;
    }
    Ok(writer.octets)
}

struct Writer<'m> {
    model: &'m Model,
    octets: Vec<u8>,
    depth_left: u32,
}

impl<'m> Writer<'m> {
    fn new(model: &'m Model) -> Self {
        Self { model, octets: Vec::new(), depth_left: DEPTH_MAX }
    }

    fn value(&mut self, ty: &'m Type, value: &Value) -> Result<(), JsonError> {
        self.nested(|writer| writer.within(ty, value))
    }

    /// Counts an array or an object among the levels.
    fn nested(&mut self, write: impl FnOnce(&mut Self) -> Result<(), JsonError>) -> Result<(), JsonError> {
        let nested_deeper = || JsonError::new(format_args!("nested deeper than {DEPTH_MAX} levels"));
        self.depth_left = self.depth_left.checked_sub(1).ok_or_else(nested_deeper)?;
        write(self)?;
        self.depth_left += 1;
        Ok(())
    }

    fn within(&mut self, ty: &'m Type, value: &Value) -> Result<(), JsonError> {
        match self.model.resolve(ty) {
            Type::Void if value.is_null() => (),
            Type::Void => return Err(expected("null", value)),
            Type::Primitive(primitive) => self.primitive(*primitive, value)?,
            Type::Named(id) => self.defined(*id, value)?,
            Type::OpaqueFixed(len) => {
                let octets = hex(value).filter(|octets| octets.len() as u64 == u64::from(*len));
                let wanted = || expected(format_args!("a string of {} hexadecimal digits", u64::from(*len) * 2), value);
                self.put_padded(&octets.ok_or_else(wanted)?);
            }
            Type::Opaque(bound) => {
                let what = format_args!("a string of hexadecimal digits, two for each of at most {} octets", bound.max);
                self.put_bounded(hex(value), bound.max).ok_or_else(|| expected(what, value))?;
            }
            Type::String(bound) => {
                let octets = match value {
                    Value::String(text) => Some(text.clone().into_bytes()),
                    Value::Object(entries) if entries.len() == 1 => entries.get(HEX).and_then(hex),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
                };
                let what = format_args!("a string of at most {} octets", bound.max);
                self.put_bounded(octets, bound.max).ok_or_else(|| expected(what, value))?;
            }
            Type::Array { element, count } => {
                let items = value.as_array().filter(|items| items.len() as u64 == u64::from(*count));
                self.items(element, items.ok_or_else(|| expected(format_args!("an array of {count}"), value))?)?;
            }
            Type::Vector { element, bound } => {
                let items = value.as_array().filter(|items| items.len() as u64 <= u64::from(bound.max));
                let what = format_args!("an array of at most {}", bound.max);
                let items = items.ok_or_else(|| expected(what, value))?;
                self.put(&(items.len() as u32).to_be_bytes());
                self.items(element, items)?;
            }
            Type::Optional(target) => self.optional(target, value)?,
        }
        Ok(())
    }

    fn primitive(&mut self, primitive: Primitive, value: &Value) -> Result<(), JsonError> {
        match primitive {
            Primitive::Bool => {
                let truth = value.as_bool().ok_or_else(|| expected("true or false", value))?;
                self.put(&u32::from(truth).to_be_bytes());
            }
            Primitive::Float => {
                let wide = float(value).ok_or_else(|| expected("a number", value))?;
                let narrow = wide as f32;
                if narrow.is_infinite() && wide.is_finite() {
                    return Err(expected("a number that a float can be", value));
                }
                self.put(&narrow.to_be_bytes());
            }
            Primitive::Double => {
                self.put(&float(value).ok_or_else(|| expected("a number", value))?.to_be_bytes());
            }
            Primitive::Quadruple => {
                let octets = hex(value).filter(|octets| octets.len() == 16);
                self.put(&octets.ok_or_else(|| expected("a string of 32 hexadecimal digits", value))?);
            }
            Primitive::Char
            | Primitive::UnsignedChar
            | Primitive::Short
            | Primitive::UnsignedShort
            | Primitive::Int
            | Primitive::Unsigned
            | Primitive::Hyper
            | Primitive::UnsignedHyper => {
                let (min, max) = primitive.range().expect("all of these are integers");
                let integer = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
                let integer = integer.filter(|integer| (min..=max).contains(integer));
                let what = format_args!("an integer from {min} to {max}");
                self.put_integer(primitive, integer.ok_or_else(|| expected(what, value))?);
            }
        }
        Ok(())
    }

    fn defined(&mut self, id: TypeId, value: &Value) -> Result<(), JsonError> {
        let definition = &self.model[id];
        if let Some(fields) = item_fields(&definition.definition) {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            let (first, rest) = items.split_first().ok_or_else(|| expected("an array of one item or more", value))?;
            self.nested(|writer| writer.fields(fields, first)).map_err(|error| error.in_item(0))?;
            return self.list(fields, rest, 1);
        }
        match &definition.definition {
            Definition::Alias(target) => self.value(target, value),
            Definition::Enum(declared) => {
                let member = value.as_str().and_then(|name| member(declared, name));
                let member = member.or_else(|| undeclared(declared, value.as_i64()?)).ok_or_else(|| {
                    expected(format_args!("a member of {}: {}", definition.path(), names(declared)), value)
                })?;
                self.put(&member.to_be_bytes());
                Ok(())
            }
            Definition::Struct(declared) => self.fields(&declared.fields, value),
            Definition::Union(union) => self.union(union, value),
        }
    }

    fn optional(&mut self, target: &'m Type, value: &Value) -> Result<(), JsonError> {
        if let Some(fields) = list_fields(self.model, target) {
            let items = value.as_array().ok_or_else(|| expected("an array", value))?;
            return self.list(fields, items, 0);
        }
        if value.is_null() {
            self.put(&[0; 4]);
            return Ok(());
        }
        self.put(&1_u32.to_be_bytes());
        let Type::Optional(_) = self.model.resolve(target) else { return self.value(target, value) };
        // A null within could not be told from one without.
        match value.as_array().map(Vec::as_slice) {
            Some([inner]) => self.value(target, inner).map_err(|error| error.in_item(0)),
            _ => Err(expected("null or an array of one", value)),
        }
    }

    /// Writes what follows in a linked list, of which `index` items are written.
    fn list(&mut self, fields: &'m [Field], items: &[Value], index: usize) -> Result<(), JsonError> {
        for (item, index) in items.iter().zip(index..) {
            self.put(&1_u32.to_be_bytes());
            self.nested(|writer| writer.fields(fields, item)).map_err(|error| error.in_item(index))?;
        }
        self.put(&[0; 4]);
        Ok(())
    }

    fn items(&mut self, element: &'m Type, items: &[Value]) -> Result<(), JsonError> {
        for (index, item) in items.iter().enumerate() {
            self.value(element, item).map_err(|error| error.in_item(index))?;
        }
        Ok(())
    }

    fn fields(&mut self, fields: &'m [Field], value: &Value) -> Result<(), JsonError> {
        let entries = object(value)?;
        for field in fields {
            let name = field.name.text.as_str();
            let missing = || JsonError::new(format_args!("the field '{name}' is missing"));
            let value = entries.get(name).ok_or_else(missing)?;
            self.value(&field.ty, value).map_err(|error| error.in_entry(name))?;
        }
        match entries.keys().find(|name| fields.iter().all(|field| field.name.text != **name)) {
            Some(name) => Err(JsonError::new(format_args!("there is no field '{name}'"))),
            None => Ok(()),
        }
    }

    fn union(&mut self, union: &'m Union, value: &Value) -> Result<(), JsonError> {
        let entries = object(value)?;
        let mut entry = entries.iter();
        let (Some((label, inner)), None) = (entry.next(), entry.next()) else {
            return Err(expected("an object of one entry: the case and its value", value));
        };
        let unknown = || JsonError::new(format_args!("'{label}' is no case: there are {}", self.cases(union)));
        let discriminant = self.discriminant(union, label).ok_or_else(unknown)?;
        let ty = chosen(union, discriminant).ok_or_else(unknown)?;
        self.put_integer(discriminant_primitive(self.model, union), discriminant.into());
        self.value(ty, inner).map_err(|error| error.in_entry(label))
    }

    /// Reads the value of a discriminant: a member of its enum, a case as the source names it, or a number.
    fn discriminant(&self, union: &Union, label: &str) -> Option<i64> {
        let declared = discriminant_enum(self.model, union);
        if let Some(member) = declared.and_then(|declared| member(declared, label)) {
            return Some(member.into());
        }
        let mut cases = union.arms.iter().flat_map(|arm| &arm.cases);
        // A case of an enum need not be a member of it.
        if let Some(case) = cases.find(|case| case_name(case) == label) {
            return Some(case.value);
        }
        let primitive = discriminant_primitive(self.model, union);
        if let Some(declared) = declared {
            undeclared(declared, label.parse().ok()?).map(i64::from)
        } else if primitive == Primitive::Bool {
            BOOL_NAMES.iter().position(|name| *name == label).map(|value| value as i64)
        } else {
            let (min, max) = primitive.range()?;
            label.parse().ok().filter(|value| (min..=max).contains(&i128::from(*value)))
        }
    }

    /// Lists the cases of a union for those who named none of them.
    fn cases(&self, union: &Union) -> String {
        if let (Some(declared), Some(_)) = (discriminant_enum(self.model, union), &union.default) {
            return names(declared);
        }
        let cases = union.arms.iter().flat_map(|arm| &arm.cases);
        let mut listed = listing(cases.map(|case| case_name(case).into_owned()));
        if union.default.is_some() {
            listed.push_str(", and a default for all others");
        }
        listed
    }

    fn put_integer(&mut self, primitive: Primitive, value: i128) {
        // The low octets of the two's complement are those of the narrower types, too.
        let octets = value.to_be_bytes();
        self.put(&octets[octets.len() - primitive.encoded_len() as usize..]);
    }

    /// Writes a count of octets and the octets, if there are some and no more than allowed.
    fn put_bounded(&mut self, octets: Option<Vec<u8>>, max: u32) -> Option<()> {
        let octets = octets?;
        let len = u32::try_from(octets.len()).ok().filter(|len| *len <= max)?;
        self.put(&len.to_be_bytes());
        self.put_padded(&octets);
        Some(())
    }

    fn put_padded(&mut self, octets: &[u8]) {
        self.put(octets);
        self.octets.resize(self.octets.len().next_multiple_of(4), 0);
    }

    fn put(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>, JsonError> {
    value.as_object().ok_or_else(|| expected("an object", value))
}

/// Reads a number, or the name of one that JSON has no number for.
fn float(value: &Value) -> Option<f64> {
    match value.as_str() {
        None => value.as_f64(),
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
    }
}

/// Reads two hexadecimal digits for each octet.
fn hex(value: &Value) -> Option<Vec<u8>> {
    let (pairs, rest) = value.as_str()?.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let octet = |[high, low]: &[u8; 2]| Some((digit(*high)? << 4 | digit(*low)?) as u8);
    if rest.is_empty() { pairs.iter().map(octet).collect() } else { None }
}

fn member(declared: &Enum, name: &str) -> Option<i32> {
    declared.members.iter().find(|member| member.name.text == name).map(|member| member.value)
}

/// Returns a value that an enum keeps though it was not declared.
fn undeclared(declared: &Enum, value: i64) -> Option<i32> {
    let value = i32::try_from(value).ok()?;
    let is_member = declared.members.iter().any(|member| member.value == value);
    (declared.undeclared == Undeclared::Kept && !is_member).then_some(value)
}

fn names(declared: &Enum) -> String {
    listing(declared.members.iter().map(|member| member.name.text.clone()))
}

/// Lists the first few.
fn listing(mut names: impl Iterator<Item = String>) -> String {
    let mut listed: Vec<String> = names.by_ref().take(LISTED_COUNT_MAX).collect();
    if names.next().is_some() {
        listed.push("…".to_owned());
    }
    listed.join(", ")
}

fn expected(what: impl Display, found: &Value) -> JsonError {
    JsonError::new(format_args!("expected {what}, found {}", shown(found)))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) if text.len() <= SHOWN_LEN_MAX => value.to_string(),
        Value::String(text) => format!("a string of {} octets", text.len()),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Names that an error lists; our choice.
const LISTED_COUNT_MAX: usize = 12;

/// Octets of a text that an error shows; our choice.
const SHOWN_LEN_MAX: usize = 40;
