//! Credentials and verifiers (RFC 5531 §8.2, §10 and appendix A).

use alloc::vec::Vec;
use core::fmt;

use posthaste_xdr::{Decode, DecodeBounded, DecodeError, Decoder, Encode, EncodeBounded, EncodeError, Layout, Sink};

use super::{Malformed, decoder};

/// A credential or verifier as it travels: a flavor, and a body whose meaning is the flavor's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth<'a> {
    /// Which kind it is.
    pub flavor: Flavor,
    /// At most [`AUTH_BODY_LEN_MAX`] octets.
    pub body: &'a [u8],
}

/// A kind of credential or verifier (RFC 5531 §8.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flavor(pub u32);

/// The most octets of the body of a credential or verifier (RFC 5531 §8.2).
pub const AUTH_BODY_LEN_MAX: usize = 400;

/// What a caller claims to be, as far as it is understood here. Nothing proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential<'a> {
    /// Nobody in particular (`AUTH_NONE`).
    None,
    /// A user of a machine (`AUTH_SYS`).
    Sys(AuthSys<'a>),
}

/// What a client claims to be, as it sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    flavor: Flavor,
    body: Vec<u8>,
}

/// What `AUTH_SYS` claims (RFC 5531 appendix A). It is no security: who sends it writes into it what he likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthSys<'a> {
    stamp: u32,
    machine_name: &'a [u8],
    uid: u32,
    gid: u32,
    gid_count: usize,
    gids: [u32; AuthSys::GID_COUNT_MAX],
}

/// Why there is no such credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthSysError {
    /// The name has more than [`AuthSys::MACHINE_NAME_LEN_MAX`] octets.
    MachineNameTooLong,
    /// There are more than [`AuthSys::GID_COUNT_MAX`] groups.
    TooManyGids,
}

/// Why a server does not take a credential or verifier (RFC 5531 §9, `auth_stat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthStatus {
    /// The credential is broken.
    BadCredential,
    /// The credential is not taken any more; the client may begin anew.
    RejectedCredential,
    /// The verifier is broken.
    BadVerifier,
    /// The verifier has expired or was seen before.
    RejectedVerifier,
    /// The server wants a stronger flavor.
    TooWeak,
    /// Any other reason, by its number.
    Other(u32),
}

impl<'a> Auth<'a> {
    /// That of `AUTH_NONE`.
    pub const NONE: Self = Self { flavor: Flavor::NONE, body: &[] };

    pub(super) const fn encoded_len(&self) -> usize {
        Self::LEN_MIN + self.body.len().next_multiple_of(4)
    }

    /// Reads what a credential claims.
    ///
    /// # Errors
    /// What to answer the caller: [`AuthStatus::RejectedCredential`] if the flavor is unknown here, [`AuthStatus::BadCredential`]
    /// if the body is not one of its flavor.
    pub fn credential(&self) -> Result<Credential<'a>, AuthStatus> {
        match self.flavor {
            // RFC 5531 §10.1: the body should be empty, and is not looked at.
            Flavor::NONE => Ok(Credential::None),
            Flavor::SYS => match AuthSys::from_body(self.body) {
                Ok(claim) => Ok(Credential::Sys(claim)),
                Err(Malformed) => Err(AuthStatus::BadCredential),
            },
            _ => Err(AuthStatus::RejectedCredential),
        }
    }
}

impl Claim {
    /// That of `AUTH_NONE`.
    pub const NONE: Self = Self { flavor: Flavor::NONE, body: Vec::new() };

    /// Returns it as it travels.
    #[must_use]
    pub const fn auth(&self) -> Auth<'_> {
        Auth { flavor: self.flavor, body: self.body.as_slice() }
    }
}

impl From<&AuthSys<'_>> for Claim {
    fn from(claim: &AuthSys<'_>) -> Self {
        Self { flavor: Flavor::SYS, body: claim.to_body() }
    }
}

impl Flavor {
    /// `AUTH_NONE`
    pub const NONE: Self = Self(0);
    /// `AUTH_SYS`
    pub const SYS: Self = Self(1);
}

impl<'a> AuthSys<'a> {
    /// The most octets of a machine's name.
    pub const MACHINE_NAME_LEN_MAX: usize = 255;
    /// The most groups beside the first.
    pub const GID_COUNT_MAX: usize = 16;

    /// Makes a claim of a user, his first group and his other ones, on a machine.
    ///
    /// # Errors
    /// Which limit is exceeded.
    pub fn new(machine_name: &'a [u8], uid: u32, gid: u32, other_gids: &[u32]) -> Result<Self, AuthSysError> {
        if machine_name.len() > Self::MACHINE_NAME_LEN_MAX {
            return Err(AuthSysError::MachineNameTooLong);
        }
        let mut gids = [0; Self::GID_COUNT_MAX];
        gids.get_mut(..other_gids.len()).ok_or(AuthSysError::TooManyGids)?.copy_from_slice(other_gids);
        Ok(Self { stamp: 0, machine_name, uid, gid, gid_count: other_gids.len(), gids })
    }

