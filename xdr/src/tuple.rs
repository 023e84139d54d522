//! Several values, one after the other: a struct without names, or the arguments of a procedure (RFC 4506 §4.14, RFC 5531 §12).

use crate::{Decode, DecodeError, Decoder, Encode, EncodeError, Layout, Sink};

/// Gives tuples the encodings of their members.
macro_rules! tuples {
    ($(($($member:ident $index:tt),*))*) => {$(
        impl<$($member: Layout),*> Layout for ($($member,)*) {
            const LEN_MIN: usize = 0 $(+ $member::LEN_MIN)*;
            const LEN_IS_FIXED: bool = true $(&& $member::LEN_IS_FIXED)*;
        }

        impl<$($member: Encode),*> Encode for ($($member,)*) {
            #[inline]
            fn encode<Out: Sink>(&self, _sink: &mut Out) -> Result<(), EncodeError> {
                $(self.$index.encode(_sink)?;)*
                Ok(())
            }
        }

        impl<'a, $($member: Decode<'a>),*> Decode<'a> for ($($member,)*) {
            #[inline]
            fn decode(_decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
                Ok(($($member::decode(_decoder)?,)*))
            }
        }
    )*};
}

// The empty one is `void` (RFC 4506 §4.16). Twelve members are what the standard library implements its traits for.
tuples! {
    ()
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11)
}
