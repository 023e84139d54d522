//! What still speaks with what.

use posthaste_compiler::compare::{Verdict, compare};
use posthaste_compiler::{Dialect, Options, load_text};

#[test]
fn what_does_not_travel_may_change() {
    is("struct s { int a; };", "struct s { int b; };", Verdict::Safe, "s.a: it was called `a` and is called `b`");
    is("enum e { A = 1 };", "enum e { B = 1 };", Verdict::Safe, "e.A: it was called `A` and is called `B`");
    is("typedef int t; struct s { t a; };", "typedef int t; struct s { int a; };", Verdict::Safe, "");
    is("struct s { opaque a<4>; };", "struct s { string a<4>; };", Verdict::Safe, "");
    is("struct s { int *a; };", "struct s { int a<1>; };", Verdict::Safe, "");
    is("struct s { quadruple a; };", "struct s { opaque a[16]; };", Verdict::Safe, "");
    is("const A = 1;", "const A = 2;", Verdict::Safe, "");
    is(
        "union u switch (int v) { case 1: int a; default: int b; };",
        "union u switch (int v) { case 2: int a; default: int b; };",
        Verdict::Safe,
        "",
    );
}

#[test]
fn versions_may_be_in_several_programs_of_one_number() {
    let program = |name: &str, version: u32| {
        format!("program {name} {{ version V{version} {{ int F(int) = 1; }} = {version}; }} = 9; ")
    };
    let [a, b, c] = [program("A", 1), program("B", 2), program("C", 3)];
    is(&[&*a, &b].concat(), &[&*b, &a].concat(), Verdict::Safe, "");
    is(&[&*a, &b].concat(), &[&*a, &b, &c].concat(), Verdict::Safe, "C.V3: version 3 is added");
    is(&[&*a, &b].concat(), &a, Verdict::Breaks, "B.V2: version 2 is gone");
}

#[test]
fn what_one_side_refuses_limits() {
    is(
        "struct s { opaque a<4>; };",
        "struct s { opaque a<5>; };",
        Verdict::Limits,
        "s.a: it had up to 4 octets and has up to 5",
    );
    is(
        "struct s { int a<4>; };",
        "struct s { int a<3>; };",
        Verdict::Limits,
        "s.a: it had up to 4 elements and has up to 3",
    );
    is(
        "struct s { int *a; };",
        "struct s { int a<2>; };",
        Verdict::Limits,
        "s.a: it had up to 1 elements and has up to 2",
    );
    is(
        "struct s { int a; };",
        "struct s { unsigned int a; };",
        Verdict::Limits,
        "s.a: it was an int and is an unsigned int",
    );
    is(
        "struct s { bool a; };",
        "enum b { T = 1 }; struct s { b a; };",
        Verdict::Limits,
        "s.a: it was a bool and is an enum",
    );
    is("enum e { A = 1, B = 2 };", "enum e { A = 1 };", Verdict::Limits, "e.B: value 2 is gone");
    is("enum e { A = 1 };", "enum e { A = 1, B = 2 };", Verdict::Limits, "e.B: value 2 is added");
    is(
        "union u switch (int v) { case 1: int a; };",
        "union u switch (int v) { case 1: int a; case 2: int b; };",
        Verdict::Limits,
        "u case 2: the case is added",
    );
    is(
        "union u switch (int v) { case 1: int a; default: void; };",
        "union u switch (int v) { case 1: int a; };",
        Verdict::Limits,
        "u default: the default is gone",
    );
}

#[test]
fn what_is_read_as_something_else_breaks() {
    is("struct s { int a; };", "struct s { hyper a; };", Verdict::Breaks, "s.a: it was an int and is a hyper");
    is("struct s { int a; };", "struct s { float a; };", Verdict::Breaks, "s.a: it was an int and is a float");
    is("struct s { int a; };", "struct s { int a; int b; };", Verdict::Breaks, "s: it had 1 fields and has 2");
    is(
        "struct s { int a; hyper b; };",
        "struct s { hyper b; int a; };",
        Verdict::Breaks,
        "s.a: it was an int and is a hyper",
    );
    is(
        "struct s { int a[4]; };",
        "struct s { int a<4>; };",
        Verdict::Breaks,
        "s.a: it was an array of 4 and is a count",
    );
    is(
        "struct s { int a[4]; };",
        "struct s { int a[5]; };",
        Verdict::Breaks,
        "s.a: it was an array of 4 and is an array of 5",
    );
    is(
        "struct s { opaque a[4]; };",
        "struct s { opaque a[8]; };",
        Verdict::Breaks,
        "s.a: it was 4 octets and is 8 octets",
    );
    is(
        "union u switch (int v) { case 1: int a; default: void; };",
        "union u switch (int v) { case 1: hyper a; default: void; };",
        Verdict::Breaks,
        "u case 1: it was an int and is a hyper",
    );
    is(
        "union u switch (int v) { case 1: int a; default: void; };",
        "union u switch (int v) { case 1: int a; case 2: int b; default: void; };",
        Verdict::Breaks,
        "u case 2: it was void and is an int",
    );
    is(
        "struct i { int *a; }; struct s { i a; };",
        "struct i { hyper *a; }; struct s { i a; };",
        Verdict::Breaks,
        "i.a: it was",
    );
}

