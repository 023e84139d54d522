//! What a row of measured blocks says: medians, and how sure they are.

use serde::{Deserialize, Serialize};

/// A median and the interval in which the true one lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Estimate {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

impl Estimate {
    /// Estimates the median of what `values` are drawn from, whatever its distribution.
    ///
    /// The interval runs between two of the values: the true median lies below the k-th of n with the chance that at
    /// most k - 1 of n coins show heads (Conover, "Practical Nonparametric Statistics", §3.2). Fewer than
    /// [`VALUE_COUNT_MIN`] values cannot give 95 %: then the interval is all of them.
    ///
    /// # Panics
    /// If there are no values.
    pub(super) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let outside_count = outside_count(sorted.len());
        Self { low: sorted[outside_count], median: middle(&sorted), high: sorted[sorted.len() - 1 - outside_count] }
    }

    /// Estimates the median of the ratios of values that were measured side by side.
    pub(super) fn of_ratios(numerators: &[f64], denominators: &[f64]) -> Self {
        let ratios: Vec<f64> = numerators.iter().zip(denominators).map(|(n, d)| n / d).collect();
        Self::of(&ratios)
    }
}

/// Returns the median of `values`.
///
/// # Panics
/// If there are no values.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    middle(&sorted)
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { (sorted[half - 1] + sorted[half]) / 2.0 } else { sorted[half] }
}

/// Returns how many values on each side may be left outside of the interval.
fn outside_count(count: usize) -> usize {
    // The chances of 0, 1, 2 … heads, each from the one before: C(n, k + 1) = C(n, k) (n - k) / (k + 1).
    let mut chance = 0.5f64.powf(count as f64);
    let mut both_tails = 2.0 * chance;
    let mut outside_count = 0;
    while both_tails <= 1.0 - CONFIDENCE && 2 * (outside_count + 1) < count {
        chance *= (count - outside_count) as f64 / (outside_count + 1) as f64;
        both_tails += 2.0 * chance;
        outside_count += 1;
    }
    outside_count.saturating_sub(1)
}

const CONFIDENCE: f64 = 0.95;

/// The fewest values whose whole range holds the median with 95 % confidence: 1 - 2 / 2^6 = 0.97.
pub(super) const VALUE_COUNT_MIN: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_two_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[1.0]), 1.0);
    }

    /// The ranks stand in published tables of confidence intervals for the median.
    #[test]
    fn the_interval_leaves_as_many_values_outside_as_the_binomial_distribution_allows() {
        for (count, low_rank) in
            [(1, 1), (5, 1), (6, 1), (8, 1), (9, 2), (10, 2), (12, 3), (20, 6), (31, 10), (100, 40)]
        {
            let values: Vec<f64> = (1..=count).rev().map(f64::from).collect();
            let estimate = Estimate::of(&values);
            assert_eq!(
                (estimate.low, estimate.high),
                (f64::from(low_rank), f64::from(count + 1 - low_rank)),
                "{count}"
            );
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // Each round is twice as fast as the one before; within it, the one is always 1.5 times the other.
        let slow: Vec<f64> = (0..9).map(|round| f64::from(1 << round)).collect();
        let fast: Vec<f64> = slow.iter().map(|value| value * 1.5).collect();
        assert_eq!(Estimate::of_ratios(&fast, &slow), Estimate { low: 1.5, median: 1.5, high: 1.5 });
    }
}
