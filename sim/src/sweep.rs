//! Runs a scenario over many seeds.

use core::ops::Range;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use crate::faults::Schedule;
use crate::trace::Trace;

/// Runs `scenario` for each seed, and every hundredth seed twice to see that the seed decides all.
///
/// A scenario fails by panicking. Its list of faults is then cut down to those that it takes to fail, the line that
/// replays just that is printed, and the scenario runs a last time for its own message.
///
/// The seeds are a range, before which those that once failed are chained: they stay in the tests for ever.
/// `POSTHASTE_SEED` in the environment replaces `seeds`: one seed (`7`) or a range of them (`1000..2000`);
/// `POSTHASTE_FAULTS` keeps only some faults of the one seed, by their place in the list (`0,3`).
///
/// # Panics
/// If a seed fails, or does not give the same trace twice, or the environment is not of this form.
pub fn sweep(seeds: impl IntoIterator<Item = u64>, scenario: impl Fn(&Schedule) -> Trace) {
    let only = std::env::var("POSTHASTE_SEED").ok().map(|text| parse_seeds(&text));
    let kept = std::env::var("POSTHASTE_FAULTS").ok().map(|text| parse_places(&text));
    // With a selection, the seeds of the caller count for nothing.
    let given = seeds.into_iter().filter(|_| only.is_none());
    for seed in only.clone().unwrap_or_default().chain(given) {
        let whole = Schedule::draw(seed);
        let kept = kept.clone().unwrap_or_else(|| (0..whole.faults.len()).collect());
        let schedule = whole.only(&kept);
        match run(&scenario, &schedule) {
            Some(trace) if seed.is_multiple_of(TWICE_EVERY) => {
                assert_eq!(run(&scenario, &schedule), Some(trace), "not deterministic: {schedule}");
            }
            Some(_) => {}
            None => report(&scenario, &whole, kept),
        }
    }
}

fn parse_seeds(text: &str) -> Range<u64> {
    let number = |text: &str| text.trim().parse().expect("POSTHASTE_SEED is a number or a range a..b");
    match text.split_once("..") {
        Some((start, end)) => number(start)..number(end),
        None => number(text)..number(text).saturating_add(1),
    }
}

fn parse_places(text: &str) -> Vec<usize> {
    let places = text.split(',').filter(|place| !place.is_empty());
    places.map(|place| place.trim().parse().expect("POSTHASTE_FAULTS is a list of numbers")).collect()
}

/// Returns the trace of a run, or `None` if it failed.
fn run(scenario: &impl Fn(&Schedule) -> Trace, schedule: &Schedule) -> Option<Trace> {
    // A scenario builds its world afresh, so a panic leaves nothing half-changed behind.
    catch_unwind(AssertUnwindSafe(|| scenario(schedule))).ok()
}

/// Shrinks a failing schedule, prints how to replay it, and fails again.
fn report(scenario: &impl Fn(&Schedule) -> Trace, whole: &Schedule, kept: Vec<usize>) -> ! {
    let needed = shrink(kept, |kept| run(scenario, &whole.only(kept)).is_none());
    let schedule = whole.only(&needed);
    let places: Vec<String> = needed.iter().map(usize::to_string).collect();
    let thread = std::thread::current();
    eprintln!("\nfails with {} of {} faults, {schedule}", needed.len(), whole.faults.len());
    eprintln!(
        "replay: POSTHASTE_SEED={} POSTHASTE_FAULTS={} cargo test -p posthaste-sim {}\n",
        whole.seed,
        places.join(","),
        thread.name().unwrap_or_default(),
    );
    scenario(&schedule);
    panic!("failed, and did not fail again: {schedule}");
}

/// Returns a part of `items` that still fails, and passes if any one more is taken away.
fn shrink(mut items: Vec<usize>, fails: impl Fn(&[usize]) -> bool) -> Vec<usize> {
    let mut cut_len = items.len();
    while cut_len > 0 {
        let mut start = 0;
        let mut found = false;
        while start < items.len() {
            let end = items.len().min(start + cut_len);
            let rest = [&items[..start], &items[end..]].concat();
            if fails(&rest) {
                items = rest;
                found = true;
            } else {
                start = end;
            }
        }
        if !found || cut_len > 1 {
            cut_len /= 2;
        }
    }
    items
}

/// One seed in so many runs twice.
const TWICE_EVERY: u64 = 100;

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    #[test]
    fn shrinking_finds_the_items_that_it_takes() {
        let runs = Cell::new(0);
        let needed = shrink((0..18).collect(), |kept| {
            runs.set(runs.get() + 1);
            kept.contains(&3) && kept.contains(&11)
        });
        assert_eq!(needed, [3, 11]);
        assert!(runs.get() < 30, "{} runs", runs.get());
        assert!(shrink((0..18).collect(), |_| true).is_empty());
    }

    #[test]
    fn the_environment_selects_seeds_and_faults() {
        assert_eq!(parse_seeds("7"), 7..8);
        assert_eq!(parse_seeds("10..20"), 10..20);
        assert_eq!(parse_places("0,3"), [0, 3]);
        assert!(parse_places("").is_empty());
    }

    #[test]
    #[should_panic(expected = "the seed is odd")]
    fn a_failing_seed_fails_the_sweep_with_its_own_message() {
        sweep(4..8, |schedule| {
            assert!(schedule.seed.is_multiple_of(2), "the seed is odd");
            Trace::new()
        });
    }
}
