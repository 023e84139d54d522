//! XDR: what is read strictly is written again as it was.

use posthaste_xdr::{Decode, Encode, Limits, List, Strictness, encoded_len, from_octets, to_vec};

use everything::Everything;
use random::Random;
use types::{File, Node, Number, Pair, Tree};

#[path = "../../xdr/tests/support/everything.rs"]
mod everything;
#[path = "../../xdr/tests/support/random.rs"]
mod random;
#[path = "../../xdr/tests/support/types.rs"]
mod types;

/// Reads octets as a value, of the type and with the strictness that the first octet says.
pub fn xdr(octets: &[u8]) {
    let Some((&choice, octets)) = octets.split_first() else { return };
    let strictness = [Strictness::Strict, Strictness::Lenient][usize::from(choice % 2)];
    match choice / 2 % 8 {
        0 => read::<Everything>(octets, strictness),
        1 => read::<File>(octets, strictness),
        2 => read::<Tree>(octets, strictness),
        3 => read::<List<Node>>(octets, strictness),
        4 => read::<Vec<Number>>(octets, strictness),
        5 => read::<Vec<(Option<Pair>, [(); 3])>>(octets, strictness),
        6 => read::<List<List<Box<[u16]>>>>(octets, strictness),
        _ => read::<(&[u8], &str, [Option<&[u8]>; 2])>(octets, strictness),
    }
}

/// Returns values of chance, as [`xdr`] takes them: where the fuzzer begins.
pub fn xdr_seeds() -> impl Iterator<Item = Vec<u8>> {
    (0..32).map(|seed| [&[0][..], &to_vec(&Random::new(seed).everything()).expect("it is within its bounds")].concat())
}

fn read<'a, T: Decode<'a> + Encode>(octets: &'a [u8], strictness: Strictness) {
    let Ok(value) = from_octets::<T>(octets, &Limits { strictness, ..Limits::default() }) else { return };
    let len = encoded_len(&value).expect("what was read can be written");
    match strictness {
        Strictness::Strict => assert_eq!(to_vec(&value).as_deref(), Ok(octets), "a value changes when written again"),
        Strictness::Lenient => assert!(len <= octets.len()),
    }
}
