//! Inputs made to exhaust a compiler: each is answered within 2 s of processor time and 100 MiB, without a panic.
//!
//! What is accepted is written in Rust, for which the same bounds hold once more.
//!
//! In a debug build the inputs have 1 MiB, and time is not looked at; in a release build they have 10 MiB.

use core::fmt::Write;
use std::fs;

use posthaste_compiler::{Dialect, Options, Paint, WEIGHT_MAX, load_text, render_all, rust};

const LEN: usize = if cfg!(debug_assertions) { 1 << 20 } else { 10 << 20 };
/// What an interface may weigh in these tests.
const WEIGHT: usize = if cfg!(debug_assertions) { WEIGHT_MAX / 8 } else { WEIGHT_MAX };
const HEAP_MAX: usize = 100 << 20;
const NANOS_MAX: u64 = 2_000_000_000;

#[test]
fn nested_braces_and_the_like_are_answered_in_time_and_space() {
    check("braces", repeat("", "{"), Dialect::ALL.map(|(_, dialect)| dialect));
    check("structs", repeat("struct a {", "struct {"), [Dialect::Strict]);
    check("structs on lines", repeat("struct a {\n", "struct {\n"), [Dialect::Strict]);
    check("unions", repeat("", "union switch (int a) { case 1: "), [Dialect::Strict]);
    check("unions with a name", repeat("union u ", "switch (union u "), [Dialect::Sun]);
    check("namespaces", repeat("", "namespace a { "), [Dialect::Xdrpp]);
    check("programs", repeat("", "program P { version V { "), [Dialect::Strict]);
    check("angles", repeat("struct a { int x", "<"), [Dialect::Strict]);
    check("parentheses", repeat("interface { int f(", "("), [Dialect::Strict]);
    check("stars", repeat("struct a { int ", "*"), [Dialect::Strict]);
    check("minus", repeat("const a = ", "-"), [Dialect::Strict]);
    check("paths", repeat("struct a { b", "::b"), [Dialect::Xdrpp]);
}

#[test]
fn chains_and_rings_are_answered_in_time_and_space() {
    check("typedefs", many(|n| format!("typedef t{n} t{};\n", n + 1)), [Dialect::Strict, Dialect::Sun]);
    check(
        "typedefs backwards",
        many(|n| format!("typedef t{} t{n};\n", n + 1)) + "typedef int t40000;",
        [Dialect::Strict],
    );
    check(
        "typedefs of 40 000",
        few(|n| format!("typedef {} t{};\n", if n == 0 { "int".into() } else { format!("t{n}") }, n + 1)),
        [Dialect::Strict],
    );
    check("typedefs of themselves", few(|n| format!("typedef t{n} t{n};\n")), [Dialect::Strict, Dialect::Sun]);
    check("typedefs in a ring", few(|n| format!("typedef t{} t{n};\n", (n + 1) % FEW)), [Dialect::Strict]);
    check("constants", few(|n| format!("const c{n} = c{};\n", n + 1)) + "const c40000 = 1;", [Dialect::Sun]);
    check(
        "members",
        format!("enum e {{ {} }};", most(3, |n| format!("m{n}, ")).trim_end_matches(", ")),
        [Dialect::Sun],
    );
    check(
        "structs in a ring",
        most(11, |n| format!("struct s{n} {{ s{} *n; }};\n", (n + 1) % (WEIGHT / 22))),
        [Dialect::Strict],
    );
    check("structs by value", most(11, |n| format!("struct s{n} {{ s{} n; }};\n", n + 1)), [Dialect::Strict]);
    check(
        "unions of themselves",
        most(20, |n| format!("union u{n} switch (int i) {{ case 0: u{n} x; default: void; }};\n")),
        [Dialect::Strict],
    );
    check("arrays of arrays", few(|n| format!("typedef t{n} t{}[65535];\n", n + 1)), [Dialect::Strict]);
    check("macros", many(|n| format!("#define m{n} m{} m{}\n", n + 1, n + 1)), [Dialect::Sun]);
    check("macros used", repeat("#define m int;\n", "m "), [Dialect::Sun]);
    check(
        "macros for C",
        many(|n| format!("%#define m{n} (m{} + m{})\n", n + 1, n + 1)) + "const c = m0;",
        [Dialect::Sun],
    );
    check(
        "conditions of macros",
        few(|n| format!("#define m{n} (m{} + m{})\n", n + 1, n + 1)) + "#if m0\n#endif",
        [Dialect::Sun],
    );
}

