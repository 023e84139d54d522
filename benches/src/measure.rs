//! What criterion has not: work that takes turns, so that a busy machine slows all of it alike, and instructions, which it does not
//! blur at all.

use std::env;
use std::process::Command;
use std::time::Instant;

/// Does some work as often as it is told, and returns the nanoseconds that took.
pub type Timed<'a> = Box<dyn FnMut(u32) -> f64 + 'a>;

/// Makes work that is timed here.
pub fn timed<'a>(mut work: impl FnMut() + 'a) -> Timed<'a> {
    Box::new(move |count| {
        let started = Instant::now();
        (0..count).for_each(|_| work());
        started.elapsed().as_secs_f64() * 1e9
    })
}

/// Lets all take turns, `count` times in a row each, and returns for each the nanoseconds that once takes, and how many times those
/// of the first: medians over the turns, of the ratio within a turn.
///
/// # Panics
/// If there is nothing to do.
#[must_use]
pub fn turns(works: &mut [Timed<'_>], count: u32) -> Vec<(f64, f64)> {
    const TURN_COUNT: usize = 301;
    let turns: Vec<Vec<f64>> =
        (0..TURN_COUNT).map(|_| works.iter_mut().map(|work| work(count) / f64::from(count)).collect()).collect();
    let of = |index: usize| {
        let time = median(turns.iter().map(|turn| turn[index]));
        (time, median(turns.iter().map(|turn| turn[index] / turn[0])))
    };
    (0..works.len()).map(of).collect()
}

/// Counts the instructions that something takes once: what callgrind says of this program with `arguments` and a count behind them,
/// less what it says of a smaller count.
///
/// # Panics
/// If valgrind is not there, or the program fails.
#[must_use]
pub fn instructions(arguments: &[&str]) -> f64 {
    const COUNTS: [u32; 2] = [1000, 4000];
    let [few, many] = COUNTS.map(|count| {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        command.arg(env::current_exe().expect("it runs")).args(arguments).arg(count.to_string());
        let output = command.output().expect("valgrind is installed");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        let counted = text.split_once("Collected : ").expect("callgrind says what it counted").1;
        counted.lines().next().unwrap_or_default().trim().parse::<f64>().expect("it is a count")
    });
    (many - few) / f64::from(COUNTS[1] - COUNTS[0])
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
