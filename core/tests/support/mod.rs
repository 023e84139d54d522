//! What several tests share.

pub(crate) mod rustls_crypto;
