//! Each type there and back, and what is refused.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::*;
use crate::model::TypeId;
use crate::{Dialect, Options, load, load_text};

#[test]
fn values_of_all_types_of_the_golden_files_come_back() {
    let mut random = Random(1);
    let (mut type_count, mut file_count) = (0, 0);
    for (name, dialect) in Dialect::ALL {
        let folder = Path::new("tests/golden").join(name);
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.extension().is_none_or(|extension| extension != "x") {
                continue;
            }
            let constants = vec![("FROM_THE_COMMAND_LINE".into(), 12)];
            let model = load(&path, &Options { dialect, constants, ..Options::default() }).unwrap().model;
            file_count += 1;
            for index in 0..model.types.len() {
                let ty = Type::Named(TypeId(index as u32));
                type_count += 1;
                for _ in 0..20 {
                    let value = random.value(&model, &ty, 0);
                    there_and_back(&model, &ty, &value);
                }
            }
        }
    }
    assert!(type_count >= 90 && file_count >= 33, "{type_count} types of {file_count} files");
}

#[test]
fn octets_are_those_of_rfc_4506() {
    let model = model(
        "enum kind { TEXT = 0, DATA = 1, EXEC = 2 };
         union type switch (kind kind) { case TEXT: void; case DATA: string creator<8>; case EXEC: string by<8>; };
         struct file { string name<8>; type type; string owner<8>; opaque data<16>; };",
    );
    // RFC 4506 §7.
    let octets = b"\0\0\0\x09sillyprog\0\0\0\0\0\0\x02\0\0\0\x04lisp\0\0\0\x04john\0\0\0\x06(quit)\0\0";
    let value = json!({ "name": "sillypro", "type": { "EXEC": "lisp" }, "owner": "john", "data": "287175697429" });
    let file = named(&model, "file");
    let encoded = encode(&model, &file, &value).unwrap();
    assert_eq!(encoded[..4], [0, 0, 0, 8]);
    assert_eq!(encoded[12..], octets[16..]);
    assert_eq!(decode(&model, &file, &encoded).unwrap(), value);
}

#[test]
fn a_lenient_result_keeps_what_was_not_declared_and_no_result_is_longer_than_its_bound() {
    let model = model(
        "enum color { RED = 1 };
         union painted switch (color c) { case RED: int shade; default: color other; };
         interface strict { painted one(void); /* @max result 4 */ hyper two(void); };
         /* @lenient */ interface lenient { painted one(void); };",
    );
    let [strict, lenient] = [0, 1].map(|program| &model.programs[program].versions[0].procedures);
    let octets = [7, 9, 5].map(u32::to_be_bytes).concat();
    let value = json!({ "7": 9 });
    assert_eq!(decode_result(&model, &lenient[0], &octets), Ok(value.clone()));
    assert_eq!(encode(&model, &lenient[0].result, &value).unwrap(), octets[..8]);
    assert!(decode_result(&model, &strict[0], &octets[..8]).is_err());
    // What was declared has a name.
    assert!(encode(&model, &lenient[0].result, &json!({ "7": 1 })).is_err());

    let error = decode_result(&model, &strict[1], &[0; 8]).unwrap_err();
    assert!(error.to_string().starts_with("$: more octets than allowed"), "{error}");
}

#[test]
fn integers_are_exact_to_both_ends() {
    let model = model("struct s { hyper a; unsigned hyper b; int c; unsigned d; };");
    for (a, b, c, d) in [(i64::MIN, u64::MAX, i32::MIN, u32::MAX), (i64::MAX, (1 << 53) + 1, i32::MAX, 0)] {
        let value = json!({ "a": a, "b": b, "c": c, "d": d });
        let expected = [&a.to_be_bytes()[..], &b.to_be_bytes(), &c.to_be_bytes(), &d.to_be_bytes()].concat();
        assert_eq!(encode(&model, &named(&model, "s"), &value).unwrap(), expected);
        assert_eq!(decode(&model, &named(&model, "s"), &expected).unwrap().to_string(), value.to_string());
    }
}

