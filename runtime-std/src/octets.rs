//! What the octets of a message or reply become when they are taken.

use posthaste_core::{Endpoint, Instant, MessageId, StaleId};

/// Octets of the application.
pub(crate) trait Octets: Default {
    /// Takes those of a message or reply in place of what is here, and lets go of it.
    fn take(&mut self, endpoint: &mut Endpoint<'_>, now: Instant, message: MessageId) -> Result<(), StaleId>;

    /// Has none.
    fn clear(&mut self);

    /// Becomes the octets of an error.
    fn into_error(self) -> Vec<u8>;
}

/// They are copied to where the application has room for them.
impl Octets for Vec<u8> {
    fn take(&mut self, endpoint: &mut Endpoint<'_>, now: Instant, message: MessageId) -> Result<(), StaleId> {
        self.clear();
        self.extend_from_slice(endpoint.payload(message)?);
        endpoint.release(now, message)
    }

    fn clear(&mut self) {
        Self::clear(self);
    }

    fn into_error(self) -> Vec<u8> {
        self
    }
}

/// They stay where they are, if there are many.
#[cfg(feature = "bytes")]
impl Octets for bytes::Bytes {
    fn take(&mut self, endpoint: &mut Endpoint<'_>, now: Instant, message: MessageId) -> Result<(), StaleId> {
        *self = endpoint.take_payload(now, message)?;
        Ok(())
    }

    fn clear(&mut self) {
        *self = Self::new();
    }

    fn into_error(self) -> Vec<u8> {
        self.into()
    }
}
