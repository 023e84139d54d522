//! What a measurement found: one document, of which text, JSON, page and comparison are views.
//!
//! In JSON, keys are stable, carry their units, and are only ever added to.

pub(super) mod compare;
pub(super) mod page;
pub(super) mod quantity;
#[cfg(test)]
mod tests;
mod text;

use alloc::collections::BTreeMap;
use std::path::Path;

use hdrhistogram::Histogram;
use posthaste_udp::Offload;
use serde::{Deserialize, Serialize};

use self::quantity::{Quantity, Unit};
use super::driver::Block;
use super::machine::Cores;
use super::stats::Estimate;
use crate::escape::Escaped;
use crate::failure::{Code, Failure};

/// All that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Report {
    /// Counts changes that a reader could notice other than by keys added.
    format: u32,
    posthaste_version: String,
    pub(super) build: Build,
    pub(super) machine: Machine,
    pub(super) socket: Socket,
    pub(super) asked: Asked,
    /// What a reader should know before the figures are believed, a sentence each.
    pub(super) doubts: Vec<String>,
    pub(super) stages: Vec<Stage>,
}

/// How the program was compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Build {
    /// For use.
    Release,
    /// For debugging.
    Debug,
}

/// Where it took place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Machine {
    /// The operating system and its version.
    pub(super) system: String,
    pub(super) architecture: String,
    pub(super) core_count: usize,
    pub(super) client_core: Option<usize>,
    pub(super) server_core: Option<usize>,
}

/// What the system grants to a socket as the adapters open it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Socket {
    pub(super) recv_buffer: Buffer,
    pub(super) send_buffer: Buffer,
    pub(super) gso: Support,
    pub(super) gro: Support,
    pub(super) ecn: Support,
}

/// A socket buffer, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Buffer {
    pub(super) asked_octets: usize,
    pub(super) granted_octets: usize,
}

/// Whether something is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Support {
    pub(super) on: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) block_count: usize,
    pub(super) block_s: f64,
    pub(super) call_octets: usize,
    pub(super) inflight_count: usize,
    pub(super) bulk_message_octets: usize,
    /// The server, if it is not one that was started for this.
    #[serde(default)]
    pub(super) to: Option<String>,
}

/// Contestants that took turns at work of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stage {
    /// Its name in documents; it stays.
    pub(super) key: String,
    /// What was done.
    pub(super) title: String,
    /// The key of the quantity by which contestants are compared.
    pub(super) ratio_of: String,
    /// The first contestant.
    pub(super) ratio_to: Option<String>,
    /// What ratios are to.
    #[serde(default)]
    pub(super) reference: Reference,
    /// What differs from one contestant of a series to the next.
    #[serde(default)]
    pub(super) over: Option<Axis>,
    /// The keys of what was measured, as they stand in a table.
    #[serde(default)]
    pub(super) quantities: Vec<String>,
    pub(super) contestants: Vec<Contestant>,
}

/// What contestants are compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reference {
    /// Plain sockets: what the machine can do.
    #[default]
    Limit,
    /// The first rung.
    FirstRung,
    /// What the link carries.
    Link,
    /// What was asked for.
    Asked,
}

/// What a sweep goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Axis {
    /// Calls kept open.
    InFlight,
    /// Octets in a call and in its reply.
    Octets,
    /// Calls a second.
    Rate,
    /// Per cent of datagrams, each way.
    Loss,
}

/// One of those who took turns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Contestant {
    /// Its name in tables.
    pub(super) name: String,
    /// Who it is, wherever on the axis.
    #[serde(default)]
    pub(super) series: String,
    /// Where it stands on the axis.
    #[serde(default)]
    pub(super) x: Option<f64>,
    /// The most that can be reached, where that is known without a measurement.
    #[serde(default)]
    pub(super) limit: Option<f64>,
    /// To that limit, or to the contestant that stands for it, within each round.
    pub(super) ratio: Option<Estimate>,
    pub(super) estimates: Figures<Estimate>,
    pub(super) blocks: Vec<Figures<f64>>,
    /// How many calls of all blocks took how long.
    #[serde(default)]
    pub(super) latency: Vec<Percentile>,
}

/// Figures by the key of their quantity; what is not known is null.
pub(super) type Figures<T> = BTreeMap<String, Option<T>>;

/// The time within which a share of all calls was answered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Percentile {
    pub(super) percent: f64,
    pub(super) us: f64,
}

/// What is needed to make a stage of blocks.
pub(super) struct StageParts<'a> {
    pub(super) key: &'a str,
    pub(super) title: &'a str,
    pub(super) reference: Reference,
    pub(super) over: Option<Axis>,
    pub(super) quantities: &'static [Quantity],
    pub(super) contestants: Vec<ContestantParts<'a>>,
}