    /// Sets the number that the caller's machine may draw as it likes; zero if it is not set.
    #[must_use]
    pub const fn with_stamp(self, stamp: u32) -> Self {
        Self { stamp, ..self }
    }

    /// Returns the number that the caller's machine drew.
    #[must_use]
    pub const fn stamp(&self) -> u32 {
        self.stamp
    }

    /// Returns the name of the caller's machine.
    #[must_use]
    pub const fn machine_name(&self) -> &'a [u8] {
        self.machine_name
    }

    /// Returns the user.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// Returns the user's first group.
    #[must_use]
    pub const fn gid(&self) -> u32 {
        self.gid
    }

    /// Returns the user's other groups.
    #[must_use]
    pub fn other_gids(&self) -> &[u32] {
        &self.gids[..self.gid_count]
    }

    /// Returns the body of the credential.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        posthaste_xdr::to_vec(self).expect("it was made within its bounds")
    }

    /// Reads the body of a credential.
    ///
    /// # Errors
    /// If it is none, or exceeds a limit.
    pub fn from_body(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut decoder = decoder(body);
        let claim = Self::decode(&mut decoder)?;
        decoder.finish()?;
        Ok(claim)
    }
}

impl Layout for Auth<'_> {
    const LEN_MIN: usize = 8;
    const LEN_IS_FIXED: bool = false;
}

impl Encode for Auth<'_> {
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        self.flavor.0.encode(sink)?;
        self.body.encode_bounded(sink, AUTH_BODY_LEN_MAX as u32)
    }
}

impl<'a> Decode<'a> for Auth<'a> {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let flavor = Flavor(u32::decode(decoder)?);
        Ok(Self { flavor, body: <&[u8]>::decode_bounded(decoder, AUTH_BODY_LEN_MAX as u32)? })
    }
}

impl Layout for AuthSys<'_> {
    const LEN_MIN: usize = 20;
    const LEN_IS_FIXED: bool = false;
}

impl Encode for AuthSys<'_> {
    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        self.stamp.encode(sink)?;
        self.machine_name.encode_bounded(sink, Self::MACHINE_NAME_LEN_MAX as u32)?;
        [self.uid, self.gid].encode(sink)?;
        sink.put_count(self.gid_count, Self::GID_COUNT_MAX as u32)?;
        sink.put_array(self.other_gids())
    }
}

impl<'a> Decode<'a> for AuthSys<'a> {
    fn decode(decoder: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let stamp = u32::decode(decoder)?;
        let machine_name = <&[u8]>::decode_bounded(decoder, Self::MACHINE_NAME_LEN_MAX as u32)?;
        let [uid, gid] = Decode::decode(decoder)?;
        let gid_count = decoder.take_count(Self::GID_COUNT_MAX as u32, u32::LEN_MIN)?;
        let mut gids = [0; Self::GID_COUNT_MAX];
        for gid in &mut gids[..gid_count] {
            *gid = u32::decode(decoder)?;
        }
        Ok(Self { stamp, machine_name, uid, gid, gid_count, gids })
    }
}

impl AuthStatus {
    /// Returns its number; for the reader's use, 0 says that all is well and is no error.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::BadCredential => 1,
            Self::RejectedCredential => 2,
            Self::BadVerifier => 3,
            Self::RejectedVerifier => 4,
            Self::TooWeak => 5,
            Self::Other(code) => code,
        }
    }

    /// Returns what a number means.
    #[must_use]
    pub const fn from_code(code: u32) -> Self {
        match code {
            1 => Self::BadCredential,
            2 => Self::RejectedCredential,
            3 => Self::BadVerifier,
            4 => Self::RejectedVerifier,
            5 => Self::TooWeak,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for AuthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadCredential => f.write_str("the credential is broken"),
            Self::RejectedCredential => f.write_str("the credential is rejected"),
            Self::BadVerifier => f.write_str("the verifier is broken"),
            Self::RejectedVerifier => f.write_str("the verifier is rejected"),
            Self::TooWeak => f.write_str("it is too weak"),
            Self::Other(code) => write!(f, "reason {code}"),
        }
    }
}

impl fmt::Display for AuthSysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MachineNameTooLong => {
                write!(f, "the name of a machine has at most {} octets", AuthSys::MACHINE_NAME_LEN_MAX)
            }
            Self::TooManyGids => write!(f, "a user is in at most {} groups", 1 + AuthSys::GID_COUNT_MAX),
        }
    }
}

impl core::error::Error for AuthStatus {}
impl core::error::Error for AuthSysError {}
