//! Scales: where on an axis a value stands, and which values are written beside it.

use crate::bench::report::Axis;
use crate::bench::report::quantity::Unit;

/// An axis from 0 to 1, with the values that are written beside it.
pub(super) struct Scale {
    spread: Spread,
    /// The values at 0 and 1, spread.
    ends: [f64; 2],
    pub(super) ticks: Vec<Tick>,
}

/// A value that is written beside an axis.
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
}

/// How values are spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    Even,
    Logarithm,
    /// For shares that begin at nothing, and differ most where they are small.
    Root,
    /// A percentile by the number of its nines.
    Nines,
}

impl Scale {
    /// Makes a scale of values that begins at zero, or that is logarithmic if they are far apart.
    ///
    /// # Panics
    /// If there are no values.
    pub(super) fn of_values(values: &[f64], unit: Unit) -> Self {
        let (low, high) = range(values);
        if low > 0.0 && high / low > FAR_APART {
            Self::logarithmic(low, high, unit)
        } else {
            Self::from_zero(high, unit)
        }
    }

    /// Makes a scale from zero to a round value.
    pub(super) fn from_zero(high: f64, unit: Unit) -> Self {
        let high = if high > 0.0 { high } else { 1.0 };
        let step = round_up(high / 4.0);
        let count = (high / step).ceil() as u32;
        let ticks = (0..=count).map(|index| f64::from(index) * step);
        let ticks = ticks.map(|value| Tick { value, label: unit.short(value) }).collect();
        Self::new(Spread::Even, [0.0, f64::from(count) * step], ticks)
    }

    fn logarithmic(low: f64, high: f64, unit: Unit) -> Self {
        let [first, last] = [low, high].map(|value| value.log10().floor() as i32);
        let round = |decade: i32| [1.0, 2.0, 5.0, 10.0].map(|factor| (decade, factor));
        let value = |(decade, factor): (i32, f64)| 10f64.powi(decade) * factor;
        let begin = round(first).into_iter().rfind(|round| value(*round) <= low).unwrap_or((first, 1.0));
        let end = round(last).into_iter().find(|round| value(*round) >= high).unwrap_or((last, 10.0));
        let (begin, end) = (value(begin), value(end));
        let between = |candidate: &f64| *candidate >= begin * 0.999 && *candidate <= end * 1.001;
        let all = (first..=last).flat_map(|decade| round(decade)[..3].to_vec()).chain([(last, 10.0)]);
        let mut values: Vec<f64> = all.map(value).filter(between).collect();
        if values.len() > TICK_COUNT_MAX {
            let decades = (first..=last + 1).map(|decade| value((decade, 1.0)));
            values = decades.filter(between).collect();
        }
        let ticks = values.into_iter().map(|value| Tick { value, label: unit.short(value) }).collect();
        Self::new(Spread::Logarithm, [begin, end], ticks)
    }

    /// Makes a scale of the places of a sweep, each of which is written.
    ///
    /// # Panics
    /// If there are no places.
    pub(super) fn of_places(places: &[f64], axis: Axis) -> Self {
        let (low, high) = range(places);
        let spread = match axis {
            Axis::InFlight | Axis::Octets | Axis::Rate => Spread::Logarithm,
            Axis::Loss => Spread::Root,
        };
        let ticks = places.iter().map(|&value| Tick { value, label: axis.shown(value) }).collect();
        Self::new(spread, [low, high], ticks)
    }

    /// Makes a scale of percentiles up to the highest one.
    pub(super) fn of_percentiles(highest: f64) -> Self {
        let told = NINES.iter().filter(|percent| **percent <= highest);
        let ticks = told.map(|&value| Tick { value, label: format!("{value} %") }).collect();
        Self::new(Spread::Nines, [0.0, highest.max(90.0)], ticks)
    }

    fn new(spread: Spread, ends: [f64; 2], ticks: Vec<Tick>) -> Self {
        Self { spread, ends: ends.map(|end| spread.of(end)), ticks }
    }

    /// Returns where a value stands, from 0 to 1 if it is on the scale.
    pub(super) fn place(&self, value: f64) -> f64 {
        let [low, high] = self.ends;
        // A single place stands in the middle.
        if high > low { (self.spread.of(value) - low) / (high - low) } else { 0.5 }
    }
}

impl Spread {
    fn of(self, value: f64) -> f64 {
        match self {
            Self::Even => value,
            Self::Logarithm => value.max(f64::MIN_POSITIVE).log10(),
            Self::Root => value.max(0.0).sqrt(),
            Self::Nines => -(1.0 - value / 100.0).log10(),
        }
    }
}

fn range(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().reduce(f64::min).expect("there are values");
    (low, values.iter().copied().fold(low, f64::max))
}

/// Returns the next of 1, 2, 2.5 and 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powi(value.log10().floor() as i32);
    let factor = [1.0, 2.0, 2.5, 5.0].into_iter().find(|factor| factor * power >= value * 0.999_999);
    factor.unwrap_or(10.0) * power
}

/// The percentiles that are written.
const NINES: [f64; 6] = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99];

/// Our choice.
const TICK_COUNT_MAX: usize = 9;

/// Values whose largest is more than so many times the smallest are not seen beside each other from zero; our choice.
const FAR_APART: f64 = 12.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_begin_at_zero_and_end_at_a_round_value() {
        let scale = Scale::of_values(&[20.0, 73.0], Unit::Micros);
        assert_eq!(labels(&scale), ["0 µs", "20 µs", "40 µs", "60 µs", "80 µs"]);
        assert_eq!((scale.place(0.0), scale.place(80.0)), (0.0, 1.0));
        assert_eq!(labels(&Scale::from_zero(100.0, Unit::Percent)), ["0", "25", "50", "75", "100"]);
        assert_eq!(labels(&Scale::from_zero(0.0, Unit::Percent)).first().unwrap(), "0");
    }

    #[test]
    fn values_that_are_far_apart_are_spread_by_their_logarithm() {
        let scale = Scale::of_values(&[0.06, 11.5], Unit::MegabytesPerSecond);
        assert_eq!(labels(&scale), ["0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10", "20"]);
        assert!(scale.place(0.06) > 0.0 && scale.place(11.5) < 1.0);
        let wide = Scale::of_values(&[3.0, 2_000_000.0], Unit::CallsPerSecond);
        assert_eq!(labels(&wide), ["10", "100", "1 k", "10 k", "100 k", "1 M"]);
    }

    #[test]
    fn places_of_a_sweep_are_all_written() {
        let scale = Scale::of_places(&[1.0, 16.0, 256.0], Axis::InFlight);
        assert_eq!(labels(&scale), ["1", "16", "256"]);
        assert!((scale.place(16.0) - 0.5).abs() < 1e-9);
        let loss = Scale::of_places(&[0.0, 1.0, 4.0], Axis::Loss);
        assert_eq!((labels(&loss).concat(), loss.place(1.0)), ("0 %1 %4 %".to_owned(), 0.5));
        assert_eq!(Scale::of_places(&[7.0], Axis::Rate).place(7.0), 0.5);
    }

    #[test]
    fn percentiles_are_spread_by_their_nines() {
        let scale = Scale::of_percentiles(99.0);
        assert_eq!(labels(&scale), ["0 %", "50 %", "90 %", "99 %"]);
        assert!((scale.place(90.0) - 0.5).abs() < 1e-9);
    }

    fn labels(scale: &Scale) -> Vec<String> {
        scale.ticks.iter().map(|tick| tick.label.clone()).collect()
    }
}
