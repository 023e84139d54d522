//! Plots as SVG, drawn for the width of a phone: they grow with the page and stay readable.

use core::fmt::Write;

use super::escape;
use super::scale::Scale;
use crate::bench::stats::Estimate;

/// Lines over a common axis.
pub(super) struct Lines {
    /// What it shows, for who cannot see it.
    pub(super) label: String,
    pub(super) x: Scale,
    pub(super) y: Scale,
    pub(super) series: Vec<Series>,
}

/// One line.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) look: Look,
    pub(super) points: Vec<Point>,
}

/// A point of a line, with the interval in which it lies.
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: Estimate,
    /// What is told where somebody points at it.
    pub(super) told: String,
}

/// Bars below each other.
pub(super) struct Bars {
    pub(super) label: String,
    pub(super) scale: Scale,
    /// A value that is marked across all bars.
    pub(super) mark: Option<f64>,
    pub(super) bars: Vec<Bar>,
}

/// A bar with its name and its value above it.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) look: Look,
    pub(super) value: Estimate,
    /// The value with its unit.
    pub(super) shown: String,
}

/// How a series looks: everywhere on the page the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Plain sockets, of which there are two, and other limits.
    Limit(usize),
    /// One of those that are measured.
    Measured(usize),
}

impl Lines {
    /// Draws the plot.
    pub(super) fn draw(&self) -> String {
        let mut svg = Svg::begin(&self.label, LINES_HEIGHT);
        let bottom = LINES_HEIGHT - BELOW;
        let at = |x: f64, y: f64| (LEFT + x * (WIDTH - LEFT - RIGHT), bottom - y * (bottom - ABOVE));
        for tick in &self.y.ticks {
            let (_, y) = at(0.0, self.y.place(tick.value));
            svg.line("grid", (LEFT, y), (WIDTH - RIGHT, y));
            svg.text("tick end", (LEFT - 5.0, y + 4.0), &tick.label);
        }
        let mut free_from = f64::MIN;
        for tick in &self.x.ticks {
            let (x, y) = at(self.x.place(tick.value), 0.0);
            svg.line("axis", (x, y), (x, y + 4.0));
            let half = tick.label.chars().count() as f64 * CHARACTER_WIDTH / 2.0;
            // A label that would touch the one before is left out; its mark stays.
            let middle = x.min(WIDTH - half - 1.0);
            if middle - half >= free_from {
                svg.text("tick middle", (middle, y + 16.0), &tick.label);
                free_from = middle + half + CHARACTER_WIDTH;
            }
        }
        svg.line("axis", (LEFT, bottom), (WIDTH - RIGHT, bottom));
        for series in &self.series {
            let place = |point: &Point, y: f64| at(self.x.place(point.x), self.y.place(y).clamp(0.0, 1.0));
            let there = series.points.iter().map(|point| place(point, point.y.high));
            let back = series.points.iter().rev().map(|point| place(point, point.y.low));
            svg.path(&format!("band {}", series.look.class()), &there.chain(back).collect::<Vec<_>>(), "Z");
            let middle: Vec<_> = series.points.iter().map(|point| place(point, point.y.median)).collect();
            svg.path(&format!("line {}", series.look.class()), &middle, "");
            for (point, place) in series.points.iter().zip(middle) {
                svg.mark(series.look, place, &format!("{}: {}", series.name, point.told));
            }
        }
        svg.end()
    }
}

impl Bars {
    /// Draws the plot.
    pub(super) fn draw(&self) -> String {
        let height = self.bars.len() as f64 * BAR_PITCH;
        let mut svg = Svg::begin(&self.label, height);
        let at = |value: f64| self.scale.place(value).clamp(0.0, 1.0) * WIDTH;
        for (index, bar) in self.bars.iter().enumerate() {
            let top = index as f64 * BAR_PITCH;
            svg.text("name", (0.0, top + 13.0), &bar.name);
            svg.text("value end", (WIDTH, top + 13.0), &bar.shown);
            svg.bar(bar.look, at(bar.value.median), top + BAR_TOP, &format!("{}: {}", bar.name, bar.shown));
            let middle = top + BAR_TOP + BAR_HEIGHT / 2.0;
            svg.line("whisker", (at(bar.value.low), middle), (at(bar.value.high), middle));
            if let Some(mark) = self.mark {
                let bottom = top + BAR_TOP + BAR_HEIGHT;
                svg.line("limit", (at(mark), top + BAR_TOP - 2.0), (at(mark), bottom + 2.0));
            }
        }
        svg.end()
    }
}