/// What is needed to make a contestant of blocks.
pub(super) struct ContestantParts<'a> {
    pub(super) name: &'a str,
    pub(super) series: &'a str,
    pub(super) x: Option<f64>,
    pub(super) limit: Option<f64>,
    /// The index of the contestant with which it is compared.
    pub(super) compared_with: Option<usize>,
    pub(super) blocks: &'a [Block],
}

impl Report {
    /// Makes a report of this program.
    pub(super) fn new(machine: Machine, socket: Socket, asked: Asked, stages: Vec<Stage>) -> Self {
        let build = if cfg!(debug_assertions) { Build::Debug } else { Build::Release };
        let posthaste_version = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, posthaste_version, build, machine, socket, asked, doubts: Vec::new(), stages }
    }

    /// Reads a report that was written earlier.
    ///
    /// # Errors
    /// If there is no such file, or it is something else.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::local(format_args!("cannot read '{shown}'"), &error))?;
        let report: Self = serde_json::from_str(&text).map_err(|error| {
            Failure::new(Code::Local, format_args!("'{shown}' has no figures of a measurement: {error}"))
                .hint("give a file that 'posthaste bench --json' wrote")
        })?;
        if report.format != FORMAT {
            return Err(Failure::new(
                Code::Local,
                format_args!("'{shown}' has format {}, not {FORMAT}", report.format),
            )
            .hint("measure again with this version"));
        }
        // It may come from anybody, and goes to a terminal.
        if report.to_string().lines().any(|line| Escaped(line).to_string() != line) {
            return Err(Failure::new(Code::Local, format_args!("'{shown}' has names with control characters")));
        }
        Ok(report)
    }

    /// Returns the report as JSON.
    pub(super) fn to_json(&self) -> String {
        let text = serde_json::to_string(self).expect("keys are text, and figures are finite or null");
        text + "\n"
    }
}

impl Machine {
    /// Describes this machine.
    pub(super) fn this(system: String, core_count: usize, cores: Option<Cores>) -> Self {
        Self {
            system,
            architecture: std::env::consts::ARCH.to_owned(),
            core_count,
            client_core: cores.map(|cores| cores.client),
            server_core: cores.map(|cores| cores.server),
        }
    }
}

impl From<posthaste_udp::Report> for Socket {
    fn from(report: posthaste_udp::Report) -> Self {
        let buffer = |buffer: posthaste_udp::Buffer| Buffer {
            asked_octets: buffer.asked_len,
            granted_octets: buffer.granted_len,
        };
        let support = |offload: Offload| match offload {
            Offload::On => Support { on: true, reason: None },
            Offload::Off(_) => Support { on: false, reason: Some(offload.to_string()) },
        };
        Self {
            recv_buffer: buffer(report.recv_buffer),
            send_buffer: buffer(report.send_buffer),
            gso: support(report.gso),
            gro: support(report.gro),
            ecn: support(report.ecn),
        }
    }
}

impl Stage {
    /// Makes a stage of what its contestants did.
    pub(super) fn new(parts: &StageParts<'_>) -> Self {
        let make = |contestant: &ContestantParts<'_>| Contestant::new(parts, contestant);
        Self {
            key: parts.key.to_owned(),
            title: parts.title.to_owned(),
            ratio_of: parts.quantities.first().map_or("", |quantity| quantity.key).to_owned(),
            ratio_to: parts.contestants.first().map(|contestant| contestant.name.to_owned()),
            reference: parts.reference,
            over: parts.over,
            quantities: parts.quantities.iter().map(|quantity| quantity.key.to_owned()).collect(),
            contestants: parts.contestants.iter().map(make).collect(),
        }
    }

    /// Returns what was done, without how.
    pub(super) fn short_title(&self) -> &str {
        self.title.split([',', ':']).next().unwrap_or_default()
    }

    /// Returns the quantity by which contestants are compared.
    pub(super) fn quantity(&self) -> Option<&'static Quantity> {
        Quantity::named(&self.ratio_of)
    }

    /// Returns what was measured, as it stands in a table.
    pub(super) fn quantities(&self) -> impl Iterator<Item = &'static Quantity> {
        self.quantities.iter().filter_map(|key| Quantity::named(key))
    }

    /// Returns the names of those who took turns, each once, in order.
    pub(super) fn series(&self) -> Vec<&str> {
        let mut series = Vec::new();
        for contestant in &self.contestants {
            if !series.contains(&contestant.series()) {
                series.push(contestant.series());
            }
        }
        series
    }

    /// Says what can be expected at best.
    pub(super) fn expectation(&self) -> Option<String> {
        let quantity = self.quantity()?;
        let first = self.contestants.first()?;
        match (self.reference, self.over) {
            (Reference::Limit, None) => {
                let limit = first.estimate(quantity)?;
                let (name, shown) = (&first.name, quantity.shown(limit.median));
                Some(format!("Expected at best: what {name} reaches on this machine, {} {shown}.", quantity.name))
            }
            (Reference::Limit, Some(_)) => Some(format!(
                "Expected at best: what {} reaches at the same work, on this machine and in the same run.",
                first.series()
            )),
            (Reference::Link, _) => Some(format!(
                "Expected at best: {}, what the link carries beside its headers, less what is lost.",
                quantity.shown(first.limit?)
            )),
            (Reference::Asked, _) => {
                Some("Expected: as many calls as asked, at the times of one call at a time.".to_owned())
            }
            (Reference::FirstRung, _) => None,
        }
    }
}

