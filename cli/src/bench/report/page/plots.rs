//! Which plots a report has.

use super::chart::{Bar, Bars, Lines, Look, Point, Series};
use super::look;
use super::scale::Scale;
use crate::bench::report::quantity::{self, Better, Quantity, Unit, digits};
use crate::bench::report::{Axis, Contestant, Reference, Report, Stage};
use crate::bench::stats::Estimate;

/// A plot with what stands around it.
pub(super) struct Figure {
    pub(super) title: String,
    pub(super) hint: String,
    /// Empty where names stand in the drawing.
    pub(super) legend: Vec<(String, Look)>,
    pub(super) drawing: String,
}

/// Plots how near each contestant comes to plain sockets, for each kind of work that has them beside it.
pub(super) fn shares(report: &Report) -> Vec<Figure> {
    let stages = report.stages.iter().filter(|stage| stage.reference == Reference::Limit && stage.over.is_none());
    stages.filter_map(share).collect()
}

fn share(stage: &Stage) -> Option<Figure> {
    let quantity = stage.quantity()?;
    let limit = stage.contestants.first()?;
    let ours = stage.contestants.iter().filter(|contestant| !contestant.series().starts_with("plain "));
    let bars: Vec<Bar> = ours
        .filter_map(|contestant| {
            let value = percent(contestant.ratio?, quantity.unit.better());
            let shown = format!("{} %", digits(value.median));
            Some(Bar { name: contestant.name.clone(), look: look(contestant.series(), stage), value, shown })
        })
        .collect();
    let highest = highest(&bars)?.clamp(100.0, SHARE_MAX);
    let title = stage.short_title();
    Some(Figure {
        title: super::capital(title),
        hint: format!("{}: the dashed line is {}, 100 %. More is better.", capital_name(quantity), limit.name),
        legend: Vec::new(),
        drawing: Bars {
            label: format!("{title}: how near each comes to {}, in per cent", limit.name),
            scale: Scale::from_zero(highest, Unit::Percent),
            mark: Some(100.0),
            bars,
        }
        .draw(),
    })
}

/// Returns how far bars reach. An interval that is far longer is cut: the median is what is to be seen.
fn highest(bars: &[Bar]) -> Option<f64> {
    let median = bars.iter().map(|bar| bar.value.median).reduce(f64::max)?;
    let high = bars.iter().map(|bar| bar.value.high).fold(median, f64::max);
    Some(high.min(INTERVAL_MAX * median))
}

/// Turns a ratio into per cent of what can be reached.
fn percent(Estimate { low, median, high }: Estimate, better: Better) -> Estimate {
    match better {
        Better::More => Estimate { low: 100.0 * low, median: 100.0 * median, high: 100.0 * high },
        Better::Less => Estimate { low: 100.0 / high, median: 100.0 / median, high: 100.0 / low },
    }
}

/// Plots one stage.
pub(super) fn of_stage(stage: &Stage) -> Vec<Figure> {
    let Some(axis) = stage.over else {
        let bars = stage.quantity().and_then(|quantity| {
            let figure = |contestant: &Contestant| contestant.estimate(quantity);
            beside_each_other(stage, capital_name(quantity), quantity.unit, figure)
        });
        let all: Vec<&Contestant> = stage.contestants.iter().collect();
        let times = percentiles(stage, &all, "Latency by percentile");
        return bars.into_iter().chain(times).chain(processor_time(stage)).collect();
    };
    let quantities: &[Quantity] = match axis {
        Axis::InFlight => &[quantity::CALL_RATE, quantity::P50, quantity::P99],
        Axis::Octets => &[quantity::P50, quantity::P99],
        Axis::Rate => &[quantity::CALL_RATE, quantity::P50, quantity::P99],
        Axis::Loss => &[quantity::BULK_RATE],
    };
    let mut figures: Vec<Figure> = quantities.iter().filter_map(|quantity| over_axis(stage, axis, quantity)).collect();
    if axis == Axis::Rate {
        let mut places: Vec<f64> = stage.contestants.iter().filter_map(|contestant| contestant.x).collect();
        places.dedup();
        for place in places {
            let there: Vec<_> = stage.contestants.iter().filter(|contestant| contestant.x == Some(place)).collect();
            let title = format!("By percentile, at {}", axis.place(place));
            figures.extend(percentiles(stage, &there, &title));
        }
    }
    figures
}

/// Plots the processor time of both ends together.
fn processor_time(stage: &Stage) -> Option<Figure> {
    let ends: Vec<_> = stage.quantities().filter(|quantity| quantity.unit == Unit::CpuSeconds).collect();
    let [client, server] = ends[..] else { return None };
    let both = |contestant: &Contestant| {
        let (client, server) = (contestant.estimate(client)?, contestant.estimate(server)?);
        Some(Estimate {
            low: client.low + server.low,
            median: client.median + server.median,
            high: client.high + server.high,
        })
    };
    let per = if client.key == quantity::CLIENT_CPU_PER_CALL.key { "million calls" } else { "GB" };
    beside_each_other(stage, format!("Processor time of both ends per {per}"), Unit::CpuSeconds, both)
}

