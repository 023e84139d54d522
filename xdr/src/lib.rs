//! XDR (RFC 4506): every type of it, for octets that may be hostile.
//!
//! [`Encode`] writes a value, [`Decode`] reads one; [`Layout`] says what is known of the length without a value. What `.x` files
//! declare becomes these Rust types:
//!
//! | XDR | Rust | RFC 4506 |
//! |---|---|---|
//! | `int`, `unsigned int` | `i32`, `u32` | §4.1, §4.2 |
//! | `enum` | an enum of one's own ([`Decoder::unknown_enum`]) | §4.3 |
//! | `bool` | `bool` | §4.4 |
//! | `hyper`, `unsigned hyper` | `i64`, `u64` | §4.5 |
//! | `float`, `double`, `quadruple` | `f32`, `f64`, [`Quadruple`] | §4.6, §4.7, §4.8 |
//! | `opaque x[N]` | `[u8; N]` | §4.9 |
//! | `opaque x<>` | `&[u8]`, `Vec<u8>`, `Box<[u8]>` | §4.10 |
//! | `string x<>` | [`XdrStr`], [`XdrString`]; `&str`, `String` where it has to be UTF-8 | §4.11 |
//! | `T x[N]` | `[T; N]` | §4.12 |
//! | `T x<>` | `&[T]` to encode; `Vec<T>`, `Box<[T]>` | §4.13 |
//! | `struct` | a struct, or a tuple | §4.14 |
//! | `union` | an enum of one's own | §4.15 |
//! | `void` | `()` | §4.16 |
//! | `T *x` | `Option<T>`, `Option<Box<T>>` | §4.19 |
//! | `struct T { …; T *next; }`, `T *x` | [`List<T>`], without `next` in `T` | §4.19 |
//! | `short`, `char`, `unsigned short`, `unsigned char` of Sun's dialect | `i16`, `i8`, `u16`, [`UnsignedChar`] | none |
//!
//! The bound of `x<BOUND>` is no part of those types: [`EncodeBounded`] and [`DecodeBounded`] take it as an argument, and
//! [`Bounded`] carries it where there is no place for one.
//!
//! # A struct
//!
//! ```
//! use posthaste_xdr::{
//!     Decode, DecodeBounded, DecodeError, Decoder, Encode, EncodeBounded, EncodeError, Layout, Limits, Sink, XdrStr,
//! };
//!
//! /// `struct file { unsigned id; hyper len; string name<255>; };`
//! #[derive(Debug, PartialEq)]
//! struct File<'a> {
//!     id: u32,
//!     len: i64,
//!     name: XdrStr<'a>,
//! }
//!
//! impl Layout for File<'_> {
//!     const LEN_MIN: usize = u32::LEN_MIN + i64::LEN_MIN + XdrStr::LEN_MIN;
//!     const LEN_IS_FIXED: bool = false;
//! }
//!
//! impl Encode for File<'_> {
//!     fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
//!         // One look at what is left for all members of fixed length that follow each other.
//!         sink.run(12, |sink| {
//!             self.id.encode(sink)?;
//!             self.len.encode(sink)
//!         })?;
//!         self.name.encode_bounded(sink, 255)
//!     }
//! }
//!
//! impl<'a> Decode<'a> for File<'a> {
//!     fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
//!         let (id, len) = decoder.run(12, |decoder| Ok((Decode::decode(decoder)?, Decode::decode(decoder)?)))?;
//!         Ok(Self { id, len, name: DecodeBounded::decode_bounded(decoder, 255)? })
//!     }
//! }
//!
//! let file = File { id: 7, len: -1, name: "a".into() };
//! let mut memory = [0; 64];
//! let octets = &mut memory[..posthaste_xdr::encoded_len(&file)?];
//! posthaste_xdr::to_slice(&file, octets)?;
//! assert_eq!(octets, b"\0\0\0\x07\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x01a\0\0\0");
//! assert_eq!(posthaste_xdr::from_octets(octets, &Limits::default()), Ok(file));
//! # Ok::<_, EncodeError>(())
//! ```
//!
//! # What hostile octets cannot do
//!
//! [`Limits`] bound the octets, the depth, the work and the memory of decoding; a count is checked against the octets that are left
//! and against the memory before anything is allocated. Lists are read, written and dropped by loops.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod array;
mod bounded;
mod decode;
mod encode;
mod layout;
#[cfg(feature = "alloc")]
mod list;
mod opaque;
mod optional;
#[cfg(feature = "alloc")]
mod owned_string;
mod scalar;
mod string;
mod tuple;
#[cfg(feature = "alloc")]
mod vec;

pub use bounded::{Bounded, DecodeBounded, EncodeBounded};
pub use decode::{Decode, DecodeError, Decoder, Limits, Strictness, from_octets};
#[cfg(feature = "alloc")]
pub use encode::to_vec;
pub use encode::{Encode, EncodeError, Encoder, Message, Sink, encoded_len, to_slice};
pub use layout::Layout;
#[cfg(feature = "alloc")]
pub use list::List;
#[cfg(feature = "alloc")]
pub use owned_string::XdrString;
pub use scalar::{Quadruple, UnsignedChar};
pub use string::XdrStr;