impl Reference {
    /// Returns what the ratio is to.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::FirstRung => "first rung",
            Self::Link => "link",
            Self::Asked => "rate asked",
        }
    }
}

impl Axis {
    /// Returns what it counts.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::InFlight => "calls in flight",
            Self::Octets => "octets each way",
            Self::Rate => "rate asked for",
            Self::Loss => "datagrams lost each way",
        }
    }

    /// Says where something stands on it.
    pub(super) fn place(self, x: f64) -> String {
        let shown = self.shown(x);
        match self {
            Self::InFlight => format!("{shown} in flight"),
            Self::Octets if x < 1024.0 => format!("{shown} octets"),
            Self::Octets => shown,
            Self::Rate => format!("{shown} calls/s"),
            Self::Loss => format!("{shown} lost"),
        }
    }

    /// Shows a value as it stands beside the axis.
    pub(super) fn shown(self, x: f64) -> String {
        match self {
            Self::InFlight => format!("{x}"),
            Self::Octets if x >= 1024.0 && (x / 1024.0).fract() == 0.0 => format!("{} KiB", x / 1024.0),
            Self::Octets => format!("{x}"),
            Self::Rate => Unit::CallsPerSecond.short(x),
            Self::Loss => format!("{x} %"),
        }
    }
}

impl Contestant {
    fn new(stage: &StageParts<'_>, parts: &ContestantParts<'_>) -> Self {
        let blocks = parts.blocks;
        let estimate = |quantity: &Quantity| quantity.of_all(blocks).map(|values| Estimate::of(&values));
        let key = |quantity: &Quantity| quantity.key.to_owned();
        let ratio = stage.quantities.first().and_then(|quantity| {
            let values = quantity.of_all(blocks)?;
            let references = match (parts.compared_with, parts.limit) {
                (Some(index), _) => quantity.of_all(stage.contestants[index].blocks)?,
                (None, Some(limit)) => vec![limit; values.len()],
                (None, None) => return None,
            };
            Some(Estimate::of_ratios(&values, &references))
        });
        let figures = |block: &Block| stage.quantities.iter().map(|of| (key(of), (of.of)(block))).collect();
        Self {
            name: parts.name.to_owned(),
            series: parts.series.to_owned(),
            x: parts.x,
            limit: parts.limit,
            ratio,
            estimates: stage.quantities.iter().map(|quantity| (key(quantity), estimate(quantity))).collect(),
            blocks: blocks.iter().map(figures).collect(),
            latency: percentiles(blocks),
        }
    }

    /// Returns who it is.
    pub(super) fn series(&self) -> &str {
        // Older documents have no series: each contestant was one.
        if self.series.is_empty() { &self.name } else { &self.series }
    }

    /// Returns the estimate of a quantity, if it is known.
    pub(super) fn estimate(&self, quantity: &Quantity) -> Option<Estimate> {
        *self.estimates.get(quantity.key)?
    }
}

/// Puts the times of all blocks together.
fn percentiles(blocks: &[Block]) -> Vec<Percentile> {
    let mut all = Histogram::<u64>::new(3).expect("a histogram has up to five digits");
    for (nanos, count) in blocks.iter().flat_map(|block| &block.done.times) {
        all.record_n(*nanos, *count).expect("the histogram grows as needed");
    }
    let told = PERCENTS.iter().filter(|percent| (100.0 - **percent) / 100.0 * all.len() as f64 >= BEYOND_COUNT_MIN);
    let time = |percent: f64| all.value_at_percentile(percent) as f64 / 1000.0;
    told.map(|&percent| Percentile { percent, us: time(percent) }).collect()
}

const FORMAT: u32 = 1;

/// The shares that are told of the times of all blocks. Our choice.
const PERCENTS: [f64; 11] = [0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 99.999];

/// How many calls have to take longer for a percentile to mean something; our choice.
const BEYOND_COUNT_MIN: f64 = 10.0;
