//! Whether to look at a socket again or to sleep.

use core::mem;
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
    /// Up to 150 µs at a time, where several messages or calls are under way and what is waited for comes as soon as that: both sides
    /// stay awake then.
    ///
    /// What has not come by then is waited for asleep. Then some waits are slept through before the next try: 1, 2, 4 and so on up to
    /// 256, until looking succeeds again. Whoever has several calls under way, and gets a reply every 100 µs, keeps its core busy.
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
    /// How often it has looked in this wait; zero when it sleeps.
    look_count: u32,
    /// Waits to be slept through before looking is tried again.
    rest_count: u32,
    /// How many they will be when looking fails the next time.
    next_rest_count: u32,
}

impl BusyPoller {
    /// Makes one that has not waited yet.
    #[must_use]
    pub const fn new(policy: BusyPoll) -> Self {
        Self { policy, since: None, look_count: 0, rest_count: 0, next_rest_count: 1 }
    }

    /// Says whether whoever waits at `now` is to look again rather than to sleep. `has_several`: whether several messages or calls
    /// are under way.
    pub fn looks(&mut self, now: Instant, has_several: bool) -> bool {
        let waited = now.saturating_since(*self.since.get_or_insert(now));
        let looks = match self.policy {
            BusyPoll::Never => false,
            BusyPoll::UpTo(time_max) => waited < time_max,
            BusyPoll::WhilePrompt => has_several && self.rest_count == 0 && waited < PROMPT_TIME_MAX,
        };
        if looks {
            self.look_count = self.look_count.saturating_add(1);
        } else if mem::take(&mut self.look_count) > 0 {
            self.rest_count = self.next_rest_count;
            self.next_rest_count = (2 * self.next_rest_count).min(REST_COUNT_MAX);
        }
        looks
    }

    /// Notes that something had come at `now`, which ends the wait.
    pub fn end(&mut self, now: Instant) {
        let Some(since) = self.since.take() else { return };
        match mem::take(&mut self.look_count) {
            // How long it slept says nothing: where both sides share a core, the other one runs only because this one sleeps.
            0 => self.rest_count = self.rest_count.saturating_sub(1),
            // It was there already.
            1 => {}
            _ if now.saturating_since(since) < PROMPT_TIME_MAX => self.next_rest_count = 1,
            _ => {}
        }
    }
}

/// Our choice: about what a sleep costs where waking a core takes long (measured on a virtual machine: 60 µs), and what it costs the
/// other side, which mostly waits for this one then and sleeps, too. To look for as long as a sleep costs makes a wait cost twice the
/// least at most, whenever it ends. And half of 512 calls, for which the other half waits, are not answered much sooner.
const PROMPT_TIME_MAX: Duration = Duration::from_micros(150);

/// Our choice: then looks in vain take less than a microsecond of a wait.
const REST_COUNT_MAX: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = PROMPT_TIME_MAX.saturating_sub(Duration::from_micros(1));
    const LONG: Duration = PROMPT_TIME_MAX.saturating_add(Duration::from_micros(1));

    /// Waits for so long, and returns whether it looked.
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

    fn waits(poller: &mut BusyPoller, now: &mut Instant, time: Duration) -> Vec<bool> {
        (0..1000).map(|_| wait(poller, now, time, true)).collect()
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
    fn looking_in_vain_is_tried_ever_more_rarely() {
        let mut poller = BusyPoller::new(BusyPoll::WhilePrompt);
        let mut now = Instant::ORIGIN;
        let looks = waits(&mut poller, &mut now, LONG);
        let tries: Vec<_> = (0..looks.len()).filter(|index| looks[*index]).collect();
        let pauses: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!((tries[0], &pauses[..]), (0, &[1, 2, 4, 8, 16, 32, 64, 128, 256, 256][..]));

        // What comes soon once the thread sleeps may come because it sleeps. But the next try succeeds.
        let looks = waits(&mut poller, &mut now, SHORT);
        let first = looks.iter().position(|looks| *looks).unwrap();
        assert!(first <= 256, "{first}");
        assert!(looks[first..].iter().all(|looks| *looks));
    }

    #[test]
    fn what_is_there_already_is_no_success() {
        let mut poller = BusyPoller::new(BusyPoll::WhilePrompt);
        let mut now = Instant::ORIGIN;
        let mut try_count = 0;
        for _ in 0..1000 {
            try_count += usize::from(wait(&mut poller, &mut now, LONG, true));
            for _ in 0..3 {
                poller.looks(now, true);
                poller.end(now);
            }
        }
        assert!(try_count < 30, "{try_count}");
    }

    #[test]
    fn a_policy_without_experience_does_what_it_says() {
        let (mut never, mut always) =
            (BusyPoller::new(BusyPoll::Never), BusyPoller::new(BusyPoll::UpTo(Duration::from_millis(1))));
        let mut now = Instant::ORIGIN;
        for has_several in [true, false, true] {
            assert!(!never.looks(now, has_several));
            never.end(now);
            assert!(always.looks(now, has_several));
            now = now.saturating_add(Duration::from_micros(999));
            assert!(always.looks(now, has_several));
            now = now.saturating_add(Duration::from_micros(1));
            assert!(!always.looks(now, has_several));
            always.end(now);
        }
    }
}