#[test]
fn floats_come_back_by_way_of_text() {
    let model = model("typedef float narrow; typedef double wide;");
    let mut random = Random(7);
    let (narrow, wide) = (named(&model, "narrow"), named(&model, "wide"));
    for _ in 0..20_000 {
        let bits = random.next();
        for (ty, octets) in [(&narrow, &bits.to_be_bytes()[..4]), (&wide, &bits.to_be_bytes()[..])] {
            let value = decode(&model, ty, octets).unwrap();
            if value != "NaN" {
                let read = serde_json::from_str(&value.to_string()).unwrap();
                assert_eq!(encode(&model, ty, &read).unwrap(), octets, "{value}");
            }
        }
    }
    assert_eq!(decode(&model, &narrow, &0.1_f32.to_be_bytes()).unwrap().to_string(), "0.1");
    for text in ["\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "-0.0"] {
        let octets = encode(&model, &wide, &serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(decode(&model, &wide, &octets).unwrap().to_string(), text);
    }
}

#[test]
fn text_is_text_and_other_octets_are_hexadecimal() {
    let model = model("typedef string s<8>;");
    let s = named(&model, "s");
    for (octets, value) in [("grü".as_bytes(), json!("grü")), (&b"a\xff"[..], json!({ "hex": "61ff" }))] {
        let encoded = encode(&model, &s, &value).unwrap();
        assert_eq!(&encoded[4..4 + octets.len()], octets);
        assert_eq!(decode(&model, &s, &encoded).unwrap(), value);
    }
}

#[test]
fn lists_are_arrays_however_long() {
    let model =
        model("struct node { int v; node *next; }; typedef node *list; struct two { list a; node b; list *c; };");
    let many: Vec<Value> = (0..100_000).map(|v| json!({ "v": v })).collect();
    let value = json!({ "a": [], "b": many, "c": [[{ "v": 1 }]] });
    let octets = there_and_back(&model, &named(&model, "two"), &value);
    assert_eq!(octets.len(), 4 + 100_000 * 8 + 4 + 12 + 4 - 4);
    assert_eq!(
        error(&model, "two", json!({ "a": [], "b": [], "c": null })),
        "$.b: expected an array of one item or more, found an array of 0"
    );
}

#[test]
fn a_null_within_an_optional_is_told_from_one_without() {
    let model = model("typedef int *inner; typedef inner *outer;");
    for (value, octets) in [
        (json!(null), &[0, 0, 0, 0][..]),
        (json!([null]), &[0, 0, 0, 1, 0, 0, 0, 0]),
        (json!([5]), &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 5]),
    ] {
        assert_eq!(there_and_back(&model, &named(&model, "outer"), &value), octets);
    }
}

#[test]
fn unions_are_named_by_their_case() {
    let model = model(
        "const LIMIT = 9;
         union by_int switch (int n) { case 1: case LIMIT: int some; case -2: void; default: string text<4>; };
         union by_bool switch (bool b) { case TRUE: int some; default: void; };
         union by_unsigned switch (unsigned u) { case 4294967295: void; };",
    );
    for (ty, value, octets) in [
        ("by_int", json!({ "1": 7 }), &[0, 0, 0, 1, 0, 0, 0, 7][..]),
        ("by_int", json!({ "LIMIT": 7 }), &[0, 0, 0, 9, 0, 0, 0, 7]),
        ("by_int", json!({ "-2": null }), &[255, 255, 255, 254]),
        ("by_int", json!({ "77": "a" }), &[0, 0, 0, 77, 0, 0, 0, 1, b'a', 0, 0, 0]),
        ("by_bool", json!({ "TRUE": 7 }), &[0, 0, 0, 1, 0, 0, 0, 7]),
        ("by_bool", json!({ "FALSE": null }), &[0; 4]),
        ("by_unsigned", json!({ "4294967295": null }), &[255; 4]),
    ] {
        assert_eq!(there_and_back(&model, &named(&model, ty), &value), octets);
    }
    assert_eq!(
        error(&model, "by_int", json!({ "9": 7, "1": 7 })),
        "$: expected an object of one entry: the case and its value, found an object"
    );
    assert_eq!(error(&model, "by_unsigned", json!({ "2": null })), "$: '2' is no case: there are 4294967295");
    assert_eq!(error(&model, "by_int", json!({ "-2": 1 })), "$[\"-2\"]: expected null, found 1");
}

