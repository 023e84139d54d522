//! Random interface files.

use alloc::collections::BTreeSet;
use core::fmt::Write as _;

use crate::values::Random;

/// Writes a file of a dozen definitions and a program or two.
pub(crate) fn random_file(random: &mut Random) -> String {
    let mut file =
        File { random, text: String::new(), types: Vec::new(), enums: Vec::new(), names: BTreeSet::new(), count: 0 };
    for _ in 0..3 + file.random.below(10) {
        file.definition();
    }
    for _ in 0..file.random.below(3) {
        file.program();
    }
    file.text
}

struct File<'r> {
    random: &'r mut Random,
    text: String,
    /// Types that are complete.
    types: Vec<String>,
    /// Enums, with their members.
    enums: Vec<(String, Vec<String>)>,
    /// Names that are taken.
    names: BTreeSet<String>,
    count: u32,
}

impl File<'_> {
    /// Makes a name that no other definition of the file has, though some may become the same in Rust.
    fn name(&mut self) -> String {
        self.count += 1;
        let word = self.random.of(&WORDS);
        match self.random.below(4) {
            0 => format!("{word}{}", self.count),
            1 => format!("{word}_{}", self.count),
            2 => format!("{}{}", word.to_uppercase(), self.count),
            // Without a number: whoever comes second gets one.
            _ if self.names.insert(word.to_owned()) => word.to_owned(),
            _ => format!("{word}__{}", self.count),
        }
    }

    /// Names for the members of something: they differ, if only in case.
    fn members(&mut self, count: u64) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        while (names.len() as u64) < count {
            let word = self.random.of(&WORDS);
            let name = match self.random.below(3) {
                0 => word.to_owned(),
                1 => word.to_uppercase(),
                _ => format!("{word}_{}", self.random.below(9)),
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    fn definition(&mut self) {
        match self.random.below(9) {
            0 => {
                let (name, value) = (self.name(), self.random.below(1 << 33) as i64 - (1 << 32));
                writeln!(self.text, "const {name} = {value};").unwrap();
            }
            1 | 2 => self.enumeration(),
            3 => {
                let name = self.name();
                let declaration = self.declaration(&name, 0);
                writeln!(self.text, "typedef {declaration};").unwrap();
                self.types.push(name);
            }
            4 => self.list(),
            5 => {
                let name = self.name();
                let body = self.union_body(0, &format!("{name} *"));
                writeln!(self.text, "/* A {name}. */\nunion {name} {body};").unwrap();
                self.types.push(name);
            }
            _ => {
                let name = self.name();
                let mut body = self.struct_body(0);
                if self.random.one_in(3) {
                    // A tree.
                    body.insert_str(1, &format!(" {name} *Left_branch; {name} branches<3>; "));
                }
                writeln!(self.text, "struct {name} {body};").unwrap();
                self.types.push(name);
            }
        }
    }

    fn enumeration(&mut self) {
        let name = self.name();
        let count = 1 + self.random.below(5);
        let members: Vec<String> = (0..count).map(|_| self.name()).collect();
        let values: Vec<String> = members
            .iter()
            .enumerate()
            .map(|(index, member)| format!("{member} = {}", index as i64 * 3 - self.random.below(3) as i64))
            .collect();
        writeln!(self.text, "enum {name} {{ {} }};", values.join(", ")).unwrap();
        self.types.push(name.clone());
        self.enums.push((name, members));
    }

    fn list(&mut self) {
        let name = self.name();
        let body = self.struct_body(0);
        let body = body.trim_end_matches('}');
        writeln!(self.text, "struct {name} {body} {name} *Next_item; }};").unwrap();
        self.types.push(name);
    }

    fn struct_body(&mut self, depth: u32) -> String {
        let count = 1 + self.random.below(5);
        let names = self.members(count);
        let fields: Vec<String> = names.iter().map(|name| self.declaration(name, depth) + ";").collect();
        format!("{{ {} }}", fields.join(" "))
    }

    fn union_body(&mut self, depth: u32, itself: &str) -> String {
        let (discriminant, cases): (String, Vec<String>) = match self.random.below(4) {
            0 if !self.enums.is_empty() => {
                let index = self.random.below(self.enums.len() as u64) as usize;
                self.enums[index].clone()
            }
            1 => ("bool".into(), vec!["TRUE".into(), "FALSE".into()]),
            2 => ("unsigned".to_owned() + " int", vec!["0".into(), "7".into(), "0xffffffff".into()]),
            _ => ("int".into(), vec!["-1".into(), "0".into(), "100".into(), "2147483647".into()]),
        };
        let count = 1 + self.random.below(cases.len() as u64) as usize;
        let names = self.members(count as u64 + 2);
        let mut body = format!("switch ({discriminant} {}) {{", names[count + 1]);
        for (index, case) in cases[..count].iter().enumerate() {
            write!(body, " case {case}:").unwrap();
            // Fall through, except from the last one.
            if index + 1 < count && self.random.one_in(3) {
                continue;
            }
            let arm = self.arm(&names[index], depth, itself);
            write!(body, " {arm};").unwrap();
        }
        if self.random.one_in(2) {
            let arm = self.arm(&names[count], depth, itself);
            write!(body, " default: {arm};").unwrap();
        }
        body + " }"
    }

    fn arm(&mut self, name: &str, depth: u32, itself: &str) -> String {
        match self.random.below(5) {
            0 => "void".to_owned(),
            1 if !itself.is_empty() => format!("{itself}{name}"),
            _ => self.declaration(name, depth),
        }
    }

    fn declaration(&mut self, name: &str, depth: u32) -> String {
        match self.random.below(10) {
            0 => format!("opaque {name}[{}]", 1 + self.random.below(40)),
            1 => format!("opaque {name}<{}>", self.bound()),
            2 => format!("string {name}<{}>", self.bound()),
            3 => format!("{} {name}[{}]", self.ty(depth), 1 + self.random.below(4)),
            4 => format!("{} {name}<{}>", self.ty(depth), self.bound()),
            5 => format!("{} *{name}", self.ty(depth)),
            6 if self.random.one_in(6) => format!("opaque {name}[{}]", 4000 + self.random.below(1000)),
            6 if self.random.one_in(3) => format!("unsigned hyper {name}[{}]", 500 + self.random.below(100)),
            _ => format!("{} {name}", self.ty(depth)),
        }
    }

    fn bound(&mut self) -> String {
        if self.random.one_in(4) { String::new() } else { (1 + self.random.below(20)).to_string() }
    }

    fn ty(&mut self, depth: u32) -> String {
        match self.random.below(8) {
            0..3 if !self.types.is_empty() => {
                let index = self.random.below(self.types.len() as u64) as usize;
                self.types[index].clone()
            }
            3 if depth < 2 => format!("struct {}", self.struct_body(depth + 1)),
            4 if depth < 2 => format!("union {}", self.union_body(depth + 1, "")),
            _ => self.random.of(&PRIMITIVES).to_owned(),
        }
    }

    fn program(&mut self) {
        let (name, number) = (self.name(), 0x2000_0000 + self.count);
        let versions: Vec<String> = (1..2 + self.random.below(2)).map(|number| self.version(number)).collect();
        writeln!(self.text, "program {name} {{ {} }} = {number};", versions.join("\n")).unwrap();
    }

    fn version(&mut self, number: u64) -> String {
        let name = self.name();
        let count = 1 + self.random.below(5);
        let names = self.members(count);
        let procedures: Vec<String> =
            names.iter().zip(0_u64..).map(|(name, index)| self.procedure(name, index)).collect();
        format!("version {name} {{ {} }} = {number};", procedures.join("\n"))
    }

    fn procedure(&mut self, name: &str, number: u64) -> String {
        // Procedure 0 neither takes nor gives anything.
        if number == 0 {
            return format!("void {name}(void) = 0;");
        }
        let count = self.random.below(5);
        let names = self.members(count);
        let arguments: Vec<String> = names.iter().map(|name| self.argument(name)).collect();
        let arguments = if arguments.is_empty() { "void".to_owned() } else { arguments.join(", ") };
        let (comment, result) = match self.random.below(7) {
            0 => ("/* @oneway */ ", "void".to_owned()),
            1 => ("/* @deadline 3s */ ", "void".to_owned()),
            2 => ("/* @lenient */ ", self.argument_type()),
            _ => ("", self.argument_type()),
        };
        format!("{comment}{result} {name}({arguments}) = {number};")
    }

    fn argument(&mut self, name: &str) -> String {
        match self.random.below(6) {
            0 => format!("string {name}<{}>", self.bound()),
            1 => format!("opaque {name}<{}>", self.bound()),
            2 => format!("{} {name}<{}>", self.argument_type(), self.bound()),
            3 => format!("{} *{name}", self.argument_type()),
            _ => format!("{} {name}", self.argument_type()),
        }
    }

    fn argument_type(&mut self) -> String {
        if self.types.is_empty() || self.random.one_in(2) {
            self.random.of(&PRIMITIVES).to_owned()
        } else {
            let index = self.random.below(self.types.len() as u64) as usize;
            self.types[index].clone()
        }
    }
}

const PRIMITIVES: [&str; 8] =
    ["int", "unsigned int", "hyper", "unsigned hyper", "float", "double", "quadruple", "bool"];

/// Among them words of Rust, names of its prelude, and names that generated code has.
const WORDS: [&str; 36] = [
    "apple",
    "type",
    "self",
    "Self",
    "crate",
    "async",
    "match",
    "Ok",
    "Err",
    "Some",
    "None",
    "Vec",
    "Option",
    "Box",
    "Result",
    "String",
    "decoder",
    "sink",
    "value",
    "Client",
    "Server",
    "Service",
    "call",
    "arguments",
    "reply",
    "answer",
    "s",
    "C",
    "stub",
    "discriminant",
    "encode",
    "decode",
    "Layout",
    "List",
    "default_",
    "fileName",
];