impl Look {
    /// Returns the class that gives it its colour.
    pub(super) fn class(self) -> String {
        match self {
            Self::Limit(index) => format!("l{}", index % LIMIT_COUNT),
            Self::Measured(index) => format!("m{}", index % MEASURED_COUNT),
        }
    }

    /// Draws its mark alone, for a legend.
    pub(super) fn draw(self) -> String {
        let mut svg = Svg { text: "<svg viewBox=\"0 0 22 12\" class=\"key\" aria-hidden=\"true\">".to_owned() };
        svg.path(&format!("line {}", self.class()), &[(0.0, 6.0), (22.0, 6.0)], "");
        svg.mark(self, (11.0, 6.0), "");
        svg.end()
    }

    /// Returns the outline of its mark around the origin, so that colour is not all that tells lines apart.
    const fn outline(self) -> &'static [(f64, f64)] {
        const SQUARE: &[(f64, f64)] = &[(-3.3, -3.3), (3.3, -3.3), (3.3, 3.3), (-3.3, 3.3)];
        const TRIANGLE: &[(f64, f64)] = &[(0.0, -4.4), (4.2, 3.2), (-4.2, 3.2)];
        const DIAMOND: &[(f64, f64)] = &[(0.0, -4.8), (4.8, 0.0), (0.0, 4.8), (-4.8, 0.0)];
        const TRIANGLE_DOWN: &[(f64, f64)] = &[(0.0, 4.4), (4.2, -3.2), (-4.2, -3.2)];
        const OCTAGON: &[(f64, f64)] =
            &[(-1.6, -4.0), (1.6, -4.0), (4.0, -1.6), (4.0, 1.6), (1.6, 4.0), (-1.6, 4.0), (-4.0, 1.6), (-4.0, -1.6)];
        match self {
            Self::Limit(0) => DIAMOND,
            Self::Limit(_) => TRIANGLE_DOWN,
            Self::Measured(index) => match index % 3 {
                0 => OCTAGON,
                1 => SQUARE,
                _ => TRIANGLE,
            },
        }
    }
}

/// A drawing that is being written.
struct Svg {
    text: String,
}

impl Svg {
    fn begin(label: &str, height: f64) -> Self {
        let label = escape(label);
        Self { text: format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">") }
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.write(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    fn text(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        let text = escape(text);
        self.write(format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"));
    }

    fn path(&mut self, class: &str, points: &[(f64, f64)], end: &str) {
        self.write(format_args!("<path class=\"{class}\" d=\""));
        for (index, (x, y)) in points.iter().enumerate() {
            self.write(format_args!("{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' }));
        }
        self.write(format_args!("{end}\"/>"));
    }

    fn mark(&mut self, look: Look, (x, y): (f64, f64), told: &str) {
        self.write(format_args!("<g class=\"mark {}\">", look.class()));
        let outline: Vec<_> = look.outline().iter().map(|(right, down)| (x + right, y + down)).collect();
        self.path("", &outline, "Z");
        if !told.is_empty() {
            // More to point at than there is to see.
            self.write(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"11\"/><title>{}</title>", escape(told)));
        }
        self.write(format_args!("</g>"));
    }

    fn bar(&mut self, look: Look, right: f64, top: f64, told: &str) {
        let (class, width, told) = (look.class(), right.max(1.0), escape(told));
        self.write(format_args!(
            "<rect class=\"track\" x=\"0\" y=\"{top}\" width=\"{WIDTH}\" height=\"{BAR_HEIGHT}\" rx=\"3\"/>"
        ));
        self.write(format_args!(
            "<rect class=\"bar {class}\" x=\"0\" y=\"{top}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\" rx=\"3\"><title>{told}</title></rect>"
        ));
    }

    fn end(mut self) -> String {
        self.text.push_str("</svg>");
        self.text
    }

    fn write(&mut self, what: core::fmt::Arguments<'_>) {
        self.text.write_fmt(what).expect("a string takes everything");
    }
}

/// Of all drawings, in their own unit, which on a phone is about a pixel.
const WIDTH: f64 = 340.0;

const LINES_HEIGHT: f64 = 236.0;
/// Room for the labels of the axes.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 10.0;
const ABOVE: f64 = 8.0;
const BELOW: f64 = 22.0;

/// Of the font of labels, about.
const CHARACTER_WIDTH: f64 = 6.3;

const BAR_PITCH: f64 = 38.0;
const BAR_TOP: f64 = 19.0;
const BAR_HEIGHT: f64 = 10.0;

/// Looks that the style has.
const LIMIT_COUNT: usize = 2;
const MEASURED_COUNT: usize = 6;