#[test]
fn what_is_no_value_of_its_type_is_refused_with_the_place() {
    let model = model(
        "enum color { RED = 0, GREEN = 5 };
         struct item { string name<4>; color color; opaque key[2]; opaque data<2>; bool b; int pair[2]; int some<2>; float f; };
         struct box { item items<2>; };",
    );
    let good = json!({
        "name": "ab", "color": "GREEN", "key": "00ff", "data": "", "b": true, "pair": [1, 2], "some": [], "f": 1,
    });
    assert!(encode(&model, &named(&model, "box"), &json!({ "items": [good, good] })).is_ok());
    for (field, value, expected) in [
        ("name", json!("abcde"), "$.items[1].name: expected a string of at most 4 octets, found \"abcde\""),
        ("name", json!({ "hex": "f" }), "$.items[1].name: expected a string of at most 4 octets, found an object"),
        ("color", json!("BLUE"), "$.items[1].color: expected a member of color: RED, GREEN, found \"BLUE\""),
        ("color", json!(5), "$.items[1].color: expected a member of color: RED, GREEN, found 5"),
        ("key", json!("00f"), "$.items[1].key: expected a string of 4 hexadecimal digits, found \"00f\""),
        ("key", json!("00+f"), "$.items[1].key: expected a string of 4 hexadecimal digits, found \"00+f\""),
        (
            "data",
            json!("000000"),
            "$.items[1].data: expected a string of hexadecimal digits, two for each of at most 2 octets, found \"000000\"",
        ),
        ("b", json!(1), "$.items[1].b: expected true or false, found 1"),
        ("pair", json!([1]), "$.items[1].pair: expected an array of 2, found an array of 1"),
        ("pair", json!([1, 2.5]), "$.items[1].pair[1]: expected an integer from -2147483648 to 2147483647, found 2.5"),
        (
            "pair",
            json!([1, 1_u64 << 31]),
            "$.items[1].pair[1]: expected an integer from -2147483648 to 2147483647, found 2147483648",
        ),
        ("some", json!([1, 2, 3]), "$.items[1].some: expected an array of at most 2, found an array of 3"),
        ("f", json!(1e300), "$.items[1].f: expected a number that a float can be, found 1e+300"),
        ("f", json!("1"), "$.items[1].f: expected a number, found \"1\""),
        ("nam", json!(1), "$.items[1]: there is no field 'nam'"),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        assert_eq!(error(&model, "box", json!({ "items": [good, bad] })), expected);
    }
    assert_eq!(error(&model, "box", json!({})), "$: the field 'items' is missing");
    assert_eq!(error(&model, "box", json!(null)), "$: expected an object, found null");
}

#[test]
fn arguments_are_a_value_or_an_array_of_them() {
    let model = model("interface i { void none(void); int one(int a); int two(int a, bool b); };");
    let procedures = &model.programs[0].versions[0].procedures;
    for (procedure, arguments, octets) in
        [(0, json!(null), &[][..]), (1, json!(5), &[0, 0, 0, 5]), (2, json!([5, true]), &[0, 0, 0, 5, 0, 0, 0, 1])]
    {
        assert_eq!(encode_arguments(&model, &procedures[procedure], &arguments).unwrap(), octets);
    }
    let refused = |procedure: usize, arguments| {
        encode_arguments(&model, &procedures[procedure], &arguments).unwrap_err().to_string()
    };
    assert_eq!(refused(0, json!(5)), "$: expected null, found 5");
    assert_eq!(refused(2, json!(5)), "$: expected an array of the 2 arguments, found 5");
    assert_eq!(refused(2, json!([5, 5])), "$[1]: expected true or false, found 5");
}

