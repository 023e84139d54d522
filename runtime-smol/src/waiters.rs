//! The futures that wait, and whom to wake of them.

use alloc::collections::VecDeque;
use core::mem;
use core::task::Waker;

use posthaste_core::{CallId, Outcome, SendId};

/// The wakers of futures that wait for something of one endpoint.
///
/// Each future holds a [`Key`] for as long as it lives. Grows to the most futures that ever were there at a time.
#[derive(Debug)]
pub(crate) struct Waiters {
    entries: Vec<Entry>,
    vacant: Vec<usize>,
    /// What is done with wakers when the lock is given back.
    released: VecDeque<Released>,
    /// Everyone who waits, the next to be woken first. A place is kept, be it empty, until its turn comes: most futures are woken
    /// for something of their own, and wait again.
    queue: VecDeque<usize>,
    woken_count: usize,
    /// Definite outcomes among the news.
    untaken_count: usize,
}

/// A future's place among the waiters. Whoever holds it must give it back: [`Waiters::remove`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(usize);

/// A future that waits, and how far it is.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) key: Key,
    /// The turn of the endpoint in which this one last let the other futures of the executor go before it.
    pub(crate) yielded_in: Option<u64>,
    /// Whether it was refused for want of room.
    pub(crate) is_refused: bool,
}

/// A waker that nobody waits with any more.
#[derive(Debug)]
pub(crate) enum Released {
    Woken(Waker),
    Dropped(Waker),
}

impl Released {
    /// Wakes or drops it: runs code of the application, which may use the endpoint.
    pub(crate) fn finish(self) {
        match self {
            Self::Woken(waker) => waker.wake(),
            Self::Dropped(waker) => drop(waker),
        }
    }
}

/// An exchange of which a future waits for news. Ids tell apart what has the same index, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// A call of ours.
    Call(CallId),
    /// A message of ours.
    Message(SendId),
}

impl Watched {
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Call(call) => call.index(),
            Self::Message(message) => message.index(),
        }
    }
}

/// What became of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Of a call of ours.
    Ended(Outcome),
    /// Of a call of ours: how far its handler is.
    Progress(u64),
    /// Of a message of ours.
    Acknowledged,
    /// Of a message of ours.
    Failed,
}

/// Says whether a call has ended for good: one whose outcome is unknown may be asked for again at any time.
pub(crate) const fn is_definite(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Unknown(_))
}

/// A row of calls for which one future waits, and their outcomes until it takes them.
#[derive(Debug, Default)]
struct Row {
    /// The place of the oldest call; each has the next one.
    first: Place,
    ends: VecDeque<Option<Outcome>>,
}

/// The place of a call in a row. Places count on, and begin anew after the highest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place(u32);

#[derive(Debug, Default)]
struct Entry {
    /// `None`: woken, or never polled to wait.
    waker: Option<Waker>,
    /// What it waited for, until it is polled.
    news: Option<News>,
    row: Option<Box<Row>>,
    is_queued: bool,
    is_woken: bool,
}

