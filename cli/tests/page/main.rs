//! The page of `bench --html` as a browser shows it.
#![cfg(unix)]

mod chromium;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use self::chromium::{Chromium, Viewer};

#[test]
fn the_page_of_a_comparison_is_readable_everywhere() {
    let Some(chromium) = Chromium::start("comparison") else { return };
    let directory = Directory::new("comparison");
    let (figures, page) = (directory.file("figures.json"), directory.file("page.html"));
    bench(&["--blocks", "6", "--block", "2ms", "--json", &figures]);
    bench(&["--from", &figures, "--compare", &figures, "--html", &page]);
    // Three shares; figures, percentiles and processor time of two kinds of calls; bulk without percentiles, and rates of rungs.
    check(chromium, Path::new(&page), "comparison", 3 + 2 * 3 + 2 + 1);
}

#[test]
fn the_page_of_sweeps_is_readable_everywhere() {
    let Some(chromium) = Chromium::start("sweeps") else { return };
    let directory = Directory::new("sweeps");
    let page = directory.file("page.html");
    let sweeps = "--in-flight 1,8 --size 32,4KiB --rate 500,2000 --loss 0%,1% --blocks 6 --block 5ms --html";
    bench(&sweeps.split_whitespace().chain([page.as_str()]).collect::<Vec<_>>());
    check(chromium, Path::new(&page), "sweeps", 3 + 2 + 3 + 1);
}

#[test]
fn what_is_wrong_with_a_page_is_found() {
    let Some(mut chromium) = Chromium::start("faults") else { return };
    let directory = Directory::new("faults");
    let page = directory.file("page.html");
    let plot = |inside: &str| format!(r#"<figure><svg viewBox="0 0 100 50">{inside}</svg></figure>"#);
    for (body, fault) in [
        ("<p style='width: 500px'>wide</p>".to_owned(), "the page scrolls sideways"),
        ("<p style='position: fixed; left: -9px'>left</p>".to_owned(), "beyond the edge"),
        ("<p style='color: #999'>pale</p>".to_owned(), "text of contrast 2.85"),
        ("<script></script>".to_owned(), "not self-contained"),
        ("<img src='data:,'>".to_owned(), "not self-contained"),
        (plot("<text x='90' y='20'>beyond</text>"), "a label beyond its plot"),
        (plot("<text font-size='2' y='20'>small</text>"), "a label of"),
        (plot("<text y='20'>one</text><text y='22'>other</text>"), "a label on"),
        (plot("<rect x='50' width='60' height='9'/>"), "a stroke beyond its plot"),
        (plot("<rect class='bar' width='9' height='9' fill='#ddd'/>"), "a stroke of contrast"),
    ] {
        let head = "<!doctype html><meta name='viewport' content='width=device-width, minimum-scale=1'>";
        fs::write(&page, format!("{head}<body>{body}</body>")).unwrap();
        chromium.open(Path::new(&page), Viewer { width: 390, scheme: "light" });
        let found = chromium.evaluate(MEASURE)["faults"].to_string();
        assert!(found.contains(fault), "{fault}: {found}");
    }
}

/// Looks at the page on a small phone, a phone and a large screen, by day and by night.
fn check(mut chromium: Chromium, page: &Path, name: &str, plot_count_min: u64) {
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        for width in [320, 390, 1280] {
            chromium.open(page, Viewer { width, scheme });
            chromium.screenshot(&format!("{name}-{width}-{scheme}"));
            let found = chromium.evaluate(MEASURE);
            let faults: Vec<&str> =
                found["faults"].as_array().unwrap().iter().filter_map(|fault| fault.as_str()).collect();
            assert!(faults.is_empty(), "{width} px, {scheme}:\n{}", faults.join("\n"));
            assert!(found["plots"].as_u64().unwrap() >= plot_count_min, "{found}");
            grounds.push(found["ground"].as_str().unwrap().to_owned());
        }
    }
    assert!(grounds[..3].iter().all(|ground| *ground == grounds[0]), "{grounds:?}");
    assert!(grounds[3..].iter().all(|ground| *ground != grounds[0]), "{grounds:?}");
}

fn bench(args: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_posthaste")).arg("bench").args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A directory that ends with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("posthaste-page-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).into_os_string().into_string().unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const MEASURE: &str = include_str!("measure.js");
