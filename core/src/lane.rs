//! The flows of an exchange.

use crate::wire::Role;

/// One of the four flows that an exchange may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// The message or request.
    Forward = 0,
    /// The reply.
    Backward = 1,
    /// The stream of a call from its caller.
    Upward = 2,
    /// The stream of a call to its caller.
    Downward = 3,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Forward, Self::Backward, Self::Upward, Self::Downward];

    /// Returns the lane of a role; `None` for those that belong to no numbered exchange.
    #[must_use]
    pub const fn of(role: Role) -> Option<Self> {
        match role {
            Role::Message | Role::Ordered | Role::Request => Some(Self::Forward),
            Role::Reply => Some(Self::Backward),
            Role::Upward => Some(Self::Upward),
            Role::Downward => Some(Self::Downward),
            Role::Unreliable | Role::Newest => None,
        }
    }

    /// Says whether the one who began the exchange sends on this lane.
    #[must_use]
    pub const fn leads_forward(self) -> bool {
        matches!(self, Self::Forward | Self::Upward)
    }
}