/// Plots the contestants of a stage as bars.
fn beside_each_other(
    stage: &Stage,
    title: String,
    unit: Unit,
    figure: impl Fn(&Contestant) -> Option<Estimate>,
) -> Option<Figure> {
    let bar = |contestant: &Contestant| {
        let value = figure(contestant)?;
        let shown = unit.shown(value.median);
        Some(Bar { name: contestant.name.clone(), look: look(contestant.series(), stage), value, shown })
    };
    let bars: Vec<Bar> = stage.contestants.iter().filter_map(bar).collect();
    let highest = highest(&bars)?;
    let label = format!("{title}: {}", stage.title);
    let drawing = Bars { label, scale: Scale::from_zero(highest, unit), mark: None, bars }.draw();
    Some(Figure { title, hint: hint(unit).to_owned(), legend: Vec::new(), drawing })
}

/// Plots a quantity over the places of a sweep.
fn over_axis(stage: &Stage, axis: Axis, quantity: &Quantity) -> Option<Figure> {
    let point = |contestant: &Contestant| {
        let (x, y) = (contestant.x?, contestant.estimate(quantity)?);
        Some(Point { x, y, told: format!("{}, {}", quantity.shown(y.median), axis.place(x)) })
    };
    let series = stage.series().into_iter().map(|name| {
        let of = stage.contestants.iter().filter(|contestant| contestant.series() == name);
        Series { name: name.to_owned(), look: look(name, stage), points: of.filter_map(point).collect() }
    });
    let mut series: Vec<Series> = series.collect();
    if stage.quantity().is_some_and(|first| first.key == quantity.key) {
        series.extend(limits(stage, axis, quantity));
    }
    let title = format!("{} by {}", capital_name(quantity), axis.name());
    lines(title, hint(quantity.unit), series, quantity.unit, |places| Scale::of_places(places, axis))
}

/// Returns what can be reached at most, where that is known without a measurement.
fn limits(stage: &Stage, axis: Axis, quantity: &Quantity) -> Option<Series> {
    let mut points: Vec<Point> = Vec::new();
    for contestant in &stage.contestants {
        let (Some(x), Some(limit)) = (contestant.x, contestant.limit) else { continue };
        if points.iter().all(|point| point.x != x) {
            let y = Estimate { low: limit, median: limit, high: limit };
            points.push(Point { x, y, told: format!("{}, {}", quantity.shown(limit), axis.place(x)) });
        }
    }
    let name = match stage.reference {
        Reference::Asked => "as asked".to_owned(),
        Reference::Limit | Reference::FirstRung | Reference::Link => format!("limit of the {}", stage.reference.name()),
    };
    (!points.is_empty()).then_some(Series { name, look: Look::Limit(1), points })
}

/// Plots the times of calls by percentile, of all that tell them.
fn percentiles(stage: &Stage, contestants: &[&Contestant], title: &str) -> Option<Figure> {
    let series = contestants.iter().map(|contestant| {
        let points = contestant.latency.iter().filter(|percentile| percentile.us > 0.0).map(|percentile| Point {
            x: percentile.percent,
            y: Estimate { low: percentile.us, median: percentile.us, high: percentile.us },
            told: format!("{} % within {}", percentile.percent, Unit::Micros.shown(percentile.us)),
        });
        let name = contestant.series();
        Series { name: name.to_owned(), look: look(name, stage), points: points.collect() }
    });
    let series: Vec<Series> = series.collect();
    let hint = "So many calls of all blocks took no longer. Less is better.";
    lines(title.to_owned(), hint, series, Unit::Micros, |places| {
        Scale::of_percentiles(places.iter().copied().fold(0.0, f64::max))
    })
}

/// Puts lines on their scales; `None` if there is no point.
fn lines(
    title: String,
    hint: &str,
    mut series: Vec<Series>,
    unit: Unit,
    x: impl Fn(&[f64]) -> Scale,
) -> Option<Figure> {
    series.retain(|series| !series.points.is_empty());
    let points = || series.iter().flat_map(|series| &series.points);
    let mut places: Vec<f64> = points().map(|point| point.x).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let medians = || points().map(|point| point.y.median);
    let (lowest, highest) = (medians().reduce(f64::min)?, medians().reduce(f64::max)?);
    // As far as it takes to see the medians: what an interval has beyond is cut.
    let seen = |value: f64| value.clamp(lowest / LINE_INTERVAL_MAX, highest * LINE_INTERVAL_MAX);
    let values: Vec<f64> = points().flat_map(|point| [seen(point.y.low), seen(point.y.high)]).collect();
    let legend = series.iter().map(|series| (series.name.clone(), series.look)).collect();
    let (x, y) = (x(&places), Scale::of_values(&values, unit));
    let drawing = Lines { label: title.clone(), x, y, series }.draw();
    Some(Figure { title, hint: hint.to_owned(), legend, drawing })
}

fn capital_name(quantity: &Quantity) -> String {
    super::capital(quantity.name)
}

fn hint(unit: Unit) -> &'static str {
    match unit {
        Unit::CallsPerSecond => "More is better.",
        Unit::MegabytesPerSecond => "MB/s that the application got. More is better.",
        Unit::Micros | Unit::CpuSeconds | Unit::Datagrams | Unit::Percent => "Less is better.",
    }
}

/// How far an interval is drawn beside the longest bar, to its median; our choice.
const INTERVAL_MAX: f64 = 1.3;

/// How far an interval is drawn beyond the medians of all lines; our choice.
const LINE_INTERVAL_MAX: f64 = 2.0;

/// Per cent: who is further beyond the limit has its figure beside a full bar. Our choice.
const SHARE_MAX: f64 = 400.0;
