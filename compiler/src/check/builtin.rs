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
        "int32_t" | "int32" | "enum_t" => Primitive::Int,
        "uint32_t" | "u_int32_t" | "uint32" | "u_int" | "uint" | "uint_t" | "u_long" | "ulong" | "ulong_t" => {
            Primitive::Unsigned
        }
        // Of <rpc/auth_sys.h>: how AUTH_SYS has them (RFC 5531 Appendix A).
        "uid_t" | "gid_t" => Primitive::Unsigned,
        "rpcprog_t" | "rpcvers_t" | "rpcproc_t" | "rpcprot_t" | "rpcport_t" => Primitive::Unsigned,
        "int64_t" | "int64" | "quad_t" | "longlong_t" => Primitive::Hyper,
        "uint64_t" | "u_int64_t" | "uint64" | "u_quad_t" | "u_longlong_t" => Primitive::UnsignedHyper,
        _ => return None,
    })
}

/// Returns the type that a routine of C encodes: `xdr_u_int` and its like of <rpc/xdr.h>.
pub(super) fn encoded_by(routine: &str) -> Option<Primitive> {
    match routine.strip_prefix("xdr_")? {
        "bool" => Some(Primitive::Bool),
        "char" => Some(Primitive::Char),
        "short" => Some(Primitive::Short),
        "int" | "long" | "enum" => Some(Primitive::Int),
        "hyper" => Some(Primitive::Hyper),
        "u_hyper" => Some(Primitive::UnsignedHyper),
        "float" => Some(Primitive::Float),
        "double" => Some(Primitive::Double),
        "quadruple" => Some(Primitive::Quadruple),
        name => primitive(name),
    }
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
        // What AUTH_SYS says of the caller, of <rpc/auth_sys.h> (RFC 5531 Appendix A). NFS version 4.1 hands it on.
        "authsys_parms" | "authunix_parms" => {
            let bound = |max| Bound { max, by: BoundBy::Declaration };
            let unsigned = || Type::Primitive(Primitive::Unsigned);
            let fields = vec![
                field("stamp", unsigned()),
                field("machinename", Type::String(bound(255))),
                field("uid", unsigned()),
                field("gid", unsigned()),
                field("gids", Type::Vector { element: Box::new(unsigned()), bound: bound(16) }),
            ];
            Some(Definition::Struct(Struct { fields, list: List::No }))
        }
        _ => None,
    }
}

/// Returns whether a type of this name is known without a definition.
pub(super) fn is_type(name: &str) -> bool {
    primitive(name).is_some() || matches!(name, "netobj" | "des_block" | "netbuf" | "authsys_parms" | "authunix_parms")
}

/// Returns the value of a constant if nobody defines it.
pub(super) fn constant(name: &str) -> Option<i128> {
    match name {
        // Of <rpc/auth.h>: the longest name of a network entity.
        "MAXNETNAMELEN" => Some(255),
        // The flavors of authentication, by which NFS version 4 chooses an arm (RFC 5531 §8.2; 6 is of RFC 2203 §5).
        "AUTH_NONE" | "AUTH_NULL" => Some(0),
        "AUTH_SYS" | "AUTH_UNIX" => Some(1),
        "AUTH_SHORT" => Some(2),
        "AUTH_DH" | "AUTH_DES" => Some(3),
        "RPCSEC_GSS" => Some(6),
        _ => None,
    }
}
