//! Files that are large, or name things so that they collide: what is made of them takes time in proportion to them.

use posthaste_compiler::{Dialect, Options, load_text, rust};

#[test]
fn thousands_of_procedures_have_a_method_each() {
    let procedures: String = (1..=2048).map(|number| format!("int P{number}(int a) = {number};")).collect();
    let text = format!("program P {{ version P_V1 {{ {procedures} }} = 1; }} = 0x20000000;");
    let written = write(&text).text;
    assert_eq!(written.matches("    pub fn p").count(), 2048);
}

#[test]
fn names_that_all_become_the_same_are_numbered_in_one_go() {
    // All ways to write a word of thirteen letters, but for two.
    let spellings = (0..1 << 13).map(|mask: u32| {
        let letter = |index: u32| if mask >> index & 1 == 0 { 'a' } else { 'A' };
        (0..13).map(letter).collect::<String>()
    });
    let fields: String = spellings.map(|name| format!("int {name};")).collect();
    let written = write(&format!("struct s {{ {fields} }};")).text;
    // Some have words, where small letters are followed by great ones.
    assert_eq!(written.matches("    pub a").count(), 1 << 13);
}

#[test]
fn a_struct_of_too_many_small_fields_for_a_stack_is_told() {
    let fields = |count: usize| (0..count).map(|n| format!("opaque f{n}<7>;")).collect::<String>();
    let told = |text: &str| write(text).heavy.into_iter().map(|heavy| heavy.name.text).collect::<Vec<_>>();
    assert_eq!(told(&format!("struct s {{ {} }};", fields(5_000))), ["s"]);
    // In two boxes, they are no longer there at once.
    let half = fields(2_500);
    assert!(told(&format!("struct s {{ struct {{ {half} }} a; struct {{ {half} }} b; }};")).is_empty());
    // As many as a peer likes.
    assert_eq!(told(&format!("struct s {{ {} s *left; s *right; }};", fields(100))), ["s"]);
    assert!(told(&format!("struct s {{ {} s *left; s *right; }};", fields(50))).is_empty());
}

fn write(text: &str) -> rust::Output {
    let options = Options { dialect: Dialect::Xdrpp, ..Options::default() };
    let interface = load_text("large.x", text, &options).unwrap_or_else(|report| panic!("{report}"));
    rust::write(&interface.model, "large.x")
}
