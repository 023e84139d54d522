//! An interface file in which every word that Rust keeps for itself, or generated code has a use for, stands wherever a name can.

/// Writes the file, in the dialect of xdrpp.
pub(crate) fn file_of_words() -> String {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut text = String::new();
    for line in LINES.lines() {
        let count = if line.contains("WORD") { words.len() } else { 1 };
        for (index, word) in words[..count].iter().enumerate() {
            text += &line.replace("WORD", word).replace("INDEX", &(index + 1).to_string());
            text.push('\n');
        }
    }
    text
}

/// The file; a line with `WORD` is there for each.
const LINES: &str = "
namespace constants {
const WORD = INDEX;
}
namespace typedefs {
typedef opaque WORD[4];
}
namespace structs {
struct WORD { typedefs::WORD WORD; };
}
namespace enums {
enum WORD { ONE_OF_WORD };
}
namespace members {
enum any {
WORD = INDEX,
none_of_them = 0
};
union by_word switch (any self) {
case WORD: structs::WORD WORD;
default: void;
};
}
namespace unions {
union WORD switch (int WORD) { case INDEX: int WORD; default: void; };
}
struct every {
structs::WORD *WORD;
int last;
};
namespace WORD { typedef unions::WORD within; }
program of_procedures { version of_procedures_1 {
WORD::within WORD(enums::WORD WORD) = INDEX;
every ALL(
int WORD,
members::by_word last) = 1000;
} = 1; } = 1000;
program WORD { version WORD { int WORD(int WORD) = 1; } = 1; } = INDEX;
";

/// The words of Rust (The Rust Reference, "Keywords", edition 2024) that XDR has no use for; what generated code is made of; and
/// what is named without a path.
const WORDS: &str = "
Self abstract as async await become box break continue crate do dyn else extern false final fn for gen if impl in let loop macro
macro_rules match mod move mut override priv pub raw ref return safe self static super trait true try type typeof union_ unsafe
unsized use virtual where while yield
Bounded Box Decode DecodeBounded DecodeError Decoder Encode EncodeBounded EncodeError Err Layout List None Ok Option Quadruple
Result S Sink Some UnsignedChar Vec XdrStr XdrString
NULL PROCEDURES PROGRAM VERSION Procedure Client AsyncClient Server AsyncServer Service Dispatch Call CallError Caller Undeclared
call clone fmt new null with_timeout progress dispatch versions procedures
C a caller decoder discriminant octets sink value
alloc as_ref borrow core i32 i8 posthaste_rpc std str u32 u8 usize
try_from try_into into into_iter to_owned to_string type_id
Clone Copy Debug Default Drop Eq From Hash Into Iterator PartialEq Send String Sync drop panic print vec
";
