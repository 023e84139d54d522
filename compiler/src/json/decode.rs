//! From octets to JSON.

use core::fmt::Write;

use posthaste_xdr::{Decode, DecodeError, Decoder, Limits, Quadruple};
use serde_json::{Map, Value};

use super::{
    BOOL_NAMES, DEPTH_MAX, HEX, JsonError, VALUE_COUNT_MAX, case_name, chosen, discriminant_enum,
    discriminant_primitive, item_fields, list_fields,
};
use crate::model::{Definition, Enum, Field, Model, Primitive, Strictness, Type, TypeId, Undeclared, Union};

pub(super) fn decode(
    model: &Model,
    ty: &Type,
    octets: &[u8],
    len_max: usize,
    strictness: Strictness,
) -> Result<Value, JsonError> {
    let strictness = match strictness {
        Strictness::Strict => posthaste_xdr::Strictness::Strict,
        Strictness::Lenient => posthaste_xdr::Strictness::Lenient,
    };
    let limits = Limits { len_max, work_max: VALUE_COUNT_MAX, strictness, ..Limits::default() };
    let mut reader = Reader { model, decoder: Decoder::new(octets, &limits)?, depth_left: DEPTH_MAX };
    let value = reader.value(ty)?;
    reader.decoder.finish()?;
    Ok(value)
}

struct Reader<'m, 'a> {
    model: &'m Model,
    decoder: Decoder<'a>,
    depth_left: u32,
}

impl<'m, 'a> Reader<'m, 'a> {
    fn value(&mut self, ty: &'m Type) -> Result<Value, JsonError> {
        self.nested(|reader| reader.within(ty))
    }

