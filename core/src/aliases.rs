//! Short names for procedures, as one side of a conversation defined them (protocol §6.17).

use crate::wire::{Alias, Description, Options, Semantics};

/// What the aliases of one side stand for; the table lies in the peer's slot.
#[derive(Debug)]
#[repr(C)]
pub struct Aliases {
    /// By bit: which are defined.
    defined: u8,
    /// By bit: which the other side is known to know.
    known: u8,
    descriptions: [Description; Self::COUNT_MAX],
}

/// Whether an alias may be used alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AliasState {
    /// No datagram that defined it has been acknowledged.
    Offered,
    /// The peer knows it.
    Known,
}

/// An alias cannot stand for this: it is beyond the table, or stands for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliasRefused;

impl Aliases {
    /// How many each side may define.
    pub const COUNT_MAX: usize = 6;
    /// None.
    pub const NONE: Self = Self { descriptions: [NOTHING; Self::COUNT_MAX], defined: 0, known: 0 };

    /// Defines an alias of the peer.
    ///
    /// # Errors
    /// [`AliasRefused`]; nothing has changed then.
    pub fn define(&mut self, alias: Alias, description: &Description) -> Result<(), AliasRefused> {
        let index = usize::from(alias.get() - 1);
        let entry = self.descriptions.get_mut(index).ok_or(AliasRefused)?;
        if self.defined & (1 << index) == 0 {
            *entry = *description;
            self.defined |= 1 << index;
        }
        if entry == description { Ok(()) } else { Err(AliasRefused) }
    }

    /// Returns the alias of ours that stands for a procedure, with what the peer knows of it; makes one if there is room.
    pub fn name(&mut self, procedure: &Description, peer_count_max: u16) -> Option<(Alias, AliasState)> {
        (1..=peer_count_max.min(Self::COUNT_MAX as u16)).find_map(|name| {
            let alias = Alias::new(name)?;
            self.define(alias, procedure).ok()?;
            let is_known = self.known & (1 << (name - 1)) != 0;
            Some((alias, if is_known { AliasState::Known } else { AliasState::Offered }))
        })
    }

    /// Returns the alias of ours that stands for a procedure, if the peer is known to know it.
    #[must_use]
    #[inline(always)]
    pub fn known(&self, procedure: &Description) -> Option<Alias> {
        for (index, description) in self.descriptions.iter().enumerate() {
            if self.known & (1 << index) != 0 && description == procedure {
                return Alias::new(index as u16 + 1);
            }
        }
        None
    }

    /// Notes that the peer has received the definition of an alias.
    pub fn on_acknowledged(&mut self, alias: Alias) {
        self.known |= self.defined & 1_u8.checked_shl(u32::from(alias.get() - 1)).unwrap_or(0);
    }

    /// Returns what an alias stands for.
    #[must_use]
    pub fn get(&self, alias: Alias) -> Option<&Description> {
        let index = usize::from(alias.get() - 1);
        self.descriptions.get(index).filter(|_| self.defined & (1 << index) != 0)
    }
}

/// What an alias stands for that is not defined.
const NOTHING: Description = Description {
    program: 0,
    version: 0,
    procedure: 0,
    timeout_millis: 0,
    options: Options::new(Semantics::AtMostOnce),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_offered_until_its_definition_is_acknowledged() {
        let mut aliases = Aliases::NONE;
        let (alias, state) = aliases.name(&procedure(1), 2).unwrap();
        assert_eq!((alias.get(), state), (1, AliasState::Offered));
        assert_eq!(aliases.known(&procedure(1)), None);
        aliases.on_acknowledged(alias);
        assert_eq!(aliases.known(&procedure(1)), Some(alias));
        assert_eq!(aliases.known(&procedure(2)), None);
        assert_eq!(aliases.name(&procedure(1), 2).unwrap().1, AliasState::Known);
        assert_eq!(aliases.name(&procedure(2), 2).unwrap().0.get(), 2);
        assert_eq!(aliases.name(&procedure(3), 2), None);
    }

    #[test]
    fn an_alias_of_the_peer_stands_for_one_procedure_and_within_the_table() {
        let mut aliases = Aliases::NONE;
        let [last, beyond] = [6, 7].map(|name| Alias::new(name).unwrap());
        assert_eq!(aliases.get(last), None);
        for _ in 0..2 {
            assert_eq!(aliases.define(last, &procedure(1)), Ok(()));
        }
        assert_eq!(aliases.define(last, &procedure(2)), Err(AliasRefused));
        assert_eq!(aliases.get(last), Some(&procedure(1)));
        assert_eq!(aliases.define(beyond, &procedure(1)), Err(AliasRefused));
        assert_eq!(aliases.get(beyond), None);
        aliases.on_acknowledged(Alias::new(256).unwrap());
    }

    fn procedure(procedure: u32) -> Description {
        Description { procedure, ..NOTHING }
    }
}
