//! Whether to look at a socket again or to sleep.

use core::time::Duration;

use posthaste_core::Instant;

/// How long whoever waits for datagrams looks for them again and again before it sleeps.
///
/// To fall asleep and to be woken takes the time of dozens of looks. A thread that looks has its core for itself meanwhile: where
/// caller and server share one, each call takes longer by that. A task of `posthaste-smol` lets other tasks run between two looks, and
/// `Endpoint::next_timeout` of `posthaste-mio` is zero meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusyPoll {
    /// Not at all.
    Never,
    /// Up to 50 µs at a time, where several messages or calls are under way and what is waited for comes as soon as that: both sides
    /// stay awake then.
    ///
    /// What has not come by then is waited for asleep, and so is what follows: 1 time, then 2, 4 and so on up to 64 before the next
    /// try, unless something comes sooner by itself.
    WhilePrompt,
    /// So long each time, whatever is under way: for a thread that has a core to spare.
    UpTo(Duration),
}

/// Says, wait by wait, whether to look again: a [`BusyPoll`] at work.
#[derive(Clone, Debug)]
pub struct BusyPoller {
    policy: BusyPoll,
    /// When the wait that is under way began.
    since: Option<Instant>,
    /// Waits to be slept through before looking is tried again.
    rest_count: u32,
    /// How many they will be when looking fails the next time.
    next_rest_count: u32,
}

impl BusyPoller {
    /// Makes one that has not waited yet.
    #[must_use]
    pub const fn new(policy: BusyPoll) -> Self {
        Self { policy, since: None, rest_count: 0, next_rest_count: 1 }
    }

    /// Says whether whoever waits at `now` is to look again rather than to sleep. `has_several`: whether several messages or calls
    /// are under way.
    pub fn looks(&mut self, now: Instant, has_several: bool) -> bool {
        let waited = now.saturating_since(*self.since.get_or_insert(now));
        match self.policy {
            BusyPoll::Never => false,
            BusyPoll::UpTo(time_max) => waited < time_max,
            BusyPoll::WhilePrompt if !has_several || self.rest_count > 0 => false,
            BusyPoll::WhilePrompt if waited < PROMPT_TIME_MAX => true,
            BusyPoll::WhilePrompt => {
                self.rest_count = self.next_rest_count;
                self.next_rest_count = (2 * self.next_rest_count).min(REST_COUNT_MAX);
                false
            }
        }
    }

    /// Notes that something had come at `now`, which ends the wait.
    pub fn end(&mut self, now: Instant) {
        let Some(since) = self.since.take() else { return };
        if now.saturating_since(since) < PROMPT_TIME_MAX {
            (self.rest_count, self.next_rest_count) = (0, 1);
        } else {
            self.rest_count = self.rest_count.saturating_sub(1);
        }
    }
}

/// Our choice: about what a sleep costs both sides together where waking a core takes long (measured on a virtual machine: 60 µs).
/// To look for as long as a sleep costs makes a wait cost twice the least at most, whenever it ends.
const PROMPT_TIME_MAX: Duration = Duration::from_micros(50);

/// Our choice: then looks in vain take less than a microsecond of a wait.
const REST_COUNT_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(49);
    const LONG: Duration = Duration::from_micros(51);

    /// Waits for so long, and returns whether it looked at the beginning.
    fn wait(poller: &mut BusyPoller, now: &mut Instant, time: Duration, has_several: bool) -> bool {
        let looks = poller.looks(*now, has_several);
        *now = now.saturating_add(time);
        if looks && !poller.looks(*now, has_several) {
            // Asleep by now, whatever wakes it.
            assert!(!poller.looks(*now, has_several));
        }
        poller.end(*now);
        looks
    }

    #[test]
    fn a_lone_call_is_slept_for_and_several_are_looked_for() {
        let mut poller = BusyPoller::new(BusyPoll::WhilePrompt);
        let mut now = Instant::ORIGIN;
        for has_several in [false, true, true, false, true] {
            assert_eq!(wait(&mut poller, &mut now, SHORT, has_several), has_several);
        }
    }

    #[test]
    fn looking_in_vain_is_tried_ever_more_rarely_and_again_once_something_comes_soon() {
        let mut poller = BusyPoller::new(BusyPoll::WhilePrompt);
        let mut now = Instant::ORIGIN;
        for _ in 0..2 {
            let looks: Vec<_> = (0..200).filter(|_| wait(&mut poller, &mut now, LONG, true)).collect();
            let tries: Vec<_> = looks.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert_eq!((looks[0], &tries[..]), (0, &[1, 2, 4, 8, 16, 32, 64, 64][..]));
            // Asleep, it is told how soon the next thing came.
            assert!(!wait(&mut poller, &mut now, SHORT, true));
        }
        assert!((0..10).all(|_| wait(&mut poller, &mut now, SHORT, true)));
    }

    #[test]
    fn a_policy_without_experience_does_what_it_says() {
        let (mut never, mut always) =
            (BusyPoller::new(BusyPoll::Never), BusyPoller::new(BusyPoll::UpTo(Duration::from_millis(1))));
        let mut now = Instant::ORIGIN;
        for has_several in [true, false, true] {
            assert!(!wait(&mut never, &mut now, SHORT, has_several));
            assert!(always.looks(now, has_several));
            now = now.saturating_add(Duration::from_micros(999));
            assert!(always.looks(now, has_several));
            now = now.saturating_add(Duration::from_micros(1));
            assert!(!always.looks(now, has_several));
            always.end(now);
        }
    }
}
