//! The calls that a server remembers (the *duplicate request cache*).

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use posthaste_core::Instant;

use super::{IncomingId, ServerConfig};

/// The calls that are running, and the replies of those that were answered or asked for again last.
///
/// There is nothing in ONC RPC by which a client says that it has a reply, so replies go when their time is up or newer
/// ones need the room. Running calls do not go: their second coming would be a second execution.
pub(super) struct ReplyCache {
    count_max: usize,
    len_max: usize,
    timeout: Duration,
    /// `None` while the call is running.
    calls: BTreeMap<IncomingId, Option<Kept>>,
    /// The calls that were answered, by when they are forgotten.
    answered: BTreeSet<(Instant, IncomingId)>,
    /// The octets of all replies.
    len: usize,
}

struct Kept {
    until: Instant,
    reply: Box<[u8]>,
}

/// What is known of a call that arrives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known<'a> {
    /// Nothing; it is running from here on.
    Unknown,
    /// It is running.
    Running,
    /// It was answered so.
    Answered(&'a [u8]),
    /// Nothing, and all there is room for is running.
    Full,
}

impl ReplyCache {
    pub(super) const fn new(config: &ServerConfig) -> Self {
        Self {
            count_max: config.remembered_count_max,
            len_max: config.remembered_len_max,
            timeout: config.remembered_timeout,
            calls: BTreeMap::new(),
            answered: BTreeSet::new(),
            len: 0,
        }
    }

    /// Notes that a call arrives, and says what is known of it.
    pub(super) fn begin(&mut self, now: Instant, call: IncomingId) -> Known<'_> {
        self.forget_old(now);
        let until = now.saturating_add(self.timeout);
        if let Some(known) = self.calls.get_mut(&call) {
            if let Some(kept) = known {
                // Whoever asks again has not got it, and may ask once more.
                self.answered.remove(&(kept.until, call));
                self.answered.insert((until, call));
                kept.until = until;
            }
            return self.calls[&call].as_ref().map_or(Known::Running, |kept| Known::Answered(&kept.reply));
        }
        if self.calls.len() >= self.count_max && !self.forget_oldest() {
            return Known::Full;
        }
        self.calls.insert(call, None);
        Known::Unknown
    }

    /// Keeps the reply of a call that is running; says whether it was.
    pub(super) fn end(&mut self, now: Instant, call: IncomingId, reply: &[u8]) -> bool {
        self.forget_old(now);
        let Some(kept @ None) = self.calls.get_mut(&call) else { return false };
        let until = now.saturating_add(self.timeout);
        *kept = Some(Kept { until, reply: reply.into() });
        self.len += reply.len();
        self.answered.insert((until, call));
        while self.len > self.len_max {
            // The last to go is the one that was put in above: a reply above the limit is not kept at all.
            self.forget_oldest();
        }
        true
    }

    fn forget_old(&mut self, now: Instant) {
        while self.answered.first().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
    }

    /// Says whether there was one.
    fn forget_oldest(&mut self) -> bool {
        let Some((_, call)) = self.answered.pop_first() else { return false };
        if let Some(Some(kept)) = self.calls.remove(&call) {
            self.len -= kept.reply.len();
        }
        true
    }
}
