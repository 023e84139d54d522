//! Asking a portmapper.

use posthaste_std::onc::portmap::{Inexpressible, Query, QueryError, Version};
use posthaste_std::onc::{Client, Failure, Refusal};

/// Asks in the newest version that the portmapper has and that knows how to ask that.
///
/// # Errors
/// Why there is no answer in any.
pub(crate) fn ask<T>(
    client: &Client,
    query: impl Fn(Version) -> Result<Query<T>, Inexpressible>,
) -> Result<T, QueryError> {
    let mut asked = Err(QueryError::Malformed);
    for query in Version::ALL.into_iter().rev().filter_map(|version| query(version).ok()) {
        asked = client.query(&query);
        match asked {
            Err(QueryError::Call(Failure::Refused(Refusal::NoSuchVersion { .. } | Refusal::NoSuchProcedure))) => (),
            Ok(_) | Err(_) => break,
        }
    }
    asked
}
