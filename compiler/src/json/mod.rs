//! JSON to XDR and back, by a checked model: what calls a procedure for which there are no stubs (feature `json`).
//!
//! | In the interface file | In JSON |
//! |---|---|
//! | `int`, `hyper`, … and Sun's `char`, `short` | a number without fraction or exponent; exact, up to 2^64 - 1 |
//! | `bool` | `true`, `false` |
//! | `float`, `double` | a number; `"NaN"`, `"Infinity"`, `"-Infinity"`. What a NaN carries is lost |
//! | `quadruple`, `opaque` | a string of two hexadecimal digits for each octet |
//! | `string` | a string; `{"hex": "ff00"}` where the octets are not UTF-8 |
//! | `enum` | the name of a member, as a string; where a lenient procedure keeps a value that was not declared, its number |
//! | arrays | an array |
//! | `struct` | an object of all fields |
//! | `union` | an object of one entry: the case, named as in the source (a number without a name: `"3"`), and its value, `null` for void |
//! | `T *x` | `null` or the value; of an optional of an optional, the outer one is `null` or an array of one |
//! | `struct T { …; T *next; }` | a list is an array of objects without `next`: of a `T *` perhaps an empty one, of a `T` of one item or more |
//! | `void` | `null` |
//!
//! What is decoded is encoded again to the same octets, a NaN excepted. Nothing is guessed: a field that is missing, or that there is
//! not, is an error, and errors tell the place, as in `$.items[3].name`.
//!
//! ```
//! use posthaste_compiler::{Options, json, load_text};
//!
//! let source = "struct item { string name<8>; hyper count; }; interface store { item twice(item it, bool deep); };";
//! let model = load_text("store.x", source, &Options::default()).unwrap().model;
//! let twice = &model.programs[0].versions[0].procedures[0];
//!
//! let arguments = serde_json::json!([{ "name": "nail", "count": 7 }, true]);
//! let octets = json::encode_arguments(&model, twice, &arguments)?;
//! assert_eq!(octets, b"\0\0\0\x04nail\0\0\0\0\0\0\0\x07\0\0\0\x01");
//! assert_eq!(json::decode_result(&model, twice, &octets[..16])?, arguments[0]);
//!
//! let error = json::encode_arguments(&model, twice, &serde_json::json!([{ "name": 5, "count": 7 }, true])).unwrap_err();
//! assert_eq!(error.to_string(), "$[0].name: expected a string of at most 8 octets, found 5");
//! # Ok::<_, json::JsonError>(())
//! ```

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use core::fmt;

use posthaste_xdr::DecodeError;
use serde_json::Value;

use crate::model::{Case, Definition, Enum, Field, List, Model, Primitive, Procedure, Strictness, Struct, Type, Union};

/// Encodes the arguments of a call.
///
/// `null` where there are none, the value itself where there is one, or else an array of them.
///
/// # Errors
/// If the value is none of their types.
pub fn encode_arguments(model: &Model, procedure: &Procedure, arguments: &Value) -> Result<Vec<u8>, JsonError> {
    let types: Vec<&Type> = procedure.arguments.iter().map(|argument| &argument.ty).collect();
    match types[..] {
        [] => encode(model, &Type::Void, arguments),
        [ty] => encode(model, ty, arguments),
        _ => encode::row(model, &types, arguments),
    }
}

/// Decodes the result of a call, as its annotations have it (`@max result`, `@lenient`): `null` if it is void.
///
/// # Errors
/// If the octets are none of its type, or too many.
pub fn decode_result(model: &Model, procedure: &Procedure, octets: &[u8]) -> Result<Value, JsonError> {
    let terms = &procedure.terms;
    let len_max = terms.result_len_max.map_or(usize::MAX, |len_max| len_max as usize);
    decode::decode(model, &procedure.result, octets, len_max, terms.strictness)
}

/// Encodes a value of a type of the model.
///
/// # Errors
/// If it is none of the type.
pub fn encode(model: &Model, ty: &Type, value: &Value) -> Result<Vec<u8>, JsonError> {
    encode::encode(model, ty, value)
}

