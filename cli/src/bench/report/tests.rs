//! Tables, documents and comparisons of figures that are known.

use core::time::Duration;

use posthaste_udp::{Options, Socket as UdpSocket};

use super::compare::Comparison;
use super::{Asked, Axis, ContestantParts, Machine, Reference, Report, Stage, StageParts, quantity};
use crate::bench::convention::{Amount, Done, Percentiles};
use crate::bench::driver::Block;
use crate::bench::machine::Cores;

#[test]
fn a_table_has_medians_and_the_ratio_to_the_first_with_its_interval() {
    let table = report(25.0).to_string();
    let stage = &table[table.find("calls of a test").unwrap()..];
    assert_eq!(
        stage,
        "\
calls of a test
               latency us              CPU s / 10^6                 datagrams   ratio to the
                      p50      calls/s       client       server     per call   limit
plain udp            20.0        50000         1.50         2.50            -
std                  25.0        40000            -            -         2.00   1.25 (1.25 to 1.25)
Expected at best: what plain udp reaches on this machine, median latency 20 µs.
"
    );
}

#[test]
fn doubts_stand_below_the_tables() {
    let mut report = report(25.0);
    report.doubts.push("nobody should believe this".to_owned());
    assert!(report.to_string().ends_with("\nNot to be relied upon:\n- nobody should believe this\n"));
}

#[test]
fn a_document_has_every_block_and_every_estimate_under_keys_with_units_and_reads_back() {
    let report = report(25.0);
    let text = report.to_json();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["format"], 1);
    assert_eq!(document["machine"]["client_core"], 0);
    assert_eq!(document["asked"]["block_s"], 0.05);
    assert!(document["socket"]["recv_buffer"]["granted_octets"].as_u64().unwrap() > 0);
    let stage = &document["stages"][0];
    assert_eq!((&stage["ratio_of"], &stage["ratio_to"]), (&"p50_us".into(), &"plain udp".into()));
    let contestant = &stage["contestants"][1];
    assert_eq!(contestant["name"], "std");
    let of = |value: f64| serde_json::json!({ "low": value, "median": value, "high": value });
    assert_eq!(contestant["ratio"], of(1.25));
    assert_eq!(contestant["estimates"]["calls_per_s"], of(40_000.0));
    assert_eq!(contestant["estimates"]["client_cpu_s_per_million_calls"], serde_json::Value::Null);
    let block = serde_json::json!({
        "p50_us": 25.0, "calls_per_s": 40_000.0, "client_cpu_s_per_million_calls": null,
        "server_cpu_s_per_million_calls": null, "datagrams_per_call": 2.0
    });
    assert_eq!(contestant["blocks"], serde_json::json!(vec![block; BLOCK_COUNT]));
}

#[test]
fn a_document_without_what_was_added_later_is_read() {
    let mut document = serde_json::to_value(report(25.0)).unwrap();
    let stage = &mut document["stages"][0];
    for key in ["reference", "over", "quantities"] {
        stage.as_object_mut().unwrap().remove(key).unwrap();
    }
    for contestant in stage["contestants"].as_array_mut().unwrap() {
        for key in ["series", "x", "limit", "latency"] {
            contestant.as_object_mut().unwrap().remove(key).unwrap();
        }
    }
    let old: Report = serde_json::from_value(document).unwrap();
    let comparison = Comparison::new(&old, "old.json", &report(50.0));
    assert_eq!(comparison.changes.len(), 2);
    assert_eq!(old.stages[0].series(), ["plain udp", "std"]);
}

