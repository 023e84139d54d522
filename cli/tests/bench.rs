//! The measurements as a user or a harness starts them. Nothing here depends on how fast they are.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

#[test]
fn a_baseline_is_a_table_of_every_kind_of_work_and_of_udp_to_tcp() {
    let output = command("bench baseline --blocks 6 --block 1ms --inflight 8").output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for row in [
        "loopback, 6 blocks of 1ms each, ",
        "udp echo, 1 in flight  ",
        "tcp echo, 1 in flight  ",
        "udp echo, 8 in flight  ",
        "tcp echo, 8 in flight  ",
        "tcp bulk ",
        "udp echo, 1 in flight to tcp echo, 1 in flight: ",
        "udp echo, 8 in flight to tcp echo, 8 in flight: ",
    ] {
        assert_eq!(table.lines().filter(|line| line.starts_with(row)).count(), 1, "{row}\n{table}");
    }
}

#[test]
fn without_more_every_adapter_and_rung_is_measured_and_all_figures_are_left_in_a_file() {
    let path = std::env::temp_dir().join(format!("posthaste-bench-{}.json", std::process::id()));
    let mut command = command("bench --blocks 6 --block 5ms --json");
    let output = command.arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    std::fs::remove_file(path).unwrap();
    let table = String::from_utf8(output.stdout).unwrap();

    let stages = document["stages"].as_array().unwrap();
    let keys: Vec<_> = stages.iter().map(|stage| stage["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["one_call", "many_calls", "bulk", "ladder"]);
    for stage in stages {
        assert!(table.contains(stage["title"].as_str().unwrap()), "{table}");
        for contestant in stage["contestants"].as_array().unwrap() {
            let name = contestant["name"].as_str().unwrap();
            assert!(table.lines().any(|line| line.starts_with(name)), "{name}\n{table}");
            assert_eq!(contestant["blocks"].as_array().unwrap().len(), 6, "{name}");
            for block in contestant["blocks"].as_array().unwrap() {
                let rate = block.get("calls_per_s").or(block.get("mb_per_s")).unwrap();
                assert!(rate.as_f64().unwrap() > 0.0, "{name}: {block}");
            }
        }
    }
    // Whatever there is to be told while it runs goes elsewhere.
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("1 of 4: "));
}

#[test]
fn sweeps_go_over_their_values_and_nothing_else_is_measured() {
    let sweeps = "--in-flight 1,65 --size 2KiB --rate 1000 --loss 0%";
    let document = measure(&format!("--runtime smol --blocks 6 --block 5ms {sweeps}"), "sweeps.json".as_ref());
    let stages = document["stages"].as_array().unwrap();
    let names = |stage: &Value| {
        let contestants = stage["contestants"].as_array().unwrap();
        contestants.iter().map(|contestant| contestant["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(stages.len(), 4);
    let in_flight =
        ["plain tcp, 1 in flight", "plain udp, 1 in flight", "smol, 1 in flight", "plain tcp, 65 in flight"];
    assert_eq!(names(&stages[0])[..4], in_flight);
    assert_eq!(names(&stages[1]), ["plain tcp, 2 KiB", "smol, 2 KiB"]);
    assert_eq!(names(&stages[2]), ["plain udp, 1 k calls/s", "smol, 1 k calls/s"]);
    assert_eq!(names(&stages[3])[0], "stop-and-wait, 0 % lost");
    for contestant in stages.iter().flat_map(|stage| stage["contestants"].as_array().unwrap()) {
        assert!(contestant["x"].as_f64().is_some() && !contestant["series"].as_str().unwrap().is_empty());
    }
    // What could be reached over the link needs no measurement.
    assert!(stages[3]["contestants"][0]["limit"].as_f64().unwrap() > 11.0);
}

#[test]
fn a_server_that_runs_already_is_called_by_each_adapter() {
    let mut server = Peer::spawn(&mut command("serve --listen 127.0.0.1:0"));
    let address = server.line().strip_prefix("serving ").unwrap().to_owned();
    let document = measure(&format!("--to {address} --blocks 6 --block 5ms"), "to.json".as_ref());
    assert_eq!(document["asked"]["to"], address);
    let upload = &document["stages"][2];
    assert_eq!(upload["key"], "upload");
    for (contestant, name) in
        upload["contestants"].as_array().unwrap().iter().zip(["plain tcp (loopback)", "std", "mio", "smol"])
    {
        assert_eq!(contestant["name"], name);
        assert!(contestant["estimates"]["mb_per_s"]["low"].as_f64().unwrap() > 0.0, "{name}");
    }
}

#[test]
fn a_server_on_another_machine_needs_consent() {
    let output = command("bench --to 192.0.2.1:4000").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--insecure"));
}

#[test]
fn runs_are_shown_again_and_compared() {
    let old = std::env::temp_dir().join(format!("posthaste-old-{}.json", std::process::id()));
    let shown = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = shown(command("bench --size 32 --runtime mio --blocks 6 --block 1ms --json").arg(&old));
    let again = shown(command("bench --from").arg(&old));
    assert_eq!(again, text);
    let compared = shown(command("bench --from").arg(&old).arg("--compare").arg(&old));
    let compared = compared.strip_prefix(&text).unwrap();
    assert!(compared.contains(&format!("Compared with {}", old.file_name().unwrap().display())), "{compared}");
    assert!(compared.contains("  mio, 32 octets") && compared.contains("  1.00 ("), "{compared}");
    std::fs::write(&old, "{}").unwrap();
    for option in ["--from", "--compare"] {
        let output = command("bench").arg(option).arg(&old).output().unwrap();
        assert_eq!(output.status.code(), Some(6));
        assert!(String::from_utf8(output.stderr).unwrap().contains("has no figures of a measurement"));
    }
    std::fs::remove_file(old).unwrap();
}

#[test]
fn adapters_call_at_a_given_rate_and_upload() {
    for runtime in ["std", "mio", "smol"] {
        for (work, done) in [
            ("--work load --size 32 --rate 10000 --calls 50", "DONE calls=50 secs="),
            ("--work upload --size 5000 --inflight 3 --calls 20", "DONE bytes=100000 secs="),
        ] {
            let address = free_address();
            let mut server = Peer::spawn(&mut command(&format!("bench server --runtime {runtime} --addr {address}")));
            assert_eq!(server.line(), "READY");
            let client = format!("bench client --runtime {runtime} --addr {address} {work} --times all");
            let mut client = Peer::spawn(&mut command(&client));
            assert_eq!(client.line(), "WARM");
            writeln!(client.0.stdin.take().unwrap(), "GO").unwrap();
            let line = client.line();
            assert!(line.starts_with(done), "{runtime}: {line}");
            assert_eq!(line.contains(" unsent=0 "), work.contains("--rate"), "{runtime}: {line}");
            let times = line.split_once(" times=").unwrap().1.split(',');
            let count: u32 = times.map(|step| step.split_once(':').unwrap().1.parse::<u32>().unwrap()).sum();
            assert_eq!(count, if work.contains("--rate") { 50 } else { 20 }, "{runtime}: {line}");
        }
    }
}

#[test]
fn threads_share_a_client() {
    let options = |runtime| format!("--addr {} --runtime {runtime}", free_address());
    let work = "--work echo --size 32 --inflight 1 --threads 5 --calls 23";
    let std = options("std");
    assert_work_is_done(&format!("server {std}"), &format!("client {std} {work}"), "DONE calls=23 secs=");
    for runtime in ["mio", "smol"] {
        let output = command(&format!("bench client {} {work}", options(runtime))).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8(output.stderr).unwrap().contains("--threads is for the runtime std"));
    }
}

#[test]
fn baseline_peers_obey_the_bench_convention() {
    for (transport, work, done) in [
        ("udp", "--work echo --size 32 --inflight 1 --calls 100", "DONE calls=100 secs="),
        ("udp", "--work echo --size 32 --inflight 64 --calls 1000", "DONE calls=1000 secs="),
        ("udp", "--work load --size 32 --rate 10000 --calls 50", "DONE calls=50 secs="),
        ("tcp", "--work echo --size 7 --inflight 64 --calls 1000", "DONE calls=1000 secs="),
        ("tcp", "--work bulk --msg 1000 --bytes 1000001", "DONE bytes=1000001 secs="),
    ] {
        let address = free_address();
        let ends = ["server", "client"].map(|role| format!("baseline-peer {role} {transport} --addr {address}"));
        assert_work_is_done(&ends[0], &format!("{} {work} --warm 0.001 --runtime std", ends[1]), done);
    }
}

#[test]
fn ends_that_look_at_their_sockets_for_as_long_as_they_are_told_obey_it_too() {
    for runtime in ["std", "mio", "smol"] {
        for micros in [0, 100_000] {
            let options = format!("--addr {} --runtime {runtime} --busy-poll {micros}", free_address());
            let work = "--work echo --size 32 --inflight 2 --calls 100";
            assert_work_is_done(
                &format!("server {options}"),
                &format!("client {options} {work}"),
                "DONE calls=100 secs=",
            );
        }
    }
}

#[test]
fn a_server_ends_with_its_input_if_it_is_told_to() {
    let mut server = Peer::start(&format!("baseline-peer server udp --addr {} --end-with input", free_address()));
    assert_eq!(server.line(), "READY");
    drop(server.0.stdin.take());
    assert!(server.0.wait().unwrap().success());
}

#[test]
fn work_that_a_transport_cannot_do_is_wrong_usage() {
    let client = "bench baseline-peer client udp --addr 127.0.0.1:9 --secs 1";
    for work in ["--work bulk --msg 1", "--work echo --size 65000 --inflight 1", "--work echo --size 1 --inflight 65"] {
        let output = command(&format!("{client} {work}")).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{work}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_measurement_that_makes_no_sense_is_wrong_usage() {
    for args in [
        "bench --blocks 5",
        "bench --block 1ms baseline",
        "bench --json",
        "bench --rate 0",
        "bench --loss 101%",
        "bench --all --rate 1000",
        "bench --from old.json --rate 1000",
        "bench --to 127.0.0.1:0",
    ] {
        let output = command(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args}: {}", String::from_utf8_lossy(&output.stderr));
    }
    for args in ["--blocks 5", "--blocks 1001", "--block 0", "--block 1", "--inflight 0", "--inflight 65"] {
        let output = command(&format!("bench baseline {args}")).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A process that ends with the test.
struct Peer(Child, BufReader<std::process::ChildStdout>);

impl Peer {
    fn start(args: &str) -> Self {
        Self::spawn(&mut command(&format!("bench {args}")))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self(child, output)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Has a client work, and checks what it says when it is done.
fn assert_work_is_done(server: &str, client: &str, done: &str) {
    let mut server = Peer::start(server);
    assert_eq!(server.line(), "READY");
    let mut client = Peer::start(client);
    assert_eq!(client.line(), "WARM");
    writeln!(client.0.stdin.take().unwrap(), "GO").unwrap();
    let line = client.line();
    assert!(line.starts_with(done), "{line}");
    assert!(client.0.wait().unwrap().success());
}

/// Measures and returns what was left in a file of this name.
fn measure(args: &str, name: &OsStr) -> Value {
    let path = std::env::temp_dir().join(format!("posthaste-{}-{}", std::process::id(), name.display()));
    let output = command(&format!("bench {args} --json")).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    std::fs::remove_file(path).unwrap();
    document
}

fn command(args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
    command.args(args.split_whitespace());
    command
}

/// Returns an address that neither transport uses at the moment.
fn free_address() -> String {
    loop {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address.to_string();
        }
    }
}
