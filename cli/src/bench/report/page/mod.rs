//! The figures as one page that needs nothing else: plots, and the tables behind them.
//!
//! It has no script, and its policy lets a browser load nothing.

mod chart;
mod plots;
mod scale;

use core::fmt::{self, Display, Write};

use clap::ValueEnum;

use self::chart::Look;
use self::plots::Figure;
use super::compare::{Change, Comparison, EXPLANATION};
use super::{Contestant, Report, Stage};
use crate::bench::stats::Estimate;
use crate::runtime::Runtime;
use crate::value::Size;

/// Writes the page.
pub(in crate::bench) fn render(report: &Report, comparison: Option<&Comparison>) -> String {
    let mut page = String::new();
    write_page(&mut page, report, comparison).expect("a string takes everything");
    page
}

fn write_page(page: &mut String, report: &Report, comparison: Option<&Comparison>) -> fmt::Result {
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Posthaste, measured</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    )?;
    write_head(page, report)?;
    let shares = plots::shares(report);
    if !shares.is_empty() {
        page.push_str("<section>\n<h2>Share of what the machine can do</h2>\n");
        write_plots(page, &shares)?;
        page.push_str("</section>\n");
    }
    for stage in &report.stages {
        write_stage(page, stage)?;
    }
    if let Some(comparison) = comparison {
        write_comparison(page, comparison)?;
    }
    page.push_str("</main>\n</body>\n</html>\n");
    Ok(())
}

fn write_head(page: &mut String, report: &Report) -> fmt::Result {
    let (asked, socket, machine) = (&report.asked, &report.socket, &report.machine);
    let millis = asked.block_s * 1000.0;
    write!(page, "<header>\n<h1>Posthaste, measured</h1>\n<p>{}</p>\n", escape(&report.place()))?;
    write!(
        page,
        "<p class=\"quiet\">Medians of {} blocks of {millis} ms, in which all take turns. Shades and dark strokes are the \
         interval that holds the true median with 95 % confidence.</p>\n<ul class=\"facts\">\n",
        asked.block_count
    )?;
    let size = |len: usize| Size(len as u64);
    for fact in [
        format!("{} cores, {}", machine.core_count, machine.architecture),
        format!("receive buffer {}", size(socket.recv_buffer.granted_octets)),
        format!("send buffer {}", size(socket.send_buffer.granted_octets)),
        format!("GSO {}", socket.gso),
        format!("GRO {}", socket.gro),
    ] {
        writeln!(page, "<li>{}</li>", escape(&fact))?;
    }
    page.push_str("</ul>\n");
    write_doubts(page, "Not to be relied upon", &report.doubts)?;
    page.push_str("</header>\n");
    Ok(())
}

fn write_doubts(page: &mut String, title: &str, doubts: &[String]) -> fmt::Result {
    if doubts.is_empty() {
        return Ok(());
    }
    write!(page, "<div class=\"doubts\"><strong>{title}</strong>\n<ul>\n")?;
    doubts.iter().try_for_each(|doubt| writeln!(page, "<li>{}</li>", escape(doubt)))?;
    page.push_str("</ul></div>\n");
    Ok(())
}

fn write_stage(page: &mut String, stage: &Stage) -> fmt::Result {
    write!(page, "<section>\n<h2>{}</h2>\n", escape(&capital(&stage.title)))?;
    if let Some(expectation) = stage.expectation() {
        writeln!(page, "<p class=\"quiet\">{}</p>", escape(&expectation))?;
    }
    write_plots(page, &plots::of_stage(stage))?;
    page.push_str("<details><summary>All figures</summary>\n<div class=\"scroll\"><table>\n<tr><th></th>");
    for quantity in stage.quantities() {
        let unit = quantity.heading.join(" ");
        write!(page, "<th>{}</th>", escape(if quantity.heading[0].is_empty() { quantity.heading[1] } else { &unit }))?;
    }
    writeln!(page, "<th>ratio to the {}</th></tr>", stage.reference.name())?;
    for contestant in &stage.contestants {
        write_row(page, stage, contestant)?;
    }
    page.push_str("</table></div></details>\n</section>\n");
    Ok(())
}

fn write_plots(page: &mut String, figures: &[Figure]) -> fmt::Result {
    page.push_str("<div class=\"plots\">\n");
    figures.iter().try_for_each(|figure| write!(page, "{figure}"))?;
    page.push_str("</div>\n");
    Ok(())
}

fn write_row(page: &mut String, stage: &Stage, contestant: &Contestant) -> fmt::Result {
    write!(page, "<tr><td>{}</td>", escape(&contestant.name))?;
    for quantity in stage.quantities() {
        match contestant.estimate(quantity) {
            Some(Estimate { median, .. }) => write!(page, "<td>{median:.*}</td>", quantity.decimal_count)?,
            None => page.push_str("<td>–</td>"),
        }
    }
    match contestant.ratio {
        Some(Estimate { low, median, high }) => writeln!(page, "<td>{median:.2} ({low:.2} to {high:.2})</td></tr>"),
        None => writeln!(page, "<td></td></tr>"),
    }
}

