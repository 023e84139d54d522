//! What generated stubs call, and what the clients and servers of every transport implement.
//!
//! The protocol compiler makes a `Client` and a `Server` trait from an interface file. They know no socket: a client takes
//! whatever is a [`Caller`] (or, for async code, an [`AsyncCaller`]), and a server is a [`Dispatch`] (or [`AsyncDispatch`]), which
//! whatever receives calls can be given. So the same code speaks with Posthaste's adapters and with ONC RPC.
//!
//! - [`Signature`]: what the interface file says about a procedure; [`Procedure`]: the same, with the type of its result.
//! - [`CallError`]: what becomes of a call that brings no result. Nothing that is known of it is left out.
//! - [`Call`]: a call as the handler sees it; [`Failure`]: how it says that there is no result.
//! - [`Exchange`]: a call as a generated server sees it, which reads its arguments and has its result written where it is to lie.
//! - [`Directory`]: what a server knows, and with which of the standard refusals it turns down the rest.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

/// Puts the stubs of an interface file into a module: `posthaste_rpc::interface!(pub mod calc)` for what a `build.rs` with
/// `posthaste_compiler::Build` made of `calc.x`.
///
/// No lint looks into what is generated: its names, comments and lists of arguments are those of the interface file.
#[macro_export]
macro_rules! interface {
    ($(#[$attribute:meta])* $visibility:vis mod $name:ident) => {
        $(#[$attribute])*
        #[allow(missing_docs, unreachable_pub)]
        $visibility mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
        }
    };
}

mod call;
mod caller;
mod dispatch;
mod ongoing;
mod outcome;
#[cfg(feature = "posthaste")]
mod posthaste;
mod procedure;
pub mod stub;
mod values;

#[cfg(feature = "std")]
pub use call::WriteStream;
pub use call::{Answer, Call, Failure, Target};
pub use caller::{
    AsyncCaller, AsyncResolve, AsyncStartCaller, AsyncStarted, Caller, Request, Resolve, Resolving, StartCaller,
    Started,
};
pub use dispatch::{AsyncDispatch, Directory, Dispatch, Exchange};
pub use ongoing::Ongoing;
pub use outcome::{ApplicationError, AsyncCallError, AsyncUnresolved, CallError, NotExecuted, Unknown, Unresolved};
pub use posthaste_xdr as xdr;
pub use procedure::{Procedure, ReplyMode, Semantics, Signature, Streams, Timeout};
pub use values::Values;
