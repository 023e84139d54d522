//! Which peer a conversation leads to.

use crate::storage::Store;

/// The routes of an endpoint, one for each slot of a peer.
///
/// A route is the slot that the ids of a conversation name (protocol §4.1), and under which a [`Crypto`](crate::crypto::Crypto) holds
/// its keys: neither can change while the conversation lives. The slot of a peer has the route of its own index, until a session is resumed
/// on a protected conversation: that one began on a route of its own, before anybody knew whose it is, and brings the route along.
pub struct Routes<'s>(Store<'s, Route>);

/// Memory for one route and one slot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Route {
    /// The slot that the route of this index leads to.
    to: u32,
    /// The route that the slot of this index has.
    of: u32,
}

impl Route {
    /// One that is not in use.
    pub const EMPTY: Self = Self { to: 0, of: 0 };
}

impl<'s> Routes<'s> {
    /// Gives each slot the route of its own index.
    #[must_use]
    pub fn new(mut routes: Store<'s, Route>) -> Self {
        for (route, index) in routes.iter_mut().zip(0..) {
            *route = Route { to: index, of: index };
        }
        Self(routes)
    }

    /// Lets two slots change routes.
    pub fn swap(&mut self, a: u32, b: u32) {
        let (Some(route_of_a), Some(route_of_b)) = (self.of(a), self.of(b)) else { return };
        self.put(a, route_of_b);
        self.put(b, route_of_a);
    }

    /// Returns the slot that a route leads to; `None` if there is no such route.
    #[must_use]
    pub fn to(&self, route: u32) -> Option<u32> {
        self.0.get(route as usize).map(|entry| entry.to)
    }

    /// Returns the route of a slot; `None` if there is no such slot.
    #[must_use]
    pub fn of(&self, slot: u32) -> Option<u32> {
        self.0.get(slot as usize).map(|entry| entry.of)
    }

    fn put(&mut self, slot: u32, route: u32) {
        self.0[slot as usize].of = route;
        self.0[route as usize].to = slot;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn each_route_leads_to_the_slot_that_has_it_whatever_was_swapped() {
        const COUNT: u32 = 7;
        let mut memory = [Route::EMPTY; COUNT as usize];
        let mut routes = Routes::new(Store::lent(&mut memory));
        let mut random = Random::new([7; 32]);
        for _ in 0..1000 {
            let (a, b) = (random.below(u64::from(COUNT)) as u32, random.below(u64::from(COUNT)) as u32);
            let before = (routes.of(a), routes.of(b));
            routes.swap(a, b);
            assert_eq!((routes.of(b), routes.of(a)), before);
            for slot in 0..COUNT {
                assert_eq!(routes.of(slot).and_then(|route| routes.to(route)), Some(slot));
            }
        }
        routes.swap(0, COUNT);
        assert_eq!((routes.to(COUNT), routes.of(COUNT)), (None, None));
    }
}