#[test]
fn types_that_hold_themselves_are_compared_once() {
    let old = "struct n { int a; n *next; }; struct t { t *left; n *list; t *right; };";
    is(old, old, Verdict::Safe, "");
    is(
        old,
        "struct n { hyper a; n *next; }; struct t { t *left; n *list; t *right; };",
        Verdict::Breaks,
        "n.a: it was an int",
    );
}

#[test]
fn procedures_are_what_their_numbers_say() {
    let old = "program P { version V { int F(int) = 1; void G(void) = 2; } = 1; } = 5;";
    let new = |versions: &str| format!("program P {{ {versions} }} = 5;");
    is(old, old, Verdict::Safe, "");
    is(
        old,
        "program Q { version V { int F(int) = 1; void G(void) = 2; } = 1; } = 5;",
        Verdict::Safe,
        "called `P` and is called `Q`",
    );
    is(
        old,
        "program P { version V { int F(int) = 1; void G(void) = 2; } = 1; } = 6;",
        Verdict::Breaks,
        "had the number 5 and has 6",
    );
    is(old, "program Q { version V { int F(int) = 1; } = 1; } = 6;", Verdict::Breaks, "program 5 is gone");
    is(
        old,
        &new("version V { int F(int) = 1; void G(void) = 2; int H(int) = 3; } = 1;"),
        Verdict::Safe,
        "procedure 3 is added",
    );
    is(old, &new("version V { int F(int) = 1; } = 1;"), Verdict::Breaks, "P.V.G: procedure 2 is gone");
    is(
        old,
        &new("version V { int G(int) = 1; void F(void) = 2; } = 1;"),
        Verdict::Breaks,
        "P.V.F: the procedure had the number 1 and has 2",
    );
    is(
        old,
        &new("version V { int F(int, int) = 1; void G(void) = 2; } = 1;"),
        Verdict::Breaks,
        "it took one argument and takes 2",
    );
    is(
        old,
        &new("version V { int F(hyper) = 1; void G(void) = 2; } = 1;"),
        Verdict::Breaks,
        "P.V.F argument 1: it was an int and is a hyper",
    );
    is(
        old,
        &new("version V { hyper F(int) = 1; void G(void) = 2; } = 1;"),
        Verdict::Breaks,
        "P.V.F result: it was an int and is a hyper",
    );
    is(old, &new("version V { int F(int) = 1; void G(void) = 2; } = 2;"), Verdict::Breaks, "P.V: version 1 is gone");
    is(
        old,
        &new("version V { int F(int) = 1; void G(void) = 2; } = 1; version W { int F(hyper) = 1; } = 2;"),
        Verdict::Safe,
        "P.W: version 2 is added",
    );
    is(
        old,
        &new("version V { int F(int) = 1; void G(void) = 2; /* @oneway */ } = 1;"),
        Verdict::Breaks,
        "P.V.G: it is one-way, and was not",
    );
    is(
        old,
        &new("version V { int F(int) = 1; /* @semantics maybe */ void G(void) = 2; } = 1;"),
        Verdict::Limits,
        "P.V.G: its semantics were AtMostOnce and are Maybe",
    );
}

#[test]
fn arguments_may_become_a_structure_of_them() {
    let old = "program P { version V { int F(int, hyper) = 1; } = 1; } = 5;";
    let new = "struct pair { int a; hyper b; }; program P { version V { int F(pair) = 1; } = 1; } = 5;";
    is(old, new, Verdict::Safe, "");
    is(new, old, Verdict::Safe, "");
}

#[test]
fn an_interface_is_extended_at_its_end() {
    let old = "interface i { int f(int a); int g(int a); };";
    is(
        old,
        "interface i { int f(int a); int g(int a); int h(int a); };",
        Verdict::Safe,
        "i.V1.h: procedure 3 is added",
    );
    is(
        old,
        "interface i { int h(int a); int f(int a); int g(int a); };",
        Verdict::Breaks,
        "had the number 1 and has 2",
    );
    is(old, "interface j { int f(int a); int g(int a); };", Verdict::Breaks, "keeps its number by @program");
}

#[track_caller]
fn is(old: &str, new: &str, verdict: Verdict, line: &str) {
    let options = Options { dialect: Dialect::Strict, ..Options::default() };
    let old = load_text("old.x", old, &options).expect("the old version is right");
    let new = load_text("new.x", new, &options).expect("the new version is right");
    let comparison = compare(&old.model, &new.model);
    let text = comparison.render(&old.sources, &new.sources);
    assert_eq!(comparison.verdict(), verdict, "{text}");
    assert!(text.contains(line), "{text}");
    assert!(compare(&old.model, &old.model).changes.is_empty(), "nothing differs from itself");
}
