//! Two reports beside each other: what became faster, what slower, and what cannot be told.

use core::fmt;

use super::quantity::{Better, Quantity};
use super::{Contestant, Report, Stage};
use crate::bench::stats::Estimate;

/// What changed from one report to the next.
pub(in crate::bench) struct Comparison {
    /// What was compared with.
    pub(super) title: String,
    /// What makes the two hard to compare, a sentence each.
    pub(super) doubts: Vec<String>,
    pub(super) changes: Vec<Change>,
}

/// What changed about one contestant.
pub(super) struct Change {
    pub(super) stage: String,
    pub(super) contestant: String,
    pub(super) quantity: &'static Quantity,
    /// The figure in the older report.
    pub(super) before: f64,
    /// The figure in the newer report.
    pub(super) after: f64,
    /// What the newer one is to the older one; by what they are to the limit of their own runs, where both tell it, since
    /// the machine's part falls out then.
    pub(super) factor: Estimate,
    pub(super) basis: Basis,
}

/// What the two are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// The ratio to what was measured beside it.
    Ratio,
    /// The figure itself.
    Figure,
}

/// What a change means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Faster,
    Slower,
    /// If there is a change, it is small.
    Same,
    /// The intervals are too wide to tell.
    Unclear,
}

impl Comparison {
    /// Compares a report with an older one, which has a name.
    pub(in crate::bench) fn new(old: &Report, old_name: &str, new: &Report) -> Self {
        let mut changes = Vec::new();
        for stage in &new.stages {
            let Some(old_stage) = old.stages.iter().find(|old| old.key == stage.key) else { continue };
            for contestant in &stage.contestants {
                let same = |old: &&Contestant| old.name == contestant.name;
                let Some(old) = old_stage.contestants.iter().find(same) else { continue };
                changes.extend(Change::new(stage, old, contestant));
            }
        }
        let title = format!("{old_name} (posthaste {}, {})", old.posthaste_version, old.machine.system);
        Self { title, doubts: doubts(old, new), changes }
    }
}

impl Change {
    fn new(stage: &Stage, old: &Contestant, new: &Contestant) -> Option<Self> {
        let quantity = stage.quantity()?;
        let (before, after) = (old.estimate(quantity)?, new.estimate(quantity)?);
        let (basis, [from, to]) = match (old.ratio, new.ratio) {
            (Some(from), Some(to)) => (Basis::Ratio, [from, to]),
            _ => (Basis::Figure, [before, after]),
        };
        // Wider than need be: both medians at the far ends of their intervals.
        let factor = Estimate { low: to.low / from.high, median: to.median / from.median, high: to.high / from.low };
        let sound = [factor.low, factor.median, factor.high].iter().all(|value| value.is_finite());
        sound.then(|| Self {
            stage: stage.title.clone(),
            contestant: new.name.clone(),
            quantity,
            before: before.median,
            after: after.median,
            factor,
            basis,
        })
    }

    /// Returns what the change means.
    pub(super) fn verdict(&self) -> Verdict {
        let Estimate { low, high, .. } = self.factor;
        let (rises, falls) = (low > CHANGE_MIN, high < 1.0 / CHANGE_MIN);
        match (self.quantity.unit.better(), rises, falls) {
            (Better::More, true, _) | (Better::Less, _, true) => Verdict::Faster,
            (Better::Less, true, _) | (Better::More, _, true) => Verdict::Slower,
            _ if low > 1.0 / SAME_MAX && high < SAME_MAX => Verdict::Same,
            _ => Verdict::Unclear,
        }
    }
}

impl Verdict {
    /// Returns what a table calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Same => "as before",
            Self::Unclear => "unclear",
        }
    }
}

/// Returns what differs between two runs beside the program.
fn doubts(old: &Report, new: &Report) -> Vec<String> {
    let mut doubts = Vec::new();
    let mut differ = |what: &str, old: String, new: String| {
        if old != new {
            doubts.push(format!("{what} is not the same: {old} before, {new} here"));
        }
    };
    differ("the system", old.machine.system.clone(), new.machine.system.clone());
    differ("the number of cores", old.machine.core_count.to_string(), new.machine.core_count.to_string());
    let build = |report: &Report| format!("{:?}", report.build).to_lowercase();
    differ("the build", build(old), build(new));
    let server = |report: &Report| report.asked.to.clone().unwrap_or_else(|| "this machine".to_owned());
    differ("the server", server(old), server(new));
    for (when, report) in [("before", old), ("here", new)] {
        if !report.doubts.is_empty() {
            doubts.push(format!("the figures {when} are doubtful themselves"));
        }
    }
    doubts
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nCompared with {}", self.title)?;
        writeln!(f, "{EXPLANATION}")?;
        if self.changes.is_empty() {
            writeln!(f, "The two have no work in common.")?;
        }
        let name_width = self.changes.iter().map(|change| change.contestant.chars().count()).max().unwrap_or_default();
        let mut stage = "";
        for change in &self.changes {
            if change.stage != stage {
                stage = &change.stage;
                writeln!(f, "\n{stage}: {}", change.quantity.name)?;
            }
            let [before, after] = [change.before, change.after].map(|value| change.quantity.shown(value));
            let Estimate { low, median, high } = change.factor;
            write!(f, "  {:name_width$}  {before:>14} -> {after:<14}", change.contestant)?;
            writeln!(
                f,
                "  {:<9}  {median:.2} ({low:.2} to {high:.2}){}",
                change.verdict().name(),
                change.basis.mark()
            )?;
        }
        if !self.doubts.is_empty() {
            writeln!(f, "\nThe comparison is not to be relied upon:")?;
        }
        self.doubts.iter().try_for_each(|doubt| writeln!(f, "- {doubt}"))
    }
}

impl Basis {
    /// Returns what is put behind a factor.
    pub(super) const fn mark(self) -> &'static str {
        match self {
            Self::Ratio => "",
            Self::Figure => " *",
        }
    }
}

/// What stands above a table of changes.
pub(super) const EXPLANATION: &str = "\
What is here to what was before, with an interval that takes in the noise of both runs. It is the change of the ratio to
what was measured beside it, so that the machine's own change falls out; with a *, that of the figure itself.";

/// An interval around no change that goes further does not tell that there is none. Our choice.
const SAME_MAX: f64 = 1.25;

/// A change by less is not told from none: two builds of the same program differ by as much. Our choice.
const CHANGE_MIN: f64 = 1.03;
