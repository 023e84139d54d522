//! Names that Sun's dialect knows without a definition: those that the C headers of every RPC system define.

use crate::model::{Bound, BoundBy, Definition, Docs, Field, List, Name, Primitive, Struct, Type};

/// Returns the type that a name stands for if nobody defines it.
pub(super) fn primitive(name: &str) -> Option<Primitive> {
    Some(match name {
        "bool_t" | "boolean_t" => Primitive::Bool,
        "int8_t" => Primitive::Char,
        "uint8_t" | "u_int8_t" | "u_char" | "uchar_t" => Primitive::UnsignedChar,
        "int16_t" => Primitive::Short,
        "uint16_t" | "u_int16_t" | "u_short" | "ushort_t" => Primitive::UnsignedShort,
        "int32_t" | "enum_t" => Primitive::Int,
        "uint32_t" | "u_int32_t" | "u_int" | "uint" | "uint_t" | "u_long" | "ulong" | "ulong_t" => Primitive::Unsigned,
        "rpcprog_t" | "rpcvers_t" | "rpcproc_t" | "rpcprot_t" | "rpcport_t" => Primitive::Unsigned,
        "int64_t" | "quad_t" | "longlong_t" => Primitive::Hyper,
        "uint64_t" | "u_int64_t" | "u_quad_t" | "u_longlong_t" => Primitive::UnsignedHyper,
        _ => return None,
    })
}

/// Returns the definition that a name has if nobody defines it. `unbounded` is the bound of what has none in C.
pub(super) fn definition(name: &Name, unbounded: Bound) -> Option<Definition> {
    let field =
        |text: &str, ty| Field { name: Name { text: text.to_owned(), span: name.span }, ty, docs: Docs::default() };
    match name.text.as_str() {
        // A counted object of at most 1024 octets: MAX_NETOBJ_SZ of <rpc/xdr.h>.
        "netobj" => Some(Definition::Alias(Type::Opaque(Bound { max: 1024, by: BoundBy::Declaration }))),
        // A DES key: 64 bits, of <rpc/auth_des.h>.
        "des_block" => Some(Definition::Alias(Type::OpaqueFixed(8))),
        // The address of a transport, of <netconfig.h>: how long it may be, then itself.
        "netbuf" => {
            let fields =
                vec![field("maxlen", Type::Primitive(Primitive::Unsigned)), field("buf", Type::Opaque(unbounded))];
            Some(Definition::Struct(Struct { fields, list: List::No }))
        }
        _ => None,
    }
}

/// Returns whether a type of this name is known without a definition.
pub(super) fn is_type(name: &str) -> bool {
    primitive(name).is_some() || matches!(name, "netobj" | "des_block" | "netbuf")
}

/// Returns the value of a constant if nobody defines it.
pub(super) fn constant(name: &str) -> Option<i128> {
    match name {
        // Of <rpc/auth.h>: the longest name of a network entity.
        "MAXNETNAMELEN" => Some(255),
        _ => None,
    }
}
