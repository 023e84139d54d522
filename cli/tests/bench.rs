//! The measurements as a user or a harness starts them. Nothing here depends on how fast they are.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};

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
fn baseline_peers_obey_the_bench_convention() {
    for (transport, work, done) in [
        ("udp", "--work echo --size 32 --inflight 1 --calls 100", "DONE calls=100 secs="),
        ("udp", "--work echo --size 32 --inflight 64 --calls 1000", "DONE calls=1000 secs="),
        ("tcp", "--work echo --size 7 --inflight 64 --calls 1000", "DONE calls=1000 secs="),
        ("tcp", "--work bulk --msg 1000 --bytes 1000001", "DONE bytes=1000001 secs="),
    ] {
        let address = free_address();
        let mut server = Peer::start(&format!("server {transport} --addr {address}"));
        assert_eq!(server.line(), "READY");
        let mut client = Peer::start(&format!("client {transport} --addr {address} {work} --warm 0.001 --runtime std"));
        assert_eq!(client.line(), "WARM");
        writeln!(client.0.stdin.take().unwrap(), "GO").unwrap();
        let line = client.line();
        assert!(line.starts_with(done), "{line}");
        assert!(client.0.wait().unwrap().success());
    }
}

#[test]
fn a_server_ends_with_its_input_if_it_is_told_to() {
    let mut server = Peer::start(&format!("server udp --addr {} --end-with input", free_address()));
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
    for args in ["bench --blocks 5", "bench --block 1ms baseline", "bench --json"] {
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
        let mut command = command(&format!("bench baseline-peer {args}"));
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