impl Waiters {
    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            vacant: Vec::new(),
            released: VecDeque::new(),
            queue: VecDeque::new(),
            woken_count: 0,
            untaken_count: 0,
        }
    }

    pub(crate) fn add(&mut self) -> Key {
        if let Some(index) = self.vacant.pop() {
            return Key(index);
        }
        self.entries.push(Entry::default());
        // Giving all keys back never allocates.
        self.vacant.reserve(self.entries.len());
        Key(self.entries.len() - 1)
    }

    pub(crate) fn remove(&mut self, key: Key) {
        self.quiet(key);
        self.forget_news(key);
        self.entries[key.0].row = None;
        self.vacant.push(key.0);
    }

    /// Leaves news for a future, and wakes it.
    pub(crate) fn tell(&mut self, key: Key, news: News) {
        self.replace_news(key, Some(news));
        self.wake(key);
    }

    /// Returns the news that were left for a future.
    pub(crate) fn news(&self, key: Key) -> Option<News> {
        self.entries[key.0].news
    }

    /// Forgets the news that were left for a future: it waits for others.
    pub(crate) fn forget_news(&mut self, key: Key) {
        self.replace_news(key, None);
    }

    fn replace_news(&mut self, key: Key, news: Option<News>) {
        let is_outcome = |news| matches!(news, Some(News::Ended(outcome)) if is_definite(outcome));
        let former = mem::replace(&mut self.entries[key.0].news, news);
        self.untaken_count += usize::from(is_outcome(news));
        self.untaken_count -= usize::from(is_outcome(former));
    }

    /// Adds a call to the row of a future, and returns its place there.
    pub(crate) fn add_to_row(&mut self, key: Key) -> Place {
        let row = self.entries[key.0].row.get_or_insert_default();
        row.ends.push_back(None);
        Place(row.first.0.wrapping_add(row.ends.len() as u32 - 1))
    }

    /// Keeps the outcome of a call of a row, and wakes the future if it is that of the oldest.
    pub(crate) fn end_in_row(&mut self, key: Key, place: Place, outcome: Outcome) {
        let Some(row) = &mut self.entries[key.0].row else { return };
        let index = place.0.wrapping_sub(row.first.0) as usize;
        let Some(end) = row.ends.get_mut(index) else { return };
        let former = end.replace(outcome);
        self.untaken_count += usize::from(is_definite(outcome));
        self.untaken_count -= usize::from(former.is_some_and(is_definite));
        if index == 0 {
            self.wake(key);
        }
    }

    /// Returns the outcome of the oldest call of a row, if it has ended.
    pub(crate) fn first_in_row(&self, key: Key) -> Option<Outcome> {
        *self.entries[key.0].row.as_ref()?.ends.front()?
    }

    /// Takes the oldest call out of a row, and returns its outcome if it has ended.
    pub(crate) fn take_from_row(&mut self, key: Key) -> Option<Outcome> {
        let row = self.entries[key.0].row.as_mut()?;
        let outcome = row.ends.pop_front()?;
        row.first.0 = row.first.0.wrapping_add(1);
        self.untaken_count -= usize::from(outcome.is_some_and(is_definite));
        outcome
    }

    /// Returns how many definite outcomes of calls were told and not taken.
    pub(crate) const fn untaken_count(&self) -> usize {
        self.untaken_count
    }

    /// Has a future woken by `waker` from here on.
    pub(crate) fn wait(&mut self, key: Key, waker: &Waker) {
        let entry = &mut self.entries[key.0];
        let former = hang(&mut entry.waker, waker);
        if !mem::replace(&mut entry.is_queued, true) {
            self.queue.push_back(key.0);
        }
        self.drop_later(former);
    }

    /// Notes that a future is being polled: nobody needs to wake it.
    pub(crate) fn quiet(&mut self, key: Key) {
        let entry = &mut self.entries[key.0];
        if mem::take(&mut entry.is_woken) {
            self.woken_count -= 1;
        }
        let former = entry.waker.take();
        self.drop_later(former);
    }

    /// Returns how many were woken and have not been polled since.
    pub(crate) const fn woken_count(&self) -> usize {
        self.woken_count
    }

    /// Wakes a future, and says whether it waited.
    pub(crate) fn wake(&mut self, key: Key) -> bool {
        let entry = &mut self.entries[key.0];
        let Some(waker) = entry.waker.take() else { return false };
        if !mem::replace(&mut entry.is_woken, true) {
            self.woken_count += 1;
        }
        self.released.push_back(Released::Woken(waker));
        true
    }

    /// Wakes the next one, if anybody waits.
    pub(crate) fn wake_next(&mut self) -> Option<Key> {
        while let Some(index) = self.queue.pop_front() {
            self.entries[index].is_queued = false;
            if self.wake(Key(index)) {
                return Some(Key(index));
            }
        }
        None
    }

    pub(crate) fn wake_all(&mut self) {
        while self.wake_next().is_some() {}
    }

    /// Drops a waker when the lock is given back.
    pub(crate) fn drop_later(&mut self, waker: Option<Waker>) {
        self.released.extend(waker.map(Released::Dropped));
    }

    /// Says whether there are wakers to be woken or dropped.
    pub(crate) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// Takes some of them, in the order in which they were released; all, unless they are many.
    pub(crate) fn take_released(&mut self) -> [Option<Released>; RELEASED_COUNT_MAX] {
        core::array::from_fn(|_| self.released.pop_front())
    }
}

