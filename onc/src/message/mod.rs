//! Call and reply messages, octets to structures and back (RFC 5531 §9).

mod auth;

use alloc::vec::Vec;
use core::fmt;

pub use auth::{AUTH_BODY_LEN_MAX, Auth, AuthStatus, AuthSys, AuthSysError, Claim, Credential, Flavor};

pub use posthaste_rpc::Target;
use posthaste_xdr::{Decode, DecodeError, Decoder, Encode, Limits};

/// A call message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// Chosen by the caller to tell the reply by. Says nothing about the order of calls.
    pub xid: u32,
    /// What is called.
    pub target: Target,
    /// Who the caller claims to be.
    pub credential: Auth<'a>,
    /// What is to prove the claim.
    pub verifier: Auth<'a>,
    /// The arguments in XDR, a multiple of four octets.
    pub arguments: &'a [u8],
}

/// A reply message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// That of the call.
    pub xid: u32,
    /// The results in XDR, or why there are none.
    pub outcome: Result<&'a [u8], Refusal>,
}

/// Why a server did not answer a call with results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The server does not have the program (`PROG_UNAVAIL`).
    NoSuchProgram,
    /// The server has other versions of the program (`PROG_MISMATCH`).
    NoSuchVersion {
        /// The lowest version that it has.
        low: u32,
        /// The highest version that it has.
        high: u32,
    },
    /// The program has no such procedure (`PROC_UNAVAIL`).
    NoSuchProcedure,
    /// The server could not decode the arguments (`GARBAGE_ARGS`).
    GarbageArguments,
    /// The server failed (`SYSTEM_ERR`). Alone among the refusals, it does not say that nothing was executed.
    SystemError,
    /// The server speaks other versions of ONC RPC than 2 (`RPC_MISMATCH`).
    RpcVersion {
        /// The lowest version that it speaks.
        low: u32,
        /// The highest version that it speaks.
        high: u32,
    },
    /// The server does not take the credential or the verifier (`AUTH_ERROR`).
    Auth(AuthStatus),
}

/// Octets that are no message of the kind that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Why octets are no call that can be answered with results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCall {
    /// They are no call at all; there is nobody to tell.
    Malformed,
    /// They are a call of another version of ONC RPC, to be answered with [`Refusal::RpcVersion`].
    RpcVersion {
        /// That of the call.
        xid: u32,
    },
}

impl<'a> Call<'a> {
    /// Appends the message to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.arguments.len().is_multiple_of(4), "what is in XDR has whole units");
        let Target { program, version, procedure } = self.target;
        append(out, &[self.xid, CALL, RPC_VERSION, program, version, procedure]);
        append(out, &self.credential);
        append(out, &self.verifier);
        out.extend_from_slice(self.arguments);
    }

    /// Returns the length of the message in octets.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        HEADER_LEN + self.credential.encoded_len() + self.verifier.encoded_len() + self.arguments.len()
    }

    /// Reads a message that fills `octets`.
    ///
    /// # Errors
    /// Why it is none.
    pub fn decode(octets: &'a [u8]) -> Result<Self, NoCall> {
        let mut decoder = decoder(octets);
        let [xid, kind, rpc_version] = <[u32; 3]>::decode(&mut decoder)?;
        // A refusal is never longer than what it answers, which may have come from a forged address.
        if kind != CALL || octets.len() < CALL_LEN_MIN {
            return Err(NoCall::Malformed);
        }
        if rpc_version != RPC_VERSION {
            // What follows may look different there.
            return Err(NoCall::RpcVersion { xid });
        }
        let [program, version, procedure] = Decode::decode(&mut decoder)?;
        let target = Target { program, version, procedure };
        let (credential, verifier) = (Auth::decode(&mut decoder)?, Auth::decode(&mut decoder)?);
        Ok(Self { xid, target, credential, verifier, arguments: whole_units(&decoder)? })
    }
}

