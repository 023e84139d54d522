//! Who holds the keys of the conversations.

use crate::crypto::{Crypto, Plain};
use crate::memory::{Broken, Sound};
use crate::routes::Routes;

/// The handshakes and keys of all conversations, each under its route.
///
/// Work on a peer mostly touches neither, and so asks for them when it does.
pub(super) struct Keyring<'s> {
    holder: Holder<'s>,
    pub(super) routes: Routes<'s>,
}

/// Whose the crypto is.
pub(super) enum Holder<'s> {
    Plain(Plain),
    Lent(&'s mut dyn Crypto),
    #[cfg(feature = "alloc")]
    Owned(alloc::boxed::Box<dyn Crypto>),
}

impl<'s> Keyring<'s> {
    pub(super) const fn new(holder: Holder<'s>, routes: Routes<'s>) -> Self {
        Self { holder, routes }
    }

    pub(super) fn crypto(&self) -> &dyn Crypto {
        match &self.holder {
            Holder::Plain(plain) => plain,
            Holder::Lent(crypto) => *crypto,
            #[cfg(feature = "alloc")]
            Holder::Owned(crypto) => &**crypto,
        }
    }

    fn crypto_mut(&mut self) -> &mut dyn Crypto {
        match &mut self.holder {
            Holder::Plain(plain) => plain,
            Holder::Lent(crypto) => *crypto,
            #[cfg(feature = "alloc")]
            Holder::Owned(crypto) => &mut **crypto,
        }
    }

    /// Returns who holds the keys of the peer in a slot, and under which route.
    pub(super) fn of(&mut self, slot: u32) -> Result<(&mut dyn Crypto, u32), Broken> {
        let route = self.route_of(slot)?;
        Ok((self.crypto_mut(), route))
    }

    /// Returns the route of the peer in a slot.
    pub(super) fn route_of(&self, slot: u32) -> Result<u32, Broken> {
        self.routes.of(slot).sound()
    }

    /// Says whether conversations are protected; else they are in plain mode.
    pub(super) fn is_protected(&self) -> bool {
        self.crypto().is_protected()
    }
}