#[test]
fn hostile_octets_are_refused_with_the_place() {
    let model = model(
        "enum color { RED = 0 };
         struct item { string name<4>; color color; };
         struct box { item items<>; };
         union narrow switch (unsigned u) { case 1: void; };",
    );
    for (ty, octets, expected) in [
        ("box", &[][..], "$.items: the octets end before the value does"),
        ("box", &[0, 0, 0, 1, 0, 0, 0, 5], "$.items[0].name: 5 are more than the 4 of the declaration"),
        ("box", &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9], "$.items[0].color: 9 is no member of color"),
        ("box", &[0, 0, 0, 1, 0, 0, 0, 1, b'a', 0, 0, 1], "$.items[0].name: padding is not zero"),
        ("box", &[0, 15, 255, 255], "$.items[0].name: the octets end before the value does"),
        ("box", &[0, 0, 0, 0, 0], "$: octets follow the value"),
        ("narrow", &[0, 0, 0, 2], "$: 2 is no case of the union"),
    ] {
        let error = decode(&model, &named(&model, ty), octets).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn what_takes_no_octets_and_what_is_deep_is_limited() {
    let mut sun = Options { dialect: Dialect::Sun, ..Options::default() };
    sun.unbounded_max = u32::MAX;
    let empty = load_text("e.x", "struct none {}; typedef none many<>;", &sun).unwrap().model;
    let error = decode(&empty, &named(&empty, "many"), &[255; 4]).unwrap_err();
    assert!(error.to_string().ends_with("more elements than allowed"), "{error}");

    let model = model("struct tree { tree *left; int v; };");
    let tree = named(&model, "tree");
    let error = decode(&model, &tree, &[0, 0, 0, 1].repeat(100_000)).unwrap_err().to_string();
    assert!(error.starts_with("$.left.left.") && error.ends_with(": nested deeper than allowed"), "{error}");
    let mut value = json!({ "left": null, "v": 0 });
    for v in 1..DEPTH_MAX / 2 {
        value = json!({ "left": value, "v": v });
    }
    there_and_back(&model, &tree, &value);
    for v in 0..DEPTH_MAX {
        value = json!({ "left": value, "v": v });
    }
    let error = encode(&model, &tree, &value).unwrap_err().to_string();
    assert!(error.ends_with("nested deeper than 120 levels"), "{error}");
}

#[test]
fn random_octets_are_refused_or_come_back() {
    let model = model(
        "enum color { RED = 0, BLUE = 1 };
         struct node { short s; node *next; };
         union u switch (color c) { case RED: node list; case BLUE: u more<2>; };
         struct all { u u; opaque o<3>; string t<3>; bool b; float f[2]; unsigned hyper h; };",
    );
    let all = named(&model, "all");
    let mut random = Random(3);
    let mut decoded_count = 0;
    for _ in 0..100_000 {
        let octets: Vec<u8> = (0..random.next() % 20).flat_map(|_| [0, 0, 0, (random.next() % 3) as u8]).collect();
        if let Ok(value) = decode(&model, &all, &octets) {
            assert_eq!(encode(&model, &all, &value).unwrap(), octets);
            decoded_count += 1;
        }
    }
    assert!(decoded_count > 10, "{decoded_count}");
}

fn model(source: &str) -> Model {
    load_text("test.x", source, &Options { dialect: Dialect::Sun, ..Options::default() }).unwrap().model
}

fn named(model: &Model, name: &str) -> Type {
    Type::Named(model.type_named(name).unwrap())
}

fn error(model: &Model, ty: &str, value: Value) -> String {
    encode(model, &named(model, ty), &value).unwrap_err().to_string()
}

/// Encodes a value, by way of text as from a command line, and makes sure that the octets mean the same.
fn there_and_back(model: &Model, ty: &Type, value: &Value) -> Vec<u8> {
    let value: Value = serde_json::from_str(&value.to_string()).unwrap();
    let octets = encode(model, ty, &value).unwrap();
    let size = model.size(ty);
    assert!(octets.len() as u64 >= size.min && size.max.is_none_or(|max| octets.len() as u64 <= max), "{value}");
    assert_eq!(decode(model, ty, &octets).unwrap(), value);
    octets
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    /// How many elements there are to be of at most `max`: few, and fewer the deeper they are.
    fn count(&mut self, max: u32, depth: u32) -> usize {
        if depth > 6 { 0 } else { self.below(4).min(max as usize) }
    }

    fn hex(&mut self, len: usize) -> Value {
        (0..len).map(|_| format!("{:02x}", self.next() as u8)).collect::<String>().into()
    }

    fn value(&mut self, model: &Model, ty: &Type, depth: u32) -> Value {
        let below = depth + 1;
        match model.resolve(ty) {
            Type::Void => Value::Null,
            Type::Primitive(Primitive::Bool) => (self.below(2) == 0).into(),
            Type::Primitive(Primitive::Float | Primitive::Double) => (self.below(1000) as f64 / 8.0).into(),
            Type::Primitive(Primitive::Quadruple) => self.hex(16),
            Type::Primitive(primitive) => {
                let (min, max) = primitive.range().unwrap();
                let value = min + i128::from(self.next()) % (max - min + 1);
                u64::try_from(value).map_or_else(|_| (value as i64).into(), Value::from)
            }
            Type::Named(id) => self.defined(model, *id, depth),
            Type::OpaqueFixed(len) => self.hex(*len as usize),
            Type::Opaque(bound) => {
                let len = self.count(bound.max, depth);
                self.hex(len)
            }
            Type::String(bound) => "ab\"".chars().take(self.count(bound.max, depth)).collect::<String>().into(),
            Type::Array { element, count } => (0..*count).map(|_| self.value(model, element, below)).collect(),
            Type::Vector { element, bound } => {
                (0..self.count(bound.max, depth)).map(|_| self.value(model, element, below)).collect()
            }
            Type::Optional(target) => match list_fields(model, target) {
                Some(fields) => (0..self.count(9, depth)).map(|_| self.fields(model, fields, below)).collect(),
                None if self.count(1, depth) == 0 => Value::Null,
                None => {
                    let value = self.value(model, target, below);
                    if matches!(model.resolve(target), Type::Optional(_)) { json!([value]) } else { value }
                }
            },
        }
    }

    fn fields(&mut self, model: &Model, fields: &[Field], depth: u32) -> Value {
        fields.iter().map(|field| (field.name.text.clone(), self.value(model, &field.ty, depth))).collect()
    }

    fn defined(&mut self, model: &Model, id: TypeId, depth: u32) -> Value {
        if let Some(fields) = item_fields(&model[id].definition) {
            return (0..=self.count(9, depth)).map(|_| self.fields(model, fields, depth + 1)).collect();
        }
        match &model[id].definition {
            Definition::Alias(target) => self.value(model, target, depth),
            Definition::Enum(declared) => {
                let names: Vec<_> = declared.members.iter().filter(|member| member.alias_of.is_none()).collect();
                names[self.below(names.len())].name.text.clone().into()
            }
            Definition::Struct(declared) => self.fields(model, &declared.fields, depth + 1),
            Definition::Union(union) => {
                // Deep down, the arm that ends soonest.
                let arms = union.arms.iter();
                let arm = match depth {
                    0..6 => &union.arms[self.below(union.arms.len())],
                    _ => arms.min_by_key(|arm| model.size(&arm.ty).min).unwrap(),
                };
                let case = &arm.cases[self.below(arm.cases.len())];
                let member =
                    discriminant_enum(model, union).zip(case.member).map(|(e, index)| &e.members[index].name.text);
                let label = member.or(case.name.as_ref()).cloned().unwrap_or_else(|| case.value.to_string());
                let value = self.value(model, &arm.ty, depth + 1);
                Map::from_iter([(label, value)]).into()
            }
        }
    }
}
