//! The ECN field of the IP header (RFC 3168 §5).

/// An ECN codepoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ecn {
    /// The sender's transport does not use ECN.
    #[default]
    NotEct,
    /// ECN-capable, codepoint 0: what senders set.
    Ect0,
    /// ECN-capable, codepoint 1.
    Ect1,
    /// Congestion experienced, set by a router.
    Ce,
}