#[test]
fn a_document_of_another_format_or_that_would_steer_a_terminal_is_refused() {
    let path = std::env::temp_dir().join(format!("posthaste-report-{}.json", std::process::id()));
    let refused = |report: &Report| {
        std::fs::write(&path, report.to_json()).unwrap();
        Report::read(&path).err().map(|failure| failure.to_string())
    };
    let mut report = report(25.0);
    assert_eq!(refused(&report), None);
    report.stages[0].contestants[0].name = "\u{1b}[2J".to_owned();
    assert!(refused(&report).unwrap().contains("control characters"));
    report.format = 2;
    assert!(refused(&report).unwrap().contains("has format 2, not 1"));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn percentiles_are_of_all_blocks_as_far_as_there_are_calls_beyond_them() {
    let report = report(25.0);
    let latency = &report.stages[0].contestants[1].latency;
    // 31 blocks of 32 calls, the slowest of which are one in a block.
    let told: Vec<f64> = latency.iter().map(|percentile| percentile.percent).collect();
    assert_eq!(told, [0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0]);
    assert!((latency[3].us - 25.0).abs() < 0.1, "{latency:?}");
}

#[test]
fn a_limit_that_is_known_without_a_measurement_stands_for_a_contestant() {
    let block = block_of(25.0);
    let contestant = ContestantParts {
        name: "a, 1 % lost",
        series: "a",
        x: Some(1.0),
        limit: Some(80_000.0),
        compared_with: None,
        blocks: &[block],
    };
    let stage = Stage::new(&StageParts {
        key: "test",
        title: "a link",
        reference: Reference::Link,
        over: Some(Axis::Loss),
        quantities: &[quantity::CALL_RATE],
        contestants: vec![contestant],
    });
    assert_eq!(stage.contestants[0].ratio.unwrap().median, 0.5);
    let expected = "Expected at best: 80 k calls/s, what the link carries beside its headers, less what is lost.";
    assert_eq!(stage.expectation().unwrap(), expected);
}

#[test]
fn a_comparison_says_what_became_faster_and_slower_and_what_cannot_be_told() {
    let old = report(25.0);
    for (micros, verdict) in
        [(20.0, "faster     0.80"), (24.8, "as before  0.99"), (25.5, "as before  1.02"), (30.0, "slower     1.20")]
    {
        let text = Comparison::new(&old, "old.json", &report(micros)).to_string();
        let line = text.lines().find(|line| line.starts_with("  std ")).unwrap();
        assert!(line.contains(verdict), "{micros}: {line}");
        // Plain sockets have nothing beside them: their own figure is compared.
        let plain = text.lines().find(|line| line.starts_with("  plain udp ")).unwrap();
        assert!(plain.contains("as before") && plain.ends_with(" *"), "{plain}");
        assert!(text.contains("\nCompared with old.json (posthaste "), "{text}");
    }
}

#[test]
fn noise_is_no_change_and_does_not_tell_that_there_is_none() {
    let mut noisy = report(25.0);
    let ratio = noisy.stages[0].contestants[1].ratio.as_mut().unwrap();
    (ratio.low, ratio.high) = (1.0, 1.6);
    let text = Comparison::new(&noisy, "old.json", &report(30.0)).to_string();
    assert!(text.contains("unclear    1.20 (0.94 to 1.50)"), "{text}");
}

#[test]
fn runs_that_are_hard_to_compare_are_named() {
    let (old, mut new) = (report(25.0), report(25.0));
    new.machine.core_count = 64;
    new.doubts.push("it was busy".to_owned());
    new.stages[0].key = "another".to_owned();
    let text = Comparison::new(&old, "old.json", &new).to_string();
    for part in ["no work in common", "number of cores is not the same: 2 before, 64 here", "figures here are doubtful"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn figures_are_shown_with_three_digits_and_their_unit() {
    let shown = |quantity: quantity::Quantity, value| quantity.shown(value);
    assert_eq!(shown(quantity::CALL_RATE, 868_123.0), "868 k calls/s");
    assert_eq!(shown(quantity::CALL_RATE, 4_700_000.0), "4.7 M calls/s");
    assert_eq!(shown(quantity::BULK_RATE, 4801.0), "4.8 GB/s");
    assert_eq!(shown(quantity::BULK_RATE, 0.06), "0.06 MB/s");
    assert_eq!(shown(quantity::P50, 73.26), "73.3 µs");
    assert_eq!(shown(quantity::P99, 20_000.0), "20 ms");
    assert_eq!(quantity::digits(0.0), "0");
}

/// Makes a report of plain sockets whose calls take 20 us, and of ours.
pub(in crate::bench) fn report(micros: f64) -> Report {
    let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &Options::default()).unwrap();
    let cores = Some(Cores { client: 0, server: 1 });
    let machine = Machine::this("Test 1.0".to_owned(), 2, cores);
    let asked = Asked {
        block_count: BLOCK_COUNT,
        block_s: 0.05,
        call_octets: 32,
        inflight_count: 64,
        bulk_message_octets: 1 << 20,
        to: None,
    };
    let plain = Block {
        client_cpu: Some(Duration::from_millis(60)),
        server_cpu: Some(Duration::from_millis(100)),
        done: Done { datagram_count: None, ..block_of(20.0).done },
    };
    let (plain, ours) = (vec![plain; BLOCK_COUNT], vec![block_of(micros); BLOCK_COUNT]);
    let contestant = |name, compared_with, blocks| ContestantParts {
        name,
        series: name,
        x: None,
        limit: None,
        compared_with,
        blocks,
    };
    let stage = Stage::new(&StageParts {
        key: "test",
        title: "calls of a test",
        reference: Reference::Limit,
        over: None,
        quantities: &[
            quantity::P50,
            quantity::CALL_RATE,
            quantity::CLIENT_CPU_PER_CALL,
            quantity::SERVER_CPU_PER_CALL,
            quantity::DATAGRAMS_PER_CALL,
        ],
        contestants: vec![contestant("plain udp", None, &plain), contestant("std", Some(0), &ours)],
    });
    Report::new(machine, socket.report().into(), asked, vec![stage])
}

/// Makes a block of calls, one after the other, that took so many microseconds each.
fn block_of(micros: f64) -> Block {
    let count = (800_000.0 / micros) as u64;
    let latency = Some(Percentiles { p50: micros, p99: micros, p999: micros });
    let nanos = (micros * 1000.0) as u64;
    let done = Done {
        amount: Amount::Calls(count),
        secs: count as f64 * micros / 1e6,
        latency,
        unsent_count: None,
        datagram_count: Some(2 * count),
        times: vec![(nanos, 31), (2 * nanos, 1)],
    };
    Block { done, client_cpu: None, server_cpu: None }
}

const BLOCK_COUNT: usize = 31;
