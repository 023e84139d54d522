//! Values as JSON: whatever stands in octets or text, it becomes a value of the other kind or is refused, and what became one comes
//! back.

use std::sync::LazyLock;

use posthaste_compiler::model::{Model, Type, TypeId};
use posthaste_compiler::{Options, json as xdr_json, load_text};
use serde_json::Value;

/// Reads a value: the first octet chooses its type and whether octets follow or text.
pub fn json(octets: &[u8]) {
    let Some((first, rest)) = octets.split_first() else { return };
    let model: &Model = &MODEL;
    let index = usize::from(first >> 1) % model.types.len();
    let ty = Type::Named(TypeId(index as u32));
    if first & 1 == 0 {
        from_octets(model, &ty, rest);
    } else if let Ok(value) = serde_json::from_slice(rest) {
        from_text(model, &ty, &value);
    }
    lenient(model, rest);
}

/// Values of each type, as inputs of [`json`].
pub fn json_seeds() -> impl Iterator<Item = Vec<u8>> {
    (0..MODEL.types.len()).flat_map(|index| {
        let head = (index as u8) << 1;
        let zeros = [0, 4, 16, 64].map(|len| [&[head][..], &vec![0; len]].concat());
        let ones = [&[head][..], &[0, 0, 0, 1].repeat(16)].concat();
        let texts = TEXTS.iter().map(move |text| [&[head | 1], text.as_bytes()].concat());
        zeros.into_iter().chain([ones]).chain(texts)
    })
}

fn from_octets(model: &Model, ty: &Type, octets: &[u8]) {
    let Ok(value) = xdr_json::decode(model, ty, octets) else { return };
    let encoded = xdr_json::encode(model, ty, &value).expect("what was decoded is a value of its type");
    // What a NaN carries is lost, and nothing else.
    if !value.to_string().contains("NaN") {
        assert_eq!(encoded, octets, "{value}");
    }
    assert_eq!(xdr_json::decode(model, ty, &encoded).as_ref(), Ok(&value));
    // As text, it is the same.
    let text: Value = serde_json::from_str(&value.to_string()).expect("what is written can be read");
    assert_eq!(xdr_json::encode(model, ty, &text), Ok(encoded));
}

fn from_text(model: &Model, ty: &Type, value: &Value) {
    let Ok(octets) = xdr_json::encode(model, ty, value) else { return };
    assert!(octets.len().is_multiple_of(4));
    let decoded = match xdr_json::decode(model, ty, &octets) {
        Ok(decoded) => decoded,
        // Reading has limits that writing has not, and without a lenient procedure it is strict.
        Err(error) => {
            let is_known =
                ["allowed", "is no member of", "is no case of"].iter().any(|it| error.to_string().contains(it));
            assert!(is_known, "{value}: {error}");
            return;
        }
    };
    assert_eq!(xdr_json::encode(model, ty, &decoded), Ok(octets), "{value} {decoded}");
}

/// Reads a result of a lenient procedure, which need not be written as it was, but is a value.
fn lenient(model: &Model, octets: &[u8]) {
    for procedure in &model.programs[0].versions[0].procedures {
        if let Ok(value) = xdr_json::decode_result(model, procedure, octets) {
            let encoded = xdr_json::encode(model, &procedure.result, &value).expect("it is a value of its type");
            assert_eq!(xdr_json::decode_result(model, procedure, &encoded), Ok(value));
        }
    }
}

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let interface = load_text("json.x", INTERFACE, &Options::default());
    interface.unwrap_or_else(|report| panic!("{report}")).model
});

/// Something of every kind.
const INTERFACE: &str = "
    enum color { RED = 2, GREEN = -5, BLUE = 16 };
    enum wish { GOOD = 1, BAD = -2 };
    typedef string text<40>;
    typedef opaque data<40>;
    typedef opaque hash[7];
    struct numbers { int a; unsigned int b; hyper c; unsigned hyper d; bool e; quadruple f; };
    struct floats { float a; double b; };
    struct arrays { int a[3]; text b<>; hash c<4>; bool d<9>; floats e<2>; };
    struct item { text name; int count; item *next; };
    struct tree { int value; tree *left; tree *right; tree branches<3>; };
    union shape switch (color kind) { case RED: floats red; case GREEN: void; default: text other; };
    union flagged switch (bool flag) { case TRUE: item *items; case FALSE: item item; };
    union numbered switch (unsigned int number) { case 0: void; case 0xffffffff: data data; default: numbered *again; };
    union granted switch (wish wish) { case GOOD: color gold; default: wish instead; };
    typedef text *maybe;
    struct maybes { maybe *a; maybe b<3>; item *c; color d[2]; };
    struct all { numbers a; arrays b; tree *c; shape d; flagged e; numbered f; maybes g; };
    /* @lenient */
    interface lenient { granted granted(wish wish); granted of_many(wish wishes<3>); };
";

const TEXTS: [&str; 12] = [
    "null",
    "[]",
    "{}",
    "7",
    "-1.5",
    "\"RED\"",
    "\"ab\\u00e9\"",
    "{\"hex\":\"00ff\"}",
    "{\"RED\":{\"a\":\"NaN\",\"b\":\"-Infinity\"}}",
    "[{\"name\":\"nail\",\"count\":7}]",
    "{\"value\":1,\"left\":null,\"right\":{\"value\":2,\"left\":null,\"right\":null,\"branches\":[]},\"branches\":[]}",
    "{\"4\":{\"0\":null}}",
];
