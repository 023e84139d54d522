//! The latency of a small call through each adapter, as a ratio to a plain UDP exchange between two processes.
//!
//! `cargo run --release -p posthaste-conformance --example latency`
use core::net::SocketAddr;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use posthaste_conformance::readiness::{MioClient, MioServer};
use posthaste_conformance::service::{ECHO, PROGRAM};
use posthaste_conformance::{Client as _, Server as _};
use posthaste_core::Config;
use posthaste_core::endpoint::{Answer, Request};

const KINDS: [&str; 4] = ["udp", "std", "mio", "smol"];
const BLOCK_COUNT: usize = 31;
const CALL_COUNT: usize = 1000;

fn main() {
    if let Some(kind) = std::env::args().nth(1) {
        return serve(&kind);
    }
    let mut servers: Vec<(Child, SocketAddr)> = KINDS.iter().map(|kind| spawn(kind)).collect();
    let plain = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    plain.connect(servers[0].1).expect("an address");
    let blocking = posthaste_std::Client::connect_insecure(servers[1].1, Config::lan()).expect("a server");
    let mut readiness = MioClient::connect(servers[2].1, Config::lan());
    let smol = posthaste_smol::Client::connect_insecure(servers[3].1, Config::lan()).expect("a socket");
    let request = || Request::new(PROGRAM, 1, ECHO, &[7; 32]);

    let mut ratios = [const { Vec::new() }; 4];
    let mut medians = [const { Vec::new() }; 4];
    for _ in 0..BLOCK_COUNT {
        let mut buffer = [0; 64];
        let base = block(|| {
            plain.send(&[7; 32]).expect("it is sent");
            plain.recv(&mut buffer).expect("it comes back");
        });
        let mut reply = Vec::new();
        let std = block(|| blocking.call_into(&request(), &mut reply).expect("a reply"));
        let mio = block(|| drop(readiness.call(request()).expect("a reply")));
        let mut times = Vec::new();
        smol::block_on(async {
            for _ in 0..CALL_COUNT {
                let start = Instant::now();
                drop(smol.call(request()).await.expect("a reply"));
                times.push(start.elapsed().as_nanos() as f64);
            }
        });
        for (index, time) in [base, std, mio, median(&mut times)].into_iter().enumerate() {
            ratios[index].push(time / base);
            medians[index].push(time);
        }
    }
    for (index, kind) in KINDS.iter().enumerate() {
        let (time, ratio) = (median(&mut medians[index]), median(&mut ratios[index]));
        let (low, high) = (ratios[index][BLOCK_COUNT / 4], ratios[index][BLOCK_COUNT * 3 / 4]);
        println!("{kind:5} p50 {:6.2} us  {ratio:.2} of udp (middle half {low:.2} to {high:.2})", time / 1000.0);
    }
    for (server, _) in &mut servers {
        let _ = server.kill();
        let _ = server.wait();
    }
}

fn block(mut call: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..CALL_COUNT)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed().as_nanos() as f64
        })
        .collect();
    median(&mut times)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn spawn(kind: &str) -> (Child, SocketAddr) {
    let this = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(this).arg(kind).stdout(Stdio::piped()).spawn().expect("a process");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("an address");
    (child, line.trim().parse().expect("an address"))
}

fn serve(kind: &str) {
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    match kind {
        "udp" => {
            let socket = UdpSocket::bind(any).expect("a socket");
            println!("{}", socket.local_addr().expect("it is bound"));
            let mut buffer = [0; 64];
            loop {
                let (len, from) = socket.recv_from(&mut buffer).expect("it works");
                socket.send_to(&buffer[..len], from).expect("it works");
            }
        }
        "std" => {
            let echo = posthaste_std::Inline(|call: &posthaste_std::Incoming<'_>, reply: &mut Vec<u8>| {
                reply.extend_from_slice(call.arguments());
                Answer::Ok
            });
            let server = posthaste_std::Server::serve_insecure(any, Config::lan(), echo).expect("a server");
            println!("{}", server.local_addr());
            loop {
                std::thread::park();
            }
        }
        "mio" => {
            let server = MioServer::start(any, Config::lan());
            println!("{}", server.local_addr());
            loop {
                std::thread::park();
            }
        }
        _ => {
            let server = posthaste_smol::Server::bind_insecure(any, Config::lan()).expect("a server");
            println!("{}", server.local_addr());
            smol::block_on(server.serve(4, |call| async move {
                let mut octets = [0; 32];
                call.with(|arguments| octets.copy_from_slice(arguments));
                let _ = call.reply(&octets);
            }));
        }
    }
}