#[test]
fn very_many_of_something_are_answered_in_time_and_space() {
    check("fields", format!("struct s {{\n{}}};", most(3, |n| format!("opaque f{n}<7>;\n"))), [Dialect::Strict]);
    check("too many fields", many(|n| format!("int f{n};\n")), [Dialect::Strict]);
    check(
        "cases",
        format!("union u switch (int i) {{\n{} void; }};", most(3, |n| format!("case {n}:\n"))),
        [Dialect::Strict],
    );
    check(
        "cases of an enum",
        format!(
            "enum e {{ {} m = -1 }};\nunion u switch (e i) {{\n{} void; }};",
            most(6, |n| format!("m{n} = {n}, ")),
            most(6, |n| format!("case m{n}:\n"))
        ),
        [Dialect::Strict],
    );
    check("procedures", format!("interface {{\n{}}};", most(22, |n| format!("int f{n}(int a);\n"))), [Dialect::Strict]);
    check(
        "programs",
        most(95, |n| format!("program p{n} {{ version v {{ void f(void) = 1; }} = 1; }} = {n};\n")),
        [Dialect::Strict],
    );
    check("errors", repeat("", "int;\n"), [Dialect::Strict]);
    check("unknown types", most(11, |n| format!("struct s{n} {{ T{n} t; }};\n")), [Dialect::Strict]);
    check("comments", repeat("", "/**/"), [Dialect::Strict]);
    check("lines of a comment", repeat("/*", "a\n") + "*/ const A = 1;", [Dialect::Strict]);
    check("annotations", repeat("/*", "@oneway\n") + "*/ interface { void f(); };", [Dialect::Strict]);
    check("documentation", many(|n| format!("/*{}*/ const c{n} = 1;\n", "\na".repeat(1000))), [Dialect::Strict]);
    check("lines for C", repeat("", "%\n"), [Dialect::Sun]);
    check("conditions", repeat("", "#if 1\n"), [Dialect::Sun]);
    check("conditions skipped", repeat("", "#if 0\n"), [Dialect::Sun]);
    check("conditions chosen", repeat("#if 0\n", "#elif 0\n"), [Dialect::Sun]);
    check("a long condition", repeat("#if ", "("), [Dialect::Sun]);
    check("a deep condition", format!("#if {}1{}\n#endif", "(".repeat(400), ")".repeat(400)), [Dialect::Sun]);
    check("includes", repeat("", "#include \"a.x\"\n"), [Dialect::Sun]);
    check("imports", many(|n| format!("%#include \"a{n}.h\"\n")), [Dialect::Sun]);
}

#[test]
fn as_much_as_an_interface_may_have_is_written_in_time_and_space() {
    write("constants", most(1, |n| format!("const c{n} = 1;\n")));
    write("typedefs", most(1, |n| format!("typedef int t{n};\n")));
    write("typedefs of typedefs", most(1, |n| format!("typedef {} t{n};\n", before(n, "int", "t"))));
    write("fields", format!("struct s {{\n{}}};", most(3, |n| format!("opaque f{n}<7>;\n"))));
    write("fields of one length", format!("struct s {{\n{}}};", most(3, |n| format!("int f{n};\n"))));
    write("members", format!("enum e {{ {} m = -1 }};", most(3, |n| format!("m{n} = {n}, "))));
    write("cases", format!("union u switch (int i) {{\n{} void; }};", most(3, |n| format!("case {n}:\n"))));
    write("arms", format!("union u switch (int i) {{\n{}}};", most(6, |n| format!("case {n}: int a{n};\n"))));
    write("structs", most(11, |n| format!("struct s{n} {{ int a; }};\n")));
    write("structs of structs", most(11, |n| format!("struct s{n} {{ {} a; }};\n", before(n, "int", "s"))));
    write("trees", most(14, |n| format!("struct s{n} {{ s{n} *a; s{} *b; }};\n", n - (n % 60).min(1))));
    write("lists", most(14, |n| format!("struct s{n} {{ int a; s{n} *next; }};\n")));
    write("procedures", format!("interface {{\n{}}};", most(18, |n| format!("void f{n}();\n"))));
    write("arguments", format!("interface {{ void f({}int z); }};", most(4, |n| format!("int a{n}, "))));
    write("programs", most(95, |n| format!("program p{n} {{ version v {{ void f(void) = 1; }} = 1; }} = {n};\n")));
    let comment = "\na".repeat(LEN / 2000);
    write("documentation", (0..900).map(|n| format!("/*{comment}*/ const c{n} = 1;\n")).collect());
}