impl<'a> Reply<'a> {
    /// Appends the message to `out`, with a verifier of `AUTH_NONE`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        append(out, &[self.xid, REPLY]);
        let refusal = match self.outcome {
            Ok(results) => {
                append_accepted(out, SUCCESS);
                out.extend_from_slice(results);
                return;
            }
            Err(refusal) => refusal,
        };
        match refusal {
            Refusal::NoSuchProgram => append_accepted(out, PROG_UNAVAIL),
            Refusal::NoSuchVersion { low, high } => {
                append_accepted(out, PROG_MISMATCH);
                append(out, &[low, high]);
            }
            Refusal::NoSuchProcedure => append_accepted(out, PROC_UNAVAIL),
            Refusal::GarbageArguments => append_accepted(out, GARBAGE_ARGS),
            Refusal::SystemError => append_accepted(out, SYSTEM_ERR),
            Refusal::RpcVersion { low, high } => append(out, &[MSG_DENIED, RPC_MISMATCH, low, high]),
            Refusal::Auth(status) => append(out, &[MSG_DENIED, AUTH_ERROR, status.code()]),
        }
    }

    /// Reads a message that fills `octets`. What the verifier of an accepted call says is not looked at.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(octets: &'a [u8]) -> Result<Self, Malformed> {
        let mut decoder = decoder(octets);
        let [xid, kind, status] = <[u32; 3]>::decode(&mut decoder)?;
        if kind != REPLY {
            return Err(Malformed);
        }
        let refusal = match status {
            MSG_ACCEPTED => {
                Auth::decode(&mut decoder)?;
                match u32::decode(&mut decoder)? {
                    SUCCESS => return Ok(Self { xid, outcome: Ok(whole_units(&decoder)?) }),
                    PROG_UNAVAIL => Refusal::NoSuchProgram,
                    PROG_MISMATCH => {
                        let [low, high] = Decode::decode(&mut decoder)?;
                        Refusal::NoSuchVersion { low, high }
                    }
                    PROC_UNAVAIL => Refusal::NoSuchProcedure,
                    GARBAGE_ARGS => Refusal::GarbageArguments,
                    SYSTEM_ERR => Refusal::SystemError,
                    _ => return Err(Malformed),
                }
            }
            MSG_DENIED => match u32::decode(&mut decoder)? {
                RPC_MISMATCH => {
                    let [low, high] = Decode::decode(&mut decoder)?;
                    Refusal::RpcVersion { low, high }
                }
                AUTH_ERROR => Refusal::Auth(AuthStatus::from_code(u32::decode(&mut decoder)?)),
                _ => return Err(Malformed),
            },
            _ => return Err(Malformed),
        };
        decoder.finish()?;
        Ok(Self { xid, outcome: Err(refusal) })
    }
}

impl From<DecodeError> for Malformed {
    fn from(_: DecodeError) -> Self {
        Self
    }
}

impl From<Malformed> for NoCall {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<DecodeError> for NoCall {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchProgram => f.write_str("the server does not have the program"),
            Self::NoSuchVersion { low, high } => write!(f, "the server has the program in versions {low} to {high}"),
            Self::NoSuchProcedure => f.write_str("the program has no such procedure"),
            Self::GarbageArguments => f.write_str("the server could not decode the arguments"),
            Self::SystemError => f.write_str("the server failed"),
            Self::RpcVersion { low, high } => write!(f, "the server speaks ONC RPC in versions {low} to {high}"),
            Self::Auth(status) => write!(f, "the server does not take the credential: {status}"),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no message of ONC RPC")
    }
}

impl fmt::Display for NoCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("no call of ONC RPC"),
            Self::RpcVersion { .. } => f.write_str("a call of another version of ONC RPC"),
        }
    }
}

impl core::error::Error for Refusal {}
impl core::error::Error for NoCall {}
impl core::error::Error for Malformed {}

fn append_accepted(out: &mut Vec<u8>, status: u32) {
    append(out, &MSG_ACCEPTED);
    append(out, &Auth::NONE);
    append(out, &status);
}

/// Returns what is left of a message: something in XDR, whatever it is (RFC 4506 §3).
fn whole_units<'a>(decoder: &Decoder<'a>) -> Result<&'a [u8], Malformed> {
    let rest = decoder.rest();
    if rest.len().is_multiple_of(4) { Ok(rest) } else { Err(Malformed) }
}

/// Appends a value in XDR.
pub(crate) fn append(out: &mut Vec<u8>, value: &(impl Encode + ?Sized)) {
    let begin = out.len();
    let len = posthaste_xdr::encoded_len(value).expect("what is written here keeps its bounds");
    out.resize(begin + len, 0);
    posthaste_xdr::to_slice(value, &mut out[begin..]).expect("the room is as long as the value");
}

/// Reads a message. Its own fields are of bounded length, and whoever hands it in bounds the whole.
pub(crate) fn decoder(octets: &[u8]) -> Decoder<'_> {
    Decoder::new(octets, &Limits { len_max: usize::MAX, ..Limits::default() }).expect("every length is allowed")
}

/// The octets of a call before its credential, and of a reply before its results with a verifier of `AUTH_NONE`.
pub(crate) const HEADER_LEN: usize = 24;

/// The octets of the shortest call: its header, and two times `AUTH_NONE`.
const CALL_LEN_MIN: usize = HEADER_LEN + 16;

/// The one version of ONC RPC there is (RFC 5531 §9).
pub(crate) const RPC_VERSION: u32 = 2;

// RFC 5531 §9: msg_type, reply_stat, accept_stat, reject_stat.
const CALL: u32 = 0;
const REPLY: u32 = 1;
const MSG_ACCEPTED: u32 = 0;
const MSG_DENIED: u32 = 1;
const SUCCESS: u32 = 0;
const PROG_UNAVAIL: u32 = 1;
const PROG_MISMATCH: u32 = 2;
const PROC_UNAVAIL: u32 = 3;
const GARBAGE_ARGS: u32 = 4;
const SYSTEM_ERR: u32 = 5;
const RPC_MISMATCH: u32 = 0;
const AUTH_ERROR: u32 = 1;

#[cfg(test)]
mod tests;
