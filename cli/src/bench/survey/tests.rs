//! Tables and documents of figures that are known.

use core::time::Duration;

use posthaste_udp::{Options, Socket};

use super::circumstances::{Build, Circumstances};
use super::plan::{Reference, Stage};
use super::quantity;
use super::{StageResult, Survey};
use crate::bench::convention::{Amount, Done, Percentiles};
use crate::bench::driver::{Block, Contestant};
use crate::bench::machine::Cores;
use crate::value::TimeSpan;

#[test]
fn a_table_has_medians_and_the_ratio_to_the_first_with_its_interval() {
    let table = survey(Build::Release, 31).to_string();
    let stage = &table[table.find("calls of a test").unwrap()..];
    assert_eq!(
        stage,
        "\
calls of a test
               latency us              CPU s / 10^6                 datagrams   ratio to the
                      p50      calls/s       client       server     per call   limit
plain udp            20.0        50000         1.50         2.50            -
std                  25.0        40000            -            -         2.00   1.25 (1.25 to 1.25)
"
    );
}

#[test]
fn what_makes_figures_doubtful_is_said() {
    let mut survey = survey(Build::Debug, 31);
    survey.circumstances.cores = Some(Cores { client: 0, server: 0 });
    // Every second block of the one that is compared takes twice as long.
    for block in survey.results[0].blocks[1].iter_mut().step_by(2) {
        *block = block_of(50.0, None, Some(80_000));
    }
    let doubts = survey.doubts().join("\n");
    for part in ["debug build", "one core", "std, calls of a test: the interval is wider"] {
        assert!(doubts.contains(part), "{part}: {doubts}");
    }
    assert!(survey.to_string().contains("Not to be relied upon:\n- this is a debug build"));
}

#[test]
fn a_document_has_every_block_and_every_estimate_under_keys_with_units() {
    let document: serde_json::Value = serde_json::from_str(&survey(Build::Release, 6).to_json()).unwrap();
    assert_eq!(document["format"], 1);
    assert_eq!(document["build"], "release");
    assert_eq!(document["machine"]["client_core"], 0);
    assert_eq!(document["asked"]["block_s"], 0.05);
    assert!(document["socket"]["recv_buffer"]["granted_octets"].as_u64().unwrap() > 0);
    let stage = &document["stages"][0];
    let text = serde_json::to_string(&[&stage["ratio_of"], &stage["ratio_to"], &stage["contestants"][1]]).unwrap();
    let block = r#"{"p50_us":25.0,"calls_per_s":40000.0,"client_cpu_s_per_million_calls":null,"server_cpu_s_per_million_calls":null,"datagrams_per_call":2.0}"#;
    let of = |value: &str| format!(r#"{{"low":{value},"median":{value},"high":{value}}}"#);
    let expected = format!(
        r#"["p50_us","plain udp",{{"name":"std","ratio":{},"estimates":{{"p50_us":{},"calls_per_s":{},"client_cpu_s_per_million_calls":null,"server_cpu_s_per_million_calls":null,"datagrams_per_call":{}}},"blocks":[{}]}}]"#,
        of("1.25"),
        of("25.0"),
        of("40000.0"),
        of("2.0"),
        [block; 6].join(",")
    );
    assert_eq!(text, expected);
}

fn survey(build: Build, block_count: usize) -> Survey {
    let socket = Socket::bind("127.0.0.1:0".parse().unwrap(), &Options::default()).unwrap();
    let cores = Some(Cores { client: 0, server: 1 });
    let system = "Test 1.0".to_owned();
    let contestant = |name: &str| Contestant { name: name.to_owned(), server: vec![], client: vec![] };
    let stage = Stage {
        key: "test",
        title: "calls of a test".to_owned(),
        quantities: &[
            quantity::P50,
            quantity::CALL_RATE,
            quantity::CLIENT_CPU_PER_CALL,
            quantity::SERVER_CPU_PER_CALL,
            quantity::DATAGRAMS_PER_CALL,
        ],
        contestants: vec![contestant("plain udp"), contestant("std")],
        reference: Reference::Limit,
    };
    let plain = block_of(20.0, Some([60, 100]), None);
    let ours = block_of(25.0, None, Some(64_000));
    Survey {
        circumstances: Circumstances { cores, core_count: 2, system, report: socket.report(), build },
        block_len: TimeSpan(Duration::from_millis(50)),
        block_count,
        results: vec![StageResult { stage, blocks: vec![vec![plain; block_count], vec![ours; block_count]] }],
    }
}

/// Makes a block of calls that took so many microseconds each, with so many milliseconds of processor time.
fn block_of(micros: f64, cpu_millis: Option<[u64; 2]>, datagram_count: Option<u64>) -> Block {
    let calls = if micros < 25.0 { 40_000 } else { 32_000 };
    let latency = Some(Percentiles { p50: micros, p99: micros, p999: micros });
    let done = Done { amount: Amount::Calls(calls), secs: 0.8, latency, datagram_count };
    let cpu = |end: usize| cpu_millis.map(|millis| Duration::from_millis(millis[end]));
    Block { done, client_cpu: cpu(0), server_cpu: cpu(1) }
}