#[test]
fn noise_is_answered_in_time_and_space() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let octets: Vec<u8> = (0..LEN).map(|_| random.next()).collect();
    check("octets", octets, Dialect::ALL.map(|(_, dialect)| dialect));
    let alphabet = b" \n\tabcxyz_{}()<>[];:=,*-0123456789\"'#%/";
    let letters: Vec<u8> = (0..LEN).map(|_| alphabet[usize::from(random.next()) % alphabet.len()]).collect();
    check("letters", letters, Dialect::ALL.map(|(_, dialect)| dialect));
    let words = [
        "struct ", "union ", "enum ", "{ ", "} ", "; ", "a ", "b ", "int ", "switch ", "( ", ") ", "case ", "1 ", ": ",
        "<", ">", "[", "]", "= ", "* ", "\n",
    ];
    let mut sentence = String::with_capacity(LEN + 16);
    while sentence.len() < LEN {
        sentence.push_str(words[usize::from(random.next()) % words.len()]);
    }
    check("words", sentence, Dialect::ALL.map(|(_, dialect)| dialect));
    check("octets 0", vec![0; LEN], [Dialect::Strict]);
    check("spaces", vec![b' '; LEN], [Dialect::Strict]);
    check("a name", vec![b'a'; LEN], [Dialect::Strict]);
    check("the name of a constant", repeat("const ", "a") + " = 1;", [Dialect::Strict]);
    check("a number", repeat("const a = ", "9") + ";", [Dialect::Strict]);
    check("a text", repeat("const a = \"", "a"), [Dialect::Sun]);
    check("an open comment", repeat("", "/*"), [Dialect::Strict]);
    check("a line", repeat("", "const a = 1; "), [Dialect::Strict]);
    check("no UTF-8", vec![0xff; LEN], [Dialect::Strict]);
    check("too long a file", vec![b' '; posthaste_compiler::SOURCE_LEN_MAX + 1], [Dialect::Strict]);
}

/// Reads an input in some dialects and looks at what that took. Rendering belongs to it.
fn check<const COUNT: usize>(name: &str, input: impl AsRef<[u8]>, dialects: [Dialect; COUNT]) {
    for dialect in dialects {
        let options = Options { dialect, ..Options::default() };
        let nanos = cpu_nanos();
        let ((), heap) = posthaste_heap::growth(|| match load_text("hostile.x", &input, &options) {
            Ok(interface) => drop(render_all(&interface.warnings, &interface.sources, Paint::Plain)),
            Err(report) => drop(report.to_string()),
        });
        judge(&format!("{name} in {dialect}"), nanos, heap);
    }
}

/// Writes what an interface file defines, which has to be accepted, in Rust.
fn write(name: &str, input: String) {
    let options = Options { dialect: Dialect::Strict, ..Options::default() };
    let interface = load_text("hostile.x", &input, &options).unwrap_or_else(|report| panic!("{name}: {report}"));
    let nanos = cpu_nanos();
    let (_, heap) = posthaste_heap::growth(|| rust::write(&interface.model, "hostile.x"));
    judge(&format!("{name} written"), nanos, heap);
}

/// Looks at what something took that began at `before`, of processor time and of memory.
fn judge(name: &str, before: Option<u64>, heap: usize) {
    assert!(heap <= HEAP_MAX, "{name}: {heap} octets of memory");
    if let (Some(before), Some(after), false) = (before, cpu_nanos(), cfg!(debug_assertions)) {
        assert!(after - before <= NANOS_MAX, "{name}: {} ns of processor time", after - before);
    }
}

/// Returns the time that this thread has run, not waited, where the system tells.
fn cpu_nanos() -> Option<u64> {
    fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

const FEW: usize = 40_000;

fn few(line: impl Fn(usize) -> String) -> String {
    (0..FEW).map(line).collect()
}

/// Returns as many lines of a weight as an interface may have, and leaves room for what is around them.
fn most(weight: usize, line: impl Fn(usize) -> String) -> String {
    (0..(WEIGHT - 96) / weight).map(line).collect()
}

/// Returns the name of the definition before this one, or of what has none before it: no chain is too long.
fn before(n: usize, first: &str, prefix: &str) -> String {
    if n.is_multiple_of(60) { first.to_owned() } else { format!("{prefix}{}", n - 1) }
}

fn many(line: impl Fn(usize) -> String) -> String {
    let mut text = String::with_capacity(LEN + 4096);
    for n in 0.. {
        if text.len() >= LEN {
            break;
        }
        write!(text, "{}", line(n)).expect("strings take everything");
    }
    text
}

fn repeat(start: &str, part: &str) -> String {
    start.to_owned() + &part.repeat(LEN / part.len())
}

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u8 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    }
}