fn write_comparison(page: &mut String, comparison: &Comparison) -> fmt::Result {
    write!(page, "<section>\n<h2>Compared with {}</h2>\n", escape(&comparison.title))?;
    writeln!(page, "<p class=\"quiet\">{}</p>", escape(EXPLANATION))?;
    write_doubts(page, "The comparison is not to be relied upon", &comparison.doubts)?;
    page.push_str("<details open><summary>All changes</summary>\n<div class=\"scroll\"><table>\n");
    page.push_str("<tr><th></th><th></th><th>change</th><th>before</th><th>here</th></tr>\n");
    let mut stage = "";
    for change in &comparison.changes {
        if change.stage != stage {
            stage = &change.stage;
            let title = escape(&capital(&format!("{stage}: {}", change.quantity.name)));
            writeln!(page, "<tr><th colspan=\"5\">{title}</th></tr>")?;
        }
        write_change(page, change)?;
    }
    page.push_str("</table></div></details>\n</section>\n");
    Ok(())
}

fn write_change(page: &mut String, change: &Change) -> fmt::Result {
    let Estimate { low, median, high } = change.factor;
    let (verdict, mark) = (change.verdict().name(), change.basis.mark());
    let [before, after] = [change.before, change.after].map(|value| escape(&change.quantity.shown(value)));
    writeln!(
        page,
        "<tr><td>{}</td><td class=\"{verdict}\">{verdict}</td><td>{median:.2} ({low:.2} to {high:.2}){mark}</td><td>{before}</td><td>{after}</td></tr>",
        escape(&change.contestant)
    )
}

impl Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, hint, legend, drawing } = self;
        write!(f, "<figure>\n<h3>{}</h3>\n<p class=\"hint\">{}</p>\n", escape(title), escape(hint))?;
        if !legend.is_empty() {
            f.write_str("<ul class=\"legend\">")?;
            for (name, look) in legend {
                write!(f, "<li>{}{}</li>", look.draw(), escape(name))?;
            }
            f.write_str("</ul>\n")?;
        }
        write!(f, "{drawing}\n</figure>\n")
    }
}

/// Returns how a series looks: an adapter the same on the whole page, others by their place in a stage.
fn look(name: &str, stage: &Stage) -> Look {
    if let Some(transport) = name.strip_prefix("plain ") {
        return Look::Limit(usize::from(!transport.starts_with("udp")));
    }
    if let Some(index) = Runtime::value_variants().iter().position(|runtime| runtime.name() == name) {
        return Look::Measured(index);
    }
    Look::Measured(stage.series().iter().position(|series| *series == name).unwrap_or_default())
}

/// Writes text so that it is text in a page too.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

const STYLE: &str = include_str!("style.css");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::tests::report;

    #[test]
    fn a_page_has_every_stage_every_figure_and_every_doubt() {
        let mut report = report(25.0);
        report.doubts.push("nobody should believe this".to_owned());
        let page = render(&report, Some(&Comparison::new(&report, "old.json", &report)));
        for part in [
            "<h2>Calls of a test</h2>",
            "Expected at best: what plain udp reaches on this machine, median latency 20 µs.",
            "<li>nobody should believe this</li>",
            "<tr><td>std</td><td>25.0</td><td>40000</td><td>–</td><td>–</td><td>2.00</td><td>1.25 (1.25 to 1.25)</td></tr>",
            "<h2>Compared with old.json",
            "<tr><td>std</td><td class=\"as before\">as before</td>",
        ] {
            assert!(page.contains(part), "{part}");
        }
        // Shares, medians, percentiles, and processor time of the one that tells it.
        assert_eq!(page.matches("<figure>").count(), 4);
        for element in ["html", "body", "main", "section", "figure", "svg", "table", "details", "ul"] {
            let begun_count = page.matches(&format!("<{element}")).count();
            assert_eq!(begun_count, page.matches(&format!("</{element}>")).count(), "{element}");
        }
    }

    #[test]
    fn what_a_document_says_is_text_and_nothing_else() {
        let mut report = report(25.0);
        let evil = "<script src=\"//elsewhere\">&";
        report.stages[0].title = evil.to_owned();
        report.machine.system = evil.to_owned();
        report.doubts.push(evil.to_owned());
        let contestant = &mut report.stages[0].contestants[1];
        (contestant.name, contestant.series) = (evil.to_owned(), evil.to_owned());
        let page = render(&report, Some(&Comparison::new(&report, evil, &report)));
        assert!(!page.contains("<script") && !page.contains("<Script") && !page.contains("=\"//"), "{page}");
        assert!(page.contains("&lt;script src=&quot;//elsewhere&quot;&gt;&amp;"));
    }
}