/// Puts a waker in its place, and returns the one that it replaces.
pub(crate) fn hang(place: &mut Option<Waker>, waker: &Waker) -> Option<Waker> {
    let is_known = place.as_ref().is_some_and(|known| known.will_wake(waker));
    if is_known { None } else { place.replace(waker.clone()) }
}

/// Our choice: more at a time only cost room on the stack.
const RELEASED_COUNT_MAX: usize = 8;

impl Waiter {
    pub(crate) fn new(waiters: &mut Waiters) -> Self {
        Self { key: waiters.add(), yielded_in: None, is_refused: false }
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use alloc::task::Wake;
    use core::sync::atomic::{AtomicUsize, Ordering};

    use posthaste_core::Unknown;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counted() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    /// Does what is done when the lock is given back.
    fn finish(waiters: &mut Waiters) {
        while waiters.has_released() {
            waiters.take_released().into_iter().flatten().for_each(Released::finish);
        }
    }

    #[test]
    fn the_first_to_wait_is_the_next_to_be_woken_and_only_once() {
        let mut waiters = Waiters::new();
        let (early, late) = (waiters.add(), waiters.add());
        let ((early_count, early_waker), (late_count, late_waker)) = (counted(), counted());
        waiters.wait(early, &early_waker);
        waiters.wait(late, &late_waker);

        assert_eq!(waiters.wake_next(), Some(early));
        waiters.wake(early);
        finish(&mut waiters);
        let counts = |early: usize, late: usize| {
            assert_eq!((early_count.0.load(Ordering::Relaxed), late_count.0.load(Ordering::Relaxed)), (early, late));
        };
        counts(1, 0);

        assert_eq!(waiters.woken_count(), 1);

        waiters.quiet(early);
        waiters.wait(early, &early_waker);
        assert_eq!(waiters.woken_count(), 0);
        assert_eq!(waiters.wake_next(), Some(late));
        counts(1, 0);
        finish(&mut waiters);
        counts(1, 1);
        assert_eq!(waiters.wake_next(), Some(early));
        assert_eq!(waiters.wake_next(), None);
        finish(&mut waiters);
        counts(2, 1);
        waiters.remove(early);
        assert_eq!(waiters.woken_count(), 1);
    }

    #[test]
    fn definite_outcomes_count_until_they_are_taken() {
        let mut waiters = Waiters::new();
        let [first, second, third] = [(); 3].map(|()| waiters.add());
        waiters.tell(first, News::Progress(1));
        waiters.tell(first, News::Ended(Outcome::Delivered));
        waiters.tell(second, News::Ended(Outcome::Unknown(Unknown::ConnectionLost)));
        waiters.tell(third, News::Acknowledged);
        assert_eq!(waiters.untaken_count(), 1);

        waiters.tell(second, News::Ended(Outcome::ReplyLost));
        assert_eq!(waiters.untaken_count(), 2);

        waiters.forget_news(second);
        waiters.remove(first);
        assert_eq!(waiters.untaken_count(), 0);
    }

    #[test]
    fn who_leaves_is_not_woken_and_its_place_is_used_again() {
        let mut waiters = Waiters::new();
        let keys = [waiters.add(), waiters.add(), waiters.add()];
        let wakers = [counted(), counted(), counted()];
        for (key, (_, waker)) in keys.iter().zip(&wakers) {
            waiters.wait(*key, waker);
        }

        waiters.remove(keys[1]);
        waiters.wake_all();
        finish(&mut waiters);

        let counts: Vec<_> = wakers.iter().map(|(count, _)| count.0.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [1, 0, 1]);
        assert_eq!(waiters.add(), keys[1]);
    }
}