/// Decodes octets that are a value of a type of the model, to the last of them.
///
/// They may be hostile: at most [`VALUE_COUNT_MAX`] values come of them, nested at most [`DEPTH_MAX`] deep.
///
/// # Errors
/// If they are none of the type.
pub fn decode(model: &Model, ty: &Type, octets: &[u8]) -> Result<Value, JsonError> {
    decode::decode(model, ty, octets, usize::MAX, Strictness::Strict)
}

/// The levels of values within values; chosen, because readers of JSON stop at 128.
pub const DEPTH_MAX: u32 = 120;

/// The values that octets may become, those within values counted, too; chosen.
pub const VALUE_COUNT_MAX: u32 = 1_000_000;

/// Why a value was not encoded, or octets were not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The innermost step first.
    place: Vec<Step>,
    problem: String,
}

/// From a value to one within it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Entry(String),
    Item(usize),
}

impl JsonError {
    fn new(problem: impl fmt::Display) -> Self {
        Self { place: Vec::new(), problem: problem.to_string() }
    }

    /// Says that the problem is an entry's of the value.
    fn in_entry(mut self, name: &str) -> Self {
        self.place.push(Step::Entry(name.to_owned()));
        self
    }

    /// Says that the problem is an item's of the value.
    fn in_item(mut self, index: usize) -> Self {
        self.place.push(Step::Item(index));
        self
    }
}

/// The place, in the notation of JSONPath (RFC 9535), and what is wrong there.
impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in self.place.iter().rev() {
            match step {
                Step::Item(index) => write!(f, "[{index}]")?,
                Step::Entry(name) if is_word(name) => write!(f, ".{name}")?,
                Step::Entry(name) => write!(f, "[{name:?}]")?,
            }
        }
        write!(f, ": {}", self.problem)
    }
}

impl core::error::Error for JsonError {}

impl From<DecodeError> for JsonError {
    fn from(error: DecodeError) -> Self {
        Self::new(error)
    }
}

fn is_word(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Returns the fields of an item of a linked list but the last, which is the next item; `None` if `ty` is none.
fn list_fields<'m>(model: &'m Model, ty: &'m Type) -> Option<&'m [Field]> {
    let Type::Named(id) = model.resolve(ty) else { return None };
    item_fields(&model[*id].definition)
}

/// Returns the same of a definition.
fn item_fields(definition: &Definition) -> Option<&[Field]> {
    match definition {
        Definition::Struct(Struct { fields, list: List::Linked }) => fields.split_last().map(|(_, fields)| fields),
        Definition::Struct(_) | Definition::Enum(_) | Definition::Union(_) | Definition::Alias(_) => None,
    }
}

/// Returns the enum that the discriminant of a union is, if it is one.
fn discriminant_enum<'m>(model: &'m Model, union: &'m Union) -> Option<&'m Enum> {
    let Type::Named(id) = model.resolve(&union.discriminant_type) else { return None };
    match &model[*id].definition {
        Definition::Enum(discriminant) => Some(discriminant),
        Definition::Struct(_) | Definition::Union(_) | Definition::Alias(_) => None,
    }
}

/// Returns the primitive that the discriminant of a union is, as which an enum is an `int`.
fn discriminant_primitive(model: &Model, union: &Union) -> Primitive {
    if let Type::Primitive(primitive) = model.resolve(&union.discriminant_type) { *primitive } else { Primitive::Int }
}

/// Returns the type that a value of the discriminant chooses.
fn chosen(union: &Union, value: i64) -> Option<&Type> {
    let arm = union.arms.iter().find(|arm| arm.cases.iter().any(|case| case.value == value));
    arm.map(|arm| &arm.ty).or_else(|| union.default.as_ref().map(|default| &default.ty))
}

/// Returns how the source calls a case.
fn case_name(case: &Case) -> Cow<'_, str> {
    case.name.as_deref().map_or_else(|| case.value.to_string().into(), Cow::Borrowed)
}

/// The names of the values of a bool, where they are cases.
const BOOL_NAMES: [&str; 2] = ["FALSE", "TRUE"];

/// The entry that stands for octets of a string that are no text.
const HEX: &str = "hex";