    /// Counts a value, and an array or an object among the levels.
    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<Value, JsonError>) -> Result<Value, JsonError> {
        // However little a value takes on the wire, it is paid for.
        self.decoder.work(1)?;
        self.depth_left = self.depth_left.checked_sub(1).ok_or(DecodeError::TooDeep)?;
        let value = read(self)?;
        self.depth_left += 1;
        Ok(value)
    }

    fn within(&mut self, ty: &'m Type) -> Result<Value, JsonError> {
        Ok(match self.model.resolve(ty) {
            Type::Void => Value::Null,
            Type::Primitive(primitive) => self.primitive(*primitive)?,
            Type::Named(id) => self.defined(*id)?,
            Type::OpaqueFixed(len) => hex(self.decoder.take_opaque(*len as usize)?),
            Type::Opaque(bound) => hex(self.opaque(bound.max)?),
            Type::String(bound) => {
                let octets = self.opaque(bound.max)?;
                core::str::from_utf8(octets).map_or_else(|_| entry(HEX, hex(octets)), Value::from)
            }
            Type::Array { element, count } => self.items(element, *count)?,
            Type::Vector { element, bound } => {
                let count = self.count(bound.max)?;
                self.items(element, count)?
            }
            Type::Optional(target) => self.optional(target)?,
        })
    }

    fn primitive(&mut self, primitive: Primitive) -> Result<Value, JsonError> {
        Ok(match primitive {
            Primitive::Bool => bool::decode(&mut self.decoder)?.into(),
            Primitive::Float => narrow_float(f32::decode(&mut self.decoder)?),
            Primitive::Double => float(f64::decode(&mut self.decoder)?),
            Primitive::Quadruple => hex(&Quadruple::decode(&mut self.decoder)?.0),
            Primitive::UnsignedHyper => u64::decode(&mut self.decoder)?.into(),
            Primitive::Char
            | Primitive::UnsignedChar
            | Primitive::Short
            | Primitive::UnsignedShort
            | Primitive::Int
            | Primitive::Unsigned
            | Primitive::Hyper => self.integer(primitive)?.into(),
        })
    }

    /// Reads a bool or an integer, as far as an `i64` goes.
    fn integer(&mut self, primitive: Primitive) -> Result<i64, JsonError> {
        let (min, max) = primitive.range().expect("nothing else is read here");
        let value: i64 = match (primitive.encoded_len(), min) {
            (8, _) => i64::decode(&mut self.decoder)?,
            (_, 0) => u32::decode(&mut self.decoder)?.into(),
            _ => i32::decode(&mut self.decoder)?.into(),
        };
        if !(min..=max).contains(&value.into()) {
            return Err(JsonError::new(format_args!("{value} is not from {min} to {max}")));
        }
        Ok(value)
    }

    fn defined(&mut self, id: TypeId) -> Result<Value, JsonError> {
        let definition = &self.model[id];
        if let Some(fields) = item_fields(&definition.definition) {
            let first = self.nested(|reader| reader.fields(fields)).map_err(|error| error.in_item(0))?;
            return self.list(fields, vec![first]);
        }
        match &definition.definition {
            Definition::Alias(target) => self.value(target),
            Definition::Enum(declared) => {
                let value = i32::decode(&mut self.decoder)?;
                match name_of(declared, value.into()) {
                    Some(name) => Ok(name.into()),
                    None if self.is_kept(declared) => Ok(value.into()),
                    None => Err(JsonError::new(format_args!("{value} is no member of {}", definition.path()))),
                }
            }
            Definition::Struct(declared) => self.fields(&declared.fields),
            Definition::Union(union) => self.union(union),
        }
    }

    fn optional(&mut self, target: &'m Type) -> Result<Value, JsonError> {
        if let Some(fields) = list_fields(self.model, target) {
            return self.list(fields, Vec::new());
        }
        if !bool::decode(&mut self.decoder)? {
            return Ok(Value::Null);
        }
        let value = self.value(target)?;
        // A null within could not be told from one without.
        if let Type::Optional(_) = self.model.resolve(target) { Ok(vec![value].into()) } else { Ok(value) }
    }

    /// Reads what follows in a linked list.
    fn list(&mut self, fields: &'m [Field], mut items: Vec<Value>) -> Result<Value, JsonError> {
        while bool::decode(&mut self.decoder)? {
            items.push(self.nested(|reader| reader.fields(fields)).map_err(|error| error.in_item(items.len()))?);
        }
        Ok(items.into())
    }

    fn items(&mut self, element: &'m Type, count: u32) -> Result<Value, JsonError> {
        // What is promised and does not come takes no memory.
        let mut items = Vec::new();
        for index in 0..count as usize {
            items.push(self.value(element).map_err(|error| error.in_item(index))?);
        }
        Ok(items.into())
    }

    fn fields(&mut self, fields: &'m [Field]) -> Result<Value, JsonError> {
        let mut entries = Map::new();
        for field in fields {
            let name = &field.name.text;
            entries.insert(name.clone(), self.value(&field.ty).map_err(|error| error.in_entry(name))?);
        }
        Ok(entries.into())
    }

    fn union(&mut self, union: &'m Union) -> Result<Value, JsonError> {
        let primitive = discriminant_primitive(self.model, union);
        let value = self.integer(primitive)?;
        let declared = discriminant_enum(self.model, union);
        let case = union.arms.iter().flat_map(|arm| &arm.cases).find(|case| case.value == value);
        let label = match (declared.and_then(|declared| name_of(declared, value)), case) {
            (Some(member), _) => Some(member.to_owned()),
            (None, Some(case)) => Some(case_name(case).into_owned()),
            (None, None) if declared.is_some_and(|declared| !self.is_kept(declared)) => None,
            (None, None) if primitive == Primitive::Bool => Some(BOOL_NAMES[usize::from(value != 0)].to_owned()),
            (None, None) => Some(value.to_string()),
        };
        match (label, chosen(union, value)) {
            (Some(label), Some(ty)) => {
                let inner = self.value(ty).map_err(|error| error.in_entry(&label))?;
                Ok(entry(&label, inner))
            }
            _ => Err(JsonError::new(format_args!("{value} is no case of the union"))),
        }
    }

    /// Says whether an enum may have a value here that was not declared.
    fn is_kept(&self, declared: &Enum) -> bool {
        declared.undeclared == Undeclared::Kept && self.decoder.unknown_enum(0).is_ok()
    }

    fn opaque(&mut self, max: u32) -> Result<&'a [u8], JsonError> {
        let len = self.count(max)?;
        Ok(self.decoder.take_opaque(len as usize)?)
    }

    fn count(&mut self, max: u32) -> Result<u32, JsonError> {
        let count = u32::decode(&mut self.decoder)?;
        if count > max {
            return Err(JsonError::new(format_args!("{count} are more than the {max} of the declaration")));
        }
        Ok(count)
    }
}

fn name_of(declared: &Enum, value: i64) -> Option<&str> {
    declared.members.iter().find(|member| i64::from(member.value) == value).map(|member| member.name.text.as_str())
}

fn entry(name: &str, value: Value) -> Value {
    Map::from_iter([(name.to_owned(), value)]).into()
}

fn hex(octets: &[u8]) -> Value {
    let mut digits = String::with_capacity(octets.len() * 2);
    for octet in octets {
        write!(digits, "{octet:02x}").expect("strings take everything");
    }
    digits.into()
}

/// Shows a float with no more digits than tell it from the next one.
fn narrow_float(value: f32) -> Value {
    match value.to_string().parse() {
        Ok(short) if short as f32 == value => float(short),
        _ => float(value.into()),
    }
}

/// Shows a number, or the name of one that JSON has no number for.
fn float(value: f64) -> Value {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.into()
    } else {
        value.into()
    }
}
