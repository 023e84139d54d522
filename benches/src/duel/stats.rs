//! Medians, and how sure they are.

use core::fmt;

/// A median, and the interval that holds the true one with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The interval's lower end.
    pub low: f64,
    /// The median of the values.
    pub median: f64,
    /// The interval's upper end.
    pub high: f64,
}

impl Estimate {
    /// Estimates the median of what `values` are drawn from, however that is distributed.
    ///
    /// Each value lies below the true median with the chance of a coin, so the count of those that do is binomial, and the
    /// interval runs between two of the sorted values. Fewer than six cannot give 95 %: it is then all of them.
    ///
    /// # Panics
    /// If there are no values.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let outside = outside_count(count);
        let median = f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2]);
        Self { low: sorted[outside], median, high: sorted[count - 1 - outside] }
    }

    /// Estimates the median of the ratios of values that were measured side by side.
    #[must_use]
    pub fn of_ratios(above: impl IntoIterator<Item = f64>, below: impl IntoIterator<Item = f64>) -> Self {
        Self::of(above.into_iter().zip(below).map(|(above, below)| above / below))
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let precision = f.precision().unwrap_or(2);
        write!(f, "{:.precision$} [{:.precision$}, {:.precision$}]", self.median, self.low, self.high)
    }
}

/// Returns how many values on each side lie outside of the interval.
fn outside_count(count: usize) -> usize {
    let mut chance = 0.5f64.powf(count as f64);
    let mut both_tails = 0.0;
    for heads in 0..count / 2 {
        both_tails += 2.0 * chance;
        if both_tails > 0.05 {
            return heads.saturating_sub(1);
        }
        chance *= (count - heads) as f64 / (heads + 1) as f64;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ranks stand in published tables of confidence intervals for the median.
    #[test]
    fn the_interval_is_that_of_the_tables() {
        for (count, low) in [(1, 1), (5, 1), (6, 1), (8, 1), (9, 2), (12, 3), (20, 6), (31, 10), (100, 40)] {
            let estimate = Estimate::of((1..=count).rev().map(f64::from));
            assert_eq!((estimate.low, estimate.high), (f64::from(low), f64::from(count + 1 - low)), "{count}");
            assert!((estimate.median - f64::from(count + 1) / 2.0).abs() < 1e-9, "{count}");
        }
    }

    #[test]
    fn what_slows_both_leaves_their_ratio() {
        let slowing = (0..9).map(|round| f64::from(1 << round));
        let ratio = Estimate::of_ratios(slowing.clone().map(|value| value * 1.5), slowing);
        assert_eq!(ratio, Estimate { low: 1.5, median: 1.5, high: 1.5 });
        assert_eq!(format!("{ratio:.1}"), "1.5 [1.5, 1.5]");
    }
}
