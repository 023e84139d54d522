//! What is wrong with an interface file, and how it is shown: file, line, column, caret, help.

use core::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::source::{Sources, Span};

/// How many errors a run tells before it stops, and how many warnings. What comes after the first few mostly follows from them.
pub const ERROR_COUNT_MAX: usize = 20;

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// There is no model.
    Error,
    /// There is one, but perhaps not the one that was meant.
    Warning,
}

/// Something to tell about an interface file.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What it is: lower case, no full stop.
    pub message: String,
    /// Where it is; what concerns no place in a file (an option, a file that is not there) has none.
    pub span: Option<Span>,
    /// What to say under the caret; may be empty.
    pub label: String,
    /// Other places that belong to it, and what to say there.
    pub related: Vec<(Span, String)>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Makes an error at a place.
    #[must_use]
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, Some(span), message.into())
    }

    /// Makes a warning at a place.
    #[must_use]
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, Some(span), message.into())
    }

    /// Makes an error that concerns no place in a file.
    #[must_use]
    pub fn error_anywhere(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, None, message.into())
    }

    fn new(severity: Severity, span: Option<Span>, message: String) -> Self {
        Self { severity, message, span, label: String::new(), related: Vec::new(), help: None }
    }

    /// Adds what to say under the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Returns the text for people.
    #[must_use]
    pub fn render(&self, sources: &Sources, paint: Paint) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut excerpts: Vec<Excerpt> = Vec::new();
        if let Some(span) = self.span {
            excerpts.push(Excerpt::of(sources, span, &self.label, AnnotationKind::Primary));
            let mut file = span.file;
            while let Some(at) = sources.included_at(file) {
                excerpts.push(Excerpt::of(sources, at, "included here", AnnotationKind::Context));
                file = at.file;
            }
        }
        for (span, label) in &self.related {
            excerpts.push(Excerpt::of(sources, *span, label, AnnotationKind::Context));
        }
        let mut group = Group::with_title(level.primary_title(&self.message));
        for excerpt in &excerpts {
            group = group.element(excerpt.snippet());
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        let renderer = match paint {
            Paint::Plain => Renderer::plain(),
            Paint::Colored => Renderer::styled(),
        };
        renderer.render(&[group])
    }
}

/// How to render.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Paint {
    /// Characters alone.
    Plain,
    /// With the escapes of a terminal for colours.
    Colored,
}

/// The diagnostics of a run that failed, with the files that they point into.
#[derive(Clone, Debug)]
pub struct Report {
    /// The files.
    pub sources: Sources,
    /// The diagnostics, in the order of the source; at least one is an error.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Returns the text for people, one diagnostic after the other with a blank line between.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        render_all(&self.diagnostics, &self.sources, paint)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Paint::Plain))
    }
}

impl core::error::Error for Report {}

/// Returns the text of `diagnostics`, one after the other with a blank line between.
#[must_use]
pub fn render_all(diagnostics: &[Diagnostic], sources: &Sources, paint: Paint) -> String {
    let mut text = String::new();
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        text.push_str(&diagnostic.render(sources, paint));
        text.push('\n');
    }
    text
}

/// Collects diagnostics: at most [`ERROR_COUNT_MAX`] errors and as many warnings.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    list: Vec<Diagnostic>,
    error_count: usize,
    warning_count: usize,
}

impl Diagnostics {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        let count = match diagnostic.severity {
            Severity::Error => &mut self.error_count,
            Severity::Warning => &mut self.warning_count,
        };
        *count += 1;
        if *count <= ERROR_COUNT_MAX {
            self.list.push(diagnostic);
        }
    }

    /// Returns whether there are so many errors that there is no use in going on.
    pub(crate) fn is_full(&self) -> bool {
        self.error_count >= ERROR_COUNT_MAX
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.error_count > 0
    }

    /// Returns them in the order of the source.
    pub(crate) fn into_list(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|diagnostic| diagnostic.span);
        if let Some(more @ 1..) = self.warning_count.checked_sub(ERROR_COUNT_MAX) {
            let message = format!("{more} more warnings are not shown");
            let more = Diagnostic::new(Severity::Warning, None, message);
            self.list.push(more.help("they come when these are dealt with"));
        }
        self.list
    }
}

/// The lines around a span, as text: a source may be megabytes, and octets in it may be no UTF-8.
struct Excerpt {
    text: String,
    path: String,
    line_start: usize,
    start: usize,
    end: usize,
    label: String,
    kind: AnnotationKind,
}

impl Excerpt {
    fn of(sources: &Sources, span: Span, label: &str, kind: AnnotationKind) -> Self {
        let octets = sources.octets(span.file);
        let (start, end) = (span.start as usize, span.end as usize);
        let line_start = octets[..start].iter().rposition(|octet| *octet == b'\n').map_or(0, |newline| newline + 1);
        let line_end = octets[start..].iter().position(|octet| *octet == b'\n').map_or(octets.len(), |len| start + len);
        // A line may be as long as the file: what is shown is what stands near. The column is counted within the excerpt.
        let from = line_start.max(start.saturating_sub(BEFORE_LEN_MAX));
        let to = line_end.min(start.saturating_add(AFTER_LEN_MAX));
        let before = printable(&octets[from..start]);
        let marked = printable(&octets[start..end.min(to).max(start)]);
        let after = printable(&octets[end.min(to).max(start)..to]);
        Self {
            start: before.len(),
            end: before.len() + marked.len(),
            text: before + &marked + &after,
            path: sources.name(span.file).to_owned(),
            line_start: sources.position(span).line,
            label: label.to_owned(),
            kind,
        }
    }

    fn snippet(&self) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        let mut annotation = self.kind.span(self.start..self.end);
        if !self.label.is_empty() {
            annotation = annotation.label(&self.label);
        }
        Snippet::source(&self.text).line_start(self.line_start).path(&self.path).annotation(annotation)
    }
}

/// Returns text in which nothing commands a terminal.
fn printable(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    text.trim_end_matches('\r').replace(|c: char| c.is_control() && c != '\t', "\u{fffd}")
}

const BEFORE_LEN_MAX: usize = 16 << 10;

const AFTER_LEN_MAX: usize = 160;
